//! Texts in pictures: how wide they are, how they are cut, and how numbers are written.
//!
//! The page's font is not known while drawing, so widths are estimates on the wide side (of DejaVu Sans).

/// `text` without the characters that XML does not allow.
pub(super) fn clean(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '\n' | '\t' | '\r' => ' ',
            '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
            other if other.is_control() => '\u{fffd}',
            other => other,
        })
        .collect()
}

/// The width of a text in pixels, for letters of `size` pixels.
pub(super) fn width(text: &str, size: f64) -> f64 {
    let em = |character: char| match character {
        'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' => 0.32,
        ' ' | 'f' | 't' | 'r' | '(' | ')' | '[' | ']' | '-' | '/' => 0.40,
        'm' | 'w' | 'M' | 'W' | '%' | '@' => 0.95,
        'A'..='Z' => 0.70,
        '\u{2070}'..='\u{209f}' | '¹' | '²' | '³' => 0.40,
        // Chinese, Japanese, Korean and pictures are as wide as high.
        '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' => 1.0,
        '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ff60}' | '\u{1f000}'..='\u{1faff}' => 1.3,
        _ => 0.61,
    };
    text.chars().map(em).sum::<f64>() * size
}

/// The text if it fits, else its beginning and `…`.
pub(super) fn elide(text: &str, size: f64, room: f64) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let mut short = String::new();
    for character in text.chars() {
        short.push(character);
        if width(&short, size) + size > room {
            short.pop();
            break;
        }
    }
    format!("{}…", short.trim_end())
}

/// The text in lines at its spaces, of which none is wider than `room`; `None` if a word is too long or `most` lines
/// do not suffice.
pub(super) fn wrap(text: &str, size: f64, room: f64, most: usize) -> Option<Vec<String>> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        if width(word, size) > room {
            return None;
        }
        match lines.last_mut() {
            Some(line) if width(&format!("{line} {word}"), size) <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    (lines.len() <= most).then_some(lines)
}

/// A number with `decimals` digits after the point and commas between thousands; a real minus sign.
pub(super) fn grouped(value: f64, decimals: usize) -> String {
    let digits = format!("{:.decimals$}", value.abs());
    let (whole, rest) = match digits.split_once('.') {
        Some((whole, rest)) => (whole, format!(".{rest}")),
        None => (digits.as_str(), String::new()),
    };
    let is_zero = digits.chars().all(|digit| matches!(digit, '0' | '.'));
    let mut out = String::from(if value < 0.0 && !is_zero { "−" } else { "" });
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out + &rest
}

/// `10⁻⁶`.
pub(super) fn power_of_ten(exponent: i32) -> String {
    let digits = exponent.to_string();
    let raised = digits.chars().map(|digit| match digit {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        '0' => '⁰',
        other => {
            char::from_u32(u32::from('⁴') + u32::from(other) - u32::from('4')).unwrap_or(other)
        }
    });
    format!("10{}", raised.collect::<String>())
}

/// A number by itself: four significant digits, whole numbers up to ten million in full.
pub(super) fn number(value: f64) -> String {
    if !value.is_finite() {
        return value.to_string();
    }
    let size = value.abs();
    if size == 0.0 || (size < 1e7 && value.fract() == 0.0) {
        return grouped(value, 0);
    }
    // Rounded first: 9.9999 is 10.00, with another exponent.
    let rounded = format!("{size:.3e}");
    let (mantissa, exponent) = rounded.split_once('e').unwrap_or((&rounded, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..7).contains(&exponent) {
        let mantissa = mantissa.trim_end_matches('0').trim_end_matches('.');
        let sign = if value < 0.0 { "−" } else { "" };
        let factor = if mantissa == "1" {
            String::new()
        } else {
            format!("{mantissa}×")
        };
        return format!("{sign}{factor}{}", power_of_ten(exponent));
    }
    trimmed(value, usize::try_from(3 - exponent).unwrap_or(0))
}

/// With at most `decimals` digits after the point, without zeros at the end.
pub(super) fn trimmed(value: f64, decimals: usize) -> String {
    let text = grouped(value, decimals);
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// `1 point`, `2,000 points`.
pub(super) fn counted(n: usize, what: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{} {what}{plural}", grouped(n as f64, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_true() {
        for (value, text) in [
            (0.0, "0"),
            (0.1 + 0.2, "0.3"),
            (1_234_567.0, "1,234,567"),
            (-1_234.5, "−1,234"),
            (-0.5, "−0.5"),
            (99.999_9, "100"),
            (1.5e9, "1.5×10⁹"),
            (2e-6, "2×10⁻⁶"),
            (f64::MAX, "1.798×10³⁰⁸"),
            (-1e-320, "−10⁻³²⁰"),
        ] {
            assert_eq!(number(value), text, "{value:e}");
        }
        assert_eq!(grouped(-0.001, 1), "0.0");
        assert_eq!(counted(1, "point"), "1 point");
        assert_eq!(counted(1_000, "point"), "1,000 points");
        assert_eq!(power_of_ten(-1_234_567_890), "10⁻¹²³⁴⁵⁶⁷⁸⁹⁰");
    }

    #[test]
    fn texts_are_cut_and_wrapped() {
        assert_eq!(elide("short", 12.0, 100.0), "short");
        let cut = elide("a very long label that does not fit", 12.0, 100.0);
        assert!(cut.ends_with('…') && width(&cut, 12.0) <= 100.0, "{cut}");
        assert_eq!(
            wrap("two words", 12.0, 45.0, 2),
            Some(vec!["two".into(), "words".into()])
        );
        assert_eq!(wrap("unbreakable", 12.0, 40.0, 3), None);
        assert_eq!(wrap("", 12.0, 40.0, 3), Some(vec![]));
    }
}
