//! Where a rank stands, as it says itself when it is asked (see `worker::standing`): in which call of MPI, or in which
//! line.

use crate::engine::{Locator, Place};
use crate::session::panics::{UserFrame, describe, user_frames};
use serde_json::Value;
use std::time::Duration;

/// Where a rank stood when it was asked.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// The call of MPI that has waited longest, and its place; none if no thread waits for MPI.
    call: Option<(String, Option<Place>)>,
    /// How long.
    waited: Duration,
    /// One of the calls has a deadline, so the wait comes to its end by itself.
    gives_up: bool,
    /// An interrupt has broken MPI on this rank.
    pub is_broken: bool,
    frames: Vec<UserFrame>,
    /// The cell's thread was in a system call.
    sleeps: bool,
}

impl Standing {
    pub fn from_json(report: &Value, locator: Option<&Locator>) -> Standing {
        let calls = || report["mpi"].as_array().into_iter().flatten();
        let seconds = |call: &Value| call["seconds"].as_f64().unwrap_or_default();
        let call = calls().next();
        let place = |call: &Value| {
            let file = call["file"].as_str()?;
            let line = call["line"].as_u64()? as usize;
            locator?.place(call["library"].as_str(), file, line)
        };
        Standing {
            call: call.map(|call| {
                let text = call["call"].as_str().unwrap_or("MPI").to_owned();
                (text, place(call))
            }),
            // The thread that has waited for the shortest time has moved last.
            waited: Duration::from_secs_f64(
                calls().map(seconds).reduce(f64::min).unwrap_or_default(),
            ),
            gives_up: calls().any(|call| call["gives_up"] == true),
            is_broken: report["broken"] == true,
            frames: user_frames(&report["frames"], locator),
            sleeps: report["waits"] == true,
        }
    }

    /// Whether it has waited in MPI for so long, and will go on until somebody sends what it waits for.
    pub fn has_waited(&self, limit: Duration) -> bool {
        self.call.is_some() && !self.gives_up && self.waited >= limit
    }

    /// `waited in recv from rank 1, tag 0 (cell [3], line 5)`; none if it is not known.
    pub fn describe(&self) -> Option<String> {
        let at = |place: Option<Place>| match place {
            Some(place) => format!(" ({})", describe(place)),
            None => String::new(),
        };
        if let Some((call, place)) = &self.call {
            return Some(format!("waited in {call}{}", at(*place)));
        }
        let verb = if self.sleeps { "waited" } else { "computed" };
        let first = self.frames.first()?;
        let mut text = format!("{verb} in {}", describe(first.place));
        // The line of the cell itself says more to most than that of a function.
        if let Some(last) = self.frames.last().filter(|last| last.place != first.place) {
            text += &format!(", called from {}", describe(last.place));
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn who_waits_for_a_message_says_for_which() {
        let wait = |gives_up: bool| {
            let call = json!({
                "call": "recv from rank 1, tag 0", "file": "src/lib.rs", "line": 9, "library": null,
                "seconds": 2.5, "gives_up": gives_up,
            });
            Standing::from_json(&json!({ "token": 1, "broken": false, "mpi": [call] }), None)
        };
        let standing = wait(false);
        assert_eq!(
            standing.describe().as_deref(),
            Some("waited in recv from rank 1, tag 0")
        );
        assert!(standing.has_waited(Duration::from_secs(2)));
        assert!(!standing.has_waited(Duration::from_secs(3)));
        assert!(!wait(true).has_waited(Duration::from_secs(2)));
    }

    #[test]
    fn one_that_says_nothing_stands_nowhere() {
        let standing = Standing::from_json(&json!({}), None);
        assert_eq!(standing.describe(), None);
        assert!(!standing.has_waited(Duration::ZERO));
    }
}
