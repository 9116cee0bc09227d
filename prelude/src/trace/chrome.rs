//! A trace in Chrome's trace event format, which Perfetto (ui.perfetto.dev) and chrome://tracing open.
//!
//! The format is described in "Trace Event Format" (Google, 2016): an `X` event is a span with its start
//! and its length in microseconds, an `M` event names a process or a thread.

use std::fs;
use std::path::Path;

use super::{Trace, TraceError};
use crate::json;

impl Trace {
    /// The text of a `.json` file that Perfetto opens. Time 0 is the start of the recording; each prefix
    /// that was merged is a process of its own there.
    pub fn chrome_json(&self) -> String {
        let mut events = Vec::new();
        let mut groups: Vec<&str> = Vec::new();
        for (tid, row) in self.rows().iter().enumerate() {
            if groups.last() != Some(&row.group.as_str()) {
                groups.push(&row.group);
                let name = match row.group.as_str() {
                    "" => "this process",
                    group => group,
                };
                events.push(name_event("process_name", groups.len(), tid, name));
            }
            let pid = groups.len();
            events.push(name_event("thread_name", pid, tid, row.own_name()));
            events.extend(row.spans().iter().map(|span| {
                json::object([
                    ("name", json::string(&span.name)),
                    ("cat", json::string("span")),
                    ("ph", json::string("X")),
                    ("ts", micros(span.start_ns.saturating_sub(self.start_ns()))),
                    ("dur", micros(span.end_ns - span.start_ns)),
                    ("pid", pid.to_string()),
                    ("tid", tid.to_string()),
                ])
            }));
        }
        json::object([
            ("traceEvents", format!("[{}]", events.join(",\n"))),
            ("displayTimeUnit", json::string("ms")),
        ])
    }

    /// Writes [`chrome_json`](Self::chrome_json) into a file, by habit one that ends in `.json`.
    ///
    /// # Errors
    ///
    /// [`TraceError::NotWritten`] if the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), TraceError> {
        self.save_to(path.as_ref())
    }

    #[inline(never)]
    fn save_to(&self, path: &Path) -> Result<(), TraceError> {
        fs::write(path, self.chrome_json()).map_err(|source| TraceError::NotWritten {
            path: path.to_owned(),
            source,
        })
    }
}

fn name_event(what: &str, pid: usize, tid: usize, name: &str) -> String {
    json::object([
        ("name", json::string(what)),
        ("ph", json::string("M")),
        ("pid", pid.to_string()),
        ("tid", tid.to_string()),
        ("args", json::object([("name", json::string(name))])),
    ])
}

/// Nanoseconds as microseconds, exactly.
fn micros(ns: u64) -> String {
    format!("{}.{:03}", ns / 1_000, ns % 1_000)
}
