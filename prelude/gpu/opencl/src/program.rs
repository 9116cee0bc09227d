//! Texts, kernels, launches.

use std::ffi::{c_char, c_void};
use std::ptr::{null, null_mut};
use std::sync::{Mutex, PoisonError};

use ocl::ffi;

use crate::table::{Argument, Handle, KernelFacts, Launch, argument, code};
use crate::{Device, answer, check, device, fail};

/// The compiler's words about a program.
fn build_log(program: ffi::cl_program, device: &Device) -> Vec<u8> {
    let what = ffi::CL_PROGRAM_BUILD_LOG;
    let mut length = 0;
    // SAFETY: asks for the length only.
    unsafe { ffi::clGetProgramBuildInfo(program, device.id, what, 0, null_mut(), &mut length) };
    let mut log = vec![0_u8; length];
    let room = log.as_mut_ptr().cast();
    // SAFETY: the room is as said.
    unsafe { ffi::clGetProgramBuildInfo(program, device.id, what, length, room, null_mut()) };
    while log.last() == Some(&0) {
        log.pop();
    }
    log
}

fn build(program: ffi::cl_program, device: &Device, options: *const c_char) -> Result<(), i32> {
    // SAFETY: one device, options that end with NUL or none, no callback: it returns when it is built.
    let result = unsafe { ffi::clBuildProgram(program, 1, &device.id, options, None, null_mut()) };
    if result == 0 {
        return Ok(());
    }
    let code = check("clBuildProgram", result);
    match result {
        ffi::CL_BUILD_PROGRAM_FAILURE => Err(code::COMPILE),
        _ => code,
    }
}

pub unsafe extern "C" fn compile(
    index: u32,
    source: *const u8,
    length: usize,
    options: *const c_char,
    module: *mut Handle,
    log: *mut u8,
    capacity: usize,
    log_length: *mut usize,
) -> i32 {
    answer((|| {
        let device = device(index)?;
        let context = device.context()?;
        let mut result = 0;
        let texts = source.cast::<c_char>();
        // SAFETY: one text of the length that is said.
        let program = unsafe {
            ffi::clCreateProgramWithSource(
                context,
                1,
                [texts].as_mut_ptr().cast(),
                &length,
                &mut result,
            )
        };
        check("clCreateProgramWithSource", result)?;
        let built = build(program, device, options);
        let said = build_log(program, device);
        // SAFETY: the caller gives room for `capacity` bytes, and valid pointers.
        unsafe {
            std::ptr::copy_nonoverlapping(said.as_ptr(), log, said.len().min(capacity));
            *log_length = said.len();
            *module = program as Handle;
        }
        if built.is_err() {
            // SAFETY: it is not used again.
            unsafe { ffi::clReleaseProgram(program) };
        }
        built
    })())
}

pub unsafe extern "C" fn binary(_: u32, module: Handle, out: *mut u8, capacity: usize) -> usize {
    let program = module as ffi::cl_program;
    let mut size = 0_usize;
    // SAFETY: one device, so one size.
    let result = unsafe {
        ffi::clGetProgramInfo(
            program,
            ffi::CL_PROGRAM_BINARY_SIZES,
            size_of::<usize>(),
            (&raw mut size).cast(),
            null_mut(),
        )
    };
    if result != 0 || size > capacity {
        return if result == 0 { size } else { 0 };
    }
    let mut places = [out];
    // SAFETY: one device, so one place, with room for its size.
    let result = unsafe {
        ffi::clGetProgramInfo(
            program,
            ffi::CL_PROGRAM_BINARIES,
            size_of::<*mut u8>(),
            places.as_mut_ptr().cast(),
            null_mut(),
        )
    };
    if result == 0 { size } else { 0 }
}

pub unsafe extern "C" fn load(
    index: u32,
    binary: *const u8,
    length: usize,
    module: *mut Handle,
) -> i32 {
    answer((|| {
        let device = device(index)?;
        let context = device.context()?;
        let (mut status, mut result) = (0, 0);
        // SAFETY: one device, one binary of the length that is said.
        let program = unsafe {
            ffi::clCreateProgramWithBinary(
                context,
                1,
                &device.id,
                &length,
                &binary,
                &mut status,
                &mut result,
            )
        };
        check("clCreateProgramWithBinary", result)?;
        let built = check("clCreateProgramWithBinary", status)
            .and_then(|()| build(program, device, null()));
        if built.is_err() {
            // SAFETY: it is not used again.
            unsafe { ffi::clReleaseProgram(program) };
        } else {
            // SAFETY: the caller gives a valid pointer.
            unsafe { *module = program as Handle };
        }
        built
    })())
}

pub unsafe extern "C" fn module_free(_: u32, module: Handle) -> i32 {
    // SAFETY: the caller gives a program that it does not use again; kernels of it hold it themselves.
    let result = unsafe { ffi::clReleaseProgram(module as ffi::cl_program) };
    answer(check("clReleaseProgram", result))
}

pub unsafe extern "C" fn kernel(
    _: u32,
    module: Handle,
    name: *const c_char,
    kernel: *mut Handle,
) -> i32 {
    let mut result = 0;
    // SAFETY: the caller gives a program and a name that ends with NUL.
    let made = unsafe { ffi::clCreateKernel(module as ffi::cl_program, name, &mut result) };
    answer(check("clCreateKernel", result).map(|()| {
        // SAFETY: the caller gives a valid pointer.
        unsafe { *kernel = made as Handle };
    }))
}

pub unsafe extern "C" fn kernel_free(_: u32, kernel: Handle) -> i32 {
    // SAFETY: the caller gives a kernel that it does not use again.
    let result = unsafe { ffi::clReleaseKernel(kernel as ffi::cl_kernel) };
    answer(check("clReleaseKernel", result))
}

pub unsafe extern "C" fn kernel_facts(index: u32, kernel: Handle, out: *mut KernelFacts) -> i32 {
    let kernel = kernel as ffi::cl_kernel;
    answer((|| {
        let device = device(index)?;
        let ask = |what: u32| {
            let mut number = 0_usize;
            // SAFETY: all that is asked for are numbers of eight bytes.
            let result = unsafe {
                ffi::clGetKernelWorkGroupInfo(
                    kernel,
                    device.id,
                    what,
                    8,
                    (&raw mut number).cast(),
                    null_mut(),
                )
            };
            check("clGetKernelWorkGroupInfo", result).map(|()| number)
        };
        let mut n_arguments = 0_u32;
        // SAFETY: the room is four bytes.
        let result = unsafe {
            ffi::clGetKernelInfo(
                kernel,
                ffi::CL_KERNEL_NUM_ARGS,
                4,
                (&raw mut n_arguments).cast(),
                null_mut(),
            )
        };
        check("clGetKernelInfo", result)?;
        let facts = KernelFacts {
            max_group_size: ask(ffi::CL_KERNEL_WORK_GROUP_SIZE)?,
            local_memory: ask(ffi::CL_KERNEL_LOCAL_MEM_SIZE).unwrap_or(0),
            private_memory: ask(ffi::CL_KERNEL_PRIVATE_MEM_SIZE).unwrap_or(0),
            registers: 0,
            preferred_multiple: ask(ffi::CL_KERNEL_PREFERRED_WORK_GROUP_SIZE_MULTIPLE).unwrap_or(1),
            n_arguments: n_arguments as usize,
        };
        // SAFETY: the caller gives a valid pointer.
        unsafe { *out = facts };
        Ok(())
    })())
}

/// Arguments are set and the launch is ordered in one go: a kernel keeps its arguments, and several threads may have it.
static LAUNCHING: Mutex<()> = Mutex::new(());

pub unsafe extern "C" fn launch(
    _: u32,
    stream: Handle,
    kernel: Handle,
    launch: *const Launch,
    event: *mut Handle,
) -> i32 {
    // SAFETY: the caller gives a valid launch with valid arguments.
    let (launch, arguments) = unsafe {
        let launch = &*launch;
        let arguments = match launch.n_arguments {
            0 => &[],
            n => std::slice::from_raw_parts(launch.arguments, n),
        };
        (launch, arguments)
    };
    let kernel = kernel as ffi::cl_kernel;
    answer((|| {
        let _one_at_a_time = LAUNCHING.lock().unwrap_or_else(PoisonError::into_inner);
        for (index, argument) in arguments.iter().enumerate() {
            set(kernel, index as u32, argument)?;
        }
        let global = std::array::from_fn::<_, 3, _>(|i| launch.groups[i] * launch.group_size[i]);
        // SAFETY: three dimensions each; the arguments have just been set.
        let result = unsafe {
            ffi::clEnqueueNDRangeKernel(
                stream as ffi::cl_command_queue,
                kernel,
                3,
                null(),
                global.as_ptr(),
                launch.group_size.as_ptr(),
                0,
                null(),
                event.cast(),
            )
        };
        check("clEnqueueNDRangeKernel", result)
    })())
}

fn set(kernel: ffi::cl_kernel, index: u32, argument: &Argument) -> Result<(), i32> {
    let buffer = argument.handle;
    let (size, value): (usize, *const c_void) = match argument.kind {
        argument::BUFFER => (size_of::<ffi::cl_mem>(), (&raw const buffer).cast()),
        argument::VALUE => (argument.size, argument.value),
        _ => (argument.size, null()),
    };
    // SAFETY: `value` is valid for `size` bytes, or null for local memory.
    let result = unsafe { ffi::clSetKernelArg(kernel, index, size, value) };
    check("clSetKernelArg", result).inspect_err(|_| {
        fail(format!(
            "argument {index} of {size} bytes is not what the kernel declares: {}",
            crate::name(result)
        ));
    })
}
