//! `%debug` and `%%debug`: a panic afterwards, a cell under commands, the doors for terminals.

use super::{Call, Form, Magic};
use crate::session::{CellContext, CellError};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

pub static DEBUG: Magic = Magic {
    name: "debug",
    form: Form::Both,
    usage: "%debug [N | on | off | --listen [PORT] | --close] [--to FILE], or %%debug [--run] [--to FILE] [--commands \"n; p x\"] above code",
    summary: "the frames of the last panic; the debugger on and off; a cell run by the debugger's commands",
    details: "Alone it shows the last panic: your functions, innermost first, each with its line and its variables. For that the \
              debugger must have been on when the cell ran: %debug on, or %%debug above the cell. While it is on, cells are \
              compiled with debug information and without optimisation, and breakpoint!() stops. A number shows another panic \
              of the same cell. %%debug runs the cell by the commands given, separated by `;`, and in lines of the cell that \
              begin with `//fdb `: it stops at the first statement (with --run at breakpoints only), prints the dialogue, and \
              goes on without stopping when no commands are left. The commands are those of `forkline debug --attach`, which debugs \
              a running kernel from a terminal; `help` lists them. --listen opens a port of this machine for plain text \
              clients (netcat, telnet) and prints its address and the token that it asks for. --to writes what was found, the \
              dialogue, or address and token, into a file that only you can read.",
    run,
};

/// How a line of a cell begins that is a command.
const COMMAND: &str = "//fdb ";

fn usage(what: &str, why: &str) -> CellError {
    let text = format!(
        "{what}\nwhy: {why}\ndo:  %debug on;  %debug;  %%debug --commands \"n; p x; c\" above code"
    );
    CellError::new("UsageError", text)
}

fn run(context: &mut CellContext<'_>, call: &Call<'_>) -> Result<(), CellError> {
    if let Some(body) = call.body {
        return run_cell(context, call, body);
    }
    let mut words: Vec<&str> = call.arguments.split_whitespace().collect();
    let file = match words.iter().position(|word| *word == "--to") {
        Some(index) if index + 1 < words.len() => {
            let file = words.remove(index + 1);
            words.remove(index);
            Some(Path::new(file))
        }
        Some(_) => {
            return Err(usage(
                "%debug --to: no file",
                "the name of a file belongs behind it",
            ));
        }
        None => None,
    };
    match words.as_slice() {
        [] => show(context, None, file),
        ["on"] => {
            let was_on = context.turn_debugger_on()?;
            context.hold_debugger();
            if !was_on {
                context.print(
                    "stdout",
                    "the debugger is on: cells are compiled with debug information from now on; a panic can be looked at by %debug\n",
                );
            }
            Ok(())
        }
        ["off"] => {
            context.close_to_terminals();
            context.turn_debugger_off();
            Ok(())
        }
        ["--close"] => {
            if !context.close_to_terminals() {
                context.print("stdout", "no port is open\n");
            }
            Ok(())
        }
        ["--listen"] => listen(context, 0, file),
        ["--listen", port] if port.parse::<u16>().is_ok() => {
            listen(context, port.parse().unwrap_or_default(), file)
        }
        [number] if number.parse::<usize>().is_ok_and(|number| number > 0) => {
            show(context, number.parse().ok(), file)
        }
        _ => Err(usage(
            &format!("%debug {}: not understood", call.arguments),
            "it takes the number of a panic, on, off, --listen with a port from 0 to 65535, --close, and --to with a file",
        )),
    }
}

fn show(
    context: &CellContext<'_>,
    number: Option<usize>,
    file: Option<&Path>,
) -> Result<(), CellError> {
    let text = context.show_postmortem(number)?;
    match file {
        Some(file) => write(file, &text),
        None => Ok(()),
    }
}

fn listen(context: &CellContext<'_>, port: u16, file: Option<&Path>) -> Result<(), CellError> {
    context.turn_debugger_on()?;
    context.hold_debugger();
    let (address, token) = context.listen_for_terminals(port)?;
    let (host, port) = (address.ip(), address.port());
    let text = match file {
        None => format!("the debugger listens on {host} port {port}\ntoken: {token}\n"),
        Some(file) => {
            write(file, &format!("{host} {port} {token}\n")).inspect_err(|_| {
                context.close_to_terminals();
            })?;
            format!(
                "the debugger listens on {host}; port and token are in {}\n",
                file.display()
            )
        }
    };
    context.print("stdout", &text);
    Ok(())
}

/// Writes a file that only this user can read, in the place of one that may be there.
fn write(file: &Path, text: &str) -> Result<(), CellError> {
    let _there_may_be_none = std::fs::remove_file(file);
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| {
        CellError::new(
            "DebuggerError",
            format!(
                "%debug --to {}: the file cannot be written\nwhy: {error}\ndo:  name one in a folder of yours",
                file.display()
            ),
        )
    })
}

fn run_cell(context: &mut CellContext<'_>, call: &Call<'_>, body: &str) -> Result<(), CellError> {
    let Options {
        from_start,
        mut commands,
        file,
    } = options(call.arguments)?;
    let lines = body
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix(COMMAND));
    commands.extend(lines.map(|line| line.trim().to_owned()));
    if commands.is_empty() {
        return Err(usage(
            "%%debug: no commands",
            "a cell runs by commands, because nobody can be asked while it runs",
        ));
    }
    let was_on = context.turn_debugger_on()?;
    let result = match context.begin_script(commands, from_start) {
        Ok(script) => {
            let result = super::run(context, &call.code());
            let dialogue = script.end();
            let written = file.map_or(Ok(()), |file| write(Path::new(file), &dialogue));
            result.and(written)
        }
        Err(error) => Err(error),
    };
    context.release_debugger(was_on);
    result
}

/// What stands behind `%%debug`.
#[derive(Debug, PartialEq, Eq)]
struct Options<'a> {
    /// Whether the cell stops at its first statement.
    from_start: bool,
    commands: Vec<String>,
    /// Where the dialogue is written to.
    file: Option<&'a str>,
}

fn options(arguments: &str) -> Result<Options<'_>, CellError> {
    let mut rest = arguments.trim();
    let mut options = Options {
        from_start: true,
        commands: Vec::new(),
        file: None,
    };
    while !rest.is_empty() {
        let (option, after) = rest.split_once([' ', '=']).unwrap_or((rest, ""));
        let after = after.trim_start();
        rest = match option {
            "--run" => {
                options.from_start = false;
                after
            }
            "--to" if !after.is_empty() => {
                let (file, after) = after.split_once(' ').unwrap_or((after, ""));
                options.file = Some(file);
                after
            }
            "--commands" => {
                let quote = after
                    .chars()
                    .next()
                    .filter(|char| matches!(char, '"' | '\''));
                let parts = match quote {
                    Some(quote) => after[1..].split_once(quote),
                    None => Some((after, "")),
                };
                let (list, after) = parts.ok_or_else(|| {
                    usage(
                        "%%debug --commands: a quote is not closed",
                        "the commands stand in quotes",
                    )
                })?;
                let list = list.split(';').map(|command| command.trim().to_owned());
                options
                    .commands
                    .extend(list.filter(|command| !command.is_empty()));
                after
            }
            _ => {
                return Err(usage(
                    &format!("%%debug {rest}: not understood"),
                    "it takes --run, --to with a file, and --commands with a text in quotes",
                ));
            }
        }
        .trim_start();
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_cut_at_semicolons() {
        let wanted = |from_start, texts: &[&str], file| Options {
            from_start,
            commands: texts.iter().map(|text| (*text).to_owned()).collect(),
            file,
        };
        for (arguments, expected) in [
            (
                "--commands \"b 5; c ;p j\"",
                wanted(true, &["b 5", "c", "p j"], None),
            ),
            (
                "--run --to a.txt --commands 'p \"x\"'",
                wanted(false, &["p \"x\""], Some("a.txt")),
            ),
            ("--commands n", wanted(true, &["n"], None)),
            ("", wanted(true, &[], None)),
        ] {
            assert_eq!(options(arguments).unwrap(), expected);
        }
        for wrong in ["--commands \"n", "--fast", "n", "--to"] {
            assert!(
                options(wrong).err().unwrap().traceback[0].contains("do:"),
                "{wrong}"
            );
        }
    }
}
