//! Figures of plotters as images of their own.
//!
//! `evcxr_figure` gives a wrapper that prints itself as HTML in evcxr's convention. Here it becomes a
//! bundle with an SVG image, which also shows where HTML is filtered (a notebook on a code-hosting site), and which
//! [`display`](super::display) and [`DisplayHandle::update`](super::DisplayHandle::update) accept.

use plotters::evcxr::SVGWrapper;

use super::result::ShownFirst;
use super::{Bundle, Show};

impl Show for SVGWrapper {
    /// The image's text is private; its `Debug` is the one way to it (plotters 0.3.7).
    fn show(&self) -> Bundle {
        let printed = format!("{self:?}");
        let html = printed
            .strip_prefix("EVCXR_BEGIN_CONTENT text/html\n")
            .and_then(|rest| rest.strip_suffix("\nEVCXR_END_CONTENT"));
        let Some(html) = html else {
            return Bundle::new().text(printed);
        };
        match html
            .strip_prefix("<div style=\"\">")
            .and_then(|rest| rest.strip_suffix("</div>"))
        {
            Some(svg) => Bundle::new().svg(svg).text("<figure>"),
            // A style of the user's stands on the element around the image.
            None => Bundle::new().html(html).text("<figure>"),
        }
    }
}

impl ShownFirst for SVGWrapper {}

#[cfg(test)]
mod tests {
    use super::*;
    use plotters::prelude::*;

    #[test]
    fn a_figure_is_an_svg_image_and_with_a_style_html() {
        let figure = || evcxr_figure((20, 10), |root| root.fill(&RED).map_err(Into::into));
        let image = figure().show();
        assert!(
            image
                .get("image/svg+xml")
                .unwrap()
                .starts_with("<svg width=\"20\" height=\"10\""),
            "{image:?}"
        );
        let styled = figure().style("width:50%").show();
        assert!(
            styled
                .get("text/html")
                .unwrap()
                .starts_with("<div style=\"width:50%\"><svg"),
            "{styled:?}"
        );
    }
}
