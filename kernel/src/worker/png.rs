//! SVG images as PNG files, for figures that are saved.
//!
//! The renderer lives here and not in the prelude, where each of its crates would cost every kernel time and
//! memory. Text is drawn with a font that is part of this program, so that a picture is the same everywhere.

use resvg::{tiny_skia, usvg};

/// Letters of most languages of Europe, and the signs of mathematics.
static FONT: &[u8] = include_bytes!("../../assets/sans.ttf");
const FONT_FAMILY: &str = "DejaVu Sans";

/// The longest side of a picture, in pixels: more than any screen has, and 1 GiB at most.
const MAX_SIDE: f32 = 16_384.0;

/// The bytes of a PNG file, `scale` pixels for each unit of the image.
///
/// # Errors
/// The text says why there is no picture.
pub fn render(svg: &str, scale: f32) -> Result<Vec<u8>, String> {
    let mut options = usvg::Options {
        font_family: FONT_FAMILY.to_owned(),
        ..usvg::Options::default()
    };
    let fonts = options.fontdb_mut();
    fonts.load_font_data(FONT.to_vec());
    fonts.set_sans_serif_family(FONT_FAMILY);
    fonts.set_serif_family(FONT_FAMILY);
    fonts.set_monospace_family(FONT_FAMILY);
    let tree = usvg::Tree::from_str(svg, &options).map_err(|error| error.to_string())?;
    let (width, height) = (tree.size().width() * scale, tree.size().height() * scale);
    let is_possible = |side: f32| (1.0..=MAX_SIDE).contains(&side);
    if !is_possible(width) || !is_possible(height) {
        return Err(format!(
            "a picture of {width:.0} x {height:.0} pixels; each side may have 1 to {MAX_SIDE}"
        ));
    }
    let mut pixels = tiny_skia::Pixmap::new(width.ceil() as u32, height.ceil() as u32)
        .ok_or("there is no memory for the picture")?;
    let transform = tiny_skia::Transform::from_scale(scale, scale);
    resvg::render(&tree, transform, &mut pixels.as_mut());
    pixels.encode_png().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(text: &str) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"60\" height=\"20\">\
             <text x=\"2\" y=\"15\" font-family=\"sans-serif\" font-size=\"12\">{text}</text></svg>"
        )
    }

    #[test]
    fn text_is_drawn_with_the_font_that_is_there() {
        let picture = render(&image("µs ≤ β"), 2.0).unwrap();
        let pixels = tiny_skia::Pixmap::decode_png(&picture).unwrap();
        assert_eq!((pixels.width(), pixels.height()), (120, 40));
        let drawn = pixels
            .pixels()
            .iter()
            .filter(|pixel| pixel.alpha() > 0)
            .count();
        assert!(drawn > 100, "{drawn} pixels");
    }

    #[test]
    fn what_cannot_be_drawn_says_why() {
        assert!(render("<svg", 1.0).is_err());
        let error = render(&image("a"), 1e6).unwrap_err();
        assert!(error.contains("each side may have"), "{error}");
        assert!(render(&image("a"), f32::NAN).is_err());
    }
}
