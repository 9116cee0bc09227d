//! One process that runs one function, from its making to its value.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::ProcessError;
use super::child::Start;
use super::entry::{self, Entry};
use super::known::{Known, Order, Phase, describe};
use super::message::{self, Message};
use super::outcome::Outcome;
use super::start::{self, Ends};
use crate::{Function, Runnable, interrupt, rt};

/// A function that runs in a process of its own.
///
/// The process is this program, started again: it has memory of its own, in which statics have their first values.
/// Only the arguments go there, and only the value comes back. What it prints and shows appears under the cell that
/// started it. It reads an empty standard input. A handle that is dropped leaves its process running.
///
/// ```
/// use forkline::prelude::*;
/// use processes::Process;
///
/// fn area(width: u32, height: u32) -> u32 { width * height }
///
/// let process = Process::new(area, (3, 4)).name("area");
/// process.start()?;
/// assert_eq!(process.join()?, 12);
/// # Ok::<(), processes::ProcessError>(())
/// ```
pub struct Process<R> {
    pub(super) shared: Arc<Known>,
    /// Reads what came back. Kept here so that nothing but the type's name has to be known of `R` afterwards: the
    /// analyzer that tells evcxr the types of variables does not see what derive macros implement.
    value: fn(Outcome, &str) -> Result<R, ProcessError>,
}

impl<R> Process<R> {
    /// A process that will run `function` with a tuple of arguments, once it is started.
    ///
    /// The function is one that carries no data: a function by its name, or a closure that captures nothing.
    /// The arguments are written down now; handles among them are given away with them.
    pub fn new<F, Args>(function: F, arguments: Args) -> Process<R>
    where
        F: Function<Args, Output = R>,
        Args: Message,
        R: Message,
    {
        let _carries_nothing = function;
        let entry = Entry::of(entry::body::<F, Args>);
        let order = message::encode(&arguments, true).map(|arguments| Order { entry, arguments });
        Process::with(Arc::new(Known::new(Some(order))))
    }

    fn with(shared: Arc<Known>) -> Process<R>
    where
        R: Message,
    {
        Process {
            shared,
            value: Outcome::into_value::<R>,
        }
    }

    /// A process that will do the work of a type of yours, under the name that this gives.
    ///
    /// ```
    /// use forkline::prelude::*;
    /// use processes::Process;
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct Greeter { to: String }
    ///
    /// impl Runnable for Greeter {
    ///     type Output = String;
    ///     fn run(self) -> String { format!("Hello {} from {}", self.to, processes::current().name()) }
    ///     fn name(&self) -> Option<String> { Some("greeter".to_owned()) }
    /// }
    /// let process = Process::of(Greeter { to: "world".to_owned() });
    /// process.start()?;
    /// assert_eq!(process.join()?, "Hello world from greeter");
    /// # Ok::<(), processes::ProcessError>(())
    /// ```
    pub fn of<W>(work: W) -> Process<R>
    where
        W: Runnable<Output = R> + Message,
        R: Message,
    {
        fn run<W: Runnable>(work: W) -> W::Output {
            work.run()
        }
        let name = work.name();
        let process = Process::new(run::<W>, (work,));
        match name {
            Some(name) => process.name(&name),
            None => process,
        }
    }

    /// Gives it a name in place of `Process-N`.
    #[must_use = "it returns the process with its name"]
    pub fn name(self, name: &str) -> Process<R> {
        name.clone_into(&mut self.shared.state().name);
        self
    }

    /// Whether it ends with the process that starts it; else that one waits for it at its own end. The notebook's own
    /// process ends with the kernel, and then everything ends.
    #[must_use = "it returns the process"]
    pub fn daemon(self, is_daemon: bool) -> Process<R> {
        self.shared.state().is_daemon = is_daemon;
        self
    }

    /// Starts it. Returns when the process exists, most often before its function runs.
    ///
    /// # Errors
    /// It was started before, its arguments cannot be sent, or the system gives no process.
    pub fn start(&self) -> Result<(), ProcessError> {
        let name = self.shared.name();
        let order = match &mut self.shared.state().phase {
            Phase::Created(order) => order.take(),
            _ => None,
        };
        let order = order.ok_or_else(|| ProcessError::AlreadyStarted { name: name.clone() })?;
        let order = order.map_err(|error| ProcessError::arguments(&name, &error))?;
        let start = Start {
            entry: Some(order.entry),
            ..self.shared.start_info()
        };
        let first = message::encode(&start, true)
            .map_err(|error| ProcessError::arguments(&name, &error))?;
        rt::flush_stdout();
        start::spawn(&name)
            .and_then(|ends| Arc::clone(&self.shared).attend(ends, vec![first, order.arguments]))
            .map_err(|error| ProcessError::Start { name, error })
    }

    /// Waits until it has ended, and takes what its function returned.
    ///
    /// # Errors
    /// It was not started, its function panicked, or it ended before that returned: by itself, or by a signal. A value
    /// is given once; later calls of a function without a value go on to succeed.
    pub fn join(&self) -> Result<R, ProcessError> {
        self.shared.wait(None, Duration::MAX)?;
        self.take()
    }

    /// [`join`](Process::join) that gives up after some time.
    ///
    /// # Errors
    /// As for `join`; or it still runs. It goes on then, and may be waited for again.
    pub fn join_timeout(&self, time: Duration) -> Result<R, ProcessError> {
        self.shared.wait(interrupt::deadline(time), time)?;
        self.take()
    }

    fn take(&self) -> Result<R, ProcessError> {
        let mut state = self.shared.state();
        let name = state.name.clone();
        let Phase::Ended { code, .. } = state.phase else {
            return Err(ProcessError::NotStarted { name });
        };
        let Some(outcome) = state.outcome.take() else {
            return Err(ProcessError::ended(&name, code));
        };
        state.outcome = Some(outcome.for_later());
        drop(state);
        (self.value)(outcome, &name)
    }
}

impl<R> Process<R> {
    /// Its number in the system; none before its start.
    pub fn pid(&self) -> Option<u32> {
        self.shared.pid()
    }

    /// The name it goes by.
    pub fn get_name(&self) -> String {
        self.shared.name()
    }

    /// Whether it ends with the process that starts it.
    pub fn is_daemon(&self) -> bool {
        self.shared.is_daemon()
    }

    /// Whether it has been started and has not ended.
    pub fn is_alive(&self) -> bool {
        matches!(self.shared.state().phase, Phase::Running(_))
    }

    /// How it ended: 0 well, 101 by a panic, another positive number by itself with that status, `-n` by signal `n`.
    /// None as long as it has not.
    pub fn exit_code(&self) -> Option<i32> {
        self.shared.exit_code()
    }

    /// Asks it to end (SIGTERM). It is not gone when this returns: [`join`](Process::join) waits for that.
    pub fn terminate(&self) {
        self.shared.signal(libc::SIGTERM);
    }

    /// Ends it by SIGKILL, which no process can put off.
    pub fn kill(&self) {
        self.shared.signal(libc::SIGKILL);
    }

    /// Waits until it has ended; its exit code. Leaves the value for [`join`](Process::join).
    ///
    /// # Errors
    /// It was not started, or another process started it.
    pub fn wait(&self) -> Result<i32, ProcessError> {
        self.shared.wait(None, Duration::MAX)
    }

    /// [`wait`](Process::wait) that gives up after some time.
    ///
    /// # Errors
    /// As for `wait`; or it still runs.
    pub fn wait_timeout(&self, time: Duration) -> Result<i32, ProcessError> {
        self.shared.wait(interrupt::deadline(time), time)
    }
}

impl<R> fmt::Debug for Process<R> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        describe(&self.shared, out)
    }
}

/// Starts a process that runs `function` with a tuple of arguments: [`Process::new`] and [`Process::start`] in one.
///
/// ```
/// use forkline::prelude::*;
///
/// let process = processes::spawn(|n: u64| n * n, (12,))?;
/// assert_eq!(process.join()?, 144);
/// # Ok::<(), processes::ProcessError>(())
/// ```
///
/// # Errors
/// The arguments cannot be sent, or the system gives no process.
pub fn spawn<F, Args>(function: F, arguments: Args) -> Result<Process<F::Output>, ProcessError>
where
    F: Function<Args, Output: Message>,
    Args: Message,
{
    let process = Process::new(function, arguments);
    process.start()?;
    Ok(process)
}

/// The handle of a process that runs already.
pub(crate) fn attend_fork<R: Message>(
    shared: Arc<Known>,
    ends: Ends,
) -> Result<Process<R>, ProcessError> {
    let name = shared.name();
    Arc::clone(&shared)
        .attend(ends, Vec::new())
        .map_err(|error| ProcessError::Start { name, error })?;
    Ok(Process::with(shared))
}
