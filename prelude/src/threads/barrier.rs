//! A place where threads wait for each other.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::waits::{self, Place, Signal};
use crate::interrupt;

/// A barrier: [`wait`](Self::wait) returns when as many threads have come as it was made for. Then it is closed again,
/// for the next round.
///
/// If one of them waits for too long, is interrupted, or calls [`abort`](Self::abort), the barrier is broken: all
/// that wait, and all that come, get [`BarrierError::Broken`] until [`reset`](Self::reset).
///
/// ```
/// use forkline::prelude::*;
///
/// let barrier = threads::Barrier::new(3);
/// let n_leaders = thread::scope(|scope| {
///     let waiting: Vec<_> = (0..3).map(|_| scope.spawn(|| barrier.wait())).collect();
///     let arrivals = waiting.into_iter().map(|thread| thread.join().unwrap());
///     arrivals.filter(|arrival| arrival.as_ref().is_ok_and(|arrival| arrival.is_leader())).count()
/// });
/// assert_eq!(n_leaders, 1);
/// ```
pub struct Barrier {
    parties: usize,
    action: Option<Box<dyn Fn() + Send + Sync>>,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    n_arrived: usize,
    /// How the round that threads wait in has ended; each has its own, so that a thread that wakes late still knows.
    round: Arc<AtomicU8>,
    is_broken: bool,
}

const OPEN: u8 = 0;
const PASSED: u8 = 1;
const BROKEN: u8 = 2;

impl Barrier {
    /// A barrier for so many threads; 0 counts as 1.
    pub fn new(parties: usize) -> Self {
        Self::of(parties, None)
    }

    /// A barrier whose last thread does this, before any of them goes on. If it panics the barrier is broken.
    pub fn with_action(parties: usize, action: impl Fn() + Send + Sync + 'static) -> Self {
        Self::of(parties, Some(Box::new(action)))
    }

    fn of(parties: usize, action: Option<Box<dyn Fn() + Send + Sync>>) -> Self {
        Self {
            parties: parties.max(1),
            action,
            state: Mutex::new(State {
                n_arrived: 0,
                round: Arc::default(),
                is_broken: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// Waits until all threads have come.
    ///
    /// # Errors
    /// [`BarrierError::Broken`].
    #[track_caller]
    pub fn wait(&self) -> Result<Arrival, BarrierError> {
        self.wait_until(None, Duration::ZERO, Location::caller())
    }

    /// The same, for so long at most. If the time is over the barrier is broken, for all.
    ///
    /// # Errors
    /// [`BarrierError::TimedOut`] for the thread whose time is over, [`BarrierError::Broken`] for the others.
    #[track_caller]
    pub fn wait_timeout(&self, time: Duration) -> Result<Arrival, BarrierError> {
        self.wait_until(interrupt::deadline(time), time, Location::caller())
    }

    /// Breaks the barrier: nobody waits there any more.
    pub fn abort(&self) {
        let mut state = self.state.lock();
        state.is_broken = true;
        self.end_round(&mut state, BROKEN);
    }

    /// Makes the barrier as new. Threads that wait get [`BarrierError::Broken`].
    pub fn reset(&self) {
        let mut state = self.state.lock();
        self.end_round(&mut state, BROKEN);
        state.is_broken = false;
    }

    /// How many threads it is made for.
    pub fn parties(&self) -> usize {
        self.parties
    }

    /// How many threads wait, at this moment.
    pub fn n_waiting(&self) -> usize {
        self.state.lock().n_arrived
    }

    /// Whether it is broken, at this moment.
    pub fn is_broken(&self) -> bool {
        self.state.lock().is_broken
    }

    fn wait_until(
        &self,
        deadline: Option<Instant>,
        time: Duration,
        at: Place,
    ) -> Result<Arrival, BarrierError> {
        let (index, round) = {
            let mut state = self.state.lock();
            if state.is_broken {
                return Err(BarrierError::Broken);
            }
            let index = state.n_arrived;
            state.n_arrived += 1;
            if state.n_arrived == self.parties {
                return self.pass(state, index);
            }
            (index, Arc::clone(&state.round))
        };
        let mut unwound = BreaksWhenUnwound {
            barrier: self,
            round: &round,
            is_over: false,
        };
        let ended = waits::wait(&Signal("barrier"), at, deadline, |slice| {
            let mut state = self.state.lock();
            if round.load(Ordering::Relaxed) == OPEN {
                self.changed.wait_for(&mut state, slice);
            }
            Some(round.load(Ordering::Relaxed)).filter(|end| *end != OPEN)
        });
        unwound.is_over = true;
        match ended {
            Some(PASSED) => Ok(Arrival { index }),
            Some(_) => Err(BarrierError::Broken),
            None => {
                drop(unwound);
                self.break_round(&round)
                    .map_or(Ok(Arrival { index }), |was_open| {
                        Err(if was_open {
                            BarrierError::TimedOut {
                                time,
                                parties: self.parties,
                            }
                        } else {
                            BarrierError::Broken
                        })
                    })
            }
        }
    }

    /// The last one has come.
    fn pass(
        &self,
        mut state: MutexGuard<'_, State>,
        index: usize,
    ) -> Result<Arrival, BarrierError> {
        let Some(action) = &self.action else {
            self.end_round(&mut state, PASSED);
            return Ok(Arrival { index });
        };
        // The others still wait while the action runs; who comes meanwhile is in the next round.
        let round = std::mem::take(&mut state.round);
        state.n_arrived = 0;
        drop(state);
        let mut unwound = BreaksWhenUnwound {
            barrier: self,
            round: &round,
            is_over: false,
        };
        action();
        unwound.is_over = true;
        let _state = self.state.lock();
        let end = round.compare_exchange(OPEN, PASSED, Ordering::Relaxed, Ordering::Relaxed);
        self.changed.notify_all();
        end.map(|_| Arrival { index })
            .map_err(|_| BarrierError::Broken)
    }

    fn end_round(&self, state: &mut State, end: u8) {
        // Read under the lock of the state, like all rounds.
        std::mem::take(&mut state.round).store(end, Ordering::Relaxed);
        state.n_arrived = 0;
        self.changed.notify_all();
    }

    /// Breaks the barrier on account of this round. None if the round was passed meanwhile; else whether it was open.
    fn break_round(&self, round: &Arc<AtomicU8>) -> Option<bool> {
        let mut state = self.state.lock();
        match round.load(Ordering::Relaxed) {
            PASSED => None,
            BROKEN => Some(false),
            _ => {
                round.store(BROKEN, Ordering::Relaxed);
                state.is_broken = true;
                self.end_round(&mut state, BROKEN);
                Some(true)
            }
        }
    }
}

/// Breaks the barrier if a thread leaves it by a panic or an interrupt, so that the others do not wait for ever.
struct BreaksWhenUnwound<'a> {
    barrier: &'a Barrier,
    round: &'a Arc<AtomicU8>,
    is_over: bool,
}

impl Drop for BreaksWhenUnwound<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.barrier.break_round(self.round);
        }
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        f.debug_struct("Barrier")
            .field("parties", &self.parties)
            .field("n_waiting", &state.n_arrived)
            .field("is_broken", &state.is_broken)
            .finish()
    }
}

/// A thread's place among those that came to a [`Barrier`] in its round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    index: usize,
}

impl Arrival {
    /// How many came before it, from 0.
    pub fn index(self) -> usize {
        self.index
    }

    /// Whether it is the one thread of its round that may do what shall be done once: the first that came.
    pub fn is_leader(self) -> bool {
        self.index == 0
    }
}

/// Why a barrier did not let a thread pass.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BarrierError {
    /// Not all came in time; this thread's waiting has broken the barrier.
    TimedOut {
        /// How long it waited.
        time: Duration,
        /// For how many threads the barrier is made.
        parties: usize,
    },
    /// Another thread waited for too long, was interrupted, or called `abort` or `reset`.
    Broken,
}

impl fmt::Display for BarrierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut { time, parties } => write!(
                f,
                "the barrier is broken: not all of its {parties} threads came within {time:?}; \
                 call reset() before it is used again"
            ),
            Self::Broken => f.write_str(
                "the barrier is broken: another thread waited for too long, was interrupted, or called abort() or \
                 reset(); call reset() before it is used again",
            ),
        }
    }
}

impl std::error::Error for BarrierError {}
