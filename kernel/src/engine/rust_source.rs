//! The sources of the standard library for rust-analyzer.
//!
//! evcxr's own rust-analyzer is to see none, because the session has a better one (see `analyzer`): the path that
//! `RUST_SRC_PATH` names is a link to an empty library. Where the better one is missing the link is turned to the
//! real sources, after evcxr's constructor: reading them is most of a load, and its first one is in vain.
//!
//! The real sources are a copy without what no cell on this machine can use: tests, and the intrinsics
//! of other processors and of AVX-512. That is half of the text, a second of each start and 130 MB of
//! each kernel (measured). The types of AVX-512 intrinsics must be written out therefore.

use crate::home;
use anyhow::Context as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The link in a session's folder.
pub struct RustSource {
    link: PathBuf,
}

impl RustSource {
    /// What `RUST_SRC_PATH` must say for this session.
    pub fn path_in(session: &Path) -> PathBuf {
        session.join("rust-src")
    }

    /// An empty library. (rust-analyzer takes a folder for a library if it has a `core`.)
    pub fn hidden(session: &Path) -> anyhow::Result<RustSource> {
        let empty = session.join("no-rust-src");
        std::fs::create_dir_all(empty.join("core"))?;
        let source = RustSource {
            link: Self::path_in(session),
        };
        source.point_to(&empty)?;
        Ok(source)
    }

    /// The part of the library that [`slim`] has made.
    pub fn reveal(&self) -> anyhow::Result<()> {
        self.point_to(&home::rust_source_dir())
    }

    fn point_to(&self, target: &Path) -> anyhow::Result<()> {
        let _ = std::fs::remove_file(&self.link);
        std::os::unix::fs::symlink(target, &self.link)
            .with_context(|| format!("{} cannot be made", self.link.display()))
    }
}

/// Copies the part of the toolchain's library that cells can use. The toolchain is known by the folder
/// of its compiled libraries.
///
/// # Errors
/// The toolchain has no sources, or the disk is full.
pub fn slim(rust_libs: &Path, to: &Path) -> anyhow::Result<()> {
    // lib/rustlib/<target>/lib beside lib/rustlib/src/rust/library.
    let library = rust_libs
        .ancestors()
        .nth(2)
        .map(|rustlib| rustlib.join("src/rust/library"))
        .filter(|library| library.join("core/src").is_dir())
        .context(
            "the toolchain has no sources of the standard library\n\
             why: without them the types of variables cannot be found out\n\
             do:  rustup component add rust-src",
        )?;
    copy(&library, to, &library, false)?;
    Ok(())
}

/// Copies a folder. In one that is not wanted, the roots of its crates are kept, but empty: cargo
/// looks for what a Cargo.toml names.
fn copy(from: &Path, to: &Path, library: &Path, mut unwanted: bool) -> io::Result<()> {
    let place = from.strip_prefix(library).unwrap_or(from);
    if is_other_processor(place) {
        return Ok(());
    }
    unwanted |= is_unwanted(place);
    let of_targets = ["tests", "benches", "examples"];
    let names_targets = of_targets.iter().any(|name| place.ends_with(name));
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let target = to.join(&*name);
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target, library, unwanted)?;
        } else if name.ends_with(".toml") || name == "Cargo.lock" {
            fs::copy(entry.path(), target)?;
        } else if name.ends_with(".rs") {
            let is_root = matches!(
                &*name,
                "lib.rs" | "main.rs" | "mod.rs" | "build.rs" | "configure.rs"
            );
            if unwanted && (is_root || names_targets) {
                fs::write(target, "")?;
            } else if !unwanted
                && !matches!(&*name, "tests.rs" | "test.rs")
                && !is_wide(place, &name)
            {
                fs::copy(entry.path(), target)?;
            }
        }
    }
    Ok(())
}

fn is_unwanted(place: &Path) -> bool {
    let mut parts = place.iter().filter_map(|part| part.to_str());
    let first = parts.next().unwrap_or_default();
    let is_test = place
        .iter()
        .any(|part| part == "tests" || part == "benches" || part == "examples");
    let of_stdarch = first == "stdarch"
        && parts.next() == Some("crates")
        && parts.next().is_some_and(|name| name != "core_arch");
    is_test || of_stdarch || matches!(first, "coretests" | "alloctests" | "compiler-builtins")
}

/// Intrinsics of a processor that is not this one.
fn is_other_processor(place: &Path) -> bool {
    let Ok(name) = place.strip_prefix("stdarch/crates/core_arch/src") else {
        return false;
    };
    let Some(name) = name.iter().next().and_then(|name| name.to_str()) else {
        return false;
    };
    if cfg!(target_arch = "x86_64") {
        !matches!(name, "x86" | "x86_64" | "core_arch_docs.md")
    } else {
        matches!(name, "x86" | "x86_64")
    }
}

fn is_wide(place: &Path, name: &str) -> bool {
    place.starts_with("stdarch/crates/core_arch/src")
        && (name.starts_with("avx512") || name.starts_with("amx"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cells_can_use_is_copied() {
        let dir = std::env::temp_dir().join(format!("forkline-source-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        let libs = dir.join("lib/rustlib/target/lib");
        fs::create_dir_all(&libs).unwrap();
        let to = dir.join("slim");
        let error = slim(&libs, &to).unwrap_err().to_string();
        assert!(error.contains("rustup component add rust-src"), "{error}");
        let library = dir.join("lib/rustlib/src/rust/library");
        let arch = "stdarch/crates/core_arch/src";
        for file in [
            "Cargo.toml",
            "core/src/lib.rs",
            "core/src/tests.rs",
            "coretests/tests/deep/a.rs",
            "coretests/tests/lib.rs",
            &format!("{arch}/lib.rs"),
            &format!("{arch}/x86/sse.rs"),
            &format!("{arch}/x86/avx512f.rs"),
            &format!("{arch}/mips/msa.rs"),
        ] {
            let file = library.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "text").unwrap();
        }
        slim(&libs, &to).unwrap();
        let text = |file: &str| fs::read_to_string(to.join(file)).ok();
        for kept in ["Cargo.toml", "core/src/lib.rs", &format!("{arch}/lib.rs")] {
            assert_eq!(text(kept).as_deref(), Some("text"), "{kept}");
        }
        assert_eq!(text("coretests/tests/lib.rs").as_deref(), Some(""));
        for left_out in [
            "core/src/tests.rs",
            "coretests/tests/deep/a.rs",
            &format!("{arch}/x86/avx512f.rs"),
            &format!("{arch}/mips/msa.rs"),
        ] {
            assert_eq!(text(left_out), None, "{left_out}");
        }
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn the_link_leads_to_an_empty_library_first() {
        let dir = std::env::temp_dir().join(format!("forkline-link-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        RustSource::hidden(&dir).unwrap();
        let link = RustSource::path_in(&dir);
        assert!(link.join("core").is_dir() && !link.join("core/src").exists());
        fs::remove_dir_all(dir).unwrap();
    }
}
