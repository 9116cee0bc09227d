//! The side channel's side of [`Outputs`]: what each frame of a worker means.

use super::{ConnectionId, Crash, KeptPanic, Locator, Outputs, RunTimes, Worker};
use crate::engine::Place;
use crate::session::panics::{PanicReport, UserError, describe, user_frames};
use crate::session::side_channel::Receiver;
use crate::worker::frames::{self, Frame, Kind};
use serde_json::{Value, json};
use std::io::Write as _;
use std::os::unix::net::UnixStream;

impl Receiver for Outputs {
    fn connected(&self, connection: ConnectionId, pid: i32) {
        self.state.lock().open.insert(connection, pid);
    }

    fn disconnected(&self, connection: ConnectionId) {
        let mut state = self.state.lock();
        self.flush_all(&mut state);
        // The copies of a worker end with it; init may be slow to take them away.
        state.kept.retain(|kept| kept.run.0 != connection);
        let pid = state.open.remove(&connection);
        if let Some(current) = &mut state.current
            && current.running == pid
        {
            current.running = None;
        }
        if state
            .worker
            .as_ref()
            .is_some_and(|worker| worker.connection == connection)
        {
            state.worker = None;
            if state.current.is_none() {
                state.worker_lost = true;
            }
        }
        self.state.notify();
    }

    /// Publishes what waits.
    fn flush(&self) {
        let mut state = self.state.lock();
        self.flush_convention(&mut state);
        self.flush_stream(&mut state);
    }

    fn take(&self, connection: ConnectionId, socket: &UnixStream, frame: &Frame) {
        let mut state = self.state.lock();
        let text = || String::from_utf8_lossy(&frame.payload).into_owned();
        let parse = || serde_json::from_slice::<Value>(&frame.payload).unwrap_or_default();
        match frame.kind {
            Kind::Hello => {
                let pid = parse()["pid"].as_i64().unwrap_or_default() as i32;
                if let Ok(socket) = socket.try_clone() {
                    state.worker = Some(Worker {
                        connection,
                        socket,
                        pid,
                    });
                    state.worker_lost = false;
                    if let Ok(dir) = std::env::current_dir() {
                        state.tell(Kind::Chdir, dir.as_os_str().as_encoded_bytes());
                    }
                    // Before the environment, with which the worker's waiting ends.
                    if state.profiling {
                        state.tell(Kind::Profile, b"1");
                    }
                    let environment = Value::from(state.environment.clone()).to_string();
                    state.tell(Kind::SetEnv, environment.as_bytes());
                }
            }
            Kind::RunStarted => {
                let parent = state.parent_of_current();
                state.remember((connection, frame.run), parent);
                if let Some(locator) = &state.locator {
                    locator.loaded(&text());
                }
                let pid = state.open.get(&connection).copied();
                if let Some(current) = &mut state.current {
                    current.running = pid;
                    current.run = frame.run;
                    current.ran_in = pid;
                    current.facts.started = true;
                }
            }
            Kind::RunEnded => {
                self.flush_convention(&mut state);
                self.flush_panic(&mut state);
                if let Some(current) = &mut state.current {
                    current.running = None;
                    let report = parse();
                    current.facts.interrupted |= report["interrupted"] == true;
                    current.facts.runs.push(RunTimes::from_json(&report));
                }
            }
            Kind::Stdout | Kind::Stderr => {
                self.flush_convention(&mut state);
                self.flush_panic(&mut state);
                let index = usize::from(frame.kind == Kind::Stderr);
                let name = ["stdout", "stderr"][index];
                let parent = state.parent_of((connection, frame.run));
                let text = decode(&mut state.tails[index], &frame.payload);
                self.append(&mut state, parent, name, &text);
            }
            Kind::Display => {
                self.flush_panic(&mut state);
                let parent = state.parent_of((connection, frame.run));
                self.show(&mut state, &parent, parse());
            }
            Kind::ClearOutput => {
                self.flush_all(&mut state);
                let parent = state.parent_of((connection, frame.run));
                let wait = frame.payload == b"1";
                self.wire
                    .publish(&parent, "clear_output", json!({ "wait": wait }));
            }
            Kind::Panic => {
                self.flush_convention(&mut state);
                self.flush_panic(&mut state);
                let told = parse();
                let report = PanicReport::from_json(&told, state.locator.as_ref());
                if let Some(pid) = told["kept"].as_i64() {
                    let run = (connection, frame.run);
                    state.kept.retain(|kept| kept.run == run);
                    state.kept.push(KeptPanic {
                        pid: pid as i32,
                        title: report.as_stderr(),
                        run,
                    });
                }
                if report.on_cell_thread
                    && let Some(current) = &mut state.current
                {
                    current.panic = Some(report);
                } else {
                    let parent = state.parent_of((connection, frame.run));
                    self.append(&mut state, parent, "stderr", &report.as_stderr());
                }
            }
            Kind::Panicked => {
                if let Some(current) = &mut state.current {
                    let report = current.panic.take().unwrap_or_else(PanicReport::unknown);
                    current.facts.panic = Some(report);
                }
            }
            Kind::UserError => {
                self.flush_panic(&mut state);
                let error = UserError::from_json(&parse(), state.locator.as_ref());
                if let Some(current) = &mut state.current {
                    current.facts.user_error = Some(error);
                }
            }
            Kind::Report => self.report(&mut state, &parse()),
            Kind::Value => {
                if let Some(current) = &mut state.current {
                    current.facts.values.push(frame.payload.clone());
                }
            }
            Kind::InputRequest => {
                self.flush_all(&mut state);
                self.ask(&mut state, &parse());
            }
            Kind::Synced => {
                if let Ok(token) = frame.payload.as_slice().try_into() {
                    state.synced = u64::from_le_bytes(token);
                }
                self.state.notify();
            }
            Kind::Crash => {
                if let Some(crash) = Crash::from_record(&frame.payload)
                    && let Some(current) = &mut state.current
                {
                    current.facts.crash = Some(crash);
                }
            }
            Kind::LoadFailed => {
                if let Some(current) = &mut state.current {
                    current.facts.load_failed = Some(text());
                }
            }
            Kind::PreludeChanged => {
                if let Some(current) = &mut state.current {
                    current.facts.prelude_changed = true;
                }
            }
            Kind::VariableLost => {
                if let Some(current) = &mut state.current {
                    current.facts.lost.push(text());
                }
            }
            Kind::Locate => {
                // To whoever asks, which need not be the latest worker.
                answer_place(&parse(), state.locator.as_ref(), socket);
            }
            // What only ranks say, and what only the kernel says.
            Kind::Exiting
            | Kind::RankGone
            | Kind::Standing
            | Kind::Launched
            | Kind::Where
            | Kind::Sync
            | Kind::SetEnv
            | Kind::Chdir
            | Kind::InputReply
            | Kind::Interrupt
            | Kind::Profile
            | Kind::KeepPanics
            | Kind::Located => {}
        }
    }
}

/// Answers a worker that wants to know the place of a line of a generated source, or those of a stack.
pub fn answer_place(asked: &Value, locator: Option<&Locator>, socket: &UnixStream) {
    let answer = if asked["frames"].is_array() {
        let frames = user_frames(&asked["frames"], locator);
        let texts = frames.iter();
        let texts: Vec<String> = texts
            .map(|frame| format!("{}, {}", frame.function, describe(frame.place)))
            .collect();
        json!({ "token": asked["token"], "frames": texts })
    } else {
        let place = place_asked_for(asked, locator);
        json!({ "token": asked["token"], "place": place.map(describe) })
    };
    let bytes = frames::encode(Kind::Located, 0, answer.to_string().as_bytes());
    let mut socket = socket;
    let _asks_no_more = socket.write_all(&bytes);
}

fn place_asked_for(asked: &Value, locator: Option<&Locator>) -> Option<Place> {
    let library = asked["library"].as_str();
    let file = asked["file"].as_str().unwrap_or_default();
    let line = asked["line"].as_u64().unwrap_or_default() as usize;
    locator.and_then(|locator| locator.place(library, file, line))
}

/// Text out of bytes: an unfinished character waits in `tail`, what can never be one becomes the
/// replacement character.
pub fn decode(tail: &mut Vec<u8>, bytes: &[u8]) -> String {
    let mut all = std::mem::take(tail);
    all.extend_from_slice(bytes);
    let mut text = String::with_capacity(all.len());
    let mut rest = all.as_slice();
    loop {
        match std::str::from_utf8(rest) {
            Ok(valid) => {
                text.push_str(valid);
                return text;
            }
            Err(error) => {
                let (valid, bad) = rest.split_at(error.valid_up_to());
                text.push_str(std::str::from_utf8(valid).unwrap_or_default());
                let Some(length) = error.error_len() else {
                    tail.extend_from_slice(bad);
                    return text;
                };
                text.push(char::REPLACEMENT_CHARACTER);
                rest = &bad[length..];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_survive_a_split_and_other_bytes_are_replaced() {
        let mut tail = Vec::new();
        let bytes = "aé€😀".as_bytes();
        let mut text = String::new();
        for byte in bytes {
            text.push_str(&decode(&mut tail, &[*byte]));
        }
        assert_eq!(text, "aé€😀");
        assert_eq!(decode(&mut tail, b"a\xff\xfeb"), "a\u{fffd}\u{fffd}b");
        assert!(tail.is_empty());
        assert_eq!(decode(&mut tail, b"\xe2\x82"), "");
        assert_eq!(decode(&mut tail, b"x"), "\u{fffd}x");
    }
}
