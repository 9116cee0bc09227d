//! Recordings of all ranks, and pictures of grids and graphs.

use std::time::Duration;

use forkline::mpi::{ANY_SOURCE, Communicator, MpiResult, Neighbors, Topology};
use forkline::trace;

pub fn messages(world: &Communicator) -> MpiResult<()> {
    let (rank, size) = (world.rank(), world.size());
    // Each kind of call that sends or receives, from every other rank to rank 0; the first receives wait.
    let numbers = [1.0; 10];
    let (done, recording) = world.record(|| -> MpiResult<()> {
        if rank > 0 {
            {
                let _span = trace::span("prepare");
                std::thread::sleep(Duration::from_millis(20));
            }
            world.send("a value", 0, 1)?;
            world.ssend("a value", 0, 2)?;
            world.send_slice(&numbers, 0, 3)?;
            world.isend("a value", 0, 4)?.wait()?;
            world.isend_slice(numbers.to_vec(), 0, 5)?.wait()?;
            return Ok(());
        }
        for _ in 1..size {
            world.recv::<String>(ANY_SOURCE, 1)?;
        }
        for other in 1..size {
            world.recv_timeout::<String>(other, 2, Duration::from_secs(20))?;
            world.recv_slice(&mut [0.0; 20], other, 3)?;
            let request = world.irecv_slice(vec![0.0; 10], other, 5)?;
            world.recv::<String>(other, 4)?;
            request.wait()?;
        }
        Ok(())
    })?;
    done?;
    assert_eq!(recording.is_some(), rank == 0);
    if let Some(recording) = recording {
        assert_eq!(recording.n_ranks(), size);
        assert_eq!(
            (recording.transfers().len(), recording.n_under_way()),
            (5 * (size - 1), 0)
        );
        for transfer in recording.transfers() {
            assert!(transfer.from > 0 && transfer.to == 0);
            assert!(transfer.sent_ns <= transfer.received_ns, "{transfer:?}");
            assert!(transfer.asked_ns <= transfer.received_ns, "{transfer:?}");
            let is_slice = [3, 5].contains(&transfer.tag);
            assert_eq!(transfer.bytes == 80, is_slice, "{transfer:?}");
        }
        let rows: Vec<String> = recording
            .trace()
            .rows()
            .iter()
            .map(|row| row.name())
            .collect();
        assert_eq!(
            rows,
            (0..size)
                .map(|rank| format!("rank {rank}"))
                .collect::<Vec<_>>()
        );
        for row in &recording.trace().rows()[1..] {
            let names: Vec<&str> = row.spans().iter().map(|span| &*span.name).collect();
            assert_eq!(names[..2], ["prepare", "send"]);
        }
        let sums: Vec<usize> = recording
            .traffic()
            .iter()
            .map(|row| row.iter().sum())
            .collect();
        assert_eq!(sums[0], 0);
        assert!(sums[1..].iter().all(|&bytes| bytes > 160));
        if size > 1 {
            let words = recording.timeline("all").size(640, 300);
            let words = forkline::display::Show::show(&words).plain_text();
            assert!(words.contains("waits: "), "{words}");
            assert!(
                words.contains(&format!("{} arrows", 5 * (size - 1))),
                "{words}"
            );
        }
    }
    // Another communicator's messages are its own; one recording at a time; and what panics leaves nothing behind.
    let twin = world.dup()?;
    let ((), recording) = twin.record(|| {
        let _sent = world.isend(&1, rank, 0);
        assert_eq!(world.recv::<i32>(rank, 0).ok(), Some(1));
        assert!(twin.record(|| ()).is_err());
    })?;
    assert!(recording.is_none_or(|recording| recording.transfers().is_empty()));
    twin.free()?;
    world.barrier()
}

pub fn clocks(world: &Communicator) -> MpiResult<()> {
    assert_eq!(world.clock_ahead_of_rank_0("one")?, 0);
    // As if each rank ran on another machine: their clocks are the same, which is what comes out.
    let ahead = world.clock_ahead_of_rank_0(&format!("machine {}", world.rank()))?;
    assert!(ahead.abs() < 20_000_000, "{ahead}");
    world.barrier()
}

pub fn pictures(world: &Communicator) -> MpiResult<()> {
    let size = world.size();
    for periods in [[false, false], [true, false], [true, true]] {
        let sides = forkline::mpi::dims_create(size, &[0, 0])?;
        let grid = world
            .cartesian(&sides, &periods, false)?
            .expect("all are on it");
        // As MPI itself has it.
        let mine: Vec<usize> = grid.sources()?.into_iter().flatten().collect();
        assert_eq!(grid.picture().neighbors(grid.rank()), mine);
        assert_eq!(grid.picture().len(), size);
        let coords: Vec<String> = grid.coords().iter().map(usize::to_string).collect();
        let line = format!("\n{} at ({}): ", grid.rank(), coords.join(", "));
        assert!(grid.picture().to_string().contains(&line));
    }
    let (rank, next) = (world.rank(), (world.rank() + 1) % size);
    let ring = world.dist_graph(&[(rank + size - 1) % size], &[next], false)?;
    let lists: Vec<Vec<usize>> = (0..size).map(|rank| vec![(rank + 1) % size]).collect();
    assert_eq!(ring.picture()?, Topology::graph(&lists).mark(rank));
    let own = forkline::display::Show::show(&ring).plain_text();
    assert!(own.contains("the links of one"), "{own}");
    world.barrier()
}
