//! What a device says of itself.

use std::ffi::{CStr, c_char};
use std::fmt::Write as _;

use cust::sys::{self, CUdevice_attribute as Attribute};

use crate::{Device, device, driver_version, write_bytes};

/// Where the driver says its version on Linux; CUDA itself knows only the newest CUDA that it can do.
const DRIVER: &str = "/proc/driver/nvidia/version";

impl Device {
    fn name(&self) -> String {
        let mut room = [0 as c_char; 256];
        // SAFETY: as much room as is said, one byte of which stays 0.
        let result = unsafe { sys::cuDeviceGetName(room.as_mut_ptr(), 255, self.id) };
        if result as i32 != 0 {
            return "a CUDA device".to_owned();
        }
        // SAFETY: the last byte is 0.
        let name = unsafe { CStr::from_ptr(room.as_ptr()) };
        name.to_string_lossy().into_owned()
    }

    fn total_memory(&self) -> u64 {
        let mut bytes = 0_usize;
        // SAFETY: a valid pointer and a device of the driver.
        let result = unsafe { sys::cuDeviceTotalMem_v2(&mut bytes, self.id) };
        if result as i32 == 0 { bytes as u64 } else { 0 }
    }

    /// A line for each fact.
    fn facts(&self) -> String {
        use Attribute::*;
        let mut lines = String::new();
        let mut line = |key: &str, value: &str| {
            let _strings_take_all = writeln!(lines, "{key}\t{value}");
        };
        let cuda = driver_version();
        let cuda = format!("CUDA {}.{}", cuda / 1000, cuda % 1000 / 10);
        let driver = std::fs::read_to_string(DRIVER).unwrap_or_default();
        let arch = self.arch();
        line("kind", "gpu");
        line("platform", "CUDA");
        line("platform_vendor", "NVIDIA");
        line("platform_version", &cuda);
        line("name", &self.name());
        line("vendor", "NVIDIA");
        line("version", &format!("{}.{}", arch / 10, arch % 10));
        line("driver", version_in(&driver).unwrap_or(&cuda));
        line("language", "CUDA C++");
        let total = self.total_memory().to_string();
        line("global_memory", &total);
        line("largest_buffer", &total);
        // All devices of the last ten years and more compute with doubles.
        line("has_f64", "1");
        let of = |what| self.attribute(what);
        let numbers = [
            (
                "compute_units",
                of(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT),
            ),
            // The driver counts in kHz.
            ("clock_mhz", of(CU_DEVICE_ATTRIBUTE_CLOCK_RATE) / 1000),
            (
                "memory_clock_mhz",
                of(CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE) / 1000,
            ),
            (
                "bus_width_bits",
                of(CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH),
            ),
            (
                "local_memory",
                of(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK),
            ),
            (
                "local_memory_on_request",
                of(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN),
            ),
            (
                "constant_memory",
                of(CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY),
            ),
            ("cache", of(CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE)),
            (
                "max_group_size",
                of(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK),
            ),
            ("warp_size", of(CU_DEVICE_ATTRIBUTE_WARP_SIZE)),
            (
                "max_threads_per_unit",
                of(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR),
            ),
            (
                "registers_per_block",
                of(CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK),
            ),
            ("unified_memory", of(CU_DEVICE_ATTRIBUTE_INTEGRATED)),
            ("managed_memory", of(CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY)),
            ("copy_engines", of(CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT)),
            ("ecc", of(CU_DEVICE_ATTRIBUTE_ECC_ENABLED)),
        ];
        for (key, number) in numbers {
            line(key, &number.to_string());
        }
        let sizes = [
            CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X,
            CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y,
            CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z,
        ];
        line(
            "max_group_sizes",
            &sizes.map(|size| of(size).to_string()).join(" "),
        );
        let pci = [
            CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID,
            CU_DEVICE_ATTRIBUTE_PCI_BUS_ID,
            CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID,
        ];
        let [domain, bus, slot] = pci.map(of);
        line("pci", &format!("{domain:04x}:{bus:02x}:{slot:02x}"));
        lines
    }
}

/// The version in `NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.163.01  Tue Apr  8 …`: the first word of numbers
/// between dots.
fn version_in(text: &str) -> Option<&str> {
    let line = text.lines().next()?;
    line.split_whitespace()
        .find(|word| word.contains('.') && word.split('.').all(|part| part.parse::<u32>().is_ok()))
}

pub unsafe extern "C" fn facts(index: u32, out: *mut u8, capacity: usize) -> usize {
    let text = device(index).map(Device::facts).unwrap_or_default();
    // SAFETY: the caller promises the room.
    unsafe { write_bytes(text.as_bytes(), out, capacity) }
}
