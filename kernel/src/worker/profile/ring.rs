//! The handler of the timers' signal, and the ring into which it copies registers and stacks.
//!
//! What always holds:
//! * the handler takes no lock, allocates nothing and leaves `errno` as it was: it claims a place with one
//!   compare-and-exchange, or counts the sample as dropped;
//! * it reads the stack of its own thread only, between the stack pointer and the place where the
//!   thread began; code that runs on a stack of its own making is known by its instruction alone;
//! * the ring is mapped once and for ever, so a signal that comes late finds it.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

pub const SIGNAL: libc::c_int = libc::SIGPROF;

/// How much of a stack is copied. A sample costs the memory and the time that its stack needs, not all of
/// this; a recursion of some thousand calls still fits.
const STACK: usize = 256 * 1024;

/// How many samples may wait. The collector comes every few milliseconds; 256 is what 100 threads
/// produce in 10 ms at the finest tick.
const SLOTS: usize = 256;

/// One sample. `state` says whose it is: a place is the handler's between FREE and FULL (acquired by its
/// compare-and-exchange, released by its store), and the collector's between FULL and FREE.
#[repr(C)]
struct Slot {
    state: AtomicU32,
    thread: i32,
    name: [u8; 16],
    registers: Registers,
    length: usize,
    stack: [u8; STACK],
}

const FREE: u32 = 0;
const WRITING: u32 = 1;
const FULL: u32 = 2;

/// What unwinding begins with.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Registers {
    pub ip: u64,
    pub sp: u64,
    pub bp: u64,
}

/// A sample as the collector sees it.
pub struct Sample<'a> {
    /// The system's number of the thread, and its name (NUL behind it).
    pub thread: i32,
    pub name: [u8; 16],
    pub registers: Registers,
    /// What lies at the stack pointer and above.
    pub stack: &'a [u8],
}

/// Null until the first profile.
static RING: AtomicPtr<Slot> = AtomicPtr::new(std::ptr::null_mut());
/// Whether samples are wanted.
static OPEN: AtomicBool = AtomicBool::new(false);
/// Samples for which there was no place; a plain counter.
static DROPPED: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Lowest and highest address of this thread's stack; the same twice if it is not known. Constant and
    /// without a destructor, so a handler may read it at any time.
    static BOUNDS: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

/// Tells where the calling thread's stack lies: it has this size, and `here` is a local of the function with
/// which the thread began. Only what is below that matters.
pub fn know_stack(here: *const u8, size: usize) {
    // The stack's mapping begins a little above `here`, so it ends a little above what the size says. Below
    // may lie another mapping, perhaps a stack of the user's own making.
    const MARGIN: usize = 64 * 1024;
    let top = here as usize;
    let low = top.saturating_sub(size).saturating_add(MARGIN).min(top);
    BOUNDS.set((low, top));
}

/// The same for the process's first thread.
pub fn know_main_stack(here: *const u8) {
    // Without a limit the system keeps some gigabytes free for it; this much is enough to know.
    know_stack(here, stack_limit().min(1 << 30));
}

/// At least so large is the stack of a thread that was started without attributes: as the limit says, or
/// 2 MiB on x86_64 if there is none (pthread_create(3)).
pub fn default_stack() -> usize {
    stack_limit().min(2 << 20)
}

fn stack_limit() -> usize {
    // SAFETY: an all-zero rlimit is valid, and getrlimit only writes into it.
    let limit = unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        libc::getrlimit(libc::RLIMIT_STACK, &raw mut limit);
        limit.rlim_cur
    };
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// Makes the ring and installs the handler; false if the system refuses.
pub fn prepare() -> bool {
    if RING.load(Ordering::Acquire).is_null() {
        // SAFETY: a fresh private mapping of zeroes, which are valid for a slot (FREE). Pages that no
        // sample needs are never made.
        let memory = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                SLOTS * size_of::<Slot>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if memory == libc::MAP_FAILED {
            return false;
        }
        RING.store(memory.cast(), Ordering::Release);
    }
    // Anew for each profile, since the cells' code may have put another one in its place. It stays
    // afterwards: the signal's default would end the process if one came late.
    // SAFETY: the handler is async-signal-safe; an all-zero sigaction is valid. All other signals wait
    // meanwhile, above all the one by which `blocked` stops a thread for ever.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_tick as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
        libc::sigfillset(&raw mut action.sa_mask);
        for fatal in [libc::SIGSEGV, libc::SIGBUS] {
            libc::sigdelset(&raw mut action.sa_mask, fatal);
        }
        libc::sigaction(SIGNAL, &action, std::ptr::null_mut()) == 0
    }
}

/// Samples are wanted from now on.
pub fn open() {
    DROPPED.store(0, Ordering::SeqCst);
    OPEN.store(true, Ordering::SeqCst);
}

/// Samples are not wanted any more.
pub fn close() {
    OPEN.store(false, Ordering::SeqCst);
}

/// Samples that were lost since [`open`].
pub fn dropped() -> u64 {
    DROPPED.load(Ordering::SeqCst)
}

/// Gives all samples that are there to `take`, and their places back. Only one thread may call this.
pub fn drain(mut take: impl FnMut(Sample<'_>)) {
    let ring = RING.load(Ordering::Acquire);
    if ring.is_null() {
        return;
    }
    for index in 0..SLOTS {
        // SAFETY: the ring has this many slots, and is never unmapped.
        let slot = unsafe { ring.add(index) };
        // SAFETY: an atomic in mapped memory.
        let state = unsafe { &(*slot).state };
        if state.load(Ordering::Acquire) != FULL {
            continue;
        }
        // SAFETY: a full slot is the collector's alone, and its handler has written all of it but the rest
        // of the stack's place, which is zero or of an earlier sample.
        let sample = unsafe {
            let stack = &raw const (*slot).stack;
            Sample {
                thread: (*slot).thread,
                name: (*slot).name,
                registers: (*slot).registers,
                stack: std::slice::from_raw_parts(stack.cast::<u8>(), (*slot).length),
            }
        };
        take(sample);
        state.store(FREE, Ordering::Release);
    }
}

/// Waits until no handler is at work any more. Comes after [`close`].
pub fn wait_for_handlers() {
    let ring = RING.load(Ordering::Acquire);
    let writes = |index: usize| {
        // SAFETY: as in `drain`.
        let state = unsafe { &(*ring.add(index)).state };
        state.load(Ordering::Acquire) == WRITING
    };
    // A thread may wait for a processor in the middle of its handler.
    for _ in 0..100 {
        if ring.is_null() || !(0..SLOTS).any(writes) {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Gives the memory of the stacks back to the system. Only when all samples are drained.
pub fn release() {
    let ring = RING.load(Ordering::Acquire);
    for index in 0..SLOTS {
        // SAFETY: as in `drain`. The whole pages inside of one slot's stack become zeroes; nobody else
        // uses them, since a place is claimed while the ring is open only.
        unsafe {
            let slot = ring.add(index);
            if (*slot).state.load(Ordering::Acquire) == FREE {
                let begin = (&raw mut (*slot).stack as usize).next_multiple_of(4096);
                let length = (STACK - 4096) & !4095;
                libc::madvise(begin as *mut libc::c_void, length, libc::MADV_DONTNEED);
            }
        }
    }
}

/// The signal of a timer: its thread has computed for another interval.
extern "C" fn on_tick(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let ring = RING.load(Ordering::Acquire);
    if ring.is_null() || !OPEN.load(Ordering::SeqCst) {
        return;
    }
    // SAFETY: errno belongs to the calling thread.
    let errno = unsafe { *libc::__errno_location() };
    match claim(ring) {
        // SAFETY: the system passes a ucontext to a handler with SA_SIGINFO, and the slot was claimed.
        Some(slot) => unsafe { fill(slot, context) },
        None => {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    }
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}

/// The first place that is free: so a program of few threads uses the memory of few places.
fn claim(ring: *mut Slot) -> Option<*mut Slot> {
    (0..SLOTS).find_map(|index| {
        // SAFETY: the ring has this many slots, and is never unmapped.
        let slot = unsafe { ring.add(index) };
        // SAFETY: an atomic in mapped memory.
        let state = unsafe { &(*slot).state };
        let is_ours = state.load(Ordering::Relaxed) == FREE
            && state
                .compare_exchange(FREE, WRITING, Ordering::Acquire, Ordering::Relaxed)
                .is_ok();
        is_ours.then_some(slot)
    })
}

/// # Safety
/// The slot is claimed by the caller; `context` is the ucontext of the signal that the calling thread
/// handles.
unsafe fn fill(slot: *mut Slot, context: *mut libc::c_void) {
    // SAFETY: promised by the caller. The stack between the stack pointer and its top is mapped, and this
    // very thread stands above it; the name's place has the 16 bytes that prctl writes.
    unsafe {
        let saved = &(*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs;
        let registers = Registers {
            ip: saved[libc::REG_RIP as usize] as u64,
            sp: saved[libc::REG_RSP as usize] as u64,
            bp: saved[libc::REG_RBP as usize] as u64,
        };
        (*slot).registers = registers;
        (*slot).thread = libc::syscall(libc::SYS_gettid) as i32;
        libc::prctl(libc::PR_GET_NAME, (&raw mut (*slot).name).cast::<u8>());
        let (low, high) = BOUNDS.get();
        let sp = registers.sp as usize;
        let length = if sp >= low && sp < high {
            (high - sp).min(STACK)
        } else {
            0
        };
        let target = (&raw mut (*slot).stack).cast::<u8>();
        std::ptr::copy_nonoverlapping(sp as *const u8, target, length);
        (*slot).length = length;
        (*slot).state.store(FULL, Ordering::Release);
    }
}
