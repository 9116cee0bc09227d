//! `%%mpi` and `%mpi`: a cell on N processes, which stay for the next one.

mod transfer;

use super::{Call, Form, Magic};
use crate::session::{CellContext, CellError, Form as OutputForm, RankRequest};
use crate::worker::group::Plan;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;
use transfer::{Way, transfer};

pub static MPI: Magic = Magic {
    name: "mpi",
    form: Form::Both,
    usage: "%%mpi [-n RANKS] [options] above code, or %mpi status|values|pull|push|scatter|stop|restart",
    summary: "runs the cell on ranks that mpiexec starts; they keep their variables from cell to cell",
    details: "Without -n it uses the group that runs. Functions, types and imports of ordinary cells are known to \
              the ranks, variables are not: each rank has its own, those of %%mpi cells.\n    \
              --out grouped|interleaved|rank=K   by rank at the end (equal texts once), as it comes, or of rank K\n    \
              --only 0,2         runs on these ranks; what the cell defines by `let` is not kept\n    \
              --timeout SECONDS  ends the group if the cell runs longer\n    \
              --fresh            begins with new ranks\n    \
              --debug K          rank K runs under the debugger of the front end, which must be on\n    \
              --env NAME=VALUE   an environment variable of the ranks of a new group, as often as needed\n    \
              --launcher COMMAND in place of mpiexec, for instance \"srun --overlap\"; it gets -n RANKS\n    \
              --hostfile FILE    the machines to run on, as the launcher wants them; --host a,b:2 names them here\n    \
              -- OPTIONS         further options of the launcher, for instance -- --bind-to core\n    \
              %mpi status says what runs, stop ends it, restart begins anew with the same options; values shows the \
              last value of each rank as a table.\n    \
              %mpi pull x        the ranks' x become a Vec of the session, by rank\n    \
              %mpi push x        each rank gets a copy of the session's x; scatter: its item of a Vec\n    \
              Each with `as y` for another name. The type is one that serde can write.",
    run: mpi,
};

/// The most ranks that a group may have; a slip of the finger is to start no thousands.
const MOST: u32 = 512;

fn mpi(context: &mut CellContext<'_>, call: &Call<'_>) -> Result<(), CellError> {
    if call.body.is_none() {
        return manage(context, call.arguments.trim());
    }
    let options = Options::parse(call.arguments)?;
    let running = context.group().map(|group| group.plan().clone());
    let request = options.request(running)?;
    context.run_on_ranks(&request, &options.code(call))
}

fn manage(context: &mut CellContext<'_>, arguments: &str) -> Result<(), CellError> {
    let words: Vec<&str> = arguments.split_whitespace().collect();
    let (word, rest) = match words.split_first() {
        Some((word, rest)) => (*word, rest),
        None => ("status", &[][..]),
    };
    match word {
        "pull" => return transfer(context, Way::Pull, rest),
        "push" => return transfer(context, Way::Push, rest),
        "scatter" => return transfer(context, Way::Scatter, rest),
        _ => {}
    }
    if let Some(more) = rest.first() {
        return Err(usage(
            &format!("`{more}` stands behind `%mpi {word}`, which takes nothing"),
            &format!("%mpi {word}"),
        ));
    }
    match word {
        "values" => {
            let data = context.group().and_then(|group| group.last_values());
            let data = data.ok_or_else(|| {
                usage(
                    "no cell of ranks has had a value yet",
                    "end a %%mpi cell with an expression, then %mpi values",
                )
            })?;
            context.show(data);
            Ok(())
        }
        "status" => {
            let text = status(context);
            context.print("stdout", &text);
            Ok(())
        }
        "stop" => {
            let ranks = context.rank_processes().len();
            if let Some(group) = context.group() {
                group.end()?;
            }
            let text = match ranks {
                0 => "no group runs\n".to_owned(),
                _ => format!("the group of {ranks} is ended; its variables are gone\n"),
            };
            context.print("stdout", &text);
            Ok(())
        }
        "restart" => {
            let plan = context.group().map(|group| group.plan().clone());
            let plan = plan.filter(|plan| plan.ranks > 0).ok_or_else(|| {
                usage(
                    "there has been no group in this session",
                    "%%mpi -n 4    (above the code for the ranks)",
                )
            })?;
            let request = RankRequest {
                plan: Some(plan),
                fresh: true,
                ..RankRequest::default()
            };
            context.run_on_ranks(&request, "();")?;
            let text = status(context);
            context.print("stdout", &text);
            Ok(())
        }
        other => Err(usage(
            &format!("there is no `%mpi {other}`"),
            "%mpi status, values, pull, push, scatter, stop or restart; a cell for the ranks begins with %%mpi",
        )),
    }
}

fn status(context: &mut CellContext<'_>) -> String {
    let processes = context.rank_processes();
    let Some(group) = context.group().filter(|_| !processes.is_empty()) else {
        return "no group runs; %%mpi -n 4 above code starts one\n".to_owned();
    };
    let plan = group.plan();
    let mut text = format!(
        "{} ranks, started by {}\n",
        processes.len(),
        plan.command_line()
    );
    for (name, value) in &plan.environment {
        let _ = writeln!(text, "  {name}={value}");
    }
    for (rank, pid, host) in processes {
        let place = host.map_or(String::new(), |host| format!(" on {host}"));
        let _ = writeln!(text, "  rank {rank}: process {pid}{place}");
    }
    let variables = group.variables();
    let names: Vec<String> = variables.into_iter().map(|(name, _)| name).collect();
    let names = if names.is_empty() {
        "none yet".to_owned()
    } else {
        names.join("  ")
    };
    let _ = writeln!(text, "variables: {names}");
    text
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    ranks: Option<u32>,
    fresh: bool,
    limit: Option<Duration>,
    only: Vec<u32>,
    debugged: Option<u32>,
    form: OutputForm,
    environment: Vec<(String, String)>,
    launcher: Vec<String>,
    rest: Vec<String>,
    host_file: Option<PathBuf>,
    hosts: Option<String>,
}

impl Options {
    fn parse(arguments: &str) -> Result<Options, CellError> {
        let words = words(arguments)?;
        let mut words = words.into_iter();
        let mut options = Options::default();
        while let Some(word) = words.next() {
            // `--out=grouped` is `--out grouped`; a value may itself have a sign.
            let (name, mut value) = match word.split_once('=') {
                Some((name, value)) if name.starts_with("--") => {
                    (name.to_owned(), Some(value.to_owned()))
                }
                _ => match word.strip_prefix("-n") {
                    Some(number)
                        if !number.is_empty()
                            && number.bytes().all(|byte| byte.is_ascii_digit()) =>
                    {
                        ("-n".to_owned(), Some(number.to_owned()))
                    }
                    _ => (word.clone(), None),
                },
            };
            let mut value = |example: &str| {
                value.take().or_else(|| words.next()).ok_or_else(|| {
                    usage(
                        &format!("{name} has no value"),
                        &format!("%%mpi {name} {example}"),
                    )
                })
            };
            match name.as_str() {
                "-n" | "-np" | "--ranks" => options.ranks = Some(number_of_ranks(&value("4")?)?),
                "--fresh" => options.fresh = true,
                "--timeout" => options.limit = Some(seconds(&value("10")?)?),
                "--only" => options.only = ranks(&value("0,2")?)?,
                "--debug" => options.debugged = Some(rank(&value("0")?)?),
                "--out" => options.form = form(&value("interleaved")?)?,
                "--env" => {
                    let text = value("NAME=value")?;
                    let (name, value) = text
                        .split_once('=')
                        .filter(|(name, _)| !name.is_empty())
                        .ok_or_else(|| {
                        usage(
                            &format!("--env {text} has no name or no `=`"),
                            "--env NAME=value",
                        )
                    })?;
                    options
                        .environment
                        .push((name.to_owned(), value.to_owned()));
                }
                "--launcher" => {
                    options.launcher = value("srun")?
                        .split_whitespace()
                        .map(str::to_owned)
                        .collect();
                }
                "--hostfile" | "--machinefile" => {
                    options.host_file = Some(host_file(&value("hosts")?)?);
                }
                "--host" | "--hosts" => options.hosts = Some(value("node1:2,node2:2")?),
                "--" => options.rest.extend(words.by_ref()),
                _ => {
                    return Err(usage(
                        &format!("`{word}` is no option of it"),
                        "%help mpi    (lists them); options of mpiexec itself stand behind --",
                    ));
                }
            }
        }
        Ok(options)
    }

    /// What the session is asked for; `running` is how the last group was started.
    fn request(&self, running: Option<Plan>) -> Result<RankRequest, CellError> {
        let running = running.filter(|plan| plan.ranks > 0);
        let names_more = !self.environment.is_empty()
            || !self.launcher.is_empty()
            || !self.rest.is_empty()
            || self.host_file.is_some()
            || self.hosts.is_some();
        let ranks = self
            .ranks
            .or(running.as_ref().map(|plan| plan.ranks))
            .ok_or_else(|| {
                usage(
                    "it does not say on how many ranks, and no group runs",
                    "%%mpi -n 4",
                )
            })?;
        if let Some(rank) = self
            .only
            .iter()
            .copied()
            .chain(self.debugged)
            .chain(match self.form {
                OutputForm::Rank(rank) => Some(rank),
                _ => None,
            })
            .find(|rank| *rank >= ranks)
        {
            return Err(usage(
                &format!("there is no rank {rank} among {ranks}; they count from 0"),
                &format!("name ranks from 0 to {}", ranks - 1),
            ));
        }
        // A group goes on as it was started unless something else is asked for.
        let plan = match running {
            Some(plan) if !names_more => Plan { ranks, ..plan },
            _ => Plan {
                ranks,
                launcher: self.launcher.clone(),
                options: self.rest.clone(),
                environment: self.environment.clone(),
                host_file: self.host_file.clone(),
                hosts: self.hosts.clone(),
            },
        };
        Ok(RankRequest {
            plan: Some(plan),
            fresh: self.fresh,
            form: self.form,
            limit: self.limit,
            debugged: self.debugged,
        })
    }

    /// The code for all ranks. With `--only` it stands in a block that the others pass by: evcxr has one list
    /// of variables for all ranks, so what some define cannot be kept.
    fn code(&self, call: &Call<'_>) -> String {
        if call.body.is_none_or(|body| body.trim().is_empty()) {
            // It only starts the group.
            return "();".to_owned();
        }
        if self.only.is_empty() {
            return call.code();
        }
        let ranks: Vec<String> = self.only.iter().map(|rank| format!("\"{rank}\"")).collect();
        format!(
            "{}if let Ok({}) = ::std::env::var(\"{}\").as_deref() {{ let _ = {{\n{}\n}}; }}",
            "\n".repeat(call.line - 1),
            ranks.join(" | "),
            crate::worker::rank::NUMBER,
            call.body.unwrap_or_default(),
        )
    }
}

/// The file's whole path: the launcher may look from another folder.
fn host_file(text: &str) -> Result<PathBuf, CellError> {
    std::fs::canonicalize(text).map_err(|error| {
        usage(
            &format!("--hostfile {text}: {error}"),
            "write a line for each machine into it, for Open MPI for instance: node1 slots=4",
        )
    })
}

fn number_of_ranks(text: &str) -> Result<u32, CellError> {
    let number = text
        .parse()
        .ok()
        .filter(|number| (1..=MOST).contains(number));
    number.ok_or_else(|| {
        usage(
            &format!("-n is followed by {text}, not by a number from 1 to {MOST}"),
            "%%mpi -n 4",
        )
    })
}

fn seconds(text: &str) -> Result<Duration, CellError> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| *seconds > 0.0);
    let limit = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    limit.ok_or_else(|| {
        usage(
            &format!("--timeout is followed by {text}, not by a number of seconds above 0"),
            "%%mpi --timeout 10",
        )
    })
}

fn rank(text: &str) -> Result<u32, CellError> {
    text.parse().map_err(|_| {
        usage(
            &format!("--debug is followed by {text}, not by a rank such as 0"),
            "%%mpi --debug 0",
        )
    })
}

fn ranks(text: &str) -> Result<Vec<u32>, CellError> {
    let bad = || {
        usage(
            &format!("--only is followed by {text}, not by ranks such as 0,2 or 1-3"),
            "%%mpi --only 0,2",
        )
    };
    let mut found = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = match (first.parse(), last.parse()) {
            (Ok(first), Ok(last)) if first <= last && last < MOST => (first, last),
            _ => return Err(bad()),
        };
        found.extend(first..=last);
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

fn form(text: &str) -> Result<OutputForm, CellError> {
    let form = match text {
        "grouped" => Some(OutputForm::Grouped),
        "interleaved" => Some(OutputForm::Interleaved),
        _ => text
            .strip_prefix("rank=")
            .and_then(|rank| rank.parse().ok())
            .map(OutputForm::Rank),
    };
    form.ok_or_else(|| {
        usage(
            &format!("--out is followed by {text}"),
            "--out grouped, --out interleaved or --out rank=0",
        )
    })
}

/// Words as a shell has them: quotes hold spaces.
fn words(text: &str) -> Result<Vec<String>, CellError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    for char in text.chars() {
        match quote {
            Some(open) if char == open => quote = None,
            Some(_) => word.get_or_insert_default().push(char),
            None if char == '"' || char == '\'' => {
                quote = Some(char);
                word.get_or_insert_default();
            }
            None if char.is_whitespace() => words.extend(word.take()),
            None => word.get_or_insert_default().push(char),
        }
    }
    if let Some(open) = quote {
        return Err(usage(&format!("a quote is not closed: {open}"), "close it"));
    }
    words.extend(word);
    Ok(words)
}

fn usage(why: &str, instead: &str) -> CellError {
    CellError::new(
        "UsageError",
        format!("%%mpi: nothing was run\nwhy: {why}\ndo:  {instead}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Options, String> {
        Options::parse(text).map_err(|error| error.traceback.join("\n"))
    }

    #[test]
    fn options_are_read_in_any_form() {
        let options = parse(
            "-n4 --out=rank=2 --only 0,2-3 --debug 1 --timeout 1.5 --env A=b=c --launcher \"srun --overlap\" --fresh -- --bind-to core",
        );
        let expected = Options {
            ranks: Some(4),
            fresh: true,
            limit: Some(Duration::from_millis(1500)),
            only: vec![0, 2, 3],
            debugged: Some(1),
            form: OutputForm::Rank(2),
            environment: vec![("A".to_owned(), "b=c".to_owned())],
            launcher: vec!["srun".to_owned(), "--overlap".to_owned()],
            rest: vec!["--bind-to".to_owned(), "core".to_owned()],
            ..Options::default()
        };
        assert_eq!(options, Ok(expected));
    }

    #[test]
    fn bad_options_say_what_is_right() {
        for (text, told) in [
            ("-n 0", "from 1 to"),
            ("-n", "no value"),
            ("--only x", "0,2"),
            ("--debug all", "a rank such as 0"),
            ("--timeout 0", "above 0"),
            ("--out all", "interleaved"),
            ("--env X", "NAME=value"),
            ("4", "no option"),
            ("--hostfile /not/there", "No such file"),
            ("--launcher \"a", "not closed"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn a_group_goes_on_as_it_was_started() {
        let running = Plan {
            ranks: 4,
            options: vec!["-v".to_owned()],
            ..Plan::default()
        };
        let plan = |text: &str, running: Option<Plan>| {
            let request = parse(text).unwrap().request(running);
            request
                .map(|request| request.plan.unwrap())
                .map_err(|error| error.evalue)
        };
        assert_eq!(plan("", Some(running.clone())), Ok(running.clone()));
        assert_eq!(plan("-n 4", Some(running.clone())), Ok(running.clone()));
        assert_eq!(plan("-n 2", Some(running.clone())).unwrap().options, ["-v"]);
        assert_eq!(plan("--env A=1", Some(running)).unwrap().options.len(), 0);
        assert!(plan("", None).is_err());
        assert!(plan("-n 2 --only 2", None).is_err());
        assert!(plan("-n 2 --debug 2", None).is_err());
    }
}
