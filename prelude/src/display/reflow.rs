//! Makes the text of `{:#?}` shorter without changing what it says: what fits on a line is put on one line.
//!
//! `{:#?}` gives every number of a vector a line of its own. Here a bracket whose content fits on one
//! line becomes one line, as in `{:?}`, and short neighbours share lines.
//!
//! How it works: a line that ends in an opening bracket begins a node, deeper lines are its children, and
//! the line with the closing bracket at the same depth ends it. Text that does not have this shape (a
//! `Debug` written by hand) stays as it is, line by line.

/// The longest line that is made. Longer ones that were there stay.
pub(super) const WIDTH: usize = 88;
/// Neighbours up to this long share a line: three of the longest fit.
const SHORT: usize = 28;

enum Node<'a> {
    Line(&'a str),
    Bracket {
        open: &'a str,
        children: Vec<Node<'a>>,
        close: &'a str,
    },
}

/// The lines of `text`, laid out anew.
pub(super) fn reflow(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut out = Vec::new();
    let mut rest = &lines[..];
    while !rest.is_empty() {
        let nodes = parse(&mut rest, 0, MAX_DEPTH);
        write_all(&nodes, 0, &mut out);
        // Only a line that closes more than was opened ends `parse` early.
        if let [line, after @ ..] = rest {
            out.push((*line).to_owned());
            rest = after;
        }
    }
    out
}

/// Deeper nesting stays as it is, so that no value can exhaust the stack.
const MAX_DEPTH: usize = 100;

fn depth_of(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

fn closes(line: &str) -> bool {
    matches!(
        line.trim_start_matches(' '),
        "}" | "]" | ")" | "}," | "]," | "),"
    )
}

/// Reads siblings at `depth` until a line of smaller depth or a closing bracket at a smaller one.
fn parse<'a>(rest: &mut &[&'a str], depth: usize, levels: usize) -> Vec<Node<'a>> {
    let mut nodes = Vec::new();
    while let [line, after @ ..] = *rest {
        let line: &'a str = line;
        if depth_of(line) < depth && !line.is_empty() {
            break;
        }
        let opens = depth_of(line) == depth && line.ends_with(['{', '[', '(']) && levels > 0;
        let has_children = after
            .first()
            .is_some_and(|next| depth_of(next) == depth + 4 && !closes(next));
        if !(opens && has_children) {
            *rest = after;
            nodes.push(Node::Line(line));
            continue;
        }
        let mut inside = after;
        let children = parse(&mut inside, depth + 4, levels - 1);
        match inside {
            [close, beyond @ ..] if depth_of(close) == depth && closes(close) => {
                let open = line.trim_start_matches(' ');
                nodes.push(Node::Bracket {
                    open,
                    children,
                    close: close.trim_start_matches(' '),
                });
                *rest = beyond;
            }
            // Not closed: the text was cut or is of another shape. The opening line stays, its children follow.
            _ => {
                nodes.push(Node::Line(line));
                nodes.extend(children);
                *rest = inside;
            }
        }
    }
    nodes
}

fn write_all(nodes: &[Node<'_>], depth: usize, out: &mut Vec<String>) {
    // The line that short neighbours are being gathered on.
    let mut shared: Option<(String, usize)> = None;
    for node in nodes {
        let one_line = one_line(node, depth, WIDTH.saturating_sub(depth));
        if let Some(text) = &one_line {
            let n_chars = text.chars().count();
            if n_chars <= SHORT && text.ends_with(',') {
                match &mut shared {
                    Some((line, len)) if *len + 1 + n_chars <= WIDTH => {
                        line.push(' ');
                        line.push_str(text);
                        *len += 1 + n_chars;
                    }
                    _ => {
                        out.extend(shared.take().map(|(line, _)| line));
                        shared = Some((" ".repeat(depth) + text, depth + n_chars));
                    }
                }
                continue;
            }
        }
        out.extend(shared.take().map(|(line, _)| line));
        match (one_line, node) {
            (Some(text), _) => out.push(" ".repeat(depth) + &text),
            (None, Node::Line(line)) => out.push((*line).to_owned()),
            (
                None,
                Node::Bracket {
                    open,
                    children,
                    close,
                },
            ) => {
                out.push(" ".repeat(depth) + open);
                write_all(children, depth + 4, out);
                out.push(" ".repeat(depth) + close);
            }
        }
    }
    out.extend(shared.take().map(|(line, _)| line));
}

/// The node as one line of at most `room` characters without its indentation, if it can be one.
fn one_line(node: &Node<'_>, depth: usize, room: usize) -> Option<String> {
    match node {
        Node::Line(line) => {
            // A line that is not exactly at this depth belongs to a shape of its own.
            let fits = depth_of(line) == depth
                && line.len() > depth
                && line[depth..].chars().count() <= room;
            fits.then(|| line[depth..].to_owned())
        }
        Node::Bracket {
            open,
            children,
            close,
        } => {
            let pad = if is_struct(open) { " " } else { "" };
            let mut text = format!("{open}{pad}");
            for (at, child) in children.iter().enumerate() {
                let child = one_line(child, depth + 4, room.checked_sub(text.len())?)?;
                // Every child of derived output ends in a comma; anything else may not be joined.
                let child = child.strip_suffix(',')?;
                text.push_str(if at > 0 { ", " } else { "" });
                text.push_str(child);
            }
            text.push_str(pad);
            text.push_str(close);
            (text.chars().count() <= room).then_some(text)
        }
    }
}

/// `Point {` has spaces inside on one line; the `{` of a map or set, alone or after a field's name, has none.
fn is_struct(open: &str) -> bool {
    open.strip_suffix(" {")
        .is_some_and(|before| !before.ends_with(':'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[derive(Debug)]
    #[allow(dead_code)]
    struct Point {
        x: f64,
        y: f64,
    }

    fn laid_out(value: &impl std::fmt::Debug) -> String {
        reflow(&format!("{value:#?}")).join("\n")
    }

    #[test]
    fn what_fits_reads_like_plain_debug() {
        let value = (
            Point { x: 1.0, y: -2.0 },
            vec![Some("a"), None],
            BTreeMap::from([(1, BTreeMap::from([(2, ())]))]),
        );
        assert_eq!(laid_out(&value), format!("{value:?}"));
    }

    #[test]
    fn short_neighbours_share_lines() {
        let numbers: Vec<u32> = (1_000..1_040).collect();
        let text = laid_out(&numbers);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2 + 3);
        assert_eq!(lines[1].len(), 87, "{}", lines[1]);
        assert_eq!(
            text.replace([' ', '\n'], ""),
            format!("{numbers:?}").replace(' ', "").replace(']', ",]")
        );
    }

    #[test]
    fn nested_values_keep_their_structure() {
        let rows: Vec<Vec<u32>> = vec![(100..120).collect(); 3];
        let text = laid_out(&rows);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2 + 3 * 4, "{text}");
        assert_eq!((lines[0], lines[1], lines[13]), ("[", "    [", "]"));
        assert!(lines[2].starts_with("        100, 101, "));
    }

    #[test]
    fn points_share_lines_as_whole_points() {
        let points: Vec<_> = (0..9)
            .map(|n| Point {
                x: f64::from(n),
                y: 0.5,
            })
            .collect();
        let text = laid_out(&points);
        assert!(
            text.starts_with("[\n    Point { x: 0.0, y: 0.5 }, Point { x: 1.0, y: 0.5 }, "),
            "{text}"
        );
        assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");
    }

    #[test]
    fn long_lines_stand_alone() {
        let words = vec!["short".to_owned(), "x".repeat(60), "y".repeat(100)];
        let text = laid_out(&words);
        assert_eq!(text.lines().count(), 5, "{text}");
    }

    #[test]
    fn cut_text_and_other_shapes_stay_as_they_are() {
        for text in [
            "[\n    1",
            "a {\n  odd\n}",
            "]\n)",
            "[\n]",
            "",
            "a\n\n    b",
            "x(\n    1,\n    [\n        2,",
        ] {
            let kept = reflow(text).join("\n");
            assert_eq!(
                kept.replace([' ', '\n'], ""),
                text.replace([' ', '\n'], ""),
                "{text:?} became {kept:?}"
            );
        }
    }

    #[test]
    fn deep_nesting_does_not_exhaust_the_stack() {
        let depth = 2_000;
        let mut text = String::new();
        for level in 0..depth {
            text += &format!("{}[\n", "    ".repeat(level));
        }
        for level in (0..depth).rev() {
            text += &format!("{}],\n", "    ".repeat(level));
        }
        assert!(!reflow(&text).is_empty());
    }
}
