//! Those who have proved the key, each served by a thread: it reads a request, calls the method, writes the answer.
//!
//! What always holds: no more methods run at the same time than the network says, whatever the number of clients; a call whose
//! caller has gone, or whose time is over, while it waited for its turn is not made; when the server stops, all connections
//! are shut down, so no thread waits for a client any more.

use std::collections::HashMap;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use forkline::interrupt;
use parking_lot::{Condvar, Mutex};
use tokio::sync::OwnedSemaphorePermit;

use crate::object::{Answer, Call, text};
use crate::server::Shared;
use crate::wire::{self, AROUND, Broken, Fault, Frames, Reply, Request};

/// After so long without a request a connection's buffers are given back.
pub(crate) const REST: Duration = Duration::from_secs(5);
/// How often a call that waits for its turn looks whether its caller is still there.
const LOOK: Duration = Duration::from_millis(100);

/// The connections of a server, to be shut down with it.
#[derive(Default)]
pub(crate) struct Clients(Mutex<Connected>);

#[derive(Default)]
struct Connected {
    streams: HashMap<u64, Arc<TcpStream>>,
    next: u64,
    is_stopped: bool,
}

impl Clients {
    fn add(&self, stream: &Arc<TcpStream>) -> Option<u64> {
        let mut connected = self.0.lock();
        if connected.is_stopped {
            return None;
        }
        let number = connected.next;
        connected.next += 1;
        connected.streams.insert(number, Arc::clone(stream));
        Some(number)
    }

    fn remove(&self, number: u64) {
        self.0.lock().streams.remove(&number);
    }

    /// Ends all connections; there will be no new ones.
    pub fn shut_down(&self) {
        let mut connected = self.0.lock();
        connected.is_stopped = true;
        for stream in connected.streams.values() {
            let _it_may_be_closed = stream.shutdown(Shutdown::Both);
        }
    }
}

/// How many methods may run now.
pub(crate) struct Turns {
    n_free: Mutex<usize>,
    freed: Condvar,
}

struct Turn<'a>(&'a Turns);

impl Turns {
    pub fn new(n: usize) -> Turns {
        Turns {
            n_free: Mutex::new(n),
            freed: Condvar::new(),
        }
    }

    /// Waits for a turn; none if the time is over, or it is not wanted any more.
    fn take(&self, until: Instant, is_wanted: impl Fn() -> bool) -> Option<Turn<'_>> {
        let mut n_free = self.n_free.lock();
        while *n_free == 0 {
            let left = until.saturating_duration_since(Instant::now());
            let waited = self.freed.wait_for(&mut n_free, left.min(LOOK));
            if *n_free == 0 && (left.is_zero() || (waited.timed_out() && !is_wanted())) {
                return None;
            }
        }
        *n_free -= 1;
        Some(Turn(self))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.n_free.lock() += 1;
        self.0.freed.notify_one();
    }
}

/// Serves a client on a thread of its own, which holds `place` as long.
pub(crate) fn serve(
    shared: &Arc<Shared>,
    name: &str,
    stream: TcpStream,
    peer: SocketAddr,
    place: OwnedSemaphorePermit,
) -> std::io::Result<()> {
    let (own, stream) = (Arc::clone(shared), Arc::new(stream));
    let Some(number) = shared.clients.add(&stream) else {
        return Ok(());
    };
    // The thread inherits the cell of the server, under which its output comes.
    let started = thread::Builder::new()
        .name(name.replace('\0', "\u{fffd}"))
        .spawn(move || {
            let _place = place;
            // It belongs to the job, which an interrupt of its cell does not end.
            let _spared = interrupt::spare();
            let ended = own.answer_all(&stream);
            own.clients.remove(number);
            if let Err(why) = ended {
                own.refuse(peer, &why);
            }
        });
    if started.is_err() {
        shared.clients.remove(number);
    }
    started.map(|_detached| ())
}

impl Shared {
    /// Answers calls until the client goes; an error says why it was cut off.
    fn answer_all(&self, stream: &TcpStream) -> Result<(), String> {
        let limit = self.network.longest_message();
        let mut frames = Frames::new();
        let mut answer = Vec::new();
        loop {
            let come = frames.next(stream, limit.saturating_add(AROUND), || {
                answer = Vec::new();
                true
            });
            match come {
                Ok(()) => {}
                Err(Broken::Ended | Broken::Io(_)) => return Ok(()),
                Err(broken) => return Err(broken.to_string()),
            }
            let request = Request::parse(frames.last()).ok_or("what came is no request")?;
            Reply::begin(&mut answer);
            let Some(outcome) = self.answer(&request, stream, &mut answer) else {
                return Ok(());
            };
            Reply::finish(&mut answer, limit, outcome);
            frames.done();
            // Who does not take it is gone, which the next read tells, or makes the write fail in time.
            if wire::send(stream, &answer, || true).is_err() {
                return Ok(());
            }
        }
    }

    /// What the method returns, appended to the buffer. None: nobody waits for it any more.
    fn answer(
        &self,
        request: &Request<'_>,
        stream: &TcpStream,
        buffer: &mut Vec<u8>,
    ) -> Option<Answer> {
        if request.object != self.object {
            return Some(Err(Fault::NoObject));
        }
        let until = Instant::now() + request.left;
        let _turn = self.turns.take(until, || wire::is_quiet(stream))?;
        self.n_calls.fetch_add(1, Ordering::Relaxed);
        let call = Call {
            method: request.method,
            arguments: request.arguments,
            answer: buffer,
        };
        // A panic of the method is an answer already; this is for one in the user's way of reading or writing a value.
        let called = catch_unwind(AssertUnwindSafe(|| (self.receive)(call)));
        Some(called.unwrap_or_else(|payload| {
            Err(Fault::Panicked {
                message: text(&*payload),
            })
        }))
    }
}
