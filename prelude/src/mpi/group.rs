//! Groups: ordered sets of ranks, of which communicators are made.

use std::fmt;
use std::sync::Arc;

use super::error::{Call, MpiError, MpiResult};
use super::library;
use super::table::{Handle, Table};

/// An ordered set of processes. Making one asks nobody: it is a matter of the calling rank alone.
///
/// [`Communicator::create`](super::Communicator::create) makes a communicator of it.
#[derive(Clone)]
pub struct Group(Arc<Owned>);

struct Owned {
    table: &'static Table,
    handle: Handle,
}

impl Drop for Owned {
    fn drop(&mut self) {
        if !library::is_closed() {
            // SAFETY: a group that nobody uses any more.
            unsafe { (self.table.group_free)(&raw mut self.handle) };
        }
    }
}

impl Group {
    pub(super) fn made(
        table: &'static Table,
        call: Call,
        make: impl FnOnce(*mut Handle) -> i32,
    ) -> MpiResult<Group> {
        let mut handle = 0;
        let code = make(&raw mut handle);
        library::check(table, code, || call)?;
        Ok(Group(Arc::new(Owned { table, handle })))
    }

    pub(super) fn handle(&self) -> Handle {
        self.0.handle
    }

    fn number(
        &self,
        call: Call,
        ask: impl FnOnce(&Table, Handle, *mut i32) -> i32,
    ) -> MpiResult<i32> {
        library::is_open(&call)?;
        let mut number = 0;
        let code = ask(self.0.table, self.0.handle, &raw mut number);
        library::check(self.0.table, code, || call)?;
        Ok(number)
    }

    /// How many processes are in it.
    ///
    /// # Errors
    /// MPI's own.
    #[track_caller]
    pub fn size(&self) -> MpiResult<usize> {
        // SAFETY: a group and a valid pointer.
        let size = self.number(Call::here("size"), |table, group, out| unsafe {
            (table.group_size)(group, out)
        })?;
        Ok(usize::try_from(size).unwrap_or(0))
    }

    /// The caller's rank in it; none if the caller is not in it.
    ///
    /// # Errors
    /// MPI's own.
    #[track_caller]
    pub fn rank(&self) -> MpiResult<Option<usize>> {
        // SAFETY: a group and a valid pointer.
        let rank = self.number(Call::here("rank"), |table, group, out| unsafe {
            (table.group_rank)(group, out)
        })?;
        Ok(usize::try_from(rank).ok())
    }

    /// The group of these ranks, in this order.
    ///
    /// # Errors
    /// A rank is not in this group, or twice in the list.
    #[track_caller]
    pub fn include(&self, ranks: &[usize]) -> MpiResult<Group> {
        let call = Call::here("include");
        let ranks = numbers(ranks, &call)?;
        let (table, n) = (self.0.table, ranks.len() as i32);
        // SAFETY: as many ranks as is said.
        Group::made(table, call, |out| unsafe {
            (table.group_incl)(self.0.handle, n, ranks.as_ptr(), out)
        })
    }

    /// The group without these ranks.
    ///
    /// # Errors
    /// As for [`include`](Self::include).
    #[track_caller]
    pub fn exclude(&self, ranks: &[usize]) -> MpiResult<Group> {
        let call = Call::here("exclude");
        let ranks = numbers(ranks, &call)?;
        let (table, n) = (self.0.table, ranks.len() as i32);
        // SAFETY: as many ranks as is said.
        Group::made(table, call, |out| unsafe {
            (table.group_excl)(self.0.handle, n, ranks.as_ptr(), out)
        })
    }

    /// Those of this group, then those of the other one that are not in this one.
    ///
    /// # Errors
    /// MPI's own.
    #[track_caller]
    pub fn union(&self, other: &Group) -> MpiResult<Group> {
        let (table, one, other) = (self.0.table, self.0.handle, other.0.handle);
        // SAFETY: two groups.
        Group::made(table, Call::here("union"), |out| unsafe {
            (table.group_union)(one, other, out)
        })
    }

    /// Those that are in both.
    ///
    /// # Errors
    /// MPI's own.
    #[track_caller]
    pub fn intersection(&self, other: &Group) -> MpiResult<Group> {
        let (table, one, other) = (self.0.table, self.0.handle, other.0.handle);
        // SAFETY: two groups.
        Group::made(table, Call::here("intersection"), |out| unsafe {
            (table.group_intersection)(one, other, out)
        })
    }

    /// Those of this group that are not in the other one.
    ///
    /// # Errors
    /// MPI's own.
    #[track_caller]
    pub fn difference(&self, other: &Group) -> MpiResult<Group> {
        let (table, one, other) = (self.0.table, self.0.handle, other.0.handle);
        // SAFETY: two groups.
        Group::made(table, Call::here("difference"), |out| unsafe {
            (table.group_difference)(one, other, out)
        })
    }

    /// The ranks that processes of this group have in another one; none for those that are not in it.
    ///
    /// # Errors
    /// A rank is not in this group.
    #[track_caller]
    pub fn translate(&self, ranks: &[usize], to: &Group) -> MpiResult<Vec<Option<usize>>> {
        let call = Call::here("translate");
        library::is_open(&call)?;
        let ranks = numbers(ranks, &call)?;
        let mut found = vec![0; ranks.len()];
        let (table, n) = (self.0.table, ranks.len() as i32);
        let (one, other) = (self.0.handle, to.0.handle);
        // SAFETY: as many ranks on both sides as is said.
        let code =
            unsafe { (table.group_translate)(one, n, ranks.as_ptr(), other, found.as_mut_ptr()) };
        library::check(table, code, || call)?;
        Ok(found
            .into_iter()
            .map(|rank| usize::try_from(rank).ok())
            .collect())
    }
}

/// Ranks as MPI takes them.
pub(super) fn numbers(ranks: &[usize], call: &Call) -> MpiResult<Vec<i32>> {
    library::is_open(call)?;
    ranks
        .iter()
        .map(|&rank| {
            i32::try_from(rank).map_err(|_| MpiError::TooLong {
                call: *call,
                length: rank,
            })
        })
        .collect()
}

impl fmt::Debug for Group {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.size(), self.rank()) {
            (Ok(size), Ok(Some(rank))) => write!(formatter, "Group: rank {rank} of {size}"),
            (Ok(size), _) => write!(formatter, "Group of {size}"),
            _ => formatter.write_str("Group"),
        }
    }
}
