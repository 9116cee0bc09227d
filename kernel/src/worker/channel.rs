//! One ordered stream out of all that a process prints and shows.
//!
//! The cell's code writes to descriptor 1 and 2 through `interpose`, the prelude sends displays and
//! panics through its C interface, and programs that a cell starts write to two pipes which stand in
//! for descriptors 1 and 2. All of it passes one lock here and leaves as frames in that order, so
//! that the front end shows output in the order in which it was made. Only what other programs (or
//! C code that bypasses `write`) put into the pipes may come a little late, but never after the end
//! of the run in which it was written.
//!
//! Each frame names the run that it belongs to: that of the calling thread, which inherits it from
//! the thread that started it. A thread left behind by an earlier cell so keeps printing under that
//! cell. Threads of shared pools belong to whatever runs now.

use super::frames::{self, Decoder, Frame, Kind};
use super::interpose::system_write;
use super::link::{self, Address, Purpose, Socket};
use super::sentinels::{self, Piece, Scanner};
use super::{backtrace, blocked, crash, kept, locate, prelude, profile, standing};
use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{IntoRawFd as _, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

/// How long a line of stderr may be held back while it is not known whether it is the text of an
/// error that a `?` returns.
const HOLD: i32 = 20;

/// The run in progress, or the last one. Pairs with nothing: a plain counter, read for labels.
static RUN: AtomicU64 = AtomicU64::new(0);
/// The process that owns the side channel; a forked child must not write into its parent's stream.
static OWNER: AtomicI32 = AtomicI32::new(0);
/// The run that the user has interrupted; 0 is none. A number stays until the next interrupt: runs that
/// have ended have no threads that could ask, but for those that were left behind and may end too.
static INTERRUPTED: AtomicU64 = AtomicU64::new(0);
/// The last run that has ended.
static ENDED: AtomicU64 = AtomicU64::new(0);
/// The last run of which a thread has ended, or slept less long, because of that.
static YIELDED: AtomicU64 = AtomicU64::new(0);
static CHANNEL: OnceLock<Channel> = OnceLock::new();

thread_local! {
    /// The run that this thread belongs to; 0 means the one in progress.
    static THREAD_RUN: Cell<u64> = const { Cell::new(0) };
    static IS_CELL_THREAD: Cell<bool> = const { Cell::new(false) };
}

struct Channel {
    socket: RawFd,
    /// Read ends of the pipes that stand in for the standard streams, and the identity of their
    /// write ends: a descriptor that the user redirected is not ours any more.
    pipes: [Pipe; 2],
    /// Wakes the pump when something is held back.
    wake: RawFd,
    output: Mutex<Output>,
    input: Mutex<VecDeque<u8>>,
    reply: Mutex<Option<InputReply>>,
    replied: Condvar,
    /// Whether somebody waits for `reply`; changes with that lock held.
    asking: AtomicBool,
    configured: Mutex<bool>,
    configured_changed: Condvar,
}

struct Pipe {
    read: RawFd,
    inode: u64,
}

/// The state behind the one lock that orders all output.
struct Output {
    scanner: Scanner,
    /// Stderr of the cell's thread since its last whole line; see [`write_stderr`].
    held: Vec<u8>,
    held_is_line: bool,
    /// evcxr's end of the pipe.
    evcxr: RawFd,
    prompt: Option<(String, bool)>,
}

enum InputReply {
    Line(String),
    NotAllowed,
    Interrupted,
}

/// Why a line of input could not be had.
pub enum NoInput {
    NotAllowed,
    /// The user has interrupted the cell.
    Interrupted,
}

/// Connects to the kernel, puts pipes in the place of the standard streams and starts the threads
/// that serve them. Returns the descriptor on which orders come: evcxr's pipe, or the socket of the
/// group's leader for a rank.
pub fn open(address: &Address, leader: Option<RawFd>) -> io::Result<RawFd> {
    let socket = address.connect(Purpose::Frames)?;
    let reader = socket.try_clone()?;
    let socket = OwnedFd::from(socket).into_raw_fd();
    let commands = duplicate(leader.unwrap_or(0))?;
    let evcxr = duplicate(leader.unwrap_or(1))?;
    let pipes = [stand_in(1)?, stand_in(2)?];
    // What a cell's child process reads from its standard input is nothing, not evcxr's orders.
    // SAFETY: plain system calls on descriptors that this process owns.
    let wake = unsafe {
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
        libc::dup2(null, 0);
        libc::close(null);
        libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK)
    };
    crash::watch_pipe(pipes[1].read);
    let channel = Channel {
        socket,
        pipes,
        wake,
        output: Mutex::new(Output {
            scanner: Scanner::default(),
            held: Vec::new(),
            held_is_line: false,
            evcxr,
            prompt: None,
        }),
        input: Mutex::default(),
        reply: Mutex::default(),
        replied: Condvar::new(),
        asking: AtomicBool::new(false),
        configured: Mutex::new(false),
        configured_changed: Condvar::new(),
    };
    if CHANNEL.set(channel).is_err() {
        return Err(io::Error::other("the side channel is open already"));
    }
    OWNER.store(std::process::id() as i32, Ordering::Relaxed);
    IS_CELL_THREAD.set(true);
    // A process of another machine is none that could be looked for here.
    let host = address.is_network().then(link::host_name);
    let hello = serde_json::json!({ "pid": std::process::id(), "host": host });
    send(Kind::Hello, hello.to_string().as_bytes());
    spawn("forkline-pump", pump)?;
    spawn("forkline-side", move || serve(reader))?;
    Ok(commands)
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .stack_size(256 * 1024)
        .spawn(body)
        .map(|_| ())
}

/// Waits for the kernel's first settings (environment and folder), which apply before any cell.
pub fn wait_until_configured(limit: Duration) {
    let channel = channel();
    let configured = lock(&channel.configured);
    let _ = channel
        .configured_changed
        .wait_timeout_while(configured, limit, |configured| !*configured);
}

/// Sends one frame in the order of all output.
pub fn send(kind: Kind, payload: &[u8]) {
    let Some(channel) = CHANNEL.get().filter(|_| is_owner()) else {
        return;
    };
    let mut output = lock(&channel.output);
    channel.forward_foreign(&mut output);
    if kind != Kind::Panic {
        channel.release_held(&mut output);
    }
    channel.send(kind, current_run(), payload);
}

/// A new run begins on the calling thread: that of the library at `path`.
pub fn begin_run(path: &str) -> u64 {
    let run = RUN.fetch_add(1, Ordering::Relaxed) + 1;
    send(Kind::RunStarted, path.as_bytes());
    run
}

/// Whether a run is the one in progress.
pub fn is_running(run: u64) -> bool {
    RUN.load(Ordering::SeqCst) == run && ENDED.load(Ordering::SeqCst) != run
}

/// Does something while nobody else can send output.
pub fn with_output_lock<R>(body: impl FnOnce() -> R) -> R {
    let _output = lock(&channel().output);
    body()
}

/// The calling thread runs cells from now on, in the place of one that was left behind. The interrupt
/// was not meant for it, so this comes when the interrupted run has ended.
pub fn become_cell_thread() {
    IS_CELL_THREAD.set(true);
    THREAD_RUN.set(0);
}

/// Tells evcxr that the cell in progress ended as by a panic: what it took is not to be relied on.
pub fn tell_panicked() {
    let channel = channel();
    let output = lock(&channel.output);
    channel.tell_evcxr(&output, sentinels::PANIC);
}

/// The run has ended: sends what is left of its output, then its report, then tells evcxr.
pub fn end_run(run: u64, report: &str) {
    let channel = channel();
    let mut output = lock(&channel.output);
    ENDED.store(run, Ordering::SeqCst);
    channel.send_rest(&mut output, run);
    channel.send(Kind::RunEnded, run, report.as_bytes());
    channel.tell_evcxr(&output, "EVCXR_EXECUTION_COMPLETE");
}

/// Before a wanted end of the process: nothing held back is lost.
pub fn end() {
    let Some(channel) = CHANNEL.get() else { return };
    channel.send_rest(&mut lock(&channel.output), current_run());
}

/// Whether `fd` is still the stand-in that [`open`] put there, in the process that owns it.
pub fn owns(fd: i32) -> bool {
    let Some(channel) = CHANNEL.get() else {
        return false;
    };
    is_owner() && inode(fd) == Some(channel.pipes[(fd - 1) as usize].inode)
}

/// Whether `fd` 0 is to be answered by the front end.
pub fn serves_input() -> bool {
    CHANNEL.get().is_some() && is_owner()
}

/// What a thread of the cell writes to its standard output.
pub fn write_stdout(bytes: &[u8]) {
    let channel = channel();
    let run = current_run();
    let mut output = lock(&channel.output);
    channel.forward_foreign(&mut output);
    for piece in output.scanner.push(bytes) {
        match channel.authentic(&output, piece) {
            Piece::UserError => channel.user_error(&mut output, run),
            Piece::VariableLost(name) => {
                // evcxr's own text about it is replaced by the kernel's.
                output.held.clear();
                output.held_is_line = false;
                channel.send(Kind::VariableLost, run, name.as_bytes());
                channel.tell_evcxr(&output, &format!("{}{name}", sentinels::VARIABLE_LOST));
            }
            Piece::Text(text) => {
                channel.release_held(&mut output);
                channel.send(Kind::Stdout, run, &text);
            }
            Piece::Content(mime, content) => {
                channel.release_held(&mut output);
                let bundle = serde_json::json!({ "data": { mime: content }, "convention": true });
                channel.send(Kind::Display, run, bundle.to_string().as_bytes());
            }
            Piece::Panic => {
                channel.release_held(&mut output);
                channel.send(Kind::Panicked, run, &[]);
                channel.tell_evcxr(&output, sentinels::PANIC);
            }
            Piece::Input { prompt, password } => output.prompt = Some((prompt, password)),
        }
    }
    if output.scanner.holds_text() {
        channel.wake_pump();
    }
}

/// What a thread of the cell writes to its standard error.
///
/// evcxr's code for a failed `?` prints the error and only then says, on stdout, that it was one.
/// So the last line of the cell's thread is held back until the next thing happens, at most
/// [`HOLD`] milliseconds. `eprintln!` writes its pieces one by one, the newline last.
pub fn write_stderr(bytes: &[u8]) {
    let channel = channel();
    let mut output = lock(&channel.output);
    channel.forward_foreign(&mut output);
    if !IS_CELL_THREAD.get() {
        channel.release_held(&mut output);
        channel.send(Kind::Stderr, current_run(), bytes);
        return;
    }
    if output.held_is_line {
        channel.release_held(&mut output);
    }
    if output.held.is_empty() {
        channel.wake_pump();
    }
    output.held.extend_from_slice(bytes);
    output.held_is_line = bytes.ends_with(b"\n");
    if output.held.len() > 64 * 1024 {
        channel.release_held(&mut output);
    }
}

/// Serves a read of descriptor 0: asks the front end for a line where none is left over.
pub fn read_stdin(buffer: &mut [u8]) -> Result<usize, NoInput> {
    let channel = channel();
    let mut left = lock(&channel.input);
    if left.is_empty() {
        let prompt = lock(&channel.output).prompt.take();
        let (prompt, password) = prompt.unwrap_or_default();
        let line = ask(&prompt, password)?;
        left.extend(line.bytes());
        left.push_back(b'\n');
    }
    let count = buffer.len().min(left.len());
    for (target, byte) in buffer.iter_mut().zip(left.drain(..count)) {
        *target = byte;
    }
    Ok(count)
}

/// Asks the front end for a line, and waits.
pub fn ask(prompt: &str, password: bool) -> Result<String, NoInput> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = lock(&ONE_AT_A_TIME);
    let channel = channel();
    // The prompt that the user printed without a newline must be on the screen first.
    {
        let mut output = lock(&channel.output);
        channel.release_held(&mut output);
        if let Some(text) = output.scanner.flush() {
            channel.send(Kind::Stdout, current_run(), &text);
        }
    }
    let request = serde_json::json!({ "prompt": prompt, "password": password });
    let mut reply = lock(&channel.reply);
    *reply = None;
    if is_interrupted() {
        YIELDED.store(current_run(), Ordering::Relaxed);
        return Err(NoInput::Interrupted);
    }
    channel.asking.store(true, Ordering::Relaxed);
    send(Kind::InputRequest, request.to_string().as_bytes());
    loop {
        let taken = reply.take();
        if taken.is_some() {
            channel.asking.store(false, Ordering::Relaxed);
        }
        match taken {
            Some(InputReply::Line(line)) => return Ok(line),
            Some(InputReply::NotAllowed) => return Err(NoInput::NotAllowed),
            Some(InputReply::Interrupted) => return Err(NoInput::Interrupted),
            None => {
                reply = channel
                    .replied
                    .wait(reply)
                    .unwrap_or_else(|poisoned| poisoned.into_inner());
            }
        }
    }
}

/// Whether the calling thread runs the cell's code itself.
pub fn on_cell_thread() -> bool {
    IS_CELL_THREAD.get()
}

/// Lets the calling thread belong to another run (0: always the one in progress), and returns the one before.
pub fn enter_run(run: u64) -> u64 {
    THREAD_RUN.replace(run)
}

/// The calling thread is the worker's own: no interrupt is meant for it.
pub fn belong_to_no_run() {
    THREAD_RUN.set(u64::MAX);
}

/// The run that the calling thread belongs to, and a thread that it starts.
pub fn current_run() -> u64 {
    match THREAD_RUN.get() {
        0 => RUN.load(Ordering::Relaxed),
        run => run,
    }
}

/// Whether the calling thread belongs to a run that the user has interrupted.
pub fn is_interrupted() -> bool {
    let interrupted = INTERRUPTED.load(Ordering::Relaxed);
    interrupted != 0 && interrupted == current_run()
}

/// The same; the run counts as having yielded then.
pub fn take_interrupt() -> bool {
    let is_interrupted = is_interrupted();
    if is_interrupted {
        YIELDED.store(current_run(), Ordering::Relaxed);
    }
    is_interrupted
}

/// Whether a run has yielded to an interrupt.
pub fn has_yielded(run: u64) -> bool {
    YIELDED.load(Ordering::Relaxed) == run
}

impl Channel {
    /// Writes one frame. Called with the output lock held, apart from the first frame.
    fn send(&self, kind: Kind, run: u64, payload: &[u8]) {
        let header = frames::header(kind, run, payload.len());
        if !send_all(self.socket, &header) || !send_all(self.socket, payload) {
            // The kernel is gone, and with it everybody who could see a result.
            crash::end_orphans();
        }
    }

    /// Sends all that has been written so far, whatever it was held back for.
    fn send_rest(&self, output: &mut MutexGuard<'_, Output>, run: u64) {
        self.forward_foreign(output);
        self.release_held(output);
        if let Some(text) = output.scanner.finish() {
            self.send(Kind::Stdout, run, &text);
        }
    }

    fn release_held(&self, output: &mut MutexGuard<'_, Output>) {
        if !output.held.is_empty() {
            let held = std::mem::take(&mut output.held);
            output.held_is_line = false;
            self.send(Kind::Stderr, current_run(), &held);
        }
    }

    /// evcxr's words about errors and lost variables follow a line on stderr. Without it, it is the
    /// user who has printed the word.
    fn authentic(&self, output: &Output, piece: Piece) -> Piece {
        let line = |word: &str| Piece::Text(format!("{word}\n").into_bytes());
        match piece {
            Piece::UserError if !output.held_is_line => line(sentinels::USER_ERROR),
            Piece::VariableLost(name) => {
                let expected =
                    format!("The type of the variable {name} was redefined, so was lost.\n");
                if output.held == expected.as_bytes() {
                    Piece::VariableLost(name)
                } else {
                    line(&format!("{}{name}", sentinels::VARIABLE_LOST))
                }
            }
            other => other,
        }
    }

    /// A `?` returned an error: what stderr holds is its text, and this thread still stands in the
    /// conversion that evcxr generated, so a backtrace shows the line.
    fn user_error(&self, output: &mut MutexGuard<'_, Output>, run: u64) {
        let held = std::mem::take(&mut output.held);
        output.held_is_line = false;
        let text = String::from_utf8_lossy(&held);
        let report = serde_json::json!({ "text": text.trim_end(), "frames": backtrace::capture() });
        self.send(Kind::UserError, run, report.to_string().as_bytes());
        self.tell_evcxr(output, sentinels::USER_ERROR);
    }

    fn tell_evcxr(&self, output: &Output, line: &str) {
        let line = format!("{line}\n");
        let mut rest = line.as_bytes();
        while !rest.is_empty() {
            let written = system_write(output.evcxr, rest);
            if written <= 0 {
                crash::end_orphans();
            }
            rest = &rest[written as usize..];
        }
    }

    /// Sends what other programs have written into the stand-in pipes so far. A program that a cell
    /// waits for has written before the cell goes on, so this comes before what the cell writes next.
    fn forward_foreign(&self, output: &mut MutexGuard<'_, Output>) {
        let mut fds = [0, 1].map(|stream: usize| libc::pollfd {
            fd: self.pipes[stream].read,
            events: libc::POLLIN,
            revents: 0,
        });
        // SAFETY: the array holds two valid entries for the time of the call, which does not wait.
        if unsafe { libc::poll(fds.as_mut_ptr(), 2, 0) } <= 0 {
            return;
        }
        let mut buffer = [0; 16 * 1024];
        for (stream, fd) in fds.iter().enumerate() {
            if fd.revents == 0 {
                continue;
            }
            loop {
                // Not through `interpose`: this is no descriptor of the cell.
                // SAFETY: the buffer is ours and as long as said; the descriptor does not block.
                let count = unsafe { libc::read(fd.fd, buffer.as_mut_ptr().cast(), buffer.len()) };
                if count <= 0 {
                    break;
                }
                self.release_held(output);
                let kind = [Kind::Stdout, Kind::Stderr][stream];
                let run = RUN.load(Ordering::Relaxed);
                self.send(kind, run, &buffer[..count as usize]);
            }
        }
    }

    fn wake_pump(&self) {
        let one = 1_u64.to_ne_bytes();
        // A full eventfd means that the pump is awake already.
        let _ = system_write(self.wake, &one);
    }
}

/// The thread that forwards the stand-in pipes and lets go of what was held back too long.
fn pump() {
    let channel = channel();
    let watch = |fd| libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    };
    let mut fds = [
        watch(channel.pipes[0].read),
        watch(channel.pipes[1].read),
        watch(channel.wake),
    ];
    loop {
        // SAFETY: the array holds three valid entries for the time of the call.
        if unsafe { libc::poll(fds.as_mut_ptr(), 3, -1) } < 0 {
            continue;
        }
        if fds[2].revents != 0 {
            std::thread::sleep(Duration::from_millis(HOLD as u64));
            let mut count = [0; 8];
            // SAFETY: an eventfd is read as eight bytes.
            unsafe { libc::read(channel.wake, count.as_mut_ptr().cast(), 8) };
            let mut output = lock(&channel.output);
            channel.release_held(&mut output);
            if let Some(text) = output.scanner.flush() {
                channel.send(Kind::Stdout, RUN.load(Ordering::Relaxed), &text);
            }
        }
        if fds[0].revents != 0 || fds[1].revents != 0 {
            channel.forward_foreign(&mut lock(&channel.output));
        }
    }
}

/// The thread that listens to the kernel.
fn serve(mut socket: Socket) {
    let mut decoder = Decoder::default();
    while let Ok(Some(frame)) = frames::read_frame(&mut socket, &mut decoder) {
        answer(&frame);
    }
    // The end of the stream comes a little before the kernel's own end.
    std::thread::sleep(Duration::from_millis(100));
    crash::end_orphans();
}

fn answer(frame: &Frame) {
    let channel = channel();
    let text = || String::from_utf8_lossy(&frame.payload);
    match frame.kind {
        Kind::Sync => send(Kind::Synced, &frame.payload),
        Kind::SetEnv => {
            let variables: serde_json::Map<String, serde_json::Value> =
                serde_json::from_slice(&frame.payload).unwrap_or_default();
            for (name, value) in &variables {
                prelude::set_env(name, value.as_str());
            }
            *lock(&channel.configured) = true;
            channel.configured_changed.notify_all();
        }
        Kind::Chdir => {
            let _ = std::env::set_current_dir(&*text());
        }
        Kind::Profile => profile::want(frame.payload == b"1"),
        Kind::KeepPanics => {
            kept::want(frame.payload == b"1");
            if frame.payload == b"2" {
                kept::forget();
            }
        }
        Kind::Located => locate::answered(&frame.payload),
        Kind::Where => send(Kind::Standing, standing::report(&frame.payload).as_bytes()),
        Kind::InputReply => {
            let reply: serde_json::Value =
                serde_json::from_slice(&frame.payload).unwrap_or_default();
            *lock(&channel.reply) = Some(match reply["line"].as_str() {
                Some(line) => InputReply::Line(line.to_owned()),
                None => InputReply::NotAllowed,
            });
            channel.replied.notify_all();
        }
        Kind::Interrupt => {
            let run = frame
                .payload
                .as_slice()
                .try_into()
                .map_or(0, u64::from_le_bytes);
            // One that has ended meanwhile is not meant.
            if run == RUN.load(Ordering::Relaxed) {
                INTERRUPTED.store(run, Ordering::Relaxed);
                prelude::interrupt();
                // Whoever waits for a line waits no longer; YIELDED makes it the interrupt's doing.
                let mut reply = lock(&channel.reply);
                if channel.asking.load(Ordering::Relaxed) {
                    YIELDED.store(run, Ordering::Relaxed);
                    *reply = Some(InputReply::Interrupted);
                    channel.replied.notify_all();
                }
                drop(reply);
                // A rank cannot leave its cell behind: its variables would not be those of the others.
                if !frames::is_rank() {
                    blocked::watch(run, super::go_on);
                }
            }
        }
        // A newer kernel may say more than this worker knows.
        _ => {}
    }
}

fn channel() -> &'static Channel {
    CHANNEL.get().expect("the side channel is opened first")
}

/// A panic while the lock was held cannot leave half a frame behind: sending does not panic. (Nor can it with
/// what `worker` itself holds, which is assigned whole.)
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Whether this is the worker itself and not a process that it forked.
pub fn is_owner() -> bool {
    // SAFETY: getpid has no preconditions.
    OWNER.load(Ordering::Relaxed) == unsafe { libc::getpid() }
}

/// Puts a new pipe in the place of a standard stream.
fn stand_in(fd: RawFd) -> io::Result<Pipe> {
    let mut ends = [0; 2];
    // SAFETY: `ends` has room for two descriptors; the rest are plain calls on them.
    unsafe {
        if libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) != 0 || libc::dup2(ends[1], fd) < 0 {
            return Err(io::Error::last_os_error());
        }
        libc::close(ends[1]);
        let flags = libc::fcntl(ends[0], libc::F_GETFL);
        libc::fcntl(ends[0], libc::F_SETFL, flags | libc::O_NONBLOCK);
    }
    let inode = inode(fd).ok_or_else(io::Error::last_os_error)?;
    Ok(Pipe {
        read: ends[0],
        inode,
    })
}

fn duplicate(fd: RawFd) -> io::Result<RawFd> {
    // SAFETY: duplicating a descriptor has no memory effects.
    let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 10) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(copy)
}

fn inode(fd: RawFd) -> Option<u64> {
    // SAFETY: an all-zero stat is valid, and fstat only writes into it.
    unsafe {
        let mut status: libc::stat = std::mem::zeroed();
        (libc::fstat(fd, &mut status) == 0).then_some(status.st_ino)
    }
}

fn send_all(socket: RawFd, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        // SAFETY: the pointer and the length describe `bytes`.
        let sent = unsafe {
            libc::send(
                socket,
                bytes.as_ptr().cast(),
                bytes.len(),
                libc::MSG_NOSIGNAL,
            )
        };
        if sent < 0 {
            if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted {
                continue;
            }
            return false;
        }
        bytes = &bytes[sent as usize..];
    }
    true
}
