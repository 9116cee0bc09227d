//! Tests of the module's parts. Those that panic on purpose take their turn with the panic hook.

mod deadlocks;
mod examples;
mod life;
mod locks;
mod signals;

use std::time::Duration;

use super::{State, Thread, ThreadError};
use crate::testing::{LONG, until};

/// Long enough that somebody who does not wait has not waited.
const SHORT: Duration = Duration::from_millis(20);

#[track_caller]
fn until_it_waits<R>(thread: &Thread<R>) {
    until("the thread waits", || thread.info().0.is_in_a_wait());
}

#[track_caller]
fn until_it_ends<R>(thread: &Thread<R>) {
    until("the thread ends", || thread.state() == State::Finished);
}

/// The message of a panic.
#[track_caller]
fn message<R>(result: Result<R, ThreadError>) -> String {
    match result {
        Err(ThreadError::Panicked { message, .. }) => message,
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("no panic"),
    }
}
