//! Assertions that say what held: what a notebook claims, it shows.
//!
//! [`check!`](crate::check!) and [`check_eq!`](crate::check_eq!) print a line that begins with `check:` where an
//! `assert!` would be silent, and fail the cell with the same text where it would. Nothing else is here.

use std::fmt::Debug;

/// What the line of a check begins with. The notebooks' tests look for it.
pub const MARK: &str = "check:";

/// Asserts that a condition holds, and prints what was asserted: the text given, or else the condition itself.
///
/// ```
/// use forkline::check;
///
/// let total: u64 = (1..=10).sum();
/// check!(total == 55); // check: total == 55
/// check!(total < 100, "the total, {total}, is below 100"); // check: the total, 55, is below 100
/// ```
///
/// # Panics
/// The condition does not hold.
#[macro_export]
macro_rules! check {
    ($condition:expr $(,)?) => {
        $crate::check::holds($condition, ::std::format_args!("{}", ::std::stringify!($condition)))
    };
    ($condition:expr, $($text:tt)+) => {
        $crate::check::holds($condition, ::std::format_args!($($text)+))
    };
}

/// Asserts that two values are equal, and prints them with the text given, or else with the expression.
///
/// ```
/// use forkline::check_eq;
///
/// let total: u64 = (1..=10).sum();
/// check_eq!(total, 55); // check: total = 55
/// check_eq!(total, 55, "the sum of 1 to 10"); // check: the sum of 1 to 10 = 55
/// ```
///
/// # Panics
/// The values differ; the message has both.
#[macro_export]
macro_rules! check_eq {
    ($left:expr, $right:expr $(,)?) => {
        $crate::check::equal(&$left, &$right, ::std::format_args!("{}", ::std::stringify!($left)))
    };
    ($left:expr, $right:expr, $($text:tt)+) => {
        $crate::check::equal(&$left, &$right, ::std::format_args!($($text)+))
    };
}

/// What [`check!`](crate::check!) calls.
#[doc(hidden)]
#[track_caller]
pub fn holds(condition: bool, text: std::fmt::Arguments<'_>) {
    assert!(condition, "does not hold: {text}");
    println!("{MARK} {text}");
}

/// What [`check_eq!`](crate::check_eq!) calls.
#[doc(hidden)]
#[track_caller]
pub fn equal<L: PartialEq<R> + Debug + ?Sized, R: Debug + ?Sized>(
    left: &L,
    right: &R,
    text: std::fmt::Arguments<'_>,
) {
    assert!(
        left == right,
        "does not hold: {text}\n found: {left:?}\nwanted: {right:?}"
    );
    println!("{MARK} {text} = {left:?}");
}

#[cfg(test)]
mod tests {
    use crate::tests::host;

    fn message(body: impl FnOnce() + std::panic::UnwindSafe) -> String {
        let _turn = host::turn();
        let panic = std::panic::catch_unwind(body).unwrap_err();
        panic.downcast_ref::<String>().unwrap().clone()
    }

    #[test]
    fn what_holds_passes() {
        let total: u64 = (1..=10).sum();
        check!(total == 55);
        check!(total < 100, "the total, {total}, is below 100");
        check_eq!(total, 55);
        check_eq!(total, 55, "the sum of 1 to {}", 10);
        check_eq!(vec![1, 2], [1, 2]);
        check_eq!(*"a", "a".to_owned()[..]);
    }

    #[test]
    fn what_does_not_hold_says_so() {
        assert_eq!(message(|| check!(1 > 2)), "does not hold: 1 > 2");
        assert_eq!(
            message(|| check!(false, "n is {}", 3)),
            "does not hold: n is 3"
        );
        assert_eq!(
            message(|| check_eq!([1], [2], "the list")),
            "does not hold: the list\n found: [1]\nwanted: [2]"
        );
    }
}
