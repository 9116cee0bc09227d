//! Cells for the debugger: compiled with debug information, each under a source name of its own.
//!
//! The lines in the debug information are those of the generated source. All cells have theirs in
//! `src/lib.rs`, by which a breakpoint would be set in all of them. So the source is compiled from a copy
//! with a number in its name, and the debugger is told of that name, and of the text, before the cell runs.
//!
//! While no debugger is on, all of this is one test of a flag for each cell.

use super::command::{CELL_SOURCE, Settings};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Is told the name of a source, as the debug information has it, and its text.
pub type Compiled = Box<dyn Fn(&str, &str) + Send>;

/// What the driver knows of the debugger.
pub struct DebugBuilds {
    /// What the names of sources begin with, which is another for each engine.
    name: &'static str,
    is_on: Arc<AtomicBool>,
    compiled: Compiled,
    count: u32,
    /// The name of the source that is being compiled.
    current: Option<String>,
}

impl DebugBuilds {
    /// Cells are for the debugger while `is_on` says so; `compiled` is called before such a cell runs.
    pub fn new(name: &'static str, is_on: Arc<AtomicBool>, compiled: Compiled) -> DebugBuilds {
        DebugBuilds {
            name,
            is_on,
            compiled,
            count: 0,
            current: None,
        }
    }

    /// A cell is about to be compiled.
    pub fn begin(&mut self) {
        self.current = self.is_on.load(Ordering::SeqCst).then(|| {
            self.count += 1;
            format!("src/{}_{}.rs", self.name, self.count)
        });
    }

    /// Makes the settings those of a debugger's cell, and lays its source down.
    ///
    /// # Errors
    /// The source cannot be written.
    pub fn apply(
        &self,
        settings: &mut Settings,
        session: &Path,
        source: &str,
    ) -> std::io::Result<()> {
        let Some(name) = &self.current else {
            return Ok(());
        };
        std::fs::write(session.join(name), source)?;
        settings.debug = Some(name.clone());
        // Optimised code cannot be stepped through line by line. A level that the user has chosen stays.
        if settings.opt_level == Settings::default().opt_level {
            "0".clone_into(&mut settings.opt_level);
        }
        Ok(())
    }

    /// Gives the source its usual name in the compiler's messages.
    pub fn rename(&self, messages: &mut Vec<u8>) {
        if let Some(name) = &self.current {
            *messages = String::from_utf8_lossy(messages)
                .replace(name, CELL_SOURCE)
                .into_bytes();
        }
    }

    /// The source has become a library.
    pub fn compiled(&self, source: &str) {
        if let Some(name) = &self.current {
            (self.compiled)(name, source);
        }
    }
}
