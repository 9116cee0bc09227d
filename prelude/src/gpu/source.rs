//! Kernels from source texts, in the device's own language, and their launch.
//!
//! For those who have such a text or want a feature that nothing else here has. The compiler sees the text as it is.

use std::sync::Arc;

use super::array::Array;
use super::device::{self, Device, Dialect};
use super::element::{Element, Scalar};
use super::error::{GpuError, GpuResult};
use super::memory::Buffer;
use super::order::{Order, OrderKind};
use super::program::{Given, Grid, Kernel, Module};

/// CUDA C++ texts.
pub mod cuda {
    use super::*;

    /// Compiles a text for the default device if that is one of CUDA, else for the first such. Kernels need
    /// `extern "C" __global__`.
    ///
    /// # Errors
    /// There is no such device, or no compiler (NVRTC or nvcc); the text does not compile.
    pub fn module(source: &str) -> GpuResult<Arc<Module>> {
        module_with(source, "")
    }

    /// The same, with options for the compiler, divided by spaces.
    ///
    /// # Errors
    /// As [`module`].
    pub fn module_with(source: &str, options: &str) -> GpuResult<Arc<Module>> {
        of(Dialect::Cuda, "cuda")?.module("the module", source, options)
    }
}

/// OpenCL C texts.
pub mod opencl {
    use super::*;

    /// Compiles a text for the default device if that is one of OpenCL, else for the first such.
    ///
    /// # Errors
    /// There is no such device; the text does not compile.
    ///
    /// ```no_run
    /// use forkline::gpu;
    ///
    /// let program = gpu::opencl::program(
    ///     "__kernel void twice(__global float *a, ulong n) {
    ///          size_t i = get_global_id(0);
    ///          if (i < n) a[i] *= 2;
    ///      }",
    /// )?;
    /// let mut a = gpu::array(&[1.0_f32, 2.0])?;
    /// // Sound: the kernel stays within the array.
    /// unsafe { program.kernel("twice")?.over(a.len()).run((&mut a, 2_u64))? };
    /// assert_eq!(a.to_vec()?, [2.0, 4.0]);
    /// # Ok::<(), gpu::GpuError>(())
    /// ```
    pub fn program(source: &str) -> GpuResult<Arc<Module>> {
        program_with(source, "")
    }

    /// The same, with options for the compiler, for instance `-cl-fast-relaxed-math -DN=16`.
    ///
    /// # Errors
    /// As [`program`].
    pub fn program_with(source: &str, options: &str) -> GpuResult<Arc<Module>> {
        of(Dialect::OpenCl, "opencl")?.module("the program", source, options)
    }
}

/// The default device if it speaks the dialect, else the first that does.
fn of(dialect: Dialect, name: &str) -> GpuResult<Device> {
    let default = device::default();
    if default.dialect() == Some(dialect) {
        Ok(default)
    } else {
        device::device(name)
    }
}

/// Local memory for an OpenCL kernel's argument: room for so many elements in each group.
///
/// Of CUDA's kernels the size of `extern __shared__` memory is given by [`shared`](Launcher::shared).
#[derive(Clone, Copy, Debug)]
pub struct Local<T> {
    n: usize,
    element: std::marker::PhantomData<T>,
}

/// Local memory of `n` elements.
pub fn local<T: Element>(n: usize) -> Local<T> {
    Local {
        n,
        element: std::marker::PhantomData,
    }
}

/// An argument, held until the kernel is ordered.
#[doc(hidden)]
pub struct Held(Kept);

enum Kept {
    Buffer(Arc<Buffer>),
    Scalar(Scalar),
    Local(usize),
}

/// What a kernel from a source can be given: `&Array` (its elements lie one after the other; a view is copied first),
/// `&mut Array`, numbers, and [`local`] memory.
pub trait Argument {
    #[doc(hidden)]
    fn hold(self) -> GpuResult<Held>;
}

impl<T: Element> Argument for &Array<T> {
    fn hold(self) -> GpuResult<Held> {
        T::hold(self)
    }
}

impl<T: Element> Argument for &mut Array<T> {
    fn hold(self) -> GpuResult<Held> {
        T::hold_mut(self)
    }
}

impl<T: Element> Array<T> {
    pub(super) fn hold_here(&self) -> GpuResult<Held> {
        let array = match self.offset {
            0 => self.contiguous()?,
            _ => self.copy()?,
        };
        Ok(Held(Kept::Buffer(array.buffer)))
    }

    pub(super) fn hold_mut_here(&mut self) -> GpuResult<Held> {
        if !self.is_contiguous() || self.offset != 0 {
            *self = self.copy()?;
        }
        self.own_mut()?;
        Ok(Held(Kept::Buffer(Arc::clone(&self.buffer))))
    }
}

impl<T: Element> Argument for T {
    fn hold(self) -> GpuResult<Held> {
        Ok(Held(Kept::Scalar(self.scalar())))
    }
}

impl<T: Element> Argument for Local<T> {
    fn hold(self) -> GpuResult<Held> {
        Ok(Held(Kept::Local(self.n * T::TYPE.size())))
    }
}

/// The arguments of a kernel, in order: a tuple.
pub trait KernelArguments {
    #[doc(hidden)]
    fn hold_all(self) -> GpuResult<Vec<Held>>;
}

macro_rules! tuples {
    ($($name:ident $place:tt),*) => {
        impl<$($name: Argument),*> KernelArguments for ($($name,)*) {
            fn hold_all(self) -> GpuResult<Vec<Held>> {
                Ok(vec![$(self.$place.hold()?),*])
            }
        }
    };
}

tuples!(A 0);
tuples!(A 0, B 1);
tuples!(A 0, B 1, C 2);
tuples!(A 0, B 1, C 2, D 3);
tuples!(A 0, B 1, C 2, D 3, E 4);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);

/// A number of work items or groups for each of one to three dimensions.
pub trait Dimensions {
    /// As three, 1 for those that are not given.
    fn dimensions(self) -> [usize; 3];
}

impl Dimensions for usize {
    fn dimensions(self) -> [usize; 3] {
        [self, 1, 1]
    }
}

impl<const N: usize> Dimensions for [usize; N] {
    fn dimensions(self) -> [usize; 3] {
        const { assert!(N >= 1 && N <= 3, "a launch has one to three dimensions") };
        std::array::from_fn(|axis| self.get(axis).copied().unwrap_or(1))
    }
}

/// How a kernel is to be launched.
#[derive(Clone, Debug)]
#[must_use = "nothing is launched before run"]
pub struct Launcher {
    kernel: Kernel,
    size: Size,
    group: Option<[usize; 3]>,
    shared: usize,
    bytes: usize,
    operations: u64,
}

#[derive(Clone, Copy, Debug)]
enum Size {
    /// At least so many work items.
    Items([usize; 3]),
    Groups([usize; 3]),
}

impl Kernel {
    /// A launch over at least so many work items in one to three dimensions. Their number is rounded up to whole groups, so
    /// the kernel has to look whether its place exists.
    pub fn over(&self, items: impl Dimensions) -> Launcher {
        self.launcher(Size::Items(items.dimensions()))
    }

    /// A launch of so many groups (CUDA: blocks) in one to three dimensions.
    pub fn grid(&self, groups: impl Dimensions) -> Launcher {
        self.launcher(Size::Groups(groups.dimensions()))
    }

    fn launcher(&self, size: Size) -> Launcher {
        Launcher {
            kernel: self.clone(),
            size,
            group: None,
            shared: 0,
            bytes: 0,
            operations: 0,
        }
    }
}

impl Launcher {
    /// Work items of a group (CUDA: threads of a block) in each dimension. Chosen, if it is not given.
    pub fn group(mut self, items: impl Dimensions) -> Launcher {
        self.group = Some(items.dimensions());
        self
    }

    /// The same under CUDA's name.
    pub fn block(self, threads: impl Dimensions) -> Launcher {
        self.group(threads)
    }

    /// Bytes of dynamic shared memory, for CUDA's `extern __shared__`.
    pub fn shared(mut self, bytes: usize) -> Launcher {
        self.shared = bytes;
        self
    }

    /// What the launch moves and calculates, for a profile's rates: bytes, and arithmetic operations.
    pub fn work(mut self, bytes: usize, operations: u64) -> Launcher {
        self.bytes = bytes;
        self.operations = operations;
        self
    }

    /// Orders the launch in this thread's stream.
    ///
    /// # Errors
    /// The group is too large, the arguments are not the kernel's, an array lies elsewhere; the driver's.
    ///
    /// # Safety
    /// The kernel takes arguments of these types, and stays within the arrays that it is given: the driver checks neither.
    pub unsafe fn run(self, arguments: impl KernelArguments) -> GpuResult<()> {
        let held = arguments.hold_all()?;
        let kernel = &self.kernel;
        let expected = kernel.facts().n_arguments;
        if expected != 0 && expected != held.len() {
            return Err(GpuError::Kernel {
                name: kernel.name().to_owned(),
                what: format!("takes {expected} arguments, {} were given", held.len()),
                why: "the text declares so many parameters".to_owned(),
                cure: "give one for each, in order".to_owned(),
            });
        }
        let given: Vec<Given<'_>> = held
            .iter()
            .map(|held| match &held.0 {
                Kept::Buffer(buffer) => Given::Buffer(buffer),
                Kept::Scalar(scalar) => Given::Scalar(*scalar),
                Kept::Local(bytes) => Given::Local(*bytes),
            })
            .collect();
        let stream = kernel.device().stream()?;
        kernel.launch(&stream, self.grid(), self.shared, &given, || {
            Order::new(OrderKind::Kernel, kernel.name().to_owned(), self.bytes)
                .with_operations(self.operations)
        })
    }

    fn grid(&self) -> Grid {
        let group_size = self.group.unwrap_or_else(|| self.chosen());
        let groups = match self.size {
            Size::Groups(groups) => groups,
            Size::Items(items) => {
                std::array::from_fn(|axis| items[axis].div_ceil(group_size[axis].max(1)).max(1))
            }
        };
        Grid { groups, group_size }
    }

    /// A group of a usual size for the number of dimensions, within what device and kernel allow.
    fn chosen(&self) -> [usize; 3] {
        let most = self
            .kernel
            .max_group_size()
            .min(self.kernel.device().max_group_size());
        let items = match self.size {
            Size::Items(items) => items,
            Size::Groups(_) => [usize::MAX, 1, 1],
        };
        let mut group = match items {
            [_, 1, 1] => [256, 1, 1],
            [_, _, 1] => [16, 16, 1],
            _ => [8, 8, 4],
        };
        while group.iter().product::<usize>() > most {
            let longest = (0..3).max_by_key(|&axis| group[axis]).unwrap_or(0);
            group[longest] /= 2;
        }
        group
    }
}
