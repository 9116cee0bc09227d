//! What is around the data: title, axes with ticks and names, grid, legend; and where the data go.
//!
//! From top to bottom: title, name of the y axis, plot, labels and name of the x axis, legend. So nothing lies over
//! the data, and long names have the whole width.

use super::canvas::{Anchor, Canvas, Pen, Rect};
use super::palette::{FOREGROUND, Ink, Mark};
use super::scale::{Extent, Fit, Scale};
use super::slots::{SlotLabels, every, slot_labels};
use super::text::{elide, number, width, wrap};
use super::{Axis, legend};

const TITLE: f64 = 15.0;
pub(super) const NAME: f64 = 12.5;
pub(super) const LABEL: f64 = 12.0;
const GRID: Ink = FOREGROUND.alpha(0.13);
const LINE: Ink = FOREGROUND.alpha(0.55);

/// What stands on an axis.
pub(super) enum Side {
    Numbers {
        axis: Axis,
        extent: Extent,
        fit: Fit,
    },
    /// Places with a label each, of equal width.
    Slots { name: String, labels: Vec<String> },
}

/// An axis whose place is known.
enum Placed {
    Numbers(Scale),
    Slots(usize),
}

/// One entry of the legend.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) label: String,
    pub(super) ink: Ink,
    pub(super) key: Key,
}

/// How an entry's series looks.
#[derive(Clone, Copy, Debug)]
pub(super) enum Key {
    Line(Option<Mark>),
    Dashed,
    Mark(Mark),
    Area,
}

/// The drawn surroundings of the data.
pub(super) struct Frame {
    /// Where the data go.
    pub(super) plot: Rect,
    x: Placed,
    y: Placed,
}

/// What a frame is made from.
pub(super) struct Plan<'a> {
    pub(super) title: &'a str,
    pub(super) x: Side,
    pub(super) y: Side,
    pub(super) legend: &'a [Entry],
    /// Pixels right of the plot that are left empty.
    pub(super) right: f64,
}

impl Frame {
    /// Draws the surroundings.
    pub(super) fn draw(canvas: &mut Canvas, plan: Plan<'_>) -> Frame {
        let (total, height) = (canvas.width, canvas.height);
        let mut top = 10.0;
        if !plan.title.is_empty() {
            let most = if height < 300.0 { 1 } else { 2 };
            let lines = wrap(plan.title, TITLE * 1.05, total - 24.0, most)
                .unwrap_or_else(|| vec![elide(plan.title, TITLE * 1.05, total - 24.0)]);
            canvas.draw(|pen| {
                for line in &lines {
                    pen.bold(line, (12.0, top + 9.0), TITLE, Anchor::Start, FOREGROUND);
                    top += 20.0;
                }
            });
        }
        let names = [&plan.x, &plan.y].map(|side| match side {
            Side::Numbers { axis, .. } => !axis.to_string().is_empty(),
            Side::Slots { name, .. } => !name.is_empty(),
        });
        let name_at = top + 9.0;
        top += if names[1] || plan.right > 0.0 {
            27.0
        } else {
            8.0
        };

        let legend_top = height - legend::height(plan.legend, total) - 6.0;
        let x_name_at = legend_top - 10.0;
        let below = legend_top - if names[0] { 19.0 } else { 2.0 };

        // The y axis's ticks depend on the height, the height on the x axis's labels, these on the width, and the width
        // on the y axis's labels: begun with the one line of labels that most pictures have.
        let n_rows = ((below - 20.0 - top) / 42.0).max(1.0) as usize;
        let y = place(&plan.y, n_rows);
        let y_labels: Vec<String> = labels(&y, &plan.y, total * 0.32);
        let widest = y_labels
            .iter()
            .map(|label| width(label, LABEL))
            .fold(0.0, f64::max);
        let left = 12.0 + widest + 7.0;
        let mut right = total - 14.0 - plan.right;
        let mut n_columns = ((right - left) / 75.0).max(1.0) as usize;
        let (x, x_labels) = loop {
            let x = place(&plan.x, n_columns);
            let Placed::Numbers(scale) = &x else {
                let Side::Slots { labels, .. } = &plan.x else {
                    unreachable!("placed as slots")
                };
                let slot = (right - left) / labels.len().max(1) as f64;
                break (x, slot_labels(labels, slot));
            };
            let widest = scale
                .ticks
                .iter()
                .map(|(_, label)| width(label, LABEL))
                .fold(0.0, f64::max);
            let n_ticks = scale.ticks.len();
            if n_columns > 2 && n_ticks as f64 * (widest + 12.0) > right - left {
                n_columns -= 1;
                continue;
            }
            let lines = scale
                .ticks
                .iter()
                .map(|(_, label)| Some(vec![label.clone()]))
                .collect();
            // The last label is centred below its tick and may reach further right than the plot.
            if let Some((value, label)) = scale.ticks.last() {
                let over = left + (right - left) * scale.share(*value) + width(label, LABEL) / 2.0
                    - (total - 6.0);
                right -= over.max(0.0);
            }
            break (
                x,
                SlotLabels {
                    lines,
                    is_upward: false,
                },
            );
        };
        let bottom = below - x_labels.height();
        let plot = Rect {
            left,
            top,
            right,
            bottom: bottom.max(top + 10.0),
        };
        let frame = Frame { plot, x, y };
        canvas.draw(|pen| {
            frame.draw_y(pen, &plan.y, &y_labels);
            frame.draw_x(pen, &x_labels);
            let name = |side: &Side, placed: &Placed| match (side, placed) {
                (Side::Slots { name, .. }, _) => name.clone(),
                (_, Placed::Numbers(scale)) => scale.name.clone(),
                (Side::Numbers { axis, .. }, _) => axis.to_string(),
            };
            let room = if plan.right > 0.0 {
                total * 0.5
            } else {
                total - 24.0
            };
            let y_name = elide(&name(&plan.y, &frame.y), NAME, room);
            pen.text(&y_name, (12.0, name_at), NAME, Anchor::Start, FOREGROUND);
            let x_name = elide(&name(&plan.x, &frame.x), NAME, total - 24.0);
            let half = width(&x_name, NAME) / 2.0;
            let middle = ((plot.left + plot.right) / 2.0)
                .min(total - 12.0 - half)
                .max(12.0 + half);
            pen.text(
                &x_name,
                (middle, x_name_at),
                NAME,
                Anchor::Middle,
                FOREGROUND,
            );
            legend::draw(pen, plan.legend, total, legend_top);
        });
        frame
    }

    fn draw_y(&self, pen: &mut Pen<'_>, side: &Side, labels: &[String]) {
        let Rect { left, right, .. } = self.plot;
        match (&self.y, side) {
            (Placed::Numbers(scale), _) => {
                for ((value, _), label) in scale.ticks.iter().zip(labels) {
                    let y = self.y(*value);
                    pen.line((left, y), (right, y), GRID, 1.0);
                    pen.text(label, (left - 7.0, y), LABEL, Anchor::End, FOREGROUND);
                }
                self.line_at_zero(pen);
            }
            (Placed::Slots(n), _) => {
                let height = self.plot.height() / *n as f64;
                for (at, label) in labels.iter().enumerate().step_by(every(14.0, height)) {
                    let (from, to) = self.y_slot(at);
                    pen.text(
                        label,
                        (left - 7.0, (from + to) / 2.0),
                        LABEL,
                        Anchor::End,
                        FOREGROUND,
                    );
                }
                pen.line((left, self.plot.top), (left, self.plot.bottom), LINE, 1.0);
            }
        }
    }

    fn draw_x(&self, pen: &mut Pen<'_>, labels: &SlotLabels) {
        let Rect {
            top,
            bottom,
            left,
            right,
        } = self.plot;
        match &self.x {
            Placed::Numbers(scale) => {
                for (value, label) in &scale.ticks {
                    let x = self.x(*value);
                    pen.line((x, top), (x, bottom), GRID, 1.0);
                    pen.text(label, (x, bottom + 12.0), LABEL, Anchor::Middle, FOREGROUND);
                }
            }
            Placed::Slots(_) => {
                for (at, lines) in labels.lines.iter().enumerate() {
                    let (from, to) = self.x_slot(at);
                    let x = (from + to) / 2.0;
                    for (line, text) in lines.iter().flatten().enumerate() {
                        if labels.is_upward {
                            pen.upwards(text, (x, bottom + 6.0), LABEL, Anchor::End, FOREGROUND);
                        } else {
                            let y = bottom + 12.0 + 14.0 * line as f64;
                            pen.text(text, (x, y), LABEL, Anchor::Middle, FOREGROUND);
                        }
                    }
                }
            }
        }
        // Where bars hang from 0 upwards and downwards, 0 has the line.
        if !matches!(&self.y, Placed::Numbers(scale) if scale.base() > 0.0) {
            pen.line((left, bottom), (right, bottom), LINE, 1.0);
        }
    }

    /// The lines that values are measured from.
    fn line_at_zero(&self, pen: &mut Pen<'_>) {
        if let Placed::Numbers(scale) = &self.y
            && scale.base() > 0.0
        {
            let y = self.y(scale.value(scale.base()));
            pen.line((self.plot.left, y), (self.plot.right, y), LINE, 1.0);
        }
    }

    /// Where a value stands across; slots are numbered from 0, and a whole number is the middle of one.
    pub(super) fn x(&self, value: f64) -> f64 {
        let share = match &self.x {
            Placed::Numbers(scale) => scale.share(value),
            Placed::Slots(n) => (value + 0.5) / *n as f64,
        };
        self.plot.left + share * self.plot.width()
    }

    /// Where a value stands down; slots begin at the top.
    pub(super) fn y(&self, value: f64) -> f64 {
        match &self.y {
            Placed::Numbers(scale) => self.plot.bottom - scale.share(value) * self.plot.height(),
            Placed::Slots(n) => self.plot.top + (value + 0.5) / *n as f64 * self.plot.height(),
        }
    }

    /// A value of the axis that has numbers, by itself, in the unit of its ticks.
    pub(super) fn text(&self, value: f64) -> String {
        match (&self.x, &self.y) {
            (_, Placed::Numbers(scale)) | (Placed::Numbers(scale), _) => scale.text(value),
            _ => number(value),
        }
    }

    /// Where bars along y begin.
    pub(super) fn y_base(&self) -> f64 {
        match &self.y {
            Placed::Numbers(scale) => self.plot.bottom - scale.base() * self.plot.height(),
            Placed::Slots(_) => self.plot.top,
        }
    }

    /// Where bars along x begin.
    pub(super) fn x_base(&self) -> f64 {
        match &self.x {
            Placed::Numbers(scale) => self.plot.left + scale.base() * self.plot.width(),
            Placed::Slots(_) => self.plot.left,
        }
    }

    pub(super) fn x_slot(&self, at: usize) -> (f64, f64) {
        (self.x(at as f64 - 0.5), self.x(at as f64 + 0.5))
    }

    pub(super) fn y_slot(&self, at: usize) -> (f64, f64) {
        (self.y(at as f64 - 0.5), self.y(at as f64 + 0.5))
    }
}

fn place(side: &Side, n_ticks: usize) -> Placed {
    match side {
        Side::Numbers { axis, extent, fit } => {
            // Powers of ten have short labels, and a decade left out is missed.
            let n_ticks = if axis.is_log() { n_ticks * 2 } else { n_ticks };
            Placed::Numbers(Scale::new(axis, *extent, *fit, n_ticks))
        }
        Side::Slots { labels, .. } => Placed::Slots(labels.len().max(1)),
    }
}

fn labels(placed: &Placed, side: &Side, room: f64) -> Vec<String> {
    match (placed, side) {
        (Placed::Numbers(scale), _) => scale.ticks.iter().map(|(_, label)| label.clone()).collect(),
        (_, Side::Slots { labels, .. }) => labels
            .iter()
            .map(|label| elide(label, LABEL, room))
            .collect(),
        (Placed::Slots(_), Side::Numbers { .. }) => Vec::new(),
    }
}
