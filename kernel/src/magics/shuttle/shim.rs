//! The crate that `%%shuttle` compiles against (`assets/shuttle`), built when it is first needed.

use crate::home;
use crate::session::{CellContext, CellError};
use std::path::PathBuf;
use std::process::Command;

/// The folder with the compiled crate; it is built if it is not there for this compiler.
///
/// # Errors
/// It cannot be fetched or built, or that was interrupted.
pub fn built(context: &mut CellContext<'_>) -> Result<PathBuf, CellError> {
    const FILES: [(&str, &str); 3] = [
        (
            "Cargo.toml",
            include_str!("../../../assets/shuttle/Cargo.toml"),
        ),
        (
            "Cargo.lock",
            include_str!("../../../assets/shuttle/Cargo.lock"),
        ),
        ("src/lib.rs", include_str!("../../../assets/shuttle/lib.rs")),
    ];
    let dir = home::version_dir().join("shuttle");
    let built = dir.join("target/release");
    let stamp = dir.join("built");
    let mut wanted = context.engine()?.rustc_version();
    for (name, text) in FILES {
        wanted += &format!("\n{name}\n{text}");
    }
    if std::fs::read_to_string(&stamp).is_ok_and(|known| known == wanted) {
        return Ok(built);
    }
    let write = || -> std::io::Result<()> {
        std::fs::create_dir_all(dir.join("src"))?;
        for (name, text) in FILES {
            std::fs::write(dir.join(name), text)?;
        }
        Ok(())
    };
    write().map_err(|error| {
        CellError::new(
            "ShuttleError",
            format!(
                "%%shuttle: its crate cannot be built\nwhy: {}: {error}\n\
                 do:  make the folder writable, or set FORKLINE_HOME to another one",
                dir.display()
            ),
        )
    })?;
    context.print(
        "stderr",
        "building shuttle, once for all sessions (half a minute on 2 cores)\n",
    );
    let mut command = Command::new("cargo");
    command
        .args(["build", "--release", "--locked", "--quiet"])
        .current_dir(&dir)
        .env("CARGO_TARGET_DIR", dir.join("target"))
        // The prelude has some of the same crates in it; another identity keeps them apart.
        .env("RUSTFLAGS", "-C metadata=forkline-shuttle");
    for name in [
        "RUSTC",
        "RUSTC_WRAPPER",
        "CARGO_BUILD_BUILD_DIR",
        "CARGO_BUILD_TARGET",
    ] {
        command.env_remove(name);
    }
    context
        .run_program("%%shuttle", &mut command, None)
        .map_err(|error| {
            if error.ename == "Interrupted" {
                return error;
            }
            CellError::new(
                "ShuttleError",
                "%%shuttle: the crate shuttle could not be built\n\
             why: cargo's words are above; it is fetched when it is first used\n\
             do:  run the cell again with a connection to crates.io; later it needs none",
            )
        })?;
    let _it_is_checked_again_then = std::fs::write(&stamp, wanted);
    Ok(built)
}
