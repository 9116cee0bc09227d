//! What a cell of the forkline notebook kernel may use from its first line on: parallel libraries,
//! rich display, lines of input, progress bars, tables, timelines, and the facts of the machine.
//!
//! The crate is a dylib that is loaded once into the process in which cells run. So there is one
//! rayon pool, one copy of every `static` of these libraries, and a type has the same identity in
//! every cell. Nothing here is tied to notebooks only: in a plain program [`display`](display::display)
//! prints text and [`input`](input::input) reads standard input.
//!
//! What always holds:
//! * `use forkline::prelude::*` is in force in every cell, and an explicit `use` of yours shadows it;
//! * nothing here reads or writes files of yours, opens a connection or changes the machine, unless a call
//!   names the file or the address: [`device`] reads `/proc`, `/sys` and a few files of `/etc`, asks `mpiexec` for its
//!   version, and that is all;
//! * showing a value does not move it.
//!
//! The libraries are used as they are, under their own names: [`rayon`], [`crossbeam`],
//! [`parking_lot`], [`tokio`], [`serde`], [`plotters`], [`libc`].
//!
//! ```
//! use forkline::prelude::*;
//!
//! let even = (0..1_000).into_par_iter().filter(|n| n % 2 == 0).count();
//! assert_eq!(even, 500);
//! display(&Markdown::new(format!("**{even}** even numbers")));
//! ```

pub use {crossbeam, libc, parking_lot, plotters, rayon, serde, tokio};

pub mod bench;
pub mod check;
#[doc(hidden)]
pub mod debugger;
pub mod device;
pub mod display;
pub mod executors;
mod function;
pub mod gpu;
pub mod input;
pub mod interrupt;
pub mod jobs;
mod json;
pub mod local;
pub mod models;
pub mod mpi;
mod panics;
pub mod plot;
mod plugin;
pub mod processes;
pub mod progress;
#[doc(hidden)]
pub mod rt;
mod runnable;
#[doc(hidden)]
pub mod store;
pub mod table;
pub mod tasks;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod threads;
pub mod trace;

#[doc(hidden)]
pub use function::Never as __Never;
#[doc(hidden)]
pub use interrupt::check as __check;
pub use {function::Function, runnable::Runnable};

/// The names that every cell starts with.
///
/// Where std and parking_lot both have a name (`Mutex`, `RwLock`, `Condvar`), std's is here; the other
/// is one `use parking_lot::Mutex;` away.
pub mod prelude {
    /// Also what the type of a failed `join` is made of: evcxr writes the types of variables with short names.
    pub use std::any::Any;
    pub use std::sync::{Arc, Barrier, Condvar, LazyLock, Mutex, OnceLock, RwLock, atomic, mpsc};
    pub use std::thread;
    pub use std::time::{Duration, Instant};

    pub use rayon::prelude::*;
    /// The traits and the derive macros.
    pub use serde::{Deserialize, Serialize};
    pub use {crossbeam, parking_lot, plotters, rayon, serde, tokio};

    pub use crate::bench;
    pub use crate::device;
    pub use crate::display::{
        Bundle, DisplayHandle, Html, Jpeg, Json, Latex, Markdown, Png, Show, Svg, clear_output,
        display, display_as, display_handle,
    };
    /// Its methods on every pool, without its name.
    pub use crate::executors::Executor as _;
    pub use crate::input::{input, password};
    pub use crate::kernel;
    pub use crate::plot::{self, Axis, Figure};
    pub use crate::progress::{self, Progress, par_progress, progress};
    /// Both the module and the macro.
    pub use crate::table;
    pub use crate::trace;
    pub use crate::{Runnable, executors, gpu, jobs, models, mpi, processes, tasks, threads};
    pub use crate::{breakpoint, check, check_eq};
}
