"""Tests in cells: what runs, how each outcome is told, and that no test takes another or the kernel along."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import Client, Result, eventually, rust_str

ADD = "fn add(a: i32, b: i32) -> i32 { a + b }"


def table(result: Result) -> dict[str, tuple[str, str]]:
    """Result and remark of each test in the table, by name."""
    (data,) = [data for data in result.displays if data["text/plain"].startswith("test ")]
    head, *lines = data["text/plain"].splitlines()
    column = head.index("result")
    rows = {}
    for line in lines[:-1]:
        name, rest = line[:column].strip(), line[column:].split(None, 1)
        rows[name] = (rest[0], rest[1] if len(rest) > 1 else "")
        assert name in data["text/html"]
    return rows


def summary(result: Result) -> str:
    (data,) = [data for data in result.displays if data["text/plain"].startswith("test ")]
    return data["text/plain"].splitlines()[-1]


# ---- outcomes


def test_tests_see_what_earlier_cells_define(kernel: Client) -> None:
    kernel.run(ADD + "\nconst LIMIT: i32 = 5;\nstatic NAME: &str = \"n\";")
    result = kernel.run("%%test\n#[test]\nfn sees() { assert_eq!(add(2, 3), LIMIT); assert_eq!(NAME, \"n\"); }")
    result.equal(table(result)["sees"][0], "ok")
    result.equal(summary(result), "1 test: 1 passed")
    result.equal(result.stdout, "")


OUTCOMES = """%%test
mod outcomes {
    #[test]
    fn zeta_passes() { println!("quiet"); }
    #[test]
    fn fails() {
        println!("said before");
        assert_eq!(1 + 1, 3);
    }
    #[test]
    fn fails_with_text() { assert!(1 > 2, "one is {}", "small"); }
    #[test]
    fn panics() { let nothing: Option<i32> = None; nothing.unwrap(); }
    #[test]
    fn returns() -> Result<(), std::num::ParseIntError> { "x".parse::<i32>()?; Ok(()) }
    #[test]
    #[ignore = "takes long"]
    fn ignored() {}
    #[test]
    #[should_panic(expected = "bounds")]
    fn expects() { let empty: Vec<i32> = vec![]; println!("{}", empty[0]); }
    #[test]
    #[should_panic(expected = "zero")]
    fn expects_another() { panic!("one"); }
    #[test]
    #[should_panic]
    fn expects_in_vain() {}
    #[test]
    fn overflows() { let top: u8 = std::hint::black_box(255); println!("{}", top + 1); }
}"""


def test_each_outcome_is_told(kernel: Client) -> None:
    result = kernel.execute(OUTCOMES).expect_error("TestsFailed")
    rows = table(result)
    names = list(rows)
    result.equal(names, sorted(names), "the order of the table")
    words = {name.removeprefix("outcomes::"): row[0] for name, row in rows.items()}
    result.equal(
        words,
        {
            "zeta_passes": "ok",
            "fails": "FAILED",
            "fails_with_text": "FAILED",
            "panics": "ERROR",
            "returns": "ERROR",
            "ignored": "ignored",
            "expects": "ok",
            "expects_another": "FAILED",
            "expects_in_vain": "FAILED",
            "overflows": "ERROR",
        },
    )
    result.has("takes long", rows["outcomes::ignored"][1], "why it is ignored")
    result.equal(summary(result), "10 tests: 2 passed, 4 failures, 3 errors, 1 ignored")
    result.has("10 tests: 2 passed, 4 failures, 3 errors, 1 ignored", result.evalue)
    result.has("why: ", result.traceback)
    result.has("do:  ", result.traceback)


def test_a_failing_test_shows_its_output_and_its_place(kernel: Client) -> None:
    result = kernel.execute(OUTCOMES).expect_error("TestsFailed")
    number = result.count
    result.has(f"---- outcomes::fails: failure in cell [{number}], line 8 ----", result.stdout)
    for part in ("said before", "left: 2", "right: 3", "one is small", "ParseIntError"):
        result.has(part, result.stdout)
    result.lacks("quiet", result.stdout, "output of tests that pass")
    result.lacks("unit_", result.stdout, "names of generated files")
    result.has(f"cell [{number}], line 11", table(result)["outcomes::fails_with_text"][1])


def test_output_of_passing_tests_on_demand(kernel: Client) -> None:
    result = kernel.run('%%test --show-output\n#[test]\nfn says() { println!("from a test"); eprintln!("and this"); }')
    result.has("from a test\nand this\n", result.stdout)


def test_a_fresh_process_for_each_test(kernel: Client) -> None:
    code = """%%test
static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
fn count() -> usize { COUNT.fetch_add(1, std::sync::atomic::Ordering::SeqCst) }
#[test] fn first() { assert_eq!(count(), 0); }
#[test] fn second() { assert_eq!(count(), 0); }"""
    kernel.run(code)
    kernel.run("%test first second")


def test_a_test_that_ends_its_process_ends_no_other(kernel: Client) -> None:
    code = """%%test --threads 1 --timeout 2
#[allow(unconditional_recursion)]
fn deep(n: u64) -> u64 { let a = [n; 64]; deep(n + 1) + std::hint::black_box(a)[3] }
mod ends {
    #[test] fn a_aborts() { println!("before the end"); std::process::abort(); }
    #[test] fn b_exits() { std::process::exit(0); }
    #[test] fn c_overflows() { super::deep(1); }
    #[test] fn d_hangs() { println!("going on"); loop { std::thread::yield_now(); } }
    #[test] fn e_passes() {}
}"""
    result = kernel.execute(code).expect_error("TestsFailed")
    rows = table(result)
    result.has("SIGABRT", rows["ends::a_aborts"][1])
    result.has("exit status 0", rows["ends::b_exits"][1])
    result.has("stack overflowed", rows["ends::c_overflows"][1])
    result.has("still running after 2s", rows["ends::d_hangs"][1])
    result.has("ends::d_hangs", result.traceback)
    result.equal(rows["ends::e_passes"][0], "ok")
    result.has("before the end", result.stdout)
    result.has("going on", result.stdout)
    after = kernel.run("6 * 7")
    after.equal(after.text, "42")


# ---- choice


def test_names_choose_tests(kernel: Client) -> None:
    code = """%%test chosen --list
mod choice {
    #[test] fn chosen() {}
    #[test] fn chosen_too() {}
    #[test] #[ignore] fn slow() {}
}"""
    listed = kernel.run(code)
    listed.equal(listed.stdout, "choice::chosen\nchoice::chosen_too\n2 of 3\n")
    exact = kernel.run("%test --exact choice::chosen")
    exact.equal(list(table(exact)), ["choice::chosen"])
    both = kernel.run("%test choice::chosen")
    both.equal(list(table(both)), ["choice::chosen", "choice::chosen_too"])
    slow = kernel.run("%test choice --ignored")
    slow.equal(table(slow)["choice::slow"][0], "ok")
    slow.equal(len(table(slow)), 1)
    everything = kernel.run("%test choice --include-ignored")
    everything.equal({row[0] for row in table(everything).values()}, {"ok"})
    none = kernel.execute("%test choice::nothing_of_that_name").expect_error("NoTests")
    none.has("--list", none.traceback)


def test_a_cell_runs_its_own_tests_and_percent_test_runs_all(start_kernel) -> None:
    kernel = start_kernel().warm()
    kernel.execute("%%test\n#[test] fn one() {}\n#[test] fn two() { assert!(false); }").expect_error("TestsFailed")
    second = kernel.run("%%test\n#[test] fn three() {}")
    second.equal(list(table(second)), ["three"])
    kernel.run("#[test] fn two() { assert!(true); } // defined anew, in an ordinary cell")
    everything = kernel.run("%test")
    everything.equal(list(table(everything)), ["one", "three", "two"])


def test_a_broken_test_is_left_out_and_named(start_kernel) -> None:
    kernel = start_kernel().warm()
    kernel.run("let here = 1;")
    broken = kernel.execute("%%test\n#[test] fn broken() { assert_eq!(here, 1); }").expect_error("E0425")
    broken.has("`here` is a variable", broken.traceback)
    broken.has("cell [2]:2:", broken.traceback)
    fine = kernel.run("%%test\n#[test] fn fine() {}")
    fine.equal(list(table(fine)), ["fine"])
    result = kernel.run("%test")
    result.equal(list(table(result)), ["fine"])
    result.has("does not compile: broken (cell [2], line 2)", result.stderr)


def test_an_outcome_may_be_expected(kernel: Client) -> None:
    code = "%%test --expect passed=1,failures=1\nmod expected {\n#[test] fn a() {}\n#[test] fn b() { assert!(false); }\n}"
    result = kernel.run(code)
    result.has("check: 2 tests: 1 passed, 1 failure, as expected\n", result.stdout)
    other = kernel.execute("%test expected --expect passed=2").expect_error("TestsFailed")
    other.has("it was to end in another way", other.traceback)
    wrong = kernel.execute("%test expected::a --expect failures=1").expect_error("TestsFailed")
    wrong.has("1 test: 1 passed", wrong.evalue)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("%test --fast", "--fast is not an option"),
        ("%%test --threads 0\n#[test] fn x() {}", "not a number from 1 on"),
        ("%%test", "there is nothing below it"),
        ("%test --path nowhere.rs", "no file nowhere.rs"),
    ],
)
def test_what_is_not_understood_is_told(kernel: Client, code: str, told: str) -> None:
    result = kernel.execute(code).expect_error("UsageError")
    result.has(told, result.traceback)
    result.has("do:  ", result.traceback)


# ---- interrupt


def endless(kernel: Client, folder: Path) -> tuple[str, int]:
    """Starts a test that does not end; the request, and the test's process."""
    begun = folder / "begun"
    code = f"""%%test
#[test] fn endless() {{
    std::fs::write({rust_str(begun)}, std::process::id().to_string()).unwrap();
    loop {{ std::thread::yield_now(); }}
}}"""
    request = kernel.start_execute(code)
    eventually(lambda: begun.exists() and begun.read_text(), 60, "the test has begun")
    return request, int(begun.read_text())


def test_interrupt_ends_the_tests_and_keeps_variables(kernel: Client, tmp_path: Path) -> None:
    kernel.run("let kept = 41;")
    request, pid = endless(kernel, tmp_path)
    kernel.interrupt().expect_ok()
    kernel.collect(request, timeout=10).expect_error("Interrupted")
    eventually(lambda: not Path(f"/proc/{pid}").exists(), 10, "its process is gone")
    after = kernel.run("kept + 1")
    after.equal(after.text, "42")


def test_shutdown_ends_the_tests(start_kernel, tmp_path: Path) -> None:
    kernel = start_kernel().warm()
    _request, pid = endless(kernel, tmp_path)
    kernel.shutdown()
    eventually(lambda: not Path(f"/proc/{pid}").exists(), 10, "its process is gone")


# ---- files

SUMS = """#[test] fn adds() { assert_eq!(1 + 1, 2); }
mod negative {
    #[test] fn adds() { assert_eq!(-1 + -1, -2); }
    #[test] fn fails() { assert_eq!(-1 - 1, 0); }
}
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "tests").mkdir()
    (tmp_path / "test_sums.rs").write_text(SUMS)
    (tmp_path / "text_test.rs").write_text('#[test] fn joins() { assert_eq!(["a", "b"].concat(), "ab"); }')
    (tmp_path / "tests" / "third.rs").write_text("use forkline::prelude::*;\n#[test] fn sums() { assert_eq!((0..4u64).into_par_iter().sum::<u64>(), 6); }")
    (tmp_path / "notes.rs").write_text("this is no Rust")
    return tmp_path


def test_files_of_a_folder(kernel: Client, files: Path) -> None:
    result = kernel.execute(f"%test --path {files}").expect_error("TestsFailed")
    result.equal(
        {name.removeprefix(f"{files}/"): row[0] for name, row in table(result).items()},
        {
            "test_sums.rs::adds": "ok",
            "test_sums.rs::negative::adds": "ok",
            "test_sums.rs::negative::fails": "FAILED",
            "text_test.rs::joins": "ok",
            "tests/third.rs::sums": "ok",
        },
    )
    result.has("test_sums.rs, line 4", result.traceback)


def test_targets_choose_files_modules_and_functions(kernel: Client, files: Path) -> None:
    def names(words: str) -> list[str]:
        return list(table(kernel.run(f"%test --cd {files} --path {words}")))

    assert names("test_sums.rs::adds text_test.rs") == ["test_sums.rs::adds", "text_test.rs::joins"]
    assert names("test_sums.rs::negative::adds") == ["test_sums.rs::negative::adds"]
    assert names("'test_sums.rs::negative::adds'") == ["test_sums.rs::negative::adds"]
    assert names("*_test.rs tests/third.rs") == ["tests/third.rs::sums", "text_test.rs::joins"]


def test_a_file_that_does_not_compile_is_told(kernel: Client, files: Path) -> None:
    result = kernel.execute(f"%test --cd {files} --path notes.rs").expect_error()
    result.has("notes.rs", result.traceback)


# ---- macros and crates


def test_tests_that_a_macro_makes(kernel: Client) -> None:
    kernel.run(
        ADD
        + """
macro_rules! cases {
    ($($name:ident: $a:expr, $b:expr => $sum:expr;)*) => { $(#[test] fn $name() { assert_eq!(add($a, $b), $sum); })* };
}"""
    )
    result = kernel.execute("%%test\ncases! {\n    small: 1, 2 => 3;\n    wrong: 1, 2 => 4;\n}").expect_error("TestsFailed")
    result.equal({name: row[0] for name, row in table(result).items()}, {"small": "ok", "wrong": "FAILED"})


TWICE = """
use proc_macro::TokenStream;

/// Makes two tests of a function.
#[proc_macro_attribute]
pub fn twice(_: TokenStream, item: TokenStream) -> TokenStream {
    let text = item.to_string();
    let name = text.split_whitespace().skip_while(|word| *word != "fn").nth(1).unwrap();
    let name = name.split('(').next().unwrap().trim();
    format!("#[cfg(test)] mod {name} {{ use super::*; {text} #[test] fn first() {{ {name}(1) }} #[test] fn second() {{ {name}(2) }} }}")
        .parse()
        .unwrap()
}
"""


def test_tests_that_a_crates_attribute_makes(start_kernel, tmp_path: Path) -> None:
    (tmp_path / "twice" / "src").mkdir(parents=True)
    (tmp_path / "twice" / "src" / "lib.rs").write_text(TWICE)
    manifest = '[package]\nname = "twice"\nversion = "0.1.0"\nedition = "2024"\n[lib]\nproc-macro = true\n'
    (tmp_path / "twice" / "Cargo.toml").write_text(manifest)
    kernel = start_kernel().warm()
    kernel.run(f':dep twice = {{ path = "{tmp_path / "twice"}" }}\nuse twice::twice;', timeout=120)
    result = kernel.execute("%%test\n#[twice]\nfn is_one(n: i32) { assert_eq!(n, 1); }").expect_error("TestsFailed")
    result.equal(
        {name: row[0] for name, row in table(result).items()}, {"is_one::first": "ok", "is_one::second": "FAILED"}
    )
    result.has("line 2", table(result)["is_one::second"][1], "the attribute that made the test")


def test_processes_and_rayon_in_a_test(kernel: Client) -> None:
    code = """%%test
fn square(i: u64) -> u64 { i * i }
#[test] fn pool() { assert_eq!(processes::Pool::new(2).unwrap().map(square, 0u64..4).unwrap(), [0, 1, 4, 9]); }
#[test] fn rayon_sums() { assert_eq!((0..1000u64).into_par_iter().sum::<u64>(), 499_500); }"""
    result = kernel.run(code)
    result.equal(summary(result), "2 tests: 2 passed")
