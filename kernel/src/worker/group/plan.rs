//! How a group is to be started: the launcher's command line.

use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// How a group is to be started. Nobody is started for a plan of no ranks; orders are answered all the same, so
/// that evcxr can get ready.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub ranks: u32,
    /// The launcher and its arguments; `-n` and what follows are added.
    pub launcher: Vec<String>,
    /// Further arguments, after `-n`.
    pub options: Vec<String>,
    /// A file with the hosts on which ranks are to run, in the launcher's own form.
    pub host_file: Option<PathBuf>,
    /// The hosts themselves, in the launcher's own form: `a,b:2`.
    pub hosts: Option<String>,
    /// Variables for the launcher and all ranks.
    pub environment: Vec<(String, String)>,
}

/// The launcher if none is named.
pub const LAUNCHER: &str = "mpiexec";

impl Plan {
    /// The launcher's name.
    pub fn launcher(&self) -> &str {
        self.launcher.first().map_or(LAUNCHER, String::as_str)
    }

    /// The launcher's command line without the program of the ranks, for people.
    pub fn command_line(&self) -> String {
        let mut words = vec![self.launcher().to_owned()];
        words.extend(self.arguments(Dialect::OpenMpi));
        words.join(" ")
    }

    /// Whether ranks may run on other machines: then nothing but a network leads there.
    pub fn leaves_this_machine(&self) -> bool {
        let is_many = |name: &str| {
            let count = std::env::var(name).ok();
            count.and_then(|text| text.parse::<u32>().ok()) > Some(1)
        };
        let names_hosts = |option: &String| {
            let option = option.split('=').next().unwrap_or_default();
            HOST_OPTIONS.contains(&option)
        };
        self.host_file.is_some()
            || self.hosts.is_some()
            || self.options.iter().any(names_hosts)
            || self.launcher.iter().any(names_hosts)
            || std::path::Path::new(self.launcher()).file_name() == Some("srun".as_ref())
            || NODE_COUNTS.into_iter().any(is_many)
    }

    /// What stands between the launcher's name and the program of the ranks.
    fn arguments(&self, dialect: Dialect) -> Vec<String> {
        let mut words: Vec<String> = self.launcher.iter().skip(1).cloned().collect();
        words.extend(["-n".to_owned(), self.ranks.to_string()]);
        if let Some(file) = &self.host_file {
            words.extend([dialect.host_file().to_owned(), file.display().to_string()]);
        }
        if let Some(hosts) = &self.hosts {
            words.extend([dialect.hosts().to_owned(), hosts.clone()]);
        }
        words.extend(self.options.iter().cloned());
        words
    }

    /// The launcher's command line up to the program of the ranks. `carried` are the variables that ranks on other
    /// machines are to have, and that the command is given.
    pub(super) fn command(&self, carried: &[(String, OsString)]) -> Command {
        let mut command = Command::new(self.launcher());
        let dialect = if carried.is_empty() && self.host_file.is_none() && self.hosts.is_none() {
            Dialect::Other
        } else {
            Dialect::of(self.launcher())
        };
        command.args(self.arguments(dialect));
        if dialect == Dialect::OpenMpi {
            // The others carry all variables. A value stays off the command line, where everybody could read it.
            for (name, _) in carried {
                command.args(["-x", name]);
            }
            for (name, _) in &self.environment {
                command.args(["-x", name]);
            }
        }
        // SAFETY: geteuid has no preconditions.
        let is_root = unsafe { libc::geteuid() } == 0;
        // Open MPI refuses to start as root, and more ranks than cores, unless it is told; in a container
        // both are usual. What the user has set stays.
        let defaults = [
            ("OMPI_ALLOW_RUN_AS_ROOT", "1", is_root),
            ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", is_root),
            ("PRTE_ALLOW_RUN_AS_ROOT", "1", is_root),
            ("PRTE_ALLOW_RUN_AS_ROOT_CONFIRM", "1", is_root),
            ("OMPI_MCA_rmaps_base_oversubscribe", "1", true),
            (
                "PRTE_MCA_rmaps_default_mapping_policy",
                ":oversubscribe",
                true,
            ),
            ("OMPI_MCA_mpi_yield_when_idle", "1", self.is_crowded()),
        ];
        for (name, value, wanted) in defaults {
            if wanted && std::env::var_os(name).is_none() {
                command.env(name, value);
            }
        }
        command.envs(self.environment.iter().cloned());
        command.envs(carried.iter().cloned());
        command
    }

    /// More ranks than processors: one that waits must let others run.
    fn is_crowded(&self) -> bool {
        std::thread::available_parallelism().is_ok_and(|cores| self.ranks as usize > cores.get())
    }
}

/// Options of launchers that name hosts.
const HOST_OPTIONS: [&str; 9] = [
    "--hostfile",
    "-hostfile",
    "--machinefile",
    "-machinefile",
    "--host",
    "-host",
    "-hosts",
    "-H",
    "-f",
];

/// Where a batch system writes how many machines a job has: Slurm, PBS, Cobalt.
const NODE_COUNTS: [&str; 3] = ["SLURM_JOB_NUM_NODES", "PBS_NUM_NODES", "COBALT_JOBSIZE"];

/// What a launcher calls things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    OpenMpi,
    /// MPICH and Intel MPI.
    Hydra,
    Slurm,
    Other,
}

impl Dialect {
    /// By what the launcher says of itself.
    fn of(launcher: &str) -> Dialect {
        let said = Command::new(launcher)
            .arg("--version")
            .stdin(Stdio::null())
            .output();
        let said = said.map_or(String::new(), |output| {
            let text = [output.stdout, output.stderr].concat();
            String::from_utf8_lossy(&text).to_lowercase()
        });
        Dialect::read(&said)
    }

    fn read(said: &str) -> Dialect {
        let is_any = |words: &[&str]| words.iter().any(|word| said.contains(word));
        if is_any(&["openrte", "open mpi", "open-mpi", "prrte", "prte"]) {
            Dialect::OpenMpi
        } else if is_any(&["hydra", "intel(r) mpi"]) {
            Dialect::Hydra
        } else if is_any(&["slurm"]) {
            Dialect::Slurm
        } else {
            Dialect::Other
        }
    }

    fn host_file(self) -> &'static str {
        match self {
            Dialect::OpenMpi | Dialect::Other => "--hostfile",
            Dialect::Hydra => "-f",
            Dialect::Slurm => "--nodefile",
        }
    }

    fn hosts(self) -> &'static str {
        match self {
            Dialect::OpenMpi | Dialect::Other => "--host",
            Dialect::Hydra => "-hosts",
            Dialect::Slurm => "--nodelist",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn launchers_are_known_by_their_words() {
        for (said, dialect) in [
            ("mpiexec (OpenRTE) 4.1.4", Dialect::OpenMpi),
            ("prterun (PRRTE) 3.0.2", Dialect::OpenMpi),
            ("HYDRA build details:\n  Version: 4.0.2", Dialect::Hydra),
            ("slurm-wlm 22.05.8", Dialect::Slurm),
            ("", Dialect::Other),
        ] {
            assert_eq!(Dialect::read(&said.to_lowercase()), dialect, "{said}");
        }
    }

    #[test]
    fn hosts_lead_over_a_network() {
        let plan = |plan: Plan| plan.leaves_this_machine();
        assert!(plan(Plan {
            hosts: Some("a,b:2".to_owned()),
            ..Plan::default()
        }));
        assert!(plan(Plan {
            options: vec!["--hostfile=x".to_owned()],
            ..Plan::default()
        }));
        assert!(plan(Plan {
            launcher: vec!["/usr/bin/srun".to_owned()],
            ..Plan::default()
        }));
    }

    #[test]
    fn hosts_are_named_as_the_launcher_has_it() {
        let plan = Plan {
            ranks: 3,
            host_file: Some("hosts".into()),
            options: vec!["-v".to_owned()],
            ..Plan::default()
        };
        let words = |dialect| plan.arguments(dialect).join(" ");
        assert_eq!(words(Dialect::OpenMpi), "-n 3 --hostfile hosts -v");
        assert_eq!(words(Dialect::Hydra), "-n 3 -f hosts -v");
        assert_eq!(words(Dialect::Slurm), "-n 3 --nodefile hosts -v");
    }
}
