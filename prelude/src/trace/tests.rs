//! What a recording holds, and what it does not.

use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use rayon::prelude::*;

use super::*;
use crate::display::Show;
use crate::json;
use crate::prelude::display;
use crate::tests::host::turn;

/// Recordings see the spans of all threads, so the tests take turns.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn names(row: &Row) -> Vec<&str> {
    row.spans().iter().map(|span| &*span.name).collect()
}

fn by_hand() -> Trace {
    let mut trace = Trace::new();
    trace.add("rayon-10", "a", 5_000, 9_000);
    trace.add("rayon-2", "a", 1_000, 2_000);
    trace.add("main", "whole", 1_000, 11_000);
    trace.add("main", "part", 2_000, 4_000);
    trace
}

#[test]
fn module_example() {
    let (_alone, turn) = (alone(), turn());
    let (sum, trace) = record(|| {
        let _whole = span("sum of squares");
        (0..4_u64)
            .into_par_iter()
            .map(|n| {
                let _one = span("square");
                n * n
            })
            .sum::<u64>()
    });
    assert_eq!(sum, 14);
    assert_eq!(trace.n_spans(), 5);
    let rayon = |row: &&Row| row.name().starts_with("rayon-");
    let n_squares: usize = trace
        .rows()
        .iter()
        .filter(rayon)
        .map(|row| row.spans().len())
        .sum();
    assert_eq!(n_squares, 4);
    display(&trace);
    assert!(
        turn.frame().1.contains("5 spans in"),
        "the text twin is there"
    );
}

#[test]
fn span_example() {
    let _alone = alone();
    let ((), trace) = record(|| {
        let n = 3;
        let _whole = span("solve");
        let _part = span(format!("block {n}"));
    });
    assert_eq!(trace.rows().len(), 1);
    assert_eq!(names(&trace.rows()[0]), ["solve", "block 3"]);
}

#[test]
fn polls_are_spans_on_the_thread_that_polls() {
    let _alone = alone();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("tokio-w")
        .build()
        .unwrap();
    let (answer, trace) = record(|| {
        runtime.block_on(async {
            let task = in_span("answer", async {
                tokio::task::yield_now().await;
                42
            });
            tokio::spawn(task).await.unwrap()
        })
    });
    assert_eq!(answer, 42);
    assert_eq!(trace.n_spans(), 2, "two polls: {trace}");
    assert!(
        trace
            .rows()
            .iter()
            .all(|row| row.name().starts_with("tokio-w")),
        "{trace}"
    );
}

#[test]
fn threads_without_a_name_are_numbered_and_equal_names_too() {
    let _alone = alone();
    let work = || drop(span("work"));
    let ((), trace) = record(|| {
        for _ in 0..2 {
            thread::spawn(work).join().unwrap();
            thread::Builder::new()
                .name("w".into())
                .spawn(work)
                .unwrap()
                .join()
                .unwrap();
        }
    });
    let rows: Vec<_> = trace.rows().iter().map(Row::name).collect();
    assert_eq!(rows, ["thread 1", "thread 2", "w", "w 2"]);
}

#[test]
fn the_recording_thread_is_main_if_it_has_no_name() {
    let _alone = alone();
    let trace = thread::spawn(|| record(|| drop(span("x"))).1)
        .join()
        .unwrap();
    assert_eq!(names(trace.row("main").unwrap()), ["x"]);
}

#[test]
fn only_spans_that_begin_and_end_inside_are_in_a_recording() {
    let _alone = alone();
    let (go, gone) = mpsc::channel::<()>();
    let (ready, is_ready) = mpsc::channel();
    let before = span("begun before");
    start();
    drop(before);
    drop(span("inside"));
    let outlives = thread::spawn(move || {
        let _span = span("ends after");
        ready.send(()).unwrap();
        gone.recv().unwrap();
    });
    is_ready.recv().unwrap();
    let trace = stop();
    assert_eq!(trace.n_spans(), 1, "{trace}");
    assert_eq!(trace.n_open(), 1);
    assert!(
        trace
            .to_string()
            .contains("\n1 span not ended and not in it"),
        "{trace}"
    );

    // The thread is in no later recording either, whose group is another one.
    let ((), later) = record(|| {
        go.send(()).unwrap();
        outlives.join().unwrap();
    });
    assert_eq!((later.n_spans(), later.n_open()), (0, 0), "{later}");
}

#[test]
fn recordings_inside_each_other_each_get_their_time() {
    let _alone = alone();
    let (inner, outer) = record(|| {
        drop(span("a"));
        let ((), inner) = record(|| drop(span("b")));
        drop(span("c"));
        inner
    });
    assert_eq!(names(&inner.rows()[0]), ["b"]);
    assert_eq!(names(&outer.rows()[0]), ["a", "b", "c"]);
}

#[test]
fn a_second_start_begins_anew() {
    let _alone = alone();
    start();
    drop(span("old"));
    start();
    drop(span("new"));
    let trace = stop();
    assert_eq!(names(&trace.rows()[0]), ["new"]);
    assert_eq!(recorder::group(), 0, "nothing is left running");
}

#[test]
fn stop_without_start_is_an_empty_trace_that_says_so() {
    let _alone = alone();
    let trace = stop();
    assert_eq!(trace, Trace::new());
    assert!(trace.show().plain_text().contains("trace::start()"));
}

#[test]
fn a_panic_ends_its_spans() {
    let (_alone, _turn) = (alone(), turn());
    let ((), trace) = record(|| {
        let _outer = span("outer");
        let caught = std::panic::catch_unwind(|| {
            let _span = span("panics");
            panic!("on purpose");
        });
        assert!(caught.is_err());
    });
    assert_eq!(names(&trace.rows()[0]), ["outer", "panics"]);
    assert_eq!(trace.n_open(), 0);
}

#[test]
fn a_panic_of_the_body_ends_the_recording() {
    let (_alone, _turn) = (alone(), turn());
    assert!(std::panic::catch_unwind(|| record(|| panic!("on purpose"))).is_err());
    assert_eq!(recorder::group(), 0);
}

#[test]
fn memory_is_bounded_and_what_is_left_out_is_counted() {
    let _alone = alone();
    let ((), trace) = record(|| {
        for _ in 0..MAX_SPANS + 7 {
            drop(span("x"));
        }
        add("by hand", "y", now(), now());
    });
    assert_eq!((trace.n_spans(), trace.n_dropped()), (MAX_SPANS, 8));
    assert!(
        trace
            .to_string()
            .ends_with("\n8 spans left out: a recording keeps 1000000")
    );
    // Each bar is a pixel wide at least, so the figure is small all the same.
    assert!(format!("{:?}", trace.timeline("t")).len() < 1_000_000);
}

#[test]
fn rows_by_hand_are_for_workers_elsewhere() {
    let _alone = alone();
    add("rank 0", "too early", 1, 2);
    let ((), trace) = record(|| {
        let start = now();
        add("rank 1", "send", start, start + 10);
        add("rank 1", "clock went back", start, start - 10);
        add("rank 1", "before the recording", 1, 2);
    });
    assert_eq!(trace.rows().len(), 1);
    let rank = trace.row("rank 1").unwrap();
    assert_eq!(names(rank), ["send", "clock went back"]);
    assert_eq!(rank.spans()[0].elapsed(), Duration::from_nanos(10));
    assert_eq!(rank.busy(), Duration::from_nanos(10));
}

#[test]
fn busy_time_counts_nested_spans_once() {
    let trace = by_hand();
    assert_eq!(trace.row("main").unwrap().busy(), Duration::from_micros(10));
    assert_eq!(trace.elapsed(), Duration::from_micros(10));
    let expected = "trace of 10.0 µs: 4 spans in 3 rows\n\
                    row            busy  share    spans\n\
                    main        10.0 µs  100 %        2\n\
                    rayon-2     1.00 µs   10 %        1\n\
                    rayon-10    4.00 µs   40 %        1";
    assert_eq!(trace.to_string(), expected);
    assert_eq!(trace.show().plain_text(), expected);
}

#[test]
fn traces_of_several_processes_merge_on_one_clock() {
    let mut trace = by_hand();
    let mut pair = Trace::new();
    pair.merge(by_hand(), "rank 1");
    pair.add("main", "own", 500, 600);
    trace.merge(pair.clone(), "node 2");
    trace.merge(pair, "");
    let rows: Vec<_> = trace.rows().iter().map(Row::name).collect();
    assert_eq!(
        rows,
        [
            "main",
            "rayon-2",
            "rayon-10",
            "node 2: main",
            "node 2: rank 1: main",
            "node 2: rank 1: rayon-2",
            "node 2: rank 1: rayon-10",
            "rank 1: main",
            "rank 1: rayon-2",
            "rank 1: rayon-10"
        ]
    );
    assert_eq!(names(trace.row("main").unwrap()), ["own", "whole", "part"]);
    assert_eq!(trace.start_ns(), 500);
}

#[test]
fn perfetto_gets_microseconds_and_names() {
    let mut trace = by_hand();
    let mut other = Trace::new();
    other.add("main", "say \"hi\"", 1_000, 2_500);
    trace.merge(other, "rank 1");
    let text = trace.chrome_json();
    assert!(json::is_valid(&text), "{text}");
    for part in [
        r#"{"traceEvents":[{"name":"process_name","ph":"M","pid":1,"tid":0,"args":{"name":"this process"}}"#,
        r#"{"name":"thread_name","ph":"M","pid":1,"tid":2,"args":{"name":"rayon-10"}}"#,
        r#"{"name":"part","cat":"span","ph":"X","ts":1.000,"dur":2.000,"pid":1,"tid":0}"#,
        r#"{"name":"process_name","ph":"M","pid":2,"tid":3,"args":{"name":"rank 1"}}"#,
        r#"{"name":"say \"hi\"","cat":"span","ph":"X","ts":0.000,"dur":1.500,"pid":2,"tid":3}"#,
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert!(json::is_valid(&Trace::new().chrome_json()));
}

#[test]
fn a_trace_is_saved_or_the_error_says_what_to_do() {
    let path = std::env::temp_dir().join(format!("forkline-trace-{}.json", std::process::id()));
    by_hand().save(&path).unwrap();
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        by_hand().chrome_json()
    );
    std::fs::remove_file(&path).unwrap();

    let error = by_hand().save("/no/such/folder/t.json").unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with(
            "Trace::save(\"/no/such/folder/t.json\"): the file was not written\nwhy: No such file"
        ),
        "{text}"
    );
    assert!(
        text.contains("\ndo:  ") && format!("{error:?}") == text,
        "{text}"
    );
    assert!(std::error::Error::source(&error).is_some());
}
