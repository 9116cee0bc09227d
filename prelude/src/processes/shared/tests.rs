//! Memory that two handles see, and a mutex whose holder is killed.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::*;
use crate::processes::testing::{in_child, kill_when};

#[repr(C)]
struct Numbers {
    mutex: Mutex,
    number: AtomicU64,
}

// SAFETY: an atomic and a mutex; zero is a valid value of both.
unsafe impl Layout for Numbers {}

fn numbers() -> Shared<Numbers> {
    Shared::create("numbers", 100, |numbers: &Numbers| {
        numbers.mutex.init(false)
    })
}

#[test]
fn another_mapping_is_the_same_memory() {
    let ours = numbers();
    let theirs: Shared<Numbers> =
        Shared::open("numbers", ours.descriptor().try_clone_to_owned().unwrap()).unwrap();
    ours.number.store(7, Ordering::Relaxed);
    // SAFETY: there are 100 bytes, and nobody else uses them.
    unsafe { ours.extra().add(99).write(3) };
    assert_eq!(theirs.number.load(Ordering::Relaxed), 7);
    // SAFETY: as above.
    assert_eq!(unsafe { theirs.extra().add(99).read() }, 3);
    assert_eq!(theirs.extra_length(), 100);
    assert!(!ours.is_same(&theirs) && ours.is_same(&ours.clone()));
}

#[test]
fn other_descriptors_are_refused() {
    let open =
        |kind: &str, descriptor: OwnedFd| Shared::<Numbers>::open(kind, descriptor).err().unwrap();
    let copy = numbers().descriptor().try_clone_to_owned().unwrap();
    assert!(open("letters", copy).contains("of another type than letters"));
    let file = std::fs::File::open("/dev/null").unwrap();
    assert!(open("numbers", file.into()).contains("no shared memory"));
    let short = linux::memory(16, true).unwrap();
    assert!(open("numbers", short).contains("too short"));
    let growing = linux::memory(1 << 16, false).unwrap();
    assert!(linux::length_of(growing.as_fd()).is_err());
}

#[test]
#[should_panic(expected = "no shared memory")]
fn too_much_memory_says_what_to_do() {
    let _turn = crate::tests::host::turn();
    Shared::create("numbers", usize::MAX / 2, |_: &Numbers| {});
}

#[test]
fn the_next_gets_the_mutex_of_a_killed_holder_and_is_told() {
    let shared = numbers();
    let held = shared.clone();
    kill_when(
        || {
            std::mem::forget(held.mutex.hold());
            held.number.store(1, Ordering::Release);
            loop {
                std::thread::park();
            }
        },
        || shared.number.load(Ordering::Acquire) == 1,
    );
    assert_eq!(shared.mutex.lock(None), Some(Taken { from_dead: true }));
    assert!(shared.mutex.unlock());
    assert_eq!(shared.mutex.lock(None), Some(Taken { from_dead: false }));
    assert!(shared.mutex.unlock());
    assert!(!shared.mutex.unlock());
}

#[test]
fn only_one_process_is_inside() {
    let shared = numbers();
    let children: Vec<_> = (0..4)
        .map(|_| {
            let shared = shared.clone();
            in_child(move || {
                for _ in 0..20_000 {
                    let _held = shared.mutex.hold();
                    let seen = shared.number.load(Ordering::Relaxed);
                    shared.number.store(seen + 1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for child in children {
        assert_eq!(child.join(), 0);
    }
    assert_eq!(shared.number.load(Ordering::Relaxed), 80_000);
}

#[test]
fn a_time_out_ends_a_wait() {
    let shared = numbers();
    let _held = shared.mutex.hold();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert_eq!(shared.mutex.try_lock(), None);
            let deadline = interrupt::deadline(Duration::from_millis(80));
            assert_eq!(shared.mutex.lock(deadline), None);
        });
    });
    // The thread that holds it waits as long as any other.
    assert_eq!(
        shared
            .mutex
            .lock(interrupt::deadline(Duration::from_millis(80))),
        None
    );
    assert!(begun.elapsed() >= Duration::from_millis(160));
}
