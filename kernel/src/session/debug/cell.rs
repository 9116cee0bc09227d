//! The debugger as a magic has it.

use super::terminal::Script;
use super::{postmortem, terminal, turn_off, turn_on};
use crate::session::{CellContext, CellError};
use std::net::SocketAddr;
use std::sync::atomic::Ordering;

fn error(why: String) -> CellError {
    CellError::new("DebuggerError", why)
}

impl CellContext<'_> {
    /// Turns the debugger on; whether it was on before.
    ///
    /// # Errors
    /// There is none on this machine, or it may not attach.
    pub fn turn_debugger_on(&self) -> Result<bool, CellError> {
        let was_on = self.shared().debugger.is_on().load(Ordering::SeqCst);
        turn_on(self.shared()).map_err(error)?;
        Ok(was_on)
    }

    /// It stays on until it is turned off, whoever comes and goes.
    pub fn hold_debugger(&self) {
        self.shared().debugger.hold();
    }

    /// Turns it off after a cell of its own, unless somebody else wants it on.
    pub fn release_debugger(&self, was_on: bool) {
        if !was_on && !self.shared().debugger.is_held() {
            turn_off(self.shared());
        }
    }

    /// Turns it off; what has panicked is not kept any longer.
    pub fn turn_debugger_off(&self) {
        turn_off(self.shared());
        self.shared().outputs.forget_panics();
    }

    /// Shows a panic that was kept: the first, or the one of this number. Returns its text.
    ///
    /// # Errors
    /// There is none, or no debugger.
    pub fn show_postmortem(&self, number: Option<usize>) -> Result<String, CellError> {
        let data = postmortem::report(self.shared(), number).map_err(error)?;
        let text = data["text/plain"].as_str().unwrap_or_default().to_owned();
        self.show(data);
        Ok(text)
    }

    /// The code that runs next does so under these commands.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn begin_script(&self, lines: Vec<String>, from_start: bool) -> Result<Script, CellError> {
        Script::begin(self.shared(), lines, from_start).map_err(error)
    }

    /// Opens a port for terminals; returns its address and the token.
    ///
    /// # Errors
    /// The port is taken.
    pub fn listen_for_terminals(&self, port: u16) -> Result<(SocketAddr, String), CellError> {
        terminal::listen(self.shared(), port).map_err(error)
    }

    /// Closes it; whether it was open.
    pub fn close_to_terminals(&self) -> bool {
        terminal::close(self.shared())
    }
}
