//! Pools, futures, and the ways to wait for them; the examples of the documentation too.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::*;
use crate::tests::host::turn;

const LONG: Duration = Duration::from_secs(20);

/// Keeps a worker busy until it is dropped.
struct Gate(Option<mpsc::Sender<()>>, Future<()>);

impl Gate {
    fn shut(pool: &ThreadPool) -> Gate {
        let (opener, gate) = mpsc::channel::<()>();
        let (entered, inside) = mpsc::channel();
        let future = pool.spawn(move || {
            entered.send(()).unwrap();
            let _dropped = gate.recv();
        });
        inside.recv().unwrap();
        Gate(Some(opener), future)
    }

    fn open(mut self) {
        self.0.take();
        self.1.result().unwrap();
    }
}

fn square(n: u64) -> u64 {
    n * n
}

fn message(result: Result<impl Sized, TaskError>) -> String {
    result.err().unwrap().to_string()
}

#[test]
fn module_example() {
    fn squares(executor: &impl Executor) -> Result<Vec<u64>, TaskError> {
        executor.map(square, 1..=4).collect()
    }
    let pool = ThreadPool::new(2);
    assert_eq!(squares(&pool).unwrap(), [1, 4, 9, 16]);
    let futures: Vec<_> = (1..=4).map(|n| pool.submit(square, (n,))).collect();
    let sum: u64 = as_completed(futures)
        .map(|future| future.result().unwrap())
        .sum();
    assert_eq!(sum, 30);
}

#[test]
fn small_examples() {
    let pool = ThreadPool::new(1);
    assert_eq!(pool.spawn(|| 6 * 7).result().unwrap(), 42);
    let text = String::from("owned by the task");
    assert_eq!(pool.spawn(move || text.len()).result().unwrap(), 17);
    let lengths: Result<Vec<_>, _> = pool.map(|word: &str| word.len(), ["a", "bc", ""]).collect();
    assert_eq!(lengths.unwrap(), [1, 2, 0]);
    let (promise, future) = Promise::new();
    thread::spawn(move || promise.set_result(6 * 7));
    assert_eq!(future.result().unwrap(), 42);
    assert_eq!(
        TaskError::failed("no such city").to_string(),
        "no such city"
    );
    assert!(matches!(
        TaskError::failed(TaskError::Cancelled),
        TaskError::Cancelled
    ));
    let pool = ThreadPool::builder()
        .workers(3)
        .name("reader")
        .build()
        .unwrap();
    assert_eq!(pool.workers(), 3);
}

#[test]
fn arguments_are_tuples_and_starmap_takes_many() {
    let pool = ThreadPool::new(2);
    assert_eq!(
        pool.submit(|a: u32, b: u32| a - b, (5, 3))
            .result()
            .unwrap(),
        2
    );
    let powers: Vec<u32> = pool
        .starmap(u32::pow, [(2, 3), (3, 2)])
        .map(Result::unwrap)
        .collect();
    assert_eq!(powers, [8, 9]);
    let powers: Vec<u32> = Executor::starmap(&pool, u32::pow, [(2, 3)])
        .map(Result::unwrap)
        .collect();
    assert_eq!(powers, [8]);
}

#[test]
fn map_keeps_the_order_of_the_items() {
    let pool = ThreadPool::new(4);
    let slow_first = |n: u64| {
        thread::sleep(Duration::from_millis(20 - 5 * n));
        n
    };
    let results = pool.map(slow_first, 0..4);
    assert_eq!(results.len(), 4);
    assert_eq!(
        results.map(Result::unwrap).collect::<Vec<_>>(),
        [0, 1, 2, 3]
    );
}

#[test]
fn tasks_begin_in_the_order_in_which_they_came() {
    let pool = ThreadPool::new(1);
    let gate = Gate::shut(&pool);
    let order = Arc::new(Mutex::new(Vec::new()));
    let futures: Vec<_> = (0..100)
        .map(|n| {
            let order = Arc::clone(&order);
            pool.spawn(move || order.lock().push(n))
        })
        .collect();
    assert_eq!(pool.queued(), 100);
    gate.open();
    wait(&futures, When::AllCompleted, None);
    assert_eq!(*order.lock(), (0..100).collect::<Vec<_>>());
}

#[test]
fn workers_are_reused_and_named() {
    let pool = ThreadPool::builder()
        .workers(2)
        .name("crew")
        .build()
        .unwrap();
    let names: BTreeSet<String> = pool
        .map(|_: u32| thread::current().name().unwrap().to_owned(), 0..50)
        .map(Result::unwrap)
        .collect();
    assert!(
        names
            .iter()
            .all(|name| name == "crew_1" || name == "crew_2"),
        "{names:?}"
    );
    let name = ThreadPool::new(1).spawn(|| thread::current().name().unwrap().to_owned());
    assert!(name.result().unwrap().starts_with("ThreadPool-"));
}

#[test]
fn a_panic_fails_its_future_and_the_worker_goes_on() {
    let _turn = turn();
    let pool = ThreadPool::new(1);
    let future = pool.spawn(|| -> u8 { panic!("no {}", "luck") });
    assert_eq!(
        future.exception().unwrap().to_string(),
        "the task panicked: no luck"
    );
    assert_eq!(message(future.result()), "the task panicked: no luck");
    assert_eq!(
        message(future.result()),
        "the task panicked: no luck",
        "errors stay"
    );
    assert!(future.done() && !future.cancelled());
    assert_eq!(pool.spawn(|| 1).result().unwrap(), 1);
}

#[test]
fn a_result_can_be_taken_once() {
    let pool = ThreadPool::new(1);
    let future = pool.spawn(|| 1);
    assert!(future.exception().is_none());
    assert_eq!(future.result().unwrap(), 1);
    assert!(future.done());
    assert!(matches!(future.result(), Err(TaskError::Taken)));
    assert!(future.exception().is_none());
}

#[test]
fn only_what_has_not_begun_can_be_cancelled() {
    let pool = ThreadPool::new(1);
    let gate = Gate::shut(&pool);
    let queued = pool.spawn(|| panic!("must not run"));
    assert!(gate.1.running() && !queued.running() && !queued.done());
    assert!(!gate.1.cancel());
    assert!(queued.cancel() && queued.cancel(), "again is no error");
    assert!(queued.cancelled() && queued.done());
    assert!(matches!(queued.result(), Err(TaskError::Cancelled)));
    gate.open();
    let done = pool.spawn(|| 1);
    done.exception();
    assert!(!done.cancel() && !done.cancelled());
}

#[test]
fn a_wait_is_bounded_and_the_task_goes_on() {
    let pool = ThreadPool::new(1);
    let gate = Gate::shut(&pool);
    let future = pool.spawn(|| 1);
    assert!(future.try_result().is_none());
    assert!(matches!(
        future.result_timeout(Duration::ZERO),
        Err(TaskError::TimedOut(_))
    ));
    let before = Instant::now();
    let error = message(future.result_timeout(Duration::from_millis(60)));
    assert!(before.elapsed() >= Duration::from_millis(60));
    assert_eq!(
        error,
        "no result within 60ms: the task has not ended; wait longer, or cancel it"
    );
    gate.open();
    assert_eq!(future.result_timeout(LONG).unwrap(), 1);
}

#[test]
fn callbacks_run_in_order_before_the_result_can_be_taken() {
    let _turn = turn();
    let pool = ThreadPool::new(1);
    let gate = Gate::shut(&pool);
    let future = pool.spawn(|| 7);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = |name: &'static str| {
        let seen = Arc::clone(&seen);
        move |result: Result<&i32, &TaskError>| {
            let worker = thread::current().name().unwrap().starts_with("ThreadPool");
            seen.lock().push((name, *result.unwrap(), worker));
        }
    };
    future.add_done_callback(note("first"));
    future.add_done_callback(|_| panic!("a bad callback"));
    future.add_done_callback(note("second"));
    gate.open();
    future.exception();
    future.add_done_callback(note("late"));
    let expected = [("first", 7, true), ("second", 7, true), ("late", 7, false)];
    assert_eq!(*seen.lock(), expected);
    assert_eq!(future.result().unwrap(), 7);
    assert_eq!(pool.spawn(|| 1).result().unwrap(), 1, "the worker lives");
    let told = Arc::new(Mutex::new(String::new()));
    let tell = Arc::clone(&told);
    future.add_done_callback(move |result| *tell.lock() = result.unwrap_err().to_string());
    assert!(told.lock().starts_with("the result was taken before"));
}

#[test]
fn a_callback_that_asks_for_its_own_result_is_told_so() {
    let (promise, future) = Promise::new();
    let future = Arc::new(future);
    let inner = Arc::clone(&future);
    let (tell, told) = mpsc::channel();
    future.add_done_callback(move |_| tell.send(inner.result()).unwrap());
    promise.set_result(1);
    assert!(matches!(
        told.recv().unwrap(),
        Err(TaskError::WouldDeadlock(_))
    ));
    assert_eq!(future.result().unwrap(), 1);
}

#[test]
fn a_promise_dropped_fails_its_future() {
    let (promise, future) = Promise::<u8>::new();
    assert!(promise.start() && future.running());
    drop(promise);
    assert_eq!(
        message(future.result()),
        "there will be no result: its promise was dropped"
    );
    let (promise, future) = Promise::<u8>::new();
    assert!(future.cancel() && promise.is_cancelled() && !promise.start());
    assert!(!promise.set_exception("too late"));
    assert!(future.cancelled());
}

#[test]
fn wait_returns_when_it_is_told() {
    let pool = ThreadPool::new(2);
    let gate = Gate::shut(&pool);
    let blocked = Gate::shut(&pool);
    let futures = [pool.spawn(|| 0), pool.spawn(|| 1)];
    let (done, open) = wait(&futures, When::FirstCompleted, Duration::from_millis(20));
    assert_eq!((done.len(), open.len()), (0, 2));
    let (done, _) = wait(&futures, When::AllCompleted, Duration::ZERO);
    assert!(done.is_empty());
    gate.open();
    let (done, open) = wait(&futures, When::AllCompleted, LONG);
    assert_eq!((done.len(), open.len()), (2, 0));
    assert_eq!(done[1].result().unwrap(), 1);
    assert_eq!(
        wait(&futures, When::AllCompleted, None).0.len(),
        2,
        "also by reference, also when taken"
    );
    let (done, open) = wait(Vec::<Future<u8>>::new(), When::FirstCompleted, None);
    assert!(
        done.is_empty() && open.is_empty(),
        "of none, none is waited for"
    );
    blocked.open();
}

#[test]
fn wait_ends_at_the_first_error() {
    let _turn = turn();
    let pool = ThreadPool::new(2);
    let gate = Gate::shut(&pool);
    let (promise, open) = Promise::new();
    let futures = [pool.spawn(|| 0), pool.spawn(|| panic!("bad")), open];
    let (done, open) = wait(&futures, When::FirstException, LONG);
    assert_eq!((done.len(), open.len()), (2, 1));
    assert!(done[1].exception().is_some());
    promise.set_result(1);
    gate.open();
}

#[test]
fn the_first_that_is_done_comes_first() {
    let (slow, first) = Promise::new();
    let (fast, second) = Promise::new();
    let mut futures = as_completed([first, second]);
    fast.set_result("fast");
    assert_eq!(futures.next().unwrap().result().unwrap(), "fast");
    slow.set_result("slow");
    assert_eq!(futures.next().unwrap().result().unwrap(), "slow");
    assert!(futures.next().is_none());

    let (promise, future) = Promise::<u8>::new();
    let mut futures = as_completed_timeout([&future], Duration::from_millis(10));
    assert!(futures.next().is_none());
    assert_eq!(futures.not_done().len(), 1);
    drop(promise);
}

#[test]
fn what_is_queued_is_done_when_a_pool_goes() {
    let done = Arc::new(AtomicUsize::new(0));
    let pool = ThreadPool::new(2);
    let futures: Vec<_> = (0..20)
        .map(|_| {
            let done = Arc::clone(&done);
            pool.spawn(move || {
                thread::sleep(Duration::from_millis(1));
                done.fetch_add(1, Ordering::Relaxed)
            })
        })
        .collect();
    drop(pool);
    assert_eq!(done.load(Ordering::Relaxed), 20);
    assert!(futures.iter().all(Future::done));
}

#[test]
fn a_pool_that_is_shut_down_takes_nothing() {
    let pool = ThreadPool::new(1);
    let gate = Gate::shut(&pool);
    let queued: Vec<_> = (0..3).map(|n| pool.spawn(move || n)).collect();
    pool.shutdown(false);
    let refused = pool.spawn(|| 1);
    assert_eq!(
        message(refused.result()),
        "there will be no result: the pool has been shut down; make a new one"
    );
    assert_eq!(pool.shutdown_now(), 3);
    assert!(queued.iter().all(Future::cancelled));
    gate.open();
    pool.shutdown(true);
    pool.shutdown(true);
}

#[test]
fn a_task_may_shut_down_its_own_pool() {
    let pool = Arc::new(ThreadPool::new(2));
    let (submit, inner) = (Arc::clone(&pool), Arc::clone(&pool));
    submit
        .spawn(move || inner.shutdown(true))
        .result_timeout(LONG)
        .unwrap();
    let owner = Arc::new(ThreadPool::new(1));
    let last = Arc::clone(&owner);
    let (go, wait) = mpsc::channel::<()>();
    let future = owner.spawn(move || {
        wait.recv().unwrap();
        drop(last);
    });
    drop(owner);
    go.send(()).unwrap();
    future.result_timeout(LONG).unwrap();
}

#[test]
fn a_panic_does_not_wait_for_what_is_queued() {
    let _turn = turn();
    let (keep, kept) = mpsc::channel();
    let unwound = std::panic::catch_unwind(move || {
        let pool = ThreadPool::new(1);
        let gate = Gate::shut(&pool);
        let queued = pool.spawn(|| 1);
        keep.send((gate, queued)).unwrap();
        panic!("the cell fails");
    });
    assert!(unwound.is_err());
    let (gate, queued) = kept.recv().unwrap();
    assert!(queued.cancelled());
    gate.open();
}

#[test]
fn a_pool_needs_workers() {
    let error = ThreadPool::builder().workers(0).build().unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("a pool of 0 workers would never begin a task: ask")
    );
    assert!(ThreadPool::default().workers() >= 1);
}

#[test]
fn results_that_nobody_waits_for_are_cancelled() {
    let pool = ThreadPool::new(1);
    let gate = Gate::shut(&pool);
    drop(pool.map(|_: u8| panic!("must not run"), 0..10));
    gate.open();
    assert_eq!(pool.spawn(|| 1).result().unwrap(), 1);
}

#[test]
fn a_future_can_be_awaited() {
    let (promise, mut future) = Promise::new();
    let woken = Arc::new(Flag::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut context = Context::from_waker(&waker);
    let mut pinned = std::pin::Pin::new(&mut future);
    assert!(std::future::Future::poll(pinned.as_mut(), &mut context).is_pending());
    promise.set_result(5);
    assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    let polled = std::future::Future::poll(pinned, &mut context);
    assert!(matches!(polled, Poll::Ready(Ok(5))));
}

#[derive(Default)]
struct Flag(AtomicUsize);

impl std::task::Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn what_it_is_can_be_read() {
    let _turn = turn();
    let pool = ThreadPool::builder()
        .workers(1)
        .name("crew")
        .build()
        .unwrap();
    let gate = Gate::shut(&pool);
    let future = pool.spawn(|| 1);
    assert_eq!(
        format!("{pool:?}"),
        "ThreadPool(\"crew\": 1 workers, 1 running, 1 queued)"
    );
    assert_eq!(
        format!("{future:?} {:?}", gate.1),
        "Future(pending) Future(running)"
    );
    gate.open();
    future.exception();
    assert_eq!(format!("{future:?}"), "Future(done)");
    let failed = pool.spawn(|| panic!("bad"));
    failed.exception();
    assert_eq!(
        format!("{failed:?}"),
        "Future(failed: the task panicked: bad)"
    );
    let results = pool.map(|n: u8| n, 0..2);
    wait(&[pool.spawn(|| ())], When::AllCompleted, None);
    assert_eq!(format!("{results:?}"), "Results(2 of 2 are there)");
}
