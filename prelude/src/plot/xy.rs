//! Points in a plane, with and without lines: what line plots and scatter plots share.

use super::canvas::{Canvas, Pen};
use super::frame::{Entry, Frame, Key, Plan, Side};
use super::palette::{colour, mark};
use super::picture::Picture;
use super::scale::{Extent, Fit, Zero};
use super::text::{counted, number};
use super::{Axis, Number, PlotError, check, default_size};

/// Points, and how they are drawn.
#[derive(Clone, Debug)]
struct Series {
    label: String,
    look: Look,
    points: Vec<Point>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Line,
    Dashed,
    Marks,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    x: f64,
    y: f64,
    /// The ends of its error bar.
    ends: Option<(f64, f64)>,
}

/// Makes floats of points at once, so that little is compiled anew in each cell.
pub(super) fn points<X: Number, Y: Number>(points: impl IntoIterator<Item = (X, Y)>) -> Vec<Point> {
    let point = |(x, y): (X, Y)| Point {
        x: x.to_f64(),
        y: y.to_f64(),
        ends: None,
    };
    points.into_iter().map(point).collect()
}

pub(super) fn points_with_errors<X: Number, Y: Number>(
    points: impl IntoIterator<Item = (X, Y, Y, Y)>,
) -> Vec<Point> {
    let point = |(x, y, low, high): (X, Y, Y, Y)| Point {
        x: x.to_f64(),
        y: y.to_f64(),
        ends: Some((low.to_f64(), high.to_f64())),
    };
    points.into_iter().map(point).collect()
}

/// A figure of points.
#[derive(Clone, Debug)]
pub(super) struct Chart {
    pub(super) title: String,
    x: Axis,
    y: Axis,
    series: Vec<Series>,
    pub(super) size: Option<(u32, u32)>,
}

/// Marks nearer than this hide the line between them.
const MARK_SPACING: f64 = 9.0;

impl Chart {
    #[inline(never)]
    pub(super) fn new(title: &str, x: Axis, y: Axis) -> Chart {
        Chart {
            title: title.to_owned(),
            x,
            y,
            series: Vec::new(),
            size: None,
        }
    }

    #[inline(never)]
    pub(super) fn add(&mut self, label: &str, look: Look, points: Vec<Point>) {
        self.series.push(Series {
            label: label.to_owned(),
            look,
            points,
        });
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
            of.has_points(series.points.len())?;
            for (index, point) in series.points.iter().enumerate() {
                of.value(index, point.x, &self.x)?;
                of.value(index, point.y, &self.y)?;
                if let Some((low, high)) = point.ends {
                    of.value(index, low, &self.y)?;
                    of.value(index, high, &self.y)?;
                }
            }
        }
        Ok(())
    }

    #[inline(never)]
    pub(super) fn draw(&self) -> Result<Picture, PlotError> {
        self.check()?;
        let legend: Vec<Entry> = self
            .series
            .iter()
            .enumerate()
            .map(|(at, series)| entry(at, series))
            .collect();
        let size = self.size.unwrap_or_else(|| default_size(360.0, &legend));
        let mut canvas = Canvas::new(&self.title, size)?;
        let all = || self.series.iter().flat_map(|series| &series.points);
        let ends = |point: &Point| {
            let (low, high) = point.ends.unwrap_or((point.y, point.y));
            [point.y, low, high]
        };
        let plan = Plan {
            title: &self.title,
            x: Side::Numbers {
                axis: self.x.clone(),
                extent: Extent::of(all().map(|point| point.x)),
                fit: Fit {
                    zero: Zero::Never,
                    to_ticks: false,
                    margin: 0.03,
                },
            },
            y: Side::Numbers {
                axis: self.y.clone(),
                extent: Extent::of(all().flat_map(ends)),
                fit: Fit {
                    zero: Zero::IfNear,
                    to_ticks: true,
                    margin: 0.05,
                },
            },
            legend: &legend,
            right: 0.0,
        };
        let frame = Frame::draw(&mut canvas, plan);
        for (at, series) in self.series.iter().enumerate() {
            let dashes = match series.look {
                Look::Dashed => " stroke-dasharray=\"60 40\"",
                // Corners of a line are round, or a spike would be longer than its value.
                Look::Line | Look::Marks => " stroke-linejoin=\"round\"",
            };
            canvas.group(dashes, &series.label, |pen| {
                draw_series(pen, &frame, at, series)
            });
        }
        canvas.finish(self.text())
    }

    fn text(&self) -> String {
        let mut lines = vec![self.title.clone(), format!("x: {}   y: {}", self.x, self.y)];
        for series in &self.series {
            let x = Extent::of(series.points.iter().map(|point| point.x));
            let y = Extent::of(series.points.iter().map(|point| point.y));
            let range = |extent: Extent| match extent.min == extent.max {
                true => number(extent.min),
                false => format!("{} to {}", number(extent.min), number(extent.max)),
            };
            let label = if series.label.is_empty() {
                "points"
            } else {
                &series.label
            };
            let n = counted(series.points.len(), "point");
            lines.push(format!("{label}: {n}, x {}, y {}", range(x), range(y)));
        }
        lines.join("\n")
    }
}

fn entry(at: usize, series: &Series) -> Entry {
    let key = match series.look {
        Look::Line => Key::Line(Some(mark(at))),
        Look::Dashed => Key::Dashed,
        Look::Marks => Key::Mark(mark(at)),
    };
    Entry {
        label: series.label.clone(),
        ink: colour(at),
        key,
    }
}

fn draw_series(pen: &mut Pen<'_>, frame: &Frame, at: usize, series: &Series) {
    let ink = colour(at);
    let places: Vec<(f64, f64)> = series
        .points
        .iter()
        .map(|point| (frame.x(point.x), frame.y(point.y)))
        .collect();
    if series.look != Look::Marks && places.len() > 1 {
        pen.path(
            &thinned(&places),
            ink,
            if series.look == Look::Line { 1.8 } else { 1.6 },
        );
    }
    if series.look == Look::Dashed && places.len() > 1 {
        return;
    }
    for point in &series.points {
        if let Some((low, high)) = point.ends {
            let (x, low, high) = (frame.x(point.x), frame.y(low), frame.y(high));
            pen.line((x, low), (x, high), ink, 1.3);
            for end in [low, high] {
                pen.line((x - 4.0, end), (x + 4.0, end), ink, 1.3);
            }
        }
    }
    if series.look == Look::Marks {
        let many = places.len() > 400;
        for place in if many { apart(&places) } else { places } {
            // Where points are many, darker means more of them.
            match many {
                true => pen.circle(place, 2.2, ink.alpha(0.45), true),
                false => pen.mark(mark(at), place, ink.alpha(0.85)),
            }
        }
    } else if marks_fit(&places) {
        for place in &places {
            pen.mark(mark(at), *place, ink);
        }
    } else {
        // A mark now and then still tells the series apart where colours do not.
        let every = places.len().div_ceil(8);
        for place in places.iter().skip(every / 2).step_by(every) {
            pen.mark(mark(at), *place, ink);
        }
    }
}

fn marks_fit(places: &[(f64, f64)]) -> bool {
    let length: f64 = places
        .windows(2)
        .map(|pair| (pair[1].0 - pair[0].0).hypot(pair[1].1 - pair[0].1))
        .sum();
    // A jagged line is long, however many points it has.
    places.len() <= 12 || places.len() <= 150 && length / places.len() as f64 >= MARK_SPACING
}

/// The points of a line that change its picture: of each column of pixels the first, lowest, highest and last.
fn thinned(places: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if places.len() < 3_000 || !places.is_sorted_by(|a, b| a.0 <= b.0) {
        return places.to_vec();
    }
    let mut out: Vec<(f64, f64)> = Vec::new();
    for column in places.chunk_by(|a: &(f64, f64), b| a.0.floor() == b.0.floor()) {
        let by_height = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        let (first, last) = (column.first(), column.last());
        let (low, high) = (
            column.iter().min_by(by_height),
            column.iter().max_by(by_height),
        );
        out.extend([first, low, high, last].into_iter().flatten());
    }
    out.dedup();
    out
}

/// More marks make front ends slow.
const MOST_MARKS: usize = 12_000;

/// One place in each square of a grid, of a pixel or so much more that not too many are left.
fn apart(places: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut side = 1.0;
    loop {
        let mut seen = std::collections::HashSet::new();
        let is_new = |&&(x, y): &&(f64, f64)| seen.insert(((x / side) as i32, (y / side) as i32));
        let left: Vec<_> = places.iter().filter(is_new).copied().collect();
        if left.len() <= MOST_MARKS {
            return left;
        }
        side *= 1.5;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_keeps_its_extremes() {
        let mut places: Vec<(f64, f64)> = (0..100_000)
            .map(|at| (f64::from(at) / 200.0, 100.0))
            .collect();
        places[50_000].1 = 3.0;
        places[50_001].1 = 220.0;
        let thin = thinned(&places);
        assert!(thin.len() < 2_100, "{}", thin.len());
        assert!(thin.iter().any(|place| place.1 == 3.0));
        assert!(thin.iter().any(|place| place.1 == 220.0));
    }

    #[test]
    fn points_at_one_place_are_drawn_once() {
        assert_eq!(apart(&[(1.0, 1.0), (1.2, 1.1), (3.0, 1.0)]).len(), 2);
        let all: Vec<_> = (0..100_000)
            .map(|at| (f64::from(at % 400), f64::from(at / 400)))
            .collect();
        assert!((1_000..=MOST_MARKS).contains(&apart(&all).len()));
    }
}
