//! Calls, names and strangers, over real sockets of this machine.

mod calls;
mod names;
mod strangers;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::{Key, NameServer, Network, Result};

const LONG: Duration = Duration::from_secs(20);

#[remote::object]
trait Hello {
    fn welcome(&self, name: &str) -> Result<String>;
    fn half(&self, text: &str) -> Result<i64>;
    fn fail(&self) -> Result<(), Own>;
    fn panics(&self) -> Result<()>;
    fn sum(&self, numbers: &[u64], more: Vec<u64>) -> Result<u64>;
    fn bytes(&self, n: usize) -> Result<Vec<u8>>;
    fn wait_at_gate(&self) -> Result<()>;
    fn joined(&self, bytes: &[u8], more: Vec<u8>) -> Result<Vec<u8>>;
}

/// An error of the user's.
#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
enum Own {
    Empty { at: u32 },
    Network(String),
}

impl From<crate::Error> for Own {
    fn from(error: crate::Error) -> Own {
        Own::Network(error.to_string())
    }
}

#[derive(Default)]
struct Greeter {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Greeter {
    fn open_gate(&self) {
        *self.is_open.lock() = true;
        self.opened.notify_all();
    }
}

impl Hello for Greeter {
    fn welcome(&self, name: &str) -> Result<String> {
        Ok(format!("Hi welcome {name}"))
    }

    fn half(&self, text: &str) -> Result<i64> {
        let n: i64 = text.parse().map_err(crate::Error::method)?;
        Ok(n / 2)
    }

    fn fail(&self) -> Result<(), Own> {
        Err(Own::Empty { at: 3 })
    }

    fn panics(&self) -> Result<()> {
        panic!("no luck")
    }

    fn sum(&self, numbers: &[u64], more: Vec<u64>) -> Result<u64> {
        Ok(numbers.iter().chain(&more).sum())
    }

    fn bytes(&self, n: usize) -> Result<Vec<u8>> {
        Ok(vec![7; n])
    }

    fn wait_at_gate(&self) -> Result<()> {
        let mut is_open = self.is_open.lock();
        while !*is_open {
            if self.opened.wait_for(&mut is_open, LONG).timed_out() {
                return Err("nobody opened the gate".into());
            }
        }
        Ok(())
    }

    fn joined(&self, bytes: &[u8], more: Vec<u8>) -> Result<Vec<u8>> {
        Ok([bytes, &more].concat())
    }
}

/// A name server of a test's own, under a job's name that no other test has.
fn names() -> NameServer {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let key = Key::random().unwrap();
    NameServer::start_as(&format!("names {number}"), &key, "127.0.0.1:0").unwrap()
}

/// A server of a test's own; its name is that of its job, so tests give different ones.
fn greeter(network: &Network, name: &str) -> crate::Server {
    network
        .serve::<dyn Hello>(name, Arc::new(Greeter::default()))
        .unwrap()
}

/// Waits until something holds, and fails with its words if it does not.
#[track_caller]
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < until, "not within {LONG:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
