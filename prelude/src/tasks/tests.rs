//! Tasks on the runtime, and what is made of them. The event loop has tests of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::*;
use crate::executors::ThreadPool;
use crate::tests::host::turn;

const LONG: Duration = Duration::from_secs(20);
const AGES: Duration = Duration::from_secs(600);

fn text<T>(result: Result<T, TaskError>) -> String {
    result.err().unwrap().to_string()
}

/// What a call that must panic says.
fn panic_of(body: impl FnOnce()) -> String {
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).unwrap_err();
    match panic.downcast_ref::<String>() {
        Some(text) => text.clone(),
        None => (*panic.downcast_ref::<&str>().unwrap()).to_owned(),
    }
}

#[test]
fn module_example() {
    async fn square(n: u64) -> u64 {
        sleep(Duration::from_millis(1)).await;
        n * n
    }
    let sum = block_on(async {
        let first = spawn(square(3));
        let second = spawn(square(4));
        first.await.unwrap() + second.await.unwrap()
    });
    assert_eq!(sum, 25);
    assert_eq!(block_on(gather((square(1), square(2)))), (1, 4));
}

#[test]
fn small_examples() {
    assert_eq!(block_on(handle().spawn(async { 42 })).unwrap(), 42);
    assert_eq!(block_on(async { 6 * 7 }), 42);
    assert_eq!(spawn(async { 6 * 7 }).result().unwrap(), 42);
    let size = block_on(async { spawn_blocking(|| "a slow computation".len()).await });
    assert_eq!(size.unwrap(), 18);
    let task = spawn(async {
        sleep(Duration::from_secs(60)).await;
        "too late"
    });
    assert!(task.cancel());
    assert!(matches!(task.result(), Err(TaskError::Cancelled)));
    let before = Instant::now();
    block_on(sleep(Duration::from_millis(5)));
    assert!(before.elapsed() >= Duration::from_millis(5));
    block_on(yield_now());
    let slow = sleep(Duration::from_secs(60));
    let result = block_on(timeout(Duration::from_millis(5), slow));
    assert!(matches!(result, Err(TaskError::TimedOut(_))));
}

#[test]
fn gather_example() {
    block_on(async {
        async fn double(n: u32) -> u32 {
            2 * n
        }
        assert_eq!(gather((double(1), async { "two" })).await, (2, "two"));
        assert_eq!(
            gather((1..=3).map(double).collect::<Vec<_>>()).await,
            [2, 4, 6]
        );
        let tasks: Vec<_> = (1..=3).map(|n| spawn(double(n))).collect();
        let results: Result<Vec<u32>, _> = gather(tasks).await.into_iter().collect();
        assert_eq!(results.unwrap(), [2, 4, 6]);
    });
}

#[test]
fn tasks_run_while_nobody_waits_for_them() {
    let (tell, told) = std::sync::mpsc::channel();
    drop(spawn(async move {
        sleep(Duration::from_millis(5)).await;
        let name = std::thread::current().name().unwrap().to_owned();
        tell.send(name).unwrap();
    }));
    assert!(told.recv_timeout(LONG).unwrap().starts_with("tasks-"));
}

#[test]
fn gather_of_thousands_keeps_their_order() {
    let results = block_on(async {
        let tasks: Vec<_> = (0..10_000_u64)
            .map(|n| {
                spawn(async move {
                    yield_now().await;
                    n
                })
            })
            .collect();
        gather(tasks).await
    });
    assert!(results.into_iter().map(Result::unwrap).eq(0..10_000));
    assert!(block_on(gather(Vec::<Sleep>::new())).is_empty());
    assert_eq!(block_on(gather([async { 1 }])), [1]);
}

#[test]
fn gathered_futures_wait_side_by_side() {
    let before = Instant::now();
    let naps = (0..50).map(|_| sleep(Duration::from_millis(100)));
    block_on(gather(naps.collect::<Vec<_>>()));
    block_on(gather((
        sleep(Duration::from_millis(100)),
        async { 1 },
        sleep(Duration::from_millis(100)),
    )));
    assert!(before.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_panic_fails_its_task_only() {
    let _turn = turn();
    let task = spawn(async { panic!("no luck") });
    assert_eq!(
        task.exception().unwrap().to_string(),
        "the task panicked: no luck"
    );
    assert_eq!(text::<()>(task.result()), "the task panicked: no luck");
    assert_eq!(
        text(block_on(async {
            spawn(async { panic!("inside {}", 1) }).await
        })),
        "the task panicked: inside 1"
    );
    assert_eq!(spawn(async { 1 }).result().unwrap(), 1);
}

#[test]
fn a_cancelled_task_ends_at_its_next_await_and_drops_what_it_holds() {
    let held = Arc::new(());
    let seen = Arc::clone(&held);
    let steps = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&steps);
    let task = spawn(async move {
        let _held = seen;
        while counted.load(Ordering::Relaxed) < usize::MAX {
            counted.fetch_add(1, Ordering::Relaxed);
            sleep(Duration::from_millis(1)).await;
        }
    });
    while steps.load(Ordering::Relaxed) == 0 {
        std::thread::yield_now();
    }
    assert!(!task.done() && !task.cancelled());
    assert!(task.cancel());
    assert!(matches!(block_on(task), Err(TaskError::Cancelled)));
    assert_eq!(Arc::strong_count(&held), 1);
    let done = spawn(async { 1 });
    done.exception();
    assert!(!done.cancel() && !done.cancelled());
    assert_eq!(done.result().unwrap(), 1);
}

#[test]
fn callbacks_see_how_a_task_ended() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let task = spawn(async {
        sleep(Duration::from_millis(5)).await;
        3
    });
    let note = Arc::clone(&seen);
    task.add_done_callback(move |result| note.lock().push(*result.unwrap()));
    assert_eq!(task.result().unwrap(), 3);
    assert_eq!(*seen.lock(), [3]);
}

#[test]
fn wait_returns_when_it_is_told() {
    let _turn = turn();
    block_on(async {
        let slow = || {
            spawn(async {
                sleep(AGES).await;
                0
            })
        };
        let (done, pending) = wait([slow(), spawn(async { 1 })], When::FirstCompleted).await;
        assert_eq!((done.len(), pending.len()), (1, 1));
        assert!(pending[0].cancel());
        let bad = spawn(async { panic!("bad") });
        let (done, pending) = wait([slow(), bad], When::FirstException).await;
        assert_eq!(
            done[0].exception().unwrap().to_string(),
            "the task panicked: bad"
        );
        let more = pending.into_iter().chain([spawn(async { 2 })]);
        let (done, pending) =
            wait_timeout(more, When::AllCompleted, Duration::from_millis(50)).await;
        assert_eq!((done.len(), pending.len()), (1, 1));
        pending[0].cancel();
        let (done, pending) = wait(pending, When::AllCompleted).await;
        assert_eq!((done.len(), pending.len()), (1, 0));
        let (done, pending) = wait_timeout([slow()], When::AllCompleted, Duration::ZERO).await;
        assert_eq!((done.len(), pending.len()), (0, 1));
        pending[0].cancel();
    });
}

#[test]
fn a_timeout_ends_what_takes_too_long() {
    block_on(async {
        assert_eq!(timeout(LONG, async { 1 }).await.unwrap(), 1);
        assert_eq!(
            timeout(Duration::ZERO, async { 1 }).await.unwrap(),
            1,
            "ready is in time"
        );
        let error = timeout(Duration::ZERO, sleep(AGES)).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "no result within 0ns: the task has not ended; wait longer, or cancel it"
        );
    });
}

#[test]
fn to_wait_inside_of_a_task_is_refused() {
    let _turn = turn();
    const REFUSED: &str = "tasks::block_on was called inside of a task";
    let by_task = spawn(async { panic_of(|| block_on(sleep(AGES))) });
    assert!(by_task.result().unwrap().starts_with(REFUSED));
    let nested = block_on(async { panic_of(|| block_on(sleep(AGES))) });
    assert!(nested.starts_with(REFUSED));
    let by_tokio = block_on(handle().spawn(async { panic_of(|| block_on(sleep(AGES))) }));
    assert!(by_tokio.unwrap().starts_with(REFUSED));
    let error = block_on(async {
        let slow = spawn(sleep(AGES));
        let error = text(slow.result());
        assert!(matches!(
            slow.result_timeout(Duration::ZERO),
            Err(TaskError::TimedOut(_))
        ));
        assert!(slow.exception().is_some());
        slow.cancel();
        error
    });
    assert!(
        error.starts_with("this would wait for ever: a task is waited for inside"),
        "{error}"
    );
    let lent = spawn_blocking(|| block_on(async { 5 }));
    assert_eq!(
        lent.result().unwrap(),
        5,
        "a thread for blocking calls may wait"
    );
}

#[test]
fn a_pools_future_can_be_awaited() {
    let pool = ThreadPool::new(1);
    let sum =
        block_on(async { pool.spawn(|| 1).await.unwrap() + spawn_blocking(|| 2).await.unwrap() });
    assert_eq!(sum, 3);
}

#[test]
fn a_task_says_what_it_is() {
    let slow = spawn(sleep(AGES));
    assert!(matches!(
        slow.result_timeout(Duration::from_millis(20)),
        Err(TaskError::TimedOut(_))
    ));
    assert_eq!(format!("{slow:?}"), "Task(running)");
    slow.cancel();
    assert!(slow.result_timeout(LONG).is_err());
    assert_eq!(format!("{slow:?}"), "Task(failed: the task was cancelled)");
}

#[test]
fn a_task_works_for_the_cell_that_spawned_it() {
    let _turn = crate::tests::host::turn();
    let run = || crate::rt::Run::here().number();
    let entered = crate::rt::Run::numbered(7).enter();
    let task = spawn(async move {
        let first = run();
        sleep(Duration::from_millis(1)).await;
        [first, run()]
    });
    let blocking = spawn_blocking(run);
    let pool = crate::executors::ThreadPool::new(1);
    let pooled = pool.spawn(run);
    drop(entered);
    assert_eq!(task.result().unwrap(), [7, 7]);
    assert_eq!(blocking.result().unwrap(), 7);
    assert_eq!(pooled.result().unwrap(), 7);
    assert_eq!(pool.spawn(run).result().unwrap(), 0);
    assert_eq!(run(), 0);
}
