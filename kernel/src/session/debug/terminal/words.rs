//! The commands of a terminal: their names, how they may be shortened, and what `help` says of them.

/// One command.
pub struct Command {
    pub name: &'static str,
    /// Other names, as pdb and gdb have them.
    pub short: &'static [&'static str],
    /// What stands behind the name.
    pub arguments: &'static str,
    pub summary: &'static str,
}

const fn command(
    name: &'static str,
    short: &'static [&'static str],
    arguments: &'static str,
    summary: &'static str,
) -> Command {
    Command {
        name,
        short,
        arguments,
        summary,
    }
}

/// All of them, in the order in which `help` lists them.
pub static ALL: &[Command] = &[
    command(
        "help",
        &["h", "?"],
        "[command]",
        "this list, or one command",
    ),
    command(
        "list",
        &["l"],
        "[line | first,last | .]",
        "the source around the line, with -> at it; again: what follows",
    ),
    command(
        "where",
        &["w", "bt", "backtrace"],
        "",
        "the stack of the thread: your functions, innermost first",
    ),
    command(
        "up",
        &["u"],
        "[count]",
        "to the frame that has called this one",
    ),
    command(
        "down",
        &["d"],
        "[count]",
        "to the frame that this one has called",
    ),
    command(
        "print",
        &["p", "pp"],
        "EXPRESSION",
        "a variable, a part of it (v[0], p.x), arithmetic",
    ),
    command("whatis", &[], "EXPRESSION", "the type of it"),
    command("locals", &[], "", "all variables of the frame"),
    command("args", &["a"], "", "the arguments of the frame's function"),
    command(
        "next",
        &["n"],
        "[count]",
        "to the next line; calls run through",
    ),
    command(
        "step",
        &["s"],
        "[count]",
        "to the next line, into your functions",
    ),
    command(
        "out",
        &["finish", "fin", "return", "r"],
        "",
        "on until the function has returned",
    ),
    command(
        "until",
        &["unt"],
        "[line]",
        "on to a line below this one, or to that line",
    ),
    command("continue", &["c", "cont"], "", "on to the next breakpoint"),
    command(
        "wait",
        &[],
        "",
        "the next command waits until something stops",
    ),
    command("pause", &[], "", "stop what runs (Ctrl-C does the same)"),
    command(
        "interrupt",
        &["kill"],
        "",
        "end the cell, as the front end's stop button does",
    ),
    command(
        "break",
        &["b"],
        "[PLACE] [if CONDITION]",
        "stop at 5, at 3:5 or in a function; alone: list all",
    ),
    command(
        "tbreak",
        &["tb"],
        "[PLACE] [if CONDITION]",
        "one that stops once",
    ),
    command(
        "condition",
        &[],
        "N [CONDITION]",
        "breakpoint N stops only if it is true; without one: always",
    ),
    command(
        "ignore",
        &[],
        "N COUNT",
        "so many passes of breakpoint N do not stop",
    ),
    command(
        "disable",
        &[],
        "N ...",
        "breakpoints that are kept and do not stop",
    ),
    command("enable", &[], "N ...", "they stop again"),
    command(
        "delete",
        &["del", "clear", "cl"],
        "[N ...]",
        "remove breakpoints; alone: all",
    ),
    command("threads", &[], "", "all threads and where each of them is"),
    command("thread", &["t"], "N", "look at another thread"),
    command(
        "start",
        &[],
        "",
        "the next cell stops at its first statement",
    ),
    command(
        "postmortem",
        &["pm"],
        "[N]",
        "look at the last panic (the Nth that was kept)",
    ),
    command("live", &[], "", "back from the dead process to the worker"),
    command("attach", &[], "", "turn the debugger on again"),
    command(
        "quit",
        &["q", "exit"],
        "",
        "leave; what stands still goes on, unless someone else has turned the debugger on",
    ),
];

/// The command of a name, an abbreviation, or a beginning that fits one only.
///
/// # Errors
/// There is none, or several. In three parts.
pub fn find(word: &str) -> Result<&'static Command, String> {
    let exact = ALL
        .iter()
        .find(|command| command.name == word || command.short.contains(&word));
    if let Some(command) = exact {
        return Ok(command);
    }
    let fitting: Vec<&Command> = ALL
        .iter()
        .filter(|command| command.name.starts_with(word))
        .collect();
    match fitting.as_slice() {
        [one] => Ok(one),
        [] => Err(format!(
            "{word}: there is no such command\nwhy: statements of Rust cannot be run here, only looked at\n\
             do:  help    (lists the commands);  print {word}    (if it is a variable)"
        )),
        several => {
            let names: Vec<&str> = several.iter().map(|command| command.name).collect();
            Err(format!(
                "{word}: this is the beginning of several commands\nwhy: {} all begin so\ndo:  write one more letter",
                names.join(", ")
            ))
        }
    }
}

/// The text of `help`.
///
/// # Errors
/// There is no such command.
pub fn help(word: &str) -> Result<String, String> {
    let line = |command: &Command| {
        let written = format!("{} {}", command.name, command.arguments);
        let short = match command.short {
            [] => String::new(),
            short => format!(" ({})", short.join(", ")),
        };
        format!("{:<30} {}{short}\n", written.trim_end(), command.summary)
    };
    if !word.is_empty() {
        return find(word).map(line);
    }
    let list: String = ALL.iter().map(line).collect();
    Ok(format!(
        "{list}An empty line repeats the command before it. Lines are those of the cell; `3:5` is line 5 of cell [3].\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_whole_short_and_by_their_beginning() {
        for (word, name) in [
            ("n", "next"),
            ("next", "next"),
            ("disa", "disable"),
            ("r", "out"),
            ("?", "help"),
        ] {
            assert_eq!(find(word).map(|command| command.name), Ok(name), "{word}");
        }
        assert!(find("thr").is_err_and(|why| why.contains("threads, thread")));
        assert!(find("x").is_err_and(|why| why.contains("do:")));
    }

    #[test]
    fn no_name_means_two_things() {
        let mut all: Vec<&str> = ALL
            .iter()
            .flat_map(|command| std::iter::once(command.name).chain(command.short.iter().copied()))
            .collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
