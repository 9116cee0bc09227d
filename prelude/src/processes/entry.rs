//! How another process finds a function: by the library that holds it and the place therein.
//!
//! Only functions without data of their own travel, whose value can be made out of nothing. So what has to be
//! found is one function of Rust code that was compiled for just this type, its *body*.
//!
//! What always holds: a body is called only in a process that loaded the same file of the same library.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::NonNull;

use serde::{Deserialize, Serialize};

use super::message::{self, Message, MessageError, Packet};
use crate::Function;

/// What runs in the other process: takes the arguments as they came, gives the value as it is to be sent. Panics
/// pass through it.
pub(crate) type Body = fn(Packet) -> Result<Packet, Failure>;

/// Which of the two ways failed.
pub(crate) enum Failure {
    Arguments(MessageError),
    Result(MessageError),
}

/// The body of a function.
pub(crate) fn body<F, Args>(packet: Packet) -> Result<Packet, Failure>
where
    F: Function<Args, Output: Message>,
    Args: Message,
{
    let arguments: Args = message::decode(packet).map_err(Failure::Arguments)?;
    let value = conjure::<F>().call(arguments);
    message::encode(&value, true).map_err(Failure::Result)
}

/// The body of a function whose value nobody wants.
pub(crate) fn body_without_value<F, Args>(packet: Packet) -> Result<Packet, Failure>
where
    F: Function<Args>,
    Args: Message,
{
    let arguments: Args = message::decode(packet).map_err(Failure::Arguments)?;
    conjure::<F>().call(arguments);
    Ok(Packet::default())
}

/// The only value of a function's type.
pub(crate) fn conjure<F: Copy>() -> F {
    const {
        assert!(
            size_of::<F>() == 0,
            "this function cannot run in another process, because it carries data. \
             Give a function by its name, or a closure that captures nothing, and hand the data over as arguments: \
             `Process::new(work, (data,))`. A variable of type `fn(..)` is an address that means nothing elsewhere. \
             `processes::fork(move || ..)` takes any closure."
        );
    }
    // SAFETY: a type without bytes has one value, which may be read anywhere (`Copy`: nothing is owned twice).
    unsafe { NonNull::<F>::dangling().read() }
}

/// Where a function lies.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Path of the library, empty for the program itself.
    pub library: String,
    offset: usize,
}

/// The public part of glibc's struct link_map.
#[repr(C)]
struct LinkMap {
    base: usize,
    name: *const c_char,
    _dynamic: *const c_void,
    next: *const LinkMap,
    previous: *const LinkMap,
}

const RTLD_DL_LINKMAP: c_int = 2;
const RTLD_DI_LINKMAP: c_int = 2;

unsafe extern "C" {
    fn dladdr1(
        address: *const c_void,
        info: *mut libc::Dl_info,
        extra: *mut *mut c_void,
        flags: c_int,
    ) -> c_int;
    fn dlinfo(handle: *mut c_void, request: c_int, info: *mut c_void) -> c_int;
}

impl Entry {
    /// Where the code at an address lies; the empty library if nobody knows.
    pub fn at(address: *const c_void) -> Entry {
        let program = Entry {
            library: String::new(),
            offset: address as usize,
        };
        let mut map: *mut c_void = std::ptr::null_mut();
        // SAFETY: an all-zero Dl_info is valid; dladdr1 writes into it and, if it finds something, the address of a
        // link map, which lives as long as its library. Libraries of cells are never unloaded.
        unsafe {
            let mut info: libc::Dl_info = std::mem::zeroed();
            if dladdr1(address, &raw mut info, &raw mut map, RTLD_DL_LINKMAP) == 0 {
                return program;
            }
            let Some(map) = map.cast::<LinkMap>().as_ref() else {
                return program;
            };
            Entry {
                library: CStr::from_ptr(map.name).to_string_lossy().into_owned(),
                offset: address as usize - map.base,
            }
        }
    }

    pub fn of(body: Body) -> Entry {
        Entry::at(body as *const c_void)
    }

    /// Finds the function in this process, loading its library if need be.
    ///
    /// # Errors
    /// What the dynamic linker says.
    ///
    /// # Safety
    /// The entry is of a [`Body`], and the library's file is the one that it was taken from.
    pub unsafe fn resolve(&self) -> Result<Body, String> {
        let path = CString::new(self.library.as_str()).map_err(|error| error.to_string())?;
        let name = if self.library.is_empty() {
            std::ptr::null()
        } else {
            path.as_ptr()
        };
        let mut map: *const LinkMap = std::ptr::null();
        // Global, as in the process that runs cells: all libraries share the first one's statics.
        // SAFETY: loading runs initialisers of a library that ran in the parent too; dlinfo writes one pointer, and
        // the map lives as long as the library, which stays loaded.
        unsafe {
            let handle = libc::dlopen(name, libc::RTLD_NOW | libc::RTLD_GLOBAL);
            if handle.is_null() || dlinfo(handle, RTLD_DI_LINKMAP, (&raw mut map).cast()) != 0 {
                let why = libc::dlerror();
                return Err(if why.is_null() {
                    format!("{} cannot be loaded", self.library)
                } else {
                    CStr::from_ptr(why).to_string_lossy().into_owned()
                });
            }
            let address = ((*map).base + self.offset) as *const c_void;
            Ok(std::mem::transmute::<*const c_void, Body>(address))
        }
    }
}

/// The libraries that a child loads before anything else: the standard library and this one; empty for what is part
/// of the program.
pub(crate) fn own_libraries() -> [String; 2] {
    [
        Entry::at(std::process::id as *const c_void).library,
        Entry::at(own_libraries as *const c_void).library,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(a: u32, b: u32) -> u32 {
        a + b
    }

    #[test]
    fn a_body_is_found_again_by_its_place() {
        fn entry_of<F, Args>(_: F) -> Entry
        where
            F: Function<Args, Output: Message>,
            Args: Message,
        {
            Entry::of(body::<F, Args>)
        }
        let entry = entry_of(add);
        // SAFETY: the entry is of a body, and this is the same process.
        let body = unsafe { entry.resolve() }.unwrap();
        let arguments = message::encode(&(2_u32, 3_u32), true).unwrap();
        let value = body(arguments).ok().unwrap();
        assert_eq!(message::decode::<u32>(value).unwrap(), 5);
    }

    #[test]
    fn a_library_that_is_gone_says_so() {
        let entry = Entry {
            library: "/nowhere/libcode_1.so".into(),
            offset: 16,
        };
        // SAFETY: nothing is called.
        let why = unsafe { entry.resolve() }.unwrap_err();
        assert!(why.contains("/nowhere/libcode_1.so"), "{why}");
    }
}
