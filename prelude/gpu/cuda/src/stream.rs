//! Streams, and events with their times.
//!
//! CUDA's events are moments, the table's are spans: a pair of CUDA's, recorded before and behind what is ordered. Times
//! between two of CUDA's are `f32` milliseconds, so after a minute they are good to a few microseconds only. A device
//! therefore has a new moment of reference every few seconds, and each event is measured from the nearest one before it.

use std::ptr::null_mut;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use cust::sys::{self, CUevent, CUstream};

use crate::table::Handle;
use crate::{Opened, answer, check, open};

/// How old a moment of reference may be: 4 s are known to 0.25 µs, which is finer than the devices' own clocks.
const OLDEST: Duration = Duration::from_secs(4);

/// CUDA_ERROR_NOT_READY.
const NOT_READY: i32 = 600;

/// The moments of reference of a device.
pub struct Clock {
    /// Nothing else is ever ordered here, so a moment is there as soon as it is asked for.
    stream: CUstream,
    /// All of them, because old events may be asked for: one for each four seconds in which something was measured.
    moments: Mutex<Vec<Moment>>,
}

struct Moment {
    event: CUevent,
    asked_at: Instant,
    /// Nanoseconds after the first one, once that has been asked for.
    at: Option<f64>,
}

// SAFETY: events and streams of CUDA may be used from any thread.
unsafe impl Send for Moment {}

impl Clock {
    /// The clock of the context that is current.
    pub fn new() -> Result<Clock, i32> {
        let clock = Clock {
            stream: new_stream()?,
            moments: Mutex::new(Vec::new()),
        };
        clock.moment()?;
        Ok(clock)
    }

    /// The number of the moment that events of now are measured from.
    fn moment(&self) -> Result<usize, i32> {
        let mut moments = self.moments.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if moments
            .last()
            .is_none_or(|last| now - last.asked_at > OLDEST)
        {
            let event = new_event()?;
            record(event, self.stream)?;
            let at = moments.is_empty().then_some(0.0);
            moments.push(Moment {
                event,
                asked_at: now,
                at,
            });
        }
        Ok(moments.len() - 1)
    }

    /// The moment of a number, with its time.
    fn time_of(&self, number: usize) -> Result<(CUevent, f64), i32> {
        let mut moments = self.moments.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = number;
        while moments[known].at.is_none() {
            // The first one has a time.
            known -= 1;
        }
        for next in known + 1..=number {
            let (before, event) = (&moments[next - 1], moments[next].event);
            let at = before.at.unwrap_or(0.0);
            finish(event)?;
            let at = at + nanoseconds(before.event, event)?;
            moments[next].at = Some(at);
        }
        let moment = &moments[number];
        Ok((moment.event, moment.at.unwrap_or(0.0)))
    }
}

/// What the handle of an event points to.
struct Span {
    /// None for a mark, which begins when it ends.
    begin: Option<CUevent>,
    end: CUevent,
    /// The moment that it is measured from.
    moment: usize,
}

/// A span that is being ordered: its begin is recorded. Without an event for the caller it is nothing.
pub struct Began(Option<(CUevent, usize)>);

impl Began {
    /// To be called before what the event is for.
    ///
    /// # Safety
    /// A stream of the device.
    pub unsafe fn new(device: &Opened, stream: CUstream, event: *mut Handle) -> Result<Began, i32> {
        if event.is_null() {
            return Ok(Began(None));
        }
        let moment = device.clock.moment()?;
        let begin = new_event()?;
        record(begin, stream).inspect_err(|_| destroy(begin))?;
        Ok(Began(Some((begin, moment))))
    }

    /// To be called behind it: gives the event to the caller.
    ///
    /// # Safety
    /// The same stream and event as before, and `event` is valid if it is not null.
    pub unsafe fn end(mut self, stream: CUstream, event: *mut Handle) -> Result<(), i32> {
        let Some((begin, moment)) = self.0 else {
            return Ok(());
        };
        let end = new_event()?;
        record(end, stream).inspect_err(|_| destroy(end))?;
        self.0 = None;
        let begin = Some(begin);
        let span = Box::new(Span { begin, end, moment });
        // SAFETY: the caller gives a valid pointer.
        unsafe { *event = Box::into_raw(span) as Handle };
        Ok(())
    }
}

impl Drop for Began {
    fn drop(&mut self) {
        // What it was to measure has failed.
        if let Some((begin, _)) = self.0 {
            destroy(begin);
        }
    }
}

fn new_stream() -> Result<CUstream, i32> {
    let mut stream = null_mut();
    let flags = sys::CUstream_flags::CU_STREAM_NON_BLOCKING as u32;
    // SAFETY: a valid pointer; a context is current.
    let result = unsafe { sys::cuStreamCreate(&mut stream, flags) };
    check("cuStreamCreate", result).map(|()| stream)
}

fn new_event() -> Result<CUevent, i32> {
    let mut event = null_mut();
    let flags = sys::CUevent_flags::CU_EVENT_DEFAULT as u32;
    // SAFETY: a valid pointer; a context is current. By default an event has a time.
    let result = unsafe { sys::cuEventCreate(&mut event, flags) };
    check("cuEventCreate", result).map(|()| event)
}

fn record(event: CUevent, stream: CUstream) -> Result<(), i32> {
    // SAFETY: an event and a stream of the context that is current.
    check("cuEventRecord", unsafe {
        sys::cuEventRecord(event, stream)
    })
}

fn finish(event: CUevent) -> Result<(), i32> {
    // SAFETY: an event.
    check("cuEventSynchronize", unsafe {
        sys::cuEventSynchronize(event)
    })
}

/// Ends an event that is not used again. The driver waits for what still needs it.
fn destroy(event: CUevent) {
    // SAFETY: an event that is not used again.
    let _nobody_waits = unsafe { sys::cuEventDestroy_v2(event) };
}

/// From one event to another; both are done.
fn nanoseconds(from: CUevent, to: CUevent) -> Result<f64, i32> {
    let mut milliseconds = 0.0;
    // SAFETY: a valid pointer and two events of a device that have times.
    let result = unsafe { sys::cuEventElapsedTime(&mut milliseconds, from, to) };
    check("cuEventElapsedTime", result).map(|()| f64::from(milliseconds) * 1e6)
}

pub unsafe extern "C" fn stream_new(index: u32, out: *mut Handle) -> i32 {
    answer((|| {
        open(index)?;
        let stream = new_stream()?;
        // SAFETY: the caller gives a valid pointer.
        unsafe { *out = stream as Handle };
        Ok(())
    })())
}

pub unsafe extern "C" fn stream_free(index: u32, stream: Handle) -> i32 {
    answer(open(index).and_then(|_| {
        // SAFETY: the caller gives a stream that it does not use again; what was ordered is still done.
        check("cuStreamDestroy", unsafe {
            sys::cuStreamDestroy_v2(stream as CUstream)
        })
    }))
}

pub unsafe extern "C" fn stream_finish(index: u32, stream: Handle) -> i32 {
    answer(open(index).and_then(|_| {
        // SAFETY: the caller gives a stream.
        check("cuStreamSynchronize", unsafe {
            sys::cuStreamSynchronize(stream as CUstream)
        })
    }))
}

pub unsafe extern "C" fn stream_wait(index: u32, stream: Handle, event: Handle) -> i32 {
    answer(open(index).and_then(|_| {
        // SAFETY: the caller gives a stream and an event; there are no flags.
        check("cuStreamWaitEvent", unsafe {
            sys::cuStreamWaitEvent(stream as CUstream, (*(event as *const Span)).end, 0)
        })
    }))
}

pub unsafe extern "C" fn stream_mark(index: u32, stream: Handle, event: *mut Handle) -> i32 {
    answer((|| {
        let moment = open(index)?.clock.moment()?;
        let end = new_event()?;
        record(end, stream as CUstream).inspect_err(|_| destroy(end))?;
        let begin = None;
        let span = Box::new(Span { begin, end, moment });
        // SAFETY: the caller gives a valid pointer.
        unsafe { *event = Box::into_raw(span) as Handle };
        Ok(())
    })())
}

pub unsafe extern "C" fn event_free(index: u32, event: Handle) -> i32 {
    answer(open(index).map(|_| {
        // SAFETY: the caller gives an event that it does not use again; the handle was made from a box.
        let span = unsafe { Box::from_raw(event as *mut Span) };
        span.begin.into_iter().for_each(destroy);
        destroy(span.end);
    }))
}

pub unsafe extern "C" fn event_is_done(index: u32, event: Handle, out: *mut u32) -> i32 {
    answer(open(index).and_then(|_| {
        // SAFETY: the caller gives an event.
        let result = unsafe { sys::cuEventQuery((*(event as *const Span)).end) };
        let is_done = result as i32 != NOT_READY;
        // SAFETY: the caller gives a valid pointer.
        unsafe { *out = u32::from(is_done) };
        if is_done {
            check("cuEventQuery", result)
        } else {
            Ok(())
        }
    }))
}

pub unsafe extern "C" fn event_finish(index: u32, event: Handle) -> i32 {
    answer(open(index).and_then(|_| {
        // SAFETY: the caller gives an event.
        finish(unsafe { (*(event as *const Span)).end })
    }))
}

pub unsafe extern "C" fn event_times(
    index: u32,
    event: Handle,
    begin: *mut f64,
    end: *mut f64,
) -> i32 {
    answer((|| {
        let clock = &open(index)?.clock;
        // SAFETY: the caller gives an event.
        let span = unsafe { &*(event as *const Span) };
        let (moment, at) = clock.time_of(span.moment)?;
        let first = span.begin.unwrap_or(span.end);
        let began = at + nanoseconds(moment, first)?;
        // The span itself is short, so it is measured by itself.
        let took = match span.begin {
            Some(begin) => nanoseconds(begin, span.end)?,
            None => 0.0,
        };
        // SAFETY: the caller gives valid pointers.
        unsafe { (*begin, *end) = (began, began + took) };
        Ok(())
    })())
}
