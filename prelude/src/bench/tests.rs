//! The examples of the documentation, each as a test: cargo runs no doc tests of a dylib.

use std::hint::black_box;
use std::time::Duration;

use super::*;
use crate::prelude::*;

#[test]
fn module_example() {
    let data: Vec<u64> = (0..10_000).collect();
    let timing = Timer::new()
        .samples(10)
        .loops(20)
        .run(|| data.iter().sum::<u64>());
    assert_eq!(timing.samples().len(), 10);
    let speedup = amdahl_speedup(Share::Parallel(0.9), 4).unwrap();
    assert_eq!(format!("{speedup:.4}"), "3.0769");
}

#[test]
fn error_example() {
    let error = karp_flatt(1.0, 0).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("bench::karp_flatt: 0 workers given\nwhy: ")
    );
    assert_eq!(format!("{error:?}"), error.to_string());
}

#[test]
fn statistics_examples() {
    let summary = Summary::new(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).unwrap();
    assert_eq!((summary.mean, summary.median), (5.0, 4.5));
    let interval = median_interval(&[1.0, 1.1, 0.9, 1.0, 1.2, 1.0, 0.8]).unwrap();
    assert!(interval.contains(1.0) && !interval.contains(2.0));
}

#[test]
fn timeit_examples() {
    let timing = Timer::new()
        .budget(Duration::from_millis(50))
        .run(|| black_box(1e3_f64).sqrt());
    assert!(timing.min() <= timing.median());
    let mut numbers: Vec<u32> = (0..1_000).collect();
    assert!(timeit(|| numbers.reverse()).samples().len() >= 7);
    let timing = timeit_with(
        || (0..1_000).rev().collect::<Vec<u32>>(),
        |mut numbers| {
            numbers.sort();
            numbers
        },
    );
    assert!(timing.samples().len() >= 7);
    let timing = Timer::new()
        .samples(30)
        .loops(10)
        .run(|| "one two three".split(' ').count());
    assert_eq!((timing.samples().len(), timing.loops()), (30, 10));
}

#[test]
fn compare_example() {
    let numbers: Vec<u64> = (0..2_000).collect();
    let comparison = compare()
        .case("all", || numbers.iter().sum::<u64>())
        .case("half", || numbers[..1_000].iter().sum::<u64>())
        .budget(Duration::from_millis(100))
        .run()
        .unwrap();
    assert_eq!(comparison.cases().len(), 2);
}

#[test]
fn laws_examples() {
    let amdahl = amdahl_speedup(Share::Parallel(0.9), 8).unwrap();
    let gustafson = gustafson_speedup(Share::Serial(0.1), 8).unwrap();
    assert_eq!(format!("{amdahl:.4} {gustafson:.1}"), "4.7059 7.3");
    assert_eq!(
        format!("{:.1}", amdahl_limit(Share::Serial(0.1)).unwrap()),
        "10.0"
    );
    assert_eq!(
        format!("{:.4}", speedup(25.4288, 18.9299).unwrap()),
        "1.3433"
    );
    assert_eq!(format!("{:.4}", efficiency(1.3433, 10).unwrap()), "0.1343");
    assert_eq!(format!("{:.3}", karp_flatt(4.7059, 8).unwrap()), "0.100");
}

#[test]
fn fit_example() {
    let times = [
        (1, 1.01),
        (1, 0.99),
        (2, 0.60),
        (2, 0.61),
        (4, 0.40),
        (4, 0.399),
    ];
    assert!((amdahl_fit(&times).unwrap().serial_share - 0.2).abs() < 0.01);
}

#[test]
fn scaling_example() {
    let data: Vec<u64> = (0..100_000).collect();
    let found = ScalingOptions::new()
        .budget(Duration::from_millis(100))
        .strong([1, 2], |p| in_pool(p, || data.par_iter().sum::<u64>()))
        .unwrap();
    assert_eq!(found.rows().len(), 2);
    assert_eq!(found.rows()[0].speedup, 1.0);
    assert_eq!(in_pool(3, rayon::current_num_threads), 3);
}

/// Prints what a reader sees; `cargo test -p forkline -- --nocapture shown` to look at it.
#[test]
fn results_are_shown() {
    let data: Vec<u64> = (0..50_000).collect();
    let short = Duration::from_millis(60);
    let timing = Timer::new().budget(short).run(|| data.iter().sum::<u64>());
    let comparison = compare()
        .case("sum", || data.iter().sum::<u64>())
        .case("the same", || data.iter().sum::<u64>())
        .case("par", || data.par_iter().sum::<u64>())
        .budget(short)
        .run()
        .unwrap();
    let options = Scaling::options().rounds(8);
    let strong = options
        .strong([1, 2, 4], |p| in_pool(p, || data.par_iter().sum::<u64>()))
        .unwrap();
    let weak = options
        .weak([1, 2, 4], |p| {
            in_pool(p, || data[..p * 10_000].par_iter().sum::<u64>())
        })
        .unwrap();
    println!(
        "{timing}\n\n{comparison}\n\n{strong}\n\n{weak}\n\n{}",
        timing.summary()
    );
    for html in [timing.show(), comparison.show(), strong.show(), weak.show()] {
        assert!(html.get("text/html").unwrap().starts_with("<table>"));
        println!("{}\n", html.get("text/html").unwrap());
    }
}
