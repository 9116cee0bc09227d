//! Jupyter on the wire: sockets, signatures, message types, the order on iopub.
//!
//! This room does not know what language is in a cell. It hands checked [`Message`]s to whoever
//! listens and sends what it is given; what a request means is `session`'s business.
//!
//! * `connection`  the connection file, CurveZMQ keys included
//! * `message`     one message, with the fields of its header that this kernel does not know kept
//! * `signature`   HMAC over the four JSON frames, compared in constant time, replays refused
//! * `sockets`     the one thread that owns all sockets
//!
//! Message contents are those of the crate `jupyter-protocol`; what it lacks is added as JSON where
//! it is made (see `session::info` for `supported_features`).

mod connection;
mod message;
mod signature;
mod sockets;

pub use connection::Connection;
pub use message::{Channel, Message, Outgoing, Parent};
pub use sockets::{Incoming, Wire, serve};

/// Version of the messaging protocol that this kernel speaks.
pub const VERSION: &str = "5.4";
