//! When rust-analyzer sees the sources of the standard library.
//!
//! evcxr's constructor loads the project into rust-analyzer before anybody can tell it about the
//! prelude; adding the prelude then loads everything a second time. Reading the standard library is
//! most of a load (two of three seconds, measured), so the first one gets an empty library: the path
//! that `RUST_SRC_PATH` names is a link, which is turned to the real sources before the second.

use anyhow::Context as _;
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

    /// The toolchain's library, found from the folder of its compiled libraries.
    ///
    /// # Errors
    /// The toolchain has no sources.
    pub fn reveal(&self, rust_libs: &Path) -> anyhow::Result<()> {
        // lib/rustlib/<target>/lib beside lib/rustlib/src/rust/library.
        let library = rust_libs
            .ancestors()
            .nth(2)
            .map(|rustlib| rustlib.join("src/rust/library"))
            .filter(|library| library.join("core").is_dir())
            .context(
                "the toolchain has no sources of the standard library\n\
                 why: without them the types of variables cannot be found out\n\
                 do:  rustup component add rust-src",
            )?;
        self.point_to(&library)
    }

    fn point_to(&self, target: &Path) -> anyhow::Result<()> {
        let _ = std::fs::remove_file(&self.link);
        std::os::unix::fs::symlink(target, &self.link)
            .with_context(|| format!("{} cannot be made", self.link.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_turns_from_nothing_to_the_library() {
        let dir = std::env::temp_dir().join(format!("forkline-source-{}", std::process::id()));
        let libs = dir.join("lib/rustlib/target/lib");
        std::fs::create_dir_all(&libs).unwrap();
        let source = RustSource::hidden(&dir).unwrap();
        let link = RustSource::path_in(&dir);
        assert!(link.join("core").is_dir() && !link.join("core/src").exists());
        let error = source.reveal(&libs).unwrap_err().to_string();
        assert!(error.contains("rustup component add rust-src"), "{error}");
        std::fs::create_dir_all(dir.join("lib/rustlib/src/rust/library/core/src")).unwrap();
        source.reveal(&libs).unwrap();
        assert!(link.join("core/src").is_dir());
        std::fs::remove_dir_all(dir).unwrap();
    }
}
