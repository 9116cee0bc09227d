//! Graphs of ranks: who is whose neighbour is said edge by edge.

use std::fmt;
use std::ops::Deref;

use super::communicator::Communicator;
use super::error::{Call, MpiError, MpiResult};
use super::gate::{Header, What};
use super::group::numbers;
use super::library;
use super::neighbors::Neighbors;
use super::parcel::{count, digest};

/// A communicator with a graph of neighbours. It is a [`Communicator`] with all its calls.
#[derive(Clone)]
pub struct Graph {
    communicator: Communicator,
    sources: Vec<usize>,
    destinations: Vec<usize>,
}

impl Communicator {
    /// Makes a graph of which every rank knows all: `neighbors` has the list of each node. Ranks beyond the nodes get
    /// none. All ranks call it with the same arguments.
    ///
    /// # Errors
    /// There are more nodes than ranks, a neighbour that is no node, or the arguments differ.
    ///
    /// ```no_run
    /// # use forkline::mpi;
    /// # let world = mpi::world()?;
    /// // A path of three ranks.
    /// if let Some(path) = world.graph(&[vec![1], vec![0, 2], vec![1]], false)? {
    ///     println!("{:?}", path.neighbors());
    /// }
    /// # Ok::<(), mpi::MpiError>(())
    /// ```
    #[track_caller]
    pub fn graph(&self, neighbors: &[Vec<usize>], reorder: bool) -> MpiResult<Option<Graph>> {
        let call = Call::here("graph");
        let edges: Vec<usize> = neighbors.concat();
        let prepared = self.graph_numbers(&call, neighbors, &edges);
        let lengths = neighbors.iter().map(Vec::len);
        let same = lengths
            .chain(edges.iter().copied())
            .fold(u64::from(reorder), |sum, n| {
                sum.wrapping_mul(0x100_0000_01b3).wrapping_add(n as u64 + 1)
            });
        let header = Header::of(What::Graph).with_same(same);
        let ((index, edges), _) = self.gate_with(&call, prepared, header, |_| 0)?;
        let n = index.len() as i32;
        // SAFETY: `n` indices, as many edges as the last of them says, and all ranks are here.
        let made = self.made(&call, |table, comm, out| unsafe {
            let (index, edges) = (index.as_ptr(), edges.as_ptr());
            (table.graph_create)(comm, n, index, edges, reorder.into(), out)
        })?;
        let Some(communicator) = made else {
            return Ok(None);
        };
        let (table, comm) = (self.inner.table, communicator.inner.handle);
        let (rank, mut n) = (count(&call, communicator.rank())?, 0);
        // SAFETY: a valid pointer.
        let code = unsafe { (table.graph_neighbors_count)(comm, rank, &raw mut n) };
        library::check(table, code, || call)?;
        let mut list = vec![0; usize::try_from(n).unwrap_or(0)];
        // SAFETY: room for `n` ranks.
        let code = unsafe { (table.graph_neighbors)(comm, rank, n, list.as_mut_ptr()) };
        library::check(table, code, || call)?;
        let neighbors = ranks(&list);
        Ok(Some(Graph {
            communicator,
            destinations: neighbors.clone(),
            sources: neighbors,
        }))
    }

    fn graph_numbers(
        &self,
        call: &Call,
        neighbors: &[Vec<usize>],
        edges: &[usize],
    ) -> MpiResult<(Vec<i32>, Vec<i32>)> {
        let fail = |text: String| Err(MpiError::Mismatch { call: *call, text });
        let (n, size) = (neighbors.len(), self.size());
        if n == 0 || n > size {
            return fail(format!(
                "a graph of {n} nodes cannot be made of {size} ranks"
            ));
        }
        if let Some(edge) = edges.iter().find(|&&edge| edge >= n) {
            return fail(format!("{edge} is no node: there are 0 to {}", n - 1));
        }
        count(call, edges.len())?;
        let mut end = 0;
        let index = neighbors
            .iter()
            .map(|list| {
                end += list.len();
                end as i32
            })
            .collect();
        Ok((index, numbers(edges, call)?))
    }

    /// Makes a graph of which every rank knows its own edges only: the ranks from which it receives, and those to which
    /// it sends. The two sides of each edge have to agree. All ranks call it.
    ///
    /// # Errors
    /// A rank does not exist, or MPI's own.
    #[track_caller]
    pub fn dist_graph(
        &self,
        sources: &[usize],
        destinations: &[usize],
        reorder: bool,
    ) -> MpiResult<Graph> {
        let call = Call::here("dist_graph");
        let beyond = sources
            .iter()
            .chain(destinations)
            .find(|&&rank| rank >= self.size());
        let prepared = match beyond {
            Some(rank) => {
                let text = format!(
                    "rank {rank} does not exist: there are 0 to {}",
                    self.size() - 1
                );
                Err(MpiError::Mismatch { call, text })
            }
            None => numbers(sources, &call)
                .and_then(|sources| Ok((sources, numbers(destinations, &call)?))),
        };
        let header = Header::of(What::DistGraph).with_same(reorder.into());
        let ((from, to), _) = self.gate_with(&call, prepared, header, |_| 0)?;
        // Of an edge that only one side knows the other side would wait for ever.
        let mine: Vec<u64> = (0..self.size())
            .map(|rank| {
                let edges = destinations.iter().filter(|&&to| to == rank).count();
                edges as u64
            })
            .collect();
        let mut theirs = vec![0; self.size()];
        self.alltoall_slice(&mine, &mut theirs)?;
        let wrong = (0..self.size()).find(|&rank| {
            theirs[rank] != sources.iter().filter(|&&from| from == rank).count() as u64
        });
        let agrees = match wrong {
            Some(rank) => {
                let text = format!(
                    "rank {rank} sends {} times to this rank, which receives {} times from it",
                    theirs[rank],
                    sources.iter().filter(|&&from| from == rank).count()
                );
                Err(MpiError::Mismatch { call, text })
            }
            None => Ok(()),
        };
        self.gate_with(&call, agrees, header, |()| 0)?;
        let (n_in, n_out) = (from.len() as i32, to.len() as i32);
        // SAFETY: as many ranks as is said, and all ranks are here.
        let made = self.made(&call, |table, comm, out| unsafe {
            let (from, to) = (from.as_ptr(), to.as_ptr());
            (table.dist_graph_create_adjacent)(comm, n_in, from, n_out, to, reorder.into(), out)
        })?;
        let communicator = made.ok_or(MpiError::NoProcess { call })?;
        let (table, comm) = (self.inner.table, communicator.inner.handle);
        let (mut n_in, mut n_out) = (0, 0);
        // SAFETY: valid pointers.
        let code =
            unsafe { (table.dist_graph_neighbors_count)(comm, &raw mut n_in, &raw mut n_out) };
        library::check(table, code, || call)?;
        let room = |n: i32| vec![0; usize::try_from(n).unwrap_or(0)];
        let (mut from, mut to) = (room(n_in), room(n_out));
        // SAFETY: room for as many ranks as is said.
        let code = unsafe {
            let (from, to) = (from.as_mut_ptr(), to.as_mut_ptr());
            (table.dist_graph_neighbors)(comm, n_in, from, n_out, to)
        };
        library::check(table, code, || call)?;
        Ok(Graph {
            communicator,
            sources: ranks(&from),
            destinations: ranks(&to),
        })
    }
}

fn ranks(list: &[i32]) -> Vec<usize> {
    list.iter()
        .filter_map(|&rank| usize::try_from(rank).ok())
        .collect()
}

impl Graph {
    /// The ranks to which this one has an edge, in the order in which they were given.
    pub fn neighbors(&self) -> &[usize] {
        &self.destinations
    }

    /// The ranks that have an edge to this one.
    pub(super) fn known_sources(&self) -> &[usize] {
        &self.sources
    }
}

impl Neighbors for Graph {
    fn communicator(&self) -> &Communicator {
        &self.communicator
    }

    fn sources(&self) -> MpiResult<Vec<Option<usize>>> {
        Ok(self.sources.iter().map(|&rank| Some(rank)).collect())
    }

    fn destinations(&self) -> MpiResult<Vec<Option<usize>>> {
        Ok(self.destinations.iter().map(|&rank| Some(rank)).collect())
    }

    fn kind(&self) -> u64 {
        digest::<Self>()
    }
}

impl Deref for Graph {
    type Target = Communicator;

    fn deref(&self) -> &Communicator {
        &self.communicator
    }
}

impl fmt::Debug for Graph {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "graph: rank {} of {}, from {:?}, to {:?}",
            self.rank(),
            self.size(),
            self.sources,
            self.destinations
        )
    }
}
