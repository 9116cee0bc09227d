//! Links against an empty script in place of libOpenCL.so, which is opened before the plugin and found then.
//!
//! The script is written to the folder of this build: the sources may lie elsewhere the next time.

use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=../stubs");
    let out = std::env::var("OUT_DIR").expect("cargo sets it");
    let script = include_str!("../stubs/lib64/libOpenCL.so");
    std::fs::write(Path::new(&out).join("libOpenCL.so"), script).expect("cargo made the folder");
    println!("cargo::rustc-link-search=native={out}");
}
