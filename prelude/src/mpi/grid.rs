//! Cartesian grids of ranks.

use std::fmt;
use std::ops::Deref;

use super::communicator::Communicator;
use super::error::{Call, ErrorClass, MpiError, MpiResult};
use super::gate::{Header, What};
use super::group::numbers;
use super::library;
use super::neighbors::Neighbors;
use super::parcel::digest;
use super::table::NO_PROCESS;

/// A communicator whose ranks lie on a grid, with edges or closed to a ring in each dimension.
///
/// It is a [`Communicator`] with all its calls; ranks in it may be others than in the one that it was made of.
///
/// ```no_run
/// # use forkline::mpi;
/// # let world = mpi::world()?;
/// let dimensions = mpi::dims_create(world.size(), &[0, 0])?;
/// if let Some(grid) = world.cartesian(&dimensions, &[false, false], true)? {
///     let rows = grid.shift(0, 1)?;
///     println!("{:?}: {:?} above, {:?} below", grid.coords(), rows.source, rows.destination);
/// }
/// # Ok::<(), mpi::MpiError>(())
/// ```
#[derive(Clone)]
pub struct Cartesian {
    communicator: Communicator,
    dimensions: Vec<usize>,
    periods: Vec<bool>,
    coords: Vec<usize>,
}

/// The neighbours along a dimension; none beyond an edge. Both can be given to calls as they are: a message to or from
/// nobody is done at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shift {
    /// The rank whose shifted message comes here.
    pub source: Option<usize>,
    /// The rank to which the own message is shifted.
    pub destination: Option<usize>,
}

/// Shares ranks among the dimensions of a grid, as evenly as possible. A dimension that is given as 0 is chosen, the
/// others stay.
///
/// # Errors
/// There is no MPI, or the ranks are no multiple of the dimensions given.
#[track_caller]
pub fn dims_create(ranks: usize, dimensions: &[usize]) -> MpiResult<Vec<usize>> {
    let call = Call::here("dims_create");
    let table = library::table()?;
    let mut dimensions = numbers(dimensions, &call)?;
    let ranks = super::parcel::count(&call, ranks)?;
    // SAFETY: as many dimensions as is said.
    let code =
        unsafe { (table.dims_create)(ranks, dimensions.len() as i32, dimensions.as_mut_ptr()) };
    library::check(table, code, || call)?;
    Ok(dimensions
        .into_iter()
        .map(|n| usize::try_from(n).unwrap_or(0))
        .collect())
}

impl Communicator {
    /// Lays the ranks on a grid, row by row. `periods` says of each dimension whether its ends are joined. Ranks that
    /// are left over get none. With `reorder` MPI may give the ranks other numbers, to bring neighbours together.
    /// All ranks call it with the same arguments.
    ///
    /// # Errors
    /// The grid has more places than there are ranks, or the arguments differ.
    #[track_caller]
    pub fn cartesian(
        &self,
        dimensions: &[usize],
        periods: &[bool],
        reorder: bool,
    ) -> MpiResult<Option<Cartesian>> {
        let call = Call::here("cartesian");
        let prepared = self.grid_numbers(&call, dimensions, periods);
        let same = dimensions
            .iter()
            .zip(periods.iter().chain([&false; 64]))
            .fold(
                u64::from(reorder) + 2 * dimensions.len() as u64,
                |sum, (&n, &period)| {
                    sum.wrapping_mul(0x100_0000_01b3)
                        .wrapping_add(2 * n as u64 + u64::from(period))
                },
            );
        let header = Header::of(What::Cartesian).with_same(same);
        let ((numbers, flags), _) = self.gate_with(&call, prepared, header, |_| 0)?;
        let n = numbers.len() as i32;
        // SAFETY: as many dimensions and periods as is said, and all ranks are here.
        let made = self.made(&call, |table, comm, out| unsafe {
            let (numbers, flags) = (numbers.as_ptr(), flags.as_ptr());
            (table.cart_create)(comm, n, numbers, flags, reorder.into(), out)
        })?;
        made.map(|made| Cartesian::new(made, &call, dimensions.to_vec(), periods.to_vec()))
            .transpose()
    }

    fn grid_numbers(
        &self,
        call: &Call,
        dimensions: &[usize],
        periods: &[bool],
    ) -> MpiResult<(Vec<i32>, Vec<i32>)> {
        let fail = |text: String| MpiError::Mismatch { call: *call, text };
        if dimensions.len() != periods.len() {
            return Err(fail(format!(
                "{} dimensions, but {} periods",
                dimensions.len(),
                periods.len()
            )));
        }
        let places = dimensions
            .iter()
            .try_fold(1_usize, |all, &n| all.checked_mul(n));
        match places {
            Some(1..) if places <= Some(self.size()) => {}
            _ => {
                return Err(fail(format!(
                    "a grid of {dimensions:?} cannot be made of {} ranks: its places are {}",
                    self.size(),
                    if places == Some(0) { "none" } else { "more" }
                )));
            }
        }
        let flags = periods.iter().map(|&period| i32::from(period)).collect();
        Ok((numbers(dimensions, call)?, flags))
    }
}

impl Cartesian {
    fn new(
        communicator: Communicator,
        call: &Call,
        dimensions: Vec<usize>,
        periods: Vec<bool>,
    ) -> MpiResult<Self> {
        let mut grid = Cartesian {
            communicator,
            dimensions,
            periods,
            coords: Vec::new(),
        };
        grid.coords = grid.ask_coords(call, grid.rank())?;
        Ok(grid)
    }

    /// How many places each dimension has.
    pub fn dimensions(&self) -> &[usize] {
        &self.dimensions
    }

    /// Whether the ends of each dimension are joined.
    pub fn periods(&self) -> &[bool] {
        &self.periods
    }

    /// The caller's place on the grid.
    pub fn coords(&self) -> &[usize] {
        &self.coords
    }

    /// A rank's place on the grid.
    ///
    /// # Errors
    /// There is no such rank.
    #[track_caller]
    pub fn coords_of(&self, rank: usize) -> MpiResult<Vec<usize>> {
        self.ask_coords(&Call::here("coords_of"), rank)
    }

    fn ask_coords(&self, call: &Call, rank: usize) -> MpiResult<Vec<usize>> {
        library::is_open(call)?;
        // Not every MPI looks at the rank.
        if rank >= self.size() {
            let text = format!("rank {rank} is not on the grid");
            return Err(MpiError::Failed {
                call: *call,
                class: ErrorClass::Rank,
                text,
            });
        }
        let mut coords = vec![0; self.dimensions.len()];
        let (table, comm) = (self.inner.table, self.inner.handle);
        let (rank, n) = (super::parcel::count(call, rank)?, coords.len() as i32);
        // SAFETY: room for as many coordinates as is said.
        let code = unsafe { (table.cart_coords)(comm, rank, n, coords.as_mut_ptr()) };
        library::check(table, code, || *call)?;
        Ok(coords
            .into_iter()
            .map(|at| usize::try_from(at).unwrap_or(0))
            .collect())
    }

    /// The rank at a place; none beyond an edge. Where the ends are joined every number is a place.
    ///
    /// # Errors
    /// There are not as many coordinates as dimensions.
    #[track_caller]
    pub fn rank_of(&self, coords: &[i32]) -> MpiResult<Option<usize>> {
        let call = Call::here("rank_of");
        library::is_open(&call)?;
        let (expected, found) = (self.dimensions.len(), coords.len());
        if expected != found {
            let rank = self.rank();
            return Err(MpiError::Count {
                call,
                rank,
                expected,
                found,
            });
        }
        let is_beyond = coords.iter().enumerate().any(|(dimension, &at)| {
            !self.periods[dimension]
                && usize::try_from(at).map_or(true, |at| at >= self.dimensions[dimension])
        });
        if is_beyond {
            return Ok(None);
        }
        let (table, mut rank) = (self.inner.table, 0);
        // SAFETY: a coordinate for each dimension, and a valid pointer.
        let code = unsafe { (table.cart_rank)(self.inner.handle, coords.as_ptr(), &raw mut rank) };
        library::check(table, code, || call)?;
        Ok(usize::try_from(rank).ok())
    }

    /// The neighbours `by` places along a dimension: to whom a message shifted so far goes, and from whom one comes.
    ///
    /// # Errors
    /// There is no such dimension.
    #[track_caller]
    pub fn shift(&self, dimension: usize, by: i32) -> MpiResult<Shift> {
        let call = Call::here("shift");
        library::is_open(&call)?;
        if dimension >= self.dimensions.len() {
            let text = format!("the grid has {} dimensions, from 0", self.dimensions.len());
            return Err(MpiError::Failed {
                call,
                class: ErrorClass::Dimensions,
                text,
            });
        }
        let dimension = super::parcel::count(&call, dimension)?;
        let (table, comm) = (self.inner.table, self.inner.handle);
        let (mut source, mut destination) = (NO_PROCESS, NO_PROCESS);
        // SAFETY: valid pointers.
        let code = unsafe {
            (table.cart_shift)(comm, dimension, by, &raw mut source, &raw mut destination)
        };
        library::check(table, code, || call)?;
        Ok(Shift {
            source: usize::try_from(source).ok(),
            destination: usize::try_from(destination).ok(),
        })
    }

    /// The grids of fewer dimensions that this one consists of: the dimensions for which `remain` is true stay
    /// together. Every rank gets the one that it lies on. All ranks call it.
    ///
    /// # Errors
    /// There are not as many flags as dimensions, or the flags differ.
    #[track_caller]
    pub fn sub(&self, remain: &[bool]) -> MpiResult<Cartesian> {
        let call = Call::here("sub");
        let (expected, found) = (self.dimensions.len(), remain.len());
        let fits = if expected == found {
            Ok(())
        } else {
            let rank = self.rank();
            Err(MpiError::Count {
                call,
                rank,
                expected,
                found,
            })
        };
        let same = remain
            .iter()
            .fold(1, |bits, &flag| bits << 1 | u64::from(flag));
        let header = Header::of(What::Sub).with_same(same);
        self.gate_with(&call, fits, header, |()| 0)?;
        let flags: Vec<i32> = remain.iter().map(|&flag| i32::from(flag)).collect();
        // SAFETY: a flag for each dimension, and all ranks are here.
        let made = self.made(&call, |table, comm, out| unsafe {
            (table.cart_sub)(comm, flags.as_ptr(), out)
        })?;
        let kept = |at: &usize| remain[*at];
        let stay: Vec<usize> = (0..found).filter(kept).collect();
        Cartesian::new(
            made.ok_or(MpiError::NoProcess { call })?,
            &call,
            stay.iter().map(|&at| self.dimensions[at]).collect(),
            stay.iter().map(|&at| self.periods[at]).collect(),
        )
    }
}

impl Neighbors for Cartesian {
    fn communicator(&self) -> &Communicator {
        &self.communicator
    }

    /// For each dimension the one before and the one behind.
    fn sources(&self) -> MpiResult<Vec<Option<usize>>> {
        let mut neighbors = Vec::new();
        for dimension in 0..self.dimensions.len() {
            let shift = self.shift(dimension, 1)?;
            neighbors.extend([shift.source, shift.destination]);
        }
        Ok(neighbors)
    }

    fn destinations(&self) -> MpiResult<Vec<Option<usize>>> {
        self.sources()
    }

    fn kind(&self) -> u64 {
        digest::<Self>()
    }
}

impl Deref for Cartesian {
    type Target = Communicator;

    fn deref(&self) -> &Communicator {
        &self.communicator
    }
}

impl fmt::Debug for Cartesian {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "grid of {:?}: rank {} at {:?}",
            self.dimensions,
            self.rank(),
            self.coords
        )
    }
}
