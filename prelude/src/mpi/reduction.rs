//! Reductions of slices of numbers by MPI's operators: number by number over all ranks.

use super::collective::{reading, writing};
use super::communicator::Communicator;
use super::datatype::{Datatype, Reduces};
use super::error::{Call, MpiError, MpiResult};
use super::gate::{Header, What};
use super::library;
use super::parcel::count;
use super::table::{Handle, Table};
use super::trace_span;

impl Communicator {
    /// Checks the lengths of a reduction, on all ranks.
    fn reduction<T: Datatype>(
        &self,
        call: &Call,
        header: Header,
        send: &[T],
        receive: Option<usize>,
        operator: u32,
    ) -> MpiResult<i32> {
        let fits = match receive {
            Some(found) if found != send.len() => Err(MpiError::Count {
                call: *call,
                rank: self.rank(),
                expected: send.len(),
                found,
            }),
            _ => count(call, send.len()),
        };
        if !self.is_checked() {
            library::is_open(call)?;
            return fits;
        }
        let header = header.with_data(T::CODE.into()).with_same(operator.into());
        let (n, headers) = self.gate_with(call, fits, header, |_| send.len())?;
        headers.same_counts()?;
        Ok(n)
    }

    /// Reduces the slices of all ranks, number by number, into the root's `receive`. Other ranks' `receive` stays as it
    /// is and may be empty.
    ///
    /// # Errors
    /// The slices differ in length, or the operator does not go with the numbers: on every rank.
    ///
    /// ```no_run
    /// # use forkline::mpi;
    /// # let world = mpi::world()?;
    /// let mine: Vec<u64> = (0..10).map(|k| k * (world.rank() as u64 + 1)).collect();
    /// let mut sums = vec![0; 10];
    /// world.reduce_slice(&mine, &mut sums, mpi::SUM, 0)?; // on 10 ranks: 0, 55, 110, …, 495
    /// # Ok::<(), mpi::MpiError>(())
    /// ```
    #[track_caller]
    pub fn reduce_slice<T: Datatype, O: Reduces<T>>(
        &self,
        send: &[T],
        receive: &mut [T],
        operator: O,
        root: usize,
    ) -> MpiResult<()> {
        let call = Call::rooted("reduce_slice", root);
        let _span = trace_span(call.name);
        let operator = operator.code();
        let header = Header::of(What::Reduce).with_root(root);
        let room = (self.rank() == root).then_some(receive.len());
        let n = self.reduction(&call, header, send, room, operator)?;
        let root = self.root(&call, root)?;
        let (table, comm) = (self.inner.table, self.inner.handle);
        // SAFETY: `n` numbers to send, and at the root room for as many.
        self.run(&call, || unsafe {
            let (send, receive) = (reading(send), writing(receive));
            (table.reduce)(send, receive, n, T::CODE, operator, root, comm)
        })
    }

    /// Reduces the slices of all ranks, number by number, into every rank's `receive`.
    ///
    /// # Errors
    /// The slices differ in length, or the operator does not go with the numbers: on every rank.
    ///
    /// ```no_run
    /// # use forkline::mpi;
    /// # let world = mpi::world()?;
    /// let mine = [mpi::Located::new(world.rank() % 3, world.rank())];
    /// let mut best = [mpi::Located::new(0, 0)];
    /// world.allreduce_slice(&mine, &mut best, mpi::MAXLOC)?;
    /// println!("{} on rank {}", best[0].value, best[0].place);
    /// # Ok::<(), mpi::MpiError>(())
    /// ```
    #[track_caller]
    pub fn allreduce_slice<T: Datatype, O: Reduces<T>>(
        &self,
        send: &[T],
        receive: &mut [T],
        operator: O,
    ) -> MpiResult<()> {
        let call = Call::here("allreduce_slice");
        self.reduce_all(&call, What::Allreduce, send, receive, operator, |table| {
            table.allreduce
        })
    }

    /// Reduces, on rank `i`, the slices of ranks 0 to `i`.
    ///
    /// # Errors
    /// As for [`allreduce_slice`](Self::allreduce_slice).
    #[track_caller]
    pub fn scan_slice<T: Datatype, O: Reduces<T>>(
        &self,
        send: &[T],
        receive: &mut [T],
        operator: O,
    ) -> MpiResult<()> {
        let call = Call::here("scan_slice");
        self.reduce_all(&call, What::Scan, send, receive, operator, |table| {
            table.scan
        })
    }

    /// Reduces, on rank `i`, the slices of the ranks before it; rank 0's `receive` stays as it is.
    ///
    /// # Errors
    /// As for [`allreduce_slice`](Self::allreduce_slice).
    #[track_caller]
    pub fn exscan_slice<T: Datatype, O: Reduces<T>>(
        &self,
        send: &[T],
        receive: &mut [T],
        operator: O,
    ) -> MpiResult<()> {
        let call = Call::here("exscan_slice");
        self.reduce_all(&call, What::Exscan, send, receive, operator, |table| {
            table.exscan
        })
    }

    fn reduce_all<T: Datatype, O: Reduces<T>>(
        &self,
        call: &Call,
        what: What,
        send: &[T],
        receive: &mut [T],
        operator: O,
        function: impl FnOnce(&Table) -> Reduction,
    ) -> MpiResult<()> {
        let _span = trace_span(call.name);
        let operator = operator.code();
        let room = Some(receive.len());
        let n = self.reduction(call, Header::of(what), send, room, operator)?;
        let (function, comm) = (function(self.inner.table), self.inner.handle);
        // SAFETY: `n` numbers to send, and room for as many.
        self.run(call, || unsafe {
            let (send, receive) = (reading(send), writing(receive));
            function(send, receive, n, T::CODE, operator, comm)
        })
    }

    /// Reduces the slices of all ranks, number by number, and gives each rank its part of the result: `counts`, the same
    /// on all ranks, has the length of each part.
    ///
    /// # Errors
    /// The slices are not as long as all parts, or the counts differ: on every rank.
    #[track_caller]
    pub fn reduce_scatter_slice<T: Datatype, O: Reduces<T>>(
        &self,
        send: &[T],
        counts: &[usize],
        operator: O,
    ) -> MpiResult<Vec<T>> {
        let call = Call::here("reduce_scatter_slice");
        let _span = trace_span(call.name);
        let operator = operator.code();
        let prepared = self.layout(&call, counts, send.len());
        let digest = counts.iter().fold(u64::from(operator), |sum, &n| {
            sum.wrapping_mul(0x100_0000_01b3).wrapping_add(n as u64)
        });
        let header = Header::of(What::ReduceScatter)
            .with_data(T::CODE.into())
            .with_same(digest);
        let (layout, _) = self.gate_with(&call, prepared, header, |_| send.len())?;
        let mut mine = vec![T::ZERO; counts[self.rank()]];
        let (table, comm) = (self.inner.table, self.inner.handle);
        let part = layout.part(reading(send));
        // SAFETY: the slice is as long as all parts, and there is room for the own one.
        self.run(&call, || unsafe {
            let receive = writing(&mut mine);
            (table.reduce_scatter)(part.buffer, receive, part.counts, T::CODE, operator, comm)
        })?;
        Ok(mine)
    }
}

type Reduction = unsafe extern "C" fn(
    *const std::ffi::c_void,
    *mut std::ffi::c_void,
    i32,
    u32,
    u32,
    Handle,
) -> i32;
