//! Colours and marks: the same series has the same ones in every figure.
//!
//! What always holds: each colour has a contrast of at least 3:1 to white and to `#111` (WCAG 2.2, 1.4.11), and a mark
//! goes with it, so that no series is told by colour alone.

/// A colour with its opacity, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ink {
    pub(super) rgb: (u8, u8, u8),
    pub(super) alpha: f64,
}

impl Ink {
    pub(super) const fn new(red: u8, green: u8, blue: u8) -> Ink {
        Ink {
            rgb: (red, green, blue),
            alpha: 1.0,
        }
    }

    pub(super) const fn alpha(self, alpha: f64) -> Ink {
        Ink { alpha, ..self }
    }

    /// Black or white, whichever is easier to read on this colour.
    pub(super) fn contrast(self) -> Ink {
        let linear = |part: u8| (f64::from(part) / 255.0).powf(2.2);
        let (red, green, blue) = self.rgb;
        let luminance = 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
        // Above this luminance black has the higher contrast, by WCAG's formula.
        if luminance > 0.179 {
            Ink::new(0, 0, 0)
        } else {
            Ink::new(255, 255, 255)
        }
    }
}

/// Stands for the text colour of the page, see [`super::picture`].
pub(super) const FOREGROUND: Ink = Ink::new(1, 2, 3);

/// The first three are Okabe and Ito's. The others were searched for with the same aim, 2026-11: far apart in CIELAB
/// with normal sight, protanopia and deuteranopia (Machado's matrices), and readable on light and dark.
const COLOURS: [Ink; 8] = [
    Ink::new(0x00, 0x72, 0xb2),
    Ink::new(0xd5, 0x5e, 0x00),
    Ink::new(0x00, 0x9e, 0x73),
    Ink::new(0xc2, 0x64, 0x9c),
    Ink::new(0x5b, 0x4b, 0xf5),
    Ink::new(0x8a, 0x7b, 0x3c),
    Ink::new(0x25, 0x96, 0xbe),
    Ink::new(0xb4, 0x2d, 0x2d),
];

/// The colour of a series.
pub(super) fn colour(series: usize) -> Ink {
    COLOURS[series % COLOURS.len()]
}

/// The shape of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Circle,
    Square,
    Triangle,
    Diamond,
    Inverted,
    Cross,
    Plus,
    Hexagon,
}

const MARKS: [Mark; 8] = [
    Mark::Circle,
    Mark::Square,
    Mark::Triangle,
    Mark::Diamond,
    Mark::Inverted,
    Mark::Cross,
    Mark::Plus,
    Mark::Hexagon,
];

/// The mark of a series. Where colours come again, they come with other marks.
pub(super) fn mark(series: usize) -> Mark {
    MARKS[(series + series / COLOURS.len()) % MARKS.len()]
}

/// A colour between dark violet (0) and yellow (1), for a heat map: equal steps look equal.
pub(super) fn heat(share: f64) -> Ink {
    use plotters::style::colors::colormaps::{ColorMap, ViridisRGB};
    let colour: plotters::style::RGBColor = ViridisRGB.get_color(share as f32);
    Ink::new(colour.0, colour.1, colour.2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn luminance(ink: Ink) -> f64 {
        let linear = |part: u8| match f64::from(part) / 255.0 {
            low @ ..0.04045 => low / 12.92,
            high => ((high + 0.055) / 1.055).powf(2.4),
        };
        let (red, green, blue) = ink.rgb;
        0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
    }

    #[test]
    fn colours_are_readable_on_white_and_on_dark() {
        let dark = luminance(Ink::new(0x11, 0x11, 0x11));
        for ink in COLOURS {
            let own = luminance(ink);
            assert!(1.05 / (own + 0.05) >= 3.0, "{ink:?} on white");
            assert!((own + 0.05) / (dark + 0.05) >= 3.0, "{ink:?} on dark");
        }
    }

    #[test]
    fn sixty_four_series_differ() {
        let looks: Vec<_> = (0..64)
            .map(|series| (colour(series).rgb, mark(series) as u8))
            .collect();
        let different: std::collections::BTreeSet<_> = looks.iter().collect();
        assert_eq!(different.len(), 64);
    }

    #[test]
    fn heat_goes_from_dark_to_bright() {
        let steps: Vec<_> = (0..=10)
            .map(|step| luminance(heat(f64::from(step) / 10.0)))
            .collect();
        assert!(steps.is_sorted(), "{steps:?}");
    }
}
