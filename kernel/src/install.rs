//! `forkline install` and `forkline uninstall`: the binary and its kernelspec, where Jupyter looks.
//!
//! What the machine lacks is told by `doctor`; the workspace of the prelude is built by
//! `forkline template`. Here only files are put in place.
//!
//! What always holds:
//! * every file appears whole or not at all (written beside its place, then renamed), so that a
//!   running kernel and a Jupyter that reads at this moment are not disturbed;
//! * a second `install` changes nothing that is already as it should be, and says so;
//! * `uninstall` takes away only what names forkline.

use crate::home;
use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

/// The name under which Jupyter knows the kernel, unless `--name` says otherwise.
pub const DEFAULT_NAME: &str = "forkline";
/// What a front end shows in its launcher, unless `--display-name` says otherwise.
pub const DEFAULT_DISPLAY_NAME: &str = "Rust (forkline)";

const LOGOS: [(&str, &[u8]); 3] = [
    (
        "logo-32x32.png",
        include_bytes!("../assets/logo-32x32.png").as_slice(),
    ),
    (
        "logo-64x64.png",
        include_bytes!("../assets/logo-64x64.png").as_slice(),
    ),
    (
        "logo-svg.svg",
        include_bytes!("../assets/logo-svg.svg").as_slice(),
    ),
];

/// Where the toolchain and forkline's data lie, for those who moved them by these variables.
const FOLDERS: [&str; 3] = ["FORKLINE_HOME", "CARGO_HOME", "RUSTUP_HOME"];

const HELP: &str = "\
Usage: forkline install [OPTIONS]
       forkline uninstall [OPTIONS]

Puts the kernel where Jupyter finds it, or takes it away again.

Where (the last one given counts):
  --user               for the current user (this is the default)
  --prefix DIR         DIR/bin/forkline and DIR/share/jupyter/kernels
  --sys-prefix         the prefix of the Python that `python3` starts: its virtual environment

How it is called:
  --name NAME          the kernel's name for Jupyter              (default: forkline)
  --display-name TEXT  the name that the launcher shows           (default: Rust (forkline))
  --help               this text
";

/// What to install, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallOptions {
    pub target: Target,
    pub name: String,
    pub display_name: String,
}

/// For whom the kernel is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The current user.
    User,
    /// Everything that uses this prefix, such as a virtual environment or `/usr/local`.
    Prefix(PathBuf),
    /// The prefix of the Python on `PATH`.
    SysPrefix,
}

impl Default for InstallOptions {
    fn default() -> Self {
        Self {
            target: Target::User,
            name: DEFAULT_NAME.to_owned(),
            display_name: DEFAULT_DISPLAY_NAME.to_owned(),
        }
    }
}

/// Reads the arguments that follow `install` or `uninstall`.
///
/// `--help` prints the help and ends the process.
pub fn parse(args: impl Iterator<Item = OsString>) -> Result<InstallOptions> {
    use lexopt::prelude::*;

    let mut options = InstallOptions::default();
    let mut parser = lexopt::Parser::from_args(args);
    let usage = |error: lexopt::Error| {
        three_parts(
            &format!("forkline install: {error}"),
            "the options are --user, --prefix DIR, --sys-prefix, --name, --display-name",
            "forkline install --help",
        )
    };
    while let Some(argument) = parser.next().map_err(usage)? {
        match argument {
            Long("user") => options.target = Target::User,
            Long("prefix") => {
                let dir = PathBuf::from(parser.value().map_err(usage)?);
                options.target = Target::Prefix(dir);
            }
            Long("sys-prefix") => options.target = Target::SysPrefix,
            Long("name") => {
                options.name = parser.value().and_then(|v| v.string()).map_err(usage)?;
            }
            Long("display-name") => {
                options.display_name = parser.value().and_then(|v| v.string()).map_err(usage)?;
            }
            Long("help") | Short('h') => {
                print!("{HELP}");
                std::process::exit(0);
            }
            other => return Err(usage(other.unexpected())),
        }
    }
    check_name(&options.name)?;
    Ok(options)
}

/// Installs the running binary as a Jupyter kernel; the lines say what was written.
pub fn install(options: &InstallOptions) -> Result<Vec<String>> {
    let places = Places::of(options)?;
    let running = std::env::current_exe().context("forkline install: cannot find itself")?;
    let toolchain = cargo_bin_dir().ok_or_else(|| {
        three_parts(
            "forkline install: no cargo found",
            "looked on PATH and in the bin folder of CARGO_HOME; cells are compiled with it",
            "install Rust (https://rustup.rs), then run forkline install again",
        )
    })?;
    let folders = FOLDERS.map(|name| Some((name, std::env::var_os(name)?)));
    let folders: Vec<_> = folders
        .into_iter()
        .flatten()
        .filter(|(_, value)| !value.is_empty())
        .collect();
    let spec = kernelspec(&places.binary, &options.display_name, &toolchain, &folders)?;
    put(&places, &running, &spec)
}

/// Takes the kernel away again; the lines say what was removed and what was left.
pub fn uninstall(options: &InstallOptions) -> Result<Vec<String>> {
    let places = Places::of(options)?;
    let mut lines = take(&places)?;
    if options.target == Target::User {
        let data = home::data_dir();
        if data.exists() {
            lines.push(format!(
                "kept      {} (prelude, history); to remove it too: rm -r '{}'",
                data.display(),
                data.display()
            ));
        }
    }
    Ok(lines)
}

/// The folder that holds `cargo`: the first on `PATH`, else the one that rustup makes.
///
/// Inside a session the first `cargo` on `PATH` is a stand-in of the kernel's own, so what an
/// earlier install wrote into the kernelspec comes first. The folder is not resolved any further:
/// rustup's `cargo` is a link to a proxy that goes by the name under which it was called.
pub fn cargo_bin_dir() -> Option<PathBuf> {
    let recorded = std::env::var_os("FORKLINE_CARGO_BIN").map(PathBuf::from);
    let on_path = on_path("cargo").and_then(|cargo| cargo.parent().map(Path::to_path_buf));
    let cargo_home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")))
        .map(|dir| dir.join("bin"));
    [recorded, on_path, cargo_home]
        .into_iter()
        .flatten()
        .find(|dir| is_executable(&dir.join("cargo")))
        .and_then(|dir| std::path::absolute(dir).ok())
}

/// The first executable file of that name on `PATH`.
pub fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(program))
        .find(|file| is_executable(file))
}

/// The user's Jupyter data folder, by Jupyter's own rules; `variable` looks up the environment.
pub fn jupyter_data_dir(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name| variable(name).filter(|value| !value.is_empty());
    if let Some(dir) = set("JUPYTER_DATA_DIR") {
        return Some(PathBuf::from(dir));
    }
    let home = set("HOME").map(PathBuf::from);
    if cfg!(target_os = "macos") {
        return home.map(|home| home.join("Library/Jupyter"));
    }
    set("XDG_DATA_HOME")
        .map(|base| PathBuf::from(base).join("jupyter"))
        .or_else(|| home.map(|home| home.join(".local/share/jupyter")))
}

/// An error in the three parts that every message of forkline has.
fn three_parts(what: &str, why: &str, cure: &str) -> anyhow::Error {
    anyhow!("{what}\nwhy: {why}\ndo:  {cure}")
}

/// Jupyter ignores a kernel whose folder has any other character in its name.
fn check_name(name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if !name.is_empty() && !name.starts_with('.') && name.chars().all(fits) {
        return Ok(());
    }
    Err(three_parts(
        &format!("--name {name:?}: Jupyter would not find a kernel of this name"),
        "a kernel's name has letters, digits, '.', '_' and '-' only, and does not begin with '.'",
        "forkline install --name forkline    (what people see is --display-name)",
    ))
}

/// Where the pieces of one installation lie.
struct Places {
    binary: PathBuf,
    kernelspec: PathBuf,
    /// A link on the user's `PATH`, for a `--user` install.
    link: Option<PathBuf>,
}

impl Places {
    fn of(options: &InstallOptions) -> Result<Self> {
        let prefix = match &options.target {
            Target::User => return Self::of_user(&options.name),
            Target::Prefix(dir) => std::path::absolute(dir)
                .with_context(|| format!("--prefix {}: not a path", dir.display()))?,
            Target::SysPrefix => python_prefix()?,
        };
        Ok(Self {
            binary: prefix.join("bin/forkline"),
            kernelspec: prefix.join("share/jupyter/kernels").join(&options.name),
            link: None,
        })
    }

    fn of_user(name: &str) -> Result<Self> {
        let variable = |name: &str| std::env::var_os(name);
        let jupyter = jupyter_data_dir(variable).ok_or_else(|| {
            three_parts(
                "forkline install --user: no home folder",
                "neither HOME nor JUPYTER_DATA_DIR is set",
                "forkline install --prefix DIR",
            )
        })?;
        Ok(Self {
            binary: home::user_bin(),
            kernelspec: jupyter.join("kernels").join(name),
            link: variable("HOME").map(|home| Path::new(&home).join(".local/bin/forkline")),
        })
    }
}

fn python_prefix() -> Result<PathBuf> {
    let failed = |why: &str| {
        three_parts(
            "forkline install --sys-prefix: python3 does not tell its prefix",
            why,
            "forkline install --prefix DIR, or forkline install --user",
        )
    };
    let output = std::process::Command::new("python3")
        .args(["-c", "import sys; print(sys.prefix)"])
        .output()
        .map_err(|error| failed(&format!("python3 did not start: {error}")))?;
    let prefix = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if !output.status.success() || prefix.is_empty() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let last = stderr.lines().last().unwrap_or("it printed nothing");
        return Err(failed(last));
    }
    Ok(PathBuf::from(prefix))
}

/// The text of `kernel.json`.
///
/// A desktop program starts kernels without the user's shell profile, so the toolchain's folder is
/// written down; so is every one of [`FOLDERS`] that is not the usual one.
fn kernelspec(
    binary: &Path,
    display_name: &str,
    toolchain: &Path,
    folders: &[(&str, OsString)],
) -> Result<String> {
    let text = |path: &OsStr| {
        path.to_str().map(str::to_owned).ok_or_else(|| {
            three_parts(
                &format!("{}: the path is not UTF-8", Path::new(path).display()),
                "kernel.json is UTF-8 and has to name this path",
                "install under another path: forkline install --prefix DIR",
            )
        })
    };
    let mut env = json!({ "FORKLINE_CARGO_BIN": text(toolchain.as_os_str())? });
    for (name, dir) in folders {
        let dir = std::path::absolute(dir).with_context(|| format!("{name}: not a path"))?;
        env[*name] = Value::String(text(dir.as_os_str())?);
    }
    let spec = json!({
        "argv": [text(binary.as_os_str())?, "kernel", "-f", "{connection_file}"],
        "display_name": display_name,
        "language": "rust",
        "interrupt_mode": "message",
        "env": env,
        "metadata": { "supported_encryption": ["curve"], "debugger": false },
    });
    Ok(serde_json::to_string_pretty(&spec)? + "\n")
}

fn put(places: &Places, running: &Path, spec: &str) -> Result<Vec<String>> {
    let mut lines = vec![put_binary(running, &places.binary)?];
    if let Some(link) = &places.link {
        lines.push(put_link(link, &places.binary));
    }
    for (name, bytes) in LOGOS {
        put_file(&places.kernelspec.join(name), bytes, 0o644)?;
    }
    // kernel.json comes last: from here on Jupyter lists the kernel.
    let file = places.kernelspec.join("kernel.json");
    lines.push(put_file(&file, spec.as_bytes(), 0o644)?);
    Ok(lines)
}

fn put_binary(running: &Path, place: &Path) -> Result<String> {
    // Called from the place where it would be installed, as by the kernelspec's own binary.
    if let (Ok(from), Ok(to)) = (running.canonicalize(), place.canonicalize())
        && from == to
    {
        return Ok(format!("unchanged {}", place.display()));
    }
    let bytes = fs::read(running).map_err(|error| {
        three_parts(
            &format!("{}: cannot be read", running.display()),
            &format!("{error}; probably the binary was rebuilt or removed while it ran"),
            "run forkline install again",
        )
    })?;
    put_file(place, &bytes, 0o755)
}

/// Writes a file beside its place and renames it, unless it is there already.
fn put_file(place: &Path, bytes: &[u8], mode: u32) -> Result<String> {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};

    if fs::read(place).is_ok_and(|present| present == bytes) {
        let _ = fs::set_permissions(place, fs::Permissions::from_mode(mode));
        return Ok(format!("unchanged {}", place.display()));
    }
    let dir = place.parent().unwrap_or(Path::new("/"));
    let beside = dir.join(format!(
        ".{}.{}",
        place.file_name().unwrap_or_default().to_string_lossy(),
        uuid::Uuid::new_v4().simple()
    ));
    let write = || -> std::io::Result<()> {
        use std::io::Write;
        fs::create_dir_all(dir)?;
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&beside)?;
        file.write_all(bytes)?;
        // The umask may have taken bits away, and other users of a prefix have to run it too.
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.sync_all()?;
        fs::rename(&beside, place)
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&beside);
        three_parts(
            &format!("{}: cannot be written", place.display()),
            &error.to_string(),
            "forkline install --user, or --prefix DIR with a folder that you may write to",
        )
    })?;
    Ok(format!("wrote     {}", place.display()))
}

/// Makes `forkline` a command of the user; failing that is worth a line, not an error.
fn put_link(link: &Path, binary: &Path) -> String {
    if fs::read_link(link).is_ok_and(|target| target == binary) {
        return format!("unchanged {}{}", link.display(), path_hint(link));
    }
    if link.symlink_metadata().is_ok_and(|meta| !meta.is_symlink()) {
        return format!(
            "kept      {} (a file that is not forkline's link); the command is {}",
            link.display(),
            binary.display()
        );
    }
    let beside = link.with_file_name(format!(".forkline.{}", uuid::Uuid::new_v4().simple()));
    let made = fs::create_dir_all(link.parent().unwrap_or(Path::new("/")))
        .and_then(|()| std::os::unix::fs::symlink(binary, &beside))
        .and_then(|()| fs::rename(&beside, link));
    match made {
        Ok(()) => format!("linked    {}{}", link.display(), path_hint(link)),
        Err(error) => {
            let _ = fs::remove_file(&beside);
            format!(
                "no link   {} ({error}); the command is {}",
                link.display(),
                binary.display()
            )
        }
    }
}

/// What to add to the line about the link if typing `forkline` would not find it.
fn path_hint(link: &Path) -> &'static str {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|dir| Some(dir.as_path()) == link.parent()) {
        ""
    } else {
        "    (its folder is not on PATH)"
    }
}

fn take(places: &Places) -> Result<Vec<String>> {
    let spec = &places.kernelspec;
    let mut lines = Vec::new();
    if spec.join("kernel.json").exists() {
        if binary_of(spec).is_none_or(|file| file.file_name() != Some(OsStr::new("forkline"))) {
            return Err(three_parts(
                &format!("{}: not removed", spec.display()),
                "its kernel.json does not start forkline",
                "forkline uninstall --name NAME    (jupyter kernelspec list shows the names)",
            ));
        }
        remove(spec, &mut lines)?;
    } else {
        lines.push(format!("not there {}", spec.display()));
    }
    // Another kernelspec beside this one may start the same binary.
    let siblings = spec.parent().and_then(|dir| fs::read_dir(dir).ok());
    if siblings
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| binary_of(&entry.path()).as_deref() == Some(&places.binary))
    {
        let binary = places.binary.display();
        lines.push(format!("kept      {binary} (another kernel uses it)"));
        return Ok(lines);
    }
    if let Some(link) = &places.link
        && fs::read_link(link).is_ok_and(|target| target == places.binary)
    {
        remove(link, &mut lines)?;
    }
    if places.binary.exists() {
        remove(&places.binary, &mut lines)?;
    }
    Ok(lines)
}

fn remove(path: &Path, lines: &mut Vec<String>) -> Result<()> {
    let removed = if path.is_dir() && !path.is_symlink() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    removed.map_err(|error| {
        three_parts(
            &format!("{}: cannot be removed", path.display()),
            &error.to_string(),
            "run forkline uninstall as the user who installed it",
        )
    })?;
    lines.push(format!("removed   {}", path.display()));
    Ok(())
}

/// The binary that the kernelspec in this folder starts, if there is one.
pub fn binary_of(kernelspec: &Path) -> Option<PathBuf> {
    let text = fs::read_to_string(kernelspec.join("kernel.json")).ok()?;
    let spec: Value = serde_json::from_str(&text).ok()?;
    Some(PathBuf::from(spec["argv"][0].as_str()?))
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        kernelspec(&places.binary, "Rust", Path::new("/opt/rust/bin"), &[]).unwrap()
    }

    fn parsed(args: &[&str]) -> Result<InstallOptions> {
        parse(args.iter().map(OsString::from))
    }

    #[test]
    fn kernelspec_says_what_front_ends_need() {
        let text = kernelspec(
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
                "metadata": { "supported_encryption": ["curve"], "debugger": false },
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
}
