//! Waiting for time to pass, and for others to have their turn.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::event_loop::{EventLoop, Moment};
use super::runtime::handle;

/// Waits for a time, which begins when it is first polled. Others run meanwhile.
///
/// Inside of an [`EventLoop`] it is that loop's time, which may be virtual.
///
/// ```
/// use forkline::prelude::*;
///
/// let before = Instant::now();
/// tasks::block_on(tasks::sleep(Duration::from_millis(5)));
/// assert!(before.elapsed() >= Duration::from_millis(5));
/// ```
pub fn sleep(time: Duration) -> Sleep {
    Sleep {
        time,
        clock: Clock::NotBegun,
    }
}

/// A wait; [`sleep`] makes it.
#[must_use = "a sleep does nothing until it is awaited"]
pub struct Sleep {
    time: Duration,
    clock: Clock,
}

enum Clock {
    NotBegun,
    Runtime(Pin<Box<tokio::time::Sleep>>),
    Loop(Arc<Moment>),
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let time = self.time;
        loop {
            match &mut self.clock {
                Clock::NotBegun => {
                    self.clock = match EventLoop::running() {
                        Some(event_loop) => Clock::Loop(event_loop.moment(time)),
                        None => {
                            let handle = handle();
                            let _runtime = handle.enter();
                            Clock::Runtime(Box::pin(tokio::time::sleep(time)))
                        }
                    };
                }
                Clock::Runtime(sleep) => return sleep.as_mut().poll(context),
                Clock::Loop(moment) => return moment.poll(context),
            }
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sleep({:?})", self.time)
    }
}

/// Lets every other task that is ready have its turn.
///
/// ```
/// # forkline::tasks::block_on(async {
/// forkline::tasks::yield_now().await;
/// # });
/// ```
pub fn yield_now() -> YieldNow {
    YieldNow { has_yielded: false }
}

/// One turn for the others; [`yield_now`] makes it.
#[must_use = "this does nothing until it is awaited"]
#[derive(Debug)]
pub struct YieldNow {
    has_yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.has_yielded {
            return Poll::Ready(());
        }
        self.has_yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
