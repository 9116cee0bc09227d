//! MIME bundles: the forms in which one thing is shown.

use serde_json::{Map, Value, json};

/// Every bundle carries a plain text, for terminals and for tools that search notebooks.
pub fn with_text(mut data: Map<String, Value>) -> Map<String, Value> {
    if data.is_empty() || data.contains_key("text/plain") {
        return data;
    }
    let twin = data
        .get("text/markdown")
        .or_else(|| data.get("text/latex"))
        .and_then(Value::as_str)
        .map_or_else(
            || {
                let kinds: Vec<&str> = data.keys().map(String::as_str).collect();
                format!("<{}>", kinds.join(", "))
            },
            str::to_owned,
        );
    data.insert("text/plain".to_owned(), Value::from(twin));
    data
}

/// A bundle of plain text.
pub fn text(text: &str) -> Map<String, Value> {
    let mut data = Map::new();
    data.insert("text/plain".to_owned(), json!(text));
    data
}

/// What an evcxr command returned.
pub fn from_content(content: crate::engine::Content) -> Map<String, Value> {
    content
        .into_iter()
        .map(|(mime, text)| (mime, Value::from(text)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bundle_has_a_text_twin() {
        let mut html = Map::new();
        html.insert("text/html".to_owned(), json!("<b>x</b>"));
        assert_eq!(with_text(html)["text/plain"], "<text/html>");
        assert_eq!(with_text(text("a"))["text/plain"], "a");
        assert!(with_text(Map::new()).is_empty());
    }
}
