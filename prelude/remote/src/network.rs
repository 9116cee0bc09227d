//! Who may call whom, and where names are found: a key, the address of a name server, and limits.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::key::Key;
use crate::link::{Link, Target};
use crate::names::{self, Entry};
use crate::object::{Object, Proxy};
use crate::server::Server;
use crate::uri::{self, Uri};

/// The environment variable that says where the name server is: `host:port`.
pub const NAME_SERVER_VARIABLE: &str = "FORKLINE_NAMESERVER";

/// Where a name server is looked for if nothing else is said.
pub const DEFAULT_PORT: u16 = 9090;

/// A connection is made, and the key proved, within this time.
pub(crate) const HANDSHAKE_TIME: Duration = Duration::from_secs(5);

/// Those who may call each other: their key, their name server, and what a call may cost.
///
/// It travels to other processes as an argument, key included.
///
/// Each setting returns a changed copy, so one call can be given other limits:
/// `network.deadline(Duration::from_millis(50)).proxy::<dyn Hello>("server")`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Network {
    key: Key,
    name_server: Option<SocketAddr>,
    host: IpAddr,
    time: Duration,
    longest_message: usize,
    n_handlers: usize,
}

impl Network {
    /// Those who have the key, without a name server: objects are found by their URI.
    pub fn new(key: &Key) -> Network {
        Network {
            key: key.clone(),
            name_server: None,
            host: Ipv4Addr::LOCALHOST.into(),
            time: Duration::from_secs(10),
            longest_message: 16 << 20,
            n_handlers: 64,
        }
    }

    /// As the environment says: the key is in `FORKLINE_REMOTE_KEY`, the name server in `FORKLINE_NAMESERVER`. Without the
    /// second one the local network is asked, as [`discover`](Self::discover) does.
    ///
    /// # Errors
    /// [`Error::BadKey`] and [`Error::NoNameServer`].
    pub fn from_env() -> Result<Network, Error> {
        let key = Key::from_env()?;
        match std::env::var(NAME_SERVER_VARIABLE) {
            Ok(address) => Network::new(&key).name_server(address.as_str()),
            Err(_) => Network::discover(&key, DEFAULT_PORT),
        }
    }

    /// Asks all machines of the local network, and this one, for a name server with this key.
    ///
    /// # Errors
    /// [`Error::NoNameServer`]: none has answered within a second.
    pub fn discover(key: &Key, port: u16) -> Result<Network, Error> {
        let mut network = Network::new(key);
        network.name_server = Some(names::discover(key, port)?);
        Ok(network)
    }

    /// With this name server.
    ///
    /// # Errors
    /// [`Error::NoNameServer`]: the text is no address.
    pub fn name_server(&self, address: impl ToSocketAddrs + fmt::Debug) -> Result<Network, Error> {
        let mut network = self.clone();
        let why = |why: &str| Error::NoNameServer {
            why: format!("{address:?} is no address of one: {why}"),
        };
        let mut addresses = address
            .to_socket_addrs()
            .map_err(|error| why(&error.to_string()))?;
        network.name_server = Some(addresses.next().ok_or_else(|| why("it has none"))?);
        Ok(network)
    }

    /// How long a call may take, connecting included: 10 s if nothing is said.
    #[must_use = "the settings of a copy are changed"]
    pub fn deadline(&self, time: Duration) -> Network {
        // More than a day would overflow clocks somewhere, and nobody waits for it.
        let time = time.min(Duration::from_secs(86_400));
        Network {
            time,
            ..self.clone()
        }
    }

    /// How many bytes the arguments of a call, or its answer, may have: 16 MiB if nothing is said. For servers, what they
    /// accept.
    #[must_use = "the settings of a copy are changed"]
    pub fn max_message(&self, bytes: usize) -> Network {
        // Frames have a length of four bytes.
        let longest_message = bytes.min(1 << 30);
        Network {
            longest_message,
            ..self.clone()
        }
    }

    /// How many calls a server serves at the same time: 64 if nothing is said. More wait for their turn. A proxy has as many
    /// under way at most, but never fewer than 64 nor more than 256.
    #[must_use = "the settings of a copy are changed"]
    pub fn n_handlers(&self, n: usize) -> Network {
        Network {
            n_handlers: n.clamp(1, 10_000),
            ..self.clone()
        }
    }

    /// At which of this machine's addresses servers listen: 127.0.0.1 if nothing is said, which other machines do not reach.
    #[must_use = "the settings of a copy are changed"]
    pub fn listen_at(&self, host: IpAddr) -> Network {
        Network {
            host,
            ..self.clone()
        }
    }

    /// An object of this name or URI, as if it were here. Nothing is asked or connected before its first method is called.
    pub fn proxy<O: Object + ?Sized>(&self, name: impl AsRef<str>) -> Proxy<O> {
        Proxy::new(self.link(name.as_ref()))
    }

    fn link(&self, name: &str) -> Link {
        let target = if name.contains('@') {
            name.parse().map_or_else(Target::Bad, Target::Uri)
        } else {
            match uri::check_name(name) {
                Ok(()) => Target::Name(name.to_owned()),
                Err(error) => Target::Bad(error),
            }
        };
        Link::new(self.clone(), target)
    }

    /// Serves an object under a name, as a job of that name (`%jobs`, `%stop`). One of the same name in this process is
    /// stopped first. It listens at a port of its own.
    ///
    /// # Errors
    /// The name is taken by a server that lives in another process, the name server cannot be reached, or there is no port.
    pub fn serve<O: Object + ?Sized>(&self, name: &str, object: Arc<O>) -> Result<Server, Error> {
        Server::start(self, name, object)
    }

    /// The names that begin with a prefix, in their order; all with `""`.
    ///
    /// # Errors
    /// The name server cannot be reached.
    pub fn list(&self, prefix: &str) -> Result<Vec<Entry>, Error> {
        self.names()?.call("list", &(prefix,))
    }

    /// Where the object of a name is.
    ///
    /// # Errors
    /// [`Error::UnknownName`], [`Error::Dead`], or the name server cannot be reached.
    pub fn lookup(&self, name: &str) -> Result<Uri, Error> {
        self.names()?.call("lookup", &(name,))
    }

    /// Takes a name away. Its server goes on and is found by its URI only. `false`: there was none.
    ///
    /// # Errors
    /// The name server cannot be reached.
    pub fn remove(&self, name: &str) -> Result<bool, Error> {
        self.names()?.call("remove", &(name,))
    }

    /// The way to the name server.
    pub(crate) fn names(&self) -> Result<Link, Error> {
        let address = self.name_server.ok_or_else(|| Error::NoNameServer {
            why: "this network was made without one, so names mean nothing to it".to_owned(),
        })?;
        let object = uri::NAMES.to_owned();
        Ok(Link::new(
            self.clone(),
            Target::Uri(Uri { object, address }),
        ))
    }

    /// Waits until all these names are registered by servers that live; for servers that are being started.
    ///
    /// # Errors
    /// The error of the first name that is missing when the time is over.
    pub fn wait_for(&self, names: &[&str], time: Duration) -> Result<(), Error> {
        let (link, until) = (self.names()?, std::time::Instant::now() + time);
        for name in names {
            while let Err(error) = link.call::<Result<Uri, Error>>("lookup", &(name,)) {
                if std::time::Instant::now() >= until {
                    return Err(error);
                }
                forkline::tasks::block_on(forkline::tasks::sleep(Duration::from_millis(10)));
            }
        }
        Ok(())
    }

    /// The address of this machine from which the name server is reached.
    pub(crate) fn own_address(&self) -> Option<IpAddr> {
        names::address_towards(self.name_server?)
    }

    pub(crate) fn has_names(&self) -> bool {
        self.name_server.is_some()
    }

    pub(crate) fn with_names_at(&self, address: SocketAddr) -> Network {
        Network {
            name_server: Some(address),
            ..self.clone()
        }
    }

    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    pub(crate) fn host(&self) -> IpAddr {
        self.host
    }

    pub(crate) fn time(&self) -> Duration {
        self.time
    }

    pub(crate) fn longest_message(&self) -> usize {
        self.longest_message
    }

    pub(crate) fn handlers(&self) -> usize {
        self.n_handlers
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name_server {
            Some(address) => write!(out, "Network(names at {address})"),
            None => out.write_str("Network(no name server)"),
        }
    }
}
