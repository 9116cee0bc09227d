//! Streams: rows of orders that a device carries out one after the other (OpenCL: in-order queues), and events in them.
//!
//! Orders of one stream never overtake each other, those of two may. An array that is used in another stream than before
//! waits there for the first, so results are always right; streams only decide what may run side by side.
//!
//! What always holds: rayon's streams have nothing to wait for, an order is done when it returns.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::device::{Device, Driver};
use super::error::GpuResult;
use super::order::{self, Order, Record, When};
use super::table::Handle;
use crate::interrupt;

/// So long a wait only lets others run: most are shorter than the shortest sleep.
const BRISK: Duration = Duration::from_micros(100);
/// Sleeps are a part of the time that was waited already, so that little is lost at the end.
const PART: u32 = 16;
/// An interrupt is seen within this time.
const LONGEST_SLEEP: Duration = Duration::from_millis(10);

/// A row of orders. Copies are the same row.
#[derive(Clone)]
pub struct Stream(Arc<Row>);

struct Row {
    device: Device,
    /// 0 for rayon.
    handle: Handle,
    /// Whether an order may not be done. Another thread's may be missed: then a wait cannot be interrupted, and all else holds.
    may_work: AtomicBool,
}

impl Drop for Row {
    fn drop(&mut self) {
        if let Some(driver) = self.device.driver() {
            // SAFETY: nobody else has it. What was ordered is still carried out.
            unsafe { (driver.table.stream_free)(driver.index, self.handle) };
        }
    }
}

thread_local! {
    /// The streams that this thread has chosen, the last one of a device in force.
    static CHOSEN: RefCell<Vec<Stream>> = const { RefCell::new(Vec::new()) };
}

pub(super) fn chosen(device: Device) -> Option<Stream> {
    CHOSEN.with_borrow(|chosen| {
        let of_device = chosen.iter().rev().find(|stream| stream.0.device == device);
        of_device.cloned()
    })
}

struct Choice;

impl Drop for Choice {
    fn drop(&mut self) {
        CHOSEN.with_borrow_mut(Vec::pop);
    }
}

impl Stream {
    /// A new stream of a device. Each device has one anyway, which is used where none is chosen.
    ///
    /// # Errors
    /// The driver's.
    pub fn new(device: Device) -> GpuResult<Stream> {
        let mut handle = 0;
        if let Some(driver) = device.driver() {
            // SAFETY: the pointer is valid.
            let code = unsafe { (driver.table.stream_new)(driver.index, &raw mut handle) };
            device.check(code, || "a new stream".to_owned())?;
        }
        Ok(Stream(Arc::new(Row {
            device,
            handle,
            may_work: AtomicBool::new(false),
        })))
    }

    /// The device that it belongs to.
    pub fn device(&self) -> Device {
        self.0.device
    }

    /// Waits until all that was ordered is done.
    ///
    /// # Errors
    /// The driver's: an order that failed.
    pub fn finish(&self) -> GpuResult<()> {
        let Some(driver) = self.0.device.driver() else {
            return Ok(());
        };
        self.settle()?;
        // SAFETY: the stream is alive.
        let code = unsafe { (driver.table.stream_finish)(driver.index, self.0.handle) };
        self.0
            .device
            .check(code, || "waiting for a stream".to_owned())?;
        super::kernel::check_faults(self)
    }

    /// Waits until what was ordered is done, in a way that an interrupt of the cell can end; what was ordered goes on then. A driver's
    /// own ways to wait return at their end only, so they come after this.
    pub(super) fn settle(&self) -> GpuResult<()> {
        if !self.0.may_work.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.mark()?.settle()?;
        self.is_settled();
        Ok(())
    }

    /// Notes that all that this thread has ordered is done.
    pub(super) fn is_settled(&self) {
        self.0.may_work.store(false, Ordering::Relaxed);
    }

    /// An event that is done when all that was ordered up to now is.
    ///
    /// # Errors
    /// The driver's.
    pub fn mark(&self) -> GpuResult<Event> {
        let mut handle = 0;
        if let Some(driver) = self.0.device.driver() {
            // SAFETY: the stream is alive, the pointer is valid.
            let code =
                unsafe { (driver.table.stream_mark)(driver.index, self.0.handle, &raw mut handle) };
            self.0
                .device
                .check(code, || "an event in a stream".to_owned())?;
        }
        Ok(Event(Arc::new(Moment {
            device: self.0.device,
            handle,
        })))
    }

    /// What is ordered from now on waits for the event, which may be one of another stream of the device.
    ///
    /// # Errors
    /// The driver's.
    pub fn wait_for(&self, event: &Event) -> GpuResult<()> {
        if event.0.device != self.0.device {
            // There is nothing that could wait for another device but the host.
            return event.finish();
        }
        let Some(driver) = self.0.device.driver() else {
            return Ok(());
        };
        // SAFETY: stream and event are alive, and of one device.
        let code =
            unsafe { (driver.table.stream_wait)(driver.index, self.0.handle, event.0.handle) };
        self.0
            .device
            .check(code, || "a wait of a stream".to_owned())
    }

    /// Runs `work`; what this thread orders of the device meanwhile goes into this stream.
    pub fn scope<R>(&self, work: impl FnOnce() -> R) -> R {
        CHOSEN.with_borrow_mut(|chosen| chosen.push(self.clone()));
        let _ends_with_the_work = Choice;
        work()
    }

    /// Gives an order to the driver.
    pub(super) fn order(
        &self,
        describe: impl FnOnce() -> Order,
        give: impl FnOnce(Driver, Handle, *mut Handle) -> i32,
    ) -> GpuResult<()> {
        let device = self.0.device;
        let Some(driver) = device.driver() else {
            return Ok(());
        };
        self.0.may_work.store(true, Ordering::Relaxed);
        if !order::is_recording() {
            let code = give(driver, self.0.handle, std::ptr::null_mut());
            return device.check(code, || describe().name.into_owned());
        }
        let (order, given, mut handle) = (describe(), Instant::now(), 0);
        let code = give(driver, self.0.handle, &raw mut handle);
        device.check(code, || order.name.clone().into_owned())?;
        let event = Event(Arc::new(Moment { device, handle }));
        order::note(Record {
            device,
            order,
            given,
            when: When::Event(event),
        });
        Ok(())
    }
}

impl PartialEq for Stream {
    fn eq(&self, other: &Stream) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stream({})", self.0.device)
    }
}

/// A moment in a stream: done when all that was ordered before it is.
#[derive(Clone)]
pub struct Event(Arc<Moment>);

struct Moment {
    device: Device,
    /// 0 for rayon.
    handle: Handle,
}

impl Drop for Moment {
    fn drop(&mut self) {
        if let Some(driver) = self.device.driver()
            && self.handle != 0
        {
            // SAFETY: nobody else has it.
            unsafe { (driver.table.event_free)(driver.index, self.handle) };
        }
    }
}

impl Event {
    /// Whether it is done.
    ///
    /// # Errors
    /// The driver's: an order that failed.
    pub fn is_done(&self) -> GpuResult<bool> {
        let Some(driver) = self.0.device.driver() else {
            return Ok(true);
        };
        let mut done = 0;
        // SAFETY: the event is alive, the pointer is valid.
        let code =
            unsafe { (driver.table.event_is_done)(driver.index, self.0.handle, &raw mut done) };
        self.0.device.check(code, || "an event".to_owned())?;
        Ok(done != 0)
    }

    /// Waits until it is done.
    ///
    /// # Errors
    /// The driver's: an order that failed.
    pub fn finish(&self) -> GpuResult<()> {
        let Some(driver) = self.0.device.driver() else {
            return Ok(());
        };
        self.settle()?;
        // SAFETY: the event is alive.
        let code = unsafe { (driver.table.event_finish)(driver.index, self.0.handle) };
        self.0
            .device
            .check(code, || "waiting for an event".to_owned())
    }

    /// Waits until it is done; an interrupt of the cell ends that.
    fn settle(&self) -> GpuResult<()> {
        let begun = Instant::now();
        while !self.is_done()? {
            interrupt::check();
            let waited = begun.elapsed();
            if waited < BRISK {
                std::thread::yield_now();
            } else {
                std::thread::sleep((waited / PART).min(LONGEST_SLEEP));
            }
        }
        Ok(())
    }

    /// Begin and end of the order that it belongs to, in seconds on the device's clock.
    pub(super) fn times(&self) -> GpuResult<(f64, f64)> {
        let Some(driver) = self.0.device.driver() else {
            return Ok((0.0, 0.0));
        };
        self.finish()?;
        let (mut begin, mut end) = (0.0, 0.0);
        // SAFETY: the event is alive and done, the pointers are valid.
        let code = unsafe {
            (driver.table.event_times)(driver.index, self.0.handle, &raw mut begin, &raw mut end)
        };
        self.0
            .device
            .check(code, || "the times of an event".to_owned())?;
        Ok((begin * 1e-9, end * 1e-9))
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Event({})", self.0.device)
    }
}
