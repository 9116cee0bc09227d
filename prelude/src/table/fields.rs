//! The fields of structs, read from the text of their derived `Debug`.
//!
//! Without a derive of our own this is the one way to a struct's fields. A `Debug` written by hand that
//! looks otherwise is no trouble: the text stays in one column.

use super::cell::Cell;
use super::source::Ends;

/// Names of the columns and the rows: one column for each field if all items have the same ones.
pub(super) fn split(items: &Ends<String>) -> (Vec<String>, Ends<Vec<Cell>>) {
    let mut header: Option<Vec<&str>> = None;
    let mut rows = Vec::new();
    for (_, item) in items.numbered() {
        let fields = named(item).or_else(|| tuple(item));
        let Some((kind, fields)) = fields else {
            return one_column(items);
        };
        let (mut names, values): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
        // The kind is compared too: variants of an enum are not rows of one table.
        names.push(kind);
        if *header.get_or_insert_with(|| names.clone()) != names {
            return one_column(items);
        }
        rows.push(values.iter().map(|value| Cell::read(value)).collect());
    }
    let Some(mut header) = header else {
        return one_column(items);
    };
    header.pop();
    let mut rows = rows.into_iter();
    (
        header.into_iter().map(str::to_owned).collect(),
        items.clone().map(|_| rows.next().unwrap_or_default()),
    )
}

fn one_column(items: &Ends<String>) -> (Vec<String>, Ends<Vec<Cell>>) {
    let rows = items.clone().map(|text| vec![Cell::read(&text)]);
    (vec!["value".to_owned()], rows)
}

type Fields<'a> = (&'a str, Vec<(&'a str, &'a str)>);

/// `Run { workers: 1, time: 2.5 }`, also with `..` at the end.
fn named(text: &str) -> Option<Fields<'_>> {
    let (kind, inner) = text.split_once(" { ")?;
    let inner = inner.strip_suffix(" }")?;
    if !is_name(kind) {
        return None;
    }
    let mut parts = parts(inner)?;
    if parts.last() == Some(&"..") {
        parts.pop();
    }
    let fields = parts.into_iter().map(|part| {
        let (name, value) = part.split_once(": ")?;
        is_name(name).then_some((name, value))
    });
    Some((kind, fields.collect::<Option<_>>()?))
}

/// `(1, "a")`; what has a name before its bracket may as well be a variant of an enum.
fn tuple(text: &str) -> Option<Fields<'_>> {
    const NAMES: [&str; 12] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"];
    let inner = text.strip_prefix('(')?.strip_suffix(')')?;
    let parts = parts(inner.strip_suffix(',').unwrap_or(inner))?;
    // `()` and what is longer than std's own tuples.
    if inner.is_empty() || parts.len() > NAMES.len() {
        return None;
    }
    Some(("", NAMES.into_iter().zip(parts).collect()))
}

fn is_name(text: &str) -> bool {
    let mut characters = text.strip_prefix("r#").unwrap_or(text).chars();
    characters
        .next()
        .is_some_and(|first| first.is_alphabetic() || first == '_')
        && characters.all(|c| c.is_alphanumeric() || c == '_')
}

/// The text cut at each `, ` that is outside of brackets and quotes; `None` if brackets or quotes do not match.
pub(super) fn parts(text: &str) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    let mut from = 0;
    let mut open = Vec::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '(' => open.push(')'),
            '[' => open.push(']'),
            '{' => open.push('}'),
            ')' | ']' | '}' if open.pop() != Some(character) => return None,
            '"' => loop {
                match characters.next()?.1 {
                    '"' => break,
                    '\\' => _ = characters.next()?,
                    _ => {}
                }
            },
            // A character, unless it is a lifetime or an apostrophe.
            '\'' => {
                let end = at + len_of_character(&text[at..])?;
                while characters.offset() < end {
                    characters.next()?;
                }
            }
            ',' if open.is_empty() && text[at..].starts_with(", ") => {
                parts.push(&text[from..at]);
                from = at + 2;
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    open.is_empty().then_some(parts)
}

/// How many bytes the quoted character at the beginning takes; 1 if it is only an apostrophe.
fn len_of_character(text: &str) -> Option<usize> {
    let mut characters = text.char_indices().skip(1);
    if characters.next()?.1 == '\\' {
        // What is escaped, such as the quote itself; `\u{7f}` goes on up to its bracket.
        characters.next()?;
        let (end, _) = characters.find(|&(_, character)| character == '\'')?;
        return Some(end + 1);
    }
    let (end, last) = characters.next()?;
    Some(if last == '\'' { end + 1 } else { 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    #[allow(dead_code)]
    struct Odd {
        text: &'static str,
        letter: char,
        list: Vec<(i32, Option<char>)>,
        r#type: f64,
    }

    #[test]
    fn derived_debug_is_read_whatever_stands_in_it() {
        let odd = Odd {
            text: "a, b: \"}, { ' \\",
            letter: ',',
            list: vec![(1, Some('\'')), (2, Some('"')), (3, Some('\u{7f}'))],
            r#type: 2.5,
        };
        let text = format!("{odd:?}");
        let (kind, fields) = named(&text).unwrap();
        let names: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
        assert_eq!(kind, "Odd");
        assert_eq!(names, ["text", "letter", "list", "type"], "{text}");
        assert_eq!(fields[0].1, format!("{:?}", odd.text));
        assert_eq!(fields[1].1, "','");
        assert_eq!(fields[2].1, format!("{:?}", odd.list));
    }

    #[test]
    fn what_is_no_struct_is_no_struct() {
        for text in [
            "",
            "5",
            "Unit",
            "Some(3)",
            "[1, 2]",
            "{1: 2}",
            "a b { c: 1 }",
            "A { b }",
            "A { b: ( }",
            "A { b: \" }",
        ] {
            assert_eq!(named(text), None, "{text:?}");
        }
        assert_eq!(named("A { b: 1, .. }").unwrap().1, [("b", "1")]);
        assert_eq!(
            tuple("(1, \"a, b\")").unwrap().1,
            [("0", "1"), ("1", "\"a, b\"")]
        );
        assert_eq!(tuple("(1,)").unwrap().1, [("0", "1")]);
        assert_eq!(tuple("()"), None);
    }
}
