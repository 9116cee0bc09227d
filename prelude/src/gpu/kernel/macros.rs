//! `kernel!`: functions that become kernels.

/// Makes kernels of Rust functions: they run on the device that their arrays lie on, by CUDA or OpenCL, or on all cores of the
/// processor.
///
/// ```
/// use forkline::prelude::*;
///
/// kernel! {
///     fn scale(a: &[f32], b: &mut [f32], factor: f32) {
///         let i = global_id(0);
///         b[i] = a[i] * factor;
///     }
/// }
///
/// # fn main() {
/// # let run = || -> Result<(), gpu::GpuError> {
/// let a = gpu::array(&[1.0_f32, 2.0, 3.0])?;
/// let mut b = a.zeros_like()?;
/// scale::over(3).run((&a, &mut b, 2.0))?;
/// assert_eq!(b.to_vec()?, [2.0, 4.0, 6.0]);
/// # Ok(()) };
/// # let _without_the_translator_this_is_an_error = run();
/// # }
/// ```
///
/// Each function without a result becomes a module of its name, with `over(items)` to launch it. Functions with a result are
/// for the others to call, and so are constants. The module [`gpu::kernel`](crate::gpu::kernel) says what the text may hold.
#[macro_export]
macro_rules! kernel {
    ($($all:tt)*) => {
        $crate::__kernel_modules! { [$($all)*] $($all)* }
    };
}

/// A module for each kernel.
#[doc(hidden)]
#[macro_export]
macro_rules! __kernel_modules {
    ($all:tt) => {};
    ($all:tt $(#[$note:meta])* const $name:ident : $of:ty = $value:expr; $($rest:tt)*) => {
        $crate::__kernel_modules! { $all $($rest)* }
    };
    ($all:tt $(#[$note:meta])* fn $name:ident $parameters:tt -> $of:ty $body:block $($rest:tt)*) => {
        $crate::__kernel_modules! { $all $($rest)* }
    };
    ([$($all:tt)*] $(#[$note:meta])* fn $name:ident ($($parameters:tt)*) $body:block $($rest:tt)*) => {
        $(#[$note])*
        #[allow(dead_code, reason = "not every kernel uses all of it")]
        pub mod $name {
            #[allow(
                dead_code, unused_variables, unused_mut, unused_imports, unused_assignments, clippy::all,
                reason = "rustc speaks of a kernel's text where it is an error"
            )]
            mod __host {
                use $crate::gpu::kernel::words::*;
                use $crate::__kernel_local as local;
                $crate::__kernel_functions! { $($all)* }
                $crate::__kernel_parameters! { (form $name) [] $($parameters)* }
            }
            $crate::__kernel_parameters! { (types) [] $($parameters)* }

            // No static: those of several cells that have the same name may become one.
            const DEFINITION: &$crate::gpu::kernel::Definition = &$crate::gpu::kernel::Definition {
                name: ::core::stringify!($name),
                tokens: ::core::stringify!($($all)*),
                location: ::core::panic::Location::caller(),
                form: __host::__form,
            };

            /// The kernel.
            pub fn kernel() -> $crate::gpu::kernel::KernelFunction<Parameters> {
                $crate::gpu::kernel::KernelFunction::new(DEFINITION)
            }

            /// A launch of so many work items in one to three dimensions.
            pub fn over(items: impl $crate::gpu::Dimensions) -> $crate::gpu::kernel::LaunchOf<Parameters> {
                kernel().over(items)
            }

            /// The text that the kernel becomes in a language.
            ///
            /// # Errors
            /// It holds what no device can do.
            pub fn source(dialect: $crate::gpu::Dialect) -> $crate::gpu::GpuResult<$crate::gpu::kernel::Source> {
                kernel().source(dialect)
            }
        }
        $crate::__kernel_modules! { [$($all)*] $($rest)* }
    };
}

/// The functions and constants of a `kernel!`, in the form that runs on the processor.
#[doc(hidden)]
#[macro_export]
macro_rules! __kernel_functions {
    () => {};
    ($(#[$note:meta])* const $name:ident : $of:ty = $value:expr; $($rest:tt)*) => {
        const $name: $of = $value;
        $crate::__kernel_functions! { $($rest)* }
    };
    ($(#[$note:meta])* fn $name:ident ($($parameters:tt)*) -> $of:ty $body:block $($rest:tt)*) => {
        $crate::__kernel_parameters! { (function $name [-> $of] $body) [] $($parameters)* }
        $crate::__kernel_functions! { $($rest)* }
    };
    ($(#[$note:meta])* fn $name:ident ($($parameters:tt)*) $body:block $($rest:tt)*) => {
        $crate::__kernel_parameters! { (function $name [] $body) [] $($parameters)* }
        $crate::__kernel_functions! { $($rest)* }
    };
}

/// Goes through parameters and makes something of all of them: a function, the call of the kernel's, or the tuple of types.
/// Each becomes: the name with `mut` if it has one, the name, the type on the processor, how it is taken out of the
/// arguments, the kind.
#[doc(hidden)]
#[macro_export]
macro_rules! __kernel_parameters {
    ((function $name:ident [$($result:tt)*] $body:block) [$({ [$($pattern:tt)*] $p:ident [$($of:ty)?] $take:tt $kind:tt })*]) => {
        fn $name($($($pattern)* : $($of)?),*) $($result)* $body
    };
    ((form $name:ident) [$({ $pattern:tt $p:ident $of:tt [$($take:tt)*] $kind:tt })*]) => {
        pub(super) fn __form(arguments: &$crate::gpu::kernel::Arguments<'_>) {
            $name($($crate::__kernel_take!(arguments $p $($take)*)),*)
        }
    };
    ((types) [$({ $pattern:tt $p:ident $of:tt $take:tt [$kind:ident $t:ty] })*]) => {
        /// What it is given.
        pub type Parameters = ($($crate::gpu::kernel::$kind<$t>,)*);
    };
    ($goal:tt [$($done:tt)*] mut $p:ident : $t:ident $(, $($rest:tt)*)?) => {
        $crate::__kernel_parameters! {
            $goal [$($done)* { [mut $p] $p [$t] [value] [Value $t] }] $($($rest)*)?
        }
    };
    ($goal:tt [$($done:tt)*] $p:ident : & mut [$t:ty] $(, $($rest:tt)*)?) => {
        $crate::__kernel_parameters! {
            $goal [$($done)* { [$p] $p [&mut $crate::gpu::kernel::Shared<$t>] [write] [Out $t] }] $($($rest)*)?
        }
    };
    ($goal:tt [$($done:tt)*] $p:ident : & [Atomic<$t:ty>] $(, $($rest:tt)*)?) => {
        $crate::__kernel_parameters! {
            $goal [$($done)* { [$p] $p [&$crate::gpu::kernel::Atomics<$t>] [atomics] [AtomicOut $t] }] $($($rest)*)?
        }
    };
    ($goal:tt [$($done:tt)*] $p:ident : & [$t:ty] $(, $($rest:tt)*)?) => {
        $crate::__kernel_parameters! {
            $goal [$($done)* { [$p] $p [&$crate::gpu::kernel::Shared<$t>] [read] [In $t] }] $($($rest)*)?
        }
    };
    ($goal:tt [$($done:tt)*] $p:ident : $t:ident $(, $($rest:tt)*)?) => {
        $crate::__kernel_parameters! {
            $goal [$($done)* { [$p] $p [$t] [value] [Value $t] }] $($($rest)*)?
        }
    };
    ($goal:tt [$($done:tt)*] $p:ident : $($rest:tt)*) => {
        ::core::compile_error!(
            "a parameter of a kernel is a number, a bool, or a slice: &[f32] to read, &mut [f32] to write, \
             &[Atomic<u32>] to write from several work items"
        );
    };
}

/// An argument of a work item.
#[doc(hidden)]
#[macro_export]
macro_rules! __kernel_take {
    ($arguments:ident $p:ident value) => {
        $arguments.value()
    };
    ($arguments:ident $p:ident read) => {
        &$arguments.slice(::core::stringify!($p))
    };
    ($arguments:ident $p:ident write) => {
        &mut $arguments.slice(::core::stringify!($p))
    };
    ($arguments:ident $p:ident atomics) => {
        &$arguments.atomics(::core::stringify!($p))
    };
}

/// Local memory of a group, in a kernel: `let tile = local!([f32; 256]);`.
#[doc(hidden)]
#[macro_export]
macro_rules! __kernel_local {
    ([Atomic<$t:ty>; $n:expr]) => {
        &$crate::gpu::kernel::words::local_atomics::<$t>($n)
    };
    ([$t:ty; $n:expr]) => {
        &mut $crate::gpu::kernel::words::local_memory::<$t>($n)
    };
}
