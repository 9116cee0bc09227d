//! Communicators, groups, grids and graphs.

use forkline::mpi::{self, Communicator, Comparison, MpiError, MpiResult, Neighbors, SUM};

pub fn communicators(world: &Communicator) -> MpiResult<()> {
    let (rank, size) = (world.rank(), world.size());
    let twin = world.dup()?;
    assert_eq!(world.compare(&twin)?, Comparison::Congruent);
    assert_eq!(world.compare(&mpi::world()?)?, Comparison::Identical);
    twin.set_name("twin")?;
    assert_eq!(twin.name(), "twin");
    twin.set_name(&"ä".repeat(100))?;
    assert!(twin.name().chars().all(|c| c == 'ä'));
    // Messages of the two are apart.
    drop(world.isend(&1, rank, 0)?);
    drop(twin.isend(&2, rank, 0)?);
    assert_eq!(
        (twin.recv::<i32>(rank, 0)?, world.recv::<i32>(rank, 0)?),
        (2, 1)
    );
    // Backwards: the key decides.
    let halves = world
        .split(Some(rank % 2), -(rank as i32))?
        .expect("a colour");
    let mine = (0..size).filter(|r| r % 2 == rank % 2).count();
    assert_eq!(halves.size(), mine);
    assert_eq!(halves.rank(), mine - 1 - rank / 2);
    assert_eq!(halves.allreduce(1, |a, b| a + b)?, mine);
    let some = world.split((rank == 0).then_some(3), 0)?;
    assert_eq!(some.map(|some| some.size()), (rank == 0).then_some(1));
    // All ranks of these tests run on one machine.
    assert_eq!(world.split_shared()?.size(), size);
    let clone = halves.clone();
    let error = halves.free().unwrap_err();
    assert!(error.to_string().contains("another clone"), "{error}");
    clone.free()?;
    twin.free()?;
    assert!(mpi::world()?.free().is_err());
    for _ in 0..200 {
        world.dup()?.free()?;
    }
    world.barrier()
}

pub fn groups(world: &Communicator) -> MpiResult<()> {
    let (rank, size) = (world.rank(), world.size());
    let all = world.group()?;
    assert_eq!((all.size()?, all.rank()?), (size, Some(rank)));
    let last = all.include(&[size - 1])?;
    let rest = all.exclude(&[size - 1])?;
    assert_eq!((last.size()?, rest.size()?), (1, size - 1));
    assert_eq!(last.rank()?, (rank == size - 1).then_some(0));
    assert_eq!(last.union(&rest)?.size()?, size);
    assert_eq!(all.intersection(&last)?.size()?, 1);
    assert_eq!(all.difference(&last)?.size()?, size - 1);
    let swapped = last.union(&rest)?;
    let back = swapped.translate(&[0], &all)?;
    assert_eq!(back, [Some(size - 1)]);
    assert_eq!(all.translate(&[size - 1], &rest)?, [None]);
    let error = all.include(&[size]).unwrap_err();
    assert!(error.to_string().contains("include"), "{error}");
    let made = world.create(&swapped)?.expect("all are in it");
    assert_eq!(made.rank(), (rank + 1) % size);
    if size > 1 {
        let made = world.create(&rest)?;
        assert_eq!(made.is_some(), rank != size - 1);
        if let Some(made) = made {
            assert_eq!(made.allreduce(1, |a, b| a + b)?, size - 1);
        }
    }
    world.barrier()
}

/// The largest grid of two equal sides, as the recipe chooses it.
fn sides(size: usize) -> [usize; 2] {
    let rows = size.isqrt();
    [rows, size / rows]
}

pub fn grid(world: &Communicator) -> MpiResult<()> {
    let [rows, columns] = sides(world.size());
    let Some(grid) = world.cartesian(&[rows, columns], &[false, false], true)? else {
        return Ok(());
    };
    let at = [grid.coords()[0], grid.coords()[1]];
    assert_eq!(at[0] * columns + at[1], grid.rank());
    assert_eq!(grid.coords_of(grid.rank())?, at);
    assert_eq!(
        grid.rank_of(&[at[0] as i32, at[1] as i32])?,
        Some(grid.rank())
    );
    assert_eq!(grid.rank_of(&[-1, 0])?, None);
    assert_eq!(grid.rank_of(&[0, columns as i32])?, None);
    assert!(grid.rank_of(&[0]).is_err());
    assert!(grid.coords_of(grid.size()).is_err());
    let vertical = grid.shift(0, 1)?;
    assert_eq!(
        vertical.source,
        at[0].checked_sub(1).map(|row| row * columns + at[1])
    );
    let below = (at[0] + 1 < rows).then(|| (at[0] + 1) * columns + at[1]);
    assert_eq!(vertical.destination, below);
    assert!(grid.shift(2, 1).is_err());
    // Rows and columns as grids of their own.
    let row = grid.sub(&[false, true])?;
    assert_eq!(
        (row.dimensions(), row.size(), row.coords()),
        (&[columns][..], columns, &at[1..])
    );
    let mut sum = [0];
    row.allreduce_slice(&[at[1]], &mut sum, SUM)?;
    assert_eq!(sum, [columns * (columns - 1) / 2]);
    assert!(format!("{grid:?}").starts_with("grid of ["), "{grid:?}");
    Ok(())
}

pub fn torus(world: &Communicator) -> MpiResult<()> {
    let [rows, columns] = sides(world.size());
    let made = world.cartesian(&[rows, columns], &[true, true], false)?;
    assert_eq!(made.is_some(), world.rank() < rows * columns);
    let Some(torus) = made else { return Ok(()) };
    let (row, column) = (torus.coords()[0], torus.coords()[1]);
    let rank_at = |row: usize, column: usize| Some(row % rows * columns + column % columns);
    let shift = torus.shift(0, 1)?;
    assert_eq!(shift.source, rank_at(row + rows - 1, column));
    assert_eq!(shift.destination, rank_at(row + 1, column));
    let shift = torus.shift(1, 1)?;
    assert_eq!(shift.source, rank_at(row, column + columns - 1));
    assert_eq!(shift.destination, rank_at(row, column + 1));
    assert_eq!(torus.rank_of(&[-1, columns as i32])?, rank_at(rows - 1, 0));
    // What is sent along the shift comes from the other side.
    let got = torus.sendrecv(&torus.rank(), shift.destination, 0, shift.source, 0)?;
    assert_eq!(Some(got), shift.source);
    Ok(())
}

pub fn left_over(world: &Communicator) -> MpiResult<()> {
    let size = world.size();
    assert_eq!(mpi::dims_create(12, &[0, 0])?, [4, 3]);
    assert_eq!(mpi::dims_create(12, &[0, 2])?, [6, 2]);
    assert!(mpi::dims_create(7, &[2, 0]).is_err());
    let small = world.cartesian(&[1], &[true], false)?;
    assert_eq!(small.is_some(), world.rank() == 0);
    let error = world.cartesian(&[size + 1], &[true], false).unwrap_err();
    assert!(error.to_string().contains("cannot be made of"), "{error}");
    let error = world.cartesian(&[1, 1], &[true], false).unwrap_err();
    assert!(
        error.to_string().contains("2 dimensions, but 1 periods"),
        "{error}"
    );
    assert!(world.cartesian(&[0], &[true], false).is_err());
    if size > 1 {
        let error = world
            .cartesian(&[1 + world.rank() % 2], &[true], false)
            .unwrap_err();
        assert!(matches!(error, MpiError::Mismatch { .. }), "{error}");
    }
    world.barrier()
}

pub fn graphs(world: &Communicator) -> MpiResult<()> {
    let (rank, size) = (world.rank(), world.size());
    // A star, without the last rank if there are more than two.
    let n = if size > 2 { size - 1 } else { size };
    let star: Vec<Vec<usize>> = (0..n)
        .map(|node| if node == 0 { (1..n).collect() } else { vec![0] })
        .collect();
    let made = world.graph(&star, false)?;
    assert_eq!(made.is_some(), rank < n);
    if let Some(graph) = made {
        assert_eq!(graph.neighbors(), star[graph.rank()]);
        let got = graph.neighbor_allgather(graph.rank() * 10)?;
        let wanted: Vec<_> = star[graph.rank()].iter().map(|&r| Some(r * 10)).collect();
        assert_eq!(got, wanted);
    }
    assert!(world.graph(&vec![vec![]; size + 1], false).is_err());
    assert!(world.graph(&[vec![5 * size]], false).is_err());
    // A ring in one direction: from the one before, to the next.
    let (previous, next) = ((rank + size - 1) % size, (rank + 1) % size);
    let ring = world.dist_graph(&[previous], &[next], false)?;
    assert_eq!(ring.sources()?, [Some(previous)]);
    assert_eq!(ring.neighbors(), [next]);
    let got = ring.neighbor_alltoall(vec![format!("from {rank}")])?;
    assert_eq!(got, [Some(format!("from {previous}"))]);
    assert_eq!(ring.neighbor_allgather_slice(&[rank, 1])?, [previous, 1]);
    // An edge that only one side knows.
    let error = world.dist_graph(&[], &[next], false).unwrap_err();
    assert!(error.to_string().contains("sends 1 times"), "{error}");
    world.barrier()
}

pub fn neighbors(world: &Communicator) -> MpiResult<()> {
    let size = world.size();
    let line = world
        .cartesian(&[size], &[false], false)?
        .expect("all are on it");
    let rank = line.rank();
    let left = rank.checked_sub(1);
    let right = (rank + 1 < size).then_some(rank + 1);
    assert_eq!(line.sources()?, [left, right]);
    let got = line.neighbor_allgather_slice(&[rank as i32 + 1])?;
    let of = |rank: Option<usize>| rank.map_or(0, |rank| rank as i32 + 1);
    assert_eq!(got, [of(left), of(right)]);
    let got = line.neighbor_alltoall_slice(&[rank as i32 + 1, -(rank as i32) - 1])?;
    // The left one sent its right part, the right one its left part.
    assert_eq!(got, [-of(left), of(right)]);
    let texts = vec![format!("{rank} left"), format!("{rank} right")];
    let got = line.neighbor_alltoall(texts)?;
    assert_eq!(
        got,
        [
            left.map(|left| format!("{left} right")),
            right.map(|right| format!("{right} left"))
        ]
    );
    assert!(line.neighbor_alltoall(vec![1]).is_err());
    assert!(line.neighbor_alltoall_slice(&[1, 2, 3]).is_err());
    world.barrier()
}
