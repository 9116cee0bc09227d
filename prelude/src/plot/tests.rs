//! What holds for all kinds of figures, each error, and the examples of the documentation.

mod errors;
mod examples;
mod pictures;

use super::*;

/// One of each kind, with awkward texts.
fn one_of_each() -> Vec<Box<dyn Figure>> {
    let title = "R&D <\"fast\" 'n' loose>";
    let rows = vec![vec![1.0, 2.0], vec![3.0, -4.0]];
    vec![
        Box::new(
            line(title, ("x & y", "m/s"), ("<y>", ""))
                .series("a<b", [(1, 2.0)])
                .dashed("\"d\"", [(1, 1.0), (2, 2.0)]),
        ),
        Box::new(scatter(title, ("x", ""), ("y", "")).with_errors("s", [(1.0, 2.0, 1.5, 2.5)])),
        Box::new(bar(title, ("c", ""), ("v", "ms")).series("one", [("a&b", 1.0), ("c", -2.0)])),
        Box::new(
            histogram(title, ("t", "s"))
                .samples("a", [1.0, 2.0])
                .samples("b", [2, 3]),
        ),
        Box::new(boxes(title, ("g", ""), ("t", "s")).sample("<g>", [1.0, 2.0, 3.0, 99.0])),
        Box::new(heat_map(title, ("x", ""), ("y", ""), ("z", "K")).rows(rows)),
        Box::new(timeline(title, ("t", "s")).bar("w<0>", "a&b", 0.0, 1.0)),
        Box::new(panels(
            1,
            vec![Box::new(
                line(title, ("x", ""), ("y", "")).series("", [(1, 2)]),
            )],
        )),
    ]
}

/// Finds an element that is not closed, an attribute without quotes, an `&` that begins nothing.
pub(super) fn check_xml(xml: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = xml;
    while let Some(at) = rest.find('<') {
        check_text(&rest[..at]);
        let end = rest[at..].find('>').expect("a tag ends") + at;
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        if let Some(closed) = tag.strip_prefix('/') {
            assert_eq!(
                open.pop(),
                Some(closed),
                "near {}",
                &rest[..rest.len().min(80)]
            );
            continue;
        }
        let body = tag.trim_end_matches('/');
        let (name, attributes) = body.split_once(' ').unwrap_or((body, ""));
        assert!(name.chars().all(char::is_alphanumeric), "{tag}");
        assert_eq!(attributes.matches('"').count() % 2, 0, "{tag}");
        for (at, part) in attributes.split('"').enumerate() {
            check_text(part);
            assert!(
                at % 2 == 1 || part.is_empty() || part.ends_with('=') || part.trim().is_empty(),
                "{tag}"
            );
        }
        if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

fn check_text(text: &str) {
    for part in text.split('&').skip(1) {
        let entity = part.split(';').next().unwrap_or_default();
        assert!(
            ["amp", "lt", "gt", "quot", "apos", "#39"].contains(&entity),
            "{text}"
        );
    }
    assert!(
        !text.contains(|c: char| c.is_control() && c != '\n'),
        "{text:?}"
    );
}
