//! The text of a macro as it stands in its file.
//!
//! `stringify!` has all words of a macro's text on one line. With the file at hand, the text between the macro's braces is
//! taken from there, if it has the same words: then lines and columns are the user's.

use proc_macro2::{TokenStream, TokenTree};

/// The text between the first braces in what begins with a call of a macro; lines before it are blank, so that the first
/// line is that of the call. None if the words are not those of `tokens`.
pub fn between_braces(file_from_call: &str, tokens: &str) -> Option<String> {
    let open = file_from_call.find(['{', '(', '['])?;
    let inner = file_from_call.get(open + 1..)?;
    let close = end_of_group(inner)?;
    let head = &file_from_call[..=open];
    let body = &inner[..close];
    if words(body)? != words(tokens)? {
        return None;
    }
    // What stands before the brace becomes blanks of the same width.
    let blank = head
        .chars()
        .map(|letter| if letter == '\n' { '\n' } else { ' ' });
    Some(blank.chain(body.chars()).collect())
}

/// The words of a text, without attributes: comments that are documentation are written in several ways.
fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    take_words(text.parse().ok()?, &mut words);
    Some(words)
}

fn take_words(stream: TokenStream, words: &mut Vec<String>) {
    let mut tokens = stream.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(mark) if mark.as_char() == '#' => {
                let is_attribute = |token: &TokenTree| matches!(token, TokenTree::Group(_));
                tokens.next_if(is_attribute);
            }
            TokenTree::Group(group) => {
                words.push(format!("{:?}", group.delimiter()));
                take_words(group.stream(), words);
                words.push("end".to_owned());
            }
            other => words.push(other.to_string()),
        }
    }
}

/// Where a group ends whose opening brace stands just before the text.
fn end_of_group(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'/' if bytes.get(at + 1) == Some(&b'/') => at += text[at..].find('\n')?,
            b'/' if bytes.get(at + 1) == Some(&b'*') => at += text[at..].find("*/")? + 1,
            b'"' => {
                at += 1;
                while *bytes.get(at)? != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
            }
            // A letter in quotes; a lifetime has no second quote there.
            b'\'' if bytes.get(at + 1) == Some(&b'\\') => {
                at += 2 + text.get(at + 2..)?.find('\'')?
            }
            b'\'' if bytes.get(at + 2) == Some(&b'\'') => at += 2,
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' if depth == 0 => return Some(at),
            b'}' | b')' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_keeps_its_lines() {
        let file = "kernel! {\n    /// Text.\n    fn f(a: &[f32]) {\n        // }\n        let x = '}';\n    }\n}\nfn other() {}";
        let found = between_braces(
            file,
            "#[doc = r\" Text.\"] fn f(a : & [f32]) { let x = '}' ; }",
        );
        let found = found.unwrap_or_default();
        assert_eq!(found.lines().nth(4), Some("        let x = '}';"));
        assert!(!found.contains("other"));
        assert_eq!(between_braces(file, "fn g() {}"), None);
    }
}
