//! Timelines: who ran what when.

use std::collections::HashMap;
use std::fmt::Display;

use super::canvas::{Anchor, Canvas, Pen, Rect};
use super::frame::{Entry, Frame, Key, Plan, Side};
use super::palette::colour;
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
        size: None,
    }
}

/// A timeline, see [`timeline`].
///
/// Rows stand in the order in which they first come, from the top. Equal labels have one colour. Bars that are thinner
/// than a pixel are drawn together: in the colour that takes most of the pixel, paler where the row is idle in between.
#[derive(Clone, Debug)]
pub struct Timeline {
    title: String,
    time: Axis,
    rows: Names,
    labels: Names,
    bars: Vec<Bar>,
    size: Option<(u32, u32)>,
}

#[derive(Clone, Copy, Debug)]
struct Bar {
    row: usize,
    label: usize,
    start: f64,
    end: f64,
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
                extent: Extent::of(self.bars.iter().flat_map(|bar| [bar.start, bar.end])),
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
        for bar in &wide {
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
                write_label(pen, rect, label, bar.label);
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
        let extent = Extent::of(self.bars.iter().flat_map(|bar| [bar.start, bar.end]));
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
        lines.join("\n")
    }
}

/// Writes the label into its bar if it fits.
fn write_label(pen: &mut Pen<'_>, rect: Rect, label: &str, number: usize) {
    if rect.height() >= 12.0 && width(label, 11.0) <= rect.width() - 6.0 {
        let middle = (
            (rect.left + rect.right) / 2.0,
            (rect.top + rect.bottom) / 2.0,
        );
        pen.text(
            label,
            middle,
            11.0,
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
    fn a_pixel_has_the_colour_that_takes_most_of_it() {
        let runs = merged(&[(5.0, 5.1, 0), (5.2, 5.5, 1), (9.0, 9.0, 2)]);
        assert_eq!(runs.len(), 2);
        assert_eq!((runs[0].label, runs[0].share), (1, 0.5));
        assert_eq!((runs[1].label, runs[1].share), (2, 0.5));
    }
}

figure!(Timeline, size, |figure| figure.draw());
