//! Collective calls that are started, with work between.

use std::time::{Duration, Instant};

use forkline::mpi::{self, Communicator, Located, MAX, MAXLOC, MpiError, MpiResult, SUM};

/// Each call, on every root, gives what the call that waits gives.
pub fn each_call(world: &Communicator) -> MpiResult<()> {
    calls(world)?;
    calls(&world.unchecked())?;
    let some = world.split(Some(usize::from(world.rank() > 0)), 0)?;
    let some = some.expect("every rank has a colour");
    calls(&some)?;
    some.free()
}

fn calls(world: &Communicator) -> MpiResult<()> {
    let (rank, size) = (world.rank(), world.size());
    for n in [1, 7, 20_000] {
        for root in [0, size - 1] {
            let mine: Vec<i64> = (0..n).map(|k| (k + 1000 * rank) as i64).collect();
            let is_root = rank == root;
            let mut bcast = if is_root { mine.clone() } else { vec![0; n] };
            let all: Vec<u16> = (0..n * size).map(|k| k as u16).collect();
            let (mut part, mut whole) = (vec![0; n], vec![0; if is_root { n * size } else { 0 }]);
            let mut sum = vec![0; if is_root { n } else { 0 }];
            mpi::scope(|scope| {
                scope.ibarrier(world)?;
                scope.ibcast_slice(world, &mut bcast, root)?;
                scope.iscatter_slice(world, if is_root { &all } else { &[] }, &mut part, root)?;
                scope.igather_slice(world, &mine, &mut whole, root)?;
                scope.ireduce_slice(world, &mine, &mut sum, SUM, root)?;
                Ok(())
            })?;
            assert!(
                bcast
                    .iter()
                    .enumerate()
                    .all(|(k, &x)| x == (k + 1000 * root) as i64)
            );
            assert_eq!(part, all[n * rank..][..n]);
            let mut wanted = vec![0; whole.len()];
            world.gather_slice(&mine, &mut wanted, root)?;
            assert_eq!(whole, wanted);
            let mut wanted = vec![0; sum.len()];
            world.reduce_slice(&mine, &mut wanted, SUM, root)?;
            assert_eq!(sum, wanted);
        }
        let mine: Vec<f64> = (0..n * size).map(|k| (k * (rank + 1)) as f64).collect();
        let mut gathered = vec![0.0; n * size * size];
        let mut exchanged = vec![0.0; n * size];
        let mut largest = vec![0.0; n * size];
        let place = [Located::new(((rank * 7) % 5) as i32, rank)];
        let mut best = [Located::new(0, 0)];
        mpi::scope(|scope| {
            let one = scope.iallgather_slice(world, &mine, &mut gathered)?;
            let two = scope.ialltoall_slice(world, &mine, &mut exchanged)?;
            let three = scope.iallreduce_slice(world, &mine, &mut largest, MAX)?;
            let four = scope.iallreduce_slice(world, &place, &mut best, MAXLOC)?;
            four.wait()?;
            two.wait()?;
            three.wait()?;
            one.wait()?;
            Ok(())
        })?;
        let (mut wanted, mut other) = (vec![0.0; gathered.len()], vec![0.0; exchanged.len()]);
        world.allgather_slice(&mine, &mut wanted)?;
        world.alltoall_slice(&mine, &mut other)?;
        assert_eq!((gathered, exchanged), (wanted, other));
        assert!(
            largest
                .iter()
                .enumerate()
                .all(|(k, &x)| x == (k * size) as f64)
        );
        let mut wanted = [Located::new(0, 0)];
        world.allreduce_slice(&place, &mut wanted, MAXLOC)?;
        assert_eq!(best, wanted);
    }
    Ok(())
}

/// A sum under way while the rank works, by steps of a pipeline: the sums of one step are used in the next but one.
pub fn overlap(world: &Communicator) -> MpiResult<()> {
    const N: usize = 5_000;
    let (rank, size) = (world.rank(), world.size());
    let mine: Vec<f64> = (0..N).map(|k| (k * (rank + 1)) as f64).collect();
    let (mut sums, mut work) = (vec![0.0; N], 0.0);
    mpi::scope(|scope| {
        let request = scope.iallreduce_slice(world, &mine, &mut sums, SUM)?;
        // Work until the sum is there: all ranks work, and none waits.
        let start = Instant::now();
        while !request.test()? {
            work += mine.iter().map(|x| x.sqrt()).sum::<f64>();
            assert!(start.elapsed() < Duration::from_secs(60));
        }
        assert!(request.test()?);
        request.wait().map(drop)
    })?;
    let factor = (size * (size + 1) / 2) as f64;
    assert!(
        sums.iter()
            .enumerate()
            .all(|(k, &x)| x == k as f64 * factor)
    );
    assert!(work >= 0.0);
    Ok(())
}

/// Many under way at once, waited for backwards, with messages, other collective calls and another communicator between.
pub fn mixed(world: &Communicator) -> MpiResult<()> {
    let (rank, size) = (world.rank(), world.size());
    let other = world.dup()?;
    let mut sums = vec![[0_usize; 2]; 20];
    let mut halo = [0_usize];
    mpi::scope(|scope| {
        let mut requests = Vec::new();
        let (next, previous) = ((rank + 1) % size, (rank + size - 1) % size);
        scope.irecv_slice(world, &mut halo, previous, 3)?;
        for (k, sum) in sums.iter_mut().enumerate() {
            let on = if k % 3 == 0 { &other } else { world };
            // Lives as long as the scope, as what is sent must.
            let mine: &'static [usize] = Box::leak(Box::new([k, rank]));
            requests.push(scope.iallreduce_slice(on, mine, sum, SUM)?);
            if k == 7 {
                assert_eq!(world.allreduce(1, |a, b| a + b)?, size);
            }
            if k == 11 {
                world.send_slice(&[rank], next, 3)?;
                other.barrier()?;
            }
        }
        while let Some(request) = requests.pop() {
            request.wait()?;
        }
        Ok(())
    })?;
    assert_eq!(halo, [(rank + size - 1) % size]);
    for (k, sum) in sums.iter().enumerate() {
        assert_eq!(*sum, [k * size, size * (size - 1) / 2]);
    }
    other.free()
}

/// A barrier that is started is done when the last rank has started it, and not before.
pub fn late_barrier(world: &Communicator) -> MpiResult<()> {
    let (rank, size) = (world.rank(), world.size());
    mpi::scope(|scope| {
        if rank > 0 {
            let request = scope.ibarrier(world)?;
            for _ in 0..100 {
                assert!(!request.test()?, "rank 0 has not come");
            }
            world.send(&(), 0, 4)?;
            return request.wait().map(drop);
        }
        for other in 1..size {
            world.recv::<()>(other, 4)?;
        }
        scope.ibarrier(world)?.wait().map(drop)
    })
}

#[track_caller]
fn fails(result: MpiResult<()>, wanted: &str) {
    let error = result.expect_err(wanted);
    assert!(error.to_string().contains(wanted), "{error}");
}

/// Wrong lengths and other calls are errors on every rank when they are waited for, and nobody hangs.
pub fn immediate_errors(world: &Communicator) -> MpiResult<()> {
    let (rank, size) = (world.rank(), world.size());
    let own = |wrong: bool, told: &'static str| if wrong { told } else { "could not take part" };
    // A length that a rank can see for itself.
    let (send, mut receive) = (vec![1; size + 7], [0]);
    let scattered = mpi::scope(|scope| {
        let send = if rank == 0 { &send[..] } else { &[] };
        scope
            .iscatter_slice(world, send, &mut receive, 0)?
            .wait()
            .map(drop)
    });
    fails(scattered, own(rank == 0, "expecting"));
    let nowhere = mpi::scope(|scope| {
        scope
            .ibcast_slice(world, &mut receive, size)?
            .wait()
            .map(drop)
    });
    fails(nowhere, "is no root");
    if size == 1 {
        return Ok(());
    }
    let longer = vec![1; 1 + usize::from(rank == 1)];
    let mut there = longer.clone();
    // Not waited for: the scope's end tells it.
    fails(
        mpi::scope(|scope| scope.ibcast_slice(world, &mut there, 0).map(drop)),
        "expecting 1 items, got 2 on rank 1",
    );
    assert_eq!(there, longer, "nothing was received");
    let (mut first, mut second, mut third) = (longer.clone(), longer.clone(), [0]);
    mpi::scope(|scope| {
        // Between calls that are right.
        let one = scope.iallreduce_slice(world, &longer, &mut first, SUM)?;
        let two = scope.iallreduce_slice(world, &[2], &mut third, SUM)?;
        let three = scope.ireduce_slice(world, &longer, &mut second, SUM, 1)?;
        fails(three.wait().map(drop), "got 2 on rank 1");
        two.wait()?;
        fails(one.wait().map(drop), "got 2 on rank 1");
        Ok(())
    })?;
    assert_eq!(third, [2 * size as i32]);
    let (mut first, mut second) = ([0_u8], [0_i8]);
    let (one, two) = ([1_u8], [1_i8]);
    let types = mpi::scope(|scope| {
        if rank == 1 {
            scope
                .iallreduce_slice(world, &one, &mut first, SUM)?
                .wait()
                .map(drop)
        } else {
            scope
                .iallreduce_slice(world, &two, &mut second, SUM)?
                .wait()
                .map(drop)
        }
    });
    fails(types, "another type");
    let calls = mpi::scope(|scope| {
        if rank == 1 {
            return scope.ibarrier(world)?.wait().map(drop);
        }
        scope.ibcast_slice(world, &mut first, 0)?.wait().map(drop)
    });
    fails(calls, "rank 0 is in ibcast with root 0, rank 1 in ibarrier");
    // A call that waits does not go with one that is started.
    let other = if rank == 1 {
        mpi::scope(|scope| scope.ibarrier(world)?.wait().map(drop))
    } else {
        world.barrier()
    };
    let error = other.unwrap_err();
    assert!(matches!(error, MpiError::Mismatch { .. }), "{error:?}");
    // MPI is in order.
    assert_eq!(world.allreduce(1, |a, b| a + b)?, size);
    Ok(())
}
