//! The files that the analyzer knows: numbered by their paths, read from disk once.
//!
//! They are in sets, in which modules find each other: the cells' source, files that the user may change, and a set for each
//! time that others were read, which never changes afterwards.

use crate::home;
use ra_ap_base_db::{FileId, SourceRootId, VfsPath};
use ra_ap_ide_db::base_db::FileSet;
use ra_ap_paths::{AbsPathBuf, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// A folder with sources, and folders in it that are none.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Folder {
    pub path: PathBuf,
    pub without: Vec<PathBuf>,
    /// The user may change what is in it.
    pub is_local: bool,
}

impl Folder {
    /// The prelude is a path as the user's own crates are, but changes only with the template.
    fn may_change(&self) -> bool {
        self.is_local && !self.path.starts_with(home::prelude_dir())
    }
}

/// Numbers of files. The first one is the cells' source, which is not read.
pub struct Sources {
    ids: HashMap<String, FileId>,
    paths: Vec<String>,
    read: HashSet<PathBuf>,
    /// Files that the user may change.
    local: HashSet<FileId>,
    n_roots: u32,
}

/// What was read: sets of files, which are new or have changed, and the files' texts.
#[derive(Debug, Default)]
pub struct Read {
    pub roots: Vec<(SourceRootId, FileSet)>,
    pub texts: Vec<(FileId, String)>,
}

/// The number of the cells' source.
pub const SESSION: FileId = FileId::from_raw(0);
/// The set that has nothing but the cells' source.
pub const OF_SESSION: SourceRootId = SourceRootId(0);
/// The set of files that the user may change.
pub const LOCAL: SourceRootId = SourceRootId(1);

impl Sources {
    pub fn new(session: &Path) -> Sources {
        let path = session.to_string_lossy().into_owned();
        Sources {
            ids: HashMap::from([(path.clone(), SESSION)]),
            paths: vec![path],
            read: HashSet::new(),
            local: HashSet::new(),
            n_roots: 2,
        }
    }

    /// The number of a file that is known.
    pub fn id(&self, path: &str) -> Option<FileId> {
        self.ids.get(path).copied()
    }

    /// The path of a file.
    pub fn path(&self, id: FileId) -> Option<&str> {
        self.paths.get(id.index() as usize).map(String::as_str)
    }

    /// All sets.
    pub fn roots(&self) -> impl Iterator<Item = SourceRootId> + use<> {
        (0..self.n_roots).map(SourceRootId)
    }

    /// The cells' source alone.
    pub fn session(&self) -> FileSet {
        self.set(&HashSet::from([SESSION]))
    }

    /// Reads all sources in folders that have not been read yet, and in those that the user may change.
    pub fn read(&mut self, folders: &[Folder]) -> Read {
        let mut seen = HashSet::new();
        let (mut local, mut others) = (Vec::new(), Vec::new());
        for folder in folders {
            if self.read.insert(folder.path.clone()) || folder.may_change() {
                let found = if folder.may_change() {
                    &mut local
                } else {
                    &mut others
                };
                list(&folder.path, &folder.without, &mut seen, found);
            }
        }
        others.retain(|path| !self.ids.contains_key(path));
        let mut read = Read::default();
        let others = self.take(others, &mut read.texts);
        if !others.is_empty() {
            read.roots
                .push((SourceRootId(self.n_roots), self.set(&others)));
            self.n_roots += 1;
        }
        let local = self.take(local, &mut read.texts);
        if !local.is_empty() {
            self.local.extend(local);
            read.roots.push((LOCAL, self.set(&self.local)));
        }
        read
    }

    /// Reads files and numbers them.
    fn take(&mut self, paths: Vec<String>, files: &mut Vec<(FileId, String)>) -> HashSet<FileId> {
        let texts = read_all(&paths);
        let mut taken = HashSet::new();
        for (path, text) in paths.into_iter().zip(texts) {
            let Some(text) = text else { continue };
            let next = FileId::from_raw(self.paths.len() as u32);
            let id = *self.ids.entry(path.clone()).or_insert(next);
            if id == next {
                self.paths.push(path);
            }
            if id != SESSION {
                files.push((id, text));
                taken.insert(id);
            }
        }
        taken
    }

    fn set(&self, files: &HashSet<FileId>) -> FileSet {
        let mut set = FileSet::default();
        for &id in files {
            let path = self.path(id).map(Utf8PathBuf::from);
            if let Some(Ok(path)) = path.map(AbsPathBuf::try_from) {
                set.insert(id, VfsPath::from(path));
            }
        }
        set
    }
}

/// Paths of the sources below a folder.
fn list(dir: &Path, without: &[PathBuf], seen: &mut HashSet<PathBuf>, found: &mut Vec<String>) {
    if without.iter().any(|other| other == dir) || !seen.insert(dir.to_owned()) {
        return;
    }
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => list(&path, without, seen, found),
            Ok(_) if path.extension().is_some_and(|extension| extension == "rs") => {
                if let Some(path) = path.to_str() {
                    found.push(path.to_owned());
                }
            }
            _ => {}
        }
    }
}

/// Reads files on two threads: opening one costs more than its bytes do.
fn read_all(paths: &[String]) -> Vec<Option<String>> {
    let read = |paths: &[String]| -> Vec<Option<String>> {
        paths
            .iter()
            .map(|path| std::fs::read_to_string(path).ok())
            .collect()
    };
    let (one, other) = paths.split_at(paths.len() / 2);
    std::thread::scope(|scope| {
        let helper = scope.spawn(|| read(other));
        let mut texts = read(one);
        texts.extend(
            helper
                .join()
                .unwrap_or_else(|_| other.iter().map(|_| None).collect()),
        );
        texts
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_read_once_and_without_what_is_left_out() {
        let dir = std::env::temp_dir().join(format!("forkline-files-{}", std::process::id()));
        for name in ["a.rs", "b/c.rs", "target/d.rs", "e.txt"] {
            let path = dir.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, name).unwrap();
        }
        let folder = Folder {
            path: dir.clone(),
            without: vec![dir.join("target")],
            is_local: false,
        };
        let mut sources = Sources::new(Path::new("/session/src/lib.rs"));
        let read = sources.read(std::slice::from_ref(&folder));
        let mut texts: Vec<_> = read.texts.into_iter().map(|(_, text)| text).collect();
        texts.sort();
        assert_eq!(texts, ["a.rs", "b/c.rs"]);
        let [(first, files)] = &read.roots[..] else {
            panic!("{:?}", read.roots)
        };
        assert_eq!(files.iter().count(), 2);
        let again = sources.read(std::slice::from_ref(&folder));
        assert!(again.texts.is_empty() && again.roots.is_empty());
        // What the user may change is read again, and is a set of its own.
        let local = Folder {
            is_local: true,
            ..folder
        };
        std::fs::write(dir.join("b/f.rs"), "new").unwrap();
        for _ in 0..2 {
            let read = sources.read(std::slice::from_ref(&local));
            assert_eq!(read.texts.len(), 3);
            assert_eq!(read.roots.len(), 1);
            assert_eq!(read.roots[0].0, LOCAL);
            assert_eq!(read.roots[0].1.iter().count(), 3);
        }
        assert_ne!(*first, LOCAL);
        let id = sources.id(dir.join("a.rs").to_str().unwrap()).unwrap();
        assert_eq!(sources.path(id), dir.join("a.rs").to_str());
        assert_eq!(sources.id("/session/src/lib.rs"), Some(SESSION));
        std::fs::remove_dir_all(dir).unwrap();
    }
}
