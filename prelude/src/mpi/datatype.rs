//! The numbers that slices are made of, the operators that reduce them, and whom a message goes to.

use std::fmt;

pub use super::table::Located;
use super::table::{ANY, NO_PROCESS, data, operator};

/// What slices of messages may consist of: all numbers, and [`Located`] numbers. No `bool`: MPI would put any byte there.
///
/// # Safety
/// Every pattern of bytes is a value of the type, and `CODE` is its type of MPI.
pub unsafe trait Datatype: Copy + Send + Sync + fmt::Debug + 'static {
    #[doc(hidden)]
    const CODE: u32;
    #[doc(hidden)]
    const ZERO: Self;
}

/// The numbers among the [`Datatype`]s: what [`Operator`]s reduce.
pub trait Number: Datatype {}

/// The whole numbers of 32 and 64 bits among them: what can be compared and swapped. Networks swap no shorter ones.
pub trait Whole: Number {}

macro_rules! numbers {
    ($($number:ty: $code:ident, $zero:expr;)*) => {
        $(
            // SAFETY: numbers are their bytes.
            unsafe impl Datatype for $number {
                const CODE: u32 = data::$code;
                const ZERO: Self = $zero;
            }

            impl Number for $number {}

            // SAFETY: a number and a number, each in its place; what lies between them is never read.
            unsafe impl Datatype for Located<$number> {
                const CODE: u32 = data::LOCATED + data::$code;
                const ZERO: Self = Located { value: $zero, place: 0 };
            }
        )*
    };
}

numbers! {
    u8: U8, 0; i8: I8, 0; u16: U16, 0; i16: I16, 0; u32: U32, 0; i32: I32, 0; u64: U64, 0; i64: I64, 0;
    usize: U64, 0; isize: I64, 0; f32: F32, 0.0; f64: F64, 0.0;
}

macro_rules! whole {
    ($($number:ty)*) => { $(impl Whole for $number {})* };
}

whole! { u32 i32 u64 i64 usize isize }

const _: () = assert!(size_of::<usize>() == 8, "usize is sent as 64 bits");

/// An operator of a reduction of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operator(u32);

/// An operator that also tells where the result was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaceOperator(u32);

/// An operator that windows know and reductions do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowOperator(u32);

/// What is new takes the place of what is there: a write that is atomic for each number.
pub const REPLACE: WindowOperator = WindowOperator(operator::REPLACE);
/// What is there stays: a read that is atomic for each number.
pub const NO_OP: WindowOperator = WindowOperator(operator::NO_OP);

/// The sum.
pub const SUM: Operator = Operator(operator::SUM);
/// The product.
pub const PROD: Operator = Operator(operator::PROD);
/// The largest.
pub const MAX: Operator = Operator(operator::MAX);
/// The smallest.
pub const MIN: Operator = Operator(operator::MIN);
/// 1 if all are different from 0, else 0.
pub const LAND: Operator = Operator(operator::LAND);
/// Bit by bit: and.
pub const BAND: Operator = Operator(operator::BAND);
/// 1 if one is different from 0, else 0.
pub const LOR: Operator = Operator(operator::LOR);
/// Bit by bit: or.
pub const BOR: Operator = Operator(operator::BOR);
/// 1 if an odd number of them is different from 0, else 0.
pub const LXOR: Operator = Operator(operator::LXOR);
/// Bit by bit: exclusive or.
pub const BXOR: Operator = Operator(operator::BXOR);
/// The largest, and where it is.
pub const MAXLOC: PlaceOperator = PlaceOperator(operator::MAXLOC);
/// The smallest, and where it is.
pub const MINLOC: PlaceOperator = PlaceOperator(operator::MINLOC);

/// Which operators go with a type.
pub trait Reduces<T> {
    #[doc(hidden)]
    fn code(self) -> u32;
}

impl<T: Number> Reduces<T> for Operator {
    fn code(self) -> u32 {
        self.0
    }
}

impl<T: Number> Reduces<Located<T>> for PlaceOperator
where
    Located<T>: Datatype,
{
    fn code(self) -> u32 {
        self.0
    }
}

/// Which operators accumulate numbers in a [`Window`](super::Window).
pub trait Accumulates<T> {
    #[doc(hidden)]
    fn code(self) -> u32;
}

impl<T: Number> Accumulates<T> for Operator {
    fn code(self) -> u32 {
        self.0
    }
}

impl<T: Number> Accumulates<T> for WindowOperator {
    fn code(self) -> u32 {
        self.0
    }
}

impl<T> Located<T> {
    /// A value and its place, mostly a rank.
    pub fn new(value: T, place: usize) -> Self {
        Located {
            value,
            place: place as u64,
        }
    }
}

/// The other side of a message: a rank, any, or none.
///
/// Numbers become ranks; `None` is the null process, to and from which every message is done at once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub(super) i32);

/// A receive takes the message of any rank.
pub const ANY_SOURCE: Peer = Peer(ANY);
/// The null process.
pub const PROC_NULL: Peer = Peer(NO_PROCESS);

/// The tag of a message to receive: a number, or any.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tag(pub(super) i32);

/// A receive takes the message with any tag.
pub const ANY_TAG: Tag = Tag(ANY);

impl From<i32> for Peer {
    fn from(rank: i32) -> Self {
        // The two lowest numbers have a meaning of their own; as ranks all negative ones are equally wrong.
        Peer(rank.max(-1))
    }
}

impl From<usize> for Peer {
    fn from(rank: usize) -> Self {
        Peer(i32::try_from(rank).unwrap_or(i32::MAX))
    }
}

impl From<Option<usize>> for Peer {
    fn from(rank: Option<usize>) -> Self {
        rank.map_or(PROC_NULL, Peer::from)
    }
}

impl From<i32> for Tag {
    fn from(tag: i32) -> Self {
        Tag(tag.max(-1))
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ANY => formatter.write_str("any rank"),
            NO_PROCESS => formatter.write_str("no process"),
            rank => write!(formatter, "rank {rank}"),
        }
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ANY => formatter.write_str("any tag"),
            tag => write!(formatter, "tag {tag}"),
        }
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// What is known of a message that was received or found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The rank that sent it; `usize::MAX` for the null process.
    pub source: usize,
    /// Its tag.
    pub tag: i32,
    /// Its length in bytes; see [`count`](Self::count).
    pub bytes: usize,
}

impl Status {
    /// How many numbers of a type the message of a slice has.
    pub fn count<T: Datatype>(&self) -> usize {
        self.bytes / size_of::<T>()
    }
}

impl From<super::table::RawStatus> for Status {
    fn from(raw: super::table::RawStatus) -> Self {
        Status {
            source: usize::try_from(raw.source).unwrap_or(usize::MAX),
            tag: raw.tag,
            bytes: usize::try_from(raw.bytes).unwrap_or(0),
        }
    }
}
