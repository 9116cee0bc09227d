//! Shapes, strides and ranges: where in its buffer an element of an array lies.
//!
//! Axes are numbered from 0, the last one is the fastest (as in C and NumPy). Strides count elements.

use std::ops::{Range, RangeFrom, RangeFull, RangeInclusive, RangeTo, RangeToInclusive};

use super::error::{GpuError, GpuResult};

/// What can be given as a shape: a length, an array or slice of lengths, a vector of them, a tuple.
pub trait IntoShape {
    /// The lengths of all axes.
    fn into_shape(self) -> Vec<usize>;
}

impl IntoShape for usize {
    fn into_shape(self) -> Vec<usize> {
        vec![self]
    }
}

impl<const N: usize> IntoShape for [usize; N] {
    fn into_shape(self) -> Vec<usize> {
        self.to_vec()
    }
}

impl IntoShape for &[usize] {
    fn into_shape(self) -> Vec<usize> {
        self.to_vec()
    }
}

impl IntoShape for &Vec<usize> {
    fn into_shape(self) -> Vec<usize> {
        self.clone()
    }
}

impl IntoShape for Vec<usize> {
    fn into_shape(self) -> Vec<usize> {
        self
    }
}

impl IntoShape for (usize, usize) {
    fn into_shape(self) -> Vec<usize> {
        vec![self.0, self.1]
    }
}

impl IntoShape for (usize, usize, usize) {
    fn into_shape(self) -> Vec<usize> {
        vec![self.0, self.1, self.2]
    }
}

/// How many elements a shape has.
///
/// # Errors
/// More than can be counted.
pub(super) fn count(shape: &[usize]) -> GpuResult<usize> {
    let product = shape
        .iter()
        .try_fold(1_usize, |product, &length| product.checked_mul(length));
    product
        .filter(|&n| n <= isize::MAX as usize / 8)
        .ok_or_else(|| {
            GpuError::shape(
                format!("an array of shape {shape:?}"),
                "it has too many elements",
            )
        })
}

/// The strides of an array whose elements lie one after the other.
pub(super) fn row_major(shape: &[usize]) -> Vec<isize> {
    let mut strides = vec![0; shape.len()];
    let mut stride = 1_isize;
    for (axis, &length) in shape.iter().enumerate().rev() {
        strides[axis] = stride;
        stride *= length.max(1) as isize;
    }
    strides
}

/// The shape that two have together, by NumPy's rule: from the last axis on, lengths are equal or one of them is 1.
///
/// # Errors
/// They do not fit.
pub(super) fn broadcast(what: &str, a: &[usize], b: &[usize]) -> GpuResult<Vec<usize>> {
    let n = a.len().max(b.len());
    let length = |shape: &[usize], axis: usize| {
        let missing = n - shape.len();
        if axis < missing {
            1
        } else {
            shape[axis - missing]
        }
    };
    let axes = (0..n).map(|axis| match (length(a, axis), length(b, axis)) {
        (x, y) if x == y => Some(x),
        (1, y) => Some(y),
        (x, 1) => Some(x),
        _ => None,
    });
    axes.collect::<Option<_>>().ok_or_else(|| {
        GpuError::shape(
            format!("{what} of arrays of shapes {a:?} and {b:?}"),
            "from the last axis on, lengths must be equal or one of them 1",
        )
    })
}

/// A part of an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    start: Option<usize>,
    end: Option<usize>,
    step: isize,
}

/// What can be given as a part of an axis: a range of any kind, or [`step`].
impl Span {
    /// First element, number of elements and step, of an axis of this length.
    pub(super) fn resolve(self, axis: usize, length: usize) -> GpuResult<(usize, usize, isize)> {
        let (start, end) = (self.start.unwrap_or(0), self.end.unwrap_or(length));
        if start > end || end > length {
            return Err(GpuError::shape(
                format!("the part {start}..{end} of axis {axis}"),
                format!("the axis has {length} elements"),
            ));
        }
        let n = (end - start).div_ceil(self.step.unsigned_abs());
        let first = match self.step {
            step if step < 0 && end > start => end - 1,
            _ => start,
        };
        Ok((first, n, self.step))
    }
}

/// Every `by`-th element of a range; a negative `by` begins at the end and goes back.
///
/// # Panics
/// `by` is 0.
///
/// ```
/// use forkline::gpu;
///
/// let a = gpu::array(&[0, 1, 2, 3, 4])?;
/// assert_eq!(a.slice(gpu::step(.., -2))?.to_vec()?, [4, 2, 0]);
/// # Ok::<(), gpu::GpuError>(())
/// ```
pub fn step(range: impl Into<Span>, by: isize) -> Span {
    assert!(by != 0, "a step of 0 leads nowhere");
    Span {
        step: by,
        ..range.into()
    }
}

macro_rules! span_from {
    ($($range:ty: $it:ident => $start:expr, $end:expr;)*) => {$(
        impl From<$range> for Span {
            fn from($it: $range) -> Span {
                Span { start: $start, end: $end, step: 1 }
            }
        }
    )*};
}

span_from! {
    Range<usize>: it => Some(it.start), Some(it.end);
    RangeFrom<usize>: it => Some(it.start), None;
    RangeTo<usize>: it => None, Some(it.end);
    RangeInclusive<usize>: it => Some(*it.start()), Some(it.end() + 1);
    RangeToInclusive<usize>: it => None, Some(it.end + 1);
}

impl From<RangeFull> for Span {
    fn from(_: RangeFull) -> Span {
        Span {
            start: None,
            end: None,
            step: 1,
        }
    }
}

/// What can be given to [`slice`](super::Array::slice): a part for each of the first axes.
pub trait IntoSpans {
    /// The parts.
    fn into_spans(self) -> Vec<Span>;
}

impl<A: Into<Span>> IntoSpans for A {
    fn into_spans(self) -> Vec<Span> {
        vec![self.into()]
    }
}

macro_rules! spans_from {
    ($($name:ident $place:tt),*) => {
        impl<$($name: Into<Span>),*> IntoSpans for ($($name,)*) {
            fn into_spans(self) -> Vec<Span> {
                vec![$(self.$place.into()),*]
            }
        }
    };
}

spans_from!(A 0, B 1);
spans_from!(A 0, B 1, C 2);
spans_from!(A 0, B 1, C 2, D 3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_broadcast_from_the_last_axis() {
        assert_eq!(broadcast("x", &[3, 1], &[4]).unwrap(), [3, 4]);
        assert_eq!(broadcast("x", &[], &[2, 2]).unwrap(), [2, 2]);
        let error = broadcast("sum", &[3], &[4]).unwrap_err().to_string();
        assert!(
            error.starts_with("sum of arrays of shapes [3] and [4]: the shapes do not fit\nwhy: "),
            "{error}"
        );
    }

    #[test]
    fn parts_stay_within_their_axis() {
        assert_eq!(Span::from(1..4).resolve(0, 5).unwrap(), (1, 3, 1));
        assert_eq!(step(.., -2).resolve(0, 5).unwrap(), (4, 3, -2));
        assert_eq!(step(1..4, 2).resolve(0, 5).unwrap(), (1, 2, 2));
        assert_eq!(Span::from(2..=3).resolve(0, 4).unwrap(), (2, 2, 1));
        assert!(Span::from(1..6).resolve(0, 5).is_err());
    }

    #[test]
    fn too_many_elements_are_an_error() {
        assert!(count(&[usize::MAX, 2]).is_err());
        assert_eq!(count(&[2, 0, 3]).unwrap(), 0);
        assert_eq!(row_major(&[2, 3, 4]), [12, 4, 1]);
    }
}
