//! A future whose result is set by hand.

use std::cell::RefCell;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::EventLoop;
use crate::executors::TaskError;

type Callback<T> = Box<dyn FnOnce(&LoopFuture<T>)>;

/// A place for a result on an [`EventLoop`]: somebody sets it, others wait for it. Clones are the same place.
///
/// `.await` gives the result to everybody who waits, so it must be `Clone`. Callbacks are called by the loop in their
/// turn, not by whoever sets the result.
///
/// ```
/// use forkline::tasks::EventLoop;
///
/// let event_loop = EventLoop::new();
/// let future = event_loop.create_future();
/// future.add_done_callback(|future| println!("the sum is {:?}", future.result()));
/// let setter = future.clone();
/// event_loop.call_soon(move |_| setter.set_result(1 + 2).unwrap());
/// assert_eq!(event_loop.run_until_complete(future).unwrap(), 3);
/// ```
pub struct LoopFuture<T> {
    event_loop: EventLoop,
    state: Rc<RefCell<State<T>>>,
}

struct State<T> {
    outcome: Option<Result<T, TaskError>>,
    callbacks: Vec<(u64, Callback<T>)>,
    next_callback: u64,
    wakers: Vec<Waker>,
}

/// Names a callback, so that it can be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallbackId(u64);

impl<T: 'static> LoopFuture<T> {
    pub(super) fn of(event_loop: EventLoop) -> Self {
        LoopFuture {
            event_loop,
            state: Rc::new(RefCell::new(State {
                outcome: None,
                callbacks: Vec::new(),
                next_callback: 0,
                wakers: Vec::new(),
            })),
        }
    }

    /// Sets the result.
    ///
    /// # Errors
    /// It is done already.
    pub fn set_result(&self, result: T) -> Result<(), TaskError> {
        self.settle(Ok(result))
    }

    /// Sets an error, such as a text, in place of a result.
    ///
    /// # Errors
    /// It is done already.
    pub fn set_exception(
        &self,
        error: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Result<(), TaskError> {
        self.settle(Err(TaskError::failed(error)))
    }

    /// Cancels it. `false`: it is done already.
    pub fn cancel(&self) -> bool {
        self.settle(Err(TaskError::Cancelled)).is_ok()
    }

    /// Whether it was cancelled.
    pub fn cancelled(&self) -> bool {
        matches!(self.state.borrow().outcome, Some(Err(TaskError::Cancelled)))
    }

    /// Whether it has a result, an error, or was cancelled.
    pub fn done(&self) -> bool {
        self.state.borrow().outcome.is_some()
    }

    /// The result that was set. This does not wait: `.await` does.
    ///
    /// # Errors
    /// An error was set, it was cancelled, or it is not done.
    pub fn result(&self) -> Result<T, TaskError>
    where
        T: Clone,
    {
        self.state.borrow().outcome.clone().unwrap_or(Err(NOT_DONE))
    }

    /// The error that was set, if one was.
    ///
    /// # Errors
    /// It was cancelled, or it is not done.
    pub fn exception(&self) -> Result<Option<TaskError>, TaskError> {
        match &self.state.borrow().outcome {
            None => Err(NOT_DONE),
            Some(Err(TaskError::Cancelled)) => Err(TaskError::Cancelled),
            Some(Err(error)) => Ok(Some(error.clone())),
            Some(Ok(_)) => Ok(None),
        }
    }

    /// Has the loop call `callback` when this is done; in the loop's next turn if it is.
    pub fn add_done_callback(&self, callback: impl FnOnce(&LoopFuture<T>) + 'static) -> CallbackId {
        let id = {
            let mut state = self.state.borrow_mut();
            state.next_callback += 1;
            state.next_callback
        };
        if self.done() {
            self.call_soon(Box::new(callback));
        } else {
            self.state
                .borrow_mut()
                .callbacks
                .push((id, Box::new(callback)));
        }
        CallbackId(id)
    }

    /// Takes a callback back. `false`: it is with the loop already, or was removed.
    pub fn remove_done_callback(&self, id: CallbackId) -> bool {
        let removed = {
            let mut state = self.state.borrow_mut();
            let place = state.callbacks.iter().position(|(known, _)| *known == id.0);
            place.map(|place| state.callbacks.remove(place))
        };
        removed.is_some()
    }

    fn settle(&self, outcome: Result<T, TaskError>) -> Result<(), TaskError> {
        let (callbacks, wakers) = {
            let mut state = self.state.borrow_mut();
            if state.outcome.is_some() {
                return Err(TaskError::InvalidState(
                    "this future is done already: its result can be set once",
                ));
            }
            state.outcome = Some(outcome);
            (
                std::mem::take(&mut state.callbacks),
                std::mem::take(&mut state.wakers),
            )
        };
        for (_, callback) in callbacks {
            self.call_soon(callback);
        }
        wakers.into_iter().for_each(Waker::wake);
        Ok(())
    }

    /// A closed loop calls nothing any more.
    fn call_soon(&self, callback: Callback<T>) {
        if !self.event_loop.is_closed() {
            let future = self.clone();
            self.event_loop.call_soon(move |_| callback(&future));
        }
    }
}

const NOT_DONE: TaskError = TaskError::InvalidState(
    "this future is not done: it has no result yet; `.await` it, or run the loop until it is done",
);

impl<T> Clone for LoopFuture<T> {
    fn clone(&self) -> Self {
        LoopFuture {
            event_loop: self.event_loop.clone(),
            state: Rc::clone(&self.state),
        }
    }
}

impl<T: Clone> Future for LoopFuture<T> {
    type Output = Result<T, TaskError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.state.borrow_mut();
        match &state.outcome {
            Some(outcome) => Poll::Ready(outcome.clone()),
            None => {
                let waker = context.waker();
                if !state.wakers.iter().any(|known| known.will_wake(waker)) {
                    state.wakers.push(waker.clone());
                }
                Poll::Pending
            }
        }
    }
}

impl<T> fmt::Debug for LoopFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.state.borrow().outcome {
            None => f.write_str("LoopFuture(pending)"),
            Some(Ok(_)) => f.write_str("LoopFuture(done)"),
            Some(Err(error)) => write!(f, "LoopFuture(failed: {error})"),
        }
    }
}
