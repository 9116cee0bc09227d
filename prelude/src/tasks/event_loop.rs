//! An event loop: one thread, one queue, and timers. Small enough to be read, and exact enough to test with.

mod clock;
mod future;
mod handles;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::runtime::{Marked, handle, is_inside};
use super::task::{Task, task};
use crate::interrupt;

use clock::Clock;
pub use future::{CallbackId, LoopFuture};
pub(in crate::tasks) use handles::Moment;
pub use handles::TimerHandle;

/// Runs callbacks and tasks one after the other on the thread that calls it, as Python's asyncio does.
///
/// What is ready runs in the order in which it became ready: two runs of the same program do the same. With a
/// [virtual clock](Self::with_virtual_clock) time jumps to the next timer as soon as nothing is ready, so an hour of
/// waiting takes no time, and each timer sees exactly the time that it was set to.
///
/// Clones are the same loop. It stays on its thread. A callback that blocks stops all others: that is the lesson.
///
/// ```
/// use forkline::prelude::*;
/// use tasks::EventLoop;
///
/// let event_loop = EventLoop::with_virtual_clock();
/// event_loop.call_later(Duration::from_secs(3600), |event_loop| {
///     println!("an hour later: {:?}", event_loop.time());
///     event_loop.stop();
/// });
/// event_loop.run_forever();
/// assert_eq!(event_loop.time(), Duration::from_secs(3600));
///
/// let answer = event_loop.run_until_complete(async {
///     tasks::sleep(Duration::from_secs(60)).await;
///     42
/// });
/// assert_eq!(answer, 42);
/// ```
#[derive(Clone)]
pub struct EventLoop {
    inner: Rc<Inner>,
}

type Callback = Box<dyn FnOnce(&EventLoop)>;
type LoopTask = Pin<Box<dyn Future<Output = ()>>>;

struct Inner {
    clock: Clock,
    ready: RefCell<VecDeque<Ready>>,
    /// The tasks in `ready`.
    scheduled: RefCell<HashSet<u64>>,
    /// By time, then in the order in which they were set.
    timers: RefCell<BTreeMap<(Duration, u64), Timer>>,
    tasks: RefCell<HashMap<u64, LoopTask>>,
    next_number: Cell<u64>,
    is_running: Cell<bool>,
    is_stopped: Cell<bool>,
    is_closed: Cell<bool>,
    outside: Arc<Outside>,
}

/// What waits for its turn.
enum Ready {
    Callback(Callback),
    /// A task is to be polled; [`MAIN`] is the future that the loop runs for.
    Task(u64),
}

/// What a timer does.
enum Timer {
    Call(Callback),
    /// It is dropped with the wait for it, and counts no more.
    Wake(Weak<Moment>),
}

/// What other threads reach.
#[derive(Default)]
struct Outside {
    woken: Mutex<Vec<u64>>,
    added: Condvar,
}

/// The number of the future that the loop runs for; tasks count from 1.
const MAIN: u64 = 0;

struct TaskWaker {
    outside: Arc<Outside>,
    number: u64,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        // On the loop's own thread it takes its place in the queue behind what is ready.
        let here = CURRENT.try_with(|current| {
            let current = current.borrow();
            let inner = current.as_ref()?;
            Arc::ptr_eq(&inner.outside, &self.outside).then(|| Rc::clone(inner))
        });
        match here.ok().flatten() {
            Some(inner) => inner.make_ready(self.number),
            None => {
                self.outside.woken.lock().push(self.number);
                self.outside.added.notify_one();
            }
        }
    }
}

thread_local! {
    /// The loop that runs on this thread.
    static CURRENT: RefCell<Option<Rc<Inner>>> = const { RefCell::new(None) };
}

/// Ends a run, also when it unwinds.
struct Run<'a> {
    inner: &'a Rc<Inner>,
    before: Option<Rc<Inner>>,
}

impl<'a> Run<'a> {
    fn begin(inner: &'a Rc<Inner>) -> Self {
        inner.is_running.set(true);
        let before = CURRENT.replace(Some(Rc::clone(inner)));
        Run { inner, before }
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        CURRENT.set(self.before.take());
        self.inner.is_running.set(false);
        self.inner.is_stopped.set(false);
        self.inner.scheduled.borrow_mut().remove(&MAIN);
        self.inner
            .ready
            .borrow_mut()
            .retain(|ready| !matches!(ready, Ready::Task(MAIN)));
    }
}

impl EventLoop {
    /// A loop whose time is real.
    pub fn new() -> Self {
        Self::with(Clock::real())
    }

    /// A loop whose time jumps to the next timer when nothing is ready. It begins at zero.
    ///
    /// What comes from outside (threads, the network) does not hold the clock up: mix the two with care.
    pub fn with_virtual_clock() -> Self {
        Self::with(Clock::virtual_time())
    }

    fn with(clock: Clock) -> Self {
        EventLoop {
            inner: Rc::new(Inner {
                clock,
                ready: RefCell::default(),
                scheduled: RefCell::default(),
                timers: RefCell::default(),
                tasks: RefCell::default(),
                next_number: Cell::new(MAIN + 1),
                is_running: Cell::new(false),
                is_stopped: Cell::new(false),
                is_closed: Cell::new(false),
                outside: Arc::default(),
            }),
        }
    }

    /// The loop that runs the code that asks, if one does.
    pub fn running() -> Option<EventLoop> {
        let inner = CURRENT.with_borrow(Option::clone)?;
        Some(EventLoop { inner })
    }

    /// Time since the loop was made, by its own clock.
    pub fn time(&self) -> Duration {
        self.inner.clock.now()
    }

    /// Has `callback` called in its turn, behind all that is ready.
    ///
    /// # Panics
    /// The loop is closed.
    #[track_caller]
    pub fn call_soon(&self, callback: impl FnOnce(&EventLoop) + 'static) {
        self.must_be_open("call_soon");
        let callback = Ready::Callback(Box::new(callback));
        self.inner.ready.borrow_mut().push_back(callback);
    }

    /// Has `callback` called after a time.
    ///
    /// # Panics
    /// The loop is closed.
    #[track_caller]
    pub fn call_later(
        &self,
        delay: Duration,
        callback: impl FnOnce(&EventLoop) + 'static,
    ) -> TimerHandle {
        self.must_be_open("call_later");
        self.add_timer(
            self.time().saturating_add(delay),
            Timer::Call(Box::new(callback)),
        )
    }

    /// Has `callback` called at a time of the loop's [clock](Self::time); one that is over counts as the present.
    ///
    /// # Panics
    /// The loop is closed.
    #[track_caller]
    pub fn call_at(
        &self,
        when: Duration,
        callback: impl FnOnce(&EventLoop) + 'static,
    ) -> TimerHandle {
        self.must_be_open("call_at");
        self.add_timer(when, Timer::Call(Box::new(callback)))
    }

    /// Makes a future a task of this loop, which runs while the loop runs. It begins in its turn.
    ///
    /// The future stays on this thread, so it may hold what cannot be sent. Tasks that the loop has not finished
    /// go when the loop is closed or its last handle is dropped.
    ///
    /// # Panics
    /// The loop is closed.
    #[track_caller]
    pub fn create_task<F: Future + 'static>(&self, future: F) -> Task<F::Output> {
        self.must_be_open("create_task");
        let (running, task) = task(future);
        let number = self.inner.number();
        self.inner
            .tasks
            .borrow_mut()
            .insert(number, Box::pin(running));
        self.inner.make_ready(number);
        task
    }

    /// A future whose result is set by hand.
    pub fn create_future<T: 'static>(&self) -> LoopFuture<T> {
        LoopFuture::of(self.clone())
    }

    /// Waits by the clock of this loop, as [`tasks::sleep`](super::sleep()) does inside of it.
    pub async fn sleep(&self, time: Duration) {
        let moment = self.moment(time);
        std::future::poll_fn(|context| moment.poll(context)).await;
    }

    /// Runs the loop until the future has its result, and returns that. The future may borrow. Tasks that are not
    /// finished then stay, and go on when the loop runs again.
    ///
    /// # Panics
    /// The future panics; the loop is [stopped](Self::stop) before the future has its result; the loop is closed or
    /// runs already; or this is called inside of a task.
    #[track_caller]
    pub fn run_until_complete<F: Future>(&self, future: F) -> F::Output {
        self.may_run("run_until_complete");
        let mut future = pin!(future);
        let mut output = None;
        self.run(&mut |context| {
            if output.is_none()
                && let Poll::Ready(ready) = future.as_mut().poll(context)
            {
                output = Some(ready);
                // In its turn: callbacks of what has ended too come first.
                self.call_soon(EventLoop::stop);
            }
        });
        match output {
            Some(output) => output,
            None => panic!(
                "the event loop was stopped before its future had a result; \
                 let the future end first, or use run_forever"
            ),
        }
    }

    /// Runs the loop until something calls [`stop`](Self::stop). What is ready at that moment still runs; if `stop`
    /// was called before, that is all that runs.
    ///
    /// # Panics
    /// The loop is closed or runs already, or this is called inside of a task.
    #[track_caller]
    pub fn run_forever(&self) {
        self.may_run("run_forever");
        self.run(&mut |_| {});
    }

    /// Ends the run in progress when all that is ready now has had its turn. What is left stays for the next run.
    pub fn stop(&self) {
        self.inner.is_stopped.set(true);
    }

    /// Drops all callbacks, timers and tasks. A loop that is closed cannot be used again; to close it twice is fine.
    ///
    /// # Panics
    /// The loop runs.
    #[track_caller]
    pub fn close(&self) {
        assert!(
            !self.is_running(),
            "a running event loop cannot be closed: call stop(), and close it behind run_forever()"
        );
        self.inner.is_closed.set(true);
        self.inner.clear();
    }

    /// Whether it runs: whether the caller is a callback or a task of it.
    pub fn is_running(&self) -> bool {
        self.inner.is_running.get()
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.inner.is_closed.get()
    }

    #[track_caller]
    fn must_be_open(&self, call: &str) {
        assert!(
            !self.is_closed(),
            "EventLoop::{call}: the loop is closed; make a new one with EventLoop::new()"
        );
    }

    #[track_caller]
    fn may_run(&self, call: &str) {
        self.must_be_open(call);
        assert!(
            !self.is_running(),
            "EventLoop::{call}: the loop runs already; inside of it use `.await` or create_task"
        );
        assert!(
            !is_inside() && EventLoop::running().is_none(),
            "EventLoop::{call} was called inside of a task: it would stop the thread on which tasks run; \
             run the loop outside of tasks, or on a thread of its own"
        );
    }

    pub(super) fn moment(&self, time: Duration) -> Arc<Moment> {
        let moment = Arc::default();
        let timer = Timer::Wake(Arc::downgrade(&moment));
        self.add_timer(self.time().saturating_add(time), timer);
        moment
    }

    fn add_timer(&self, when: Duration, timer: Timer) -> TimerHandle {
        let key = (when, self.inner.number());
        self.inner.timers.borrow_mut().insert(key, timer);
        TimerHandle::of(Rc::downgrade(&self.inner), key)
    }

    fn run(&self, main: &mut dyn FnMut(&mut Context<'_>)) {
        let handle = handle();
        // For what of tokio's a task may use; our own sleep does not need it.
        let _runtime = handle.enter();
        let _run = Run::begin(&self.inner);
        self.inner.make_ready(MAIN);
        loop {
            self.inner.wait_for_work();
            // What becomes ready meanwhile comes in the next round.
            let n_ready = self.inner.ready.borrow().len();
            for _ in 0..n_ready {
                let Some(ready) = self.inner.ready.borrow_mut().pop_front() else {
                    break;
                };
                interrupt::check();
                self.turn(ready, main);
            }
            if self.inner.is_stopped.get() {
                return;
            }
        }
    }

    fn turn(&self, ready: Ready, main: &mut dyn FnMut(&mut Context<'_>)) {
        let _polling = Marked::polling();
        match ready {
            Ready::Callback(callback) => self.call(callback),
            Ready::Task(number) => {
                // From here on it can be woken again.
                self.inner.scheduled.borrow_mut().remove(&number);
                if number == MAIN {
                    let waker = self.inner.waker(MAIN);
                    main(&mut Context::from_waker(&waker));
                } else {
                    self.inner.poll_task(number);
                }
            }
        }
    }

    /// A callback's panic is told by the hook and ends that callback only; an interrupt ends the run.
    fn call(&self, callback: Callback) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| callback(self)))
            && interrupt::is_interrupt(&*payload)
        {
            resume_unwind(payload);
        }
    }
}

impl Inner {
    fn number(&self) -> u64 {
        let number = self.next_number.get();
        self.next_number.set(number + 1);
        number
    }

    fn waker(&self, number: u64) -> Waker {
        Waker::from(Arc::new(TaskWaker {
            outside: Arc::clone(&self.outside),
            number,
        }))
    }

    fn make_ready(&self, number: u64) {
        if self.scheduled.borrow_mut().insert(number) {
            self.ready.borrow_mut().push_back(Ready::Task(number));
        }
    }

    /// Returns when something is ready: from outside, by a timer, or already.
    fn wait_for_work(&self) {
        interrupt::check();
        loop {
            let woken = std::mem::take(&mut *self.outside.woken.lock());
            for number in woken {
                self.make_ready(number);
            }
            let next = self.next_timer();
            if let Some(next) = next
                && self.ready.borrow().is_empty()
            {
                self.clock.advance_to(next);
            }
            self.fire_timers();
            if !self.ready.borrow().is_empty() || self.is_stopped.get() {
                return;
            }
            let left = next.map(|next| next.saturating_sub(self.clock.now()));
            let until = left.and_then(interrupt::deadline);
            interrupt::wait(until, |slice| {
                let end = Instant::now() + slice;
                let mut woken = self.outside.woken.lock();
                if woken.is_empty() {
                    self.outside.added.wait_until(&mut woken, end);
                }
                (!woken.is_empty()).then_some(())
            });
        }
    }

    /// When the next timer is due that somebody still waits for.
    fn next_timer(&self) -> Option<Duration> {
        let mut timers = self.timers.borrow_mut();
        loop {
            let first = timers.first_entry()?;
            match first.get() {
                Timer::Wake(moment) if moment.strong_count() == 0 => drop(first.remove()),
                _ => return Some(first.key().0),
            }
        }
    }

    fn fire_timers(&self) {
        let now = self.clock.now();
        loop {
            let timer = {
                let mut timers = self.timers.borrow_mut();
                match timers.first_entry() {
                    Some(first) if first.key().0 <= now => first.remove(),
                    _ => return,
                }
            };
            match timer {
                Timer::Call(callback) => {
                    self.ready.borrow_mut().push_back(Ready::Callback(callback));
                }
                Timer::Wake(moment) => {
                    if let Some(moment) = moment.upgrade() {
                        moment.come();
                    }
                }
            }
        }
    }

    fn poll_task(&self, number: u64) {
        // Out of the map while it runs: it may create tasks.
        let Some(mut future) = self.tasks.borrow_mut().remove(&number) else {
            return;
        };
        let waker = self.waker(number);
        if future
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
        {
            self.tasks.borrow_mut().insert(number, future);
        }
    }

    /// What is dropped may reach the loop again, so nothing is borrowed meanwhile.
    fn clear(&self) {
        let ready = self.ready.take();
        let timers = self.timers.take();
        let tasks = self.tasks.take();
        self.scheduled.take();
        drop((ready, timers, tasks));
    }
}

impl Default for EventLoop {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for EventLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match (self.is_closed(), self.is_running()) {
            (true, _) => "closed",
            (_, true) => "running",
            _ => "not running",
        };
        write!(
            f,
            "EventLoop({state}, time {:?}, {} ready, {} timers, {} tasks)",
            self.time(),
            self.inner.ready.borrow().len(),
            self.inner.timers.borrow().len(),
            self.inner.tasks.borrow().len()
        )
    }
}

#[cfg(test)]
mod tests;
