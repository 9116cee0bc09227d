//! Buffered sends: the message is copied, and the call returns at once.
//!
//! MPI has a mode for it, but in Open MPI 4.1 a buffered send that finds no room stops all later messages between the
//! two ranks. So the copy is ours, and what goes to MPI is a standard send that ends by itself.

use std::sync::{Mutex, PoisonError};

use super::communicator::Communicator;
use super::error::{Call, ErrorClass, MpiError, MpiResult};
use super::library;
use super::table::mode;
use super::wait::{self, Flight, Kind};

/// The room for all buffered sends that are under way; none before it is given. Held while one is added.
static ROOM: Mutex<Option<usize>> = Mutex::new(None);

/// Gives buffered sends ([`bsend`](Communicator::bsend), [`bsend_slice`](Communicator::bsend_slice)) room for messages of
/// `bytes` bytes together. A message takes its room until it has been received.
///
/// # Errors
/// There is room already: [`detach_buffer`] first.
#[track_caller]
pub fn attach_buffer(bytes: usize) -> MpiResult<()> {
    let call = Call::here("attach_buffer");
    let mut room = ROOM.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(bytes) = *room {
        let text =
            format!("there is room for {bytes} bytes already; call mpi::detach_buffer first");
        return Err(failed(call, ErrorClass::Other, text));
    }
    *room = Some(bytes);
    Ok(())
}

/// Takes the room for buffered sends away, when all of them have been received. Returns its size in bytes; none if there
/// was no room.
///
/// # Errors
/// There is no MPI.
#[track_caller]
pub fn detach_buffer() -> MpiResult<Option<usize>> {
    let call = Call::here("detach_buffer");
    let table = library::table()?;
    wait::until(&call, false, None, |_| {
        library::is_open(&call)?;
        Ok((wait::reap(table).1 == 0).then_some(()))
    })?;
    Ok(ROOM.lock().unwrap_or_else(PoisonError::into_inner).take())
}

fn failed(call: Call, class: ErrorClass, text: String) -> MpiError {
    MpiError::Failed { call, class, text }
}

impl Communicator {
    /// Starts a send of bytes that ends by itself.
    pub(super) fn send_buffered(&self, call: &Call, bytes: Vec<u8>) -> MpiResult<()> {
        library::is_open(call)?;
        let room = ROOM.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, taken) = wait::reap(self.inner.table);
        let free = room.unwrap_or(0).saturating_sub(taken);
        if room.is_none() || bytes.len() > free {
            let text = match *room {
                None => "no room for buffered sends".to_owned(),
                Some(all) => format!("{} bytes do not fit: {free} of {all} are free", bytes.len()),
            };
            return Err(failed(*call, ErrorClass::Buffer, text));
        }
        // SAFETY: the flight keeps the bytes, which lie on the heap, until the request is done.
        let handle = unsafe { self.start_send(mode::STANDARD, bytes.as_ptr(), bytes.len(), call)? };
        Flight::new(self.inner.table, Kind::Send, handle, bytes).leave();
        Ok(())
    }
}
