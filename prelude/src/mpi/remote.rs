//! What a rank does to the parts of a [`Window`]: reads, writes, and steps that are atomic for each number.

use super::collective::{reading, writing};
use super::datatype::{Accumulates, Datatype as _, Number, Whole};
use super::error::{Call, MpiResult};
use super::table::ANY;
use super::window::Window;
use super::{library, trace_span};

impl<T: Number> Window<T> {
    /// Writes numbers to a rank's part, from place `at` on. Returns when `data` may be changed; the target has it after
    /// [`flush`](Self::flush), an unlock or a [`fence`](Self::fence).
    ///
    /// # Errors
    /// The place is not in the target's part, or MPI's own.
    #[track_caller]
    pub fn put(&self, data: &[T], rank: usize, at: usize) -> MpiResult<()> {
        self.put_by(&Call::rooted("put", rank), data, rank, at)
    }

    pub(super) fn put_by(&self, call: &Call, data: &[T], rank: usize, at: usize) -> MpiResult<()> {
        let _span = trace_span(call.name);
        let (rank, at, n) = self.place(call, rank, at, data.len())?;
        let table = self.communicator().inner.table;
        // SAFETY: `n` numbers on both sides.
        self.run(call, || unsafe {
            (table.win_put)(reading(data), n, T::CODE, rank, at, self.handle)
        })
    }

    /// Numbers of a rank's part: `length` of them from place `at` on.
    ///
    /// # Errors
    /// The place is not in the target's part, or MPI's own.
    #[track_caller]
    pub fn get(&self, rank: usize, at: usize, length: usize) -> MpiResult<Vec<T>> {
        self.get_by(&Call::rooted("get", rank), rank, at, length)
    }

    pub(super) fn get_by(
        &self,
        call: &Call,
        rank: usize,
        at: usize,
        length: usize,
    ) -> MpiResult<Vec<T>> {
        // Before there is memory for it.
        self.place(call, rank, at, length)?;
        let mut found = vec![T::ZERO; length];
        self.get_into_by(call, &mut found, rank, at)?;
        Ok(found)
    }

    /// As [`get`](Self::get), into a slice, as many as it has.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    #[track_caller]
    pub fn get_into(&self, data: &mut [T], rank: usize, at: usize) -> MpiResult<()> {
        self.get_into_by(&Call::rooted("get", rank), data, rank, at)
    }

    fn get_into_by(&self, call: &Call, data: &mut [T], rank: usize, at: usize) -> MpiResult<()> {
        let _span = trace_span(call.name);
        let (rank, at, n) = self.place(call, rank, at, data.len())?;
        let table = self.communicator().inner.table;
        // SAFETY: `n` numbers on both sides.
        self.run(call, || unsafe {
            (table.win_get)(writing(data), n, T::CODE, rank, at, self.handle)
        })
    }

    /// The numbers of this rank's own part, as they are now.
    ///
    /// # Errors
    /// MPI's own.
    #[track_caller]
    pub fn to_vec(&self) -> MpiResult<Vec<T>> {
        let call = Call::here("to_vec");
        self.get_by(&call, self.communicator().rank(), 0, self.len())
    }

    /// Numbers of this rank's own part: `length` of them from place `at` on.
    ///
    /// # Errors
    /// The place is not in the part, or MPI's own.
    #[track_caller]
    pub fn read(&self, at: usize, length: usize) -> MpiResult<Vec<T>> {
        self.get_by(&Call::here("read"), self.communicator().rank(), at, length)
    }

    /// Writes numbers to this rank's own part, from place `at` on. Others see them as those of a [`put`](Self::put).
    ///
    /// # Errors
    /// The place is not in the part, or MPI's own.
    #[track_caller]
    pub fn write(&self, data: &[T], at: usize) -> MpiResult<()> {
        self.put_by(&Call::here("write"), data, self.communicator().rank(), at)
    }

    /// Reduces numbers into a rank's part, from place `at` on: atomic for each number, in any order with what others
    /// accumulate.
    ///
    /// # Errors
    /// The place is not in the target's part, the operator does not go with the numbers, or MPI's own.
    #[track_caller]
    pub fn accumulate(
        &self,
        data: &[T],
        rank: usize,
        at: usize,
        operator: impl Accumulates<T>,
    ) -> MpiResult<()> {
        let call = Call::rooted("accumulate", rank);
        let _span = trace_span(call.name);
        let (rank, at, n) = self.place(&call, rank, at, data.len())?;
        let (table, code) = (self.communicator().inner.table, operator.code());
        // SAFETY: `n` numbers on both sides.
        self.run(&call, || unsafe {
            (table.win_accumulate)(reading(data), n, T::CODE, code, rank, at, self.handle)
        })
    }

    /// As [`accumulate`](Self::accumulate), and gives the numbers that were there before: for each of them nobody came
    /// between.
    ///
    /// # Errors
    /// As for [`accumulate`](Self::accumulate).
    #[track_caller]
    pub fn get_accumulate(
        &self,
        data: &[T],
        rank: usize,
        at: usize,
        operator: impl Accumulates<T>,
    ) -> MpiResult<Vec<T>> {
        let call = Call::rooted("get_accumulate", rank);
        let _span = trace_span(call.name);
        let (rank, at, n) = self.place(&call, rank, at, data.len())?;
        let mut found = vec![T::ZERO; data.len()];
        let (table, code) = (self.communicator().inner.table, operator.code());
        let (from, to, data) = (reading(data), writing(&mut found), T::CODE);
        // SAFETY: `n` numbers at all three places.
        self.run(&call, || unsafe {
            (table.win_get_accumulate)(from, to, n, data, code, rank, at, self.handle)
        })?;
        Ok(found)
    }

    /// Reduces one number into place `at` of a rank's part, and gives what was there before: nobody comes between.
    ///
    /// # Errors
    /// As for [`accumulate`](Self::accumulate).
    #[track_caller]
    pub fn fetch_and_op(
        &self,
        value: T,
        rank: usize,
        at: usize,
        operator: impl Accumulates<T>,
    ) -> MpiResult<T> {
        let call = Call::rooted("fetch_and_op", rank);
        let _span = trace_span(call.name);
        let (rank, at, _) = self.place(&call, rank, at, 1)?;
        let mut found = T::ZERO;
        let (table, code) = (self.communicator().inner.table, operator.code());
        let (from, to) = ((&raw const value).cast(), (&raw mut found).cast());
        // SAFETY: one number at all three places.
        self.run(&call, || unsafe {
            (table.win_fetch_and_op)(from, to, T::CODE, code, rank, at, self.handle)
        })?;
        Ok(found)
    }

    /// Puts `value` to place `at` of a rank's part if `expected` is there, and gives what was there: nobody comes between.
    ///
    /// # Errors
    /// The place is not in the target's part, or MPI's own.
    #[track_caller]
    pub fn compare_and_swap(&self, expected: T, value: T, rank: usize, at: usize) -> MpiResult<T>
    where
        T: Whole,
    {
        let call = Call::rooted("compare_and_swap", rank);
        let _span = trace_span(call.name);
        let (rank, at, _) = self.place(&call, rank, at, 1)?;
        let mut found = T::ZERO;
        let table = self.communicator().inner.table;
        let (new, old) = ((&raw const value).cast(), (&raw const expected).cast());
        let to = (&raw mut found).cast();
        // SAFETY: one number at all four places.
        self.run(&call, || unsafe {
            (table.win_compare_and_swap)(new, old, to, T::CODE, rank, at, self.handle)
        })?;
        Ok(found)
    }

    /// Waits until all that this rank has written to a rank's part is there.
    ///
    /// # Errors
    /// There is no such rank, or MPI's own.
    #[track_caller]
    pub fn flush(&self, rank: usize) -> MpiResult<()> {
        self.flush_by(&Call::rooted("flush", rank), rank)
    }

    pub(super) fn flush_by(&self, call: &Call, rank: usize) -> MpiResult<()> {
        let (rank, ..) = self.place(call, rank, 0, 0)?;
        let table = self.communicator().inner.table;
        // SAFETY: a window, which is open to all ranks.
        self.run(call, || unsafe { (table.win_flush)(rank, self.handle) })
    }

    /// Waits until all that this rank has written to any part is there.
    ///
    /// # Errors
    /// MPI's own.
    #[track_caller]
    pub fn flush_all(&self) -> MpiResult<()> {
        self.flush_all_by(&Call::here("flush_all"))
    }

    pub(super) fn flush_all_by(&self, call: &Call) -> MpiResult<()> {
        library::is_open(call)?;
        let table = self.communicator().inner.table;
        // SAFETY: as above.
        self.run(call, || unsafe { (table.win_flush)(ANY, self.handle) })
    }

    /// One step at the word of a rank's lock: what was there, and is the new one now if it was what was expected.
    pub(super) fn lock_word(
        &self,
        call: &Call,
        rank: usize,
        expected: u64,
        value: u64,
    ) -> MpiResult<u64> {
        let (rank, ..) = self.place(call, rank, 0, 0)?;
        let (table, mut found) = (self.communicator().inner.table, 0_u64);
        let (new, old) = ((&raw const value).cast(), (&raw const expected).cast());
        let to = (&raw mut found).cast();
        // SAFETY: the word lies at the window's first byte.
        let code =
            unsafe { (table.win_compare_and_swap)(new, old, to, u64::CODE, rank, 0, self.handle) };
        library::check(table, code, || *call)?;
        Ok(found)
    }

    /// Adds to the word of a rank's lock.
    pub(super) fn add_to_lock(&self, call: &Call, rank: usize, value: u64) -> MpiResult<()> {
        let (rank, ..) = self.place(call, rank, 0, 0)?;
        let (table, mut found) = (self.communicator().inner.table, 0_u64);
        let (from, to) = ((&raw const value).cast(), (&raw mut found).cast());
        let sum = Accumulates::<u64>::code(super::SUM);
        // SAFETY: the word lies at the window's first byte.
        let code =
            unsafe { (table.win_fetch_and_op)(from, to, u64::CODE, sum, rank, 0, self.handle) };
        library::check(table, code, || *call)
    }
}
