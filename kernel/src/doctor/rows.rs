//! The pieces that the kernel needs or can use: what is there, what it adds, what brings it.

use super::Row;
use super::probe::{
    Answer, ask, first_line, has_library, is_older, jupyter_parts, kernel_folders, opencl_drivers,
    program, toolchain_program, version_in,
};
use crate::engine::gpu_plugins::{self, Driver};
use crate::engine::{mpi_plugin, template};
use crate::{home, install};
use std::ffi::OsStr;
use std::path::Path;

/// All pieces, in the order shown.
pub(super) fn all() -> Vec<Row> {
    let questions: [fn() -> Row; 14] = [
        rustc,
        cargo,
        rust_src,
        c_linker,
        fast_linker,
        libzmq,
        jupyter,
        kernelspec,
        template,
        mpi,
        opencl,
        cuda,
        lldb_dap,
        data_folder,
    ];
    // A program that hangs costs one time limit in all, not one for each row.
    std::thread::scope(|scope| {
        let answers = questions.map(|question| scope.spawn(question));
        answers
            .into_iter()
            .map(|answer| answer.join().expect("a row of the table does not panic"))
            .collect()
    })
}

fn rustc() -> Row {
    let row = Row::required("rustc");
    let wanted = env!("CARGO_PKG_RUST_VERSION");
    let Some(rustc) = toolchain_program("rustc") else {
        return row.missing("compiles the cells; install Rust: https://rustup.rs");
    };
    let Some(version) = first_line(&rustc, &["-V"]) else {
        return row.missing(format!(
            "{} is there and does not answer; probably no toolchain is chosen: \
             rustup default stable",
            rustc.display()
        ));
    };
    match version_in(&version) {
        Some(found) if is_older(&found, wanted) => row.missing(format!(
            "{found} is there, {wanted} or later is needed: rustup update stable"
        )),
        Some(found) => row.ok(found, "compiles the cells"),
        None => row.warn(version, "does not tell a version; it may be too old"),
    }
}

fn cargo() -> Row {
    let row = Row::required("cargo");
    match toolchain_program("cargo").and_then(|cargo| first_line(&cargo, &["-V"])) {
        Some(line) => row.ok(version_in(&line).unwrap_or(line), "fetches :dep crates"),
        None => row.missing("builds the cells; install Rust: https://rustup.rs"),
    }
}

fn rust_src() -> Row {
    let row = Row::required("rust-src");
    let library = toolchain_program("rustc")
        .and_then(|rustc| first_line(&rustc, &["--print", "sysroot"]))
        .map(|sysroot| Path::new(&sysroot).join("lib/rustlib/src/rust/library"));
    match library {
        Some(library) if library.is_dir() => {
            row.ok("in the sysroot", "tells the types of variables")
        }
        _ => row.missing(
            "without it no variable has a type: rustup component add rust-src \
             (Debian's rustc: apt install rust-src)",
        ),
    }
}

fn c_linker() -> Row {
    let row = Row::required("C linker (cc)");
    match program("cc").and_then(|cc| first_line(&cc, &["--version"])) {
        Some(line) => row.ok(line, "links the cells"),
        None => row.missing("links the cells: sudo apt install build-essential"),
    }
}

fn fast_linker() -> Row {
    let row = Row::optional("fast linker");
    let found = ["mold", "ld.lld", "lld"]
        .iter()
        .filter_map(|name| Some((*name, first_line(&program(name)?, &["--version"])?)))
        .map(|(name, line)| format!("{name} {}", version_in(&line).unwrap_or_default()))
        .next();
    match found {
        Some(found) => row.ok(found.trim_end(), "links large cells sooner"),
        None => row.missing("links large cells sooner: sudo apt install mold"),
    }
}

fn libzmq() -> Row {
    let row = Row::required("libzmq");
    let (major, minor, patch) = zmq::version();
    let version = format!("{major}.{minor}.{patch}");
    if zmq::has("curve").unwrap_or(false) {
        row.ok(version + " with CURVE", "talks to Jupyter, encrypted too")
    } else {
        row.warn(
            version + " without CURVE",
            "no encrypted connections; Debian's has them: sudo apt install libzmq3-dev, build again",
        )
    }
}

fn jupyter() -> Row {
    let row = Row::required("Jupyter");
    // `jupyter` may be there and not work, as a version manager's placeholder does, or lack a part
    // that forkline's own has: a complete one counts before an incomplete one.
    let own = home::data_dir().join("venv/bin/jupyter");
    let mut incomplete = None;
    for jupyter in program("jupyter").into_iter().chain([own]) {
        let place = jupyter.display();
        match ask(&jupyter, ["--version"]) {
            Answer::Text(text) => match jupyter_parts(&text) {
                (found, _) if found.is_empty() => {}
                (found, lacking) if lacking.is_empty() => {
                    return row.ok(found, &format!("shows the notebooks: {place}"));
                }
                (found, lacking) => {
                    let note = format!("{place} lacks {0}: pip install {0}", lacking.join(" "));
                    incomplete.get_or_insert((found, note));
                }
            },
            Answer::TooSlow => {
                let note = "did not tell its version in 5 s".to_owned();
                incomplete.get_or_insert((place.to_string(), note));
            }
            Answer::Failed | Answer::NoProgram => {}
        }
    }
    if let Some((found, note)) = incomplete {
        return row.warn(found, note);
    }
    row.missing("shows the notebooks: pip install jupyterlab nbconvert    (./install.sh does it)")
}

fn kernelspec() -> Row {
    let row = Row::required("kernelspec");
    let mut broken = None;
    for dir in kernel_folders() {
        let Ok(entries) = std::fs::read_dir(&dir) else {
            continue;
        };
        for entry in entries.flatten() {
            let Some(binary) = install::binary_of(&entry.path()) else {
                continue;
            };
            if binary.file_name() != Some(OsStr::new("forkline")) {
                continue;
            }
            let place = entry.path().display().to_string();
            if binary.is_file() {
                return row.ok(place, "tells Jupyter how to start the kernel");
            }
            broken.get_or_insert((place, binary));
        }
    }
    match broken {
        Some((place, binary)) => row.missing(format!(
            "{place} names {}, which is gone: forkline install",
            binary.display()
        )),
        None => row.missing("Jupyter does not know the kernel: forkline install"),
    }
}

fn template() -> Row {
    let row = Row::required("prelude");
    match template::check() {
        Ok(Ok(_)) => row.ok(
            home::template_dir().display().to_string(),
            "built once, used by each session",
        ),
        Ok(Err(why)) => row.missing(format!("{why}; takes about 40 s: forkline template")),
        Err(error) => row.missing(format!("{error}; then: forkline template")),
    }
}

fn mpi() -> Row {
    let row = Row::optional("MPI");
    let launcher = ["mpiexec", "mpirun"].iter().find_map(|name| program(name));
    let Some(line) = launcher.and_then(|launcher| first_line(&launcher, &["--version"])) else {
        return row.missing(
            "ranks: sudo apt install openmpi-bin libopenmpi-dev libclang-dev; then: forkline template",
        );
    };
    match mpi_plugin::state() {
        mpi_plugin::State::Ready => row.ok(line, "ranks, and mpi::… in cells"),
        mpi_plugin::State::NoMpi => row.warn(
            line,
            "no mpicc: sudo apt install libopenmpi-dev libclang-dev; then: forkline template",
        ),
        mpi_plugin::State::Outdated => row.warn(
            line,
            "the plugin is not built; takes a minute: forkline template",
        ),
    }
}

/// What a row says of a driver whose plugin is not built.
const NO_PLUGIN: &str = "the plugin is not built; takes half a minute: forkline template";

fn opencl() -> Row {
    let row = Row::optional("OpenCL");
    if !has_library("libOpenCL.so.1") {
        return row.missing("device arrays, on the CPU too: sudo apt install pocl-opencl-icd");
    }
    let drivers = opencl_drivers(Path::new("/etc/OpenCL/vendors"));
    if drivers.is_empty() {
        return row.warn(
            "libOpenCL.so.1, no driver",
            "sudo apt install pocl-opencl-icd (the CPU), or your GPU maker's driver",
        );
    }
    let drivers = drivers.join(", ");
    if gpu_plugins::is_ready(Driver::OpenCl) {
        row.ok(drivers, "device arrays")
    } else {
        row.warn(drivers, NO_PLUGIN)
    }
}

fn cuda() -> Row {
    let row = Row::optional("CUDA");
    let query = ["--query-gpu=name,driver_version", "--format=csv,noheader"];
    let device = program("nvidia-smi").and_then(|smi| first_line(&smi, &query));
    match (has_library("libcuda.so.1"), device) {
        (true, Some(device)) if gpu_plugins::is_ready(Driver::Cuda) => {
            row.ok(device, "device arrays")
        }
        (true, Some(device)) => row.warn(device, NO_PLUGIN),
        (true, None) => row.warn("libcuda.so.1", "nvidia-smi names no device"),
        (false, Some(device)) => row.warn(device, "nvidia-smi answers, libcuda.so.1 is not found"),
        (false, None) => row.missing("needs an NVIDIA GPU and its driver"),
    }
}

fn lldb_dap() -> Row {
    let row = Row::optional("lldb-dap");
    match crate::session::debug_adapter() {
        Some(path) => row.ok(path.display().to_string(), "the debugger"),
        None => row.missing(
            "the debugger needs lldb-dap 18.1 or later: sudo apt install lldb-19, then forkline install",
        ),
    }
}

fn data_folder() -> Row {
    let dir = home::data_dir().display().to_string();
    Row::optional("data folder").ok(dir, "prelude, sessions, history")
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn every_missing_required_piece_names_a_cure() {
        for row in all() {
            if row.required && row.state == State::Missing {
                assert!(row.note.contains(": "), "{row:?}");
            }
        }
    }
}
