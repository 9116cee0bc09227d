//! The command `forkline`: a Jupyter kernel for Rust, and what belongs to it.
//!
//! This file is the table of contents: each command leads to one module.

mod doctor;
mod engine;
mod home;
mod install;
mod magics;
mod processes;
mod protocol;
mod session;
mod terminal;
mod worker;

use lexopt::prelude::*;
use std::ffi::OsString;
use std::process::ExitCode;

const USAGE: &str = "\
forkline: a Jupyter kernel for Rust, made for experiments in parallel programming

usage:
  forkline install [--user | --prefix DIR | --sys-prefix]   make the kernel known to Jupyter
  forkline uninstall [...]                                  take it away again
  forkline template [--rebuild]    build the prelude once for all sessions
  forkline pack [NAME …]           build packs of crates for %load once for all sessions, or list them
  forkline doctor [--json]         what was found on this machine, what is missing
  forkline debug [--list] [--attach [KERNEL]]               the debugger of a running kernel, in this terminal
  forkline kernel -f FILE          serve a connection file (Jupyter starts this)
  forkline --version, --help
";

// rust-analyzer makes and drops syntax trees by the million.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // As a process of a cell, which is to begin quickly.
    worker::run_if_child();
    // As cargo and its like, which evcxr finds under these names.
    engine::run_if_stand_in();
    match std::env::args_os().nth(1) {
        Some(role) if role == worker::group::ROLE => worker::group::main(),
        Some(role) if role == worker::rank::ROLE => worker::rank::main(),
        _ => {}
    }
    // evcxr starts this binary in other roles and says so in the environment.
    if std::env::var_os("EVCXR_IS_RUNTIME").is_some()
        && std::env::var_os(worker::SIDE_CHANNEL).is_some()
    {
        worker::main();
    }
    if std::env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == engine::template::RUNTIME)
    {
        engine::template::answer_orders();
    }
    // As its compiler wrapper.
    evcxr::runtime_hook();
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("forkline: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let command = arguments.next().unwrap_or_default();
    match command.to_str() {
        Some("kernel") => session::run(&connection_file(arguments)?)?,
        Some("debug") => terminal::run(arguments)?,
        Some("install") => print_lines(install::install(&install::parse(arguments)?)?),
        Some("uninstall") => print_lines(install::uninstall(&install::parse(arguments)?)?),
        Some("template") => template(arguments)?,
        Some("pack") => pack(arguments)?,
        Some("template-build") => engine::template::build_here()?,
        Some(engine::analyzer_host::ROLE) => {
            engine::analyzer_host::start(arguments.next().unwrap_or_default().as_ref())?;
        }
        Some("doctor") => {
            let json = arguments.any(|argument| argument == "--json");
            return Ok(ExitCode::from(doctor::run(json) as u8));
        }
        Some("--version" | "-V") => println!("forkline {}", env!("CARGO_PKG_VERSION")),
        Some("--help" | "-h" | "help") => print!("{USAGE}"),
        other => {
            let what = other.filter(|name| !name.is_empty()).map_or_else(
                || "no command was given".to_owned(),
                |name| format!("there is no command `{name}`"),
            );
            eprint!("forkline: {what}\n\n{USAGE}");
            return Ok(ExitCode::from(2));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn connection_file(
    arguments: impl Iterator<Item = OsString>,
) -> anyhow::Result<std::path::PathBuf> {
    let mut file = None;
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Short('f') | Long("connection-file") => file = Some(parser.value()?.into()),
            Value(path) if file.is_none() => file = Some(path.into()),
            other => return Err(other.unexpected().into()),
        }
    }
    file.ok_or_else(|| {
        anyhow::anyhow!(
            "no connection file\n\
             why: a kernel is told by Jupyter where to listen\n\
             do:  start it from JupyterLab, or try: jupyter console --kernel forkline"
        )
    })
}

fn template(arguments: impl Iterator<Item = OsString>) -> anyhow::Result<()> {
    let mut rebuild = false;
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("rebuild") => rebuild = true,
            other => return Err(other.unexpected().into()),
        }
    }
    let record = engine::template::ensure(rebuild, &mut |text| println!("{text}"))?;
    println!(
        "the prelude is built by rustc {} in {}",
        record.rustc,
        home::template_dir().display()
    );
    engine::template::write_prelude(&home::prelude_dir())?;
    // Ranks and GPUs are extras: what is wrong with them is said, and all else goes on.
    for ensure in [engine::mpi_plugin::ensure, engine::gpu_plugins::ensure] {
        if let Err(error) = ensure(rebuild, &mut |text| println!("{text}")) {
            eprintln!("{error:#}");
        }
    }
    Ok(())
}

fn pack(arguments: impl Iterator<Item = OsString>) -> anyhow::Result<()> {
    let mut chosen = Vec::new();
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Value(name) => {
                let name = name.to_string_lossy();
                let pack = engine::packs::find(&name).ok_or_else(|| {
                    anyhow::anyhow!(
                        "there is no pack {name}\n\
                         why: forkline pack, without a name, lists those that there are\n\
                         do:  any other crate can be brought into a notebook by :dep"
                    )
                })?;
                chosen.push(pack);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    if chosen.is_empty() {
        print!("{}", engine::packs::list());
    }
    for pack in chosen {
        pack.ensure(&mut |text| println!("{text}"))?;
    }
    Ok(())
}

fn print_lines(lines: Vec<String>) {
    for line in lines {
        println!("{line}");
    }
}
