//! What is there of OpenCL and CUDA, as far as files and the loader can tell.
//!
//! Whether a device is behind a driver only the driver could say, and asking it starts it. That is left
//! to the packs that use devices.

use std::ffi::CStr;
use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use super::files::{fields, numbered_entries, read, read_line};

/// What is there of OpenCL.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenCl {
    /// Whether the loader, `libOpenCL.so.1`, can be opened.
    pub has_loader: bool,
    /// How many drivers are registered with it, by `*.icd` files in `/etc/OpenCL/vendors`; `None` if
    /// there is no such folder.
    pub n_drivers: Option<usize>,
}

/// What is there of CUDA.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cuda {
    /// Whether the driver's library, `libcuda.so.1`, can be opened.
    pub has_library: bool,
    /// The version of the driver in the system's kernel, if it tells.
    pub driver: Option<String>,
    /// How many `/dev/nvidia0`, `/dev/nvidia1`, … there are.
    pub n_device_files: usize,
    /// The names of the devices that the driver lists.
    pub names: Vec<String>,
}

impl fmt::Display for OpenCl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let loader = if self.has_loader {
            "loader found"
        } else {
            "no loader"
        };
        match self.n_drivers {
            None => write!(f, "{loader}, no drivers registered"),
            Some(1) => write!(f, "{loader}, 1 driver registered"),
            Some(n) => write!(f, "{loader}, {n} drivers registered"),
        }
    }
}

impl fmt::Display for Cuda {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.names.as_slice() {
            [] => write!(f, "{} device files", self.n_device_files)?,
            names => write!(f, "{}", names.join(", "))?,
        }
        match &self.driver {
            Some(driver) => write!(f, "; driver {driver}")?,
            None => write!(f, "; driver not loaded")?,
        }
        match self.has_library {
            true => Ok(()),
            false => write!(f, "; libcuda.so.1 not found"),
        }
    }
}

/// `None` if nothing of it is there.
pub(super) fn opencl() -> Option<OpenCl> {
    static HAS_LOADER: OnceLock<bool> = OnceLock::new();
    let has_loader = *HAS_LOADER.get_or_init(|| opens(c"libOpenCL.so.1"));
    opencl_in(Path::new("/etc/OpenCL/vendors"), has_loader)
}

fn opencl_in(vendors: &Path, has_loader: bool) -> Option<OpenCl> {
    let n_drivers = fs::read_dir(vendors).ok().map(|entries| {
        let is_driver = |path: &Path| path.extension().is_some_and(|end| end == "icd");
        entries
            .flatten()
            .filter(|entry| is_driver(&entry.path()))
            .count()
    });
    (has_loader || n_drivers.is_some()).then_some(OpenCl {
        has_loader,
        n_drivers,
    })
}

/// `None` if nothing of it is there.
pub(super) fn cuda() -> Option<Cuda> {
    static HAS_LIBRARY: OnceLock<bool> = OnceLock::new();
    let has_library = *HAS_LIBRARY.get_or_init(|| opens(c"libcuda.so.1"));
    cuda_in(Path::new("/"), has_library)
}

fn cuda_in(root: &Path, has_library: bool) -> Option<Cuda> {
    let driver = root.join("proc/driver/nvidia");
    let mut folders: Vec<_> = fs::read_dir(driver.join("gpus"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    folders.sort();
    let name = |folder: &Path| {
        let information = read(folder.join("information"))?;
        fields(&information, "Model").next().map(str::to_owned)
    };
    let cuda = Cuda {
        has_library,
        driver: read_line(driver.join("version")).map(|text| driver_version(&text)),
        n_device_files: numbered_entries(&root.join("dev"), "nvidia").len(),
        names: folders.iter().filter_map(|folder| name(folder)).collect(),
    };
    (has_library || cuda.driver.is_some() || cuda.n_device_files > 0).then_some(cuda)
}

/// `NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug …`; where no such number is, the line.
fn driver_version(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let is_version = |word: &&str| {
        word.contains('.')
            && word
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'.')
    };
    line.split_whitespace()
        .find(is_version)
        .unwrap_or(line)
        .to_owned()
}

/// Whether the loader finds and opens a library. It stays open: closing runs code of drivers that is seldom run.
fn opens(library: &CStr) -> bool {
    // SAFETY: the name is a C string. Opening runs the library's own start code, which for these two
    // loaders of drivers starts no device; that this holds is their makers' affair.
    !unsafe { libc::dlopen(library.as_ptr(), libc::RTLD_LAZY | libc::RTLD_LOCAL) }.is_null()
}

#[cfg(test)]
mod tests {
    use super::super::files::made_up;
    use super::*;

    #[test]
    fn opencl_counts_registered_drivers() {
        let root = made_up("opencl", &[("a.icd", "x"), ("b.icd", "y"), ("README", "z")]);
        let found = opencl_in(&root, true).unwrap();
        std::fs::remove_dir_all(&root).unwrap();
        assert_eq!((found.has_loader, found.n_drivers), (true, Some(2)));
        assert_eq!(found.to_string(), "loader found, 2 drivers registered");
        assert_eq!(opencl_in(&root, false), None);
        assert_eq!(
            opencl_in(&root, true).unwrap().to_string(),
            "loader found, no drivers registered"
        );
    }

    #[test]
    fn cuda_lists_what_the_driver_lists() {
        let version = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19\nGCC version: 11.4.0\n";
        let root = made_up(
            "cuda",
            &[
                ("proc/driver/nvidia/version", version),
                (
                    "proc/driver/nvidia/gpus/0000:01:00.0/information",
                    "Model: \t\t Some GPU 1\nIRQ: 5\n",
                ),
                (
                    "proc/driver/nvidia/gpus/0000:02:00.0/information",
                    "Model: \t\t Some GPU 2\n",
                ),
                ("dev/nvidia0", ""),
                ("dev/nvidia1", ""),
                ("dev/nvidiactl", ""),
            ],
        );
        let found = cuda_in(&root, true).unwrap();
        std::fs::remove_dir_all(&root).unwrap();
        assert_eq!(found.n_device_files, 2);
        assert_eq!(
            found.to_string(),
            "Some GPU 1, Some GPU 2; driver 535.104.05"
        );
        assert_eq!(cuda_in(&root, false), None);
        assert_eq!(
            cuda_in(&root, true).unwrap().to_string(),
            "0 device files; driver not loaded"
        );
    }

    #[test]
    fn a_library_that_is_not_there_does_not_open() {
        assert!(!opens(c"libno-such-library.so.1"));
        assert!(opens(c"libc.so.6"));
    }
}
