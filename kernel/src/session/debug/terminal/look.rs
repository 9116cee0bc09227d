//! A thread that stands still, in words: where it is, its stack, its variables, the source around it.
//!
//! Nothing here changes anything, so it is the same for a worker and for the copy of one that has panicked.

use super::super::Debugger;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// How many lines `list` shows.
pub const LINES: usize = 11;
/// How many parts of a value are shown behind it.
const PARTS: u64 = 10;
/// How many frames of a thread without any code of the user's are shown.
const FOREIGN_FRAMES: usize = 12;

/// One frame of a stack.
#[derive(Clone)]
pub struct Frame {
    pub id: i64,
    pub name: String,
    /// The cell, if the user wrote the line.
    pub cell: Option<usize>,
    pub file: String,
    pub line: usize,
}

impl Frame {
    /// `cell [3] line 5, in go`.
    pub fn place(&self) -> String {
        match self.cell {
            Some(cell) if self.name.starts_with("cell [") => {
                format!("cell [{cell}] line {}", self.line)
            }
            Some(cell) => format!("cell [{cell}] line {}, in {}", self.line, self.name),
            None if self.line > 0 => format!("{} ({}:{})", self.name, self.file, self.line),
            None => self.name.clone(),
        }
    }
}

/// A thread and the frame of it that is looked at.
#[derive(Clone)]
pub struct View {
    pub thread: i64,
    /// Innermost first: the user's, or some of others if there are none of the user's.
    pub frames: Vec<Frame>,
    /// How many frames of libraries are not shown.
    pub hidden: usize,
    pub selected: usize,
}

impl View {
    /// The innermost frame of a thread.
    pub fn of(debugger: &Debugger, thread: i64) -> Result<View, String> {
        let body = debugger.stack(&json!({ "threadId": thread }))?;
        let all: Vec<&Value> = body["stackFrames"]
            .as_array()
            .into_iter()
            .flatten()
            .collect();
        let frame = |shown: &Value| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let name = text(&shown["source"]["name"]);
            let cell = name
                .strip_prefix("cell [")
                .and_then(|rest| rest.strip_suffix(']'));
            Frame {
                id: shown["id"].as_i64().unwrap_or_default(),
                name: text(&shown["name"]),
                cell: cell.and_then(|number| number.parse().ok()),
                file: text(&shown["source"]["path"]),
                line: shown["line"].as_u64().unwrap_or_default() as usize,
            }
        };
        let mut frames: Vec<Frame> = all.iter().copied().map(frame).collect();
        let users = frames.iter().filter(|frame| frame.cell.is_some()).count();
        let total = frames.len();
        frames.truncate(if users > 0 { users } else { FOREIGN_FRAMES });
        Ok(View {
            thread,
            hidden: total - frames.len(),
            frames,
            selected: 0,
        })
    }

    /// The frame that is looked at.
    ///
    /// # Errors
    /// The thread has none that could be read.
    pub fn frame(&self) -> Result<&Frame, String> {
        self.frames.get(self.selected).ok_or_else(|| {
            "the stack of this thread cannot be read\n\
             why: it stands in code without unwind tables, or has just ended\n\
             do:  threads    (lists the others)"
                .to_owned()
        })
    }

    /// The line of the frame with an arrow.
    pub fn source_line(&self, debugger: &Debugger) -> String {
        let Ok(frame) = self.frame() else {
            return String::new();
        };
        let line = frame.line.max(1);
        listing(debugger, frame, line, line).unwrap_or_default()
    }

    /// The stack, one frame a line; the one that is looked at has a mark.
    pub fn stack(&self) -> String {
        let mut text = String::new();
        for (index, frame) in self.frames.iter().enumerate() {
            let mark = if index == self.selected { '>' } else { ' ' };
            let _ = writeln!(text, "{mark} {index}: {}", frame.place());
        }
        if self.hidden > 0 {
            let _ = writeln!(
                text,
                "     and {} of libraries and of what runs cells",
                frames(self.hidden)
            );
        }
        text
    }
}

fn frames(count: usize) -> String {
    format!("{count} {}", if count == 1 { "frame" } else { "frames" })
}

/// Lines of the file of a frame, with `->` at the frame's own.
///
/// # Errors
/// The text is not known.
pub fn listing(
    debugger: &Debugger,
    frame: &Frame,
    first: usize,
    last: usize,
) -> Result<String, String> {
    let text = match debugger.cells.of_file(&frame.file) {
        Some((_, text)) => text,
        None => std::fs::read_to_string(&frame.file).map_err(|error| {
            format!(
                "there is no source to be listed\nwhy: {}: {error}\ndo:  up    (to a frame of a cell)",
                if frame.file.is_empty() { "the frame has no file" } else { &frame.file }
            )
        })?,
    };
    let mut shown = String::new();
    let lines = (1..).zip(text.lines());
    for (number, line) in lines
        .skip(first.saturating_sub(1))
        .take_while(|(number, _)| *number <= last)
    {
        let arrow = if number == frame.line { "->" } else { "  " };
        let _ = writeln!(shown, "{arrow} {number:>3} | {line}");
    }
    if shown.is_empty() {
        return Err(format!(
            "there is no line {first}\nwhy: the cell has {} lines\ndo:  list .    (around the current line)",
            text.lines().count()
        ));
    }
    Ok(shown)
}

/// The variables of a frame, as `name: type = value`; only those of these names, if there are some.
pub fn variables(
    debugger: &Debugger,
    frame: &Frame,
    only: Option<&[String]>,
) -> Result<Vec<String>, String> {
    let scopes = debugger.scopes(&json!({ "frameId": frame.id }))?;
    let reference = &scopes["scopes"][0]["variablesReference"];
    if reference.as_i64().unwrap_or(0) == 0 {
        return Ok(Vec::new());
    }
    let body = debugger.variables(&json!({ "variablesReference": reference }))?;
    let mut lines: Vec<String> = Vec::new();
    for variable in body["variables"].as_array().into_iter().flatten() {
        let name = variable["name"].as_str().unwrap_or_default();
        if only.is_some_and(|only| !only.iter().any(|wanted| wanted == name)) {
            continue;
        }
        let kind = variable["type"].as_str().unwrap_or_default();
        let value = whole(
            debugger,
            &variable["value"],
            kind,
            &variable["variablesReference"],
        );
        lines.push(format!("{name}: {kind} = {value}"));
    }
    Ok(lines)
}

/// The names of a frame's arguments.
pub fn argument_names(debugger: &Debugger, frame: &Frame) -> Vec<String> {
    let asked = json!({ "expression": "`frame variable --no-locals", "frameId": frame.id });
    let body = debugger.evaluate(&asked).unwrap_or_default();
    let text = body["result"].as_str().unwrap_or_default();
    let mut names = Vec::new();
    // `(unsigned int) count = 4`; what belongs to a value is indented.
    for line in text.lines().filter(|line| line.starts_with('(')) {
        let before = line.split(" = ").next().unwrap_or(line);
        if let Some((_, name)) = before.rsplit_once(") ") {
            names.push(name.trim().to_owned());
        }
    }
    names
}

/// Value and type of an expression in a frame.
pub fn value(
    debugger: &Debugger,
    frame: &Frame,
    expression: &str,
) -> Result<(String, String), String> {
    let body = debugger.evaluate(&json!({ "expression": expression, "frameId": frame.id }))?;
    let kind = body["type"].as_str().unwrap_or_default().to_owned();
    let text = whole(
        debugger,
        &body["result"],
        &kind,
        &body["variablesReference"],
    );
    Ok((text, kind))
}

/// A value with its first parts behind it.
fn whole(debugger: &Debugger, value: &Value, kind: &str, reference: &Value) -> String {
    let short = value.as_str().unwrap_or_default();
    let is_list = short.ends_with(" elements");
    // What a reference or a box leads to says more than its address.
    let pointee = kind
        .strip_prefix(['*', '&'])
        .filter(|_| short.starts_with("0x"));
    let pointee = pointee.map(|kind| kind.trim_start_matches("mut "));
    let name = short.strip_suffix(" {…}").or(pointee);
    if reference.as_i64().unwrap_or(0) == 0 || !(is_list || name.is_some()) {
        return short.to_owned();
    }
    let asked = json!({ "variablesReference": reference, "start": 0, "count": PARTS + 1 });
    let body = debugger.variables(&asked).unwrap_or_default();
    let parts: Vec<&Value> = body["variables"].as_array().into_iter().flatten().collect();
    let mut texts: Vec<String> = parts
        .iter()
        .take(PARTS as usize)
        .map(|part| {
            let value = part["value"].as_str().unwrap_or_default();
            match part["name"].as_str().unwrap_or_default() {
                name if name.starts_with('[') => value.to_owned(),
                name => format!("{name}: {value}"),
            }
        })
        .collect();
    if parts.len() > texts.len() {
        texts.push("…".to_owned());
    }
    match name {
        Some(_) if texts.is_empty() => short.to_owned(),
        Some(_)
            if parts[0]["name"]
                .as_str()
                .is_some_and(|name| name.starts_with('*')) =>
        {
            parts[0]["value"].as_str().unwrap_or(short).to_owned()
        }
        Some(name) => format!("{name} {{ {} }}", texts.join(", ")),
        None => format!("{short}: [{}]", texts.join(", ")),
    }
}

/// The threads of the process: LLDB's number and the name.
pub fn threads(debugger: &Debugger) -> Result<Vec<(i64, String)>, String> {
    let worker = debugger.worker().unwrap_or_default();
    let body = debugger.ask("threads", &json!({}))?;
    let list = body["threads"].as_array().cloned().unwrap_or_default();
    Ok(list
        .iter()
        .map(|thread| {
            let id = thread["id"].as_i64().unwrap_or_default();
            let name = thread["name"].as_str().unwrap_or_default();
            (id, thread_name(id, name, worker))
        })
        .collect())
}

/// A thread's name without what LLDB adds; the one that runs cells is `main`.
fn thread_name(id: i64, lldb: &str, worker: i32) -> String {
    if id == i64::from(worker) {
        return "main".to_owned();
    }
    match lldb.split_once('"') {
        Some((_, name)) => name.split('"').next().unwrap_or(name).to_owned(),
        None => lldb.to_owned(),
    }
}

/// The name of one thread.
pub fn name_of(debugger: &Debugger, thread: i64) -> String {
    let known = threads(debugger).unwrap_or_default();
    let found = known.into_iter().find(|(id, _)| *id == thread);
    found.map_or_else(|| format!("{thread}"), |(_, name)| name)
}
