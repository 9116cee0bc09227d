//! The threads that serve the connections of a server: a bounded number, and a bounded number of connections that wait
//! for one.

use std::collections::{HashMap, VecDeque};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::job::Shared;
use super::outcome::Outcome;
use super::server::Limits;
use super::start::why;
use crate::rt;

pub(super) struct Handlers<H> {
    job: Arc<Shared>,
    limits: Limits,
    handler: H,
    connections: Mutex<Connections>,
    /// A thread has ended.
    changed: Condvar,
}

#[derive(Default)]
struct Connections {
    n_threads: usize,
    /// For threads that were started and have not come to theirs yet: they are served, and take nobody's place to wait.
    begun: VecDeque<(TcpStream, SocketAddr)>,
    waiting: VecDeque<(TcpStream, SocketAddr)>,
    /// Those that are served, to be shut down from here, and since when.
    served: HashMap<u64, (TcpStream, Instant)>,
    next: u64,
}

impl<H, R> Handlers<H>
where
    H: Fn(TcpStream, SocketAddr) -> R + Send + Sync + 'static,
    R: Outcome,
{
    pub fn new(job: Arc<Shared>, limits: Limits, handler: H) -> Arc<Self> {
        Arc::new(Handlers {
            job,
            limits,
            handler,
            connections: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    /// Gives a connection to a thread, or lets it wait for one, or closes it. Never blocks.
    pub fn take(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let mut connections = self.connections.lock();
        if connections.n_threads < self.limits.n_handlers {
            connections.begun.push_back((stream, peer));
            let own = Arc::clone(self);
            let started = thread::Builder::new()
                .name(self.job.name.replace('\0', "\u{fffd}"))
                .spawn(move || own.serve());
            match started {
                Ok(_detached) => connections.n_threads += 1,
                // Those that are there will come to it.
                Err(_) if connections.n_threads > 0 => {}
                Err(error) => {
                    connections.begun.clear();
                    drop(connections);
                    self.refuse(format!("{peer}: no thread to serve it: {error}"));
                }
            }
        } else if connections.waiting.len() < self.limits.n_waiting {
            connections.waiting.push_back((stream, peer));
        } else {
            drop(connections);
            self.refuse(format!(
                "{peer} was refused: {} connections are served and {} wait",
                self.limits.n_handlers, self.limits.n_waiting
            ));
        }
    }

    fn refuse(&self, why: String) {
        // A counter that others only look at.
        self.job.n_refused.fetch_add(1, Ordering::Relaxed);
        self.job.note_error(why);
    }

    /// A thread's life: it serves until no connection waits.
    fn serve(self: Arc<Self>) {
        self.job.enter_for_ever();
        while let Some((stream, peer, number)) = self.next() {
            let outcome = catch_unwind(AssertUnwindSafe(|| (self.handler)(stream, peer).outcome()));
            rt::flush_stdout();
            // Closed now: until here a second descriptor keeps it open, to be shut down by.
            self.connections.lock().served.remove(&number);
            let error = match outcome {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => error,
                Err(payload) => why(&*payload),
            };
            // What a stop cuts off is no error.
            if !self.job.is_stop_requested() {
                self.job.note_error(format!("{peer}: {error}"));
            }
        }
        self.changed.notify_all();
    }

    fn next(&self) -> Option<(TcpStream, SocketAddr, u64)> {
        let mut connections = self.connections.lock();
        loop {
            let next = connections.begun.pop_front();
            let Some((stream, peer)) = next.or_else(|| connections.waiting.pop_front()) else {
                break;
            };
            let _limits_are_of_a_stream_that_works = stream
                .set_read_timeout(self.limits.read_timeout)
                .and_then(|()| stream.set_write_timeout(self.limits.write_timeout));
            // Without a second descriptor the stop could not end it.
            let Ok(second) = stream.try_clone() else {
                drop(stream);
                self.refuse(format!("{peer}: no descriptor left to serve it"));
                continue;
            };
            let number = connections.next;
            connections.next += 1;
            connections.served.insert(number, (second, Instant::now()));
            self.job.n_served.fetch_add(1, Ordering::Relaxed);
            return Some((stream, peer, number));
        }
        connections.n_threads -= 1;
        None
    }

    /// Shuts down what is served for longer than the limit; when to look again.
    pub fn shut_down_old(&self) -> Option<Duration> {
        let limit = self.limits.connection_time?;
        let mut next = None;
        for (stream, since) in self.connections.lock().served.values() {
            let left = limit.saturating_sub(since.elapsed());
            if left.is_zero() {
                let _it_may_be_closed = stream.shutdown(Shutdown::Both);
            } else {
                next = Some(next.map_or(left, |next: Duration| next.min(left)));
            }
        }
        next
    }

    /// Nothing new comes. Handlers that read get the end of their stream, may write an answer for `grace`, and are cut
    /// off then. `false`: some go on.
    pub fn close(&self, grace: Duration) -> bool {
        {
            let mut connections = self.connections.lock();
            connections.begun.clear();
            connections.waiting.clear();
        }
        [Shutdown::Read, Shutdown::Both].into_iter().any(|how| {
            for (stream, _) in self.connections.lock().served.values() {
                let _it_may_be_closed = stream.shutdown(how);
            }
            self.wait_until_idle(grace)
        })
    }

    fn wait_until_idle(&self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        let mut connections = self.connections.lock();
        while connections.n_threads > 0 {
            if self
                .changed
                .wait_until(&mut connections, deadline)
                .timed_out()
            {
                return connections.n_threads == 0;
            }
        }
        true
    }
}
