//! What LLDB shows, put into the words of Rust: names of functions and types, values, conditions.

use crate::session::profile::is_digest;
use serde_json::Value;

/// Primitive types as LLDB calls them, and in Rust; the longer ones first.
const TYPES: [(&str, &str); 13] = [
    ("unsigned __int128", "u128"),
    ("__int128", "i128"),
    ("unsigned short", "u16"),
    ("unsigned char", "u8"),
    ("unsigned long", "u64"),
    ("unsigned int", "u32"),
    ("signed char", "i8"),
    ("char32_t", "char"),
    ("double", "f64"),
    ("float", "f32"),
    ("short", "i16"),
    ("long", "i64"),
    ("int", "i32"),
];

/// Parts of a type that say nothing to its reader.
const NOISE: [&str; 4] = [
    ", alloc::alloc::Global",
    ", std::hash::random::RandomState",
    "std::sync::poison::mutex::",
    "std::sync::poison::rwlock::",
];

/// The modules by which std's own types are known; a name behind them stands alone.
const ROOTS: [&str; 5] = ["alloc::", "core::", "std::", "ctx::", "hashbrown::"];

/// A type in Rust's words.
pub fn type_name(lldb: &str) -> String {
    let mut text = lldb.to_owned();
    for noise in NOISE {
        text = text.replace(noise, "");
    }
    let mut name = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(first) = rest.chars().next() {
        if !(first.is_alphabetic() || first == '_') {
            name.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let primitive = TYPES.iter().find(|(lldb, _)| {
            rest.strip_prefix(lldb).is_some_and(|behind| {
                !behind.starts_with(|char: char| char.is_alphanumeric() || char == '_')
            })
        });
        if let Some((lldb, rust)) = primitive {
            name.push_str(rust);
            rest = &rest[lldb.len()..];
            continue;
        }
        let end = rest
            .find(|char: char| !(char.is_alphanumeric() || char == '_' || char == ':'))
            .unwrap_or(rest.len());
        let path = &rest[..end];
        let is_known = ROOTS.iter().any(|root| path.starts_with(root));
        name.push_str(if is_known { last(path) } else { path });
        rest = &rest[end..];
    }
    let name = name.replace(" >", ">").replace(" *", "*");
    if let Some((element, length)) = array(&name) {
        return format!("[{element}; {length}]");
    }
    // A Box is a pointer to LLDB.
    match name.strip_suffix('*') {
        Some(pointee) if !pointee.ends_with('*') => format!("*{pointee}"),
        _ => name,
    }
}

/// Element and length of an array as C writes it.
fn array(name: &str) -> Option<(&str, &str)> {
    let (element, length) = name.strip_suffix(']')?.rsplit_once('[')?;
    let is_length = !length.is_empty() && length.chars().all(|char| char.is_ascii_digit());
    (is_length && !element.is_empty()).then_some((element, length))
}

/// Whether all of a value is in its short form, so that its parts say nothing more.
pub fn is_text(kind: &str) -> bool {
    matches!(kind, "&str" | "&mut str" | "String")
}

fn last(path: &str) -> &str {
    path.rsplit("::").next().unwrap_or(path)
}

/// A function's name without the compiler's digest and the name of the cells' crate.
pub fn function_name(lldb: &str) -> String {
    let mut name = lldb.replace("_$u7b$$u7b$closure$u7d$$u7d$", "{closure}");
    if let Some((path, last)) = name.rsplit_once("::")
        && is_digest(last)
    {
        name = path.to_owned();
    }
    name.strip_prefix("ctx::").unwrap_or(&name).to_owned()
}

/// A value as it is shown: LLDB gives the address of what it has no short form for.
pub fn value(lldb: &Value, kind: &str) -> String {
    let text = lldb.as_str().unwrap_or_default();
    if text.contains(" @ 0x") {
        return format!("{} {{…}}", last(kind.split('<').next().unwrap_or(kind)));
    }
    // `U+0x000000e9 U+0x000000e9 U'é'`
    if kind == "char"
        && let Some((_, char)) = text.rsplit_once(" U'")
    {
        return format!("'{char}");
    }
    // Behind the address of a pointer, what it leads to.
    if kind.starts_with('*')
        && let Some((address, pointee)) = text.split_once(' ')
        && address.starts_with("0x")
    {
        return pointee.to_owned();
    }
    // Bytes would be shown as a text.
    if kind.starts_with('[')
        && let Some((_, length)) = kind.trim_end_matches(']').rsplit_once("; ")
    {
        return format!("{length} elements");
    }
    match text.strip_prefix("size=") {
        Some(size) => format!("{size} elements"),
        None => text.to_owned(),
    }
}

/// Whether a variable is evcxr's, not the user's.
pub fn is_internal(name: &str) -> bool {
    name.starts_with("evcxr_") || name.starts_with("__forkline") || name == "vars_ok"
}

/// A condition as LLDB reads it, which knows C's numbers: without underscores and types behind them.
pub fn condition(rust: &str) -> String {
    let mut text = String::with_capacity(rust.len());
    let mut rest = rust;
    while let Some(first) = rest.chars().next() {
        let is_word = |char: char| char.is_alphanumeric() || char == '_';
        if !is_word(first) {
            text.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let end = rest.find(|char| !is_word(char)).unwrap_or(rest.len());
        let word = &rest[..end];
        rest = &rest[end..];
        if !first.is_ascii_digit() {
            text.push_str(word);
            continue;
        }
        let suffixes = [
            "usize", "isize", "u128", "i128", "u64", "i64", "u32", "i32", "u16", "i16", "u8", "i8",
        ];
        let number = suffixes
            .iter()
            .find_map(|suffix| word.strip_suffix(suffix))
            .unwrap_or(word);
        text.push_str(&number.replace('_', ""));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_rusts() {
        let cases = [
            ("unsigned char", "u8"),
            ("alloc::string::String", "String"),
            ("alloc::vec::Vec<int, alloc::alloc::Global>", "Vec<i32>"),
            (
                "alloc::sync::Arc<std::sync::poison::mutex::Mutex<alloc::vec::Vec<unsigned char, alloc::alloc::Global> >, alloc::alloc::Global>",
                "Arc<Mutex<Vec<u8>>>",
            ),
            ("ctx::Point *", "*Point"),
            ("&[u64]", "&[u64]"),
            ("unsigned char[4]", "[u8; 4]"),
            ("my::interval", "my::interval"),
        ];
        for (lldb, rust) in cases {
            assert_eq!(type_name(lldb), rust);
        }
    }

    #[test]
    fn functions_lose_their_digest() {
        assert_eq!(function_name("ctx::add::hce7cf9832369cb18"), "add");
        assert_eq!(
            function_name("ctx::f::_$u7b$$u7b$closure$u7d$$u7d$::hce7cf9832369cb18"),
            "f::{closure}"
        );
        assert_eq!(function_name("rust_panic"), "rust_panic");
    }

    #[test]
    fn numbers_in_conditions_are_cs() {
        assert_eq!(
            condition("n == 1_000u64 && x1 != 7"),
            "n == 1000 && x1 != 7"
        );
    }

    #[test]
    fn values_have_no_addresses() {
        assert_eq!(value(&Value::from("ctx::P @ 0x7ffd"), "ctx::P"), "P {…}");
        assert_eq!(
            value(&Value::from("U+0x000000e9 U+0x000000e9 U'é'"), "char"),
            "'é'"
        );
        assert_eq!(value(&Value::from("size=3"), "Vec<i32>"), "3 elements");
        assert_eq!(value(&Value::from("0x7ffd 1.5"), "*f64"), "1.5");
        assert_eq!(value(&Value::from("0x7ffd"), "*f64"), "0x7ffd");
        assert_eq!(value(&Value::from("\"\\1\\1\""), "[u8; 2]"), "2 elements");
    }
}
