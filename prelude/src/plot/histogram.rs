//! Histograms: how often samples fall into each of equal ranges.

use super::canvas::{Canvas, Pen, Rect};
use super::frame::{Entry, Frame, Key, Plan, Side};
use super::palette::{Ink, colour};
use super::picture::Picture;
use super::scale::{Extent, Fit, Zero};
use super::stats;
use super::text::{counted, number};
use super::{Axis, Number, PlotError, check, default_size, figure};

/// Starts a histogram: how samples are spread.
///
/// ```
/// use forkline::plot::histogram;
///
/// let figure = histogram("Time of one call", ("time", "ms")).samples("", [1.0, 1.1, 1.2, 1.1, 3.0]);
/// # let _ = figure;
/// ```
pub fn histogram(title: &str, values: impl Into<Axis>) -> Histogram {
    Histogram {
        title: title.to_owned(),
        values: values.into(),
        samples: Vec::new(),
        n_bins: None,
        size: None,
    }
}

/// A histogram, see [`histogram`].
///
/// All samples share their bins. How many there are is chosen by the rule of Freedman and Diaconis, at most 100, and
/// whole numbers get bins around whole numbers; [`bins`](Histogram::bins) overrides it. On a logarithmic axis bins have
/// equal factors.
#[derive(Clone, Debug)]
pub struct Histogram {
    title: String,
    values: Axis,
    samples: Vec<(String, Vec<f64>)>,
    n_bins: Option<usize>,
    size: Option<(u32, u32)>,
}

impl Histogram {
    /// Samples of one colour, in any order. An empty label leaves them out of the legend.
    pub fn samples<N: Number>(self, label: &str, samples: impl IntoIterator<Item = N>) -> Self {
        self.with(label, samples.into_iter().map(Number::to_f64).collect())
    }

    /// Sets the number of bins, from 1 to 10,000.
    pub fn bins(mut self, n_bins: usize) -> Self {
        self.n_bins = Some(n_bins);
        self
    }

    #[inline(never)]
    fn with(mut self, label: &str, samples: Vec<f64>) -> Self {
        self.samples.push((label.to_owned(), samples));
        self
    }

    #[inline(never)]
    fn draw(&self) -> Result<Picture, PlotError> {
        check::samples(&self.title, &self.samples, &self.values)?;
        let onto = |value: &f64| {
            if self.values.is_log() {
                value.log10()
            } else {
                *value
            }
        };
        let sorted: Vec<Vec<f64>> = self
            .samples
            .iter()
            .map(|(_, samples)| stats::sorted(samples.iter().map(onto).collect()))
            .collect();
        let edges = stats::bins(&stats::sorted(sorted.concat()), self.n_bins);
        let counts: Vec<Vec<usize>> = sorted
            .iter()
            .map(|samples| stats::counts(samples, &edges))
            .collect();
        let from = |value: &f64| {
            if self.values.is_log() {
                10f64.powf(*value)
            } else {
                *value
            }
        };
        let edges: Vec<f64> = edges.iter().map(from).collect();

        let is_single = self.samples.len() == 1;
        let legend = self
            .samples
            .iter()
            .enumerate()
            .map(|(at, (label, _))| Entry {
                label: label.clone(),
                ink: colour(at).alpha(if is_single { 1.0 } else { 0.7 }),
                key: Key::Area,
            });
        let legend: Vec<_> = legend.collect();
        let mut canvas = Canvas::new(
            &self.title,
            self.size.unwrap_or_else(|| default_size(360.0, &legend)),
        )?;
        let plan = Plan {
            title: &self.title,
            x: Side::Numbers {
                axis: self.values.clone(),
                // Bins around whole numbers end between them: the data say whether ticks are whole.
                extent: Extent::of(edges.iter().copied()).whole_if(
                    self.samples
                        .iter()
                        .flat_map(|(_, samples)| samples)
                        .all(|value| value.fract() == 0.0),
                ),
                fit: Fit {
                    zero: Zero::Never,
                    to_ticks: false,
                    margin: 0.02,
                },
            },
            y: Side::Numbers {
                axis: Axis::new("number of samples", ""),
                extent: Extent::of(counts.iter().flatten().map(|n| *n as f64)),
                fit: Fit {
                    zero: Zero::Always,
                    to_ticks: true,
                    margin: 0.0,
                },
            },
            legend: &legend,
            right: 0.0,
        };
        let frame = Frame::draw(&mut canvas, plan);
        for (at, counts) in counts.iter().enumerate() {
            canvas.group("", &self.samples[at].0, |pen| {
                draw_counts(pen, &frame, at, is_single, &edges, counts)
            });
        }
        canvas.finish(self.text(&edges, &counts))
    }

    fn text(&self, edges: &[f64], counts: &[Vec<usize>]) -> String {
        let mut lines = vec![self.title.clone(), format!("samples by {}", self.values)];
        for ((label, samples), counts) in self.samples.iter().zip(counts) {
            let sorted = stats::sorted(samples.clone());
            let label = if label.is_empty() {
                String::new()
            } else {
                format!("{label}: ")
            };
            let largest = counts.iter().max().copied().unwrap_or(0);
            let at = counts.iter().position(|n| *n == largest).unwrap_or(0);
            lines.push(format!(
                "{label}{}, {} to {}, median {}; {}, most ({largest}) in {} to {}",
                counted(samples.len(), "sample"),
                number(sorted[0]),
                number(sorted[sorted.len() - 1]),
                number(stats::quantile(&sorted, 0.5)),
                counted(counts.len(), "bin"),
                number(edges[at]),
                number(edges[at + 1]),
            ));
        }
        lines.join("\n")
    }
}

/// Several samples lie over each other, so they let each other through.
fn fill(at: usize, is_single: bool) -> Ink {
    colour(at).alpha(if is_single { 1.0 } else { 0.4 })
}

fn draw_counts(
    pen: &mut Pen<'_>,
    frame: &Frame,
    at: usize,
    is_single: bool,
    edges: &[f64],
    counts: &[usize],
) {
    let base = frame.y_base();
    let mut outline = Vec::new();
    for (bin, n) in counts.iter().enumerate() {
        let (left, right) = (frame.x(edges[bin]), frame.x(edges[bin + 1]));
        let top = frame.y(*n as f64);
        outline.extend([(left, top), (right, top)]);
        let gap = if is_single && right - left > 4.0 {
            0.5
        } else {
            0.0
        };
        if *n > 0 && is_single {
            pen.rect(
                Rect {
                    left: left + gap,
                    right: right - gap,
                    top,
                    bottom: base,
                },
                fill(at, is_single),
            );
        }
    }
    if !is_single {
        let (first, last) = (outline[0].0, outline[outline.len() - 1].0);
        outline.insert(0, (first, base));
        outline.push((last, base));
        // One shape: where translucent ones meet, a line would be seen.
        pen.polygon(&outline, fill(at, is_single));
        pen.path(&outline, colour(at), 1.5);
    }
}

figure!(Histogram, size, |figure| figure.draw());
