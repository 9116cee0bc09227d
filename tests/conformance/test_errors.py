"""What goes wrong is said once, with its name, its line in the cell, and what can be done."""

from __future__ import annotations

import re

import pytest

from harness import Client, Result


def points_at(result: Result, line: int, text: str, within: str | None = None) -> None:
    """The traceback quotes the cell's line beside its number."""
    result.matches(rf"^\D*{line}\s*[|│]\s*{re.escape(text)}", within or result.traceback, "traceback")


# ---- compile errors


def test_compile_error_has_code_message_and_line(kernel: Client) -> None:
    result = kernel.execute('let n: i32 = "text";').expect_error("E0308")
    result.has("mismatched types", result.evalue, "evalue")
    points_at(result, 1, 'let n: i32 = "text";')
    result.has("E0308", result.traceback, "traceback")
    result.equal(len(result.outputs), 1, "number of outputs")


def test_compile_error_is_coloured(kernel: Client) -> None:
    result = kernel.execute('let n: i32 = "text";').expect_error("E0308")
    result.has("\x1b[", result.coloured_traceback, "traceback")


def test_compile_error_counts_lines_from_the_start_of_the_cell(kernel: Client) -> None:
    result = kernel.execute('let a = 1;\n// a comment\n\nlet b: u8 = "x";\nlet c = 3;').expect_error("E0308")
    points_at(result, 4, 'let b: u8 = "x";')


def test_compile_error_inside_a_function_has_its_line(kernel: Client) -> None:
    result = kernel.execute("pub fn half(n: u32) -> u32 {\n    let h = n / 2;\n    \"h\"\n}").expect_error("E0308")
    points_at(result, 3, '"h"')


def test_compile_error_below_text_beyond_ascii_has_its_line(kernel: Client) -> None:
    result = kernel.execute('let crab = "🦀🦀"; // ←\nlet wrong: i32 = "🦀";').expect_error("E0308")
    points_at(result, 2, 'let wrong: i32 = "🦀";')


def test_compile_error_marks_the_columns(kernel: Client) -> None:
    result = kernel.execute("let first = 1;\nlet second = frist + 1;").expect_error("E0425")
    lines = result.traceback.splitlines()
    quoted = next((i for i, line in enumerate(lines) if "let second = frist + 1;" in line), None)
    assert quoted is not None, result.story("the line is not quoted")
    marks = lines[quoted + 1]
    column = lines[quoted].index("frist")
    assert re.fullmatch(r"[\^~━─┬┯]{5}", marks[column : column + 5]), result.story(f"no marks under `frist`: {marks!r}")
    assert marks[column - 1] not in "^~━─", result.story("the marks begin before `frist`")


def test_compile_error_has_the_compilers_help(kernel: Client) -> None:
    result = kernel.execute("let first = 1;\nlet second = frist + 1;").expect_error("E0425")
    result.has("first", result.traceback.replace("let first", "").replace("frist", ""), "the help")
    result.matches(r"similar name|help", result.traceback, "the help")


def test_several_compile_errors_are_one_message(kernel: Client) -> None:
    result = kernel.execute('let a: i32 = "one";\nlet b: bool = 2;\nlet c: char = 3.0;').expect_error("E0308")
    for number, line in enumerate(['let a: i32 = "one";', "let b: bool = 2;", "let c: char = 3.0;"], 1):
        points_at(result, number, line)


def test_borrow_error_has_its_labels(kernel: Client) -> None:
    result = kernel.execute(
        "{\n    let mut list = vec![1];\n    let first = &list[0];\n    list.push(2);\n    println!(\"{first}\");\n}"
    ).expect_error("E0502")
    points_at(result, 4, "list.push(2);")
    result.matches(r"immutable borrow (occurs|later)", result.traceback, "the labels")


@pytest.mark.parametrize("code", ["let x = ;", "let x = 5 5;", "fn 1() {}", "struct {", "}", "let s = 'ab';"])
def test_syntax_error_is_an_error(kernel: Client, code: str) -> None:
    result = kernel.execute(code).expect_error()
    assert result.ename and result.evalue and result.traceback, result.story("a part of the error is empty")


@pytest.mark.parametrize("code", ["no_such_macro!();", "use no_such_crate::x;", "5.no_such_method();", "let x: NoSuchType = 1;"])
def test_unknown_name_is_named(kernel: Client, code: str) -> None:
    result = kernel.execute(code).expect_error()
    result.matches("no_such_|NoSuchType", result.evalue, "evalue")


def test_generated_code_is_not_shown(kernel: Client) -> None:
    for code in ('let n: i32 = "text";', "let x = ;", "no_such_name", "vec![1].into_iter().collect()"):
        result = kernel.execute(code).expect_error()
        for part in ("evcxr", "lib.rs", "run_user_code"):
            result.lacks(part, result.traceback, "traceback")


def test_warning_is_not_an_error(kernel: Client) -> None:
    result = kernel.run("pub fn unused_things() { let unused = 1; }\nlet mut never_changed = 5;\nnever_changed")
    result.equal(result.text, "5")
    result.equal([m.type for m in result.outputs], ["execute_result"])


def test_compile_error_keeps_variables(kernel: Client) -> None:
    kernel.run("let survivor = vec![1, 2];")
    kernel.execute("let oops: i32 = survivor;").expect_error("E0308")
    result = kernel.run("survivor.len()")
    result.equal(result.text, "2")


# ---- errors returned by `?`


def test_question_mark_fails_the_cell_with_the_errors_text(kernel: Client) -> None:
    result = kernel.execute('let n = "abc".parse::<i32>()?;').expect_error()
    result.has("invalid digit found in string", result.evalue, "evalue")
    result.equal(len(result.outputs), 1, "number of outputs")


def test_question_mark_on_io_has_the_systems_text(kernel: Client) -> None:
    result = kernel.execute('let text = std::fs::read_to_string("/no/such/file")?;').expect_error()
    result.has("No such file or directory", result.evalue, "evalue")


def test_question_mark_keeps_output_and_variables(kernel: Client) -> None:
    kernel.run("let before_question = 7;")
    result = kernel.execute('println!("printed"); let n = "abc".parse::<i32>()?; println!("not reached");').expect_error()
    result.equal(result.stdout, "printed\n")
    after = kernel.run("before_question")
    after.equal(after.text, "7")


def test_question_mark_on_an_own_error(kernel: Client) -> None:
    kernel.run(
        "#[derive(Debug)] pub enum Trouble { TooBig(u32) }\n"
        "impl std::fmt::Display for Trouble {\n"
        '    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result { write!(f, "much too big") }\n}\n'
        "impl std::error::Error for Trouble {}\n"
        "pub fn check(n: u32) -> Result<u32, Trouble> { if n > 5 { Err(Trouble::TooBig(n)) } else { Ok(n) } }"
    )
    result = kernel.execute("check(9)?;").expect_error()
    result.matches(r"much too big|TooBig\(\s*9", result.evalue, "evalue")
    kernel.run("check(3)?;")


# ---- panics


def test_panic_has_its_message_and_line(kernel: Client) -> None:
    result = kernel.execute('let n = 7;\npanic!("boom {n}");').expect_error("Panic")
    result.equal(result.evalue, "boom 7", "evalue")
    result.has('panic!("boom {n}");', result.traceback, "traceback")
    result.matches(r"\b2\b", result.traceback, "the line number")
    result.equal([m.type for m in result.outputs], ["error"], "outputs")


@pytest.mark.parametrize(
    ("code", "part"),
    [
        ("let v: Vec<i32> = vec![1];\nlet i = v.len() + 2;\nv[i];", "index out of bounds: the len is 1 but the index is 3"),
        ("None::<i32>.unwrap();", "called `Option::unwrap()` on a `None` value"),
        ('Err::<i32, _>("bad").expect("must work");', 'must work: "bad"'),
        ('unreachable!("state {}", 3);', "internal error: entered unreachable code: state 3"),
        ("todo!();", "not yet implemented"),
        ("assert!(1 + 1 == 3);", "assertion failed: 1 + 1 == 3"),
        ("let zero = \"0\".parse::<i32>().unwrap();\n1 / zero", "attempt to divide by zero"),
        ('panic!("line one\\nline two");', "line one"),
    ],
)
def test_panic_of_any_kind_is_an_error(kernel: Client, code: str, part: str) -> None:
    result = kernel.execute(code).expect_error("Panic")
    result.has(part, result.evalue, "evalue")


def test_failed_assertion_shows_both_sides(kernel: Client) -> None:
    result = kernel.execute("assert_eq!(6 * 7, 41);").expect_error("Panic")
    result.matches(r"left: 42\s+right: 41", result.evalue + "\n" + result.traceback, "the sides")


def test_panic_with_any_payload_is_an_error(kernel: Client) -> None:
    kernel.execute("std::panic::panic_any(5u8);").expect_error("Panic")


def test_panic_keeps_variables(kernel: Client) -> None:
    kernel.run("let outlives = String::from(\"still here\"); let mut counter = 1;")
    kernel.execute('counter += 1; panic!("now");').expect_error("Panic")
    result = kernel.run("outlives")
    result.equal(result.text, '"still here"')


def test_panic_shows_only_the_users_functions(kernel: Client) -> None:
    kernel.run(
        '#[inline(never)] pub fn innermost(n: i32) { if n > 0 { panic!("deep {n}"); } }\n'
        "#[inline(never)] pub fn middle(n: i32) { innermost(n); println!(); }\n"
        "#[inline(never)] pub fn outermost(n: i32) { middle(n); println!(); }"
    )
    result = kernel.execute("outermost(3);").expect_error("Panic")
    places = [result.traceback.find(name) for name in ("innermost", "middle", "outermost")]
    assert -1 not in places, result.story("a function is missing in the backtrace")
    for part in ("std::", "core::", "rust_begin_unwind", "catch_unwind", "run_user_code", "evcxr"):
        result.lacks(part, result.traceback, "traceback")


def test_panic_in_an_earlier_cells_function_names_that_cell(kernel: Client) -> None:
    defined = kernel.run("pub fn risky(n: u32) -> u32 {\n    let limit = 3;\n    assert!(n < limit, \"too much\");\n    n\n}")
    kernel.run("1")
    result = kernel.execute("risky(5)").expect_error("Panic")
    result.has('assert!(n < limit, "too much");', result.traceback, "traceback")
    result.matches(rf"\[{defined.count}\]", result.traceback, "the earlier cell's number")


def test_panic_in_a_loop_of_a_function_names_the_function(kernel: Client) -> None:
    result = kernel.execute(
        'fn looping(n: u64) -> u64 {\n    let mut i = 0;\n    while i < n {\n        i += 1;\n        if i == 7 { panic!("seven"); }\n    }\n    i\n}\nlooping(10)'
    ).expect_error("Panic")
    result.matches(r"looping +cell \[\d+\], line 5", result.traceback, "the backtrace")


def test_panic_below_other_lines_has_its_own_line(kernel: Client) -> None:
    result = kernel.execute("let a = 1;\n\n// here\nlet b: Option<i32> = None;\nb.unwrap();\nlet c = 2;").expect_error("Panic")
    result.has("b.unwrap();", result.traceback, "traceback")
    result.matches(r"\b5\b", result.traceback, "the line number")


def test_panic_in_a_thread_is_told_on_stderr(kernel: Client) -> None:
    result = kernel.run('std::thread::spawn(|| if true {\n    panic!("in a thread");\n}).join().is_err()')
    result.equal(result.text, "true")
    result.has("in a thread", result.stderr, "stderr")
    result.matches(r"\b2\b", result.stderr, "the line number")
    result.equal(result.errors, [], "errors")


def test_panic_of_a_thread_that_is_unwrapped_fails_the_cell(kernel: Client) -> None:
    result = kernel.execute('std::thread::spawn(|| panic!("inner")).join().unwrap();').expect_error("Panic")
    result.has("inner", result.shown, "what is shown")


def test_caught_panic_is_told_on_stderr(kernel: Client) -> None:
    result = kernel.run('std::panic::catch_unwind(|| if true { panic!("caught one") }).is_err()')
    result.equal(result.text, "true")
    result.has("caught one", result.stderr, "stderr")
    result.equal(result.errors, [], "errors")


def test_message_of_one_panic_does_not_show_in_the_next_cell(kernel: Client) -> None:
    kernel.execute('panic!("first one");').expect_error("Panic")
    result = kernel.run('println!("clean");')
    result.equal([m.type for m in result.outputs], ["stream"])
    result.equal((result.stdout, result.stderr), ("clean\n", ""))


def test_explanations_stand_alone_in_the_first_line(kernel: Client) -> None:
    # Some front ends show nothing but the first line of evalue.
    for code in ('let n: i32 = "text";', 'panic!("short");', '"x".parse::<i32>()?;'):
        result = kernel.execute(code).expect_error()
        assert result.evalue.splitlines()[0].strip(), result.story("the first line of evalue is empty")
