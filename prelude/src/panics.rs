//! What a thread that unwinds carries with it.

use std::any::Any;

/// The text of a panic, from what unwound. Only `panic_any` and what is no panic carry something else.
pub(crate) fn text(payload: &(dyn Any + Send)) -> Option<&str> {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

#[cfg(test)]
mod tests {
    #[test]
    fn texts_of_both_kinds_are_read() {
        assert_eq!(super::text(&"a literal"), Some("a literal"));
        assert_eq!(super::text(&format!("made of {}", 2)), Some("made of 2"));
        assert_eq!(super::text(&7), None);
    }
}
