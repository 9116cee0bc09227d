//! A drawn figure, and its forms: inside a page, as a file, on white paper.
//!
//! What always holds: the body names the text colour only as `currentColor` and holds no id and no class, so that any
//! number of pictures can stand on one page.

use super::{MAX_SIDE, PlotError};
use crate::display::{Bundle, escape};

/// How many units of the body make a pixel: plotters' images have whole numbers only.
pub(super) const UNITS: u32 = 10;

/// A drawn figure. Only forkline makes it.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct Picture {
    pub(super) width: u32,
    pub(super) height: u32,
    /// The units of `body` for each pixel.
    pub(super) units: u32,
    pub(super) title: String,
    /// The elements inside of `<svg>`.
    pub(super) body: String,
    /// The same in words.
    pub(super) text: String,
}

/// JupyterLab's text colour, else VS Code's, else that of the element around.
const PAGE_COLOUR: &str =
    "var(--jp-content-font-color1, var(--vscode-editor-foreground, currentColor))";
const DARK_ON_WHITE: &str = "#212121";
const LIGHT_ON_DARK: &str = "#dddddd";

impl Picture {
    /// For a page: text in the page's colour, no background.
    pub(super) fn inline(&self) -> String {
        self.svg(
            &format!(" style=\"color: {PAGE_COLOUR}; max-width: 100%; height: auto\""),
            "",
        )
    }

    /// For a file, or an image that the page's style does not reach: light, or dark where the reader prefers it. The
    /// background goes with the text, since what is behind the image is not known.
    pub(crate) fn standalone(&self) -> String {
        let style = format!(
            "<style>.forkline-paper {{ fill: #ffffff }}\n\
             @media (prefers-color-scheme: dark) {{ svg.forkline {{ color: {LIGHT_ON_DARK} }} \
             .forkline-paper {{ fill: #111111 }} }}</style>\n\
             <rect class=\"forkline-paper\" width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
        );
        self.svg(
            &format!(" class=\"forkline\" color=\"{DARK_ON_WHITE}\""),
            &style,
        )
    }

    /// For PNG: always light, and without a style sheet, which not every renderer reads.
    pub(super) fn paper(&self) -> String {
        self.svg(
            &format!(" color=\"{DARK_ON_WHITE}\""),
            "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
        )
    }

    fn svg(&self, attributes: &str, before: &str) -> String {
        let (width, height) = (self.width, self.height);
        let (across, down) = (width * self.units, height * self.units);
        let label = escape(&super::text::clean(&self.title));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {across} {down}\" role=\"img\" aria-label=\"{label}\" \
             font-family=\"sans-serif\"{attributes}>\n{before}{}</svg>\n",
            self.body
        )
    }

    /// The picture as a part of another one, at a place and in a size in that one's units.
    pub(super) fn nested(&self, x: u32, y: u32, width: u32, height: u32) -> String {
        let (across, down) = (self.width * self.units, self.height * self.units);
        format!(
            "<svg x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {across} {down}\">\n{}</svg>\n",
            self.body
        )
    }

    /// What the front end gets.
    pub(crate) fn bundle(&self) -> Bundle {
        Bundle::new()
            .html(self.inline())
            .svg(self.standalone())
            .text(&self.text)
    }

    /// A picture around a finished SVG image of somebody else's.
    pub(super) fn around(svg: &str, text: String) -> Result<Picture, PlotError> {
        let title = text.lines().next().unwrap_or_default().to_owned();
        let failed = |reason: &str| PlotError::DrawingFailed {
            title: title.clone(),
            reason: reason.into(),
        };
        let start = svg
            .find("<svg")
            .ok_or_else(|| failed("its to_svg gave no <svg> element"))?;
        let tag = svg[start..].split('>').next().unwrap_or_default();
        let side = |name: &str| {
            let value = tag
                .split(&format!(" {name}=\""))
                .nth(1)?
                .split('"')
                .next()?;
            value
                .trim_end_matches("px")
                .parse::<f64>()
                .ok()
                .filter(|side| *side >= 1.0)
        };
        let (Some(width), Some(height)) = (side("width"), side("height")) else {
            return Err(failed(
                "its <svg> element has no width and height in pixels",
            ));
        };
        Ok(Picture {
            width: width.ceil().min(f64::from(MAX_SIDE)) as u32,
            height: height.ceil().min(f64::from(MAX_SIDE)) as u32,
            units: 1,
            body: format!("{}\n", &svg[start..]),
            text,
            title,
        })
    }
}

/// What is shown in place of a picture.
pub(super) fn show(picture: Result<Picture, PlotError>) -> Bundle {
    match picture {
        Ok(picture) => picture.bundle(),
        Err(error) => Bundle::new().text(error.to_string()),
    }
}
