//! What forkline relies on of evcxr's inner protocol, as a test: it fails first when evcxr changes.
//!
//! A script stands in for the worker. It writes down the orders that evcxr sends and answers each as
//! if the cell had run, so the test sees evcxr's side alone: the orders, and the generated sources.

use evcxr::{CommandContext, EvalContext};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

const STAND_IN: &str = "#!/bin/sh
echo \"runtime=$EVCXR_IS_RUNTIME\" >> \"$0.log\"
while read -r line; do
    echo \"$line\" >> \"$0.log\"
    echo EVCXR_EXECUTION_COMPLETE
done
";

#[test]
fn evcxr_speaks_the_protocol_that_the_worker_expects() {
    let dir = std::env::temp_dir().join(format!("forkline-reliance-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let script = dir.join("stand-in");
    std::fs::write(&script, STAND_IN).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).unwrap();

    let (mut context, outputs) =
        EvalContext::with_subprocess_command(Command::new(&script)).unwrap();
    std::thread::spawn(move || while outputs.stdout.recv().is_ok() {});

    // A statement stands in the source as it is, on lines of its own, inside a function whose name
    // is in the order.
    context.eval("let kept: Vec<i32> = vec![1];").unwrap();
    let source = context.last_source().unwrap();
    for expected in [
        "\nlet kept: Vec<i32> = vec![1];\n",
        "println!(\"EVCXR_PANIC_NOTIFICATION\")",
        "\"EVCXR_VARIABLE_CHANGED_TYPE:\"",
        "eprintln!(\"The type of the variable {name} was redefined, so was lost.\",)",
    ] {
        assert!(source.contains(expected), "no {expected:?} in\n{source}");
    }
    // The driver replaces the variable store, and knows it by its digest.
    assert!(
        super::driver::knows_store(&source),
        "another variable store in\n{source}"
    );
    for expected in [
        "\nevcxr_variable_store.put_variable::<Vec<i32>>(stringify!(kept), kept);\n",
        "\nmut evcxr_variable_store: *mut evcxr_internal_runtime::VariableStore)\n",
    ] {
        assert!(source.contains(expected), "no {expected:?} in\n{source}");
    }
    let order = last_order(&script);
    let (path, function) = order
        .strip_prefix("LOAD_AND_RUN ")
        .and_then(|rest| rest.rsplit_once(' '))
        .unwrap_or_else(|| panic!("not an order: {order}"));
    assert!(source.contains(&format!("pub extern \"C\" fn {function}(")));
    let library = Path::new(path).file_name().unwrap().to_str().unwrap();
    assert!(
        library.starts_with("libcode_") && library.ends_with(".so"),
        "{library}"
    );
    let first = std::fs::read_to_string(script.with_extension("log")).unwrap();
    assert!(first.starts_with("runtime=1\n"), "{first}");

    context.eval("kept.len();").unwrap();
    let source = context.last_source().unwrap();
    for expected in [
        "\nvars_ok &= evcxr_variable_store.check_variable::<Vec<i32>>(stringify!(kept));\n",
        "\nlet kept = evcxr_variable_store.take_variable::<Vec<i32>>(stringify!(kept));\n",
    ] {
        assert!(source.contains(expected), "no {expected:?} in\n{source}");
    }

    // An error of a `?` is printed to stderr, and then said to be one on stdout.
    context.eval("\"1\".parse::<i32>()?;").unwrap();
    let source = context.last_source().unwrap();
    let printed = source.find("eprintln!(\"{}\", error);").unwrap();
    let said = source
        .find("evcxr_internal_runtime::USER_ERROR_OCCURRED);")
        .unwrap();
    assert!(printed < said);
    assert!(source.contains("USER_ERROR_OCCURRED: &str = \"EVCXR_ERROR_OCCURRED\""));

    // The statements are the first closure in the call that catches panics, with a `?` one more inside: where
    // the driver makes them async.
    use super::driver::{ASKING_BEGIN, ASKING_END, CATCH};
    let function = &source[source.find("fn run_user_code_").unwrap()..];
    let caught = &function[function.find(CATCH).unwrap()..];
    let begin =
        format!("\n  std::panic::AssertUnwindSafe(||{{\n{ASKING_BEGIN}\n\"1\".parse::<i32>()?;\n");
    assert!(caught[CATCH.len()..].starts_with(&begin), "{source}");
    assert!(
        caught.contains(&format!("\n{ASKING_END}\n}})) {{ \n")),
        "{source}"
    );
    std::fs::remove_dir_all(dir).unwrap();
}

fn last_order(script: &Path) -> String {
    let log = std::fs::read_to_string(script.with_extension("log")).unwrap();
    log.lines().last().unwrap_or_default().to_owned()
}

#[test]
fn evcxr_shows_what_it_analyses_and_takes_types_that_are_written_out() {
    let dir = std::env::temp_dir().join(format!("forkline-analysed-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let script = dir.join("stand-in");
    std::fs::write(&script, STAND_IN).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).unwrap();
    let (context, outputs) = EvalContext::with_subprocess_command(Command::new(&script)).unwrap();
    std::thread::spawn(move || while outputs.stdout.recv().is_ok() {});
    let mut context = CommandContext::with_eval_context(context);

    // The last `let` of a name says its type, and comments beside a type do not belong to it. (No such type
    // could be inferred.)
    let lets = "let a/*x*/: u8/*x*/ = Default::default(); let (b, c) = Default::default();\n\
                let b: u16 = b; let mut c: u32 = c;";
    context.execute(lets).unwrap();
    let mut types: Vec<_> = context.variables_and_types().collect();
    types.sort();
    assert_eq!(types, [("a", "u8"), ("b", "u16"), ("c", "u32")]);

    // What it analyses for a completion is left in its source file, a comment in its place.
    let text = "fn f() {} let d = a; /*mark*/";
    context.completions(text, text.len() - 3).unwrap();
    let source = context.last_source().unwrap();
    let wrapper = source.find("async fn evcxr_analysis_wrapper(").unwrap();
    assert!(source.find("fn f() {}").unwrap() < wrapper, "{source}");
    let parameters = &source[wrapper..source.find("let d = a; /*mark*/\n").unwrap()];
    assert!(parameters.contains("\na: u8,\n"), "{source}");
    assert!(parameters.contains("\nmut c: u32,\n"), "{source}");
    std::fs::remove_dir_all(dir).unwrap();
}
