//! Timelines: who ran what when.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt::Display;

use super::canvas::{Anchor, Canvas, Pen, Rect};
use super::frame::{Entry, Frame, Key, Plan, Side};
use super::palette::{FOREGROUND, Ink, colour};
use super::picture::Picture;
use super::scale::{Extent, Fit, Zero};
use super::text::{counted, number, width};
use super::{Axis, Number, PlotError, check, default_size, figure};

/// Starts a timeline: who ran what when, one row for each worker.
///
/// ```
/// use forkline::plot::timeline;
///
/// let figure = timeline("Four jobs on two workers", ("time", "ms"))
///     .bar("worker 0", "read", 0.0, 1.5)
///     .bar("worker 0", "compute", 1.5, 4.0)
///     .bar("worker 1", "read", 0.2, 2.0);
/// # let _ = figure;
/// ```
#[doc(alias = "gantt")]
pub fn timeline(title: &str, time: impl Into<Axis>) -> Timeline {
    Timeline {
        title: title.to_owned(),
        time: time.into(),
        rows: Names::default(),
        labels: Names::default(),
        bars: Vec::new(),
        arrows: Vec::new(),
        size: None,
    }
}

/// A timeline, see [`timeline`].
///
/// Rows stand in the order in which they first come, from the top. Equal labels have one colour. Bars that are thinner
/// than a pixel are drawn together: in the colour that takes most of the pixel, paler where the row is idle in between.
/// Arrows, for what goes from one worker to another, lie over the bars.
#[derive(Clone, Debug)]
pub struct Timeline {
    title: String,
    time: Axis,
    rows: Names,
    labels: Names,
    bars: Vec<Bar>,
    arrows: Vec<Arrow>,
    size: Option<(u32, u32)>,
}

#[derive(Clone, Copy, Debug)]
struct Bar {
    row: usize,
    label: usize,
    start: f64,
    end: f64,
}

/// From a row at a time to another row at another time.
#[derive(Clone, Debug)]
struct Arrow {
    label: String,
    from: (usize, f64),
    to: (usize, f64),
}

/// Names with numbers, in the order in which they first came.
#[derive(Clone, Debug, Default)]
struct Names {
    all: Vec<String>,
    numbers: HashMap<String, usize>,
}

impl Names {
    fn number(&mut self, name: &str) -> usize {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        self.all.push(name.to_owned());
        self.numbers.insert(name.to_owned(), self.all.len() - 1);
        self.all.len() - 1
    }
}

/// With more labels the colours come again too often for a legend to help.
const MOST_LABELS: usize = 16;
/// More elements make front ends slow to point at.
const MOST_TIPS: usize = 3_000;
/// The size of labels in bars.
const LABEL: f64 = 11.0;
const ARROW: Ink = FOREGROUND.alpha(0.85);

impl Timeline {
    /// A bar in a row, from start to end on the time axis. Equal labels have one colour.
    pub fn bar(self, row: &str, label: &str, start: impl Number, end: impl Number) -> Self {
        self.with(row, label, start.to_f64(), end.to_f64())
    }

    /// Many bars: row, label, start, end.
    pub fn bars<R: Display, L: Display, T: Number>(
        self,
        bars: impl IntoIterator<Item = (R, L, T, T)>,
    ) -> Self {
        bars.into_iter()
            .fold(self, |figure, (row, label, start, end)| {
                figure.with(
                    &row.to_string(),
                    &label.to_string(),
                    start.to_f64(),
                    end.to_f64(),
                )
            })
    }

    #[inline(never)]
    fn with(mut self, row: &str, label: &str, start: f64, end: f64) -> Self {
        let (row, label) = (self.rows.number(row), self.labels.number(label));
        self.bars.push(Bar {
            row,
            label,
            start,
            end,
        });
        self
    }

    /// Gives a row its place, below those that have one, before it has bars.
    pub fn row(mut self, row: &str) -> Self {
        self.rows.number(row);
        self
    }

    /// An arrow from a row at a time to another row at another time, as for a message. `label` is shown where the mouse
    /// rests on it.
    ///
    /// ```
    /// use forkline::plot::timeline;
    ///
    /// let figure = timeline("A message", ("time", "ms"))
    ///     .bar("sender", "send", 0.0, 0.5)
    ///     .bar("receiver", "receive", 0.2, 1.0)
    ///     .arrow("42", ("sender", 0.0), ("receiver", 1.0));
    /// # let _ = figure;
    /// ```
    pub fn arrow(
        mut self,
        label: &str,
        from: (&str, impl Number),
        to: (&str, impl Number),
    ) -> Self {
        let arrow = Arrow {
            label: label.to_owned(),
            from: (self.rows.number(from.0), from.1.to_f64()),
            to: (self.rows.number(to.0), to.1.to_f64()),
        };
        self.arrows.push(arrow);
        self
    }

    /// All times that have to have a place on the axis.
    fn times(&self) -> impl Iterator<Item = f64> {
        let bars = self.bars.iter().flat_map(|bar| [bar.start, bar.end]);
        let arrows = self.arrows.iter();
        bars.chain(arrows.flat_map(|arrow| [arrow.from.1, arrow.to.1]))
    }

    fn check(&self) -> Result<(), PlotError> {
        if self.bars.is_empty() {
            return Err(PlotError::NoData {
                title: self.title.clone(),
            });
        }
        let mut seen = vec![0; self.rows.all.len()];
        for bar in &self.bars {
            let row = &self.rows.all[bar.row];
            let of = check::Of {
                title: &self.title,
                series: row,
            };
            of.value(seen[bar.row], bar.start, &self.time)?;
            of.value(seen[bar.row], bar.end, &self.time)?;
            seen[bar.row] += 1;
            if bar.end < bar.start {
                return Err(PlotError::EndBeforeStart {
                    title: self.title.clone(),
                    row: row.clone(),
                    label: self.labels.all[bar.label].clone(),
                    start: bar.start,
                    end: bar.end,
                });
            }
        }
        for arrow in &self.arrows {
            for (at, (row, time)) in [arrow.from, arrow.to].into_iter().enumerate() {
                let of = check::Of {
                    title: &self.title,
                    series: &self.rows.all[row],
                };
                of.value(at, time, &self.time)?;
            }
        }
        Ok(())
    }

    #[inline(never)]
    fn draw(&self) -> Result<Picture, PlotError> {
        self.check()?;
        let n_rows = self.rows.all.len();
        let entry = |(at, label): (usize, &String)| Entry {
            label: label.clone(),
            ink: colour(at),
            key: Key::Area,
        };
        let mut legend: Vec<Entry> = self.labels.all.iter().enumerate().map(entry).collect();
        if legend.len() > MOST_LABELS {
            legend.clear();
        }
        // Rows of 26 pixels, thinner where they are many.
        let rows = (26.0 * n_rows as f64)
            .min(520.0)
            .max(3.0 * n_rows as f64)
            .max(60.0);
        let size = self
            .size
            .unwrap_or_else(|| default_size(100.0 + rows, &legend));
        let mut canvas = Canvas::new(&self.title, size)?;
        let plan = Plan {
            title: &self.title,
            x: Side::Numbers {
                axis: self.time.clone(),
                extent: Extent::of(self.times()),
                fit: Fit {
                    zero: Zero::IfNear,
                    to_ticks: false,
                    margin: 0.015,
                },
            },
            y: Side::Slots {
                name: String::new(),
                labels: self.rows.all.clone(),
            },
            legend: &legend,
            right: 0.0,
        };
        let frame = Frame::draw(&mut canvas, plan);
        self.draw_bars(&mut canvas, &frame);
        self.draw_arrows(&mut canvas, &frame);
        canvas.finish(self.text())
    }

    fn draw_bars(&self, canvas: &mut Canvas, frame: &Frame) {
        let span = |bar: &Bar| (frame.x(bar.start), frame.x(bar.end));
        let is_wide = |bar: &&Bar| {
            let (from, to) = span(bar);
            to - from >= 1.0
        };
        let (wide, thin): (Vec<&Bar>, Vec<&Bar>) = self.bars.iter().partition(is_wide);
        let has_tips = wide.len() <= MOST_TIPS;
        for (at, bar) in wide.iter().enumerate() {
            let (row, label) = (&self.rows.all[bar.row], &self.labels.all[bar.label]);
            let tip = format!(
                "{row}: {label}, {} to {}",
                number(bar.start),
                number(bar.end)
            );
            // Neighbours of one colour are still two bars.
            let (left, right) = span(bar);
            let gap = if right - left > 4.0 { 0.5 } else { 0.0 };
            let rect = self.rect(frame, bar.row, (left, right - gap));
            canvas.group("", if has_tips { &tip } else { "" }, |pen| {
                pen.rect(rect, colour(bar.label));
                // Half a label is worse than none: bars that come later lie on this one.
                let half = width(label, LABEL) / 2.0;
                let middle = (left + right) / 2.0;
                let is_covered = |other: &&&Bar| {
                    let (from, to) = span(other);
                    other.row == bar.row && from < middle + half && to > middle - half
                };
                let later = if has_tips { &wide[at + 1..] } else { &[] };
                if half * 2.0 < right - left && !later.iter().any(|other| is_covered(&other)) {
                    write_label(pen, rect, label, bar.label);
                }
            });
        }
        let mut of_row = vec![Vec::new(); self.rows.all.len()];
        for bar in &thin {
            let (from, to) = span(bar);
            of_row[bar.row].push((from, to, bar.label));
        }
        canvas.draw(|pen| {
            for (row, bars) in of_row.iter().enumerate() {
                for run in merged(bars) {
                    let rect = self.rect(frame, row, (run.from, run.to));
                    pen.rect(rect, colour(run.label).alpha(run.share));
                }
            }
        });
    }

    /// From the middle of a row to the near edge of the other's bars, so that a label in a bar can be read.
    fn draw_arrows(&self, canvas: &mut Canvas, frame: &Frame) {
        let has_tips = self.arrows.len() <= MOST_TIPS;
        for arrow in &self.arrows {
            let at = |(row, time): (usize, f64), other: usize| {
                let rect = self.rect(frame, row, (0.0, 0.0));
                let y = match row.cmp(&other) {
                    Ordering::Less => rect.bottom,
                    Ordering::Equal => (rect.top + rect.bottom) / 2.0,
                    Ordering::Greater => rect.top,
                };
                (frame.x(time), y)
            };
            let (from, to) = (at(arrow.from, arrow.to.0), at(arrow.to, arrow.from.0));
            let tip = format!(
                "{}: {} at {}, {} at {}",
                arrow.label,
                self.rows.all[arrow.from.0],
                number(arrow.from.1),
                self.rows.all[arrow.to.0],
                number(arrow.to.1)
            );
            canvas.group("", if has_tips { &tip } else { "" }, |pen| {
                pen.arrow(from, to, ARROW, 1.3);
            });
        }
    }

    fn rect(&self, frame: &Frame, row: usize, (left, right): (f64, f64)) -> Rect {
        let (top, bottom) = frame.y_slot(row);
        let gap = ((bottom - top) * 0.1).min(3.0);
        Rect {
            left,
            right,
            top: top + gap,
            bottom: bottom - gap,
        }
    }

    fn text(&self) -> String {
        let extent = Extent::of(self.times());
        let mut lines = vec![
            self.title.clone(),
            format!(
                "{}: {} to {}",
                self.time,
                number(extent.min),
                number(extent.max)
            ),
        ];
        let mut rows = vec![(0, 0.0); self.rows.all.len()];
        let mut labels = vec![(0, 0.0); self.labels.all.len()];
        for bar in &self.bars {
            for (n, total) in [&mut rows[bar.row], &mut labels[bar.label]] {
                *n += 1;
                *total += bar.end - bar.start;
            }
        }
        let mut list = |names: &[String], sums: &[(usize, f64)]| {
            for (name, (n, total)) in names.iter().zip(sums).take(32) {
                lines.push(format!(
                    "{name}: {}, {} in all",
                    counted(*n, "bar"),
                    number(*total)
                ));
            }
            if names.len() > 32 {
                lines.push(format!("and {} more", names.len() - 32));
            }
        };
        list(&self.rows.all, &rows);
        if self.labels.all.len() <= MOST_LABELS {
            list(&self.labels.all, &labels);
        }
        if !self.arrows.is_empty() {
            lines.push(counted(self.arrows.len(), "arrow"));
        }
        for arrow in self.arrows.iter().take(32) {
            let (from, to) = (&self.rows.all[arrow.from.0], &self.rows.all[arrow.to.0]);
            lines.push(format!("{from} to {to}: {}", arrow.label));
        }
        lines.join("\n")
    }
}

/// Writes the label into its bar if it fits.
fn write_label(pen: &mut Pen<'_>, rect: Rect, label: &str, number: usize) {
    if rect.height() >= 12.0 && width(label, LABEL) <= rect.width() - 6.0 {
        let middle = (
            (rect.left + rect.right) / 2.0,
            (rect.top + rect.bottom) / 2.0,
        );
        pen.text(
            label,
            middle,
            LABEL,
            Anchor::Middle,
            colour(number).contrast(),
        );
    }
}

/// Neighbouring pixels that look alike.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Run {
    from: f64,
    to: f64,
    label: usize,
    /// How much of the time the row is busy, in steps of a quarter and never so little that it is not seen.
    share: f64,
}

/// One row's bars that are thinner than a pixel (from, to, label), as few rectangles.
fn merged(bars: &[(f64, f64, usize)]) -> Vec<Run> {
    // For each pixel how much of it each label takes. A bar counts where its middle is.
    let mut pixels: std::collections::BTreeMap<i64, Vec<(usize, f64)>> =
        std::collections::BTreeMap::new();
    for (from, to, label) in bars {
        let taken = pixels
            .entry(((from + to) / 2.0).floor() as i64)
            .or_default();
        match taken.iter_mut().find(|(other, _)| other == label) {
            Some((_, sum)) => *sum += to - from,
            None => taken.push((*label, to - from)),
        }
    }
    let mut runs: Vec<Run> = Vec::new();
    for (pixel, taken) in pixels {
        let Some((label, _)) = taken.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1)) else {
            continue;
        };
        let busy: f64 = taken.iter().map(|(_, sum)| sum).sum();
        let share = (busy * 4.0).ceil().clamp(2.0, 4.0) / 4.0;
        let (from, to) = (pixel as f64, pixel as f64 + 1.0);
        match runs.last_mut() {
            Some(run) if run.to == from && run.label == label && run.share == share => run.to = to,
            _ => runs.push(Run {
                from,
                to,
                label,
                share,
            }),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_thinner_than_a_pixel_become_one() {
        let bars: Vec<_> = (0..10_000)
            .map(|at| (f64::from(at) / 100.0, f64::from(at + 1) / 100.0, 3))
            .collect();
        assert_eq!(
            merged(&bars),
            [Run {
                from: 0.0,
                to: 100.0,
                label: 3,
                share: 1.0
            }]
        );
    }

    #[test]
    fn a_label_under_a_later_bar_is_left_out() {
        let figure = |inner| {
            let bars = timeline("t", ("time", "s")).bar("row", "outer", 0.0, 10.0);
            let svg = crate::plot::Figure::to_svg(&bars.bar("row", "x", inner, inner + 2.0));
            svg.unwrap().matches("\nouter\n").count()
        };
        // In the legend, and in its bar if that is free in the middle.
        assert_eq!((figure(0.0), figure(4.5)), (2, 1));
    }

    #[test]
    fn arrows_go_from_row_to_row() {
        let figure = timeline("t", ("time", "s"))
            .row("idle")
            .bar("a", "send", 0.0, 1.0)
            .arrow("m & n", ("a", 0.5), ("b", 1.5));
        assert_eq!(
            crate::display::Show::show(&figure).plain_text(),
            "t\ntime (s): 0 to 1.5\nidle: 0 bars, 0 in all\na: 1 bar, 1 in all\n\
             b: 0 bars, 0 in all\nsend: 1 bar, 1 in all\n1 arrow\na to b: m & n"
        );
        let svg = crate::plot::Figure::to_svg(&figure).unwrap();
        assert!(
            svg.contains("<title>m &amp; n: a at 0.5, b at 1.5</title>"),
            "{svg}"
        );
        assert_eq!(svg.matches("<polygon").count(), 1);
        let wrong = figure.arrow("", ("a", f64::NAN), ("b", 1.0));
        assert!(crate::plot::Figure::to_svg(&wrong).is_err());
    }

    #[test]
    fn a_pixel_has_the_colour_that_takes_most_of_it() {
        let runs = merged(&[(5.0, 5.1, 0), (5.2, 5.5, 1), (9.0, 9.0, 2)]);
        assert_eq!(runs.len(), 2);
        assert_eq!((runs[0].label, runs[0].share), (1, 0.5));
        assert_eq!((runs[1].label, runs[1].share), (2, 0.5));
    }
}

figure!(Timeline, size, |figure| figure.draw());
