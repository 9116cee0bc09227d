//! Networks: nodes at places, and links between them.

use super::canvas::{Anchor, Canvas, Pen};
use super::frame::{Entry, Key};
use super::palette::{FOREGROUND, Ink, colour};
use super::picture::Picture;
use super::text::{elide, width};
use super::{MIN_SIZE, PlotError, WIDTH, legend};

/// A network that is being put together. Nodes are numbered in the order in which they are added.
#[derive(Clone, Debug, Default)]
pub(crate) struct Network {
    pub(crate) title: String,
    pub(crate) nodes: Vec<Node>,
    pub(crate) links: Vec<Link>,
    pub(crate) stubs: Vec<Stub>,
    /// What the legend says of the marked nodes and of the dashed lines, where there are such.
    pub(crate) marked_label: String,
    pub(crate) dashed_label: String,
    /// The same in words.
    pub(crate) text: String,
}

/// A node: its place, in units of about the distance of neighbours, y downwards; its name, and a note below it.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) at: (f64, f64),
    pub(crate) name: String,
    pub(crate) note: String,
    pub(crate) is_marked: bool,
}

/// A line from a node to another one with a head at the end, and at the start if it goes both ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) both: bool,
    pub(crate) is_dashed: bool,
}

/// A dashed line out of a node in a direction, with the name of the node where it comes in again.
#[derive(Clone, Debug)]
pub(crate) struct Stub {
    pub(crate) from: usize,
    pub(crate) direction: (f64, f64),
    pub(crate) to: String,
}

const LINE: Ink = FOREGROUND.alpha(0.6);
/// Pixels from node to node, at most and at least.
const SPACING: (f64, f64) = (96.0, 34.0);
/// Below this distance notes would lie on each other.
const ROOM_FOR_NOTES: f64 = 60.0;
const DASHES: &str = " stroke-dasharray=\"50 40\"";

struct Layout {
    /// Pixels of a unit.
    unit: f64,
    radius: f64,
    left: f64,
    top: f64,
    low: (f64, f64),
}

impl Layout {
    fn place(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (
            self.left + (x - self.low.0) * self.unit,
            self.top + (y - self.low.1) * self.unit,
        )
    }
}

impl Network {
    pub(crate) fn draw(&self) -> Result<Picture, PlotError> {
        if self.nodes.is_empty() {
            return Err(PlotError::NoData {
                title: self.title.clone(),
            });
        }
        let ends = |part: fn(&Node) -> f64| {
            let values = self.nodes.iter().map(part);
            values.fold((f64::MAX, f64::MIN), |(low, high), value| {
                (low.min(value), high.max(value))
            })
        };
        let (x, y) = (ends(|node| node.at.0), ends(|node| node.at.1));
        let (across, down) = (x.1 - x.0, y.1 - y.0);
        let margin = if self.stubs.is_empty() { 34.0 } else { 70.0 };
        let room = f64::from(WIDTH) - 2.0 * margin;
        let unit = (room / across.max(1.0)).clamp(SPACING.1, SPACING.0);
        let mut entries = Vec::new();
        let mut entry = |label: &str, ink: Ink, key: Key| {
            if !label.is_empty() {
                let label = label.to_owned();
                entries.push(Entry { label, ink, key });
            }
        };
        if self.nodes.iter().any(|node| node.is_marked) {
            entry(&self.marked_label, colour(0), Key::Area);
        }
        if !self.stubs.is_empty() || self.links.iter().any(|link| link.is_dashed) {
            entry(&self.dashed_label, colour(1), Key::Dashed);
        }
        let title_width = width(&self.title, 15.0 * 1.05) + 26.0;
        let size = |pixels: f64, least: u32| (pixels.ceil().min(16_000.0) as u32).max(least);
        let total = size(
            (across * unit + 2.0 * margin)
                .max(title_width.min(f64::from(WIDTH)))
                .max(320.0),
            MIN_SIZE.0,
        );
        let legend_height = legend::height(&entries, f64::from(total));
        let height = size(
            34.0 + down * unit + 2.0 * margin + legend_height,
            MIN_SIZE.1,
        );
        let mut canvas = Canvas::new(&self.title, (total, height))?;
        let layout = Layout {
            unit,
            radius: (unit * 0.24).min(18.0),
            left: (f64::from(total) - across * unit) / 2.0,
            top: 30.0 + margin,
            low: (x.0, y.0),
        };
        let title = elide(&self.title, 15.0 * 1.05, f64::from(total) - 24.0);
        canvas.draw(|pen| {
            pen.bold(&title, (12.0, 19.0), 15.0, Anchor::Start, FOREGROUND);
            legend::draw(
                pen,
                &entries,
                f64::from(total),
                f64::from(height) - legend_height - 6.0,
            );
        });
        self.draw_links(&mut canvas, &layout);
        self.draw_stubs(&mut canvas, &layout);
        for node in &self.nodes {
            let tip = format!("{} {}", node.name, node.note);
            canvas.group("", tip.trim(), |pen| draw_node(pen, node, &layout));
        }
        canvas.finish(format!("{}\n{}", self.title, self.text))
    }

    fn draw_links(&self, canvas: &mut Canvas, layout: &Layout) {
        for link in &self.links {
            let (Some(from), Some(to)) = (self.nodes.get(link.from), self.nodes.get(link.to))
            else {
                continue;
            };
            let tip = match link.both {
                true => format!("{} and {}", from.name, to.name),
                false => format!("{} to {}", from.name, to.name),
            };
            let (ink, dashes) = match link.is_dashed {
                true => (colour(1), DASHES),
                false => (LINE, ""),
            };
            let (a, b) = (layout.place(from.at), layout.place(to.at));
            let radius = layout.radius;
            canvas.group(dashes, &tip, |pen| {
                if link.from == link.to {
                    let out = radius * 0.75;
                    pen.circle((a.0 + out, a.1 - radius - out * 0.4), out, ink, false);
                    return;
                }
                let length = (b.0 - a.0).hypot(b.1 - a.1).max(1.0);
                let step = ((b.0 - a.0) / length, (b.1 - a.1) / length);
                let off = radius + 2.5;
                let start = (a.0 + step.0 * off, a.1 + step.1 * off);
                let end = (b.0 - step.0 * off, b.1 - step.1 * off);
                pen.arrow(start, end, ink, 1.5);
                if link.both {
                    // Its line lies on the first one's.
                    let near = (length - 2.0 * off).min(8.0);
                    let behind = (start.0 + step.0 * near, start.1 + step.1 * near);
                    pen.arrow(behind, start, ink, 1.5);
                }
            });
        }
    }

    fn draw_stubs(&self, canvas: &mut Canvas, layout: &Layout) {
        for stub in &self.stubs {
            let Some(node) = self.nodes.get(stub.from) else {
                continue;
            };
            let (x, y) = layout.place(node.at);
            let length = stub.direction.0.hypot(stub.direction.1).max(1e-9);
            let step = (stub.direction.0 / length, stub.direction.1 / length);
            let along = |distance: f64| (x + step.0 * distance, y + step.1 * distance);
            let out = layout.radius + 24.0;
            canvas.group(DASHES, &format!("{} to {}", node.name, stub.to), |pen| {
                pen.arrow(along(layout.radius + 2.5), along(out), colour(1), 1.5);
            });
            canvas.draw(|pen| {
                pen.text(&stub.to, along(out + 9.0), 11.0, Anchor::Middle, colour(1));
            });
        }
    }
}

fn draw_node(pen: &mut Pen<'_>, node: &Node, layout: &Layout) {
    let (x, y) = layout.place(node.at);
    let (ink, letters) = match node.is_marked {
        true => (colour(0), colour(0).contrast()),
        false => (FOREGROUND, FOREGROUND),
    };
    pen.circle((x, y), layout.radius, ink, node.is_marked);
    let size = if layout.radius >= 12.0 { 13.0 } else { 10.0 };
    pen.bold(&node.name, (x, y), size, Anchor::Middle, letters);
    if layout.unit >= ROOM_FOR_NOTES && !node.note.is_empty() {
        // Beside the line that may go down from here.
        let at = (x + 5.0, y + layout.radius + 9.0);
        pen.text(&node.note, at, 11.0, Anchor::Start, FOREGROUND);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, at: (f64, f64)) -> Node {
        Node {
            at,
            name: name.to_owned(),
            note: "(0, 0)".to_owned(),
            is_marked: name == "a<",
        }
    }

    #[test]
    fn links_and_stubs_are_drawn_between_the_nodes() {
        let link = Link {
            from: 0,
            to: 1,
            both: true,
            is_dashed: false,
        };
        let network = Network {
            title: "R&D".to_owned(),
            nodes: vec![node("a<", (0.0, 0.0)), node("b", (1.0, 0.0))],
            links: vec![
                link,
                Link {
                    to: 0,
                    both: false,
                    ..link
                },
                // To a node that is not there: left out.
                Link { to: 9, ..link },
            ],
            stubs: vec![Stub {
                from: 1,
                direction: (1.0, 0.0),
                to: "a<".to_owned(),
            }],
            marked_label: "marked".to_owned(),
            dashed_label: "joined".to_owned(),
            text: "a, b".to_owned(),
        };
        let picture = network.draw().unwrap();
        let svg = picture.standalone();
        super::super::tests::check_xml(&picture.paper());
        for text in [
            "R&amp;D",
            "a&lt;",
            "(0, 0)",
            "marked",
            "joined",
            "stroke-dasharray",
        ] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
        // Two nodes and a loop; two heads, and that of the stub.
        assert_eq!(svg.matches("<circle").count(), 3, "{svg}");
        assert_eq!(svg.matches("<polygon").count(), 3, "{svg}");
        assert_eq!(picture.text, "R&D\na, b");
        assert!(Network::default().draw().is_err());
    }

    #[test]
    fn many_nodes_have_a_picture_too() {
        let nodes = (0..500).map(|at| node("n", (f64::from(at % 100), f64::from(at / 100))));
        let network = Network {
            nodes: nodes.collect(),
            ..Network::default()
        };
        let picture = network.draw().unwrap();
        assert!(picture.width > 3_000 && picture.height < 400);
    }
}
