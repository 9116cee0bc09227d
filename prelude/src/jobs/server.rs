//! A server for TCP connections, and its loop.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use super::error::JobError;
use super::handlers::Handlers;
use super::holder;
use super::job::{Job, Shared};
use super::outcome::Outcome;
use super::registry;
use super::start::start;
use super::stop::Stop;

#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub n_handlers: usize,
    pub n_waiting: usize,
    pub read_timeout: Option<Duration>,
    pub write_timeout: Option<Duration>,
    pub connection_time: Option<Duration>,
}

/// A server with limits of its own; [`listen`] begins one with those that stand at the methods.
///
/// ```
/// use std::io::{Read, Write};
/// use forkline::prelude::*;
///
/// let server = jobs::Server::new("echo")
///     .n_handlers(4)
///     .read_timeout(Some(Duration::from_secs(2)))
///     .listen("127.0.0.1:0", |mut stream, _peer| {
///         let mut bytes = [0; 1024];
///         let n = stream.read(&mut bytes)?;
///         stream.write_all(&bytes[..n])
///     })?;
/// let mut client = std::net::TcpStream::connect(&server)?;
/// client.write_all(b"abc")?;
/// let mut answer = [0; 3];
/// client.read_exact(&mut answer)?;
/// assert_eq!(&answer, b"abc");
/// # server.stop();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Server {
    name: String,
    limits: Limits,
}

impl Server {
    /// One that will have this name.
    pub fn new(name: impl Into<String>) -> Server {
        Server {
            name: name.into(),
            limits: Limits {
                n_handlers: 64,
                n_waiting: 128,
                read_timeout: Some(Duration::from_secs(10)),
                write_timeout: Some(Duration::from_secs(10)),
                connection_time: None,
            },
        }
    }

    /// How many connections are served at a time, each on a thread: 64 unless set, at least 1.
    pub fn n_handlers(mut self, n: usize) -> Server {
        self.limits.n_handlers = n.max(1);
        self
    }

    /// How many connections wait for a thread, 128 unless set; one that comes when so many wait is closed at once.
    pub fn n_waiting(mut self, n: usize) -> Server {
        self.limits.n_waiting = n;
        self
    }

    /// How long a read waits for a client before it is an error, 10 s unless set; `None` or zero is for ever.
    pub fn read_timeout(mut self, time: Option<Duration>) -> Server {
        self.limits.read_timeout = time.filter(|time| !time.is_zero());
        self
    }

    /// How long a write waits for a client that does not read, 10 s unless set; `None` or zero is for ever.
    pub fn write_timeout(mut self, time: Option<Duration>) -> Server {
        self.limits.write_timeout = time.filter(|time| !time.is_zero());
        self
    }

    /// How long a connection may last in all, without limit unless set: against clients that send a byte now and then.
    pub fn connection_time(mut self, time: Option<Duration>) -> Server {
        self.limits.connection_time = time.filter(|time| !time.is_zero());
        self
    }

    /// Begins the server; see [`listen`].
    ///
    /// # Errors
    /// As for [`listen`].
    pub fn listen<R: Outcome>(
        self,
        address: impl ToSocketAddrs,
        handler: impl Fn(TcpStream, SocketAddr) -> R + Send + Sync + 'static,
    ) -> Result<Job, JobError> {
        let shared = registry::begin(&self.name)?;
        let prepared = bind(&shared, address).and_then(|listener| {
            let stopped = told_of_stop(&shared)
                .and_then(|stopped| listener.set_nonblocking(true).map(|()| stopped));
            stopped
                .map(|stopped| (listener, stopped))
                .map_err(|source| JobError::CannotListen {
                    name: self.name.clone(),
                    address: shared.address(),
                    source,
                })
        });
        let (listener, stopped) = prepared.inspect_err(|_| registry::abandon(&shared))?;
        let handlers = Handlers::new(Arc::clone(&shared), self.limits, handler);
        start(&shared, move |stop: Stop| {
            let outcome = accept_all(&listener, &stopped, &stop, &handlers);
            drop(listener);
            handlers.close(GRACE);
            outcome
        })
    }
}

/// How long handlers may go on after a stop, before and after their streams are cut off.
const GRACE: Duration = Duration::from_millis(500);

/// Begins a server: for each connection `handler` is called on a thread with the stream and the peer's address.
///
/// Reads and writes of the stream fail after 10 s without a byte, 64 connections are served at a time, 128 wait, and more
/// are closed at once; [`Server`] changes that. A connection is closed when the handler returns. If the handler returns
/// an error or panics that is noted as the server's last error, and the server goes on.
///
/// A port of 0 is any that is free; [`Job::address`] tells which, and the handle itself is an address.
///
/// # Errors
/// [`JobError::PortInUse`], with who has it if that can be seen; [`JobError::CannotListen`]; and those of
/// [`spawn`](super::spawn).
pub fn listen<R: Outcome>(
    name: impl Into<String>,
    address: impl ToSocketAddrs,
    handler: impl Fn(TcpStream, SocketAddr) -> R + Send + Sync + 'static,
) -> Result<Job, JobError> {
    Server::new(name).listen(address, handler)
}

fn bind(shared: &Shared, address: impl ToSocketAddrs) -> Result<TcpListener, JobError> {
    let name = || shared.name.clone();
    let cannot = |address, source| JobError::CannotListen {
        name: name(),
        address,
        source,
    };
    let addresses: Vec<SocketAddr> = match address.to_socket_addrs() {
        Ok(addresses) => addresses.collect(),
        Err(source) => return Err(cannot(None, source)),
    };
    // std asks for the address to be used again while connections of the last server linger.
    let bound = TcpListener::bind(&addresses[..]).and_then(|listener| {
        shared.set_address(listener.local_addr()?);
        Ok(listener)
    });
    bound.map_err(|source| match addresses.first() {
        Some(&address) if source.kind() == io::ErrorKind::AddrInUse => JobError::PortInUse {
            name: name(),
            address,
            holder: holder::of(address),
            source,
        },
        first => cannot(first.copied(), source),
    })
}

/// A stream that ends when the job is to stop.
fn told_of_stop(shared: &Shared) -> io::Result<UnixStream> {
    let (tell, told) = UnixStream::pair()?;
    shared.on_stop(Box::new(move || drop(tell)));
    Ok(told)
}

/// How long the loop leaves the listener alone when the process has no descriptor or memory for a connection.
const PAUSE: Duration = Duration::from_millis(100);

fn accept_all<H, R>(
    listener: &TcpListener,
    stopped: &UnixStream,
    stop: &Stop,
    handlers: &Arc<Handlers<H>>,
) -> io::Result<()>
where
    H: Fn(TcpStream, SocketAddr) -> R + Send + Sync + 'static,
    R: Outcome,
{
    // One more look a second at least: a connection's time may have begun since.
    const TICK: Duration = Duration::from_secs(1);
    while !stop.requested() {
        match listener.accept() {
            Ok((stream, peer)) => {
                // Some systems hand down that the listener does not block.
                if stream.set_nonblocking(false).is_ok() {
                    handlers.take(stream, peer);
                }
            }
            Err(error) => match error.raw_os_error() {
                Some(libc::EAGAIN) => {
                    let next = handlers.shut_down_old();
                    let time = next.map_or(TICK, |next| next.min(TICK));
                    wait_for(&[listener.as_fd(), stopped.as_fd()], time)?;
                }
                // It was gone before it was accepted.
                Some(libc::ECONNABORTED | libc::EINTR | libc::EPROTO) => {}
                Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => {
                    stop.0
                        .note_error(format!("a connection could not be accepted: {error}"));
                    wait_for(&[stopped.as_fd()], PAUSE)?;
                }
                _ => return Err(error),
            },
        }
    }
    Ok(())
}

/// Waits until one of these has something to read or has ended, for so long at most.
fn wait_for(descriptors: &[BorrowedFd<'_>], time: Duration) -> io::Result<()> {
    let mut waits: Vec<libc::pollfd> = descriptors
        .iter()
        .map(|descriptor| libc::pollfd {
            fd: descriptor.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        })
        .collect();
    // A part of a millisecond counts as one, or the loop would turn without a rest.
    let milliseconds = i32::try_from(time.as_millis() + 1).unwrap_or(i32::MAX);
    // SAFETY: the entries are a vector's of that length, and the descriptors are open during the call.
    let result = unsafe {
        libc::poll(
            waits.as_mut_ptr(),
            waits.len() as libc::nfds_t,
            milliseconds,
        )
    };
    match io::Error::last_os_error() {
        error if result < 0 && error.kind() != io::ErrorKind::Interrupted => Err(error),
        _ => Ok(()),
    }
}
