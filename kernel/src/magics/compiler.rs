//! `%opt`, `%checks` and `%cache`: how cells are compiled, and those compiled before.

use super::{Call, Form, Magic};
use crate::engine::CompilerSettings;
use crate::session::{CellContext, CellError};

pub static OPT: Magic = Magic {
    name: "opt",
    form: Form::Both,
    usage: "%opt [0|1|2|3|s|z], %%opt 0|1|2|3|s|z",
    summary: "optimisation level of the cells, or of one cell",
    details: "Cells are compiled at level 3. `%opt 1` changes that for this and all later cells, \
              `%%opt 1` on the first line for one cell; `%opt` alone says what is in force. The \
              functions of earlier cells are compiled with each cell, so they get its level too; \
              the prelude and other crates stay at 3. `:opt 1` is the same as `%opt 1`.",
    run: |context, call| change(context, call, set_level),
};

pub static CHECKS: Magic = Magic {
    name: "checks",
    form: Form::Both,
    usage: "%checks [on|off], %%checks on|off",
    summary: "overflow checks and debug assertions of the cells, or of one cell",
    details: "They are off, as in a release build, so that measurements are those of release code. \
              `%checks on` makes an overflow of integers a panic and lets `debug_assert!` speak; \
              `%checks` alone says what is in force.",
    run: |context, call| change(context, call, set_checks),
};

pub static CACHE: Magic = Magic {
    name: "cache",
    form: Form::Line,
    usage: "%cache [clear]",
    summary: "the cells compiled before, kept on disk",
    details: "A cell whose text, history, dependencies and settings are as before is not compiled \
              again, also in another session. `%cache clear` removes what is kept. The environment \
              variable FORKLINE_CACHE_MIB sets the limit (512; 0 keeps nothing).",
    run: cache,
};

/// One line on how cells are compiled.
pub fn describe(settings: &CompilerSettings) -> String {
    format!(
        "cells: optimisation level {}, overflow checks and debug assertions {}\n",
        settings.opt_level,
        if settings.checks { "on" } else { "off" }
    )
}

type Setter = fn(&mut CompilerSettings, &str) -> Result<(), CellError>;

fn change(context: &mut CellContext<'_>, call: &Call<'_>, set: Setter) -> Result<(), CellError> {
    let mut settings = context.engine()?.compiler_settings();
    let value = call.arguments.trim();
    if call.body.is_some() {
        set(&mut settings, value)?;
        context.engine()?.set_cell_settings(Some(settings));
        let result = super::run(context, &call.code());
        context.engine()?.set_cell_settings(None);
        return result;
    }
    if !value.is_empty() {
        set(&mut settings, value)?;
        context.engine()?.set_compiler_settings(settings.clone());
    }
    context.print("stdout", &describe(&settings));
    Ok(())
}

fn set_level(settings: &mut CompilerSettings, value: &str) -> Result<(), CellError> {
    if !matches!(value, "0" | "1" | "2" | "3" | "s" | "z") {
        return Err(CellError::new(
            "UsageError",
            format!(
                "%opt {value}: no such optimisation level\n\
                 why: rustc has 0, 1, 2, 3, s (small) and z (smallest)\n\
                 do:  %opt 3"
            ),
        ));
    }
    value.clone_into(&mut settings.opt_level);
    Ok(())
}

fn set_checks(settings: &mut CompilerSettings, value: &str) -> Result<(), CellError> {
    settings.checks = match value {
        "on" => true,
        "off" => false,
        _ => {
            return Err(CellError::new(
                "UsageError",
                format!(
                    "%checks {value}: neither on nor off\n\
                     why: they are one or the other\n\
                     do:  %checks on, or %checks off"
                ),
            ));
        }
    };
    Ok(())
}

fn cache(context: &mut CellContext<'_>, call: &Call<'_>) -> Result<(), CellError> {
    match call.arguments.trim() {
        "" => {}
        "clear" => context.engine()?.clear_cell_cache(),
        other => {
            return Err(CellError::new(
                "UsageError",
                format!(
                    "%cache {other}: unknown\nwhy: %cache shows, %cache clear removes\ndo:  %cache"
                ),
            ));
        }
    }
    let summary = context.engine()?.cell_cache();
    let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
    context.print(
        "stdout",
        &format!(
            "{} cells kept, {} of {}; this session: {} found, {} compiled\n",
            summary.entries,
            mib(summary.bytes),
            mib(summary.limit),
            summary.hits,
            summary.compiled,
        ),
    );
    Ok(())
}
