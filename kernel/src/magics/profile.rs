//! `%profile` and `%%profile`: where the processor time of some code goes, by function and line.

use super::{Call, Form, Magic};
use crate::session::{CellContext, CellError};
use crate::worker;

pub static PROFILE: Magic = Magic {
    name: "profile",
    form: Form::Both,
    usage: "%profile [--top N] code, or %%profile [--top N] above code",
    summary: "a flame graph of one run: functions, lines and threads that take the time",
    details: "Every thread is looked at once for every few milliseconds of processor time that it uses; \
              time in which it sleeps or waits is not seen (%%time tells it). In the picture a box is a \
              function, as wide as its share of the samples, with what it called above it and the thread \
              below. Warm boxes are your functions, with the cell and the line that took most; blue-grey \
              ones are library functions. Library code that was inlined counts as the line that uses it; a \
              small function of yours may be inlined too, `#[inline(never)]` keeps it apart. The table has \
              the N lines (10) in which most samples ended. The cell runs as ever, a few percent slower.",
    run,
};

/// How many lines the table has.
const TOP: usize = 10;

fn run(context: &mut CellContext<'_>, call: &Call<'_>) -> Result<(), CellError> {
    let (top, code) = options(call)?;
    if !worker::CAN_PROFILE {
        return Err(CellError::new(
            "NotSupported",
            "%profile: not on this kind of machine\n\
             why: the profiler reads the registers and the stack of a thread as Linux on x86_64 has them\n\
             do:  %%time, and Instant::now() around the parts in question",
        ));
    }
    context.set_profiling(true);
    let result = super::run(context, &code);
    context.set_profiling(false);
    // Also of a cell that panicked or was interrupted: that is where its time went.
    let shown = context.show_profile(top);
    result.and(shown)
}

/// The number of lines, and the code with the cell's line numbers.
fn options(call: &Call<'_>) -> Result<(usize, String), CellError> {
    let written = if call.body.is_some() {
        "%%profile"
    } else {
        "%profile"
    };
    let usage = |what: String, why: &str| {
        let text =
            format!("{what}\nwhy: {why}\ndo:  %%profile --top 20 above the code, or %profile code");
        CellError::new("UsageError", text)
    };
    let mut rest = call.arguments.trim_start();
    let mut top = TOP;
    if let Some(after) = rest.strip_prefix("--top") {
        let number = after.split_whitespace().next().unwrap_or_default();
        top = number.parse().map_err(|_| {
            usage(
                format!("{written} --top {number}: not a number"),
                "--top is the number of lines in the table",
            )
        })?;
        rest = after.trim_start()[number.len()..].trim_start();
    }
    let code = match call.body {
        Some(_) if !rest.is_empty() => {
            return Err(usage(
                format!("{written} {rest}: not understood"),
                "the code of a cell begins on the next line",
            ));
        }
        Some(_) => call.code(),
        None => "\n".repeat(call.line - 1) + rest,
    };
    if code.trim().is_empty() {
        return Err(usage(
            format!("{written}: nothing to run"),
            "there is no code behind it",
        ));
    }
    Ok((top, code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_told_from_code() {
        let call = |arguments, body| {
            options(&Call {
                arguments,
                body,
                line: 2,
            })
        };
        assert_eq!(call("f(1)", None).unwrap(), (TOP, "\nf(1)".to_owned()));
        assert_eq!(
            call("--top 3 f(1)", None).unwrap(),
            (3, "\nf(1)".to_owned())
        );
        assert_eq!(
            call(" --top 3", Some("g()")).unwrap(),
            (3, "\n\ng()".to_owned())
        );
        for (arguments, body, expected) in [
            ("--top x", Some("g()"), "%%profile --top x: not a number"),
            ("--fast", Some("g()"), "%%profile --fast: not understood"),
            ("", None, "%profile: nothing to run"),
        ] {
            let error = call(arguments, body).unwrap_err();
            assert_eq!(error.evalue, expected);
            assert!(
                error.traceback[0].contains("\nwhy: ") && error.traceback[0].contains("\ndo:  ")
            );
        }
    }
}
