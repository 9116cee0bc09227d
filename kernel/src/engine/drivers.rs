//! What `-lOpenCL` and `-lcuda` mean to the linker where a driver is installed, but no toolkit: for cells that use `ocl` or
//! `cust` themselves, by `:dep`.
//!
//! Toolkits bring `libOpenCL.so` and `libcuda.so`, drivers only the names with a version. A linker script with the right
//! name leads to them. (The plugins of `gpu` need none of this: they are linked against nothing.)
//!
//! What always holds: without a driver there is no script, so the cell fails in the linker and not while it is loaded, which
//! would cost the worker and its variables; what the user sets comes first.

use crate::home;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Names of drivers: for the linker, of the file, and what brings it.
const DRIVERS: [(&str, &str, &str); 2] = [
    (
        "OpenCL",
        "libOpenCL.so.1",
        "install an OpenCL driver (sudo apt install pocl-opencl-icd runs it on the processor), then restart the kernel",
    ),
    (
        "cuda",
        "libcuda.so.1",
        "install NVIDIA's driver for the card, then restart the kernel; without such a card use gpu::Array, which also runs \
         by OpenCL or on the processor",
    ),
];

/// Writes the scripts for the drivers that are here now, and removes the others.
///
/// # Errors
/// The folder cannot be written to.
pub fn write_scripts() -> io::Result<()> {
    let dir = scripts_dir();
    fs::create_dir_all(&dir)?;
    let listing = listing();
    for (name, file, _) in DRIVERS {
        let script = dir.join(format!("lib{name}.so"));
        let found = in_library_path(file).or_else(|| listed(&listing, file));
        let text = found.map(|path| format!("INPUT({})\n", path.display()));
        match text {
            Some(text) if fs::read_to_string(&script).is_ok_and(|now| now == text) => {}
            // Renamed into place: a linker may be reading the old one.
            Some(text) => {
                let new = dir.join(format!(".lib{name}.{}", std::process::id()));
                fs::write(&new, text)?;
                fs::rename(new, script)?;
            }
            None => match fs::remove_file(script) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            },
        }
    }
    Ok(())
}

/// Lets a command that may link find the scripts, after what is set already in its environment, which is `set`.
pub fn put_in(command: &mut Command, set: &[(String, String)]) {
    let value = |name: &str| {
        set.iter()
            .find(|(of, _)| of == name)
            .map(|(_, value)| value)
    };
    let mut paths = OsString::new();
    if let Some(users) = value("LIBRARY_PATH").filter(|users| !users.is_empty()) {
        paths.push(users);
        paths.push(":");
    }
    paths.push(scripts_dir());
    command.env("LIBRARY_PATH", paths);
    // Where the build script of cust looks for a toolkit.
    if value("CUDA_LIBRARY_PATH").is_none() {
        command.env("CUDA_LIBRARY_PATH", home::drivers_dir());
    }
}

/// Why the driver of a name cannot be linked here, and what helps; none if it can.
pub fn missing(name: &str) -> Option<(String, &'static str)> {
    let (name, file, cure) = DRIVERS.iter().find(|(of, ..)| *of == name)?;
    let is_there = scripts_dir().join(format!("lib{name}.so")).exists();
    (!is_there).then(|| (why(file), *cure))
}

fn why(file: &str) -> String {
    format!("{file} is needed, which belongs to a driver and is not on this machine")
}

/// What to do if a linker's words say that a driver's library is not there: what happened, and what helps.
pub fn advice(linkers_words: &str) -> Option<(String, &'static str)> {
    DRIVERS.iter().find_map(|(name, file, cure)| {
        let says = [
            format!("library not found: {name}"),
            format!("cannot find -l{name}"),
            format!("unable to find library -l{name}"),
        ];
        let is_missing = says.iter().any(|words| {
            let mut rest = linkers_words;
            std::iter::from_fn(|| {
                let (_, after) = rest.split_once(words.as_str())?;
                rest = after;
                Some(after)
            })
            .any(|after| !after.starts_with(|next: char| next.is_alphanumeric() || next == '_'))
        });
        is_missing.then(|| (why(file), *cure))
    })
}

/// `lib64`, as in a toolkit: the build script of cust asks for it.
fn scripts_dir() -> PathBuf {
    home::drivers_dir().join("lib64")
}

fn in_library_path(file: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("LD_LIBRARY_PATH")?;
    std::env::split_paths(&folders)
        .map(|folder| folder.join(file))
        .find(|path| path.is_absolute() && path.is_file())
}

/// The libraries that the dynamic linker knows; empty where it cannot be asked.
fn listing() -> String {
    // A user's PATH on Debian does not have its folder.
    ["/sbin/ldconfig", "ldconfig"]
        .into_iter()
        .find_map(|program| Command::new(program).arg("-p").output().ok())
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default()
}

/// A library's path in what `ldconfig -p` prints, for this processor.
pub fn listed(listing: &str, file: &str) -> Option<PathBuf> {
    let mark = match std::env::consts::ARCH {
        "x86_64" => "x86-64",
        "aarch64" => "AArch64",
        _ => "",
    };
    listing.lines().find_map(|line| {
        let (left, path) = line.split_once(" => ")?;
        let is_it = left.split_whitespace().next() == Some(file) && left.contains(mark);
        is_it.then(|| Path::new(path.trim()).to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_is_found_for_this_processor() {
        let listing = "2 libs found\n\tlibOpenCL.so.1 (libc6) => /lib32/libOpenCL.so.1\n\
                       \tlibOpenCL.so.1 (libc6,x86-64) => /lib64/libOpenCL.so.1\n\
                       \tlibOpenCL.so.1 (libc6,AArch64) => /lib64/libOpenCL.so.1\n";
        assert_eq!(
            listed(listing, "libOpenCL.so.1"),
            Some(PathBuf::from("/lib64/libOpenCL.so.1"))
        );
        assert_eq!(listed(listing, "libcuda.so.1"), None);
    }

    #[test]
    fn linkers_say_it_in_three_ways() {
        for words in [
            "mold: fatal: library not found: OpenCL",
            "/usr/bin/ld: cannot find -lOpenCL: No such file or directory",
            "rust-lld: error: unable to find library -lOpenCL",
        ] {
            let (why, cure) = advice(words).unwrap();
            assert!(why.contains("libOpenCL.so.1"), "{why}");
            assert!(cure.contains("pocl"), "{cure}");
        }
        assert_eq!(advice("mold: fatal: library not found: cudart"), None);
        assert!(advice("cannot find -lcudart\ncannot find -lcuda\n").is_some());
    }

    #[test]
    fn what_the_user_sets_comes_first() {
        let mut command = Command::new("cc");
        let set = [("LIBRARY_PATH", "/mine"), ("CUDA_LIBRARY_PATH", "/cuda")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        put_in(&mut command, &set);
        let of: Vec<_> = command.get_envs().collect();
        assert_eq!(of.len(), 1);
        let paths = of[0].1.unwrap().to_string_lossy().into_owned();
        assert!(
            paths.starts_with("/mine:") && paths.ends_with("drivers/lib64"),
            "{paths}"
        );
    }
}
