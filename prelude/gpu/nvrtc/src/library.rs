//! NVRTC: opened, asked what it is, and called.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::ptr::{null, null_mut};

use crate::{Binary, Failure, SOURCE, Target, places};

/// NVRTC's handle of a text.
type Program = *mut c_void;

/// NVRTC's code for a text that is wrong, and for an option that is.
const COMPILATION: c_int = 6;
const INVALID_OPTION: c_int = 5;

type Count = unsafe extern "C" fn(*mut c_int) -> c_int;
type Size = unsafe extern "C" fn(Program, *mut usize) -> c_int;
type Bytes = unsafe extern "C" fn(Program, *mut c_char) -> c_int;

/// The functions that are used, as `nvrtc.h` declares them. All are there from CUDA 11.2 on.
struct Functions {
    version: unsafe extern "C" fn(*mut c_int, *mut c_int) -> c_int,
    n_supported: Count,
    supported: Count,
    error_string: unsafe extern "C" fn(c_int) -> *const c_char,
    create: unsafe extern "C" fn(
        *mut Program,
        source: *const c_char,
        name: *const c_char,
        n_headers: c_int,
        headers: *const *const c_char,
        names: *const *const c_char,
    ) -> c_int,
    destroy: unsafe extern "C" fn(*mut Program) -> c_int,
    compile: unsafe extern "C" fn(Program, c_int, *const *const c_char) -> c_int,
    log_size: Size,
    log: Bytes,
    cubin_size: Size,
    cubin: Bytes,
    ptx_size: Size,
    ptx: Bytes,
}

/// An NVRTC that is open, until the process ends.
pub struct Library {
    functions: Functions,
    version: (u32, u32),
    supported: Vec<u32>,
}

impl Library {
    /// Opens a file, or what the loader finds by a name.
    ///
    /// # Errors
    /// It is no NVRTC. No words if there is none and nobody named it.
    pub fn open(file: &Path) -> Result<Library, String> {
        let name = CString::new(file.as_os_str().as_bytes()).map_err(|error| error.to_string())?;
        // SAFETY: the name ends with NUL. What the library does when it is opened is NVIDIA's.
        let library = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if library.is_null() {
            let is_a_guess = file.components().count() == 1
                && std::env::var_os(places::OVERRIDE).is_none_or(|named| named.is_empty());
            return Err(if is_a_guess {
                String::new()
            } else {
                loader_error()
            });
        }
        let functions = Functions::of(library)
            .map_err(|why| format!("{} is too old: {why}", file.display()))?;
        let (mut major, mut minor, mut n) = (0, 0, 0);
        // SAFETY: valid pointers.
        let result = unsafe { (functions.version)(&mut major, &mut minor) };
        functions.check("nvrtcVersion", result)?;
        // SAFETY: a valid pointer.
        let result = unsafe { (functions.n_supported)(&mut n) };
        functions.check("nvrtcGetNumSupportedArchs", result)?;
        let mut supported: Vec<c_int> = vec![0; n.max(0) as usize];
        // SAFETY: room for as many numbers as it has just said.
        let result = unsafe { (functions.supported)(supported.as_mut_ptr()) };
        functions.check("nvrtcGetSupportedArchs", result)?;
        Ok(Library {
            functions,
            version: (major as u32, minor as u32),
            supported: supported.into_iter().map(|arch| arch as u32).collect(),
        })
    }

    pub fn version(&self) -> (u32, u32) {
        self.version
    }

    /// The architectures that it compiles for.
    pub fn supported(&self) -> &[u32] {
        &self.supported
    }

    pub fn compile(
        &self,
        source: &[u8],
        target: Target,
        options: &[&str],
    ) -> Result<Binary, Failure> {
        let broken = |why: String| Failure::Broken(why);
        let source = CString::new(source)
            .map_err(|_| Failure::Rejected(b"the source has a byte 0 in it".to_vec()))?;
        let name = CString::new(SOURCE).expect("no NUL in it");
        let mut program = Text(self, null_mut());
        // SAFETY: texts that end with NUL and live during the call; no headers.
        let result = unsafe {
            (self.functions.create)(
                &mut program.1,
                source.as_ptr(),
                name.as_ptr(),
                0,
                null(),
                null(),
            )
        };
        self.functions
            .check("nvrtcCreateProgram", result)
            .map_err(broken)?;
        let arch = format!("--gpu-architecture={}", target.name());
        let options: Vec<CString> = std::iter::once(arch.as_str())
            .chain(options.iter().copied())
            .map(|option| CString::new(option).map_err(|error| Failure::Broken(error.to_string())))
            .collect::<Result<_, _>>()?;
        let pointers: Vec<*const c_char> = options.iter().map(|option| option.as_ptr()).collect();
        // SAFETY: the program was just made; as many options as are said, which live during the call.
        let result = unsafe {
            (self.functions.compile)(program.1, pointers.len() as c_int, pointers.as_ptr())
        };
        let mut log = program.get(self.functions.log_size, self.functions.log);
        while log.as_ref().is_ok_and(|log| log.last() == Some(&0)) {
            let _the_nul = log.as_mut().map(Vec::pop);
        }
        if result == COMPILATION || result == INVALID_OPTION {
            return Err(Failure::Rejected(log.map_err(broken)?));
        }
        let done = self.functions.check("nvrtcCompileProgram", result);
        done.map_err(|why| {
            let log = log.as_deref().map(String::from_utf8_lossy);
            Failure::Broken(format!("{why}\n{}", log.unwrap_or_default()))
        })?;
        let bytes = match target {
            Target::Real(_) => program.get(self.functions.cubin_size, self.functions.cubin),
            Target::Virtual(_) => program.get(self.functions.ptx_size, self.functions.ptx),
        };
        Ok(Binary {
            bytes: bytes.map_err(broken)?,
            log: log.map_err(broken)?,
        })
    }
}

/// A program of NVRTC's, destroyed at its end.
struct Text<'a>(&'a Library, Program);

impl Text<'_> {
    /// Something that NVRTC has of the program.
    fn get(&self, size: Size, bytes: Bytes) -> Result<Vec<u8>, String> {
        let functions = &self.0.functions;
        let mut n = 0;
        // SAFETY: a program and a valid pointer.
        functions.check("its size", unsafe { size(self.1, &mut n) })?;
        let mut room = vec![0_u8; n];
        // SAFETY: room for as many bytes as it has just said.
        functions.check("its bytes", unsafe {
            bytes(self.1, room.as_mut_ptr().cast())
        })?;
        Ok(room)
    }
}

impl Drop for Text<'_> {
    fn drop(&mut self) {
        if !self.1.is_null() {
            // SAFETY: made by `create`, and not used again.
            unsafe { (self.0.functions.destroy)(&mut self.1) };
        }
    }
}

impl Functions {
    fn of(library: *mut c_void) -> Result<Functions, String> {
        // SAFETY: each name is that of a function which `nvrtc.h` declares with the type of its field.
        unsafe {
            Ok(Functions {
                version: symbol(library, c"nvrtcVersion")?,
                n_supported: symbol(library, c"nvrtcGetNumSupportedArchs")?,
                supported: symbol(library, c"nvrtcGetSupportedArchs")?,
                error_string: symbol(library, c"nvrtcGetErrorString")?,
                create: symbol(library, c"nvrtcCreateProgram")?,
                destroy: symbol(library, c"nvrtcDestroyProgram")?,
                compile: symbol(library, c"nvrtcCompileProgram")?,
                log_size: symbol(library, c"nvrtcGetProgramLogSize")?,
                log: symbol(library, c"nvrtcGetProgramLog")?,
                cubin_size: symbol(library, c"nvrtcGetCUBINSize")?,
                cubin: symbol(library, c"nvrtcGetCUBIN")?,
                ptx_size: symbol(library, c"nvrtcGetPTXSize")?,
                ptx: symbol(library, c"nvrtcGetPTX")?,
            })
        }
    }

    fn check(&self, call: &str, result: c_int) -> Result<(), String> {
        if result == 0 {
            return Ok(());
        }
        // SAFETY: NVRTC has a constant text for every number.
        let words = unsafe { CStr::from_ptr((self.error_string)(result)) };
        Err(format!("{call}: {} ({result})", words.to_string_lossy()))
    }
}

/// A function of an open library.
///
/// # Safety
/// `F` is the type of the function that has this name.
unsafe fn symbol<F: Copy>(library: *mut c_void, name: &CStr) -> Result<F, String> {
    const { assert!(size_of::<F>() == size_of::<*mut c_void>()) };
    // SAFETY: an open library and a name that ends with NUL.
    let address = unsafe { libc::dlsym(library, name.as_ptr()) };
    if address.is_null() {
        return Err(format!("it has no {}", name.to_string_lossy()));
    }
    // SAFETY: not null, and of this type, as the caller promises.
    Ok(unsafe { std::mem::transmute_copy(&address) })
}

/// The loader's words for what has just failed in this thread.
fn loader_error() -> String {
    // SAFETY: null, or a text that is valid until the next call of the loader in this thread.
    unsafe {
        let words = libc::dlerror();
        if words.is_null() {
            return "the loader does not say why".to_owned();
        }
        CStr::from_ptr(words).to_string_lossy().into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_library_is_refused() {
        let Err(why) = Library::open(Path::new("libc.so.6")) else {
            panic!("the C library is no NVRTC");
        };
        assert_eq!(why, "libc.so.6 is too old: it has no nvrtcVersion");
    }

    #[test]
    fn a_file_that_is_named_and_not_there_is_named_again() {
        let Err(why) = Library::open(Path::new("/nowhere/libnvrtc.so.12")) else {
            panic!("there is no such file");
        };
        assert!(why.contains("/nowhere/libnvrtc.so.12"), "{why}");
    }
}
