//! The shell socket: what needs no engine is answered at once, the rest is queued for it.

use super::queue::Job;
use super::{Shared, control, info};
use crate::engine::{Completeness, completeness};
use crate::magics;
use crate::protocol::Message;
use crossbeam_channel::Receiver;
use serde_json::{Value, json};

/// Serves shell requests until the process ends.
pub fn serve(shared: &Shared, shell: &Receiver<Message>) {
    for message in shell {
        let job = match message.kind() {
            "execute_request" => {
                shared.queue.push(Job::Execute(message));
                continue;
            }
            "complete_request" => Some(Job::Complete(message.clone())),
            "inspect_request" => Some(Job::Inspect(message.clone())),
            _ => None,
        };
        if let Some(job) = job
            && shared.queue.push_if_idle(job).is_ok()
        {
            continue;
        }
        shared.wire.status(&message.parent, "busy");
        answer(shared, &message);
        shared.wire.status(&message.parent, "idle");
    }
}

fn answer(shared: &Shared, message: &Message) {
    let content = &message.content;
    let reply = |kind, content| shared.wire.reply(message, kind, content);
    match message.kind() {
        "kernel_info_request" => reply("kernel_info_reply", info::kernel_info()),
        "is_complete_request" => {
            let code = content["code"].as_str().unwrap_or_default();
            reply("is_complete_reply", is_complete(code));
        }
        "history_request" => {
            let history = shared
                .history
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner());
            let entries = history.answer(content);
            reply(
                "history_reply",
                json!({ "status": "ok", "history": entries }),
            );
        }
        "comm_info_request" => reply("comm_info_reply", json!({ "status": "ok", "comms": {} })),
        // No comm targets exist yet; the specification wants an unknown one closed at once.
        "comm_open" => shared.wire.publish(
            &message.parent,
            "comm_close",
            json!({ "comm_id": content["comm_id"], "data": {} }),
        ),
        "comm_msg" | "comm_close" => {}
        // The engine is busy with a cell: names that are known without it.
        "complete_request" => reply("complete_reply", complete_by_name(shared, content)),
        "inspect_request" => reply(
            "inspect_reply",
            json!({ "status": "ok", "found": false, "data": {}, "metadata": {} }),
        ),
        // Old front ends ask here.
        "shutdown_request" => {
            let restart = content["restart"].as_bool().unwrap_or(false);
            reply(
                "shutdown_reply",
                json!({ "status": "ok", "restart": restart }),
            );
            shared.wire.status(&message.parent, "idle");
            control::end(shared);
        }
        "interrupt_request" => {
            if let Some(execution) = shared.interrupts.request() {
                shared.debugger.let_pass();
                shared
                    .interrupts
                    .carry_out(execution, &shared.outputs, &shared.ranks);
            }
            reply("interrupt_reply", json!({ "status": "ok" }));
        }
        other => eprintln!("forkline: a shell request of an unknown kind: {other}"),
    }
}

fn is_complete(code: &str) -> Value {
    if magics::is_magic_cell(code) || magics::is_question(code) {
        return json!({ "status": "complete" });
    }
    match completeness(&magics::without_magics(code)) {
        Completeness::Complete => json!({ "status": "complete" }),
        Completeness::Invalid => json!({ "status": "invalid" }),
        Completeness::Incomplete(indent) => {
            json!({ "status": "incomplete", "indent": " ".repeat(indent) })
        }
    }
}

/// Completion without the engine: variables, items, keywords and magics by their beginning.
fn complete_by_name(shared: &Shared, request: &Value) -> Value {
    let code = request["code"].as_str().unwrap_or_default();
    let position = byte_offset(code, request["cursor_pos"].as_u64().unwrap_or(0) as usize);
    if let Some(reply) = complete_magic(code, position) {
        return reply;
    }
    let start = crate::engine::word_at(code, position).start;
    let typed = &code[start..position];
    let names = shared
        .names
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    // Behind a dot only the engine knows what fits.
    let behind_dot = code[..start].ends_with('.');
    let found: Vec<(String, &str)> = names
        .iter()
        .filter(|(name, _)| !behind_dot && !typed.is_empty() && name.starts_with(typed))
        .cloned()
        .collect();
    completion_reply(code, start..position, &found)
}

/// Completion of a magic's name, if the cursor is in one.
pub fn complete_magic(code: &str, position: usize) -> Option<Value> {
    let line_start = code[..position]
        .rfind('\n')
        .map_or(0, |newline| newline + 1);
    let marker = code[line_start..position].trim_start();
    let (marker, is_comment) = match marker.strip_prefix("//") {
        Some(comment) => (comment, true),
        None => (marker, false),
    };
    let percent = if marker.starts_with("%%") { "%%" } else { "%" };
    let typed = marker.strip_prefix(percent)?;
    let name = if is_comment {
        typed.trim_start()
    } else {
        typed
    };
    if name.contains(char::is_whitespace) {
        // The cursor is in the arguments.
        return None;
    }
    // In a comment the name stands apart from its sign and is replaced alone.
    let (sign, start) = if name.len() < typed.len() {
        ("", position - name.len())
    } else {
        (percent, position - percent.len() - name.len())
    };
    let found: Vec<(String, &str)> = magics::names(percent == "%%")
        .into_iter()
        .filter(|known| known.starts_with(name))
        .map(|known| (format!("{sign}{known}"), "magic"))
        .collect();
    Some(completion_reply(code, start..position, &found))
}

/// The content of `complete_reply`. Positions count characters; JupyterLab inserts the text of the
/// typed entries, so that is what they hold.
pub fn completion_reply(
    code: &str,
    range: std::ops::Range<usize>,
    found: &[(String, &str)],
) -> Value {
    let start = code[..range.start].chars().count();
    let end = code[..range.end].chars().count();
    let typed: Vec<Value> = found
        .iter()
        .map(|(text, kind)| json!({ "text": text, "type": kind, "start": start, "end": end }))
        .collect();
    json!({
        "status": "ok",
        "matches": found.iter().map(|(text, _)| text).collect::<Vec<_>>(),
        "cursor_start": start,
        "cursor_end": end,
        "metadata": { "_jupyter_types_experimental": typed },
    })
}

/// The byte of a position counted in characters.
pub fn byte_offset(code: &str, position: usize) -> usize {
    code.char_indices()
        .nth(position)
        .map_or(code.len(), |(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_counted_in_characters() {
        assert_eq!(byte_offset("😀ab", 2), 5);
        let reply = completion_reply("😀ab", 4..6, &[("abc".to_owned(), "function")]);
        assert_eq!(
            (&reply["cursor_start"], &reply["cursor_end"]),
            (&json!(1), &json!(3))
        );
        assert_eq!(
            reply["metadata"]["_jupyter_types_experimental"][0]["text"],
            "abc"
        );
    }

    #[test]
    fn magics_are_completed_with_their_sign() {
        let reply = complete_magic("let x = 1;\n%lsm", 15).unwrap();
        assert_eq!(reply["matches"], json!(["%lsmagic"]));
        assert_eq!(reply["cursor_start"], 11);
        let reply = complete_magic("%%write", 7).unwrap();
        assert_eq!(reply["matches"], json!(["%%writefile"]));
        let reply = complete_magic("//% lsm", 7).unwrap();
        assert_eq!(
            (&reply["matches"], &reply["cursor_start"]),
            (&json!(["lsmagic"]), &json!(4))
        );
        assert!(complete_magic("a % b", 5).is_none());
    }
}
