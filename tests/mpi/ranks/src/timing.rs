//! Ping-pong between ranks 0 and 1: the time of one way, as `tests/bench/mpi.c` measures it in C.

use std::hint::black_box;

use forkline::mpi::{self, Communicator, MpiResult, SUM};

/// Bytes, and round trips in a round.
const SIZES: [(usize, usize); 5] = [
    (8, 5_000),
    (1_024, 5_000),
    (16_384, 1_000),
    (262_144, 200),
    (4_194_304, 20),
];
const ROUNDS: usize = 15;

pub fn ping_pong(world: &Communicator) -> MpiResult<()> {
    let rank = world.rank();
    for (bytes, trips) in SIZES {
        let mut data = vec![1_u8; bytes];
        best(world, "send_slice", bytes, 2 * trips, || {
            let other = 1 - rank;
            for _ in 0..trips {
                let data = black_box(&mut data[..]);
                if rank == 0 {
                    world.send_slice(data, other, 0)?;
                    world.recv_slice(data, other, 0)?;
                } else {
                    world.recv_slice(data, other, 0)?;
                    world.send_slice(data, other, 0)?;
                }
            }
            Ok(())
        })?;
    }
    for (name, is_checked) in [("allreduce checked", true), ("allreduce", false)] {
        let this = if is_checked {
            world.clone()
        } else {
            world.unchecked()
        };
        let (mine, mut sum) = ([1.0; 8], [0.0; 8]);
        best(world, name, 64, 2_000, || {
            (0..2_000).try_for_each(|_| this.allreduce_slice(black_box(&mine), &mut sum, SUM))
        })?;
    }
    let value = "x".repeat(20);
    best(world, "send", 20, 4_000, || {
        for _ in 0..2_000 {
            if rank == 0 {
                world.send(&value, 1, 0)?;
                black_box(world.recv::<String>(1, 0)?);
            } else {
                let got: String = world.recv(0, 0)?;
                world.send(&got, 0, 0)?;
            }
        }
        Ok(())
    })
}

/// The shortest of some rounds, for one of the `times` that each has, in nanoseconds.
fn best(
    world: &Communicator,
    name: &str,
    bytes: usize,
    times: usize,
    mut round: impl FnMut() -> MpiResult<()>,
) -> MpiResult<()> {
    let mut shortest = f64::INFINITY;
    for _ in 0..ROUNDS {
        world.barrier()?;
        let start = mpi::wtime()?;
        if world.rank() < 2 || name.starts_with("allreduce") {
            round()?;
        }
        shortest = shortest.min(mpi::wtime()? - start);
    }
    if world.rank() == 0 {
        println!("{name}\t{bytes}\t{:.1}", shortest / times as f64 * 1e9);
    }
    Ok(())
}
