//! Rounds of a barrier, and how it breaks.

use super::*;
use crate::processes::Value;
use crate::processes::testing::{in_child, kill_when, travelled, until};

#[test]
fn barrier_example() {
    let barrier = Barrier::new(2);
    let theirs = barrier.clone();
    let other = std::thread::spawn(move || theirs.wait());
    let arrivals = [barrier.wait().unwrap(), other.join().unwrap().unwrap()];
    assert_eq!(
        arrivals
            .iter()
            .filter(|arrival| arrival.is_leader())
            .count(),
        1
    );
    assert_eq!(arrivals[0].index() + arrivals[1].index(), 1);
}

#[test]
fn nobody_is_a_round_ahead() {
    const ROUNDS: u32 = 300;
    let barrier = Barrier::new(3);
    let rounds: Vec<Value<u32>> = (0..3).map(|_| Value::new(0)).collect();
    let children: Vec<_> = (0..3)
        .map(|me| {
            let barrier = travelled(&barrier).unwrap();
            let rounds = rounds.clone();
            in_child(move || {
                for round in 1..=ROUNDS {
                    rounds[me].set(round);
                    barrier.wait().unwrap();
                    for other in &rounds {
                        assert!([round, round + 1].contains(&other.get()));
                    }
                    barrier.wait().unwrap();
                }
            })
        })
        .collect();
    for child in children {
        assert_eq!(child.join(), 0);
    }
    assert_eq!(
        format!("{barrier:?}"),
        "Barrier { parties: 3, n_waiting: 0, is_broken: false }"
    );
}

#[test]
fn a_time_out_breaks_it_for_all_until_reset() {
    let barrier = Barrier::new(3);
    let child = in_child(|| assert_eq!(barrier.wait(), Err(BarrierError::Broken)));
    until(|| barrier.n_waiting() == 1);
    let error = barrier.wait_timeout(Duration::from_millis(20)).unwrap_err();
    assert!(
        error.to_string().contains("not all of its 3 processes"),
        "{error}"
    );
    assert_eq!(child.join(), 0);
    assert!(barrier.is_broken());
    assert_eq!(barrier.wait(), Err(BarrierError::Broken));
    barrier.reset();
    let child = in_child(|| assert_eq!(barrier.wait(), Err(BarrierError::Broken)));
    until(|| barrier.n_waiting() == 1);
    barrier.reset();
    assert_eq!(child.join(), 0);
    assert!(!barrier.is_broken());
    barrier.abort();
    assert!(barrier.is_broken());
    assert_eq!(Barrier::new(0).wait().map(Arrival::index), Ok(0));
}

#[test]
fn a_killed_process_does_not_hang_one_who_gives_a_time() {
    let barrier = Barrier::new(3);
    kill_when(|| drop(barrier.wait()), || barrier.n_waiting() == 1);
    let error = barrier.wait_timeout(Duration::from_millis(30)).unwrap_err();
    assert!(matches!(error, BarrierError::TimedOut { parties: 3, .. }));
}

#[test]
fn a_process_killed_under_the_mutex_breaks_it() {
    let barrier = Barrier::new(2);
    let child = in_child(|| std::mem::forget(barrier.shared.hold()));
    child.join();
    assert_eq!(barrier.wait(), Err(BarrierError::Broken));
}
