//! Arrays that live on a device, and kernels for it: CUDA, OpenCL or the processor's own cores, with one text.
//!
//! [`devices`] lists what there is. The best of it is the [`default`]: a card by CUDA, a card by OpenCL, the processor by
//! OpenCL, the processor by rayon, which is always there. So a notebook's text runs on every machine.
//!
//! What always holds:
//! * a driver that is missing is an ordinary error, and only of a call that asks for just this driver;
//! * orders to a device are carried out later, in their order; what brings values to the host waits for them;
//! * arrays are values: an array never changes because another one does;
//! * what was compiled for a device is kept on disk.
//!
//! ```
//! use forkline::prelude::*;
//!
//! let a = gpu::array(&[1.0_f32, 2.0, 3.0])?;
//! let b = gpu::linspace(0.0, 1.0, 3)?;
//! assert_eq!((&a + &b).to_vec()?, [1.0, 2.5, 4.0]);
//!
//! // One kernel, whatever the closure calculates.
//! let c = gpu::zip((&a, &b), |(a, b)| a * a + b.sin())?;
//! assert_eq!(c.to_vec()?[0], 1.0);
//! # Ok::<(), gpu::GpuError>(())
//! ```

mod arithmetic;
mod array;
mod closure;
mod device;
mod each;
mod element;
mod elementwise;
mod error;
mod expr;
mod facts;
mod fuse;
mod gather;
mod graph;
mod histogram;
mod info;
mod instances;
mod interpret;
mod join;
pub mod kernel;
mod library;
mod manner;
mod matmul;
mod memory;
mod operation;
mod operators;
mod order;
mod parallel;
mod profile;
mod program;
mod random;
mod reduce;
mod scan;
mod select;
mod shape;
mod show;
mod sort;
mod source;
mod stream;
#[allow(dead_code, reason = "the plugins use the rest")]
mod table;
mod text;
mod values;

pub use array::{Array, array, array_of, empty, full, ones, zeros};
pub use closure::{map_reduce, reduce};
pub use device::{Device, Dialect, Kind, default, device, devices, set_default};
pub use element::{Element, ElementType, Float, Numeric, Scalar};
pub use elementwise::{Arrays, arange, from_fn, linspace, zip};
pub use error::{GpuError, GpuResult};
pub use expr::Expr;
pub use gather::Index;
#[doc(hidden)]
pub use info::{__choose, __list};
pub use info::{Detection, Found, Info, detect, info};
pub use join::concatenate;
pub use kernel::Atomic;
pub use operators::Operand;
pub use order::OrderKind;
#[doc(hidden)]
pub use profile::{__profile_begin, __profile_end};
pub use profile::{Entry, Profile, profile};
pub use program::{Kernel, Module};
pub use random::{Random, random};
pub use shape::{IntoShape, IntoSpans, Span, step};
pub use source::{Argument, Dimensions, KernelArguments, Launcher, Local, cuda, local, opencl};
pub use stream::{Event, Stream};

#[cfg(test)]
mod tests;
