//! Packs: crates that are compiled once for all sessions, as the prelude is, but cost nothing until a session loads them.
//!
//! A pack is a copy of the template in which evcxr has built some dependencies more. To load it, a session takes the compiled
//! libraries over as hard links and the versions into its Cargo.lock; then it brings the crates by `:dep`, and cargo finds
//! them fresh.
//!
//! What always holds: a pack never compiles the prelude anew (its crates ask for no feature that the prelude does not ask for);
//! it is used only with the template that it was built on.

use super::template::{self, Before, Lock};
use crate::home;
use anyhow::Context as _;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Crates that belong together.
#[derive(Debug, PartialEq, Eq)]
pub struct Pack {
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// The pack whose crates it has too. They are compiled anew with it: crates that both use have more features here.
    pub on: Option<&'static str>,
    /// Crates and what `:dep` says of each.
    pub dependencies: &'static [(&'static str, &'static str)],
    /// Crates of our own, whose sources are folders of these names beside the prelude's.
    pub own: &'static [&'static str],
    /// The library that its crates need to be linked, as the linker names it.
    pub driver: Option<&'static str>,
}

/// What most packs have not.
const PLAIN: Pack = Pack {
    name: "",
    about: "",
    on: None,
    dependencies: &[],
    own: &[],
    driver: None,
};

/// All packs, by name.
pub static ALL: &[Pack] = &[
    Pack {
        name: "broker",
        about: "task queues on RabbitMQ and Redis, in Celery's protocol",
        dependencies: &[("serde_json", "\"=1.0.154\"")],
        own: &["broker"],
        ..PLAIN
    },
    Pack {
        name: "cust",
        about: "CUDA by hand: contexts, modules, streams, events, memory",
        dependencies: &[("cust", "\"=0.3.2\"")],
        driver: Some("cuda"),
        ..PLAIN
    },
    Pack {
        name: "lambda",
        about: "AWS Lambda's runtime for serverless functions, and all of web",
        on: Some("web"),
        // Its logging brings regular expressions and a subscriber, a fifth of the tree.
        dependencies: &[(
            "lambda_runtime",
            "{ version = \"=1.5.0\", default-features = false }",
        )],
        ..PLAIN
    },
    Pack {
        name: "ndarray",
        about: "arrays of any number of axes in the processor's memory",
        dependencies: &[("ndarray", "\"=0.17.2\"")],
        ..PLAIN
    },
    Pack {
        name: "oci",
        about: "images of containers: tar archives, SHA-256, JSON",
        dependencies: &[
            ("serde_json", "\"=1.0.154\""),
            ("sha2", "\"=0.11.1\""),
            ("tar", "{ version = \"=0.4.46\", default-features = false }"),
        ],
        ..PLAIN
    },
    Pack {
        name: "ocl",
        about: "OpenCL by hand: platforms, contexts, programs, queues, buffers",
        dependencies: &[("ocl", "\"=0.19.7\"")],
        driver: Some("OpenCL"),
        ..PLAIN
    },
    Pack {
        name: "queue",
        about: "task queues for workers in several processes: apalis, in a file of SQLite",
        // Without TLS and other databases. apalis-sqlite has sqlx without a runtime, and asks for SQLite with it.
        dependencies: &[
            (
                "apalis",
                "{ version = \"=1.0.0\", default-features = false, \
                 features = [\"catch-panic\", \"limit\", \"retry\", \"timeout\"] }",
            ),
            (
                "apalis-sqlite",
                "{ version = \"=1.0.0\", default-features = false, \
                 features = [\"json\", \"migrate\", \"tokio\"] }",
            ),
            (
                "sqlx",
                "{ version = \"=0.9.0\", default-features = false, \
                 features = [\"json\", \"migrate\", \"runtime-tokio\", \"sqlite\"] }",
            ),
            ("ulid", "\"=3.0.0\""),
        ],
        ..PLAIN
    },
    Pack {
        name: "remote",
        about: "objects that are called from other processes and machines, with a name server",
        own: &["remote"],
        ..PLAIN
    },
    Pack {
        name: "web",
        about: "web applications (axum) and an HTTP client (ureq), without TLS",
        // hyper is below axum anyway: with it an application is served on a connection that a job has accepted.
        dependencies: &[
            ("axum", "\"=0.8.9\""),
            (
                "hyper",
                "{ version = \"=1.12.0\", features = [\"http1\", \"server\"] }",
            ),
            (
                "hyper-util",
                "{ version = \"=0.1.21\", features = [\"http1\", \"server\", \"service\", \"tokio\"] }",
            ),
            ("serde_json", "\"=1.0.154\""),
            (
                "tower-http",
                "{ version = \"=0.7.1\", features = [\"fs\"] }",
            ),
            ("ureq", "{ version = \"=3.5.2\", default-features = false }"),
        ],
        ..PLAIN
    },
];

/// The file that says what a pack was built from.
const RECORD: &str = "pack.txt";
/// The file that says what its crates of others were built from.
const CRATES: &str = "crates.txt";

/// The pack of a name.
pub fn find(name: &str) -> Option<&'static Pack> {
    ALL.iter().find(|pack| pack.name == name)
}

/// A line for each pack.
pub fn list() -> String {
    let width = ALL.iter().map(|pack| pack.name.len()).max().unwrap_or(0);
    let lines = ALL.iter().map(|pack| {
        let state = if pack.is_built() {
            "ready"
        } else {
            "not built"
        };
        format!("{:width$}  {state:9}  {}\n", pack.name, pack.about)
    });
    lines.collect()
}

impl Pack {
    /// The lines that make its crates dependencies of cells.
    pub fn lines(&self) -> String {
        let below = self.on.and_then(find);
        let all = below.into_iter().chain([self]);
        let mut lines: Vec<String> = all
            .flat_map(|pack| pack.dependencies)
            .map(|(name, version)| format!(":dep {name} = {version}"))
            .collect();
        lines.extend(self.own.iter().map(|name| {
            let path = home::prelude_dir().join(name);
            // TOML's basic strings escape as JSON's do.
            let path = serde_json::Value::from(path.to_string_lossy());
            format!(":dep {name} = {{ path = {path} }}")
        }));
        lines.join("\n")
    }

    fn dir(&self) -> PathBuf {
        home::packs_dir().join(self.name)
    }

    /// What it is built from, as text; none without a template.
    fn ingredients(&self) -> Option<String> {
        let template = template::recorded()?.digest;
        let sources = self.own.iter().map(|name| {
            let folder = format!("{name}/");
            template::digest_of(|file| file.starts_with(&folder)) + "\n"
        });
        let sources: String = sources.collect();
        Some(format!("{template}\n{}\n{sources}", self.lines()))
    }

    /// What its crates of others are built from, as text; none without a template.
    fn crates(&self) -> Option<String> {
        let of_template = template::recorded()?.crates;
        Some(format!("{of_template}\n{}\n", self.lines()))
    }

    /// Whether it can be loaded without a build.
    pub fn is_built(&self) -> bool {
        let found = fs::read_to_string(self.dir().join(RECORD)).ok();
        found.is_some() && found == self.ingredients()
    }

    /// Builds it if it is missing or out of date; says what it does. Several processes may ask at once: one builds.
    ///
    /// # Errors
    /// There is no template, crates cannot be fetched, or they do not compile here.
    pub fn ensure(&self, progress: &mut dyn FnMut(&str)) -> anyhow::Result<()> {
        template::ensure(false, progress)?;
        let _lock = Lock::wait(&home::packs_dir().join(format!("{}.lock", self.name)))?;
        if self.is_built() {
            return Ok(());
        }
        progress(&format!(
            "building the pack {}, once for all sessions",
            self.name
        ));
        let dir = self.dir();
        // The template does not depend on the sources of our own crates, so they may be newer than it.
        template::write_prelude(&home::prelude_dir())?;
        let crates = self.crates().context("the template is gone")?;
        let found = fs::read_to_string(dir.join(CRATES)).unwrap_or_default();
        let before = Before::of(&dir, found == crates)?;
        template::copy_to(&dir)?;
        before.hand_on(self.own)?;
        template::build(&dir, &self.lines())
            .with_context(|| format!("the pack {} could not be built", self.name))?;
        let record = self.ingredients().context("the template is gone")?;
        fs::write(dir.join(CRATES), crates)?;
        fs::write(dir.join(RECORD), record)?;
        Ok(())
    }

    /// Takes what is compiled over into a session's folder.
    ///
    /// # Errors
    /// It is not built, or the disk is full.
    pub fn join(&self, session: &Path) -> anyhow::Result<()> {
        let dir = self.dir();
        let versions = |dir: &Path| fs::read_to_string(dir.join("Cargo.lock"));
        let joined = union(&versions(session)?, &versions(&dir)?);
        template::copy_target(&dir.join("target"), &session.join("target"))?;
        fs::write(session.join("Cargo.lock"), joined)?;
        Ok(())
    }
}

/// The packages of two Cargo.lock files. Cargo removes those that it does not need; where both have a package of the same
/// version, the first file's description counts.
fn union(first: &str, second: &str) -> String {
    const PACKAGE: &str = "[[package]]\n";
    let head = first.split(PACKAGE).next().unwrap_or_default();
    let mut packages = BTreeMap::new();
    for text in [second, first] {
        for package in text.split(PACKAGE).skip(1) {
            let mut lines = package.lines();
            // Name and version; both are on every package's first two lines.
            let key = (
                lines.next().unwrap_or_default(),
                lines.next().unwrap_or_default(),
            );
            packages.insert(key, package.trim_end());
        }
    }
    let packages = packages.values();
    packages.fold(head.to_owned(), |text, package| {
        format!("{}\n\n{PACKAGE}{package}\n", text.trim_end())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_order_and_crates_have_one_version() {
        let names: Vec<_> = ALL.iter().map(|pack| pack.name).collect();
        assert!(names.is_sorted(), "{names:?}");
        for pack in ALL {
            for (name, version) in pack.dependencies {
                assert!(version.contains("\"="), "{name} of {}: pin it", pack.name);
            }
            for name in pack.own {
                let manifest = format!("{name}/Cargo.toml");
                assert!(template::has_file(&manifest), "{name} of {}", pack.name);
            }
            assert_eq!(find(pack.name), Some(pack));
        }
        assert_eq!(find("ocl").unwrap().lines(), ":dep ocl = \"=0.19.7\"");
    }

    #[test]
    fn a_pack_on_another_has_its_crates_first() {
        for pack in ALL {
            if let Some(below) = pack.on {
                let below = find(below).unwrap_or_else(|| panic!("{}: no {below}", pack.name));
                assert_eq!(below.on, None, "{}: one below another is enough", pack.name);
                assert!(pack.lines().starts_with(&below.lines()), "{}", pack.name);
            }
        }
    }

    #[test]
    fn versions_are_put_together() {
        let file = |packages: &[(&str, &str, &str)]| {
            let packages = packages.iter().map(|(name, version, more)| {
                format!("\n[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n{more}")
            });
            format!("# by cargo\nversion = 4\n{}", packages.collect::<String>())
        };
        let first = file(&[
            ("b", "1.0.0", "dependencies = [\n \"a\",\n]\n"),
            ("c", "2.0.0", ""),
        ]);
        let second = file(&[("a", "1.0.0", ""), ("b", "1.0.0", ""), ("c", "3.0.0", "")]);
        let expected = file(&[
            ("a", "1.0.0", ""),
            ("b", "1.0.0", "dependencies = [\n \"a\",\n]\n"),
            ("c", "2.0.0", ""),
            ("c", "3.0.0", ""),
        ]);
        assert_eq!(union(&first, &second), expected);
    }
}
