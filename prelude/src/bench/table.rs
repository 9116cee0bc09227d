//! A small table as aligned text and as HTML, made from the same cells.

use crate::display::{Bundle, escape};

/// What is shown of a measurement.
pub(super) struct Table {
    /// The line above.
    pub title: String,
    /// One letter for each column: `l` for text, `r` for numbers.
    pub align: &'static str,
    /// The names of the columns; empty for a table without names.
    pub head: Vec<&'static str>,
    /// As many cells as there are columns.
    pub rows: Vec<Vec<String>>,
    /// The lines below.
    pub notes: Vec<String>,
}

impl Table {
    /// Both forms, with more HTML below the table.
    pub fn bundle(&self, below: &str) -> Bundle {
        Bundle::new().html(self.html() + below).text(self.text())
    }

    /// Lines without an end of line after the last.
    pub fn text(&self) -> String {
        let head: Vec<String> = self.head.iter().map(|&name| name.to_owned()).collect();
        let rows: Vec<&Vec<String>> = std::iter::once(&head)
            .filter(|head| !head.is_empty())
            .chain(&self.rows)
            .collect();
        let width = |column: usize| {
            let widths = rows.iter().map(|row| row[column].chars().count());
            widths.max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.align.len()).map(width).collect();
        let line = |row: &&Vec<String>| {
            let cells = row.iter().zip(&widths).zip(self.align.chars());
            let cells: Vec<String> = cells
                .map(|((cell, &width), align)| match align {
                    'r' => format!("{cell:>width$}"),
                    _ => format!("{cell:<width$}"),
                })
                .collect();
            cells.join("  ").trim_end().to_owned()
        };
        std::iter::once(self.title.clone())
            .chain(rows.iter().map(line))
            .chain(self.notes.iter().cloned())
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// A caption, the table, and a line for each note.
    fn html(&self) -> String {
        let row = |tag: &str, cells: &mut dyn Iterator<Item = &str>| {
            let cells: String = cells
                .zip(self.align.chars())
                .map(|(cell, align)| {
                    let side = if align == 'r' { "right" } else { "left" };
                    let cell = escape(cell);
                    format!("<{tag} style=\"text-align:{side}\">{cell}</{tag}>")
                })
                .collect();
            format!("<tr>{cells}</tr>")
        };
        let head = match self.head.as_slice() {
            [] => String::new(),
            head => format!("<thead>{}</thead>", row("th", &mut head.iter().copied())),
        };
        let rows: String = self
            .rows
            .iter()
            .map(|cells| row("td", &mut cells.iter().map(String::as_str)))
            .collect();
        let notes: String = self
            .notes
            .iter()
            .map(|note| format!("<div>{}</div>", escape(note)))
            .collect();
        format!(
            "<table><caption style=\"text-align:left\">{}</caption>{head}<tbody>{rows}</tbody></table>{notes}",
            escape(&self.title)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_aligned_and_html_escaped() {
        let table = Table {
            title: "a < b".into(),
            align: "lr",
            head: vec!["name", "µ"],
            rows: vec![
                vec!["<x>".into(), "1.0".into()],
                vec!["longer".into(), "22.5".into()],
            ],
            notes: vec!["one & all".into()],
        };
        assert_eq!(
            table.text(),
            "a < b\nname       µ\n<x>      1.0\nlonger  22.5\none & all"
        );
        let bundle = table.bundle("<svg/>");
        let html = bundle.get("text/html").unwrap();
        assert!(html.contains("<td style=\"text-align:left\">&lt;x&gt;</td>"));
        assert!(html.contains("a &lt; b</caption>"));
        assert!(html.ends_with("<div>one &amp; all</div><svg/>"));
        assert_eq!(bundle.plain_text(), table.text());
    }

    #[test]
    fn a_table_may_have_no_head() {
        let table = Table {
            title: "t".into(),
            align: "lr",
            head: vec![],
            rows: vec![vec!["a".into(), "1".into()]],
            notes: vec![],
        };
        assert_eq!(table.text(), "t\na  1");
        assert!(!table.html().contains("thead"));
    }
}
