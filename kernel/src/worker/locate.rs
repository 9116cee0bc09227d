//! Where in a cell a line of its generated source is: asked of the kernel, which has the cells' texts.
//!
//! One question at a time. The answer comes in the order of all output, so it takes as long as the kernel needs for
//! what was printed before.

use super::channel::{is_owner, lock, send};
use super::frames::Kind;
use serde_json::{Value, json};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// The kernel's last answer, with the token of its question.
static ANSWER: Mutex<Option<Value>> = Mutex::new(None);
static ANSWERED: Condvar = Condvar::new();

/// A kernel that is slower than this is taken for one that does not answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The place as text. None if the user did not write the line, or the kernel does not answer.
pub fn locate(library: &str, file: &str, line: u32) -> Option<String> {
    let answer = ask(json!({ "library": library, "file": file, "line": line }))?;
    answer["place"].as_str().map(str::to_owned)
}

/// Function and place of each frame that the user wrote; `frames` as [`backtrace::capture`](super::backtrace::capture) has
/// them.
pub fn locate_frames(frames: &[(String, u64)]) -> Vec<String> {
    let answer = ask(json!({ "frames": frames })).unwrap_or_default();
    let texts = answer["frames"].as_array().into_iter().flatten();
    texts
        .filter_map(|text| text.as_str().map(str::to_owned))
        .collect()
}

fn ask(mut question: Value) -> Option<Value> {
    static LAST_TOKEN: Mutex<u64> = Mutex::new(0);
    if !is_owner() {
        return None;
    }
    let mut turn = lock(&LAST_TOKEN);
    *turn += 1;
    let token = *turn;
    question["token"] = json!(token);
    send(Kind::Locate, question.to_string().as_bytes());
    let is_answer = |answer: &Value| answer["token"] == token;
    let (mut answer, _) = ANSWERED
        .wait_timeout_while(lock(&ANSWER), PATIENCE, |answer| {
            !answer.as_ref().is_some_and(is_answer)
        })
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    // One that came too late for an earlier question has another token.
    answer.take().filter(is_answer)
}

/// The kernel has answered.
pub fn answered(payload: &[u8]) {
    *lock(&ANSWER) = serde_json::from_slice(payload).ok();
    ANSWERED.notify_all();
}
