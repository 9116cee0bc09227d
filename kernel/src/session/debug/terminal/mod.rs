//! The debugger by lines of text, as pdb and gdb have it, over the same state as the front end's.
//!
//! * `words`      the commands and their names
//! * `dialogue`   one conversation: a line in, text out
//! * `places`     what is looked at, and how one gets from frame to frame
//! * `points`     the commands about breakpoints
//! * `look`       stacks, variables, source of what stands still
//! * `doors`      who may come in: a socket of the session for this user, a port for whoever has the token
//! * `wire`       lines out of bytes that may be anything
//! * `script`     a conversation whose lines stand in the cell
//!
//! It speaks the Debug Adapter Protocol to [`super::Debugger`] and knows nothing of Jupyter.
//!
//! What always holds: one conversation at a time; whatever comes by a socket is text of bounded length or is
//! dropped; nobody who is not this user gets past a door without the token.

mod dialogue;
mod doors;
pub mod look;
mod places;
mod points;
mod script;
mod wire;
mod words;

pub use doors::{Seats, card, close, doors, listen};
pub use script::Script;

/// What is printed where a command is expected.
const PROMPT: &str = "(fdb) ";
