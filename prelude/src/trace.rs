//! Who did what when: spans of any thread, drawn as a timeline with one row for each worker.
//!
//! To know only how long something takes, an `Instant` is enough; a trace shows how the work of several
//! workers lies side by side: who waits, who has too much to do, what runs at the same time.
//!
//! What always holds:
//! * while nothing is recorded a span is a call, a load and a branch; while something is, two readings of
//!   the clock and a push into a queue of its own thread, without a lock;
//! * a span is in a recording if it began *and* ended while the recording ran. A span that was open at
//!   the start is not in it; one that is open at the end is counted by [`Trace::n_open`], no more. So
//!   threads may outlive a recording, and nothing of them leaks into the next one;
//! * a panic ends the spans that it leaves, as it drops all guards;
//! * recordings may lie inside each other and overlap: each gets all spans of its own time;
//! * memory is bounded: recordings that overlap keep [`MAX_SPANS`] spans together, and
//!   [`Trace::n_dropped`] counts what came after.
//!
//! Rows are named for their threads; the thread that records is `main` if it has no name, and others
//! without a name are `thread 1`, `thread 2`, … in the order of their first spans. Times are nanoseconds
//! of CLOCK_MONOTONIC, which all processes of one machine share.
//!
//! ```
//! use forkline::prelude::*;
//!
//! let (sum, trace) = trace::record(|| {
//!     let _whole = trace::span("sum of squares");
//!     (0..4_u64)
//!         .into_par_iter()
//!         .map(|n| {
//!             let _one = trace::span("square");
//!             n * n
//!         })
//!         .sum::<u64>()
//! });
//! assert_eq!(sum, 14);
//! assert_eq!(trace.n_spans(), 5);
//! display(&trace);
//! ```

mod chrome;
mod data;
mod error;
mod figure;
mod recorder;

use std::borrow::Cow;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

pub use data::{Recorded, Row, Trace};
pub use error::TraceError;
pub use recorder::MAX_SPANS;

/// A span that has begun; it ends when this is dropped.
///
/// It stays on its thread: a span across an `await` would end on another one. For a future use [`in_span`].
#[must_use = "a span ends when it is dropped: bind it to a name such as `_span`"]
#[derive(Debug)]
pub struct Span {
    name: Cow<'static, str>,
    start_ns: u64,
    /// The recording group in which it began; 0 while nothing is recorded.
    group: u64,
    _stays_on_its_thread: PhantomData<*const ()>,
}

/// Begins a span on the calling thread's row.
///
/// A literal costs nothing. A text made with `format!` is made even while nothing is recorded.
///
/// ```
/// let n = 3;
/// let _whole = forkline::trace::span("solve");
/// let _part = forkline::trace::span(format!("block {n}"));
/// ```
pub fn span(name: impl Into<Cow<'static, str>>) -> Span {
    begin(name.into())
}

#[inline(never)]
fn begin(name: Cow<'static, str>) -> Span {
    let group = recorder::group();
    let start_ns = if group == 0 {
        0
    } else {
        recorder::begin(group)
    };
    Span {
        name,
        start_ns,
        group,
        _stays_on_its_thread: PhantomData,
    }
}

impl Drop for Span {
    #[inline]
    fn drop(&mut self) {
        if self.group != 0 {
            let name = std::mem::take(&mut self.name);
            recorder::end(self.group, name, self.start_ns);
        }
    }
}

/// Nanoseconds of CLOCK_MONOTONIC: the clock of all spans, the same in all processes of this machine.
pub fn now() -> u64 {
    recorder::now()
}

/// Adds a span to a row by hand, if something is recorded: for workers that are no threads of this
/// process, such as processes and ranks. Times are those of [`now`], in nanoseconds, as the worker read them.
///
/// A span that began before the recording is not in it. An end before its start counts as the start.
pub fn add(row: &str, name: &str, start_ns: u64, end_ns: u64) {
    recorder::add_by_hand(row, name, start_ns, end_ns);
}

/// Runs `body` and returns its result with what was recorded in the meantime, in all threads.
///
/// If `body` panics the recording is thrown away and the panic goes on.
pub fn record<R>(body: impl FnOnce() -> R) -> (R, Trace) {
    let recording = recorder::Recording::begin();
    let result = body();
    (result, recording.end())
}

/// Begins a recording that goes on until [`stop`], over several cells if need be.
///
/// If one is running that [`start`] began, it is thrown away and begins anew.
pub fn start() {
    recorder::start();
}

/// Ends the recording that [`start`] began and returns it.
///
/// Without one the trace is empty, and its text says so.
pub fn stop() -> Trace {
    recorder::stop()
}

/// Makes each poll of `future` a span, on the row of the thread that polls.
///
/// This is what a timeline of workers must show: while a task waits, no worker is busy with it.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let answer = forkline::trace::in_span("answer", async { 42 }).await;
/// assert_eq!(answer, 42);
/// # });
/// ```
pub fn in_span<F: Future>(name: impl Into<Cow<'static, str>>, future: F) -> InSpan<F> {
    InSpan {
        name: name.into(),
        future: Box::pin(future),
    }
}

/// A future whose polls are spans; [`in_span`] makes it.
#[must_use = "a future does nothing until it is awaited"]
#[derive(Debug)]
pub struct InSpan<F> {
    name: Cow<'static, str>,
    /// In a box, so that no unsafe projection of the pin is needed.
    future: Pin<Box<F>>,
}

impl<F: Future> Future for InSpan<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let _span = begin(self.name.clone());
        self.future.as_mut().poll(context)
    }
}

#[cfg(test)]
mod tests;
