//! A sampling profiler of the run in progress: where its threads spend their processor time.
//!
//! The kernel asks for it before a cell ([`want`]). From the moment before the cell's function is called
//! to the moment after it has returned, every thread of the process has a timer on its own processor
//! time; the timer's signal copies registers and stack of the thread. A thread of the worker's own
//! unwinds the copies while the cell runs, and what it has counted leaves as a report. Names and lines are
//! the kernel's business.
//!
//! * `timers`    one timer for each thread
//! * `ring`      the signal's handler, and where it puts its copies
//! * `unwind`    from a copied stack to addresses
//! * `collect`   counts equal stacks; the report
//!
//! What always holds:
//! * a thread that does not compute is not disturbed: its clock stands still;
//! * after [`stop`] there is no timer, however the cell has ended; a signal that is still on its way is
//!   taken and does nothing;
//! * what cannot be kept (the ring is full, a stack cannot be followed) is counted and told.

mod collect;
mod ring;
mod timers;
mod unwind;

use super::channel;
use super::frames::Kind;
use collect::Collector;
pub use ring::{default_stack, know_main_stack, know_stack};
use serde_json::{Value, json};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
pub use timers::thread_begins;

/// What is asked of the timers. The system looks at clocks of processor time at its ticks only, so with
/// 250 of them a second (Debian, Ubuntu) a sample comes every 4 ms; the report says what came.
const INTERVAL: Duration = Duration::from_millis(2);

/// Whether the kernel wants the next runs to be profiled. Set by the thread that listens to the kernel,
/// which answers it before evcxr's order is sent, so plain loads see it.
static WANTED: AtomicBool = AtomicBool::new(false);

static RUNNING: Mutex<Option<Running>> = Mutex::new(None);

/// A profile in progress, or one whose timers are gone and whose samples are not yet all counted.
struct Running {
    collector: Collector,
    wall: Instant,
    processor: Duration,
    /// Wall and processor time of the run; none as long as it goes on.
    took: Option<(Duration, Duration)>,
}

/// Whether the runs to come are to be profiled.
pub fn want(on: bool) {
    WANTED.store(on, Ordering::SeqCst);
}

/// The cell's function is about to be called on the calling thread.
pub fn start() {
    if !WANTED.load(Ordering::SeqCst) || !ring::prepare() {
        return;
    }
    let Ok(collector) = Collector::start() else {
        return;
    };
    let running = Running {
        collector,
        processor: timers::processor_time(libc::CLOCK_PROCESS_CPUTIME_ID),
        wall: Instant::now(),
        took: None,
    };
    *super::lock(&RUNNING) = Some(running);
    ring::open();
    timers::start(INTERVAL);
}

/// The function has returned, or its thread was stopped for ever: removes all timers.
pub fn stop() {
    let mut running = super::lock(&RUNNING);
    let Some(running) = running.as_mut().filter(|running| running.took.is_none()) else {
        return;
    };
    timers::stop();
    ring::close();
    let wall = running.wall.elapsed();
    let all = timers::processor_time(libc::CLOCK_PROCESS_CPUTIME_ID) - running.processor;
    // What the profiler itself has used is not the cell's.
    let own = timers::processor_time(timers::clock_of(running.collector.thread));
    running.took = Some((wall, all.saturating_sub(own)));
}

/// Counts what is left and sends the report, if a profile was made of the run that is about to end.
pub fn send() {
    if let Some(value) = finish() {
        let report = json!({ "report": "profile", "value": value });
        channel::send(Kind::Report, report.to_string().as_bytes());
    }
}

/// Library and address of each frame of one thread of this process that lies in a cell's code, innermost first. Empty
/// if there are none, if the thread does not answer, or while a profile is made.
pub fn look_at(thread: i32) -> Vec<(String, u64)> {
    let running = super::lock(&RUNNING);
    if running.is_some() || !ring::prepare() {
        return Vec::new();
    }
    ring::open();
    // SAFETY: a plain system call; the signal's handler is installed.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, ring::SIGNAL) };
    let mut found = None;
    let begun = Instant::now();
    while found.is_none() && begun.elapsed() < LOOK {
        std::thread::sleep(Duration::from_millis(1));
        ring::drain(|sample| {
            if sample.thread != thread {
                return;
            }
            let mut unwinder = unwind::Unwinder::new();
            let mut frames = Vec::new();
            unwinder.unwind(&sample, &mut frames);
            found = Some(unwinder.cell_frames(&frames));
        });
    }
    ring::close();
    ring::wait_for_handlers();
    ring::drain(|_| ());
    ring::release();
    drop(running);
    found.unwrap_or_default()
}

/// How long a thread may take to answer; one that computes does at its next instruction, if it has a processor.
const LOOK: Duration = Duration::from_millis(60);

fn finish() -> Option<Value> {
    stop();
    let running = super::lock(&RUNNING).take()?;
    let (wall, processor) = running.took.unwrap_or_default();
    let mut value = running.collector.finish()?;
    value["wall"] = json!(wall.as_nanos() as u64);
    value["processor"] = json!(processor.as_nanos() as u64);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(never)]
    fn compute(until: Duration) -> u64 {
        let begun = timers::processor_time(libc::CLOCK_THREAD_CPUTIME_ID);
        let mut sum = 0_u64;
        while timers::processor_time(libc::CLOCK_THREAD_CPUTIME_ID) - begun < until {
            for i in 0..10_000_u64 {
                sum = std::hint::black_box(sum.wrapping_mul(31) ^ i);
            }
        }
        sum
    }

    /// The whole way inside of one process: threads that compute are sampled and their stacks name the
    /// function, one that sleeps is not; afterwards no timer is left.
    #[test]
    fn threads_that_compute_are_sampled_and_their_stacks_are_followed() {
        want(true);
        let sleeper = std::thread::Builder::new()
            .name("sleeper".to_owned())
            .spawn(|| std::thread::sleep(Duration::from_millis(300)))
            .unwrap();
        let cell = std::thread::Builder::new().name("computes".to_owned());
        let cell = cell.spawn(|| {
            start();
            let inner = std::thread::Builder::new().name("started".to_owned());
            let inner = inner.spawn(|| compute(Duration::from_millis(150)));
            compute(Duration::from_millis(150));
            inner.unwrap().join().unwrap();
            stop();
            let armed = timers::count();
            (finish(), armed)
        });
        let (value, armed) = cell.unwrap().join().unwrap();
        want(false);
        sleeper.join().unwrap();
        let value = value.expect("a report");
        assert_eq!(armed, 0, "timers that are left");
        let stacks = value["stacks"].as_array().unwrap();
        let modules = value["modules"].as_array().unwrap();
        let this = std::env::current_exe().unwrap();
        let base = unwind::base_of_executable();
        let is_of_compute = |module: &Value, address: &Value| {
            let module = module.as_u64().map(|index| &modules[index as usize]);
            let address = address.as_u64().unwrap() + base;
            let mut found = false;
            backtrace::resolve(address as *mut _, |symbol| {
                let name = symbol.name().map(|name| name.to_string());
                found |= name.is_some_and(|name| name.contains("tests::compute"));
            });
            found && module.and_then(Value::as_str) == this.to_str()
        };
        // Samples of a thread, and how many of them name the function. (Other tests have threads too.)
        let samples_of = |name: &str| -> (u64, u64) {
            let (mut all, mut named) = (0, 0);
            for stack in stacks {
                let thread = stack["thread"].as_u64().unwrap() as usize;
                if value["threads"][thread].as_str() != Some(name) {
                    continue;
                }
                let count = stack["count"].as_u64().unwrap();
                let mut frames = stack["frames"].as_array().unwrap().chunks(2);
                all += count;
                named += count * u64::from(frames.any(|frame| is_of_compute(&frame[0], &frame[1])));
            }
            (all, named)
        };
        for name in ["computes", "started"] {
            let (all, named) = samples_of(name);
            assert!(
                all >= 5 && named * 2 > all,
                "{name}: {named} of {all}\n{value}"
            );
        }
        assert_eq!(samples_of("sleeper").0, 0);
        // Almost all stacks lead to the thread's beginning; a few may be caught while it is set up.
        let number = |name: &str| value[name].as_u64().unwrap();
        assert!(number("broken") * 10 <= number("samples"), "{value}");
    }
}
