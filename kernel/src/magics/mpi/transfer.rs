//! `%mpi pull`, `push` and `scatter`: variables between the notebook's own process and the ranks.
//!
//! Both sides only know values of types that serde can write, so a value travels as the bytes of a message: code on one
//! side hands them to the kernel, which lays them into a file of the session, and code on the other side reads it.

use super::usage;
use crate::session::{CellContext, CellError, RankRequest};
use std::path::PathBuf;

/// Which way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The ranks' values become one `Vec` of the session, by rank.
    Pull,
    /// Each rank gets the session's value.
    Push,
    /// Each rank gets its item of the session's `Vec`.
    Scatter,
}

impl Way {
    fn word(self) -> &'static str {
        match self {
            Way::Pull => "pull",
            Way::Push => "push",
            Way::Scatter => "scatter",
        }
    }
}

/// Carries out `%mpi pull NAME [as OTHER]` and the like.
///
/// # Errors
/// There is no such variable, its type cannot be written, or no group runs.
pub fn transfer(context: &mut CellContext<'_>, way: Way, words: &[&str]) -> Result<(), CellError> {
    let word = way.word();
    let (name, new) = match words {
        [name] => (*name, *name),
        [name, "as", new] => (*name, *new),
        _ => {
            return Err(usage(
                &format!("`%mpi {word}` is followed by the name of one variable"),
                &format!("%mpi {word} x    or    %mpi {word} x as y"),
            ));
        }
    };
    for one in [name, new] {
        if !is_name(one) {
            return Err(usage(
                &format!("`{one}` is no name of a variable"),
                &format!("%mpi {word} x    (make a `let` of anything else first)"),
            ));
        }
    }
    let n_ranks = context.rank_processes().len();
    if n_ranks == 0 {
        return Err(usage(
            "no group of ranks runs",
            "%%mpi -n 4    (above the code that makes the variables of the ranks)",
        ));
    }
    match way {
        Way::Pull => pull(context, name, new),
        Way::Push | Way::Scatter => push(context, way, name, new, n_ranks),
    }
}

fn is_name(text: &str) -> bool {
    let begins = text.starts_with(|char: char| char.is_alphabetic() || char == '_');
    begins
        && text
            .chars()
            .all(|char| char.is_alphanumeric() || char == '_')
}

fn pull(context: &mut CellContext<'_>, name: &str, new: &str) -> Result<(), CellError> {
    let of_ranks = context.group().map(|group| group.variables());
    let of_type = type_of(&of_ranks.unwrap_or_default(), name, "the ranks have")?;
    let code = format!("let () = ::forkline::mpi::transfer::hand_over(&{name})?;");
    context
        .run_on_ranks(&RankRequest::default(), &code)
        .map_err(|error| cannot(error, name, &of_type))?;
    let mut values: Vec<Vec<u8>> = Vec::new();
    for (rank, mut of_rank) in context.take_rank_values() {
        let value = of_rank.pop().ok_or_else(|| lost(name, rank))?;
        values.push(value);
    }
    let file = lay_down(context, new, &values)?;
    let code =
        format!("let {new}: Vec<{of_type}> = ::forkline::mpi::transfer::handed_over({file:?})?;");
    let result = context.run_code(&code);
    let _only_read_once = std::fs::remove_file(&file);
    result.map_err(|error| cannot(error, name, &of_type))?;
    context.print(
        "stdout",
        &format!(
            "{new}: Vec<{of_type}> has the {} values of `{name}`, by rank\n",
            values.len()
        ),
    );
    Ok(())
}

fn push(
    context: &mut CellContext<'_>,
    way: Way,
    name: &str,
    new: &str,
    n_ranks: usize,
) -> Result<(), CellError> {
    let own = context.variables();
    let of_type = type_of(&own, name, "the session has")?;
    let (item, code) = match way {
        Way::Scatter => {
            let item = item_of(&of_type).ok_or_else(|| {
                usage(
                    &format!("`{name}` is a {of_type}; only the items of a Vec can be dealt out"),
                    &format!("%mpi push {name}    (gives each rank all of it)"),
                )
            })?;
            (item, "hand_over_each")
        }
        _ => (of_type.as_str(), "hand_over"),
    };
    context
        .run_code(&format!(
            "let () = ::forkline::mpi::transfer::{code}(&{name})?;"
        ))
        .map_err(|error| cannot(error, name, &of_type))?;
    let values = context.take_values();
    if way == Way::Scatter && values.len() != n_ranks {
        return Err(CellError::new(
            "TransferError",
            format!(
                "`{name}` cannot be dealt out\nwhy: expecting {n_ranks} items, one for each rank, got {}\n\
                 do:  make it a Vec of {n_ranks}, for instance of chunks; or %mpi push {name}",
                values.len()
            ),
        ));
    }
    let file = lay_down(context, new, &values)?;
    let place = match way {
        Way::Scatter => format!(
            "::std::env::var({:?}).ok().and_then(|rank| rank.parse().ok()).unwrap_or_default()",
            crate::worker::rank::NUMBER
        ),
        _ => "0".to_owned(),
    };
    let code = format!(
        "let {new}: {item} = ::forkline::mpi::transfer::handed_over_at({file:?}, {place})?;"
    );
    let result = context.run_on_ranks(&RankRequest::default(), &code);
    let _only_read_once = std::fs::remove_file(&file);
    result.map_err(|error| cannot(error, name, item))?;
    let what = match way {
        Way::Scatter => format!("{n_ranks} ranks have an item of it each, {new}: {item}"),
        _ => format!("{n_ranks} ranks have a copy of it, {new}: {item}"),
    };
    context.print("stdout", &format!("{what}\n"));
    Ok(())
}

fn type_of(variables: &[(String, String)], name: &str, who: &str) -> Result<String, CellError> {
    let found = variables.iter().find(|(known, _)| known == name);
    found.map(|(_, of_type)| of_type.clone()).ok_or_else(|| {
        let mut names: Vec<&str> = variables.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        let known = if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        };
        CellError::new(
            "TransferError",
            format!(
                "there is no variable `{name}`\nwhy: {who}: {known}\ndo:  define it with `let` in a cell of its own"
            ),
        )
    })
}

/// `T` of `Vec<T>`, however the path is written.
fn item_of(of_type: &str) -> Option<&str> {
    let inner = of_type.trim().strip_suffix('>')?;
    let paths = ["Vec<", "std::vec::Vec<", "alloc::vec::Vec<"];
    paths.iter().find_map(|path| inner.strip_prefix(path))
}

/// Lays values into a file of the session.
fn lay_down(
    context: &CellContext<'_>,
    name: &str,
    values: &[Vec<u8>],
) -> Result<PathBuf, CellError> {
    let mut bytes = Vec::new();
    for value in values {
        bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
        bytes.extend_from_slice(value);
    }
    let file = context.session_file(&format!("values-{name}"));
    std::fs::write(&file, bytes).map_err(|error| {
        CellError::new(
            "TransferError",
            format!(
                "`{name}` could not be handed over\nwhy: {}: {error}\ndo:  look at the space that is left there",
                file.display()
            ),
        )
    })?;
    Ok(file)
}

/// What the compiler says of code that the user has not written is told in other words.
fn cannot(error: CellError, name: &str, of_type: &str) -> CellError {
    let text = format!("{} {}", error.evalue, error.traceback.join("\n"));
    if !text.contains("error[E") {
        return error;
    }
    let (why, advice) = if text.contains("E0412")
        || text.contains("E0433")
        || text.contains("E0425")
    {
        (
            format!("its type {of_type} is not known to both sides"),
            "define the type in an ordinary cell: the ranks know those",
        )
    } else {
        (
            format!("a {of_type} cannot be sent to another process"),
            "derive Serialize and Deserialize for its types; what borrows, and what only means something in its own \
             process, stays there",
        )
    };
    CellError::new(
        "TransferError",
        format!("`{name}` was not handed over\nwhy: {why}\ndo:  {advice}"),
    )
}

fn lost(name: &str, rank: u32) -> CellError {
    CellError::new(
        "TransferError",
        format!(
            "`{name}` was not handed over\nwhy: rank {rank} has sent nothing\ndo:  run it again"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::item_of;

    #[test]
    fn items_of_lists() {
        assert_eq!(item_of("Vec<i32>"), Some("i32"));
        assert_eq!(item_of("std::vec::Vec<Vec<u8>>"), Some("Vec<u8>"));
        assert_eq!(item_of("String"), None);
        assert_eq!(item_of("Option<u8>"), None);
    }
}
