//! `%env`: environment variables of the cells.

use super::{Call, Form, Magic};
use crate::session::{CellContext, CellError};

pub static ENV: Magic = Magic {
    name: "env",
    form: Form::Line,
    usage: "%env [NAME | NAME=value | -d NAME]",
    summary: "show or change environment variables of the cells",
    details: "Changes hold for this worker and for all that follow it in the session. \
              A `$NAME` in a value stands for that variable.",
    run,
};

fn run(context: &mut CellContext<'_>, call: &Call<'_>) -> Result<(), CellError> {
    let arguments = call.arguments;
    let variables = context.environment();
    let look_up = |name: &str| {
        variables
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.clone())
    };
    if arguments.is_empty() {
        let mut text = String::new();
        for (name, value) in &variables {
            text.push_str(&format!("{name}={value}\n"));
        }
        context.print("stdout", &text);
    } else if let Some(name) = arguments.strip_prefix("-d ") {
        context.set_environment(name.trim(), None);
    } else if let Some((name, value)) = arguments.split_once(['=', ' ']) {
        let name = name.trim();
        if name.is_empty() || name.contains('\0') || value.contains('\0') {
            return Err(CellError::new(
                "EnvError",
                "%env: this is no name of a variable\n\
                 why: a name has at least one character and no NUL\n\
                 do:  %env NAME=value",
            ));
        }
        let value = expand(value.trim(), look_up);
        context.set_environment(name, Some(&value));
        context.print("stdout", &format!("env: {name}={value}\n"));
    } else {
        match look_up(arguments) {
            Some(value) => context.print("stdout", &format!("{value}\n")),
            None => {
                return Err(CellError::new(
                    "EnvError",
                    format!(
                        "%env {arguments}: there is no such variable\n\
                         why: neither the kernel's environment nor an earlier %env has it\n\
                         do:  %env {arguments}=value sets it, %env alone lists all"
                    ),
                ));
            }
        }
    }
    Ok(())
}

/// Puts values in the place of `$NAME`; a name that is not set stands for nothing, as in a shell.
fn expand(text: &str, look_up: impl Fn(&str) -> Option<String>) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        result.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        let length = rest
            .find(|char: char| !(char.is_ascii_alphanumeric() || char == '_'))
            .unwrap_or(rest.len());
        if length == 0 {
            result.push('$');
        } else {
            result.push_str(&look_up(&rest[..length]).unwrap_or_default());
            rest = &rest[length..];
        }
    }
    result + rest
}

#[cfg(test)]
mod tests {
    use super::expand;

    #[test]
    fn variables_in_values_are_expanded() {
        let look_up = |name: &str| (name == "A").then(|| "1".to_owned());
        assert_eq!(expand("x$A:$B$", look_up), "x1:$");
    }
}
