//! So many are inside as there are permits.

use super::*;
use crate::processes::Value;
use crate::processes::testing::{in_child, travelled};

#[test]
fn semaphore_example() {
    let places = Semaphore::new(1);
    {
        let _permit = places.permit();
        assert!(!places.try_acquire());
    }
    places.release();
    assert_eq!(places.value(), 2);
    assert_eq!(format!("{places:?}"), "Semaphore { value: 2 }");
}

#[test]
fn bounded_semaphore_example() {
    let places = BoundedSemaphore::new(2);
    places.acquire();
    places.release().unwrap();
    let error = places.release().unwrap_err();
    assert!(
        error.to_string().contains("all of its 2 permits"),
        "{error}"
    );
}

#[test]
fn so_many_processes_are_inside_and_not_more() {
    let places = Semaphore::new(2);
    let (inside, most) = (Value::new(0), Value::new(0));
    let children: Vec<_> = (0..5)
        .map(|_| {
            let places = travelled(&places).unwrap();
            let (inside, most) = (inside.clone(), most.clone());
            in_child(move || {
                for _ in 0..20 {
                    let _permit = places.permit();
                    let now = inside.fetch_add(1) + 1;
                    most.with(|most| *most = now.max(*most));
                    std::thread::sleep(Duration::from_micros(300));
                    inside.fetch_add(-1);
                }
            })
        })
        .collect();
    for child in children {
        assert_eq!(child.join(), 0);
    }
    // On a busy machine they may come one after the other, so that no two ever meet.
    assert!((1..=2).contains(&most.get()), "{} were inside", most.get());
    assert_eq!(places.value(), 2);
}

#[test]
fn two_processes_are_inside_at_once_and_a_third_is_not() {
    let places = Semaphore::new(2);
    let _permit = places.permit();
    let there = travelled(&places).unwrap();
    let child = in_child(move || {
        let _permit = there.permit();
        assert!(!there.try_acquire());
    });
    assert_eq!(child.join(), 0);
    assert_eq!(places.value(), 1);
}

#[test]
fn a_permit_wakes_one_who_waits() {
    let places = Semaphore::new(0);
    assert!(!places.acquire_timeout(Duration::from_millis(10)));
    assert!(places.permit_timeout(Duration::ZERO).is_none() && places.try_permit().is_none());
    let child = in_child(|| {
        places.acquire();
        places.acquire();
    });
    places.release_many(2);
    assert_eq!(child.join(), 0);
    assert_eq!(places.value(), 0);
}
