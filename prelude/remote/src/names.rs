//! The name server: an object of its own, with names that live as long as their servers show that they do.
//!
//! What always holds: who registers a name says every half second that it lives, and is dead after two seconds of silence;
//! a name of a server that lives is given to nobody else; a name server that was started anew learns all names again
//! within a second; what it keeps is bounded.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use forkline::tasks;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::key::{self, Key};
use crate::link::Link;
use crate::network::Network;
use crate::object::Object as _;
use crate::server::{self, Refusal, Server};
use crate::uri::{self, Uri};

/// How often a server says that it lives.
const BEAT: Duration = Duration::from_millis(500);
/// Who is silent for longer is dead.
const LEASE: Duration = Duration::from_secs(2);
/// Who is dead for longer is forgotten.
const MEMORY: Duration = Duration::from_secs(600);
/// There are no more names than this.
const MOST_NAMES: usize = 10_000;

/// A name, and what is known of its server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The name.
    pub name: String,
    /// Where the object is.
    pub uri: Uri,
    /// The trait that it has.
    pub interface: String,
    /// Whether its server gives signs of life.
    pub alive: bool,
}

impl fmt::Display for Entry {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.alive { "alive" } else { "dead" };
        write!(
            out,
            "{} ({}, {state}) {}",
            self.name, self.interface, self.uri
        )
    }
}

/// What a server hears when it says that it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Beat {
    Known,
    /// The name server is a new one, or forgot it.
    Unknown,
    /// Somebody took the name away.
    Removed,
}

/// Who registers.
#[derive(Clone, Serialize, Deserialize)]
struct Owner {
    /// The process: it may replace a server of its own at once.
    process: String,
    /// This registration.
    lease: String,
}

#[remote_macros::object]
trait Names {
    fn register(&self, name: &str, uri: &Uri, interface: &str, owner: &Owner) -> Result<(), Error>;
    fn beat(&self, name: &str, lease: &str) -> Result<Beat, Error>;
    fn release(&self, name: &str, lease: &str) -> Result<bool, Error>;
    fn lookup(&self, name: &str) -> Result<Uri, Error>;
    fn list(&self, prefix: &str) -> Result<Vec<Entry>, Error>;
    fn remove(&self, name: &str) -> Result<bool, Error>;
}

#[derive(Default)]
struct Registry(Mutex<State>);

#[derive(Default)]
struct State {
    names: BTreeMap<String, Registered>,
    /// Leases of names that were taken away, so that their servers learn it.
    removed: BTreeMap<String, Instant>,
}

struct Registered {
    uri: Uri,
    interface: String,
    owner: Owner,
    seen: Instant,
}

impl Registered {
    fn is_alive(&self) -> bool {
        self.seen.elapsed() < LEASE
    }
}

impl State {
    fn forget_old(&mut self) {
        self.names.retain(|_, entry| entry.seen.elapsed() < MEMORY);
        self.removed.retain(|_, since| since.elapsed() < LEASE * 4);
    }
}

impl Names for Registry {
    fn register(&self, name: &str, uri: &Uri, interface: &str, owner: &Owner) -> Result<(), Error> {
        uri::check_name(name)?;
        let mut state = self.0.lock();
        state.forget_old();
        if let Some(old) = state.names.get(name) {
            if old.is_alive() && old.owner.process != owner.process {
                return Err(Error::NameTaken {
                    name: name.to_owned(),
                    uri: old.uri.to_string(),
                });
            }
        } else if state.names.len() >= MOST_NAMES {
            return Err(Error::method(format!(
                "{MOST_NAMES} names are registered already"
            )));
        }
        let limited = |text: &str| text.chars().take(200).collect::<String>();
        let entry = Registered {
            uri: uri.clone(),
            interface: limited(interface),
            owner: Owner {
                process: limited(&owner.process),
                lease: limited(&owner.lease),
            },
            seen: Instant::now(),
        };
        state.names.insert(name.to_owned(), entry);
        Ok(())
    }

    fn beat(&self, name: &str, lease: &str) -> Result<Beat, Error> {
        let mut state = self.0.lock();
        if state.removed.contains_key(lease) {
            return Ok(Beat::Removed);
        }
        Ok(match state.names.get_mut(name) {
            Some(entry) if entry.owner.lease == lease => {
                entry.seen = Instant::now();
                Beat::Known
            }
            _ => Beat::Unknown,
        })
    }

    fn release(&self, name: &str, lease: &str) -> Result<bool, Error> {
        let mut state = self.0.lock();
        let is_its = state
            .names
            .get(name)
            .is_some_and(|entry| entry.owner.lease == lease);
        if is_its {
            state.names.remove(name);
        }
        Ok(is_its)
    }

    fn lookup(&self, name: &str) -> Result<Uri, Error> {
        let state = self.0.lock();
        match state.names.get(name) {
            Some(entry) if entry.is_alive() => Ok(entry.uri.clone()),
            Some(entry) => Err(Error::Dead {
                name: name.to_owned(),
                uri: entry.uri.to_string(),
                silent: entry.seen.elapsed(),
            }),
            None => Err(Error::UnknownName {
                name: name.to_owned(),
                known: state.names.keys().take(10).cloned().collect(),
            }),
        }
    }

    fn list(&self, prefix: &str) -> Result<Vec<Entry>, Error> {
        let mut state = self.0.lock();
        state.forget_old();
        let names = state.names.range(prefix.to_owned()..);
        let names = names.take_while(|(name, _)| name.starts_with(prefix));
        Ok(names
            .map(|(name, entry)| Entry {
                name: name.clone(),
                uri: entry.uri.clone(),
                interface: entry.interface.clone(),
                alive: entry.is_alive(),
            })
            .collect())
    }

    fn remove(&self, name: &str) -> Result<bool, Error> {
        let mut state = self.0.lock();
        let Some(entry) = state.names.remove(name) else {
            return Ok(false);
        };
        state.removed.insert(entry.owner.lease, Instant::now());
        Ok(true)
    }
}

/// A name server that runs in this process, as a job.
///
/// ```
/// let key = remote::Key::random()?;
/// let names = remote::NameServer::start(&key, "127.0.0.1:0")?;
/// assert!(names.network().list("")?.is_empty());
/// names.stop()?;
/// # Ok::<(), remote::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct NameServer {
    server: Server,
    network: Network,
}

impl NameServer {
    /// Starts it, as the job `name server`. At port 9090 it is found without an address ([`Network::discover`]); a port of 0
    /// is any that is free. Other machines reach it at an address that is not 127.0.0.1, such as `0.0.0.0:9090`.
    ///
    /// # Errors
    /// The port is taken, or the text is no address.
    pub fn start(key: &Key, address: impl ToSocketAddrs + fmt::Debug) -> Result<NameServer, Error> {
        NameServer::start_as("name server", key, address)
    }

    /// The same as a job of another name: one process may have several.
    ///
    /// # Errors
    /// The port is taken, or the text is no address.
    pub fn start_as(
        job: &str,
        key: &Key,
        address: impl ToSocketAddrs + fmt::Debug,
    ) -> Result<NameServer, Error> {
        let network = Network::new(key).name_server(&address)?;
        let addresses = address.to_socket_addrs().ok();
        let Some(address) = addresses.and_then(|mut addresses| addresses.next()) else {
            return Err(Error::NoNameServer {
                why: format!("{address:?} is no address"),
            });
        };
        let registry: Arc<dyn Names> = Arc::new(Registry::default());
        let receive = Box::new(move |call: crate::object::Call<'_>| registry.__receive(call));
        let secret = key.clone();
        let server = server::run(
            &network,
            job,
            address,
            uri::NAMES.to_owned(),
            receive,
            None,
            move |address| answer_broadcasts(secret, address),
        )?;
        let mut reached = server.address();
        if reached.ip().is_unspecified() {
            reached.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        let network = network.with_names_at(reached);
        Ok(NameServer { server, network })
    }

    /// Those who have the key, with the names of this server.
    pub fn network(&self) -> Network {
        self.network.clone()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The last connections that it refused, and why.
    pub fn refusals(&self) -> Vec<Refusal> {
        self.server.refusals()
    }

    /// Stops it and waits for its end. Servers go on, and proxies that are connected too.
    ///
    /// # Errors
    /// It goes on, which it should not.
    pub fn stop(&self) -> Result<(), Error> {
        self.server.stop()
    }

    /// Waits until it is stopped: the last line of a process that does nothing else.
    ///
    /// # Errors
    /// It ended with an error.
    pub fn join(&self) -> Result<(), Error> {
        self.server.join()
    }
}

/// A question by datagram: this, a nonce, and a proof. The answer: the port, and a proof of it and the nonce.
const QUESTION: &[u8; 8] = b"FLnames?";

async fn answer_broadcasts(key: Key, address: SocketAddr) {
    // Without it, it is found by its address all the same.
    let Ok(socket) = tokio::net::UdpSocket::bind(address).await else {
        return std::future::pending().await;
    };
    let mut question = [0; 128];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut question).await else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        // Who does not have the key does not even learn that there is one.
        let Some(nonce) = asked(&key, &question[..length]) else {
            continue;
        };
        let port = address.port().to_le_bytes();
        let answer = [&port[..], &key.proof("here", [nonce, &port])[..]].concat();
        let _it_asks_again = socket.send_to(&answer, from).await;
    }
}

/// The nonce of a question with a right proof.
fn asked<'a>(key: &Key, question: &'a [u8]) -> Option<&'a [u8]> {
    let (nonce, proof) = question.strip_prefix(QUESTION)?.split_at_checked(32)?;
    key.proves("where", [QUESTION, nonce], proof)
        .then_some(nonce)
}

/// Asks the local network for a name server.
pub(crate) fn discover(key: &Key, port: u16) -> Result<SocketAddr, Error> {
    let none = |why: String| Error::NoNameServer { why };
    find(key, port)
        .map_err(|error| none(format!("the local network could not be asked: {error}")))?
        .ok_or_else(|| {
            none(format!(
                "none with our key has answered at port {port} of this machine and of the local network within a second"
            ))
        })
}

fn find(key: &Key, port: u16) -> std::io::Result<Option<SocketAddr>> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.set_broadcast(true)?;
    let nonce = key::nonce()?;
    let question = [
        &QUESTION[..],
        &nonce[..],
        &key.proof("where", [QUESTION, &nonce])[..],
    ]
    .concat();
    let begun = Instant::now();
    // A datagram may get lost, so it is sent more than once.
    for round in 1..=5_u32 {
        for to in [Ipv4Addr::LOCALHOST, Ipv4Addr::BROADCAST] {
            let _there_may_be_no_network = socket.send_to(&question, (to, port));
        }
        let until = begun + Duration::from_millis(200) * round;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            socket.set_read_timeout(Some(left))?;
            let mut answer = [0; 64];
            let Ok((length, from)) = socket.recv_from(&mut answer) else {
                continue;
            };
            if let Some((said, proof)) = answer[..length].split_at_checked(2)
                && key.proves("here", [&nonce, said], proof)
            {
                let said = u16::from_le_bytes([said[0], said[1]]);
                return Ok(Some(SocketAddr::new(from.ip(), said)));
            }
        }
        if tasks_are_interrupted() {
            break;
        }
    }
    Ok(None)
}

fn tasks_are_interrupted() -> bool {
    forkline::interrupt::requested()
}

/// A name that a server holds; it is given back when this is dropped.
pub(crate) struct Registration {
    link: Link,
    name: String,
    interface: &'static str,
    uri: Uri,
    owner: Owner,
}

impl Registration {
    pub async fn make(
        network: &Network,
        name: String,
        interface: &'static str,
        uri: &Uri,
    ) -> Result<Registration, Error> {
        let lease = Uri::new(uri.address)?.object;
        let registration = Registration {
            link: network.names()?,
            name,
            interface,
            uri: reachable(uri, network),
            owner: Owner {
                process: this_process(),
                lease,
            },
        };
        // A server that was killed a moment ago has its name until its silence is noticed.
        let until = Instant::now() + LEASE + BEAT;
        loop {
            match registration.register().await {
                Err(Error::NameTaken { .. }) if Instant::now() < until => {
                    tokio::time::sleep(BEAT / 5).await;
                }
                registered => return registered.map(|()| registration),
            }
        }
    }

    async fn register(&self) -> Result<(), Error> {
        let arguments = (
            self.name.clone(),
            self.uri.clone(),
            self.interface,
            self.owner.clone(),
        );
        self.link.call_async("register", arguments).await
    }

    /// Says again and again that the server lives. Returns only when somebody else has got the name.
    pub async fn keep(&self) -> Error {
        let mut ticks = tokio::time::interval(BEAT);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let beat = (self.name.clone(), self.owner.lease.clone());
            let beat: Result<Beat, Error> = self.link.call_async("beat", beat).await;
            match beat {
                // A name server that is away may come back.
                Ok(Beat::Known) | Err(_) => {}
                Ok(Beat::Removed) => return std::future::pending().await,
                Ok(Beat::Unknown) => {
                    if let Err(error @ Error::NameTaken { .. }) = self.register().await {
                        return error;
                    }
                }
            }
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let (link, name) = (self.link.clone(), std::mem::take(&mut self.name));
        let lease = std::mem::take(&mut self.owner.lease);
        // If it does not get through, the name is dead in two seconds.
        tasks::handle().spawn(async move {
            let _released: Result<bool, Error> = link.call_async("release", (name, lease)).await;
        });
    }
}

/// What is registered for a server that listens at all addresses of the machine: the one by which the name server is reached.
fn reachable(uri: &Uri, network: &Network) -> Uri {
    let mut uri = uri.clone();
    if uri.address.ip().is_unspecified()
        && let Some(ip) = network.own_address()
    {
        uri.address.set_ip(ip);
    }
    uri
}

/// The address of this machine from which another is reached; nothing is sent.
pub(crate) fn address_towards(other: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = match other {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(other).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// The same for all registrations of this process, and of no other process anywhere.
fn this_process() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let boot = read("/proc/sys/kernel/random/boot_id");
    let status = read("/proc/self/stat");
    // The name of the program, which may hold anything, ends at the last parenthesis; the 20th field behind it is the start.
    let fields = status.rsplit_once(')').map_or("", |(_, fields)| fields);
    let start = fields.split_whitespace().nth(19).unwrap_or_default();
    format!("{}-{}-{start}", boot.trim(), std::process::id())
}
