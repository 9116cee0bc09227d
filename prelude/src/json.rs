//! JSON as text: writing strings and objects, and checking text that claims to be JSON.
//!
//! Frames to the kernel are small and written once, so a serializer and its dependency tree are not
//! needed. There is no parser into values here: nothing in this crate reads JSON.

/// Appends `text` to `out` as a JSON string, quotes included.
pub(crate) fn push_str(out: &mut String, text: &str) {
    out.reserve(text.len() + 2);
    out.push('"');
    let mut plain_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escaped = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..0x20 => "",
            _ => continue,
        };
        out.push_str(&text[plain_from..at]);
        if escaped.is_empty() {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            out.push_str("\\u00");
            out.push(HEX[usize::from(byte >> 4)] as char);
            out.push(HEX[usize::from(byte & 15)] as char);
        } else {
            out.push_str(escaped);
        }
        plain_from = at + 1;
    }
    out.push_str(&text[plain_from..]);
    out.push('"');
}

/// `text` as a JSON string, quotes included.
pub(crate) fn string(text: &str) -> String {
    let mut out = String::new();
    push_str(&mut out, text);
    out
}

/// A JSON object whose values are JSON text already.
pub(crate) fn object<'a>(entries: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let mut out = String::from("{");
    for (key, value) in entries {
        if out.len() > 1 {
            out.push(',');
        }
        push_str(&mut out, key);
        out.push(':');
        out.push_str(&value);
    }
    out.push('}');
    out
}

/// Whether `text` is exactly one JSON value (RFC 8259), nested at most 128 deep.
pub(crate) fn is_valid(text: &str) -> bool {
    let mut reader = Reader {
        rest: text.as_bytes(),
    };
    reader.value(128) && {
        reader.skip_space();
        reader.rest.is_empty()
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    fn eat(&mut self, token: &[u8]) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self, depth: usize) -> bool {
        self.skip_space();
        match self.rest.first() {
            Some(b'"') => self.text(),
            Some(b'{') if depth > 0 => self.list(b"{", b"}", |reader| {
                reader.skip_space();
                if !reader.text() {
                    return false;
                }
                reader.skip_space();
                reader.eat(b":") && reader.value(depth - 1)
            }),
            Some(b'[') if depth > 0 => self.list(b"[", b"]", |reader| reader.value(depth - 1)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.eat(b"true") || self.eat(b"false") || self.eat(b"null"),
        }
    }

    fn list(&mut self, open: &[u8], close: &[u8], item: impl Fn(&mut Self) -> bool) -> bool {
        if !self.eat(open) {
            return false;
        }
        self.skip_space();
        if self.eat(close) {
            return true;
        }
        loop {
            if !item(self) {
                return false;
            }
            self.skip_space();
            if self.eat(close) {
                return true;
            }
            if !self.eat(b",") {
                return false;
            }
        }
    }

    fn text(&mut self) -> bool {
        if !self.eat(b"\"") {
            return false;
        }
        while let [first, rest @ ..] = self.rest {
            self.rest = rest;
            match first {
                b'"' => return true,
                b'\\' => match self.rest {
                    [
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't',
                        rest @ ..,
                    ] => self.rest = rest,
                    [b'u', rest @ ..]
                        if rest.len() >= 4 && rest[..4].iter().all(u8::is_ascii_hexdigit) =>
                    {
                        self.rest = &rest[4..];
                    }
                    _ => return false,
                },
                0..0x20 => return false,
                _ => {}
            }
        }
        false
    }

    fn digits(&mut self) -> bool {
        let n = self
            .rest
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        self.rest = &self.rest[n..];
        n > 0
    }

    fn number(&mut self) -> bool {
        self.eat(b"-");
        if !(self.eat(b"0") || self.digits()) {
            return false;
        }
        if self.eat(b".") && !self.digits() {
            return false;
        }
        if self.eat(b"e") || self.eat(b"E") {
            let _sign = self.eat(b"+") || self.eat(b"-");
            return self.digits();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_escape_quotes_backslashes_and_control_characters() {
        assert_eq!(
            string("a\"b\\c\n\t\r\u{1}\u{1f}é"),
            r#""a\"b\\c\n\t\r\u0001\u001fé""#
        );
        assert_eq!(string(""), r#""""#);
    }

    #[test]
    fn objects_keep_their_order() {
        assert_eq!(
            object([("b", "1".into()), ("a", "[]".into())]),
            r#"{"b":1,"a":[]}"#
        );
        assert_eq!(object([]), "{}");
    }

    #[test]
    fn valid_json_is_accepted() {
        for text in [
            "null",
            " [1, -2.5e+3, 0, {\"a\": [true, false]}] ",
            "\"\\u00e9\\n\"",
            "{}",
            "[]",
            "0.5",
        ] {
            assert!(is_valid(text), "{text}");
        }
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in [
            "",
            "nul",
            "[1,]",
            "{a:1}",
            "01",
            "1.",
            "\"\n\"",
            "\"open",
            "[1] 2",
            "{\"a\" 1}",
            "-",
            "\"\\x\"",
        ] {
            assert!(!is_valid(text), "{text}");
        }
        assert!(!is_valid(&"[".repeat(100_000)));
    }
}
