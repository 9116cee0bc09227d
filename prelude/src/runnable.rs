//! Work with a name: what a thread class or a process class is elsewhere.

/// Something that a thread or a process of its own can run.
///
/// The fields are the work's arguments. A thread takes any that is `Send`; a process needs one that is a
/// [`Message`](crate::processes::Message).
///
/// ```
/// use forkline::prelude::*;
///
/// struct Greeter { to: String }
///
/// impl Runnable for Greeter {
///     type Output = String;
///     fn run(self) -> String { format!("Hello {}", self.to) }
/// }
/// assert_eq!(Greeter { to: "world".to_owned() }.run(), "Hello world");
/// ```
pub trait Runnable {
    /// What comes of it.
    type Output;

    /// The name of the thread or process; without one it is numbered.
    fn name(&self) -> Option<String> {
        None
    }

    /// Does the work.
    fn run(self) -> Self::Output;
}
