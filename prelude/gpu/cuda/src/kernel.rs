//! Kernels and launches.

use std::ffi::{c_char, c_void};
use std::ptr::null_mut;
use std::sync::Arc;

use cust::sys::{self, CUdevice_attribute as DeviceAttribute, CUfunction};
use cust::sys::{CUfunction_attribute as Attribute, CUstream};

use crate::program::Module;
use crate::stream::Began;
use crate::table::{Argument, Handle, KernelFacts, Launch, argument, code};
use crate::{Limits, answer, check, device, fail, open};

/// The most bytes that a kernel's parameters have, and the most pointers that are handed over beside those of arguments,
/// where the driver does not say what a kernel takes.
const SLACK: usize = 4096;
const SPARE: usize = 256;

/// `cuFuncGetParamInfo`, which drivers have from CUDA 12.4 on: where a parameter lies and how large it is.
type ParameterInfo = unsafe extern "C" fn(CUfunction, usize, *mut usize, *mut usize) -> i32;

/// What the handle of a kernel points to.
struct Kernel {
    function: CUfunction,
    /// The most work items of a group, by the registers that the kernel needs.
    max_group_size: usize,
    /// Shared memory that its text asks for.
    shared: usize,
    /// The size of each parameter, where the driver says it.
    parameters: Option<Vec<usize>>,
    /// Holds the code.
    _module: Arc<Module>,
}

impl Kernel {
    fn attribute(&self, what: Attribute) -> Result<usize, i32> {
        attribute(self.function, what)
    }
}

fn attribute(function: CUfunction, what: Attribute) -> Result<usize, i32> {
    let mut value = 0;
    // SAFETY: a valid pointer and a function of a module that is loaded.
    let result = unsafe { sys::cuFuncGetAttribute(&mut value, what, function) };
    check("cuFuncGetAttribute", result).map(|()| value.max(0) as usize)
}

/// The sizes of a function's parameters.
fn parameters(function: CUfunction) -> Option<Vec<usize>> {
    // SAFETY: a name that ends with NUL; the driver is open for all to see.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"cuFuncGetParamInfo".as_ptr()) };
    if found.is_null() {
        return None;
    }
    // SAFETY: the driver's function of this name, which has this type.
    let ask = unsafe { std::mem::transmute::<*mut c_void, ParameterInfo>(found) };
    let mut sizes = Vec::new();
    loop {
        let (mut offset, mut size) = (0, 0);
        // SAFETY: a function and valid pointers.
        match unsafe { ask(function, sizes.len(), &mut offset, &mut size) } {
            0 => sizes.push(size),
            // CUDA_ERROR_INVALID_VALUE: it has no more.
            1 => return Some(sizes),
            _ => return None,
        }
    }
}

pub unsafe extern "C" fn kernel(
    index: u32,
    module: Handle,
    name: *const c_char,
    kernel: *mut Handle,
) -> i32 {
    answer((|| {
        open(index)?;
        // SAFETY: the caller gives a module.
        let module = unsafe { Module::of(module) };
        let mut function = null_mut();
        // SAFETY: a valid pointer, a module that is loaded, and a name that ends with NUL.
        check("cuModuleGetFunction", unsafe {
            sys::cuModuleGetFunction(&mut function, module.raw(), name)
        })?;
        let made = Box::new(Kernel {
            function,
            max_group_size: attribute(
                function,
                Attribute::CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK,
            )?,
            shared: attribute(function, Attribute::CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES)?,
            parameters: parameters(function),
            _module: module,
        });
        // SAFETY: the caller gives a valid pointer.
        unsafe { *kernel = Box::into_raw(made) as Handle };
        Ok(())
    })())
}

pub unsafe extern "C" fn kernel_free(_: u32, kernel: Handle) -> i32 {
    // SAFETY: the caller gives a kernel that it does not use again; the handle was made from a box.
    drop(unsafe { Box::from_raw(kernel as *mut Kernel) });
    0
}

pub unsafe extern "C" fn kernel_facts(index: u32, kernel: Handle, out: *mut KernelFacts) -> i32 {
    // SAFETY: the caller gives a kernel.
    let kernel = unsafe { &*(kernel as *const Kernel) };
    answer((|| {
        open(index)?;
        let warp = device(index)?.attribute(DeviceAttribute::CU_DEVICE_ATTRIBUTE_WARP_SIZE);
        let facts = KernelFacts {
            max_group_size: kernel.max_group_size,
            local_memory: kernel.shared,
            private_memory: kernel.attribute(Attribute::CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES)?,
            registers: kernel.attribute(Attribute::CU_FUNC_ATTRIBUTE_NUM_REGS)?,
            preferred_multiple: warp.max(1) as usize,
            n_arguments: kernel.parameters.as_ref().map_or(0, Vec::len),
        };
        // SAFETY: the caller gives a valid pointer.
        unsafe { *out = facts };
        Ok(())
    })())
}

pub unsafe extern "C" fn launch(
    index: u32,
    stream: Handle,
    kernel: Handle,
    launch: *const Launch,
    event: *mut Handle,
) -> i32 {
    let stream = stream as CUstream;
    // SAFETY: the caller gives a kernel and a valid launch with valid arguments.
    let (kernel, launch, arguments) = unsafe {
        let launch = &*launch;
        let arguments = match launch.n_arguments {
            0 => &[],
            n => std::slice::from_raw_parts(launch.arguments, n),
        };
        (&*(kernel as *const Kernel), launch, arguments)
    };
    answer((|| {
        let device = open(index)?;
        check_group(launch, kernel, &device.limits)?;
        check_arguments(arguments, kernel.parameters.as_deref())?;
        if kernel.shared + launch.shared > device.limits.shared {
            ask_for_shared(kernel, &device.limits)?;
        }
        let [groups, sizes] = [launch.groups, launch.group_size].map(in_32_bits);
        let ([x, y, z], [width, height, depth]) = (groups?, sizes?);
        // SAFETY: values that are valid for their sizes.
        let mut values = unsafe { Values::new(arguments, kernel.parameters.is_none()) };
        let mut pointers = values.pointers();
        // SAFETY: the caller gives a stream of the device, and `event` is null or valid.
        let began = unsafe { Began::new(device, stream, event)? };
        // SAFETY: a function that is loaded, and a pointer to a value for each of its parameters, which the driver copies
        // before it returns.
        let result = unsafe {
            sys::cuLaunchKernel(
                kernel.function,
                x,
                y,
                z,
                width,
                height,
                depth,
                launch.shared as u32,
                stream,
                pointers.as_mut_ptr(),
                null_mut(),
            )
        };
        check("cuLaunchKernel", result)?;
        // SAFETY: as above.
        unsafe { began.end(stream, event) }
    })())
}

/// The driver would call this an invalid value, and not say which.
fn check_group(launch: &Launch, kernel: &Kernel, limits: &Limits) -> Result<(), i32> {
    let sizes = launch.group_size;
    let n = sizes
        .iter()
        .fold(1_usize, |n, &size| n.saturating_mul(size));
    let shared = kernel.shared.saturating_add(launch.shared);
    let words = if n > kernel.max_group_size {
        let most = kernel.max_group_size;
        format!("a group of {n} work items; this kernel on this device has at most {most}")
    } else if sizes
        .iter()
        .zip(limits.group_size)
        .any(|(&size, most)| size > most)
    {
        let most = limits.group_size;
        format!("a group of {sizes:?} work items; this device has at most {most:?}")
    } else if shared > limits.shared.max(limits.shared_on_request) {
        let most = limits.shared.max(limits.shared_on_request);
        format!("a group with {shared} bytes of shared memory; this device has at most {most}")
    } else {
        return Ok(());
    };
    fail(words);
    Err(code::GROUP_TOO_LARGE)
}

/// The driver takes pointers, and would read whatever they point to.
fn check_arguments(arguments: &[Argument], parameters: Option<&[usize]>) -> Result<(), i32> {
    let wrong = |words: String| {
        fail(words);
        Err(code::ARGUMENTS)
    };
    for (index, argument) in arguments.iter().enumerate() {
        if !matches!(argument.kind, argument::BUFFER | argument::VALUE) {
            return wrong(format!(
                "argument {index} is local memory, which OpenCL has; CUDA's kernels declare it as shared"
            ));
        }
    }
    let Some(parameters) = parameters else {
        return Ok(());
    };
    if arguments.len() != parameters.len() {
        return wrong(format!(
            "the kernel takes {} arguments, not {}",
            parameters.len(),
            arguments.len()
        ));
    }
    for (index, (argument, &size)) in arguments.iter().zip(parameters).enumerate() {
        let given = size_of_argument(argument);
        if given != size {
            return wrong(format!(
                "argument {index} of {given} bytes is not what the kernel declares, which has {size}"
            ));
        }
    }
    Ok(())
}

fn size_of_argument(argument: &Argument) -> usize {
    match argument.kind {
        argument::VALUE => argument.size,
        _ => size_of::<sys::CUdeviceptr>(),
    }
}

/// More shared memory than usual is given to kernels that ask. It asks for all, so that it need ask only once.
fn ask_for_shared(kernel: &Kernel, limits: &Limits) -> Result<(), i32> {
    let most = limits.shared_on_request.saturating_sub(kernel.shared);
    // SAFETY: a function that is loaded.
    check("cuFuncSetAttribute", unsafe {
        sys::cuFuncSetAttribute(
            kernel.function,
            Attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
            most as i32,
        )
    })
}

fn in_32_bits(numbers: [usize; 3]) -> Result<[u32; 3], i32> {
    let mut small = [0; 3];
    for (small, number) in small.iter_mut().zip(numbers) {
        *small = u32::try_from(number).map_err(|_| {
            fail(format!("a launch of {numbers:?}: more than CUDA can count"));
            code::GROUP_TOO_LARGE
        })?;
    }
    Ok(small)
}

/// The values of arguments, each at a place of its own that any type may have.
struct Values {
    bytes: Vec<u128>,
    places: Vec<usize>,
}

impl Values {
    /// With `slack`, a kernel that takes more or larger arguments than these finds zeros, and nothing foreign.
    ///
    /// # Safety
    /// Values are valid for their sizes.
    unsafe fn new(arguments: &[Argument], slack: bool) -> Values {
        let mut values = Values {
            bytes: Vec::new(),
            places: Vec::new(),
        };
        let room = |argument: &Argument| size_of_argument(argument).div_ceil(size_of::<u128>());
        // All at once, so that nothing moves.
        let total: usize = arguments.iter().map(room).sum();
        let slack = if slack { SLACK / size_of::<u128>() } else { 0 };
        values.bytes.resize(total + slack, 0);
        let mut place = 0;
        for argument in arguments {
            let buffer = argument.handle as sys::CUdeviceptr;
            let from: *const c_void = match argument.kind {
                argument::VALUE => argument.value,
                _ => (&raw const buffer).cast(),
            };
            // SAFETY: the caller promises as many bytes, and there is room for them.
            unsafe {
                std::ptr::copy_nonoverlapping(
                    from.cast::<u8>(),
                    values.bytes.as_mut_ptr().add(place).cast::<u8>(),
                    size_of_argument(argument),
                );
            }
            values.places.push(place);
            place += room(argument);
        }
        if slack > 0 {
            values.places.extend([total; SPARE]);
        }
        values
    }

    /// A pointer for each argument, valid as long as this is neither moved nor changed.
    fn pointers(&mut self) -> Vec<*mut c_void> {
        let start = self.bytes.as_mut_ptr();
        // A kernel without arguments has no place.
        let pointer = |&place: &usize| start.wrapping_add(place).cast();
        self.places.iter().map(pointer).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value<T>(value: &T) -> Argument {
        Argument {
            kind: argument::VALUE,
            handle: 0,
            value: (&raw const *value).cast(),
            size: size_of::<T>(),
        }
    }

    const BUFFER: Argument = Argument {
        kind: argument::BUFFER,
        handle: 0x7f00_1234_5678,
        value: std::ptr::null(),
        size: 0,
    };

    #[test]
    fn values_lie_where_the_pointers_say() {
        let (small, large) = (7_u8, [1_u64, 2, 3]);
        let arguments = [value(&small), BUFFER, value(&large), value(&2.5_f32)];
        for slack in [false, true] {
            // SAFETY: the values live.
            let mut values = unsafe { Values::new(&arguments, slack) };
            let pointers = values.pointers();
            assert_eq!(pointers.len(), if slack { 4 + SPARE } else { 4 });
            // SAFETY: each pointer is that of a value of this type.
            unsafe {
                assert_eq!(pointers[0].cast::<u8>().read(), 7);
                assert_eq!(pointers[1].cast::<u64>().read(), 0x7f00_1234_5678);
                assert_eq!(pointers[2].cast::<[u64; 3]>().read(), large);
                assert_eq!(pointers[3].cast::<f32>().read(), 2.5);
                if slack {
                    assert_eq!(pointers[4].cast::<[u8; SLACK]>().read(), [0; SLACK]);
                }
            }
        }
    }

    fn words_of(arguments: &[Argument], parameters: &[usize]) -> String {
        assert_eq!(
            check_arguments(arguments, Some(parameters)),
            Err(code::ARGUMENTS)
        );
        crate::LAST.with_borrow(String::clone)
    }

    #[test]
    fn wrong_arguments_are_named() {
        let n = 5_u32;
        let right = [BUFFER, value(&n)];
        assert_eq!(check_arguments(&right, Some(&[8, 4])), Ok(()));
        assert_eq!(check_arguments(&right, None), Ok(()));
        assert_eq!(
            words_of(&right, &[8, 4, 4]),
            "the kernel takes 3 arguments, not 2"
        );
        assert_eq!(
            words_of(&right, &[8, 8]),
            "argument 1 of 4 bytes is not what the kernel declares, which has 8"
        );
        let local = Argument {
            kind: argument::LOCAL,
            ..BUFFER
        };
        assert!(words_of(&[local], &[8]).starts_with("argument 0 is local memory"));
    }
}
