//! Buffers, queues, events, copies.

use std::ffi::c_void;
use std::ptr::{null, null_mut};

use ocl::ffi;

use crate::table::Handle;
use crate::{answer, check, device};

pub unsafe extern "C" fn allocate(index: u32, bytes: usize, out: *mut Handle) -> i32 {
    answer((|| {
        let context = device(index)?.context()?;
        let mut result = 0;
        let flags = ffi::CL_MEM_READ_WRITE;
        // SAFETY: no memory of the host is handed over.
        let buffer = unsafe { ffi::clCreateBuffer(context, flags, bytes, null_mut(), &mut result) };
        check("clCreateBuffer", result)?;
        // SAFETY: the caller gives a valid pointer.
        unsafe { *out = buffer as Handle };
        Ok(())
    })())
}

pub unsafe extern "C" fn free(_: u32, buffer: Handle) -> i32 {
    // SAFETY: the caller gives a buffer that it does not use again. Commands that use it hold it themselves.
    let result = unsafe { ffi::clReleaseMemObject(buffer as ffi::cl_mem) };
    answer(check("clReleaseMemObject", result))
}

pub unsafe extern "C" fn memory(index: u32, free: *mut u64, total: *mut u64) -> i32 {
    answer((|| {
        let device = device(index)?;
        let mut bytes = 0_u64;
        // SAFETY: the room is eight bytes.
        let result = unsafe {
            ffi::clGetDeviceInfo(
                device.id,
                ffi::CL_DEVICE_GLOBAL_MEM_SIZE,
                8,
                (&raw mut bytes).cast(),
                null_mut(),
            )
        };
        check("clGetDeviceInfo", result)?;
        // SAFETY: the caller gives valid pointers.
        unsafe {
            *free = 0;
            *total = bytes;
        }
        Ok(())
    })())
}

pub unsafe extern "C" fn stream_new(index: u32, out: *mut Handle) -> i32 {
    answer((|| {
        let device = device(index)?;
        let context = device.context()?;
        let mut result = 0;
        let properties = ffi::CL_QUEUE_PROFILING_ENABLE;
        // SAFETY: the device belongs to the context.
        let queue =
            unsafe { ffi::clCreateCommandQueue(context, device.id, properties, &mut result) };
        check("clCreateCommandQueue", result)?;
        // SAFETY: the caller gives a valid pointer.
        unsafe { *out = queue as Handle };
        Ok(())
    })())
}

pub unsafe extern "C" fn stream_free(_: u32, stream: Handle) -> i32 {
    // SAFETY: the caller gives a queue that it does not use again.
    let result = unsafe { ffi::clReleaseCommandQueue(stream as ffi::cl_command_queue) };
    answer(check("clReleaseCommandQueue", result))
}

pub unsafe extern "C" fn stream_finish(_: u32, stream: Handle) -> i32 {
    // SAFETY: the caller gives a queue.
    answer(check("clFinish", unsafe {
        ffi::clFinish(stream as ffi::cl_command_queue)
    }))
}

pub unsafe extern "C" fn stream_wait(_: u32, stream: Handle, event: Handle) -> i32 {
    let (queue, event) = (stream as ffi::cl_command_queue, event as ffi::cl_event);
    // SAFETY: the caller gives a queue and an event of one context.
    let result = unsafe { ffi::clEnqueueBarrierWithWaitList(queue, 1, &event, null_mut()) };
    answer(check("clEnqueueBarrierWithWaitList", result))
}

pub unsafe extern "C" fn stream_mark(_: u32, stream: Handle, event: *mut Handle) -> i32 {
    let queue = stream as ffi::cl_command_queue;
    // SAFETY: the caller gives a queue and room for the event, which is a pointer. The flush lets other queues wait for it.
    let result = unsafe {
        match ffi::clEnqueueMarkerWithWaitList(queue, 0, null(), event.cast()) {
            0 => ffi::clFlush(queue),
            failed => failed,
        }
    };
    answer(check("clEnqueueMarkerWithWaitList", result))
}

pub unsafe extern "C" fn event_free(_: u32, event: Handle) -> i32 {
    // SAFETY: the caller gives an event that it does not use again.
    let result = unsafe { ffi::clReleaseEvent(event as ffi::cl_event) };
    answer(check("clReleaseEvent", result))
}

pub unsafe extern "C" fn event_is_done(_: u32, event: Handle, out: *mut u32) -> i32 {
    let mut status = 0_i32;
    // SAFETY: the caller gives an event; the room is four bytes.
    let result = unsafe {
        ffi::clGetEventInfo(
            event as ffi::cl_event,
            ffi::CL_EVENT_COMMAND_EXECUTION_STATUS,
            4,
            (&raw mut status).cast(),
            null_mut(),
        )
    };
    answer(check("clGetEventInfo", result).and_then(|()| {
        // SAFETY: the caller gives a valid pointer.
        unsafe { *out = u32::from(status <= ffi::CL_COMPLETE) };
        // Negative: the command failed.
        if status < 0 {
            check("the command", status)
        } else {
            Ok(())
        }
    }))
}

pub unsafe extern "C" fn event_finish(_: u32, event: Handle) -> i32 {
    let event = event as ffi::cl_event;
    // SAFETY: the caller gives an event.
    answer(check("clWaitForEvents", unsafe {
        ffi::clWaitForEvents(1, &event)
    }))
}

pub unsafe extern "C" fn event_times(_: u32, event: Handle, begin: *mut f64, end: *mut f64) -> i32 {
    let ask = |what: u32| {
        let mut time = 0_u64;
        // SAFETY: the caller gives an event that is done; the room is eight bytes.
        let result = unsafe {
            ffi::clGetEventProfilingInfo(
                event as ffi::cl_event,
                what,
                8,
                (&raw mut time).cast(),
                null_mut(),
            )
        };
        check("clGetEventProfilingInfo", result).map(|()| time as f64)
    };
    answer((|| {
        let times = (
            ask(ffi::CL_PROFILING_COMMAND_START)?,
            ask(ffi::CL_PROFILING_COMMAND_END)?,
        );
        // SAFETY: the caller gives valid pointers.
        unsafe { (*begin, *end) = times };
        Ok(())
    })())
}

pub unsafe extern "C" fn write(
    _: u32,
    stream: Handle,
    to: Handle,
    offset: usize,
    from: *const c_void,
    bytes: usize,
    event: *mut Handle,
) -> i32 {
    // SAFETY: the caller gives a queue, a buffer that is large enough, and memory to read; it waits until that is read.
    answer(check("clEnqueueWriteBuffer", unsafe {
        ffi::clEnqueueWriteBuffer(
            stream as ffi::cl_command_queue,
            to as ffi::cl_mem,
            1,
            offset,
            bytes,
            from,
            0,
            null(),
            event.cast(),
        )
    }))
}

pub unsafe extern "C" fn read(
    _: u32,
    stream: Handle,
    from: Handle,
    offset: usize,
    to: *mut c_void,
    bytes: usize,
    event: *mut Handle,
) -> i32 {
    // SAFETY: as above, the other way.
    answer(check("clEnqueueReadBuffer", unsafe {
        ffi::clEnqueueReadBuffer(
            stream as ffi::cl_command_queue,
            from as ffi::cl_mem,
            1,
            offset,
            bytes,
            to,
            0,
            null(),
            event.cast(),
        )
    }))
}

pub unsafe extern "C" fn copy(
    _: u32,
    stream: Handle,
    from: Handle,
    from_offset: usize,
    to: Handle,
    to_offset: usize,
    bytes: usize,
    event: *mut Handle,
) -> i32 {
    // SAFETY: the caller gives a queue and buffers that are large enough.
    answer(check("clEnqueueCopyBuffer", unsafe {
        ffi::clEnqueueCopyBuffer(
            stream as ffi::cl_command_queue,
            from as ffi::cl_mem,
            to as ffi::cl_mem,
            from_offset,
            to_offset,
            bytes,
            0,
            null(),
            event.cast(),
        )
    }))
}

pub unsafe extern "C" fn fill(
    _: u32,
    stream: Handle,
    to: Handle,
    offset: usize,
    pattern: *const c_void,
    pattern_bytes: usize,
    bytes: usize,
    event: *mut Handle,
) -> i32 {
    // SAFETY: the caller gives a queue, a buffer that is large enough and a pattern, which is copied at once.
    answer(check("clEnqueueFillBuffer", unsafe {
        ffi::clEnqueueFillBuffer(
            stream as ffi::cl_command_queue,
            to as ffi::cl_mem,
            pattern,
            pattern_bytes,
            offset,
            bytes,
            0,
            null(),
            event.cast(),
        )
    }))
}
