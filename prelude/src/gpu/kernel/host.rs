//! A kernel on the processor: groups side by side on rayon's threads, the work items of a group one after the other.
//!
//! A kernel with `barrier()` has a thread for each work item of a group instead, and takes one group after the other.
//!
//! What always holds: an error of one work item ends the launch, and none of the others waits for it for ever; an interrupt
//! of the cell ends it between two groups.

use std::any::Any;
use std::cell::Cell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;

use super::arguments::{Arguments, Bound};
use super::atomic::{AtomicElement, Atomics};
use super::shared::{MOST_BARRIERS, Shared, identity};
use crate::gpu::element::Plain;
use crate::interrupt;

/// The most threads that a group with a barrier may have.
pub(super) const LARGEST_TEAM: usize = 256;

/// What ends a launch.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    Index {
        location: &'static Location<'static>,
        name: &'static str,
        index: u64,
        length: u64,
    },
    Race {
        location: &'static Location<'static>,
        name: &'static str,
        index: u64,
        one: u64,
        other: u64,
    },
    /// Some work items of a group wait at a barrier that others do not come to.
    Barrier {
        location: Option<&'static Location<'static>>,
        waiting: usize,
        ended: usize,
    },
    /// The cell was interrupted, or another work item failed.
    Ended,
}

/// Ends the work item, without the message of a panic.
#[cold]
pub(super) fn raise(fault: Fault) -> ! {
    resume_unwind(Box::new(fault))
}

/// A work item: where it stands.
struct Item {
    /// Its name in claims.
    identity: Cell<u64>,
    local: [usize; 3],
    group: [usize; 3],
    sizes: Sizes,
    memory: *const LocalMemory,
    /// The others of its group, if they may wait for each other.
    team: *const Team,
}

/// The sizes of a launch.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    /// Work items that were asked for; groups at the edge may reach beyond.
    pub global: [usize; 3],
    pub group: [usize; 3],
    pub groups: [usize; 3],
}

thread_local! {
    static CURRENT: Cell<*const Item> = const { Cell::new(std::ptr::null()) };
}

/// Asks the work item that this thread runs.
fn item<R>(ask: impl FnOnce(&Item) -> R) -> R {
    let current = CURRENT.get();
    assert!(!current.is_null(), "this runs in a kernel only");
    // SAFETY: it is set while the item lives, by `run_item`.
    ask(unsafe { &*current })
}

pub(super) fn global_id(d: usize) -> usize {
    item(|item| item.group[d] * item.sizes.group[d] + item.local[d])
}

pub(super) fn local_id(d: usize) -> usize {
    item(|item| item.local[d])
}

pub(super) fn group_id(d: usize) -> usize {
    item(|item| item.group[d])
}

pub(super) fn sizes() -> Sizes {
    item(|item| item.sizes)
}

/// Local memory of a group, by the place in the text that asks for it.
#[derive(Default)]
struct LocalMemory(Mutex<HashMap<(u32, u32), Piece>>);

struct Piece {
    words: Vec<u64>,
    owners: Vec<AtomicU64>,
}

impl LocalMemory {
    /// Where a piece begins, and its owners.
    fn piece(&self, bytes: usize, n: usize, at: &Location<'_>) -> (*mut u64, *const AtomicU64) {
        let mut pieces = lock(&self.0);
        let piece = pieces
            .entry((at.line(), at.column()))
            .or_insert_with(|| Piece {
                words: vec![0; bytes.div_ceil(8)],
                owners: (0..n).map(|_| AtomicU64::new(0)).collect(),
            });
        (piece.words.as_mut_ptr(), piece.owners.as_ptr())
    }
}

#[track_caller]
pub(super) fn local<T: Plain>(n: usize) -> Shared<T> {
    let at = Location::caller();
    item(|item| {
        // SAFETY: the group's memory lives as long as its items.
        let (start, owners) = unsafe { &*item.memory }.piece(n * size_of::<T>(), n, at);
        // SAFETY: the piece has n elements and owners, is not moved while the group runs, and is reached this way alone.
        unsafe {
            Shared::new(
                start.cast(),
                n,
                owners,
                &raw const item.identity,
                "local memory",
            )
        }
    })
}

#[track_caller]
pub(super) fn local_atomics<T: AtomicElement>(n: usize) -> Atomics<T> {
    let at = Location::caller();
    item(|item| {
        // SAFETY: as above.
        let (start, _) = unsafe { &*item.memory }.piece(n * size_of::<T>(), n, at);
        // SAFETY: as above.
        unsafe { Atomics::new(start.cast(), n, "local memory") }
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What runs one work item.
pub type HostForm = fn(&Arguments<'_>);

/// Runs all work items of a launch.
///
/// # Errors
/// One of them failed.
///
/// # Panics
/// The kernel's own, such as a division by 0; the interrupt of the cell.
pub(super) fn run(
    form: HostForm,
    bound: &[Bound],
    sizes: Sizes,
    has_barrier: bool,
) -> Result<(), Fault> {
    let n_groups: usize = sizes.groups.iter().product();
    let result = if has_barrier {
        team(form, bound, sizes, n_groups).map_or(Ok(()), Err)
    } else {
        let all = || {
            (0..n_groups).into_par_iter().for_each(|group| {
                interrupt::check();
                let memory = LocalMemory::default();
                for local in 0..sizes.group.iter().product() {
                    run_item(
                        form,
                        bound,
                        sizes,
                        (group, local),
                        &memory,
                        std::ptr::null(),
                    );
                }
            });
        };
        catch_unwind(AssertUnwindSafe(all))
    };
    interrupt::check();
    result.or_else(|payload| match payload.downcast::<Fault>() {
        Ok(fault) => Err(*fault),
        Err(panic) => resume_unwind(panic),
    })
}

fn place(index: usize, sizes: [usize; 3]) -> [usize; 3] {
    [
        index % sizes[0],
        index / sizes[0] % sizes[1],
        index / sizes[0] / sizes[1],
    ]
}

fn run_item(
    form: HostForm,
    bound: &[Bound],
    sizes: Sizes,
    (group, local): (usize, usize),
    memory: &LocalMemory,
    team: *const Team,
) {
    let item = Item {
        identity: Cell::new(identity(group, local, 0)),
        local: place(local, sizes.group),
        group: place(group, sizes.groups),
        sizes,
        memory,
        team,
    };
    let is_beyond =
        (0..3).any(|d| item.group[d] * sizes.group[d] + item.local[d] >= sizes.global[d]);
    if is_beyond {
        return;
    }
    struct Before(*const Item);
    impl Drop for Before {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let _restored_also_by_a_fault = Before(CURRENT.replace(&raw const item));
    form(&Arguments::new(bound, &raw const item.identity));
}

/// The work items of a group that wait for each other.
struct Team {
    size: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// How many wait at the barrier, how many have ended, and how often all went on.
    waiting: usize,
    ended: usize,
    turn: u64,
    failure: Option<Box<dyn Any + Send>>,
    has_failed: bool,
    /// Where the last one came to the barrier.
    location: Option<&'static Location<'static>>,
}

impl Team {
    fn fail(&self, state: &mut State, failure: Box<dyn Any + Send>) {
        if !state.has_failed {
            state.has_failed = true;
            state.failure = Some(failure);
        }
        self.changed.notify_all();
    }

    /// Waits for the next turn, as one of those that are counted already.
    fn wait(&self, mut state: MutexGuard<'_, State>) {
        let turn = state.turn;
        while state.turn == turn && !state.has_failed {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let has_failed = state.has_failed;
        drop(state);
        if has_failed {
            raise(Fault::Ended);
        }
    }

    /// Lets all go on if all are there; an error if some wait for others that have ended.
    fn settle(&self, state: &mut State) {
        if state.waiting + state.ended < self.size {
            return;
        }
        if state.waiting > 0 && state.ended > 0 {
            let fault = Fault::Barrier {
                location: state.location,
                waiting: state.waiting,
                ended: state.ended,
            };
            return self.fail(state, Box::new(fault));
        }
        (state.waiting, state.ended) = (0, 0);
        state.turn += 1;
        self.changed.notify_all();
    }
}

#[track_caller]
pub(super) fn barrier() {
    let at = Location::caller();
    item(|item| {
        if item.team.is_null() {
            return;
        }
        // SAFETY: the team lives as long as its items.
        let team = unsafe { &*item.team };
        let mut state = lock(&team.state);
        state.waiting += 1;
        state.location = Some(at);
        team.settle(&mut state);
        if state.waiting == 0 && !state.has_failed {
            // The last one.
            drop(state);
        } else {
            team.wait(state);
        }
        let epoch = item.identity.get();
        assert!(epoch & MOST_BARRIERS != MOST_BARRIERS, "too many barriers");
        item.identity.set(epoch + 1);
    });
}

/// Runs one group after the other with a thread for each work item.
fn team(
    form: HostForm,
    bound: &[Bound],
    sizes: Sizes,
    n_groups: usize,
) -> Option<Box<dyn Any + Send>> {
    let size = sizes.group.iter().product();
    let team = Team {
        size,
        state: Mutex::default(),
        changed: Condvar::new(),
    };
    let memory = Mutex::new((0, Arc::new(LocalMemory::default())));
    std::thread::scope(|scope| {
        for local in 0..size {
            let (team, memory) = (&team, &memory);
            scope.spawn(move || {
                let work = || {
                    for group in 0..n_groups {
                        // The first of a group makes its memory.
                        let own = {
                            let mut current = lock(memory);
                            if current.0 != group {
                                *current = (group, Arc::default());
                            }
                            Arc::clone(&current.1)
                        };
                        run_item(form, bound, sizes, (group, local), &own, team);
                        let mut state = lock(&team.state);
                        if interrupt::requested() {
                            team.fail(&mut state, Box::new(Fault::Ended));
                        }
                        state.ended += 1;
                        team.settle(&mut state);
                        if state.ended > 0 || state.has_failed {
                            team.wait(state);
                        }
                    }
                };
                if let Err(failure) = catch_unwind(AssertUnwindSafe(work)) {
                    team.fail(&mut lock(&team.state), failure);
                }
            });
        }
    });
    let mut state = lock(&team.state);
    state.failure.take()
}
