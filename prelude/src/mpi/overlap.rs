//! Collective calls of a scope: started here, done at the latest when the scope is, with work between.
//!
//! Each is the call of the same name without `i`, on borrowed slices of numbers. What the ranks give is compared as there,
//! but nobody waits for it: a wrong length is an error of [`ScopedRequest::wait`], or of the scope.

use std::ffi::c_void;

use super::collective::{reading, writing};
use super::communicator::Communicator;
use super::datatype::{Datatype, Reduces};
use super::error::{Call, MpiError, MpiResult};
use super::gate::{Header, Headers, What};
use super::immediate::Start;
use super::parcel::count;
use super::scope::{Scope, ScopedRequest};
use super::table::{Handle, Table};

/// Where a slice is, for a call that is started later.
#[derive(Clone, Copy)]
struct Place(*mut c_void);

// SAFETY: an address; whoever uses it answers for the memory.
unsafe impl Send for Place {}

impl Place {
    /// A method, so that closures take the whole, which is `Send`.
    fn get(self) -> *mut c_void {
        self.0
    }
}

/// A call to start: its gate, whether this rank's own lengths fit, and MPI's function.
struct Plan {
    call: Call,
    header: Header,
    /// The number of items as MPI counts.
    fits: MpiResult<i32>,
    root: Option<usize>,
}

impl Plan {
    fn new<T: Datatype>(call: Call, what: What, counted: usize) -> Plan {
        let header = Header::of(what)
            .with_data(T::CODE.into())
            .with_count(counted);
        Plan {
            call,
            header,
            fits: count(&call, counted),
            root: None,
        }
    }

    fn at(mut self, communicator: &Communicator, root: usize) -> Plan {
        self.header = self.header.with_root(root);
        self.root = Some(root);
        let there = communicator.root(&self.call, root);
        self.fits = self.fits.and_then(|n| there.map(|_| n));
        self
    }

    fn same(mut self, operator: u32) -> Plan {
        self.header = self.header.with_same(operator.into());
        self
    }

    /// One of this rank's slices has another length than it must have.
    fn expect(mut self, communicator: &Communicator, expected: usize, found: usize) -> Plan {
        if expected != found && self.fits.is_ok() {
            self.fits = Err(MpiError::Count {
                call: self.call,
                rank: communicator.rank(),
                expected,
                found,
            });
        }
        self
    }
}

impl<'scope, 'env> Scope<'scope, 'env> {
    /// Starts a call of MPI, behind its gate, or at once if the communicator is unchecked.
    ///
    /// # Safety
    /// `mpi` uses slices that are borrowed for `'env`, and that are as long as the plan's number says.
    unsafe fn begin(
        &'scope self,
        communicator: &Communicator,
        plan: Plan,
        mpi: impl FnOnce(&Table, i32, i32, Handle, *mut Handle) -> i32 + Send + 'static,
    ) -> MpiResult<ScopedRequest<'scope, 'env>> {
        let Plan {
            call, header, root, ..
        } = plan;
        // Only checked roots come to be used.
        let root = root.map_or(0, |root| root as i32);
        let (n, fits) = match plan.fits {
            Ok(n) => (n, Ok(())),
            Err(error) => (0, Err(error)),
        };
        if !communicator.is_checked() {
            fits?;
            return self.begin_unchecked(communicator, call, |table, comm, request| {
                mpi(table, n, root, comm, request)
            });
        }
        let start: Start = Box::new(move |table, comm, request| mpi(table, n, root, comm, request));
        // SAFETY: the slices are borrowed for longer than the scope, which ends the request.
        let started = unsafe {
            communicator.start_immediate(&call, header, fits, Headers::same_counts, Some(start))?
        };
        Ok(self.add_collective(started, call))
    }

    /// Starts a barrier: it is done when all ranks have started it.
    ///
    /// # Errors
    /// MPI's own; on waiting, another rank is in another call.
    #[track_caller]
    pub fn ibarrier(
        &'scope self,
        communicator: &Communicator,
    ) -> MpiResult<ScopedRequest<'scope, 'env>> {
        let call = Call::here("ibarrier");
        if !communicator.is_checked() {
            // SAFETY: a communicator, and a valid pointer.
            return self.begin_unchecked(communicator, call, |table, comm, request| unsafe {
                (table.ibarrier)(comm, request)
            });
        }
        let header = Header::of(What::Ibarrier);
        // SAFETY: no memory of ours. Who has passed the gate has seen all ranks there.
        let started =
            unsafe { communicator.start_immediate(&call, header, Ok(()), |_| Ok(()), None)? };
        Ok(self.add_collective(started, call))
    }

    /// Starts [`Communicator::bcast_slice`].
    ///
    /// # Errors
    /// MPI's own; on waiting, as there.
    #[track_caller]
    pub fn ibcast_slice<T: Datatype>(
        &'scope self,
        communicator: &Communicator,
        data: &'env mut [T],
        root: usize,
    ) -> MpiResult<ScopedRequest<'scope, 'env>> {
        let call = Call::rooted("ibcast_slice", root);
        let plan = Plan::new::<T>(call, What::Ibcast, data.len()).at(communicator, root);
        let buffer = Place(writing(data));
        // SAFETY: the slice is borrowed, and `n` is its length.
        unsafe {
            self.begin(communicator, plan, move |table, n, root, comm, request| {
                (table.ibcast)(buffer.get(), n, T::CODE, root, comm, request)
            })
        }
    }

    /// Starts [`Communicator::scatter_slice`].
    ///
    /// # Errors
    /// MPI's own; on waiting, as there.
    #[track_caller]
    pub fn iscatter_slice<T: Datatype>(
        &'scope self,
        communicator: &Communicator,
        send: &'env [T],
        receive: &'env mut [T],
        root: usize,
    ) -> MpiResult<ScopedRequest<'scope, 'env>> {
        let call = Call::rooted("iscatter_slice", root);
        let n = receive.len();
        let mut plan = Plan::new::<T>(call, What::Iscatter, n).at(communicator, root);
        if communicator.rank() == root {
            plan = plan.expect(communicator, n * communicator.size(), send.len());
        }
        let (from, to) = (Place(reading(send)), Place(writing(receive)));
        // SAFETY: the slices are borrowed; `n` numbers to receive, and at the root `n` for each rank to send.
        unsafe {
            self.begin(communicator, plan, move |table, n, root, comm, request| {
                (table.iscatter)(from.get(), to.get(), n, T::CODE, root, comm, request)
            })
        }
    }

    /// Starts [`Communicator::gather_slice`].
    ///
    /// # Errors
    /// MPI's own; on waiting, as there.
    #[track_caller]
    pub fn igather_slice<T: Datatype>(
        &'scope self,
        communicator: &Communicator,
        send: &'env [T],
        receive: &'env mut [T],
        root: usize,
    ) -> MpiResult<ScopedRequest<'scope, 'env>> {
        let call = Call::rooted("igather_slice", root);
        let n = send.len();
        let mut plan = Plan::new::<T>(call, What::Igather, n).at(communicator, root);
        if communicator.rank() == root {
            plan = plan.expect(communicator, n * communicator.size(), receive.len());
        }
        let (from, to) = (Place(reading(send)), Place(writing(receive)));
        // SAFETY: the slices are borrowed; `n` numbers to send, and at the root room for `n` of each rank.
        unsafe {
            self.begin(communicator, plan, move |table, n, root, comm, request| {
                (table.igather)(from.get(), to.get(), n, T::CODE, root, comm, request)
            })
        }
    }

    /// Starts [`Communicator::allgather_slice`].
    ///
    /// # Errors
    /// MPI's own; on waiting, as there.
    #[track_caller]
    pub fn iallgather_slice<T: Datatype>(
        &'scope self,
        communicator: &Communicator,
        send: &'env [T],
        receive: &'env mut [T],
    ) -> MpiResult<ScopedRequest<'scope, 'env>> {
        let call = Call::here("iallgather_slice");
        let n = send.len();
        let plan = Plan::new::<T>(call, What::Iallgather, n).expect(
            communicator,
            n * communicator.size(),
            receive.len(),
        );
        let (from, to) = (Place(reading(send)), Place(writing(receive)));
        // SAFETY: the slices are borrowed; `n` numbers to send, and room for `n` of each rank.
        unsafe {
            self.begin(communicator, plan, move |table, n, _, comm, request| {
                (table.iallgather)(from.get(), to.get(), n, T::CODE, comm, request)
            })
        }
    }

    /// Starts [`Communicator::alltoall_slice`].
    ///
    /// # Errors
    /// MPI's own; on waiting, as there.
    #[track_caller]
    pub fn ialltoall_slice<T: Datatype>(
        &'scope self,
        communicator: &Communicator,
        send: &'env [T],
        receive: &'env mut [T],
    ) -> MpiResult<ScopedRequest<'scope, 'env>> {
        let call = Call::here("ialltoall_slice");
        let (n, size) = (send.len() / communicator.size(), communicator.size());
        // A slice that cannot be cut lacks what the next longer one has.
        let whole = send.len().next_multiple_of(size);
        let plan = Plan::new::<T>(call, What::Ialltoall, n)
            .expect(communicator, whole, send.len())
            .expect(communicator, send.len(), receive.len());
        let (from, to) = (Place(reading(send)), Place(writing(receive)));
        // SAFETY: the slices are borrowed; `n` numbers for each rank on both sides.
        unsafe {
            self.begin(communicator, plan, move |table, n, _, comm, request| {
                (table.ialltoall)(from.get(), to.get(), n, T::CODE, comm, request)
            })
        }
    }

    /// Starts [`Communicator::reduce_slice`].
    ///
    /// # Errors
    /// MPI's own; on waiting, as there.
    #[track_caller]
    pub fn ireduce_slice<T: Datatype, O: Reduces<T>>(
        &'scope self,
        communicator: &Communicator,
        send: &'env [T],
        receive: &'env mut [T],
        operator: O,
        root: usize,
    ) -> MpiResult<ScopedRequest<'scope, 'env>> {
        let call = Call::rooted("ireduce_slice", root);
        let operator = operator.code();
        let mut plan = Plan::new::<T>(call, What::Ireduce, send.len())
            .at(communicator, root)
            .same(operator);
        if communicator.rank() == root {
            plan = plan.expect(communicator, send.len(), receive.len());
        }
        let (from, to) = (Place(reading(send)), Place(writing(receive)));
        // SAFETY: the slices are borrowed; `n` numbers to send, and at the root room for as many.
        unsafe {
            self.begin(communicator, plan, move |table, n, root, comm, request| {
                let (from, to) = (from.get(), to.get());
                (table.ireduce)(from, to, n, T::CODE, operator, root, comm, request)
            })
        }
    }

    /// Starts [`Communicator::allreduce_slice`].
    ///
    /// ```no_run
    /// # use forkline::mpi;
    /// # let world = mpi::world()?;
    /// let (mine, mut sums) = ([1.0; 1000], [0.0; 1000]);
    /// mpi::scope(|scope| {
    ///     let request = scope.iallreduce_slice(&world, &mine, &mut sums, mpi::SUM)?;
    ///     // … work that does not need the sums; a `test` now and then lets MPI go on …
    ///     request.test()?;
    ///     Ok(())
    /// })?;
    /// assert_eq!(sums[0], world.size() as f64);
    /// # Ok::<(), mpi::MpiError>(())
    /// ```
    ///
    /// # Errors
    /// MPI's own; on waiting, as there.
    #[track_caller]
    pub fn iallreduce_slice<T: Datatype, O: Reduces<T>>(
        &'scope self,
        communicator: &Communicator,
        send: &'env [T],
        receive: &'env mut [T],
        operator: O,
    ) -> MpiResult<ScopedRequest<'scope, 'env>> {
        let call = Call::here("iallreduce_slice");
        let operator = operator.code();
        let plan = Plan::new::<T>(call, What::Iallreduce, send.len())
            .same(operator)
            .expect(communicator, send.len(), receive.len());
        let (from, to) = (Place(reading(send)), Place(writing(receive)));
        // SAFETY: the slices are borrowed; `n` numbers to send, and room for as many.
        unsafe {
            self.begin(communicator, plan, move |table, n, _, comm, request| {
                let (from, to) = (from.get(), to.get());
                (table.iallreduce)(from, to, n, T::CODE, operator, comm, request)
            })
        }
    }
}
