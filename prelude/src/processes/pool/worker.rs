//! A worker of a pool: it takes a batch from its socket, does its items, sends what came of them, and so on until the
//! socket ends.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::super::child;
use super::super::entry::{Body, Entry, Failure, conjure};
use super::super::message::{self, Message, MessageError, Packet};
use super::super::outcome::Outcome;
use crate::Function;

/// A number that a worker writes and its attendant reads: which batch it does, counted from its start, in the upper half,
/// and in the lower one how many items of that have been begun.
pub(super) struct Progress {
    memory: &'static AtomicU64,
    file: File,
}

impl Progress {
    pub fn new() -> std::io::Result<Progress> {
        // SAFETY: a C string; the new descriptor is ours alone.
        let file = unsafe {
            match libc::memfd_create(c"forkline-progress".as_ptr(), libc::MFD_CLOEXEC) {
                -1 => return Err(std::io::Error::last_os_error()),
                descriptor => File::from_raw_fd(descriptor),
            }
        };
        file.set_len(size_of::<AtomicU64>() as u64)?;
        let memory = mapping(&file).ok_or_else(std::io::Error::last_os_error)?;
        Ok(Progress { memory, file })
    }

    /// How many items of a batch have been begun, if the worker has come to that batch: the place of the last one.
    pub fn place(&self, batch: u32) -> Option<usize> {
        let begun = self.memory.load(Ordering::Relaxed);
        let items = (begun & u64::from(u32::MAX)) as usize;
        (begun >> 32 == u64::from(batch))
            .then(|| items.checked_sub(1))
            .flatten()
    }

    pub fn descriptor(&self) -> std::io::Result<OwnedFd> {
        Ok(self.file.try_clone()?.into())
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's alone.
        unsafe {
            let start = std::ptr::from_ref(self.memory).cast_mut().cast();
            libc::munmap(start, size_of::<AtomicU64>());
        }
    }
}

fn mapping(file: &File) -> Option<&'static AtomicU64> {
    // SAFETY: a new shared mapping of a file that is as long; an atomic may be written by two processes. Whoever
    // asked unmaps it when it is not used any more.
    unsafe {
        let memory = libc::mmap(
            std::ptr::null_mut(),
            size_of::<AtomicU64>(),
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED,
            file.as_raw_fd(),
            0,
        );
        (memory != libc::MAP_FAILED).then(|| &*memory.cast::<AtomicU64>())
    }
}

/// Where this worker writes its progress; null in other processes.
static BEGUN: AtomicPtr<AtomicU64> = AtomicPtr::new(std::ptr::null_mut());

fn begin_item(place: usize) {
    // SAFETY: null, or the mapping that `serve` made and never takes back.
    if let Some(begun) = unsafe { BEGUN.load(Ordering::Relaxed).as_ref() } {
        // Only this thread writes.
        let batch = begun.load(Ordering::Relaxed) >> 32 << 32;
        begun.store(batch | (place as u64 + 1), Ordering::Relaxed);
    }
}

fn begin_batch(batch: u32) {
    // SAFETY: as above.
    if let Some(begun) = unsafe { BEGUN.load(Ordering::Relaxed).as_ref() } {
        begun.store(u64::from(batch) << 32, Ordering::Relaxed);
    }
}

/// What a worker is told after its name: what it is to do first.
#[derive(Serialize, Deserialize)]
pub(super) struct Orders {
    pub initializer: Option<Entry>,
}

/// A batch as it travels: the items' bytes, the entry, the length of that.
pub(super) fn with_entry(mut items: Packet, entry: &Entry) -> Result<Packet, MessageError> {
    add_tail(&mut items, entry)?;
    Ok(items)
}

/// Puts one more value behind what a packet has; [`split_tail`] takes it off.
fn add_tail<T: Message>(packet: &mut Packet, value: &T) -> Result<(), MessageError> {
    let tail = message::encode(value, false)?.bytes;
    packet.bytes.extend_from_slice(&tail);
    let length = tail.len() as u32;
    packet.bytes.extend_from_slice(&length.to_le_bytes());
    Ok(())
}

fn split_tail(packet: &mut Packet) -> Option<Vec<u8>> {
    let length = packet.bytes.split_off(packet.bytes.len().checked_sub(4)?);
    let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize;
    Some(
        packet
            .bytes
            .split_off(packet.bytes.len().checked_sub(length)?),
    )
}

/// Works until the socket ends; the exit status.
pub(crate) fn serve(work: &OwnedFd) -> i32 {
    // The interrupt of a cell is the parent's matter: it ends the workers whose work nobody waits for.
    // SAFETY: a plain system call.
    unsafe { libc::signal(libc::SIGINT, libc::SIG_IGN) };
    let Ok(Some(mut packet)) = message::receive(work.as_fd()) else {
        return 0;
    };
    if let Some(file) = packet.descriptors.pop()
        && let Some(memory) = mapping(&File::from(file))
    {
        BEGUN.store(std::ptr::from_ref(memory).cast_mut(), Ordering::Relaxed);
    }
    let Ok(Orders { initializer }) = message::decode(packet) else {
        return 1;
    };
    if let Some(entry) = initializer {
        let Ok(Some(arguments)) = message::receive(work.as_fd()) else {
            return 0;
        };
        let outcome = child::call(&entry, arguments);
        if !matches!(outcome, Outcome::Value(_)) {
            let code = outcome.exit_code();
            let _nobody_waits = message::send(work.as_fd(), &outcome.into_packet());
            return code;
        }
    }
    let mut known: HashMap<Vec<u8>, Body> = HashMap::new();
    for batch in 0.. {
        let Ok(Some(mut packet)) = message::receive(work.as_fd()) else {
            break;
        };
        begin_batch(batch);
        let outcome = match split_tail(&mut packet) {
            Some(header) => match find(&mut known, header) {
                Ok(body) => child::caught(|| {
                    begin_item(0);
                    body(packet).map_or_else(Outcome::from, Outcome::Value)
                }),
                Err(why) => Outcome::Load(why),
            },
            None => Outcome::Load("the batch names no function".to_owned()),
        };
        // What it has printed is on the screen before its value is used.
        crate::rt::flush_stdout();
        if message::send(work.as_fd(), &outcome.into_packet()).is_err() {
            break;
        }
    }
    0
}

fn find(known: &mut HashMap<Vec<u8>, Body>, header: Vec<u8>) -> Result<Body, String> {
    if let Some(body) = known.get(&header) {
        return Ok(*body);
    }
    let packet = Packet {
        bytes: header.clone(),
        descriptors: Vec::new(),
    };
    let entry: Entry = message::decode(packet).map_err(|error| error.to_string())?;
    // SAFETY: the parent took the entry from a body, in a process that had loaded the same file.
    let body = unsafe { entry.resolve() }?;
    known.insert(header, body);
    Ok(body)
}

/// The body of a batch of items with one argument each. `STOP`: the first panic ends the batch.
pub(super) fn map<F, A, R, const STOP: bool>(packet: Packet) -> Result<Packet, Failure>
where
    F: Fn(A) -> R + Copy + Send + Sync + 'static,
    A: Message,
    R: Message,
{
    each::<A, R>(packet, STOP, |item| conjure::<F>()(item))
}

/// The body of a batch of items that are tuples of arguments.
pub(super) fn starmap<F, Args>(packet: Packet) -> Result<Packet, Failure>
where
    F: Function<Args, Output: Message>,
    Args: Message,
{
    each::<Args, F::Output>(packet, true, |item| conjure::<F>().call(item))
}

fn each<A: Message, R: Message>(
    packet: Packet,
    stop: bool,
    call: impl Fn(A) -> R,
) -> Result<Packet, Failure> {
    let items: Vec<A> = message::decode(packet).map_err(Failure::Arguments)?;
    let mut values = Vec::with_capacity(items.len());
    let mut panics: Vec<(u32, String)> = Vec::new();
    for (place, item) in items.into_iter().enumerate() {
        begin_item(place);
        match catch_unwind(AssertUnwindSafe(|| call(item))) {
            Ok(value) => values.push(value),
            Err(payload) => {
                panics.push((place as u32, child::message_of(payload.as_ref())));
                if stop {
                    break;
                }
            }
        }
    }
    let mut packet = message::encode(&values, true).map_err(Failure::Result)?;
    add_tail(&mut packet, &panics).map_err(Failure::Result)?;
    Ok(packet)
}

/// The values that a batch gave, and its panics by their places.
pub(super) type Values<R> = (Vec<R>, Vec<(u32, String)>);

/// Reads what a batch gave.
pub(super) fn values_and_panics<R: Message>(mut packet: Packet) -> Result<Values<R>, MessageError> {
    let short = || MessageError::Decode("it ends too early".to_owned());
    let tail = split_tail(&mut packet).ok_or_else(short)?;
    let panics = message::decode(Packet {
        bytes: tail,
        descriptors: Vec::new(),
    })?;
    Ok((message::decode(packet)?, panics))
}
