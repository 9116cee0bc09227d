//! Whether this rank could open a file, in the system's words: MPI's say little, and differ between libraries.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::error::ErrorClass;
use super::view::Mode;

/// Looks, and changes nothing.
///
/// # Errors
/// It could not; the kind and the text.
pub(super) fn reachable(path: &Path, mode: Mode) -> Result<(), (ErrorClass, String)> {
    if !mode.has(Mode::READ) && !mode.has(Mode::WRITE) {
        let text = "the mode lacks `Mode::READ` and `Mode::WRITE`";
        return Err((ErrorClass::Other, text.to_owned()));
    }
    if (mode.has(Mode::CREATE) || mode.has(Mode::EXCLUSIVE)) && !mode.has(Mode::WRITE) {
        let text = "a file that is made is also written: the mode lacks `Mode::WRITE`";
        return Err((ErrorClass::Other, text.to_owned()));
    }
    look(path, mode).map_err(|error| (class(error.kind()), error.to_string()))
}

fn look(path: &Path, mode: Mode) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(found) => {
            if mode.has(Mode::CREATE | Mode::EXCLUSIVE) {
                return Err(io::Error::from_raw_os_error(libc::EEXIST));
            }
            if found.is_dir() {
                return Err(io::Error::from_raw_os_error(libc::EISDIR));
            }
            if found.is_file() {
                let (read, write) = (mode.has(Mode::READ), mode.has(Mode::WRITE));
                OpenOptions::new().read(read).write(write).open(path)?;
            }
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::NotFound && mode.has(Mode::CREATE) => {
            let folder = match path.parent() {
                Some(folder) if folder != Path::new("") => folder,
                _ => Path::new("."),
            };
            if !fs::metadata(folder)?.is_dir() {
                return Err(io::Error::from_raw_os_error(libc::ENOTDIR));
            }
            writable(folder)
        }
        Err(error) => Err(error),
    }
}

/// Whether a file can be made in a folder.
fn writable(folder: &Path) -> io::Result<()> {
    let name = std::ffi::CString::new(folder.as_os_str().as_bytes())?;
    // SAFETY: a C string.
    match unsafe { libc::access(name.as_ptr(), libc::W_OK | libc::X_OK) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn class(kind: ErrorKind) -> ErrorClass {
    match kind {
        ErrorKind::NotFound => ErrorClass::NoSuchFile,
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => ErrorClass::Access,
        ErrorKind::AlreadyExists => ErrorClass::FileExists,
        ErrorKind::NotADirectory
        | ErrorKind::IsADirectory
        | ErrorKind::InvalidFilename
        | ErrorKind::InvalidInput => ErrorClass::BadFile,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => ErrorClass::NoSpace,
        _ => ErrorClass::Io,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_opened_is_told_by_the_system() {
        let folder =
            std::env::temp_dir().join(format!("forkline-reachable-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (file, new) = (folder.join("file"), folder.join("new"));
        fs::write(&file, "text").unwrap();
        let make = Mode::WRITE | Mode::CREATE;
        for (path, mode, wanted) in [
            (&new, Mode::READ, ErrorClass::NoSuchFile),
            (&folder.join("no/new"), make, ErrorClass::NoSuchFile),
            (&folder, Mode::READ, ErrorClass::BadFile),
            (&file.join("below"), make, ErrorClass::BadFile),
            (&file, make | Mode::EXCLUSIVE, ErrorClass::FileExists),
            (&file, Mode::CREATE, ErrorClass::Other),
            (&new, Mode::READ | Mode::CREATE, ErrorClass::Other),
        ] {
            let (class, text) = reachable(path, mode).unwrap_err();
            assert_eq!(class, wanted, "{}: {text}", path.display());
        }
        assert!(reachable(&new, make).is_ok() && !new.exists());
        assert!(reachable(&file, make).is_ok() && reachable(&file, Mode::READ).is_ok());
        assert_eq!(fs::read(&file).unwrap(), b"text");
        fs::remove_dir_all(&folder).unwrap();
    }
}
