//! One conversation: a line comes in, text goes out, and perhaps threads go on.
//!
//! It does not know where the lines come from. Whoever holds it waits for what is told of stops while something runs
//! ([`After::Wait`]), and gives that to [`Dialogue::take`].

use super::super::adapter::lock;
use super::super::postmortem::{self, Dead};
use super::super::{Told, answer, turn_on};
use super::look::{self, View};
use super::words;
use crate::session::Shared;
use crossbeam_channel::Receiver;
use serde_json::{Value, json};
use std::sync::Arc;

/// After so many steps `until` gives up.
const MOST_STEPS: u32 = 2000;

/// What is to be done after a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Ask for the next one.
    Ask,
    /// Something runs: wait until it stops.
    Wait,
    Quit,
}

/// What goes on by itself until it has come where it is to stop.
enum Goal {
    /// So many steps more.
    Steps(&'static str, u32),
    /// A line below this one, in this frame's function or outside of it.
    Below {
        name: String,
        line: usize,
        left: u32,
    },
}

/// See the module's text.
pub struct Dialogue {
    pub(super) shared: Arc<Shared>,
    told: Receiver<Told>,
    /// The thread that stands still, and where.
    pub(super) view: Option<View>,
    /// The copy of a process that has panicked, and the view of it.
    pub(super) dead: Option<(Dead, View)>,
    goal: Option<Goal>,
    /// Where `list` goes on.
    pub(super) next_line: Option<usize>,
    last: String,
    /// The breakpoints that were set here.
    pub created: Vec<u32>,
}

impl Dialogue {
    /// Begins; what stands still already is looked at.
    pub fn new(shared: &Arc<Shared>) -> Dialogue {
        let told = shared.debugger.listen();
        let mut dialogue = Dialogue {
            shared: Arc::clone(shared),
            told,
            view: None,
            dead: None,
            goal: None,
            next_line: None,
            last: String::new(),
            created: Vec::new(),
        };
        let thread = lock(&shared.debugger.state).stopped.first().copied();
        dialogue.view = thread.and_then(|thread| View::of(&shared.debugger, thread).ok());
        dialogue
    }

    /// What there is to wait for.
    pub fn told(&self) -> &Receiver<Told> {
        &self.told
    }

    /// Whether a thread stands still.
    pub fn is_stopped(&self) -> bool {
        self.view.is_some()
    }

    /// Where it stands, in two lines.
    pub fn place(&self) -> String {
        match (&self.dead, &self.view) {
            (Some((dead, view)), _) => postmortem::headline(dead, view),
            (None, Some(view)) => self.stopped_text(view, ""),
            (None, None) => "nothing is stopped\n".to_owned(),
        }
    }

    /// Takes what was told. The text, and whether what was waited for has come.
    pub fn take(&mut self, told: &Told) -> (String, bool) {
        match told {
            Told::Stopped {
                resumes,
                thread,
                reason,
            } => {
                if *resumes < lock(&self.shared.debugger.state).resumes {
                    return (String::new(), false);
                }
                let view = match View::of(&self.shared.debugger, *thread) {
                    Ok(view) => view,
                    Err(why) => return (format!("{why}\n"), true),
                };
                if reason == "step" && self.goes_on(&view) {
                    return (String::new(), false);
                }
                self.goal = None;
                let text = self.stopped_text(&view, reason);
                self.next_line = None;
                self.view = Some(view);
                (text, true)
            }
            Told::CellOver(number) => {
                self.view = None;
                self.goal = None;
                (format!("cell [{number}] is over\n"), true)
            }
            Told::WorkerGone => {
                self.view = None;
                self.goal = None;
                let text = "the process that runs cells has ended; the next one is attached to before its first cell\n";
                // The end of its cell is told too, if it had one.
                (text.to_owned(), false)
            }
            Told::Off => {
                self.view = None;
                self.goal = None;
                let text = "the debugger is off\nwhy: it was turned off, or lldb-dap has ended; the cell goes on\n\
                            do:  attach    (turns it on again; breakpoints are kept)\n";
                (text.to_owned(), true)
            }
        }
    }

    /// Takes a step more if what goes on by itself has not come where it is to stop.
    fn goes_on(&mut self, view: &View) -> bool {
        let command = match &mut self.goal {
            Some(Goal::Steps(command, left)) if *left > 1 => {
                *left -= 1;
                *command
            }
            Some(Goal::Below { name, line, left }) if *left > 0 => {
                *left -= 1;
                let is_there = view
                    .frame()
                    .map_or(true, |frame| frame.name != *name || frame.line > *line);
                if is_there {
                    return false;
                }
                "next"
            }
            _ => return false,
        };
        let arguments = json!({ "threadId": view.thread });
        answer(&self.shared, command, &arguments).is_ok()
    }

    fn stopped_text(&self, view: &View, reason: &str) -> String {
        let debugger = &self.shared.debugger;
        let place = view.frame().map_or_else(|why| why, look::Frame::place);
        let reason = match reason {
            "" | "step" => String::new(),
            reason => format!(" ({reason})"),
        };
        format!(
            "stopped in {place}, thread '{}'{reason}\n{}",
            look::name_of(debugger, view.thread),
            view.source_line(debugger)
        )
    }

    /// Carries out one line.
    pub fn run(&mut self, line: &str) -> (String, After) {
        let line = line.trim();
        let line = match line {
            "" => self.last.clone(),
            line => line.to_owned(),
        };
        if line.is_empty() {
            return (String::new(), After::Ask);
        }
        self.last.clone_from(&line);
        // `p(x)` and `l.` are written too.
        let end = line.find(|char: char| !(char.is_alphanumeric() || char == '_' || char == '?'));
        let (word, rest) = line.split_at(end.unwrap_or(line.len()));
        let result =
            words::find(word).and_then(|command| self.carry_out(command.name, rest.trim()));
        match result {
            Ok(done) => done,
            Err(why) => (format!("{}\n", why.trim_end()), After::Ask),
        }
    }

    fn carry_out(&mut self, name: &str, rest: &str) -> Result<(String, After), String> {
        let text = match name {
            "help" => words::help(rest)?,
            "list" => self.list(rest)?,
            "where" => self.view()?.stack(),
            "up" => self.move_by(count(rest)?, true)?,
            "down" => self.move_by(count(rest)?, false)?,
            "print" => {
                let view = self.view()?;
                format!(
                    "{}\n",
                    look::value(self.debugger(), view.frame()?, wanted(rest)?)?.0
                )
            }
            "whatis" => {
                let view = self.view()?;
                format!(
                    "{}\n",
                    look::value(self.debugger(), view.frame()?, wanted(rest)?)?.1
                )
            }
            "locals" => lines(&look::variables(
                self.debugger(),
                self.view()?.frame()?,
                None,
            )?),
            "args" => {
                let frame = self.view()?.frame()?;
                let names = look::argument_names(self.debugger(), frame);
                lines(&look::variables(self.debugger(), frame, Some(&names))?)
            }
            "threads" => self.threads()?,
            "thread" => self.select_thread(rest)?,
            "next" => return self.resume("next", Some(Goal::Steps("next", count(rest)? as u32))),
            "step" => {
                return self.resume("stepIn", Some(Goal::Steps("stepIn", count(rest)? as u32)));
            }
            "out" => return self.resume("stepOut", None),
            "continue" => return self.resume("continue", None),
            "until" => return self.until(rest),
            "wait" => {
                let after = if self.is_stopped() {
                    After::Ask
                } else {
                    After::Wait
                };
                return Ok((String::new(), after));
            }
            "pause" => {
                answer(&self.shared, "pause", &json!({}))?;
                return Ok((String::new(), After::Wait));
            }
            "interrupt" => self.interrupt()?,
            "start" => {
                self.shared.debugger.stop_at_start(true);
                "the next cell stops at its first statement\n".to_owned()
            }
            "postmortem" => self.look_at_dead(rest)?,
            "live" => {
                self.dead = None;
                self.place()
            }
            "attach" => {
                turn_on(&self.shared)?;
                "the debugger is on: cells are compiled with debug information from now on\n"
                    .to_owned()
            }
            "quit" => return Ok((String::new(), After::Quit)),
            points => self.breakpoints(points, rest)?,
        };
        Ok((text, After::Ask))
    }

    fn resume(&mut self, command: &str, goal: Option<Goal>) -> Result<(String, After), String> {
        if self.dead.is_some() {
            return Err(format!(
                "{command}: this process cannot go on\n\
                 why: it is a copy of one that has panicked, kept to be looked at\n\
                 do:  live    (back to the worker)"
            ));
        }
        let thread = self.view()?.thread;
        // Before it runs: what is told afterwards is news.
        self.view = None;
        self.goal = goal;
        answer(&self.shared, command, &json!({ "threadId": thread }))?;
        Ok((String::new(), After::Wait))
    }

    fn until(&mut self, rest: &str) -> Result<(String, After), String> {
        let frame = self.view()?.frame()?.clone();
        if rest.is_empty() {
            let goal = Goal::Below {
                name: frame.name,
                line: frame.line,
                left: MOST_STEPS,
            };
            return self.resume("next", Some(goal));
        }
        self.breakpoints("tbreak", rest)?;
        self.resume("continue", None)
    }

    fn interrupt(&self) -> Result<String, String> {
        let Some(execution) = self.shared.interrupts.request() else {
            return Err(
                "no cell runs\nwhy: nothing is there that could be ended\ndo:  run a cell"
                    .to_owned(),
            );
        };
        let shared = Arc::clone(&self.shared);
        let body = move || {
            shared.debugger.let_pass();
            shared
                .interrupts
                .carry_out(execution, &shared.outputs, &shared.ranks);
        };
        let started = std::thread::Builder::new()
            .name("interrupt".to_owned())
            .spawn(body);
        started.map_err(|error| error.to_string())?;
        Ok("the cell is being ended\n".to_owned())
    }

    /// Whoever ends takes along what was set for this conversation alone.
    pub fn remove_created(&mut self) {
        for number in self.created.drain(..) {
            self.shared.debugger.change_breakpoint(number, |_| false);
        }
    }

    /// Lets go on what stands still.
    pub fn release(&mut self) {
        if let Some(view) = self.view.take() {
            let arguments: Value = json!({ "threadId": view.thread });
            if let Err(why) = answer(&self.shared, "continue", &arguments) {
                eprintln!("forkline: a stopped cell cannot be continued: {why}");
            }
        }
    }
}

/// A count behind a command; 1 if there is none.
pub(super) fn count(rest: &str) -> Result<usize, String> {
    match rest.parse() {
        _ if rest.is_empty() => Ok(1),
        Ok(count) if count > 0 => Ok(count),
        _ => Err(format!(
            "{rest}: not a count\nwhy: a whole number from 1 on belongs here\ndo:  leave it out, or write for instance 3"
        )),
    }
}

fn wanted(rest: &str) -> Result<&str, String> {
    match rest {
        "" => Err(
            "there is nothing to be printed\nwhy: an expression belongs behind the command\n\
                   do:  print name;  locals    (all variables)"
                .to_owned(),
        ),
        rest => Ok(rest),
    }
}

fn lines(list: &[String]) -> String {
    match list {
        [] => "none\n".to_owned(),
        list => list.join("\n") + "\n",
    }
}
