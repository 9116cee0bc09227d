//! The thread that takes samples out of the ring, unwinds them and counts equal stacks, while the cell
//! runs; and the report that it makes of them.

use super::ring;
use super::timers::OWN;
use super::unwind::Unwinder;
use crate::worker::{blocked, channel};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long samples lie in the ring.
const PAUSE: Duration = Duration::from_millis(5);

/// So many different stacks are kept; samples with further ones count as dropped. Each costs some
/// hundred bytes in the report. A cell of a minute on four threads has some thousands.
const STACKS: usize = 50_000;

/// The thread at work.
pub struct Collector {
    /// The system's number of the thread.
    pub thread: i32,
    end: Sender<()>,
    handle: JoinHandle<Value>,
}

impl Collector {
    /// # Errors
    /// The system gives no more threads.
    pub fn start() -> std::io::Result<Collector> {
        let (end, ended) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        let handle = std::thread::Builder::new()
            .name(format!("{OWN}profile"))
            .stack_size(1 << 20)
            .spawn(move || {
                channel::belong_to_no_run();
                // SAFETY: gettid has no preconditions.
                let _ = tell.send(unsafe { libc::syscall(libc::SYS_gettid) } as i32);
                let mut counted = Counted::new();
                loop {
                    let pause = ended.recv_timeout(PAUSE);
                    if pause != Err(RecvTimeoutError::Timeout) {
                        break;
                    }
                    ring::drain(|sample| counted.add(&sample));
                }
                ring::wait_for_handlers();
                ring::drain(|sample| counted.add(&sample));
                ring::release();
                counted.report()
            })?;
        let thread = told.recv().map_err(std::io::Error::other)?;
        Ok(Collector {
            thread,
            end,
            handle,
        })
    }

    /// What has been counted; none if the collector has failed.
    pub fn finish(self) -> Option<Value> {
        drop(self.end);
        self.handle.join().ok()
    }
}

/// Samples so far.
struct Counted {
    unwinder: Unwinder,
    /// Number and name of each thread that was seen.
    threads: HashMap<(i32, [u8; 16]), usize>,
    stacks: HashMap<(usize, Vec<u64>), u64>,
    samples: u64,
    dropped: u64,
    /// Samples whose stack does not lead to the beginning of its thread.
    broken: u64,
    frames: Vec<u64>,
}

impl Counted {
    fn new() -> Counted {
        Counted {
            unwinder: Unwinder::new(),
            threads: HashMap::new(),
            stacks: HashMap::new(),
            samples: 0,
            dropped: 0,
            broken: 0,
            frames: Vec::new(),
        }
    }

    fn add(&mut self, sample: &ring::Sample<'_>) {
        // One of our own that began while the profile was made.
        if sample.name.starts_with(OWN.as_bytes()) {
            return;
        }
        let next = self.threads.len();
        let thread = *self
            .threads
            .entry((sample.thread, sample.name))
            .or_insert(next);
        let is_whole = self.unwinder.unwind(sample, &mut self.frames);
        let key = (thread, std::mem::take(&mut self.frames));
        if self.stacks.len() >= STACKS && !self.stacks.contains_key(&key) {
            self.dropped += 1;
            return;
        }
        self.samples += 1;
        self.broken += u64::from(!is_whole);
        *self.stacks.entry(key).or_insert(0) += 1;
    }

    /// `threads` are names, `modules` paths; the frames of a stack are pairs of an index into `modules`, or
    /// null, and an address as the module's file names it, innermost first.
    fn report(&self) -> Value {
        let cell_thread = blocked::cell_thread();
        let name = |bytes: &[u8; 16]| {
            let length = bytes.iter().position(|byte| *byte == 0).unwrap_or(16);
            String::from_utf8_lossy(&bytes[..length]).into_owned()
        };
        let mut threads = vec![String::new(); self.threads.len()];
        let of_cell = self
            .threads
            .keys()
            .find(|(thread, _)| *thread == cell_thread);
        let of_cell = of_cell.map(|(_, bytes)| *bytes);
        for ((thread, bytes), index) in &self.threads {
            threads[*index] = if *thread == cell_thread {
                "main".to_owned()
            } else if Some(*bytes) == of_cell || name(bytes) == "forkline" {
                // A thread without a name of its own has that of the one that started it.
                String::new()
            } else {
                name(bytes)
            };
        }
        let stacks: Vec<Value> = self
            .stacks
            .iter()
            .map(|((thread, frames), count)| {
                let located =
                    frames
                        .iter()
                        .flat_map(|address| match self.unwinder.locate(*address) {
                            Some((module, address)) => [json!(module), json!(address)],
                            None => [Value::Null, json!(address)],
                        });
                let located: Vec<Value> = located.collect();
                json!({ "thread": thread, "count": count, "frames": located })
            })
            .collect();
        let modules: Vec<&str> = self
            .unwinder
            .modules()
            .iter()
            .map(|module| module.path.as_str())
            .collect();
        json!({
            "samples": self.samples,
            "dropped": self.dropped + ring::dropped(),
            "broken": self.broken,
            "threads": threads,
            "modules": modules,
            "stacks": stacks,
        })
    }
}
