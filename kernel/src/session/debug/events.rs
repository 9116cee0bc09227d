//! What the adapter tells by itself: threads that stop and go on, text of log points.
//!
//! Some stops are nobody's business: in `breakpoint!()` itself, which is left at once; at the end of a step that has led
//! out of the user's code; while a cell is being interrupted. The front end hears of the others.

use super::adapter::{Adapter, News, lock};
use super::{PATIENCE, State, Told, attach, names};
use crate::protocol::Parent;
use crate::session::Shared;
use crossbeam_channel::Receiver;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// After so many steps a thread that finds no code of the user's goes on without stopping.
const MOST_HIDDEN_STEPS: u32 = 12;
/// How far up a stack code of the user's is looked for.
const DEPTH: u32 = 60;

/// Takes the news of one adapter until it ends.
pub fn serve(shared: &Arc<Shared>, adapter: &Arc<Adapter>, worker: i32, news: &Receiver<News>) {
    for news in news {
        match news {
            News::Event(event) => take(shared, adapter, &event),
            News::Ended => attach::ended(shared, adapter, worker),
        }
    }
}

/// What happens in a cell belongs to the cell's request, everything else to the last one of the debugger.
fn parent(shared: &Shared) -> Parent {
    let in_progress = shared.outputs.parent_in_progress();
    in_progress.unwrap_or_else(|| lock(&shared.debugger.state).parent.clone())
}

fn publish(shared: &Shared, event: &str, body: Value) {
    if !lock(&shared.debugger.state).has_front_end {
        return;
    }
    let content = json!({ "type": "event", "seq": 0, "event": event, "body": body });
    shared.wire.publish(&parent(shared), "debug_event", content);
}

fn take(shared: &Shared, adapter: &Adapter, event: &Value) {
    if adapter.is_leaving.load(Ordering::SeqCst) {
        return;
    }
    let body = &event["body"];
    match event["event"].as_str().unwrap_or_default() {
        // A thread that has started a process keeps that as its reason, and the adapter tells it at another thread's stop.
        "stopped" if is_of_new_process(body) => {}
        "stopped" => stopped(shared, adapter, body),
        "continued" => {
            // It comes for each pass of a breakpoint too that does not stop.
            let had_stopped = {
                let mut state = lock(&shared.debugger.state);
                !std::mem::take(&mut state.stopped).is_empty()
            };
            if had_stopped {
                publish(shared, "continued", body.clone());
            }
        }
        "thread" => publish(shared, "thread", body.clone()),
        "output" => {
            let text = body["output"].as_str().unwrap_or_default();
            let is_log = body["category"] == "console" && !text.starts_with("Running ");
            if is_log && lock(&shared.debugger.state).session.is_some() {
                publish(
                    shared,
                    "output",
                    json!({ "category": "console", "output": text }),
                );
            }
        }
        _ => {}
    }
}

/// Whether a thread's reason to stand is a process that it has started, of which LLDB lets it go on by itself.
fn is_of_new_process(body: &Value) -> bool {
    matches!(
        body["reason"].as_str(),
        Some("fork" | "vfork" | "vforkdone")
    )
}

/// A stop by a breakpoint of a cell.
pub struct Hit {
    thread: i64,
    function: String,
    place: (String, usize),
    breakpoint: u64,
    location: u64,
}

impl Hit {
    /// Out of LLDB's description, such as `breakpoint 2.1`.
    fn parse(text: &str, thread: i64, function: &str, file: String, line: usize) -> Option<Hit> {
        let numbers = text.strip_prefix("breakpoint ")?.split(' ').next()?;
        let (breakpoint, location) = numbers.split_once('.')?;
        Some(Hit {
            thread,
            function: function.to_owned(),
            place: (file, line),
            breakpoint: breakpoint.parse().ok()?,
            location: location.parse().ok()?,
        })
    }

    /// A line that has several blocks, by a macro for instance, has a location for each. Who passes the line once is
    /// to be stopped once.
    fn is_same_pass(&self, last: &Hit) -> bool {
        self.thread == last.thread
            && self.function == last.function
            && self.place == last.place
            && self.breakpoint == last.breakpoint
            && self.location > last.location
    }
}

/// The step that is to follow one that has not ended at a line of the user's.
fn next_step(state: &mut State, first_of_user: Option<usize>) -> Option<&'static str> {
    match first_of_user {
        // Back from elsewhere, in the middle of a line: into what it calls next, or to its end.
        Some(0) if std::mem::take(&mut state.has_stepped_out) => {
            let goes_in = state.last_command == "stepIn" && state.hidden_steps < MOST_HIDDEN_STEPS;
            Some(if goes_in { "stepIn" } else { "next" })
        }
        Some(0) => None,
        // Out of the library's code that calls the user's, but not out of what runs the cell.
        Some(_) if state.hidden_steps < MOST_HIDDEN_STEPS => {
            state.hidden_steps += 1;
            state.has_stepped_out = true;
            Some("stepOut")
        }
        _ => Some("continue"),
    }
}

fn stopped(shared: &Shared, adapter: &Adapter, body: &Value) {
    let debugger = &shared.debugger;
    let thread = body["threadId"].as_i64().unwrap_or_default();
    let go = |command: &str| {
        let arguments = json!({ "threadId": thread });
        if let Err(why) = adapter.ask(command, arguments, PATIENCE) {
            eprintln!("forkline: a stopped thread: {why}");
        }
    };
    let (is_passing, functions, resumes) = {
        let state = lock(&debugger.state);
        let functions = state.session.as_ref().map(|session| session.functions);
        let functions = functions.unwrap_or_default();
        (state.is_passing, functions, state.resumes)
    };
    if is_passing {
        return go("continue");
    }
    let arguments = json!({ "threadId": thread, "startFrame": 0, "levels": DEPTH });
    let stack = adapter
        .ask("stackTrace", arguments, PATIENCE)
        .unwrap_or_default();
    let frames = stack["stackFrames"].as_array().cloned().unwrap_or_default();
    let first_of_user = frames
        .iter()
        .position(|frame| debugger.place_of(frame).is_some());
    let top = frames
        .first()
        .and_then(|frame| frame["name"].as_str())
        .unwrap_or_default();
    let mut body = body.clone();
    if names::function_name(top) == attach::BREAKPOINT {
        body["reason"] = json!("breakpoint");
        body["description"] = json!("breakpoint!()");
        lock(&debugger.state).leaving = Some(body);
        return go("stepOut");
    }
    let hits: Vec<i64> = body["hitBreakpointIds"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_i64)
        .collect();
    // LLDB may call the end of that step by the breakpoint from which it began.
    let is_led_out = body["reason"] == "step" || hits.contains(&functions[0]);
    let leaving = match is_led_out {
        true => lock(&debugger.state).leaving.take(),
        false => None,
    };
    if let Some(first) = leaving {
        body = first;
    } else if body["reason"] == "step" {
        let command = next_step(&mut lock(&debugger.state), first_of_user);
        if let Some(command) = command {
            return go(command);
        }
    }
    let description = body["description"].as_str().unwrap_or_default();
    let place = frames.first().and_then(|frame| debugger.place_of(frame));
    let hit = place
        .clone()
        .and_then(|(_, file, line)| Hit::parse(description, thread, top, file, line));
    let again = {
        let mut state = lock(&debugger.state);
        let is_same = match (&hit, &state.last_hit) {
            (Some(hit), Some(last)) => hit.is_same_pass(last),
            _ => false,
        };
        state.last_hit = hit;
        is_same.then(|| match state.last_command.as_str() {
            "" => "continue".to_owned(),
            command => command.to_owned(),
        })
    };
    if let Some(command) = again {
        return go(&command);
    }
    // The worker has a look at a fatal signal and raises it again, which is no news.
    let signal = description
        .starts_with("signal ")
        .then(|| description.to_owned());
    let is_repeated = {
        let mut state = lock(&debugger.state);
        let is_repeated = signal.is_some() && state.last_signal == signal;
        state.last_signal = signal;
        is_repeated
    };
    if is_repeated {
        return go("continue");
    }
    let is_start = place.is_some() && debugger.take_start(&hits, &frames[0]);
    let met = debugger.meet(&hits);
    if let Some(met) = &met
        && met.is_ignored
        && !is_start
        && matches!(lock(&debugger.state).last_command.as_str(), "continue" | "")
    {
        return go("continue");
    }
    if functions[1] != 0 && hits.contains(&functions[1]) {
        body["reason"] = json!("exception");
        body["description"] = json!("Paused on a panic");
        body["text"] = json!("panic");
    }
    if let Some(fields) = body.as_object_mut() {
        // The adapter's numbers, which the front end has never seen.
        fields.remove("hitBreakpointIds");
    }
    body["allThreadsStopped"] = json!(true);
    let reason = match (&met, body["reason"].as_str().unwrap_or_default()) {
        _ if is_start => "start of the cell".to_owned(),
        (None, "breakpoint") if hits.contains(&functions[0]) => "breakpoint!()".to_owned(),
        (_, "exception") if body["text"] == "panic" => "panic".to_owned(),
        (Some(met), _) => format!("breakpoint {}", met.number),
        (None, "step") => "step".to_owned(),
        (None, other) => {
            let text = body["description"].as_str().filter(|text| !text.is_empty());
            text.unwrap_or(other).to_owned()
        }
    };
    {
        let mut state = lock(&debugger.state);
        state.stopped.insert(thread);
        state.hidden_steps = 0;
        state.has_stepped_out = false;
        state.pages.clear();
    }
    publish(shared, "stopped", body);
    debugger.tell(&Told::Stopped {
        resumes,
        thread,
        reason,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_several_locations_stops_once_for_each_pass() {
        let hit = |text, line| Hit::parse(text, 1, "f", "cell".to_owned(), line).unwrap();
        let first = hit("breakpoint 2.1", 4);
        assert!(hit("breakpoint 2.2", 4).is_same_pass(&first));
        assert!(!hit("breakpoint 2.1", 4).is_same_pass(&first));
        assert!(!hit("breakpoint 2.2 3.1", 5).is_same_pass(&first));
        assert!(!hit("breakpoint 3.2", 4).is_same_pass(&first));
        assert!(Hit::parse("step over", 1, "f", String::new(), 1).is_none());
    }

    #[test]
    fn steps_lead_back_to_the_users_code() {
        let mut state = State::default();
        assert_eq!(next_step(&mut state, Some(0)), None);
        assert_eq!(next_step(&mut state, Some(3)), Some("stepOut"));
        assert_eq!(next_step(&mut state, Some(0)), Some("next"));
        assert_eq!(next_step(&mut state, Some(0)), None);
        // Who wants to go into what a line calls does not stop in front of it.
        state.last_command = "stepIn".to_owned();
        assert_eq!(next_step(&mut state, Some(1)), Some("stepOut"));
        assert_eq!(next_step(&mut state, Some(0)), Some("stepIn"));
        assert_eq!(next_step(&mut state, Some(0)), None);
        assert_eq!(next_step(&mut state, None), Some("continue"));
    }
}
