//! Where in a cell a line of its generated source is: asked of the kernel, which has the cells' texts.
//!
//! One question at a time. The answer comes in the order of all output, so it takes as long as the kernel needs for
//! what was printed before.

use super::channel::{is_owner, lock, send};
use super::frames::Kind;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// The kernel's last answer: the token of the question, and the place.
static ANSWER: Mutex<Option<(u64, Option<String>)>> = Mutex::new(None);
static ANSWERED: Condvar = Condvar::new();

/// A kernel that is slower than this is taken for one that does not answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The place as text. None if the user did not write the line, or the kernel does not answer.
pub fn locate(library: &str, file: &str, line: u32) -> Option<String> {
    static LAST_TOKEN: Mutex<u64> = Mutex::new(0);
    if !is_owner() {
        return None;
    }
    let mut turn = lock(&LAST_TOKEN);
    *turn += 1;
    let token = *turn;
    let question =
        serde_json::json!({ "token": token, "library": library, "file": file, "line": line });
    send(Kind::Locate, question.to_string().as_bytes());
    let (mut answer, _) = ANSWERED
        .wait_timeout_while(lock(&ANSWER), PATIENCE, |answer| {
            answer
                .as_ref()
                .is_none_or(|(answered, _)| *answered != token)
        })
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    // One that came too late for an earlier question has another token.
    let (answered, place) = answer.take()?;
    place.filter(|_| answered == token)
}

/// The kernel has answered.
pub fn answered(payload: &[u8]) {
    let answer: serde_json::Value = serde_json::from_slice(payload).unwrap_or_default();
    let place = answer["place"].as_str().map(str::to_owned);
    *lock(&ANSWER) = Some((answer["token"].as_u64().unwrap_or_default(), place));
    ANSWERED.notify_all();
}
