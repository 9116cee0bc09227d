//! What arrays do, compiled in this library for each type of elements.
//!
//! A generic function is compiled in each cell that calls it, with all that it calls. So public methods of arrays are thin,
//! and call a function of one of these traits, which exists compiled for each type: a cell that calculates with arrays
//! compiles as quickly as one that does not.
//!
//! What always holds: nothing here does anything but call the function of the same name.

use std::ops::Range;

use super::array::Array;
use super::closure::{Traced, map_reduce_here, reduce_here, scan_here};
use super::device::Device;
use super::element::{Element, Float, Numeric};
use super::elementwise::{arange_here, run_pass_here};
use super::error::GpuResult;
use super::fuse::View;
use super::gather::{Index, Places, places_within_here, put_here, take_here};
use super::graph::{Binary, Graph, NodeId, Unary};
use super::histogram::{bincount_here, histogram_here};
use super::join::concatenate_here;
use super::matmul::matmul_here;
use super::operation::Operation;
use super::operators::{Other, assign_here, pair_here, single_here};
use super::random::Random;
use super::reduce::{
    along_here, dot_here, extreme_here, fold_here, mean_here, place_here, variance_here,
};
use super::scan::running_here;
use super::select::{compress_here, nonzero_here, unique_here};
use super::shape::Span;
use super::sort::{places_here, sorted_here};
use super::source::Held;
use crate::display::Bundle;

/// Declares a trait, and implements it for each type by the functions behind the arrows.
macro_rules! instances {
    (
        $(#[$doc:meta])* trait $trait:ident: $bound:ident for $types:tt {
            $(fn $name:ident($($argument:ident: $type:ty),* $(,)?) -> $result:ty => $to:expr;)*
        }
    ) => {
        $(#[$doc])*
        #[allow(private_interfaces, reason = "named by this library only")]
        pub trait $trait: Sized {
            $(
                #[doc(hidden)]
                fn $name($($argument: $type),*) -> $result
                where
                    Self: $bound;
            )*
        }
        instances!(@each $trait $bound $types {
            $(fn $name($($argument: $type),*) -> $result => $to;)*
        });
    };
    (@each $trait:ident $bound:ident [$($for:ty)*] $functions:tt) => {
        $(instances!(@one $trait $bound $for $functions);)*
    };
    (@one $trait:ident $bound:ident $for:ty {
        $(fn $name:ident($($argument:ident: $type:ty),*) -> $result:ty => $to:expr;)*
    }) => {
        #[allow(private_interfaces, reason = "named by this library only")]
        impl $trait for $for {
            $(
                #[inline(never)]
                fn $name($($argument: $type),*) -> $result {
                    $to($($argument),*)
                }
            )*
        }
    };
}

instances! {
    /// Of arrays of any elements.
    trait OfElements: Element for [f32 f64 i32 i64 u32 u64 bool] {
        fn from_slice(device: Device, shape: Vec<usize>, items: &[Self]) -> GpuResult<Array<Self>> => Array::from_slice_here;
        fn full(device: Device, shape: Vec<usize>, value: Self) -> GpuResult<Array<Self>> => Array::full_here;
        fn empty(device: Device, shape: Vec<usize>) -> GpuResult<Array<Self>> => Array::empty_here;
        fn to_vec(array: &Array<Self>) -> GpuResult<Vec<Self>> => Array::to_vec_here;
        fn item(array: &Array<Self>) -> GpuResult<Self> => Array::item_here;
        fn get(array: &Array<Self>, index: &[usize]) -> GpuResult<Self> => Array::get_here;
        fn write(array: &mut Array<Self>, items: &[Self]) -> GpuResult<()> => Array::write_here;
        fn reshape(array: &Array<Self>, shape: Vec<usize>) -> GpuResult<Array<Self>> => Array::reshape_here;
        fn permute(array: &Array<Self>, axes: &[usize]) -> GpuResult<Array<Self>> => Array::permute_here;
        fn slice(array: &Array<Self>, spans: Vec<Span>) -> GpuResult<Array<Self>> => Array::slice_here;
        fn at(array: &Array<Self>, axis: usize, index: usize) -> GpuResult<Array<Self>> => Array::at_here;
        fn broadcast_to(array: &Array<Self>, shape: Vec<usize>) -> GpuResult<Array<Self>> => Array::broadcast_to_here;
        fn copy(array: &Array<Self>) -> GpuResult<Array<Self>> => Array::copy_here;
        fn show(array: &Array<Self>) -> Bundle => Array::show_here;
        fn hold(array: &Array<Self>) -> GpuResult<Held> => Array::hold_here;
        fn hold_mut(array: &mut Array<Self>) -> GpuResult<Held> => Array::hold_mut_here;
        fn view(array: &Array<Self>, shape: &[usize]) -> GpuResult<View> => View::of;
        fn run_pass(
            name: &'static str,
            graph: &Graph,
            root: NodeId,
            views: &[View],
            shape: &[usize],
            device: Device,
        ) -> GpuResult<Array<Self>> => run_pass_here;
        fn update(
            array: &mut Array<Self>,
            name: &'static str,
            others: Vec<View>,
            graph: &Graph,
            root: NodeId,
        ) -> GpuResult<()> => Array::update_here;
        fn pair(
            name: &'static str,
            op: Binary,
            first: &Array<Self>,
            other: &Other<'_, Self>,
            is_swapped: bool,
        ) -> GpuResult<Array<Self>> => pair_here;
        fn compare(
            name: &'static str,
            op: Binary,
            first: &Array<Self>,
            other: &Other<'_, Self>,
            is_swapped: bool,
        ) -> GpuResult<Array<bool>> => pair_here;
        fn assign(
            name: &'static str,
            op: Binary,
            first: &mut Array<Self>,
            other: &Other<'_, Self>,
        ) -> GpuResult<()> => assign_here;
        fn single(name: &'static str, op: Unary, array: &Array<Self>) -> GpuResult<Array<Self>> => single_here;
        fn compress(array: &Array<Self>, mask: &Array<bool>) -> GpuResult<Array<Self>> => compress_here;
        fn nonzero(array: &Array<Self>) -> GpuResult<Array<u64>> => nonzero_here;
        fn take(array: &Array<Self>, places: &Places) -> GpuResult<Array<Self>> => take_here;
        fn put(array: &mut Array<Self>, places: &Places, values: &Array<Self>) -> GpuResult<()> => put_here;
        fn concatenate(arrays: &[&Array<Self>], axis: usize) -> GpuResult<Array<Self>> => concatenate_here;
        fn reduce_traced(array: &Array<Self>, identity: Self, combine: &Traced) -> GpuResult<Self> => reduce_here;
        fn map_reduce_traced(
            map: &Traced,
            views: &[View],
            shape: &[usize],
            identity: Self,
            combine: &Traced,
        ) -> GpuResult<Self> => map_reduce_here;
        fn scan_traced(
            array: &Array<Self>,
            identity: Self,
            combine: &Traced,
            is_inclusive: bool,
        ) -> GpuResult<Array<Self>> => scan_here;
    }
}

instances! {
    /// Of arrays of numbers.
    trait OfNumbers: Numeric for [f32 f64 i32 i64 u32 u64] {
        fn arange(n: usize) -> GpuResult<Array<Self>> => arange_here;
        fn fold(array: &Array<Self>, operation: Operation, identity: Self) -> GpuResult<Self> => fold_here;
        fn extreme(array: &Array<Self>, operation: Operation, identity: Self) -> GpuResult<Self> => extreme_here;
        fn place_of(
            array: &Array<Self>,
            name: &'static str,
            operation: Operation,
            identity: Self,
        ) -> GpuResult<usize> => place_here;
        fn mean(array: &Array<Self>) -> GpuResult<f64> => mean_here;
        fn variance(array: &Array<Self>) -> GpuResult<f64> => variance_here;
        fn dot(array: &Array<Self>, other: &Array<Self>) -> GpuResult<Self> => dot_here;
        fn along(
            array: &Array<Self>,
            axis: usize,
            operation: Operation,
            identity: Self,
            name: &'static str,
        ) -> GpuResult<Array<Self>> => along_here;
        fn running(
            array: &Array<Self>,
            name: &'static str,
            operation: Operation,
            identity: Self,
            is_inclusive: bool,
        ) -> GpuResult<Array<Self>> => running_here;
        fn sorted(array: &Array<Self>, is_descending: bool) -> GpuResult<Array<Self>> => sorted_here;
        fn places(array: &Array<Self>, is_descending: bool) -> GpuResult<Array<u64>> => places_here;
        fn unique(array: &Array<Self>) -> GpuResult<Array<Self>> => unique_here;
        fn histogram(array: &Array<Self>, n_bins: usize, low: f64, high: f64) -> GpuResult<Array<u64>> => histogram_here;
        fn matmul(array: &Array<Self>, other: &Array<Self>) -> GpuResult<Array<Self>> => matmul_here;
    }
}

instances! {
    /// Of arrays of floating-point numbers.
    trait OfFloats: Float for [f32 f64] {
        fn uniform(random: &mut Random, shape: Vec<usize>) -> GpuResult<Array<Self>> => Random::uniform_here;
        fn normal(random: &mut Random, shape: Vec<usize>) -> GpuResult<Array<Self>> => Random::normal_here;
    }
}

instances! {
    /// Of arrays of integers.
    trait OfIndices: Index for [i32 i64 u32 u64] {
        fn places_within(what: &str, array: &Array<Self>, n: usize) -> GpuResult<Places> => places_within_here;
        fn bincount(array: &Array<Self>, n_bins: usize) -> GpuResult<Array<u64>> => bincount_here;
        fn integers(random: &mut Random, shape: Vec<usize>, range: Range<Self>) -> GpuResult<Array<Self>> => Random::integers_here;
    }
}
