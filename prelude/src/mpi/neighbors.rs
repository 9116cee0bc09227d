//! Collective calls with neighbours only: every rank of a grid or graph exchanges with those that it has an edge to.

use super::collective::{Layout, even, reading, writing};
use super::communicator::Communicator;
use super::datatype::Datatype;
use super::error::{Call, MpiError, MpiResult};
use super::gate::{Header, What};
use super::parcel::{count, decode, digest, encode};
use super::table::data;
use super::trace_span;
use crate::processes::message::Message;

/// A communicator with neighbours: [`Cartesian`](super::Cartesian), [`Graph`](super::Graph).
///
/// On a grid the neighbours are, for each dimension, the one before and the one behind; a place beyond an edge counts
/// as a neighbour that sends nothing.
pub trait Neighbors {
    /// The communicator.
    fn communicator(&self) -> &Communicator;

    /// From whom a neighbour call receives, in this order.
    ///
    /// # Errors
    /// MPI's own.
    fn sources(&self) -> MpiResult<Vec<Option<usize>>>;

    /// To whom a neighbour call sends, in this order.
    ///
    /// # Errors
    /// MPI's own.
    fn destinations(&self) -> MpiResult<Vec<Option<usize>>>;

    #[doc(hidden)]
    fn kind(&self) -> u64;

    /// Sends the same slice to every neighbour, and receives one of the same length from each: their parts one behind
    /// the other, zeros for a neighbour beyond an edge. All ranks call it.
    ///
    /// # Errors
    /// The slices differ in length: on every rank.
    #[track_caller]
    fn neighbor_allgather_slice<T: Datatype>(&self, send: &[T]) -> MpiResult<Vec<T>> {
        let call = Call::here("neighbor_allgather_slice");
        let _span = trace_span(call.name);
        let communicator = self.communicator();
        let prepared = self.sources().and_then(|sources| {
            count(&call, send.len().saturating_mul(sources.len()))?;
            Ok(sources.len())
        });
        let header = Header::of(What::NeighborAllgather)
            .with_data(T::CODE.into())
            .with_same(self.kind());
        let (n_sources, headers) =
            communicator.gate_with(&call, prepared, header, |_| send.len())?;
        headers.same_counts()?;
        let mut received = vec![T::ZERO; send.len() * n_sources];
        let n = send.len() as i32;
        let (table, comm) = (communicator.inner.table, communicator.inner.handle);
        // SAFETY: `n` numbers to send, and room for `n` from each neighbour.
        communicator.run(&call, || unsafe {
            let (send, receive) = (reading(send), writing(&mut received));
            (table.neighbor_allgather)(send, n, receive, T::CODE, comm)
        })?;
        Ok(received)
    }

    /// Sends part `i` of the slice to neighbour `i`, and receives a part of the same length from each: one behind the
    /// other, zeros for a neighbour beyond an edge. All ranks call it, with parts of one length.
    ///
    /// # Errors
    /// The slice cannot be cut into equal parts, or the parts differ in length: on every rank.
    #[track_caller]
    fn neighbor_alltoall_slice<T: Datatype>(&self, send: &[T]) -> MpiResult<Vec<T>> {
        let call = Call::here("neighbor_alltoall_slice");
        let _span = trace_span(call.name);
        let communicator = self.communicator();
        let prepared = self.parts(&call, send.len());
        let header = Header::of(What::NeighborAlltoall)
            .with_data(T::CODE.into())
            .with_same(self.kind());
        // A rank without neighbours to send to has no length to compare.
        let said = |parts: &(usize, Option<usize>)| parts.1.map_or(0, |length| length + 1);
        let ((n_sources, _), headers) = communicator.gate_with(&call, prepared, header, said)?;
        let counts = headers.counts();
        let Some(&length) = counts.iter().find(|&&count| count != 0) else {
            return Ok(Vec::new());
        };
        if let Some(rank) = counts
            .iter()
            .position(|&count| count != 0 && count != length)
        {
            let (expected, found) = (length - 1, counts[rank] - 1);
            return Err(MpiError::Count {
                call,
                rank,
                expected,
                found,
            });
        }
        let n = length - 1;
        let mut received = vec![T::ZERO; n * n_sources];
        let n = count(&call, n)?;
        let (from, to) = (even(reading(send), n), even(writing(&mut received), n));
        let (table, comm) = (communicator.inner.table, communicator.inner.handle);
        // SAFETY: `n` numbers for each neighbour on both sides.
        communicator.run(&call, || unsafe {
            (table.neighbor_alltoall)(&raw const from, &raw const to, T::CODE, comm)
        })?;
        Ok(received)
    }

    /// Sends a value to each neighbour, and receives one from each; none from beyond an edge. All ranks call it.
    ///
    /// # Errors
    /// There is not one item for each neighbour, or an item cannot be a message: on every rank.
    #[track_caller]
    fn neighbor_alltoall<T: Message>(&self, items: Vec<T>) -> MpiResult<Vec<Option<T>>> {
        exchange(self, &Call::here("neighbor_alltoall"), &items)
    }

    /// Sends the same value to every neighbour, and receives one from each; none from beyond an edge. All ranks call it.
    ///
    /// # Errors
    /// The value cannot be a message: on every rank.
    #[track_caller]
    fn neighbor_allgather<T: Message + Clone>(&self, value: T) -> MpiResult<Vec<Option<T>>> {
        let call = Call::here("neighbor_allgather");
        let items = vec![value; self.destinations()?.len()];
        exchange(self, &call, &items)
    }

    #[doc(hidden)]
    fn parts(&self, call: &Call, length: usize) -> MpiResult<(usize, Option<usize>)> {
        let (n_in, n_out) = (self.sources()?.len(), self.destinations()?.len());
        let part = length.checked_div(n_out);
        let found = part.unwrap_or(0) * n_out;
        if found != length {
            return Err(MpiError::Count {
                call: *call,
                rank: self.communicator().rank(),
                expected: found + n_out,
                found: length,
            });
        }
        count(call, part.unwrap_or(0).saturating_mul(n_in))?;
        Ok((n_in, part))
    }
}

fn exchange<T: Message, N: Neighbors + ?Sized>(
    topology: &N,
    call: &Call,
    items: &[T],
) -> MpiResult<Vec<Option<T>>> {
    let _span = trace_span(call.name);
    let communicator = topology.communicator();
    let prepared = prepare(topology, call, items);
    let header = Header::of(What::NeighborAlltoall)
        .with_data(digest::<T>())
        .with_same(topology.kind());
    let ((bytes, lengths, sources), _) = communicator.gate_with(call, prepared, header, |_| 0)?;
    let mut coming = vec![0_usize; sources.len()];
    let (from, to) = (even(reading(&lengths), 1), even(writing(&mut coming), 1));
    let (table, comm) = (communicator.inner.table, communicator.inner.handle);
    // SAFETY: one number for each neighbour on both sides.
    communicator.run(call, || unsafe {
        (table.neighbor_alltoall)(&raw const from, &raw const to, data::U64, comm)
    })?;
    // A rank that has no room must not leave the others alone: it fails before they go on.
    let prepared =
        Layout::new(call, &lengths).and_then(|there| Ok((there, Layout::new(call, &coming)?)));
    let ((there, here), _) = communicator.gate_with(call, prepared, header, |_| 0)?;
    let mut received = vec![0_u8; here.total()];
    let (from, to) = (
        there.part(reading(&bytes)),
        here.part(writing(&mut received)),
    );
    // SAFETY: there is room for the lengths that the neighbours gave.
    communicator.run(call, || unsafe {
        (table.neighbor_alltoall)(&raw const from, &raw const to, data::U8, comm)
    })?;
    let mut rest = &received[..];
    let mut values = Vec::with_capacity(sources.len());
    for (source, &length) in sources.iter().zip(&coming) {
        let (part, behind) = rest.split_at(length);
        rest = behind;
        values.push(match source {
            Some(_) => Some(decode(call, part.to_vec())?),
            None => None,
        });
    }
    Ok(values)
}

/// The items' bytes, the length of each, and from whom others come.
type Prepared = (Vec<u8>, Vec<usize>, Vec<Option<usize>>);

fn prepare<T: Message, N: Neighbors + ?Sized>(
    topology: &N,
    call: &Call,
    items: &[T],
) -> MpiResult<Prepared> {
    let (sources, destinations) = (topology.sources()?, topology.destinations()?);
    let (expected, found) = (destinations.len(), items.len());
    if expected != found {
        let rank = topology.communicator().rank();
        return Err(MpiError::Count {
            call: *call,
            rank,
            expected,
            found,
        });
    }
    let (mut bytes, mut lengths) = (Vec::new(), Vec::new());
    for item in items {
        let start = bytes.len();
        encode(call, item, &mut bytes)?;
        lengths.push(bytes.len() - start);
    }
    count(call, bytes.len())?;
    Ok((bytes, lengths, sources))
}
