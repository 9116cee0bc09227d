//! The thread that serves one worker: starts it, brings it batches, takes what it gives, replaces it when it is gone.

use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::super::child::Start;
use super::super::message::{self, MessageError};
use super::super::outcome::Outcome;
use super::super::start::{self, Ends};
use super::super::supervise::Event;
use super::super::{ProcessError, registry};
use super::queue::{Batch, Inner, Reply};
use super::worker::{Orders, Progress};
use crate::{interrupt, rt};

/// A worker that runs.
struct Worker {
    name: String,
    ends: Ends,
    progress: Progress,
    /// How many batches it has done.
    done: usize,
}

/// What an attendant knows of batches: those that are with its worker, the oldest first, and how long one takes.
#[derive(Default)]
struct Flight {
    batches: VecDeque<Batch>,
    kind: u64,
    /// Of the last ones of this kind; none before the first.
    average: Option<Duration>,
    since: Option<Instant>,
}

/// As much work as is given to a worker ahead of time. Batches that take longer go one by one, so that none waits
/// for a long one while another worker is idle.
const AHEAD: Duration = Duration::from_micros(200);
/// At most so many batches at a time.
const MOST: usize = 32;

impl Flight {
    /// How many batches may be with the worker at the same time.
    fn depth(&self) -> usize {
        self.average.map_or(1, |average| {
            let count = AHEAD.as_nanos() / average.as_nanos().max(1);
            usize::try_from(count).unwrap_or(MOST).clamp(1, MOST)
        })
    }

    fn begin(&mut self, batch: Batch) {
        if self.kind != batch.kind {
            (self.kind, self.average) = (batch.kind, None);
        }
        if self.batches.is_empty() {
            self.since = Some(Instant::now());
        }
        self.batches.push_back(batch);
    }

    /// The oldest batch is done.
    fn end(&mut self) -> Option<Batch> {
        let now = Instant::now();
        if let Some(since) = self.since.replace(now) {
            let took = now - since;
            let average = self
                .average
                .map_or(took, |average| (average * 3 + took) / 4);
            self.average = Some(average);
        }
        self.batches.pop_front()
    }
}

/// Serves one worker of a pool until the pool ends.
pub(super) fn attend(pool: &Arc<Inner>, place: usize) {
    interrupt::spare_this_thread();
    // What workers print belongs to whatever cell runs.
    rt::mark_pool_thread();
    let mut worker = start(pool, place).ok();
    let mut flight = Flight::default();
    while let Some(batch) = next_batch(pool, place, &mut worker) {
        launch(pool, place, &mut worker, &mut flight, batch);
        while !flight.batches.is_empty() {
            for batch in more_batches(pool, &flight, worker.as_ref()) {
                launch(pool, place, &mut worker, &mut flight, batch);
            }
            land(pool, place, &mut worker, &mut flight);
        }
        pool.state().slots[place].job = None;
        let is_used_up = |worker: &Worker| {
            let most = pool.most_tasks;
            most.is_some_and(|most| worker.done >= most.get())
        };
        if let Some(old) = worker.take_if(|worker| is_used_up(worker)) {
            end(pool, place, old);
        }
    }
    if let Some(worker) = worker {
        end(pool, place, worker);
    }
    pool.state().attendants -= 1;
    pool.changed.notify_all();
}

/// More batches of the call that the worker is busy with, if they are short.
fn more_batches(pool: &Inner, flight: &Flight, worker: Option<&Worker>) -> Vec<Batch> {
    let (Some(worker), Some(first)) = (worker, flight.batches.front()) else {
        return Vec::new();
    };
    let mut room = flight.depth().saturating_sub(flight.batches.len());
    if let Some(most) = pool.most_tasks {
        room = room.min(
            most.get()
                .saturating_sub(worker.done + flight.batches.len()),
        );
    }
    if room == 0 {
        return Vec::new();
    }
    let mut state = pool.state();
    // The others have a right to their share.
    let share = state.queue.len().div_ceil(pool.workers);
    let is_alike =
        |batch: &&Batch| batch.job.number == first.job.number && batch.kind == first.kind;
    let count = state
        .queue
        .iter()
        .take(room.min(share))
        .take_while(is_alike)
        .count();
    state.queue.drain(..count).collect()
}

/// Sends a batch to the worker, a new one if there is none.
fn launch(
    pool: &Arc<Inner>,
    place: usize,
    slot: &mut Option<Worker>,
    flight: &mut Flight,
    mut batch: Batch,
) {
    if batch.begins.take().is_some_and(|begins| !begins()) {
        return (batch.reply)(Reply::Cancelled);
    }
    let worker = match slot {
        Some(worker) => worker,
        None => match start(pool, place) {
            Ok(worker) => slot.insert(worker),
            Err(error) => return (batch.reply)(Reply::Lost(0, error)),
        },
    };
    // If it is gone, its end will be seen.
    let _ = message::send(worker.ends.work.as_fd(), &batch.packet);
    flight.begin(batch);
}

/// Waits for what becomes of the oldest batch.
fn land(pool: &Arc<Inner>, place: usize, slot: &mut Option<Worker>, flight: &mut Flight) {
    let Some(worker) = slot else {
        for batch in flight.batches.drain(..) {
            (batch.reply)(Reply::Ended);
        }
        return;
    };
    match worker.ends.next(None) {
        Event::Work(packet) => {
            worker.done += 1;
            if let Some(batch) = flight.end() {
                if let Some(average) = flight.average {
                    let cost = average / u32::try_from(batch.count).unwrap_or(u32::MAX).max(1);
                    pool.state().costs.insert(batch.kind, cost);
                }
                (batch.reply)(Reply::Outcome(Outcome::from_packet(packet)));
            }
        }
        Event::Ended | Event::Woken => {
            let (name, is_fresh) = (worker.name.clone(), worker.done == 0);
            let begun = worker.progress.place(worker.done as u32);
            let code = reap(pool, place, slot);
            let is_over = pool.state().is_terminated;
            // One that died before it saw a batch has not harmed it: another one does it. But not for ever.
            if (begun.is_some() || is_fresh || is_over)
                && let Some(batch) = flight.batches.pop_front()
            {
                let error = ProcessError::ended(&name, code);
                (batch.reply)(Reply::Lost(begun.unwrap_or(0), error));
            }
            put_back(pool, flight);
        }
    }
}

/// Puts batches that have not been begun in front of the queue again.
fn put_back(pool: &Inner, flight: &mut Flight) {
    let mut ended = Vec::new();
    {
        let mut state = pool.state();
        while let Some(batch) = flight.batches.pop_back() {
            if state.is_terminated || batch.job.is_cancelled.load(Ordering::Relaxed) {
                ended.push((batch, state.is_terminated));
            } else {
                state.queue.push_front(batch);
            }
        }
    }
    for (batch, is_terminated) in ended {
        let reply = if is_terminated {
            Reply::Ended
        } else {
            Reply::Cancelled
        };
        (batch.reply)(reply);
    }
}

/// The next batch in the queue; waits for it, and looks after the worker meanwhile. None at the pool's end.
fn next_batch(pool: &Inner, place: usize, worker: &mut Option<Worker>) -> Option<Batch> {
    let wake = pool.state().slots[place].wake.as_raw_fd();
    // SAFETY: the slot, and so its descriptor, lives as long as the pool.
    let wake = unsafe { BorrowedFd::borrow_raw(wake) };
    loop {
        {
            let mut state = pool.state();
            if state.is_terminated {
                return None;
            }
            if let Some(batch) = state.queue.pop_front() {
                state.slots[place].is_idle = false;
                state.slots[place].job = Some(batch.job.number);
                return Some(batch);
            }
            if state.is_closed {
                return None;
            }
            state.slots[place].is_idle = true;
        }
        let event = match worker {
            Some(worker) => worker.ends.next(Some(wake)),
            None => {
                let _readable =
                    message::poll(wake, libc::POLLIN, std::time::Duration::from_secs(3600));
                Event::Woken
            }
        };
        match event {
            Event::Woken => clear(wake),
            // Replaced when there is work: one that dies at once, or whose initializer fails, is not started over and
            // over.
            Event::Work(_) => {}
            Event::Ended => {
                reap(pool, place, worker);
            }
        }
    }
}

fn clear(event: BorrowedFd<'_>) {
    let mut count = [0_u8; 8];
    // SAFETY: an eventfd is read as eight bytes; it does not block.
    unsafe { libc::read(event.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
}

/// Starts a worker and tells it what it is.
fn start(pool: &Arc<Inner>, place: usize) -> Result<Worker, ProcessError> {
    let identity = registry::next_identity();
    let name = registry::numbered("PoolWorker", &identity);
    let failed = |error| ProcessError::Start {
        name: name.clone(),
        error,
    };
    let unsent = |error: MessageError| ProcessError::arguments(&name, &error);
    let parent = registry::current();
    let first = Start {
        name: name.clone(),
        identity,
        parent: parent.pid(),
        parent_name: parent.name().to_owned(),
        in_notebook: rt::has_host(),
        entry: None,
    };
    let first = message::encode(&first, false).map_err(unsent)?;
    let initializer = pool.initializer.as_ref();
    let mut orders = message::encode(
        &Orders {
            initializer: initializer.map(|(entry, _)| entry.clone()),
        },
        false,
    )
    .map_err(unsent)?;
    let progress = Progress::new().map_err(failed)?;
    orders
        .descriptors
        .push(progress.descriptor().map_err(failed)?);
    let ends = start::spawn(&name).map_err(failed)?;
    {
        let mut state = pool.state();
        state.slots[place].pid = Some(ends.pid);
        if state.is_terminated {
            // SAFETY: a plain system call; the worker is not reaped yet.
            unsafe { libc::kill(ends.pid, libc::SIGKILL) };
        }
    }
    // A worker that is gone already is found out by its end.
    let work = ends.work.as_fd();
    let _ = message::send(work, &first).and_then(|()| message::send(work, &orders));
    if let Some((_, arguments)) = initializer {
        let _ = message::send(work, arguments);
    }
    Ok(Worker {
        name,
        ends,
        progress,
        done: 0,
    })
}

/// Lets a worker end by itself, and waits for that.
fn end(pool: &Inner, place: usize, mut worker: Worker) {
    // SAFETY: a plain system call on a descriptor that lives; the worker reads an end.
    unsafe { libc::shutdown(worker.ends.work.as_raw_fd(), libc::SHUT_WR) };
    while !matches!(worker.ends.next(None), Event::Ended) {}
    reap(pool, place, &mut Some(worker));
}

/// A worker that has ended is taken out of all lists; its exit code.
fn reap(pool: &Inner, place: usize, worker: &mut Option<Worker>) -> i32 {
    let Some(worker) = worker.take() else {
        return 0;
    };
    let mut state = pool.state();
    state.slots[place].pid = None;
    worker.ends.reap()
}
