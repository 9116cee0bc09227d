//! What a kernel is given: arrays and numbers, checked against its parameters by the compiler.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::atomic::{AtomicElement, Atomics};
use super::shared::Shared;
use crate::gpu::array::Array;
use crate::gpu::device::{Device, Kind};
use crate::gpu::element::{Element, ElementType, Plain, Scalar};
use crate::gpu::error::GpuResult;
use crate::gpu::memory::Buffer;

/// A parameter `&[T]`: takes `&Array<T>`.
pub struct In<T>(PhantomData<T>);
/// A parameter `&mut [T]`: takes `&mut Array<T>`.
pub struct Out<T>(PhantomData<T>);
/// A parameter `&[Atomic<T>]`: takes `&mut Array<T>`.
pub struct AtomicOut<T>(PhantomData<T>);
/// A number or a `bool`: takes one.
pub struct Value<T>(PhantomData<T>);

/// What a parameter gets, for any device.
pub(super) enum Taken<'a> {
    Slice(Slice<'a>),
    Scalar(Scalar),
}

/// Elements that lie one after the other.
pub(super) struct Slice<'a> {
    pub buffer: Held<'a>,
    pub start: usize,
    pub length: usize,
    of: ElementType,
    /// Where the buffer begins, if it is the host's.
    memory: *mut u8,
    is_written: bool,
    is_claimed: bool,
}

/// A buffer that is lent, or held by itself: the copy of a view whose elements lie apart.
pub(super) enum Held<'a> {
    Lent(&'a Buffer),
    Own(Arc<Buffer>),
}

impl Held<'_> {
    pub(super) fn buffer(&self) -> &Buffer {
        match self {
            Held::Lent(buffer) => buffer,
            Held::Own(buffer) => buffer,
        }
    }
}

mod sealed {
    pub trait Sealed {}
}
use sealed::Sealed;

/// A parameter of a kernel, and what may be given for it.
pub trait Parameter: Sealed {
    /// What is given.
    type Argument<'a>;
    #[doc(hidden)]
    #[expect(private_interfaces, reason = "only this library has parameters")]
    fn take<'a>(argument: Self::Argument<'a>) -> GpuResult<Taken<'a>>;
}

impl<T> Sealed for In<T> {}
impl<T> Sealed for Out<T> {}
impl<T> Sealed for AtomicOut<T> {}
impl<T> Sealed for Value<T> {}

impl<T: Element<Raw = T> + Plain> Parameter for In<T> {
    type Argument<'a> = &'a Array<T>;
    #[expect(private_interfaces, reason = "only this library has parameters")]
    fn take<'a>(array: Self::Argument<'a>) -> GpuResult<Taken<'a>> {
        let ordered = array.contiguous()?;
        let is_host = array.device().kind() == Kind::Rayon;
        let memory = match is_host && !array.is_empty() {
            true => ordered.buffer.host::<T>().as_ptr().cast_mut().cast(),
            false => std::ptr::null_mut(),
        };
        Ok(Taken::Slice(Slice {
            start: ordered.offset,
            length: ordered.len(),
            buffer: Held::Own(ordered.buffer),
            of: T::TYPE,
            memory,
            is_written: false,
            is_claimed: false,
        }))
    }
}

fn take_mut<T: Element<Raw = T> + Plain>(
    array: &mut Array<T>,
    is_claimed: bool,
) -> GpuResult<Taken<'_>> {
    if !array.is_contiguous() {
        *array = array.contiguous()?;
    }
    let (start, length) = (array.offset, array.len());
    let is_host = array.device().kind() == Kind::Rayon;
    let buffer = array.own_mut()?;
    let memory = match is_host {
        true => buffer.host_mut::<T>().as_mut_ptr().cast(),
        false => std::ptr::null_mut(),
    };
    Ok(Taken::Slice(Slice {
        buffer: Held::Lent(buffer),
        start,
        length,
        of: T::TYPE,
        memory,
        is_written: true,
        is_claimed,
    }))
}

impl<T: Element<Raw = T> + Plain> Parameter for Out<T> {
    type Argument<'a> = &'a mut Array<T>;
    #[expect(private_interfaces, reason = "only this library has parameters")]
    fn take<'a>(array: Self::Argument<'a>) -> GpuResult<Taken<'a>> {
        take_mut(array, true)
    }
}

impl<T: AtomicElement + Element<Raw = T>> Parameter for AtomicOut<T> {
    type Argument<'a> = &'a mut Array<T>;
    #[expect(private_interfaces, reason = "only this library has parameters")]
    fn take<'a>(array: Self::Argument<'a>) -> GpuResult<Taken<'a>> {
        take_mut(array, false)
    }
}

impl<T: Number> Parameter for Value<T> {
    type Argument<'a> = T;
    #[expect(private_interfaces, reason = "only this library has parameters")]
    fn take<'a>(value: T) -> GpuResult<Taken<'a>> {
        Ok(Taken::Scalar(value.to_scalar()))
    }
}

/// A number that is given by value.
pub trait Number: Copy + Sealed {
    #[doc(hidden)]
    fn to_scalar(self) -> Scalar;
    #[doc(hidden)]
    fn of_scalar(scalar: Scalar) -> Option<Self>;
}

macro_rules! number {
    ($($type:ident as $kind:ident;)*) => {$(
        impl Sealed for $type {}
        impl Number for $type {
            fn to_scalar(self) -> Scalar {
                Scalar::$kind(self as _)
            }
            fn of_scalar(scalar: Scalar) -> Option<$type> {
                match scalar {
                    Scalar::$kind(value) => Some(value as _),
                    _ => None,
                }
            }
        }
    )*};
}

number! {
    f32 as F32;
    f64 as F64;
    i32 as I32;
    i64 as I64;
    u32 as U32;
    u64 as U64;
    usize as U64;
    isize as I64;
    bool as Bool;
}

/// All parameters of a kernel.
pub trait Parameters {
    /// What is given for them, in their order: a tuple, or the one value alone.
    type Arguments<'a>;
    #[doc(hidden)]
    #[expect(private_interfaces, reason = "only this library has parameters")]
    fn take<'a>(arguments: Self::Arguments<'a>) -> GpuResult<Vec<Taken<'a>>>;
}

macro_rules! parameters {
    ($($name:ident $place:tt),*) => {
        impl<$($name: Parameter),*> Parameters for ($($name,)*) {
            type Arguments<'a> = ($($name::Argument<'a>,)*);
            #[expect(private_interfaces, reason = "only this library has parameters")]
            fn take<'a>(arguments: Self::Arguments<'a>) -> GpuResult<Vec<Taken<'a>>> {
                Ok(vec![$($name::take(arguments.$place)?),*])
            }
        }
    };
}

parameters!(A 0);
parameters!(A 0, B 1);
parameters!(A 0, B 1, C 2);
parameters!(A 0, B 1, C 2, D 3);
parameters!(A 0, B 1, C 2, D 3, E 4);
parameters!(A 0, B 1, C 2, D 3, E 4, F 5);
parameters!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
parameters!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
parameters!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
parameters!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
parameters!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10);
parameters!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11);

/// A parameter of a launch on the processor, for all its work items.
pub(super) enum Bound {
    Slice {
        start: *mut u8,
        length: usize,
        of: ElementType,
        owners: Option<Vec<AtomicU64>>,
        is_written: bool,
    },
    Scalar(Scalar),
}

// SAFETY: the elements are reached through `Shared` and `Atomics` alone, which let no two threads conflict.
unsafe impl Sync for Bound {}

impl Bound {
    /// # Safety
    /// What is taken lives longer than this, and lies in the host's memory.
    pub(super) unsafe fn new(taken: &Taken<'_>) -> Bound {
        match taken {
            Taken::Scalar(scalar) => Bound::Scalar(*scalar),
            Taken::Slice(slice) => Bound::Slice {
                // SAFETY: the view begins within its buffer.
                start: unsafe { slice.memory.add(slice.start * slice.of.size()) },
                length: slice.length,
                of: slice.of,
                owners: slice.is_claimed.then(|| owners(slice.length)),
                is_written: slice.is_written,
            },
        }
    }
}

/// Owners of elements that nobody has claimed.
fn owners(n: usize) -> Vec<AtomicU64> {
    // Zeroed pages, without a byte written.
    let mut zeros = std::mem::ManuallyDrop::new(vec![0_u64; n]);
    // SAFETY: an atomic number has size and alignment of a plain one, and the vector is not used again.
    unsafe { Vec::from_raw_parts(zeros.as_mut_ptr().cast(), zeros.len(), zeros.capacity()) }
}

/// The arguments of one work item, taken one after the other.
pub struct Arguments<'a> {
    bound: &'a [Bound],
    next: Cell<usize>,
    me: *const Cell<u64>,
}

impl<'a> Arguments<'a> {
    pub(super) fn new(bound: &'a [Bound], me: *const Cell<u64>) -> Arguments<'a> {
        Arguments {
            bound,
            next: Cell::new(0),
            me,
        }
    }

    fn take(&self) -> &'a Bound {
        let index = self.next.replace(self.next.get() + 1);
        &self.bound[index]
    }

    /// The next argument, a slice.
    ///
    /// # Panics
    /// It is none of this type; `kernel!` asks in the right order.
    #[doc(hidden)]
    pub fn slice<T: Element<Raw = T> + Plain>(&self, name: &'static str) -> Shared<T> {
        match self.take() {
            Bound::Slice {
                start,
                length,
                of,
                owners,
                is_written,
            } if *of == T::TYPE && owners.is_some() == *is_written => {
                let owners = owners
                    .as_ref()
                    .map_or(std::ptr::null(), |owners| owners.as_ptr());
                // SAFETY: the launch holds elements, owners and the item's name. Without owners the array is lent to be
                // read, so nobody writes: `kernel!` makes a `&Shared` of it.
                unsafe { Shared::new(start.cast(), *length, owners, self.me, name) }
            }
            _ => panic!("the arguments are not the kernel's"),
        }
    }

    /// The next argument, a slice of atomic numbers.
    ///
    /// # Panics
    /// As above.
    #[doc(hidden)]
    pub fn atomics<T: AtomicElement>(&self, name: &'static str) -> Atomics<T> {
        match self.take() {
            Bound::Slice {
                start,
                length,
                of,
                owners: None,
                is_written: true,
            } if *of == T::TYPE => {
                // SAFETY: the launch holds the elements, and all its items reach them this way.
                unsafe { Atomics::new(start.cast::<T>(), *length, name) }
            }
            _ => panic!("the arguments are not the kernel's"),
        }
    }

    /// The next argument, a number.
    ///
    /// # Panics
    /// As above.
    #[doc(hidden)]
    pub fn value<T: Number>(&self) -> T {
        match self.take() {
            Bound::Scalar(scalar) => match T::of_scalar(*scalar) {
                Some(value) => value,
                None => panic!("the arguments are not the kernel's"),
            },
            Bound::Slice { .. } => panic!("the arguments are not the kernel's"),
        }
    }
}

impl Taken<'_> {
    /// The device that it lies on; none for numbers.
    pub(super) fn device(&self) -> Option<Device> {
        match self {
            Taken::Slice(slice) => Some(slice.buffer.buffer().device()),
            Taken::Scalar(_) => None,
        }
    }

    /// Bytes that a kernel reads or writes of it.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Taken::Slice(slice) => slice.length * slice.of.size(),
            Taken::Scalar(_) => 0,
        }
    }
}
