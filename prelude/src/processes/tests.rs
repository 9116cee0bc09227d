//! Processes and pools, each test with real processes: this test program starts itself again.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::prelude::*;
use crate::processes::{self, Pool, Process, ProcessError};
use crate::tests::host;

fn area(width: u32, height: u32) -> u32 {
    width * height
}

#[test]
fn a_function_runs_in_a_process_of_its_own() {
    let process = Process::new(area, (3, 4)).name("area");
    assert!(!process.is_alive());
    assert_eq!(process.exit_code(), None);
    assert!(matches!(
        process.join(),
        Err(ProcessError::NotStarted { .. })
    ));
    process.start().unwrap();
    assert!(matches!(
        process.start(),
        Err(ProcessError::AlreadyStarted { .. })
    ));
    assert_eq!(process.join().unwrap(), 12);
    assert!(!process.is_alive());
    assert_eq!(process.exit_code(), Some(0));
    assert!(matches!(process.join(), Err(ProcessError::Taken { .. })));
    let (own, child) = (
        std::process::id(),
        processes::spawn(std::process::id, ()).unwrap(),
    );
    let pid = child.pid().unwrap();
    assert_eq!(child.join().unwrap(), pid);
    assert_ne!(pid, own);
}

#[test]
fn closures_without_captures_work_too_and_unit_may_be_joined_again() {
    let process = processes::spawn(|n: u64| n * n, (12,)).unwrap();
    assert_eq!(process.join().unwrap(), 144);
    let nothing = processes::spawn(|| (), ()).unwrap();
    nothing.join().unwrap();
    nothing.join().unwrap();
}

#[test]
fn a_runnable_has_its_name() {
    #[derive(Serialize, Deserialize)]
    struct Greeter {
        to: String,
    }

    impl Runnable for Greeter {
        type Output = String;
        fn run(self) -> String {
            format!("Hello {} from {}", self.to, processes::current().name())
        }
        fn name(&self) -> Option<String> {
            Some("greeter".to_owned())
        }
    }
    let process = Process::of(Greeter {
        to: "world".to_owned(),
    });
    process.start().unwrap();
    assert_eq!(process.join().unwrap(), "Hello world from greeter");
}

#[test]
fn statics_begin_anew_and_large_values_travel() {
    static COUNT: AtomicU32 = AtomicU32::new(1);
    COUNT.store(5, Ordering::Relaxed);
    let seen = processes::spawn(|| COUNT.load(Ordering::Relaxed), ()).unwrap();
    assert_eq!(seen.join().unwrap(), 1);
    let large: Vec<f64> = (0..3_000_000).map(f64::from).collect();
    let back = processes::spawn(|data: Vec<f64>| data, (large.clone(),)).unwrap();
    // It ends without anybody waiting for it: its value is taken in.
    let begun = Instant::now();
    while back.is_alive() && begun.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(back.exit_code(), Some(0));
    assert_eq!(back.join().unwrap(), large);
}

#[test]
fn exit_codes_tell_how_a_process_ended() {
    let _turn = host::turn();
    let end = |how: u32| {
        let process = processes::spawn(
            |how: u32| match how {
                0 => (),
                1 => panic!("on purpose"),
                2 => std::process::exit(3),
                _ => std::thread::sleep(Duration::from_secs(60)),
            },
            (how,),
        )
        .unwrap();
        match how {
            3 => process.terminate(),
            4 => process.kill(),
            _ => {}
        }
        (process.wait().unwrap(), process.join())
    };
    assert!(matches!(end(0), (0, Ok(()))));
    let (code, error) = end(1);
    assert_eq!(code, 101);
    assert!(
        error
            .unwrap_err()
            .to_string()
            .ends_with("panicked: on purpose")
    );
    assert!(matches!(
        end(2),
        (3, Err(ProcessError::Exited { code: 3, .. }))
    ));
    assert!(matches!(
        end(3),
        (-15, Err(ProcessError::Killed { signal: 15, .. }))
    ));
    assert!(matches!(
        end(4),
        (-9, Err(ProcessError::Killed { signal: 9, .. }))
    ));
}

#[test]
fn waits_have_limits() {
    let sleeper = processes::spawn(|| std::thread::sleep(Duration::from_secs(60)), ()).unwrap();
    let quick = processes::spawn(|| (), ()).unwrap();
    let error = sleeper.join_timeout(Duration::from_millis(20)).unwrap_err();
    assert!(matches!(error, ProcessError::TimedOut { .. }), "{error}");
    assert_eq!(processes::wait_any(&[&sleeper, &quick]).unwrap(), [1]);
    let name = sleeper.get_name();
    let is_listed = || {
        processes::active_children()
            .iter()
            .any(|child| child.name() == name)
    };
    assert!(is_listed());
    sleeper.kill();
    assert_eq!(sleeper.wait().unwrap(), -9);
    assert!(!is_listed());
}

#[test]
fn a_process_waits_for_its_children_and_ends_its_daemons() {
    fn program(report: String) -> Option<u32> {
        let slow = Process::new(
            |path: String| {
                std::thread::sleep(Duration::from_millis(200));
                std::fs::write(path, "done").is_ok()
            },
            (report,),
        );
        let daemon = Process::new(|| std::thread::sleep(Duration::from_secs(60)), ()).daemon(true);
        slow.start().ok()?;
        daemon.start().ok()?;
        daemon.pid()
    }
    let path = std::env::temp_dir().join(format!("forkline-nested-{}", std::process::id()));
    let report = path.to_str().unwrap().to_owned();
    let process = processes::spawn(program, (report,)).unwrap();
    let daemon = process.join().unwrap().unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "done");
    std::fs::remove_file(&path).unwrap();
    let is_there = || std::path::Path::new(&format!("/proc/{daemon}/cmdline")).exists();
    let begun = Instant::now();
    while is_there() && begun.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(!is_there());
}

#[test]
fn names_are_those_of_the_family() {
    let grandchild = processes::spawn(
        || {
            let child = processes::current().name().to_owned();
            let names = processes::spawn(
                || {
                    let me = processes::current();
                    (me.name().to_owned(), me.parent_name().map(str::to_owned))
                },
                (),
            );
            (child, names.and_then(|process| process.join()).ok())
        },
        (),
    )
    .unwrap();
    let (child, names) = grandchild.join().unwrap();
    let (name, parent) = names.unwrap();
    assert!(child.starts_with("Process-"), "{child}");
    assert_eq!(parent, Some(child.clone()));
    assert_eq!(name, format!("{child}:1"));
    assert_eq!(processes::current().name(), "MainProcess");
}

#[test]
fn a_pool_maps_in_order() {
    let pool = Pool::new(3).unwrap();
    let squares: Vec<u64> = (0..1000).map(|n| n * n).collect();
    assert_eq!(pool.map(|n: u64| n * n, 0..1000).unwrap(), squares);
    assert_eq!(
        pool.map_chunked(|n: u64| n * n, 0..1000, 7).unwrap(),
        squares
    );
    assert_eq!(pool.map(|n: u64| n, Vec::new()).unwrap(), Vec::<u64>::new());
    assert_eq!(pool.starmap(area, [(1, 2), (3, 4)]).unwrap(), [2, 12]);
    assert_eq!(pool.apply(area, (5, 6)).unwrap(), 30);
    let text: Vec<String> = pool.map(|n: u8| n.to_string(), [1, 2]).unwrap();
    assert_eq!(text, ["1", "2"]);
    // The second map's values come through other workers' libraries and tables all the same.
    let values: Vec<u64> = pool
        .imap(|n: u64| n * n, 0..)
        .take(100)
        .map(Result::unwrap)
        .collect();
    assert_eq!(values, squares[..100]);
    let mut values: Vec<u64> = pool
        .imap_unordered(|n: u64| n * n, 0..50)
        .chunk_size(4)
        .map(Result::unwrap)
        .collect();
    values.sort_unstable();
    assert_eq!(values, squares[..50]);
    pool.join();
    assert!(pool.pids().is_empty());
    let error = pool.apply(area, (1, 1)).unwrap_err();
    assert!(matches!(error, ProcessError::PoolClosed { .. }), "{error}");
}

#[test]
fn values_that_are_not_waited_for_come_with_callbacks() {
    let pool = Pool::new(2).unwrap();
    let (sender, called) = mpsc::channel();
    let second = sender.clone();
    let one = pool.apply_async_with(area, (3, 4), move |value| {
        let _ = sender.send(value.map(|value| u64::from(*value)).unwrap_or(0));
    });
    let many = pool.map_async_with(
        |n: u64| n + 1,
        0..10,
        move |values| {
            let _ = second.send(values.map(|values| values.iter().sum()).unwrap_or(0));
        },
    );
    assert_eq!(one.get().unwrap(), 12);
    assert!(matches!(one.get(), Err(ProcessError::Taken { .. })));
    many.wait();
    assert!(many.ready());
    assert_eq!(many.successful(), Some(true));
    assert_eq!(many.get().unwrap(), (1..=10).collect::<Vec<u64>>());
    let mut sums: Vec<u64> = called.iter().take(2).collect();
    sums.sort_unstable();
    assert_eq!(sums, [12, 55]);
    let slow = pool.apply_async(|| std::thread::sleep(Duration::from_secs(60)), ());
    let error = slow.get_timeout(Duration::from_millis(20)).unwrap_err();
    assert!(matches!(error, ProcessError::TimedOut { .. }), "{error}");
}

#[test]
fn the_first_item_that_panics_is_named() {
    let _turn = host::turn();
    let pool = Pool::new(2).unwrap();
    fn picky(n: u32) -> u32 {
        assert!(!n.is_multiple_of(7) || n == 0, "no sevens: {n}");
        n
    }
    let error = pool.map(picky, 0..1000).unwrap_err();
    assert!(error.to_string().starts_with("item 7: "), "{error}");
    assert!(error.to_string().ends_with("no sevens: 7"), "{error}");
    let values: Vec<Result<u32, ProcessError>> = pool.imap(picky, 5..9).collect();
    assert_eq!(values.iter().filter(|value| value.is_ok()).count(), 3);
    assert!(matches!(
        values[2],
        Err(ProcessError::Item { index: 2, .. })
    ));
    assert_eq!(pool.map(picky, 1..3).unwrap(), [1, 2]);
}

#[test]
fn a_worker_that_dies_takes_only_its_own_item_and_is_replaced() {
    let pool = Pool::new(2).unwrap();
    fn deadly(n: u32) -> u32 {
        if n == 13 {
            // SAFETY: a plain system call.
            unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
        }
        n
    }
    let error = pool.map_chunked(deadly, 0..100, 5).unwrap_err();
    assert!(
        matches!(&error, ProcessError::Item { index: 13, source } if matches!(**source, ProcessError::Killed { signal: 9, .. })),
        "{error}"
    );
    let values: Vec<bool> = pool
        .imap(deadly, 10..16)
        .map(|value| value.is_ok())
        .collect();
    assert_eq!(values, [true, true, true, false, true, true]);
    assert_eq!(
        pool.map(deadly, 0..10).unwrap(),
        (0..10).collect::<Vec<u32>>()
    );
}

#[test]
fn workers_are_initialised_and_replaced_after_their_tasks() {
    static SET: AtomicU32 = AtomicU32::new(0);
    let pool = Pool::builder()
        .workers(1)
        .name("small")
        .initializer(|to: u32| SET.store(to, Ordering::Relaxed), (7,))
        .max_tasks_per_child(2)
        .start()
        .unwrap();
    let seen: Vec<(u32, u32)> = pool
        .map_chunked(
            |_: u32| (SET.load(Ordering::Relaxed), std::process::id()),
            0..6,
            1,
        )
        .unwrap();
    assert!(seen.iter().all(|(set, _)| *set == 7), "{seen:?}");
    let mut pids: Vec<u32> = seen.iter().map(|(_, pid)| *pid).collect();
    pids.dedup();
    assert_eq!(pids.len(), 3, "{seen:?}");
    assert!(matches!(Pool::new(0), Err(ProcessError::Start { .. })));
}

#[test]
fn an_initializer_that_fails_is_told_to_whoever_wants_work_done() {
    let _turn = host::turn();
    let pool = Pool::builder()
        .workers(1)
        .initializer(|| panic!("no licence"), ())
        .start()
        .unwrap();
    let error = pool.apply(area, (1, 2)).unwrap_err();
    assert!(
        matches!(
            error,
            ProcessError::Panicked { .. } | ProcessError::Exited { .. }
        ),
        "{error}"
    );
}

#[test]
fn a_pool_that_is_dropped_with_work_queued_ends_at_once() {
    let pool = Pool::new(2).unwrap();
    let begun = Instant::now();
    let waiting = pool.map_async(|_: u32| std::thread::sleep(Duration::from_secs(60)), 0..100);
    drop(pool);
    assert!(waiting.get().is_err());
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn the_example_of_the_module() {
    fn square(numbers: processes::Queue<u64>, squares: processes::Queue<u64>) {
        let n = numbers.get().unwrap();
        squares.put(n * n).unwrap();
    }
    let (numbers, squares) = (processes::Queue::new(), processes::Queue::new());
    let process = processes::spawn(square, (numbers.clone(), squares.clone())).unwrap();
    numbers.put(12).unwrap();
    assert_eq!(squares.get().unwrap(), 144);
    process.join().unwrap();
}
