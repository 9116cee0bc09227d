//! A conversation whose lines stand in the cell: it runs under the debugger, and the dialogue is its output.

use super::super::{Told, adapter::lock};
use super::PROMPT;
use super::dialogue::{After, Dialogue};
use crate::session::Shared;
use crossbeam_channel::{Sender, bounded, select};
use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;

/// One that is being carried out.
pub struct Script {
    shared: Arc<Shared>,
    over: Sender<()>,
    /// Returns the dialogue.
    thread: Option<JoinHandle<String>>,
}

impl Script {
    /// Begins: the lines are used at the stops of the cell that runs next, which stops at its first statement if
    /// `from_start`. When there are none left, the cell goes on without stopping again.
    ///
    /// # Errors
    /// The system has no thread left.
    pub(in crate::session) fn begin(
        shared: &Arc<Shared>,
        lines: Vec<String>,
        from_start: bool,
    ) -> Result<Script, String> {
        let (over, is_over) = bounded(1);
        let mut dialogue = Dialogue::new(shared);
        shared.debugger.stop_at_start(from_start);
        let outputs = Arc::clone(&shared.outputs);
        let body = move || {
            let mut lines: VecDeque<String> = lines.into();
            let mut is_done = false;
            let mut dialogue_text = String::new();
            let mut say = |text: &str| {
                outputs.text("stdout", text);
                dialogue_text.push_str(text);
            };
            let told = dialogue.told().clone();
            loop {
                let news = select! {
                    recv(told) -> news => news,
                    recv(is_over) -> _ => break,
                };
                let Ok(news) = news else { break };
                if is_done || matches!(news, Told::CellOver(_)) {
                    continue;
                }
                let (text, has_come) = dialogue.take(&news);
                say(&text);
                if has_come && dialogue.is_stopped() {
                    is_done = !talk(&mut dialogue, &mut lines, &mut say);
                }
                if is_done {
                    dialogue.remove_created();
                    let shared = &dialogue.shared;
                    lock(&shared.debugger.state).stops_at_start = false;
                    shared.debugger.let_pass();
                }
            }
            dialogue.remove_created();
            if !lines.is_empty() {
                let rest: Vec<String> = lines.into();
                say(&format!(
                    "the cell is over; not used: {}\n",
                    rest.join("; ")
                ));
            }
            dialogue_text
        };
        let thread = std::thread::Builder::new()
            .name("debug-script".to_owned())
            .spawn(body)
            .map_err(|error| {
                format!("the script cannot begin\nwhy: {error}\ndo:  end some threads")
            })?;
        Ok(Script {
            shared: Arc::clone(shared),
            over,
            thread: Some(thread),
        })
    }

    /// The cell has ended: says which lines were not used, and returns the dialogue.
    pub fn end(mut self) -> String {
        self.shared.debugger.stop_at_start(false);
        let _has_ended_by_itself = self.over.send(());
        let thread = self.thread.take();
        thread
            .and_then(|thread| thread.join().ok())
            .unwrap_or_default()
    }
}

/// Uses lines until something runs; false if it is the end of the conversation.
fn talk(dialogue: &mut Dialogue, lines: &mut VecDeque<String>, say: &mut dyn FnMut(&str)) -> bool {
    while let Some(line) = lines.pop_front() {
        // Before it runs: what it lets go on may print at once.
        say(&format!("{PROMPT}{line}\n"));
        let (text, after) = dialogue.run(&line);
        say(&text);
        match after {
            After::Ask => {}
            After::Wait => return true,
            After::Quit => break,
        }
    }
    false
}
