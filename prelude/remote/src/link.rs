//! The caller's side of an object: looked up and connected when it is first needed, and again when it was lost.
//!
//! What always holds: nothing is sent twice. A connection that is found closed before a call is replaced; one that breaks
//! during a call makes an error, because nobody can know whether the method ran.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tarpc::client::{self, RpcError};
use tokio::net::TcpStream;
use tokio::time::{timeout, timeout_at};

use crate::error::{Error, causes};
use crate::key;
use crate::network::{HANDSHAKE_TIME, Network};
use crate::object::Returned;
use crate::uri::{self, Uri};
use crate::wire::{self, Fault, Reply, Request};

type Channel = client::Channel<Request, Reply>;

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

/// The way to an object; clones share the connection.
#[derive(Clone)]
pub struct Link(Arc<Inner>);

struct Inner {
    network: Network,
    target: Target,
    /// The target as text, for messages.
    text: String,
    connected: Mutex<Option<Connected>>,
    /// One looks up and connects, the others wait for it.
    connecting: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Connected {
    channel: Channel,
    object: Arc<str>,
    dispatch: Arc<Dispatch>,
}

/// Ends the connection with the last who uses it.
struct Dispatch(tokio::task::JoinHandle<()>);

impl Drop for Dispatch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Connected {
    fn is_closed(&self) -> bool {
        self.dispatch.0.is_finished()
    }
}

impl Link {
    pub(crate) fn new(network: Network, target: Target) -> Link {
        let text = match &target {
            Target::Name(name) => name.clone(),
            Target::Uri(uri) if uri.object == uri::NAMES => "the name server".to_owned(),
            Target::Uri(uri) => uri.to_string(),
            Target::Bad(_) => "?".to_owned(),
        };
        Link(Arc::new(Inner {
            network,
            target,
            text,
            connected: Mutex::new(None),
            connecting: tokio::sync::Mutex::new(()),
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
        let called = self.encode(method, arguments).and_then(|arguments| {
            let answer = forkline::tasks::block_on(self.send(method, arguments))?;
            self.decode(method, &answer)
        });
        called.unwrap_or_else(R::failed)
    }

    /// The same for code that is asynchronous.
    pub(crate) async fn call_async<R: Returned>(
        &self,
        method: &str,
        arguments: &impl Serialize,
    ) -> R {
        let called = async {
            let arguments = self.encode(method, arguments)?;
            self.decode(method, &self.send(method, arguments).await?)
        };
        called.await.unwrap_or_else(R::failed)
    }

    fn mismatch(&self, method: &str, why: impl ToString) -> Error {
        Error::Mismatch {
            target: self.0.text.clone(),
            method: method.to_owned(),
            why: why.to_string(),
        }
    }

    fn encode(&self, method: &str, arguments: &impl Serialize) -> Result<Bytes, Error> {
        let arguments =
            postcard::to_stdvec(arguments).map_err(|error| self.mismatch(method, error))?;
        let limit = self.0.network.longest_message();
        if arguments.len() > limit {
            return Err(self.too_large(method, "the arguments", arguments.len(), limit));
        }
        Ok(arguments.into())
    }

    fn decode<R: DeserializeOwned>(&self, method: &str, answer: &[u8]) -> Result<R, Error> {
        postcard::from_bytes(answer).map_err(|error| self.mismatch(method, error))
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

    /// In a box, because it leads to itself: to connect is to look a name up, which is a call.
    fn send<'a>(
        &'a self,
        method: &'a str,
        arguments: Bytes,
    ) -> BoxFuture<'a, Result<Bytes, Error>> {
        self.send_within(method, arguments).boxed()
    }

    async fn send_within(&self, method: &str, arguments: Bytes) -> Result<Bytes, Error> {
        let time = self.0.network.time();
        let deadline = Instant::now() + time;
        let sent = async {
            let connected = match self.open() {
                Some(connected) => connected,
                None => self.connect().await?,
            };
            let mut context = tarpc::context::current();
            context.deadline = deadline;
            let request = Request {
                object: connected.object.to_string(),
                method: method.to_owned(),
                arguments,
            };
            let sent = connected.channel.call(context, request).await;
            match sent {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(fault)) => Err(self.fault(method, fault)),
                Err(error) => {
                    let error = self.broken(method, error);
                    if matches!(error, Error::Lost { .. }) {
                        self.forget(&connected);
                    }
                    Err(error)
                }
            }
        };
        match timeout_at(deadline.into(), sent).await {
            Ok(sent) => sent,
            Err(_) => Err(self.late(method)),
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

    fn broken(&self, method: &str, error: RpcError) -> Error {
        let (target, method) = (self.0.text.clone(), method.to_owned());
        match error {
            RpcError::DeadlineExceeded => self.late(&method),
            RpcError::Server(_) => Error::Busy { target, method },
            error => Error::Lost {
                target,
                method,
                why: causes(&error),
            },
        }
    }

    /// The next call makes a new connection, also where this one's task has not ended yet.
    fn forget(&self, broken: &Connected) {
        let mut connected = self.0.connected.lock();
        if connected
            .as_ref()
            .is_some_and(|one| Arc::ptr_eq(&one.dispatch, &broken.dispatch))
        {
            *connected = None;
        }
    }

    /// The connection, if there is one that is open.
    fn open(&self) -> Option<Connected> {
        let connected = self.0.connected.lock();
        connected.clone().filter(|connected| !connected.is_closed())
    }

    async fn connect(&self) -> Result<Connected, Error> {
        let _turn = self.0.connecting.lock().await;
        if let Some(connected) = self.open() {
            return Ok(connected);
        }
        let uri = match &self.0.target {
            Target::Uri(uri) => uri.clone(),
            Target::Name(name) => self.0.network.look_up(name).await?,
            Target::Bad(error) => return Err(error.clone()),
        };
        let channel = self.dial(&uri).await?;
        *self.0.connected.lock() = Some(channel.clone());
        Ok(channel)
    }

    async fn dial(&self, uri: &Uri) -> Result<Connected, Error> {
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
        let transport = wire::transport(stream, network.longest_message());
        let new = client::new(client::Config::default(), transport);
        let dispatch = new.dispatch.map(|_an_error_is_told_to_the_calls| ());
        Ok(Connected {
            channel: new.client,
            object: uri.object.as_str().into(),
            dispatch: Arc::new(Dispatch(forkline::tasks::handle().spawn(dispatch))),
        })
    }
}
