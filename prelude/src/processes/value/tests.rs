//! One number of all processes.

use super::*;
use crate::processes::testing::{in_child, kill_when, travelled};

#[test]
fn value_example() {
    let total = Value::new(10);
    let theirs = total.clone();
    theirs.with(|total| *total *= 2);
    theirs.fetch_add(1);
    assert_eq!(total.get(), 21);
    *total.lock() -= 1;
    assert_eq!(theirs.get(), 20);
    assert_eq!(format!("{total} {total:?}"), "20 Value(20)");
}

#[test]
fn all_kinds_of_numbers_keep_their_bits() {
    assert_eq!(travelled(&Value::new(i8::MIN)).unwrap().get(), i8::MIN);
    assert_eq!(travelled(&Value::new(u64::MAX)).unwrap().get(), u64::MAX);
    assert_eq!(travelled(&Value::new(-0.1_f32)).unwrap().get(), -0.1);
    assert!(travelled(&Value::new(f64::NAN)).unwrap().get().is_nan());
    assert!(travelled(&Value::new(true)).unwrap().get());
    let value = Value::new(u8::MAX);
    assert_eq!(value.fetch_add(2), u8::MAX);
    assert_eq!(value.get(), 1);
    let value = Value::new(0.5);
    value.fetch_add(0.25);
    assert_eq!(value.get(), 0.75);
}

#[test]
fn processes_add_and_lose_nothing() {
    let total = Value::new(0_u32);
    let children: Vec<_> = (0..3)
        .map(|_| {
            in_child(|| {
                for _ in 0..10_000 {
                    total.fetch_add(1);
                    *total.lock() += 1;
                }
            })
        })
        .collect();
    for child in children {
        assert_eq!(child.join(), 0);
    }
    assert_eq!(total.get(), 60_000);
}

#[test]
fn a_process_killed_in_the_middle_leaves_the_number_as_it_was() {
    let value = Value::new(7);
    let begun = Value::new(false);
    kill_when(
        || {
            value.with(|number| {
                *number = 1_000;
                begun.set(true);
                loop {
                    std::thread::park();
                }
            })
        },
        || begun.get(),
    );
    assert_eq!(value.get(), 7);
    assert_eq!(value.fetch_add(1), 7);
}
