//! Memory of each rank that the others read and write.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use forkline::mpi::{
    self, BXOR, Communicator, ErrorClass, LockKind, MAX, MIN, MpiError, MpiResult, NO_OP, Number,
    PROD, REPLACE, SUM, Window,
};

/// Numbers that all ranks draw from one place: each is handed out exactly once.
pub fn counter(world: &Communicator) -> MpiResult<()> {
    const EACH: u64 = 300;
    let size = world.size();
    for at_rank in [0, size - 1] {
        let counter = world.window::<u64>(2)?;
        let mut mine = Vec::new();
        for _ in 0..EACH {
            mine.push(counter.fetch_and_op(1, at_rank, 1, SUM)?);
        }
        assert!(mine.is_sorted(), "a rank sees its own numbers in order");
        let mut all = world.allgather(mine)?.concat();
        all.sort_unstable();
        assert!(all.iter().copied().eq(0..EACH * size as u64));
        assert_eq!(counter.get(at_rank, 0, 2)?, [0, EACH * size as u64]);
        counter.free()?;
    }
    // Two threads of each rank at once.
    let counter = world.window::<i32>(1)?;
    let mut mine = std::thread::scope(|scope| {
        let draw = || {
            (0..100)
                .map(|_| counter.fetch_and_op(-1, 0, 0, SUM))
                .collect()
        };
        let two: [_; 2] = std::array::from_fn(|_| scope.spawn(draw));
        two.map(|one| one.join().expect("no panic"))
            .into_iter()
            .collect::<MpiResult<Vec<Vec<i32>>>>()
    })?
    .concat();
    mine.sort_unstable();
    let mut all = world.allgather(mine)?.concat();
    all.sort_unstable();
    let n = 200 * size as i32;
    assert!(all.iter().copied().eq(1 - n..=0));
    counter.free()
}

fn round<T: Number + PartialEq + From<u8>>(world: &Communicator) -> MpiResult<()> {
    let (rank, size) = (world.rank(), world.size());
    let (next, previous) = ((rank + 1) % size, (rank + size - 1) % size);
    let value = |rank: usize, k: usize| T::from((10 * rank + k) as u8);
    // Each rank has another length.
    let window = world.window::<T>(3 + rank)?;
    assert_eq!((window.len(), window.len_of(next)), (3 + rank, 3 + next));
    assert!(!window.is_empty());
    assert_eq!(window.to_vec()?, vec![T::from(0); 3 + rank]);
    window.fence()?;
    window.put(&[value(rank, 1), value(rank, 2)], next, 1 + next)?;
    window.fence()?;
    let mut wanted = vec![T::from(0); 3 + rank];
    wanted[1 + rank..].copy_from_slice(&[value(previous, 1), value(previous, 2)]);
    assert_eq!(window.to_vec()?, wanted);
    assert_eq!(window.read(1 + rank, 1)?, [value(previous, 1)]);
    // What the previous rank has got came from the one before it.
    let before = (previous + size - 1) % size;
    let mut got = [T::from(0); 2];
    window.get_into(&mut got, previous, 1 + previous)?;
    assert_eq!(got, [value(before, 1), value(before, 2)]);
    window.fence()?;
    window.write(&[T::from(7)], 0)?;
    window.fence()?;
    for rank in 0..size {
        assert_eq!(window.get(rank, 0, 1)?, [T::from(7)]);
    }
    window.free()
}

pub fn put_get(world: &Communicator) -> MpiResult<()> {
    round::<u8>(world)?;
    round::<u16>(world)?;
    round::<i32>(world)?;
    round::<usize>(world)?;
    round::<f32>(world)?;
    round::<f64>(world)?;
    let rank = world.rank();
    let window = world.window_from(&[rank as i64, -1])?;
    for other in 0..world.size() {
        assert_eq!(window.get(other, 0, 2)?, [other as i64, -1]);
    }
    // Nothing at the very end is something that is allowed.
    window.put(&[], 0, 2)?;
    assert!(window.get(0, 2, 0)?.is_empty());
    window.free()?;
    // A rank without memory of its own; two windows at once.
    let (some, other) = (
        world.window::<f64>(if rank == 0 { 500_000 } else { 0 })?,
        world.window::<u8>(1)?,
    );
    assert_eq!(some.is_empty(), rank != 0);
    if rank == world.size() - 1 {
        let many: Vec<f64> = (0..500_000).map(f64::from).collect();
        some.put(&many, 0, 0)?;
        some.flush(0)?;
        assert_eq!(some.get(0, 499_999, 1)?, [499_999.0]);
    }
    other.put(&[9], 0, 0)?;
    some.fence()?;
    other.fence()?;
    if rank == 0 {
        assert!(
            some.to_vec()?
                .iter()
                .enumerate()
                .all(|(k, &x)| x == k as f64)
        );
        assert_eq!(other.to_vec()?, [9]);
    }
    other.free()?;
    some.free()?;
    // Of some ranks only.
    let half = world
        .split(Some(rank % 2), 0)?
        .expect("every rank has a colour");
    let window = half.window::<u64>(1)?;
    window.fetch_and_op(1, 0, 0, SUM)?;
    window.fence()?;
    assert_eq!(window.get(0, 0, 1)?, [half.size() as u64]);
    window.free()?;
    half.free()?;
    // Many, one after the other; and one that nobody frees.
    for _ in 0..30 {
        world.window::<u8>(10_000)?.free()?;
    }
    drop(world.window::<u8>(10)?);
    Ok(())
}

/// The one-dimensional heat equation, its edges exchanged once by messages, once by puts between fences: the same
/// numbers, to the last bit.
pub fn halo(world: &Communicator) -> MpiResult<()> {
    const N: usize = 40;
    let (rank, size) = (world.rank(), world.size());
    let line = world
        .cartesian(&[size], &[false], false)?
        .expect("all ranks");
    let sides = line.shift(0, 1)?;
    let start = |k: usize| ((rank * N + k) as f64 * 0.37).sin();
    let step = |cells: &mut Vec<f64>| {
        let old = cells.clone();
        for k in 1..=N {
            cells[k] = old[k] + 0.25 * (old[k - 1] - 2.0 * old[k] + old[k + 1]);
        }
    };
    let begin: Vec<f64> = (0..N + 2)
        .map(|k| if (1..=N).contains(&k) { start(k) } else { 0.0 })
        .collect();

    let mut by_messages = begin.clone();
    for _ in 0..50 {
        let (first, last) = ([by_messages[1]], [by_messages[N]]);
        let (mut left, mut right) = ([0.0], [0.0]);
        world.sendrecv_slice(&last, sides.destination, 1, &mut left, sides.source, 1)?;
        world.sendrecv_slice(&first, sides.source, 2, &mut right, sides.destination, 2)?;
        (by_messages[0], by_messages[N + 1]) = (left[0], right[0]);
        step(&mut by_messages);
    }

    let mut by_puts = begin;
    let edges = world.window::<f64>(2)?;
    for _ in 0..50 {
        if let Some(right) = sides.destination {
            edges.put(&[by_puts[N]], right, 0)?;
        }
        if let Some(left) = sides.source {
            edges.put(&[by_puts[1]], left, 1)?;
        }
        edges.fence()?;
        let both = edges.to_vec()?;
        (by_puts[0], by_puts[N + 1]) = (both[0], both[1]);
        edges.fence()?;
        step(&mut by_puts);
    }
    assert_eq!(by_messages, by_puts);
    edges.free()
}

/// A histogram that lies on all ranks: every rank adds to every part.
pub fn histogram(world: &Communicator) -> MpiResult<()> {
    const BINS: usize = 8;
    let (rank, size) = (world.rank(), world.size());
    let mut seed = 17 + rank as u64;
    let values: Vec<usize> = (0..400)
        .map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) as usize % (BINS * size)
        })
        .collect();
    let mut wanted = vec![0_u32; BINS * size];
    for &value in &world.allgather(values.clone())?.concat() {
        wanted[value] += 1;
    }
    let mine = &wanted[BINS * rank..][..BINS];

    // Atomic steps under a lock that all share; and without any.
    let histogram = world.window::<u32>(BINS)?;
    for &value in &values {
        let held = histogram.lock(value / BINS, LockKind::Shared)?;
        held.accumulate(&[1], value % BINS, SUM)?;
        held.unlock()?;
    }
    histogram.fence()?;
    assert_eq!(histogram.to_vec()?, mine);
    histogram.fence()?;
    for &value in &values {
        histogram.accumulate(&[1], value / BINS, value % BINS, SUM)?;
    }
    histogram.fence()?;
    let twice: Vec<u32> = mine.iter().map(|n| 2 * n).collect();
    assert_eq!(histogram.to_vec()?, twice);
    histogram.free()?;

    // Read, add and write: right only if nobody comes between.
    let histogram = world.window::<f64>(BINS)?;
    for &value in &values {
        let held = histogram.lock(value / BINS, LockKind::Exclusive)?;
        assert_eq!(held.rank(), value / BINS);
        let found = held.get(value % BINS, 1)?;
        held.put(&[found[0] + 1.0], value % BINS)?;
        // Its end unlocks, too.
        drop(held);
    }
    histogram.fence()?;
    let mine: Vec<f64> = mine.iter().map(|&n| f64::from(n)).collect();
    assert_eq!(histogram.to_vec()?, mine);

    // Readers of all parts, one writer: no reader sees half of what it writes.
    histogram.fence()?;
    histogram.write(&[0.0; BINS], 0)?;
    histogram.fence()?;
    for k in 1..=50 {
        if rank == 0 {
            let held = histogram.lock(size - 1, LockKind::Exclusive)?;
            held.put(&[f64::from(k); BINS / 2], 0)?;
            held.put(&[f64::from(k); BINS / 2], BINS / 2)?;
            held.unlock()?;
        } else {
            let held = histogram.lock_all()?;
            let seen = histogram.get(size - 1, 0, BINS)?;
            assert!(seen.iter().all(|&x| x == seen[0]), "{seen:?}");
            held.unlock()?;
        }
    }
    histogram.free()
}

/// A lock made of one word, by compare and swap.
pub fn swap_lock(world: &Communicator) -> MpiResult<()> {
    let (rank, size) = (world.rank(), world.size());
    let words = world.window::<i64>(2)?;
    for _ in 0..50 {
        while words.compare_and_swap(0, 1 + rank as i64, 0, 0)? != 0 {
            std::thread::yield_now();
        }
        let n = words.get(0, 1, 1)?[0];
        words.put(&[n + 1], 0, 1)?;
        words.flush(0)?;
        assert_eq!(
            words.compare_and_swap(1 + rank as i64, 0, 0, 0)?,
            1 + rank as i64
        );
    }
    words.fence()?;
    assert_eq!(words.get(0, 0, 2)?, [0, 50 * size as i64]);
    words.fence()?;
    // What is not expected stays.
    assert_eq!(words.compare_and_swap(5, 6, 0, 1)?, 50 * size as i64);
    words.free()?;
    let small = world.window::<u32>(3)?;
    let winner = small.compare_and_swap(0, 1, size - 1, 2)? == 0;
    let winners = world.allgather(winner)?;
    assert_eq!(winners.iter().filter(|&&won| won).count(), 1);
    small.free()
}

pub fn window_operators(world: &Communicator) -> MpiResult<()> {
    let (rank, size) = (world.rank(), world.size());
    let last = size - 1;
    let window = world.window::<i32>(3)?;
    window.accumulate(&[rank as i32 + 1, -(rank as i32)], 0, 0, MAX)?;
    window.accumulate(&[1 << rank], 0, 2, BXOR)?;
    window.fence()?;
    assert_eq!(window.get(0, 0, 3)?, [size as i32, 0, (1 << size) - 1]);
    window.fence()?;
    // An exchange: every value is given to one rank, and one stays.
    let given = window.fetch_and_op(1000 + rank as i32, last, 0, REPLACE)?;
    window.fence()?;
    let stays = window.fetch_and_op(-1, last, 0, NO_OP)?;
    let mut all = world.allgather(given)?;
    all.push(stays);
    all.sort_unstable();
    let first = if last == 0 { size as i32 } else { 0 };
    let wanted = std::iter::once(first).chain((0..size as i32).map(|k| 1000 + k));
    assert!(all.into_iter().eq(wanted));
    window.fence()?;
    window.accumulate(&[77], rank, 1, REPLACE)?;
    window.fence()?;
    assert_eq!(window.read(1, 1)?, [77]);
    window.free()?;

    // Numbers of every length, one at a time.
    let (bytes, halves) = (world.window::<u8>(1)?, world.window::<f64>(1)?);
    let (shorts, floats) = (world.window::<i16>(2)?, world.window::<f32>(3)?);
    for _ in 0..20 {
        bytes.fetch_and_op(1, last, 0, SUM)?;
        halves.fetch_and_op(0.5, last, 0, SUM)?;
        shorts.fetch_and_op(-2, last, 1, SUM)?;
        floats.fetch_and_op(0.25, last, 2, SUM)?;
    }
    bytes.fence()?;
    halves.fence()?;
    assert_eq!(bytes.get(last, 0, 1)?, [20 * size as u8]);
    assert_eq!(halves.get(last, 0, 1)?, [10.0 * size as f64]);
    shorts.fence()?;
    floats.fence()?;
    assert_eq!(shorts.get(last, 0, 2)?, [0, -40 * size as i16]);
    assert_eq!(floats.get(last, 0, 3)?, [0.0, 0.0, 5.0 * size as f32]);
    bytes.free()?;
    halves.free()?;
    shorts.free()?;
    floats.free()?;

    let window = world.window_from(&[1.0, 1.0, 1.0])?;
    let before = window.get_accumulate(&[2.0, 2.0], 0, 1, PROD)?;
    let steps = f64::log2(before[0]);
    assert!((0..size).any(|k| steps == k as f64), "{before:?}");
    window.fence()?;
    let twos = 2_f64.powi(size as i32);
    assert_eq!(window.get(0, 0, 3)?, [1.0, twos, twos]);
    assert_eq!(window.get_accumulate(&[0.0; 3], 0, 0, NO_OP)?[1], twos);
    window.fence()?;
    window.accumulate(&[-(rank as f64)], 0, 0, MIN)?;
    window.fence()?;
    assert_eq!(window.get(0, 0, 1)?, [-(last as f64)]);
    window.fence()?;
    // Bits of a number that is not whole.
    let error = window.accumulate(&[1.0], 0, 0, BXOR).unwrap_err();
    assert_eq!(error.class(), Some(ErrorClass::Operator), "{error}");
    assert!(
        error.to_string().contains("accumulate at rank 0"),
        "{error}"
    );
    window.free()
}

/// What is not in a window is an error of the rank that asks for it; nobody hangs, and nothing is written.
pub fn bounds(world: &Communicator) -> MpiResult<()> {
    let (rank, size) = (world.rank(), world.size());
    let window = world.window::<u32>(4 + rank)?;
    if rank == 0 {
        let last = size - 1;
        let out = |result: MpiResult<()>, wanted: &str| {
            let error = result.expect_err(wanted);
            assert!(matches!(error, MpiError::Bounds { .. }), "{error:?}");
            assert!(error.to_string().contains(wanted), "{error}");
        };
        let has = format!("not in the window of rank {last}, which has {}", 4 + last);
        out(window.put(&[1; 2], last, 3 + last), &has);
        out(window.get(last, 4 + last, 1).map(drop), &has);
        out(window.get(last, usize::MAX, 2).map(drop), &has);
        out(window.get(last, 1, usize::MAX).map(drop), &has);
        out(
            window.accumulate(&[1; 100], last, 0, SUM),
            "100 items from place 0",
        );
        out(window.fetch_and_op(1, last, 4 + last, SUM).map(drop), &has);
        out(
            window.compare_and_swap(0, 1, last, 4 + last).map(drop),
            &has,
        );
        out(window.read(4, 1).map(drop), "read (");
        out(window.write(&[1], 4), "rank 0, which has 4");
        let held = window.lock(last, LockKind::Exclusive)?;
        out(held.put(&[1], 4 + last), &has);
        held.unlock()?;
        for error in [
            window.put(&[1], size, 0).unwrap_err(),
            window.flush(usize::MAX).unwrap_err(),
            window.lock(size, LockKind::Shared).map(drop).unwrap_err(),
        ] {
            assert_eq!(error.class(), Some(ErrorClass::Rank), "{error}");
        }
    }
    window.fence()?;
    assert_eq!(window.to_vec()?, vec![0; 4 + rank]);
    window.free()?;
    let error = world.window::<u64>(usize::MAX).unwrap_err();
    assert!(matches!(error, MpiError::TooLong { .. }), "{error:?}");
    if size > 1 {
        // A rank that cannot take part tells the others.
        let length = if rank == 1 { usize::MAX } else { 1 };
        assert!(world.window::<u64>(length).is_err());
        let wrong = if rank == 1 {
            world.window::<u8>(1).map(drop)
        } else {
            world.window::<i8>(1).map(drop)
        };
        assert!(wrong.unwrap_err().to_string().contains("another type"));
        let window = world.window::<u8>(1)?;
        let wrong = if rank == 1 {
            world.barrier()
        } else {
            window.fence()
        };
        let wanted = "rank 0 is in fence, rank 1 in barrier";
        assert!(wrong.unwrap_err().to_string().contains(wanted));
        window.free()?;
    }
    world.barrier()
}

/// Who waits for a lock says so; a lock ends with what holds it, also in a panic.
pub fn window_locks(world: &Communicator) -> MpiResult<()> {
    let (rank, size) = (world.rank(), world.size());
    let window: Window<u8> = world.window(1)?;
    if size > 1 {
        let held = (rank == 0)
            .then(|| window.lock(size - 1, LockKind::Exclusive))
            .transpose()?;
        world.barrier()?;
        if let Some(held) = held {
            for other in 1..size {
                world.recv::<String>(other, 5)?;
            }
            held.put(&[1], 0)?;
            held.unlock()?;
        } else {
            std::thread::scope(|scope| {
                let waiter = scope.spawn(|| {
                    let held = window.lock(size - 1, LockKind::Shared)?;
                    assert_eq!(held.get(0, 1)?, [1]);
                    held.unlock()
                });
                let start = Instant::now();
                let said = loop {
                    if let Some(one) = mpi::standing().iter().find(|one| one.call.name == "lock") {
                        break one.call.to_string();
                    }
                    assert!(start.elapsed() < Duration::from_secs(20));
                    std::thread::sleep(Duration::from_millis(1));
                };
                assert!(
                    said.starts_with(&format!("lock at rank {}", size - 1)),
                    "{said}"
                );
                world.send(&said, 0, 5)?;
                waiter.join().expect("no panic")
            })?;
        }
    }
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _held = window.lock(0, LockKind::Exclusive);
        // As `panic!`, without its text among the output.
        resume_unwind(Box::new("on purpose"));
    }));
    assert!(panicked.is_err());
    world.barrier()?;
    // Shared locks of all ranks at once: all hold it before one gives it back.
    let held = window.lock(0, LockKind::Shared)?;
    world.barrier()?;
    let twice = window.lock(0, LockKind::Shared)?;
    drop((held, twice));
    world.barrier()?;
    window.free()
}
