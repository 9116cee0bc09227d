//! Messages are whole, in order and counted, also when processes are killed in the middle.

use super::*;
use crate::processes::testing::{in_child, kill_when, until};

fn ring(capacity: usize) -> Shared<Ring> {
    Shared::ring("ring", usize::MAX, capacity)
}

fn at_once() -> Option<Instant> {
    Some(Instant::now())
}

fn soon() -> Option<Instant> {
    interrupt::deadline(Duration::from_secs(20))
}

/// Bytes that tell their number and length.
fn message(number: u64, length: usize) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..length)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 56) as u8
        })
        .collect()
}

#[test]
fn messages_come_in_order_around_the_end_of_the_ring() {
    let ring = ring(LEAST_CAPACITY);
    for number in 0..3_000 {
        let length = (number as usize * 37) % 900;
        ring.write(&message(number, length), at_once()).unwrap();
        ring.write(&[], at_once()).unwrap();
        assert_eq!(ring.len(), 2);
        assert_eq!(ring.read(at_once()).unwrap(), message(number, length));
        assert_eq!(ring.read(at_once()).unwrap(), Vec::<u8>::new());
        assert_eq!(ring.len(), 0);
    }
    assert_eq!(ring.read(at_once()), Err(Unread::Empty));
    assert_eq!(ring.try_read(), Err(Unread::Empty));
}

#[test]
fn a_full_ring_says_so_and_keeps_what_it_has() {
    let ring = ring(LEAST_CAPACITY);
    let mut put = 0;
    while ring.try_write(&message(put, 100)).is_ok() {
        put += 1;
    }
    assert_eq!(put, 4096 / 128);
    let begun = Instant::now();
    let deadline = interrupt::deadline(Duration::from_millis(60));
    assert_eq!(ring.write(&message(put, 100), deadline), Err(Full));
    assert!(begun.elapsed() >= Duration::from_millis(60));
    for number in 0..put {
        assert_eq!(ring.read(at_once()).unwrap(), message(number, 100));
    }
    // What fits as a whole needs nobody who reads meanwhile.
    ring.write(&message(1, 3_900), at_once()).unwrap();
    assert_eq!(ring.try_write(&message(1, 3_900)), Err(Full));
    assert_eq!(ring.read(at_once()).unwrap(), message(1, 3_900));
}

#[test]
fn the_number_of_messages_can_be_limited() {
    let ring = Shared::<Ring>::ring("ring", 2, 1 << 20);
    ring.try_write(b"a").unwrap();
    ring.try_write(b"b").unwrap();
    assert_eq!(ring.try_write(b"c"), Err(Full));
    assert_eq!(ring.try_read().unwrap(), b"a");
    ring.try_write(b"c").unwrap();
}

#[test]
fn a_message_larger_than_the_ring_goes_through_in_pieces() {
    let ring = ring(LEAST_CAPACITY);
    assert_eq!(ring.try_write(&message(1, 10_000)), Err(Full));
    let writer = ring.clone();
    let child = in_child(move || {
        for number in 0..20 {
            writer.write(&message(number, 100_000), soon()).unwrap();
        }
    });
    for number in 0..20 {
        assert_eq!(ring.read(soon()).unwrap(), message(number, 100_000));
    }
    assert_eq!(child.join(), 0);
}

#[test]
fn a_message_that_nobody_reads_on_is_given_up_and_the_ring_goes_on() {
    let ring = ring(LEAST_CAPACITY);
    let deadline = interrupt::deadline(Duration::from_millis(30));
    assert_eq!(ring.write(&message(1, 100_000), deadline), Err(Full));
    assert_eq!(ring.len(), 0);
    // The reader finds the first pieces, sees that nobody goes on with them, and waits for another message.
    let deadline = interrupt::deadline(Duration::from_millis(200));
    assert_eq!(ring.read(deadline), Err(Unread::Empty));
    ring.write(b"whole", at_once()).unwrap();
    assert_eq!(ring.read(at_once()).unwrap(), b"whole");
}

#[test]
fn half_a_message_of_a_killed_writer_is_dropped() {
    for has_successor in [false, true] {
        let ring = ring(LEAST_CAPACITY);
        let writer = ring.clone();
        kill_when(
            move || writer.write(&message(1, 100_000), None).unwrap(),
            || ring.writers.sleeps.0.load(Ordering::Relaxed) == 1,
        );
        if has_successor {
            // Its room is used up, so a reader has to make some.
            let writer = ring.clone();
            let child = in_child(move || writer.write(b"next", soon()).unwrap());
            assert_eq!(ring.read(soon()).unwrap(), b"next");
            assert_eq!(child.join(), 0);
        } else {
            let begun = Instant::now();
            let deadline = interrupt::deadline(Duration::from_millis(300));
            assert_eq!(ring.read(deadline), Err(Unread::Empty));
            assert!(begun.elapsed() >= Duration::from_millis(250));
            ring.write(b"next", at_once()).unwrap();
            assert_eq!(ring.read(at_once()).unwrap(), b"next");
        }
        assert_eq!(ring.len(), 0);
    }
}

#[test]
fn a_reader_killed_in_mid_message_loses_that_message_only() {
    let ring = ring(LEAST_CAPACITY);
    let reader = ring.clone();
    let read = in_child(move || {
        reader.read(None).unwrap();
    });
    // The reader sleeps in mid-message, because the writer, this test, stops there.
    until(|| ring.readers.sleeps.0.load(Ordering::Relaxed) == 1);
    let held = ring.writers.mutex.hold();
    ring.put_header(0, FIRST | 16, 48);
    ring.writers.step(32, 0);
    ring.readers.wake();
    until(|| ring.readers.shown.position.load(Ordering::Acquire) == 32);
    read.kill();
    read.join();
    ring.put_header(32, 16, 48);
    ring.put_header(64, LAST | 16, 48);
    ring.writers.step(96, 1);
    drop(held);
    ring.write(b"next", at_once()).unwrap();
    assert_eq!(ring.len(), 2);
    assert_eq!(ring.read(at_once()).unwrap(), b"next");
    assert_eq!(ring.len(), 0);
}

#[test]
fn a_step_cut_off_anywhere_is_counted_or_not_taken() {
    for cut in 0..4 {
        let ring = ring(LEAST_CAPACITY);
        ring.write(b"one", at_once()).unwrap();
        let at = ring.writers.shown.position.load(Ordering::Relaxed);
        let writer = ring.clone();
        let child = in_child(move || {
            std::mem::forget(writer.writers.mutex.hold());
            writer.put_header(at, FIRST | LAST, 0);
            let side = &writer.writers;
            // The stores of `Side::step`, up to the cut.
            side.next_position.store(at + HEADER, Ordering::Relaxed);
            if cut > 0 {
                side.next_messages.store(2, Ordering::Release);
            }
            if cut > 1 {
                side.shown.position.store(at + HEADER, Ordering::Release);
            }
            if cut > 2 {
                side.shown.messages.store(2, Ordering::Release);
            }
        });
        assert_eq!(child.join(), 0);
        ring.write(b"three", at_once()).unwrap();
        assert_eq!(ring.len(), if cut > 1 { 3 } else { 2 });
        assert_eq!(ring.read(at_once()).unwrap(), b"one");
        if cut > 1 {
            assert_eq!(ring.read(at_once()).unwrap(), b"");
        }
        assert_eq!(ring.read(at_once()).unwrap(), b"three");
        assert_eq!(ring.len(), 0);
    }
}

#[test]
fn an_empty_ring_is_used_from_its_beginning_again() {
    let ring = ring(8 << 20);
    let large = message(1, 600_000);
    for _ in 0..100 {
        ring.write(&large, at_once()).unwrap();
        assert_eq!(ring.read(at_once()).unwrap(), large);
        let offset = ring.offset(ring.writers.shown.position.load(Ordering::Relaxed));
        assert!(offset <= NEAR + 700_000, "{offset}");
    }
    assert_eq!(ring.len(), 0);
}

#[test]
fn many_writers_and_readers_lose_and_double_nothing() {
    const EACH: u64 = 4_000;
    let ring = ring(LEAST_CAPACITY);
    let sums = self::ring(LEAST_CAPACITY);
    let mut children = Vec::new();
    for writer in 0..3 {
        let ring = ring.clone();
        children.push(in_child(move || {
            for number in writer * EACH..(writer + 1) * EACH {
                let mut bytes = number.to_le_bytes().to_vec();
                bytes.extend(message(number, (number as usize * 13) % 3_000));
                ring.write(&bytes, soon()).unwrap();
            }
        }));
    }
    for _ in 0..3 {
        let (ring, sums) = (ring.clone(), sums.clone());
        children.push(in_child(move || {
            let (mut sum, mut count) = (0, 0);
            for _ in 0..EACH {
                let bytes = ring.read(soon()).unwrap();
                let (number, rest) = bytes.split_first_chunk().unwrap();
                let number = u64::from_le_bytes(*number);
                assert_eq!(rest, message(number, (number as usize * 13) % 3_000));
                (sum, count) = (sum + number, count + 1);
            }
            assert_eq!(count, EACH);
            sums.write(&sum.to_le_bytes(), None).unwrap();
        }));
    }
    for child in children {
        assert_eq!(child.join(), 0);
    }
    let total: u64 = (0..3)
        .map(|_| u64::from_le_bytes(sums.read(at_once()).unwrap().try_into().unwrap()))
        .sum();
    assert_eq!(total, (0..3 * EACH).sum());
    assert_eq!(ring.len(), 0);
}

#[test]
fn processes_killed_at_any_moment_leave_whole_messages_only() {
    let ring = ring(LEAST_CAPACITY);
    for round in 0..60_u64 {
        let writer = ring.clone();
        let write = in_child(move || {
            for number in 0.. {
                writer
                    .write(&message(number, (number as usize * 101) % 9_000), None)
                    .unwrap();
            }
        });
        let reader = ring.clone();
        let read = in_child(move || {
            loop {
                reader.read(None).unwrap();
            }
        });
        std::thread::sleep(Duration::from_micros(2_000 + round * 97));
        (if round % 2 == 0 { &write } else { &read }).kill();
        std::thread::sleep(Duration::from_micros(500));
        write.kill();
        read.kill();
        write.join();
        read.join();
        // What is left is whole messages of a writer, in order.
        while let Ok(bytes) = ring.read(interrupt::deadline(Duration::from_millis(1))) {
            if !bytes.is_empty() {
                let is_known = (0..).take_while(|n| *n < 1_000_000).find(|number| {
                    (*number as usize * 101) % 9_000 == bytes.len()
                        && message(*number, 1)[0] == bytes[0]
                        && message(*number, bytes.len()) == bytes
                });
                assert!(is_known.is_some(), "round {round}: {} bytes", bytes.len());
            }
        }
        let left = ring.len();
        assert_eq!(left, 0, "round {round}");
        ring.write(b"last", soon()).unwrap();
        assert_eq!(ring.read(soon()).unwrap(), b"last");
    }
}

#[test]
fn tasks_are_counted_until_all_are_done() {
    let ring = ring(LEAST_CAPACITY);
    assert!(ring.join(at_once()));
    ring.write(b"a", at_once()).unwrap();
    ring.write(b"b", at_once()).unwrap();
    assert!(!ring.join(at_once()));
    let worker = ring.clone();
    let child = in_child(move || {
        for _ in 0..2 {
            worker.read(soon()).unwrap();
            assert!(worker.task_done());
        }
    });
    assert!(ring.join(soon()));
    assert!(!ring.task_done());
    assert_eq!(child.join(), 0);
}
