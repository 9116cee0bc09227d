//! Messages from one rank to another.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use forkline::mpi::{self, ANY_SOURCE, ANY_TAG, Communicator, MpiResult, PROC_NULL};
use forkline::prelude::{Deserialize, Serialize};

pub fn world(world: &Communicator) -> MpiResult<()> {
    assert!(world.rank() < world.size());
    assert_eq!(world.name(), "MPI_COMM_WORLD");
    assert_eq!(mpi::world()?.rank(), world.rank());
    assert_eq!((mpi::own()?.rank(), mpi::own()?.size()), (0, 1));
    assert!(!mpi::processor_name()?.is_empty());
    assert!(mpi::library_version()?.contains("MPI"));
    assert!(mpi::wtick()? > 0.0);
    let start = mpi::wtime()?;
    std::thread::sleep(Duration::from_millis(2));
    assert!(mpi::wtime()? - start >= 0.002);
    assert_eq!(
        format!("{world:?}"),
        format!("MPI_COMM_WORLD: rank {} of {}", world.rank(), world.size())
    );
    world.barrier()
}

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
struct Job {
    name: String,
    weights: BTreeMap<u32, Vec<f64>>,
    inner: Option<Box<Job>>,
}

/// Every rank sends to the next one, first rank 0.
fn ring<T>(
    world: &Communicator,
    value: T,
    send: impl Fn(&T, usize) -> MpiResult<()>,
    receive: impl Fn(usize) -> MpiResult<T>,
) -> MpiResult<T> {
    let (rank, size) = (world.rank(), world.size());
    let (next, previous) = ((rank + 1) % size, (rank + size - 1) % size);
    if rank == 0 {
        send(&value, next)?;
        receive(previous)
    } else {
        let got = receive(previous)?;
        send(&value, next)?;
        Ok(got)
    }
}

pub fn values(world: &Communicator) -> MpiResult<()> {
    if world.size() == 1 {
        return Ok(());
    }
    let (rank, size) = (world.rank(), world.size());
    let previous = (rank + size - 1) % size;
    let job = |rank: usize| Job {
        name: format!("job {rank} äöü"),
        weights: BTreeMap::from([(rank as u32, vec![0.5; rank])]),
        inner: Some(Box::new(Job {
            name: String::new(),
            weights: BTreeMap::new(),
            inner: None,
        })),
    };
    let got = ring(
        world,
        job(rank),
        |job, to| world.send(job, to, 7),
        |from| world.recv(from, 7),
    )?;
    assert_eq!(got, job(previous));
    let got = ring(
        world,
        rank.to_string(),
        |text, to| world.send(text.as_str(), to, 1),
        |from| world.recv::<String>(from, ANY_TAG),
    )?;
    assert_eq!(got, previous.to_string());
    // Numbers, an empty vector, the unit: the shortest messages.
    let () = ring(
        world,
        (),
        |unit, to| world.send(unit, to, 0),
        |from| world.recv(from, 0),
    )?;
    let numbers = vec![rank as f64; 3 * rank];
    let got = ring(
        world,
        numbers,
        |n, to| world.send(&n[..], to, 0),
        |from| world.recv(from, 0),
    )?;
    assert_eq!(got, vec![previous as f64; 3 * previous]);
    if rank == 0 {
        let mut seen = vec![0; size];
        for _ in 1..size {
            let (text, status) = world.recv_status::<String>(ANY_SOURCE, ANY_TAG)?;
            assert_eq!(text, format!("from {}", status.source));
            assert_eq!(status.tag as usize, 100 + status.source);
            seen[status.source] += 1;
        }
        assert_eq!(seen[1..], vec![1; size - 1]);
    } else {
        world.send(&format!("from {rank}"), 0, 100 + rank as i32)?;
    }
    world.barrier()
}

pub fn modes(world: &Communicator) -> MpiResult<()> {
    if world.size() == 1 {
        return Ok(());
    }
    let late = Duration::from_millis(60);
    match world.rank() {
        0 => {
            world.barrier()?;
            // The other rank receives late: only the synchronous send waits for it.
            let start = Instant::now();
            world.ssend("late", 1, 0)?;
            assert!(start.elapsed() > late / 2, "{:?}", start.elapsed());
            world.barrier()?;
            let start = Instant::now();
            world.ssend_slice(&[1, 2, 3], 1, 0)?;
            assert!(start.elapsed() > late / 2, "{:?}", start.elapsed());
            world.barrier()?;
            let error = world.bsend_slice(&[0_u8; 100_000], 1, 3).unwrap_err();
            assert_eq!(error.class(), Some(mpi::ErrorClass::Buffer), "{error}");
            assert!(error.to_string().contains("attach_buffer"), "{error}");
            mpi::attach_buffer(1_000_000)?;
            assert!(mpi::attach_buffer(1).is_err());
            let error = world.bsend_slice(&[0_u8; 1_000_001], 1, 3).unwrap_err();
            assert!(
                error.to_string().contains("1000000 of 1000000 are free"),
                "{error}"
            );
            let start = Instant::now();
            world.bsend_slice(&vec![1_u64; 100_000], 1, 1)?;
            world.bsend(&vec![2_u8; 100_000], 1, 2)?;
            assert!(
                start.elapsed() < Duration::from_millis(700),
                "{:?}",
                start.elapsed()
            );
            world.barrier()?;
            // The receives of rank 1 are there before it passes this barrier.
            world.barrier()?;
            world.rsend_slice(&[5_i16], 1, 4)?;
            world.rsend(&6_i16, 1, 5)?;
            assert_eq!(mpi::detach_buffer()?, Some(1_000_000));
            assert_eq!(mpi::detach_buffer()?, None);
        }
        1 => {
            world.barrier()?;
            std::thread::sleep(late);
            assert_eq!(world.recv::<String>(0, 0)?, "late");
            world.barrier()?;
            std::thread::sleep(late);
            let mut three = [0; 3];
            world.recv_slice(&mut three, 0, 0)?;
            assert_eq!(three, [1, 2, 3]);
            world.barrier()?;
            world.barrier()?;
            std::thread::sleep(late);
            let mut many = vec![0_u64; 100_000];
            assert_eq!(world.recv_slice(&mut many, 0, 1)?.count::<u64>(), 100_000);
            assert!(many.iter().all(|&n| n == 1));
            assert_eq!(world.recv::<Vec<u8>>(0, 2)?, vec![2; 100_000]);
            let ready = world.irecv_slice(vec![0_i16], 0, 4)?;
            world.barrier()?;
            assert_eq!(ready.wait()?, [5]);
            assert_eq!(world.recv::<i16>(0, 5)?, 6);
        }
        _ => (0..5).try_for_each(|_| world.barrier())?,
    }
    world.barrier()
}

pub fn slices(world: &Communicator) -> MpiResult<()> {
    let (rank, size) = (world.rank(), world.size());
    macro_rules! each {
        ($($number:ty),*) => {$({
            let mine: Vec<$number> = (0..10).map(|k| (k * (rank + 1)) as $number).collect();
            let previous = (rank + size - 1) % size;
            let mut got = vec![<$number>::default(); 12];
            let status = world.sendrecv_slice(&mine, (rank + 1) % size, 3, &mut got, previous, 3)?;
            let wanted: Vec<$number> = (0..10).map(|k| (k * (previous + 1)) as $number).collect();
            assert_eq!(got[..10], wanted);
            assert_eq!(got[10..], [<$number>::default(); 2]);
            assert_eq!((status.source, status.tag, status.count::<$number>()), (previous, 3, 10));
        })*};
    }
    each!(u8, i8, u16, i16, u32, i32, u64, i64, usize, isize, f32, f64);
    let empty: [u8; 0] = [];
    if size > 1 {
        match rank {
            0 => world.send_slice(&empty, 1, 0)?,
            1 => assert_eq!(world.recv_slice(&mut [0_u8; 0], 0, 0)?.bytes, 0),
            _ => {}
        }
    }
    world.barrier()
}

pub fn requests(world: &Communicator) -> MpiResult<()> {
    let (rank, size) = (world.rank(), world.size());
    let sends = (0..size)
        .map(|to| world.isend(&(rank, to), to, 9))
        .collect::<MpiResult<Vec<_>>>()?;
    let receives = (0..size)
        .map(|from| world.irecv::<(usize, usize)>(from, 9))
        .collect::<MpiResult<Vec<_>>>()?;
    let got = mpi::wait_all(receives)?;
    assert_eq!(got, (0..size).map(|from| (from, rank)).collect::<Vec<_>>());
    mpi::wait_all(sends)?;

    let mut receives = (0..size)
        .map(|from| world.irecv_slice(vec![0_u32; 4], from, 2))
        .collect::<MpiResult<Vec<_>>>()?;
    let sends = (0..size)
        .map(|to| world.isend_slice(vec![rank as u32; 4], to, 2))
        .collect::<MpiResult<Vec<_>>>()?;
    let mut seen = Vec::new();
    while let Some((at, numbers)) = mpi::wait_any(&mut receives)? {
        assert!(at < size);
        assert_eq!(numbers, vec![numbers[0]; 4]);
        seen.push(numbers[0] as usize);
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..size).collect::<Vec<_>>());
    assert_eq!(mpi::wait_all(sends)?, vec![vec![rank as u32; 4]; size]);

    // A request that nobody answers yet.
    let mut request = world.irecv::<u8>(rank, 55)?;
    assert!(!request.test()?);
    assert!(!request.wait_timeout(Duration::from_millis(20))?);
    assert!(format!("{request:?}").contains("under way"), "{request:?}");
    drop(world.isend(&4_u8, rank, 55)?);
    assert!(request.wait_timeout(Duration::from_secs(20))?);
    assert!(request.test()?);
    let (value, status) = request.wait_status()?;
    assert_eq!((value, status.source, status.tag), (4, rank, 55));
    world.barrier()
}

pub fn scopes(world: &Communicator) -> MpiResult<()> {
    let (rank, size) = (world.rank(), world.size());
    let (left, right) = ((rank + size - 1) % size, (rank + 1) % size);
    let mine = vec![rank as f64; 50_000];
    let (mut from_left, mut from_right) = (vec![-1.0; 50_000], vec![-1.0; 50_000]);
    let n = mpi::scope(|scope| {
        let first = scope.irecv_slice(world, &mut from_left, left, 0)?;
        scope.irecv_slice(world, &mut from_right, right, 1)?;
        scope.isend_slice(world, &mine, right, 0)?;
        scope.isend_slice(world, &mine, left, 1)?;
        Ok(first.wait()?.count::<f64>())
    })?;
    assert_eq!(n, 50_000);
    assert!(from_left.iter().all(|&n| n == left as f64));
    assert!(from_right.iter().all(|&n| n == right as f64));
    // What is left when the body panics is taken back, and MPI works on.
    let mut never = [0_u8; 4];
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        mpi::scope(|scope| {
            scope.irecv_slice(world, &mut never, left, 77)?;
            panic!("on purpose");
            #[allow(unreachable_code)]
            Ok(())
        })
    }));
    std::panic::set_hook(hook);
    assert!(panicked.is_err());
    assert_eq!(never, [0; 4]);
    world.barrier()
}

pub fn exchange(world: &Communicator) -> MpiResult<()> {
    // Pairs exchange, at every size: neither waits for the other.
    let (rank, size) = (world.rank(), world.size());
    let partner = rank ^ 1;
    if partner < size {
        for length in [0, 1, 1_000, 100_000, 3_000_000] {
            let mine = vec![rank as u8; length];
            let got = world.sendrecv(&mine, partner, 4, partner, 4)?;
            assert_eq!(got, vec![partner as u8; length]);
            let mut theirs = vec![0_u8; length];
            world.sendrecv_slice(&mine, partner, 4, &mut theirs, partner, 4)?;
            assert_eq!(theirs, got);
        }
    }
    world.barrier()
}

pub fn probing(world: &Communicator) -> MpiResult<()> {
    let rank = world.rank();
    assert_eq!(world.try_probe(ANY_SOURCE, 31)?, None);
    let start = Instant::now();
    assert_eq!(
        world.probe_timeout(ANY_SOURCE, 31, Duration::from_millis(30))?,
        None
    );
    assert!(start.elapsed() >= Duration::from_millis(30));
    assert_eq!(
        world.recv_timeout::<u8>(ANY_SOURCE, 31, Duration::from_millis(10))?,
        None
    );
    let request = world.isend_slice(vec![1_u16; 5], rank, 31)?;
    let status = world.probe(ANY_SOURCE, ANY_TAG)?;
    assert_eq!(
        (status.source, status.tag, status.count::<u16>()),
        (rank, 31, 5)
    );
    assert!(world.try_probe(rank, 31)?.is_some());
    let mut got = vec![0_u16; status.count::<u16>()];
    world.recv_slice(&mut got, status.source, status.tag)?;
    assert_eq!(got, [1; 5]);
    request.wait()?;
    drop(world.isend(&3_u8, rank, 31)?);
    assert_eq!(
        world.recv_timeout(rank, 31, Duration::from_secs(20))?,
        Some(3_u8)
    );
    world.barrier()
}

pub fn null_process(world: &Communicator) -> MpiResult<()> {
    world.send(&1, PROC_NULL, 0)?;
    world.send(&1, None, 0)?;
    world.ssend_slice(&[1], None, 0)?;
    let mut same = [7];
    let status = world.recv_slice(&mut same, None, 0)?;
    assert_eq!((same, status.source, status.bytes), ([7], usize::MAX, 0));
    let error = world.recv::<u8>(None, 0).unwrap_err();
    assert!(matches!(error, mpi::MpiError::NoProcess { .. }), "{error}");
    world.barrier()
}

pub fn threads(world: &Communicator) -> MpiResult<()> {
    // Four threads of each rank, each with a tag of its own.
    let (rank, size) = (world.rank(), world.size());
    let (left, right) = ((rank + size - 1) % size, (rank + 1) % size);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|tag| {
                scope.spawn(move || {
                    (0..50).try_for_each(|n| {
                        let got = world.sendrecv(&(rank, n), right, tag, left, tag)?;
                        assert_eq!(got, (left, n));
                        Ok(())
                    })
                })
            })
            .collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().expect("no thread panics"))
    })?;
    world.barrier()
}

pub fn large(world: &Communicator) -> MpiResult<()> {
    if world.size() > 1 {
        let n = 4_000_000_u64;
        match world.rank() {
            0 => world.send(&(0..n).collect::<Vec<u64>>(), 1, 0)?,
            1 => {
                // Late, so that the sender has begun to wait with sleeps.
                std::thread::sleep(Duration::from_millis(30));
                let got: Vec<u64> = world.recv(0, 0)?;
                assert!(
                    got.len() == n as usize && got.iter().enumerate().all(|(k, &v)| k as u64 == v)
                );
            }
            _ => {}
        }
    }
    world.barrier()
}
