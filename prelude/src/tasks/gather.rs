//! Several futures at the same time, with their results in the order in which they were given.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use parking_lot::Mutex;

/// Runs several futures side by side in the calling task and waits for all: a vector or an array of one type, or a
/// tuple of up to eight types. Results come in the order given.
///
/// The futures take turns on one thread. To have them run on several threads gather [`Task`](super::Task)s.
///
/// ```
/// use forkline::prelude::*;
///
/// # tasks::block_on(async {
/// async fn double(n: u32) -> u32 { 2 * n }
///
/// assert_eq!(tasks::gather((double(1), async { "two" })).await, (2, "two"));
/// assert_eq!(tasks::gather((1..=3).map(double).collect::<Vec<_>>()).await, [2, 4, 6]);
///
/// let tasks_of_their_own: Vec<_> = (1..=3).map(|n| tasks::spawn(double(n))).collect();
/// let results: Result<Vec<u32>, _> = tasks::gather(tasks_of_their_own).await.into_iter().collect();
/// assert_eq!(results.unwrap(), [2, 4, 6]);
/// # });
/// ```
pub fn gather<G: Gather>(futures: G) -> G::Future {
    futures.gather()
}

/// What [`gather`] takes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be gathered",
    label = "this is no group of futures",
    note = "gather a vector or an array of futures of one type, or a tuple of two to eight futures"
)]
pub trait Gather {
    /// What waits for all.
    type Future: Future;

    /// Makes it.
    fn gather(self) -> Self::Future;
}

impl<F: Future> Gather for Vec<F> {
    type Future = GatherAll<F>;

    fn gather(self) -> GatherAll<F> {
        GatherAll::new(self)
    }
}

impl<F: Future, const N: usize> Gather for [F; N] {
    type Future = GatherAll<F>;

    fn gather(self) -> GatherAll<F> {
        GatherAll::new(self.into())
    }
}

/// A future for the results of many; [`gather`] makes it.
///
/// Only those are polled that have been woken: thousands of futures do not slow each other down.
#[must_use = "a future does nothing until it is awaited"]
pub struct GatherAll<F: Future> {
    futures: Vec<Option<Pin<Box<F>>>>,
    results: Vec<Option<F::Output>>,
    left: usize,
    woken: Arc<Woken>,
    wakers: Vec<Waker>,
}

/// Which futures have been woken.
struct Woken {
    state: Mutex<(Vec<usize>, Option<Waker>)>,
}

struct Child {
    woken: Arc<Woken>,
    number: usize,
}

impl Wake for Child {
    fn wake(self: Arc<Self>) {
        let waker = {
            let mut state = self.woken.state.lock();
            state.0.push(self.number);
            state.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<F: Future> GatherAll<F> {
    fn new(futures: Vec<F>) -> Self {
        let all: Vec<usize> = (0..futures.len()).collect();
        let woken = Arc::new(Woken {
            state: Mutex::new((all, None)),
        });
        let wakers = (0..futures.len()).map(|number| {
            Waker::from(Arc::new(Child {
                woken: Arc::clone(&woken),
                number,
            }))
        });
        GatherAll {
            wakers: wakers.collect(),
            results: futures.iter().map(|_| None).collect(),
            left: futures.len(),
            futures: futures
                .into_iter()
                .map(|future| Some(Box::pin(future)))
                .collect(),
            woken,
        }
    }
}

// The futures are in boxes of their own.
impl<F: Future> Unpin for GatherAll<F> {}

impl<F: Future> Future for GatherAll<F> {
    type Output = Vec<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let woken = {
            let mut state = this.woken.state.lock();
            state.1 = Some(context.waker().clone());
            std::mem::take(&mut state.0)
        };
        for number in woken {
            let Some(future) = &mut this.futures[number] else {
                continue;
            };
            let mut child = Context::from_waker(&this.wakers[number]);
            if let Poll::Ready(result) = future.as_mut().poll(&mut child) {
                this.futures[number] = None;
                this.results[number] = Some(result);
                this.left -= 1;
            }
        }
        if this.left > 0 {
            return Poll::Pending;
        }
        Poll::Ready(
            std::mem::take(&mut this.results)
                .into_iter()
                .flatten()
                .collect(),
        )
    }
}

impl<F: Future> fmt::Debug for GatherAll<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "GatherAll({} of {} to come)",
            self.left,
            self.futures.len()
        )
    }
}

/// A future for the results of a tuple of futures; [`gather`] makes it.
#[must_use = "a future does nothing until it is awaited"]
pub struct GatherTuple<T>(T);

/// A member of a tuple: its future, then its result.
pub struct Member<F: Future>(Progress<F>);

enum Progress<F: Future> {
    Running(Pin<Box<F>>),
    Done(Option<F::Output>),
}

// The future is in a box, and its result is never pinned.
impl<F: Future> Unpin for Member<F> {}

impl<F: Future> Member<F> {
    fn new(future: F) -> Self {
        Member(Progress::Running(Box::pin(future)))
    }

    /// Whether it is done.
    fn poll(&mut self, context: &mut Context<'_>) -> bool {
        if let Progress::Running(future) = &mut self.0 {
            match future.as_mut().poll(context) {
                Poll::Ready(result) => self.0 = Progress::Done(Some(result)),
                Poll::Pending => return false,
            }
        }
        true
    }

    fn take(&mut self) -> F::Output {
        match &mut self.0 {
            Progress::Done(result) => result.take().expect("a future is not polled after its end"),
            Progress::Running(_) => unreachable!("all members are done"),
        }
    }
}

impl<T> fmt::Debug for GatherTuple<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GatherTuple")
    }
}

macro_rules! tuples {
    ($(($($name:ident)+))*) => {$(
        impl<$($name: Future),+> Gather for ($($name,)+) {
            type Future = GatherTuple<($(Member<$name>,)+)>;

            #[allow(non_snake_case, reason = "a future is named after its type")]
            fn gather(self) -> Self::Future {
                let ($($name,)+) = self;
                GatherTuple(($(Member::new($name),)+))
            }
        }

        impl<$($name: Future),+> Future for GatherTuple<($(Member<$name>,)+)> {
            type Output = ($($name::Output,)+);

            #[allow(non_snake_case, reason = "a future is named after its type")]
            fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
                let ($($name,)+) = &mut self.0;
                // Each is polled, also behind one that is not done.
                if [$($name.poll(context)),+].into_iter().all(|is_done| is_done) {
                    Poll::Ready(($($name.take(),)+))
                } else {
                    Poll::Pending
                }
            }
        }
    )*};
}

tuples! {
    (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E G) (A B C D E G H) (A B C D E G H I)
}
