//! Cells that have been compiled before, on disk, for all sessions of a user.
//!
//! Why a wrong hit cannot be. An entry's name is the digest of everything that rustc is given: the
//! source as it is compiled (with the history in it: evcxr repeats every item, names every variable
//! with its type and numbers the cells), the whole command line with its settings, the versions of
//! all dependencies, the compiler's and the prelude's identity. The two things that a digest made
//! before the compile cannot know, files that the source includes and environment variables that it
//! reads, rustc names itself (`--emit=dep-info`); an entry holds their digests and values and counts
//! only while they are the same. A dependency whose source may change without a new version (a local
//! path) is never kept. As everywhere with cargo, a procedural macro that reads files in secret is
//! not seen.
//!
//! evcxr writes items and variables in a random order. The digest is made of them in sorted order,
//! and of the cell as the user wrote it; a hit brings back the source that the library was compiled
//! from, so that lines are right.

use super::command::hex;
use ra_ap_syntax::{Edition, SourceFile};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

/// How much the entries may take, unless `FORKLINE_CACHE_MIB` says otherwise.
const DEFAULT_LIMIT: u64 = 512 << 20;
/// How many entries may be added before the size is looked at again.
const CHECK_EVERY: usize = 64;

/// The cache in its folder.
pub struct Cache {
    dir: PathBuf,
    limit: u64,
    added: AtomicUsize,
    hits: AtomicUsize,
    compiled: AtomicUsize,
}

/// What an entry's library was made from besides what its name says.
#[derive(Serialize, Deserialize, Default)]
struct Inputs {
    /// Included files and their digests.
    files: Vec<(PathBuf, String)>,
    /// Environment variables that the source reads, none if unset.
    environment: Vec<(String, Option<String>)>,
}

/// What there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    pub entries: usize,
    pub bytes: u64,
    pub limit: u64,
    /// Of this session.
    pub hits: usize,
    pub compiled: usize,
}

impl Cache {
    pub fn new(dir: PathBuf) -> Cache {
        let limit = std::env::var("FORKLINE_CACHE_MIB")
            .ok()
            .and_then(|text| text.trim().parse::<u64>().ok())
            .map_or(DEFAULT_LIMIT, |mib| mib << 20);
        Cache {
            dir,
            limit,
            added: AtomicUsize::new(0),
            hits: AtomicUsize::new(0),
            compiled: AtomicUsize::new(0),
        }
    }

    /// The name of a cell's entry; none if it cannot be told what the source is.
    pub fn key(source: &str, parts: &[&str]) -> Option<String> {
        let mut hasher = Sha256::new();
        let mut add = |text: &str| {
            hasher.update((text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        for item in sorted_items(source)? {
            add(&item);
        }
        for part in parts {
            add(part);
        }
        Some(hex(hasher))
    }

    /// Puts a kept library at `library` and returns its source.
    pub fn fetch(
        &self,
        key: &str,
        library: &Path,
        dir: &Path,
        environment: &[(String, String)],
    ) -> Option<String> {
        let found = self.try_fetch(key, library, dir, environment);
        if found.is_some() {
            self.hits.fetch_add(1, Ordering::Relaxed);
        }
        found
    }

    fn try_fetch(
        &self,
        key: &str,
        library: &Path,
        dir: &Path,
        environment: &[(String, String)],
    ) -> Option<String> {
        let inputs: Inputs =
            serde_json::from_slice(&fs::read(self.file(key, "json")).ok()?).ok()?;
        let same_files = inputs
            .files
            .iter()
            .all(|(file, digest)| digest_of(&dir.join(file)).as_ref() == Some(digest));
        let same_environment = inputs
            .environment
            .iter()
            .all(|(name, value)| variable(environment, name) == value.as_deref());
        if !same_files || !same_environment {
            return None;
        }
        let source = fs::read_to_string(self.file(key, "rs")).ok()?;
        let kept = self.file(key, "so");
        let _ = fs::remove_file(library);
        link_or_copy(&kept, library).ok()?;
        // The entries used last are removed last.
        if let Ok(file) = fs::File::options().write(true).open(self.file(key, "json")) {
            let _ = file.set_modified(SystemTime::now());
        }
        Some(source)
    }

    /// Keeps a library. `dependencies` is rustc's dep-info file. A failure costs the entry only.
    pub fn store(
        &self,
        key: &str,
        library: &Path,
        source: &str,
        dependencies: &Path,
        dir: &Path,
        environment: &[(String, String)],
    ) {
        self.compiled.fetch_add(1, Ordering::Relaxed);
        if self.limit == 0 {
            return;
        }
        let stored = (|| -> io::Result<()> {
            let inputs = inputs(&fs::read_to_string(dependencies)?, dir, environment)?;
            fs::create_dir_all(&self.dir)?;
            self.write(key, "rs", source.as_bytes())?;
            let new = self.temporary();
            link_or_copy(library, &new)?;
            fs::rename(&new, self.file(key, "so"))?;
            // Last: an entry without it does not count.
            self.write(key, "json", &serde_json::to_vec(&inputs)?)
        })();
        if stored.is_ok() {
            let before = self.added.fetch_add(1, Ordering::Relaxed);
            if before.is_multiple_of(CHECK_EVERY) {
                self.shrink();
            }
        }
    }

    /// Removes the entries used least lately until what is left is within the limit.
    fn shrink(&self) {
        let mut entries = self.entries();
        let mut total: u64 = entries.iter().map(|entry| entry.bytes).sum();
        if total <= self.limit {
            return;
        }
        entries.sort_by_key(|entry| entry.used);
        for entry in entries {
            if total <= self.limit / 10 * 9 {
                break;
            }
            self.remove(&entry.key);
            total -= entry.bytes;
        }
    }

    /// What there is, on disk and in this session.
    pub fn summary(&self) -> Summary {
        let entries = self.entries();
        Summary {
            entries: entries.len(),
            bytes: entries.iter().map(|entry| entry.bytes).sum(),
            limit: self.limit,
            hits: self.hits.load(Ordering::Relaxed),
            compiled: self.compiled.load(Ordering::Relaxed),
        }
    }

    /// Removes all entries.
    pub fn clear(&self) {
        for entry in self.entries() {
            self.remove(&entry.key);
        }
    }

    fn remove(&self, key: &str) {
        for extension in ["json", "so", "rs"] {
            let _ = fs::remove_file(self.file(key, extension));
        }
    }

    fn entries(&self) -> Vec<Entry> {
        let files = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        files
            .filter_map(|file| {
                let name = file.file_name().into_string().ok()?;
                let key = name.strip_suffix(".json")?.to_owned();
                let size = |extension| {
                    fs::metadata(self.file(&key, extension)).map_or(0, |metadata| metadata.len())
                };
                Some(Entry {
                    bytes: size("so") + size("rs") + size("json"),
                    used: file
                        .metadata()
                        .and_then(|metadata| metadata.modified())
                        .ok()?,
                    key,
                })
            })
            .collect()
    }

    fn file(&self, key: &str, extension: &str) -> PathBuf {
        self.dir.join(format!("{key}.{extension}"))
    }

    fn temporary(&self) -> PathBuf {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        self.dir
            .join(format!("new-{}-{number}", std::process::id()))
    }

    fn write(&self, key: &str, extension: &str, bytes: &[u8]) -> io::Result<()> {
        let new = self.temporary();
        fs::write(&new, bytes)?;
        fs::rename(new, self.file(key, extension))
    }
}

struct Entry {
    key: String,
    bytes: u64,
    used: SystemTime,
}

/// The items of a source in an order that is always the same.
fn sorted_items(source: &str) -> Option<Vec<String>> {
    let parsed = SourceFile::parse(source, Edition::Edition2024);
    if !parsed.errors().is_empty() {
        return None;
    }
    let mut items: Vec<String> = parsed
        .syntax_node()
        .children()
        .map(|item| sorted_transfers(&item.text().to_string()))
        .collect();
    items.sort();
    Some(items)
}

/// The function of the cell itself with the lines that move variables sorted, where they follow one
/// another; other items as they are.
fn sorted_transfers(item: &str) -> String {
    if !item.contains("fn run_user_code_") {
        return item.to_owned();
    }
    let is_transfer = |line: &&str| {
        line.contains("evcxr_variable_store.") || line.trim_end() == super::rewrite::UNNAMED
    };
    let mut lines: Vec<&str> = item.split_inclusive('\n').collect();
    for group in lines.chunk_by_mut(|one, other| is_transfer(one) == is_transfer(other)) {
        if is_transfer(&group[0]) {
            group.sort_unstable();
        }
    }
    lines.concat()
}

/// Reads rustc's dep-info: rules of make, and comments for environment variables.
fn inputs(text: &str, dir: &Path, environment: &[(String, String)]) -> io::Result<Inputs> {
    let mut inputs = Inputs::default();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# env-dep:") {
            let name = rest.split('=').next().unwrap_or(rest);
            let value = variable(environment, name).map(str::to_owned);
            inputs.environment.push((name.to_owned(), value));
        } else if let Some((target, files)) = line.split_once(": ")
            && target.ends_with(".so")
        {
            for file in make_words(files) {
                if file == "src/lib.rs" {
                    continue;
                }
                let digest = digest_of(&dir.join(&file)).ok_or(io::ErrorKind::NotFound)?;
                inputs.files.push((PathBuf::from(file), digest));
            }
        }
    }
    Ok(inputs)
}

/// Words of a rule of make, in which a space within a name has a backslash before it.
fn make_words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => words.last_mut().unwrap().extend(chars.next()),
            ' ' => words.push(String::new()),
            _ => words.last_mut().unwrap().push(char),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn variable<'a>(environment: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = environment.iter().find(|(known, _)| known == name)?;
    Some(&found.1)
}

fn digest_of(file: &Path) -> Option<String> {
    let mut hasher = Sha256::new();
    hasher.update(fs::read(file).ok()?);
    Some(hex(hasher))
}

fn link_or_copy(from: &Path, to: &Path) -> io::Result<()> {
    if fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    fs::copy(from, to).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_items_and_variables_does_not_count() {
        let function = |first: &str, second: &str| {
            format!("fn run_user_code_1() {{\n{first}\n{second}\n\nx + y;\n}}\n")
        };
        let (x, y) = (
            "evcxr_variable_store.take(stringify!(x));",
            super::super::rewrite::UNNAMED,
        );
        let one = format!("fn a() {{}}\nfn b() {{}}\n{}", function(x, y));
        let other = format!("fn b() {{}}\n{}fn a() {{}}\n", function(y, x));
        let (one, other) = (one.as_str(), other.as_str());
        assert_eq!(Cache::key(one, &["s"]), Cache::key(other, &["s"]));
        assert_ne!(Cache::key(one, &["s"]), Cache::key(one, &["t"]));
        let changed = one.replace("x + y", "y + x");
        assert_ne!(Cache::key(one, &[]), Cache::key(&changed, &[]));
        assert_eq!(Cache::key("fn {", &[]), None);
    }

    fn scratch(name: &str) -> PathBuf {
        let dir =
            std::env::temp_dir().join(format!("forkline-cache-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(dir.join("src")).unwrap();
        dir
    }

    #[test]
    fn an_entry_counts_while_its_files_and_variables_are_the_same() {
        let dir = scratch("inputs");
        let cache = Cache::new(dir.join("cache"));
        let (library, info) = (dir.join("libctx.so"), dir.join("ctx.d"));
        fs::write(&library, "library").unwrap();
        fs::write(dir.join("some data.txt"), "1").unwrap();
        fs::write(
            &info,
            "x/libctx.so: src/lib.rs some\\ data.txt\n\n# env-dep:LEVEL=3\n",
        )
        .unwrap();
        let environment = |level: &str| vec![("LEVEL".to_owned(), level.to_owned())];
        cache.store("k", &library, "source", &info, &dir, &environment("3"));
        let fetch = |level: &str| {
            let out = dir.join("out.so");
            let source = cache.fetch("k", &out, &dir, &environment(level));
            source.inspect(|_| assert_eq!(fs::read(&out).unwrap(), b"library"))
        };
        assert_eq!(fetch("3").as_deref(), Some("source"));
        assert_eq!(fetch("4"), None);
        fs::write(dir.join("some data.txt"), "2").unwrap();
        assert_eq!(fetch("3"), None);
        let summary = cache.summary();
        assert_eq!((summary.entries, summary.hits, summary.compiled), (1, 1, 1));
        cache.clear();
        assert_eq!(cache.summary().entries, 0);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn the_cache_stays_within_its_limit() {
        let dir = scratch("limit");
        let mut cache = Cache::new(dir.join("cache"));
        cache.limit = 3000;
        let (library, info) = (dir.join("libctx.so"), dir.join("ctx.d"));
        fs::write(&info, "").unwrap();
        for key in 0..5 {
            let _ = fs::remove_file(&library);
            fs::write(&library, [0; 1000]).unwrap();
            cache.store(&key.to_string(), &library, "", &info, &dir, &[]);
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        cache.shrink();
        let keys: Vec<String> = cache.entries().into_iter().map(|entry| entry.key).collect();
        assert!(
            keys.len() <= 2 && keys.contains(&"4".to_owned()),
            "{keys:?}"
        );
        fs::remove_dir_all(dir).unwrap();
    }
}
