//! Who goes on after a notification, and who does not.

use super::*;
use crate::processes::Value;
use crate::processes::testing::{in_child, kill_when, travelled, until};

#[test]
fn condition_example() {
    let stock = Value::new(0);
    let filled = Condition::new();
    let (their_stock, their_filled) = (stock.clone(), filled.clone());
    let supplier = std::thread::spawn(move || {
        let _guard = their_filled.lock();
        their_stock.set(5);
        their_filled.notify();
    });
    let mut guard = filled.lock();
    filled.wait_while(&mut guard, || stock.get() == 0);
    assert_eq!(stock.get(), 5);
    drop(guard);
    supplier.join().unwrap();
}

#[test]
fn as_many_go_on_as_were_notified() {
    let condition = travelled(&Condition::new()).unwrap();
    let woken = Value::new(0);
    let children: Vec<_> = (0..4)
        .map(|_| {
            in_child(|| {
                let mut guard = condition.lock();
                condition.wait(&mut guard);
                woken.fetch_add(1);
            })
        })
        .collect();
    until(|| condition.n_waiting() == 4);
    condition.notify();
    until(|| woken.get() == 1);
    std::thread::sleep(Duration::from_millis(120));
    assert_eq!((woken.get(), condition.n_waiting()), (1, 3));
    condition.notify_all();
    for child in children {
        assert_eq!(child.join(), 0);
    }
    assert_eq!((woken.get(), condition.n_waiting()), (4, 0));
    // A notification is not kept.
    condition.notify_all();
    assert!(!condition.wait_timeout(&mut condition.lock(), Duration::from_millis(10)));
}

#[test]
fn a_time_out_gives_the_lock_back_to_the_waiter() {
    let lock = Lock::new();
    let (full, empty) = (Condition::on(&lock), Condition::on(&lock));
    let mut guard = full.lock();
    assert!(!full.wait_timeout(&mut guard, Duration::from_millis(20)));
    assert!(lock.is_locked());
    assert!(!full.wait_while_timeout(&mut guard, Duration::from_millis(20), || true));
    assert!(full.wait_while_timeout(&mut guard, Duration::ZERO, || false));
    drop(guard);
    assert!(!lock.is_locked());
    assert_eq!((full.n_waiting(), empty.n_waiting()), (0, 0));
}

#[test]
fn a_killed_waiter_does_not_swallow_a_notification() {
    let condition = Condition::new();
    kill_when(
        || condition.wait(&mut condition.lock()),
        || condition.n_waiting() == 1,
    );
    let child = in_child(|| condition.wait(&mut condition.lock()));
    until(|| condition.n_waiting() == 2);
    condition.notify();
    assert_eq!(child.join(), 0);
}

#[test]
#[should_panic(expected = "the guard of another lock")]
fn the_guard_of_another_lock_is_refused() {
    let _turn = crate::tests::host::turn();
    let other = Lock::new();
    Condition::new().wait(&mut other.lock());
}

#[test]
fn one_who_waited_is_told_of_a_holder_that_was_killed_meanwhile() {
    let condition = Condition::new();
    let killed = in_child(|| {
        until(|| condition.n_waiting() == 1);
        std::mem::forget(condition.lock());
        condition.notify();
    });
    let mut guard = condition.lock();
    condition.wait(&mut guard);
    assert!(guard.previous_holder_died());
    drop(guard);
    assert!(!condition.lock().previous_holder_died());
    assert_eq!(killed.join(), 0);
}
