//! Line plots and scatter plots.

use super::xy::{Chart, Look, points, points_with_errors};
use super::{Axis, Number, figure};

/// Starts a line plot: how one number depends on another.
///
/// ```
/// use forkline::plot::line;
///
/// let figure = line("Sum of 10 million numbers", ("workers", ""), ("speedup", "×"))
///     .series("measured", [(1, 1.0), (2, 1.9), (4, 3.5)])
///     .dashed("ideal", [(1, 1), (4, 4)]);
/// # let _ = figure;
/// ```
pub fn line(title: &str, x: impl Into<Axis>, y: impl Into<Axis>) -> Lines {
    Lines {
        chart: Chart::new(title, x.into(), y.into()),
    }
}

/// A line plot, see [`line()`].
///
/// Points are joined in the order in which they are given. An empty label leaves a series out of the legend. The y axis
/// begins at 0 where that takes at most half of it.
#[derive(Clone, Debug)]
pub struct Lines {
    chart: Chart,
}

impl Lines {
    /// A line with a mark at each point, or at some where they are dense.
    pub fn series<X: Number, Y: Number>(
        self,
        label: &str,
        points: impl IntoIterator<Item = (X, Y)>,
    ) -> Self {
        self.with(label, Look::Line, self::points(points))
    }

    /// A dashed line without marks: a reference, a fit.
    pub fn dashed<X: Number, Y: Number>(
        self,
        label: &str,
        points: impl IntoIterator<Item = (X, Y)>,
    ) -> Self {
        self.with(label, Look::Dashed, self::points(points))
    }

    /// A line with error bars. Each point is x, y, and the lower and upper end of its bar, as values on the y axis.
    #[doc(alias = "errorbar")]
    pub fn with_errors<X: Number, Y: Number>(
        self,
        label: &str,
        points: impl IntoIterator<Item = (X, Y, Y, Y)>,
    ) -> Self {
        self.with(label, Look::Line, points_with_errors(points))
    }

    #[inline(never)]
    fn with(mut self, label: &str, look: Look, points: Vec<super::xy::Point>) -> Self {
        self.chart.add(label, look, points);
        self
    }
}

/// Starts a scatter plot: single points.
///
/// ```
/// use forkline::plot::scatter;
///
/// let figure = scatter("Latency by size", ("size", "B"), ("latency", "s"))
///     .series("run 1", [(1_000, 0.002), (8_000, 0.009)]);
/// # let _ = figure;
/// ```
pub fn scatter(title: &str, x: impl Into<Axis>, y: impl Into<Axis>) -> Scatter {
    Scatter {
        chart: Chart::new(title, x.into(), y.into()),
    }
}

/// A scatter plot, see [`scatter`].
///
/// Above 400 points a series is drawn in small, translucent discs, one for each pixel that has any.
#[derive(Clone, Debug)]
pub struct Scatter {
    chart: Chart,
}

impl Scatter {
    /// Points without a line.
    pub fn series<X: Number, Y: Number>(
        self,
        label: &str,
        points: impl IntoIterator<Item = (X, Y)>,
    ) -> Self {
        self.with(label, Look::Marks, self::points(points))
    }

    /// A dashed line without marks: a reference, a fit.
    pub fn dashed<X: Number, Y: Number>(
        self,
        label: &str,
        points: impl IntoIterator<Item = (X, Y)>,
    ) -> Self {
        self.with(label, Look::Dashed, self::points(points))
    }

    /// Points with error bars. Each is x, y, and the lower and upper end of its bar, as values on the y axis.
    pub fn with_errors<X: Number, Y: Number>(
        self,
        label: &str,
        points: impl IntoIterator<Item = (X, Y, Y, Y)>,
    ) -> Self {
        self.with(label, Look::Marks, points_with_errors(points))
    }

    #[inline(never)]
    fn with(mut self, label: &str, look: Look, points: Vec<super::xy::Point>) -> Self {
        self.chart.add(label, look, points);
        self
    }
}

figure!(Lines, chart.size, |figure| figure.chart.draw());
figure!(Scatter, chart.size, |figure| figure.chart.draw());
