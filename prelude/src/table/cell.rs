//! One cell: what the `Debug` text of a value says it is.
//!
//! `Debug` is what nearly all values have, and it tells a text from a number by its quotes.

use std::cmp::Ordering;

/// A value as a table shows it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    /// Shown as it is.
    Text(String),
    /// Shown as it is, at the right.
    Integer(String),
    /// Rounded, with its unit if it is a duration.
    Fraction {
        /// As `Debug` wrote it.
        value: f64,
        /// `""`, or std's unit of a duration.
        unit: &'static str,
    },
}

impl Cell {
    /// Reads the text that `{:?}` gives.
    pub(super) fn read(debug: &str) -> Self {
        if let Some(inner) = debug
            .strip_prefix("Some(")
            .and_then(|t| t.strip_suffix(')'))
        {
            let cell = Self::read(inner);
            // `Some(a), Some(b)` inside of a list begins and ends alike.
            return match is_one_value(inner) {
                true => cell,
                false => Self::Text(debug.to_owned()),
            };
        }
        if let Some(text) = unquoted(debug) {
            return Self::Text(text);
        }
        if is_integer(debug) {
            return Self::Integer(debug.to_owned());
        }
        for unit in ["ns", "µs", "ms", "s", ""] {
            if let Some(value) = debug.strip_suffix(unit).and_then(fraction) {
                return Self::Fraction { value, unit };
            }
        }
        // A cell is one line.
        Self::Text(debug.replace('\n', "\\n"))
    }

    pub(super) fn is_number(&self) -> bool {
        !matches!(self, Self::Text(_))
    }

    /// The text in at most `width` characters, unless it is a number.
    pub(super) fn text(&self, n_digits: usize, width: usize) -> String {
        match self {
            Self::Integer(text) => text.clone(),
            Self::Fraction { value, unit: "" } => rounded(*value, n_digits),
            Self::Fraction { value, unit } => format!("{} {unit}", rounded(*value, n_digits)),
            Self::Text(text) => cut(text, width),
        }
    }

    /// Numbers by their value, before texts by their letters.
    pub(super) fn by_value(&self, other: &Self) -> Ordering {
        match (self.value(), other.value()) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => self.text(17, usize::MAX).cmp(&other.text(17, usize::MAX)),
        }
    }

    fn value(&self) -> Option<f64> {
        match self {
            Self::Text(_) => None,
            Self::Integer(text) => text.parse().ok(),
            Self::Fraction { value, unit } => Some(match *unit {
                "ns" => value * 1e-9,
                "µs" => value * 1e-6,
                "ms" => value * 1e-3,
                _ => *value,
            }),
        }
    }
}

/// Whether no comma parts the text outside of brackets.
fn is_one_value(text: &str) -> bool {
    super::fields::parts(text).is_some_and(|parts| parts.len() == 1)
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// What `Debug` writes of a float, and nothing else that Rust would parse as one.
fn fraction(text: &str) -> Option<f64> {
    match text {
        "NaN" => return Some(f64::NAN),
        "inf" => return Some(f64::INFINITY),
        "-inf" => return Some(f64::NEG_INFINITY),
        _ => {}
    }
    let is_plain = |byte: u8| byte.is_ascii_digit() || b"+-.e".contains(&byte);
    let begins = text
        .trim_start_matches('-')
        .starts_with(|c: char| c.is_ascii_digit());
    (begins && text.bytes().all(is_plain))
        .then(|| text.parse().ok())
        .flatten()
}

/// The text of a string or character that `Debug` has quoted. What is not visible, such as a line feed,
/// stays escaped: a cell is one line.
fn unquoted(debug: &str) -> Option<String> {
    let inner = ['"', '\'']
        .iter()
        .find_map(|&quote| debug.strip_prefix(quote)?.strip_suffix(quote))?;
    let mut text = String::with_capacity(inner.len());
    let mut characters = inner.chars().peekable();
    while let Some(character) = characters.next() {
        match (character, characters.peek()) {
            ('\\', Some(&escaped @ ('"' | '\'' | '\\'))) => {
                text.push(escaped);
                characters.next();
            }
            _ => text.push(character),
        }
    }
    Some(text)
}

/// At most `width` characters, the last one `…` if some are left out.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width - 1).chain(['…']).collect()
}

/// `n_digits` significant digits without zeros at the end; with an exponent where plain digits would be many.
fn rounded(value: f64, n_digits: usize) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    // The exponent after rounding: 9.99999 is 10.000 with five digits.
    let scientific = format!("{value:.*e}", n_digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    match exponent {
        -4..=8 => {
            // Digits before the point are never rounded away.
            let n_after = (n_digits as i32 - 1 - exponent).max(0) as usize;
            without_zeros(&format!("{value:.n_after$}")).to_owned()
        }
        _ => format!("{}e{exponent}", without_zeros(mantissa)),
    }
}

fn without_zeros(number: &str) -> &str {
    match number.contains('.') {
        true => number.trim_end_matches('0').trim_end_matches('.'),
        false => number,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(debug: &str) -> String {
        Cell::read(debug).text(5, 20)
    }

    #[test]
    fn numbers_have_five_digits_and_integers_all() {
        for (debug, text) in [
            ("1.0", "1"),
            ("0.30000000000000004", "0.3"),
            ("98.123456", "98.123"),
            ("9.999999", "10"),
            ("123456.789", "123457"),
            ("0.00012345678", "0.00012346"),
            ("1.2345678e-7", "1.2346e-7"),
            ("1e21", "1e21"),
            ("-2.5", "-2.5"),
            ("-0.0", "-0"),
            ("NaN", "NaN"),
            ("-inf", "-inf"),
            ("12345678901234567890", "12345678901234567890"),
            ("-5", "-5"),
            ("1.234567ms", "1.2346 ms"),
            ("0ns", "0 ns"),
            ("12.5µs", "12.5 µs"),
        ] {
            assert_eq!(shown(debug), text, "{debug}");
            assert!(Cell::read(debug).is_number(), "{debug}");
        }
        assert_eq!(Cell::read("2.71828").text(2, 20), "2.7");
    }

    #[test]
    fn texts_lose_their_quotes_and_only_those() {
        for (debug, text) in [
            (format!("{:?}", "1.10"), "1.10"),
            (format!("{:?}", "a \"b\" \\ c'"), "a \"b\" \\ c'"),
            (format!("{:?}", "two\nlines"), "two\\nlines"),
            (format!("{:?}", '\''), "'"),
            (format!("{:?}", Some("x")), "x"),
            (format!("{:?}", None::<u8>), "None"),
            (format!("{:?}", vec![Some(1), None]), "[Some(1), None]"),
            ("infinite".to_owned(), "infinite"),
            ("1.2.3".to_owned(), "1.2.3"),
            ("s".to_owned(), "s"),
            ("".to_owned(), ""),
        ] {
            assert_eq!(shown(&debug), text, "{debug}");
            assert!(!Cell::read(&debug).is_number(), "{debug}");
        }
        assert_eq!(Cell::read(&format!("{:?}", Some(2.5))).text(5, 9), "2.5");
    }

    #[test]
    fn long_texts_are_cut_and_numbers_are_not() {
        assert_eq!(shown(&"ä".repeat(30)), format!("{}…", "ä".repeat(19)));
        assert_eq!(shown(&"1".repeat(30)).len(), 30);
    }

    #[test]
    fn order_is_by_value() {
        let less = |a, b| Cell::read(a).by_value(&Cell::read(b)) == Ordering::Less;
        assert!(
            less("9", "10")
                && less("2.0ms", "1.5s")
                && less("\"a\"", "\"b\"")
                && less("5", "\"a\"")
        );
    }
}
