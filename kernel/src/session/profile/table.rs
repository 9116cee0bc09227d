//! The profile in words: what called what with its share, and the lines that cost most; as text and as
//! HTML.

use super::tree::{Node, Tree};
use super::{Cells, Code, Profile, cut, escaped, percent, source};
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

/// A function is told in the tree from this share on.
const LEAST: f64 = 0.01;

/// So many rows of the tree are told.
const ROWS: usize = 40;

/// The longest name in a column.
const NAME: usize = 44;

pub struct Table {
    samples: u64,
    tree: Vec<TreeRow>,
    lines: Vec<LineRow>,
}

struct TreeRow {
    depth: usize,
    count: u64,
    own: u64,
    label: String,
}

/// One line of a cell, or one function of a library.
struct LineRow {
    own: u64,
    total: u64,
    name: String,
    place: String,
    source: String,
}

impl Table {
    /// `top` is the number of lines that are told.
    pub fn new(profile: &Profile, tree: &Tree, cells: &Cells, top: usize) -> Table {
        let mut rows = Vec::new();
        for thread in &tree.threads {
            collect(thread, 0, tree.samples, &mut rows);
        }
        // What matters most stays, in the order of the tree.
        let mut counts: Vec<u64> = rows.iter().map(|row| row.count).collect();
        counts.sort_unstable_by(|one, other| other.cmp(one));
        let least = counts.get(ROWS).copied().unwrap_or(0);
        rows.retain(|row| row.count > least);
        Table {
            samples: profile.samples,
            tree: rows,
            lines: lines(profile, cells, top),
        }
    }

    pub fn text(&self, summary: &[String; 2]) -> String {
        let share = |count| percent(count, self.samples);
        let mut text = format!("{}\n{}\n\n", summary[0], summary[1]);
        let _ = writeln!(text, "{:>7} {:>7}  what called what", "total", "own");
        for row in &self.tree {
            let own = if row.own == 0 {
                String::new()
            } else {
                share(row.own)
            };
            let _ = writeln!(
                text,
                "{:>7} {own:>7}  {}{}",
                share(row.count),
                "  ".repeat(row.depth),
                row.label
            );
        }
        let width = |column: fn(&LineRow) -> &str| {
            let widths = self.lines.iter().map(|row| column(row).chars().count());
            widths.max().unwrap_or(0)
        };
        let (names, places) = (width(|row| &row.name), width(|row| &row.place));
        let _ = writeln!(text, "\n{:>7} {:>7}  lines that cost most", "own", "total");
        for row in &self.lines {
            let line = format!(
                "{:>7} {:>7}  {:places$}  {:names$}  {}",
                share(row.own),
                share(row.total),
                row.place,
                row.name,
                row.source
            );
            let _ = writeln!(text, "{}", line.trim_end());
        }
        text.truncate(text.trim_end().len());
        text
    }

    pub fn html(&self, summary: &[String; 2]) -> String {
        let mut html = format!(
            "<p style=\"margin:4px 0\">{}</p><table><thead><tr><th>own</th><th>total</th>\
             <th style=\"text-align:left\">place</th><th style=\"text-align:left\">function</th>\
             <th style=\"text-align:left\">line</th></tr></thead><tbody>",
            escaped(&summary[0])
        );
        for row in &self.lines {
            let cell = |text: &str| {
                format!(
                    "<td style=\"text-align:left;white-space:nowrap\">{}</td>",
                    escaped(text)
                )
            };
            let code = |text: &str| {
                let text = escaped(text);
                format!(
                    "<td style=\"text-align:left\"><code style=\"white-space:pre-wrap\">{text}</code></td>"
                )
            };
            let _ = write!(
                html,
                "<tr><td style=\"white-space:nowrap\">{}</td><td style=\"white-space:nowrap\">{}</td>{}{}{}</tr>",
                percent(row.own, self.samples),
                percent(row.total, self.samples),
                cell(&row.place),
                code(&row.name),
                if row.source.is_empty() {
                    cell("")
                } else {
                    code(&row.source)
                },
            );
        }
        html.push_str("</tbody></table>");
        html
    }
}

fn collect(node: &Node, depth: usize, samples: u64, rows: &mut Vec<TreeRow>) {
    if (node.count as f64) < LEAST * samples as f64 {
        return;
    }
    rows.push(TreeRow {
        depth,
        count: node.count,
        own: node.own,
        label: cut(&node.label(), NAME + 16),
    });
    for child in &node.children {
        collect(child, depth + 1, samples, rows);
    }
}

/// The lines and library functions in which most samples ended.
fn lines(profile: &Profile, cells: &Cells, top: usize) -> Vec<LineRow> {
    let mut found: HashMap<(&Code, usize), (u64, u64)> = HashMap::new();
    for stack in &profile.stacks {
        let mut seen = HashSet::new();
        for frame in &stack.frames {
            let key = (&frame.code, frame.line);
            // A line that is on a stack twice is not on it for twice as long.
            if seen.insert(key) {
                found.entry(key).or_default().1 += stack.count;
            }
        }
        if let Some(frame) = stack.frames.last() {
            found.entry((&frame.code, frame.line)).or_default().0 += stack.count;
        }
    }
    let mut found: Vec<_> = found.into_iter().filter(|(_, (own, _))| *own > 0).collect();
    found.sort_by(|(one, counts), (other, others)| others.cmp(counts).then(one.cmp(other)));
    let rows = found.into_iter().take(top);
    rows.map(|((code, line), (own, total))| LineRow {
        own,
        total,
        name: cut(code.name(), NAME),
        place: match code {
            Code::Library { home, .. } => home.clone(),
            _ => code.place(line),
        },
        source: source(cells, code, line),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    #[test]
    fn the_text_tells_threads_functions_and_lines() {
        let profile = example();
        let cells = Cells::from([(3, "fn heavy() {\n    x += 1;\n}".to_owned())]);
        let tree = Tree::new(&profile);
        let table = Table::new(&profile, &tree, &cells, 3);
        let expected = "first
second

  total     own  what called what
 70.0 %          thread main
 60.0 %            the cell  [4]:2
 60.0 %  60.0 %      heavy  [3]:2
 10.0 %            the cell  [4]:3
 10.0 %              light<T>  [3]:7
 10.0 %  10.0 %        memcpy
 20.0 %          thread rayon-0
 20.0 %            the cell  [4]:4
 20.0 %  20.0 %      heavy  [3]:2
 10.0 %          thread rayon-1
 10.0 %  10.0 %    main_loop

    own   total  lines that cost most
 70.0 %  70.0 %  [3]:2  heavy      x += 1;
 10.0 %  10.0 %  [3]:3  heavy      }
 10.0 %  10.0 %  libc   main_loop";
        let summary = ["first".to_owned(), "second".to_owned()];
        let text = table.text(&summary);
        assert_eq!(text, expected, "\n{text}");
        let html = table.html(&summary);
        assert!(html.matches(">70.0 %</td>").count() == 2, "{html}");
    }
}
