//! Output under the numbers of the ranks that have written it.

use crate::session::bundle;
use crate::session::outputs::Outputs;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The names of the streams by their number here.
pub const STREAMS: [&str; 2] = ["stdout", "stderr"];

/// A part of what a rank has printed and shown.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    /// The stream's number, and text.
    Text(usize, String),
    /// A message for a display.
    Display(Value),
    /// The forms of one result begin.
    Mark,
}

/// Adds text, to the last piece if it is of the same stream.
pub fn append(pieces: &mut Vec<Piece>, stream: usize, text: &str) {
    match pieces.last_mut() {
        Some(Piece::Text(last, known)) if *last == stream => known.push_str(text),
        _ if text.is_empty() => {}
        _ => pieces.push(Piece::Text(stream, text.to_owned())),
    }
}

/// Adds a display. An update takes the place of what it updates; the forms in which evcxr's convention shows one
/// thing become one. `in_group`: all of them are forms of the cell's result.
pub fn add_display(pieces: &mut Vec<Piece>, mut message: Value, in_group: bool) {
    if message["update"] == true {
        let earlier = pieces.iter_mut().rev().find_map(|piece| match piece {
            Piece::Display(known) if known["display_id"] == message["display_id"] => Some(known),
            _ => None,
        });
        if let Some(earlier) = earlier {
            earlier["data"] = message["data"].take();
            return;
        }
        message["update"] = json!(false);
    }
    if message["convention"] == true {
        message["result"] = json!(in_group);
        let data = message["data"].as_object();
        if let (Some(Piece::Display(last)), Some(data)) = (pieces.last_mut(), data)
            && last["convention"] == true
            && let Some(known) = last["data"].as_object_mut()
            && (in_group || is_twin(known, data))
        {
            known.extend(data.clone());
            return;
        }
    }
    pieces.push(Piece::Display(message));
}

/// Crates print one thing as HTML and as text, one after the other.
fn is_twin(one: &Map<String, Value>, other: &Map<String, Value>) -> bool {
    let is_text = |map: &Map<String, Value>| map.len() == 1 && map.contains_key("text/plain");
    is_text(one) != is_text(other) && !one.keys().any(|key| other.contains_key(key))
}

/// Shows what the ranks have written, by rank. Ranks that have written the same are shown once.
pub fn show(pieces: BTreeMap<u32, Vec<Piece>>, outputs: &Outputs) {
    for (ranks, pieces) in alike(pieces) {
        let label = format!("[{}]", numbers(&ranks));
        for piece in pieces {
            match piece {
                Piece::Text(stream, text) => {
                    outputs.text(STREAMS[stream], &labelled(&label, &text))
                }
                Piece::Display(message) => show_display(&label, message, outputs),
                Piece::Mark => {}
            }
        }
    }
}

fn show_display(label: &str, mut message: Value, outputs: &Outputs) {
    let data = bundle::with_text(message["data"].as_object().cloned().unwrap_or_default());
    let text = data.get("text/plain").and_then(Value::as_str);
    if let (1, Some(text)) = (data.len(), text) {
        outputs.text("stdout", &labelled(label, text));
        return;
    }
    outputs.text("stdout", &format!("{label}\n"));
    // A cell has one result, and here are several.
    message["result"] = json!(false);
    message["convention"] = json!(false);
    // An id is for updates, which are done.
    message["display_id"] = Value::Null;
    outputs.display_of_rank(message);
}

/// Each line of a text behind a label.
fn labelled(label: &str, text: &str) -> String {
    text.lines()
        .map(|line| format!("{label} {line}\n"))
        .collect()
}

/// Ranks with the same pieces, in the order of the first of each.
fn alike(all: BTreeMap<u32, Vec<Piece>>) -> Vec<(Vec<u32>, Vec<Piece>)> {
    let mut found: Vec<(Vec<u32>, Vec<Piece>)> = Vec::new();
    for (rank, pieces) in all {
        match found.iter_mut().find(|(_, known)| *known == pieces) {
            Some((ranks, _)) => ranks.push(rank),
            None => found.push((vec![rank], pieces)),
        }
    }
    found
}

/// Numbers in ascending order as people write them: `0-2,5`.
pub fn numbers(numbers: &[u32]) -> String {
    let mut text = String::new();
    let mut rest = numbers;
    while let Some((first, after)) = rest.split_first() {
        let more = after
            .iter()
            .zip(first + 1..)
            .take_while(|(number, expected)| **number == *expected)
            .count();
        let separator = if text.is_empty() { "" } else { "," };
        text += &match more {
            0 => format!("{separator}{first}"),
            1 => format!("{separator}{first},{}", first + 1),
            _ => format!("{separator}{first}-{}", first + more as u32),
        };
        rest = &after[more..];
    }
    text
}

/// Text cut into lines, for two streams.
#[derive(Default)]
pub struct Lines([String; 2]);

impl Lines {
    /// The lines that are whole, each with its newline.
    pub fn push(&mut self, stream: usize, text: &str) -> Vec<String> {
        let held = &mut self.0[stream];
        held.push_str(text);
        let Some(end) = held.rfind('\n') else {
            return Vec::new();
        };
        let whole: String = held.drain(..=end).collect();
        whole.split_inclusive('\n').map(str::to_owned).collect()
    }

    /// What is left without a newline.
    pub fn finish(&mut self, stream: usize) -> Option<String> {
        let held = std::mem::take(&mut self.0[stream]);
        (!held.is_empty()).then_some(held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_ranges() {
        let write = |list: &[u32]| numbers(list);
        assert_eq!(write(&[0, 1, 2, 3]), "0-3");
        assert_eq!(write(&[0, 1, 4, 6, 7, 8]), "0,1,4,6-8");
        assert_eq!(write(&[5]), "5");
        assert_eq!(write(&[]), "");
    }

    #[test]
    fn ranks_that_wrote_the_same_are_one() {
        let text = |text: &str| vec![Piece::Text(0, text.to_owned())];
        let all = BTreeMap::from([(0, text("a\n")), (1, text("b\n")), (2, text("a\n"))]);
        let found: Vec<Vec<u32>> = alike(all).into_iter().map(|(ranks, _)| ranks).collect();
        assert_eq!(found, [vec![0, 2], vec![1]]);
    }

    #[test]
    fn each_line_has_its_label() {
        assert_eq!(labelled("[0-3]", "a\n\nb"), "[0-3] a\n[0-3] \n[0-3] b\n");
    }

    #[test]
    fn streams_are_cut_into_lines_apart() {
        let mut lines = Lines::default();
        assert!(lines.push(0, "a").is_empty());
        assert_eq!(lines.push(1, "x\ny"), ["x\n"]);
        assert_eq!(lines.push(0, "b\nc\nd"), ["ab\n", "c\n"]);
        assert_eq!(lines.finish(0).as_deref(), Some("d"));
        assert_eq!(lines.finish(1).as_deref(), Some("y"));
        assert_eq!(lines.finish(1), None);
    }

    #[test]
    fn an_update_takes_the_place_of_its_display() {
        let mut pieces = Vec::new();
        let message = |text: &str, update| json!({ "data": { "text/plain": text }, "display_id": "a", "update": update });
        add_display(&mut pieces, message("1", false), false);
        append(&mut pieces, 0, "x");
        add_display(&mut pieces, message("2", true), false);
        assert_eq!(pieces.len(), 2);
        assert!(matches!(&pieces[0], Piece::Display(shown) if shown["data"]["text/plain"] == "2"));
    }

    #[test]
    fn the_forms_of_one_thing_are_one_display() {
        let mut pieces = Vec::new();
        let message = |mime: &str| json!({ "data": { mime: "x" }, "convention": true });
        add_display(&mut pieces, message("text/html"), false);
        add_display(&mut pieces, message("text/plain"), false);
        add_display(&mut pieces, message("text/html"), false);
        assert_eq!(pieces.len(), 2);
    }
}
