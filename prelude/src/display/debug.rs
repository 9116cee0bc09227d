//! A value's `Debug` text, laid out for reading and bounded in size.
//!
//! What always holds: text is made only until there is enough of it, so that a vector of 10^8 numbers takes
//! megabytes, not gigabytes. std's collections still step over the elements that are left, about 2 ns each.

use std::fmt::{self, Debug, Write};

use super::reflow::{WIDTH, reflow};

/// What is formatted at most: far more than is shown, far less than hurts.
const MAX_BYTES: usize = 2_000_000;
/// What is shown at most.
const MAX_LINES: usize = 200;

/// The text of `value` on one line if it fits, else on up to [`MAX_LINES`] lines and what was left out.
pub(super) fn pretty(value: &dyn Debug, type_name: &str) -> String {
    let mut line = Bounded::new(WIDTH * 4);
    if write!(line, "{value:?}").is_ok()
        && !line.text.contains('\n')
        && line.text.chars().count() <= WIDTH
    {
        return line.text;
    }
    let mut lines = Bounded::new(MAX_BYTES);
    let failed = write!(lines, "{value:#?}").is_err() && !lines.is_full;
    let mut text = cut_middle(&reflow(&lines.text));
    if failed {
        let _infallible = write!(
            text,
            "\n<the Debug of {type_name} stopped here with an error>"
        );
    }
    if lines.is_full {
        let _infallible = write!(
            text,
            "\n<formatting stopped here after {} MB>",
            MAX_BYTES / 1_000_000
        );
    }
    text
}

/// Takes text until it is full, then stops the formatting.
struct Bounded {
    text: String,
    max_bytes: usize,
    is_full: bool,
}

impl Bounded {
    fn new(max_bytes: usize) -> Self {
        Self {
            text: String::new(),
            max_bytes,
            is_full: false,
        }
    }
}

impl Write for Bounded {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        let room = self.max_bytes - self.text.len();
        let kept = piece.floor_char_boundary(room);
        self.text.push_str(&piece[..kept]);
        if kept < piece.len() {
            // Set once and kept: a Debug that ignores the error and goes on writing adds nothing more.
            self.is_full = true;
            self.max_bytes = self.text.len();
            return Err(fmt::Error);
        }
        Ok(())
    }
}

/// Keeps the first and the last lines and says how many are missing between them.
fn cut_middle(lines: &[String]) -> String {
    if lines.len() <= MAX_LINES {
        return lines.join("\n");
    }
    let n_first = MAX_LINES / 2;
    let n_last = MAX_LINES - n_first - 1;
    let note = format!("… {} lines left out …", lines.len() - n_first - n_last);
    [
        lines[..n_first].join("\n"),
        note,
        lines[lines.len() - n_last..].join("\n"),
    ]
    .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn what_fits_stays_on_one_line() {
        assert_eq!(pretty(&vec![Some(1), None], ""), "[Some(1), None]");
        assert_eq!(pretty(&"a\nb", ""), r#""a\nb""#);
    }

    #[test]
    fn what_does_not_fit_is_laid_out() {
        let text = pretty(&(0..100).collect::<Vec<_>>(), "");
        assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");
        assert!(text.lines().count() <= 8, "{text}");
        assert!(
            text.starts_with("[\n    0, 1, 2, ") && text.ends_with("98, 99,\n]"),
            "{text}"
        );
    }

    #[test]
    fn long_output_is_cut_in_the_middle_and_says_so() {
        let text = pretty(&vec!["x".repeat(80); 1_000], "");
        assert_eq!(text.lines().count(), MAX_LINES);
        assert!(text.contains("\n… 803 lines left out …\n"), "{text}");
        assert!(text.ends_with("\n]"));
    }

    #[test]
    fn formatting_is_bounded() {
        let endless = std::iter::repeat_n(7u8, 100_000_000);
        struct Numbers<I>(I);
        impl<I: Iterator<Item = u8> + Clone> Debug for Numbers<I> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_list().entries(self.0.clone()).finish()
            }
        }
        let start = Instant::now();
        let text = pretty(&Numbers(endless), "");
        assert!(
            text.ends_with("<formatting stopped here after 2 MB>"),
            "{text}"
        );
        assert!(text.lines().count() <= MAX_LINES + 1);
        assert!(start.elapsed().as_secs() < 20, "took {:?}", start.elapsed());
    }

    #[test]
    fn a_debug_that_fails_keeps_its_text_and_is_named() {
        struct Broken;
        impl Debug for Broken {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("so far")?;
                Err(fmt::Error)
            }
        }
        assert_eq!(
            pretty(&Broken, "Broken"),
            "so far\n<the Debug of Broken stopped here with an error>"
        );
    }

    #[test]
    fn a_debug_that_ignores_errors_is_bounded_too() {
        struct Deaf;
        impl Debug for Deaf {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                for _ in 0..300_000 {
                    let _ignored = f.write_str("0123456789 é");
                }
                Ok(())
            }
        }
        assert!(pretty(&Deaf, "").len() < MAX_BYTES + 100);
    }

    #[test]
    fn a_custom_debug_with_several_lines_is_left_as_it_is() {
        struct Matrix;
        impl Debug for Matrix {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[[1, 2],\n [3, 4]]")
            }
        }
        assert_eq!(pretty(&Matrix, ""), "[[1, 2],\n [3, 4]]");
    }
}
