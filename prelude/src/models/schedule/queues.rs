//! Where a worker's next task comes from, for each scheme.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crossbeam::deque::{Steal, Stealer, Worker};

use super::super::ModelError;
use super::{MAX_WORKERS, Scheme, assign};

/// The tasks that are not begun.
///
/// Tasks make no other tasks, so a worker that finds none anywhere is done.
pub(super) struct Queues {
    places: Places,
    /// How often somebody asked a manager, or another worker. A mere count.
    n_requests: AtomicU64,
    /// How many tasks came to a worker from another's queue. A mere count.
    n_moved: AtomicU64,
}

enum Places {
    Own(Vec<Mutex<VecDeque<usize>>>),
    Central(Mutex<Range<usize>>),
    Groups {
        central: Mutex<Range<usize>>,
        /// How many tasks a group fetches is what is left, divided by this.
        divisor: usize,
        groups: Vec<Mutex<VecDeque<usize>>>,
    },
    /// The mutex is never waited for: worker `i` alone takes the `i`th. It makes the queue's owner side shareable.
    Stealing(Vec<(Mutex<Worker<usize>>, Stealer<usize>)>),
}

impl Queues {
    pub fn new(scheme: &Scheme, tasks: usize, workers: usize) -> Result<Self, ModelError> {
        assign::some(workers, "schedule::run")?;
        if workers > MAX_WORKERS {
            return Err(ModelError::TooManyWorkers { workers });
        }
        let places = match scheme {
            Scheme::Assigned(assigned) => Places::Own(own(assigned, tasks, workers)?),
            Scheme::Central => Places::Central(Mutex::new(0..tasks)),
            Scheme::Groups(groups) if !(1..=workers).contains(groups) => {
                return Err(ModelError::WrongGroups {
                    groups: *groups,
                    workers,
                });
            }
            Scheme::Groups(groups) => Places::Groups {
                central: Mutex::new(0..tasks),
                divisor: 2 * groups,
                groups: (0..*groups).map(|_| Mutex::default()).collect(),
            },
            Scheme::Stealing => {
                let queues: Vec<_> = (0..workers).map(|_| Worker::new_lifo()).collect();
                // The owner takes what was pushed last, a thief what was first: backwards, so that the owner begins
                // with its first task and thieves come from the other end.
                let blocks = assign::block(tasks, workers)?;
                for (task, worker) in blocks.into_iter().enumerate().rev() {
                    queues[worker].push(task);
                }
                let both = |queue: Worker<usize>| (queue.stealer(), Mutex::new(queue));
                let queues = queues
                    .into_iter()
                    .map(both)
                    .map(|(thief, own)| (own, thief));
                Places::Stealing(queues.collect())
            }
        };
        Ok(Self {
            places,
            n_requests: AtomicU64::new(0),
            n_moved: AtomicU64::new(0),
        })
    }

    /// The next task of a worker, or `None` when all are begun that it could have.
    pub fn next(&self, worker: usize) -> Option<usize> {
        match &self.places {
            Places::Own(queues) => lock(&queues[worker]).pop_front(),
            Places::Central(tasks) => {
                self.n_requests.fetch_add(1, Ordering::Relaxed);
                lock(tasks).next()
            }
            Places::Groups {
                central,
                divisor,
                groups,
            } => {
                let mut group = lock(&groups[worker % groups.len()]);
                if group.is_empty() {
                    self.n_requests.fetch_add(1, Ordering::Relaxed);
                    let mut central = lock(central);
                    let portion = central.len().div_ceil(*divisor);
                    group.extend(central.by_ref().take(portion));
                }
                group.pop_front()
            }
            Places::Stealing(queues) => lock(&queues[worker].0)
                .pop()
                .or_else(|| self.steal(worker, queues)),
        }
    }

    /// Asks the others in turn, beginning with the next one.
    fn steal(
        &self,
        worker: usize,
        queues: &[(Mutex<Worker<usize>>, Stealer<usize>)],
    ) -> Option<usize> {
        let (before, after) = queues.split_at(worker);
        for (_, victim) in after[1..].iter().chain(before) {
            self.n_requests.fetch_add(1, Ordering::Relaxed);
            loop {
                match victim.steal() {
                    Steal::Success(task) => {
                        self.n_moved.fetch_add(1, Ordering::Relaxed);
                        return Some(task);
                    }
                    Steal::Empty => break,
                    Steal::Retry => std::hint::spin_loop(),
                }
            }
        }
        None
    }

    pub fn n_requests(&self) -> u64 {
        self.n_requests.load(Ordering::Relaxed)
    }

    pub fn n_moved(&self) -> u64 {
        self.n_moved.load(Ordering::Relaxed)
    }
}

fn own(
    assigned: &[usize],
    tasks: usize,
    workers: usize,
) -> Result<Vec<Mutex<VecDeque<usize>>>, ModelError> {
    if assigned.len() != tasks {
        return Err(ModelError::UnequalTasks {
            assigned: assigned.len(),
            tasks,
        });
    }
    let mut queues = vec![VecDeque::new(); workers];
    for (task, &worker) in assigned.iter().enumerate() {
        let Some(queue) = queues.get_mut(worker) else {
            return Err(ModelError::NoSuchWorker {
                task,
                worker,
                workers,
            });
        };
        queue.push_back(task);
    }
    Ok(queues.into_iter().map(Mutex::new).collect())
}

/// No code of the user's runs under these locks, so a poisoned one is whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
