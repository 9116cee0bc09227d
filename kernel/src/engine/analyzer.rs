//! What a cell's text means before it is compiled: types of variables, completions, documentation.
//!
//! * `project`  the crates that cells can use, kept in the template
//! * `sources`  the files, read once
//! * `types`    the types of the variables that a cell defines
//! * `lookup`   completion and documentation
//! * `host`     the process that is an analyzer for all kernels
//! * `remote`   how a kernel asks it
//!
//! evcxr has a rust-analyzer for this, which takes every file for one that may change: each cell makes it
//! look at everything that depends on the standard library again, and its start asks cargo and rustc a
//! dozen questions, twice. This one is the same code, told that only the cells' own file changes.
//!
//! What always holds: the libraries are read once, when they become a dependency, and what was found out about them
//! stays known when others come; a Cargo.toml that is not the template's is given to cargo once, when it first comes.

pub mod host;
mod lookup;
mod project;
mod remote;
mod sources;
mod types;

pub use lookup::Found;
pub use remote::Remote;
#[cfg(test)]
pub use types::Variable;
pub use types::{Let, is_full};

use super::driver::dependencies_in;
use crate::home;
use anyhow::Context as _;
use project::Project;
use ra_ap_base_db::salsa::{Durability, Setter};
use ra_ap_base_db::{
    Crate, LibraryRoots, LocalRoots, SourceDatabase, SourceRoot, SourceRootId, all_crates,
};
use ra_ap_hir::ChangeWithProcMacros;
use ra_ap_hir_def::lang_item::crate_lang_items;
use ra_ap_hir_def::nameres::crate_def_map;
use ra_ap_hir_ty::method_resolution::{InherentImpls, TraitImpls};
use ra_ap_ide::AnalysisHost;
use ra_ap_ide_db::RootDatabase;
use ra_ap_paths::{AbsPathBuf, Utf8PathBuf};
use ra_ap_project_model::{CargoConfig, ProjectManifest, ProjectWorkspace, RustLibSource};
use serde::{Deserialize, Serialize};
use sources::{Folder, Read, SESSION, Sources};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use triomphe::Arc;

/// The project of a template, in its folder: the crates that every cell may lead to.
const PROJECT: &str = "project.json";
/// The same with all crates; those that only few cells lead to cost half a second (measured).
const WHOLE_PROJECT: &str = "project-whole.json";
/// What a text names that leads to the others. (The prelude gives `forkline::libc`.)
const RARE: [&str; 2] = ["libc", "forkline::"];
/// Every text has this one.
const USUAL: &str = "forkline::prelude::*";
/// Environment variable: tools that rust-analyzer starts are to be the real ones (see `stand_in`).
pub const REAL_TOOLS: &str = "FORKLINE_REAL_TOOLS";

/// What the first cells are likely to need: strings, vectors, maps, iterators, rayon's too, channels.
const WARM_UP: &str = "use forkline::prelude::*;
async fn evcxr_analysis_wrapper() {
let text = String::from(\"a\");
let map = std::collections::HashMap::from([(1, 2)]);
let sums: Vec<u64> = (0..9_u64).map(|x| x + 1).filter(|x| x % 2 == 0).collect();
let list = vec![text.clone(), format!(\"{}\", 1)];
let pairs = (0..9_u64).into_par_iter().map(|x| x + 1).collect::<Vec<_>>();
let sum = pairs.par_iter().sum::<u64>();
let (sender, receiver) = std::sync::mpsc::channel::<u32>();
let shared = std::sync::Arc::new(std::sync::Mutex::new(0));
let handle = std::thread::spawn(move || receiver.recv().unwrap());
}
";
/// What comes after that, and a place for a completion at the end.
const WARM_UP_MORE: &str = "use forkline::prelude::*;
async fn evcxr_analysis_wrapper() {
let (sender, receiver) = crossbeam::channel::unbounded::<u64>();
let shared = Arc::new(parking_lot::Mutex::new(0_u64));
let (left, right) = rayon::join(|| 1, || 2);
let words: Vec<String> = \"a b\".split(' ').map(String::from).collect();
let elapsed = Instant::now().elapsed();
let count = Arc::new(AtomicUsize::new(0));
words.";

/// As much as rust-analyzer gives its threads: it recurses into types.
pub const STACK: usize = 8 << 20;

/// What is asked of an analyzer.
#[derive(Serialize, Deserialize)]
pub struct Question {
    /// The dependencies of the session, as its Cargo.toml has them.
    pub dependencies: Vec<(String, String)>,
    /// The text that evcxr analyses.
    pub text: String,
    pub wanted: Wanted,
}

/// What is to be known of a text.
#[derive(Serialize, Deserialize)]
pub enum Wanted {
    Variables,
    /// Candidates at a byte.
    Completion(usize),
    /// What is known of the name at a byte.
    Description(usize),
}

#[derive(Serialize, Deserialize)]
pub enum Answer {
    Variables(Vec<Let>),
    Completion(Found),
    /// As plain text and as Markdown.
    Description(Option<(String, String)>),
}

/// The session's own rust-analyzer.
pub struct Analyzer {
    host: AnalysisHost,
    sources: Sources,
    session: PathBuf,
    /// The cells' source as it is known.
    text: String,
    /// The first files of the crates that the template has.
    of_template: HashSet<String>,
    /// The dependencies of the crates in use, as Cargo.toml has them.
    dependencies: Vec<(String, String)>,
    /// Which crates are in use.
    extent: Extent,
    /// What a person should be told.
    notes: Vec<String>,
    /// How often other crates have come.
    n_follows: usize,
}

enum Extent {
    /// Those that most cells lead to; the others stand in a file of the template.
    Usual,
    /// The same where cells have more dependencies than the template; and all.
    UsualOf(Box<Project>),
    Whole,
}

impl Analyzer {
    /// Loads what the template wrote down, for the session in this folder.
    ///
    /// # Errors
    /// The template has no such file.
    pub fn of_template(session: &Path) -> anyhow::Result<Analyzer> {
        let manifest = std::fs::read_to_string(home::template_dir().join("Cargo.toml"))?;
        let mut analyzer = Analyzer::empty(session);
        analyzer.dependencies = dependencies_in(&manifest);
        analyzer.load(PROJECT)?;
        Ok(analyzer)
    }

    /// Takes the crates from a file of the template.
    fn load(&mut self, name: &str) -> anyhow::Result<()> {
        let file = home::template_dir().join(name);
        let text = std::fs::read(&file).with_context(|| format!("{}", file.display()))?;
        let project: Project = serde_json::from_slice(&text)?;
        self.of_template.extend(project.roots().map(str::to_owned));
        let read = self.sources.read(&project.folders);
        self.add(read);
        self.take(&project);
        Ok(())
    }

    fn empty(session: &Path) -> Analyzer {
        let mut host = AnalysisHost::default();
        let sources = Sources::new(&session.join("src/lib.rs"));
        let root = SourceRoot::new_local(sources.session());
        let db = host.raw_database_mut();
        put_root(db, sources::OF_SESSION, root, Durability::LOW);
        LocalRoots::get(db)
            .set_roots(db)
            .to(std::iter::once(sources::OF_SESSION).collect());
        Analyzer {
            host,
            sources,
            session: session.to_owned(),
            text: String::new(),
            of_template: HashSet::new(),
            dependencies: Vec::new(),
            extent: Extent::Usual,
            notes: Vec::new(),
            n_follows: 0,
        }
    }

    /// Becomes the analyzer of the session in another folder.
    fn move_to(&mut self, session: &Path) {
        self.session = session.to_owned();
    }

    /// Answers, and says what a person should be told. A panic inside rust-analyzer costs the answer only.
    pub fn answer(&mut self, question: &Question) -> (anyhow::Result<Answer>, Vec<String>) {
        let answer = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            self.follow(question.dependencies.clone());
            self.set_text(question.text.clone());
            Ok(match question.wanted {
                Wanted::Variables => Answer::Variables(self.variables()),
                Wanted::Completion(position) => Answer::Completion(self.complete(position)?),
                Wanted::Description(position) => Answer::Description(self.describe(position)),
            })
        }));
        let answer =
            answer.unwrap_or_else(|_| Err(anyhow::anyhow!("rust-analyzer panicked at this text")));
        (answer, std::mem::take(&mut self.notes))
    }

    /// Looks at what the first cells are likely to need.
    pub fn warm_up(&mut self) {
        // One revision: with the next one rust-analyzer drops what it has parsed.
        self.set_text(WARM_UP.to_owned());
        prepare(self.host.raw_database());
        let _ = self.variables();
    }

    /// Looks at what comes after the first cells, if there is time for it.
    pub fn warm_up_more(&mut self) {
        self.set_text(WARM_UP_MORE.to_owned());
        let _ = self.variables();
        let _ = self.complete(WARM_UP_MORE.len());
    }

    /// Takes another text of the cells' source.
    pub fn set_text(&mut self, text: String) {
        if text == self.text {
            return;
        }
        if leads_to_rare_crates(&text) {
            match std::mem::replace(&mut self.extent, Extent::Whole) {
                Extent::Whole => {}
                Extent::UsualOf(whole) => self.take(&whole),
                Extent::Usual => {
                    // Without them their names are unknown; that is no reason to know nothing.
                    if let Err(error) = self.load(WHOLE_PROJECT) {
                        self.notes
                            .push(format!("the analyzer lacks some crates: {error:#}"));
                    }
                }
            }
        }
        let mut change = ChangeWithProcMacros::default();
        change.change_file(SESSION, Some(text.clone()));
        self.host.apply_change(change);
        self.text = text;
    }

    /// Follows a change of the dependencies: asks cargo for the crates. If it refuses, the crates known so far
    /// go on to be known.
    pub fn follow(&mut self, dependencies: Vec<(String, String)>) {
        if dependencies == self.dependencies {
            return;
        }
        self.dependencies = dependencies;
        match self.ask_cargo(&self.session.clone()) {
            Ok(whole) if matches!(self.extent, Extent::Whole) => self.take(&whole),
            Ok(whole) => {
                // What the template has stays as it is, so that all that is known of it stays known.
                let usual = whole.clone().usual(|root| self.of_template.contains(root));
                self.take(&usual);
                self.extent = Extent::UsualOf(Box::new(whole));
            }
            Err(error) => {
                self.notes.push(format!(
                    "the analyzer does not know the new dependencies: {error:#}"
                ));
                return;
            }
        }
        self.n_follows += 1;
        prepare(self.host.raw_database());
    }

    /// The crates that the Cargo.toml in a folder leads to, all of them.
    fn ask_cargo(&mut self, dir: &Path) -> anyhow::Result<Project> {
        let manifest = absolute(&dir.join("Cargo.toml"))?;
        let manifest = ProjectManifest::from_manifest_file(manifest)?;
        let mut config = CargoConfig {
            sysroot: Some(RustLibSource::Discover),
            sysroot_src: Some(absolute(&home::rust_source_dir())?),
            ..CargoConfig::default()
        };
        config
            .extra_env
            .insert(REAL_TOOLS.to_owned(), Some("1".to_owned()));
        let workspace = ProjectWorkspace::load(manifest, &config, &|_| {})?;
        let folders: Vec<Folder> = workspace
            .to_roots()
            .into_iter()
            .flat_map(|root| {
                let is_local = root.is_local;
                let without: Vec<PathBuf> =
                    root.exclude.into_iter().map(AbsPathBuf::into).collect();
                root.include.into_iter().map(move |path| Folder {
                    path: path.into(),
                    without: without.clone(),
                    is_local,
                })
            })
            // The cells' source is not read.
            .filter(|folder| !dir.starts_with(&folder.path))
            .collect();
        let read = self.sources.read(&folders);
        self.add(read);
        let root = dir.join("src/lib.rs");
        let (graph, _) = workspace.to_crate_graph(
            &mut |path| match path.as_str() {
                path if Path::new(path) == root => Some(SESSION),
                path => self.sources.id(path),
            },
            &Default::default(),
        );
        // Only a database tells what is in a graph.
        let mut host = AnalysisHost::default();
        let mut change = ChangeWithProcMacros::default();
        change.set_crate_graph(graph);
        host.apply_change(change);
        let project = Project::of(host.raw_database(), folders, |id| match id {
            SESSION => None,
            id => self.sources.path(id).map(str::to_owned),
        });
        anyhow::ensure!(
            project.roots().count() < project.crates.len(),
            "the crate of the cells is not among those that cargo tells"
        );
        Ok(project)
    }

    /// Takes other crates, whose files have been added, for those in use. What is known of a crate stays known if it is the
    /// same in both.
    fn take(&mut self, project: &Project) {
        let mut change = ChangeWithProcMacros::default();
        change.set_crate_graph(project.graph(|path| match path {
            Some(path) => self.sources.id(path),
            None => Some(SESSION),
        }));
        change.change_file(SESSION, Some(self.text.clone()));
        self.host.apply_change(change);
    }

    /// Takes files that were read. Those of other folders are left alone: rust-analyzer does not compare, it would look
    /// at all crates again.
    fn add(&mut self, read: Read) {
        let db = self.host.raw_database_mut();
        for (id, files) in read.roots {
            put_root(db, id, SourceRoot::new_library(files), Durability::MEDIUM);
        }
        let others = self.sources.roots().filter(|&id| id != sources::OF_SESSION);
        LibraryRoots::get(db).set_roots(db).to(others.collect());
        let mut change = ChangeWithProcMacros::default();
        for (id, text) in read.texts {
            change.change_file(id, Some(text));
        }
        self.host.apply_change(change);
    }
}

/// Gives the database a set of files, in which modules find each other.
fn put_root(db: &mut RootDatabase, id: SourceRootId, root: SourceRoot, durability: Durability) {
    for file in root.iter() {
        db.set_file_source_root_with_durability(file, id, durability);
    }
    db.set_source_root_with_durability(id, Arc::new(root), durability);
}

/// Finds out what every inference asks about the libraries, on two threads: which names there are, crate
/// after crate, and behind that which types and traits are implemented.
fn prepare(db: &RootDatabase) {
    let (sender, receiver) = crossbeam_channel::unbounded::<Crate>();
    let helper = db.clone();
    std::thread::scope(|scope| {
        let behind = move || {
            ra_ap_hir::attach_db(&helper, || {
                for one in receiver {
                    TraitImpls::for_crate(&helper, one);
                    InherentImpls::for_crate(&helper, one);
                    crate_lang_items(&helper, one);
                }
            });
        };
        let thread = std::thread::Builder::new().stack_size(STACK);
        // Without it this thread does the same later.
        let _ = thread.spawn_scoped(scope, behind);
        // Dependencies come first.
        for &one in all_crates(db).iter() {
            crate_def_map(db, one);
            if sender.send(one).is_err() {
                break;
            }
        }
        drop(sender);
    });
}

/// Writes down the crates of a template, in its folder.
///
/// # Errors
/// cargo refuses, or the disk is full.
pub fn write_project(template: &Path) -> anyhow::Result<()> {
    let project = Analyzer::empty(template).ask_cargo(template)?;
    std::fs::write(template.join(WHOLE_PROJECT), serde_json::to_vec(&project)?)?;
    let usual = serde_json::to_vec(&project.usual(|_| true))?;
    std::fs::write(template.join(PROJECT), usual)?;
    Ok(())
}

/// Whether a template has its crates written down.
pub fn has_project(template: &Path) -> bool {
    template.join(PROJECT).exists()
}

fn leads_to_rare_crates(text: &str) -> bool {
    let rest = text.replace(USUAL, "");
    // The macro that shows results is everywhere, too.
    let rest = rest.replace("forkline::__", "");
    RARE.iter().any(|name| rest.contains(name))
}

fn absolute(path: &Path) -> anyhow::Result<AbsPathBuf> {
    let path = Utf8PathBuf::try_from(path.to_owned())?;
    AbsPathBuf::try_from(path).map_err(|path| anyhow::anyhow!("{path} is not absolute"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_that_few_cells_lead_to_are_loaded_when_they_are_named() {
        let usual = "use forkline::prelude::*; let _ = forkline::__result!(x);";
        assert!(!leads_to_rare_crates(usual));
        assert!(leads_to_rare_crates(&format!(
            "{usual} use forkline::libc;"
        )));
        assert!(leads_to_rare_crates("let f = forkline::time::now();"));
    }
}
