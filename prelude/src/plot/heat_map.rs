//! Heat maps: numbers in rows and columns, as colours.

use std::fmt::Display;

use super::canvas::{Anchor, Canvas, Pen, Rect};
use super::frame::{Frame, LABEL, NAME, Plan, Side};
use super::palette::{FOREGROUND, heat};
use super::picture::Picture;
use super::scale::{Extent, Fit, Scale, Zero};
use super::text::{elide, number, width};
use super::{Axis, Number, PlotError, WIDTH, check, figure};

/// Starts a heat map: a number for each place in rows and columns.
///
/// ```
/// use forkline::plot::heat_map;
///
/// let figure = heat_map("Time by block", ("columns", ""), ("rows", ""), ("time", "ms"))
///     .rows([[4.0, 2.1, 2.6], [2.2, 1.4, 1.9]])
///     .x_labels([16, 32, 64])
///     .y_labels([16, 32]);
/// # let _ = figure;
/// ```
#[doc(alias = "imshow")]
pub fn heat_map(
    title: &str,
    x: impl Into<Axis>,
    y: impl Into<Axis>,
    values: impl Into<Axis>,
) -> HeatMap {
    HeatMap {
        title: title.to_owned(),
        x: x.into(),
        y: y.into(),
        values: values.into(),
        rows: Vec::new(),
        x_labels: None,
        y_labels: None,
        size: None,
    }
}

/// A heat map, see [`heat_map`].
///
/// The first row is at the top, as in a matrix. The colours are those of viridis: equal differences look equal, also
/// without colour vision. Where cells are large enough each shows its number. More than 10,000 cells are drawn as
/// means of neighbours. A logarithmic values axis gives equal factors equal differences; that of x and y is ignored.
#[derive(Clone, Debug)]
pub struct HeatMap {
    title: String,
    x: Axis,
    y: Axis,
    values: Axis,
    rows: Vec<Vec<f64>>,
    x_labels: Option<Vec<String>>,
    y_labels: Option<Vec<String>>,
    size: Option<(u32, u32)>,
}

/// More rectangles make front ends slow.
const MOST_CELLS: usize = 10_000;
/// Finer steps of colour are not seen, and equal neighbours become one rectangle.
const N_COLOURS: f64 = 128.0;
/// The scale of colours: its distance from the plot, its width.
const SCALE: (f64, f64) = (16.0, 14.0);

impl HeatMap {
    /// Adds rows of numbers, all of the same length.
    pub fn rows<R: IntoIterator<Item: Number>>(self, rows: impl IntoIterator<Item = R>) -> Self {
        let row = |row: R| row.into_iter().map(Number::to_f64).collect();
        self.with(rows.into_iter().map(row).collect())
    }

    /// Names the columns, from left to right; without it they are numbered from 0.
    pub fn x_labels<L: Display>(mut self, labels: impl IntoIterator<Item = L>) -> Self {
        self.x_labels = Some(labels.into_iter().map(|label| label.to_string()).collect());
        self
    }

    /// Names the rows, from top to bottom; without it they are numbered from 0.
    pub fn y_labels<L: Display>(mut self, labels: impl IntoIterator<Item = L>) -> Self {
        self.y_labels = Some(labels.into_iter().map(|label| label.to_string()).collect());
        self
    }

    #[inline(never)]
    fn with(mut self, rows: Vec<Vec<f64>>) -> Self {
        self.rows.extend(rows);
        self
    }

    fn check(&self) -> Result<(), PlotError> {
        let title = || self.title.clone();
        let Some(first) = self.rows.first() else {
            return Err(PlotError::NoData { title: title() });
        };
        for (row, values) in self.rows.iter().enumerate() {
            let of = check::Of {
                title: &self.title,
                series: &format!("row {row}"),
            };
            of.has_points(values.len())?;
            if values.len() != first.len() {
                let (len, expected) = (values.len(), first.len());
                return Err(PlotError::UnequalRows {
                    title: title(),
                    row,
                    len,
                    expected,
                });
            }
            of.values(values, &self.values)?;
        }
        let sides = [
            (&self.x, &self.x_labels, first.len()),
            (&self.y, &self.y_labels, self.rows.len()),
        ];
        for (axis, labels, expected) in sides {
            let labels = labels.as_ref().map_or(expected, Vec::len);
            if labels != expected {
                let axis = axis.name().to_owned();
                return Err(PlotError::LabelCount {
                    title: title(),
                    axis,
                    labels,
                    expected,
                });
            }
        }
        Ok(())
    }

    #[inline(never)]
    fn draw(&self) -> Result<Picture, PlotError> {
        self.check()?;
        let mut canvas = Canvas::new(&self.title, self.size.unwrap_or((WIDTH, 400)))?;
        let extent = Extent::of(self.rows.iter().flatten().copied());
        let fit = Fit {
            zero: Zero::Never,
            to_ticks: false,
            margin: 0.0,
        };
        let scale = Scale::new(&self.values, extent, fit, 6);
        let ticks = scale
            .ticks
            .iter()
            .map(|(_, label)| width(label, LABEL))
            .fold(0.0, f64::max);
        let numbers = |n: usize| (0..n).map(|at| at.to_string()).collect();
        let slots = |axis: &Axis, labels: &Option<Vec<String>>, n| Side::Slots {
            name: axis.to_string(),
            labels: labels.clone().unwrap_or_else(|| numbers(n)),
        };
        let plan = Plan {
            title: &self.title,
            x: slots(&self.x, &self.x_labels, self.rows[0].len()),
            y: slots(&self.y, &self.y_labels, self.rows.len()),
            legend: &[],
            right: SCALE.0 + SCALE.1 + 8.0 + ticks,
        };
        let frame = Frame::draw(&mut canvas, plan);
        let cells = reduced(&self.rows);
        let is_mean = cells.len() < self.rows.len() || cells[0].len() < self.rows[0].len();
        // Without it a thin line of the page shines through where two cells meet within a pixel.
        canvas.group(" shape-rendering=\"crispEdges\"", "", |pen| {
            draw_cells(pen, frame.plot, &scale, &cells)
        });
        canvas.draw(|pen| {
            if !is_mean {
                write_values(pen, frame.plot, &scale, &cells);
            }
        });
        let total = canvas.width;
        canvas.group(" shape-rendering=\"crispEdges\"", "", |pen| {
            draw_scale(pen, frame.plot, &scale, total)
        });
        canvas.finish(self.text(extent, is_mean))
    }

    fn text(&self, extent: Extent, is_mean: bool) -> String {
        let at = |value: f64| {
            let row = self
                .rows
                .iter()
                .position(|row| row.contains(&value))
                .unwrap_or(0);
            let column = self.rows[row]
                .iter()
                .position(|other| *other == value)
                .unwrap_or(0);
            let name = |labels: &Option<Vec<String>>, at: usize| {
                labels
                    .as_ref()
                    .and_then(|labels| labels.get(at))
                    .cloned()
                    .unwrap_or_else(|| at.to_string())
            };
            format!(
                "{} at x {}, y {}",
                number(value),
                name(&self.x_labels, column),
                name(&self.y_labels, row)
            )
        };
        let (n_rows, n_columns) = (self.rows.len(), self.rows[0].len());
        format!(
            "{}\nx: {}   y: {}   colour: {}\n{n_rows} rows of {n_columns}; least {}, most {}{}",
            self.title,
            self.x,
            self.y,
            self.values,
            at(extent.min),
            at(extent.max),
            if is_mean {
                "; drawn as means of neighbours"
            } else {
                ""
            },
        )
    }
}

/// The means of as many neighbours as it takes for not too many cells.
fn reduced(rows: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let (mut down, mut across) = (1, 1);
    let cells = |down, across| rows.len().div_ceil(down) * rows[0].len().div_ceil(across);
    while cells(down, across) > MOST_CELLS {
        // The side with more cells gives first, so that cells stay near to squares.
        if rows.len().div_ceil(down) * 3 > rows[0].len().div_ceil(across) * 2 {
            down += 1;
        } else {
            across += 1;
        }
    }
    let mean = |rows: &[Vec<f64>], from: usize| {
        let cells = || {
            rows.iter()
                .flat_map(|row| &row[from..row.len().min(from + across)])
        };
        let n = cells().count() as f64;
        // Divided first: a sum of the largest numbers is infinite.
        cells().map(|value| value / n).sum()
    };
    rows.chunks(down)
        .map(|rows| {
            (0..rows[0].len())
                .step_by(across)
                .map(|from| mean(rows, from))
                .collect()
        })
        .collect()
}

fn step(scale: &Scale, value: f64) -> f64 {
    (scale.share(value) * (N_COLOURS - 1.0)).round() / (N_COLOURS - 1.0)
}

fn draw_cells(pen: &mut Pen<'_>, plot: Rect, scale: &Scale, cells: &[Vec<f64>]) {
    let y = |row: usize| plot.top + plot.height() * row as f64 / cells.len() as f64;
    for (row, values) in cells.iter().enumerate() {
        let x = |column: usize| plot.left + plot.width() * column as f64 / values.len() as f64;
        let mut from = 0;
        for run in values.chunk_by(|a, b| step(scale, *a) == step(scale, *b)) {
            let to = from + run.len();
            let rect = Rect {
                left: x(from),
                top: y(row),
                right: x(to),
                bottom: y(row + 1),
            };
            pen.rect(rect, heat(step(scale, run[0])));
            from = to;
        }
    }
}

/// Writes the numbers into the cells if all of them fit.
fn write_values(pen: &mut Pen<'_>, plot: Rect, scale: &Scale, cells: &[Vec<f64>]) {
    let (wide, high) = (
        plot.width() / cells[0].len() as f64,
        plot.height() / cells.len() as f64,
    );
    if wide < 14.0 || high < 14.0 {
        return;
    }
    let fits = |value: &f64| width(&scale.text(*value), LABEL - 1.0) <= wide - 6.0;
    if !cells.iter().flatten().all(fits) {
        return;
    }
    for (row, values) in cells.iter().enumerate() {
        for (column, value) in values.iter().enumerate() {
            let at = (
                plot.left + wide * (column as f64 + 0.5),
                plot.top + high * (row as f64 + 0.5),
            );
            let ink = heat(step(scale, *value)).contrast();
            pen.text(&scale.text(*value), at, LABEL - 1.0, Anchor::Middle, ink);
        }
    }
}

fn draw_scale(pen: &mut Pen<'_>, plot: Rect, scale: &Scale, total: f64) {
    let (left, right) = (plot.right + SCALE.0, plot.right + SCALE.0 + SCALE.1);
    let n = 64;
    let y = |share: f64| plot.bottom - plot.height() * share;
    for at in 0..n {
        let (from, to) = (
            f64::from(at) / f64::from(n),
            f64::from(at + 1) / f64::from(n),
        );
        pen.rect(
            Rect {
                left,
                right,
                top: y(to),
                bottom: y(from),
            },
            heat((from + to) / 2.0),
        );
    }
    for (value, label) in &scale.ticks {
        let y = y(scale.share(*value));
        pen.line((right, y), (right + 4.0, y), FOREGROUND, 1.0);
        pen.text(label, (right + 7.0, y), LABEL, Anchor::Start, FOREGROUND);
    }
    let name = elide(&scale.name, NAME, total * 0.44);
    pen.text(
        &name,
        (total - 10.0, plot.top - 18.0),
        NAME,
        Anchor::End,
        FOREGROUND,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_cells_become_means() {
        let rows = vec![vec![1.0; 1_000]; 700];
        let cells = reduced(&rows);
        assert!(
            cells.len() * cells[0].len() <= MOST_CELLS,
            "{} x {}",
            cells.len(),
            cells[0].len()
        );
        assert!(
            cells
                .iter()
                .flatten()
                .all(|value| (value - 1.0).abs() < 1e-9)
        );
        assert_eq!(reduced(&[vec![1.0, 2.0]]), [[1.0, 2.0]]);
    }
}

figure!(HeatMap, size, |figure| figure.draw());
