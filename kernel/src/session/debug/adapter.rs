//! The debug adapter: LLDB's `lldb-dap`, a program that speaks the Debug Adapter Protocol on its standard streams.
//!
//! What always holds: nobody waits for ever: a question has a limit, and the end of the program answers all
//! that are open.

use crate::install;
pub use crate::session::watched::lock;
use crossbeam_channel::{Sender, bounded};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// The oldest LLDB that shows Rust's enums.
const OLDEST: u32 = 18;
/// The newest one that is looked for by its name.
const NEWEST: u32 = 30;

/// The adapter of this machine, if there is one that is new enough. It is looked for once.
pub fn program() -> Option<&'static Path> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOUND
        .get_or_init(|| {
            let path = crate::engine::users_path();
            let find = |name: &str| install::executable_in(path.as_ref(), name);
            let mut named = (OLDEST..=NEWEST)
                .rev()
                .map(|version| format!("lldb-dap-{version}"));
            let plain = || find("lldb-dap").filter(|file| is_new_enough(file));
            named.find_map(|name| find(&name)).or_else(plain)
        })
        .as_deref()
}

/// The same; the error says what to install.
///
/// # Errors
/// There is none.
pub fn wanted() -> Result<&'static Path, String> {
    program().ok_or_else(|| {
        "attach: there is no debugger\n\
         why: neither lldb-dap-18 or newer nor a new enough lldb-dap is on PATH\n\
         do:  sudo apt-get install lldb-19    (Debian, Ubuntu)\n\
         \x20    then restart the kernel"
            .to_owned()
    })
}

/// Asks a program without a version in its name.
fn is_new_enough(file: &Path) -> bool {
    let lldb = file.with_file_name("lldb");
    let Ok(output) = Command::new(lldb).arg("--version").output() else {
        return false;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.split("version ").nth(1).unwrap_or_default();
    let mut numbers = version.split(|char: char| !char.is_ascii_digit());
    let mut number = || numbers.next().and_then(|text| text.parse::<u32>().ok());
    (number(), number()) >= (Some(OLDEST), Some(1))
}

/// A running adapter.
pub struct Adapter {
    /// Its process.
    pub pid: i32,
    /// It has been told to let the worker go: what it says of stops from now on is no news.
    pub is_leaving: AtomicBool,
    input: Mutex<ChildStdin>,
    last: AtomicU64,
    /// Who waits for the answer to which question; none when the program has ended.
    waiting: Mutex<Option<HashMap<u64, Sender<Value>>>>,
}

/// What comes of itself.
pub enum News {
    /// An event of the protocol.
    Event(Value),
    /// The program has ended.
    Ended,
}

impl Adapter {
    /// Starts the program; `news` is told everything that is not an answer.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(
        program: &Path,
        mut news: Box<dyn FnMut(News) + Send>,
    ) -> std::io::Result<Arc<Adapter>> {
        let mut command = Command::new(program);
        crate::engine::as_the_user_has_it(&mut command);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(std::io::Error::other("it has no standard streams"));
        };
        let adapter = Arc::new(Adapter {
            pid: child.id() as i32,
            is_leaving: AtomicBool::new(false),
            input: Mutex::new(input),
            last: AtomicU64::new(0),
            waiting: Mutex::new(Some(HashMap::new())),
        });
        let reading = Arc::clone(&adapter);
        std::thread::Builder::new()
            .name("debug-adapter".to_owned())
            .spawn(move || {
                let mut output = BufReader::new(output);
                while let Some(message) = read(&mut output) {
                    if message["type"] == "response" {
                        reading.answered(message);
                    } else if message["type"] == "event" {
                        news(News::Event(message));
                    }
                }
                reading.end(child);
                news(News::Ended);
            })?;
        Ok(adapter)
    }

    /// Asks, and waits for the body of the answer.
    ///
    /// # Errors
    /// Why it was refused; or there was no answer within the limit, or the program has ended.
    pub fn ask(&self, command: &str, arguments: Value, limit: Duration) -> Result<Value, String> {
        let number = self.last.fetch_add(1, Ordering::SeqCst) + 1;
        let (sender, receiver) = bounded(1);
        let gone = || format!("{command}: the debugger has ended");
        {
            let mut waiting = lock(&self.waiting);
            waiting.as_mut().ok_or_else(gone)?.insert(number, sender);
        }
        let message = json!({
            "seq": number, "type": "request", "command": command, "arguments": arguments,
        })
        .to_string();
        let text = format!("Content-Length: {}\r\n\r\n{message}", message.len());
        {
            let mut input = lock(&self.input);
            let written = input.write_all(text.as_bytes());
            written.and_then(|()| input.flush()).map_err(|_| gone())?;
        }
        let answer = receiver.recv_timeout(limit).map_err(|error| {
            if let Some(waiting) = lock(&self.waiting).as_mut() {
                waiting.remove(&number);
            }
            match error {
                crossbeam_channel::RecvTimeoutError::Timeout => format!(
                    "{command}: the debugger has not answered within {} s",
                    limit.as_secs()
                ),
                crossbeam_channel::RecvTimeoutError::Disconnected => gone(),
            }
        })?;
        if answer["success"] == true {
            return Ok(answer["body"].clone());
        }
        let text = answer["message"].as_str();
        let text = text.or_else(|| answer["body"]["error"]["format"].as_str());
        Err(text
            .unwrap_or("the debugger gives no reason")
            .trim()
            .to_owned())
    }

    /// Ends the program at once.
    pub fn kill(&self) {
        if lock(&self.waiting).is_some() {
            // SAFETY: a plain system call on a child that has not been waited for.
            unsafe { libc::kill(self.pid, libc::SIGKILL) };
        }
    }

    fn answered(&self, message: Value) {
        let number = message["request_seq"].as_u64().unwrap_or_default();
        let asker = lock(&self.waiting)
            .as_mut()
            .and_then(|waiting| waiting.remove(&number));
        if let Some(asker) = asker {
            let _has_given_up = asker.send(message);
        }
    }

    fn end(&self, mut child: Child) {
        // Dropping the senders answers all who wait.
        *lock(&self.waiting) = None;
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// The next message; none at the end.
fn read(output: &mut BufReader<std::process::ChildStdout>) -> Option<Value> {
    let mut length = None;
    loop {
        let mut line = String::new();
        if output.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse::<usize>().ok();
        }
    }
    let mut bytes = vec![0; length?];
    output.read_exact(&mut bytes).ok()?;
    // What is not JSON is nobody's answer.
    Some(serde_json::from_slice(&bytes).unwrap_or_default())
}
