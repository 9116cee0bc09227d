//! How a rank reaches the leader of its group: a socket's file on one machine, TCP where ranks may run on another.
//!
//! Over TCP the leader stands for the kernel too, and passes frames on. A connection begins with a line: the group's
//! secret, which only the launcher carries to the ranks, and what the connection is for. Everything behind it is as
//! on a socket of one machine.
//!
//! What always holds: whoever does not know the secret is not listened to, and hears nothing. The connection is not
//! encrypted, as MPI's own are not: it is for the network of a cluster.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::Duration;

/// What a connection is for: evcxr's orders, or frames for the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Orders,
    Frames,
}

impl Purpose {
    fn word(self) -> &'static str {
        match self {
            Purpose::Orders => "orders",
            Purpose::Frames => "frames",
        }
    }
}

/// How long one address may take to answer.
const ANSWER: Duration = Duration::from_secs(3);
/// How long a line may take whose writer has it ready.
pub const PROMPT: Duration = Duration::from_secs(5);
/// The longest line with which a connection begins; paths may be in it.
const LINE: usize = 8192;

/// Where to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A socket's file.
    File(PathBuf),
    /// Any of these, with the group's secret.
    Network {
        secret: String,
        hosts: Vec<SocketAddr>,
    },
}

/// How an address of the second kind begins, as text.
const NETWORK: &str = "tcp:";

impl Address {
    /// An address as an environment variable has it: a path, or `tcp:SECRET@HOST:PORT,HOST:PORT`.
    pub fn parse(text: &OsStr) -> Address {
        let network = text.to_str().and_then(|text| {
            let (secret, hosts) = text.strip_prefix(NETWORK)?.split_once('@')?;
            Some(Address::Network {
                secret: secret.to_owned(),
                hosts: hosts
                    .split(',')
                    .filter_map(|host| host.parse().ok())
                    .collect(),
            })
        });
        network.unwrap_or_else(|| Address::File(PathBuf::from(text)))
    }

    /// The same the other way round.
    pub fn text(&self) -> std::ffi::OsString {
        match self {
            Address::File(path) => path.into(),
            Address::Network { secret, hosts } => {
                let hosts: Vec<String> = hosts.iter().map(SocketAddr::to_string).collect();
                format!("{NETWORK}{secret}@{}", hosts.join(",")).into()
            }
        }
    }

    /// Whether it leads over a network.
    pub fn is_network(&self) -> bool {
        matches!(self, Address::Network { .. })
    }

    /// # Errors
    /// Nobody listens there, or no address can be reached.
    pub fn connect(&self, purpose: Purpose) -> io::Result<Socket> {
        let (secret, hosts) = match self {
            Address::File(path) => return UnixStream::connect(path).map(Socket::Local),
            Address::Network { secret, hosts } => (secret, hosts),
        };
        let mut failures = Vec::new();
        for host in hosts {
            match TcpStream::connect_timeout(host, ANSWER) {
                Ok(mut stream) => {
                    tune(&stream)?;
                    stream.write_all(format!("{secret} {}\n", purpose.word()).as_bytes())?;
                    return Ok(Socket::Network(stream));
                }
                Err(error) => failures.push(format!("{host}: {error}")),
            }
        }
        Err(io::Error::other(format!(
            "the group's leader cannot be reached from here ({}); a firewall may be between",
            failures.join("; ")
        )))
    }
}

/// A connection of either kind.
#[derive(Debug)]
pub enum Socket {
    Local(UnixStream),
    Network(TcpStream),
}

impl Socket {
    pub fn try_clone(&self) -> io::Result<Socket> {
        Ok(match self {
            Socket::Local(stream) => Socket::Local(stream.try_clone()?),
            Socket::Network(stream) => Socket::Network(stream.try_clone()?),
        })
    }

    /// Ends it in both directions, for all who have it.
    pub fn shutdown(&self) {
        let _gone_already = match self {
            Socket::Local(stream) => stream.shutdown(Shutdown::Both),
            Socket::Network(stream) => stream.shutdown(Shutdown::Both),
        };
    }

    pub fn is_network(&self) -> bool {
        matches!(self, Socket::Network(_))
    }

    fn set_read_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
        match self {
            Socket::Local(stream) => stream.set_read_timeout(limit),
            Socket::Network(stream) => stream.set_read_timeout(limit),
        }
    }

    /// A line, byte by byte: what comes after it is for somebody else. None if it is too long or does not come.
    pub fn line(&mut self, limit: Duration) -> Option<String> {
        self.set_read_timeout(Some(limit)).ok()?;
        let mut line = Vec::new();
        let mut byte = [0];
        loop {
            self.read_exact(&mut byte).ok()?;
            if byte == *b"\n" {
                break;
            }
            line.push(byte[0]);
            if line.len() > LINE {
                return None;
            }
        }
        self.set_read_timeout(None).ok()?;
        String::from_utf8(line).ok()
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Local(stream) => stream.read(buffer),
            Socket::Network(stream) => stream.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Local(stream) => stream.write(bytes),
            Socket::Network(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl From<Socket> for OwnedFd {
    fn from(socket: Socket) -> OwnedFd {
        match socket {
            Socket::Local(stream) => stream.into(),
            Socket::Network(stream) => stream.into(),
        }
    }
}

/// The leader's end: where ranks connect to.
pub enum Listener {
    Local {
        listener: UnixListener,
        /// See [`Listener::hide`].
        path: PathBuf,
    },
    Network {
        listener: TcpListener,
        secret: String,
    },
}

impl Listener {
    /// Listens at a socket's file.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn local(path: PathBuf) -> io::Result<Listener> {
        let listener = UnixListener::bind(&path)?;
        Ok(Listener::Local { listener, path })
    }

    /// Listens on all networks of this machine, at a port that the system chooses.
    ///
    /// # Errors
    /// The system gives none.
    pub fn network() -> io::Result<Listener> {
        let any: [SocketAddr; 2] = [
            (std::net::Ipv6Addr::UNSPECIFIED, 0).into(),
            (std::net::Ipv4Addr::UNSPECIFIED, 0).into(),
        ];
        // One socket for both kinds of addresses, where there are both.
        let listener = TcpListener::bind(any[0]).or_else(|_| TcpListener::bind(any[1]))?;
        let secret = uuid::Uuid::new_v4().simple().to_string();
        Ok(Listener::Network { listener, secret })
    }

    /// The address as ranks are told it.
    ///
    /// # Errors
    /// The system does not say.
    pub fn address(&self) -> io::Result<Address> {
        match self {
            Listener::Local { path, .. } => Ok(Address::File(path.clone())),
            Listener::Network { listener, secret } => {
                let port = listener.local_addr()?.port();
                let hosts = own_addresses().into_iter();
                Ok(Address::Network {
                    secret: secret.clone(),
                    hosts: hosts.map(|host| (host, port).into()).collect(),
                })
            }
        }
    }

    /// The next connection, which has not said anything yet.
    ///
    /// # Errors
    /// What the system says.
    pub fn accept(&self) -> io::Result<Socket> {
        match self {
            Listener::Local { listener, .. } => Ok(Socket::Local(listener.accept()?.0)),
            Listener::Network { listener, .. } => {
                let (stream, _) = listener.accept()?;
                tune(&stream)?;
                Ok(Socket::Network(stream))
            }
        }
    }

    /// Removes a socket's file: everybody has connected.
    pub fn hide(&self) {
        if let Listener::Local { path, .. } = self {
            let _ = std::fs::remove_file(path);
        }
    }

    /// Hears what a connection is for; none if it does not know the secret.
    pub fn greet(&self, socket: &mut Socket) -> Option<Purpose> {
        let Listener::Network { secret, .. } = self else {
            return Some(Purpose::Orders);
        };
        let line = socket.line(PROMPT)?;
        let (said, purpose) = line.split_once(' ')?;
        if !is_same(said, secret) {
            return None;
        }
        [Purpose::Orders, Purpose::Frames]
            .into_iter()
            .find(|known| known.word() == purpose)
    }
}

/// In a time that does not say where they differ.
fn is_same(one: &str, other: &str) -> bool {
    let differ = one
        .bytes()
        .zip(other.bytes())
        .fold(0, |sum, (a, b)| sum | (a ^ b));
    one.len() == other.len() && differ == 0
}

/// Small messages leave at once, and a host that has vanished is noticed within half a minute.
fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let options = [
        (libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1),
        (libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, 10),
        (libc::IPPROTO_TCP, libc::TCP_KEEPINTVL, 5),
        (libc::IPPROTO_TCP, libc::TCP_KEEPCNT, 3),
    ];
    for (level, option, value) in options {
        let value: libc::c_int = value;
        // SAFETY: a plain system call with a value of the length that is told.
        unsafe {
            libc::setsockopt(
                stream.as_raw_fd(),
                level,
                option,
                (&raw const value).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            );
        }
    }
    Ok(())
}

/// The addresses of this machine's networks, its own loop last: a rank may be here.
fn own_addresses() -> Vec<IpAddr> {
    let mut found: Vec<IpAddr> = Vec::new();
    // SAFETY: the list is made by the system and freed by it; each entry is valid until then, and an address is read as
    // what its family says.
    unsafe {
        let mut list: *mut libc::ifaddrs = std::ptr::null_mut();
        if libc::getifaddrs(&raw mut list) == 0 {
            let mut entry = list;
            while let Some(interface) = entry.as_ref() {
                if let Some(address) = interface.ifa_addr.as_ref() {
                    match i32::from(address.sa_family) {
                        libc::AF_INET => {
                            let address = &*interface.ifa_addr.cast::<libc::sockaddr_in>();
                            let bits = u32::from_be(address.sin_addr.s_addr);
                            found.push(std::net::Ipv4Addr::from(bits).into());
                        }
                        libc::AF_INET6 => {
                            let address = &*interface.ifa_addr.cast::<libc::sockaddr_in6>();
                            let address = std::net::Ipv6Addr::from(address.sin6_addr.s6_addr);
                            // One of a single link means nothing without the link's name.
                            if !address.is_unicast_link_local() {
                                found.push(address.into());
                            }
                        }
                        _ => {}
                    }
                }
                entry = interface.ifa_next;
            }
            libc::freeifaddrs(list);
        }
    }
    if found.is_empty() {
        found.push(std::net::Ipv4Addr::LOCALHOST.into());
    }
    found.sort_by_key(|address| (address.is_loopback(), address.is_ipv6()));
    found
}

/// The name of this machine.
pub fn host_name() -> String {
    let mut name = [0_u8; 256];
    // SAFETY: the room is as said, and the last byte stays zero.
    unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len() - 1) };
    let length = name.iter().position(|byte| *byte == 0).unwrap_or(0);
    String::from_utf8_lossy(&name[..length]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_texts() {
        let path = Address::parse(OsStr::new("/tmp/a b"));
        assert_eq!(path, Address::File("/tmp/a b".into()));
        let network = Address::Network {
            secret: "s".to_owned(),
            hosts: vec!["10.0.0.1:5".parse().unwrap(), "[::1]:5".parse().unwrap()],
        };
        assert_eq!(network.text(), "tcp:s@10.0.0.1:5,[::1]:5");
        assert_eq!(Address::parse(&network.text()), network);
    }

    #[test]
    fn who_does_not_know_the_secret_is_not_listened_to() {
        let listener = Listener::network().unwrap();
        let address = listener.address().unwrap();
        let _known = address.connect(Purpose::Frames).unwrap();
        let greeted = listener.greet(&mut listener.accept().unwrap());
        assert_eq!(greeted, Some(Purpose::Frames));
        let Address::Network { hosts, .. } = address else {
            panic!("a network")
        };
        let stranger = Address::Network {
            secret: "guessed".to_owned(),
            hosts: hosts.clone(),
        };
        let _stranger = stranger.connect(Purpose::Orders).unwrap();
        assert_eq!(listener.greet(&mut listener.accept().unwrap()), None);
        // One that says more than a line holds.
        let mut flood = TcpStream::connect(hosts.last().unwrap()).unwrap();
        flood.write_all(&[b'x'; 2 * LINE]).unwrap();
        assert_eq!(listener.greet(&mut listener.accept().unwrap()), None);
    }
}
