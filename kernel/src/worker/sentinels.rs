//! Finds evcxr's own words in what a cell writes to its standard output.
//!
//! evcxr's generated code and the crates that follow its display convention speak to the engine by
//! printing lines. User text may stand before them on the same line, and a write may end in the
//! middle of one. [`Scanner`] takes bytes as they are written and returns [`Piece`]s in order; text
//! that cannot be part of such a line is passed on at once, without waiting for a newline.
//!
//! The words are those of evcxr 0.22.0; the test in `engine/reliance.rs` fails when they change.

/// evcxr: the cell's code panicked and nothing caught it.
pub const PANIC: &str = "EVCXR_PANIC_NOTIFICATION";
/// evcxr: a `?` returned an error.
pub const USER_ERROR: &str = "EVCXR_ERROR_OCCURRED";
/// evcxr: a variable's type was defined anew, its value is lost.
pub const VARIABLE_LOST: &str = "EVCXR_VARIABLE_CHANGED_TYPE:";
/// evcxr_input: the next read of the standard input is to show this prompt.
pub const INPUT: &str = "EVCXR_INPUT_REQUEST:";
/// evcxr_input: the same for a password.
pub const INPUT_PASSWORD: &str = "EVCXR_INPUT_REQUEST_PASSWORD:";
const BEGIN: &str = "EVCXR_BEGIN_CONTENT ";
const END: &[u8] = b"EVCXR_END_CONTENT\n";
const PREFIX: &[u8] = b"EVCXR_";

/// A display block is given up as plain text beyond this length, so that a cell which prints the
/// opening word by mistake cannot make the worker hold its whole output.
const MAX_CONTENT: usize = 256 << 20;

/// What was found, in the order in which it was written.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// Ordinary output.
    Text(Vec<u8>),
    /// A block of content: MIME type and text.
    Content(String, String),
    Panic,
    UserError,
    VariableLost(String),
    Input {
        prompt: String,
        password: bool,
    },
}

/// Splits a stream of bytes into [`Piece`]s.
#[derive(Default)]
pub struct Scanner {
    held: Vec<u8>,
    content: Option<(String, Vec<u8>)>,
}

impl Scanner {
    /// Takes the next bytes and returns what is complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Piece> {
        // The common case: nothing is held and nothing begins.
        if self.held.is_empty() && self.content.is_none() && !bytes.contains(&b'E') {
            return vec![Piece::Text(bytes.to_vec())];
        }
        let mut pieces = Vec::new();
        self.held.extend_from_slice(bytes);
        while self.step(&mut pieces) {}
        pieces
    }

    /// Whether text waits for more bytes before it is known what it is.
    pub fn holds_text(&self) -> bool {
        !self.held.is_empty() && self.content.is_none()
    }

    /// Gives up waiting: what is held back is text after all. An open content block stays open.
    pub fn flush(&mut self) -> Option<Vec<u8>> {
        if self.held.is_empty() || self.content.is_some() {
            return None;
        }
        Some(std::mem::take(&mut self.held))
    }

    /// At the end of a run: everything held, an unfinished block included, as text.
    pub fn finish(&mut self) -> Option<Vec<u8>> {
        if let Some((mime, mut content)) = self.content.take() {
            let mut text = format!("{BEGIN}{mime}\n").into_bytes();
            text.append(&mut content);
            text.append(&mut self.held);
            return Some(text);
        }
        self.flush()
    }

    /// One step over `held`; false if more bytes are needed.
    fn step(&mut self, pieces: &mut Vec<Piece>) -> bool {
        if let Some((_, content)) = &mut self.content {
            let Some(newline) = find(&self.held, b"\n") else {
                return false;
            };
            let line: Vec<u8> = self.held.drain(..=newline).collect();
            if line == END {
                let (mime, mut content) = self.content.take().expect("an open block");
                if content.last() == Some(&b'\n') {
                    content.pop();
                }
                pieces.push(Piece::Content(mime, lossy(content)));
            } else if line.strip_suffix(b"\n") == Some(PANIC.as_bytes()) {
                // A panic inside `evcxr_display`: the block will never be closed.
                let text = self.finish_block();
                push_text(pieces, text);
                pieces.push(Piece::Panic);
            } else {
                content.extend_from_slice(&line);
                if content.len() > MAX_CONTENT {
                    let text = self.finish_block();
                    push_text(pieces, text);
                }
            }
            return true;
        }
        if self.held.is_empty() {
            return false;
        }
        let Some(at) = find(&self.held, PREFIX) else {
            // Keep only a tail that may be the beginning of a word.
            let keep = (1..PREFIX.len())
                .rev()
                .find(|length| self.held.ends_with(&PREFIX[..*length]))
                .unwrap_or(0);
            let text: Vec<u8> = self.held.drain(..self.held.len() - keep).collect();
            push_text(pieces, text);
            return false;
        };
        let text: Vec<u8> = self.held.drain(..at).collect();
        push_text(pieces, text);
        let Some(newline) = find(&self.held, b"\n") else {
            // Words are short, apart from a prompt: what runs on is text.
            if self.held.len() > 4096 || !may_be_word(&self.held) {
                let text: Vec<u8> = self.held.drain(..PREFIX.len()).collect();
                push_text(pieces, text);
                return true;
            }
            return false;
        };
        let line = lossy(self.held[..newline].to_vec());
        let piece = if line == PANIC {
            Piece::Panic
        } else if line == USER_ERROR {
            Piece::UserError
        } else if let Some(name) = line.strip_prefix(VARIABLE_LOST) {
            Piece::VariableLost(name.to_owned())
        } else if let Some(prompt) = line.strip_prefix(INPUT) {
            Piece::Input {
                prompt: prompt.to_owned(),
                password: false,
            }
        } else if let Some(prompt) = line.strip_prefix(INPUT_PASSWORD) {
            Piece::Input {
                prompt: prompt.to_owned(),
                password: true,
            }
        } else if let Some(mime) = line.strip_prefix(BEGIN) {
            let mime = mime.trim().to_owned();
            self.held.drain(..=newline);
            self.content = Some((mime, Vec::new()));
            return true;
        } else {
            let text: Vec<u8> = self.held.drain(..PREFIX.len()).collect();
            push_text(pieces, text);
            return true;
        };
        self.held.drain(..=newline);
        pieces.push(piece);
        true
    }

    fn finish_block(&mut self) -> Vec<u8> {
        let Some((mime, mut content)) = self.content.take() else {
            return Vec::new();
        };
        let mut text = format!("{BEGIN}{mime}\n").into_bytes();
        text.append(&mut content);
        text
    }
}

/// Whether `held`, which has no newline yet, may grow into one of evcxr's words.
fn may_be_word(held: &[u8]) -> bool {
    [
        PANIC,
        USER_ERROR,
        VARIABLE_LOST,
        INPUT,
        INPUT_PASSWORD,
        BEGIN,
    ]
    .iter()
    .any(|word| {
        let word = word.as_bytes();
        let length = word.len().min(held.len());
        held[..length] == word[..length]
    })
}

fn push_text(pieces: &mut Vec<Piece>, text: Vec<u8>) {
    if text.is_empty() {
        return;
    }
    if let Some(Piece::Text(last)) = pieces.last_mut() {
        last.extend_from_slice(&text);
    } else {
        pieces.push(Piece::Text(text));
    }
}

fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(chunks: &[&str]) -> Vec<Piece> {
        let mut scanner = Scanner::default();
        let mut pieces = Vec::new();
        for chunk in chunks {
            for piece in scanner.push(chunk.as_bytes()) {
                match piece {
                    Piece::Text(text) => push_text(&mut pieces, text),
                    other => pieces.push(other),
                }
            }
        }
        if let Some(text) = scanner.finish() {
            push_text(&mut pieces, text);
        }
        pieces
    }

    fn text(text: &str) -> Piece {
        Piece::Text(text.as_bytes().to_vec())
    }

    #[test]
    fn words_are_found_however_the_writes_are_split() {
        let whole = "ab EVCXR_PANIC_NOTIFICATION\nEVCXR_BEGIN_CONTENT text/html\n<b>\nx</b>\nEVCXR_END_CONTENT\nEVCXR_ERROR_OCCURRED\nend";
        let expected = [
            text("ab "),
            Piece::Panic,
            Piece::Content("text/html".into(), "<b>\nx</b>".into()),
            Piece::UserError,
            text("end"),
        ];
        for at in 0..whole.len() {
            assert_eq!(
                scan(&[&whole[..at], &whole[at..]]),
                expected,
                "split at {at}"
            );
        }
    }

    #[test]
    fn text_without_a_newline_is_passed_on_at_once() {
        let mut scanner = Scanner::default();
        assert_eq!(scanner.push(b"Enter: "), [text("Enter: ")]);
        assert_eq!(scanner.push(b"EVE"), [text("EV")]);
        // What may begin a word waits for a moment only.
        assert!(scanner.holds_text());
        assert_eq!(scanner.flush(), Some(b"E".to_vec()));
    }

    #[test]
    fn a_word_that_only_looks_like_evcxrs_is_text() {
        assert_eq!(
            scan(&["EVCXR_TMPDIR=x\nEVCXR_"]),
            [text("EVCXR_TMPDIR=x\nEVCXR_")]
        );
    }

    #[test]
    fn an_unclosed_block_comes_out_as_text() {
        assert_eq!(
            scan(&["EVCXR_BEGIN_CONTENT text/plain\nabc\n"]),
            [text("EVCXR_BEGIN_CONTENT text/plain\nabc\n")]
        );
    }

    #[test]
    fn input_requests_carry_their_prompt() {
        assert_eq!(
            scan(&["EVCXR_INPUT_REQUEST:name: \nEVCXR_INPUT_REQUEST_PASSWORD:pw\n"]),
            [
                Piece::Input {
                    prompt: "name: ".into(),
                    password: false
                },
                Piece::Input {
                    prompt: "pw".into(),
                    password: true
                },
            ]
        );
    }
}
