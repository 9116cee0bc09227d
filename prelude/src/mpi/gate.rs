//! The gate before a collective call: every rank says what it is about to do, and all look at what the others said.
//!
//! So a wrong count or another rank in another call is an error on every rank, where MPI would hang or worse. The
//! gate can be interrupted; behind it all ranks are there, and MPI's own call, with its best algorithm, does not wait.
//!
//! What always holds: every rank sees the same headers and so comes to the same verdict.

use super::communicator::Communicator;
use super::error::{Call, MpiError, MpiResult};
use super::library;
use super::table::data;
use super::wait::{self, Flight, Kind};

/// The collective calls, in the order of [`NAMES`].
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum What {
    Barrier,
    Bcast,
    Scatter,
    Gather,
    Allgather,
    Alltoall,
    Reduce,
    Allreduce,
    Scan,
    Exscan,
    ReduceScatter,
    Dup,
    Split,
    SplitShared,
    Create,
    Free,
    Cartesian,
    Sub,
    Graph,
    DistGraph,
    NeighborAllgather,
    NeighborAlltoall,
    Window,
    Fence,
    FreeWindow,
    OpenFile,
    SetView,
    SetSize,
    Sync,
    Close,
    ReadAtAll,
    WriteAtAll,
    ReadOrdered,
    WriteOrdered,
    SeekShared,
    Ibarrier,
    Ibcast,
    Iscatter,
    Igather,
    Iallgather,
    Ialltoall,
    Ireduce,
    Iallreduce,
}

const NAMES: [&str; 43] = [
    "barrier",
    "bcast",
    "scatter",
    "gather",
    "allgather",
    "alltoall",
    "reduce",
    "allreduce",
    "scan",
    "exscan",
    "reduce_scatter",
    "dup",
    "split",
    "split_shared",
    "create",
    "free",
    "cartesian",
    "sub",
    "graph",
    "dist_graph",
    "neighbor_allgather",
    "neighbor_alltoall",
    "window",
    "fence",
    "free of a window",
    "open_file",
    "set_view",
    "set_size",
    "sync",
    "close",
    "read_at_all",
    "write_at_all",
    "read_ordered",
    "write_ordered",
    "seek_shared",
    "ibarrier",
    "ibcast",
    "iscatter",
    "igather",
    "iallgather",
    "ialltoall",
    "ireduce",
    "iallreduce",
];

/// What a rank says of itself.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Header {
    what: u32,
    /// The root's rank and 1; 0 where there is none.
    root: u32,
    /// The type of the numbers, or a digest of the type of the values.
    data: u64,
    /// Operators, dimensions: what else must be the same.
    same: u64,
    /// Items or bytes, as the call wants it.
    pub count: u64,
    pub is_failed: u64,
}

impl Header {
    pub(super) fn of(what: What) -> Header {
        Header {
            what: what as u32,
            ..Header::default()
        }
    }

    pub(super) fn with_root(mut self, root: usize) -> Header {
        self.root = u32::try_from(root).unwrap_or(u32::MAX - 1) + 1;
        self
    }

    pub(super) fn with_data(mut self, data: u64) -> Header {
        self.data = data;
        self
    }

    pub(super) fn with_same(mut self, same: u64) -> Header {
        self.same = same;
        self
    }

    pub(super) fn with_count(mut self, count: usize) -> Header {
        self.count = count as u64;
        self
    }

    pub(super) fn failed(mut self) -> Header {
        self.is_failed = 1;
        self
    }

    fn name(&self) -> String {
        let name = NAMES.get(self.what as usize).unwrap_or(&"another call");
        match self.root {
            0 => (*name).to_owned(),
            root => format!("{name} with root {}", root - 1),
        }
    }
}

/// What all ranks said.
pub(super) struct Headers {
    list: Vec<Header>,
    call: Call,
}

impl Headers {
    /// What all ranks said, if they are about to do the same.
    ///
    /// # Errors
    /// They are not, or one has failed before.
    pub(super) fn agreed(call: &Call, list: Vec<Header>) -> MpiResult<Headers> {
        let headers = Headers { list, call: *call };
        let first = &headers.list[0];
        let differs = |header: &Header| {
            (header.what, header.root, header.data, header.same)
                != (first.what, first.root, first.data, first.same)
        };
        if let Some(rank) = headers.first(differs) {
            let other = &headers.list[rank];
            let text = if (first.what, first.root) != (other.what, other.root) {
                format!(
                    "rank 0 is in {}, rank {rank} in {}",
                    first.name(),
                    other.name()
                )
            } else if first.data != other.data {
                format!("rank {rank} has another type of items than rank 0")
            } else {
                format!("rank {rank} gives other arguments than rank 0")
            };
            return Err(MpiError::Mismatch { call: *call, text });
        }
        if let Some(rank) = headers.first(|header| header.is_failed != 0) {
            return Err(MpiError::Peer { call: *call, rank });
        }
        Ok(headers)
    }

    pub(super) fn count(&self, rank: usize) -> usize {
        usize::try_from(self.list[rank].count).unwrap_or(usize::MAX)
    }

    /// The counts of all ranks.
    pub(super) fn counts(&self) -> Vec<usize> {
        (0..self.list.len()).map(|rank| self.count(rank)).collect()
    }

    /// The first rank of which `is` holds.
    pub(super) fn first(&self, is: impl Fn(&Header) -> bool) -> Option<usize> {
        self.list.iter().position(is)
    }

    /// # Errors
    /// A rank's count is another.
    pub(super) fn expect(&self, rank: usize, expected: usize) -> MpiResult<()> {
        let found = self.count(rank);
        if found == expected {
            return Ok(());
        }
        Err(MpiError::Count {
            call: self.call,
            rank,
            expected,
            found,
        })
    }

    /// # Errors
    /// Not all ranks have the count of the first.
    pub(super) fn same_counts(&self) -> MpiResult<()> {
        (1..self.list.len()).try_for_each(|rank| self.expect(rank, self.count(0)))
    }
}

impl Communicator {
    /// Waits until all ranks are here, and compares what they are about to do.
    ///
    /// # Errors
    /// They are not about to do the same, or one has failed before.
    pub(super) fn gate(&self, call: &Call, mine: Header) -> MpiResult<Headers> {
        library::is_open(call)?;
        wait::reap(self.inner.table);
        self.settle(call)?;
        let list = if self.size() == 1 {
            vec![mine]
        } else {
            self.exchange(call, mine)?
        };
        Headers::agreed(call, list)
    }

    fn exchange(&self, call: &Call, mine: Header) -> MpiResult<Vec<Header>> {
        let table = self.inner.table;
        let mut memory = (Box::new(mine), vec![Header::default(); self.size()]);
        let mut handle = 0;
        // SAFETY: both buffers live on the heap, in the flight, until the request is done; headers are plain numbers
        // without gaps.
        let code = unsafe {
            (table.iallgather)(
                (&raw const *memory.0).cast(),
                memory.1.as_mut_ptr().cast(),
                size_of::<Header>() as i32,
                data::U8,
                self.inner.handle,
                &raw mut handle,
            )
        };
        library::check(table, code, || *call)?;
        let mut flight = Flight::new(table, Kind::Collective, handle, memory);
        wait::until(call, true, None, |tests| {
            Ok(flight.poll(tests, call)?.then_some(()))
        })?;
        Ok(flight
            .memory
            .take()
            .map(|memory| memory.1)
            .unwrap_or_default())
    }
}

impl Communicator {
    /// The gate after something that only this rank could fail in: then the others are told, and this rank gets its
    /// own error.
    pub(super) fn gate_with<T>(
        &self,
        call: &Call,
        prepared: MpiResult<T>,
        header: Header,
        count: impl FnOnce(&T) -> usize,
    ) -> MpiResult<(T, Headers)> {
        match prepared {
            Ok(value) => {
                let headers = self.gate(call, header.with_count(count(&value)))?;
                Ok((value, headers))
            }
            Err(error) => {
                let header = header.failed();
                let _the_own_error_says_more = self.gate(call, header);
                Err(error)
            }
        }
    }
}
