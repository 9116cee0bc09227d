//! The caller's side of an object: looked up and connected when it is first needed, and again when it was lost.
//!
//! What always holds: nothing is sent twice. A connection that is found closed before a call is replaced; one that breaks
//! during a call makes an error, because nobody can know whether the method ran.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

use forkline::{interrupt, tasks};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::time::{timeout, timeout_at};

use crate::connection::{Connection, Full, Place, Pool, SLICE};
use crate::error::Error;
use crate::key;
use crate::network::{HANDSHAKE_TIME, Network};
use crate::object::Returned;
use crate::uri::{self, Uri};
use crate::wire::{self, AROUND, Broken, Fault, Reply, Request};

/// Which object is meant.
#[derive(Clone)]
pub(crate) enum Target {
    /// Whoever has the name when it is connected.
    Name(String),
    /// One server only.
    Uri(Uri),
    /// No text that could be either.
    Bad(Error),
}

/// The way to an object; clones share the connections.
#[derive(Clone)]
pub struct Link(Arc<Inner>);

struct Inner {
    network: Network,
    target: Target,
    /// The target as text, for messages.
    text: String,
    pool: Pool,
    /// Where the object of the name is. Forgotten when a connection to it was lost.
    found: Mutex<Option<Uri>>,
    /// One looks up and connects, the others wait for it.
    connecting: Mutex<()>,
}

thread_local! {
    /// A buffer for requests, to be used again.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Link {
    pub(crate) fn new(network: Network, target: Target) -> Link {
        let text = match &target {
            Target::Name(name) => name.clone(),
            Target::Uri(uri) if uri.object == uri::NAMES => "the name server".to_owned(),
            Target::Uri(uri) => uri.to_string(),
            Target::Bad(_) => "?".to_owned(),
        };
        // As many as a server of this network would serve at the same time.
        let pool = Pool::new(network.handlers().max(64));
        Link(Arc::new(Inner {
            network,
            target,
            text,
            pool,
            found: Mutex::default(),
            connecting: Mutex::default(),
        }))
    }

    pub(crate) fn target(&self) -> &str {
        &self.0.text
    }

    /// Calls a method and waits for its answer. An interrupt of the cell ends the wait.
    ///
    /// # Panics
    /// It is called inside of an asynchronous task, which would stop the thread on which tasks run.
    pub fn call<R: Returned>(&self, method: &str, arguments: &impl Serialize) -> R {
        // A call within a call, from a Serialize of the user's, finds none and makes its own.
        let mut buffer = BUFFER.try_with(Cell::take).unwrap_or_default();
        let called = self.encode(method, arguments, &mut buffer).and_then(|()| {
            let place = self.send(method, &mut buffer)?;
            postcard::from_bytes(place.value()).map_err(|error| self.mismatch(method, error))
        });
        wire::reuse(&mut buffer);
        let _thread_ends = BUFFER.try_with(|place| place.set(buffer));
        called.unwrap_or_else(R::failed)
    }

    /// The same for code that is asynchronous.
    pub(crate) async fn call_async<R: Returned + Send + 'static>(
        &self,
        method: &'static str,
        arguments: impl Serialize + Send + 'static,
    ) -> R {
        let link = self.clone();
        let called = tasks::spawn_blocking(move || {
            // It is work of a server, which no interrupt of a cell ends.
            let _spared = interrupt::spare();
            link.call(method, &arguments)
        });
        called
            .await
            .unwrap_or_else(|error| R::failed(Error::method(error)))
    }

    fn mismatch(&self, method: &str, why: impl ToString) -> Error {
        Error::Mismatch {
            target: self.0.text.clone(),
            method: method.to_owned(),
            why: why.to_string(),
        }
    }

    fn encode(
        &self,
        method: &str,
        arguments: &impl Serialize,
        buffer: &mut Vec<u8>,
    ) -> Result<(), Error> {
        Request::begin(buffer);
        wire::encode(arguments, buffer).map_err(|error| self.mismatch(method, error))?;
        let (length, limit) = (Request::length(buffer), self.0.network.longest_message());
        if length > limit {
            return Err(self.too_large(method, "the arguments", length, limit));
        }
        Ok(())
    }

    fn too_large(&self, method: &str, what: &str, length: usize, limit: usize) -> Error {
        Error::TooLarge {
            target: self.0.text.clone(),
            method: method.to_owned(),
            what: what.to_owned(),
            length,
            limit,
        }
    }

    /// Sends a request that lacks its names, and waits for the answer. The place has its value.
    fn send(&self, method: &str, request: &mut Vec<u8>) -> Result<Place<'_>, Error> {
        tasks::__assert_outside("a method of a remote object");
        interrupt::check();
        let network = &self.0.network;
        let deadline = Instant::now() + network.time();
        let mut place = self.connected(method, deadline)?;
        let Some(connection) = place.connection() else {
            unreachable!("it is connected")
        };
        let left = deadline.saturating_duration_since(Instant::now());
        Request::finish(request, left, method, &connection.object)
            .ok_or_else(|| self.mismatch(method, "a name is longer than a request can have"))?;
        let limit = network.longest_message().saturating_add(AROUND);
        let answered = connection.exchange(request, limit, deadline);
        let fault = match answered.map(|()| Reply::parse(connection.answer())) {
            Ok(Some(answer)) => answer.err(),
            Ok(None) => return Err(self.lost(method, "what came is no answer")),
            Err(Broken::Late) => return Err(self.late(method)),
            // A server closes what nobody waits for any more.
            Err(_) if Instant::now() >= deadline => return Err(self.late(method)),
            Err(broken) => return Err(self.lost(method, broken)),
        };
        place.set_answered();
        match fault {
            Some(fault) => Err(self.fault(method, fault)),
            None => Ok(place),
        }
    }

    fn lost(&self, method: &str, why: impl ToString) -> Error {
        self.forget();
        Error::Lost {
            target: self.0.text.clone(),
            method: method.to_owned(),
            why: why.to_string(),
        }
    }

    fn late(&self, method: &str) -> Error {
        Error::Deadline {
            target: self.0.text.clone(),
            method: method.to_owned(),
            time: self.0.network.time(),
        }
    }

    fn fault(&self, method: &str, fault: Fault) -> Error {
        let (target, method) = (self.0.text.clone(), method.to_owned());
        match fault {
            Fault::NoObject => Error::NoObject { target },
            Fault::NoMethod { exposed } => Error::NoMethod {
                target,
                method,
                exposed,
            },
            Fault::Mismatch { why } => self.mismatch(&method, why),
            Fault::Panicked { message } => Error::Panicked {
                target,
                method,
                message,
            },
            Fault::TooLarge { length } => self.too_large(
                &method,
                "the answer",
                length,
                self.0.network.longest_message(),
            ),
        }
    }

    /// The name is looked up again before the next connection is made.
    fn forget(&self) {
        *self.0.found.lock() = None;
    }

    /// A place with a connection that is open.
    fn connected(&self, method: &str, deadline: Instant) -> Result<Place<'_>, Error> {
        let entered = self.0.pool.enter(deadline);
        let mut place = entered.map_err(|full| match full {
            Full::Late => self.late(method),
            Full::Busy => Error::Busy {
                target: self.0.text.clone(),
                method: method.to_owned(),
            },
        })?;
        if place.finds_open(|| self.forget()) {
            return Ok(place);
        }
        let turn = loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if let Some(turn) = self.0.connecting.try_lock_for(left.min(SLICE)) {
                break turn;
            }
            interrupt::check();
            if left.is_zero() {
                return Err(self.late(method));
            }
        };
        // Others may have given theirs back meanwhile.
        if !place.finds_open(|| self.forget()) {
            place.put(self.connect(method, deadline)?);
        }
        drop(turn);
        Ok(place)
    }

    fn connect(&self, method: &str, deadline: Instant) -> Result<Connection, Error> {
        let dial = |uri: &Uri| {
            // On the runtime, where an interrupt and the deadline end it at any point.
            let dialling = async { timeout_at(deadline.into(), self.dial(uri)).await };
            let dialled = tasks::block_on(dialling);
            dialled.unwrap_or_else(|_| Err(self.late(method)))
        };
        let name = match &self.0.target {
            Target::Uri(uri) => return dial(uri),
            Target::Name(name) => name,
            Target::Bad(error) => return Err(error.clone()),
        };
        let found = self.0.found.lock().clone();
        if let Some(uri) = found {
            match dial(&uri) {
                // Its server is gone; there may be another one of the name.
                Err(Error::Unreachable { .. }) => {}
                dialled => return dialled,
            }
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let uri = match self.0.network.deadline(left).lookup(name) {
            Err(Error::Deadline { .. }) => return Err(self.late(method)),
            found => found?,
        };
        *self.0.found.lock() = Some(uri.clone());
        dial(&uri)
    }

    async fn dial(&self, uri: &Uri) -> Result<Connection, Error> {
        let (network, address) = (&self.0.network, uri.address);
        let unreachable = |why: String| Error::Unreachable {
            target: self.0.text.clone(),
            address,
            why,
        };
        let connecting = async {
            let stream = TcpStream::connect(address).await?;
            wire::prepare(&stream)?;
            Ok(stream)
        };
        let stream = timeout(HANDSHAKE_TIME, connecting).await;
        let mut stream = stream
            .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
            .map_err(|error: std::io::Error| unreachable(error.to_string()))?;
        match timeout(HANDSHAKE_TIME, key::introduce(&mut stream, network.key())).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                return Err(Error::Refused {
                    target: self.0.text.clone(),
                    address,
                    why: error.to_string(),
                });
            }
            Err(_) => {
                return Err(unreachable(format!(
                    "it took the connection and said nothing for {HANDSHAKE_TIME:?}"
                )));
            }
        }
        Connection::new(stream, &uri.object).map_err(|error| unreachable(error.to_string()))
    }
}
