//! Files that all ranks of a communicator have open together, each at its own places.
//!
//! Use it for one file of what all ranks have, at full speed and without passing it to one of them first. For a file
//! of each rank's own take `std::fs`.
//!
//! What always holds:
//! * a file is opened on every rank or on none: each looks first whether it can, and all tell each other;
//! * places and lengths are in items of the file's type, counted in what the rank sees ([`View`]); sizes are in bytes;
//! * calls of all ranks compare first what the ranks give, as all collective calls do, and cannot be interrupted while
//!   the disk is at work.

use std::ffi::CString;
use std::fmt;
use std::marker::PhantomData;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::collective::{reading, writing};
use super::communicator::Communicator;
use super::datatype::Number;
use super::error::{Call, ErrorClass, MpiError, MpiResult};
use super::gate::{Header, What};
use super::leftover::{self, Kind};
use super::parcel::count;
use super::reachable::reachable;
use super::table::{Handle, access};
use super::view::{Layout, Mode, View};
use super::{library, trace_span, wait};

/// A file of numbers that all ranks of a communicator have open; [`Communicator::open_file`] makes it.
///
/// What one rank writes another one is sure to read behind a [`sync`](Self::sync). A file that is dropped stays open
/// until the end of MPI; [`close`](Self::close), by all ranks, closes it.
pub struct File<T: Number> {
    communicator: Communicator,
    handle: Handle,
    path: PathBuf,
    mode: Mode,
    /// Where the next read or write in the order of ranks begins: the same on all ranks.
    position: AtomicU64,
    items: PhantomData<T>,
}

impl Communicator {
    /// Opens a file of numbers on all ranks; what the numbers are, the first read or write says. All ranks call it, with
    /// the same path and mode.
    ///
    /// # Errors
    /// There is no such file, it may not be read or written, or its path leads nowhere: on every rank.
    ///
    /// ```no_run
    /// # use forkline::mpi::{self, Mode};
    /// # let world = mpi::world()?;
    /// // Each rank writes its row of a matrix.
    /// let row = [world.rank() as f64; 100];
    /// let file = world.open_file("matrix.f64", Mode::WRITE | Mode::CREATE)?;
    /// file.write_at_all(&row, 100 * world.rank() as u64)?;
    /// file.close()?;
    /// # Ok::<(), mpi::MpiError>(())
    /// ```
    #[track_caller]
    pub fn open_file<T: Number>(&self, path: impl AsRef<Path>, mode: Mode) -> MpiResult<File<T>> {
        let call = Call::here("open_file");
        let _span = trace_span(call.name);
        let path = path.as_ref();
        let refused = |(class, text)| MpiError::File {
            call,
            path: path.to_owned(),
            class,
            text,
        };
        let name = reachable(path, mode)
            .and_then(|()| {
                CString::new(path.as_os_str().as_bytes())
                    .map_err(|_| (ErrorClass::BadFile, "its path holds a NUL byte".to_owned()))
            })
            .map_err(refused);
        let header = Header::of(What::OpenFile)
            .with_data(T::CODE.into())
            .with_same(digest(path, mode));
        let (name, _) = self.gate_with(&call, name, header, |_| 0)?;
        let mut file = File {
            communicator: self.clone(),
            handle: 0,
            path: path.to_owned(),
            mode,
            position: AtomicU64::new(0),
            items: PhantomData,
        };
        let opened = file
            .open(&call, &name)
            .and_then(|()| file.look(&call, &View::default(), &Layout::default()));
        // If only some have it, those that have it keep it: to close it they would need the others.
        let end = opened.and_then(|()| file.end());
        let (_, headers) = self.gate_with(&call, end, header.with_same(1), |&end| end as usize)?;
        leftover::opened(Kind::File, file.handle);
        if mode.has(Mode::APPEND) {
            // Of one rank: the same on all.
            *file.position.get_mut() = headers.count(0) as u64;
        }
        Ok(file)
    }
}

fn digest(path: &Path, mode: Mode) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325 ^ u64::from(mode.0);
    let bytes = path.as_os_str().as_bytes().iter();
    bytes.fold(start, |sum, &byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

impl<T: Number> File<T> {
    fn open(&mut self, call: &Call, name: &CString) -> MpiResult<()> {
        let (table, comm) = (
            self.communicator.inner.table,
            self.communicator.inner.handle,
        );
        let mode = self.mode.bits();
        let out = &raw mut self.handle;
        // SAFETY: all ranks are here, with a C string; the pointer is valid.
        let code = unsafe { (table.file_open)(comm, name.as_ptr(), mode, out) };
        self.check(call, code)
    }

    /// Shows this rank the view. All ranks are here.
    fn look(&self, call: &Call, view: &View, layout: &Layout) -> MpiResult<()> {
        let pattern = layout.pattern();
        let displacement = i64::try_from(view.displacement).unwrap_or(i64::MAX);
        let table = self.communicator.inner.table;
        let _here = wait::Entry::new(call, false);
        // SAFETY: a file, and a pattern that lives during the call.
        let code = unsafe {
            (table.file_set_view)(self.handle, displacement, T::CODE, &raw const pattern)
        };
        self.check(call, code)
    }

    fn check(&self, call: &Call, code: i32) -> MpiResult<()> {
        if code == 0 {
            return Ok(());
        }
        let (class, text) = library::told(self.communicator.inner.table, code);
        Err(self.failed(call, class, text))
    }

    fn failed(&self, call: &Call, class: ErrorClass, text: String) -> MpiError {
        MpiError::File {
            call: *call,
            path: self.path.clone(),
            class,
            text,
        }
    }

    /// The number of items up to the end, of a file that is seen as a whole.
    fn end(&self) -> MpiResult<u64> {
        self.size().map(|bytes| bytes / size_of::<T>() as u64)
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file's size in bytes.
    ///
    /// # Errors
    /// The system's.
    #[track_caller]
    pub fn size(&self) -> MpiResult<u64> {
        let call = Call::here("size");
        library::is_open(&call)?;
        let mut bytes = 0;
        // SAFETY: a file, and a valid pointer.
        let code =
            unsafe { (self.communicator.inner.table.file_size)(self.handle, &raw mut bytes) };
        self.check(&call, code)?;
        Ok(u64::try_from(bytes).unwrap_or(0))
    }

    /// Cuts the file, or lets it grow, to this many bytes. All ranks call it.
    ///
    /// # Errors
    /// The ranks are not all in this call with the same size, or the system's.
    #[track_caller]
    pub fn set_size(&self, bytes: u64) -> MpiResult<()> {
        let call = Call::here("set_size");
        let may = self.may(&call, Mode::WRITE);
        let header = Header::of(What::SetSize).with_same(bytes);
        self.communicator.gate_with(&call, may, header, |()| 0)?;
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let _here = wait::Entry::new(&call, false);
        // SAFETY: all ranks are here.
        let code = unsafe { (self.communicator.inner.table.file_set_size)(self.handle, bytes) };
        self.check(&call, code)
    }

    /// Waits until what all ranks have written is on the disk, or where else it is kept: behind it each reads what the
    /// others wrote before. All ranks call it.
    ///
    /// # Errors
    /// The ranks are not all in this call, or the system's.
    #[track_caller]
    pub fn sync(&self) -> MpiResult<()> {
        let call = Call::here("sync");
        let _span = trace_span(call.name);
        let header = Header::of(What::Sync);
        self.communicator.gate(&call, header)?;
        let code = {
            let _here = wait::Entry::new(&call, false);
            // SAFETY: all ranks are here. A file that is only read has nothing to be written.
            unsafe { (self.communicator.inner.table.file_sync)(self.handle) }
        };
        let synced = self.check(&call, code);
        self.communicator
            .gate_with(&call, synced, header.with_same(1), |()| 0)
            .map(drop)
    }

    /// Shows this rank another part of the file; places count in it, and reads and writes in the order of ranks begin at
    /// its start. All ranks call it, each with a view of its own.
    ///
    /// # Errors
    /// A view makes no sense, or the ranks are not all in this call: on every rank.
    #[track_caller]
    pub fn set_view(&mut self, view: &View) -> MpiResult<()> {
        self.see(&Call::here("set_view"), view)
    }

    fn see(&mut self, call: &Call, view: &View) -> MpiResult<()> {
        let header = Header::of(What::SetView).with_data(T::CODE.into());
        let layout = view.layout(call);
        let (layout, _) = self.communicator.gate_with(call, layout, header, |_| 0)?;
        self.look(call, view, &layout)?;
        *self.position.get_mut() = 0;
        Ok(())
    }

    /// The same file as one of other numbers, and this part of it. All ranks call it.
    ///
    /// # Errors
    /// As for [`set_view`](Self::set_view).
    ///
    /// ```no_run
    /// # use forkline::mpi::{self, Mode, View};
    /// # let world = mpi::world()?;
    /// let file = world.open_file("matrix", Mode::READ)?;
    /// let mut shape = [0_u64; 2];
    /// file.read_at_all(&mut shape, 0)?;
    /// let numbers = file.with_view::<f64>(&View::from_byte(16))?;
    /// # let mut row = vec![0.0; shape[1] as usize];
    /// numbers.read_at(&mut row, shape[1] * world.rank() as u64)?;
    /// # Ok::<(), mpi::MpiError>(())
    /// ```
    #[track_caller]
    pub fn with_view<U: Number>(self, view: &View) -> MpiResult<File<U>> {
        let mut file = File {
            communicator: self.communicator,
            handle: self.handle,
            path: self.path,
            mode: self.mode,
            position: self.position,
            items: PhantomData,
        };
        file.see(&Call::here("with_view"), view)?;
        Ok(file)
    }

    /// Closes the file. All ranks call it.
    ///
    /// # Errors
    /// The ranks are not all in this call, and it stays open; or the system's.
    #[track_caller]
    pub fn close(mut self) -> MpiResult<()> {
        let call = Call::here("close");
        self.communicator.gate(&call, Header::of(What::Close))?;
        let _here = wait::Entry::new(&call, false);
        leftover::closing(Kind::File, self.handle);
        let (table, handle) = (self.communicator.inner.table, &raw mut self.handle);
        // SAFETY: all ranks are here, and none uses it again.
        let code = unsafe { (table.file_close)(handle) };
        self.check(&call, code)
    }

    fn may(&self, call: &Call, mode: Mode) -> MpiResult<()> {
        if self.mode.has(mode) {
            return Ok(());
        }
        let text = format!("opened with {:?}, which lacks {mode:?}", self.mode);
        Err(self.failed(call, ErrorClass::Access, text))
    }

    /// What is to be read or written, in MPI's numbers.
    fn span(&self, call: &Call, mode: Mode, length: usize, at: u64) -> MpiResult<(i64, i32)> {
        library::is_open(call)?;
        self.may(call, mode)?;
        count(call, length.saturating_mul(size_of::<T>()))?;
        let at = i64::try_from(at).map_err(|_| MpiError::TooLong {
            call: *call,
            length: usize::try_from(at).unwrap_or(usize::MAX),
        })?;
        Ok((at, length as i32))
    }

    /// Reads or writes; gives the number of items.
    ///
    /// # Safety
    /// `buffer` has so many items, which may be written if `how` reads.
    unsafe fn access(
        &self,
        call: &Call,
        how: u32,
        (at, n): (i64, i32),
        buffer: *mut std::ffi::c_void,
    ) -> MpiResult<usize> {
        let _here = wait::Entry::new(call, false);
        let (table, mut bytes) = (self.communicator.inner.table, 0);
        let done = &raw mut bytes;
        // SAFETY: the caller's promise.
        let code = unsafe { (table.file_access)(how, self.handle, at, buffer, n, T::CODE, done) };
        self.check(call, code)?;
        Ok(usize::try_from(bytes).unwrap_or(0) / size_of::<T>())
    }

    fn all_written(&self, call: &Call, wanted: usize, written: usize) -> MpiResult<()> {
        if written >= wanted {
            return Ok(());
        }
        let text = format!("{written} of {wanted} items were written");
        Err(self.failed(call, ErrorClass::NoSpace, text))
    }

    /// Reads items from place `at` on, as many as the slice has, and gives their number: fewer at the file's end. Other
    /// ranks have nothing to do with it.
    ///
    /// # Errors
    /// The file is not open to be read, or the system's.
    #[track_caller]
    pub fn read_at(&self, data: &mut [T], at: u64) -> MpiResult<usize> {
        let call = Call::here("read_at");
        let _span = trace_span(call.name);
        let span = self.span(&call, Mode::READ, data.len(), at)?;
        // SAFETY: the slice's own length.
        unsafe { self.access(&call, access::READ, span, writing(data)) }
    }

    /// Writes items from place `at` on. Other ranks have nothing to do with it.
    ///
    /// # Errors
    /// The file is not open to be written, or the system's.
    #[track_caller]
    pub fn write_at(&self, data: &[T], at: u64) -> MpiResult<()> {
        let call = Call::here("write_at");
        let _span = trace_span(call.name);
        let span = self.span(&call, Mode::WRITE, data.len(), at)?;
        // SAFETY: the slice's own length; it is read only.
        let n = unsafe { self.access(&call, access::WRITE, span, reading(data))? };
        self.all_written(&call, data.len(), n)
    }

    /// As [`read_at`](Self::read_at), by all ranks together, each at its own place: MPI makes few large reads of them.
    ///
    /// # Errors
    /// The ranks are not all in this call or one cannot take part: on every rank. Or the system's.
    #[track_caller]
    pub fn read_at_all(&self, data: &mut [T], at: u64) -> MpiResult<usize> {
        let call = Call::here("read_at_all");
        let _span = trace_span(call.name);
        let span = self.span(&call, Mode::READ, data.len(), at);
        let header = Header::of(What::ReadAtAll).with_data(T::CODE.into());
        let (span, _) = self.communicator.gate_with(&call, span, header, |_| 0)?;
        // SAFETY: the slice's own length.
        unsafe { self.access(&call, access::READ_ALL, span, writing(data)) }
    }

    /// As [`write_at`](Self::write_at), by all ranks together, each at its own place: MPI makes few large writes of them.
    ///
    /// # Errors
    /// As for [`read_at_all`](Self::read_at_all).
    #[track_caller]
    pub fn write_at_all(&self, data: &[T], at: u64) -> MpiResult<()> {
        let call = Call::here("write_at_all");
        let _span = trace_span(call.name);
        let span = self.span(&call, Mode::WRITE, data.len(), at);
        let header = Header::of(What::WriteAtAll).with_data(T::CODE.into());
        let (span, _) = self.communicator.gate_with(&call, span, header, |_| 0)?;
        // SAFETY: the slice's own length; it is read only.
        let n = unsafe { self.access(&call, access::WRITE_ALL, span, reading(data))? };
        self.all_written(&call, data.len(), n)
    }

    /// The place of this rank in a read or write in the order of ranks, and moves the common position behind it.
    fn turn(&self, call: &Call, what: What, mode: Mode, length: usize) -> MpiResult<(i64, i32)> {
        let header = Header::of(what).with_data(T::CODE.into());
        let span = self.span(call, mode, length, 0);
        let ((_, n), headers) = self
            .communicator
            .gate_with(call, span, header, |_| length)?;
        let counts = headers.counts();
        let sum = |counts: &[usize]| counts.iter().map(|&n| n as u64).sum::<u64>();
        let all = sum(&counts);
        let start = self.position.fetch_add(all, Ordering::Relaxed);
        let at = start + sum(&counts[..self.communicator.rank()]);
        Ok((i64::try_from(at).unwrap_or(i64::MAX), n))
    }

    /// Reads one behind the other, in the order of ranks, from the common position on, which then is behind all that was
    /// asked for. Gives the number of items: fewer at the file's end. All ranks call it.
    ///
    /// # Errors
    /// As for [`read_at_all`](Self::read_at_all).
    #[track_caller]
    pub fn read_ordered(&self, data: &mut [T]) -> MpiResult<usize> {
        let call = Call::here("read_ordered");
        let _span = trace_span(call.name);
        let span = self.turn(&call, What::ReadOrdered, Mode::READ, data.len())?;
        // SAFETY: the slice's own length.
        unsafe { self.access(&call, access::READ_ALL, span, writing(data)) }
    }

    /// Writes one behind the other, in the order of ranks, from the common position on, which then is behind what was
    /// written. All ranks call it.
    ///
    /// # Errors
    /// As for [`write_at_all`](Self::write_at_all).
    #[track_caller]
    pub fn write_ordered(&self, data: &[T]) -> MpiResult<()> {
        let call = Call::here("write_ordered");
        let _span = trace_span(call.name);
        let span = self.turn(&call, What::WriteOrdered, Mode::WRITE, data.len())?;
        // SAFETY: the slice's own length; it is read only.
        let n = unsafe { self.access(&call, access::WRITE_ALL, span, reading(data))? };
        self.all_written(&call, data.len(), n)
    }

    /// Moves the common position of reads and writes in the order of ranks. All ranks call it.
    ///
    /// # Errors
    /// The ranks are not all in this call with the same place.
    #[track_caller]
    pub fn seek_shared(&self, at: u64) -> MpiResult<()> {
        let header = Header::of(What::SeekShared).with_same(at);
        self.communicator.gate(&Call::here("seek_shared"), header)?;
        self.position.store(at, Ordering::Relaxed);
        Ok(())
    }
}

impl<T: Number> fmt::Debug for File<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, communicator) = (self.path.display(), &self.communicator);
        write!(formatter, "{path}, open on {communicator:?}")
    }
}
