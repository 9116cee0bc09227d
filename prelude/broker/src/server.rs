//! A broker for one program: started on a free port of this machine with a folder of its own, and ended with the program. For notebooks
//! and tests that are to run where no broker is, and to see what happens when one goes.

use std::fmt;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use forkline::tasks;
use parking_lot::Mutex;

use crate::config::{Config, Kind};
use crate::error::{Error, Result};
use crate::message::new_id;
use crate::transport::Link;

/// RabbitMQ takes some seconds, and more on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(50);
/// Where Debian and others put servers, beside what the PATH says. Debian's `rabbitmq-server` in the PATH changes the user.
const PLACES: [&str; 4] = [
    "/usr/lib/rabbitmq/bin",
    "/usr/sbin",
    "/usr/local/sbin",
    "/opt/homebrew/sbin",
];

/// A broker of this program's own. It ends when this is dropped, and its data with it.
pub struct Server {
    kind: Kind,
    program: PathBuf,
    folder: PathBuf,
    port: u16,
    /// Two more ports, which Erlang wants.
    inner_ports: [u16; 2],
    running: Mutex<Vec<Child>>,
}

impl Server {
    /// Starts a Redis that writes each change to disk before it answers.
    ///
    /// # Errors
    /// `redis-server` is not installed, or does not start.
    pub fn redis() -> Result<Server> {
        Server::new(
            Kind::Redis,
            "redis-server",
            "sudo apt-get install redis-server",
        )
    }

    /// Starts a RabbitMQ. It takes 5 s or more.
    ///
    /// # Errors
    /// `rabbitmq-server` is not installed, or does not start.
    pub fn rabbitmq() -> Result<Server> {
        Server::new(
            Kind::RabbitMq,
            "rabbitmq-server",
            "sudo apt-get install rabbitmq-server",
        )
    }

    fn new(kind: Kind, name: &str, cure: &str) -> Result<Server> {
        let not_started = |why: String| Error::NotStarted {
            program: name.to_owned(),
            why,
            cure: cure.to_owned(),
        };
        let program = find(name).ok_or_else(|| not_started("it is not installed".to_owned()))?;
        let folder = std::env::temp_dir().join(format!("forkline-broker-{}", new_id()));
        let ports = free_ports().map_err(|error| not_started(format!("no free port: {error}")))?;
        fs::create_dir_all(&folder)
            .map_err(|error| not_started(format!("{}: {error}", folder.display())))?;
        let server = Server {
            kind,
            program,
            folder,
            port: ports[0],
            inner_ports: [ports[1], ports[2]],
            running: Mutex::default(),
        };
        server.start()?;
        Ok(server)
    }

    /// Where it is, for a [`Config`].
    pub fn url(&self) -> String {
        match self.kind {
            Kind::RabbitMq => format!("amqp://127.0.0.1:{}", self.port),
            Kind::Redis => format!("redis://127.0.0.1:{}", self.port),
        }
    }

    /// Whether its process lives.
    pub fn is_alive(&self) -> bool {
        let mut running = self.running.lock();
        running
            .last_mut()
            .is_some_and(|server| matches!(server.try_wait(), Ok(None)))
    }

    /// Starts it again after [`kill`](Self::kill), with the data that it had and on the same port.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(&self) -> Result<()> {
        if self.is_alive() {
            return Ok(());
        }
        self.kill();
        let started = match self.kind {
            Kind::RabbitMq => self.rabbitmq_processes(),
            Kind::Redis => self.redis_process().map(|process| vec![process]),
        };
        let log = self.folder.join("log");
        let program = self.program.display().to_string();
        let failed = |why: String| Error::NotStarted {
            program: program.clone(),
            why,
            cure: format!("look at what it says: {}", last_lines(&log)),
        };
        *self.running.lock() = started.map_err(|error| failed(error.to_string()))?;
        let begun = Instant::now();
        let config = Config::new(self.url()).queue("forkline.first");
        loop {
            // A server that answers may still be about to begin.
            let answers = tasks::block_on(async {
                let link = Link::connect(&config).await?;
                let ready = link.n_waiting().await;
                link.close().await;
                ready
            });
            match answers {
                Ok(_) => return Ok(()),
                Err(_) if !self.is_alive() => {
                    return Err(failed("it has ended at once".to_owned()));
                }
                Err(error) if begun.elapsed() > PATIENCE => return Err(failed(error.to_string())),
                Err(_) => std::thread::sleep(PAUSE),
            }
        }
    }

    /// Ends it at once, as a power failure would; its data stays.
    pub fn kill(&self) {
        // The server before what it stands on.
        for mut process in self.running.lock().drain(..).rev() {
            let _it_may_have_ended = process.kill();
            let _no_zombie_is_left = process.wait();
        }
    }

    fn command(&self, program: &Path) -> std::io::Result<Command> {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.join("log"))?;
        let mut command = Command::new(program);
        command
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        Ok(command)
    }

    fn redis_process(&self) -> std::io::Result<Child> {
        let port = self.port.to_string();
        let options = [
            ["--port", &port],
            ["--bind", "127.0.0.1"],
            ["--appendonly", "yes"],
            ["--appendfsync", "always"],
            ["--save", ""],
        ];
        self.command(&self.program)?
            .args(options.as_flattened())
            .spawn()
    }

    /// Erlang's port mapper and the server. The mapper would start by itself, but outlive us.
    fn rabbitmq_processes(&self) -> std::io::Result<Vec<Child>> {
        let [mapper_port, distribution_port] = self.inner_ports;
        let mapper = find("epmd").unwrap_or_else(|| PathBuf::from("epmd"));
        let mapper = self
            .command(&mapper)?
            .args(["-address", "127.0.0.1", "-port", &mapper_port.to_string()])
            .spawn()?;
        let file = |name: &str| self.folder.join(name);
        let config = "listeners.tcp.default = 127.0.0.1:PORT\n\
                      disk_free_limit.absolute = 50MB\n\
                      log.console = true\n";
        fs::write(
            file("rabbitmq.conf"),
            config.replace("PORT", &self.port.to_string()),
        )?;
        fs::write(file("enabled_plugins"), "[].\n")?;
        let server = self
            .command(&self.program)?
            // Else a shell stands between us and the server, and outlives what happens to it.
            .env("RUNNING_UNDER_SYSTEMD", "true")
            // Erlang's cookie lies in the home folder.
            .env("HOME", &self.folder)
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_EPMD_PORT", mapper_port.to_string())
            .env(
                "RABBITMQ_NODENAME",
                format!("forkline-{}@localhost", self.port),
            )
            .env("RABBITMQ_DIST_PORT", distribution_port.to_string())
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", self.port.to_string())
            .env("RABBITMQ_CONFIG_FILE", file("rabbitmq.conf"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", file("enabled_plugins"))
            .env("RABBITMQ_LOG_BASE", file("logs"))
            .env("RABBITMQ_MNESIA_BASE", file("data"))
            .env("RABBITMQ_PID_FILE", file("pid"))
            .spawn();
        match server {
            Ok(server) => Ok(vec![mapper, server]),
            Err(error) => {
                let mut mapper = mapper;
                let _it_has_nothing_to_do = mapper.kill().and_then(|()| mapper.wait().map(drop));
                Err(error)
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        let _the_system_clears_its_folder = fs::remove_dir_all(&self.folder);
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Server({})", self.url())
    }
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = PLACES
        .iter()
        .map(PathBuf::from)
        .chain(std::env::split_paths(&path));
    places
        .map(|place| place.join(name))
        .find(|program| program.is_file())
}

/// Ports that were free a moment ago; all are asked for before one is let go.
fn free_ports() -> std::io::Result<[u16; 3]> {
    let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let listeners = [listen()?, listen()?, listen()?];
    let mut ports = [0; 3];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}

fn last_lines(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines[lines.len().saturating_sub(5)..].join(" / ")
}
