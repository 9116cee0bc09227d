//! Every task once, under every scheme; who is idle; what is refused; panics.

use std::time::Duration;

use super::{Outcome, Scheme, block, by_cost, by_speed, cyclic, run};
use crate::tests::host;

fn schemes(tasks: usize, workers: usize) -> Vec<Scheme> {
    vec![
        Scheme::Assigned(block(tasks, workers).unwrap()),
        Scheme::Assigned(cyclic(tasks, workers).unwrap()),
        Scheme::Central,
        Scheme::Groups(workers.div_ceil(2)),
        Scheme::Stealing,
    ]
}

fn squares(scheme: Scheme, n: u64, workers: usize) -> Outcome<u64> {
    let tasks: Vec<u64> = (0..n).collect();
    run(workers, scheme, &tasks, |n| n * n).unwrap()
}

#[test]
fn every_task_is_run_once_under_every_scheme() {
    for n in [0, 1, 7, 1_000] {
        for workers in [1, 2, 5] {
            for scheme in schemes(n as usize, workers) {
                let done = squares(scheme.clone(), n, workers);
                let expected: Vec<u64> = (0..n).map(|n| n * n).collect();
                assert_eq!(done.results, expected, "{scheme:?}");
                let mut tasks: Vec<_> = done.runs.iter().map(|run| run.task).collect();
                tasks.sort_unstable();
                assert!(tasks.into_iter().eq(0..n as usize), "{scheme:?}");
                assert_eq!(done.counts().iter().sum::<usize>(), n as usize);
                assert!(done.runs.is_sorted_by_key(|run| run.start_ns));
            }
        }
    }
}

#[test]
fn assigned_tasks_run_where_they_were_assigned() {
    let assigned = vec![1, 0, 1, 1];
    let done = squares(Scheme::Assigned(assigned.clone()), 4, 2);
    for run in &done.runs {
        assert_eq!(run.worker, assigned[run.task]);
    }
    assert_eq!(done.counts(), [1, 3]);
    assert_eq!((done.n_requests, done.n_moved), (0, 0));
}

/// One long task and many short ones: the blocks leave a worker idle, stealing does not.
#[test]
fn stealing_moves_tasks_to_who_is_idle() {
    let mut tasks = vec![1_u64; 8];
    tasks[0] = 60;
    let sleep = |ms: &u64| std::thread::sleep(Duration::from_millis(*ms));
    let blocks = block(8, 2).unwrap();
    let fixed = run(2, Scheme::Assigned(blocks), &tasks, sleep).unwrap();
    assert_eq!(fixed.counts(), [4, 4]);
    assert!(fixed.idle(1) >= Duration::from_millis(40), "{fixed}");
    assert!(fixed.imbalance() > 1.3, "{fixed}");
    let stolen = run(2, Scheme::Stealing, &tasks, sleep).unwrap();
    assert_eq!(stolen.n_moved, 3, "{stolen}");
    assert_eq!(stolen.counts(), [1, 7]);
}

#[test]
fn managers_are_asked_as_often_as_the_scheme_says() {
    // Each worker asks once more, in vain.
    assert_eq!(squares(Scheme::Central, 10, 3).n_requests, 13);
    // One group: portions of what is left, halved: 5, 3, 1, 1, and once in vain.
    let grouped = squares(Scheme::Groups(1), 10, 1);
    assert_eq!(grouped.n_requests, 5, "{grouped}");
    assert_eq!(grouped.n_moved, 0);
}

#[test]
fn assignments_cover_the_tasks() {
    assert_eq!(block(5, 2).unwrap(), [0, 0, 0, 1, 1]);
    assert_eq!(block(2, 3).unwrap(), [0, 1]);
    assert_eq!(cyclic(5, 2).unwrap(), [0, 1, 0, 1, 0]);
    assert_eq!(by_cost(&[1.0, 1.0, 1.0, 3.0], 2).unwrap(), [1, 1, 1, 0]);
    assert_eq!(by_speed(&[1.0, 1.0, 1.0], &[2.0, 1.0]).unwrap(), [0, 0, 1]);
    assert_eq!(by_cost(&[], 2).unwrap(), [] as [usize; 0]);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let starts = |error: String, text: &str| assert!(error.starts_with(text), "{error}");
    let refused = |workers, scheme| {
        run(workers, scheme, &[1, 2], |n| *n)
            .unwrap_err()
            .to_string()
    };
    starts(refused(0, Scheme::Central), "schedule::run: 0 workers");
    starts(
        refused(5_000, Scheme::Stealing),
        "schedule::run: 5000 workers",
    );
    starts(
        refused(2, Scheme::Assigned(vec![0])),
        "schedule::run: the assignment is for 1 tasks, and there are 2\n",
    );
    starts(
        refused(2, Scheme::Assigned(vec![0, 2])),
        "schedule::run: task 1 is given to worker 2 of 2\n",
    );
    starts(
        refused(2, Scheme::Groups(0)),
        "schedule::run: 0 groups of 2",
    );
    starts(
        refused(2, Scheme::Groups(3)),
        "schedule::run: 3 groups of 2",
    );
    starts(
        block(1, 0).unwrap_err().to_string(),
        "schedule::block: 0 workers",
    );
    starts(
        by_cost(&[1.0, f64::NAN], 2).unwrap_err().to_string(),
        "schedule::by_cost: number 1 is NaN\n",
    );
    starts(
        by_speed(&[1.0], &[0.0]).unwrap_err().to_string(),
        "schedule::by_speed: number 0 is 0\n",
    );
}

#[test]
fn a_panic_in_a_task_goes_on_in_the_caller_and_nobody_hangs() {
    let _turn = host::turn();
    for scheme in schemes(6, 2) {
        let panic = std::panic::catch_unwind(|| {
            run(2, scheme.clone(), &[0, 1, 2, 3, 4, 5], |n| {
                assert_ne!(*n, 3, "three");
            })
        });
        let panic = panic.unwrap_err();
        let text = panic.downcast_ref::<String>().unwrap();
        assert!(text.contains("three"), "{text}");
    }
}

#[test]
fn the_picture_has_a_row_for_each_worker_and_the_text_a_table() {
    use crate::display::Show;

    let done = squares(Scheme::Assigned(vec![1, 0, 0]), 3, 2);
    let trace = done.trace();
    let rows: Vec<_> = trace.rows().iter().map(|row| row.name()).collect();
    assert_eq!(rows, ["worker 0", "worker 1"]);
    let bundle = done.show();
    assert!(bundle.get("image/svg+xml").is_some());
    let text = bundle.plain_text();
    assert!(text.starts_with("3 tasks on 2 workers in "), "{text}");
    assert_eq!(text.lines().count(), 4, "{text}");
    let nothing = squares(Scheme::Central, 0, 2);
    assert!(nothing.show().get("image/svg+xml").is_none());
}
