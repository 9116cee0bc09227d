//! How a file is opened, and which part of it a rank sees.

use std::ops::BitOr;

use super::error::{Call, ErrorClass, MpiError, MpiResult};
use super::parcel::count;
use super::table::{Pattern, open};

/// How a file is opened: `Mode::READ | Mode::WRITE`, and the like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(pub(super) u32);

/// A bit of this side's: the table needs it not.
const APPEND: u32 = 1 << 31;

impl Mode {
    /// To read.
    pub const READ: Mode = Mode(open::READ);
    /// To write. What is in the file stays; [`File::set_size`](super::File::set_size) empties it.
    pub const WRITE: Mode = Mode(open::WRITE);
    /// Makes the file if it is not there.
    pub const CREATE: Mode = Mode(open::CREATE);
    /// With [`CREATE`](Self::CREATE): an error if it is there.
    pub const EXCLUSIVE: Mode = Mode(open::EXCLUSIVE);
    /// Reads and writes in the order of ranks begin at the end.
    pub const APPEND: Mode = Mode(APPEND);
    /// The file is gone when it is closed.
    pub const DELETE_ON_CLOSE: Mode = Mode(open::DELETE_ON_CLOSE);

    /// Whether it has all of another one.
    pub fn has(self, other: Mode) -> bool {
        self.0 & other.0 == other.0
    }

    /// The bits that MPI is given. It does not get `APPEND`, by which some systems write to the end whatever the place.
    pub(super) fn bits(self) -> u32 {
        self.0 & !APPEND
    }
}

impl BitOr for Mode {
    type Output = Mode;

    fn bitor(self, other: Mode) -> Mode {
        Mode(self.0 | other.0)
    }
}

/// Which items of a file a rank sees, one behind the other, as if there were no others: its view. Ranks may have
/// different ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    pub(super) displacement: u64,
    shape: Shape,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Shape {
    #[default]
    All,
    Strided {
        block: usize,
        stride: usize,
    },
    Part {
        sizes: Vec<usize>,
        part: Vec<usize>,
        starts: Vec<usize>,
    },
}

impl View {
    /// Everything from this byte on.
    pub fn from_byte(displacement: u64) -> View {
        View {
            displacement,
            shape: Shape::All,
        }
    }

    /// From this byte on, the first `block` items of each `stride`.
    ///
    /// ```
    /// # use forkline::mpi::View;
    /// // Blocks of 100 numbers, dealt to the ranks like cards:
    /// # let (rank, size) = (1, 4);
    /// let mine = View::strided((rank * 100 * size_of::<f64>()) as u64, 100, 100 * size);
    /// ```
    pub fn strided(displacement: u64, block: usize, stride: usize) -> View {
        let shape = Shape::Strided { block, stride };
        View {
            displacement,
            shape,
        }
    }

    /// Of an array that begins at this byte, the last dimension side by side as in C, a part: for each dimension the
    /// array's length, the part's, and where the part begins.
    ///
    /// ```
    /// # use forkline::mpi::View;
    /// // The right half of a matrix of 6 rows and 8 columns.
    /// let half = View::part_of(0, &[6, 8], &[6, 4], &[0, 4]);
    /// ```
    pub fn part_of(displacement: u64, sizes: &[usize], part: &[usize], starts: &[usize]) -> View {
        View {
            displacement,
            shape: Shape::Part {
                sizes: sizes.to_vec(),
                part: part.to_vec(),
                starts: starts.to_vec(),
            },
        }
    }

    /// The view in numbers as MPI takes them.
    ///
    /// # Errors
    /// It has no items, or overlaps itself, or the part does not lie in the array.
    pub(super) fn layout(&self, call: &Call) -> MpiResult<Layout> {
        let wrong = |text: String| MpiError::Failed {
            call: *call,
            class: ErrorClass::Count,
            text,
        };
        let as_counts = |list: &[usize]| -> MpiResult<Vec<i32>> {
            list.iter().map(|&n| count(call, n)).collect()
        };
        let mut layout = Layout::default();
        match &self.shape {
            Shape::All => {}
            &Shape::Strided { block, stride } => {
                if block == 0 || block > stride {
                    return Err(wrong(format!(
                        "a view of {block} items of each {stride}: of each stride it takes at least one item and at \
                         most all"
                    )));
                }
                (layout.block, layout.stride) = (count(call, block)?, count(call, stride)?);
            }
            Shape::Part {
                sizes,
                part,
                starts,
            } => {
                let fits = !sizes.is_empty()
                    && (part.len(), starts.len()) == (sizes.len(), sizes.len())
                    && (0..sizes.len()).all(|at| {
                        let end = starts[at].checked_add(part[at]);
                        part[at] > 0 && end.is_some_and(|end| end <= sizes[at])
                    });
                if !fits {
                    return Err(wrong(format!(
                        "a part of {part:?} items from {starts:?} on does not lie in an array of {sizes:?}"
                    )));
                }
                layout.sizes = as_counts(sizes)?;
                layout.part = as_counts(part)?;
                layout.starts = as_counts(starts)?;
            }
        }
        Ok(layout)
    }
}

/// A view in MPI's numbers.
#[derive(Default)]
pub(super) struct Layout {
    block: i32,
    stride: i32,
    sizes: Vec<i32>,
    part: Vec<i32>,
    starts: Vec<i32>,
}

impl Layout {
    /// What the table takes; it points into this.
    pub(super) fn pattern(&self) -> Pattern {
        Pattern {
            block: self.block,
            stride: self.stride,
            // As many as a view has dimensions.
            n: self.sizes.len() as i32,
            sizes: self.sizes.as_ptr(),
            part_sizes: self.part.as_ptr(),
            starts: self.starts.as_ptr(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_that_make_no_sense_are_told() {
        let call = Call::here("set_view");
        assert!(View::default().layout(&call).is_ok());
        assert!(View::strided(0, 2, 2).layout(&call).is_ok());
        for (view, told) in [
            (View::strided(0, 0, 2), "at least one item"),
            (View::strided(0, 3, 2), "3 items of each 2"),
            (
                View::part_of(0, &[4, 4], &[2, 2], &[0, 3]),
                "does not lie in",
            ),
            (View::part_of(0, &[4], &[2, 2], &[0]), "does not lie in"),
            (
                View::part_of(0, &[4], &[usize::MAX], &[1]),
                "does not lie in",
            ),
            (View::part_of(0, &[], &[], &[]), "does not lie in"),
            (View::part_of(0, &[1 << 40], &[1], &[0]), "too many"),
        ] {
            let Err(error) = view.layout(&call) else {
                panic!("{view:?} is no error");
            };
            assert!(error.to_string().contains(told), "{error}");
        }
    }

    #[test]
    fn modes_are_put_together() {
        let mode = Mode::READ | Mode::APPEND;
        assert!(mode.has(Mode::APPEND) && !mode.has(Mode::WRITE | Mode::READ));
        assert_eq!(mode.bits(), Mode::READ.0);
    }
}
