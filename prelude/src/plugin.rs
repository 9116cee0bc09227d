//! Plugins: libraries of ours that are built apart from the prelude, because they need what not every machine has, and are
//! opened at the first use.
//!
//! A plugin exports one function, which returns a table of C functions. It is never closed.

use std::ffi::{CStr, CString, c_void};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Where the plugins lie, below the folder of this version of forkline.
const FOLDER: &str = "plugins";

/// Why a plugin cannot be used.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// The variable that names its file names none.
    Named {
        variable: &'static str,
        path: PathBuf,
    },
    /// It has not been built.
    NotBuilt,
    /// The loader's words.
    NotLoaded(String),
    /// It does not have the function.
    NoPlugin { path: PathBuf, text: String },
    /// Its table has another version.
    Version,
}

/// The file of a plugin: what `variable` names, else the one of this installation.
///
/// # Errors
/// There is none.
pub(crate) fn find(file: &str, variable: &'static str) -> Result<PathBuf, Fault> {
    if let Some(path) = std::env::var_os(variable).map(PathBuf::from) {
        return if path.exists() {
            Ok(path)
        } else {
            Err(Fault::Named { variable, path })
        };
    }
    // This library lies in the template or in a session's folder, both below the folder of the version.
    own_path()
        .iter()
        .flat_map(|path| path.ancestors())
        .map(|dir| dir.join(FOLDER).join(file))
        .find(|plugin| plugin.exists())
        .ok_or(Fault::NotBuilt)
}

/// Opens a plugin and returns its table.
///
/// # Errors
/// It does not load, is no plugin, or is of another version.
///
/// # Safety
/// The function `entry` of the plugin returns a `*const T` that is valid for ever, if its first field, a `u32`, is
/// `version`.
pub(crate) unsafe fn table<T>(
    path: &Path,
    is_global: bool,
    entry: &CStr,
    version: u32,
) -> Result<&'static T, Fault> {
    let library = open(path, is_global).map_err(Fault::NotLoaded)?;
    // SAFETY: the handle is valid.
    let function = unsafe { libc::dlsym(library, entry.as_ptr()) };
    if function.is_null() {
        return Err(Fault::NoPlugin {
            path: path.to_owned(),
            text: dl_error(),
        });
    }
    // SAFETY: the caller promises the function's form, and that the table is valid for ever.
    unsafe {
        let function: unsafe extern "C" fn() -> *const T =
            std::mem::transmute::<*mut c_void, _>(function);
        let table = function();
        // The version comes first in every version of a table.
        if table.cast::<u32>().read() == version {
            Ok(&*table)
        } else {
            Err(Fault::Version)
        }
    }
}

/// Opens a library for good.
///
/// # Errors
/// The loader's words.
pub(crate) fn open(path: &Path, is_global: bool) -> Result<*mut c_void, String> {
    let name =
        CString::new(path.as_os_str().as_bytes()).map_err(|_| "its path holds a NUL byte")?;
    let scope = if is_global {
        libc::RTLD_GLOBAL
    } else {
        libc::RTLD_LOCAL
    };
    // SAFETY: loading runs the library's initialisers, which is what is wanted.
    let library = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | scope) };
    if library.is_null() {
        Err(dl_error())
    } else {
        Ok(library)
    }
}

/// Where this library was loaded from.
fn own_path() -> Option<PathBuf> {
    static HERE: u8 = 0;
    let mut found = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: the address of a static of this library; `dladdr` writes the structure if it returns non-zero, and
    // the name lives as long as the library is loaded.
    let name = unsafe {
        if libc::dladdr((&raw const HERE).cast(), found.as_mut_ptr()) == 0 {
            return None;
        }
        CStr::from_ptr(found.assume_init().dli_fname)
    };
    fs::canonicalize(Path::new(std::ffi::OsStr::from_bytes(name.to_bytes()))).ok()
}

fn dl_error() -> String {
    // SAFETY: null, or a C string that is valid until the thread's next call of dl functions.
    unsafe {
        let text = libc::dlerror();
        if text.is_null() {
            "for no known reason".to_owned()
        } else {
            CStr::from_ptr(text).to_string_lossy().into_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_exist_is_not_opened() {
        let error = open(Path::new("libno-such-library.so.1"), false).unwrap_err();
        assert!(error.contains("libno-such-library.so.1"), "{error}");
    }

    #[test]
    fn a_library_without_the_function_is_no_plugin() {
        // SAFETY: the function does not exist, so nothing is called.
        let fault = unsafe { table::<u32>(Path::new("libc.so.6"), false, c"forkline_no_such", 1) };
        assert!(matches!(fault, Err(Fault::NoPlugin { .. })));
    }
}
