//! What is known of a timer outside of its loop.

use std::cell::Cell;
use std::fmt;
use std::rc::Weak;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;

use super::Inner;

/// A timer that was set; [`EventLoop::call_later`](super::EventLoop::call_later) makes it. Dropping it changes nothing.
pub struct TimerHandle {
    inner: Weak<Inner>,
    key: (Duration, u64),
    is_cancelled: Cell<bool>,
}

impl TimerHandle {
    pub(super) fn of(inner: Weak<Inner>, key: (Duration, u64)) -> Self {
        TimerHandle {
            inner,
            key,
            is_cancelled: Cell::new(false),
        }
    }

    /// When it is due, by the loop's clock.
    pub fn when(&self) -> Duration {
        self.key.0
    }

    /// Has it not happen. `false`: it has happened.
    pub fn cancel(&self) -> bool {
        // What the callback holds is dropped when nothing is borrowed any more.
        let timer = self
            .inner
            .upgrade()
            .and_then(|inner| inner.timers.borrow_mut().remove(&self.key));
        if timer.is_some() {
            self.is_cancelled.set(true);
        }
        self.cancelled()
    }

    /// Whether it was cancelled.
    pub fn cancelled(&self) -> bool {
        self.is_cancelled.get()
    }
}

impl fmt::Debug for TimerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cancelled = if self.cancelled() { ", cancelled" } else { "" };
        write!(f, "TimerHandle(at {:?}{cancelled})", self.when())
    }
}

/// A time that a task waits for. It can go to other threads with the task, so it holds nothing of the loop.
#[derive(Default)]
pub(in crate::tasks) struct Moment {
    state: Mutex<MomentState>,
}

#[derive(Default)]
struct MomentState {
    has_come: bool,
    waker: Option<Waker>,
}

impl Moment {
    pub fn poll(&self, context: &Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if state.has_come {
            return Poll::Ready(());
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }

    pub(super) fn come(&self) {
        let waker = {
            let mut state = self.state.lock();
            state.has_come = true;
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
