//! nvcc, where NVRTC is missing: a program that reads and writes files, in a folder of its own for each text.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{Binary, Failure, SOURCE, Target};

const BINARY: &str = "kernel.out";

/// The program, with what it said of itself.
pub struct Nvcc {
    file: PathBuf,
    version: (u32, u32),
    supported: Vec<u32>,
}

impl Nvcc {
    /// Asks the program at `file` what it is.
    ///
    /// # Errors
    /// It does not start, or answers nothing that nvcc would.
    pub fn at(file: &Path) -> Result<Nvcc, String> {
        let ask = |question: &str| {
            let output = Command::new(file)
                .arg(question)
                .stdin(Stdio::null())
                .output()
                .map_err(|error| format!("{}: {error}", file.display()))?;
            Ok::<_, String>(String::from_utf8_lossy(&output.stdout).into_owned())
        };
        let version = version_in(&ask("--version")?)
            .ok_or_else(|| format!("{} does not tell its version", file.display()))?;
        let supported = architectures_in(&ask("--list-gpu-arch")?);
        Ok(Nvcc {
            file: file.to_owned(),
            version,
            supported,
        })
    }

    pub fn version(&self) -> (u32, u32) {
        self.version
    }

    /// The architectures that it compiles for.
    pub fn supported(&self) -> &[u32] {
        &self.supported
    }

    pub fn compile(
        &self,
        source: &[u8],
        target: Target,
        options: &[&str],
    ) -> Result<Binary, Failure> {
        let broken =
            |error: io::Error| Failure::Broken(format!("{}: {error}", self.file.display()));
        let folder = Folder::new().map_err(broken)?;
        fs::write(folder.0.join(SOURCE), source).map_err(broken)?;
        let form = match target {
            Target::Real(_) => "--cubin",
            Target::Virtual(_) => "--ptx",
        };
        // In its folder, so that messages name the text and not the folder.
        let output = Command::new(&self.file)
            .arg(form)
            .arg(format!("-arch={}", target.name()))
            .args(options)
            .args(["-o", BINARY, SOURCE])
            .current_dir(&folder.0)
            .stdin(Stdio::null())
            .output()
            .map_err(broken)?;
        let log = [output.stdout, output.stderr].concat();
        if !output.status.success() {
            return Err(Failure::Rejected(log));
        }
        let mut bytes = fs::read(folder.0.join(BINARY)).map_err(broken)?;
        if matches!(target, Target::Virtual(_)) {
            bytes.push(0);
        }
        Ok(Binary { bytes, log })
    }
}

/// A folder that nobody else can read, gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Folder> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("forkline-nvcc-{}-{count}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        // Fails if it is there: nobody can have put something into it.
        DirBuilder::new().mode(0o700).create(&dir)?;
        Ok(Folder(dir))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _a_rest_does_no_harm = fs::remove_dir_all(&self.0);
    }
}

/// The version in `Cuda compilation tools, release 12.4, V12.4.131`.
fn version_in(text: &str) -> Option<(u32, u32)> {
    let (_, rest) = text.split_once("release ")?;
    let (version, _) = rest.split_once(',')?;
    let (major, minor) = version.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The numbers of lines such as `compute_80`.
fn architectures_in(text: &str) -> Vec<u32> {
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("compute_")?.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program that answers as nvcc does, and "compiles" to what it was called with and the text itself.
    const STAND_IN: &str = r#"#!/bin/sh
case $1 in
    --version) echo "Cuda compilation tools, release 12.4, V12.4.131" ;;
    --list-gpu-arch) printf 'compute_75\ncompute_80\n' ;;
    *)
        grep -q wrong kernel.cu && { echo "kernel.cu(1): error: wrong" >&2; exit 2; }
        { echo "$@"; cat kernel.cu; } >kernel.out
        echo "a warning" >&2
        ;;
esac
"#;

    fn stand_in() -> (Folder, Nvcc) {
        let folder = Folder::new().unwrap();
        let (text, file) = (folder.0.join("text"), folder.0.join("nvcc"));
        fs::write(&text, STAND_IN).unwrap();
        // Written by another process: a fork of this one could hold a file open that it writes, which then does not start.
        let installed = Command::new("install")
            .args(["-m", "755"])
            .args([&text, &file])
            .status();
        assert!(installed.unwrap().success());
        let nvcc = Nvcc::at(&file).unwrap();
        (folder, nvcc)
    }

    #[test]
    fn nvcc_is_asked_and_called_in_its_way() {
        let (_folder, nvcc) = stand_in();
        assert_eq!(nvcc.version(), (12, 4));
        assert_eq!(nvcc.supported(), [75, 80]);
        let Ok(binary) = nvcc.compile(b"a text", Target::Real(80), &["-DA=1"]) else {
            panic!("it compiles");
        };
        let called = "--cubin -arch=sm_80 -DA=1 -o kernel.out kernel.cu\na text";
        assert_eq!(String::from_utf8_lossy(&binary.bytes), called);
        assert_eq!(binary.log, b"a warning\n");
        let Ok(binary) = nvcc.compile(b"a text", Target::Virtual(80), &[]) else {
            panic!("it compiles");
        };
        let called = "--ptx -arch=compute_80 -o kernel.out kernel.cu\na text\0";
        assert_eq!(String::from_utf8_lossy(&binary.bytes), called);
        let Err(Failure::Rejected(log)) = nvcc.compile(b"wrong", Target::Real(80), &[]) else {
            panic!("it does not compile");
        };
        assert_eq!(log, b"kernel.cu(1): error: wrong\n");
    }

    #[test]
    fn what_is_not_nvcc_is_refused() {
        assert!(Nvcc::at(Path::new("/bin/true")).is_err());
        assert!(Nvcc::at(Path::new("/nowhere/nvcc")).is_err());
    }
}
