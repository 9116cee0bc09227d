//! Several figures in one picture.

use super::canvas::Canvas;
use super::picture::Picture;
use super::{Figure, MAX_SIDE, PlotError, figure};

/// Puts figures into one picture, row by row, `columns` of them beside each other.
///
/// Each figure keeps its own size; give them sizes that suit their number, such as `.size(400, 300)`. They are drawn
/// when this is called.
///
/// ```
/// use forkline::plot::{histogram, line, panels};
///
/// let figure = panels(
///     2,
///     vec![
///         Box::new(line("Speedup", ("workers", ""), ("speedup", "×")).series("", [(1, 1.0), (2, 1.9)]).size(400, 300)),
///         Box::new(histogram("Times", ("time", "ms")).samples("", [1.0, 1.2, 1.1]).size(400, 300)),
///     ],
/// );
/// # let _ = figure;
/// ```
#[doc(alias = "subplots")]
pub fn panels(columns: usize, figures: Vec<Box<dyn Figure>>) -> Panels {
    Panels {
        columns,
        pictures: figures.iter().map(|figure| figure.picture()).collect(),
        size: None,
    }
}

/// Several figures in one picture, see [`panels`].
///
/// [`size`](Panels::size) sets the size of the whole; the figures are then scaled to fit, and keep their proportions.
#[derive(Clone, Debug)]
pub struct Panels {
    columns: usize,
    pictures: Vec<Result<Picture, PlotError>>,
    size: Option<(u32, u32)>,
}

/// Between figures, in pixels.
const GAP: u32 = 12;

impl Panels {
    #[inline(never)]
    fn draw(&self) -> Result<Picture, PlotError> {
        if self.columns == 0 {
            return Err(PlotError::NoColumns);
        }
        let pictures: Vec<&Picture> = self
            .pictures
            .iter()
            .map(|picture| picture.as_ref().map_err(PlotError::clone))
            .collect::<Result<_, _>>()?;
        if pictures.is_empty() {
            return Err(PlotError::NoData {
                title: "panels".into(),
            });
        }
        let n_columns = self.columns.min(pictures.len());
        let largest = |sides: &mut dyn Iterator<Item = u32>| sides.max().unwrap_or(0).min(MAX_SIDE);
        let widths: Vec<u32> = (0..n_columns)
            .map(|column| {
                largest(
                    &mut pictures
                        .iter()
                        .skip(column)
                        .step_by(n_columns)
                        .map(|picture| picture.width),
                )
            })
            .collect();
        let heights: Vec<u32> = pictures
            .chunks(n_columns)
            .map(|row| largest(&mut row.iter().map(|picture| picture.height)))
            .collect();
        let whole = |sides: &[u32]| sides.iter().sum::<u32>() + GAP * (sides.len() as u32 - 1);
        let natural = (whole(&widths), whole(&heights));
        let titles: Vec<&str> = pictures
            .iter()
            .map(|picture| picture.title.as_str())
            .collect();
        let mut canvas = Canvas::new(&titles.join("; "), self.size.unwrap_or(natural))?;
        let (across, down) = (
            canvas.width / f64::from(natural.0),
            canvas.height / f64::from(natural.1),
        );
        let factor = across.min(down);
        let scaled = |side: u32| (f64::from(side) * factor) as u32;
        let mut y = 0;
        for (row, height) in pictures.chunks(n_columns).zip(&heights) {
            let mut x = 0;
            for (picture, width) in row.iter().zip(&widths) {
                canvas.place(
                    picture,
                    scaled(x),
                    scaled(y),
                    scaled(picture.width),
                    scaled(picture.height),
                );
                x += width + GAP;
            }
            y += height + GAP;
        }
        let texts: Vec<&str> = pictures
            .iter()
            .map(|picture| picture.text.as_str())
            .collect();
        canvas.finish(texts.join("\n\n"))
    }
}

figure!(Panels, size, |figure| figure.draw());
