//! The plugins of the two drivers: opened once, at the first question for devices.
//!
//! What always holds: a driver that is not there, a plugin that was not built, a driver without a device are ordinary
//! answers, given at once; nothing is asked twice.

use std::path::Path;
use std::sync::OnceLock;

use super::table::{ENTRY, Table, VERSION};
use crate::plugin::{self, Fault};

/// The drivers, in the order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum DriverKind {
    Cuda,
    OpenCl,
}

/// Why a driver cannot be used.
#[derive(Clone, Debug)]
pub(super) struct Absence {
    pub why: String,
    pub cure: String,
}

/// A driver that runs, and how many devices it has.
#[derive(Clone, Copy)]
pub(super) struct Started {
    pub table: &'static Table,
    pub n_devices: u32,
}

impl DriverKind {
    pub(super) const ALL: [DriverKind; 2] = [DriverKind::Cuda, DriverKind::OpenCl];

    pub(super) fn name(self) -> &'static str {
        match self {
            DriverKind::Cuda => "CUDA",
            DriverKind::OpenCl => "OpenCL",
        }
    }

    fn driver(self) -> &'static str {
        match self {
            DriverKind::Cuda => "libcuda.so.1",
            DriverKind::OpenCl => "libOpenCL.so.1",
        }
    }

    fn plugin(self) -> (&'static str, &'static str) {
        match self {
            DriverKind::Cuda => ("libforkline_cuda.so", "FORKLINE_CUDA_PLUGIN"),
            DriverKind::OpenCl => ("libforkline_opencl.so", "FORKLINE_OPENCL_PLUGIN"),
        }
    }

    /// What to install, where the driver or its devices are missing.
    fn cure(self) -> &'static str {
        match self {
            DriverKind::Cuda => {
                "install NVIDIA's driver for the card (package nvidia-driver, or as the machine's maker says), then restart \
                 the kernel; without such a card use OpenCL or rayon"
            }
            DriverKind::OpenCl => {
                "sudo apt install pocl-opencl-icd (OpenCL on the processor) or the OpenCL package of the card's maker, then \
                 restart the kernel"
            }
        }
    }

    /// The driver, started at the first call.
    pub(super) fn started(self) -> &'static Result<Started, Absence> {
        static DRIVERS: [OnceLock<Result<Started, Absence>>; 2] = [const { OnceLock::new() }; 2];
        DRIVERS[self as usize].get_or_init(|| self.start())
    }

    fn start(self) -> Result<Started, Absence> {
        // First, and for all: the plugin has no library to say where the driver's functions come from.
        plugin::open(Path::new(self.driver()), true).map_err(|text| Absence {
            why: format!("the driver's library does not load: {text}"),
            cure: self.cure().to_owned(),
        })?;
        let table = self.table().map_err(|fault| self.absence(&fault))?;
        let mut n_devices = 0;
        // SAFETY: the pointer is valid.
        let code = unsafe { (table.start)(&raw mut n_devices) };
        if code != 0 {
            return Err(Absence {
                why: last_error(table, code),
                cure: self.cure().to_owned(),
            });
        }
        if n_devices == 0 {
            return Err(Absence {
                why: "the driver's library is there, but no device answers to it".to_owned(),
                cure: self.cure().to_owned(),
            });
        }
        Ok(Started { table, n_devices })
    }

    fn table(self) -> Result<&'static Table, Fault> {
        let (file, variable) = self.plugin();
        let path = plugin::find(file, variable)?;
        // SAFETY: the plugins define this function so.
        unsafe { plugin::table(&path, false, ENTRY, VERSION) }
    }

    fn absence(self, fault: &Fault) -> Absence {
        let (why, cure) = match fault {
            Fault::Named { variable, path } => (
                format!("{variable} names {}, which does not exist", path.display()),
                "name the plugin's file, or unset it",
            ),
            Fault::NotBuilt => (
                format!("forkline's plugin for {} has not been built", self.name()),
                "forkline template builds it, or says why not; then restart the kernel",
            ),
            Fault::NotLoaded(text) => (
                format!("forkline's plugin does not load: {text}"),
                "forkline template --rebuild, then restart the kernel; if that does not help, the driver is too old",
            ),
            Fault::NoPlugin { path, text } => (
                format!("{} is no plugin of forkline: {text}", path.display()),
                "forkline template --rebuild, then restart the kernel",
            ),
            Fault::Version => (
                "the plugin is of another version of forkline".to_owned(),
                "forkline template builds it anew; then restart the kernel",
            ),
        };
        Absence {
            why,
            cure: cure.to_owned(),
        }
    }
}

/// What a function of a table writes.
pub(super) fn text(write: impl Fn(*mut u8, usize) -> usize) -> String {
    let mut bytes = vec![0_u8; 4096];
    let mut length = write(bytes.as_mut_ptr(), bytes.len());
    if length > bytes.len() {
        bytes.resize(length, 0);
        length = write(bytes.as_mut_ptr(), bytes.len()).min(length);
    }
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

/// The words of the last failure in this thread.
pub(super) fn last_error(table: &Table, code: i32) -> String {
    // SAFETY: the room is as said.
    let last = text(|out, capacity| unsafe { (table.last_error)(out, capacity) });
    if !last.is_empty() {
        return last;
    }
    // SAFETY: as above.
    let general = text(|out, capacity| unsafe { (table.error_text)(code, out, capacity) });
    format!("{general} ({code})")
}
