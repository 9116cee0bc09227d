//! What the magics of tests ask of the session: programs of tests, and where their lines stand in cells.

use super::context::CellContext;
use super::failure::{self, CellError};
use super::outputs::Facts;
use super::panics;
use crate::engine::{BuildKind, CompilerSettings, Place, TestBuild, TestProgram};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Programs are numbered over the whole session.
static SERIAL: AtomicUsize = AtomicUsize::new(1);

impl CellContext<'_> {
    /// Builds a program of tests.
    ///
    /// # Errors
    /// It does not compile, or the build was interrupted.
    pub fn build_tests(
        &mut self,
        kind: BuildKind<'_>,
        settings: CompilerSettings,
    ) -> Result<TestProgram, CellError> {
        let engine = self
            .runner
            .engine
            .as_mut()
            .map_err(|why| CellError::new("EngineError", why.clone()))?;
        let build = TestBuild {
            kind,
            settings,
            serial: SERIAL.fetch_add(1, Ordering::Relaxed),
            cells: &self.runner.cells,
        };
        let result = engine.build_tests(&build);
        if self.interrupted() {
            return Err(failure::interrupted(false));
        }
        result.map_err(|error| failure::from_engine(error, &Facts::default()))
    }

    /// The execution count of this cell.
    pub fn number(&self) -> usize {
        self.number
    }

    /// The lines around a place of a cell, with ANSI colours.
    pub fn excerpt(&self, place: Place) -> Option<String> {
        failure::excerpt(Some(place), &self.runner.cells)
    }

    /// A place as messages have it.
    pub fn describe_place(&self, place: Place) -> String {
        panics::describe(place)
    }
}
