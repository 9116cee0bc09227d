//! What `#[remote::object]` writes for a trait, and what that code calls.

use std::fmt;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::link::Link;
use crate::wire::{self, Fault};

/// A trait whose methods can be called from afar: `dyn Trait` has it where the trait has the attribute
/// [`#[remote::object]`](crate::object).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be called from afar",
    label = "this is not `dyn Trait` of a trait with #[remote::object]",
    note = "write #[remote::object] above the trait, and name it as `dyn Trait` here"
)]
pub trait Object: Send + Sync + 'static {
    /// The trait's name.
    const INTERFACE: &'static str;
    /// The names of its methods.
    const METHODS: &'static [&'static str];

    #[doc(hidden)]
    fn __sender(link: Link) -> Box<Self>;

    #[doc(hidden)]
    fn __receive(&self, call: Call<'_>) -> Answer;
}

/// What a method of a remote object may return: a `Result` with an error to which a failed call can be converted.
#[diagnostic::on_unimplemented(
    message = "a method of a remote object cannot return `{Self}`",
    label = "a network may fail, so this is to be a Result",
    note = "write `-> remote::Result<…>`, or a Result with an error of yours that is Serialize, Deserialize and From<remote::Error>"
)]
pub trait Returned: Serialize + DeserializeOwned {
    #[doc(hidden)]
    fn failed(error: Error) -> Self;
}

impl<T, E> Returned for Result<T, E>
where
    T: Serialize + DeserializeOwned,
    E: Serialize + DeserializeOwned + From<Error>,
{
    fn failed(error: Error) -> Self {
        Err(error.into())
    }
}

/// Whether there is an answer, which is in the call's buffer then.
pub type Answer = Result<(), Fault>;

/// A call that came in.
pub struct Call<'a> {
    pub(crate) method: &'a str,
    pub(crate) arguments: &'a [u8],
    /// The answer is appended to it.
    pub(crate) answer: &'a mut Vec<u8>,
}

impl<'a> Call<'a> {
    /// Which method.
    pub fn method(&self) -> &'a str {
        self.method
    }

    /// Calls `method` with the arguments, which may borrow from the message.
    ///
    /// # Errors
    /// They are of other types, or the method panics.
    pub fn answer<A: Deserialize<'a>, R: Returned>(self, method: impl FnOnce(A) -> R) -> Answer {
        let mismatch = |error: postcard::Error| Fault::Mismatch {
            why: error.to_string(),
        };
        let (arguments, rest) = postcard::take_from_bytes(self.arguments).map_err(mismatch)?;
        if !rest.is_empty() {
            return Err(Fault::Mismatch {
                why: format!("{} bytes more than the arguments came", rest.len()),
            });
        }
        // The panic is reported where the server was started, as all panics are.
        let returned = catch_unwind(AssertUnwindSafe(|| method(arguments)));
        let returned = returned.map_err(|payload| Fault::Panicked {
            message: text(&*payload),
        })?;
        wire::encode(&returned, self.answer).map_err(mismatch)
    }

    /// The object does not have it.
    ///
    /// # Errors
    /// Always.
    pub fn no_method(self, exposed: &[&str]) -> Answer {
        let exposed = exposed.iter().map(|&name| name.to_owned()).collect();
        Err(Fault::NoMethod { exposed })
    }
}

/// The message of a panic.
pub(crate) fn text(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
    text.unwrap_or("without a message").to_owned()
}

/// An object that is somewhere else: its methods are called as if it were here. [`Network::proxy`](crate::Network::proxy)
/// makes it.
///
/// It looks its name up and connects at the first call. When its server is gone, the next call looks the name up again. Calls
/// of several threads have a connection each, 64 at most unless the network says more, and do not wait for each other; the
/// connections are kept for the next calls.
pub struct Proxy<O: ?Sized> {
    object: Box<O>,
    target: String,
}

impl<O: Object + ?Sized> Proxy<O> {
    pub(crate) fn new(link: Link) -> Self {
        Proxy {
            target: link.target().to_owned(),
            object: O::__sender(link),
        }
    }
}

impl<O: ?Sized> Deref for Proxy<O> {
    type Target = O;

    fn deref(&self) -> &O {
        &self.object
    }
}

impl<O: ?Sized> fmt::Debug for Proxy<O> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Proxy({})", self.target)
    }
}
