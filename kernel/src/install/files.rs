//! Files of an installation, put in place and taken away again, each with a line that says so.

use super::kernelspec::binary_of;
use super::places::Places;
use super::three_parts;
use anyhow::Result;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;

const LOGOS: [(&str, &[u8]); 3] = [
    (
        "logo-32x32.png",
        include_bytes!("../../assets/logo-32x32.png").as_slice(),
    ),
    (
        "logo-64x64.png",
        include_bytes!("../../assets/logo-64x64.png").as_slice(),
    ),
    (
        "logo-svg.svg",
        include_bytes!("../../assets/logo-svg.svg").as_slice(),
    ),
];

pub(super) fn put(places: &Places, running: &Path, spec: &str) -> Result<Vec<String>> {
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

pub(super) fn take(places: &Places) -> Result<Vec<String>> {
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
