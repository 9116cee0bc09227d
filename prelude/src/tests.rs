//! What a worker and a cell see of this library.
//!
//! These tests stand inside the crate: without `-Cprefer-dynamic` a test program outside cannot link a dylib that
//! holds std. Cargo runs no doc tests of a dylib either, so each example of the documentation has a test here.

mod docs;
pub(crate) mod host;
mod result;
mod worker;
