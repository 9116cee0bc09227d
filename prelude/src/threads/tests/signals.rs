//! Conditions, events, barriers, timers, queues.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::super::*;
use super::{LONG, SHORT, message, until, until_it_waits};
use crate::tests::host;

#[test]
fn a_condition_hands_items_over_without_losing_one() {
    let stock = Arc::new(Lock::new(Vec::new()));
    let (not_full, not_empty) = (Condition::on(&stock), Condition::on(&stock));
    let mut taken = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..1_000 {
                let mut stock = not_full.lock();
                not_full.wait_while(&mut stock, |stock| stock.len() >= 3);
                stock.push(n);
                not_empty.notify();
            }
        });
        for _ in 0..1_000 {
            let mut stock = not_empty.lock();
            not_empty.wait_while(&mut stock, |stock| stock.is_empty());
            taken.extend(stock.pop());
            not_full.notify();
        }
    });
    taken.sort_unstable();
    assert_eq!(taken, (0..1_000).collect::<Vec<_>>());
}

#[test]
fn the_lock_that_was_given_is_the_one_held() {
    let lock = Arc::new(Lock::new(()));
    let condition = Condition::on(&lock);
    let guard = condition.lock();
    assert!(lock.is_locked() && Arc::ptr_eq(condition.lock_of(), &lock));
    drop(guard);
    condition.acquire();
    assert!(lock.is_locked());
    condition.release().unwrap();
    assert_eq!(condition.release(), Err(LockError::NotAcquired));
}

#[test]
fn its_own_lock_is_reentrant_and_given_back_as_a_whole() {
    let condition = Arc::new(Condition::new());
    let waits = Arc::clone(&condition);
    let waiter = spawn(move || {
        let _outer = waits.lock();
        waits.acquire();
        let mut inner = waits.lock();
        waits.wait(&mut inner);
        let is_owned = waits.lock_of().is_owned();
        waits.release().unwrap();
        is_owned
    });
    until("it waits", || condition.n_waiting() == 1);
    {
        let _guard = condition.lock();
        condition.notify();
        assert_eq!(condition.n_waiting(), 0);
    }
    assert!(waiter.join_timeout(LONG).unwrap());
    assert!(!condition.lock_of().is_locked());
}

#[test]
fn a_wait_with_a_time_ends_with_the_lock_held() {
    let lock = Arc::new(Lock::new(1));
    let condition = Condition::on(&lock);
    let mut guard = condition.lock();
    let begun = Instant::now();
    assert!(!condition.wait_timeout(&mut guard, SHORT));
    assert!(begun.elapsed() >= SHORT);
    assert!(!condition.wait_while_timeout(&mut guard, SHORT, |value| **value == 1));
    assert!(condition.wait_while_timeout(&mut guard, SHORT, |value| **value == 2));
    *guard += 1;
    assert!(lock.try_lock().is_none());
    drop(guard);
    assert_eq!(condition.n_waiting(), 0);
    // Notifications are not kept.
    condition.notify();
    condition.notify_all();
    assert!(!condition.wait_timeout(&mut condition.lock(), SHORT));
}

#[test]
fn notify_wakes_one_and_notify_all_the_rest() {
    let lock = Arc::new(Lock::new(()));
    let condition = Arc::new(Condition::on(&lock));
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let condition = Arc::clone(&condition);
            spawn(move || condition.wait(&mut condition.lock()))
        })
        .collect();
    until("all wait", || condition.n_waiting() == 3);
    condition.notify();
    until("one has gone", || {
        threads.iter().filter(|one| one.is_alive()).count() == 2
    });
    assert_eq!(condition.n_waiting(), 2);
    condition.notify_all();
    for thread in threads {
        thread.join_timeout(LONG).unwrap();
    }
    assert_eq!(
        format!("{condition:?}"),
        "Condition { lock: Lock { value: () }, n_waiting: 0 }"
    );
}

#[test]
fn the_guard_of_another_lock_is_refused() {
    let _turn = host::turn();
    let thread = spawn(|| {
        let (one, other) = (Arc::new(Lock::new(())), Lock::new(()));
        Condition::on(&one).wait(&mut other.lock());
    });
    assert!(message(thread.join()).contains("with the guard of another lock"));
}

#[test]
fn an_event_stays_set_until_it_is_cleared() {
    let event = Arc::new(Event::default());
    assert!(!event.is_set() && !event.wait_timeout(SHORT));
    let waits = Arc::clone(&event);
    let waiter = spawn(move || waits.wait());
    until_it_waits(&waiter);
    event.set();
    waiter.join_timeout(LONG).unwrap();
    event.wait();
    assert!(event.is_set() && event.wait_timeout(Duration::ZERO));
    event.clear();
    assert!(!event.is_set());
    assert_eq!(format!("{event:?}"), "Event { is_set: false }");
}

#[test]
fn a_pulse_wakes_who_waits_and_is_missed_by_who_comes_later() {
    let event = Arc::new(Event::new());
    let waits = Arc::clone(&event);
    let waiter = spawn(move || waits.wait());
    until_it_waits(&waiter);
    // It has entered its wait and may not stand in it yet; a pulse before that is missed.
    until("it was woken", || {
        event.set();
        event.clear();
        !waiter.is_alive()
    });
    assert!(!event.wait_timeout(SHORT));
}

#[test]
fn a_barrier_opens_for_all_and_closes_again() {
    let barrier = Barrier::new(3);
    let (arrived, leaders) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for round in 1..=50 {
                    arrived.fetch_add(1, Ordering::SeqCst);
                    let arrival = barrier.wait().unwrap();
                    assert!(arrived.load(Ordering::SeqCst) >= 3 * round);
                    assert!(arrival.index() < 3);
                    leaders.fetch_add(usize::from(arrival.is_leader()), Ordering::SeqCst);
                    barrier.wait().unwrap();
                }
            });
        }
    });
    assert_eq!(leaders.into_inner(), 50);
    assert_eq!(
        format!("{barrier:?}"),
        "Barrier { parties: 3, n_waiting: 0, is_broken: false }"
    );
    assert!(Barrier::new(0).wait().unwrap().is_leader(), "0 counts as 1");
}

#[test]
fn a_barrier_breaks_by_a_time_and_is_mended_by_reset() {
    let barrier = Arc::new(Barrier::new(3));
    let waits = Arc::clone(&barrier);
    let patient = spawn(move || waits.wait());
    until("it waits", || barrier.n_waiting() == 1);
    let error = barrier.wait_timeout(SHORT).unwrap_err();
    assert_eq!(
        error,
        BarrierError::TimedOut {
            time: SHORT,
            parties: 3
        }
    );
    assert!(
        error
            .to_string()
            .contains("not all of its 3 threads came within 20ms")
    );
    assert_eq!(
        patient.join_timeout(LONG).unwrap(),
        Err(BarrierError::Broken)
    );
    assert!(barrier.is_broken());
    assert_eq!(barrier.wait(), Err(BarrierError::Broken));
    barrier.reset();
    assert!(!barrier.is_broken() && barrier.parties() == 3);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| barrier.wait_timeout(LONG)))
            .collect();
        let mut places: Vec<_> = threads
            .into_iter()
            .map(|thread| thread.join().unwrap().unwrap().index())
            .collect();
        places.sort_unstable();
        assert_eq!(places, [0, 1, 2]);
    });
}

#[test]
fn abort_and_reset_send_away_who_waits() {
    let barrier = Arc::new(Barrier::new(2));
    for is_abort in [true, false] {
        let waits = Arc::clone(&barrier);
        let thread = spawn(move || waits.wait());
        until("it waits", || barrier.n_waiting() == 1);
        if is_abort {
            barrier.abort();
        } else {
            barrier.reset();
        }
        assert_eq!(
            thread.join_timeout(LONG).unwrap(),
            Err(BarrierError::Broken)
        );
        assert_eq!(barrier.is_broken(), is_abort);
        barrier.reset();
    }
    assert!(BarrierError::Broken.to_string().contains("call reset()"));
}

#[test]
fn the_action_comes_before_anybody_goes_on() {
    let _turn = host::turn();
    let done = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&done);
    let barrier = Barrier::with_action(2, move || {
        std::thread::sleep(SHORT);
        assert!(
            counted.fetch_add(1, Ordering::SeqCst) == 0,
            "only one round"
        );
    });
    let both = || {
        std::thread::scope(|scope| {
            let threads = [
                scope.spawn(|| barrier.wait()),
                scope.spawn(|| barrier.wait()),
            ];
            threads.map(|thread| {
                let result = thread.join();
                (result, done.load(Ordering::SeqCst))
            })
        })
    };
    for (result, n_done) in both() {
        assert!(result.unwrap().is_ok() && n_done == 1);
    }
    // The second time it panics: that thread has the panic, the other one a broken barrier.
    let results = both().map(|(result, _)| result.map_err(|_panic| ()));
    assert!(results.contains(&Err(())), "{results:?}");
    assert!(
        results.contains(&Ok(Err(BarrierError::Broken))),
        "{results:?}"
    );
    assert!(barrier.is_broken());
}

#[test]
fn a_timer_comes_or_is_called_off() {
    let begun = Instant::now();
    let timer = Timer::new(SHORT, || 5).name("in time");
    assert_eq!(timer.info().name(), "in time");
    timer.start().unwrap();
    assert_eq!(timer.join().unwrap(), Some(5));
    assert!(begun.elapsed() >= SHORT && !timer.is_alive());
    timer.cancel();
    let timer = Timer::new(Duration::from_secs(3_600), || 5);
    timer.start().unwrap();
    assert!(timer.is_alive() && timer.start().is_err());
    timer.cancel();
    assert_eq!(timer.join_timeout(LONG).unwrap(), None);
    assert_eq!(timer.state(), State::Finished);
}

#[test]
fn queues_give_their_items_in_their_order() {
    let fill = |queue: Queue<i32>| {
        [3, 1, 2, 1].into_iter().for_each(|n| queue.put(n));
        std::iter::from_fn(|| queue.try_get().ok()).collect::<Vec<_>>()
    };
    assert_eq!(fill(Queue::new()), [3, 1, 2, 1]);
    assert_eq!(fill(Queue::lifo()), [1, 2, 1, 3]);
    assert_eq!(fill(Queue::priority()), [1, 1, 2, 3]);
    assert_eq!(fill(Queue::default()), [3, 1, 2, 1]);
    // Of equal ones the older comes first.
    #[derive(Debug, Eq)]
    struct Job(u8, &'static str);
    impl PartialEq for Job {
        fn eq(&self, other: &Self) -> bool {
            self.0 == other.0
        }
    }
    impl PartialOrd for Job {
        fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
            Some(self.cmp(other))
        }
    }
    impl Ord for Job {
        fn cmp(&self, other: &Self) -> std::cmp::Ordering {
            self.0.cmp(&other.0)
        }
    }
    let queue = Queue::priority();
    for job in [Job(1, "b"), Job(1, "a"), Job(0, "z")] {
        queue.put(job);
    }
    assert_eq!(
        [queue.get().1, queue.get().1, queue.get().1],
        ["z", "b", "a"]
    );
}

#[test]
fn a_full_queue_gives_the_item_back() {
    let queue = Queue::bounded(2);
    queue.put(String::from("a"));
    queue.try_put(String::from("b")).unwrap();
    assert!(queue.is_full() && queue.len() == 2);
    assert_eq!(queue.try_put(String::from("c")).unwrap_err().0, "c");
    let begun = Instant::now();
    let full = queue.put_timeout(String::from("d"), SHORT).unwrap_err();
    assert!(begun.elapsed() >= SHORT);
    assert!(full.to_string().contains("the queue is full") && format!("{full:?}") == "Full(..)");
    assert_eq!(full.0, "d");
    assert_eq!(
        format!("{queue:?}"),
        "Queue { len: 2, capacity: 2, unfinished: 2 }"
    );
    assert_eq!(queue.get(), "a");
    queue.put_timeout(full.0, SHORT).unwrap();
    assert!(Queue::<()>::bounded(0).try_put(()).is_ok(), "0 counts as 1");
}

#[test]
fn an_empty_queue_says_so() {
    let queue: Queue<u8> = Queue::new();
    assert_eq!(queue.try_get(), Err(Empty));
    let begun = Instant::now();
    let empty = queue.get_timeout(SHORT).unwrap_err();
    assert!(begun.elapsed() >= SHORT && queue.is_empty() && !queue.is_full());
    assert!(empty.to_string().contains("the queue is empty"));
    assert_eq!(format!("{queue:?}"), "Queue { len: 0, unfinished: 0 }");
}

#[test]
fn put_and_get_wait_for_each_other() {
    let queue = Arc::new(Queue::bounded(1));
    let (puts, gets) = (Arc::clone(&queue), Arc::clone(&queue));
    let consumer = spawn(move || gets.get());
    until_it_waits(&consumer);
    queue.put(1);
    assert_eq!(consumer.join_timeout(LONG).unwrap(), 1);
    queue.put(2);
    let producer = spawn(move || puts.put(3));
    until_it_waits(&producer);
    assert_eq!((queue.get(), queue.get()), (2, 3));
    producer.join_timeout(LONG).unwrap();
}

#[test]
fn each_item_comes_out_once() {
    let queue = Queue::bounded(4);
    let sum = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some(n) = queue.get() {
                    sum.fetch_add(n, Ordering::SeqCst);
                }
            });
        }
        (1..=1_000).for_each(|n| queue.put(Some(n)));
        (0..3).for_each(|_| queue.put(None));
    });
    assert_eq!(sum.into_inner(), 500_500);
}

#[test]
fn join_waits_for_one_task_done_for_each_item() {
    let queue = Arc::new(Queue::new());
    queue.join();
    queue.put(1);
    queue.put(2);
    assert!(!queue.join_timeout(SHORT));
    queue.get();
    queue.task_done().unwrap();
    queue.get();
    assert!(
        queue.is_empty() && !queue.join_timeout(SHORT),
        "taken out is not done"
    );
    let waits = Arc::clone(&queue);
    let waiter = spawn(move || waits.join());
    until_it_waits(&waiter);
    queue.task_done().unwrap();
    waiter.join_timeout(LONG).unwrap();
    assert_eq!(queue.task_done(), Err(QueueError::NothingToBeDone));
    assert!(
        QueueError::NothingToBeDone
            .to_string()
            .contains("once for each get()")
    );
}
