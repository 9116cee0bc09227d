//! Locks keep processes apart and outlive their holders.

use super::*;
use crate::processes::Value;
use crate::processes::testing::{in_child, kill_when, travelled};

#[test]
fn lock_example() {
    let lock = Lock::new();
    {
        let guard = lock.lock();
        assert!(!guard.previous_holder_died());
        assert!(lock.is_locked() && lock.try_lock().is_none());
    }
    lock.acquire();
    lock.release().unwrap();
    let error = lock.release().unwrap_err();
    assert!(
        error.to_string().contains("nobody has acquired it"),
        "{error}"
    );
}

#[test]
fn rlock_example() {
    let lock = RLock::new();
    let outer = lock.lock();
    let inner = lock.lock();
    drop(outer);
    assert!(lock.is_locked());
    assert!(std::thread::scope(|scope| scope
        .spawn(|| lock.try_lock().is_none())
        .join()
        .unwrap()));
    drop(inner);
    assert!(!lock.is_locked());
    assert_eq!(format!("{lock:?}"), "RLock { is_locked: false }");
}

#[test]
fn a_lock_keeps_processes_apart() {
    let lock = Lock::new();
    let total = Value::new(0_u64);
    let children: Vec<_> = (0..3)
        .map(|_| {
            let (lock, total) = (travelled(&lock).unwrap(), total.clone());
            in_child(move || {
                for _ in 0..5_000 {
                    let _guard = lock.lock();
                    let seen = total.get();
                    total.set(seen + 1);
                }
            })
        })
        .collect();
    for child in children {
        assert_eq!(child.join(), 0);
    }
    assert_eq!(total.get(), 15_000);
}

#[test]
fn the_next_holder_is_told_of_a_killed_one() {
    let lock = RLock::new();
    kill_when(
        || {
            lock.acquire();
            lock.acquire();
            loop {
                std::thread::park();
            }
        },
        || lock.is_locked(),
    );
    assert!(!lock.is_locked());
    let guard = lock.lock_timeout(Duration::from_secs(10)).unwrap();
    assert!(guard.previous_holder_died() && lock.previous_holder_died());
    drop(guard);
    lock.acquire();
    assert!(!lock.previous_holder_died());
    lock.release().unwrap();
    assert!(!lock.is_locked());
}

#[test]
fn another_thread_cannot_release() {
    let lock = Lock::new();
    assert!(lock.try_acquire());
    assert!(!lock.try_acquire());
    let error = std::thread::scope(|scope| scope.spawn(|| lock.release()).join().unwrap());
    assert_eq!(error, Err(LockError::NotOwner));
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("use a Semaphore of 1")
    );
    assert!(!lock.acquire_timeout(Duration::from_millis(10)));
    lock.release().unwrap();
    assert!(lock.lock_timeout(Duration::ZERO).is_some());
}

#[test]
fn a_lock_taken_twice_by_one_thread_says_so() {
    let _turn = crate::tests::host::turn();
    let lock = Lock::new();
    let _guard = lock.lock();
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(lock.lock())));
    let text = *panic.unwrap_err().downcast::<&str>().unwrap();
    assert!(text.contains("use an RLock"), "{text}");
}

#[test]
fn a_forgotten_guard_leaves_memory_that_is_safe() {
    for _ in 0..3 {
        let lock = Lock::new();
        std::mem::forget(lock.lock());
        let other = Lock::new();
        other.acquire();
    }
    // This thread's list of mutexes is walked through by these.
    let lock = Lock::new();
    drop(lock.lock());
}
