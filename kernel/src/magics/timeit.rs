//! `%timeit`, `%%timeit` and `%%bench`: measuring code many times over, and ways to do a thing against one another.
//!
//! The work is done by the prelude's `bench`; here a call of it is written around the user's code, in a way
//! that leaves the code on its lines. Closures have a parenthesis around their body, so that the check for an
//! interrupt, which the driver puts at the beginning of a block, is not part of what is measured.

use super::{Call, Form, Magic, compiler};
use crate::engine::labelled_blocks;
use crate::session::{CellContext, CellError};

pub static TIMEIT: Magic = Magic {
    name: "timeit",
    form: Form::Both,
    usage: "%timeit [-n LOOPS] [-r SAMPLES] code, or %%timeit [-n LOOPS] [-r SAMPLES] [setup] above code",
    summary: "time of some code over many runs, with its spread, without its compile",
    details: "The number of loops is chosen so that one sample takes 5 ms or longer; the first run is \
              not counted. What the code returns counts as used, so that it is not optimised away. Code \
              on the line of `%%timeit` runs once before and is not timed. In code, the same is \
              `bench::timeit(|| code)`.",
    run: timeit,
};

pub static BENCH: Magic = Magic {
    name: "bench",
    form: Form::Cell,
    usage: "%%bench [-r ROUNDS] above labelled blocks",
    summary: "compares labelled blocks in turns: ratio with its interval, or no difference shown",
    details: "Each block has a label: `'sequential: { … }` and on another line `'parallel: { … }`. What \
              stands before the first block runs once and is shared. The first block is the baseline. In \
              code, the same is `bench::compare().case(\"sequential\", || …).case(…).run()`.",
    run: bench,
};

fn timeit(context: &mut CellContext<'_>, call: &Call<'_>) -> Result<(), CellError> {
    let (options, rest) = options(call.arguments, "%timeit", &["-n", "-r"])?;
    let (setup, code) = match call.body {
        Some(body) => (rest, body),
        None => ("", rest),
    };
    if code.trim().is_empty() {
        return Err(usage(
            "%timeit",
            "there is no code to measure",
            "%timeit my_function(1_000)",
        ));
    }
    let mut timer = String::from("forkline::bench::Timer::new()");
    for (option, number) in options {
        let method = if option == "-n" { "loops" } else { "samples" };
        timer += &format!(".{method}({number})");
    }
    // All of it on the magic's own line, which precedes the code.
    let setup = if setup.is_empty() {
        String::new()
    } else {
        format!("{setup};")
    };
    let separator = if call.body.is_some() { "\n" } else { "" };
    let before = "\n".repeat(call.line - 1);
    let text = format!("{before}{{{setup}{timer}.run(|| ({{{separator}{code}\n}}))}}");
    show_settings_after(context, &text)
}

fn bench(context: &mut CellContext<'_>, call: &Call<'_>) -> Result<(), CellError> {
    let (options, rest) = options(call.arguments, "%%bench", &["-r"])?;
    let example = "write at least two:\n     'sequential: { data.iter().sum::<u64>() }\n     \
                   'parallel: { data.par_iter().sum::<u64>() }";
    if !rest.is_empty() {
        return Err(usage(
            "%%bench",
            &format!("`{rest}` stands on its line; shared code belongs below it"),
            example,
        ));
    }
    let body = call.body.unwrap_or_default();
    let found = labelled_blocks(body);
    if let Some(line) = found.stray_line {
        return Err(usage(
            "%%bench",
            &format!(
                "line {} belongs to no block; shared code comes before the first one",
                call.line + line
            ),
            "put a label before it: 'name: { … }, or move it up",
        ));
    }
    if found.blocks.len() < 2 {
        let why = format!(
            "it compares labelled blocks, and here are {}",
            found.blocks.len()
        );
        return Err(usage("%%bench", &why, example));
    }
    let mut text = "\n".repeat(call.line - 1) + "{\n";
    let mut end = 0;
    for (index, block) in found.blocks.iter().enumerate() {
        // Semicolons between the blocks would end the chain of calls.
        let between = &body[end..block.range.start];
        match index {
            0 => {
                text += between;
                text += "forkline::bench::Compare::new()";
                for (_, rounds) in &options {
                    text += &format!(".rounds({rounds})");
                }
            }
            _ => text += &between.replace(';', " "),
        }
        text += &format!(
            ".case({:?}, || ({}))",
            block.label,
            &body[block.range.clone()]
        );
        end = block.range.end;
    }
    text += ".run()?";
    text += &body[end..].replace(';', " ");
    text += "\n}";
    show_settings_after(context, &text)
}

/// Runs the code, and says how it was compiled: a time without it is no claim.
fn show_settings_after(context: &mut CellContext<'_>, text: &str) -> Result<(), CellError> {
    context.run_code(text)?;
    let settings = context.engine()?.cell_settings();
    context.print("stdout", &compiler::describe(&settings));
    Ok(())
}

/// Options and their numbers.
type Numbers<'a> = Vec<(&'a str, u64)>;

/// Options with numbers at the beginning of the arguments, and the rest.
fn options<'a>(
    arguments: &'a str,
    magic: &str,
    known: &[&'a str],
) -> Result<(Numbers<'a>, &'a str), CellError> {
    let mut found = Vec::new();
    let mut rest = arguments.trim_start();
    while let Some(option) = known.iter().find(|option| {
        rest.strip_prefix(**option).is_some_and(|after| {
            after.starts_with(|char: char| char.is_whitespace() || char.is_ascii_digit())
        })
    }) {
        let after = rest[option.len()..].trim_start();
        let length = after
            .find(|char: char| !char.is_ascii_digit())
            .unwrap_or(after.len());
        let number: u64 = after[..length].parse().unwrap_or(0);
        if number == 0 {
            let word = after.split_whitespace().next().unwrap_or("nothing");
            return Err(usage(
                magic,
                &format!("{option} is followed by {word}, not by a number from 1 on"),
                &format!("{magic} {option} 10 …"),
            ));
        }
        found.push((*option, number));
        rest = after[length..].trim_start();
    }
    Ok((found, rest))
}

fn usage(magic: &str, why: &str, instead: &str) -> CellError {
    CellError::new(
        "UsageError",
        format!("{magic}: nothing was measured\nwhy: {why}\ndo:  {instead}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_come_first_and_take_numbers() {
        let parse = |text| options(text, "%timeit", &["-n", "-r"]).map_err(|error| error.traceback);
        assert_eq!(
            parse("-n 10 -r5 f(-n)"),
            Ok((vec![("-n", 10), ("-r", 5)], "f(-n)"))
        );
        assert_eq!(parse("-x + 1"), Ok((vec![], "-x + 1")));
        assert_eq!(parse("-negative()"), Ok((vec![], "-negative()")));
        assert!(parse("-n many f()").unwrap_err()[0].contains("followed by many"));
        assert!(parse("-n 0 f()").is_err());
    }
}
