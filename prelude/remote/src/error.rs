//! What can go wrong with a call.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a method of a remote object returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong with a call, or in the method that was called. It travels to who called.
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The method itself failed, and says so.
    Method {
        /// Its words.
        message: String,
    },
    /// The method panicked; its server goes on.
    Panicked {
        /// The object.
        target: String,
        /// The method.
        method: String,
        /// The panic's message.
        message: String,
    },
    /// The object has no such method.
    NoMethod {
        /// The object.
        target: String,
        /// The method.
        method: String,
        /// Those that it has.
        exposed: Vec<String>,
    },
    /// The server has no such object: it was started anew since its URI was written down.
    NoObject {
        /// The object.
        target: String,
    },
    /// The bytes are not what the other side's types are.
    Mismatch {
        /// The object.
        target: String,
        /// The method.
        method: String,
        /// What does not fit.
        why: String,
    },
    /// The answer was not there in time. The method may go on.
    Deadline {
        /// The object.
        target: String,
        /// The method.
        method: String,
        /// The time.
        time: Duration,
    },
    /// Nobody answers there.
    Unreachable {
        /// The object.
        target: String,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        why: String,
    },
    /// The other side does not have our key.
    Refused {
        /// The object.
        target: String,
        /// The address.
        address: SocketAddr,
        /// What it did.
        why: String,
    },
    /// The connection broke before the answer came. The method may have run.
    Lost {
        /// The object.
        target: String,
        /// The method.
        method: String,
        /// What the connection said.
        why: String,
    },
    /// Too many calls of this client wait for an answer already.
    Busy {
        /// The object.
        target: String,
        /// The method.
        method: String,
    },
    /// A message is longer than the limit.
    TooLarge {
        /// The object.
        target: String,
        /// The method.
        method: String,
        /// What is too long: arguments or the answer.
        what: String,
        /// Its length.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// Nobody has registered the name.
    UnknownName {
        /// The name.
        name: String,
        /// Names that there are; the first few.
        known: Vec<String>,
    },
    /// Its server gave no sign of life for too long.
    Dead {
        /// The name.
        name: String,
        /// Where it was.
        uri: String,
        /// For how long.
        silent: Duration,
    },
    /// A server that lives has the name.
    NameTaken {
        /// The name.
        name: String,
        /// Who has it.
        uri: String,
    },
    /// The text cannot be a name or a URI.
    BadName {
        /// The text.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// No name server is known, or none answers.
    NoNameServer {
        /// What was tried.
        why: String,
    },
    /// There is no key, or it is too short.
    BadKey {
        /// What is wrong.
        why: String,
    },
    /// It cannot listen there, or the job cannot begin.
    NotStarted {
        /// The job's error.
        why: String,
    },
}

impl Error {
    /// An error of a method: its text reaches who called.
    ///
    /// ```
    /// fn half(text: &str) -> remote::Result<i64> {
    ///     let n: i64 = text.parse().map_err(remote::Error::method)?;
    ///     Ok(n / 2)
    /// }
    /// assert_eq!(half("84"), Ok(42));
    /// assert_eq!(half("x").unwrap_err().to_string(), "invalid digit found in string");
    /// ```
    pub fn method(error: impl fmt::Display) -> Error {
        Error::Method {
            message: error.to_string(),
        }
    }
}

impl From<String> for Error {
    fn from(message: String) -> Error {
        Error::Method { message }
    }
}

impl From<&str> for Error {
    fn from(message: &str) -> Error {
        Error::method(message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Method { message } => out.write_str(message),
            Error::Panicked {
                target,
                method,
                message,
            } => write!(
                out,
                "{target}: {method} panicked: {message}\nwhy: the panic was in the method, on the server's side; the server goes on\n\
                 do:  look under the cell that started the server; mend it and run that cell again"
            ),
            Error::NoMethod {
                target,
                method,
                exposed,
            } => write!(
                out,
                "{target}: it has no method {method}\nwhy: its server exposes {}\n\
                 do:  use the same trait on both sides; run the server's cell again after a change",
                exposed.join(", ")
            ),
            Error::NoObject { target } => write!(
                out,
                "{target}: the server has no such object\nwhy: a server that is started anew has a new URI\n\
                 do:  call it by its name, or ask for its URI again"
            ),
            Error::Mismatch {
                target,
                method,
                why,
            } => write!(
                out,
                "{target}: {method}: the two sides have other types\nwhy: {why}\n\
                 do:  use the same trait on both sides, and run both cells again"
            ),
            Error::Deadline {
                target,
                method,
                time,
            } => write!(
                out,
                "{target}: no answer to {method} within {time:?}\nwhy: the method takes longer, waits for something, or its server hangs; \
                 it may still go on\ndo:  give it more time: network.deadline(time).proxy(…)"
            ),
            Error::Unreachable {
                target,
                address,
                why,
            } => write!(
                out,
                "{target}: nobody answers at {address}\nwhy: {why}\n\
                 do:  start its server; the next call connects anew"
            ),
            Error::Refused {
                target,
                address,
                why,
            } => write!(
                out,
                "{target}: {address} refused the connection, or was refused\nwhy: {why}\n\
                 do:  use the same key on both sides"
            ),
            Error::Lost {
                target,
                method,
                why,
            } => write!(
                out,
                "{target}: the connection broke before {method} was answered\nwhy: {why}; the method may have run or not\n\
                 do:  call again if it does no harm when it runs twice"
            ),
            Error::Busy { target, method } => write!(
                out,
                "{target}: {method} was not taken\nwhy: too many calls of this client wait for an answer already\n\
                 do:  call from fewer threads"
            ),
            Error::TooLarge {
                target,
                method,
                what,
                length,
                limit,
            } => write!(
                out,
                "{target}: {what} of {method} has {length} bytes\nwhy: the limit is {limit}\n\
                 do:  send it in parts, or give both sides network.max_message(bytes)"
            ),
            Error::UnknownName { name, known } => {
                let known = match known.len() {
                    0 => "no name is registered".to_owned(),
                    _ => format!("names that are: {}", known.join(", ")),
                };
                write!(
                    out,
                    "{name}: there is no such name\nwhy: {known}\ndo:  start its server, or look at network.list(\"\")"
                )
            }
            Error::Dead { name, uri, silent } => write!(
                out,
                "{name}: its server is dead\nwhy: {uri} gave no sign of life for {silent:.1?}\n\
                 do:  start it again; the name is then free for it"
            ),
            Error::NameTaken { name, uri } => write!(
                out,
                "{name}: the name is taken\nwhy: {uri} has it, and lives\n\
                 do:  take another name, stop that server, or network.remove({name:?})"
            ),
            Error::BadName { name, why } => write!(
                out,
                "{name:?} is no name\nwhy: {why}\n\
                 do:  use a name like \"server\" or a URI like obj_0123456789abcdef0123456789abcdef@127.0.0.1:4000"
            ),
            Error::NoNameServer { why } => write!(
                out,
                "no name server\nwhy: {why}\n\
                 do:  %env FORKLINE_NAMESERVER=host:port, or start one: remote::NameServer::start(&key, \"127.0.0.1:9090\")"
            ),
            Error::BadKey { why } => write!(
                out,
                "no key that could be used\nwhy: {why}\n\
                 do:  remote::Key::random() for this notebook and its processes; %env FORKLINE_REMOTE_KEY=… on all machines"
            ),
            Error::NotStarted { why } => out.write_str(why),
        }
    }
}

/// The same text as `Display`: `unwrap` shows an error through `Debug`, and the cure must be readable there.
impl fmt::Debug for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl std::error::Error for Error {}
