//! The measurements of `ping.c` and `ping.py`, with `forkline::mpi`: the shortest of some rounds, in nanoseconds for one
//! call, or for one way of a message.

use std::hint::black_box;

use forkline::mpi::{self, Communicator, MpiResult, SUM};

/// Bytes, and calls in a round.
const SIZES: [(usize, usize); 6] = [
    (8, 4_000),
    (1_024, 4_000),
    (16_384, 1_000),
    (262_144, 200),
    (1_048_576, 50),
    (16_777_216, 4),
];
const ROUNDS: usize = 15;

pub fn all(world: &Communicator) -> MpiResult<()> {
    for (bytes, calls) in SIZES {
        let mut data = vec![1_u8; bytes];
        best(world, "ping-pong", bytes, 2 * calls, true, || {
            ping_pong(world, black_box(&mut data), calls)
        })?;
    }
    for (name, this) in [("", world.unchecked()), (" checked", world.clone())] {
        for (bytes, calls) in SIZES {
            collectives(world, &this, name, bytes, calls)?;
        }
    }
    objects(world)
}

fn ping_pong(world: &Communicator, data: &mut [u8], trips: usize) -> MpiResult<()> {
    let rank = world.rank();
    let other = 1 - rank;
    for _ in 0..trips {
        if rank == 0 {
            world.send_slice(data, other, 0)?;
            world.recv_slice(data, other, 0)?;
        } else {
            world.recv_slice(data, other, 0)?;
            world.send_slice(data, other, 0)?;
        }
    }
    Ok(())
}

/// `this` is `world`, or one that leaves out the comparison of what the ranks give.
fn collectives(
    world: &Communicator,
    this: &Communicator,
    kind: &str,
    bytes: usize,
    calls: usize,
) -> MpiResult<()> {
    let n = bytes / 8;
    let mine = vec![1.0_f64; n];
    let mut sum = vec![0.0_f64; n];
    best(
        world,
        &format!("allreduce{kind}"),
        bytes,
        calls,
        false,
        || (0..calls).try_for_each(|_| this.allreduce_slice(black_box(&mine), &mut sum, SUM)),
    )?;
    let mut data = vec![1_u8; bytes];
    best(world, &format!("bcast{kind}"), bytes, calls, false, || {
        (0..calls).try_for_each(|_| this.bcast_slice(black_box(&mut data[..]), 0))
    })?;
    let out = vec![1_u8; bytes * world.size()];
    let mut into = vec![0_u8; bytes * world.size()];
    best(
        world,
        &format!("alltoall{kind}"),
        bytes,
        calls,
        false,
        || (0..calls).try_for_each(|_| this.alltoall_slice(black_box(&out), &mut into)),
    )
}

/// Values, which are encoded; the time of one way of a text of 20 letters, and of a list of 1000 numbers.
fn objects(world: &Communicator) -> MpiResult<()> {
    fn one<T: serde::Serialize + serde::de::DeserializeOwned + 'static>(
        world: &Communicator,
        name: &str,
        bytes: usize,
        value: &T,
    ) -> MpiResult<()> {
        best(world, name, bytes, 4_000, true, || {
            for _ in 0..2_000 {
                if world.rank() == 0 {
                    world.send(value, 1, 0)?;
                    black_box(world.recv::<T>(1, 0)?);
                } else {
                    let got: T = world.recv(0, 0)?;
                    world.send(&got, 0, 0)?;
                }
            }
            Ok(())
        })
    }
    one(world, "object text", 20, &"x".repeat(20))?;
    one(
        world,
        "object list",
        8_000,
        &(0..1000_i64).collect::<Vec<i64>>(),
    )
}

/// The shortest of some rounds, for one of the `times` that each has, in nanoseconds.
fn best(
    world: &Communicator,
    name: &str,
    bytes: usize,
    times: usize,
    of_two: bool,
    mut round: impl FnMut() -> MpiResult<()>,
) -> MpiResult<()> {
    let mut shortest = f64::INFINITY;
    for _ in 0..ROUNDS {
        world.barrier()?;
        let start = mpi::wtime()?;
        if world.rank() < 2 || !of_two {
            round()?;
        }
        shortest = shortest.min(mpi::wtime()? - start);
    }
    if world.rank() == 0 {
        println!("{name}\t{bytes}\t{:.1}", shortest / times as f64 * 1e9);
    }
    Ok(())
}
