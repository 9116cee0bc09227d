//! Remote objects: traits whose methods are called from other processes and machines, on objects that are found by name.
//!
//! Use it where objects live in processes of their own and are asked now and then: a service, a chain of servers, a
//! companion on another machine. For functions that run in processes of this notebook take `forkline::processes`, for bulk
//! data between ranks `%%mpi`. A call takes some 20 microseconds within a machine.
//!
//! What always holds:
//! * who does not prove the shared [`Key`] is refused before anything that he sends is parsed;
//! * only methods of the trait can be called; every method returns a `Result`, and its own errors and panics reach the caller;
//! * a call ends: with its answer, with an error, or at its deadline. Nothing is sent twice;
//! * messages have a limited length; a stranger costs a waiting place for a few seconds and nothing else;
//! * methods run at the same time, so they take `&self`, and an object may call itself through others;
//! * the name of a server that is gone is seen as dead after two seconds.
//!
//! Values travel in the format of postcard, a `Vec<u8>` or `&[u8]` as a block. They are not encrypted (see [`Key`]).
//!
//! ```
//! use std::sync::Arc;
//!
//! #[remote::object]
//! trait Hello {
//!     fn welcome(&self, name: &str) -> remote::Result<String>;
//! }
//!
//! struct Greeter;
//!
//! impl Hello for Greeter {
//!     fn welcome(&self, name: &str) -> remote::Result<String> {
//!         Ok(format!("Hi welcome {name}"))
//!     }
//! }
//!
//! let key = remote::Key::random()?;
//! let names = remote::NameServer::start(&key, "127.0.0.1:0")?;
//! let network = names.network();
//! let server = network.serve::<dyn Hello>("server", Arc::new(Greeter))?;
//!
//! let hello = network.proxy::<dyn Hello>("server");
//! assert_eq!(hello.welcome("Ruvika")?, "Hi welcome Ruvika");
//! # server.stop()?;
//! # names.stop()?;
//! # Ok::<(), remote::Error>(())
//! ```

// What the attribute writes says `::remote`, here too.
extern crate self as remote;

mod clients;
mod connection;
mod error;
mod key;
mod link;
mod names;
mod network;
mod object;
mod server;
#[cfg(test)]
mod tests;
mod uri;
mod wire;

pub use error::{Error, Result};
pub use key::{KEY_VARIABLE, Key};
pub use names::{Entry, NameServer};
pub use network::{DEFAULT_PORT, NAME_SERVER_VARIABLE, Network};
pub use object::{Object, Proxy, Returned};
/// Makes the methods of a trait callable from afar, on `dyn Trait`.
///
/// The methods take `&self` and return a [`Result`], or one with an error of yours that is `Serialize`, `Deserialize` and
/// `From<remote::Error>`. Arguments are whatever serde can send, and references to it. The trait becomes `Send + Sync`.
pub use remote_macros::object;
pub use server::{Refusal, Server};
pub use uri::Uri;

/// An object of this name or URI, in the network that the environment tells of ([`Network::from_env`]).
///
/// # Errors
/// There is no key in the environment, or no name server.
pub fn proxy<O: Object + ?Sized>(name: &str) -> Result<Proxy<O>> {
    Ok(Network::from_env()?.proxy(name))
}

/// For the code that the attribute writes.
#[doc(hidden)]
pub mod __private {
    pub use crate::link::Link;
    pub use crate::object::{Answer, Call};
    pub use crate::wire::{Block, BlockRef};
}
