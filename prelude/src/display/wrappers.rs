//! Wrappers that say what a piece of text or bytes is, and `Show` for std's types that hold showable things.

use std::rc::Rc;
use std::sync::Arc;

use super::{Bundle, Show};

/// One wrapper around text: its type, its `new`, its `Show`.
macro_rules! text_wrapper {
    ($(#[$doc:meta])* $name:ident, $method:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(pub String);

        impl $name {
            /// Says that `text` is of this kind.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }
        }

        impl Show for $name {
            fn show(&self) -> Bundle {
                Bundle::new().$method(&self.0)
            }
        }
    };
}

text_wrapper! {
    /// A piece of HTML. Scripts in it run only where the front end trusts the notebook.
    Html, html
}
text_wrapper! {
    /// An SVG image, as the text of its file.
    Svg, svg
}
text_wrapper! {
    /// A piece of Markdown.
    Markdown, markdown
}
text_wrapper! {
    /// A piece of LaTeX; formulas need their `$` signs.
    Latex, latex
}
text_wrapper! {
    /// Data as JSON text; JupyterLab shows it as a tree.
    Json, json
}

/// One wrapper around the bytes of an image file.
macro_rules! image_wrapper {
    ($(#[$doc:meta])* $name:ident, $method:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(pub Vec<u8>);

        impl $name {
            /// Says that `bytes` are such a file.
            pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
                Self(bytes.into())
            }
        }

        impl Show for $name {
            fn show(&self) -> Bundle {
                Bundle::new().$method(&self.0)
            }
        }
    };
}

image_wrapper! {
    /// The bytes of a PNG file.
    Png, png
}
image_wrapper! {
    /// The bytes of a JPEG file.
    Jpeg, jpeg
}

/// Shows nothing: a cell that ends in a statement has no result.
impl Show for () {
    fn show(&self) -> Bundle {
        Bundle::new()
    }
}

/// `None` is shown as the text `None`.
impl<T: Show> Show for Option<T> {
    fn show(&self) -> Bundle {
        match self {
            Some(value) => value.show(),
            None => Bundle::new().text("None"),
        }
    }
}

macro_rules! show_what_is_inside {
    ($($pointer:ty),*) => {$(
        impl<T: Show + ?Sized> Show for $pointer {
            fn show(&self) -> Bundle {
                (**self).show()
            }
        }
    )*};
}

show_what_is_inside!(&T, &mut T, Box<T>, Rc<T>, Arc<T>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_and_some_show_what_is_inside() {
        let text = Bundle::new().markdown("a");
        let value = Markdown::new("a");
        assert_eq!((&&value).show(), text);
        assert_eq!(Box::new(&value).show(), text);
        assert_eq!(Some(Arc::new(value)).show(), text);
        assert_eq!(None::<Markdown>.show().plain_text(), "None");
        let dynamic: Box<dyn Show> = Box::new(Html::new("b"));
        assert_eq!(dynamic.show().plain_text(), "b");
    }

    #[test]
    fn images_are_base64() {
        assert_eq!(
            Png::new(*b"foobar").show().get("image/png"),
            Some("Zm9vYmFy")
        );
        assert_eq!(Jpeg::new(*b"fo").show().get("image/jpeg"), Some("Zm8="));
    }

    #[test]
    fn unit_shows_nothing() {
        assert!(().show().is_empty());
    }
}
