//! The program that `tests/mpi` runs under `mpiexec`: each scenario is a call or a family of them, checked on every rank.
//!
//! `ranks NAME…` runs the scenarios of these names, `all` those that need no more than an even number of ranks and
//! end well. A rank prints `ok NAME` behind each; a check that fails is a panic, and `mpiexec` ends the others.

mod collective;
mod failing;
mod files;
mod immediate;
mod point;
mod recording;
mod timing;
mod topology;
mod windows;

use forkline::mpi::{self, Communicator, MpiResult};

type Scenario = fn(&Communicator) -> MpiResult<()>;

/// What `all` runs.
const ALL: &[(&str, Scenario)] = &[
    ("world", point::world),
    ("values", point::values),
    ("modes", point::modes),
    ("slices", point::slices),
    ("requests", point::requests),
    ("scopes", point::scopes),
    ("exchange", point::exchange),
    ("probing", point::probing),
    ("null_process", point::null_process),
    ("threads", point::threads),
    ("large", point::large),
    ("bcast", collective::bcast),
    ("scatter", collective::scatter),
    ("gather", collective::gather),
    ("alltoall", collective::alltoall),
    ("vectors", collective::vectors),
    ("reduce", collective::reduce),
    ("operators", collective::operators),
    ("places", collective::places),
    ("unchecked", collective::unchecked),
    ("communicators", topology::communicators),
    ("groups", topology::groups),
    ("grid", topology::grid),
    ("torus", topology::torus),
    ("left_over", topology::left_over),
    ("graphs", topology::graphs),
    ("neighbors", topology::neighbors),
    ("counter", windows::counter),
    ("put_get", windows::put_get),
    ("halo", windows::halo),
    ("histogram", windows::histogram),
    ("swap_lock", windows::swap_lock),
    ("window_operators", windows::window_operators),
    ("bounds", windows::bounds),
    ("window_locks", windows::window_locks),
    ("blocks", files::blocks),
    ("views", files::views),
    ("ordered", files::ordered),
    ("unopened", files::unopened),
    ("each_call", immediate::each_call),
    ("overlap", immediate::overlap),
    ("mixed", immediate::mixed),
    ("late_barrier", immediate::late_barrier),
    ("immediate_errors", immediate::immediate_errors),
    ("messages", recording::messages),
    ("clocks", recording::clocks),
    ("pictures", recording::pictures),
    ("wrong_counts", failing::wrong_counts),
    ("wrong_calls", failing::wrong_calls),
    ("wrong_values", failing::wrong_values),
    ("truncated", failing::truncated),
    ("invalid", failing::invalid),
    ("deadlock", failing::deadlock),
    ("order", failing::order),
    ("standing", failing::standing),
    ("dropped", failing::dropped),
];

/// What is run by its name only.
const SINGLE: &[(&str, Scenario)] = &[
    ("timing", timing::all),
    ("late", failing::late),
    ("abort", failing::abort),
    ("finalize", failing::finalize),
    ("panic", failing::panic),
];

fn main() {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let world = match mpi::world() {
        Ok(world) => world,
        Err(error) => {
            println!("{error}");
            std::process::exit(3);
        }
    };
    let known = ALL.iter().chain(SINGLE);
    for name in &names {
        let chosen: Vec<_> = if name == "all" {
            ALL.iter().collect()
        } else {
            known.clone().filter(|(known, _)| known == name).collect()
        };
        assert!(!chosen.is_empty(), "{name} is no scenario");
        for (name, scenario) in chosen {
            if let Err(error) = scenario(&world) {
                panic!("{name} on rank {}: {error}", world.rank());
            }
            println!("ok {name}");
        }
    }
}
