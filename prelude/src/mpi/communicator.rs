//! A communicator: who talks with whom, and how new ones are made of it.

use std::ffi::CString;
use std::fmt;
use std::sync::{Arc, Mutex};

use super::datatype::Peer;
use super::error::{Call, MpiError, MpiResult};
use super::gate::{Header, What};
use super::group::Group;
use super::immediate::Lane;
use super::library;
use super::table::{Handle, NONE, Table};

/// A group of ranks that talk with each other, apart from all other communicators. Clones are the same one.
///
/// Ranks in it go from 0 to [`size`](Self::size)` - 1`. It lives until the end of the process, or until
/// [`free`](Self::free).
#[derive(Clone)]
pub struct Communicator {
    pub(super) inner: Arc<Inner>,
    is_checked: bool,
}

pub(super) struct Inner {
    pub table: &'static Table,
    pub handle: Handle,
    rank: usize,
    size: usize,
    pub lane: Mutex<Lane>,
}

/// How two communicators are related.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// They are the same one.
    Identical,
    /// They have the same ranks in the same order.
    Congruent,
    /// They have the same ranks in another order.
    Similar,
    /// They have different ranks.
    Unequal,
}

impl Communicator {
    pub(super) fn new(table: &'static Table, handle: Handle, call: &Call) -> MpiResult<Self> {
        let (mut rank, mut size) = (0, 0);
        // SAFETY: a communicator of MPI, and valid pointers.
        unsafe {
            library::check(table, (table.comm_rank)(handle, &raw mut rank), || *call)?;
            library::check(table, (table.comm_size)(handle, &raw mut size), || *call)?;
        }
        Ok(Communicator {
            inner: Arc::new(Inner {
                table,
                handle,
                rank: usize::try_from(rank).unwrap_or(0),
                size: usize::try_from(size).unwrap_or(1),
                lane: Mutex::default(),
            }),
            is_checked: true,
        })
    }

    /// The communicator that `make` writes; none if it writes the null one.
    pub(super) fn made(
        &self,
        call: &Call,
        make: impl FnOnce(&Table, Handle, *mut Handle) -> i32,
    ) -> MpiResult<Option<Communicator>> {
        let (table, mut handle) = (self.inner.table, 0);
        let code = make(table, self.inner.handle, &raw mut handle);
        library::check(table, code, || *call)?;
        if handle == 0 {
            return Ok(None);
        }
        Communicator::new(table, handle, call).map(Some)
    }

    /// The caller's number in this communicator.
    pub fn rank(&self) -> usize {
        self.inner.rank
    }

    /// How many ranks there are.
    pub fn size(&self) -> usize {
        self.inner.size
    }

    /// Its name, for instance `MPI_COMM_WORLD`; empty if it has none.
    pub fn name(&self) -> String {
        let (table, handle) = (self.inner.table, self.inner.handle);
        // SAFETY: the room is as said.
        library::text(|out, capacity| unsafe { (table.comm_name)(handle, out, capacity) })
    }

    /// Gives it a name, on this rank only. MPI keeps 63 bytes of it.
    ///
    /// # Errors
    /// MPI's own.
    #[track_caller]
    pub fn set_name(&self, name: &str) -> MpiResult<()> {
        let call = Call::here("set_name");
        library::is_open(&call)?;
        let mut end = name.find('\0').unwrap_or(name.len()).min(63);
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        let name = CString::new(&name[..end]).unwrap_or_default();
        let table = self.inner.table;
        // SAFETY: a C string, which MPI copies.
        let code = unsafe { (table.comm_set_name)(self.inner.handle, name.as_ptr()) };
        library::check(table, code, || call)
    }

    /// The same communicator, whose collective calls on slices compare nothing first: each is the plain call of MPI,
    /// as fast as in C, cannot be interrupted, and [`standing`](super::standing) does not tell of it. What ranks give wrongly is then MPI's to notice, or not.
    pub fn unchecked(&self) -> Communicator {
        Communicator {
            inner: Arc::clone(&self.inner),
            is_checked: false,
        }
    }

    pub(super) fn is_checked(&self) -> bool {
        self.is_checked
    }

    /// How this communicator and another one are related.
    ///
    /// # Errors
    /// MPI's own.
    #[track_caller]
    pub fn compare(&self, other: &Communicator) -> MpiResult<Comparison> {
        let call = Call::here("compare");
        library::is_open(&call)?;
        let (table, mut found) = (self.inner.table, 3);
        let (one, other) = (self.inner.handle, other.inner.handle);
        // SAFETY: two communicators, and a valid pointer.
        let code = unsafe { (table.comm_compare)(one, other, &raw mut found) };
        library::check(table, code, || call)?;
        Ok(match found {
            0 => Comparison::Identical,
            1 => Comparison::Congruent,
            2 => Comparison::Similar,
            _ => Comparison::Unequal,
        })
    }

    /// A communicator of the same ranks, whose messages are apart from those of this one. All ranks call it.
    ///
    /// # Errors
    /// The ranks are not all in this call, or MPI's own.
    #[track_caller]
    pub fn dup(&self) -> MpiResult<Communicator> {
        let call = Call::here("dup");
        self.gate(&call, Header::of(What::Dup))?;
        // SAFETY: all ranks are here.
        self.made(&call, |table, comm, out| unsafe {
            (table.comm_dup)(comm, out)
        })
        .map(|made| made.unwrap_or_else(|| self.clone()))
    }

    /// Cuts the ranks into groups: those with the same colour get a communicator together, in the order of their keys
    /// (of equal keys: of their ranks). A rank without a colour gets none. All ranks call it.
    ///
    /// # Errors
    /// The ranks are not all in this call, or MPI's own.
    ///
    /// ```no_run
    /// # use forkline::mpi;
    /// # let world = mpi::world()?;
    /// let half = world.split(Some(world.rank() % 2), 0)?.expect("every rank has a colour");
    /// # Ok::<(), mpi::MpiError>(())
    /// ```
    #[track_caller]
    pub fn split(&self, color: Option<usize>, key: i32) -> MpiResult<Option<Communicator>> {
        let call = Call::here("split");
        let color = match color {
            None => NONE,
            Some(length) => {
                i32::try_from(length).map_err(|_| MpiError::TooLong { call, length })?
            }
        };
        self.gate(&call, Header::of(What::Split))?;
        // SAFETY: all ranks are here.
        self.made(&call, |table, comm, out| unsafe {
            (table.comm_split)(comm, color, key, out)
        })
    }

    /// The communicator of the ranks of each machine. All ranks call it.
    ///
    /// # Errors
    /// As for [`dup`](Self::dup).
    #[track_caller]
    pub fn split_shared(&self) -> MpiResult<Communicator> {
        let call = Call::here("split_shared");
        self.gate(&call, Header::of(What::SplitShared))?;
        // SAFETY: all ranks are here.
        self.made(&call, |table, comm, out| unsafe {
            (table.comm_split_shared)(comm, 0, out)
        })
        .map(|made| made.unwrap_or_else(|| self.clone()))
    }

    /// The communicator of a group of these ranks; none for the ranks that are not in it. All ranks of this
    /// communicator call it with the same group.
    ///
    /// # Errors
    /// As for [`dup`](Self::dup).
    #[track_caller]
    pub fn create(&self, group: &Group) -> MpiResult<Option<Communicator>> {
        let call = Call::here("create");
        let header = Header::of(What::Create).with_count(group.size()?);
        self.gate(&call, header)?.same_counts()?;
        let group = group.handle();
        // SAFETY: all ranks are here, with a group.
        self.made(&call, |table, comm, out| unsafe {
            (table.comm_create)(comm, group, out)
        })
    }

    /// The ranks of this communicator as a set.
    ///
    /// # Errors
    /// MPI's own.
    #[track_caller]
    pub fn group(&self) -> MpiResult<Group> {
        let call = Call::here("group");
        library::is_open(&call)?;
        let (table, comm) = (self.inner.table, self.inner.handle);
        // SAFETY: a communicator.
        Group::made(table, call, |out| unsafe { (table.comm_group)(comm, out) })
    }

    /// Gives its place in MPI back, where many are made in a loop. All ranks call it.
    ///
    /// # Errors
    /// Another clone of it exists, or it is one of MPI's own. It then stays as it is.
    #[track_caller]
    pub fn free(self) -> MpiResult<()> {
        let call = Call::here("free");
        let is_shared = Arc::strong_count(&self.inner) > 1;
        let header = Header::of(What::Free).with_count(usize::from(is_shared));
        let headers = self.gate(&call, header)?;
        if let Some(rank) = headers.first(|header| header.count != 0) {
            let text = format!(
                "rank {rank} has another clone of this communicator, or it is one of MPI's own"
            );
            return Err(MpiError::Mismatch { call, text });
        }
        let (table, mut handle) = (self.inner.table, self.inner.handle);
        // SAFETY: nobody else has it.
        let code = unsafe { (table.comm_free)(&raw mut handle) };
        library::check(table, code, || call)
    }

    /// A rank that a collective call takes as its root.
    pub(super) fn root(&self, call: &Call, root: usize) -> MpiResult<i32> {
        if root < self.size() {
            return Ok(i32::try_from(root).unwrap_or(0));
        }
        let text = format!(
            "{} is no root: the ranks are 0 to {}",
            Peer::from(root),
            self.size() - 1
        );
        Err(MpiError::Mismatch { call: *call, text })
    }
}

impl fmt::Debug for Communicator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        let name = if name.is_empty() {
            "communicator"
        } else {
            &name
        };
        write!(formatter, "{name}: rank {} of {}", self.rank(), self.size())
    }
}
