//! A stop that is written into the code, for the front end's debugger.
//!
//! ```
//! use forkline::prelude::*;
//!
//! let mut sum = 0;
//! for n in 1..4 {
//!     sum += n;
//!     breakpoint!();
//! }
//! assert_eq!(sum, 6);
//! ```

/// Stops here if the debugger is on; does nothing otherwise, and costs a call of an empty function then.
///
/// Behind it one looks around and goes on as from any breakpoint. `if n == 7 { breakpoint!() }` is a conditional one.
#[macro_export]
macro_rules! breakpoint {
    () => {
        $crate::debugger::forkline_breakpoint()
    };
}

/// Where the debugger waits for [`breakpoint!`](crate::breakpoint). It finds the function by this name.
// SAFETY: nothing else has a name with this beginning, and the function takes and returns nothing.
#[doc(hidden)]
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn forkline_breakpoint() {
    // Without something that counts as an effect, calls of it would be removed.
    std::hint::black_box(());
}
