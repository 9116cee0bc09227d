//! What an installation writes, leaves alone and takes away, in a folder of its own.

use super::files::{put, take};
use super::places::is_executable;
use super::*;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// A folder that is gone when the test is over.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let name = format!("forkline-install-{}", uuid::Uuid::new_v4().simple());
        let dir = std::env::temp_dir().join(name);
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn places(&self) -> Places {
        Places {
            binary: self.0.join("data/bin/forkline"),
            kernelspec: self.0.join("jupyter/kernels/forkline"),
            link: Some(self.0.join("home/.local/bin/forkline")),
        }
    }

    /// Something to install in place of the running binary.
    fn program(&self, text: &str) -> PathBuf {
        let file = self.0.join("built");
        fs::write(&file, text).unwrap();
        file
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn spec_for(places: &Places) -> String {
    kernelspec::text(&places.binary, "Rust", Path::new("/opt/rust/bin"), &[]).unwrap()
}

fn parsed(args: &[&str]) -> Result<InstallOptions> {
    parse(args.iter().map(OsString::from))
}

#[test]
fn kernelspec_says_what_front_ends_need() {
    let text = kernelspec::text(
        Path::new("/data/bin/forkline"),
        "Rust (forkline)",
        Path::new("/opt/rust/bin"),
        &[("FORKLINE_HOME", OsString::from("/elsewhere"))],
    )
    .unwrap();
    let spec: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        spec,
        json!({
            "argv": ["/data/bin/forkline", "kernel", "-f", "{connection_file}"],
            "display_name": "Rust (forkline)",
            "language": "rust",
            "interrupt_mode": "message",
            "env": { "FORKLINE_CARGO_BIN": "/opt/rust/bin", "FORKLINE_HOME": "/elsewhere" },
            "metadata": { "supported_encryption": ["curve"], "debugger": crate::session::has_debugger() },
        })
    );
}

#[test]
fn install_twice_changes_nothing_the_second_time() {
    let scratch = Scratch::new();
    let places = scratch.places();
    let program = scratch.program("one");
    let first = put(&places, &program, &spec_for(&places)).unwrap();
    assert!(
        first.iter().all(|line| !line.starts_with("unchanged")),
        "{first:#?}"
    );
    let second = put(&places, &program, &spec_for(&places)).unwrap();
    assert!(
        second.iter().all(|line| line.starts_with("unchanged")),
        "{second:#?}"
    );

    let mut names: Vec<_> = fs::read_dir(&places.kernelspec)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "kernel.json",
            "logo-32x32.png",
            "logo-64x64.png",
            "logo-svg.svg"
        ]
    );
}

#[test]
fn install_replaces_an_older_binary_and_makes_it_executable() {
    let scratch = Scratch::new();
    let places = scratch.places();
    put(&places, &scratch.program("one"), &spec_for(&places)).unwrap();
    put(&places, &scratch.program("two"), &spec_for(&places)).unwrap();
    assert_eq!(fs::read_to_string(&places.binary).unwrap(), "two");
    assert!(is_executable(places.link.as_ref().unwrap()));
}

#[test]
fn installed_binary_can_install_itself_again() {
    let scratch = Scratch::new();
    let places = scratch.places();
    put(&places, &scratch.program("one"), &spec_for(&places)).unwrap();
    let lines = put(&places, &places.binary, &spec_for(&places)).unwrap();
    assert!(lines[0].starts_with("unchanged"), "{lines:#?}");
}

#[test]
fn link_does_not_replace_a_file_of_the_user() {
    let scratch = Scratch::new();
    let places = scratch.places();
    let link = places.link.clone().unwrap();
    fs::create_dir_all(link.parent().unwrap()).unwrap();
    fs::write(&link, "mine").unwrap();
    let lines = put(&places, &scratch.program("one"), &spec_for(&places)).unwrap();
    assert!(lines[1].starts_with("kept"), "{lines:#?}");
    assert_eq!(fs::read_to_string(&link).unwrap(), "mine");
}

#[test]
fn uninstall_removes_what_install_wrote() {
    let scratch = Scratch::new();
    let places = scratch.places();
    put(&places, &scratch.program("one"), &spec_for(&places)).unwrap();
    take(&places).unwrap();
    assert!(!places.binary.exists());
    assert!(!places.kernelspec.exists());
    assert!(places.link.unwrap().symlink_metadata().is_err());
}

#[test]
fn uninstall_keeps_a_binary_that_another_kernel_starts() {
    let scratch = Scratch::new();
    let places = scratch.places();
    let other = Places {
        kernelspec: scratch.0.join("jupyter/kernels/second"),
        ..scratch.places()
    };
    let program = scratch.program("one");
    put(&places, &program, &spec_for(&places)).unwrap();
    put(&other, &program, &spec_for(&other)).unwrap();
    let lines = take(&places).unwrap();
    assert!(lines.last().unwrap().starts_with("kept"), "{lines:#?}");
    assert!(places.binary.exists());
}

#[test]
fn uninstall_leaves_the_kernel_of_another_program() {
    let scratch = Scratch::new();
    let places = scratch.places();
    fs::create_dir_all(&places.kernelspec).unwrap();
    let foreign = json!({ "argv": ["/usr/bin/python3", "-m", "ipykernel"] }).to_string();
    fs::write(places.kernelspec.join("kernel.json"), foreign).unwrap();
    let message = take(&places).unwrap_err().to_string();
    assert!(message.contains("does not start forkline"), "{message}");
    assert!(places.kernelspec.exists());
}

#[test]
fn place_that_cannot_be_written_is_named_with_a_cure() {
    let scratch = Scratch::new();
    fs::write(scratch.0.join("data"), "a file where a folder has to be").unwrap();
    let places = scratch.places();
    let error = put(&places, &scratch.program("one"), &spec_for(&places)).unwrap_err();
    let message = error.to_string();
    let lines: Vec<_> = message.lines().collect();
    assert!(
        lines[0].ends_with("data/bin/forkline: cannot be written"),
        "{message}"
    );
    assert!(lines[1].starts_with("why: "), "{message}");
    assert!(lines[2].starts_with("do:  forkline install"), "{message}");
}

#[test]
fn arguments_are_read() {
    assert_eq!(parsed(&[]).unwrap(), InstallOptions::default());
    let options = parsed(&["--prefix", "/p", "--name=r2", "--display-name", "R 2"]).unwrap();
    assert_eq!(
        options,
        InstallOptions {
            target: Target::Prefix(PathBuf::from("/p")),
            name: "r2".to_owned(),
            display_name: "R 2".to_owned(),
        }
    );
    assert_eq!(parsed(&["--sys-prefix"]).unwrap().target, Target::SysPrefix);
}

#[test]
fn wrong_arguments_say_what_to_type() {
    for args in [["--prefx", "/p"], ["--name", "a b"], ["--name", "../up"]] {
        let message = parsed(&args).unwrap_err().to_string();
        assert!(
            message.contains("\nwhy: ") && message.contains("\ndo:  "),
            "{message}"
        );
    }
    assert!(parsed(&["--prefix"]).is_err());
}

#[test]
fn jupyter_data_dir_follows_the_environment() {
    let dir = |set: &[(&str, &str)]| {
        jupyter_data_dir(|name| {
            let found = set.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| OsString::from(value))
        })
    };
    assert_eq!(
        dir(&[("JUPYTER_DATA_DIR", "/j"), ("HOME", "/h")]),
        Some(PathBuf::from("/j"))
    );
    assert_eq!(dir(&[]), None);
    if cfg!(target_os = "linux") {
        assert_eq!(
            dir(&[("XDG_DATA_HOME", "/x"), ("HOME", "/h")]),
            Some(PathBuf::from("/x/jupyter"))
        );
        assert_eq!(
            dir(&[("JUPYTER_DATA_DIR", ""), ("HOME", "/h")]),
            Some(PathBuf::from("/h/.local/share/jupyter"))
        );
    }
}
