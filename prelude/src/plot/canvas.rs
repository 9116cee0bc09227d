//! Drawing with plotters' SVG backend, in pixels with fractions.
//!
//! plotters' backends know whole numbers only, so it draws ten times as large, and the image's `viewBox` takes that
//! back. The text colour is drawn in a colour of its own, which then becomes `currentColor`.

use plotters::backend::DrawingBackend;
use plotters::prelude::SVGBackend;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{
    FontDesc, FontFamily, FontStyle, FontTransform, RGBAColor, ShapeStyle, TextStyle,
};

use super::palette::{Ink, Mark};
use super::picture::{Picture, UNITS};
use super::{MAX_SIDE, MIN_SIZE, PlotError, text};
use crate::display::escape;

/// A rectangle, in pixels; y grows downwards.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rect {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

impl Rect {
    pub(super) fn width(&self) -> f64 {
        self.right - self.left
    }

    pub(super) fn height(&self) -> f64 {
        self.bottom - self.top
    }
}

/// Which point of a text stands at the place given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A picture that is being drawn.
pub(super) struct Canvas {
    pub(super) width: f64,
    pub(super) height: f64,
    size: (u32, u32),
    title: String,
    body: String,
    /// What plotters said when drawing failed first.
    failure: Option<String>,
}

impl Canvas {
    pub(super) fn new(title: &str, (width, height): (u32, u32)) -> Result<Canvas, PlotError> {
        let fits = |side, least| (least..=MAX_SIDE).contains(&side);
        if !fits(width, MIN_SIZE.0) || !fits(height, MIN_SIZE.1) {
            let title = title.to_owned();
            return Err(PlotError::BadSize {
                title,
                width,
                height,
            });
        }
        Ok(Canvas {
            width: f64::from(width),
            height: f64::from(height),
            size: (width, height),
            title: title.to_owned(),
            body: String::new(),
            failure: None,
        })
    }

    /// Draws.
    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Pen<'_>)) {
        self.group("", "", draw);
    }

    /// Draws with `attributes` in force; front ends show `tip` where the mouse rests on what is drawn.
    pub(super) fn group(&mut self, attributes: &str, tip: &str, draw: impl FnOnce(&mut Pen<'_>)) {
        let mut drawn = String::new();
        let (width, height) = self.size;
        let mut pen = Pen {
            backend: SVGBackend::with_string(&mut drawn, (width * UNITS, height * UNITS)),
            failure: &mut self.failure,
        };
        draw(&mut pen);
        drop(pen);
        let inner = inside(&drawn);
        if attributes.is_empty() && tip.is_empty() {
            self.body.push_str(&inner);
            return;
        }
        self.body.push_str(&format!("<g{attributes}>"));
        if !tip.is_empty() {
            let tip = escape(&text::clean(tip));
            self.body.push_str(&format!("<title>{tip}</title>"));
        }
        self.body.push_str(&format!("\n{inner}</g>\n"));
    }

    /// Adds a picture of somebody else's, at a place and in a size in pixels.
    pub(super) fn place(&mut self, picture: &Picture, x: u32, y: u32, width: u32, height: u32) {
        let nested = picture.nested(x * UNITS, y * UNITS, width * UNITS, height * UNITS);
        self.body.push_str(&nested);
    }

    /// The finished picture; `text` is the same in words.
    pub(super) fn finish(self, text: String) -> Result<Picture, PlotError> {
        if let Some(reason) = self.failure {
            return Err(PlotError::DrawingFailed {
                title: self.title,
                reason,
            });
        }
        Ok(Picture {
            width: self.size.0,
            height: self.size.1,
            units: UNITS,
            title: self.title,
            body: self.body,
            text,
        })
    }
}

/// What stands inside of plotters' `<svg>` element, without what is the same everywhere. plotters escapes the quotes
/// of texts, so what is looked for here is found in attributes only.
fn inside(svg: &str) -> String {
    let start = svg.find(">\n").map_or(0, |at| at + 2);
    let inner = svg[start..].trim_end_matches("</svg>\n");
    [
        ("=\"#010203\"", "=\"currentColor\""),
        (" opacity=\"1\"", ""),
        (" stroke=\"none\"", ""),
        (" font-family=\"sans-serif\"", ""),
        (" \"/>", "\"/>"),
    ]
    .iter()
    .fold(inner.to_owned(), |inner, (from, to)| {
        inner.replace(from, to)
    })
}

/// Draws shapes and texts. Places and lengths are in pixels.
pub(super) struct Pen<'a> {
    backend: SVGBackend<'a>,
    failure: &'a mut Option<String>,
}

fn unit(pixels: f64) -> i32 {
    (pixels * f64::from(UNITS)).round() as i32
}

fn units((x, y): (f64, f64)) -> (i32, i32) {
    (unit(x), unit(y))
}

fn style(ink: Ink, stroke: f64) -> ShapeStyle {
    ShapeStyle {
        color: rgba(ink),
        filled: true,
        stroke_width: unit(stroke) as u32,
    }
}

fn rgba(ink: Ink) -> RGBAColor {
    let (red, green, blue) = ink.rgb;
    RGBAColor(red, green, blue, ink.alpha)
}

impl Pen<'_> {
    fn note<E: std::fmt::Display>(&mut self, result: Result<(), E>) {
        if let Err(error) = result {
            self.failure.get_or_insert_with(|| error.to_string());
        }
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), ink: Ink, stroke: f64) {
        let drawn = self
            .backend
            .draw_line(units(from), units(to), &style(ink, stroke));
        self.note(drawn);
    }

    /// A line with a head at its end.
    pub(super) fn arrow(&mut self, from: (f64, f64), to: (f64, f64), ink: Ink, stroke: f64) {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length = dx.hypot(dy);
        if length < 0.5 {
            return;
        }
        let (along, head) = ((dx / length, dy / length), (7.0_f64).min(length));
        let back = (to.0 - along.0 * head, to.1 - along.1 * head);
        let half = head * 0.42;
        self.line(from, back, ink, stroke);
        self.polygon(
            &[
                to,
                (back.0 - along.1 * half, back.1 + along.0 * half),
                (back.0 + along.1 * half, back.1 - along.0 * half),
            ],
            ink,
        );
    }

    pub(super) fn path(&mut self, points: &[(f64, f64)], ink: Ink, stroke: f64) {
        let points = points.iter().map(|point| units(*point));
        let drawn = self.backend.draw_path(points, &style(ink, stroke));
        self.note(drawn);
    }

    pub(super) fn polygon(&mut self, corners: &[(f64, f64)], ink: Ink) {
        let corners = corners.iter().map(|corner| units(*corner));
        let drawn = self.backend.fill_polygon(corners, &style(ink, 1.0));
        self.note(drawn);
    }

    pub(super) fn rect(&mut self, rect: Rect, ink: Ink) {
        let (left, right) = (rect.left.min(rect.right), rect.left.max(rect.right));
        let (top, bottom) = (rect.top.min(rect.bottom), rect.top.max(rect.bottom));
        let drawn = self.backend.draw_rect(
            units((left, top)),
            units((right, bottom)),
            &style(ink, 1.0),
            true,
        );
        self.note(drawn);
    }

    pub(super) fn circle(&mut self, centre: (f64, f64), radius: f64, ink: Ink, filled: bool) {
        let drawn =
            self.backend
                .draw_circle(units(centre), unit(radius) as u32, &style(ink, 1.2), filled);
        self.note(drawn);
    }

    /// One shape for each mark.
    pub(super) fn mark(&mut self, mark: Mark, (x, y): (f64, f64), ink: Ink) {
        // Corners at equal angles, the first at the top, so large that the marks seem equally large.
        let mut corners = |n: u32, first: f64, radius: f64| {
            let corners: Vec<_> = (0..n)
                .map(|corner| {
                    let angle = std::f64::consts::TAU * (f64::from(corner) / f64::from(n) + first);
                    (x + radius * angle.sin(), y - radius * angle.cos())
                })
                .collect();
            self.polygon(&corners, ink);
        };
        match mark {
            Mark::Circle => self.circle((x, y), 3.5, ink, true),
            Mark::Square => corners(4, 0.125, 4.5),
            Mark::Triangle => corners(3, 0.0, 5.0),
            Mark::Diamond => corners(4, 0.0, 5.0),
            Mark::Inverted => corners(3, 0.5, 5.0),
            Mark::Hexagon => corners(6, 0.0, 4.2),
            // One polygon, so that a mark is one element.
            Mark::Cross => self.cross((x, y), 0.125, ink),
            Mark::Plus => self.cross((x, y), 0.0, ink),
        }
    }

    fn cross(&mut self, (x, y): (f64, f64), turn: f64, ink: Ink) {
        let (long, thin) = (4.8, 1.1);
        let outline = [
            (thin, thin),
            (thin, long),
            (-thin, long),
            (-thin, thin),
            (-long, thin),
            (-long, -thin),
            (-thin, -thin),
            (-thin, -long),
            (thin, -long),
            (thin, -thin),
            (long, -thin),
            (long, thin),
        ];
        let (sin, cos) = (std::f64::consts::TAU * turn).sin_cos();
        let corners = outline.map(|(dx, dy)| (x + dx * cos - dy * sin, y + dx * sin + dy * cos));
        self.polygon(&corners, ink);
    }

    /// Text whose middle line is at `y`.
    pub(super) fn text(
        &mut self,
        content: &str,
        at: (f64, f64),
        size: f64,
        anchor: Anchor,
        ink: Ink,
    ) {
        self.letters(
            content,
            at,
            size,
            anchor,
            ink,
            FontStyle::Normal,
            FontTransform::None,
        );
    }

    pub(super) fn bold(
        &mut self,
        content: &str,
        at: (f64, f64),
        size: f64,
        anchor: Anchor,
        ink: Ink,
    ) {
        self.letters(
            content,
            at,
            size,
            anchor,
            ink,
            FontStyle::Bold,
            FontTransform::None,
        );
    }

    /// Text that runs upwards; the anchor is along the text.
    pub(super) fn upwards(
        &mut self,
        content: &str,
        at: (f64, f64),
        size: f64,
        anchor: Anchor,
        ink: Ink,
    ) {
        self.letters(
            content,
            at,
            size,
            anchor,
            ink,
            FontStyle::Normal,
            FontTransform::Rotate270,
        );
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "private; the three methods above are its calls"
    )]
    fn letters(
        &mut self,
        content: &str,
        at: (f64, f64),
        size: f64,
        anchor: Anchor,
        ink: Ink,
        weight: FontStyle,
        turn: FontTransform,
    ) {
        let across = match anchor {
            Anchor::Start => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::End => HPos::Right,
        };
        // plotters writes the size divided by 1.24 (plotters-svg 0.3.7, draw_text).
        let font = FontDesc::new(
            FontFamily::SansSerif,
            size * f64::from(UNITS) * 1.24,
            weight,
        )
        .transform(turn);
        let style = TextStyle {
            font,
            color: plotters::style::Color::to_backend_color(&rgba(ink)),
            pos: Pos::new(across, VPos::Center),
        };
        let drawn = self
            .backend
            .draw_text(&text::clean(content), &style, units(at));
        self.note(drawn);
    }
}

#[cfg(test)]
mod tests {
    use super::super::palette::FOREGROUND;
    use super::*;

    #[test]
    fn text_is_escaped_and_the_foreground_is_the_pages() {
        let mut canvas = Canvas::new("t", (200, 120)).unwrap();
        canvas.group(" stroke-dasharray=\"60 40\"", "a < b", |pen| {
            pen.text(
                "R&D <\"it's\">\u{1b}[0m =\"#010203\"",
                (10.0, 10.0),
                12.0,
                Anchor::Start,
                FOREGROUND,
            );
        });
        let picture = canvas.finish(String::new()).unwrap();
        assert!(
            picture.body.contains("<title>a &lt; b</title>"),
            "{}",
            picture.body
        );
        assert!(
            picture
                .body
                .contains("R&amp;D &lt;&quot;it&apos;s&quot;&gt;\u{fffd}[0m =&quot;#010203&quot;")
        );
        assert!(picture.body.contains("fill=\"currentColor\""));
    }

    #[test]
    fn places_keep_a_tenth_of_a_pixel() {
        let mut canvas = Canvas::new("t", (200, 120)).unwrap();
        canvas.draw(|pen| pen.circle((1.25, 2.0), 3.5, FOREGROUND, true));
        let picture = canvas.finish(String::new()).unwrap();
        assert!(
            picture.body.contains("cx=\"13\" cy=\"20\" r=\"35\""),
            "{}",
            picture.body
        );
    }
}
