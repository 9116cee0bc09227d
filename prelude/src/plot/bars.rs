//! Bar plots: a number for each category.

use std::fmt::Display;

use super::canvas::{Anchor, Canvas, Pen, Rect};
use super::frame::{Entry, Frame, Key, Plan, Side};
use super::palette::{FOREGROUND, colour};
use super::picture::Picture;
use super::scale::{Extent, Fit, Zero};
use super::slots::labels_fit;
use super::text::{number, width};
use super::{Axis, Number, PlotError, WIDTH, check, default_size, figure};

/// Starts a bar plot: a number for each category, compared from 0.
///
/// ```
/// use forkline::plot::bar;
///
/// let figure = bar("Matrix product", ("version", ""), ("time", "s"))
///     .series("1 thread", [("naive", 2.1), ("blocked", 0.9)])
///     .series("4 threads", [("naive", 0.6), ("blocked", 0.3)]);
/// # let _ = figure;
/// ```
pub fn bar(title: &str, categories: impl Into<Axis>, values: impl Into<Axis>) -> Bars {
    Bars {
        title: title.to_owned(),
        categories: categories.into(),
        values: values.into(),
        names: Vec::new(),
        series: Vec::new(),
        is_horizontal: false,
        size: None,
    }
}

/// A bar plot, see [`bar`].
///
/// Bars of several series stand beside each other. Categories stand in the order in which they first come, and a series
/// may leave some out. Where their names are too long to stand below, the bars lie.
#[derive(Clone, Debug)]
pub struct Bars {
    title: String,
    categories: Axis,
    values: Axis,
    names: Vec<String>,
    series: Vec<Series>,
    is_horizontal: bool,
    size: Option<(u32, u32)>,
}

#[derive(Clone, Debug)]
struct Series {
    label: String,
    bars: Vec<Bar>,
}

#[derive(Clone, Debug)]
struct Bar {
    category: usize,
    value: f64,
    ends: Option<(f64, f64)>,
}

/// The size of the values at the bars.
const SMALL: f64 = 11.0;

/// A bar before its category has a number.
type Named = (String, f64, Option<(f64, f64)>);

impl Bars {
    /// Bars of one colour: category and value. An empty label leaves them out of the legend.
    pub fn series<C: Display, V: Number>(
        self,
        label: &str,
        bars: impl IntoIterator<Item = (C, V)>,
    ) -> Self {
        let bar = |(category, value): (C, V)| (category.to_string(), value.to_f64(), None);
        self.with(label, bars.into_iter().map(bar).collect())
    }

    /// Bars with error bars: category, value, and the lower and upper end of the error bar, as values.
    pub fn with_errors<C: Display, V: Number>(
        self,
        label: &str,
        bars: impl IntoIterator<Item = (C, V, V, V)>,
    ) -> Self {
        let bar = |(category, value, low, high): (C, V, V, V)| {
            (
                category.to_string(),
                value.to_f64(),
                Some((low.to_f64(), high.to_f64())),
            )
        };
        self.with(label, bars.into_iter().map(bar).collect())
    }

    /// Makes the bars lie, one category below the other.
    #[doc(alias = "barh")]
    pub fn horizontal(mut self) -> Self {
        self.is_horizontal = true;
        self
    }

    #[inline(never)]
    fn with(mut self, label: &str, bars: Vec<Named>) -> Self {
        let bars = bars.into_iter().map(|(name, value, ends)| Bar {
            category: self.category(name),
            value,
            ends,
        });
        let bars = bars.collect();
        self.series.push(Series {
            label: label.to_owned(),
            bars,
        });
        self
    }

    fn category(&mut self, name: String) -> usize {
        self.names
            .iter()
            .position(|other| *other == name)
            .unwrap_or_else(|| {
                self.names.push(name);
                self.names.len() - 1
            })
    }

    fn check(&self) -> Result<(), PlotError> {
        if self.series.is_empty() {
            return Err(PlotError::NoData {
                title: self.title.clone(),
            });
        }
        for series in &self.series {
            let of = check::Of {
                title: &self.title,
                series: &series.label,
            };
            of.has_points(series.bars.len())?;
            for (index, bar) in series.bars.iter().enumerate() {
                of.value(index, bar.value, &self.values)?;
                if let Some((low, high)) = bar.ends {
                    of.value(index, low, &self.values)?;
                    of.value(index, high, &self.values)?;
                }
            }
        }
        Ok(())
    }

    #[inline(never)]
    fn draw(&self) -> Result<Picture, PlotError> {
        self.check()?;
        let legend: Vec<Entry> = self
            .series
            .iter()
            .enumerate()
            .map(|(at, series)| Entry {
                label: series.label.clone(),
                ink: colour(at),
                key: Key::Area,
            })
            .collect();
        let n_bars = self.names.len() * self.series.len();
        let slot = f64::from(self.size.map_or(WIDTH, |size| size.0).saturating_sub(90))
            / self.names.len() as f64;
        let lies = self.is_horizontal || !labels_fit(&self.names, slot);
        let size = self.size.unwrap_or_else(|| {
            let needed = if lies {
                120.0 + 14.0 * n_bars as f64 + 8.0 * self.names.len() as f64
            } else {
                360.0
            };
            default_size(needed.max(if lies { 200.0 } else { 360.0 }), &legend)
        });
        let mut canvas = Canvas::new(&self.title, size)?;
        let slots = Side::Slots {
            name: self.categories.to_string(),
            labels: self.names.clone(),
        };
        let ends = |bar: &Bar| {
            let (low, high) = bar.ends.unwrap_or((bar.value, bar.value));
            [bar.value, low, high]
        };
        let numbers = Side::Numbers {
            axis: self.values.clone(),
            extent: Extent::of(
                self.series
                    .iter()
                    .flat_map(|series| &series.bars)
                    .flat_map(ends),
            ),
            // Room for the value at the end of the longest bar. Log bars begin at a decade.
            fit: Fit {
                zero: Zero::Always,
                to_ticks: self.values.is_log(),
                margin: 0.07,
            },
        };
        let (x, y) = if lies {
            (numbers, slots)
        } else {
            (slots, numbers)
        };
        let frame = Frame::draw(
            &mut canvas,
            Plan {
                title: &self.title,
                x,
                y,
                legend: &legend,
                right: 0.0,
            },
        );
        let values = self
            .series
            .iter()
            .flat_map(|series| &series.bars)
            .map(|bar| frame.text(bar.value));
        let widest = values.map(|text| width(&text, SMALL)).fold(0.0, f64::max);
        for (at, series) in self.series.iter().enumerate() {
            for bar in &series.bars {
                let tip = format!("{}: {}", self.names[bar.category], frame.text(bar.value));
                canvas.group("", &tip, |pen| {
                    self.draw_bar(pen, &frame, lies, at, bar, widest)
                });
            }
        }
        canvas.finish(self.text())
    }

    fn draw_bar(
        &self,
        pen: &mut Pen<'_>,
        frame: &Frame,
        lies: bool,
        series: usize,
        bar: &Bar,
        widest: f64,
    ) {
        let (from, to) = if lies {
            frame.y_slot(bar.category)
        } else {
            frame.x_slot(bar.category)
        };
        // A fifth of the slot stays free, and a single bar does not become a block.
        let wide =
            ((to - from) * 0.8).min(90.0 * self.series.len() as f64) / self.series.len() as f64;
        let start = (from + to) / 2.0 + wide * (series as f64 - self.series.len() as f64 / 2.0);
        let gap = if wide > 6.0 { 0.75 } else { 0.0 };
        let (start, end) = (start + gap, start + wide - gap);
        let rect = if lies {
            Rect {
                left: frame.x_base(),
                right: frame.x(bar.value),
                top: start,
                bottom: end,
            }
        } else {
            Rect {
                left: start,
                right: end,
                top: frame.y(bar.value),
                bottom: frame.y_base(),
            }
        };
        pen.rect(rect, colour(series));
        if let Some((low, high)) = bar.ends {
            let (middle, cap) = ((start + end) / 2.0, (wide / 4.0).min(5.0));
            let at = |along: f64, across: f64| {
                if lies {
                    (frame.x(along), across)
                } else {
                    (across, frame.y(along))
                }
            };
            pen.line(at(low, middle), at(high, middle), FOREGROUND, 1.3);
            for end in [low, high] {
                pen.line(
                    at(end, middle - cap),
                    at(end, middle + cap),
                    FOREGROUND,
                    1.3,
                );
            }
        }
        // All bars have their values, or none.
        if bar.ends.is_none() && wide >= if lies { 11.0 } else { widest } {
            write_value(pen, frame, lies, bar.value, rect);
        }
    }

    fn text(&self) -> String {
        let mut lines = vec![
            self.title.clone(),
            format!("{} by {}", self.values, self.categories),
        ];
        for series in &self.series {
            let bars = series.bars.iter().take(40).map(|bar| {
                let range = bar
                    .ends
                    .map(|(low, high)| format!(" ({} to {})", number(low), number(high)));
                format!(
                    "{} {}{}",
                    self.names[bar.category],
                    number(bar.value),
                    range.unwrap_or_default()
                )
            });
            let bars: Vec<_> = bars.collect();
            let more = if series.bars.len() > 40 { "; …" } else { "" };
            let label = if series.label.is_empty() {
                String::new()
            } else {
                format!("{}: ", series.label)
            };
            lines.push(format!("{label}{}{more}", bars.join("; ")));
        }
        lines.join("\n")
    }
}

/// Writes a bar's value at its end.
fn write_value(pen: &mut Pen<'_>, frame: &Frame, lies: bool, value: f64, rect: Rect) {
    let text = frame.text(value);
    let (x, y) = (
        (rect.left + rect.right) / 2.0,
        (rect.top + rect.bottom) / 2.0,
    );
    let is_up = value >= 0.0;
    let (at, anchor) = match (lies, is_up) {
        (true, true) => ((rect.right + 4.0, y), Anchor::Start),
        (true, false) => ((rect.right - 4.0, y), Anchor::End),
        (false, true) => ((x, rect.top - 8.0), Anchor::Middle),
        (false, false) => ((x, rect.top + 8.0), Anchor::Middle),
    };
    let far = if is_up {
        at.0 + width(&text, SMALL)
    } else {
        at.0 - width(&text, SMALL)
    };
    let fits = if lies {
        (frame.plot.left..frame.plot.right + 10.0).contains(&far)
    } else {
        (frame.plot.top..frame.plot.bottom).contains(&at.1)
    };
    if fits {
        pen.text(&text, at, SMALL, anchor, FOREGROUND);
    }
}

figure!(Bars, size, |figure| figure.draw());
