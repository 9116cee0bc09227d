//! What can go wrong with a trace.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a trace could not be used as asked.
#[non_exhaustive]
pub enum TraceError {
    /// The file could not be written.
    NotWritten {
        /// The file that was asked for.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotWritten { path, source } => write!(
                f,
                "Trace::save({path:?}): the file was not written\n\
                 why: {source}\n\
                 do:  give a path in a folder that exists and that you may write to, such as \"trace.json\"\n     \
                      or take the text itself: trace.chrome_json()"
            ),
        }
    }
}

/// The same text as `Display`: `unwrap` shows an error through `Debug`, and the cure must be readable there.
impl fmt::Debug for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for TraceError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NotWritten { source, .. } => Some(source),
        }
    }
}
