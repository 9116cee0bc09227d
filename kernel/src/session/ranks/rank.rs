//! One rank: what its frames say about the cell, and what it prints and shows.

use super::labels::{self, Lines, Piece};
use super::standing::Standing;
use super::{Form, Peer};
use crate::engine::Locator;
use crate::session::outputs::{Crash, Outputs, RunTimes, decode};
use crate::session::panics::{PanicReport, UserError, UserFrame, user_frames};
use crate::worker::frames::{self, Frame, Kind};
use serde_json::{Value, json};
use std::io::Write as _;

/// One rank.
#[derive(Default)]
pub(super) struct Rank {
    pub(super) peer: Option<Peer>,
    /// The run in progress there.
    pub(super) run: Option<u64>,
    pub(super) synced: u64,
    /// The last question of where it stands that it has answered.
    pub(super) said_where: u64,
    pub(super) pieces: Vec<Piece>,
    pub(super) lines: Lines,
    pub(super) tails: [Vec<u8>; 2],
    pub(super) in_group: bool,
    /// A panic that may still be caught.
    pub(super) panic: Option<PanicReport>,
    pub(super) told: Told,
}

/// What a rank has told about the cell.
#[derive(Default, Clone)]
pub(super) struct Told {
    /// It has begun to run the cell's code.
    pub(super) begun: bool,
    /// It has come to the end, in whatever way.
    pub(super) ended: bool,
    pub(super) panic: Option<PanicReport>,
    pub(super) user_error: Option<UserError>,
    pub(super) crash: Option<Crash>,
    pub(super) exit: Option<Exit>,
    pub(super) load_failed: Option<String>,
    pub(super) prelude_changed: bool,
    pub(super) interrupted: bool,
    /// Where it stood when it was asked last.
    pub(super) standing: Option<Standing>,
    pub(super) lost_variables: Vec<String>,
    /// The value of the cell's last expression, as text.
    pub(super) shown: Option<String>,
    /// Values to be handed over, as bytes.
    pub(super) values: Vec<Vec<u8>>,
    pub(super) times: RunTimes,
    pub(super) gone: bool,
}

impl Told {
    /// Whether its part of the cell has come to a bad end.
    pub(super) fn has_failed(&self) -> bool {
        self.panic.is_some() || self.user_error.is_some()
    }
}

/// A rank's process called `exit`.
#[derive(Clone)]
pub(super) struct Exit {
    pub(super) status: i64,
    pub(super) frames: Vec<UserFrame>,
}

impl Rank {
    /// Whether it runs the cell's code, and is there to be asked.
    pub(super) fn is_at_work(&self) -> bool {
        self.peer.is_some() && self.run.is_some()
    }

    pub(super) fn tell(&mut self, kind: Kind, payload: &[u8]) {
        if let Some(peer) = &mut self.peer {
            // One that is gone is told by its thread.
            let _ = peer.socket.write_all(&frames::encode(kind, 0, payload));
        }
    }

    pub(super) fn take(
        &mut self,
        number: u32,
        frame: &Frame,
        locator: Option<&Locator>,
        form: Form,
        outputs: &Outputs,
    ) {
        let text = || String::from_utf8_lossy(&frame.payload).into_owned();
        let parse = || serde_json::from_slice::<Value>(&frame.payload).unwrap_or_default();
        match frame.kind {
            Kind::RunStarted => {
                self.run = Some(frame.run);
                self.told.begun = true;
                if let Some(locator) = locator {
                    locator.loaded(&text());
                }
            }
            Kind::RunEnded => {
                self.flush_panic(number, form, outputs);
                let report = parse();
                self.run = None;
                self.told.ended = true;
                self.told.interrupted |= report["interrupted"] == true;
                if self.told.interrupted {
                    // An interrupt ends the code as a panic does, but is none.
                    self.told.panic = None;
                } else {
                    // It has gone on from where it stood.
                    self.told.standing = None;
                }
                self.told.times = RunTimes::from_json(&report);
            }
            Kind::Stdout | Kind::Stderr => {
                self.flush_panic(number, form, outputs);
                let index = usize::from(frame.kind == Kind::Stderr);
                let text = decode(&mut self.tails[index], &frame.payload);
                self.text(number, index, &text, form, outputs);
            }
            Kind::Display => {
                self.flush_panic(number, form, outputs);
                let message = parse();
                let text = message["data"]["text/plain"].as_str();
                if self.in_group || message["result"] == true {
                    self.told.shown = text.map(str::to_owned).or(self.told.shown.take());
                }
                self.display(number, message, form, outputs);
            }
            Kind::ClearOutput => self.pieces.clear(),
            Kind::Panic => {
                self.flush_panic(number, form, outputs);
                let report = PanicReport::from_json(&parse(), locator);
                if report.on_cell_thread {
                    self.panic = Some(report);
                } else {
                    self.text(number, 1, &report.as_stderr(), form, outputs);
                }
            }
            Kind::Panicked => {
                let report = self.panic.take().unwrap_or_else(PanicReport::unknown);
                self.told.panic = Some(report);
            }
            Kind::UserError => self.told.user_error = Some(UserError::from_json(&parse(), locator)),
            Kind::Report => {
                let report = parse();
                if report["report"] == "group" {
                    self.in_group = report["value"] == "begin";
                    if self.in_group {
                        self.pieces.push(Piece::Mark);
                    }
                }
            }
            Kind::Value => self.told.values.push(frame.payload.clone()),
            // Nobody can type to one of many.
            Kind::InputRequest => self.tell(Kind::InputReply, b"{}"),
            Kind::Synced => {
                if let Ok(token) = frame.payload.as_slice().try_into() {
                    self.synced = u64::from_le_bytes(token);
                }
            }
            Kind::Standing => {
                let report = parse();
                self.said_where = report["token"].as_u64().unwrap_or_default();
                let standing = Standing::from_json(&report, locator);
                match &mut self.told.standing {
                    // Where it stood before it was interrupted says more.
                    Some(known) if self.run.is_none() => known.is_broken = standing.is_broken,
                    place => *place = Some(standing),
                }
            }
            Kind::Crash => self.told.crash = Crash::from_record(&frame.payload),
            Kind::Exiting => {
                let report = parse();
                self.told.exit = Some(Exit {
                    status: report["status"].as_i64().unwrap_or_default(),
                    frames: user_frames(&report["frames"], locator),
                });
            }
            Kind::LoadFailed => self.told.load_failed = Some(text()),
            Kind::PreludeChanged => self.told.prelude_changed = true,
            Kind::VariableLost => self.told.lost_variables.push(text()),
            _ => {}
        }
    }

    fn text(&mut self, number: u32, stream: usize, text: &str, form: Form, outputs: &Outputs) {
        match form {
            Form::Grouped => labels::append(&mut self.pieces, stream, text),
            Form::Interleaved => {
                for line in self.lines.push(stream, text) {
                    outputs.text(labels::STREAMS[stream], &format!("[{number}] {line}"));
                }
            }
            Form::Rank(wanted) if wanted == number => outputs.text(labels::STREAMS[stream], text),
            Form::Rank(_) => {}
        }
    }

    fn display(&mut self, number: u32, mut message: Value, form: Form, outputs: &Outputs) {
        match form {
            Form::Grouped => labels::add_display(&mut self.pieces, message, self.in_group),
            Form::Rank(wanted) if wanted != number => {}
            _ => {
                if form == Form::Interleaved {
                    self.finish_text(number, form, outputs);
                    if message["update"] != true {
                        outputs.text("stdout", &format!("[{number}]\n"));
                    }
                }
                // Several ranks may use one id for displays of their own.
                if let Some(id) = message["display_id"].as_str() {
                    message["display_id"] = json!(format!("{id}-rank-{number}"));
                }
                // A cell has one result, and here are several.
                message["result"] = json!(false);
                outputs.display_of_rank(message);
            }
        }
    }

    /// A panic that was not the end of the cell was caught.
    pub(super) fn flush_panic(&mut self, number: u32, form: Form, outputs: &Outputs) {
        if let Some(report) = self.panic.take() {
            self.text(number, 1, &report.as_stderr(), form, outputs);
        }
    }

    /// What has no newline behind it counts as a line at the end.
    pub(super) fn finish_text(&mut self, number: u32, form: Form, outputs: &Outputs) {
        for stream in 0..2 {
            let tail = std::mem::take(&mut self.tails[stream]);
            if !tail.is_empty() {
                let text = String::from_utf8_lossy(&tail).into_owned();
                self.text(number, stream, &text, form, outputs);
            }
            if let Some(line) = self.lines.finish(stream) {
                outputs.text(labels::STREAMS[stream], &format!("[{number}] {line}\n"));
            }
        }
    }
}
