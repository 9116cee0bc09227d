//! The cells' part of a stack, as addresses.
//!
//! Turning addresses into lines takes tens of milliseconds and is left to the kernel, which does it
//! only for what it shows; Rust's own backtraces would also miss the libraries that were loaded
//! after the first one was taken.

use super::files;
use std::ffi::CStr;

/// How evcxr names the libraries of cells.
pub const CELL_LIBRARY: &str = "libcode_";

/// Frames are looked at up to this depth, so that a panic at the end of a deep recursion is quick.
const DEPTH: usize = 256;

/// Library and address within it of each frame of the calling thread that lies in a cell's code,
/// innermost first.
pub fn capture() -> Vec<(String, u64)> {
    let mut frames = Vec::new();
    let mut depth = 0;
    backtrace::trace(|frame| {
        depth += 1;
        // The return address is behind the call, perhaps on the next line.
        let address = (frame.ip() as usize).saturating_sub(1);
        if let Some((library, base)) = library_of(address)
            && library.contains(CELL_LIBRARY)
        {
            frames.push((files::there(library), (address - base) as u64));
        }
        depth < DEPTH
    });
    frames
}

/// The cell's library that an address lies in.
pub fn cell_library_of(address: usize) -> Option<String> {
    let (library, _) = library_of(address)?;
    library
        .contains(CELL_LIBRARY)
        .then(|| files::there(library))
}

/// The loaded library that an address lies in, and where it begins.
fn library_of(address: usize) -> Option<(String, usize)> {
    // SAFETY: an all-zero Dl_info is valid; dladdr only writes into it, and the name that it gives
    // lives as long as the library, which is never unloaded.
    unsafe {
        let mut info: libc::Dl_info = std::mem::zeroed();
        if libc::dladdr(address as *const libc::c_void, &mut info) == 0 || info.dli_fname.is_null()
        {
            return None;
        }
        let name = CStr::from_ptr(info.dli_fname).to_str().ok()?;
        Some((name.to_owned(), info.dli_fbase as usize))
    }
}
