//! One-sided messages: memory of each rank that the others read and write, without the rank's doing anything.
//!
//! Use it where a rank cannot know who needs what and when: a counter that all draw numbers from, a table that all add
//! to. Where both sides know, messages are as fast and say more.
//!
//! What always holds:
//! * places are compared with the length of the target's window before MPI is called;
//! * no reference to a window's memory is given out, for others may write to it at any time: what is read is a copy;
//! * a window is open from [`Communicator::window`] to [`Window::free`] (a shared lock of MPI's on all ranks). So every
//!   call is allowed at any time; a fence or a lock orders calls, it does not permit them;
//! * [`lock`](Window::lock) is a lock of our own in the window's first bytes, taken by compare and swap: MPI's can
//!   neither be asked for nor left, so a wait for it could not be interrupted.

use std::ffi::c_void;
use std::marker::PhantomData;

use super::communicator::Communicator;
use super::datatype::Number;
use super::error::{Call, ErrorClass, MpiError, MpiResult};
use super::gate::{Header, What};
use super::leftover::{self, Kind};
use super::parcel::count;
use super::table::Handle;
use super::{library, trace_span, wait};

/// What lies before the numbers: the word of the lock, and room so that they begin in a cache line of their own.
const BEFORE: usize = 64;

/// Memory on every rank of a communicator that all of them may read and write.
///
/// A place is a rank and a number's index in that rank's part. [`fetch_and_op`](Self::fetch_and_op),
/// [`accumulate`](Self::accumulate) and [`compare_and_swap`](Self::compare_and_swap) are atomic for each number;
/// [`put`](Self::put) and [`get`](Self::get) are not: what others write meanwhile may be seen in part, so those of several
/// ranks at one place are kept apart by [`fence`](Self::fence) or [`lock`](Self::lock).
///
/// A window that is dropped keeps its memory until the end of MPI; [`free`](Self::free), by all ranks, gives it
/// back.
///
/// A call waits at most until the target's MPI makes some progress. On one machine that is no wait; between machines
/// without remote memory access in hardware it can be until the target's next call, and cannot be interrupted.
pub struct Window<T: Number> {
    communicator: Communicator,
    pub(super) handle: Handle,
    lengths: Vec<usize>,
    numbers: PhantomData<T>,
}

impl Communicator {
    /// Makes a window of this many zeros on this rank; each rank may have another length. All ranks call it.
    ///
    /// # Errors
    /// The ranks are not all in this call, there is no memory, or the library has no windows for these ranks.
    ///
    /// ```no_run
    /// # use forkline::mpi;
    /// # let world = mpi::world()?;
    /// // Jobs 0, 1, … 999, each done by one rank, whichever is free.
    /// let counter = world.window::<u64>(1)?;
    /// while let job @ 0..1000 = counter.fetch_and_op(1, 0, 0, mpi::SUM)? {
    ///     println!("rank {} does {job}", world.rank());
    /// }
    /// # Ok::<(), mpi::MpiError>(())
    /// ```
    #[track_caller]
    pub fn window<T: Number>(&self, length: usize) -> MpiResult<Window<T>> {
        self.make_window(&Call::here("window"), length, &[])
    }

    /// Makes a window that begins as a copy of these numbers; each rank may have another length. All ranks call it.
    ///
    /// # Errors
    /// As for [`window`](Self::window).
    #[track_caller]
    pub fn window_from<T: Number>(&self, items: &[T]) -> MpiResult<Window<T>> {
        self.make_window(&Call::here("window_from"), items.len(), items)
    }

    fn make_window<T: Number>(
        &self,
        call: &Call,
        length: usize,
        items: &[T],
    ) -> MpiResult<Window<T>> {
        let _span = trace_span(call.name);
        // Whole cache lines: some libraries lay the parts of all ranks one behind the other.
        let bytes = length
            .checked_mul(size_of::<T>())
            .and_then(|bytes| bytes.checked_add(BEFORE)?.checked_next_multiple_of(BEFORE))
            .filter(|&bytes| isize::try_from(bytes).is_ok())
            .ok_or(MpiError::TooLong {
                call: *call,
                length,
            });
        let header = Header::of(What::Window).with_data(T::CODE.into());
        let (bytes, headers) = self.gate_with(call, bytes, header, |_| length)?;
        let (table, comm) = (self.inner.table, self.inner.handle);
        let (mut base, mut handle) = (std::ptr::null_mut::<c_void>(), 0);
        // SAFETY: all ranks are here; the pointers are valid.
        let made = self.run(call, || unsafe {
            (table.win_allocate)(bytes, comm, &raw mut base, &raw mut handle)
        });
        if made.is_ok() {
            // SAFETY: MPI has allocated the bytes, and nobody knows of them before the gate below.
            unsafe {
                base.cast::<u8>().write_bytes(0, bytes);
                let to = base.byte_add(BEFORE).cast::<u8>();
                to.copy_from_nonoverlapping(items.as_ptr().cast(), size_of_val(items));
            }
        }
        // Nobody writes before all have their zeros, and nobody has a window that another one lacks.
        self.gate_with(call, made, header.with_same(1), |()| 0)?;
        leftover::opened(Kind::Window, handle);
        Ok(Window {
            communicator: self.clone(),
            handle,
            lengths: headers.counts(),
            numbers: PhantomData,
        })
    }
}

impl<T: Number> Window<T> {
    /// How many numbers this rank's part has.
    pub fn len(&self) -> usize {
        self.lengths[self.communicator.rank()]
    }

    /// Whether this rank's part has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many numbers a rank's part has.
    ///
    /// # Panics
    /// There is no such rank.
    pub fn len_of(&self, rank: usize) -> usize {
        self.lengths[rank]
    }

    /// The communicator of its ranks.
    pub fn communicator(&self) -> &Communicator {
        &self.communicator
    }

    /// A place as MPI takes it: the rank, the offset in bytes, how many numbers.
    pub(super) fn place(
        &self,
        call: &Call,
        rank: usize,
        at: usize,
        length: usize,
    ) -> MpiResult<(i32, usize, i32)> {
        library::is_open(call)?;
        let Some(&size) = self.lengths.get(rank) else {
            return Err(MpiError::Failed {
                call: *call,
                class: ErrorClass::Rank,
                text: format!("rank {rank} is no rank of this window"),
            });
        };
        if at.checked_add(length).is_none_or(|end| end > size) {
            return Err(MpiError::Bounds {
                call: *call,
                rank,
                at,
                length,
                size,
            });
        }
        count(call, length.saturating_mul(size_of::<T>()))?;
        // Both are not larger than what the gate has seen.
        let (to, n) = (rank as i32, length as i32);
        Ok((to, BEFORE + at * size_of::<T>(), n))
    }

    /// Runs a call of MPI, and says so to a monitor.
    pub(super) fn run(&self, call: &Call, mpi: impl FnOnce() -> i32) -> MpiResult<()> {
        let _here = wait::Entry::new(call, false);
        library::check(self.communicator.inner.table, mpi(), || *call)
    }

    /// Waits until all ranks are here and all that they have written is there: what comes behind it sees what was
    /// written before it, on every rank. All ranks call it.
    ///
    /// # Errors
    /// The ranks are not all in this call, or MPI's own: on every rank.
    ///
    /// ```no_run
    /// # use forkline::mpi;
    /// # let world = mpi::world()?;
    /// let (rank, size) = (world.rank(), world.size());
    /// let window = world.window::<f64>(1)?;
    /// window.put(&[rank as f64], (rank + 1) % size, 0)?;
    /// window.fence()?;
    /// assert_eq!(window.to_vec()?, [((rank + size - 1) % size) as f64]);
    /// window.fence()?; // nobody writes before all have read
    /// # Ok::<(), mpi::MpiError>(())
    /// ```
    #[track_caller]
    pub fn fence(&self) -> MpiResult<()> {
        let call = Call::here("fence");
        let _span = trace_span(call.name);
        let flushed = self.flush_all_by(&call);
        let header = Header::of(What::Fence);
        let communicator = &self.communicator;
        communicator.gate_with(&call, flushed, header, |()| 0)?;
        Ok(())
    }

    /// Gives the memory back. All ranks call it.
    ///
    /// # Errors
    /// The ranks are not all in this call, and the window stays until the end of the process; or MPI's own.
    #[track_caller]
    pub fn free(self) -> MpiResult<()> {
        let call = Call::here("free");
        let communicator = &self.communicator;
        communicator.gate(&call, Header::of(What::FreeWindow))?;
        leftover::closing(Kind::Window, self.handle);
        let (table, mut handle) = (communicator.inner.table, self.handle);
        // SAFETY: all ranks are here, and none uses it again.
        communicator.run(&call, || unsafe { (table.win_free)(&raw mut handle) })
    }
}

impl<T: Number> std::fmt::Debug for Window<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "window of {:?} numbers on {:?}",
            self.lengths, self.communicator
        )
    }
}
