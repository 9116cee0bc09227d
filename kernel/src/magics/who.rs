//! `%who` and `%whos`: the variables of the session, and how its cells are compiled.

use super::{Call, Form, Magic, compiler};
use crate::session::{CellContext, CellError};
use serde_json::Value;
use std::fmt::Write as _;

pub static WHO: Magic = Magic {
    name: "who",
    form: Form::Line,
    usage: "%who",
    summary: "names of the variables",
    details: "",
    run: who,
};

pub static WHOS: Magic = Magic {
    name: "whos",
    form: Form::Line,
    usage: "%whos",
    summary: "names, types and sizes of the variables, and how cells are compiled",
    details: "The size is that of the value itself plus, for strings and the standard collections, \
              what it has reserved on the heap.",
    run: whos,
};

const NONE: &str = "no variables yet\n";

fn who(context: &mut CellContext<'_>, _: &Call<'_>) -> Result<(), CellError> {
    let names: Vec<String> = context
        .variables()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    if names.is_empty() {
        context.print("stdout", NONE);
    } else {
        context.print("stdout", &format!("{}\n", names.join("  ")));
    }
    Ok(())
}

fn whos(context: &mut CellContext<'_>, _: &Call<'_>) -> Result<(), CellError> {
    let variables = context.variables();
    let settings = compiler::describe(&context.engine()?.compiler_settings());
    if variables.is_empty() {
        context.print("stdout", NONE);
        context.print("stdout", &settings);
        return Ok(());
    }
    let names: Vec<&str> = variables.iter().map(|(name, _)| name.as_str()).collect();
    // Only the code itself can tell sizes.
    let measured = context.run_code(&format!("forkline::__sizes!({});", names.join(", ")));
    let sizes = context.take_report("sizes").unwrap_or_default();
    context.print("stdout", &table(&variables, &sizes));
    context.print("stdout", &settings);
    if measured.is_err() {
        context.print(
            "stderr",
            "sizes are not known in this session: the prelude is missing\n",
        );
    }
    Ok(())
}

fn table(variables: &[(String, String)], sizes: &Value) -> String {
    let rows: Vec<[String; 3]> = variables
        .iter()
        .map(|(name, kind)| {
            let size = &sizes[name];
            let bytes = size[0].as_u64().map_or_else(
                || "?".to_owned(),
                |stack| readable(stack + size[1].as_u64().unwrap_or(0)),
            );
            [name.clone(), kind.clone(), bytes]
        })
        .collect();
    let head = ["variable", "type", "size"].map(str::to_owned);
    let width = |column: usize| {
        rows.iter()
            .chain([&head])
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let (first, second, third) = (width(0), width(1), width(2));
    let mut text = String::new();
    let rule = ["-".repeat(first), "-".repeat(second), "-".repeat(third)];
    for [name, kind, size] in [&head, &rule].into_iter().chain(&rows) {
        let _ = writeln!(text, "{name:first$}  {kind:second$}  {size:>third$}");
    }
    text
}

fn readable(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} B"),
        10_240..10_485_760 => format!("{} KiB", bytes / 1024),
        _ => format!("{} MiB", bytes / (1024 * 1024)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_adds_stack_and_heap() {
        let variables = [
            ("a".to_owned(), "i32".to_owned()),
            ("text".to_owned(), "String".to_owned()),
        ];
        let sizes = serde_json::json!({ "a": [4, null], "text": [24, 20480] });
        let expected = "variable  type      size\n\
                        --------  ------  ------\n\
                        a         i32        4 B\n\
                        text      String  20 KiB\n";
        assert_eq!(table(&variables, &sizes), expected);
    }
}
