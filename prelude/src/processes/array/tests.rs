//! Numbers of all processes: with a lock, without one, and in parts with one owner each.

use super::*;
use crate::processes::Value;
use crate::processes::message::{MessageError, decode, encode};
use crate::processes::testing::{in_child, kill_when, travelled};

#[test]
fn array_example() {
    let squares = Array::from(vec![1, 2, 3]);
    let theirs = squares.clone();
    for n in theirs.lock().iter_mut() {
        *n *= *n;
    }
    squares.set(0, 100);
    assert_eq!(squares.to_vec(), [100, 4, 9]);
    assert_eq!(squares.get(3), None);
    assert_eq!(format!("{squares:?}"), "Array(3)[100, 4, 9]");
}

#[test]
fn shared_array_example() {
    let numbers = SharedArray::from(vec![1.0, 2.0, 3.0, 4.0]);
    numbers.set(0, 10.0);
    let mut parts = numbers.into_parts(2).unwrap();
    std::thread::scope(|scope| {
        for part in &mut parts {
            scope.spawn(|| part.as_mut_slice().iter_mut().for_each(|n| *n *= 2.0));
        }
    });
    let numbers = SharedArray::join(parts).unwrap();
    assert_eq!(numbers.to_vec(), [20.0, 4.0, 6.0, 8.0]);
}

#[test]
fn processes_change_an_array_under_its_lock() {
    let array = Array::<u64>::new(100);
    let children: Vec<_> = (0..3)
        .map(|_| {
            let array = travelled(&array).unwrap();
            in_child(move || {
                for _ in 0..500 {
                    array.lock().iter_mut().for_each(|n| *n += 1);
                }
            })
        })
        .collect();
    for child in children {
        assert_eq!(child.join(), 0);
    }
    assert_eq!(array.to_vec(), [1_500; 100]);
    assert_eq!(
        format!("{array:?}"),
        format!("Array(100)[{}..]", "1500, ".repeat(10))
    );
}

#[test]
fn the_next_who_locks_an_array_is_told_of_a_killed_one() {
    let array = Array::<u8>::new(2);
    let begun = Value::new(false);
    kill_when(
        || {
            array.lock()[0] = 1;
            let _guard = array.lock();
            begun.set(true);
            loop {
                std::thread::park();
            }
        },
        || begun.get(),
    );
    assert!(array.lock().previous_holder_died());
    assert!(!array.lock().previous_holder_died());
    assert_eq!(array.to_vec(), [1, 0]);
}

#[test]
fn places_are_checked() {
    let array = SharedArray::<u16>::new(3);
    assert_eq!(array.get(3), None);
    array.copy_from(1, &[5, 6]);
    let mut found = [0; 2];
    array.copy_to(1, &mut found);
    assert_eq!(found, [5, 6]);
    let panics: [&dyn Fn(); 4] = [
        &|| array.set(3, 1),
        &|| array.copy_from(2, &[1, 2]),
        &|| array.copy_to(2, &mut [0; 2]),
        &|| assert_eq!(array.fetch_add(usize::MAX, 1), 0),
    ];
    let _turn = crate::tests::host::turn();
    for panic in panics {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(panic));
        assert!(result.is_err());
    }
    assert!(Array::<f64>::new(0).is_empty() && SharedArray::<bool>::new(0).to_vec().is_empty());
}

#[test]
fn processes_add_to_places_without_a_lock() {
    let array = SharedArray::from(vec![0.0, 0.5]);
    let children: Vec<_> = (0..3)
        .map(|_| {
            in_child(|| {
                for _ in 0..5_000 {
                    array.fetch_add(1, 1.0);
                }
            })
        })
        .collect();
    for child in children {
        assert_eq!(child.join(), 0);
    }
    // SAFETY: all others have ended.
    let slice = unsafe { array.as_slice() };
    assert_eq!(slice, [0.0, 15_000.5]);
}

#[test]
fn parts_go_to_processes_and_come_back() {
    let array = SharedArray::from((0..10_u32).collect::<Vec<_>>());
    let parts = array.into_parts(3).unwrap();
    let names: Vec<_> = parts.iter().map(|part| format!("{part:?}")).collect();
    assert_eq!(
        names,
        ["ArrayPart(0..3)", "ArrayPart(3..6)", "ArrayPart(6..10)"]
    );
    let mut back = Vec::new();
    for mut part in parts {
        let mut theirs = travelled(&part).unwrap();
        theirs.as_mut_slice().iter_mut().for_each(|n| *n *= 2);
        back.insert(0, travelled(&theirs).unwrap());
        // What was sent cannot be used here, and not be sent twice.
        assert!(encode(&part, true).is_err());
        let _turn = crate::tests::host::turn();
        let use_it = std::panic::AssertUnwindSafe(|| part.as_mut_slice().len());
        assert!(std::panic::catch_unwind(use_it).is_err());
    }
    let array = SharedArray::join(back).unwrap();
    assert_eq!(array.to_vec(), (0..10).map(|n| 2 * n).collect::<Vec<_>>());
    assert!(array.into_parts(1).is_ok());
}

#[test]
fn an_array_that_others_have_cannot_be_cut() {
    let array = SharedArray::<i32>::new(4);
    let other = travelled(&array).unwrap();
    let clone = other.clone();
    let error = array.into_parts(2).unwrap_err();
    assert_eq!(error, ArrayError::Shared { handles: 3 });
    drop(other);
    assert_eq!(clone.into_parts(20).unwrap().len(), 20);
}

#[test]
fn parts_that_are_not_all_are_no_array() {
    let parts = |array: &str| SharedArray::from(array.as_bytes()).into_parts(2).unwrap();
    let mut one = parts("abcd");
    let other = parts("efgh").pop().unwrap();
    one.truncate(1);
    one.push(other);
    let error = SharedArray::join(one).unwrap_err();
    assert!(error.to_string().contains("begins at place 2"), "{error}");
    let error = SharedArray::<u8>::join([]).unwrap_err();
    assert_eq!(error, ArrayError::NotWhole { missing: 0 });
    let mut only = parts("abcd");
    only.truncate(1);
    assert!(SharedArray::join(only).is_err());
}

#[test]
fn an_array_of_other_numbers_is_refused() {
    let packet = encode(&Array::<u8>::new(8), true).unwrap();
    let error = decode::<Array<u64>>(packet).unwrap_err();
    assert!(matches!(error, MessageError::Decode(_)));
}

#[test]
#[should_panic(expected = "no shared memory")]
fn an_array_beyond_all_memory_says_so() {
    let _turn = crate::tests::host::turn();
    Array::<u64>::new(usize::MAX / 3);
}

#[test]
fn a_copy_of_the_process_counts_its_handle_and_has_no_parts() {
    let _turn = crate::tests::host::turn();
    let message = |body: &mut dyn FnMut()| {
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).unwrap_err();
        (*panic.downcast::<&str>().unwrap()).to_owned()
    };
    let numbers = SharedArray::from(vec![1_u32, 2, 3]);
    // The copy uses its handle as any other process does, and gives it back.
    let sum = crate::processes::fork(|| {
        numbers.set(2, 30);
        let handles = numbers.clone().into_parts(2).unwrap_err();
        (numbers.to_vec(), handles.to_string())
    });
    let (seen, refused) = sum.unwrap().join().unwrap();
    assert_eq!(seen, [1, 2, 30]);
    assert!(refused.contains("3 handles"), "{refused}");
    let other = crate::processes::fork(|| drop(numbers.clone())).unwrap();
    other.join().unwrap();
    // The two copies ended without dropping what they did not own; one had counted its handle.
    assert_eq!(numbers.get(2), Some(30));

    let fresh = SharedArray::from(vec![1_u32, 2, 3]);
    let is_split = crate::processes::Event::new();
    let copy = crate::processes::fork(|| {
        is_split.wait();
        message(&mut || fresh.set(0, 9))
    });
    let copy = copy.unwrap();
    let mut parts = fresh.into_parts(2).unwrap();
    is_split.set();
    let refused = copy.join().unwrap();
    assert!(refused.contains("is in parts"), "{refused}");

    let copy = crate::processes::fork(|| message(&mut || parts[0].as_mut_slice()[0] = 9));
    let refused = copy.unwrap().join().unwrap();
    assert!(refused.contains("belongs to the process"), "{refused}");
    assert_eq!(parts[0].as_mut_slice()[0], 1);
}
