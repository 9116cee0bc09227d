//! A point that processes pass together.

use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::linux;
use super::registry::cpu_count;
use super::shared::{Held, Layout, Mutex, Shared, handle};
use crate::interrupt;

/// How often one who waits looks again before it sleeps: some ten microseconds.
const SPINS: u32 = 500;

/// How many processors there are for this process. Not a `LazyLock`: a process that is forked while another thread
/// works one out would wait for that thread.
fn n_cpus() -> usize {
    static KNOWN: AtomicUsize = AtomicUsize::new(0);
    if KNOWN.load(Ordering::Relaxed) == 0 {
        KNOWN.store(cpu_count(), Ordering::Relaxed);
    }
    KNOWN.load(Ordering::Relaxed)
}

/// So many rounds back the barrier knows how they ended, for who looks late.
const REMEMBERED: usize = 1024;

/// The memory of a barrier. All but `round` changes under the mutex.
#[repr(C)]
pub(crate) struct State {
    mutex: Mutex,
    parties: AtomicU32,
    n_arrived: AtomicU32,
    /// The number of the round that is open.
    round: AtomicU32,
    is_broken: AtomicU32,
    /// For each round that has ended, whether it was by a break.
    broken_rounds: [AtomicU8; REMEMBERED],
}

// SAFETY: a mutex and atomics.
unsafe impl Layout for State {}

impl State {
    fn hold(&self) -> Held<'_> {
        let held = self.mutex.hold();
        if held.from_dead {
            // It was killed between two of the stores below: who knows what is missing.
            self.break_it(&held);
        }
        held
    }

    fn end_round(&self, _held: &Held<'_>, is_broken: bool) {
        let round = self.round.load(Ordering::Relaxed);
        self.broken_rounds[round as usize % REMEMBERED].store(is_broken.into(), Ordering::Relaxed);
        self.n_arrived.store(0, Ordering::Relaxed);
        self.round.store(round.wrapping_add(1), Ordering::Release);
        linux::wake(&self.round, u32::MAX);
    }

    fn break_it(&self, held: &Held<'_>) {
        self.is_broken.store(1, Ordering::Relaxed);
        self.end_round(held, true);
    }

    /// Breaks the barrier if this round has not ended; whether that was so.
    fn break_round(&self, round: u32) -> bool {
        let held = self.hold();
        let is_open = self.round.load(Ordering::Relaxed) == round;
        if is_open {
            self.break_it(&held);
        }
        is_open
    }
}

/// Why a barrier did not let a process pass.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BarrierError {
    /// Not all came in time; this one's waiting has broken the barrier.
    TimedOut {
        /// How long it waited.
        time: Duration,
        /// For how many the barrier is made.
        parties: usize,
    },
    /// Another one waited for too long, was interrupted or killed, or called `abort` or `reset`.
    Broken,
}

impl fmt::Display for BarrierError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BarrierError::TimedOut { time, parties } => write!(
                formatter,
                "the barrier is broken: not all of its {parties} processes came within {time:?}; \
                 do: call reset() before it is used again"
            ),
            BarrierError::Broken => formatter.write_str(
                "the barrier is broken: another process waited for too long, was interrupted, or called abort() or \
                 reset(); do: call reset() before it is used again",
            ),
        }
    }
}

impl std::error::Error for BarrierError {}

/// A process's place among those that came to a [`Barrier`] in its round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    index: usize,
}

impl Arrival {
    /// How many came before it, from 0.
    pub fn index(self) -> usize {
        self.index
    }

    /// Whether it is the one of its round that may do what shall be done once: the first that came.
    pub fn is_leader(self) -> bool {
        self.index == 0
    }
}

/// A point that so many processes, or threads of them, pass together, round after round. Clones are the same barrier.
///
/// One whose time is over, or who is interrupted, breaks the barrier for all, until [`reset`](Self::reset). A
/// process that is killed while it waits still counts as come; so give a time where that can happen.
///
/// ```
/// use forkline::prelude::*;
///
/// let barrier = processes::Barrier::new(2);
/// let theirs = barrier.clone();
/// let other = thread::spawn(move || theirs.wait());
/// let arrivals = [barrier.wait()?, other.join().unwrap()?];
/// assert_eq!(arrivals.iter().filter(|arrival| arrival.is_leader()).count(), 1);
/// # Ok::<(), processes::BarrierError>(())
/// ```
pub struct Barrier {
    shared: Shared<State>,
}

handle!(Barrier);

impl Barrier {
    /// A barrier for so many; 0 counts as 1.
    ///
    /// # Panics
    /// The system has no memory or no descriptors left.
    #[track_caller]
    pub fn new(parties: usize) -> Self {
        let parties = u32::try_from(parties.max(1)).unwrap_or(u32::MAX);
        Self::of(Shared::create(
            std::any::type_name::<Self>(),
            0,
            |state: &State| {
                state.mutex.init(false);
                state.parties.store(parties, Ordering::Relaxed);
            },
        ))
    }

    fn of(shared: Shared<State>) -> Self {
        Barrier { shared }
    }

    /// Waits until all have come.
    ///
    /// # Errors
    /// [`BarrierError::Broken`].
    pub fn wait(&self) -> Result<Arrival, BarrierError> {
        self.wait_until(None, Duration::MAX)
    }

    /// The same, for so long at most. If the time is over the barrier is broken, for all.
    ///
    /// # Errors
    /// [`BarrierError::TimedOut`] for the one whose time is over, [`BarrierError::Broken`] for the others.
    pub fn wait_timeout(&self, time: Duration) -> Result<Arrival, BarrierError> {
        self.wait_until(interrupt::deadline(time), time)
    }

    fn wait_until(
        &self,
        deadline: Option<Instant>,
        time: Duration,
    ) -> Result<Arrival, BarrierError> {
        let state: &State = &self.shared;
        let (round, index) = {
            let held = state.hold();
            if self.is_broken() {
                return Err(BarrierError::Broken);
            }
            let round = state.round.load(Ordering::Relaxed);
            let index = state.n_arrived.load(Ordering::Relaxed);
            state.n_arrived.store(index + 1, Ordering::Relaxed);
            if index + 1 == state.parties.load(Ordering::Relaxed) {
                state.end_round(&held, false);
                return Ok(Arrival {
                    index: index as usize,
                });
            }
            (round, index)
        };
        /// Breaks the barrier for the others if the wait is interrupted.
        struct Break<'a>(Option<&'a State>, u32);
        impl Drop for Break<'_> {
            fn drop(&mut self) {
                if let Some(state) = self.0 {
                    state.break_round(self.1);
                }
            }
        }
        let mut on_interrupt = Break(Some(state), round);
        let is_over = || state.round.load(Ordering::Acquire) != round;
        // Falling asleep and waking up cost more than a short look, where all can run at the same time.
        let spins = if self.parties() <= n_cpus() { SPINS } else { 0 };
        for _ in 0..spins {
            if is_over() {
                break;
            }
            std::hint::spin_loop();
        }
        let is_over = interrupt::wait(deadline, |slice| {
            if !is_over() && !slice.is_zero() {
                linux::sleep_while(&state.round, round, slice);
            }
            is_over().then_some(())
        });
        on_interrupt.0 = None;
        if is_over.is_none() && state.break_round(round) {
            return Err(BarrierError::TimedOut {
                time,
                parties: self.parties(),
            });
        }
        if state.broken_rounds[round as usize % REMEMBERED].load(Ordering::Relaxed) != 0 {
            return Err(BarrierError::Broken);
        }
        Ok(Arrival {
            index: index as usize,
        })
    }

    /// Breaks the barrier: nobody waits there any more.
    pub fn abort(&self) {
        let held = self.shared.hold();
        self.shared.break_it(&held);
    }

    /// Makes the barrier as new. Those who wait get [`BarrierError::Broken`].
    pub fn reset(&self) {
        let held = self.shared.hold();
        self.shared.end_round(&held, true);
        self.shared.is_broken.store(0, Ordering::Relaxed);
    }

    /// How many it is made for.
    pub fn parties(&self) -> usize {
        self.shared.parties.load(Ordering::Relaxed) as usize
    }

    /// How many wait, at this moment.
    pub fn n_waiting(&self) -> usize {
        self.shared.n_arrived.load(Ordering::Relaxed) as usize
    }

    /// Whether it is broken, at this moment.
    pub fn is_broken(&self) -> bool {
        self.shared.is_broken.load(Ordering::Relaxed) != 0
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Barrier")
            .field("parties", &self.parties())
            .field("n_waiting", &self.n_waiting())
            .field("is_broken", &self.is_broken())
            .finish()
    }
}

#[cfg(test)]
mod tests;
