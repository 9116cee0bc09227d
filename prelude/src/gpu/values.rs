//! Where an algorithm's values come from: elements of arrays, or what is made of them on the way, without an array between.

use super::array::Array;
use super::device::Device;
use super::element::{Element, Scalar};
use super::error::{GpuError, GpuResult};
use super::fuse::View;
use super::program::Given;
use super::text::type_name;

/// Values by their place `i`, as C text and what its kernel is given for it.
#[derive(Clone)]
pub(super) struct Source<'a> {
    /// Functions that the expression calls.
    pub declarations: String,
    /// The kernel's first parameters, each with a comma after it.
    pub parameters: String,
    /// The expression of value `i`.
    pub load: String,
    pub given: Vec<Given<'a>>,
    /// How many values there are.
    pub n: usize,
    /// Bytes that are read of the device's memory for all of them.
    pub bytes: usize,
}

impl<'a> Source<'a> {
    /// The elements of arrays that lie one after the other, by the names `x0`, `x1`, …; `load` says what is made of them.
    pub(super) fn new(n: usize, load: impl Into<String>) -> Source<'a> {
        Source {
            declarations: String::new(),
            parameters: String::new(),
            load: load.into(),
            given: Vec::new(),
            n,
            bytes: 0,
        }
    }

    /// Adds an array: `NAME(i)` is its element in the expression.
    pub(super) fn with<T: Element>(mut self, name: &str, array: &'a Array<T>) -> Source<'a> {
        let t = type_name(T::TYPE);
        let lower = name.to_lowercase();
        self.parameters += &format!("GLOBAL const {t} *{lower}, u64 {lower}_offset, ");
        self.declarations += &format!("#define {name}(i) {lower}[{lower}_offset + (i)]\n");
        self.given.push(Given::Buffer(&array.buffer));
        self.given
            .push(Given::Scalar(Scalar::U64(array.offset as u64)));
        self.bytes += array.len() * T::TYPE.size();
        self
    }

    /// Adds an array that is written to, contiguous: `NAME(i)` is its element.
    pub(super) fn with_room<T: Element>(mut self, name: &str, array: &'a Array<T>) -> Source<'a> {
        let t = type_name(T::TYPE);
        let lower = name.to_lowercase();
        self.parameters += &format!("GLOBAL {t} *{lower}, u64 {lower}_offset, ");
        self.declarations += &format!("#define {name}(i) {lower}[{lower}_offset + (i)]\n");
        self.given.push(Given::Buffer(&array.buffer));
        self.given
            .push(Given::Scalar(Scalar::U64(array.offset as u64)));
        self
    }

    /// Adds a value by its name.
    pub(super) fn with_value(mut self, name: &str, value: Scalar) -> Source<'a> {
        let t = type_name(value.element_type());
        self.parameters += &format!("{t} {name}, ");
        self.given.push(Given::Scalar(value));
        self
    }

    /// Adds the elements of a view that lie in order, or its only one.
    pub(super) fn with_view(mut self, name: &str, view: &'a View, n: usize) -> Source<'a> {
        let t = type_name(view.element);
        let lower = name.to_lowercase();
        self.parameters += &format!("GLOBAL const {t} *{lower}, u64 {lower}_offset, ");
        self.declarations += &format!("#define {name}(i) {lower}[{lower}_offset + (i)]\n");
        self.given.push(Given::Buffer(&view.buffer));
        self.given
            .push(Given::Scalar(Scalar::U64(view.offset as u64)));
        self.bytes += n * view.element.size();
        self
    }

    /// Adds the constants of a closure, by names that begin with `prefix`.
    pub(super) fn with_constants(self, prefix: &str, constants: &[Scalar]) -> Source<'a> {
        let numbered = constants.iter().enumerate();
        numbered.fold(self, |source, (i, value)| {
            source.with_value(&format!("{prefix}{i}"), *value)
        })
    }

    /// The elements of one array.
    pub(super) fn of<T: Element>(array: &'a Array<T>) -> Source<'a> {
        Source::new(array.len(), "X(i)").with("X", array)
    }

    /// What it is given, and more after it.
    pub(super) fn given_and(&self, more: &[Given<'a>]) -> Vec<Given<'a>> {
        self.given.iter().chain(more).copied().collect()
    }
}

/// The elements of an array of the rayon device that lie one after the other.
pub(super) fn host<T: Element>(array: &Array<T>) -> &[T::Raw] {
    &array.buffer.host::<T::Raw>()[array.offset..array.offset + array.len()]
}

/// The device of two arrays.
///
/// # Errors
/// They lie on two.
pub(super) fn same_device<T: Element, U: Element>(
    what: &str,
    a: &Array<T>,
    b: &Array<U>,
) -> GpuResult<Device> {
    match a.device() == b.device() {
        true => Ok(a.device()),
        false => Err(GpuError::Devices {
            what: what.to_owned(),
            first: a.device(),
            other: b.device(),
        }),
    }
}
