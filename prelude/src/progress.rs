//! Progress bars: how far a loop is, how fast it goes and how long it will still take.
//!
//! For steps that you only want to name, `println!` is enough.
//!
//! What always holds:
//! * what takes less than half a second in all shows nothing;
//! * a bar is changed in its place, at most ten times a second, and its last state stays;
//! * a loop that ends early, by `break`, `?`, a panic or an interrupt, shows where it stopped, and a length
//!   that was told wrongly is said so instead of 120 %;
//! * each item is also a place where an interrupt of the cell takes effect;
//! * bars inside a bar take turns in one place: a loop of 100 inner bars leaves two lines, the outer bar and
//!   the last inner one. A bar is inside another if it was made on a thread where that one had not ended.
//!
//! A bar moves when an item is done, not in between. In a plain program it is a line on standard error, the
//! outermost bar only; where that is no terminal, only the last state is written.
//!
//! ```
//! use forkline::prelude::*;
//!
//! let mut sum = 0;
//! for n in progress(0..1_000).name("adding") {
//!     sum += n;
//! }
//! assert_eq!(sum, 499_500);
//!
//! // In parallel: around the items, before or after the work.
//! let squares: Vec<u64> = par_progress(0..1_000_u64).map(|n| n * n).collect();
//! assert_eq!(squares[31], 961);
//!
//! // By hand: a handle for threads and tasks.
//! let bar = Progress::new(3);
//! thread::scope(|scope| {
//!     for _ in 0..3 {
//!         scope.spawn(|| bar.inc(1));
//!     }
//! });
//! bar.finish();
//! ```

mod bar;
mod iter;
mod line;
mod par;

use std::sync::Arc;

use bar::Bar;
pub use iter::ProgressIter;
pub use par::ParProgress;

use crate::interrupt;

/// The items of `items`, with a bar that shows how many are done.
///
/// The length is asked of the iterator; where it does not know it, tell it with [`ProgressIter::total`].
#[doc(alias = "tqdm")]
pub fn progress<I: IntoIterator>(items: I) -> ProgressIter<I::IntoIter> {
    ProgressIter::new(items.into_iter())
}

/// The items of a parallel iterator, with a bar that shows how many went through all that comes after it.
///
/// `enumerate`, `zip` and others that need an indexed iterator go inside; `collect` keeps the order.
///
/// ```
/// use forkline::prelude::*;
///
/// let lengths = ["a", "bc"];
/// let total: usize = par_progress(lengths.par_iter().enumerate()).map(|(at, text)| at * text.len()).sum();
/// assert_eq!(total, 2);
/// ```
pub fn par_progress<I: rayon::iter::IntoParallelIterator>(items: I) -> ParProgress<I::Iter> {
    ParProgress::new(items.into_par_iter())
}

/// A bar that is moved by hand, from any thread or task. Clones are the same bar.
///
/// When the last clone goes without [`finish`](Self::finish), the bar shows where it stopped, unless all
/// was done.
///
/// ```
/// # use forkline::prelude::*;
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let bar = Progress::new(2).name("pages");
/// let tasks: Vec<_> = (0..2)
///     .map(|_| {
///         let bar = bar.clone();
///         tokio::spawn(async move { bar.inc(1) })
///     })
///     .collect();
/// for task in tasks {
///     task.await.unwrap();
/// }
/// assert_eq!(bar.done(), 2);
/// bar.finish();
/// # });
/// ```
#[derive(Clone)]
pub struct Progress {
    owner: Arc<Owner>,
}

/// What all clones of a handle hold; bars inside hold the [`Bar`] only.
struct Owner {
    bar: Arc<Bar>,
}

impl Progress {
    /// A bar of `total` steps.
    pub fn new(total: u64) -> Self {
        Self::of(Some(total))
    }

    /// A bar whose end is not known: it counts, and has neither a share nor a remaining time.
    pub fn without_total() -> Self {
        Self::of(None)
    }

    fn of(total: Option<u64>) -> Self {
        Self {
            owner: Arc::new(Owner {
                bar: Bar::new(total),
            }),
        }
    }

    fn bar(&self) -> &Bar {
        &self.owner.bar
    }

    /// Puts a name in front of the bar.
    pub fn name(self, name: &str) -> Self {
        self.bar().set_name(name);
        self
    }

    /// `n` more steps are done. Here an interrupt of the cell takes effect.
    pub fn inc(&self, n: u64) {
        self.bar().add(n);
        interrupt::check();
    }

    /// Puts a text behind the bar, which the next one replaces.
    pub fn set_message(&self, message: &str) {
        self.bar().set_message(message);
    }

    /// How many steps are done.
    pub fn done(&self) -> u64 {
        self.bar().done()
    }

    /// All is done, also if it was fewer steps than told; the bar says so. Later steps do not move it.
    pub fn finish(&self) {
        self.bar().end(true);
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.bar.end_by_count();
    }
}

#[cfg(test)]
mod tests;
