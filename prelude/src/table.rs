//! Tables: columns, rows, structs, maps and matrices, with numbers that can be read.
//!
//! For curves take [`plot`](crate::plot); for one value `println!` is enough.
//!
//! What always holds:
//! * a cell is what `Debug` says of its value, without the quotes of a text and without the `Some` of a number;
//! * numbers stand at the right, with five significant digits where they have a fraction; integers whole;
//! * a long table is cut in the middle and a wide one too, and the table says how much is left out; it keeps
//!   only the first and last [`MAX_KEPT`] rows, so that a million rows cost no memory;
//! * rows and columns that do not fit together are a [`TableError`], which says where.
//!
//! ```
//! use forkline::prelude::*;
//!
//! #[derive(Debug)]
//! struct Run {
//!     workers: u32,
//!     time_ms: f64,
//! }
//! let runs = [Run { workers: 1, time_ms: 98.123456 }, Run { workers: 2, time_ms: 51.5 }];
//!
//! // A column for each field.
//! assert_eq!(table::of(&runs).to_string().lines().count(), 4);
//!
//! // Column by column; anything that can be iterated over. As the last expression it is shown.
//! let table = table! {
//!     "workers" => runs.iter().map(|run| run.workers),
//!     "speedup" => [1.0, 1.9053],
//! }?;
//! assert!(table.to_string().ends_with("      2   1.9053"));
//! # Ok::<(), forkline::table::TableError>(())
//! ```

mod cell;
mod error;
mod fields;
mod layout;
mod source;

use std::fmt::Debug;

use cell::Cell;
pub use error::TableError;
pub use source::{Column, Pairs};
use source::{Ends, kept};

use crate::display::{Bundle, Show};

/// How many rows a table keeps from its beginning, and as many from its end.
pub const MAX_KEPT: usize = 1_000;

/// A table, to be shown or printed.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    header: Vec<String>,
    rows: Ends<Vec<Cell>>,
    n_rows_shown: usize,
    n_columns_shown: usize,
    n_digits: usize,
    width: usize,
}

impl Table {
    fn new(header: Vec<String>, rows: Ends<Vec<Cell>>) -> Self {
        Self {
            header,
            rows,
            n_rows_shown: 20,
            n_columns_shown: 20,
            n_digits: 5,
            width: 50,
        }
    }

    /// Shows at most `n` rows, half of them from the beginning and half from the end; 20 if not said.
    /// More than twice [`MAX_KEPT`] are never there.
    pub fn limit(mut self, n: usize) -> Self {
        self.n_rows_shown = n;
        self
    }

    /// Shows at most `n` columns, cut in the middle likewise; 20 if not said.
    pub fn limit_columns(mut self, n: usize) -> Self {
        self.n_columns_shown = n;
        self
    }

    /// Rounds numbers with a fraction to `n` significant digits; 5 if not said. 0 counts as 1.
    pub fn digits(mut self, n: usize) -> Self {
        self.n_digits = n.clamp(1, 17);
        self
    }

    /// Cuts texts of more than `n` characters; 50 if not said. 0 counts as 1.
    pub fn width(mut self, n: usize) -> Self {
        self.width = n.max(1);
        self
    }

    /// How many rows the table has, shown or not; the header is none.
    pub fn n_rows(&self) -> usize {
        self.rows.n()
    }

    /// The names of the columns.
    pub fn header(&self) -> &[String] {
        &self.header
    }
}

/// A table column by column: `table! { "n" => [1, 2], "time (ms)" => times }`.
///
/// A column is anything that can be iterated over and whose items are `Debug`; it is taken by value, so
/// write `&times` to keep a vector. The result is a `Result`: columns of unequal length are a
/// [`TableError`](crate::table::TableError). As the last expression of a cell it is shown either way.
///
/// ```
/// use forkline::prelude::*;
///
/// let workers = vec![1, 2, 4];
/// let table = table! { "workers" => &workers, "half" => workers.iter().map(|n| *n as f64 / 2.0) }?;
/// assert_eq!(table.n_rows(), 3);
/// # Ok::<(), forkline::table::TableError>(())
/// ```
#[macro_export]
macro_rules! table {
    ($($name:expr => $values:expr),+ $(,)?) => {
        $crate::table::columns(::std::vec![
            $($crate::table::Column::new($name, $values)),+
        ])
    };
}

/// A table of named columns; the macro [`table!`](crate::table!) is the shorter way.
///
/// # Errors
///
/// [`TableError::UnequalColumns`] if the columns are not equally long.
pub fn columns(columns: Vec<Column>) -> Result<Table, TableError> {
    if let Some(first) = columns.first()
        && let Some(other) = columns
            .iter()
            .find(|other| other.cells.n() != first.cells.n())
    {
        return Err(TableError::UnequalColumns {
            column: first.name.clone(),
            n_rows: first.cells.n(),
            other: other.name.clone(),
            n_other: other.cells.n(),
        });
    }
    let (names, cells): (Vec<_>, Vec<_>) = columns
        .into_iter()
        .map(|column| (column.name, column.cells))
        .unzip();
    Ok(Table::new(names, Ends::transposed(cells)))
}

/// A table row by row, under a header.
///
/// ```
/// let table = forkline::table::rows(["n", "n²"], [[1, 1], [2, 4]])?;
/// assert_eq!(table.n_rows(), 2);
/// # Ok::<(), forkline::table::TableError>(())
/// ```
///
/// # Errors
///
/// [`TableError::UnequalRows`] if a row has more or fewer cells than the header.
pub fn rows<N: Into<String>, R: IntoIterator<Item: Debug>>(
    header: impl IntoIterator<Item = N>,
    rows: impl IntoIterator<Item = R>,
) -> Result<Table, TableError> {
    let header = header.into_iter().map(Into::into).collect();
    of_rows("table::rows(header, rows)", header, kept_rows(rows))
}

/// A matrix, with the numbers of its rows and columns: `&[Vec<T>]`, `[[T; N]; M]`, or any iterator of rows,
/// such as `array.rows()` of ndarray or `matrix.row_iter()` of nalgebra.
///
/// ```
/// let table = forkline::table::matrix([[1.5, 2.0], [3.0, 4.25]])?;
/// assert!(table.to_string().ends_with("1    3  4.25"));
/// # Ok::<(), forkline::table::TableError>(())
/// ```
///
/// # Errors
///
/// [`TableError::UnequalRows`] if a row has more or fewer cells than the first.
pub fn matrix<R: IntoIterator<Item: Debug>>(
    rows: impl IntoIterator<Item = R>,
) -> Result<Table, TableError> {
    numbered("table::matrix(rows)", kept_rows(rows))
}

/// A table of the items of a slice or iterator. Structs with named fields have a column for each field and
/// tuples one for each part, as their derived `Debug` tells; anything else has one column, `value`.
///
/// Items that differ in their fields, as those of most enums, have one column too.
pub fn of<T: Debug>(items: impl IntoIterator<Item = T>) -> Table {
    of_texts(kept(items, |item| format!("{item:?}")))
}

/// A table of the keys and values of a map: a `HashMap` by its keys, a `BTreeMap` and a slice of pairs in their
/// own order. Structs as values have a column for each field.
///
/// ```
/// let table = forkline::table::map(&std::collections::HashMap::from([("b", 2), ("a", 10)]));
/// assert_eq!(table.to_string(), "key  value\n---  -----\na       10\nb        2");
/// ```
pub fn map(map: &(impl Pairs + ?Sized)) -> Table {
    let mut pairs = Vec::new();
    map.each_pair(&mut |key, value| pairs.push((format!("{key:?}"), format!("{value:?}"))));
    of_pairs(pairs, map.is_ordered())
}

// What does not depend on the types is compiled here, once, and not in each cell.

fn kept_rows<R: IntoIterator<Item: Debug>>(rows: impl IntoIterator<Item = R>) -> Ends<Vec<String>> {
    kept(rows, |row: R| {
        row.into_iter().map(|cell| format!("{cell:?}")).collect()
    })
}

#[inline(never)]
fn of_rows(
    call: &'static str,
    header: Vec<String>,
    rows: Ends<Vec<String>>,
) -> Result<Table, TableError> {
    for (at, row) in rows.numbered() {
        if row.len() != header.len() {
            return Err(TableError::UnequalRows {
                call,
                row: at,
                n_cells: row.len(),
                n_columns: header.len(),
            });
        }
    }
    let rows = rows.map(|row| row.iter().map(|text| Cell::read(text)).collect());
    Ok(Table::new(header, rows))
}

#[inline(never)]
fn numbered(call: &'static str, rows: Ends<Vec<String>>) -> Result<Table, TableError> {
    let n_columns = rows.numbered().next().map_or(0, |(_, row)| row.len());
    let header = (0..n_columns).map(|at| at.to_string()).collect();
    let mut table = of_rows(call, header, rows)?;
    table.header.insert(0, String::new());
    let numbers: Vec<_> = table.rows.numbered().map(|(at, _)| at).collect();
    let mut numbers = numbers.into_iter();
    table.rows = table.rows.map(|mut row: Vec<Cell>| {
        let number = numbers.next().unwrap_or_default();
        row.insert(0, Cell::read(&number.to_string()));
        row
    });
    Ok(table)
}

#[inline(never)]
fn of_texts(items: Ends<String>) -> Table {
    let (header, rows) = fields::split(&items);
    Table::new(header, rows)
}

#[inline(never)]
fn of_pairs(mut pairs: Vec<(String, String)>, is_ordered: bool) -> Table {
    if !is_ordered {
        pairs.sort_by(|(a, _), (b, _)| Cell::read(a).by_value(&Cell::read(b)));
    }
    let (keys, values): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    let mut table = of_texts(kept(values, |value| value));
    let mut keys = kept(keys, |key| key).into_iter();
    table.header.insert(0, "key".to_owned());
    table.rows = table.rows.map(|mut row: Vec<Cell>| {
        row.insert(0, Cell::read(&keys.next().unwrap_or_default()));
        row
    });
    table
}

/// A table or the reason why there is none: so a cell may end in [`table!`](crate::table!) as it is.
impl Show for Result<Table, TableError> {
    fn show(&self) -> Bundle {
        match self {
            Ok(table) => table.show(),
            Err(error) => Bundle::new().text(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
