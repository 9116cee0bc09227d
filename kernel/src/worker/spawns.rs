//! The C library's `posix_spawn` and `posix_spawnp` as the worker's executable exports them (see `interpose`): one at a
//! time while a debugger is attached.
//!
//! They run the new process in this one's memory until it has its own program (vfork). LLDB takes its traps out meanwhile and
//! puts them back when that is over; if two threads do it at once, it puts them back twice and takes them out once, so a thread
//! that goes on from one of them meets it again for ever (seen with LLDB 19).
//!
//! What always holds: without a debugger the calls are the C library's, side by side.

use super::{channel, traced};
use std::ffi::{CStr, c_char, c_int};
use std::sync::{Mutex, OnceLock};

type Spawn = unsafe extern "C" fn(
    *mut libc::pid_t,
    *const c_char,
    *const libc::posix_spawn_file_actions_t,
    *const libc::posix_spawnattr_t,
    *const *mut c_char,
    *const *mut c_char,
) -> c_int;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The C library's own function.
fn next(place: &OnceLock<Spawn>, name: &CStr) -> Spawn {
    *place.get_or_init(|| {
        // SAFETY: the name is a C string; RTLD_NEXT finds the C library's own function, whose signature this is.
        unsafe {
            let address = libc::dlsym(libc::RTLD_NEXT, name.as_ptr());
            assert!(!address.is_null(), "the C library has {name:?}");
            std::mem::transmute::<*mut std::ffi::c_void, Spawn>(address)
        }
    })
}

macro_rules! one_at_a_time {
    ($($function:ident $name:literal;)*) => {$(
        /// # Safety
        /// As for posix_spawn(3).
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $function(
            pid: *mut libc::pid_t,
            program: *const c_char,
            actions: *const libc::posix_spawn_file_actions_t,
            attributes: *const libc::posix_spawnattr_t,
            arguments: *const *mut c_char,
            environment: *const *mut c_char,
        ) -> c_int {
            static NEXT: OnceLock<Spawn> = OnceLock::new();
            let next = next(&NEXT, $name);
            // A copy of this process, whose lock nobody might give back, is not traced.
            let _alone = traced::is_traced().then(|| channel::lock(&ONE_AT_A_TIME));
            // SAFETY: the caller's promises are passed on.
            unsafe { next(pid, program, actions, attributes, arguments, environment) }
        }
    )*};
}

one_at_a_time! {
    posix_spawn c"posix_spawn";
    posix_spawnp c"posix_spawnp";
}
