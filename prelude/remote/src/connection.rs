//! A caller's connections to a server: each has one call at a time, and is kept for the next one.
//!
//! What always holds: a connection is used again only if the answer on it has come to its end; one on which a call ended in
//! another way (a deadline, an interrupt, a panic) is closed, so no answer is ever taken for that of another call. A pool has
//! a bounded number of them, and a bounded number of calls that wait for one.

use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use forkline::interrupt;
use parking_lot::{Condvar, Mutex};

use crate::wire::{self, Broken, Frames};

/// So many calls may be under way or wait for a connection.
pub(crate) const MOST_CALLS: usize = 256;
/// A connection that was not needed for so long is closed when another one comes back.
const IDLE: Duration = Duration::from_secs(10);
/// How long a wait goes on before it looks whether the cell was interrupted.
pub(crate) const SLICE: Duration = Duration::from_millis(50);

/// A connection on which the key was proved.
pub(crate) struct Connection {
    stream: TcpStream,
    frames: Frames,
    /// The object on the other side.
    pub object: Arc<str>,
    /// How long the socket lets a read or a write wait.
    slice: Duration,
    /// A forked process has its parent's descriptors, and must not put its words between the parent's.
    process: u32,
    /// When it was last needed.
    since: Instant,
}

impl Connection {
    pub fn new(stream: tokio::net::TcpStream, object: &str) -> std::io::Result<Connection> {
        Ok(Connection {
            stream: wire::blocking(stream, SLICE, Some(SLICE))?,
            frames: Frames::new(),
            object: object.into(),
            slice: SLICE,
            process: std::process::id(),
            since: Instant::now(),
        })
    }

    fn is_good(&self) -> bool {
        self.process == std::process::id() && self.frames.is_empty() && wire::is_quiet(&self.stream)
    }

    /// Sends a request and waits for its answer. An interrupt of the cell unwinds.
    pub fn exchange(
        &mut self,
        request: &[u8],
        limit: usize,
        deadline: Instant,
    ) -> Result<(), Broken> {
        let Connection {
            stream,
            frames,
            slice,
            ..
        } = self;
        let mut go_on = || {
            interrupt::check();
            let left = deadline.saturating_duration_since(Instant::now());
            let wanted = left.clamp(Duration::from_millis(1), SLICE);
            if wanted != *slice {
                // If it cannot be set the deadline is noticed a little later.
                let _set = stream
                    .set_read_timeout(Some(wanted))
                    .and_then(|()| stream.set_write_timeout(Some(wanted)));
                *slice = wanted;
            }
            !left.is_zero()
        };
        // Now for a short deadline, and for one that was short the last time.
        if !go_on() {
            return Err(Broken::Late);
        }
        wire::send(stream, request, &mut go_on)?;
        frames.next(stream, limit, &mut go_on)
    }

    /// The answer that came last, as a frame.
    pub fn answer(&self) -> &[u8] {
        self.frames.last()
    }
}

/// The connections to one server.
pub(crate) struct Pool {
    n_most: usize,
    state: Mutex<State>,
    /// One came back, or there is room for another.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The last one was used last.
    idle: Vec<Connection>,
    /// Those that are idle, those with a call, and those that are being made.
    n_open: usize,
    n_waiting: usize,
}

/// Why no connection could be had.
pub(crate) enum Full {
    /// Too many wait already.
    Busy,
    /// The time is over.
    Late,
}

impl Pool {
    /// One of so many connections at most.
    pub fn new(n_most: usize) -> Pool {
        Pool {
            n_most: n_most.min(MOST_CALLS),
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// A place for a call: with a connection, if one is idle. Waits if there are too many calls; an interrupt of the cell
    /// unwinds.
    pub fn enter(&self, deadline: Instant) -> Result<Place<'_>, Full> {
        let mut state = self.state.lock();
        loop {
            if let Some(connection) = state.idle.pop() {
                return Ok(self.place(Some(connection)));
            }
            if state.n_open < self.n_most {
                state.n_open += 1;
                return Ok(self.place(None));
            }
            if self.n_most + state.n_waiting >= MOST_CALLS {
                return Err(Full::Busy);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Full::Late);
            }
            state.n_waiting += 1;
            self.changed.wait_for(&mut state, left.min(SLICE));
            state.n_waiting -= 1;
            drop(state);
            interrupt::check();
            state = self.state.lock();
        }
    }

    fn place(&self, connection: Option<Connection>) -> Place<'_> {
        Place {
            pool: self,
            connection,
            is_answered: false,
        }
    }

    fn leave(&self, connection: Option<Connection>) {
        let mut closed = None;
        let mut state = self.state.lock();
        match connection {
            Some(mut connection) => {
                connection.frames.done();
                connection.since = Instant::now();
                let oldest = state.idle.first();
                if oldest.is_some_and(|oldest| connection.since - oldest.since > IDLE) {
                    closed = Some(state.idle.remove(0));
                    state.n_open -= 1;
                }
                state.idle.push(connection);
            }
            None => state.n_open -= 1,
        }
        let is_awaited = state.n_waiting > 0;
        drop(state);
        drop(closed);
        if is_awaited {
            self.changed.notify_one();
        }
    }
}

/// A call's place among those of its pool.
pub(crate) struct Place<'a> {
    pool: &'a Pool,
    connection: Option<Connection>,
    is_answered: bool,
}

impl Place<'_> {
    /// Whether there is a connection that is still open, its own or an idle one. `closed` is called for each that the other
    /// side has closed.
    pub fn finds_open(&mut self, mut closed: impl FnMut()) -> bool {
        loop {
            match &self.connection {
                Some(connection) if connection.is_good() => return true,
                Some(_) => {
                    self.connection = None;
                    closed();
                }
                None => {
                    let mut state = self.pool.state.lock();
                    let Some(idle) = state.idle.pop() else {
                        return false;
                    };
                    // That one brings a place of its own.
                    state.n_open -= 1;
                    self.connection = Some(idle);
                }
            }
        }
    }

    pub fn put(&mut self, connection: Connection) {
        self.connection = Some(connection);
    }

    pub fn connection(&mut self) -> Option<&mut Connection> {
        self.connection.as_mut()
    }

    /// The answer has come to its end: the connection can be used again.
    pub fn set_answered(&mut self) {
        self.is_answered = true;
    }

    /// The value of the answer, as bytes.
    pub fn value(&self) -> &[u8] {
        let frame = self.connection.as_ref().map_or(&[][..], Connection::answer);
        frame.get(1..).unwrap_or_default()
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let connection = self.connection.take().filter(|_| self.is_answered);
        self.pool.leave(connection);
    }
}
