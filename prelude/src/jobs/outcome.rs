//! What a job, or the handler of a connection, may return.

use std::fmt::Display;

use crate::function::Never;

/// What a job or a handler may return: nothing, or a `Result` whose error becomes its last error.
pub trait Outcome {
    /// The text of the error, if it is one.
    ///
    /// # Errors
    /// The work failed.
    fn outcome(self) -> Result<(), String>;
}

impl Outcome for () {
    fn outcome(self) -> Result<(), String> {
        Ok(())
    }
}

impl<E: Display> Outcome for Result<(), E> {
    fn outcome(self) -> Result<(), String> {
        self.map_err(|error| error.to_string())
    }
}

/// A loop without an end.
impl Outcome for Never {
    fn outcome(self) -> Result<(), String> {
        self
    }
}
