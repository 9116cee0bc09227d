//! The tree of a profile as a flame graph: threads in the lowest row, what a function called above it, as
//! wide as the samples that fell into it.
//!
//! An SVG image without a script; what does not fit into a box is told when the pointer rests on it. The
//! user's functions are warm, those of libraries blue-grey, with dark text on both, so one picture serves
//! light and dark pages; only the line above the picture takes its colour from the page.

use super::tree::{Node, Tree, What};
use super::{Cells, Code, cut, escaped, percent, source};
use std::fmt::Write as _;

/// Where the colour of text outside of boxes comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// From the page that the picture is part of.
    OfPage,
    /// From what the reader's system prefers: the picture is a file.
    OfReader,
}

const WIDTH: f64 = 960.0;
const ROW: f64 = 18.0;
/// Room for the line above.
const HEAD: f64 = 22.0;
const FONT: f64 = 11.0;
/// How wide a letter of that size is in a monospaced font, at most.
const LETTER: f64 = 6.7;
/// What is narrower is not drawn.
const NARROWEST: f64 = 0.5;
/// What is higher is not drawn.
const ROWS: usize = 64;

const WARM: [&str; 6] = [
    "#f6b26b", "#f9a65a", "#f4c27a", "#f29b6c", "#f7b787", "#fbbf5f",
];
const COOL: [&str; 4] = ["#b7c3d3", "#a9b8cc", "#c3cedb", "#9fb0c5"];
const THREAD: &str = "#d6d3cc";
const INK: &str = "#1d1d1d";

/// The picture; `headline` is the line above it.
pub fn draw(tree: &Tree, headline: &str, cells: &Cells, theme: Theme) -> String {
    let rows = tree
        .threads
        .iter()
        .map(|node| height(node, tree.samples))
        .max();
    let rows = rows.unwrap_or(0).min(ROWS);
    let tall = HEAD + rows as f64 * ROW;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{tall}\" viewBox=\"0 0 {WIDTH} {tall}\" \
         font-family=\"monospace\" font-size=\"{FONT}\" style=\"max-width:100%;height:auto\" role=\"img\">"
    );
    let (style, text) = match theme {
        Theme::OfPage => (
            "",
            "style=\"fill:var(--jp-content-font-color1, var(--vscode-editor-foreground, currentColor))\"",
        ),
        Theme::OfReader => (
            "<style>.page{fill:#1d1d1d}@media (prefers-color-scheme:dark){.page{fill:#e6e6e6}}</style>",
            "class=\"page\"",
        ),
    };
    let _ = write!(
        svg,
        "<title>{}</title>{style}<text x=\"0\" y=\"14\" {text}>{}</text>",
        escaped(headline),
        escaped(headline)
    );
    let mut picture = Picture {
        svg,
        samples: tree.samples,
        floor: tall - ROW,
        cells,
    };
    let mut x = 0.0;
    for thread in &tree.threads {
        picture.node(thread, x, 0);
        x += picture.width(thread.count);
    }
    picture.svg.push_str("</svg>");
    picture.svg
}

/// How many rows a node needs, itself included.
fn height(node: &Node, samples: u64) -> usize {
    let width = node.count as f64 / samples.max(1) as f64 * WIDTH;
    if width < NARROWEST {
        return 0;
    }
    let above = node.children.iter().map(|child| height(child, samples));
    1 + above.max().unwrap_or(0)
}

struct Picture<'a> {
    svg: String,
    samples: u64,
    /// Top of the lowest row.
    floor: f64,
    cells: &'a Cells,
}

impl Picture<'_> {
    fn width(&self, count: u64) -> f64 {
        count as f64 / self.samples.max(1) as f64 * WIDTH
    }

    fn node(&mut self, node: &Node, x: f64, depth: usize) {
        let width = self.width(node.count);
        if width < NARROWEST || depth >= ROWS {
            return;
        }
        let y = self.floor - depth as f64 * ROW;
        let title = escaped(&self.title(node));
        // A gap between neighbours, as far as there is room for one.
        let drawn = (width - 0.6).max(width * 0.6);
        let _ = write!(
            self.svg,
            "<g><title>{title}</title><rect x=\"{x:.2}\" y=\"{y}\" width=\"{drawn:.2}\" height=\"{}\" rx=\"1.5\" \
             fill=\"{}\"/>",
            ROW - 1.0,
            colour(node),
        );
        let letters = ((drawn - 6.0) / LETTER).floor();
        if letters >= 3.0 {
            let label = cut(&node.label(), letters as usize);
            let _ = write!(
                self.svg,
                "<text x=\"{:.2}\" y=\"{}\" fill=\"{INK}\" xml:space=\"preserve\">{}</text>",
                x + 3.0,
                y + 12.5,
                escaped(&label)
            );
        }
        self.svg.push_str("</g>");
        let mut x = x;
        for child in &node.children {
            self.node(child, x, depth + 1);
            x += self.width(child.count);
        }
    }

    /// What is told when the pointer rests on a box.
    fn title(&self, node: &Node) -> String {
        let share = |count| percent(count, self.samples);
        let mut text = match &node.what {
            What::Thread(_) => node.label(),
            What::Code(Code::Library { home, .. }) => format!("{}\n{home}", cut(&node.full, 200)),
            What::Code(_) => node.label(),
        };
        let _ = write!(
            text,
            "\n{} of all samples ({}), {} in it alone",
            share(node.count),
            node.count,
            share(node.own)
        );
        let What::Code(code) = &node.what else {
            return text;
        };
        if code.is_users() {
            let mut lines: Vec<_> = node.lines.iter().collect();
            lines.sort_by_key(|(line, count)| (u64::MAX - **count, **line));
            for (line, count) in lines.into_iter().take(4) {
                let _ = write!(
                    text,
                    "\nline {line}: {}  {}",
                    share(*count),
                    source(self.cells, code, *line)
                );
            }
        }
        text
    }
}

/// The same function has the same colour everywhere.
fn colour(node: &Node) -> &'static str {
    let What::Code(code) = &node.what else {
        return THREAD;
    };
    let number = node.name().bytes().fold(7_usize, |number, byte| {
        number.wrapping_mul(31).wrapping_add(usize::from(byte))
    });
    if code.is_users() {
        WARM[number % WARM.len()]
    } else {
        COOL[number % COOL.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    fn picture(theme: Theme) -> String {
        draw(&Tree::new(&example()), "a < b & c", &Cells::new(), theme)
    }

    /// Left edge, top and width of all boxes.
    fn boxes(svg: &str) -> Vec<[f64; 3]> {
        let number = |text: &str, name: &str| -> f64 {
            let begin = text.find(&format!(" {name}=\"")).unwrap() + name.len() + 3;
            let rest = &text[begin..];
            rest[..rest.find('"').unwrap()].parse().unwrap()
        };
        svg.split("<rect")
            .skip(1)
            .map(|text| ["x", "y", "width"].map(|name| number(text, name)))
            .collect()
    }

    #[test]
    fn the_picture_is_well_formed() {
        for theme in [Theme::OfPage, Theme::OfReader] {
            let svg = picture(theme);
            let options = resvg::usvg::Options::default();
            let tree = resvg::usvg::Tree::from_str(&svg, &options);
            let tree = tree.unwrap_or_else(|error| panic!("{error}\n{svg}"));
            assert_eq!(f64::from(tree.size().width()), WIDTH);
            assert!(!svg.contains("<script"));
            assert!(svg.contains("light&lt;T&gt;") && svg.contains("a &lt; b &amp; c"));
        }
        assert!(picture(Theme::OfPage).contains("--jp-content-font-color1"));
        assert!(picture(Theme::OfReader).contains("prefers-color-scheme"));
    }

    #[test]
    fn widths_are_the_shares_and_add_up() {
        let boxes = boxes(&picture(Theme::OfPage));
        let lowest = boxes.iter().map(|[_, y, _]| *y).fold(0.0, f64::max);
        let row = |number: f64| -> f64 {
            let of_row = boxes.iter().filter(|[_, y, _]| *y == lowest - number * ROW);
            of_row.map(|[_, _, width]| width + 0.6).sum()
        };
        // 100 samples in threads, 100 in what they called, 90 in the next row, 10 above.
        for (number, share) in [(0.0, 1.0), (1.0, 1.0), (2.0, 0.9), (3.0, 0.1)] {
            assert!(
                (row(number) - share * WIDTH).abs() < 0.1,
                "row {number}: {}",
                row(number)
            );
        }
        for [x, _, width] in &boxes {
            assert!(*x >= 0.0 && x + width <= WIDTH);
        }
    }

    #[test]
    fn what_is_too_narrow_is_left_out() {
        let mut profile = example();
        profile.samples = 1_000_000;
        for stack in &mut profile.stacks[1..] {
            stack.count = 1;
        }
        profile.stacks[0].count = 999_996;
        let svg = draw(&Tree::new(&profile), "", &Cells::new(), Theme::OfPage);
        assert_eq!(boxes(&svg).len(), 3);
    }
}
