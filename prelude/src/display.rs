//! Showing values: text, HTML, images, formulas, data, at once or in a place that can be updated.
//!
//! For text `println!` is enough. The last expression of a cell is shown by itself.
//!
//! What always holds:
//! * what was printed before comes before: order on the screen is the order of the calls;
//! * every bundle has a `text/plain` twin for front ends that can show nothing else;
//! * without a notebook the twin is printed to standard output.
//!
//! ```
//! use forkline::prelude::*;
//!
//! display(&Html::new("<b>bold</b>"));
//! let place = display_handle(&Markdown::new("working"));
//! place.update(&Markdown::new("**done**"));
//! ```

mod base64;
mod bundle;
mod debug;
mod figure;
mod html;
mod reflow;
#[doc(hidden)]
pub mod result;
#[doc(hidden)]
pub mod sizes;
mod wrappers;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

pub use bundle::Bundle;
pub(crate) use html::escape;
pub use wrappers::{Html, Jpeg, Json, Latex, Markdown, Png, Svg};

use crate::{json, rt};

/// What a value looks like in a notebook.
///
/// Implement it for your own types; the last expression of a cell then uses it in place of `Debug`.
///
/// ```
/// use forkline::prelude::*;
///
/// struct Progress { done: u32, of: u32 }
///
/// impl Show for Progress {
///     fn show(&self) -> Bundle {
///         Bundle::new()
///             .text(format!("{} of {}", self.done, self.of))
///             .html(format!("<progress value={} max={}></progress>", self.done, self.of))
///     }
/// }
///
/// display(&Progress { done: 3, of: 10 });
/// ```
pub trait Show {
    /// The value in as many forms as make sense; the front end takes the richest that it knows.
    fn show(&self) -> Bundle;
}

/// Shows a value below the cell, at once.
pub fn display(value: &(impl Show + ?Sized)) {
    send(&value.show(), None, false, false);
}

/// Shows `content` as the MIME type `mime`, at once; for types that have no wrapper here.
///
/// ```
/// forkline::display::display_as("application/geo+json", r#"{"type": "Point", "coordinates": [8.5, 47.4]}"#);
/// ```
pub fn display_as(mime: &str, content: impl Into<String>) {
    display(&Bundle::new().with(mime, content));
}

/// Shows a value below the cell, at once, in a place that can be updated.
pub fn display_handle(value: &(impl Show + ?Sized)) -> DisplayHandle {
    let handle = DisplayHandle {
        id: new_display_id(),
    };
    send(&value.show(), Some(&handle.id), false, false);
    handle
}

/// A place on the screen whose content can be replaced, from any thread and from later cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisplayHandle {
    id: String,
}

impl DisplayHandle {
    /// Replaces what the place shows.
    pub fn update(&self, value: &(impl Show + ?Sized)) {
        send(&value.show(), Some(&self.id), true, false);
    }

    /// The display id that the front end knows the place by.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// Removes what the cell has shown so far; with `wait` only when the next output arrives, so that nothing flickers.
pub fn clear_output(wait: bool) {
    rt::flush_stdout();
    rt::send(rt::CLEAR_OUTPUT, if wait { "1" } else { "0" });
}

/// Unique among all workers that one notebook has had: an old place must not be updated by a new worker.
fn new_display_id() -> String {
    static START: OnceLock<u128> = OnceLock::new();
    // Only uniqueness counts, nothing is ordered by it.
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let start = START.get_or_init(|| {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos())
    });
    format!(
        "forkline-{:x}-{start:x}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

/// Sends a bundle, or prints its text where there is no notebook. An empty bundle shows nothing.
fn send(bundle: &Bundle, display_id: Option<&str>, update: bool, result: bool) {
    if bundle.is_empty() {
        return;
    }
    if !rt::has_host() {
        println!("{}", bundle.plain_text());
        return;
    }
    rt::flush_stdout();
    let frame = json::object([
        ("data", bundle.data_json()),
        ("metadata", bundle.metadata_json()),
        (
            "display_id",
            display_id.map_or_else(|| "null".into(), json::string),
        ),
        ("update", update.to_string()),
        ("result", result.to_string()),
    ]);
    rt::send(rt::DISPLAY, &frame);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_an_id_of_its_own() {
        let (a, b) = (new_display_id(), new_display_id());
        assert_ne!(a, b);
        assert!(a.starts_with("forkline-"));
    }
}
