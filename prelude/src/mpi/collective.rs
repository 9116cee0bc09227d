//! Collective calls on slices of numbers: all ranks of the communicator make them together.
//!
//! Each compares lengths first, on all ranks, unless the communicator is
//! [`unchecked`](super::Communicator::unchecked); lengths that a rank can see for itself are compared in any case.

use std::ffi::c_void;

use super::communicator::Communicator;
use super::datatype::Datatype;
use super::error::{Call, MpiError, MpiResult};
use super::gate::{Header, Headers, What};
use super::library;
use super::parcel::count;
use super::table::Part;
use super::{trace_span, wait};

/// What empty slices point to: their own addresses are small numbers, which mean something to MPI (MPI_IN_PLACE).
static NOTHING: u128 = 0;

/// Where the items of a slice are, for MPI to read.
pub(super) fn reading<T>(items: &[T]) -> *mut c_void {
    if items.is_empty() {
        return (&raw const NOTHING).cast_mut().cast();
    }
    items.as_ptr().cast_mut().cast()
}

/// Where the items of a slice are, for MPI to write; none of an empty slice.
pub(super) fn writing<T>(items: &mut [T]) -> *mut c_void {
    if items.is_empty() {
        return reading::<T>(&[]);
    }
    items.as_mut_ptr().cast()
}

/// A [`Part`] of the same number of items for each rank.
pub(super) fn even(buffer: *mut c_void, count: i32) -> Part {
    Part {
        buffer,
        count,
        counts: std::ptr::null(),
        displacements: std::ptr::null(),
    }
}

/// Counts and displacements of parts that lie one behind the other.
pub(super) struct Layout {
    counts: Vec<i32>,
    displacements: Vec<i32>,
    total: usize,
}

impl Layout {
    pub(super) fn new(call: &Call, counts: &[usize]) -> MpiResult<Layout> {
        let total = counts.iter().fold(0_usize, |sum, &n| sum.saturating_add(n));
        count(call, total)?;
        let mut at = 0;
        let displacements = counts
            .iter()
            .map(|&n| {
                at += n;
                (at - n) as i32
            })
            .collect();
        Ok(Layout {
            counts: counts.iter().map(|&n| n as i32).collect(),
            displacements,
            total,
        })
    }

    pub(super) fn total(&self) -> usize {
        self.total
    }

    pub(super) fn part(&self, buffer: *mut c_void) -> Part {
        Part {
            buffer,
            count: 0,
            counts: self.counts.as_ptr(),
            displacements: self.displacements.as_ptr(),
        }
    }
}

impl Communicator {
    /// The gate of a call on slices; no headers without checks.
    pub(super) fn slice_gate<T: Datatype>(
        &self,
        call: &Call,
        header: Header,
        length: usize,
    ) -> MpiResult<Option<Headers>> {
        library::is_open(call)?;
        if !self.is_checked() {
            return Ok(None);
        }
        let header = header.with_data(T::CODE.into()).with_count(length);
        self.gate(call, header).map(Some)
    }

    /// Runs a call of MPI that waits for others, and says so to a monitor, unless nothing may be lost to that.
    pub(super) fn run(&self, call: &Call, mpi: impl FnOnce() -> i32) -> MpiResult<()> {
        self.settle(call)?;
        let _here = self.is_checked().then(|| wait::Entry::new(call, false));
        library::check(self.inner.table, mpi(), || *call)
    }

    /// # Errors
    /// A count of this rank's own is another; without checks nobody else learns of it.
    fn own_count(&self, call: &Call, expected: usize, found: usize) -> MpiResult<()> {
        if expected == found {
            return Ok(());
        }
        Err(MpiError::Count {
            call: *call,
            rank: self.rank(),
            expected,
            found,
        })
    }

    /// Waits until all ranks are here.
    ///
    /// # Errors
    /// Another rank is in another call, or MPI's own.
    #[track_caller]
    pub fn barrier(&self) -> MpiResult<()> {
        let call = Call::here("barrier");
        let _span = trace_span(call.name);
        if self.is_checked() {
            // Who has passed the gate has seen all ranks there.
            return self.gate(&call, Header::of(What::Barrier)).map(drop);
        }
        library::is_open(&call)?;
        let (table, comm) = (self.inner.table, self.inner.handle);
        // SAFETY: a communicator.
        self.run(&call, || unsafe { (table.barrier)(comm) })
    }

    /// Gives all ranks the root's slice. All slices are of the same length.
    ///
    /// # Errors
    /// The slices differ in length, or the ranks are not all in this call.
    #[track_caller]
    pub fn bcast_slice<T: Datatype>(&self, data: &mut [T], root: usize) -> MpiResult<()> {
        let call = Call::rooted("bcast_slice", root);
        let _span = trace_span(call.name);
        let header = Header::of(What::Bcast).with_root(root);
        if let Some(headers) = self.slice_gate::<T>(&call, header, data.len())? {
            headers.same_counts()?;
        }
        let (root, n) = (self.root(&call, root)?, count(&call, data.len())?);
        let (table, comm) = (self.inner.table, self.inner.handle);
        // SAFETY: `n` numbers.
        self.run(&call, || unsafe {
            (table.bcast)(writing(data), n, T::CODE, root, comm)
        })
    }

    /// Cuts the root's slice into parts of equal length, one for each rank, in the order of ranks; every rank, the root
    /// too, receives its part. Other ranks than the root give an empty `send`.
    ///
    /// # Errors
    /// The root's slice is not as long as all parts together ("expecting 3 items, got 10"), or the parts differ in
    /// length: on every rank.
    ///
    /// ```no_run
    /// # use forkline::mpi;
    /// # let world = mpi::world()?;
    /// let all: Vec<usize> = if world.rank() == 0 { (1..=world.size()).collect() } else { vec![] };
    /// let mut mine = [0];
    /// world.scatter_slice(&all, &mut mine, 0)?;
    /// assert_eq!(mine[0], world.rank() + 1);
    /// # Ok::<(), mpi::MpiError>(())
    /// ```
    #[track_caller]
    pub fn scatter_slice<T: Datatype>(
        &self,
        send: &[T],
        receive: &mut [T],
        root: usize,
    ) -> MpiResult<()> {
        let call = Call::rooted("scatter_slice", root);
        let _span = trace_span(call.name);
        let is_root = self.rank() == root;
        let together = receive.len() * self.size();
        let fits = if is_root {
            self.own_count(&call, together, send.len())
        } else {
            Ok(())
        };
        if self.is_checked() {
            let header = Header::of(What::Scatter)
                .with_root(root)
                .with_data(T::CODE.into());
            let ((), headers) = self.gate_with(&call, fits, header, |()| together)?;
            headers.same_counts()?;
        } else {
            library::is_open(&call)?;
            fits?;
        }
        let (root, n) = (self.root(&call, root)?, count(&call, receive.len())?);
        let (table, comm) = (self.inner.table, self.inner.handle);
        let part = even(reading(send), n);
        // SAFETY: `n` numbers to receive, and at the root `n` for each rank to send.
        self.run(&call, || unsafe {
            (table.scatter)(&raw const part, writing(receive), n, T::CODE, root, comm)
        })
    }

    /// As [`scatter_slice`](Self::scatter_slice), with a length of its own for each rank's part: `counts`, at the root,
    /// has one for each rank. Other ranks than the root give an empty `send` and empty `counts`.
    ///
    /// # Errors
    /// The lengths do not fit together: on every rank.
    #[track_caller]
    pub fn scatterv_slice<T: Datatype>(
        &self,
        send: &[T],
        counts: &[usize],
        receive: &mut [T],
        root: usize,
    ) -> MpiResult<()> {
        let call = Call::rooted("scatterv_slice", root);
        let _span = trace_span(call.name);
        let is_root = self.rank() == root;
        let prepared = if is_root {
            self.layout(&call, counts, send.len())
        } else {
            Layout::new(&call, &[])
        };
        let header = Header::of(What::Scatter)
            .with_root(root)
            .with_same(1)
            .with_data(T::CODE.into());
        let (layout, headers) = self.gate_with(&call, prepared, header, |_| receive.len())?;
        let number = self.root(&call, root)?;
        // The root knows whether the others' lengths are right, and tells them.
        let fits = if is_root {
            (0..self.size()).try_for_each(|rank| headers.expect(rank, counts[rank]))
        } else {
            Ok(())
        };
        self.gate_with(&call, fits, header, |()| 0)?;
        let n = count(&call, receive.len())?;
        let (table, comm) = (self.inner.table, self.inner.handle);
        let part = layout.part(reading(send));
        // SAFETY: the lengths have been compared.
        self.run(&call, || unsafe {
            let receive = writing(receive);
            (table.scatter)(&raw const part, receive, n, T::CODE, number, comm)
        })
    }

    /// The layout of parts that fill a slice, one for each rank.
    pub(super) fn layout(&self, call: &Call, counts: &[usize], length: usize) -> MpiResult<Layout> {
        self.own_count(call, self.size(), counts.len())?;
        let layout = Layout::new(call, counts)?;
        self.own_count(call, layout.total(), length)?;
        Ok(layout)
    }

    /// Puts the slices of all ranks together at the root, in the order of ranks; they are of equal length. Other ranks
    /// than the root give an empty `receive`.
    ///
    /// # Errors
    /// The slices differ in length, or the root's `receive` is not as long as all of them: on every rank.
    #[track_caller]
    pub fn gather_slice<T: Datatype>(
        &self,
        send: &[T],
        receive: &mut [T],
        root: usize,
    ) -> MpiResult<()> {
        let call = Call::rooted("gather_slice", root);
        let _span = trace_span(call.name);
        let is_root = self.rank() == root;
        let header = Header::of(What::Gather).with_root(root);
        let fits = if is_root {
            self.own_count(&call, send.len() * self.size(), receive.len())
        } else {
            Ok(())
        };
        if self.is_checked() {
            let header = header.with_data(T::CODE.into());
            let ((), headers) = self.gate_with(&call, fits, header, |()| send.len())?;
            headers.same_counts()?;
        } else {
            library::is_open(&call)?;
            fits?;
        }
        let (root, n) = (self.root(&call, root)?, count(&call, send.len())?);
        let (table, comm) = (self.inner.table, self.inner.handle);
        let part = even(writing(receive), n);
        // SAFETY: `n` numbers to send, and at the root room for `n` of each rank.
        self.run(&call, || unsafe {
            (table.gather)(reading(send), n, &raw const part, T::CODE, root, comm)
        })
    }

    /// As [`gather_slice`](Self::gather_slice), for slices of different lengths; the root gets them as one vector, with
    /// the length of each, the others nothing.
    ///
    /// # Errors
    /// They are together longer than MPI counts, or the ranks are not all in this call.
    #[track_caller]
    pub fn gatherv_slice<T: Datatype>(
        &self,
        send: &[T],
        root: usize,
    ) -> MpiResult<Option<(Vec<T>, Vec<usize>)>> {
        let call = Call::rooted("gatherv_slice", root);
        let _span = trace_span(call.name);
        let header = Header::of(What::Gather)
            .with_root(root)
            .with_same(1)
            .with_data(T::CODE.into())
            .with_count(send.len());
        let counts = self.gate(&call, header)?.counts();
        let layout = Layout::new(&call, &counts)?;
        let number = self.root(&call, root)?;
        let is_root = self.rank() == root;
        let mut all = vec![T::ZERO; if is_root { layout.total() } else { 0 }];
        let (table, comm, n) = (self.inner.table, self.inner.handle, send.len() as i32);
        let part = layout.part(writing(&mut all));
        // SAFETY: the root has room for the counts that the ranks gave.
        self.run(&call, || unsafe {
            (table.gather)(reading(send), n, &raw const part, T::CODE, number, comm)
        })?;
        Ok(is_root.then_some((all, counts)))
    }

    /// Puts the slices of all ranks together on every rank, in the order of ranks; they are of equal length.
    ///
    /// # Errors
    /// The slices differ in length, or a `receive` is not as long as all of them: on every rank.
    #[track_caller]
    pub fn allgather_slice<T: Datatype>(&self, send: &[T], receive: &mut [T]) -> MpiResult<()> {
        let call = Call::here("allgather_slice");
        let _span = trace_span(call.name);
        let fits = self.own_count(&call, send.len() * self.size(), receive.len());
        if self.is_checked() {
            let header = Header::of(What::Allgather).with_data(T::CODE.into());
            let ((), headers) = self.gate_with(&call, fits, header, |()| send.len())?;
            headers.same_counts()?;
        } else {
            library::is_open(&call)?;
            fits?;
        }
        let n = count(&call, send.len())?;
        let (table, comm) = (self.inner.table, self.inner.handle);
        let part = even(writing(receive), n);
        // SAFETY: `n` numbers to send, and room for `n` of each rank.
        self.run(&call, || unsafe {
            (table.allgather)(reading(send), n, &raw const part, T::CODE, comm)
        })
    }

    /// As [`allgather_slice`](Self::allgather_slice), for slices of different lengths: one vector, and the length of
    /// each rank's part.
    ///
    /// # Errors
    /// As for [`gatherv_slice`](Self::gatherv_slice).
    #[track_caller]
    pub fn allgatherv_slice<T: Datatype>(&self, send: &[T]) -> MpiResult<(Vec<T>, Vec<usize>)> {
        let call = Call::here("allgatherv_slice");
        let _span = trace_span(call.name);
        let header = Header::of(What::Allgather)
            .with_same(1)
            .with_data(T::CODE.into())
            .with_count(send.len());
        let counts = self.gate(&call, header)?.counts();
        let layout = Layout::new(&call, &counts)?;
        let mut all = vec![T::ZERO; layout.total()];
        let (table, comm, n) = (self.inner.table, self.inner.handle, send.len() as i32);
        let part = layout.part(writing(&mut all));
        // SAFETY: there is room for the counts that the ranks gave.
        self.run(&call, || unsafe {
            (table.allgather)(reading(send), n, &raw const part, T::CODE, comm)
        })?;
        Ok((all, counts))
    }

    /// Sends part `i` of the slice to rank `i`, and receives rank `i`'s part for this rank as part `i`: a transpose.
    /// All slices are of the same length, a multiple of the number of ranks.
    ///
    /// # Errors
    /// The lengths are not so: on every rank.
    #[track_caller]
    pub fn alltoall_slice<T: Datatype>(&self, send: &[T], receive: &mut [T]) -> MpiResult<()> {
        let call = Call::here("alltoall_slice");
        let _span = trace_span(call.name);
        let size = self.size();
        let fits = self
            .own_count(&call, send.len().next_multiple_of(size), send.len())
            .and_then(|()| self.own_count(&call, send.len(), receive.len()));
        if self.is_checked() {
            let header = Header::of(What::Alltoall).with_data(T::CODE.into());
            let ((), headers) = self.gate_with(&call, fits, header, |()| send.len())?;
            headers.same_counts()?;
        } else {
            library::is_open(&call)?;
            fits?;
        }
        let n = count(&call, send.len() / size)?;
        let (table, comm) = (self.inner.table, self.inner.handle);
        let (from, to) = (even(reading(send), n), even(writing(receive), n));
        // SAFETY: `n` numbers for each rank on both sides.
        self.run(&call, || unsafe {
            (table.alltoall)(&raw const from, &raw const to, T::CODE, comm)
        })
    }

    /// As [`alltoall_slice`](Self::alltoall_slice), with a length of its own for each part: `counts` has one for each
    /// rank. The result is what the ranks sent, and the length of each part.
    ///
    /// # Errors
    /// The slice is not as long as its parts: on every rank.
    #[track_caller]
    pub fn alltoallv_slice<T: Datatype>(
        &self,
        send: &[T],
        counts: &[usize],
    ) -> MpiResult<(Vec<T>, Vec<usize>)> {
        let call = Call::here("alltoallv_slice");
        let _span = trace_span(call.name);
        let prepared = self.layout(&call, counts, send.len());
        let header = Header::of(What::Alltoall)
            .with_same(1)
            .with_data(T::CODE.into());
        let (layout, _) = self.gate_with(&call, prepared, header, Layout::total)?;
        self.alltoall_layout(&call, send, counts, &layout)
    }

    /// The exchange of parts of any lengths, first of the lengths. All ranks are here.
    pub(super) fn alltoall_layout<T: Datatype>(
        &self,
        call: &Call,
        send: &[T],
        counts: &[usize],
        layout: &Layout,
    ) -> MpiResult<(Vec<T>, Vec<usize>)> {
        let (table, comm) = (self.inner.table, self.inner.handle);
        let mut received = vec![0_usize; self.size()];
        let (from, to) = (even(reading(counts), 1), even(writing(&mut received), 1));
        // SAFETY: one number for each rank on both sides.
        self.run(call, || unsafe {
            (table.alltoall)(&raw const from, &raw const to, usize::CODE, comm)
        })?;
        // A rank that has no room for all must not leave the others alone: it fails before they go on.
        let prepared = Layout::new(call, &received);
        let header = Header::of(What::Alltoall).with_same(2);
        let (there, _) = self.gate_with(call, prepared, header, |_| 0)?;
        let mut all = vec![T::ZERO; there.total()];
        let (from, to) = (layout.part(reading(send)), there.part(writing(&mut all)));
        // SAFETY: there is room for the counts that the ranks gave.
        self.run(call, || unsafe {
            (table.alltoall)(&raw const from, &raw const to, T::CODE, comm)
        })?;
        Ok((all, received))
    }
}
