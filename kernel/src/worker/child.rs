//! This program as a process that a cell has started to run one of its functions.
//!
//! It loads what the worker has loaded, the standard library and the prelude, and leaves the rest to the prelude
//! (`processes/child.rs` there), which knows where the function lies. It is no worker: there is no side channel, so
//! the functions of `interpose` are the system calls and nothing more.

use super::prelude;
use std::path::Path;

/// Environment variable: the libraries to load, one a line; set by the prelude for a child, and only for it.
const CHILD: &str = "FORKLINE_CHILD";

/// Does not return if this process was started as a child.
pub fn run_if_child() {
    let Some(libraries) = std::env::var_os(CHILD) else {
        return;
    };
    // SAFETY: no other thread exists yet, so nobody reads the environment meanwhile.
    unsafe {
        // What is loaded next would take itself for a child, too early.
        std::env::remove_var(CHILD);
        std::env::remove_var(super::PRELUDE);
        std::env::remove_var(super::RUST_LIBS);
        std::env::remove_var(super::KERNEL_GROUP);
    }
    let libraries = libraries.to_string_lossy();
    let paths = libraries.lines().filter(|path| !path.is_empty());
    if let Err(error) = prelude::live_as_child(paths.map(Path::new)) {
        eprintln!("forkline: a process of a cell could not begin: {error:#}");
        std::process::exit(super::CANNOT_LOAD);
    }
}
