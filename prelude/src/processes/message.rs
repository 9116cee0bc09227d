//! What may travel between processes, and how: a value becomes bytes (postcard, over serde) and the descriptors
//! that its handles stand for, and both go through a unix socket together.
//!
//! A handle (a queue, a shared array) is a descriptor that another process gets a copy of. While a value is
//! encoded its handles [`attach`] descriptors; while it is decoded they [`detach`] them in the same places.
//!
//! What always holds: no descriptor outlives a failed transfer, and every one is closed on exec; a peer that is
//! gone is an error or an end, never a signal.

use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::interrupt;

/// What can be sent to another process: every type that serde can write and read, and that borrows nothing.
///
/// Numbers, strings, tuples, vectors, maps and options are messages; a type of yours becomes one by
/// `#[derive(Serialize, Deserialize)]`. Nothing needs to implement this trait by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent to another process",
    label = "this type has no form in bytes",
    note = "a type of your own needs `#[derive(Serialize, Deserialize)]`, and so do the types of its fields",
    note = "references, closures, mutexes and threads mean nothing in another process: send owned data, \
            or a handle such as `processes::Queue` or `processes::Array`",
    note = "a closure that never returns gives `!`: write `|| -> () {{ .. }}`"
)]
pub trait Message: Serialize + DeserializeOwned + 'static {}

// Or the compiler would speak of serde's traits, and not of what they are needed for.
#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + 'static> Message for T {}

/// Why a value could not be sent or received.
#[derive(Debug)]
pub enum MessageError {
    /// serde could not write the value.
    Encode(String),
    /// The bytes are not a value of the type that was asked for.
    Decode(String),
    /// The socket failed.
    Io(io::Error),
}

impl fmt::Display for MessageError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MessageError::Encode(why) => write!(formatter, "the value cannot be sent: {why}"),
            MessageError::Decode(why) => write!(
                formatter,
                "what was received is no value of the type asked for: {why}"
            ),
            MessageError::Io(error) => write!(formatter, "the other process is gone: {error}"),
        }
    }
}

impl std::error::Error for MessageError {}

/// A value on its way.
#[derive(Debug, Default)]
pub(crate) struct Packet {
    pub bytes: Vec<u8>,
    pub descriptors: Vec<OwnedFd>,
}

/// The handles of the value that this thread encodes or decodes.
#[derive(Default)]
struct Handles {
    /// While encoding: what has been attached. While decoding: what has not been detached yet.
    descriptors: Vec<Option<OwnedFd>>,
    /// serde errors of postcard carry no text; this is it.
    error: Option<String>,
    can_carry: bool,
}

thread_local! {
    static HANDLES: RefCell<Option<Handles>> = const { RefCell::new(None) };
}

/// Gives the thread's previous handles back, also when a user's `Serialize` panics.
struct Restore(Option<Handles>);

impl Restore {
    fn replace(handles: Handles) -> Restore {
        Restore(HANDLES.with_borrow_mut(|place| place.replace(handles)))
    }

    fn take(&self) -> Handles {
        HANDLES.with_borrow_mut(Option::take).unwrap_or_default()
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        let previous = self.0.take();
        HANDLES.with_borrow_mut(|place| *place = previous);
    }
}

/// Adds a copy of a descriptor to the value that is being encoded and returns its number, for `Serialize` of a
/// handle.
///
/// # Errors
/// Nothing is being encoded for another process, or it travels where descriptors cannot (through shared memory).
pub(crate) fn attach<E: serde::ser::Error>(descriptor: BorrowedFd<'_>) -> Result<u32, E> {
    let fail = |text: &str| {
        HANDLES.with_borrow_mut(|place| {
            if let Some(handles) = place {
                handles.error = Some(text.to_owned());
            }
        });
        Err(E::custom(text))
    };
    let state = HANDLES.with_borrow(|place| place.as_ref().map(|handles| handles.can_carry));
    match state {
        None => fail("a handle of this process means nothing in a file"),
        Some(false) => fail(
            "a queue, pipe or shared array cannot go through a queue: give it to the process as an argument",
        ),
        Some(true) => match descriptor.try_clone_to_owned() {
            Ok(copy) => HANDLES.with_borrow_mut(|place| {
                let handles = place.get_or_insert_default();
                handles.descriptors.push(Some(copy));
                Ok(u32::try_from(handles.descriptors.len() - 1).unwrap_or(u32::MAX))
            }),
            Err(error) => fail(&format!("its descriptor cannot be copied: {error}")),
        },
    }
}

/// Takes the descriptor with a number out of the value that is being decoded, for `Deserialize` of a handle.
///
/// # Errors
/// The value did not come with that descriptor.
pub(crate) fn detach<E: serde::de::Error>(number: u32) -> Result<OwnedFd, E> {
    HANDLES
        .with_borrow_mut(|place| {
            let handles = place.as_mut()?;
            handles.descriptors.get_mut(number as usize)?.take()
        })
        .ok_or_else(|| refuse("the handle came without its descriptor".to_owned()))
}

/// Refuses a handle with a text while a value is being decoded; postcard's own errors carry none.
pub(crate) fn refuse<E: serde::de::Error>(text: String) -> E {
    let error = E::custom(&text);
    HANDLES.with_borrow_mut(|place| {
        if let Some(handles) = place {
            handles.error = Some(text);
        }
    });
    error
}

/// Turns a value into bytes and descriptors. `can_carry` says whether the way that they go takes descriptors.
///
/// # Errors
/// serde cannot write the value, for instance a map of unknown length, or a handle cannot go this way.
pub(crate) fn encode<T: Message>(value: &T, can_carry: bool) -> Result<Packet, MessageError> {
    let mut bytes = Vec::new();
    let descriptors = encode_into(value, can_carry, &mut bytes)?;
    Ok(Packet { bytes, descriptors })
}

/// [`encode`] into a buffer that can be used again; what it held stays in front.
///
/// # Errors
/// As for [`encode`].
pub(crate) fn encode_into<T: Message>(
    value: &T,
    can_carry: bool,
    bytes: &mut Vec<u8>,
) -> Result<Vec<OwnedFd>, MessageError> {
    if let Some(plain) = plain_bytes(value) {
        bytes.extend_from_slice(plain);
        return Ok(Vec::new());
    }
    let restore = Restore::replace(Handles {
        can_carry,
        ..Handles::default()
    });
    let result = postcard::to_extend(value, std::mem::take(bytes));
    let handles = restore.take();
    match result {
        Ok(filled) => {
            *bytes = filled;
            Ok(handles.descriptors.into_iter().flatten().collect())
        }
        Err(error) => Err(MessageError::Encode(
            handles.error.unwrap_or_else(|| error.to_string()),
        )),
    }
}

/// Turns bytes and descriptors back into a value.
///
/// # Errors
/// They are not a value of this type.
pub(crate) fn decode<T: Message>(packet: Packet) -> Result<T, MessageError> {
    if TypeId::of::<T>() == TypeId::of::<Vec<u8>>() {
        let bytes = ManuallyDrop::new(packet.bytes);
        // SAFETY: `T` is this very type, and the vector is not used again.
        return Ok(unsafe { std::mem::transmute_copy::<Vec<u8>, T>(&bytes) });
    }
    if let Some(value) = from_plain_bytes(&packet.bytes)? {
        return Ok(value);
    }
    let restore = Restore::replace(Handles {
        descriptors: packet.descriptors.into_iter().map(Some).collect(),
        ..Handles::default()
    });
    postcard::from_bytes(&packet.bytes).map_err(|error| {
        MessageError::Decode(restore.take().error.unwrap_or_else(|| error.to_string()))
    })
}

/// Vectors of plain numbers are copied as they lie in memory: both processes run the same program on the same
/// machine, and element by element it would take many times longer.
///
/// The generic functions only ask whether `T` is one of them, which the compiler answers: what they lead to is compiled once, and not
/// in each cell for each type of its messages.
macro_rules! plain {
    ($($number:ty),*) => {
        /// Whether `T` is a vector of plain numbers.
        fn is_plain<T: 'static>() -> bool {
            $(TypeId::of::<T>() == TypeId::of::<Vec<$number>>())||*
        }

        /// The memory of the value, if it is a vector of plain numbers.
        fn memory_of(value: &dyn Any) -> Option<&[u8]> {
            $(if let Some(numbers) = value.downcast_ref::<Vec<$number>>() {
                // SAFETY: the numbers lie one after the other without gaps, every byte of them is initialised,
                // and any alignment is enough for bytes.
                return Some(unsafe {
                    std::slice::from_raw_parts(numbers.as_ptr().cast(), size_of_val(&**numbers))
                });
            })*
            None
        }

        /// The vector of this type that lay in memory as these bytes, if it is one of plain numbers.
        fn numbers_from(kind: TypeId, bytes: &[u8]) -> Result<Option<Box<dyn Any>>, MessageError> {
            $(if kind == TypeId::of::<Vec<$number>>() {
                let size = size_of::<$number>();
                if !bytes.len().is_multiple_of(size) {
                    return Err(MessageError::Decode(format!(
                        "{} bytes are no whole number of {}", bytes.len(), stringify!($number),
                    )));
                }
                let mut numbers: Vec<$number> = Vec::with_capacity(bytes.len() / size);
                // SAFETY: the vector has room for all the bytes, every pattern of bytes is a number, and the
                // two do not overlap.
                unsafe {
                    let to = numbers.as_mut_ptr().cast::<u8>();
                    std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len());
                    numbers.set_len(bytes.len() / size);
                }
                return Ok(Some(Box::new(numbers)));
            })*
            Ok(None)
        }
    };
}

plain!(u8, i8, u16, i16, u32, i32, u64, i64, usize, isize, f32, f64);

/// The memory of a vector of plain numbers, if `T` is one.
pub(crate) fn plain_bytes<T: 'static>(value: &T) -> Option<&[u8]> {
    if is_plain::<T>() {
        memory_of(value)
    } else {
        None
    }
}

/// The vector of plain numbers that lay in memory as these bytes, if `T` is one.
fn from_plain_bytes<T: 'static>(bytes: &[u8]) -> Result<Option<T>, MessageError> {
    if !is_plain::<T>() {
        return Ok(None);
    }
    let numbers = numbers_from(TypeId::of::<T>(), bytes)?;
    Ok(numbers
        .and_then(|numbers| numbers.downcast::<T>().ok())
        .map(|numbers| *numbers))
}

/// How many descriptors fit into one message (the kernel's SCM_MAX_FD is 253).
pub(crate) const MOST_DESCRIPTORS: usize = 250;
/// How long [`header`] is.
pub(super) const HEADER: usize = 16;

/// What a message begins with: how many bytes and how many descriptors it has.
pub(super) fn header(bytes: usize, descriptors: usize) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(&(bytes as u64).to_le_bytes());
    header[8..].copy_from_slice(&(descriptors as u64).to_le_bytes());
    header
}

/// The two numbers of a [`header`].
pub(super) fn read_header(header: &[u8; HEADER]) -> (usize, usize) {
    let number = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&header[at..at + 8]);
        usize::try_from(u64::from_le_bytes(bytes)).unwrap_or(usize::MAX)
    };
    (number(0), number(8))
}

/// Writes a packet to a stream socket. Waits until the reader takes it; an interrupt of the cell ends the wait.
///
/// # Errors
/// There are too many descriptors, or nobody reads any more.
pub(crate) fn send(socket: BorrowedFd<'_>, packet: &Packet) -> io::Result<()> {
    if packet.descriptors.len() > MOST_DESCRIPTORS {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("one message carries at most {MOST_DESCRIPTORS} handles"),
        ));
    }
    let header = header(packet.bytes.len(), packet.descriptors.len());
    let descriptors: Vec<RawFd> = packet.descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let total = HEADER + packet.bytes.len();
    let mut sent = 0;
    while sent < total {
        let head = &header[sent.min(HEADER)..];
        let body = &packet.bytes[sent.saturating_sub(HEADER)..];
        // Descriptors go with the first byte.
        let carried: &[RawFd] = if sent == 0 { &descriptors } else { &[] };
        match send_some(socket, &[IoSlice::new(head), IoSlice::new(body)], carried) {
            Ok(count) => sent += count,
            Err(error) if is_again(&error) => wait_for(socket, libc::POLLOUT)?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads a packet from a stream socket; none at its end. Waits for it; an interrupt of the cell ends the wait.
///
/// # Errors
/// The writer was gone in the middle of a packet.
pub(crate) fn receive(socket: BorrowedFd<'_>) -> io::Result<Option<Packet>> {
    let mut descriptors = Vec::new();
    let mut header = [0; HEADER];
    if !receive_exactly(socket, &mut header, &mut descriptors)? {
        return Ok(None);
    }
    let (length, count) = read_header(&header);
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(length)
        .map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
    bytes.resize(length, 0);
    if !receive_exactly(socket, &mut bytes, &mut descriptors)? || descriptors.len() != count {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(Packet { bytes, descriptors }))
}

/// Fills the buffer; `false` if the stream ended before its first byte.
fn receive_exactly(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    descriptors: &mut Vec<OwnedFd>,
) -> io::Result<bool> {
    let mut filled = 0;
    while filled < buffer.len() {
        match receive_some(socket, &mut buffer[filled..], descriptors) {
            Ok(0) if filled == 0 => return Ok(false),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => filled += count,
            Err(error) if is_again(&error) => wait_for(socket, libc::POLLIN)?,
            // A peer that was killed with bytes unread.
            Err(error) if filled == 0 && error.kind() == io::ErrorKind::ConnectionReset => {
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

pub(crate) fn is_again(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
    )
}

/// Waits until a descriptor is ready for `events` (of poll(2)), or has an error or an end to tell.
///
/// # Errors
/// poll(2) fails.
pub(crate) fn wait_for(descriptor: BorrowedFd<'_>, events: i16) -> io::Result<()> {
    interrupt::wait(None, |slice| {
        poll(descriptor, events, slice)
            .map(|is_ready| is_ready.then_some(()))
            .transpose()
    })
    .unwrap_or(Ok(()))
}

/// Whether a descriptor becomes ready within a time.
///
/// # Errors
/// poll(2) fails; a signal counts as not ready yet.
pub(crate) fn poll(
    descriptor: BorrowedFd<'_>,
    events: i16,
    time: std::time::Duration,
) -> io::Result<bool> {
    let mut asked = libc::pollfd {
        fd: descriptor.as_raw_fd(),
        events,
        revents: 0,
    };
    // Rounded up: zero would turn a wait of less than a millisecond into a busy loop.
    let milliseconds = i32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX);
    // SAFETY: one entry, which lives during the call.
    match unsafe { libc::poll(&raw mut asked, 1, milliseconds) } {
        -1 => {
            let error = io::Error::last_os_error();
            if error.kind() == io::ErrorKind::Interrupted {
                Ok(false)
            } else {
                Err(error)
            }
        }
        ready => Ok(ready > 0),
    }
}

/// Room for the control message of [`MOST_DESCRIPTORS`] descriptors, aligned as its header must be.
#[repr(C)]
union Control {
    _align: libc::cmsghdr,
    bytes: [u8; 16 + 4 * (MOST_DESCRIPTORS + 2)],
}

pub(crate) fn send_some(
    socket: BorrowedFd<'_>,
    parts: &[IoSlice<'_>],
    descriptors: &[RawFd],
) -> io::Result<usize> {
    let mut control = Control { bytes: [0; _] };
    let size = size_of_val(descriptors);
    // SAFETY: an all-zero msghdr is valid. IoSlice has the layout of iovec. The control buffer holds the header
    // and `size` bytes, which `send` has limited; CMSG_FIRSTHDR and CMSG_DATA stay within it.
    let sent = unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = parts.as_ptr().cast_mut().cast();
        message.msg_iovlen = parts.len() as _;
        if !descriptors.is_empty() {
            message.msg_control = (&raw mut control).cast();
            message.msg_controllen = libc::CMSG_SPACE(size as u32) as _;
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(size as u32) as _;
            let data = libc::CMSG_DATA(header);
            std::ptr::copy_nonoverlapping(descriptors.as_ptr().cast::<u8>(), data, size);
        }
        libc::sendmsg(
            socket.as_raw_fd(),
            &raw const message,
            libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT,
        )
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

pub(crate) fn receive_some(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    descriptors: &mut Vec<OwnedFd>,
) -> io::Result<usize> {
    let mut control = Control { bytes: [0; _] };
    let mut parts = [IoSliceMut::new(buffer)];
    // SAFETY: an all-zero msghdr is valid. IoSliceMut has the layout of iovec. The kernel writes at most as much as
    // the two lengths say; the descriptors that it has put there are new ones that nobody else owns.
    let received = unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = parts.as_mut_ptr().cast();
        message.msg_iovlen = 1;
        message.msg_control = (&raw mut control).cast();
        message.msg_controllen = size_of::<Control>() as _;
        let received = libc::recvmsg(
            socket.as_raw_fd(),
            &raw mut message,
            libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT,
        );
        if received >= 0 {
            let mut header = libc::CMSG_FIRSTHDR(&raw const message);
            while !header.is_null() {
                if (*header).cmsg_level == libc::SOL_SOCKET
                    && (*header).cmsg_type == libc::SCM_RIGHTS
                {
                    let data = libc::CMSG_DATA(header).cast::<RawFd>();
                    let size = (*header).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
                    for number in 0..size / size_of::<RawFd>() {
                        descriptors.push(OwnedFd::from_raw_fd(data.add(number).read_unaligned()));
                    }
                }
                header = libc::CMSG_NXTHDR(&raw const message, header);
            }
        }
        received
    };
    usize::try_from(received).map_err(|_| io::Error::last_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::{Deserialize, Deserializer, Serializer};
    use std::collections::BTreeMap;
    use std::fs::File;
    use std::io::{Read, Seek, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    /// A handle as queues and arrays are one.
    struct Handle(OwnedFd);

    impl Serialize for Handle {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            attach::<S::Error>(self.0.as_fd())?.serialize(serializer)
        }
    }

    impl<'de> Deserialize<'de> for Handle {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Handle, D::Error> {
            detach::<D::Error>(u32::deserialize(deserializer)?).map(Handle)
        }
    }

    fn through_socket<T: Message + Send>(value: T) -> T {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let packet = encode(&value, true).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| send(ours.as_fd(), &packet).unwrap());
            decode(receive(theirs.as_fd()).unwrap().unwrap()).unwrap()
        })
    }

    #[test]
    fn values_come_back_as_they_were() {
        let map = BTreeMap::from([("a".to_owned(), Some(-1.5)), ("b".to_owned(), None)]);
        assert_eq!(through_socket(map.clone()), map);
        let large: Vec<f64> = (0..1_000_000).map(f64::from).collect();
        assert_eq!(through_socket(large.clone()), large);
        assert_eq!(through_socket(Vec::<u8>::new()), Vec::<u8>::new());
        assert_eq!(
            through_socket((1_u8, "text".to_owned(), ())),
            (1, "text".to_owned(), ())
        );
    }

    #[test]
    fn descriptors_go_with_their_value() {
        let mut files: Vec<File> = (0..3).map(|_| tempfile()).collect();
        for (number, file) in files.iter_mut().enumerate() {
            write!(file, "file {number}").unwrap();
            file.rewind().unwrap();
        }
        let handles: Vec<Handle> = files.into_iter().map(|file| Handle(file.into())).collect();
        for (number, handle) in through_socket(handles).into_iter().enumerate() {
            let mut text = String::new();
            File::from(handle.0).read_to_string(&mut text).unwrap();
            assert_eq!(text, format!("file {number}"));
        }
    }

    fn tempfile() -> File {
        // SAFETY: the name is a C string, and the new descriptor is ours alone.
        unsafe {
            let fd = libc::memfd_create(c"test".as_ptr(), libc::MFD_CLOEXEC);
            assert!(fd >= 0);
            File::from_raw_fd(fd)
        }
    }

    #[test]
    fn a_handle_that_cannot_travel_says_why() {
        let error = encode(&Handle(tempfile().into()), false).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("give it to the process as an argument"),
            "{error}"
        );
        assert!(postcard::to_stdvec(&Handle(tempfile().into())).is_err());
    }

    #[test]
    fn other_bytes_are_an_error_and_the_end_is_an_end() {
        let packet = |bytes: &[u8]| Packet {
            bytes: bytes.to_vec(),
            descriptors: Vec::new(),
        };
        assert!(matches!(
            decode::<String>(packet(&[200, 1])),
            Err(MessageError::Decode(_))
        ));
        assert!(matches!(
            decode::<Vec<u32>>(packet(&[1, 2, 3])),
            Err(MessageError::Decode(_))
        ));
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(ours);
        assert!(receive(theirs.as_fd()).unwrap().is_none());
        assert!(send(theirs.as_fd(), &packet(&[1])).is_err());
    }
}
