//! What can go wrong with a job.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// What can go wrong with a job.
#[non_exhaustive]
pub enum JobError {
    /// Somebody else listens at the address.
    PortInUse {
        /// The job.
        name: String,
        /// The address.
        address: SocketAddr,
        /// Who it is, if that can be found out.
        holder: Option<String>,
        /// What the system said.
        source: io::Error,
    },
    /// The address is none, or one at which this process may not listen.
    CannotListen {
        /// The job.
        name: String,
        /// The address, or nothing if the text was none.
        address: Option<SocketAddr>,
        /// What the system said.
        source: io::Error,
    },
    /// It was asked to stop and goes on.
    DoesNotStop {
        /// The job.
        name: String,
        /// How long was waited.
        time: Duration,
    },
    /// A job begins one of its own name: it would wait for its own end.
    Itself {
        /// The job.
        name: String,
    },
    /// The system has no thread to give.
    NoThread {
        /// The job.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// It had not ended when the time was over.
    StillRunning {
        /// The job.
        name: String,
        /// How long was waited.
        time: Duration,
    },
    /// It returned an error or panicked.
    Failed {
        /// The job.
        name: String,
        /// The error, or the panic's message.
        why: String,
    },
    /// No job has this name.
    Unknown {
        /// The name.
        name: String,
        /// The names of those that run.
        running: Vec<String>,
    },
}

impl fmt::Display for JobError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JobError::PortInUse {
                name,
                address,
                holder,
                ..
            } => {
                let holder = holder.as_deref();
                let why = holder.unwrap_or(
                    "another program listens there; which one is not to be seen from here",
                );
                write!(
                    out,
                    "job {name}: {address} is in use\nwhy: {why}\n\
                     do:  end the other one, or take another port; port 0 is any that is free"
                )
            }
            JobError::CannotListen {
                name,
                address,
                source,
            } => {
                let at = address.map_or("there".to_owned(), |address| format!("at {address}"));
                write!(
                    out,
                    "job {name}: it cannot listen {at}\nwhy: {source}\n\
                     do:  take an address of this machine and a port from 1024, such as \"127.0.0.1:8080\"; \
                     port 0 is any that is free"
                )
            }
            JobError::DoesNotStop { name, time } => write!(
                out,
                "job {name}: it goes on, {time:?} after it was asked to stop\n\
                 why: its code does not look at stop.requested(), or waits for something that the stop does not end\n\
                 do:  look at stop.requested() in its loop, and give its sockets to stop.ends(&socket)\n     \
                 or give the new one another name; a restart of the kernel ends all"
            ),
            JobError::Itself { name } => write!(
                out,
                "job {name}: it begins a job of its own name\n\
                 why: the old one is stopped and waited for first, which would be itself\n\
                 do:  give the new one another name"
            ),
            JobError::NoThread { name, source } => write!(
                out,
                "job {name}: it has no thread to run on\nwhy: {source}\n\
                 do:  end threads and jobs that are not needed (%stop --all), or raise `ulimit -u`"
            ),
            JobError::StillRunning { name, time } => write!(
                out,
                "job {name}: it still runs after {time:?}\nwhy: join waits for its end\n\
                 do:  stop() first, or wait longer"
            ),
            JobError::Failed { name, why } => write!(
                out,
                "job {name}: failed\nwhy: {why}\ndo:  mend it and run its cell again"
            ),
            JobError::Unknown { name, running } => {
                let running = if running.is_empty() {
                    "none runs".to_owned()
                } else {
                    format!("those that run: {}", running.join(", "))
                };
                write!(
                    out,
                    "job {name}: there is none\nwhy: no job of this name was begun; {running}\n\
                     do:  %jobs    (lists all; they end with the kernel)"
                )
            }
        }
    }
}

/// The same text as `Display`: `unwrap` shows an error through `Debug`, and the cure must be readable there.
impl fmt::Debug for JobError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl std::error::Error for JobError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            JobError::PortInUse { source, .. }
            | JobError::CannotListen { source, .. }
            | JobError::NoThread { source, .. } => Some(source),
            _ => None,
        }
    }
}
