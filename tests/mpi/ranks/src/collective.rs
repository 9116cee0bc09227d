//! Calls that all ranks make together.

use forkline::mpi::{
    self, BAND, BOR, BXOR, Communicator, LAND, LOR, LXOR, Located, MAX, MAXLOC, MIN, MINLOC,
    MpiResult, PROD, SUM,
};

pub fn bcast(world: &Communicator) -> MpiResult<()> {
    for root in 0..world.size() {
        let is_root = world.rank() == root;
        assert_eq!(
            world.bcast(is_root.then_some(100 + root), root)?,
            100 + root
        );
        let text = is_root.then(|| "text ".repeat(root * 1000));
        assert_eq!(world.bcast(text, root)?, "text ".repeat(root * 1000));
        let mut numbers = vec![if is_root { 2.5 } else { 0.0 }; 10_000];
        world.bcast_slice(&mut numbers, root)?;
        assert!(numbers.iter().all(|&n| n == 2.5));
    }
    Ok(())
}

pub fn scatter(world: &Communicator) -> MpiResult<()> {
    let (rank, size) = (world.rank(), world.size());
    for root in 0..size {
        let items = (rank == root).then(|| (1..=size).collect::<Vec<_>>());
        assert_eq!(world.scatter(items, root)?, rank + 1);
        let texts = (rank == root).then(|| (0..size).map(|k| "x".repeat(k * 10)).collect());
        assert_eq!(world.scatter::<String>(texts, root)?, "x".repeat(rank * 10));
        let all: Vec<i32> = if rank == root {
            (0..2 * size as i32).collect()
        } else {
            vec![]
        };
        let mut mine = [0; 2];
        world.scatter_slice(&all, &mut mine, root)?;
        assert_eq!(mine, [2 * rank as i32, 2 * rank as i32 + 1]);
    }
    Ok(())
}

pub fn gather(world: &Communicator) -> MpiResult<()> {
    let (rank, size) = (world.rank(), world.size());
    let squares: Vec<usize> = (1..=size).map(|n| n * n).collect();
    for root in 0..size {
        let got = world.gather((rank + 1).pow(2), root)?;
        assert_eq!(got, (rank == root).then(|| squares.clone()));
        let mut all = vec![0; if rank == root { 2 * size } else { 0 }];
        world.gather_slice(&[rank, 10 * rank], &mut all, root)?;
        let wanted: Vec<usize> = (0..size).flat_map(|n| [n, 10 * n]).collect();
        assert_eq!(all, if rank == root { wanted } else { vec![] });
    }
    assert_eq!(world.allgather((rank + 1).pow(2))?, squares);
    let texts = world.allgather("y".repeat(rank))?;
    assert_eq!(texts, (0..size).map(|n| "y".repeat(n)).collect::<Vec<_>>());
    let mut all = vec![0_u8; size];
    world.allgather_slice(&[rank as u8], &mut all)?;
    assert_eq!(all, (0..size as u8).collect::<Vec<_>>());
    Ok(())
}

pub fn alltoall(world: &Communicator) -> MpiResult<()> {
    let (rank, size) = (world.rank(), world.size());
    // Rank r receives r * [1, 2, …].
    let mine: Vec<usize> = (0..size).map(|s| (rank + 1) * s).collect();
    let wanted: Vec<usize> = (1..=size).map(|s| rank * s).collect();
    assert_eq!(world.alltoall(mine.clone())?, wanted);
    let mut got = vec![0; size];
    world.alltoall_slice(&mine, &mut got)?;
    assert_eq!(got, wanted);
    let texts: Vec<String> = (0..size).map(|to| format!("{rank} to {to}")).collect();
    let wanted: Vec<String> = (0..size).map(|from| format!("{from} to {rank}")).collect();
    assert_eq!(world.alltoall(texts)?, wanted);
    Ok(())
}

pub fn vectors(world: &Communicator) -> MpiResult<()> {
    let (rank, size) = (world.rank(), world.size());
    // Rank r has r + 1 numbers, all of them r.
    let counts: Vec<usize> = (1..=size).collect();
    let all: Vec<u16> = (0..size).flat_map(|r| vec![r as u16; r + 1]).collect();
    let mine = vec![rank as u16; rank + 1];
    let root = size - 1;
    let mut got = vec![0; rank + 1];
    let (send, how): (&[u16], &[usize]) = if rank == root {
        (&all, &counts)
    } else {
        (&[], &[])
    };
    world.scatterv_slice(send, how, &mut got, root)?;
    assert_eq!(got, mine);
    let gathered = world.gatherv_slice(&mine, root)?;
    assert_eq!(
        gathered,
        (rank == root).then(|| (all.clone(), counts.clone()))
    );
    assert_eq!(world.allgatherv_slice(&mine)?, (all, counts));
    // Rank r sends s copies of r to rank s.
    let counts: Vec<usize> = (0..size).collect();
    let send = vec![rank as i64; counts.iter().sum()];
    let (got, lengths) = world.alltoallv_slice(&send, &counts)?;
    assert_eq!(lengths, vec![rank; size]);
    let wanted: Vec<i64> = (0..size).flat_map(|from| vec![from as i64; rank]).collect();
    assert_eq!(got, wanted);
    Ok(())
}

pub fn reduce(world: &Communicator) -> MpiResult<()> {
    let (rank, size) = (world.rank(), world.size());
    let n = size as u64;
    let mine: Vec<u64> = (0..10).map(|k| k * (rank as u64 + 1)).collect();
    let wanted: Vec<u64> = (0..10).map(|k| k * n * (n + 1) / 2).collect();
    for root in 0..size {
        let mut sums = vec![0; 10];
        world.reduce_slice(&mine, &mut sums, SUM, root)?;
        assert_eq!(
            sums,
            if rank == root {
                wanted.clone()
            } else {
                vec![0; 10]
            }
        );
        // Joining texts is not commutative: the order is that of the ranks.
        let text = world.reduce(rank.to_string(), |a, b| a + &b, root)?;
        let joined: String = (0..size).map(|r| r.to_string()).collect();
        assert_eq!(text, (rank == root).then_some(joined));
    }
    let mut sums = vec![0; 10];
    world.allreduce_slice(&mine, &mut sums, SUM)?;
    assert_eq!(sums, wanted);
    assert_eq!(
        world.allreduce(rank + 1, |a, b| a + b)?,
        size * (size + 1) / 2
    );
    let up_to = |r: usize| (0..r).map(|r| r.to_string()).collect::<String>();
    assert_eq!(
        world.scan(rank.to_string(), |a, b| a + &b)?,
        up_to(rank + 1)
    );
    let before = (rank > 0).then(|| up_to(rank));
    assert_eq!(world.exscan(rank.to_string(), |a, b| a + &b)?, before);
    let mut running = [0];
    world.scan_slice(&[rank + 1], &mut running, SUM)?;
    assert_eq!(running, [(rank + 1) * (rank + 2) / 2]);
    let mut ahead = [77];
    world.exscan_slice(&[rank + 1], &mut ahead, SUM)?;
    assert_eq!(ahead, [if rank == 0 { 77 } else { rank * (rank + 1) / 2 }]);
    // Rank r gets r + 1 sums.
    let counts: Vec<usize> = (1..=size).collect();
    let total = counts.iter().sum::<usize>();
    let send: Vec<f32> = (0..total).map(|k| k as f32).collect();
    let part = world.reduce_scatter_slice(&send, &counts, SUM)?;
    let start: usize = counts[..rank].iter().sum();
    let wanted: Vec<f32> = (start..=start + rank).map(|k| (k * size) as f32).collect();
    assert_eq!(part, wanted);
    Ok(())
}

pub fn operators(world: &Communicator) -> MpiResult<()> {
    let (rank, size) = (world.rank(), world.size());
    let mine: Vec<u64> = (0..10).map(|k| k * (rank as u64 + 1)).collect();
    let mut got = vec![0; 10];
    let all = |fold: &dyn Fn(u64, u64) -> u64| -> Vec<u64> {
        (0..10)
            .map(|k| (0..size as u64).map(|r| k * (r + 1)).reduce(fold).unwrap())
            .collect()
    };
    let b = |n: u64| u64::from(n != 0);
    let cases: [(mpi::Operator, Vec<u64>); 10] = [
        (SUM, all(&|x, y| x + y)),
        (PROD, all(&|x, y| x * y)),
        (MAX, all(&u64::max)),
        (MIN, all(&u64::min)),
        (LAND, all(&|x, y| b(x) & b(y))),
        (BAND, all(&|x, y| x & y)),
        (LOR, all(&|x, y| b(x) | b(y))),
        (BOR, all(&|x, y| x | y)),
        (LXOR, all(&|x, y| b(x) ^ b(y))),
        (BXOR, all(&|x, y| x ^ y)),
    ];
    for (operator, wanted) in cases {
        // Of one rank alone MPI need not turn numbers into 0 and 1.
        if size > 1 {
            world.allreduce_slice(&mine, &mut got, operator)?;
            assert_eq!(got, wanted, "{operator:?}");
        }
    }
    let mut least = [0.0_f32];
    world.allreduce_slice(&[-(rank as f32)], &mut least, MIN)?;
    assert_eq!(least, [-(size as f32 - 1.0)]);
    // Bits of a real number mean nothing: MPI's error, on every rank, and it goes on.
    let error = world
        .allreduce_slice(&[1.5_f64], &mut [0.0], BAND)
        .unwrap_err();
    assert_eq!(error.class(), Some(mpi::ErrorClass::Operator), "{error}");
    world.barrier()
}

pub fn places(world: &Communicator) -> MpiResult<()> {
    let (rank, size) = (world.rank(), world.size());
    macro_rules! each {
        ($($number:ty),*) => {$({
            // For k = 0 all are equal: the lowest rank wins.
            let mine: Vec<Located<$number>> = (0..4_u8)
                .map(|k| Located::new((k as usize * (rank + 1)) as $number, rank))
                .collect();
            let mut most = vec![Located::new(0 as $number, 99); 4];
            world.allreduce_slice(&mine, &mut most, MAXLOC)?;
            let wanted: Vec<Located<$number>> = (0..4_usize)
                .map(|k| Located::new((k * size) as $number, if k == 0 { 0 } else { size - 1 }))
                .collect();
            assert_eq!(most, wanted);
            let mut least = most;
            world.reduce_slice(&mine, &mut least, MINLOC, 0)?;
            if rank == 0 {
                let wanted: Vec<Located<$number>> =
                    (0..4_u8).map(|k| Located::new(k as $number, 0)).collect();
                assert_eq!(least, wanted);
            }
        })*};
    }
    each!(u8, i8, u16, i16, u32, i32, u64, i64, usize, f32, f64);
    let value = if rank == 0 { f64::NAN } else { rank as f64 };
    let mut most = [Located::new(0.0, 0)];
    world.allreduce_slice(&[Located::new(value, rank)], &mut most, MAXLOC)?;
    if size > 1 {
        assert_eq!(most[0], Located::new(size as f64 - 1.0, size - 1));
    }
    Ok(())
}

pub fn unchecked(world: &Communicator) -> MpiResult<()> {
    let plain = world.unchecked();
    let (rank, size) = (plain.rank(), plain.size());
    for _ in 0..100 {
        plain.barrier()?;
        let mut n = [if rank == 0 { 5 } else { 0 }];
        plain.bcast_slice(&mut n, 0)?;
        assert_eq!(n, [5]);
        let mut sum = [0];
        plain.allreduce_slice(&[rank], &mut sum, SUM)?;
        assert_eq!(sum, [size * (size - 1) / 2]);
        let mut all = vec![0; size];
        plain.allgather_slice(&[rank], &mut all)?;
        let mut got = vec![0; size];
        plain.alltoall_slice(&all, &mut got)?;
        assert_eq!(got, vec![rank; size]);
        let mut mine = [0];
        plain.scatter_slice(if rank == 0 { &all } else { &[] }, &mut mine, 0)?;
        assert_eq!(mine, [rank]);
        let mut back = vec![0; if rank == 0 { size } else { 0 }];
        plain.gather_slice(&mine, &mut back, 0)?;
        assert!(rank != 0 || back == all);
    }
    Ok(())
}
