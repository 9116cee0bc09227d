//! How a job learns that it is to stop.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use super::job::Shared;

/// What a job is given: whether it is to stop. Clones are of the same job.
#[derive(Clone)]
pub struct Stop(pub(super) Arc<Shared>);

impl Stop {
    /// Whether the job is to stop. A loop looks at it in each round.
    pub fn requested(&self) -> bool {
        self.0.is_stop_requested()
    }

    /// Waits for so long at most, for a job that does something now and then: `while !stop.wait(second) { … }`.
    /// `true`: the job is to stop.
    pub fn wait(&self, time: Duration) -> bool {
        let (tell, told) = std::sync::mpsc::sync_channel::<()>(1);
        let number = self.0.on_stop(Box::new(move || drop(tell)));
        let _time_is_over_or_it_is_told = told.recv_timeout(time);
        self.0.forget_on_stop(number);
        self.requested()
    }

    /// Shuts a socket down when the job is to stop, as long as the result lives: who waits for a connection or for
    /// bytes there gets an error or the end of the stream, and so does the peer. Any socket: TCP, UDP or Unix. A UDP
    /// socket without a peer is sent a datagram of no bytes instead, and blocks no more.
    ///
    /// # Errors
    /// The process has no descriptor left.
    pub fn ends(&self, socket: &impl AsFd) -> io::Result<Ends> {
        let socket = socket.as_fd().try_clone_to_owned()?;
        let number = self.0.on_stop(Box::new(move || shut_down(socket)));
        Ok(Ends {
            shared: Arc::clone(&self.0),
            number,
        })
    }

    /// Says where the job listens, for [`list`](super::list) and for those who connect.
    pub fn serves(&self, address: SocketAddr) {
        self.0.set_address(address);
    }
}

/// As long as it lives, a socket is shut down with its job ([`Stop::ends`]).
#[must_use = "the socket is shut down with the job only as long as this lives"]
pub struct Ends {
    shared: Arc<Shared>,
    number: u64,
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.shared.forget_on_stop(self.number);
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stop(requested: {})", self.requested())
    }
}

impl fmt::Debug for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ends")
    }
}

/// Also of a socket that listens or is not connected, which std has no call for.
fn shut_down(socket: OwnedFd) {
    if is_datagram(&socket) {
        let socket = UdpSocket::from(socket);
        // All descriptors of the socket share this: who is woken finds nothing more to wait for.
        let _not_there_any_more = socket.set_nonblocking(true);
        if socket.peer_addr().is_err() && wake(&socket).is_ok() {
            return;
        }
        return shut_down_stream(&OwnedFd::from(socket));
    }
    shut_down_stream(&socket);
}

fn shut_down_stream(socket: &OwnedFd) {
    // SAFETY: the descriptor is owned and open. One that is no socket, or has no peer, makes an error that is no news.
    unsafe { libc::shutdown(socket.as_raw_fd(), libc::SHUT_RDWR) };
}

/// Sends a datagram of no bytes to a socket of UDP that has no peer. To shut it down would wake a `recv_from` too, but
/// without an address, at which std panics.
fn wake(socket: &UdpSocket) -> io::Result<()> {
    let mut own = socket.local_addr()?;
    if own.ip().is_unspecified() {
        own.set_ip(match own {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    UdpSocket::bind((own.ip(), 0))?.send_to(&[], own).map(drop)
}

fn is_datagram(socket: &OwnedFd) -> bool {
    let mut kind: libc::c_int = 0;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    let (place, room) = ((&raw mut kind).cast(), &raw mut length);
    // SAFETY: both pointers are to values of this function, and the length is that of the first.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_TYPE,
            place,
            room,
        )
    };
    result == 0 && kind == libc::SOCK_DGRAM
}
