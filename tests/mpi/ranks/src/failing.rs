//! What goes wrong: every error is told on the ranks that it concerns, nobody hangs, and MPI works on.

use std::time::{Duration, Instant};

use forkline::mpi::{self, ANY_TAG, Communicator, ErrorClass, MpiError, MpiResult, SUM};
use forkline::prelude::{Deserialize, Serialize};

#[track_caller]
fn is_count<T: std::fmt::Debug>(result: MpiResult<T>, wanted: &str) {
    let error = result.expect_err(wanted);
    assert!(error.to_string().contains(wanted), "{error}");
}

pub fn wrong_counts(world: &Communicator) -> MpiResult<()> {
    let (rank, size) = (world.rank(), world.size());
    let items = (rank == 0).then(|| vec![1; size + 7]);
    let wanted = format!("expecting {size} items, got {} on rank 0", size + 7);
    is_count(world.scatter(items, 0), &wanted);
    is_count(world.scatter(Some(vec![1; size - 1]), 0), "on rank 0");
    is_count(world.scatter::<u8>(None, 0), "got 0 on rank 0");
    is_count(
        world.bcast::<u8>(None, 0),
        if rank == 0 { "got 0" } else { "rank 0" },
    );
    is_count(world.alltoall(vec![1; size + 1]), "on rank 0");
    let send = vec![1; if rank == 0 { size + 7 } else { 0 }];
    let wanted = if rank == 0 {
        wanted.as_str()
    } else {
        "rank 0 could not take part"
    };
    is_count(world.scatter_slice(&send, &mut [0], 0), wanted);
    if size > 1 {
        // Ranks whose own lengths are right get the error too.
        let longer = vec![1; 1 + usize::from(rank == 1)];
        is_count(
            world.bcast_slice(&mut longer.clone(), 0),
            "expecting 1 items, got 2 on rank 1",
        );
        is_count(
            world.allreduce_slice(&longer, &mut longer.clone(), SUM),
            "got 2 on rank 1",
        );
        is_count(
            world.reduce_slice(&longer, &mut longer.clone(), SUM, 0),
            "got 2 on rank 1",
        );
        let mut all = vec![0; longer.len() * size];
        is_count(world.allgather_slice(&longer, &mut all), "got 2 on rank 1");
        is_count(world.gather_slice(&longer, &mut all, 1), "rank 1");
        let mut short = vec![0; if rank == 1 { 0 } else { 1 }];
        let wanted = if rank == 1 {
            "got 0 on rank 1"
        } else {
            "rank 1 could not"
        };
        is_count(world.allreduce_slice(&[1], &mut short, SUM), wanted);
        let counts = vec![1; if rank == 1 { size + 1 } else { size }];
        is_count(world.alltoallv_slice(&vec![1; size], &counts), "rank 1");
        is_count(
            world.reduce_scatter_slice(&vec![1; size], &counts, SUM),
            "rank 1",
        );
        is_count(
            world.alltoall_slice(&[1; 1000][..size + 1], &mut [0; 1000][..size + 1]),
            "expecting",
        );
        let (send, counts) = if rank == 0 {
            (vec![1; size], vec![1; size])
        } else {
            (vec![], vec![])
        };
        let mut mine = vec![0; 1 + usize::from(rank == 1)];
        let wanted = if rank == 0 {
            "got 2 on rank 1"
        } else {
            "rank 0 could not"
        };
        is_count(world.scatterv_slice(&send, &counts, &mut mine, 0), wanted);
    }
    // MPI is in order.
    assert_eq!(world.allreduce(1, |a, b| a + b)?, size);
    Ok(())
}

#[track_caller]
fn is_mismatch<T: std::fmt::Debug>(result: MpiResult<T>, wanted: &str) {
    let error = result.expect_err(wanted);
    assert!(matches!(error, MpiError::Mismatch { .. }), "{error:?}");
    assert!(error.to_string().contains(wanted), "{error}");
}

pub fn wrong_calls(world: &Communicator) -> MpiResult<()> {
    let (rank, size) = (world.rank(), world.size());
    is_mismatch(world.bcast(Some(1), size), "is no root");
    is_mismatch(world.gather(1, size), "is no root");
    is_mismatch(world.reduce_slice(&[1], &mut [1], SUM, size), "is no root");
    is_mismatch(world.scatter_slice(&[1], &mut [1], size), "is no root");
    if size == 1 {
        return Ok(());
    }
    if rank == 1 {
        is_mismatch(
            world.barrier(),
            "rank 0 is in gather with root 0, rank 1 in barrier",
        );
    } else {
        is_mismatch(
            world.gather(1, 0),
            "rank 0 is in gather with root 0, rank 1 in barrier",
        );
    }
    is_mismatch(
        world.bcast(Some(1), rank % 2),
        "rank 0 is in bcast with root 0, rank 1 in bcast with root 1",
    );
    if rank == 1 {
        is_mismatch(world.allgather(1_u8), "another type");
        is_mismatch(
            world.allreduce_slice(&[1_u8], &mut [0], SUM),
            "another type",
        );
        is_mismatch(
            world.allreduce_slice(&[1], &mut [0], mpi::MAX),
            "other arguments",
        );
    } else {
        is_mismatch(world.allgather(1_u64), "another type");
        is_mismatch(
            world.allreduce_slice(&[1_u16], &mut [0], SUM),
            "another type",
        );
        is_mismatch(
            world.allreduce_slice(&[1], &mut [0], SUM),
            "other arguments",
        );
    }
    assert_eq!(world.allreduce(1, |a, b| a + b)?, size);
    Ok(())
}

/// A value that cannot be written on rank 1.
#[derive(Deserialize, Debug, Clone, Default)]
struct Stubborn {
    is_stubborn: bool,
}

impl Serialize for Stubborn {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.is_stubborn {
            return Err(serde::ser::Error::custom("no"));
        }
        serializer.serialize_bool(false)
    }
}

pub fn wrong_values(world: &Communicator) -> MpiResult<()> {
    let (rank, size) = (world.rank(), world.size());
    let value = Stubborn {
        is_stubborn: rank == size - 1,
    };
    let error = world.allgather(value.clone()).unwrap_err();
    if rank == size - 1 {
        assert!(matches!(error, MpiError::Message { .. }), "{error:?}");
        assert!(world.send(&value, 0, 0).is_err());
    } else {
        let wanted = format!("rank {} could not take part", size - 1);
        assert!(error.to_string().contains(&wanted), "{error}");
    }
    assert!(world.bcast(Some(value), size - 1).is_err());
    // A receive of another type.
    drop(world.isend("text", rank, 0)?);
    let error = world.recv::<u64>(rank, 0).unwrap_err();
    assert!(error.to_string().contains("is no u64"), "{error}");
    drop(world.isend_slice(vec![1_u8; 40], rank, 0)?);
    let error = world.recv::<Vec<u8>>(rank, 0).unwrap_err();
    assert!(error.to_string().contains("from a slice"), "{error}");
    world.barrier()
}

pub fn truncated(world: &Communicator) -> MpiResult<()> {
    let rank = world.rank();
    for length in [10, 100_000] {
        let request = world.isend_slice(vec![1_u32; length], rank, 0)?;
        let mut short = vec![0_u32; length / 2];
        let error = world.recv_slice(&mut short, rank, 0).unwrap_err();
        assert_eq!(error.class(), Some(ErrorClass::Truncate), "{error}");
        assert!(
            error.to_string().contains("longer than the slice"),
            "{error}"
        );
        request.wait()?;
    }
    drop(world.isend(&1, rank, 0)?);
    assert_eq!(world.recv::<i32>(rank, 0)?, 1);
    world.barrier()
}

pub fn invalid(world: &Communicator) -> MpiResult<()> {
    let size = world.size();
    for error in [
        world.send(&1, size, 0).unwrap_err(),
        world.send_slice(&[1], size + 100, 0).unwrap_err(),
        world.send(&1, -1, 0).unwrap_err(),
        world.send(&1, i32::MIN, 0).unwrap_err(),
        world.recv::<u8>(size, 0).unwrap_err(),
        world.recv_slice(&mut [1], -2, 0).unwrap_err(),
        world.probe(size, 0).unwrap_err(),
        world.isend(&1, usize::MAX, 0).unwrap_err(),
    ] {
        assert_eq!(error.class(), Some(ErrorClass::Rank), "{error}");
        assert!(error.to_string().contains("size() - 1"), "{error}");
        let call = error.call().expect("a call");
        assert!(call.location.file().ends_with("failing.rs"), "{call:?}");
    }
    for error in [
        world.send(&1, 0, -1).unwrap_err(),
        world.recv::<u8>(0, i32::MIN).unwrap_err(),
    ] {
        assert_eq!(error.class(), Some(ErrorClass::Tag), "{error}");
    }
    world.barrier()
}

pub fn deadlock(world: &Communicator) -> MpiResult<()> {
    // Both receive first: the wait has an end here, and nothing is lost.
    let (rank, size) = (world.rank(), world.size());
    let partner = rank ^ 1;
    let has_partner = partner < size;
    if has_partner {
        let start = Instant::now();
        let nothing = world.recv_timeout::<String>(partner, 8, Duration::from_millis(50))?;
        assert_eq!(nothing, None);
        assert!(start.elapsed() >= Duration::from_millis(50));
    }
    world.barrier()?;
    // Both send first, synchronously: neither send ends before a receive.
    let text = format!("from {rank}");
    let mut request = has_partner
        .then(|| world.issend(&text, partner, 8))
        .transpose()?;
    if let Some(request) = &mut request {
        assert!(!request.wait_timeout(Duration::from_millis(50))?);
    }
    world.barrier()?;
    if let Some(request) = request {
        assert_eq!(world.recv::<String>(partner, 8)?, format!("from {partner}"));
        request.wait()?;
    }
    world.barrier()
}

pub fn standing(world: &Communicator) -> MpiResult<()> {
    if world.size() == 1 {
        return Ok(());
    }
    if world.rank() == 1 {
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| world.recv::<String>(0, 42));
            let start = Instant::now();
            let standing = loop {
                if let Some(standing) = mpi::standing().pop() {
                    break standing;
                }
                assert!(start.elapsed() < Duration::from_secs(20));
                std::thread::sleep(Duration::from_millis(1));
            };
            assert_eq!(standing.call.name, "recv");
            assert!(
                standing
                    .call
                    .to_string()
                    .starts_with("recv from rank 0, tag 42")
            );
            assert!(standing.call.location.file().ends_with("failing.rs"));
            world.send(&(), 0, 43)?;
            assert_eq!(waiter.join().expect("no panic")?, "go on");
            MpiResult::Ok(())
        })?;
        assert!(mpi::standing().is_empty());
    } else if world.rank() == 0 {
        world.recv::<()>(1, 43)?;
        world.send("go on", 1, 42)?;
    }
    world.barrier()
}

pub fn dropped(world: &Communicator) -> MpiResult<()> {
    // Requests that nobody waits for: sends arrive all the same, receives take nothing.
    let (rank, size) = (world.rank(), world.size());
    let next = (rank + 1) % size;
    for length in [10, 500_000] {
        drop(world.isend_slice(vec![rank as u32; length], next, 6)?);
        drop(world.isend(&vec![rank as u32; length], next, 7)?);
        drop(world.irecv_slice(vec![0_u32; length], ANY_RECEIVED, 66)?);
        drop(world.irecv::<u8>(next, ANY_TAG)?);
        let previous = (rank + size - 1) % size;
        let mut got = vec![0_u32; length];
        world.recv_slice(&mut got, previous, 6)?;
        assert!(got.iter().all(|&n| n == previous as u32));
        let got: Vec<u32> = world.recv(previous, 7)?;
        assert!(got.len() == length && got.iter().all(|&n| n == previous as u32));
        world.barrier()?;
    }
    Ok(())
}

const ANY_RECEIVED: mpi::Peer = mpi::ANY_SOURCE;

/// Receives that were started take messages in the order in which they were started, whoever is waited for first.
pub fn order(world: &Communicator) -> MpiResult<()> {
    let rank = world.rank();
    for n_bytes in [1, 100_000] {
        let first = world.irecv::<(u8, Vec<u8>)>(rank, ANY_TAG)?;
        let second = world.irecv::<(u8, Vec<u8>)>(mpi::ANY_SOURCE, 5)?;
        let third = world.irecv::<(u8, Vec<u8>)>(rank, 5)?;
        let sends = (1..=4_u8)
            .map(|n| world.isend(&(n, vec![n; n_bytes]), rank, 5))
            .collect::<MpiResult<Vec<_>>>()?;
        // A receive of now comes behind those that were started.
        assert_eq!(world.recv::<(u8, Vec<u8>)>(rank, 5)?.0, 4);
        assert_eq!(third.wait()?.0, 3);
        assert_eq!((first.wait()?.0, second.wait()?.0), (1, 2));
        mpi::wait_all(sends)?;
        // So it is for numbers.
        let later = world.irecv_slice(vec![0_u8; 2], rank, 6)?;
        let send = world.isend_slice(vec![1_u8, 1], rank, 6)?;
        drop(world.isend_slice(vec![2_u8, 2], rank, 6)?);
        let mut now = [0_u8; 2];
        world.recv_slice(&mut now, rank, 6)?;
        assert_eq!((now, later.wait()?), ([2, 2], vec![1, 1]));
        send.wait()?;
    }
    world.barrier()
}

/// A rank that comes late to every collective call: the others wait, and say where. It comes when all have said it.
pub fn late(world: &Communicator) -> MpiResult<()> {
    let saying = world.dup()?;
    if world.rank() == 0 {
        for rank in 1..world.size() {
            saying.recv::<String>(rank, 9)?;
        }
    } else {
        std::thread::spawn(move || {
            loop {
                let standing = mpi::standing();
                if let Some(one) = standing.iter().find(|one| one.call.name == "allreduce") {
                    println!("stands in {}", one.call.name);
                    let _ends_with_the_process = saying.send(one.call.name, 0, 9);
                    return;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        });
    }
    assert_eq!(world.allreduce(1, |a, b| a + b)?, world.size());
    world.barrier()
}

pub fn abort(world: &Communicator) -> MpiResult<()> {
    if world.rank() == 0 {
        mpi::abort(7)?;
    }
    world.recv::<u8>(0, 0).map(drop)
}

pub fn finalize(world: &Communicator) -> MpiResult<()> {
    mpi::finalize()?;
    mpi::finalize()?;
    for error in [
        world.send(&1, 0, 0).unwrap_err(),
        world.barrier().unwrap_err(),
        world.unchecked().barrier().unwrap_err(),
        world.group().unwrap_err(),
        mpi::dims_create(4, &[0, 0]).unwrap_err(),
    ] {
        assert!(matches!(error, MpiError::Ended { .. }), "{error:?}");
    }
    Ok(())
}

/// A rank that fails while the others wait for it.
pub fn panic(world: &Communicator) -> MpiResult<()> {
    assert!(world.rank() != 0, "on purpose");
    world.barrier()
}
