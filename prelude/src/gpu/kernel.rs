//! Kernels that are written in Rust: what [`kernel!`](crate::kernel) makes of functions, and how they are launched.
//!
//! rustc checks the function's text in the cell, types and all. At the first launch the text is translated to CUDA C or OpenCL C and
//! compiled for the device; where there is none, the compiled function itself runs on the processor's cores.
//!
//! # What a text may hold
//!
//! * parameters: `&[T]` to read, `&mut [T]` to write, `&[Atomic<T>]` for elements that several work items write, numbers, `bool`;
//! * `let`, assignments, `if`, `match` over integers, `for` over ranges with `.rev()` and `.step_by(n)`, `while`, `loop`,
//!   `break`, `continue`, labels, `return`, `as`; private arrays such as `[0.0_f32; 16]`;
//! * the methods of numbers (`sqrt`, `powi`, `mul_add`, `clamp`, `rem_euclid`, `wrapping_add`, `count_ones`, …), and constants
//!   such as `f32::MAX` or `std::f32::consts::PI`;
//! * `global_id(d)`, `local_id(d)`, `group_id(d)`, `global_size(d)`, `local_size(d)`, `n_groups(d)`;
//! * `let tile = local!([f32; 256]);` for memory that a group shares, and `barrier()`;
//! * other functions and constants of the same `kernel!`.
//!
//! All else is an error at the first launch, on every device the same, with its line and what to write instead.
//!
//! # What always holds
//!
//! * The text means on a device what it means in Rust: integers wrap, shifts are masked, casts saturate. Floating-point functions
//!   may differ in their last digits, and a device may calculate `a * b + c` in one step.
//! * An index out of range reads 0 and writes nothing; it is an error where the host next waits for the device. So is a
//!   division by 0, which on the processor is Rust's panic.
//! * No two work items may access an element, one of them writing, unless a barrier of their group lies between or the
//!   elements are [`Atomic`]. On a device such a race gives any number. On the processor it is an error, always, that names the
//!   element: run a new kernel there once, `gpu::device("rayon")?.scope(|| …)`.

mod arguments;
mod atomic;
mod faults;
mod host;
#[allow(dead_code, reason = "the translator uses the rest")]
mod interface;
mod launch;
mod macros;
mod shared;
#[cfg(test)]
mod tests;
mod translation;
/// What kernels may call.
pub mod words;

use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;

use super::device::Dialect;
use super::error::GpuResult;
use super::source::Dimensions;
use crate::display::{Bundle, Show};
#[doc(hidden)]
pub use arguments::Arguments;
pub use arguments::{AtomicOut, In, Number, Out, Parameter, Parameters, Value};
pub use atomic::{Atomic, AtomicElement, Atomics};
pub(super) use faults::check as check_faults;
pub use launch::LaunchOf;
pub use shared::Shared;
use translation::translation;

/// What `kernel!` knows of a kernel.
#[doc(hidden)]
#[derive(Debug)]
pub struct Definition {
    pub name: &'static str,
    /// The words of the whole `kernel!`.
    pub tokens: &'static str,
    /// Where it stands.
    pub location: &'static Location<'static>,
    /// One work item on the processor.
    pub form: host::HostForm,
}

/// A kernel with the parameters `P`. `kernel!` makes a module for each, whose `kernel()` is this.
pub struct KernelFunction<P> {
    definition: &'static Definition,
    parameters: PhantomData<fn(P)>,
}

/// The text of a kernel in one of the languages; as the last expression of a cell it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    text: String,
    dialect: Dialect,
}

impl<P: Parameters> KernelFunction<P> {
    #[doc(hidden)]
    pub fn new(definition: &'static Definition) -> KernelFunction<P> {
        KernelFunction {
            definition,
            parameters: PhantomData,
        }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.definition.name
    }

    /// A launch of so many work items in one to three dimensions: `n`, `[width, height]`.
    pub fn over(&self, items: impl Dimensions) -> LaunchOf<P> {
        LaunchOf::new(KernelFunction::new(self.definition), items.dimensions())
    }

    /// The text that it becomes in a language.
    ///
    /// # Errors
    /// It holds what no device can do; the translator has not been built.
    pub fn source(&self, dialect: Dialect) -> GpuResult<Source> {
        let translation = translation(self.definition, dialect)?;
        Ok(Source {
            text: translation.text.clone(),
            dialect,
        })
    }
}

impl Source {
    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its language.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Show for Source {
    fn show(&self) -> Bundle {
        let html = format!("<pre>{}</pre>", crate::display::escape(&self.text));
        Bundle::new()
            .with("text/html", html)
            .with("text/plain", self.text.as_str())
    }
}

impl<P> fmt::Debug for KernelFunction<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KernelFunction({})", self.definition.name)
    }
}
