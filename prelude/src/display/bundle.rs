//! A MIME bundle: one thing in several forms, of which the front end shows the richest it knows.

use super::{Show, base64, html};
use crate::json;

const TEXT: &str = "text/plain";

/// One thing in several forms, of which the front end shows the richest that it knows.
///
/// A `text/plain` form is always there: where none is given it is made from another form.
///
/// ```
/// use forkline::display::Bundle;
///
/// let bundle = Bundle::new().html("<b>42</b>");
/// assert_eq!(bundle.get("text/html"), Some("<b>42</b>"));
/// assert_eq!(bundle.plain_text(), "42");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bundle {
    /// MIME type and content; no MIME type twice.
    data: Vec<(String, String)>,
    /// MIME type and JSON text.
    metadata: Vec<(String, String)>,
}

impl Bundle {
    /// An empty bundle, which shows nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds plain text.
    pub fn text(self, text: impl Into<String>) -> Self {
        self.with(TEXT, text)
    }

    /// Adds HTML.
    pub fn html(self, html: impl Into<String>) -> Self {
        self.with("text/html", html)
    }

    /// Adds an SVG image.
    pub fn svg(self, svg: impl Into<String>) -> Self {
        self.with("image/svg+xml", svg)
    }

    /// Adds the bytes of a PNG file.
    pub fn png(self, png: impl AsRef<[u8]>) -> Self {
        self.with("image/png", base64::encode(png.as_ref()))
    }

    /// Adds the bytes of a JPEG file.
    pub fn jpeg(self, jpeg: impl AsRef<[u8]>) -> Self {
        self.with("image/jpeg", base64::encode(jpeg.as_ref()))
    }

    /// Adds Markdown.
    pub fn markdown(self, markdown: impl Into<String>) -> Self {
        self.with("text/markdown", markdown)
    }

    /// Adds LaTeX; formulas need their `$` signs.
    pub fn latex(self, latex: impl Into<String>) -> Self {
        self.with("text/latex", latex)
    }

    /// Adds data as JSON text. Text that is not JSON is sent as one JSON string.
    pub fn json(self, json: impl Into<String>) -> Self {
        self.with("application/json", json)
    }

    /// Adds content of any MIME type: base64 for binary types, JSON text for JSON types. Replaces what was there.
    pub fn with(mut self, mime: impl Into<String>, content: impl Into<String>) -> Self {
        let mime = mime.into();
        self.data.retain(|(other, _)| *other != mime);
        self.data.push((mime, content.into()));
        self
    }

    /// Adds metadata for one MIME type as a JSON object, such as `{"width": 400}` for an image. Text that is
    /// not JSON is left out.
    pub fn metadata(mut self, mime: impl Into<String>, object: impl Into<String>) -> Self {
        let (mime, object) = (mime.into(), object.into());
        if json::is_valid(&object) {
            self.metadata.retain(|(other, _)| *other != mime);
            self.metadata.push((mime, object));
        }
        self
    }

    /// The content of a MIME type, if it was given.
    pub fn get(&self, mime: &str) -> Option<&str> {
        self.data
            .iter()
            .find(|(other, _)| other == mime)
            .map(|(_, content)| content.as_str())
    }

    /// Whether there is nothing to show.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The `text/plain` form, made from another form if none was given.
    pub fn plain_text(&self) -> String {
        if let Some(text) = self.get(TEXT) {
            return text.to_owned();
        }
        for readable in ["text/markdown", "text/latex", "application/json"] {
            if let Some(text) = self.get(readable) {
                return text.to_owned();
            }
        }
        if let Some(html) = self.get("text/html") {
            return html::to_text(html);
        }
        match self.data.first() {
            Some((mime, content)) => {
                let n_bytes = if is_base64(mime) {
                    content.len() / 4 * 3
                } else {
                    content.len()
                };
                format!("<{mime}, {}>", size(n_bytes))
            }
            None => String::new(),
        }
    }

    /// The `data` of a display message: JSON types as values, all others as strings.
    pub(super) fn data_json(&self) -> String {
        let value = |mime: &str, content: &str| match is_json(mime) && json::is_valid(content) {
            true => content.to_owned(),
            false => json::string(content),
        };
        let twin = (!self.is_empty() && self.get(TEXT).is_none())
            .then(|| (TEXT, json::string(&self.plain_text())));
        json::object(
            self.data
                .iter()
                .map(|(mime, content)| (mime.as_str(), value(mime, content)))
                .chain(twin),
        )
    }

    /// The `metadata` of a display message.
    pub(super) fn metadata_json(&self) -> String {
        json::object(
            self.metadata
                .iter()
                .map(|(mime, object)| (mime.as_str(), object.clone())),
        )
    }
}

impl Show for Bundle {
    fn show(&self) -> Bundle {
        self.clone()
    }
}

fn is_json(mime: &str) -> bool {
    mime == "application/json" || mime.ends_with("+json")
}

fn is_base64(mime: &str) -> bool {
    !(mime.starts_with("text/")
        || mime.ends_with("+xml")
        || is_json(mime)
        || mime == "application/javascript")
}

/// `912 bytes`, `12.3 kB`, `4.0 MB`.
fn size(n_bytes: usize) -> String {
    match n_bytes {
        0..1_000 => format!("{n_bytes} bytes"),
        1_000..1_000_000 => format!("{:.1} kB", n_bytes as f64 / 1e3),
        _ => format!("{:.1} MB", n_bytes as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_twin_is_always_present() {
        assert_eq!(
            Bundle::new().html("<p>a &lt; b</p>").data_json(),
            r#"{"text/html":"<p>a &lt; b</p>","text/plain":"a < b"}"#
        );
        assert_eq!(
            Bundle::new().svg("<svg/>").plain_text(),
            "<image/svg+xml, 6 bytes>"
        );
        assert_eq!(
            Bundle::new().png([0; 3_000]).plain_text(),
            "<image/png, 3.0 kB>"
        );
        assert_eq!(Bundle::new().markdown("**a**").plain_text(), "**a**");
        assert_eq!(Bundle::new().data_json(), "{}");
    }

    #[test]
    fn json_types_are_values_and_others_strings() {
        let bundle = Bundle::new()
            .text("t")
            .with("application/geo+json", "[1]")
            .with("text/x", "[1]");
        assert_eq!(
            bundle.data_json(),
            r#"{"text/plain":"t","application/geo+json":[1],"text/x":"[1]"}"#
        );
    }

    #[test]
    fn text_that_is_not_json_cannot_break_the_frame() {
        assert_eq!(
            Bundle::new().text("t").json("{oops").data_json(),
            r#"{"text/plain":"t","application/json":"{oops"}"#
        );
        assert_eq!(
            Bundle::new().metadata("image/png", "{oops").metadata_json(),
            "{}"
        );
    }

    #[test]
    fn the_last_content_of_a_type_counts() {
        assert_eq!(
            Bundle::new().text("a").text("b").data_json(),
            r#"{"text/plain":"b"}"#
        );
    }

    #[test]
    fn metadata_is_kept_by_type() {
        assert_eq!(
            Bundle::new()
                .metadata("image/png", r#"{"width": 4}"#)
                .metadata_json(),
            r#"{"image/png":{"width": 4}}"#
        );
    }
}
