//! The C interface of the translator: this file is a part of it and of the prelude.
//!
//! What always holds: a text is UTF-8 with its length; what [`Table::translate`] returns belongs to the caller until it is given to
//! [`Table::free`]; any thread may call.

/// The version of this file. A translator of another one is refused.
pub const VERSION: u32 = 1;

/// The name of the translator's only exported function, which returns a `*const Table` that is valid for ever.
pub const ENTRY: &std::ffi::CStr = c"forkline_translator";

/// OpenCL C.
pub const OPENCL: u32 = 0;
/// CUDA C.
pub const CUDA: u32 = 1;

/// A text, by where it begins and its length in bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Text {
    pub start: *const u8,
    pub length: usize,
}

impl Text {
    /// A text that is lent.
    pub fn of(text: &str) -> Text {
        Text {
            start: text.as_ptr(),
            length: text.len(),
        }
    }

    /// The bytes.
    ///
    /// # Safety
    /// It is a text that still lives.
    pub unsafe fn bytes<'t>(self) -> &'t [u8] {
        // SAFETY: the caller promises it.
        unsafe { std::slice::from_raw_parts(self.start, self.length) }
    }
}

/// What is to be translated.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// The words of the `kernel!`, as `stringify!` gives them.
    pub tokens: Text,
    /// The file from the call of the macro on, to find lines and columns; empty if there is none.
    pub file: Text,
    /// Which of its functions.
    pub kernel: Text,
    /// [`OPENCL`] or [`CUDA`].
    pub dialect: u32,
}

/// What the translator offers.
///
/// An answer has lines of fields with tabs between them. An error is the line `error`, line, column, `true` if both are the
/// file's, and the words. Else there are the lines `source`, `file` or `tokens`; `kernel`, its name, the number that it notes faults
/// under; `barrier` if it waits at one; `f64` if it needs that;
/// `local`, bytes; `site`, kind, line, column, name, for each place where something may go wrong; `lines`, the source line
/// of each line of the text; an empty line; the text.
#[repr(C)]
pub struct Table {
    pub version: u32,
    pub translate: unsafe extern "C" fn(Order) -> Text,
    pub free: unsafe extern "C" fn(Text),
}
