//! Threads that wait for each other are told, and only those.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::super::*;
use super::{LONG, SHORT, message, until_it_waits};
use crate::tests::host;

/// One thread for each name, which takes what `first` says, waits for all, and takes what `second` says. The messages
/// of those that panicked; all others must come through.
fn crossing(names: &[&str], body: impl Fn(usize, &Barrier) + Send + Sync + 'static) -> Vec<String> {
    let (body, all_hold) = (Arc::new(body), Arc::new(Barrier::new(names.len())));
    let threads: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let (body, all_hold) = (Arc::clone(&body), Arc::clone(&all_hold));
            Thread::new(move || body(at, &all_hold))
                .name(*name)
                .spawn()
                .unwrap()
        })
        .collect();
    let ends = threads.iter().map(|thread| thread.join_timeout(LONG));
    ends.filter(Result::is_err).map(message).collect()
}

#[test]
fn two_locks_in_opposite_order() {
    let _turn = host::turn();
    static LOCKS: [Lock<()>; 2] = [Lock::new(()), Lock::new(())];
    let told = crossing(&["one", "two"], |at, all_hold| {
        let _first = LOCKS[at].lock();
        all_hold.wait().unwrap();
        let _second = LOCKS[1 - at].lock();
    });
    let [text] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert!(
        text.starts_with("Deadlock: 2 threads wait for each other, and none can go on\nwhy: '"),
        "{text}"
    );
    for part in [
        "'one' holds lock ",
        "'two' holds lock ",
        " since ",
        "deadlocks.rs:",
        " and waits in ",
        "lock 1 was made in ",
        "do:  take them in the same order in every thread, or wait with a time-out",
        "so what its guards hold is free again",
    ] {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
    assert!(LOCKS.iter().all(|lock| !lock.is_locked()));
}

#[test]
fn three_reentrant_locks_in_a_circle() {
    let _turn = host::turn();
    static LOCKS: [RLock; 3] = [RLock::new(()), RLock::new(()), RLock::new(())];
    let told = crossing(&["one", "two", "three"], |at, all_hold| {
        let _first = LOCKS[at].lock();
        let _again = LOCKS[at].lock();
        all_hold.wait().unwrap();
        let _second = LOCKS[(at + 1) % 3].lock();
    });
    let [text] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert!(
        text.contains("3 threads") && text.contains("reentrant lock 3"),
        "{text}"
    );
    assert!(
        ["'one'", "'two'", "'three'"]
            .iter()
            .all(|name| text.contains(name)),
        "{text}"
    );
}

#[test]
fn a_lock_taken_again_by_its_holder() {
    let _turn = host::turn();
    static LOCK: Lock<i32> = Lock::new(0);
    let thread = spawn(|| {
        let _outer = LOCK.lock();
        let _inner = LOCK.lock();
    });
    let text = message(thread.join_timeout(LONG));
    assert!(
        text.starts_with("Deadlock: a thread waits for what it holds itself"),
        "{text}"
    );
    assert!(
        text.contains("or use an RLock, which its owner may take again"),
        "{text}"
    );
    assert!(!LOCK.is_locked());
    // With a time-out it is none.
    let outer = LOCK.lock();
    assert!(LOCK.lock_timeout(Duration::from_millis(120)).is_none());
    drop(outer);
}

#[test]
fn crossed_semaphores() {
    let _turn = host::turn();
    static PLACES: [Semaphore; 2] = [Semaphore::new(1), Semaphore::new(1)];
    let told = crossing(&["one", "two"], |at, all_hold| {
        let _first = PLACES[at].permit();
        all_hold.wait().unwrap();
        let _second = PLACES[1 - at].permit();
    });
    let [text] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert!(
        text.contains("holds semaphore ") && text.contains("guards hold is free"),
        "{text}"
    );
    assert!(PLACES.iter().all(|places| places.value() == 1));
}

#[test]
fn a_lock_and_a_semaphore_taken_without_guards() {
    let _turn = host::turn();
    static LOCK: Lock<()> = Lock::new(());
    static PLACE: Semaphore = Semaphore::new(1);
    let one = Thread::new(|| {
        LOCK.acquire();
        while PLACE.value() > 0 {
            std::thread::yield_now();
        }
        PLACE.acquire();
        LOCK.release().unwrap();
    });
    let other = Thread::new(|| {
        PLACE.acquire();
        while !LOCK.is_locked() {
            std::thread::yield_now();
        }
        LOCK.acquire();
        PLACE.release();
    });
    one.start().unwrap();
    other.start().unwrap();
    let ends = loop {
        let ends = [one.join_timeout(SHORT), other.join_timeout(SHORT)];
        if ends
            .iter()
            .any(|end| matches!(end, Err(ThreadError::Panicked { .. })))
        {
            break ends;
        }
    };
    let text = ends
        .into_iter()
        .find(|end| matches!(end, Err(ThreadError::Panicked { .. })))
        .map(message)
        .unwrap();
    assert!(
        text.contains("stays taken until somebody calls release()"),
        "{text}"
    );
    assert!(
        text.contains("the lock") && text.contains("the semaphore"),
        "{text}"
    );
    // As the text says: released from here, the other one goes on.
    PLACE.release();
    let _one_of_both = LOCK.release();
    for thread in [one, other] {
        let end = thread.join_timeout(LONG);
        assert!(
            !matches!(end, Err(ThreadError::StillRunning { .. })),
            "{end:?}"
        );
    }
}

#[test]
fn threads_that_join_each_other() {
    let _turn = host::turn();
    static THREADS: [OnceLock<Thread<()>>; 2] = [OnceLock::new(), OnceLock::new()];
    for (at, name) in ["one", "two"].into_iter().enumerate() {
        let thread = Thread::new(move || {
            let _value = THREADS[1 - at].wait().join();
        });
        let _first = THREADS[at].set(thread.name(name).spawn().unwrap());
    }
    let ends = THREADS
        .each_ref()
        .map(|thread| thread.wait().join_timeout(LONG));
    let mut told: Vec<_> = ends
        .into_iter()
        .filter(|end| matches!(end, Err(ThreadError::Panicked { .. })))
        .collect();
    let text = message(told.pop().expect("one of them panics"));
    assert!(told.is_empty());
    assert!(
        text.contains("to end") && text.contains("let only one thread join the others"),
        "{text}"
    );
}

#[test]
fn a_join_of_a_thread_that_waits_for_what_the_joiner_holds() {
    let _turn = host::turn();
    static LOCK: Lock<()> = Lock::new(());
    let thread = Thread::new(|| {
        let _held = LOCK.lock();
        let waits = Thread::new(|| drop(LOCK.lock()))
            .name("inner")
            .spawn()
            .unwrap();
        waits.join().unwrap();
    })
    .name("outer")
    .spawn()
    .unwrap();
    let text = message(thread.join_timeout(LONG));
    // Either of the two may have been the last to come.
    assert!(
        text.contains("'inner'") && text.contains("'outer' holds the lock since"),
        "{text}"
    );
}

#[test]
fn who_waits_for_a_deadlock_is_not_ended_by_it() {
    let _turn = host::turn();
    static LOCKS: [Lock<()>; 2] = [Lock::new(()), Lock::new(())];
    static GO: Event = Event::new();
    let threads: Vec<_> = (0..2)
        .map(|at| {
            spawn(move || {
                let _first = LOCKS[at].lock();
                GO.wait();
                let _second = LOCKS[1 - at].lock();
            })
        })
        .collect();
    threads.iter().for_each(until_it_waits);
    let joins = {
        let threads = threads.clone();
        spawn(move || {
            threads
                .iter()
                .map(|thread| thread.join().is_ok())
                .collect::<Vec<_>>()
        })
    };
    until_it_waits(&joins);
    GO.set();
    let mut ends = joins.join_timeout(LONG).unwrap();
    ends.sort_unstable();
    assert_eq!(ends, [false, true]);
}

#[test]
fn waits_that_another_thread_can_end_are_no_deadlock() {
    // A lock as a signal: taken twice by one thread, released by another.
    static SIGNAL: Lock<()> = Lock::new(());
    let waiter = spawn(|| {
        SIGNAL.acquire();
        SIGNAL.acquire();
    });
    until_it_waits(&waiter);
    SIGNAL.release().unwrap();
    waiter.join_timeout(LONG).unwrap();
    // From now on anybody may release it, so that even a long wait is none.
    let waiter = spawn(|| SIGNAL.acquire());
    assert!(waiter.join_timeout(Duration::from_millis(1_200)).is_err());
    SIGNAL.release().unwrap();
    waiter.join_timeout(LONG).unwrap();
    // A semaphore that nobody holds.
    static ZERO: Semaphore = Semaphore::new(0);
    let waiter = spawn(|| ZERO.acquire());
    until_it_waits(&waiter);
    ZERO.release();
    waiter.join_timeout(LONG).unwrap();
}

#[test]
fn two_permits_of_which_one_holder_goes_on_are_no_deadlock() {
    static PLACES: Semaphore = Semaphore::new(2);
    let begun = Instant::now();
    let other = spawn(|| {
        let _permit = PLACES.permit();
        std::thread::sleep(Duration::from_millis(1_300));
    });
    let thread = spawn(|| {
        let _first = PLACES.permit();
        let _second = PLACES.permit();
    });
    thread.join_timeout(LONG).unwrap();
    other.join().unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(1_300));
}

#[test]
fn many_threads_under_strain_are_no_deadlock() {
    let locks: Arc<Vec<_>> = Arc::new((0..4).map(|_| Lock::new(0_u32)).collect());
    let threads: Vec<_> = (0..4_usize)
        .map(|seed| {
            let locks = Arc::clone(&locks);
            spawn(move || {
                for n in 0..3_000 {
                    let (one, other) = ((seed + n) % 4, (seed + n * 7 + 1) % 4);
                    let (low, high) = (one.min(other), one.max(other));
                    let mut first = locks[low].lock();
                    *first += 1;
                    if low != high {
                        *locks[high].lock() += 1;
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join_timeout(LONG).unwrap();
    }
}
