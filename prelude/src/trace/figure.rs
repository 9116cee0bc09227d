//! A trace as a picture, with a table of who was busy for how long as its text.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use super::data::{Recorded, Row};
use super::{MAX_SPANS, Trace};
use crate::display::{Bundle, Show};
use crate::plot::{self, Timeline};

/// The picture is about as many pixels wide: what is narrower is drawn together.
const N_PIXELS: u64 = 1_000;
/// What is drawn at most: more bars make a notebook's file heavy and show nothing new.
const MAX_BARS: usize = 10_000;

impl Show for Trace {
    /// The timeline, with the busy times as text.
    fn show(&self) -> Bundle {
        if self.n_spans() == 0 {
            return Bundle::new().text(self.to_string());
        }
        self.timeline("trace").show().text(self.to_string())
    }
}

impl Trace {
    /// The figure, with a title of your own; spans of one name and row that are narrower than a pixel are
    /// drawn as one.
    pub fn timeline(&self, title: &str) -> Timeline {
        let (unit, per_unit) = unit(self.elapsed());
        let pixel = (self.elapsed().as_nanos() as u64 / N_PIXELS).max(1);
        let mut bars: Vec<(&Row, Recorded)> = Vec::new();
        for row in self.rows() {
            bars.extend(drawn_together(row.spans(), pixel).map(|span| (row, span)));
        }
        keep_longest(&mut bars);
        let at = |ns: u64| ns.saturating_sub(self.start_ns()) as f64 / per_unit;
        let timeline = plot::timeline(title, ("time", unit));
        // A worker that did nothing is seen to do nothing.
        let timeline = self
            .rows()
            .iter()
            .fold(timeline, |timeline, row| timeline.row(&row.name()));
        bars.iter().fold(timeline, |timeline, (row, span)| {
            timeline.bar(&row.name(), &span.name, at(span.start_ns), at(span.end_ns))
        })
    }

    /// Nanoseconds as the time on the axis of [`timeline`](Self::timeline).
    pub(crate) fn on_axis(&self, ns: u64) -> f64 {
        ns.saturating_sub(self.start_ns()) as f64 / unit(self.elapsed()).1
    }
}

fn unit(elapsed: Duration) -> (&'static str, f64) {
    match elapsed.as_nanos() {
        0..1_000_000 => ("µs", 1e3),
        1_000_000..1_000_000_000 => ("ms", 1e6),
        _ => ("s", 1e9),
    }
}

/// Narrow spans of one name that follow each other within a pixel become one.
fn drawn_together(spans: &[Recorded], pixel: u64) -> impl Iterator<Item = Recorded> {
    let mut bars: Vec<Recorded> = Vec::new();
    let mut narrow: HashMap<&str, usize> = HashMap::new();
    for span in spans {
        if span.end_ns - span.start_ns >= pixel {
            bars.push(span.clone());
            continue;
        }
        let last = narrow.get(&*span.name).map(|&at| &mut bars[at]);
        match last {
            Some(last) if span.start_ns < last.end_ns + pixel => {
                last.end_ns = last.end_ns.max(span.end_ns);
            }
            _ => {
                narrow.insert(&span.name, bars.len());
                bars.push(span.clone());
            }
        }
    }
    bars.into_iter()
}

/// Leaves the order as it is.
fn keep_longest(bars: &mut Vec<(&Row, Recorded)>) {
    if bars.len() <= MAX_BARS {
        return;
    }
    let mut lengths: Vec<_> = bars.iter().map(|(_, span)| span.elapsed()).collect();
    lengths.sort_unstable();
    let shortest = lengths[lengths.len() - MAX_BARS];
    let mut n_left = MAX_BARS;
    bars.retain(|(_, span)| {
        let keep = span.elapsed() >= shortest && n_left > 0;
        n_left -= usize::from(keep);
        keep
    });
}

/// Who was busy for how long, and what is missing.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_blank() {
            return write!(
                f,
                "empty trace: nothing was recorded (trace::start() comes before trace::stop())"
            );
        }
        write!(
            f,
            "trace of {}: {} in {}",
            time(self.elapsed()),
            counted(self.n_spans() as u64, "span"),
            counted(self.rows().len() as u64, "row")
        )?;
        let names: Vec<_> = self.rows().iter().map(Row::name).collect();
        let width = names.iter().map(|name| name.chars().count()).max();
        let width = width.unwrap_or(0).max("row".len());
        if !names.is_empty() {
            write!(
                f,
                "\n{:width$}  {:>9}  {:>5}  {:>7}",
                "row", "busy", "share", "spans"
            )?;
        }
        for (row, name) in self.rows().iter().zip(&names) {
            let share = match self.elapsed().as_secs_f64() {
                0.0 => 0.0,
                elapsed => 100.0 * row.busy().as_secs_f64() / elapsed,
            };
            write!(
                f,
                "\n{name:width$}  {:>9}  {share:>3.0} %  {:>7}",
                time(row.busy()),
                row.spans().len()
            )?;
        }
        if self.n_open() > 0 {
            write!(
                f,
                "\n{} not ended and not in it",
                counted(self.n_open(), "span")
            )?;
        }
        if self.n_dropped() > 0 {
            write!(
                f,
                "\n{} left out: a recording keeps {MAX_SPANS}",
                counted(self.n_dropped(), "span")
            )?;
        }
        Ok(())
    }
}

fn counted(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// Three significant digits or so.
fn time(time: Duration) -> String {
    let (unit, per_unit) = unit(time);
    let value = time.as_nanos() as f64 / per_unit;
    let digits = match value {
        100.0.. => 0,
        10.0.. => 1,
        _ => 2,
    };
    format!("{value:.digits$} {unit}")
}
