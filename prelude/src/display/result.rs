//! The value of a cell's last expression: found out at compile time how to show it, in one attempt.
//!
//! `__result!(expr)` borrows the value and takes the first of these that its type has:
//! 1. `Show` of a type that is [`ShownFirst`];
//! 2. a method `evcxr_display(&self)`, the convention of crates made for notebooks;
//! 3. [`Show`], which `()` has, showing nothing;
//! 4. `Debug`, laid out for reading;
//! 5. else a line that names the type.
//!
//! References and smart pointers are looked through first, so that `&value` shows as `value` does.
//!
//! How it works: method lookup takes the receiver as it is, then with one `&` less, and so on. So traits that
//! have a method of one name, implemented for fewer and fewer `&`, are tried in order ("autoref
//! specialisation"), with neither an unstable feature nor a second compile. For point 2 the method is called in
//! a closure that is not run: its return type is [`Undisplayed`] only where lookup found nothing but our
//! own [`Fallback`]. The user's tokens stay outside of the block that brings these traits into scope.

use std::any::type_name;
use std::fmt::Debug;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;

use super::{Bundle, Show, debug, send};
use crate::rt;

/// Shows the value of an expression as the result of the cell, without moving it.
#[doc(hidden)]
#[macro_export]
macro_rules! __result {
    ($value:expr $(,)?) => {{
        // An expression that never returns makes the rest unreachable, which is no fault of the cell.
        #[allow(unreachable_code, unused_imports)]
        match &$value {
            value => {
                use $crate::display::result::dispatch::*;
                let value = $crate::display::result::Outer(value).peel();
                let value = $crate::display::result::Outer(value).peel();
                let value = $crate::display::result::Outer(value).peel();
                let probe = $crate::display::result::probe(value, || value.evcxr_display());
                (&&&&&probe).present(&|| {
                    let _ = value.evcxr_display();
                });
            }
        };
    }};
}

/// The traits that the macro's own block brings into scope.
pub mod dispatch {
    pub use super::{
        Fallback as _, PeelOnce as _, PeelPointer as _, PresentDebug as _, PresentFirst as _,
        PresentForeign as _, PresentName as _, PresentShow as _,
    };
}

/// What [`Fallback::evcxr_display`] returns: the type follows no convention.
pub struct Undisplayed;

/// Answers where a type has no `evcxr_display` of its own, neither inherent nor by a trait in scope: being
/// implemented for references it comes after both.
pub trait Fallback {
    /// Does nothing.
    fn evcxr_display(&self) -> Undisplayed {
        Undisplayed
    }
}

impl<T: ?Sized> Fallback for &T {}

/// A type whose [`Show`] is better than the `evcxr_display` it also has.
pub trait ShownFirst: Show {}

/// A value of which one layer of reference or smart pointer may be taken away.
pub struct Outer<'a, T: ?Sized>(pub &'a T);

/// A reference or smart pointer.
pub trait Pointer {
    /// What it points to.
    type Inner: ?Sized;
    /// Looks at what it points to.
    fn inner(&self) -> &Self::Inner;
}

macro_rules! pointers {
    ($($pointer:ty),*) => {$(
        impl<T: ?Sized> Pointer for $pointer {
            type Inner = T;
            fn inner(&self) -> &T {
                self
            }
        }
    )*};
}

pointers!(&T, &mut T, Box<T>, Rc<T>, Arc<T>);

/// Takes a layer away where there is one.
pub trait PeelPointer<'a> {
    /// What is inside.
    type Inner: ?Sized;
    /// The value inside.
    fn peel(self) -> &'a Self::Inner;
}

impl<'a, T: Pointer + ?Sized> PeelPointer<'a> for Outer<'a, T> {
    type Inner = T::Inner;
    fn peel(self) -> &'a T::Inner {
        self.0.inner()
    }
}

/// Leaves the value as it is where there is no layer.
pub trait PeelOnce<'a> {
    /// The type as it is.
    type Same: ?Sized;
    /// The value as it is.
    fn peel(&self) -> &'a Self::Same;
}

impl<'a, T: ?Sized> PeelOnce<'a> for Outer<'a, T> {
    type Same = T;
    fn peel(&self) -> &'a T {
        self.0
    }
}

/// A value, and what its `evcxr_display` returns.
pub struct Probe<'a, T: ?Sized, R> {
    value: &'a T,
    returned: PhantomData<fn() -> R>,
}

/// Never calls `display`: only its return type counts.
pub fn probe<T: ?Sized, R>(value: &T, display: impl Fn() -> R) -> Probe<'_, T, R> {
    let _ = display;
    Probe {
        value,
        returned: PhantomData,
    }
}

/// Choice 1.
pub trait PresentFirst {
    /// Shows the value; `foreign` calls its `evcxr_display`.
    fn present(&self, foreign: &dyn Fn());
}

impl<T: ShownFirst + ?Sized, R> PresentFirst for &&&&Probe<'_, T, R> {
    fn present(&self, _foreign: &dyn Fn()) {
        show_result(&self.value.show());
    }
}

/// Choice 3, tried before choice 2 since it asks for [`Undisplayed`].
pub trait PresentShow {
    /// Shows the value; `foreign` calls its `evcxr_display`.
    fn present(&self, foreign: &dyn Fn());
}

impl<T: Show + ?Sized> PresentShow for &&&Probe<'_, T, Undisplayed> {
    fn present(&self, _foreign: &dyn Fn()) {
        show_result(&self.value.show());
    }
}

/// Choice 4.
pub trait PresentDebug {
    /// Shows the value; `foreign` calls its `evcxr_display`.
    fn present(&self, foreign: &dyn Fn());
}

impl<T: Debug + ?Sized> PresentDebug for &&Probe<'_, T, Undisplayed> {
    fn present(&self, _foreign: &dyn Fn()) {
        // The reference to the reference is sized, which `dyn Debug` asks for.
        show_debug(&self.value, type_name::<T>());
    }
}

/// Choice 5.
pub trait PresentName {
    /// Shows the value; `foreign` calls its `evcxr_display`.
    fn present(&self, foreign: &dyn Fn());
}

impl<T: ?Sized> PresentName for &Probe<'_, T, Undisplayed> {
    fn present(&self, _foreign: &dyn Fn()) {
        show_name(type_name::<T>());
    }
}

/// Choice 2.
pub trait PresentForeign {
    /// Shows the value; `foreign` calls its `evcxr_display`.
    fn present(&self, foreign: &dyn Fn());
}

impl<T: ?Sized, R> PresentForeign for Probe<'_, T, R> {
    fn present(&self, foreign: &dyn Fn()) {
        show_foreign(foreign);
    }
}

// What follows has no type parameter: it is compiled once here and not again in each cell.

/// What the method prints is one result: the kernel merges what comes between begin and end.
fn show_foreign(foreign: &dyn Fn()) {
    struct Group;
    impl Drop for Group {
        fn drop(&mut self) {
            rt::flush_stdout();
            rt::report("group", "\"end\"".into());
        }
    }
    rt::flush_stdout();
    rt::report("group", "\"begin\"".into());
    let _group = Group;
    foreign();
}

fn show_debug(value: &dyn Debug, type_name: &str) {
    show_result(&Bundle::new().text(debug::pretty(value, &short_type_name(type_name))));
}

fn show_name(type_name: &str) {
    let name = short_type_name(type_name);
    show_result(&Bundle::new().text(format!("<value of type {name}: it has no Debug>")));
}

fn show_result(bundle: &Bundle) {
    send(bundle, None, false, true);
}

/// A type's name without the paths of its parts: `Vec<Option<Job>>` for `alloc::vec::Vec<core::option::Option<ctx::Job>>`.
fn short_type_name(full: &str) -> String {
    let mut short = String::with_capacity(full.len());
    let mut segment_from = 0;
    let mut rest = full;
    while let Some(character) = rest.chars().next() {
        if let Some(after) = rest
            .strip_prefix("::")
            .filter(|_| short.len() > segment_from)
        {
            short.truncate(segment_from);
            rest = after;
            continue;
        }
        short.push(character);
        rest = &rest[character.len_utf8()..];
        if !(character.is_alphanumeric() || character == '_') {
            segment_from = short.len();
        }
    }
    short.replace("{{closure}}", "closure")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_names_lose_their_paths() {
        for (full, short) in [
            (
                "alloc::vec::Vec<core::option::Option<ctx::Job>>",
                "Vec<Option<Job>>",
            ),
            ("[(i32, a::b::C<'_>); 3]", "[(i32, C<'_>); 3]"),
            (
                "dyn core::ops::function::Fn(u8) -> a::T + core::marker::Send",
                "dyn Fn(u8) -> T + Send",
            ),
            ("a::run::{{closure}}", "closure"),
            ("<a::B as c::D>::E", "<B as D>::E"),
            ("u8", "u8"),
        ] {
            assert_eq!(short_type_name(full), short);
        }
    }
}
