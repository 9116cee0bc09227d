//! Texts and modules.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::null_mut;
use std::sync::Arc;

use cust::sys::{self, CUjit_option, CUmodule};
use forkline_nvrtc::{Compiler, Failure};

use crate::table::{Handle, code};
use crate::{Device, LAST, answer, check, device, driver_version, fail, open, write_bytes};

/// Room for what the driver says about a module that it refuses.
const LOG: usize = 4096;

/// A module that is loaded. Its handle is one owner, each of its kernels another.
pub struct Module {
    /// The device's number.
    index: u32,
    module: CUmodule,
    /// What it was loaded from.
    binary: Vec<u8>,
}

// SAFETY: a module of CUDA may be used from any thread whose context is its own.
unsafe impl Send for Module {}
// SAFETY: as above.
unsafe impl Sync for Module {}

impl Module {
    fn load(index: u32, mut binary: Vec<u8>) -> Result<Arc<Module>, i32> {
        open(index)?;
        // What is not a cubin is a text, and ends with NUL.
        if !binary.starts_with(b"\x7fELF") && binary.last() != Some(&0) {
            binary.push(0);
        }
        let mut module = null_mut();
        let mut log = [0_u8; LOG];
        let mut options = [
            CUjit_option::CU_JIT_ERROR_LOG_BUFFER,
            CUjit_option::CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES,
        ];
        // The driver takes the number in the place of a pointer. One byte stays 0.
        let mut values: [*mut c_void; 2] = [
            log.as_mut_ptr().cast(),
            std::ptr::without_provenance_mut(LOG - 1),
        ];
        // SAFETY: an image that is whole or ends with NUL; two options with their values.
        let result = unsafe {
            sys::cuModuleLoadDataEx(
                &mut module,
                binary.as_ptr().cast(),
                options.len() as u32,
                options.as_mut_ptr(),
                values.as_mut_ptr(),
            )
        };
        check("cuModuleLoadDataEx", result).inspect_err(|_| {
            let said = CStr::from_bytes_until_nul(&log).unwrap_or_default();
            if !said.is_empty() {
                LAST.with_borrow_mut(|last| *last += &format!("\n{}", said.to_string_lossy()));
            }
        })?;
        Ok(Arc::new(Module {
            index,
            module,
            binary,
        }))
    }

    /// The module behind a handle, with an owner more.
    ///
    /// # Safety
    /// The handle is one of [`into_handle`](Module::into_handle) that is not freed.
    pub unsafe fn of(handle: Handle) -> Arc<Module> {
        let module = handle as *const Module;
        // SAFETY: as the caller promises; the handle keeps its own owner.
        unsafe {
            Arc::increment_strong_count(module);
            Arc::from_raw(module)
        }
    }

    fn into_handle(self: Arc<Module>) -> Handle {
        Arc::into_raw(self) as Handle
    }

    pub fn raw(&self) -> CUmodule {
        self.module
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        if open(self.index).is_ok() {
            // SAFETY: nobody has the module any more, but what is ordered may still run its code.
            unsafe {
                let _other_calls_say_so = sys::cuCtxSynchronize();
                let _nothing_can_be_done = sys::cuModuleUnload(self.module);
            }
        }
    }
}

impl Device {
    /// The compiler for this device. That there is none is not kept: it may be installed meanwhile.
    fn compiler(&self) -> Result<&Compiler, i32> {
        if let Some(compiler) = self.compiler.get() {
            return Ok(compiler);
        }
        let driver = driver_version() / 1000;
        let driver = (driver > 0).then_some(driver);
        let compiler = Compiler::find(self.arch(), driver).map_err(|why| {
            fail(why);
            code::NO_COMPILER
        })?;
        Ok(self.compiler.get_or_init(|| compiler))
    }
}

pub unsafe extern "C" fn compiler(index: u32, out: *mut u8, capacity: usize) -> usize {
    let name = device(index)
        .and_then(Device::compiler)
        .map(Compiler::name)
        .unwrap_or_default();
    // SAFETY: the caller promises the room.
    unsafe { write_bytes(name.as_bytes(), out, capacity) }
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
    // SAFETY: the caller gives room for `capacity` bytes, and a valid pointer.
    let say = |said: &[u8]| unsafe { *log_length = write_bytes(said, log, capacity) };
    say(b"");
    // SAFETY: the caller gives so many bytes, and options that end with NUL or null.
    let (source, options) = unsafe {
        let source = std::slice::from_raw_parts(source, length);
        let options = match options.is_null() {
            true => c"",
            false => CStr::from_ptr(options),
        };
        (source, options.to_string_lossy())
    };
    answer((|| {
        let compiler = device(index)?.compiler()?;
        let binary = compiler.compile(source, &options).map_err(|failure| {
            say(failure.log());
            match failure {
                Failure::Rejected(_) => {
                    fail(format!("{}: the text does not compile", compiler.name()));
                    code::COMPILE
                }
                Failure::Broken(why) => {
                    fail(format!("{}: {why}", compiler.name()));
                    code::NO_COMPILER
                }
            }
        })?;
        say(&binary.log);
        let loaded = Module::load(index, binary.bytes)?;
        // SAFETY: the caller gives a valid pointer.
        unsafe { *module = loaded.into_handle() };
        Ok(())
    })())
}

pub unsafe extern "C" fn binary(_: u32, module: Handle, out: *mut u8, capacity: usize) -> usize {
    // SAFETY: the caller gives a module.
    let module = unsafe { Module::of(module) };
    if module.binary.len() > capacity {
        return module.binary.len();
    }
    // SAFETY: the caller promises the room.
    unsafe { write_bytes(&module.binary, out, capacity) }
}

pub unsafe extern "C" fn load(
    index: u32,
    binary: *const u8,
    length: usize,
    module: *mut Handle,
) -> i32 {
    // SAFETY: the caller gives so many bytes.
    let binary = unsafe { std::slice::from_raw_parts(binary, length) };
    answer(Module::load(index, binary.to_vec()).map(|loaded| {
        // SAFETY: the caller gives a valid pointer.
        unsafe { *module = loaded.into_handle() };
    }))
}

pub unsafe extern "C" fn module_free(_: u32, module: Handle) -> i32 {
    // SAFETY: the caller gives a module that it does not use again; its kernels own it too.
    unsafe { drop(Arc::from_raw(module as *const Module)) };
    0
}
