//! What a device says of itself.

use std::ffi::c_void;
use std::fmt::Write as _;

use ocl::ffi;

use crate::{Device, device, write_text};

fn bytes(ask: impl Fn(usize, *mut c_void, *mut usize) -> i32) -> Vec<u8> {
    let mut length = 0;
    if ask(0, std::ptr::null_mut(), &mut length) != 0 {
        return Vec::new();
    }
    let mut bytes = vec![0_u8; length];
    if ask(length, bytes.as_mut_ptr().cast(), std::ptr::null_mut()) != 0 {
        return Vec::new();
    }
    bytes
}

fn text(bytes: &[u8]) -> String {
    let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
    let text = String::from_utf8_lossy(text);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A number of 1, 4 or 8 bytes.
fn number(bytes: &[u8]) -> u64 {
    let mut whole = [0; 8];
    let n = bytes.len().min(8);
    whole[..n].copy_from_slice(&bytes[..n]);
    u64::from_ne_bytes(whole)
}

impl Device {
    fn of_device(&self, what: u32) -> Vec<u8> {
        // SAFETY: `bytes` gives the room that it says.
        bytes(|n, out, length| unsafe { ffi::clGetDeviceInfo(self.id, what, n, out, length) })
    }

    fn of_platform(&self, what: u32) -> String {
        // SAFETY: `bytes` gives the room that it says.
        text(&bytes(|n, out, length| unsafe {
            ffi::clGetPlatformInfo(self.platform, what, n, out, length)
        }))
    }

    /// A line for each fact.
    fn facts(&self) -> String {
        let kind = number(&self.of_device(ffi::CL_DEVICE_TYPE));
        let kind = if kind & ffi::CL_DEVICE_TYPE_GPU != 0 {
            "gpu"
        } else if kind & ffi::CL_DEVICE_TYPE_CPU != 0 {
            "cpu"
        } else {
            "accelerator"
        };
        let mut lines = format!("kind\t{kind}\n");
        let platform = [
            ("platform", ffi::CL_PLATFORM_NAME),
            ("platform_vendor", ffi::CL_PLATFORM_VENDOR),
            ("platform_version", ffi::CL_PLATFORM_VERSION),
            ("platform_profile", ffi::CL_PLATFORM_PROFILE),
        ];
        let texts = [
            ("name", ffi::CL_DEVICE_NAME),
            ("vendor", ffi::CL_DEVICE_VENDOR),
            ("version", ffi::CL_DEVICE_VERSION),
            ("driver", ffi::CL_DRIVER_VERSION),
            ("language", ffi::CL_DEVICE_OPENCL_C_VERSION),
            ("extensions", ffi::CL_DEVICE_EXTENSIONS),
        ];
        let numbers = [
            ("compute_units", ffi::CL_DEVICE_MAX_COMPUTE_UNITS),
            ("clock_mhz", ffi::CL_DEVICE_MAX_CLOCK_FREQUENCY),
            ("global_memory", ffi::CL_DEVICE_GLOBAL_MEM_SIZE),
            ("largest_buffer", ffi::CL_DEVICE_MAX_MEM_ALLOC_SIZE),
            ("local_memory", ffi::CL_DEVICE_LOCAL_MEM_SIZE),
            ("constant_memory", ffi::CL_DEVICE_MAX_CONSTANT_BUFFER_SIZE),
            ("cache", ffi::CL_DEVICE_GLOBAL_MEM_CACHE_SIZE),
            ("max_group_size", ffi::CL_DEVICE_MAX_WORK_GROUP_SIZE),
            ("unified_memory", ffi::CL_DEVICE_HOST_UNIFIED_MEMORY),
            ("has_f64", ffi::CL_DEVICE_DOUBLE_FP_CONFIG),
        ];
        let mut line = |key: &str, value: &str| {
            let _strings_take_all = writeln!(lines, "{key}\t{value}");
        };
        for (key, what) in platform {
            line(key, &self.of_platform(what));
        }
        for (key, what) in texts {
            line(key, &text(&self.of_device(what)));
        }
        for (key, what) in numbers {
            line(key, &number(&self.of_device(what)).to_string());
        }
        let sizes: Vec<String> = self
            .of_device(ffi::CL_DEVICE_MAX_WORK_ITEM_SIZES)
            .chunks(size_of::<usize>())
            .map(|size| number(size).to_string())
            .collect();
        line("max_group_sizes", &sizes.join(" "));
        lines
    }
}

pub unsafe extern "C" fn facts(index: u32, out: *mut u8, capacity: usize) -> usize {
    let text = device(index).map(Device::facts).unwrap_or_default();
    // SAFETY: the caller promises the room.
    unsafe { write_text(&text, out, capacity) }
}

pub unsafe extern "C" fn compiler(index: u32, out: *mut u8, capacity: usize) -> usize {
    let text = device(index).map(|device| {
        let of = |what| text(&device.of_device(what));
        format!(
            "{} {} {} {}",
            device.of_platform(ffi::CL_PLATFORM_NAME),
            device.of_platform(ffi::CL_PLATFORM_VERSION),
            of(ffi::CL_DRIVER_VERSION),
            of(ffi::CL_DEVICE_NAME),
        )
    });
    // SAFETY: the caller promises the room.
    unsafe { write_text(&text.unwrap_or_default(), out, capacity) }
}
