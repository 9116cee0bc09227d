//! A table as text and as HTML: what is shown, what is cut, what is aligned where.

use std::fmt;

use super::Table;
use super::cell::{Cell, cut};
use crate::display::{Bundle, Show, escape};

/// What is shown of a table, as texts.
struct Layout {
    header: Vec<String>,
    /// Rows from the beginning, then those from the end.
    rows: Vec<Vec<String>>,
    n_first: usize,
    n_rows_left_out: usize,
    /// The column after which columns are left out, and how many.
    gap: Option<(usize, usize)>,
    /// Whether the column stands at the right.
    is_right: Vec<bool>,
}

impl Layout {
    fn of(table: &Table) -> Self {
        let (first, n_rows_left_out, last) = table.rows.shown(table.n_rows_shown);
        let n_columns = table.header.len();
        let limit = table.n_columns_shown.max(1);
        let (keep_from, gap) = match n_columns > limit {
            true => {
                let n_before = limit - limit / 2;
                let n_left_out = n_columns - limit;
                (n_before + n_left_out, Some((n_before, n_left_out)))
            }
            false => (0, None),
        };
        let is_shown =
            |column: usize| gap.is_none_or(|(before, _)| column < before || column >= keep_from);
        let columns: Vec<_> = (0..n_columns).filter(|&column| is_shown(column)).collect();
        let rows: Vec<&Vec<Cell>> = first.iter().chain(&last).copied().collect();
        // Cells without a value do not make a column of numbers one of texts.
        let is_right = |&column: &usize| {
            let mut cells = rows.iter().filter_map(|row| row.get(column));
            let is_missing =
                |cell: &Cell| matches!(cell, Cell::Text(text) if text.is_empty() || text == "None");
            cells.clone().any(Cell::is_number)
                && cells.all(|cell| cell.is_number() || is_missing(cell))
        };
        let cell = |row: &Vec<Cell>, column: usize| {
            row.get(column)
                .map_or_else(String::new, |cell| cell.text(table.n_digits, table.width))
        };
        Self {
            header: columns
                .iter()
                .map(|&column| one_line(&table.header[column], table.width))
                .collect(),
            rows: rows
                .iter()
                .map(|row| columns.iter().map(|&column| cell(row, column)).collect())
                .collect(),
            n_first: first.len(),
            n_rows_left_out,
            gap,
            is_right: columns.iter().map(is_right).collect(),
        }
    }

    /// `980 rows left out`.
    fn left_out(n: usize, what: &str) -> String {
        format!("{n} {what}{} left out", if n == 1 { "" } else { "s" })
    }
}

fn one_line(name: &str, width: usize) -> String {
    cut(&name.replace(['\n', '\r', '\t'], " "), width)
}

/// Columns two spaces apart under a header line.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layout = Layout::of(self);
        let length = |text: &String| text.chars().count();
        let widths: Vec<_> = (0..layout.header.len())
            .map(|column| {
                let cells = layout.rows.iter().map(|row| length(&row[column]));
                cells.fold(length(&layout.header[column]), usize::max)
            })
            .collect();
        let line = |cells: &[String], filler: &str| {
            let mut line = String::new();
            for (column, cell) in cells.iter().enumerate() {
                if column > 0 {
                    line.push_str("  ");
                }
                if layout.gap.is_some_and(|(before, _)| before == column) {
                    line.push_str(filler);
                    line.push_str("  ");
                }
                let width = widths[column];
                line += &match layout.is_right[column] {
                    true => format!("{cell:>width$}"),
                    false => format!("{cell:width$}"),
                };
            }
            line.trim_end().to_owned()
        };
        let rules: Vec<_> = widths.iter().map(|&width| "-".repeat(width)).collect();
        write!(f, "{}\n{}", line(&layout.header, "…"), line(&rules, "-"))?;
        for (at, row) in layout.rows.iter().enumerate() {
            if at == layout.n_first && layout.n_rows_left_out > 0 {
                write!(f, "\n… {}", Layout::left_out(layout.n_rows_left_out, "row"))?;
            }
            write!(f, "\n{}", line(row, "…"))?;
        }
        if layout.n_first == layout.rows.len() && layout.n_rows_left_out > 0 {
            write!(f, "\n… {}", Layout::left_out(layout.n_rows_left_out, "row"))?;
        }
        if let Some((_, n)) = layout.gap {
            write!(f, "\n({})", Layout::left_out(n, "column"))?;
        }
        Ok(())
    }
}

impl Show for Table {
    fn show(&self) -> Bundle {
        Bundle::new()
            .html(Layout::of(self).html())
            .text(self.to_string())
    }
}

impl Layout {
    fn html(&self) -> String {
        let mut html = String::from("<table><thead>");
        html += &self.html_row("th", &self.header);
        html += "</thead><tbody>";
        let n_columns = self.header.len() + usize::from(self.gap.is_some());
        let mut gap = String::new();
        if self.n_rows_left_out > 0 {
            gap = format!(
                "<tr><td colspan=\"{n_columns}\" style=\"text-align:center;opacity:0.7\">… {}</td></tr>",
                Self::left_out(self.n_rows_left_out, "row")
            );
        }
        for (at, row) in self.rows.iter().enumerate() {
            if at == self.n_first {
                html += &std::mem::take(&mut gap);
            }
            html += &self.html_row("td", row);
        }
        html += &gap;
        html += "</tbody></table>";
        if let Some((_, n)) = self.gap {
            html += &format!(
                "<div style=\"opacity:0.7\">{}</div>",
                Self::left_out(n, "column")
            );
        }
        html
    }

    fn html_row(&self, tag: &str, cells: &[String]) -> String {
        let mut html = String::from("<tr>");
        for (column, cell) in cells.iter().enumerate() {
            if self.gap.is_some_and(|(before, _)| before == column) {
                html += &format!("<{tag}>…</{tag}>");
            }
            let side = if self.is_right[column] {
                "right"
            } else {
                "left"
            };
            html += &format!(
                "<{tag} style=\"text-align:{side}\">{}</{tag}>",
                escape(cell)
            );
        }
        html + "</tr>"
    }
}
