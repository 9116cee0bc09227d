//! What can be wrong with a figure, one variant for each cure.
//!
//! What always holds: the text has three parts, what happened, `why:` and `do:`, and `Debug` gives the same text,
//! so that an `unwrap` in a cell is as readable as a `match`.
//!
//! ```
//! use forkline::plot::{Figure, PlotError, line};
//!
//! let empty = line("Speedup", ("workers", ""), ("speedup", "×"));
//! let error = empty.to_svg().unwrap_err();
//! assert!(matches!(error, PlotError::NoData { .. }));
//! assert!(error.to_string().starts_with("plot \"Speedup\": there is nothing to draw\nwhy: "));
//! ```

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use super::text::number;

/// Why a figure cannot be drawn or written.
#[derive(Clone)]
#[non_exhaustive]
pub enum PlotError {
    /// No series, row or bar has been added.
    NoData {
        /// The figure's title.
        title: String,
    },
    /// A series was added that has no points.
    EmptySeries {
        /// The figure's title.
        title: String,
        /// The series' label.
        series: String,
    },
    /// A value is NaN or infinite.
    NotFinite {
        /// The figure's title.
        title: String,
        /// The label of the series, or which row it is.
        series: String,
        /// The place in the series, counted from 0.
        index: usize,
        /// The value.
        value: f64,
    },
    /// A logarithmic axis meets a value that is not above 0.
    NotPositive {
        /// The figure's title.
        title: String,
        /// The label of the series, or which row it is.
        series: String,
        /// The place in the series, counted from 0.
        index: usize,
        /// The value.
        value: f64,
        /// The axis's name.
        axis: String,
    },
    /// The rows of a heat map differ in length.
    UnequalRows {
        /// The figure's title.
        title: String,
        /// The row, counted from 0.
        row: usize,
        /// How many values it has.
        len: usize,
        /// How many values the first row has.
        expected: usize,
    },
    /// A heat map has more or fewer labels than rows or columns.
    LabelCount {
        /// The figure's title.
        title: String,
        /// The axis's name.
        axis: String,
        /// How many labels were given.
        labels: usize,
        /// How many are needed.
        expected: usize,
    },
    /// Panels in 0 columns.
    NoColumns,
    /// A bar of a timeline ends before it starts.
    EndBeforeStart {
        /// The figure's title.
        title: String,
        /// The bar's row.
        row: String,
        /// The bar's label.
        label: String,
        /// Where it starts, in the unit of the time axis.
        start: f64,
        /// Where it ends, in the unit of the time axis.
        end: f64,
    },
    /// The size is too small to hold anything, or too large for a picture.
    BadSize {
        /// The figure's title.
        title: String,
        /// The width asked for, in pixels.
        width: u32,
        /// The height asked for, in pixels.
        height: u32,
    },
    /// The name of the file to write says neither SVG nor PNG.
    UnknownExtension {
        /// The path that was given.
        path: String,
    },
    /// The file cannot be written.
    CannotWrite {
        /// The path that was given.
        path: String,
        /// What the system says; shared, so that the error can be cloned.
        source: Arc<io::Error>,
    },
    /// The picture cannot be turned into a PNG file.
    CannotRenderPng {
        /// The path that was given.
        path: String,
        /// What the renderer says.
        reason: String,
    },
    /// Drawing went wrong, or a figure of your own gave no SVG image.
    DrawingFailed {
        /// The figure's title.
        title: String,
        /// What went wrong.
        reason: String,
    },
}

impl PlotError {
    /// What happened, why, and what to do.
    fn parts(&self) -> (String, String, String) {
        match self {
            Self::NoData { title } => (
                format!("plot {title:?}: there is nothing to draw"),
                "no series, sample, row or bar was added before the figure was shown".into(),
                ".series(\"label\", points)    (.samples, .rows or .bar, by the kind of figure)".into(),
            ),
            Self::EmptySeries { title, series } => (
                format!("plot {title:?}: series {series:?} has no points"),
                "the iterator that was given for it ended at once".into(),
                "check what is collected before, for instance with .inspect(|point| println!(\"{point:?}\"))\n\
                 or add the series only if it has points"
                    .into(),
            ),
            Self::NotFinite {
                title,
                series,
                index,
                value,
            } => (
                format!("plot {title:?}: series {series:?} holds {value} at index {index}"),
                "it has no place on an axis, and leaving it out silently would hide it; probably a division by 0"
                    .into(),
                "look at where the value is computed\n\
                 or leave such points out on purpose: .filter(|(_, y)| y.is_finite())"
                    .into(),
            ),
            Self::NotPositive {
                title,
                series,
                index,
                value,
                axis,
            } => (
                format!(
                    "plot {title:?}: series {series:?} holds {} at index {index}, and axis {axis:?} is logarithmic",
                    number(*value)
                ),
                "only values above 0 have a logarithm".into(),
                "take the axis without .log()\n\
                 or leave such points out on purpose: .filter(|(_, y)| *y > 0.0)"
                    .into(),
            ),
            Self::UnequalRows {
                title,
                row,
                len,
                expected,
            } => (
                format!("plot {title:?}: row {row} has {len} values, and row 0 has {expected}"),
                "a heat map is a rectangle: all rows have the same length".into(),
                "cut the data with .chunks_exact(columns), or fill the short rows".into(),
            ),
            Self::LabelCount {
                title,
                axis,
                labels,
                expected,
            } => (
                format!("plot {title:?}: axis {axis:?} has {labels} labels for {expected} places"),
                "x_labels wants one label for each column, y_labels one for each row".into(),
                format!("give {expected} labels, or none: the places are then numbered from 0"),
            ),
            Self::NoColumns => (
                "panels(0, …): there are no columns to put figures in".into(),
                "the first argument is the number of figures beside each other".into(),
                "panels(2, figures)".into(),
            ),
            Self::EndBeforeStart {
                title,
                row,
                label,
                start,
                end,
            } => (
                format!(
                    "plot {title:?}: bar {label:?} of row {row:?} ends at {} before it starts at {}",
                    number(*end),
                    number(*start)
                ),
                "probably the two are swapped, or they were measured from different starting points".into(),
                "take both from one Instant: t0.elapsed() before and after the work\n\
                 .bar(row, label, start, end)"
                    .into(),
            ),
            Self::BadSize {
                title,
                width,
                height,
            } => (
                format!("plot {title:?}: a size of {width} x {height} pixels cannot be drawn"),
                format!(
                    "a picture is at least {} x {} and at most {MAX} x {MAX} pixels, its axes and texts included",
                    super::MIN_SIZE.0,
                    super::MIN_SIZE.1,
                    MAX = super::MAX_SIDE
                ),
                ".size(640, 360), or leave .size out".into(),
            ),
            Self::UnknownExtension { path } => (
                format!("save({path:?}): the name ends neither in .svg nor in .png"),
                "the ending says which kind of file is written, and these two can be".into(),
                format!("figure.save({:?})    (or .png)", with_svg(path)),
            ),
            Self::CannotWrite { path, source } => (
                format!("save({path:?}): the file cannot be written"),
                format!("the system says: {source}"),
                "std::fs::create_dir_all(folder) if the folder is missing, or another path\n\
                 paths are relative to the notebook's folder"
                    .into(),
            ),
            Self::CannotRenderPng { path, reason } => (
                format!("save({path:?}): the picture cannot be turned into PNG"),
                reason.clone(),
                format!("figure.save({:?})    (SVG needs no renderer)", with_svg(path)),
            ),
            Self::DrawingFailed { title, reason } => (
                format!("plot {title:?}: drawing failed"),
                reason.clone(),
                "for a figure of your own: let to_svg return a whole <svg> element with width and height\n\
                 for one of forkline's: this is a bug of forkline, please report it with the cell"
                    .into(),
            ),
        }
    }
}

/// The path with the ending `.svg`.
fn with_svg(path: &str) -> String {
    std::path::Path::new(path)
        .with_extension("svg")
        .to_string_lossy()
        .into_owned()
}

impl fmt::Display for PlotError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, why, cure) = self.parts();
        // Further lines stand below the text, not below the word in front of it.
        let indent = |text: &str| text.replace('\n', "\n     ");
        write!(out, "{what}\nwhy: {}\ndo:  {}", indent(&why), indent(&cure))
    }
}

impl fmt::Debug for PlotError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl Error for PlotError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::CannotWrite { source, .. } => Some(&**source),
            _ => None,
        }
    }
}
