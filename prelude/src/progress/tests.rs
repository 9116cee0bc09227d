//! What bars show in a notebook: when, where, and how they end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Instant;

use rayon::prelude::*;

use super::*;
use crate::tests::host::{Turn, turn};

/// A bar that has run for long already, so that it shows at its first step.
fn old(total: Option<u64>) -> Progress {
    let began = Instant::now() - std::time::Duration::from_secs(100);
    Progress {
        owner: Arc::new(Owner {
            bar: Bar::began(total, began),
        }),
    }
}

fn old_iter<I: Iterator>(items: I) -> ProgressIter<I> {
    let mut iter = ProgressIter::new(items);
    let total = iter.items.size_hint().1.map(|n| n as u64);
    // The bar made first must not count as an outer one.
    iter.bar.finish();
    iter.bar = old(total);
    iter
}

/// The frames as (display id, text, is an update).
fn shown(turn: &Turn) -> Vec<(String, String, bool)> {
    let part = |json: &str, from: &str, to: &str| {
        let at = json.find(from).unwrap_or_else(|| panic!("{json}")) + from.len();
        let end = json[at..].find(to).unwrap_or_else(|| panic!("{json}"));
        json[at..at + end].to_owned()
    };
    turn.frames()
        .iter()
        .filter(|(kind, _)| *kind == crate::rt::DISPLAY)
        .map(|(_, json)| {
            (
                part(json, "\"display_id\":\"", "\""),
                part(json, "\"text/plain\":\"", "\""),
                json.contains("\"update\":true"),
            )
        })
        .collect()
}

#[test]
fn module_example() {
    let turn = turn();
    let mut sum = 0;
    for n in progress(0..1_000).name("adding") {
        sum += n;
    }
    assert_eq!(sum, 499_500);

    let squares: Vec<u64> = par_progress(0..1_000_u64).map(|n| n * n).collect();
    assert_eq!(squares[31], 961);

    let bar = Progress::new(3);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| bar.inc(1));
        }
    });
    bar.finish();
    drop(turn);
}

#[test]
fn what_is_short_shows_nothing() {
    let turn = turn();
    // Its time stands still: it began in the future.
    let later = Instant::now() + std::time::Duration::from_secs(1_000);
    let bar = Bar::began(Some(10), later);
    bar.add(10);
    bar.set_message("x");
    bar.end(true);
    assert_eq!(shown(&turn), []);
}

#[test]
fn a_bar_appears_is_updated_in_place_and_stays() {
    let turn = turn();
    let bar = old(Some(4)).name("work");
    bar.inc(1);
    bar.inc(3);
    bar.finish();
    bar.inc(5);
    drop(bar);
    let frames = shown(&turn);
    let (first, last) = (&frames[0], frames.last().unwrap());
    assert!(
        first.1.starts_with("work  25 %|██▌") && !first.2,
        "{frames:?}"
    );
    assert!(
        last.1.starts_with("work 100 %|██████████| 4/4 [01:40, "),
        "{frames:?}"
    );
    assert!(
        frames[1..]
            .iter()
            .all(|frame| frame.2 && frame.0 == first.0)
    );
}

#[test]
fn a_loop_that_is_left_says_where() {
    let turn = turn();
    for n in old_iter(0..10) {
        if n == 4 {
            break;
        }
    }
    let text = shown(&turn).pop().unwrap().1;
    assert!(text.ends_with("stopped at 4 of 10"), "{text}");

    let caught = catch_unwind(|| {
        for n in old_iter(0..10) {
            assert!(n < 7, "on purpose");
        }
    });
    assert!(caught.is_err());
    let text = shown(&turn).pop().unwrap().1;
    assert!(text.ends_with("stopped at 7 of 10"), "{text}");
}

#[test]
fn a_whole_loop_counts_all_items_also_of_a_length_not_known() {
    let turn = turn();
    assert_eq!(old_iter(0..1_000).sum::<u64>(), 499_500);
    let text = shown(&turn).pop().unwrap().1;
    assert!(text.starts_with("100 %|██████████| 1000/1000"), "{text}");

    let items = progress((0..10).filter(|n| n % 2 == 0));
    let bar = items.handle();
    assert_eq!(items.count(), 5);
    assert_eq!(bar.done(), 5);
}

#[test]
fn a_length_told_wrongly_is_said() {
    let turn = turn();
    assert_eq!(old_iter(0..10).total(4).count(), 10);
    let text = shown(&turn).pop().unwrap().1;
    assert!(
        text.starts_with("10/4 ") && text.ends_with("more items than the 4 that were told"),
        "{text}"
    );
    assert_eq!(old_iter(0..10).total(20).count(), 10);
    let text = shown(&turn).pop().unwrap().1;
    assert!(
        text.starts_with(" 50 %") && text.ends_with("fewer items than the 20 that were told"),
        "{text}"
    );
}

#[test]
fn handles_without_finish_say_what_became_of_them() {
    let turn = turn();
    let bar = old(Some(2));
    let clone = bar.clone();
    bar.inc(2);
    drop(bar);
    drop(clone);
    assert!(shown(&turn).pop().unwrap().1.starts_with("100 %"));

    drop(old(Some(2)));
    assert!(shown(&turn).pop().unwrap().1.ends_with("stopped at 0 of 2"));

    let bar = old(None);
    bar.inc(7);
    drop(bar);
    let text = shown(&turn).pop().unwrap().1;
    assert!(
        text.starts_with("7 [01:40") && text.ends_with(']'),
        "{text}"
    );
}

#[test]
fn a_message_stands_behind_the_bar() {
    let turn = turn();
    let bar = old(Some(2)).name("fit");
    bar.set_message("loss 0.5");
    let text = shown(&turn).pop().unwrap().1;
    assert!(
        text.starts_with("fit   0 %|") && text.ends_with(" loss 0.5"),
        "{text}"
    );
}

#[test]
fn inner_bars_take_turns_in_one_place_below_the_outer_one() {
    let turn = turn();
    let outer = old(Some(3)).name("outer");
    for n in 0..3 {
        let inner = old(Some(2)).name(&format!("inner {n}"));
        inner.inc(2);
        inner.finish();
    }
    outer.finish();
    let frames = shown(&turn);
    let new: Vec<_> = frames.iter().filter(|frame| !frame.2).collect();
    assert_eq!(new.len(), 2, "two places: {frames:?}");
    assert!(
        new[0].1.starts_with("outer"),
        "the outer one comes first: {frames:?}"
    );
    assert!(new[1].1.starts_with("inner 0"), "{frames:?}");
    let last = frames
        .iter()
        .rev()
        .find(|frame| frame.0 == new[1].0)
        .unwrap();
    assert!(last.1.starts_with("inner 2 100 %"), "{frames:?}");

    // What comes later has a place of its own.
    drop(old(Some(1)));
    assert!(!shown(&turn).pop().unwrap().2);
}

#[test]
fn bars_that_run_at_once_have_places_of_their_own() {
    let turn = turn();
    let bars = [old(Some(1)), old(Some(1)), old(Some(1))];
    for bar in bars.iter().rev() {
        bar.inc(1);
    }
    let new = shown(&turn).iter().filter(|frame| !frame.2).count();
    assert_eq!(new, 3);
}

#[test]
fn parallel_loops_count_what_is_done_and_keep_the_order() {
    let turn = turn();
    let mut items = par_progress((0..500).into_par_iter().enumerate());
    items.bar = old(Some(500));
    let bar = items.bar.clone();
    let result: Vec<_> = items.name("par").map(|(at, n)| at + n).collect();
    assert!(result.iter().enumerate().all(|(at, n)| *n == 2 * at));
    assert_eq!(bar.done(), 500);
    let text = shown(&turn).pop().unwrap().1;
    assert!(text.starts_with("par 100 %|██████████| 500/500"), "{text}");

    // One whose length is not known, split in the other way.
    let unknown = par_progress((0..500).into_par_iter().filter(|n| n % 2 == 0));
    let bar = unknown.bar.clone();
    assert_eq!(unknown.count(), 250);
    assert_eq!(bar.done(), 250);
    let bridged = par_progress((0..100).par_bridge()).total(100);
    assert_eq!(bridged.map(|n| n + 1).sum::<u64>(), 5_050);
}

#[test]
fn parallel_loops_that_stop_say_where() {
    let turn = turn();
    let mut items = par_progress(0..100_000);
    items.bar = old(Some(100_000));
    let bar = items.bar.clone();
    assert!(items.find_any(|&n| n == 7).is_some());
    drop(bar);
    let text = shown(&turn).pop().unwrap().1;
    assert!(
        text.contains("stopped at ") && text.ends_with(" of 100000"),
        "{text}"
    );

    let mut items = par_progress(0..100);
    items.bar = old(Some(100));
    let failing = AssertUnwindSafe(|| items.for_each(|n| assert!(n < 50, "on purpose")));
    assert!(catch_unwind(failing).is_err());
    let text = shown(&turn).pop().unwrap().1;
    assert!(text.ends_with(" of 100"), "{text}");
}

#[test]
fn tasks_share_a_handle() {
    let _turn = turn();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let bar = Progress::new(2).name("pages");
        let tasks: Vec<_> = (0..2)
            .map(|_| {
                let bar = bar.clone();
                tokio::spawn(async move { bar.inc(1) })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(bar.done(), 2);
        bar.finish();
    });
}
