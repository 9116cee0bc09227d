//! What is ordered of a device, and the record of it while somebody profiles.
//!
//! What always holds: with no profile running, an order costs one look at a flag more.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::device::Device;
use super::stream::Event;

/// The kinds of orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrderKind {
    /// A kernel ran.
    Kernel,
    /// Bytes went from the host to the device.
    Write,
    /// Bytes came from the device to the host.
    Read,
    /// Bytes moved within the device, or a pattern was written.
    Copy,
}

/// An order, with what it is expected to move and calculate.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub kind: OrderKind,
    pub name: Cow<'static, str>,
    /// Bytes read and written of the device's memory, at least.
    pub bytes: u64,
    /// Arithmetic operations, if known.
    pub operations: u64,
}

impl Order {
    pub(super) fn new(kind: OrderKind, name: impl Into<Cow<'static, str>>, bytes: usize) -> Order {
        Order {
            kind,
            name: name.into(),
            bytes: bytes as u64,
            operations: 0,
        }
    }

    pub(super) fn with_operations(mut self, operations: u64) -> Order {
        self.operations = operations;
        self
    }
}

/// When an order ran: the device's own clock, or the host's for rayon.
pub(super) enum When {
    Event(Event),
    Host(Instant, Instant),
}

/// An order that was given while somebody profiled.
pub(super) struct Record {
    pub device: Device,
    pub order: Order,
    /// When it was given, on the host.
    pub given: Instant,
    pub when: When,
}

/// How many profiles run.
static RECORDING: AtomicU32 = AtomicU32::new(0);
static RECORDS: Mutex<Vec<Record>> = Mutex::new(Vec::new());

/// Whether somebody profiles. What is missed at the edges was given by another thread at the same time.
#[inline]
pub(super) fn is_recording() -> bool {
    RECORDING.load(Ordering::Relaxed) > 0
}

/// Begins or ends to record. The records of the last who ends are taken away.
pub(super) fn record(on: bool) -> Vec<Record> {
    if on {
        RECORDING.fetch_add(1, Ordering::Relaxed);
        return Vec::new();
    }
    RECORDING.fetch_sub(1, Ordering::Relaxed);
    std::mem::take(&mut *RECORDS.lock().unwrap_or_else(PoisonError::into_inner))
}

pub(super) fn note(record: Record) {
    RECORDS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(record);
}

/// Runs what the rayon device does for an order, and notes it while somebody profiles.
pub(super) fn on_host<R>(
    device: Device,
    order: impl FnOnce() -> Order,
    work: impl FnOnce() -> R,
) -> R {
    if !is_recording() {
        return work();
    }
    let begin = Instant::now();
    let result = work();
    note(Record {
        device,
        order: order(),
        given: begin,
        when: When::Host(begin, Instant::now()),
    });
    result
}
