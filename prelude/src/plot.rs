//! Plots in a few calls: what is measured, with units, in the colours of the front end.
//!
//! | call | for |
//! |---|---|
//! | [`line()`] | how one number depends on another, with references, error bars, log axes |
//! | [`scatter`] | single points |
//! | [`bar`] | a number for each category, one or several series |
//! | [`histogram`] | how samples are spread |
//! | [`boxes`] | how several samples compare |
//! | [`heat_map`] | numbers in rows and columns |
//! | [`timeline`] | who ran what when |
//! | [`panels`] | several figures in one picture |
//!
//! For other kinds use [`plotters`] itself; `evcxr_figure` works in a cell.
//!
//! What always holds:
//! * every axis has a name, and a unit if it measures something;
//! * nothing is left out silently: a NaN, an empty series, a 0 on a log axis is an error that says where it is;
//! * showing a figure never panics: what is wrong stands in place of the picture;
//! * series differ by colour and by mark, and both can be read in a light and in a dark theme.
//!
//! The picture is drawn when it is shown, as SVG. In a page it takes the page's text colour; as a file it is light or
//! dark as the reader prefers.
//!
//! ```
//! use forkline::plot::{Axis, Figure, line};
//!
//! let figure = line("Sum of 10 million numbers", ("workers", ""), Axis::new("time", "s").log())
//!     .series("measured", [(1, 0.80), (2, 0.42), (4, 0.23)])
//!     .dashed("ideal", [(1, 0.80), (4, 0.20)]);
//! assert!(figure.to_svg()?.contains("Sum of 10 million numbers"));
//! # Ok::<(), forkline::plot::PlotError>(())
//! ```

mod axis;
mod bars;
mod boxes;
mod canvas;
mod check;
mod error;
mod frame;
mod heat_map;
mod histogram;
mod legend;
mod lines;
pub(crate) mod network;
mod palette;
mod panels;
mod picture;
mod scale;
mod slots;
mod stats;
#[cfg(test)]
mod tests;
mod text;
mod ticks;
mod timeline;
mod xy;

use std::path::Path;
use std::sync::Arc;

pub use axis::{Axis, Number};
pub use bars::{Bars, bar};
pub use boxes::{Boxes, boxes};
pub use error::PlotError;
pub use heat_map::{HeatMap, heat_map};
pub use histogram::{Histogram, histogram};
pub use lines::{Lines, Scatter, line, scatter};
pub use panels::{Panels, panels};
#[doc(hidden)]
pub use picture::Picture;
pub use timeline::{Timeline, timeline};

use crate::display::Show;
use crate::rt;

/// The width of a picture, in pixels, where no size is given.
const WIDTH: u32 = 640;
/// Below this, axes and texts leave no room for data.
const MIN_SIZE: (u32, u32) = (160, 120);
/// Browsers draw no larger image reliably.
const MAX_SIDE: u32 = 16_384;
/// PNG has twice the pixels of the page, for screens and paper of high resolution.
const PNG_SCALE: f64 = 2.0;

/// Anything that is drawn: shown as the last expression of a cell, kept as a file with [`save`](Figure::save).
///
/// A figure of your own needs [`to_svg`](Figure::to_svg) and [`Show`]; it then works in [`panels`] too.
pub trait Figure: Show {
    /// The picture as the text of an SVG file, light or dark as its reader prefers.
    ///
    /// # Errors
    /// The data cannot be drawn: nothing there, a value without a place on its axis, a size that holds nothing.
    fn to_svg(&self) -> Result<String, PlotError>;

    /// The picture before it has one of its forms.
    ///
    /// # Errors
    /// As for [`to_svg`](Figure::to_svg).
    #[doc(hidden)]
    fn picture(&self) -> Result<Picture, PlotError> {
        Picture::around(&self.to_svg()?, self.show().plain_text())
    }

    /// Writes the picture to a file: SVG for a name that ends in `.svg`, PNG for `.png`, at two pixels for each of the
    /// page's, dark on white. A file that is there is replaced.
    ///
    /// # Errors
    /// As for [`to_svg`](Figure::to_svg); another ending; a file that cannot be written; no renderer for PNG.
    #[doc(alias = "savefig")]
    fn save(&self, path: &str) -> Result<(), PlotError> {
        let ending = Path::new(path)
            .extension()
            .and_then(|ending| ending.to_str());
        let content = match ending.map(str::to_ascii_lowercase).as_deref() {
            Some("svg") => self.to_svg()?.into_bytes(),
            Some("png") => png(&self.picture()?, path)?,
            _ => {
                return Err(PlotError::UnknownExtension {
                    path: path.to_owned(),
                });
            }
        };
        write(path, &content)
    }
}

#[inline(never)]
fn png(picture: &Picture, path: &str) -> Result<Vec<u8>, PlotError> {
    rt::render_png(&picture.paper(), PNG_SCALE).map_err(|reason| PlotError::CannotRenderPng {
        path: path.to_owned(),
        reason,
    })
}

#[inline(never)]
fn write(path: &str, content: &[u8]) -> Result<(), PlotError> {
    std::fs::write(path, content).map_err(|source| PlotError::CannotWrite {
        path: path.to_owned(),
        source: Arc::new(source),
    })
}

/// A size for what `height` suits with one row of legend or none; more rows make the picture higher, not the plot lower.
fn default_size(height: f64, legend: &[frame::Entry]) -> (u32, u32) {
    let extra = (legend::height(legend, f64::from(WIDTH)) - 22.0).max(0.0);
    (WIDTH, (height + extra).min(4_000.0) as u32)
}

/// What all kinds of figures have: a size, their forms, how they are shown.
macro_rules! figure {
    ($kind:ty, $($size:ident).+, |$figure:ident| $draw:expr) => {
        impl $kind {
            /// Sets the size of the picture in pixels, from 160 x 120 to 16,384 x 16,384.
            #[doc(alias = "figsize")]
            pub fn size(mut self, width: u32, height: u32) -> Self {
                self.$($size).+ = Some((width, height));
                self
            }
        }

        impl $crate::plot::Figure for $kind {
            fn to_svg(&self) -> Result<String, $crate::plot::PlotError> {
                Ok($crate::plot::Figure::picture(self)?.standalone())
            }

            fn picture(&self) -> Result<$crate::plot::Picture, $crate::plot::PlotError> {
                let $figure = self;
                $draw
            }
        }

        impl $crate::display::Show for $kind {
            fn show(&self) -> $crate::display::Bundle {
                $crate::plot::picture::show($crate::plot::Figure::picture(self))
            }
        }
    };
}
use figure;
