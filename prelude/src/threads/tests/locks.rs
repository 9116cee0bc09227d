//! Locks and semaphores: who may, who waits, and what happens when a holder panics.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::super::*;
use super::{LONG, SHORT, message, until_it_waits};
use crate::tests::host;

#[test]
fn a_lock_lets_one_thread_in_at_a_time() {
    let total = Lock::new(0_u64);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10_000 {
                    *total.lock() += 1;
                }
            });
        }
    });
    assert_eq!(total.into_inner(), 40_000);
}

#[test]
fn a_lock_that_is_held_says_so_in_each_form() {
    let lock = Lock::new(5);
    let guard = lock.lock();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert!(lock.try_lock().is_none() && !lock.try_acquire());
            let begun = Instant::now();
            assert!(lock.lock_timeout(SHORT).is_none() && !lock.acquire_timeout(SHORT));
            assert!(begun.elapsed() >= 2 * SHORT);
        });
    });
    assert!(lock.is_locked());
    drop(guard);
    assert_eq!(lock.lock_timeout(Duration::ZERO).as_deref(), Some(&5));
    assert!(!lock.is_locked());
}

#[test]
fn a_lock_is_released_once_for_each_acquire_by_any_thread() {
    let lock = Lock::new(());
    assert_eq!(lock.release(), Err(LockError::NotAcquired));
    let guard = lock.lock();
    assert_eq!(lock.release(), Err(LockError::HeldByGuard));
    drop(guard);
    lock.acquire();
    std::thread::scope(|scope| {
        scope.spawn(|| lock.release().unwrap());
    });
    assert!(!lock.is_locked());
    assert!(lock.try_acquire());
    assert!(!lock.try_acquire());
    lock.release().unwrap();
    assert!(lock.acquire_timeout(SHORT));
    lock.release().unwrap();
    let text = LockError::NotAcquired.to_string();
    assert!(
        text.contains("nobody has acquired it; call release() once"),
        "{text}"
    );
    assert!(
        LockError::HeldByGuard
            .to_string()
            .contains("drop the guard")
    );
}

#[test]
fn a_panic_gives_the_lock_back_and_nothing_is_poisoned() {
    let _turn = host::turn();
    static LOCK: Lock<i32> = Lock::new(1);
    static RLOCK: RLock<Cell<i32>> = RLock::new(Cell::new(1));
    static PLACES: Semaphore = Semaphore::new(1);
    let thread = spawn(|| {
        let mut value = LOCK.lock();
        let _outer = RLOCK.lock();
        let _inner = RLOCK.lock();
        let _permit = PLACES.permit();
        *value = 2;
        panic!("in the middle");
    });
    assert_eq!(message(thread.join()), "in the middle");
    assert_eq!(*LOCK.lock(), 2);
    assert!(!RLOCK.is_locked());
    assert_eq!(PLACES.value(), 1);
}

#[test]
fn an_rlock_is_taken_by_its_owner_again() {
    let lock = RLock::new(RefCell::new(vec![1]));
    let outer = lock.lock();
    let inner = lock.lock();
    inner.borrow_mut().push(2);
    let third = lock.try_lock().unwrap();
    assert_eq!(*outer.borrow(), [1, 2]);
    drop(outer);
    let is_free =
        || std::thread::scope(|scope| scope.spawn(|| lock.try_lock().is_some()).join().unwrap());
    assert!(!is_free() && lock.is_owned());
    drop(inner);
    assert!(!is_free());
    drop(third);
    assert!(is_free() && !lock.is_owned() && !lock.is_locked());
}

#[test]
fn an_rlock_is_released_by_its_owner_only_and_as_often() {
    let lock = Arc::new(RLock::new(()));
    assert_eq!(lock.release(), Err(LockError::NotOwner { owner: None }));
    lock.acquire();
    lock.acquire();
    let other = Arc::clone(&lock);
    let refused = spawn(move || {
        (
            other.release(),
            other.try_acquire(),
            other.acquire_timeout(SHORT),
        )
    });
    let owner = Some(current().name());
    assert_eq!(
        refused.join().unwrap(),
        (Err(LockError::NotOwner { owner }), false, false)
    );
    lock.release().unwrap();
    assert!(lock.is_owned());
    lock.release().unwrap();
    assert!(!lock.is_locked());
    let guard = lock.lock();
    assert_eq!(lock.release(), Err(LockError::HeldByGuard));
    // A guard and an `acquire()` side by side.
    lock.acquire();
    lock.release().unwrap();
    assert!(lock.is_owned());
    drop(guard);
    assert!(!lock.is_locked());
    let error = LockError::NotOwner {
        owner: Some("A".to_owned()),
    };
    assert!(
        error
            .to_string()
            .contains("thread 'A' holds it, and only its owner may release an RLock")
    );
}

#[test]
fn an_rlock_keeps_others_out() {
    let count = RLock::new(Cell::new(0_u64));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5_000 {
                    let outer = count.lock();
                    let inner = count.lock();
                    inner.set(outer.get() + 1);
                }
            });
        }
    });
    assert_eq!(count.into_inner().get(), 20_000);
}

#[test]
fn a_semaphore_lets_so_many_in() {
    let places = Semaphore::new(2);
    let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let _permit = places.permit();
                let n = inside.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(n, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(5));
                inside.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    assert_eq!(most.into_inner(), 2);
    assert_eq!(places.value(), 2);
}

#[test]
fn a_semaphore_at_0_is_a_signal() {
    static READY: Semaphore = Semaphore::new(0);
    assert!(!READY.try_acquire() && READY.try_permit().is_none());
    assert!(!READY.acquire_timeout(SHORT) && READY.permit_timeout(SHORT).is_none());
    let waiter = spawn(|| READY.acquire());
    until_it_waits(&waiter);
    READY.release();
    waiter.join_timeout(LONG).unwrap();
    READY.release_many(3);
    assert_eq!(READY.value(), 3);
    assert!(READY.try_acquire());
    assert_eq!(format!("{READY:?}"), "Semaphore { value: 2 }");
}

#[test]
fn a_bounded_semaphore_takes_no_release_too_many() {
    let places = BoundedSemaphore::new(1);
    let too_many = SemaphoreError::TooMany { bound: 1 };
    assert_eq!(places.release(), Err(too_many.clone()));
    let permit = places.permit();
    assert!(
        !places.try_acquire()
            && places.try_permit().is_none()
            && places.permit_timeout(SHORT).is_none()
    );
    // Given back in another way before its guard goes: the guard adds no second one.
    places.release().unwrap();
    drop(permit);
    assert_eq!(places.value(), 1);
    places.acquire();
    assert!(!places.acquire_timeout(SHORT));
    places.release().unwrap();
    assert_eq!(places.release(), Err(too_many.clone()));
    assert!(
        too_many
            .to_string()
            .contains("all of its 1 permits are there")
    );
    assert_eq!(
        format!("{places:?}"),
        "BoundedSemaphore(BoundedSemaphore { value: 1, bound: 1 })"
    );
}

#[test]
fn locks_show_their_value_or_their_holder() {
    let lock = Lock::new(5);
    assert_eq!(format!("{lock:?}"), "Lock { value: 5 }");
    let guard = lock.lock();
    assert_eq!(format!("{guard:?} {guard}"), "5 5");
    let name = current().name();
    assert_eq!(format!("{lock:?}"), format!("Lock {{ held_by: {name:?} }}"));
    let rlock = RLock::new(6);
    assert_eq!(format!("{rlock:?}"), "RLock { value: 6 }");
    let _rguard = rlock.lock();
    assert_eq!(
        format!("{rlock:?}"),
        format!("RLock {{ held_by: {name:?}, times: 1, value: 6 }}")
    );
    let mut lock = Lock::<Vec<u8>>::default();
    lock.get_mut().push(1);
    assert_eq!(lock.into_inner(), [1]);
}

#[test]
fn each_thread_has_a_value_of_its_own() {
    let drops = Arc::new(AtomicUsize::new(0));
    struct Counted(Cell<u32>, Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.1.fetch_add(1, Ordering::SeqCst);
        }
    }
    let counted = Arc::clone(&drops);
    let local = Arc::new(Local::new(move || {
        Counted(Cell::new(1), Arc::clone(&counted))
    }));
    local.with(|value| value.0.set(2));
    let there = Arc::clone(&local);
    // std's join waits until the values of the thread are dropped.
    assert_eq!(
        std::thread::spawn(move || there.with(|value| value.0.get()))
            .join()
            .unwrap(),
        1
    );
    assert_eq!(drops.load(Ordering::SeqCst), 1);
    assert_eq!(local.with(|value| value.0.get()), 2);
    // One inside of another, made while the other is in use.
    let outer = Local::new(|| Local::new(|| 3).get());
    assert_eq!(outer.get(), 3);
    assert_eq!(format!("{outer:?}"), "Local(3)");
}
