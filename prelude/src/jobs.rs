//! Servers and other work that goes on behind the cell that began it.
//!
//! A job is a thread, a server for TCP connections, or an asynchronous task, with a name. For work that a cell waits
//! for take [`threads`](crate::threads) or [`tasks`](crate::tasks): those have results, a job has a state.
//!
//! What always holds:
//! * there is one job of a name: who begins another of that name (the cell is run again) stops the old one first, waits
//!   until it has ended, and its port is free then;
//! * what a job prints, and its panics, come under the cell that began it, for the next 4,096 cells;
//! * an interrupt ends the cell that runs and no job; [`Job::stop`] and `%stop` do. All end with the process;
//! * a handle that is dropped leaves its job alone; [`list`] and `%jobs` have them all;
//! * a server has no more threads and no more waiting connections than it was told, and a read from a client
//!   that says nothing fails after a time. Its loop for new connections never waits for a client.
//!
//! A job is asked to stop, not killed: sockets that [`Stop::ends`] knows are shut down, so that what waits for them goes
//! on, and a loop looks at [`Stop::requested`]. An asynchronous job ends at its next `.await`.
//!
//! ```
//! use std::io::{Read, Write};
//! use std::net::TcpStream;
//! use forkline::prelude::*;
//!
//! let server = jobs::listen("greeter", "127.0.0.1:0", |mut stream, _peer| stream.write_all(b"hello"))?;
//! let mut said = String::new();
//! TcpStream::connect(&server)?.read_to_string(&mut said)?;
//! assert_eq!(said, "hello");
//! server.stop();
//! server.join(Duration::from_secs(10))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod handlers;
mod holder;
mod job;
mod list;
mod outcome;
mod registry;
mod server;
mod start;
mod stop;

pub use error::JobError;
pub use job::{Job, State};
pub use list::{JobFacts, JobList, list};
pub use outcome::Outcome;
#[doc(hidden)]
pub use registry::{__stop, __stop_all};
pub use server::{Server, listen};
pub use start::{spawn, spawn_async};
pub use stop::{Ends, Stop};

#[cfg(test)]
mod tests;
