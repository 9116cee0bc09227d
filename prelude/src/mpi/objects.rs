//! Collective calls on values of any type: all ranks of the communicator make them together.
//!
//! The gate before each tells the lengths of the messages, so nothing else has to.

use super::collective::{Layout, even, reading, writing};
use super::communicator::Communicator;
use super::error::{Call, MpiError, MpiResult};
use super::gate::{Header, What};
use super::parcel::{count, decode, digest, encode};
use super::table::data;
use super::trace_span;
use crate::processes::message::Message;

/// Values one behind the other, as bytes.
struct Packed {
    bytes: Vec<u8>,
    lengths: Vec<usize>,
}

fn pack_all<T: Message>(call: &Call, values: &[T]) -> MpiResult<Packed> {
    let (mut bytes, mut lengths) = (Vec::new(), Vec::with_capacity(values.len()));
    for value in values {
        let start = bytes.len();
        encode(call, value, &mut bytes)?;
        lengths.push(bytes.len() - start);
    }
    count(call, bytes.len())?;
    Ok(Packed { bytes, lengths })
}

fn unpack_all<T: Message>(call: &Call, bytes: &[u8], lengths: &[usize]) -> MpiResult<Vec<T>> {
    let mut rest = bytes;
    let mut values = Vec::with_capacity(lengths.len());
    for &length in lengths {
        let (part, behind) = rest.split_at(length);
        values.push(decode(call, part.to_vec())?);
        rest = behind;
    }
    Ok(values)
}

impl Communicator {
    /// Gives all ranks the root's value. The root gives `Some`, what the others give is ignored.
    ///
    /// # Errors
    /// The root gives none, or a value that cannot be a message: on every rank.
    ///
    /// ```no_run
    /// # use forkline::mpi;
    /// # let world = mpi::world()?;
    /// let value = world.bcast((world.rank() == 0).then_some(100), 0)?;
    /// assert_eq!(value, 100);
    /// # Ok::<(), mpi::MpiError>(())
    /// ```
    #[track_caller]
    pub fn bcast<T: Message>(&self, value: Option<T>, root: usize) -> MpiResult<T> {
        let call = Call::rooted("bcast", root);
        let _span = trace_span(call.name);
        let mine = value.filter(|_| self.rank() == root);
        let prepared = if self.rank() == root {
            let missing = MpiError::Count {
                call,
                rank: root,
                expected: 1,
                found: 0,
            };
            let values = mine.as_ref().ok_or(missing);
            values.and_then(|value| pack_all(&call, std::slice::from_ref(value)))
        } else {
            pack_all::<T>(&call, &[])
        };
        let header = Header::of(What::Bcast)
            .with_root(root)
            .with_data(digest::<T>());
        let (mut packed, headers) =
            self.gate_with(&call, prepared, header, |packed| packed.bytes.len())?;
        let number = self.root(&call, root)?;
        packed.bytes.resize(headers.count(root), 0);
        let n = count(&call, packed.bytes.len())?;
        let (table, comm) = (self.inner.table, self.inner.handle);
        // SAFETY: every rank has as many bytes as the root said.
        self.run(&call, || unsafe {
            (table.bcast)(writing(&mut packed.bytes), n, data::U8, number, comm)
        })?;
        match mine {
            Some(value) => Ok(value),
            None => decode(&call, packed.bytes),
        }
    }

    /// Gives item `i` of the root's list to rank `i`. The root gives `Some`, what the others give is ignored.
    ///
    /// # Errors
    /// The list has not one item for each rank ("expecting 3 items, got 10"), or an item cannot be a message: on every
    /// rank.
    ///
    /// ```no_run
    /// # use forkline::mpi;
    /// # let world = mpi::world()?;
    /// let items = (world.rank() == 0).then(|| (1..=world.size()).collect::<Vec<_>>());
    /// let mine = world.scatter(items, 0)?;
    /// assert_eq!(mine, world.rank() + 1);
    /// # Ok::<(), mpi::MpiError>(())
    /// ```
    #[track_caller]
    pub fn scatter<T: Message>(&self, items: Option<Vec<T>>, root: usize) -> MpiResult<T> {
        let call = Call::rooted("scatter", root);
        let _span = trace_span(call.name);
        let is_root = self.rank() == root;
        let items = items.filter(|_| is_root).unwrap_or_default();
        let packed = pack_all(&call, &items);
        let header = Header::of(What::Scatter)
            .with_root(root)
            .with_data(digest::<T>())
            .with_same(2);
        let (packed, headers) = self.gate_with(&call, packed, header, |_| items.len())?;
        let number = self.root(&call, root)?;
        headers.expect(root, self.size())?;
        let (table, comm) = (self.inner.table, self.inner.handle);
        let mut length = 0_usize;
        let lengths = even(reading(&packed.lengths), 1);
        // SAFETY: one number for each rank at the root.
        self.run(&call, || unsafe {
            let (out, code) = ((&raw mut length).cast(), data::U64);
            (table.scatter)(&raw const lengths, out, 1, code, number, comm)
        })?;
        let mut bytes = vec![0; length];
        let n = count(&call, length)?;
        let layout = Layout::new(&call, &packed.lengths)?;
        let part = layout.part(reading(&packed.bytes));
        // SAFETY: every rank has as many bytes as the root said.
        self.run(&call, || unsafe {
            let out = writing(&mut bytes);
            (table.scatter)(&raw const part, out, n, data::U8, number, comm)
        })?;
        decode(&call, bytes)
    }

    /// Collects one value of each rank at the root, in the order of ranks; the others get `None`.
    ///
    /// # Errors
    /// A value cannot be a message: on every rank.
    #[track_caller]
    pub fn gather<T: Message>(&self, value: T, root: usize) -> MpiResult<Option<Vec<T>>> {
        let call = Call::rooted("gather", root);
        let header = Header::of(What::Gather)
            .with_root(root)
            .with_data(digest::<T>());
        self.gather_value(&call, header, value, root)
    }

    pub(super) fn gather_value<T: Message>(
        &self,
        call: &Call,
        header: Header,
        value: T,
        root: usize,
    ) -> MpiResult<Option<Vec<T>>> {
        let _span = trace_span(call.name);
        let prepared = pack_all(call, std::slice::from_ref(&value));
        let (packed, headers) =
            self.gate_with(call, prepared, header, |packed| packed.bytes.len())?;
        let number = self.root(call, root)?;
        let lengths = headers.counts();
        let layout = Layout::new(call, &lengths)?;
        let is_root = self.rank() == root;
        let mut all = vec![0; if is_root { layout.total() } else { 0 }];
        let part = layout.part(writing(&mut all));
        let (table, comm) = (self.inner.table, self.inner.handle);
        let n = count(call, packed.bytes.len())?;
        // SAFETY: the root has room for the lengths that the ranks said.
        self.run(call, || unsafe {
            let send = reading(&packed.bytes);
            (table.gather)(send, n, &raw const part, data::U8, number, comm)
        })?;
        if is_root {
            unpack_all(call, &all, &lengths).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Collects one value of each rank on every rank, in the order of ranks.
    ///
    /// # Errors
    /// A value cannot be a message: on every rank.
    #[track_caller]
    pub fn allgather<T: Message>(&self, value: T) -> MpiResult<Vec<T>> {
        let call = Call::here("allgather");
        let header = Header::of(What::Allgather).with_data(digest::<T>());
        self.allgather_value(&call, header, value)
    }

    pub(super) fn allgather_value<T: Message>(
        &self,
        call: &Call,
        header: Header,
        value: T,
    ) -> MpiResult<Vec<T>> {
        let _span = trace_span(call.name);
        let prepared = pack_all(call, std::slice::from_ref(&value));
        let (packed, headers) =
            self.gate_with(call, prepared, header, |packed| packed.bytes.len())?;
        let lengths = headers.counts();
        let layout = Layout::new(call, &lengths)?;
        let mut all = vec![0; layout.total()];
        let part = layout.part(writing(&mut all));
        let (table, comm) = (self.inner.table, self.inner.handle);
        let n = count(call, packed.bytes.len())?;
        // SAFETY: there is room for the lengths that the ranks said.
        self.run(call, || unsafe {
            let send = reading(&packed.bytes);
            (table.allgather)(send, n, &raw const part, data::U8, comm)
        })?;
        unpack_all(call, &all, &lengths)
    }

    /// Sends item `i` to rank `i`, and receives rank `i`'s item for this rank as item `i`: a transpose.
    ///
    /// # Errors
    /// A rank's list has not one item for each rank, or an item cannot be a message: on every rank.
    #[track_caller]
    pub fn alltoall<T: Message>(&self, items: Vec<T>) -> MpiResult<Vec<T>> {
        let call = Call::here("alltoall");
        let _span = trace_span(call.name);
        let prepared = pack_all(&call, &items);
        let header = Header::of(What::Alltoall).with_data(digest::<T>());
        let (packed, headers) = self.gate_with(&call, prepared, header, |_| items.len())?;
        (0..self.size()).try_for_each(|rank| headers.expect(rank, self.size()))?;
        let layout = Layout::new(&call, &packed.lengths)?;
        let (bytes, lengths) =
            self.alltoall_layout(&call, &packed.bytes, &packed.lengths, &layout)?;
        unpack_all(&call, &bytes, &lengths)
    }

    /// Reduces one value of each rank to one at the root, in the order of ranks: `operator` need not be commutative.
    ///
    /// Every value goes to the root, which calls `operator`; numbers go faster by
    /// [`reduce_slice`](Self::reduce_slice), where the ranks share the work.
    ///
    /// # Errors
    /// A value cannot be a message: on every rank.
    ///
    /// ```no_run
    /// # use forkline::mpi;
    /// # let world = mpi::world()?;
    /// let longest = world.reduce("x".repeat(world.rank()), |a, b| if b.len() > a.len() { b } else { a }, 0)?;
    /// # Ok::<(), mpi::MpiError>(())
    /// ```
    #[track_caller]
    pub fn reduce<T: Message>(
        &self,
        value: T,
        operator: impl FnMut(T, T) -> T,
        root: usize,
    ) -> MpiResult<Option<T>> {
        let call = Call::rooted("reduce", root);
        let header = Header::of(What::Reduce)
            .with_root(root)
            .with_data(digest::<T>());
        let values = self.gather_value(&call, header, value, root)?;
        Ok(values.and_then(|values| values.into_iter().reduce(operator)))
    }

    /// As [`reduce`](Self::reduce), on every rank.
    ///
    /// # Errors
    /// As for [`reduce`](Self::reduce).
    #[track_caller]
    pub fn allreduce<T: Message>(&self, value: T, operator: impl FnMut(T, T) -> T) -> MpiResult<T> {
        let call = Call::here("allreduce");
        let header = Header::of(What::Allreduce).with_data(digest::<T>());
        let values = self.allgather_value(&call, header, value)?;
        // A communicator has at least one rank, this one.
        values
            .into_iter()
            .reduce(operator)
            .ok_or(MpiError::NoProcess { call })
    }

    /// Reduces, on rank `i`, the values of ranks 0 to `i`.
    ///
    /// # Errors
    /// As for [`reduce`](Self::reduce).
    #[track_caller]
    pub fn scan<T: Message>(&self, value: T, operator: impl FnMut(T, T) -> T) -> MpiResult<T> {
        let call = Call::here("scan");
        let header = Header::of(What::Scan).with_data(digest::<T>());
        let values = self.allgather_value(&call, header, value)?;
        let mine = values.into_iter().take(self.rank() + 1);
        mine.reduce(operator).ok_or(MpiError::NoProcess { call })
    }

    /// Reduces, on rank `i`, the values of the ranks before it; on rank 0 there are none.
    ///
    /// # Errors
    /// As for [`reduce`](Self::reduce).
    #[track_caller]
    pub fn exscan<T: Message>(
        &self,
        value: T,
        operator: impl FnMut(T, T) -> T,
    ) -> MpiResult<Option<T>> {
        let call = Call::here("exscan");
        let header = Header::of(What::Exscan).with_data(digest::<T>());
        let values = self.allgather_value(&call, header, value)?;
        Ok(values.into_iter().take(self.rank()).reduce(operator))
    }
}
