//! The files that the analyzer knows: numbered by their paths, read from disk once.

use ra_ap_base_db::{FileId, VfsPath};
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

/// Numbers of files. The first one is the cells' source, which is not read.
pub struct Sources {
    ids: HashMap<String, FileId>,
    paths: Vec<String>,
    read: HashSet<PathBuf>,
}

/// The number of the cells' source.
pub const SESSION: FileId = FileId::from_raw(0);

impl Sources {
    pub fn new(session: &Path) -> Sources {
        let path = session.to_string_lossy().into_owned();
        Sources {
            ids: HashMap::from([(path.clone(), SESSION)]),
            paths: vec![path],
            read: HashSet::new(),
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

    /// Reads all sources in folders that have not been read yet, and in those that the user may change.
    pub fn read(&mut self, folders: &[Folder]) -> Vec<(FileId, String)> {
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        for folder in folders {
            if self.read.insert(folder.path.clone()) || folder.is_local {
                let first = found.len();
                list(&folder.path, &folder.without, &mut seen, &mut found);
                if !folder.is_local {
                    let new: Vec<String> = found.drain(first..).collect();
                    found.extend(new.into_iter().filter(|path| !self.ids.contains_key(path)));
                }
            }
        }
        let texts = read_all(&found);
        let mut files = Vec::with_capacity(found.len());
        for (path, text) in found.into_iter().zip(texts) {
            let Some(text) = text else { continue };
            let next = FileId::from_raw(self.paths.len() as u32);
            let id = *self.ids.entry(path.clone()).or_insert(next);
            if id == next {
                self.paths.push(path);
            }
            if id != SESSION {
                files.push((id, text));
            }
        }
        files
    }

    /// The cells' source alone, and all others.
    pub fn sets(&self) -> (FileSet, FileSet) {
        let (mut session, mut library) = (FileSet::default(), FileSet::default());
        for (number, path) in self.paths.iter().enumerate() {
            let Ok(path) = AbsPathBuf::try_from(Utf8PathBuf::from(path)) else {
                continue;
            };
            let id = FileId::from_raw(number as u32);
            let set = if id == SESSION {
                &mut session
            } else {
                &mut library
            };
            set.insert(id, VfsPath::from(path));
        }
        (session, library)
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
        let mut texts: Vec<_> = sources
            .read(std::slice::from_ref(&folder))
            .into_iter()
            .map(|(_, text)| text)
            .collect();
        texts.sort();
        assert_eq!(texts, ["a.rs", "b/c.rs"]);
        assert!(sources.read(std::slice::from_ref(&folder)).is_empty());
        let local = Folder {
            is_local: true,
            ..folder
        };
        assert_eq!(sources.read(&[local]).len(), 2);
        let id = sources.id(dir.join("a.rs").to_str().unwrap()).unwrap();
        assert_eq!(sources.path(id), dir.join("a.rs").to_str());
        assert_eq!(sources.id("/session/src/lib.rs"), Some(SESSION));
        std::fs::remove_dir_all(dir).unwrap();
    }
}
