//! The called side: a job that listens, lets in who proves the key, and calls the object's methods.
//!
//! What always holds: a stranger costs one of 64 waiting places for 5 s at most, and is noted; no loop waits for a client;
//! a method runs on a thread that may block, many at the same time, so an object may call itself through others.
//!
//! Strangers are tasks. Who has proved the key gets a thread of its own, which serves it to its end ([`clients`]).

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use forkline::{jobs, tasks};
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::clients::{self, Clients, REST, Turns};
use crate::error::Error;
use crate::key;
use crate::names::Registration;
use crate::network::{HANDSHAKE_TIME, Network};
use crate::object::{Answer, Call, Object};
use crate::uri::{self, Uri};
use crate::wire;

/// So many may be at their handshake at the same time.
const MOST_STRANGERS: usize = 64;
/// So many connections may be served, each by a thread. A client has one for each of its calls that wait for an answer, and
/// keeps some.
const MOST_CONNECTIONS: usize = 1024;
/// So many of the last refusals are kept.
const MOST_REFUSALS: usize = 100;

/// A connection that was closed by the server, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Who it was.
    pub peer: SocketAddr,
    /// Why.
    pub why: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.peer, self.why)
    }
}

/// A server that runs as a job; clones are the same. If the handle is dropped the server goes on.
#[derive(Clone)]
pub struct Server {
    job: jobs::Job,
    uri: Uri,
    shared: Arc<Shared>,
}

/// What is done with a call.
pub(crate) type Receive = Box<dyn Fn(Call<'_>) -> Answer + Send + Sync>;

pub(crate) struct Shared {
    pub network: Network,
    pub receive: Receive,
    pub object: String,
    /// Places at the handshake.
    strangers: Arc<Semaphore>,
    /// Places for connections behind it.
    places: Arc<Semaphore>,
    pub clients: Clients,
    pub turns: Turns,
    refusals: Mutex<VecDeque<Refusal>>,
    /// Counters, read for themselves only.
    n_refused: AtomicU64,
    pub n_calls: AtomicU64,
}

impl Server {
    pub(crate) fn start<O: Object + ?Sized>(
        network: &Network,
        name: &str,
        object: Arc<O>,
    ) -> Result<Server, Error> {
        uri::check_name(name)?;
        let name_is_known = network.has_names();
        let registered = name_is_known.then(|| (name.to_owned(), O::INTERFACE));
        let receive: Receive = Box::new(move |call| object.__receive(call));
        let address = SocketAddr::new(network.host(), 0);
        let object = Uri::new(address)?.object;
        let nothing_more = |_address| std::future::pending();
        run(
            network,
            name,
            address,
            object,
            receive,
            registered,
            nothing_more,
        )
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.job.name()
    }

    /// Where the object is, as text: `obj_<32 hex digits>@address:port`.
    pub fn uri(&self) -> String {
        self.uri.to_string()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.uri.address
    }

    /// How many calls it has answered.
    pub fn n_calls(&self) -> u64 {
        self.shared.n_calls.load(Ordering::Relaxed)
    }

    /// How many connections it has refused or closed, because of what came.
    pub fn n_refused(&self) -> u64 {
        self.shared.n_refused.load(Ordering::Relaxed)
    }

    /// The last of them, and why; the oldest first.
    pub fn refusals(&self) -> Vec<Refusal> {
        self.shared.refusals.lock().iter().cloned().collect()
    }

    /// The job, for its state.
    pub fn job(&self) -> &jobs::Job {
        &self.job
    }

    /// Stops it and waits for its end. Its name is free then.
    ///
    /// # Errors
    /// It goes on, which no server should.
    pub fn stop(&self) -> Result<(), Error> {
        self.job.stop();
        self.job
            .join(Duration::from_secs(10))
            .map_err(|error| Error::NotStarted {
                why: error.to_string(),
            })
    }

    /// Waits until it is stopped: the last line of a process that does nothing else.
    ///
    /// # Errors
    /// It ended with an error.
    pub fn join(&self) -> Result<(), Error> {
        while matches!(
            self.job.state(),
            jobs::State::Running | jobs::State::Stopping
        ) {
            match self.job.join(Duration::from_secs(3600)) {
                Err(jobs::JobError::StillRunning { .. }) => {}
                ended => {
                    return ended.map_err(|error| Error::NotStarted {
                        why: error.to_string(),
                    });
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Server({} at {})", self.name(), self.uri)
    }
}

/// Begins a server. `more` is what it does beside serving calls, once it listens.
pub(crate) fn run<M, F>(
    network: &Network,
    job: &str,
    address: SocketAddr,
    object: String,
    receive: Receive,
    registered: Option<(String, &'static str)>,
    more: M,
) -> Result<Server, Error>
where
    M: FnOnce(SocketAddr) -> F + Send + 'static,
    F: Future<Output = ()> + Send,
{
    let shared = Arc::new(Shared {
        network: network.clone(),
        receive,
        object: object.clone(),
        strangers: Arc::new(Semaphore::new(MOST_STRANGERS)),
        places: Arc::new(Semaphore::new(MOST_CONNECTIONS)),
        clients: Clients::default(),
        turns: Turns::new(network.handlers()),
        refusals: Mutex::default(),
        n_refused: AtomicU64::new(0),
        n_calls: AtomicU64::new(0),
    });
    let (tell, told) = oneshot::channel();
    let (own, name) = (Arc::clone(&shared), job.to_owned());
    // It listens only when an older job of the name has ended, and its port is free.
    let serving = async move {
        let begun = async {
            let listener = TcpListener::bind(address)
                .await
                .map_err(|error| Error::NotStarted {
                    why: cannot_listen(address, &error),
                })?;
            let address = listener.local_addr().map_err(Error::method)?;
            let uri = Uri { object, address };
            let registration = match registered {
                Some((name, interface)) => {
                    Some(Registration::make(&own.network, name, interface, &uri).await?)
                }
                None => None,
            };
            Ok((listener, registration, uri))
        };
        let (listener, registration, uri) = match begun.await {
            Ok(begun) => begun,
            Err(error) => {
                let _nobody_waits_any_more = tell.send(Err(Error::clone(&error)));
                return Err(error);
            }
        };
        let address = uri.address;
        let _nobody_waits_any_more = tell.send(Ok(uri));
        let stays = async {
            match &registration {
                Some(registration) => registration.keep().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            never = accept(&own, &name, listener) => never,
            error = stays => Err(error),
            () = more(address) => Ok(()),
        }
    };
    let not_started = |why: String| Error::NotStarted { why };
    let job = jobs::spawn_async(job, serving).map_err(|error| not_started(error.to_string()))?;
    let uri = tasks::block_on(told).unwrap_or_else(|_| {
        Err(not_started(format!(
            "{}: stopped before it began",
            job.name()
        )))
    })?;
    job.set_address(uri.address);
    Ok(Server { job, uri, shared })
}

fn cannot_listen(address: SocketAddr, error: &io::Error) -> String {
    format!(
        "{address}: no server can listen there\nwhy: {error}\n\
         do:  end the program that listens there, or take another port; port 0 is any that is free"
    )
}

/// Tasks that end with the server.
#[derive(Default)]
struct Tasks(Vec<tasks::Task<()>>);

impl Tasks {
    fn add(&mut self, task: tasks::Task<()>) {
        self.0.retain(|task| !task.done());
        self.0.push(task);
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        for task in &self.0 {
            task.cancel();
        }
    }
}

/// Ends all connections with the server.
struct CutOff<'a>(&'a Shared);

impl Drop for CutOff<'_> {
    fn drop(&mut self) {
        self.0.clients.shut_down();
    }
}

async fn accept(shared: &Arc<Shared>, name: &str, listener: TcpListener) -> Result<(), Error> {
    let _cut_off = CutOff(shared);
    let mut strangers = Tasks::default();
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            // Descriptors have run out, or the client is gone again.
            Err(_) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&shared.strangers).try_acquire_owned() else {
            shared.refuse(peer, "too many are at their handshake");
            continue;
        };
        let (own, name) = (Arc::clone(shared), name.to_owned());
        strangers.add(tasks::spawn(async move {
            let mut stream = stream;
            // Who sees the end of his connection finds noted why: it ends behind this.
            let admitted = match own.examine(&mut stream, place).await {
                Ok(place) => own.admit(&name, stream, peer, place),
                Err(error) => Err(error),
            };
            if let Err(error) = admitted {
                own.refuse(peer, &error.to_string());
            }
        }));
    }
}

impl Shared {
    pub(crate) fn refuse(&self, peer: SocketAddr, why: &str) {
        self.n_refused.fetch_add(1, Ordering::Relaxed);
        let mut refusals = self.refusals.lock();
        if refusals.len() == MOST_REFUSALS {
            refusals.pop_front();
        }
        let why = why.chars().take(300).collect();
        refusals.push_back(Refusal { peer, why });
    }

    /// Lets a stranger prove the key. Who does so gives his place among the strangers for one among the clients.
    async fn examine(
        &self,
        stream: &mut TcpStream,
        place: OwnedSemaphorePermit,
    ) -> io::Result<OwnedSemaphorePermit> {
        wire::prepare(stream)?;
        let admitted = key::admit(stream, self.network.key());
        match tokio::time::timeout(HANDSHAKE_TIME, admitted).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(key::other("it went before it had proved the key"));
            }
            Ok(Err(error)) => return Err(error),
            Err(_) => {
                return Err(key::other(&format!(
                    "it did not prove the key within {HANDSHAKE_TIME:?}"
                )));
            }
        }
        drop(place);
        let client = Arc::clone(&self.places).try_acquire_owned();
        client.map_err(|_| key::other("too many clients are connected"))
    }

    /// Gives a thread to a client.
    fn admit(
        self: &Arc<Self>,
        name: &str,
        stream: TcpStream,
        peer: SocketAddr,
        place: OwnedSemaphorePermit,
    ) -> io::Result<()> {
        let stream = wire::blocking(stream, REST, None)?;
        clients::serve(self, name, stream, peer, place)
            .map_err(|error| key::other(&format!("no thread to serve it: {error}")))
    }
}
