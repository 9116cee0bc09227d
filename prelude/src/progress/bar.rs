//! A bar: its count, when it is painted, and in which place.
//!
//! Counting is one atomic add. The clock is read only every so many items: as many as take about 20 ms at
//! the speed seen last, at most [`MAX_STRIDE`], so that a loop that becomes slow is noticed soon.

use std::cell::RefCell;
use std::io::{IsTerminal, Write, stderr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::line::{End, Line};
use crate::display::{DisplayHandle, display_handle};
use crate::rt;

/// What ends sooner shows nothing.
const QUIET: Duration = Duration::from_millis(500);
/// Between two paintings.
const EVERY: Duration = Duration::from_millis(100);
/// Between two looks at the clock.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Reading the clock takes about 25 ns: spread over 64 items it is less than the add.
const MAX_STRIDE: u64 = 64;
const NO_TOTAL: u64 = u64::MAX;

thread_local! {
    /// The bars made on this thread that had not ended when last looked at, outer ones first.
    static RUNNING: RefCell<Vec<Weak<Bar>>> = const { RefCell::new(Vec::new()) };
}

pub(super) struct Bar {
    /// A count of its own: no other data is published by it.
    done: AtomicU64,
    /// From this count on the clock is read. A stale value means one look more or less.
    next_look: AtomicU64,
    /// How many items may be counted in one go. A hint.
    stride: AtomicU64,
    total: AtomicU64,
    began: Instant,
    painter: Mutex<Painter>,
    outer: Option<Arc<Bar>>,
    /// Places of inner bars that have ended, for those that come.
    free_places: Mutex<Vec<DisplayHandle>>,
}

#[derive(Default)]
struct Painter {
    name: String,
    message: String,
    place: Option<DisplayHandle>,
    /// All times are since the bar began.
    painted: Option<Duration>,
    looked: Duration,
    done_then: u64,
    end: Option<End>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Bar {
    pub(super) fn new(total: Option<u64>) -> Arc<Self> {
        Self::began(total, Instant::now())
    }

    pub(super) fn began(total: Option<u64>, began: Instant) -> Arc<Self> {
        // Without the thread's storage, while it goes down, the bar is an outermost one.
        let outer = RUNNING
            .try_with(|running| {
                let mut running = running.borrow_mut();
                running.retain(|bar| bar.upgrade().is_some_and(|bar| !bar.has_ended()));
                running.last().and_then(Weak::upgrade)
            })
            .ok()
            .flatten();
        let bar = Arc::new(Self {
            done: AtomicU64::new(0),
            next_look: AtomicU64::new(1),
            stride: AtomicU64::new(1),
            total: AtomicU64::new(total.unwrap_or(NO_TOTAL)),
            began,
            painter: Mutex::default(),
            outer,
            free_places: Mutex::default(),
        });
        let _thread_ends =
            RUNNING.try_with(|running| running.borrow_mut().push(Arc::downgrade(&bar)));
        bar
    }

    pub(super) fn set_name(&self, name: &str) {
        lock(&self.painter).name = name.to_owned();
    }

    pub(super) fn set_total(&self, total: Option<u64>) {
        self.total
            .store(total.unwrap_or(NO_TOTAL), Ordering::Relaxed);
    }

    pub(super) fn set_message(&self, message: &str) {
        lock(&self.painter).message = message.to_owned();
        self.look();
    }

    pub(super) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    pub(super) fn stride(&self) -> u64 {
        self.stride.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, n: u64) {
        let done = self.done.fetch_add(n, Ordering::Relaxed) + n;
        if done >= self.next_look.load(Ordering::Relaxed) {
            self.look();
        }
    }

    fn has_ended(&self) -> bool {
        // Whoever paints now has not ended.
        self.painter
            .try_lock()
            .is_ok_and(|painter| painter.end.is_some())
    }

    fn total(&self) -> Option<u64> {
        Some(self.total.load(Ordering::Relaxed)).filter(|&total| total != NO_TOTAL)
    }

    /// Reads the clock and paints if it is time. Where another thread does so already, nothing is to be done.
    #[cold]
    #[inline(never)]
    fn look(&self) {
        let Ok(mut painter) = self.painter.try_lock() else {
            return;
        };
        let (done, now) = (self.done(), self.began.elapsed());
        let stride = next_stride(done - painter.done_then, now - painter.looked);
        (painter.done_then, painter.looked) = (done, now);
        self.stride.store(stride, Ordering::Relaxed);
        self.next_look.store(done + stride, Ordering::Relaxed);
        let is_time = painter.painted.is_none_or(|painted| now - painted >= EVERY);
        if painter.end.is_none() && now >= QUIET && is_time {
            self.paint(&mut painter, now);
        }
    }

    /// Ends the bar as what its count says: for bars that are dropped and for parallel loops that return.
    pub(super) fn end_by_count(&self) {
        let is_whole = self
            .total()
            .map_or(!thread::panicking(), |total| self.done() >= total);
        self.end(is_whole);
    }

    /// Ends the bar; only the first end counts.
    #[inline(never)]
    pub(super) fn end(&self, is_whole: bool) {
        let mut painter = lock(&self.painter);
        if painter.end.is_some() {
            return;
        }
        painter.end = Some(if is_whole { End::Whole } else { End::Stopped });
        let now = self.began.elapsed();
        if painter.painted.is_some() || now >= QUIET {
            self.paint(&mut painter, now);
        }
        if let (Some(outer), Some(place)) = (&self.outer, painter.place.take()) {
            lock(&outer.free_places).push(place);
        }
    }

    fn paint(&self, painter: &mut Painter, now: Duration) {
        painter.painted = Some(now);
        let line = Line {
            name: &painter.name,
            message: &painter.message,
            done: self.done(),
            total: self.total(),
            elapsed: now,
            end: painter.end,
        };
        if !rt::has_host() {
            if self.outer.is_none()
                && let Some(text) = on_stderr(&line, stderr().is_terminal())
            {
                let _closed_stderr_is_no_news = write!(stderr().lock(), "{text}");
            }
            return;
        }
        if let Some(place) = &painter.place {
            place.update(&line);
            return;
        }
        let mut freed = None;
        if let Some(outer) = &self.outer {
            outer.appear();
            freed = lock(&outer.free_places).pop();
        }
        painter.place = Some(match freed {
            Some(place) => {
                place.update(&line);
                place
            }
            None => display_handle(&line),
        });
    }

    /// Shows an outer bar whose first item is not done yet, so that it stands above the inner one.
    fn appear(&self) {
        if let Ok(mut painter) = self.painter.try_lock()
            && painter.place.is_none()
            && painter.end.is_none()
        {
            self.paint(&mut painter, self.began.elapsed());
        }
    }
}

/// How many items to count until the clock is read again.
fn next_stride(n_items: u64, took: Duration) -> u64 {
    let micros = took.as_micros().max(1);
    let at_this_speed = u128::from(n_items) * LOOK_EVERY.as_micros() / micros;
    // Double at most: the first items are often the fast ones.
    at_this_speed
        .min(u128::from(n_items) * 2)
        .clamp(1, u128::from(MAX_STRIDE)) as u64
}

/// What goes to standard error: in a terminal the line over the old one, else only the last one.
fn on_stderr(line: &Line<'_>, is_terminal: bool) -> Option<String> {
    match (is_terminal, line.end) {
        (true, None) => Some(format!("\r\x1b[2K{line}")),
        (true, Some(_)) => Some(format!("\r\x1b[2K{line}\n")),
        (false, None) => None,
        (false, Some(_)) => Some(format!("{line}\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_read_about_every_twenty_milliseconds() {
        let stride = |n, millis| next_stride(n, Duration::from_millis(millis));
        assert_eq!(stride(1, 0), 2, "doubles at most");
        assert_eq!(stride(64, 1), 64, "no more than the most");
        assert_eq!(stride(64, 200), 6, "and less when items become slow");
        assert_eq!(stride(1, 60_000), 1);
        assert_eq!(stride(0, 5), 1);
    }

    #[test]
    fn a_terminal_sees_one_line_and_a_file_only_the_last() {
        let mut line = Line {
            name: "",
            message: "",
            done: 1,
            total: None,
            elapsed: Duration::from_secs(1),
            end: None,
        };
        assert_eq!(on_stderr(&line, false), None);
        let text = on_stderr(&line, true).unwrap();
        assert!(
            text.starts_with("\r\x1b[2K1 [00:01") && !text.ends_with('\n'),
            "{text:?}"
        );
        line.end = Some(End::Whole);
        assert!(on_stderr(&line, true).unwrap().ends_with("]\n"));
        assert!(on_stderr(&line, false).unwrap().starts_with("1 [00:01"));
    }
}
