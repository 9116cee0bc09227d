//! A job: its state, and the handle to it.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use parking_lot::{Condvar, Mutex};

use super::error::JobError;
use crate::display::{Bundle, Show};
use crate::interrupt;

/// Where a job is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// It goes on.
    Running,
    /// It was asked to stop and has not ended yet.
    Stopping,
    /// It has ended, by itself or because it was asked to.
    Ended,
    /// It returned an error or panicked: why.
    Failed(String),
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            State::Running => f.write_str("running"),
            State::Stopping => f.write_str("stopping"),
            State::Ended => f.write_str("ended"),
            State::Failed(why) => write!(f, "failed: {why}"),
        }
    }
}

/// What is done when a job is asked to stop.
pub(super) type OnStop = Box<dyn FnOnce() + Send>;

pub(super) struct Shared {
    pub name: String,
    pub begun: SystemTime,
    /// Whether one of the same name was stopped for it.
    pub replaces: bool,
    /// Set before the actions of `Inner::on_stop` are taken, and read under the same lock where one is added, so
    /// none is forgotten. Elsewhere it is read for its own sake.
    is_stop_requested: AtomicBool,
    /// Counters, read for themselves only.
    pub n_served: AtomicU64,
    pub n_refused: AtomicU64,
    inner: Mutex<Inner>,
    has_ended: Condvar,
}

struct Inner {
    /// None: it goes on.
    end: Option<Result<(), String>>,
    address: Option<SocketAddr>,
    last_error: Option<String>,
    on_stop: Vec<(u64, OnStop)>,
    next: u64,
}

thread_local! {
    /// The job that the calling thread works for.
    static CURRENT: RefCell<Option<Arc<Shared>>> = const { RefCell::new(None) };
}

impl Shared {
    pub fn new(name: &str, replaces: bool) -> Arc<Shared> {
        Arc::new(Shared {
            name: name.to_owned(),
            begun: SystemTime::now(),
            replaces,
            is_stop_requested: AtomicBool::new(false),
            n_served: AtomicU64::new(0),
            n_refused: AtomicU64::new(0),
            inner: Mutex::new(Inner {
                end: None,
                address: None,
                last_error: None,
                on_stop: Vec::new(),
                next: 0,
            }),
            has_ended: Condvar::new(),
        })
    }

    pub fn is_stop_requested(&self) -> bool {
        self.is_stop_requested.load(Ordering::Relaxed)
    }

    pub fn request_stop(&self) {
        let actions = {
            let mut inner = self.inner.lock();
            self.is_stop_requested.store(true, Ordering::Relaxed);
            std::mem::take(&mut inner.on_stop)
        };
        // Without the lock: an action may end the job at once.
        for (_, action) in actions {
            action();
        }
    }

    /// Has an action done when the job is asked to stop; at once, if it has been. The number takes it back.
    pub fn on_stop(&self, action: OnStop) -> u64 {
        let mut inner = self.inner.lock();
        let number = inner.next;
        inner.next += 1;
        if self.is_stop_requested() {
            drop(inner);
            action();
        } else if inner.end.is_none() {
            inner.on_stop.push((number, action));
        }
        number
    }

    pub fn forget_on_stop(&self, number: u64) {
        let forgotten = {
            let mut inner = self.inner.lock();
            let place = inner.on_stop.iter().position(|(own, _)| *own == number);
            place.map(|place| inner.on_stop.swap_remove(place))
        };
        drop(forgotten);
    }

    /// The job has ended. What an action for a stop holds goes first: it may be a socket, whose port is then free.
    pub fn end(&self, outcome: Result<(), String>) {
        let actions = std::mem::take(&mut self.inner.lock().on_stop);
        drop(actions);
        let mut inner = self.inner.lock();
        if inner.end.is_some() {
            return;
        }
        // A socket that was shut down under it is how a job learns that it is to stop.
        let outcome = match outcome {
            Err(_) if self.is_stop_requested() => Ok(()),
            outcome => outcome,
        };
        if let Err(why) = &outcome {
            inner.last_error = Some(why.clone());
        }
        inner.end = Some(outcome);
        drop(inner);
        self.has_ended.notify_all();
    }

    /// It panicked: a failure also of one that was asked to stop.
    pub fn end_by_panic(&self, why: String) {
        let mut inner = self.inner.lock();
        if inner.end.is_none() {
            inner.end = Some(Err(why.clone()));
            inner.last_error = Some(why);
        }
        let actions = std::mem::take(&mut inner.on_stop);
        drop(inner);
        drop(actions);
        self.has_ended.notify_all();
    }

    pub fn set_address(&self, address: SocketAddr) {
        self.inner.lock().address = Some(address);
    }

    pub fn address(&self) -> Option<SocketAddr> {
        self.inner.lock().address
    }

    pub fn note_error(&self, error: String) {
        self.inner.lock().last_error = Some(error);
    }

    pub fn last_error(&self) -> Option<String> {
        self.inner.lock().last_error.clone()
    }

    pub fn state(&self) -> State {
        match &self.inner.lock().end {
            Some(Ok(())) => State::Ended,
            Some(Err(why)) => State::Failed(why.clone()),
            None if self.is_stop_requested() => State::Stopping,
            None => State::Running,
        }
    }

    pub fn is_over(&self) -> bool {
        self.inner.lock().end.is_some()
    }

    /// Waits for its end for so long at most; `false`: it has not ended. An interrupt of the cell ends the wait.
    pub fn wait_for_end(&self, time: Duration) -> bool {
        let over = interrupt::wait(interrupt::deadline(time), |slice| {
            let mut inner = self.inner.lock();
            if inner.end.is_none() {
                self.has_ended.wait_for(&mut inner, slice);
            }
            inner.end.is_some().then_some(())
        });
        over.is_some()
    }

    /// The calling thread works for it until its own end.
    pub fn enter_for_ever(self: &Arc<Self>) {
        interrupt::spare_this_thread();
        CURRENT.set(Some(Arc::clone(self)));
    }

    /// Whether the calling thread works for it.
    pub fn is_current(self: &Arc<Self>) -> bool {
        CURRENT.with_borrow(|current| {
            current
                .as_ref()
                .is_some_and(|current| Arc::ptr_eq(current, self))
        })
    }
}

/// The handle to a job; clones are the same job. If it is dropped the job goes on.
///
/// A server's handle is an address too: `TcpStream::connect(&job)`.
#[derive(Clone)]
pub struct Job(pub(super) Arc<Shared>);

impl Job {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Where it listens; of what is no server, what [`set_address`](Self::set_address) or
    /// [`Stop::serves`](super::Stop::serves) was told.
    pub fn address(&self) -> Option<SocketAddr> {
        self.0.address()
    }

    /// Says where it listens, for [`list`](super::list) and for those who connect.
    pub fn set_address(&self, address: SocketAddr) {
        self.0.set_address(address);
    }

    /// Where it is in its life.
    pub fn state(&self) -> State {
        self.0.state()
    }

    /// The last error: its own, or that of the handler of a connection.
    pub fn last_error(&self) -> Option<String> {
        self.0.last_error()
    }

    /// How many connections a server has served, those that it serves now among them.
    pub fn n_served(&self) -> u64 {
        self.0.n_served.load(Ordering::Relaxed)
    }

    /// How many connections a server has closed at once, because too many waited already.
    pub fn n_refused(&self) -> u64 {
        self.0.n_refused.load(Ordering::Relaxed)
    }

    /// Asks it to stop, and returns at once.
    pub fn stop(&self) {
        self.0.request_stop();
    }

    /// Waits for its end, for so long at most.
    ///
    /// # Errors
    /// [`JobError::StillRunning`] after `timeout`, [`JobError::Failed`] if it ended so.
    pub fn join(&self, timeout: Duration) -> Result<(), JobError> {
        let name = self.0.name.clone();
        if !self.0.wait_for_end(timeout) {
            return Err(JobError::StillRunning {
                name,
                time: timeout,
            });
        }
        match self.0.state() {
            State::Failed(why) => Err(JobError::Failed { name, why }),
            _ => Ok(()),
        }
    }
}

impl ToSocketAddrs for Job {
    type Iter = std::option::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        match self.address() {
            Some(address) => Ok(Some(address).into_iter()),
            None => Err(io::Error::new(
                io::ErrorKind::AddrNotAvailable,
                format!("job `{}` has no address", self.name()),
            )),
        }
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "job {}: {}", self.0.name, self.state())?;
        if let Some(address) = self.address() {
            write!(f, ", {address}, {} connections", self.n_served())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Show for Job {
    fn show(&self) -> Bundle {
        Bundle::new().text(self.to_string())
    }
}
