//! Names of functions as a reader wants them: the type or module, and the function.

/// The last two parts of a path, without parameters of types, hashes and what evcxr puts around it:
/// `<ctx::Grid<f64> as core::ops::Index<usize>>::index` is `Grid::index`.
pub fn short(name: &str) -> String {
    let parts = parts(name.trim());
    let mut kept: Vec<String> = Vec::new();
    for (position, part) in parts.iter().enumerate() {
        let part = match part.strip_prefix('<') {
            // Parameters of what stands before, `iter::<T>`.
            Some(_) if position > 0 => continue,
            Some(inner) => type_name(inner.strip_suffix('>').unwrap_or(inner)),
            None if part.starts_with('{') => closure(part).to_owned(),
            None => without_parameters(part).to_owned(),
        };
        let is_noise = matches!(part.as_str(), "ctx" | "__rustc")
            || part.starts_with("run_user_code_")
            || is_digest(&part);
        // A closure within a closure is one to the reader.
        if is_noise || part.is_empty() || (part == CLOSURE && kept.last() == Some(&part)) {
            continue;
        }
        kept.push(part);
    }
    match kept.as_slice() {
        [] => name.to_owned(),
        [only] => only.clone(),
        [.., before, last] => format!("{before}::{last}"),
    }
}

const CLOSURE: &str = "{closure}";

fn closure(part: &str) -> &str {
    if part.contains("closure") {
        CLOSURE
    } else {
        part
    }
}

/// The name of a type or of `Type as Trait`, without path and parameters.
fn type_name(text: &str) -> String {
    let text = split_at_top(text, " as ").map_or(text, |(before, _)| before);
    let bare = text
        .trim_start_matches(['&', '*'])
        .trim_start_matches("mut ")
        .trim_start_matches("const ")
        .trim_start_matches("dyn ");
    if bare.starts_with(['[', '(']) {
        return bare.to_owned();
    }
    let bare = split_at_top(bare, " + ").map_or(bare, |(before, _)| before);
    let last = parts(bare).into_iter().rfind(|part| !part.starts_with('<'));
    without_parameters(last.unwrap_or(bare)).to_owned()
}

fn without_parameters(part: &str) -> &str {
    part.find('<').map_or(part, |begin| &part[..begin])
}

/// `h` and 16 hexadecimal digits, as older names of symbols end.
pub fn is_digest(part: &str) -> bool {
    part.len() == 17
        && part.starts_with('h')
        && part[1..].bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The pieces between `::` that are not within brackets.
fn parts(path: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = path;
    while let Some((before, after)) = split_at_top(rest, "::") {
        parts.push(before);
        rest = after;
    }
    parts.push(rest);
    parts
}

/// What is before and behind the first `separator` that is not within brackets.
fn split_at_top<'a>(text: &'a str, separator: &str) -> Option<(&'a str, &'a str)> {
    let mut depth = 0_usize;
    let mut before = ' ';
    for (position, char) in text.char_indices() {
        if depth == 0 && text[position..].starts_with(separator) {
            return Some((&text[..position], &text[position + separator.len()..]));
        }
        match char {
            '<' | '(' | '[' | '{' => depth += 1,
            // The arrow before what a function returns is no bracket.
            '>' if before == '-' => {}
            '>' | ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        before = char;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_become_two_words() {
        for (long, expected) in [
            ("ctx::is_prime", "is_prime"),
            ("is_prime", "is_prime"),
            ("ctx::run_user_code_3::inner", "inner"),
            ("ctx::Grid::step::{{closure}}", "step::{closure}"),
            ("ctx::work::{closure#0}::{closure#1}", "work::{closure}"),
            (
                "<ctx::Grid<f64> as core::ops::Index<usize>>::index",
                "Grid::index",
            ),
            ("<ctx::Grid>::step", "Grid::step"),
            (
                "rayon::iter::plumbing::bridge_producer_consumer::helper::h0123456789abcdef",
                "bridge_producer_consumer::helper",
            ),
            (
                "core::iter::adapters::map::map_fold::<u64, fn(u64) -> u64>::{closure#0}",
                "map_fold::{closure}",
            ),
            ("<alloc::vec::Vec<T> as core::ops::Drop>::drop", "Vec::drop"),
            (
                "<&mut dyn core::fmt::Write as X>::write_str",
                "Write::write_str",
            ),
            ("<[T] as X>::sort", "[T]::sort"),
            (
                "core::ptr::drop_in_place<alloc::vec::Vec<ctx::A>>",
                "ptr::drop_in_place",
            ),
            (
                "__memmove_avx_unaligned_erms",
                "__memmove_avx_unaligned_erms",
            ),
            (
                "std::sys::thread::unix::Thread::new::thread_start",
                "new::thread_start",
            ),
            ("__rustc::__rdl_alloc", "__rdl_alloc"),
            ("", ""),
        ] {
            assert_eq!(short(long), expected, "{long}");
        }
    }
}
