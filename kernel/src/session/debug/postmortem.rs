//! What has panicked, to be looked at afterwards.
//!
//! While the debugger is on, the worker makes a copy of itself at a panic (`worker::kept`), with the stack of the thread
//! that panics and all memory as they are then. The copy stands still; here a debugger of its own is attached
//! to it. The worker and the one attached to it know nothing of that.

use super::adapter::{self, Adapter, lock};
use super::attach;
use super::terminal::look::{self, View};
use super::{Debugger, PATIENCE, Session, State};
use crate::session::Shared;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A copy with a debugger attached to it, which goes when this is dropped. The copy stays.
pub struct Dead {
    pub debugger: Debugger,
    pub thread: i64,
    /// The panic's own words.
    title: String,
    adapter: Arc<Adapter>,
}

impl Drop for Dead {
    fn drop(&mut self) {
        self.adapter.is_leaving.store(true, Ordering::SeqCst);
        let keep = json!({ "terminateDebuggee": false });
        let _is_ended_anyway = self.adapter.ask("disconnect", keep, Duration::from_secs(5));
        self.adapter.kill();
    }
}

/// Attaches to the copy of a panic: the first of the last run that had some, or the one of this number, from 1.
///
/// # Errors
/// In three parts: none was kept, there is no such number, or no debugger.
pub fn open(shared: &Arc<Shared>, number: Option<usize>) -> Result<Dead, String> {
    let kept = shared.outputs.kept_panics();
    let Some(one) = kept.get(number.unwrap_or(1).wrapping_sub(1)) else {
        return Err(match (kept.len(), number) {
            (0, _) => "%debug: there is no panic to be looked at\n\
                       why: panics are kept while the debugger is on, until the worker ends or another cell panics\n\
                       do:  %debug on, run the cell again, then %debug"
                .to_owned(),
            (count, number) => format!(
                "%debug {}: there is no such panic\nwhy: {count} of the last cell were kept\ndo:  %debug 1",
                number.unwrap_or_default()
            ),
        });
    };
    let program = adapter::wanted()?;
    let adapter = Adapter::start(program, Box::new(|_| ()))
        .map_err(|error| attach::explain(&error.to_string()))?;
    let prepared = attach::initialize(&adapter).and_then(|_| {
        let arguments = json!({
            "pid": one.pid, "stopOnEntry": true, "initCommands": attach::init_commands(shared),
        });
        adapter.ask("attach", arguments, PATIENCE)?;
        adapter.ask("configurationDone", json!({}), PATIENCE)?;
        adapter.ask("threads", json!({}), PATIENCE)
    });
    let threads = match prepared {
        Ok(threads) => threads,
        Err(why) => {
            adapter.kill();
            return Err(attach::explain(&why));
        }
    };
    let thread = threads["threads"][0]["id"]
        .as_i64()
        .unwrap_or(i64::from(one.pid));
    let state = State {
        session: Some(Session {
            adapter: Arc::clone(&adapter),
            worker: one.pid,
            is_rank: false,
            functions: [0, 0],
        }),
        ..State::default()
    };
    lock(&shared.debugger.state).pages.clear();
    Ok(Dead {
        debugger: Debugger::over(&shared.debugger.cells, state),
        thread,
        title: one.title.trim_end().to_owned(),
        adapter,
    })
}

/// What has happened, and where.
pub fn headline(dead: &Dead, view: &View) -> String {
    let place = view.frame().map_or_else(|why| why, look::Frame::place);
    format!(
        "{}\n{place}\n{}",
        dead.title,
        view.source_line(&dead.debugger)
    )
}

/// All of a panic: the user's frames with their variables, as text and as HTML.
///
/// # Errors
/// As [`open`].
pub fn report(shared: &Arc<Shared>, number: Option<usize>) -> Result<Map<String, Value>, String> {
    let dead = open(shared, number)?;
    let mut view = View::of(&dead.debugger, dead.thread)?;
    let mut text = format!("{}\n", dead.title);
    let mut html = format!("<div><pre>{}</pre>", escaped(&dead.title));
    for index in 0..view.frames.len() {
        view.selected = index;
        let frame = view.frame()?;
        let line = view.source_line(&dead.debugger);
        let variables = match frame.cell {
            Some(_) => look::variables(&dead.debugger, frame, None)?,
            None => Vec::new(),
        };
        let place = frame.place();
        let _ = write!(text, "\nframe {index}: {place}\n{line}");
        for variable in &variables {
            let _ = writeln!(text, "     {variable}");
        }
        let _ = write!(
            html,
            "<details {}><summary>frame {index}: {}</summary><pre>{}{}</pre></details>",
            if index == 0 { "open" } else { "" },
            escaped(&place),
            escaped(&line),
            escaped(&variables.join("\n"))
        );
    }
    let others = shared.outputs.kept_panics().len();
    if others > 1 {
        let note = format!("{others} panics of the cell were kept: %debug 2 shows the second");
        let _ = writeln!(text, "\n{note}");
        let _ = write!(html, "<p>{note}</p>");
    }
    html.push_str("</div>");
    let mut data = Map::new();
    data.insert("text/plain".to_owned(), Value::from(text));
    data.insert("text/html".to_owned(), Value::from(html));
    Ok(data)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
