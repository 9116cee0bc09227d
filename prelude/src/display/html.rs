//! HTML: escaping text for it, and reading text out of it.

/// `text` with the five characters that mean something in HTML escaped.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// The text twin of a piece of HTML: tags removed, rows and paragraphs as lines, cells two spaces apart.
///
/// It is meant for the tables and small pieces that a notebook shows and is no HTML parser: what looks odd
/// in it is still right in the HTML.
pub(super) fn to_text(html: &str) -> String {
    let mut text = String::new();
    let mut rest = html;
    while let Some(open) = rest.find('<') {
        text.push_str(&collapse(&rest[..open]));
        rest = &rest[open..];
        let Some(close) = rest.find('>') else {
            rest = "";
            break;
        };
        let tag = rest[1..close].trim_start_matches('/').to_ascii_lowercase();
        let name = tag
            .split(|c: char| !c.is_ascii_alphanumeric())
            .next()
            .unwrap_or("");
        let is_end = rest.starts_with("</");
        rest = &rest[close + 1..];
        match name {
            "style" | "script" if !is_end => {
                let end = format!("</{name}");
                rest = rest
                    .to_ascii_lowercase()
                    .find(&end)
                    .map_or("", |at| &rest[at..]);
            }
            "br" => text.push('\n'),
            "td" | "th" if is_end => text.push_str("  "),
            "tr" | "p" | "div" | "li" | "pre" | "caption" | "h1" | "h2" | "h3" | "h4" if is_end => {
                text.push('\n')
            }
            _ => {}
        }
    }
    text.push_str(&collapse(rest));
    let text = ["&lt;<", "&gt;>", "&quot;\"", "&#39;'", "&nbsp; ", "&amp;&"]
        .iter()
        .fold(text, |text, pair| {
            let (entity, character) = pair.split_at(pair.len() - 1);
            text.replace(entity, character)
        });
    let lines: Vec<_> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    lines.join("\n")
}

/// Runs of white space mean one space in HTML.
fn collapse(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character.is_whitespace() {
            true if out.ends_with(' ') => {}
            true => out.push(' '),
            false => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_text_has_no_markup_left() {
        assert_eq!(
            escape(r#"<a href="x">R&D's</a>"#),
            "&lt;a href=&quot;x&quot;&gt;R&amp;D&#39;s&lt;/a&gt;"
        );
    }

    #[test]
    fn a_table_becomes_lines() {
        let html = "<style>td { color: red }</style><table>\n<tr><th>a</th><td>1 &lt; 2</td></tr>\n<tr><th>b</th><td>x<br>y</td></tr></table>";
        assert_eq!(to_text(html), "a  1 < 2\nb  x\ny");
    }

    #[test]
    fn escaped_text_comes_back() {
        let text = r#"a < b && "c" > 'd' &lt;"#;
        assert_eq!(to_text(&escape(text)), text);
    }

    #[test]
    fn broken_html_is_no_trouble() {
        assert_eq!(to_text("a <b"), "a");
        assert_eq!(to_text("<script>never closed"), "");
        assert_eq!(to_text("<>é</>"), "é");
    }
}
