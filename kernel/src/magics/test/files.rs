//! Tests in Rust files: which files, and which tests of them.

use super::options::{Options, usage};
use super::{Built, run_programs};
use crate::engine::{BuildKind, CompilerSettings};
use crate::session::{CellContext, CellError};
use std::path::{Path, PathBuf};

/// A file, and the paths in it that were chosen; none means all.
#[derive(PartialEq, Debug)]
struct Target {
    file: PathBuf,
    chosen: Vec<String>,
}

/// `%test --path`.
pub fn run(
    context: &mut CellContext<'_>,
    options: &Options,
    settings: &CompilerSettings,
) -> Result<(), CellError> {
    let here = std::env::current_dir().unwrap_or_default();
    let base = match &options.dir {
        Some(dir) => here.join(dir),
        None => here,
    };
    let targets = targets(&base, &options.paths)?;
    let mut programs = Vec::new();
    for target in targets {
        let name = target.file.strip_prefix(&base).unwrap_or(&target.file);
        let prefix = format!("{}::", name.display());
        match context.build_tests(BuildKind::File(&target.file), settings.clone()) {
            Ok(program) => programs.push(Built {
                program,
                prefix,
                chosen: target.chosen,
            }),
            Err(error) => {
                for built in &programs {
                    let _ = std::fs::remove_file(&built.program.path);
                }
                return Err(error);
            }
        }
    }
    run_programs(context, "%test", options, programs, Some(&base))
}

/// The files that words name, each once, in order.
fn targets(base: &Path, words: &[String]) -> Result<Vec<Target>, CellError> {
    let mut targets: Vec<Target> = Vec::new();
    for word in words {
        let (path, chosen) = match word.split_once(".rs::") {
            Some((path, chosen)) => (format!("{path}.rs"), Some(chosen.to_owned())),
            None => (word.clone(), None),
        };
        let whole = base.join(&path);
        let mut found = if whole.is_dir() {
            tests_below(&whole)
        } else if path.contains(['*', '?']) {
            let mut all = Vec::new();
            files_below(&whole_part(base, &path), &mut all);
            let pattern = whole.to_string_lossy().into_owned();
            all.retain(|file| fits(&pattern, &file.to_string_lossy()));
            all
        } else if whole.is_file() {
            vec![whole]
        } else {
            Vec::new()
        };
        if found.is_empty() {
            let why = match base.join(&path).is_dir() {
                true => format!("{path} has no test_*.rs, *_test.rs or tests/*.rs"),
                false => format!("there is no file {path} in {}", base.display()),
            };
            return Err(usage(
                "%test",
                &why,
                "!ls    (shows what is there; --cd FOLDER looks elsewhere)",
            ));
        }
        found.sort();
        for file in found {
            let known = targets.iter().position(|target| target.file == file);
            match (known, &chosen) {
                // The whole file was asked for already, or is now.
                (Some(known), None) => targets[known].chosen.clear(),
                (Some(known), Some(name)) if !targets[known].chosen.is_empty() => {
                    targets[known].chosen.push(name.clone());
                }
                (Some(_), Some(_)) => {}
                (None, _) => targets.push(Target {
                    file,
                    chosen: chosen.iter().cloned().collect(),
                }),
            }
        }
    }
    Ok(targets)
}

/// The part of a pattern's folder that has no sign of a pattern in it.
fn whole_part(base: &Path, pattern: &str) -> PathBuf {
    let mut folder = base.to_owned();
    let parts: Vec<&str> = pattern.split('/').collect();
    for part in &parts[..parts.len() - 1] {
        if part.contains(['*', '?']) {
            break;
        }
        folder.push(part);
    }
    folder
}

/// The files of a folder that are named as files of tests are.
fn tests_below(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    files_below(folder, &mut all);
    all.retain(|file| {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        let parent = file.parent().and_then(Path::file_name);
        stem.starts_with("test_")
            || stem.ends_with("_test")
            || parent.is_some_and(|parent| parent == "tests")
    });
    all
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let is_hidden = name.to_string_lossy().starts_with('.') || name == "target";
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) && !is_hidden {
            files_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Whether a text fits a pattern: `*` is any text without `/`, `**` any text, `?` one character.
fn fits(pattern: &str, text: &str) -> bool {
    let Some(first) = pattern.chars().next() else {
        return text.is_empty();
    };
    let rest = &pattern[first.len_utf8()..];
    match first {
        '*' => {
            let (rest, over_folders) = match rest.strip_prefix('*') {
                Some(rest) => (rest, true),
                None => (rest, false),
            };
            let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            let mut ends = ends.take_while(|end| over_folders || !text[..*end].contains('/'));
            ends.any(|end| fits(rest, &text[end..]))
        }
        _ => text.chars().next().is_some_and(|char| {
            (char == first || first == '?') && fits(rest, &text[char.len_utf8()..])
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stay_in_their_folder() {
        assert!(fits("a/*_test.rs", "a/b_test.rs"));
        assert!(!fits("a/*_test.rs", "a/b/c_test.rs"));
        assert!(fits("a/**_test.rs", "a/b/c_test.rs"));
        assert!(fits("t?.rs", "t1.rs") && !fits("t?.rs", "t12.rs"));
    }

    #[test]
    fn folders_give_files_of_tests_and_names_choose_in_them() {
        let dir = std::env::temp_dir().join(format!("forkline-files-{}", std::process::id()));
        for name in [
            "test_a.rs",
            "b_test.rs",
            "c.rs",
            "tests/d.rs",
            ".x/test_e.rs",
        ] {
            let file = dir.join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "").unwrap();
        }
        let found = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            targets(&dir, &words).map(|targets| {
                let name = |target: Target| {
                    let file = target
                        .file
                        .strip_prefix(&dir)
                        .unwrap()
                        .display()
                        .to_string();
                    (file, target.chosen)
                };
                targets.into_iter().map(name).collect::<Vec<_>>()
            })
        };
        let whole = |name: &str| (name.to_owned(), Vec::new());
        assert_eq!(
            found(&["."]).unwrap().len(),
            found(&["*.rs", "tests/d.rs"]).unwrap().len() - 1,
        );
        assert_eq!(found(&["c.rs"]).unwrap(), [whole("c.rs")]);
        let chosen = found(&["c.rs::m::x", "c.rs::y", "test_*.rs"]).unwrap();
        assert_eq!(
            chosen[0],
            ("c.rs".to_owned(), vec!["m::x".to_owned(), "y".to_owned()])
        );
        assert_eq!(chosen[1], whole("test_a.rs"));
        assert!(found(&["none.rs"]).unwrap_err().traceback[0].contains("no file none.rs"));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
