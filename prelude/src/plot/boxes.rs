//! Box plots: how several samples compare.

use std::fmt::Display;

use super::canvas::{Canvas, Pen, Rect};
use super::frame::{Frame, Plan, Side};
use super::palette::colour;
use super::picture::Picture;
use super::scale::{Extent, Fit, Zero};
use super::slots::labels_fit;
use super::stats::{FiveNumbers, sorted};
use super::text::{counted, number};
use super::{Axis, Number, PlotError, WIDTH, check, figure};

/// Starts a box plot: how several samples compare.
///
/// ```
/// use forkline::plot::boxes;
///
/// let figure = boxes("Time of one call", ("lock", ""), ("time", "ns"))
///     .sample("std", [21, 22, 22, 25, 90])
///     .sample("parking_lot", [18, 18, 19, 20, 21]);
/// # let _ = figure;
/// ```
#[doc(alias = "boxplot")]
pub fn boxes(title: &str, groups: impl Into<Axis>, values: impl Into<Axis>) -> Boxes {
    Boxes {
        title: title.to_owned(),
        groups: groups.into(),
        values: values.into(),
        samples: Vec::new(),
        size: None,
    }
}

/// A box plot, see [`boxes`].
///
/// The box goes from the first to the third quartile, with a line at the median. The whiskers reach the furthest samples
/// within 1.5 box lengths of the box (after Tukey); samples beyond are drawn one by one. Where the labels are too long to
/// stand below, the boxes lie.
#[derive(Clone, Debug)]
pub struct Boxes {
    title: String,
    groups: Axis,
    values: Axis,
    samples: Vec<(String, Vec<f64>)>,
    size: Option<(u32, u32)>,
}

impl Boxes {
    /// One box, made from samples in any order.
    pub fn sample<N: Number>(
        self,
        label: impl Display,
        samples: impl IntoIterator<Item = N>,
    ) -> Self {
        self.with(
            label.to_string(),
            samples.into_iter().map(Number::to_f64).collect(),
        )
    }

    #[inline(never)]
    fn with(mut self, label: String, samples: Vec<f64>) -> Self {
        self.samples.push((label, samples));
        self
    }

    #[inline(never)]
    fn draw(&self) -> Result<Picture, PlotError> {
        check::samples(&self.title, &self.samples, &self.values)?;
        let labels: Vec<String> = self
            .samples
            .iter()
            .map(|(label, _)| label.clone())
            .collect();
        let slot = f64::from(self.size.map_or(WIDTH, |size| size.0).saturating_sub(90))
            / labels.len() as f64;
        let lies = !labels_fit(&labels, slot);
        let height = if lies {
            (120.0 + 26.0 * labels.len() as f64).clamp(200.0, 4_000.0)
        } else {
            360.0
        };
        let mut canvas = Canvas::new(&self.title, self.size.unwrap_or((WIDTH, height as u32)))?;
        let slots = Side::Slots {
            name: self.groups.to_string(),
            labels,
        };
        let numbers = Side::Numbers {
            axis: self.values.clone(),
            extent: Extent::of(
                self.samples
                    .iter()
                    .flat_map(|(_, samples)| samples)
                    .copied(),
            ),
            fit: Fit {
                zero: Zero::Never,
                to_ticks: true,
                margin: 0.05,
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
                legend: &[],
                right: 0.0,
            },
        );
        let mut lines = vec![
            self.title.clone(),
            format!("{} by {}", self.values, self.groups),
        ];
        for (at, (label, samples)) in self.samples.iter().enumerate() {
            let numbers = FiveNumbers::of(&sorted(samples.clone()));
            let words = words(label, samples.len(), &numbers);
            canvas.group("", &words, |pen| draw_box(pen, &frame, lies, at, &numbers));
            lines.push(words);
        }
        canvas.finish(lines.join("\n"))
    }
}

fn words(label: &str, n: usize, numbers: &FiveNumbers) -> String {
    let outliers = match numbers.outliers.len() {
        0 => String::new(),
        n => format!(", {}", counted(n, "outlier")),
    };
    format!(
        "{label}: {}, median {}, quartiles {} to {}, whiskers {} to {}{outliers}",
        counted(n, "sample"),
        number(numbers.median),
        number(numbers.quartile_1),
        number(numbers.quartile_3),
        number(numbers.low),
        number(numbers.high),
    )
}

fn draw_box(pen: &mut Pen<'_>, frame: &Frame, lies: bool, at: usize, numbers: &FiveNumbers) {
    let ink = colour(0);
    let (from, to) = if lies {
        frame.y_slot(at)
    } else {
        frame.x_slot(at)
    };
    let middle = (from + to) / 2.0;
    let half = ((to - from) * 0.3).min(32.0);
    let place = |along: f64, across: f64| {
        if lies {
            (frame.x(along), across)
        } else {
            (across, frame.y(along))
        }
    };
    let (near, far) = (
        place(numbers.quartile_1, middle - half),
        place(numbers.quartile_3, middle + half),
    );
    let rect = Rect {
        left: near.0,
        top: near.1,
        right: far.0,
        bottom: far.1,
    };
    pen.rect(rect, ink.alpha(0.25));
    let corners = [
        (rect.left, rect.top),
        (rect.right, rect.top),
        (rect.right, rect.bottom),
        (rect.left, rect.bottom),
        (rect.left, rect.top),
    ];
    pen.path(&corners, ink, 1.4);
    for (edge, end) in [
        (numbers.quartile_1, numbers.low),
        (numbers.quartile_3, numbers.high),
    ] {
        pen.line(place(edge, middle), place(end, middle), ink, 1.4);
        pen.line(
            place(end, middle - half / 2.0),
            place(end, middle + half / 2.0),
            ink,
            1.4,
        );
    }
    pen.line(
        place(numbers.median, middle - half),
        place(numbers.median, middle + half),
        ink,
        2.6,
    );
    let mut last = None;
    for outlier in &numbers.outliers {
        let centre = place(*outlier, middle);
        // Thousands of them lie over each other: one for each half pixel is enough.
        let cell = ((centre.0 * 2.0) as i32, (centre.1 * 2.0) as i32);
        if last != Some(cell) {
            pen.circle(centre, 2.5, ink, false);
        }
        last = Some(cell);
    }
}

figure!(Boxes, size, |figure| figure.draw());
