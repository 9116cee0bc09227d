//! The thread that serves one worker: starts it, brings it batches, takes what it gives, replaces it when it is gone.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;

use super::super::child::Start;
use super::super::message::{self, MessageError, Packet};
use super::super::outcome::Outcome;
use super::super::start::{self, Ends};
use super::super::supervise::Event;
use super::super::{ProcessError, registry};
use super::worker::{self, Orders, Progress};
use super::{Batch, Inner, Reply};
use crate::{interrupt, rt};

/// A worker that runs.
struct Worker {
    name: String,
    ends: Ends,
    progress: Progress,
    /// How many batches it has done.
    done: usize,
}

/// Serves one worker of a pool until the pool ends.
pub(super) fn attend(pool: &Arc<Inner>, place: usize) {
    interrupt::spare_this_thread();
    // What workers print belongs to whatever cell runs.
    rt::mark_pool_thread();
    let mut worker = start(pool, place).ok();
    while let Some(batch) = next_batch(pool, place, &mut worker) {
        let reply = do_batch(pool, place, &mut worker, batch.entry, batch.items);
        pool.state().slots[place].job = None;
        (batch.reply)(reply);
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

/// Has the worker do a batch, a new one if there is none.
fn do_batch(
    pool: &Arc<Inner>,
    place: usize,
    slot: &mut Option<Worker>,
    entry: super::Entry,
    items: Packet,
) -> Reply {
    let packet = match worker::with_entry(items, &entry) {
        Ok(packet) => packet,
        Err(error) => return Reply::Lost(0, ProcessError::arguments(&pool.name, &error)),
    };
    loop {
        let worker = match slot {
            Some(worker) => worker,
            None => match start(pool, place) {
                Ok(worker) => slot.insert(worker),
                Err(error) => return Reply::Lost(0, error),
            },
        };
        let is_fresh = worker.done == 0;
        worker.progress.reset();
        let sent = message::send(worker.ends.work.as_fd(), &packet);
        match worker.ends.next(None) {
            Event::Work(packet) => {
                let outcome = Outcome::from_packet(packet);
                // A fresh one says so if its initializer failed.
                if sent.is_ok() || is_fresh {
                    worker.done += 1;
                    return Reply::Outcome(outcome);
                }
            }
            Event::Ended | Event::Woken => {
                let (name, begun) = (worker.name.clone(), worker.progress.has_begun());
                let item = worker.progress.place();
                let code = reap(pool, place, slot);
                // One that died before it saw the batch has not harmed it: another one does it, unless the pool ends.
                if begun || is_fresh || pool.state().is_terminated {
                    return Reply::Lost(item, ProcessError::ended(&name, code));
                }
            }
        }
    }
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
