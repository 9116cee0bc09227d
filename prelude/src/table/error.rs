//! What can be wrong with the parts of a table.

use std::error::Error;
use std::fmt;

/// Why no table could be made.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TableError {
    /// A row has more or fewer cells than there are columns.
    UnequalRows {
        /// The call that was made.
        call: &'static str,
        /// Which row, counted from 0.
        row: usize,
        /// How many cells it has.
        n_cells: usize,
        /// How many columns the header, or the first row of a matrix, has.
        n_columns: usize,
    },
    /// Two columns are not equally long.
    UnequalColumns {
        /// The name of the first column.
        column: String,
        /// How many rows it has.
        n_rows: usize,
        /// The name of the column that differs.
        other: String,
        /// How many rows that one has.
        n_other: usize,
    },
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnequalRows {
                call,
                row,
                n_cells,
                n_columns,
            } => write!(
                f,
                "{call}: row {row} has {n_cells} cells where there are {n_columns} columns\n\
                 why: the header, or the first row of a matrix, says how many columns there are; rows count from 0\n\
                 do:  give row {row} {n_columns} cells, such as \"\" for those that are missing\n     \
                      or show each row as a list: table::of(&rows)"
            ),
            Self::UnequalColumns {
                column,
                n_rows,
                other,
                n_other,
            } => write!(
                f,
                "table! {{ … }}: column {other:?} has {n_other} rows where {column:?} has {n_rows}\n\
                 why: all columns of a table are equally long\n\
                 do:  look at what fills {other:?}, or shorten both: values.iter().take({})",
                n_rows.min(n_other)
            ),
        }
    }
}

/// The same text as `Display`: `unwrap` shows an error through `Debug`, and the cure must be readable there.
impl fmt::Debug for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for TableError {}
