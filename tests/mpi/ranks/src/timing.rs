//! Ping-pong between ranks 0 and 1: the time of one way, as `tests/bench/mpi.c` measures it in C.

use std::hint::black_box;

use forkline::mpi::{self, Communicator, MpiResult, SUM};

/// Bytes, and round trips.
const SIZES: [(usize, usize); 5] = [
    (8, 20_000),
    (1_024, 20_000),
    (16_384, 5_000),
    (262_144, 1_000),
    (4_194_304, 60),
];

pub fn ping_pong(world: &Communicator) -> MpiResult<()> {
    let rank = world.rank();
    for (bytes, trips) in SIZES {
        let mut data = vec![1_u8; bytes];
        if rank < 2 {
            let other = 1 - rank;
            let mut trip = |data: &mut [u8]| {
                if rank == 0 {
                    world.send_slice(data, other, 0)?;
                    world.recv_slice(data, other, 0)?;
                } else {
                    world.recv_slice(data, other, 0)?;
                    world.send_slice(data, other, 0)?;
                }
                MpiResult::Ok(())
            };
            (0..trips / 10).try_for_each(|_| trip(&mut data))?;
            let start = mpi::wtime()?;
            (0..trips).try_for_each(|_| trip(black_box(&mut data)))?;
            report(rank, "send_slice", bytes, start, 2 * trips)?;
        }
        world.barrier()?;
    }
    for (name, is_checked) in [("allreduce", true), ("allreduce unchecked", false)] {
        let world = if is_checked {
            world.clone()
        } else {
            world.unchecked()
        };
        let (mine, mut sum) = ([1.0; 8], [0.0; 8]);
        for _ in 0..200 {
            world.allreduce_slice(&mine, &mut sum, SUM)?;
        }
        let start = mpi::wtime()?;
        for _ in 0..5_000 {
            world.allreduce_slice(black_box(&mine), &mut sum, SUM)?;
        }
        report(rank, name, 64, start, 5_000)?;
    }
    let value = "x".repeat(20);
    if rank < 2 {
        let start = mpi::wtime()?;
        for _ in 0..10_000 {
            if rank == 0 {
                world.send(&value, 1, 0)?;
                black_box(world.recv::<String>(1, 0)?);
            } else {
                let got: String = world.recv(0, 0)?;
                world.send(&got, 0, 0)?;
            }
        }
        report(rank, "send", 20, start, 20_000)?;
    }
    world.barrier()
}

fn report(rank: usize, name: &str, bytes: usize, start: f64, times: usize) -> MpiResult<()> {
    let each = (mpi::wtime()? - start) / times as f64;
    if rank == 0 {
        println!("{name}\t{bytes}\t{:.1}", each * 1e9);
    }
    Ok(())
}
