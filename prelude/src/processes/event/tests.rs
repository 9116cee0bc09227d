//! All who wait for a flag go on.

use super::*;
use crate::processes::Value;
use crate::processes::testing::{in_child, travelled, until};

#[test]
fn event_example() {
    let ready = Event::new();
    assert!(!ready.wait_timeout(Duration::ZERO));
    ready.set();
    ready.wait();
    assert!(ready.is_set());
    ready.clear();
    assert_eq!(format!("{ready:?}"), "Event { is_set: false }");
}

#[test]
fn all_who_wait_go_on_even_if_it_is_cleared_at_once() {
    let event = travelled(&Event::new()).unwrap();
    let waiting = Value::new(0);
    let children: Vec<_> = (0..3)
        .map(|_| {
            in_child(|| {
                waiting.fetch_add(1);
                assert!(event.wait_timeout(Duration::from_secs(20)));
            })
        })
        .collect();
    until(|| waiting.get() == 3);
    std::thread::sleep(Duration::from_millis(20));
    event.set();
    event.clear();
    for child in children {
        assert_eq!(child.join(), 0);
    }
}
