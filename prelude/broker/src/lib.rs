//! Task queues on a broker: work that is put into a queue of RabbitMQ or Redis and done by workers in processes of their own, here or on
//! other machines.
//!
//! Use it where tasks must outlive the notebook, or where workers lie on several machines or are written in Python: messages, results
//! and commands are Celery's, so its clients can submit to these workers, and these applications to its workers. For a queue on
//! one machine without a server take the pack `queue`; for functions that run in processes of this notebook
//! `forkline::processes`.
//!
//! What always holds:
//! * a task is queued when [`App::call`] returns: the broker has it (RabbitMQ on disk, Redis as its settings say);
//! * a task that a worker has begun and not ended when it dies is done by another: at least once, and exactly once if nobody dies
//!   and no connection breaks;
//! * workers and applications wait for a broker that is gone, and go on when it is there again;
//! * what is no task is put into the queue `<queue>.refused`, noted, and ends nobody; a task that ends its worker eight times is
//!   given up.
//!
//! ```no_run
//! use broker::{App, Config, Worker};
//! use std::time::Duration;
//!
//! async fn add((a, b): (i64, i64)) -> Result<i64, String> {
//!     Ok(a + b)
//! }
//!
//! let server = broker::Server::redis()?; // a broker for this program alone
//! let config = Config::new(server.url());
//! let app = App::connect(&config)?;
//! let id = app.delay("add", (5, 5))?;
//!
//! // In another process:
//! std::thread::spawn(move || Worker::new(&config, "worker-1").task("add", add).run());
//!
//! assert_eq!(app.result::<i64>(&id, Duration::from_secs(10))?, 10);
//! # Ok::<(), broker::Error>(())
//! ```

mod app;
mod config;
mod control;
mod desk;
mod error;
mod message;
mod outcome;
mod server;
#[cfg(test)]
mod tests;
mod transport;
mod worker;

pub use app::{App, Options};
pub use config::{BROKER_VARIABLE, Config, Kind};
pub use control::Command;
pub use error::{Error, Result};
pub use server::Server;
pub use worker::{Context, Done, Worker};
