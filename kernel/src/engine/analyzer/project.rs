//! The crates that cells can use, as data of our own: what rust-analyzer makes of a Cargo.toml, kept
//! in a file of the template, so that a session need not ask cargo and rustc for it.
//!
//! What always holds: a crate stands after those that it depends on; the crate of the cells is one of
//! them, and nothing is read from its folder.

use super::sources::Folder;
use ra_ap_base_db::target::{Arch, TargetData};
use ra_ap_base_db::{
    Crate, CrateDisplayName, CrateGraphBuilder, CrateName, CrateOrigin, CrateWorkspaceData,
    DependencyBuilder, Env, FileId, LangCrateOrigin, SourceDatabase, Version, all_crates,
};
use ra_ap_cfg::{CfgAtom, CfgOptions};
use ra_ap_ide::Edition;
use ra_ap_intern::Symbol;
use ra_ap_paths::{AbsPathBuf, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;
use triomphe::Arc;

/// Crates whose names the signatures of the standard library and of the prelude's crates do not show.
const HIDDEN: [&str; 12] = [
    "test",
    "proc_macro",
    "libc",
    "rand",
    "rand_xorshift",
    "rustc_demangle",
    "panic_abort",
    "panic_unwind",
    "mio",
    "socket2",
    "signal_hook_registry",
    "compiler_builtins",
];

/// All crates, and where their files are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    pub folders: Vec<Folder>,
    pub crates: Vec<OneCrate>,
    /// What the compiler says of the target's memory.
    data_layout: Option<String>,
    /// The compiler's version.
    toolchain: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OneCrate {
    /// Its first file; none for the crate of the cells.
    pub root: Option<String>,
    edition: String,
    name: Option<String>,
    version: Option<String>,
    cfg: Vec<Cfg>,
    env: Vec<(String, String)>,
    origin: Origin,
    attributes: Vec<String>,
    is_proc_macro: bool,
    folder: String,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Cfg {
    Flag(String),
    Value(String, String),
}

/// Where a crate comes from; rust-analyzer treats the language's own ones in its own way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Origin {
    Local,
    Library(String),
    Language(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Dependency {
    /// Position among the crates.
    number: usize,
    name: String,
    prelude: bool,
    sysroot: bool,
}

impl Project {
    /// Writes down what a database knows. `path` tells the path of a file, none for the cells'.
    pub fn of(
        db: &dyn SourceDatabase,
        folders: Vec<Folder>,
        path: impl Fn(FileId) -> Option<String>,
    ) -> Project {
        // Dependencies come first.
        let known = all_crates(db);
        let numbers: HashMap<Crate, usize> = known
            .iter()
            .enumerate()
            .map(|(number, &one)| (one, number))
            .collect();
        let workspace = known.first().map(|one| one.workspace_data(db));
        let crates = known
            .iter()
            .map(|&one| OneCrate::of(db, one, &numbers, &path))
            .collect();
        Project {
            folders,
            crates,
            data_layout: workspace
                .and_then(|data| data.target.as_ref().ok())
                .map(|target| target.data_layout.to_string()),
            toolchain: workspace
                .and_then(|data| data.toolchain.as_ref())
                .map(ToString::to_string),
        }
    }

    /// The first files of the crates, without that of the cells.
    pub fn roots(&self) -> impl Iterator<Item = &str> {
        self.crates.iter().filter_map(|one| one.root.as_deref())
    }

    /// The same without the crates to which few cells lead: most of a second of each start, measured. `hides` tells of a
    /// crate's first file whether its signatures are known not to show them.
    pub fn usual(mut self, hides: impl Fn(&str) -> bool) -> Project {
        for one in &mut self.crates {
            let is_proc_macro = one.is_proc_macro;
            let hides = one.root.as_deref().is_some_and(&hides);
            one.dependencies.retain(|dependency| {
                !(hides && HIDDEN.contains(&&*dependency.name))
                    // What a macro is made with cannot be seen through it.
                    && (!is_proc_macro || dependency.sysroot)
            });
        }
        let mut kept = vec![false; self.crates.len()];
        for number in (0..self.crates.len()).rev() {
            if self.crates[number].root.is_none() {
                kept[number] = true;
            }
            if kept[number] {
                for dependency in &self.crates[number].dependencies {
                    kept[dependency.number] = true;
                }
            }
        }
        let mut numbers = Vec::new();
        let mut next = 0;
        for &is_kept in &kept {
            numbers.push(next);
            next += usize::from(is_kept);
        }
        let mut is_kept = kept.iter();
        self.crates
            .retain(|_| is_kept.next().copied().unwrap_or_default());
        for dependency in self.crates.iter_mut().flat_map(|one| &mut one.dependencies) {
            dependency.number = numbers[dependency.number];
        }
        let roots: Vec<&Path> = self
            .crates
            .iter()
            .filter_map(|one| one.root.as_deref().map(Path::new))
            .collect();
        self.folders
            .retain(|folder| roots.iter().any(|root| root.starts_with(&folder.path)));
        self
    }

    /// What rust-analyzer takes; `id` tells a file by its path, or that of the cells.
    pub fn graph(&self, id: impl Fn(Option<&str>) -> Option<FileId>) -> CrateGraphBuilder {
        let mut graph = CrateGraphBuilder::default();
        let workspace = Arc::new(CrateWorkspaceData {
            target: match &self.data_layout {
                Some(layout) => Ok(TargetData {
                    data_layout: layout.as_str().into(),
                    arch: Arch::Other,
                }),
                None => Err("the layout is not known".into()),
            },
            toolchain: self
                .toolchain
                .as_ref()
                .and_then(|text| Version::parse(text).ok()),
        });
        let mut built = Vec::new();
        for one in &self.crates {
            let Some(root) = id(one.root.as_deref()) else {
                built.push(None);
                continue;
            };
            let new = one.add(&mut graph, root, &workspace);
            for dependency in &one.dependencies {
                let Some(Some(number)) = built.get(dependency.number) else {
                    continue;
                };
                // A cycle cannot be: dependencies come first.
                let _ = graph.add_dep(
                    new,
                    DependencyBuilder::with_prelude(
                        CrateName::normalize_dashes(&dependency.name),
                        *number,
                        dependency.prelude,
                        dependency.sysroot,
                    ),
                );
            }
            built.push(Some(new));
        }
        graph
    }
}

impl OneCrate {
    fn of(
        db: &dyn SourceDatabase,
        one: Crate,
        numbers: &HashMap<Crate, usize>,
        path: &impl Fn(FileId) -> Option<String>,
    ) -> OneCrate {
        let (data, extra) = (one.data(db), one.extra_data(db));
        let mut cfg: Vec<Cfg> = one
            .cfg_options(db)
            .into_iter()
            .filter_map(|atom| match atom {
                CfgAtom::Flag(name) if name.as_str() == "true" => None,
                CfgAtom::Flag(name) => Some(Cfg::Flag(name.as_str().to_owned())),
                CfgAtom::KeyValue { key, value } => Some(Cfg::Value(
                    key.as_str().to_owned(),
                    value.as_str().to_owned(),
                )),
            })
            .collect();
        cfg.sort();
        OneCrate {
            root: path(data.root_file_id),
            edition: data.edition.to_string(),
            name: extra
                .display_name
                .as_ref()
                .map(|name| name.canonical_name().as_str().to_owned()),
            version: extra.version.clone(),
            cfg,
            env: one.env(db).clone().into(),
            origin: match &data.origin {
                CrateOrigin::Lang(lang) => Origin::Language(lang.to_string()),
                CrateOrigin::Library { name, .. } | CrateOrigin::Rustc { name } => {
                    Origin::Library(name.as_str().to_owned())
                }
                CrateOrigin::Local { .. } => Origin::Local,
            },
            attributes: data
                .crate_attrs
                .iter()
                .map(|text| {
                    text.trim_start_matches("#![")
                        .trim_end_matches(']')
                        .to_owned()
                })
                .collect(),
            is_proc_macro: data.is_proc_macro,
            folder: data.proc_macro_cwd.to_string(),
            dependencies: data
                .dependencies
                .iter()
                .filter_map(|dependency| {
                    Some(Dependency {
                        number: *numbers.get(&dependency.crate_id)?,
                        name: dependency.name.as_str().to_owned(),
                        prelude: dependency.is_prelude(),
                        sysroot: dependency.is_sysroot(),
                    })
                })
                .collect(),
        }
    }

    fn add(
        &self,
        graph: &mut CrateGraphBuilder,
        root: FileId,
        workspace: &Arc<CrateWorkspaceData>,
    ) -> ra_ap_base_db::CrateBuilderId {
        let cfg: CfgOptions = self
            .cfg
            .iter()
            .map(|cfg| match cfg {
                Cfg::Flag(name) => CfgAtom::Flag(Symbol::intern(name)),
                Cfg::Value(key, value) => CfgAtom::KeyValue {
                    key: Symbol::intern(key),
                    value: Symbol::intern(value),
                },
            })
            .collect();
        let env: Env = self.env.iter().cloned().collect();
        let folder = AbsPathBuf::try_from(Utf8PathBuf::from(&self.folder))
            .unwrap_or_else(|_| AbsPathBuf::assert("/".into()));
        graph.add_crate_root(
            root,
            self.edition.parse().unwrap_or(Edition::CURRENT),
            self.name
                .as_deref()
                .map(CrateDisplayName::from_canonical_name),
            self.version.clone(),
            cfg,
            None,
            env,
            match &self.origin {
                Origin::Local => CrateOrigin::Local {
                    repo: None,
                    name: self.name.as_deref().map(Symbol::intern),
                },
                Origin::Library(name) => CrateOrigin::Library {
                    repo: None,
                    name: Symbol::intern(name),
                },
                Origin::Language(name) => CrateOrigin::Lang(LangCrateOrigin::from(name.as_str())),
            },
            self.attributes.clone(),
            self.is_proc_macro,
            Arc::new(folder),
            Arc::clone(workspace),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(root: Option<&str>, dependencies: &[(usize, &str)]) -> OneCrate {
        OneCrate {
            root: root.map(str::to_owned),
            edition: "2024".to_owned(),
            name: root.map(str::to_owned),
            version: Some("1.2.3".to_owned()),
            cfg: vec![
                Cfg::Flag("unix".to_owned()),
                Cfg::Value("feature".to_owned(), "std".to_owned()),
            ],
            env: vec![("CARGO_PKG_NAME".to_owned(), "a".to_owned())],
            origin: Origin::Library("a".to_owned()),
            attributes: vec!["allow(unused)".to_owned()],
            is_proc_macro: false,
            folder: "/a".to_owned(),
            dependencies: dependencies
                .iter()
                .map(|&(number, name)| Dependency {
                    number,
                    name: name.to_owned(),
                    prelude: true,
                    sysroot: false,
                })
                .collect(),
        }
    }

    fn project() -> Project {
        Project {
            folders: ["/a", "/libc", "/b"]
                .map(|path| Folder {
                    path: path.into(),
                    without: Vec::new(),
                    is_local: false,
                })
                .to_vec(),
            crates: vec![
                one(Some("/libc/lib.rs"), &[]),
                one(Some("/a/lib.rs"), &[(0, "libc")]),
                one(None, &[(1, "a")]),
                one(Some("/b/lib.rs"), &[]),
            ],
            data_layout: Some("e-m:e".to_owned()),
            toolchain: Some("1.95.0".to_owned()),
        }
    }

    #[test]
    fn a_project_comes_back_from_a_database_as_it_was() {
        let text = serde_json::to_string(&project()).unwrap();
        let project: Project = serde_json::from_str(&text).unwrap();
        let paths = ["", "/libc/lib.rs", "/a/lib.rs", "/b/lib.rs"];
        let graph = project.graph(|path| {
            let number = paths
                .iter()
                .position(|known| *known == path.unwrap_or(""))?;
            Some(FileId::from_raw(number as u32))
        });
        let mut host = ra_ap_ide::AnalysisHost::default();
        let mut change = ra_ap_hir::ChangeWithProcMacros::default();
        change.set_crate_graph(graph);
        host.apply_change(change);
        let back = Project::of(host.raw_database(), project.folders.clone(), |id| {
            let path = paths[id.index() as usize];
            (!path.is_empty()).then(|| path.to_owned())
        });
        assert_eq!(back, project);
    }

    #[test]
    fn crates_that_the_cells_do_not_lead_to_are_left_out() {
        let usual = project().usual(|_| true);
        let roots: Vec<_> = usual.crates.iter().map(|one| one.root.as_deref()).collect();
        assert_eq!(roots, [Some("/a/lib.rs"), None]);
        assert_eq!(usual.crates[1].dependencies[0].number, 0);
        assert_eq!(usual.folders.len(), 1);
        let usual = project().usual(|root| root != "/a/lib.rs");
        let roots: Vec<_> = usual.roots().collect();
        assert_eq!(roots, ["/libc/lib.rs", "/a/lib.rs"]);
    }
}
