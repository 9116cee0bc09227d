//! Locks of windows: as long as one is held, nobody else holds an exclusive one of the same rank's part.
//!
//! A lock is a word in the part: how many hold it together, and one bit for who holds it alone. It binds those who
//! take it, as MPI's does: calls of the window itself go past it.

use super::datatype::{Accumulates, Number, Whole};
use super::error::{Call, MpiResult};
use super::window::Window;
use super::{trace_span, wait};

/// The bit of who holds a lock alone; those who hold it together are counted below.
const ALONE: u64 = 1 << 32;

/// How a part of a window is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockKind {
    /// Together with others that lock it so: to read, or for calls that are atomic by themselves.
    Shared,
    /// Alone.
    Exclusive,
}

impl LockKind {
    fn share(self) -> u64 {
        match self {
            LockKind::Shared => 1,
            LockKind::Exclusive => ALONE,
        }
    }
}

/// A rank's part of a window, locked. [`unlock`](Self::unlock), or its end, completes what was written and unlocks it.
#[must_use = "the part is unlocked when this is dropped"]
pub struct Locked<'a, T: Number> {
    window: &'a Window<T>,
    rank: usize,
    kind: LockKind,
    call: Call,
    is_held: bool,
}

/// The parts of all ranks, each locked together with others; made by [`Window::lock_all`].
#[must_use = "the parts are unlocked when this is dropped"]
pub struct LockedAll<'a, T: Number>(Vec<Locked<'a, T>>);

impl<T: Number> Window<T> {
    /// Waits until nobody holds a lock of a rank's part that does not go with this one, and locks it. The rank itself has
    /// nothing to do with it. The wait can be interrupted; a lock is given back when the rank that holds it panics or is
    /// interrupted, but not when its process is killed.
    ///
    /// A rank that locks a part exclusively twice waits for itself.
    ///
    /// # Errors
    /// There is no such rank, or MPI's own.
    ///
    /// ```no_run
    /// # use forkline::mpi::{self, LockKind};
    /// # let world = mpi::world()?;
    /// let window = world.window::<f64>(2)?;
    /// let held = window.lock(0, LockKind::Exclusive)?;
    /// let mut both = held.get(0, 2)?;
    /// both.swap(0, 1);
    /// held.put(&both, 0)?;
    /// held.unlock()?;
    /// # Ok::<(), mpi::MpiError>(())
    /// ```
    #[track_caller]
    pub fn lock(&self, rank: usize, kind: LockKind) -> MpiResult<Locked<'_, T>> {
        self.lock_by(Call::rooted("lock", rank), rank, kind)
    }

    /// Locks the parts of all ranks, each [`LockKind::Shared`], in the order of ranks.
    ///
    /// # Errors
    /// As for [`lock`](Self::lock).
    #[track_caller]
    pub fn lock_all(&self) -> MpiResult<LockedAll<'_, T>> {
        let call = Call::here("lock_all");
        let ranks = 0..self.communicator().size();
        let locked = ranks.map(|rank| self.lock_by(call, rank, LockKind::Shared));
        locked.collect::<MpiResult<_>>().map(LockedAll)
    }

    fn lock_by(&self, call: Call, rank: usize, kind: LockKind) -> MpiResult<Locked<'_, T>> {
        let _span = trace_span(call.name);
        // Of a shared lock: what is probably there.
        let mut guess = 0;
        wait::until(&call, true, None, |tests| {
            for _ in 0..tests {
                let found = self.lock_word(&call, rank, guess, guess + kind.share())?;
                if found == guess {
                    return Ok(Some(()));
                }
                if kind == LockKind::Shared && found < ALONE {
                    guess = found;
                }
            }
            Ok(None)
        })?;
        Ok(Locked {
            window: self,
            rank,
            kind,
            call,
            is_held: true,
        })
    }
}

impl<T: Number> Locked<'_, T> {
    /// The rank whose part it is.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// [`Window::put`] to this part.
    ///
    /// # Errors
    /// As for [`Window::put`].
    #[track_caller]
    pub fn put(&self, data: &[T], at: usize) -> MpiResult<()> {
        self.window.put(data, self.rank, at)
    }

    /// [`Window::get`] from this part.
    ///
    /// # Errors
    /// As for [`Window::get`].
    #[track_caller]
    pub fn get(&self, at: usize, length: usize) -> MpiResult<Vec<T>> {
        self.window.get(self.rank, at, length)
    }

    /// [`Window::accumulate`] into this part.
    ///
    /// # Errors
    /// As for [`Window::accumulate`].
    #[track_caller]
    pub fn accumulate(
        &self,
        data: &[T],
        at: usize,
        operator: impl Accumulates<T>,
    ) -> MpiResult<()> {
        self.window.accumulate(data, self.rank, at, operator)
    }

    /// [`Window::get_accumulate`] into this part.
    ///
    /// # Errors
    /// As for [`Window::accumulate`].
    #[track_caller]
    pub fn get_accumulate(
        &self,
        data: &[T],
        at: usize,
        operator: impl Accumulates<T>,
    ) -> MpiResult<Vec<T>> {
        self.window.get_accumulate(data, self.rank, at, operator)
    }

    /// [`Window::fetch_and_op`] in this part.
    ///
    /// # Errors
    /// As for [`Window::accumulate`].
    #[track_caller]
    pub fn fetch_and_op(&self, value: T, at: usize, operator: impl Accumulates<T>) -> MpiResult<T> {
        self.window.fetch_and_op(value, self.rank, at, operator)
    }

    /// [`Window::compare_and_swap`] in this part.
    ///
    /// # Errors
    /// As for [`Window::compare_and_swap`].
    #[track_caller]
    pub fn compare_and_swap(&self, expected: T, value: T, at: usize) -> MpiResult<T>
    where
        T: Whole,
    {
        self.window.compare_and_swap(expected, value, self.rank, at)
    }

    /// [`Window::flush`] of this part.
    ///
    /// # Errors
    /// As for [`Window::flush`].
    #[track_caller]
    pub fn flush(&self) -> MpiResult<()> {
        self.window.flush(self.rank)
    }

    /// Waits until what was written is there, and unlocks the part.
    ///
    /// # Errors
    /// MPI's own.
    #[track_caller]
    pub fn unlock(mut self) -> MpiResult<()> {
        self.release(&Call::rooted("unlock", self.rank))
    }

    fn release(&mut self, call: &Call) -> MpiResult<()> {
        if !std::mem::replace(&mut self.is_held, false) {
            return Ok(());
        }
        let flushed = self.window.flush_by(call, self.rank);
        // Also after an error: the others are not to wait for ever.
        let back = self.kind.share().wrapping_neg();
        self.window.add_to_lock(call, self.rank, back)?;
        flushed
    }
}

impl<T: Number> Drop for Locked<'_, T> {
    fn drop(&mut self) {
        let call = self.call;
        let _nobody_to_tell = self.release(&call);
    }
}

impl<T: Number> LockedAll<'_, T> {
    /// Waits until what was written is there, and unlocks the parts.
    ///
    /// # Errors
    /// MPI's own, the first of them; all parts are unlocked.
    #[track_caller]
    pub fn unlock(self) -> MpiResult<()> {
        let mut first = Ok(());
        for locked in self.0 {
            let unlocked = locked.unlock();
            first = first.and(unlocked);
        }
        first
    }
}
