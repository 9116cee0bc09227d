//! Asks the linker to export the functions of `worker/interpose.rs` and `worker/spawns.rs`, and packs the prelude's sources
//! into the binary, so that the clone is not needed once forkline is installed.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Names that the executable must offer to the dynamic linker before the C library does.
const EXPORTED: [&str; 7] = [
    "write",
    "writev",
    "read",
    "pthread_create",
    "clock_nanosleep",
    "posix_spawn",
    "posix_spawnp",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        for name in EXPORTED {
            println!("cargo::rustc-link-arg-bins=-Wl,--export-dynamic-symbol={name}");
        }
    }
    println!(
        "cargo::rustc-env=FORKLINE_BUILT_BY_RUSTC={}",
        rustc_version()
    );
    let prelude = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap())
        .join("../prelude")
        .canonicalize()
        .expect("the prelude lies beside the kernel");
    // A relative path: where another clone shares the folder of the build, it means that clone's sources.
    println!("cargo::rerun-if-changed=../prelude");
    let mut files = Vec::new();
    collect(&prelude, &mut files);
    files.sort();
    let mut table = String::from("&[\n");
    for file in files {
        let name = file.strip_prefix(&prelude).unwrap();
        // Not the whole path: where clones share the folder of the build, this file may be another's.
        let below = Path::new("/../prelude").join(name);
        writeln!(
            table,
            "    ({name:?}, include_bytes!(concat!(env!(\"CARGO_MANIFEST_DIR\"), {below:?}))),"
        )
        .unwrap();
    }
    table.push_str("]\n");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").unwrap());
    std::fs::write(out.join("prelude_files.rs"), table).unwrap();
    // The prelude is built with the versions that the repository was tested with.
    println!("cargo::rerun-if-changed=../Cargo.lock");
}

/// The release of the compiler that builds this crate, for instance `1.95.0`.
fn rustc_version() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = std::process::Command::new(rustc).arg("-vV").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.unwrap_or_default()
        .lines()
        .find_map(|line| line.strip_prefix("release: "))
        .unwrap_or("unknown")
        .to_owned()
}

/// Every file below `dir` that a user's build needs. Unit tests are not among them: who changes one need not build the prelude
/// of every session anew.
fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let is_test = matches!(&*name, "tests" | "tests.rs" | "testing.rs");
        if name.starts_with('.') || name == "target" || is_test {
            continue;
        }
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}
