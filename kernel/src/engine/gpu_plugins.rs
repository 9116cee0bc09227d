//! The plugins for GPUs: built at install on any machine, with or without a GPU, opened by the prelude at first use.
//!
//! Their sources are the folder `gpu` of the prelude's, a workspace with one member for each. They link no driver: empty
//! linker scripts stand in its place, so neither a driver nor a toolkit is needed here.
//!
//! What always holds: if a plugin does not build, the others are built all the same, and everything else works. A kernel
//! that starts never builds them.

use super::plugins::{self, Plugin};
use super::template;
use crate::home;

/// Files of the prelude's that a plugin is built from too.
const INTERFACES: [&str; 2] = ["src/gpu/table.rs", "src/gpu/kernel/interface.rs"];

/// A driver that cells can reach through a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// OpenCL, on GPUs and CPUs.
    OpenCl,
    /// NVIDIA's.
    Cuda,
}

/// All plugins, each with the folder of its sources. The last one asks no driver: it writes texts for both.
const PLUGINS: [(&str, Plugin); 3] = [
    (
        "opencl",
        Plugin {
            library: "libforkline_opencl.so",
            record: "opencl.txt",
        },
    ),
    (
        "cuda",
        Plugin {
            library: "libforkline_cuda.so",
            record: "cuda.txt",
        },
    ),
    (
        "translate",
        Plugin {
            library: "libforkline_translate.so",
            record: "translate.txt",
        },
    ),
];

/// The plugins that this version has.
fn all() -> impl Iterator<Item = (&'static str, Plugin)> {
    PLUGINS
        .into_iter()
        .filter(|(folder, _)| template::has_file(&format!("gpu/{folder}/Cargo.toml")))
}

/// What the plugins are built from, as text; none without rustc.
fn ingredients() -> Option<String> {
    let sources = template::digest_of(is_source);
    Some(format!("{}{sources}\n", plugins::rustc()?))
}

/// Whether a file of the prelude's goes into the plugins. The interfaces are files of both sides.
fn is_source(name: &str) -> bool {
    name.starts_with("gpu/") || INTERFACES.contains(&name)
}

/// Whether the plugin of a driver is built, from what is there now.
pub fn is_ready(driver: Driver) -> bool {
    let folder = match driver {
        Driver::OpenCl => "opencl",
        Driver::Cuda => "cuda",
    };
    ingredients().is_some_and(|wanted| {
        all().any(|(of, plugin)| of == folder && plugin.is_built_from(&wanted))
    })
}

/// Builds the plugins that are not up to date; says what it does. The prelude's sources are in place already.
///
/// # Errors
/// One of them does not build, most likely because crates cannot be fetched. What is there of it stays as it is.
pub fn ensure(rebuild: bool, progress: &mut dyn FnMut(&str)) -> anyhow::Result<()> {
    let Some(wanted) = ingredients() else {
        anyhow::bail!(
            "the GPU plugins cannot be built\n\
             why: rustc is not on PATH\n\
             do:  install Rust with rustup, then forkline template"
        );
    };
    let _lock = plugins::lock("gpu")?;
    if !rebuild && all().all(|(_, plugin)| plugin.is_built_from(&wanted)) {
        return Ok(());
    }
    progress("building the GPU plugins, once for all sessions (half a minute on 2 cores)");
    let every: Vec<Plugin> = all().map(|(_, plugin)| plugin).collect();
    let status = plugins::build("gpu", &every, &wanted, |cargo| {
        cargo
            .args(["--workspace", "--keep-going"])
            // Where cust's build script looks for a toolkit: the empty linker scripts.
            .env("CUDA_LIBRARY_PATH", home::prelude_dir().join("gpu/stubs"));
    })?;
    let missing: Vec<&str> = all()
        .filter(|(_, plugin)| !plugin.is_built_from(&wanted))
        .map(|(folder, _)| folder)
        .collect();
    anyhow::ensure!(
        status.success(),
        "GPU plugins could not be built: {} ({status}); everything else works\n\
         why: the messages above say; most often a crate could not be fetched\n\
         do:  forkline template, where crates.io or its mirror can be reached",
        missing.join(", ")
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sources_of_the_plugins_are_on_board() {
        let folders: Vec<&str> = all().map(|(folder, _)| folder).collect();
        assert!(folders.starts_with(&["opencl", "cuda"]), "{folders:?}");
        for name in [
            "gpu/Cargo.toml",
            "gpu/Cargo.lock",
            "gpu/stubs/lib64/libcuda.so",
            "gpu/stubs/lib64/libOpenCL.so",
            "src/gpu/table.rs",
        ] {
            assert!(template::has_file(name) && is_source(name), "{name}");
        }
    }
}
