//! The event loop: exact transcripts, by a clock that does not wait.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::*;
use crate::tasks::{self, TaskError};
use crate::tests::host::turn;

const SECOND: Duration = Duration::from_secs(1);

type Log = Rc<RefCell<Vec<String>>>;

fn log() -> (Log, impl Fn(&str) + Clone) {
    let log: Log = Rc::default();
    let write = Rc::clone(&log);
    (log, move |text: &str| {
        write.borrow_mut().push(text.to_owned())
    })
}

fn panic_of(body: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(body)).unwrap_err();
    match panic.downcast_ref::<String>() {
        Some(text) => text.clone(),
        None => (*panic.downcast_ref::<&str>().unwrap()).to_owned(),
    }
}

#[test]
fn loop_example() {
    let event_loop = EventLoop::with_virtual_clock();
    event_loop.call_later(Duration::from_secs(3600), EventLoop::stop);
    event_loop.run_forever();
    assert_eq!(event_loop.time(), Duration::from_secs(3600));
    let answer = event_loop.run_until_complete(async {
        tasks::sleep(Duration::from_secs(60)).await;
        42
    });
    assert_eq!(answer, 42);
}

#[test]
fn callbacks_run_in_the_order_of_their_times_and_calls() {
    let event_loop = EventLoop::with_virtual_clock();
    let (seen, write) = log();
    let note = |name: &'static str| {
        let write = write.clone();
        move |event_loop: &EventLoop| write(&format!("{name} {}", event_loop.time().as_secs()))
    };
    event_loop.call_later(2 * SECOND, note("late"));
    event_loop.call_later(SECOND, note("early"));
    event_loop.call_at(SECOND, note("early too"));
    let never = event_loop.call_later(SECOND, note("never"));
    assert_eq!(never.when(), SECOND);
    assert!(never.cancel() && never.cancel() && never.cancelled());
    event_loop.call_soon(note("first"));
    event_loop.call_soon(note("second"));
    let fired = event_loop.call_later(3 * SECOND, EventLoop::stop);
    event_loop.run_forever();
    assert!(!fired.cancel());
    assert_eq!(
        *seen.borrow(),
        ["first 0", "second 0", "early 1", "early too 1", "late 2"]
    );
}

#[test]
fn what_a_callback_schedules_comes_in_the_next_round() {
    let event_loop = EventLoop::new();
    let (seen, write) = log();
    let (again, other) = (write.clone(), write.clone());
    event_loop.call_soon(move |event_loop| {
        write("a");
        event_loop.call_soon(move |event_loop| {
            again("a again");
            event_loop.stop();
        });
    });
    event_loop.call_soon(move |_| other("b"));
    event_loop.run_forever();
    assert_eq!(*seen.borrow(), ["a", "b", "a again"]);
}

#[test]
fn a_real_clock_waits() {
    let event_loop = EventLoop::new();
    let before = Instant::now();
    event_loop.call_later(Duration::from_millis(30), EventLoop::stop);
    event_loop.run_forever();
    assert!(before.elapsed() >= Duration::from_millis(30));
    assert!(event_loop.time() >= Duration::from_millis(30));
}

#[test]
fn tasks_take_turns_in_their_order() {
    let event_loop = EventLoop::with_virtual_clock();
    let (seen, write) = log();
    let count = |name: &'static str| {
        let write = write.clone();
        async move {
            for n in 1..=3 {
                write(&format!("{name}{n}"));
                tasks::sleep(SECOND).await;
            }
            name
        }
    };
    let first = event_loop.create_task(count("a"));
    let second = event_loop.create_task(count("b"));
    let both =
        event_loop.run_until_complete(async { (first.await.unwrap(), second.await.unwrap()) });
    assert_eq!(both, ("a", "b"));
    assert_eq!(*seen.borrow(), ["a1", "b1", "a2", "b2", "a3", "b3"]);
    assert_eq!(event_loop.time(), 3 * SECOND);
}

#[test]
fn spawn_follows_the_loop_and_tasks_may_stay_on_their_thread() {
    let event_loop = EventLoop::with_virtual_clock();
    let here = std::thread::current().id();
    let shared = Rc::new(5);
    let (thread, sum) = event_loop.run_until_complete(async {
        let local = EventLoop::running()
            .unwrap()
            .create_task(async move { *shared + 1 });
        let task = tasks::spawn(async {
            tasks::sleep(SECOND).await;
            std::thread::current().id()
        });
        (task.await.unwrap(), local.await.unwrap())
    });
    assert_eq!((thread, sum), (here, 6));
    assert!(EventLoop::running().is_none());
}

#[test]
fn sleeps_and_timeouts_go_by_the_loops_clock() {
    let event_loop = EventLoop::with_virtual_clock();
    let clock = event_loop.clone();
    let result = event_loop.run_until_complete(async {
        clock.sleep(SECOND).await;
        let slow = tasks::sleep(100 * SECOND);
        tasks::timeout(10 * SECOND, slow).await
    });
    assert!(matches!(result, Err(TaskError::TimedOut(_))));
    assert_eq!(event_loop.time(), 11 * SECOND);
    event_loop.call_later(200 * SECOND, EventLoop::stop);
    event_loop.run_forever();
    assert_eq!(
        event_loop.time(),
        211 * SECOND,
        "nobody waits for the slow one any more"
    );
}

#[test]
fn a_task_is_cancelled_where_it_waits() {
    let _turn = turn();
    let event_loop = EventLoop::with_virtual_clock();
    let task = event_loop.create_task(async {
        tasks::sleep(100 * SECOND).await;
        1
    });
    let bad = event_loop.create_task(async { panic!("bad") });
    let task = Rc::new(task);
    let cancelled = Rc::clone(&task);
    event_loop.call_later(SECOND, move |_| assert!(cancelled.cancel()));
    event_loop.run_until_complete(tasks::sleep(2 * SECOND));
    assert!(matches!(task.result(), Err(TaskError::Cancelled)));
    let bad: Result<(), _> = bad.result();
    assert_eq!(bad.unwrap_err().to_string(), "the task panicked: bad");
}

#[test]
fn what_is_not_finished_goes_on_in_the_next_run() {
    let event_loop = EventLoop::with_virtual_clock();
    let task = event_loop.create_task(async {
        tasks::sleep(2 * SECOND).await;
        "done"
    });
    event_loop.run_until_complete(tasks::sleep(SECOND));
    assert!(!task.done());
    assert_eq!(event_loop.run_until_complete(task).unwrap(), "done");
}

#[test]
fn other_threads_wake_a_loop() {
    let event_loop = EventLoop::new();
    let pool = crate::executors::ThreadPool::new(1);
    let sum = event_loop.run_until_complete(async {
        let slow = pool.spawn(|| {
            std::thread::sleep(Duration::from_millis(20));
            1
        });
        let by_tokio = tokio::time::timeout(Duration::from_secs(20), slow);
        by_tokio.await.unwrap().unwrap() + tasks::handle().spawn(async { 2 }).await.unwrap()
    });
    assert_eq!(sum, 3);
}

#[test]
fn a_stop_beforehand_lets_one_round_run() {
    let event_loop = EventLoop::new();
    let (seen, write) = log();
    event_loop.call_soon(move |event_loop| {
        write("once");
        event_loop.call_soon(|_| unreachable!("this is the next round"));
    });
    event_loop.stop();
    event_loop.run_forever();
    assert_eq!(*seen.borrow(), ["once"]);
}

#[test]
fn a_callback_that_panics_ends_alone() {
    let _turn = turn();
    let event_loop = EventLoop::new();
    event_loop.call_soon(|_| panic!("bad"));
    event_loop.call_soon(EventLoop::stop);
    event_loop.run_forever();
    let message = panic_of(|| event_loop.run_until_complete(async { panic!("the main one") }));
    assert_eq!(message, "the main one");
    assert_eq!(
        event_loop.run_until_complete(async { 1 }),
        1,
        "it can run again"
    );
}

#[test]
fn misuse_is_told() {
    let _turn = turn();
    let event_loop = EventLoop::new();
    let inner = event_loop.clone();
    let messages = event_loop.run_until_complete(async {
        [
            panic_of(|| inner.run_forever()),
            panic_of(|| EventLoop::new().run_forever()),
            panic_of(|| tasks::block_on(async {})),
            panic_of(|| inner.close()),
        ]
    });
    let begins = [
        "EventLoop::run_forever: the loop runs already",
        "EventLoop::run_forever was called inside of a task",
        "tasks::block_on was called inside of a task",
        "a running event loop cannot be closed",
    ];
    for (message, begin) in messages.iter().zip(begins) {
        assert!(message.starts_with(begin), "{message}");
    }
    event_loop.call_soon(EventLoop::stop);
    let message = panic_of(|| event_loop.run_until_complete(std::future::pending()));
    assert!(
        message.starts_with("the event loop was stopped before"),
        "{message}"
    );

    let task = event_loop.create_task(std::future::pending::<u8>());
    assert!(format!("{event_loop:?}").starts_with("EventLoop(not running, time "));
    event_loop.close();
    event_loop.close();
    assert_eq!(
        task.result().unwrap_err().to_string(),
        "there will be no result: the event loop of the task is gone"
    );
    let message = panic_of(|| event_loop.call_soon(|_| {}));
    assert!(
        message.starts_with("EventLoop::call_soon: the loop is closed"),
        "{message}"
    );
}

#[test]
fn future_example() {
    let event_loop = EventLoop::new();
    let future = event_loop.create_future();
    let (seen, write) = log();
    future.add_done_callback(move |future| write(&format!("{:?}", future.result().ok())));
    let setter = future.clone();
    event_loop.call_soon(move |_| setter.set_result(1 + 2).unwrap());
    assert_eq!(event_loop.run_until_complete(future).unwrap(), 3);
    assert_eq!(*seen.borrow(), ["Some(3)"]);
}

#[test]
fn a_future_is_settled_once_and_tells_its_callbacks() {
    let event_loop = EventLoop::with_virtual_clock();
    let (seen, write) = log();
    let future = event_loop.create_future::<u32>();
    assert!(
        future
            .result()
            .unwrap_err()
            .to_string()
            .starts_with("this future is not done")
    );
    assert!(future.exception().is_err() && !future.done() && !future.cancelled());
    let note = |name: &'static str| {
        let write = write.clone();
        move |future: &LoopFuture<u32>| write(&format!("{name} {future:?}"))
    };
    let kept = future.add_done_callback(note("kept"));
    let removed = future.add_done_callback(note("removed"));
    assert!(future.remove_done_callback(removed) && !future.remove_done_callback(removed));
    future.set_exception("no result").unwrap();
    assert!(seen.borrow().is_empty(), "the loop calls, not who sets");
    assert!(!future.remove_done_callback(kept), "it is on its way");
    assert!(future.set_result(1).is_err() && !future.cancel());
    future.add_done_callback(note("late"));
    event_loop.run_until_complete(tasks::sleep(SECOND));
    assert_eq!(
        *seen.borrow(),
        [
            "kept LoopFuture(failed: no result)",
            "late LoopFuture(failed: no result)"
        ]
    );
    assert_eq!(
        future.exception().unwrap().unwrap().to_string(),
        "no result"
    );

    let cancelled = event_loop.create_future::<u32>();
    assert!(cancelled.cancel() && cancelled.cancelled() && cancelled.done());
    assert!(matches!(cancelled.exception(), Err(TaskError::Cancelled)));
    let error = event_loop.run_until_complete(cancelled).unwrap_err();
    assert!(matches!(error, TaskError::Cancelled));
}

#[test]
fn several_may_wait_for_one_future() {
    let event_loop = EventLoop::with_virtual_clock();
    let future = event_loop.create_future();
    let waiters: Vec<_> = (0..3)
        .map(|_| event_loop.create_task(future.clone()))
        .collect();
    event_loop.call_later(SECOND, move |_| future.set_result("there").unwrap());
    let results = event_loop.run_until_complete(tasks::gather(waiters));
    assert!(
        results
            .into_iter()
            .all(|result| result.unwrap().unwrap() == "there")
    );
}

#[test]
fn many_tasks_are_no_burden() {
    let event_loop = EventLoop::with_virtual_clock();
    let naps: Vec<_> = (0..10_000)
        .map(|n| event_loop.create_task(tasks::sleep(Duration::from_millis(n))))
        .collect();
    event_loop.run_until_complete(tasks::gather(naps));
    assert_eq!(event_loop.time(), Duration::from_millis(9_999));
}
