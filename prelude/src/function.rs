//! Functions with their arguments in a tuple, as executors and processes take them.

/// A function, or a closure, that can be called with a tuple of arguments: `f(a, b)` is `f.call((a, b))`.
///
/// All that can be called with up to six arguments has it. It can be copied, so that one function serves many
/// calls; a closure may capture what can be copied and shared between threads.
///
/// ```
/// use forkline::prelude::*;
/// use forkline::Function;
///
/// fn area(width: u32, height: u32) -> u32 { width * height }
/// assert_eq!(area.call((3, 4)), 12);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no function that takes the arguments `{Args}`",
    label = "this cannot be called with these arguments",
    note = "arguments are given as a tuple: `(a, b)` for two, `(a,)` for one, `()` for none",
    note = "a closure may capture only what can be copied, and types of its parameters are written out: `|n: u32| n + 1`"
)]
pub trait Function<Args>: Copy + Send + Sync + 'static {
    /// What it returns.
    type Output;

    /// Calls it.
    fn call(self, arguments: Args) -> Self::Output;
}

/// What a function pointer returns.
#[doc(hidden)]
pub trait Returns {
    type Output;
}

impl<R> Returns for fn() -> R {
    type Output = R;
}

/// The type `!`, which may not be written where a variable of type `Task<!>` is kept for later cells.
#[doc(hidden)]
pub type Never = <fn() -> ! as Returns>::Output;

macro_rules! functions {
    ($(($($name:ident)*))*) => {$(
        impl<F, R, $($name),*> Function<($($name,)*)> for F
        where
            F: Fn($($name),*) -> R + Copy + Send + Sync + 'static,
        {
            type Output = R;

            #[allow(non_snake_case, reason = "an argument is named after its type")]
            fn call(self, ($($name,)*): ($($name,)*)) -> R {
                self($($name),*)
            }
        }
    )*};
}

functions! { () (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E G) }

#[cfg(test)]
mod tests {
    use super::Function;

    fn area(width: u32, height: u32) -> u32 {
        width * height
    }

    fn apply<F: Function<Args>, Args>(function: F, arguments: Args) -> F::Output {
        function.call(arguments)
    }

    #[test]
    fn arguments_come_as_a_tuple() {
        assert_eq!(area.call((3, 4)), 12);
        assert_eq!(apply(area, (5, 6)), 30);
        assert_eq!(apply(|| 1, ()), 1);
        let added = 5;
        assert_eq!(apply(move |n: u32| n + added, (1,)), 6);
        assert_eq!(
            apply(
                |a: u8, b: u8, c: u8, d: u8, e: u8, f: u8| a + b + c + d + e + f,
                (1, 2, 3, 4, 5, 6)
            ),
            21
        );
    }
}
