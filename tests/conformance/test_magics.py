"""Magics: lines with `%` and `!`, cells with `%%`, and the same behind `//` for editors."""

from __future__ import annotations

import re
from pathlib import Path

import psutil
import pytest

from harness import Client, Gate, rust_str

# ---- help


@pytest.mark.parametrize("code", ["%lsmagic", "//% lsmagic"])
def test_lsmagic_lists_the_magics(kernel: Client, code: str) -> None:
    result = kernel.run(code)
    for name in ("%who", "%whos", "%env", "%cd", "%pwd", "%time", "%%time", "%%bash", "%%writefile", "%%html", "%%markdown"):
        result.has(name, result.shown, "the list")


def test_help_explains_the_magics(kernel: Client) -> None:
    result = kernel.run("%help")
    for name in ("%who", "%time", "%%writefile", "%env"):
        result.has(name, result.shown, "the help")


@pytest.mark.parametrize(
    ("code", "typed", "wanted"),
    [
        ("%whoo", "%whoo", "%who"),
        ("%tme 1 + 1", "%tme", "%time"),
        ("%%writefil x\ny", "%%writefil", "%%writefile"),
        ("//% whoo", "whoo", "%who"),
    ],
)
def test_unknown_magic_names_its_neighbours(kernel: Client, code: str, typed: str, wanted: str) -> None:
    result = kernel.execute(code).expect_error()
    result.has(typed, result.evalue, "evalue")
    result.matches(re.escape(wanted) + r"(?!\w)", result.evalue + "\n" + result.traceback, "the hint")


# ---- variables


@pytest.mark.parametrize("code", ["%who", "//% who"])
def test_who_names_the_variables(kernel: Client, code: str) -> None:
    kernel.run("let seen_one = 1; let seen_two = String::new();")
    result = kernel.run(code)
    result.has("seen_one", result.shown, "the names")
    result.has("seen_two", result.shown, "the names")


def test_whos_names_types_and_sizes(kernel: Client) -> None:
    kernel.run("let weighed = [0u64; 8]; let listed: Vec<u16> = vec![1, 2, 3];")
    result = kernel.run("%whos")
    for part in ("weighed", "[u64; 8]", "64", "listed", "Vec<u16>"):
        result.has(part, result.shown, "the table")


def test_who_does_not_name_what_is_gone(kernel: Client) -> None:
    kernel.run("let soon_gone = String::new(); let staying = 1;")
    kernel.run("drop(soon_gone);")
    result = kernel.run("%who")
    result.has("staying", result.shown, "the names")
    result.lacks("soon_gone", result.shown, "the names")


# ---- environment and folder


def test_env_sets_what_cells_see(kernel: Client) -> None:
    kernel.run("%env FORKLINE_TEST_COLOUR=deep blue")
    result = kernel.run('std::env::var("FORKLINE_TEST_COLOUR")?')
    result.equal(result.text, '"deep blue"')
    shown = kernel.run("%env FORKLINE_TEST_COLOUR")
    shown.has("deep blue", shown.shown)


def test_env_lists_the_environment(kernel: Client) -> None:
    result = kernel.run("%env")
    result.has("PATH", result.shown, "the list")


def test_env_is_seen_by_commands(kernel: Client) -> None:
    kernel.run("%env FORKLINE_TEST_SHAPE=round")
    result = kernel.run("!echo $FORKLINE_TEST_SHAPE")
    result.equal(result.stdout, "round\n")


def test_cd_changes_the_folder_for_cells_and_commands(kernel: Client, tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    before = kernel.run("%pwd").shown
    kernel.run(f"%cd {folder}")
    result = kernel.run("std::env::current_dir()?.display().to_string()")
    result.equal(result.text, f'"{folder}"')
    shown = kernel.run("%pwd")
    shown.has(str(folder), shown.shown)
    command = kernel.run("!pwd")
    command.equal(command.stdout.strip(), str(folder))
    kernel.run("%cd ..")
    up = kernel.run("%pwd")
    up.has(str(tmp_path), up.shown)
    up.lacks("a folder", up.shown)
    assert before


def test_cd_to_nowhere_is_an_error(kernel: Client) -> None:
    before = kernel.run("%pwd").shown
    result = kernel.execute("%cd /no/such/folder").expect_error()
    result.has("/no/such/folder", result.evalue, "evalue")
    assert kernel.run("%pwd").shown == before


def test_environment_and_folder_outlive_the_worker(kernel: Client, tmp_path: Path) -> None:
    kernel.run(f"%env FORKLINE_TEST_KEPT=yes\n%cd {tmp_path}")
    kernel.execute("std::process::abort();").expect_error()
    result = kernel.run('std::env::var("FORKLINE_TEST_KEPT").unwrap_or_default()')
    result.equal(result.text, '"yes"', "the variable")
    result = kernel.run(f"std::env::current_dir()? == std::path::Path::new({rust_str(tmp_path)})")
    result.equal(result.text, "true", "whether the folder is the same")


# ---- commands


def test_command_prints(kernel: Client) -> None:
    result = kernel.run("!echo hi; echo to stderr >&2")
    result.equal((result.stdout, result.stderr), ("hi\n", "to stderr\n"))


def test_command_prints_while_it_runs(kernel: Client, gate: Gate) -> None:
    request = kernel.start_execute(f"!echo first; while [ ! -e '{gate.path}' ]; do sleep 0.01; done; echo second")
    kernel.wait_printed(request, "first\n")
    gate.open()
    result = kernel.collect(request).expect_ok()
    result.equal(result.stdout, "first\nsecond\n")


def test_failing_command_is_an_error(kernel: Client) -> None:
    result = kernel.execute("!echo before; exit 3").expect_error()
    result.equal(result.stdout, "before\n")
    result.has("3", result.evalue, "evalue")


def test_unknown_command_is_an_error(kernel: Client) -> None:
    kernel.execute("!no_such_command_anywhere").expect_error()


def test_command_can_be_interrupted(kernel: Client) -> None:
    request = kernel.start_execute("!echo started; sleep 60")
    kernel.wait_printed(request, "started")
    kernel.interrupt().expect_ok()
    kernel.collect(request, timeout=10).expect_error("Interrupted")


def test_an_interrupt_finds_processes_that_are_just_started(kernel: Client) -> None:
    # One that is missed keeps the output open, and the cell would wait for it.
    request = kernel.start_execute("!echo started; while :; do sleep 61.5 & sleep 0.001; done")
    kernel.wait_printed(request, "started")
    kernel.interrupt().expect_ok()
    kernel.collect(request, timeout=10).expect_error("Interrupted")
    left = [process for process in psutil.process_iter(["cmdline"]) if process.info["cmdline"] == ["sleep", "61.5"]]
    assert not left


# ---- files


def test_writefile_writes_the_bytes(kernel: Client, tmp_path: Path) -> None:
    path = tmp_path / "written.txt"
    content = 'first\n\tsecond  \n\n  "🦀" \\n {x} %who\n//% who\n!echo\nlast\n'
    kernel.run(f"%%writefile {path}\n{content}")
    assert path.read_bytes() == content.encode()


def test_writefile_can_append(kernel: Client, tmp_path: Path) -> None:
    path = tmp_path / "appended.txt"
    kernel.run(f"%%writefile {path}\none\n")
    kernel.run(f"%%writefile -a {path}\ntwo\n")
    assert path.read_text() == "one\ntwo\n"
    kernel.run(f"%%writefile {path}\nnew\n")
    assert path.read_text() == "new\n"


def test_writefile_without_a_last_newline_adds_at_most_that(kernel: Client, tmp_path: Path) -> None:
    path = tmp_path / "unfinished.txt"
    kernel.run(f"%%writefile {path}\nlast line")
    assert path.read_text() in ("last line", "last line\n")


def test_writefile_writes_rust_that_is_not_run(kernel: Client, tmp_path: Path) -> None:
    path = tmp_path / "module.rs"
    kernel.run(f"%%writefile {path}\npub fn not_defined_here() {{}}\n")
    kernel.execute("not_defined_here()").expect_error()


def test_writefile_to_a_missing_folder_is_an_error(kernel: Client) -> None:
    result = kernel.execute("%%writefile /no/such/folder/file\ntext\n").expect_error()
    result.has("/no/such/folder", result.evalue + result.traceback, "the error")


# ---- time


@pytest.mark.parametrize("code", ["%time (0..1000u64).sum::<u64>()", "//% time (0..1000u64).sum::<u64>()"])
def test_time_shows_value_wall_and_cpu_time(kernel: Client, code: str) -> None:
    result = kernel.run(code)
    result.has("499500", result.shown, "what is shown")
    result.matches(r"(?i)wall|elapsed", result.shown)
    result.matches(r"(?i)cpu", result.shown)
    result.matches(r"\d+(\.\d+)?\s*(ns|µs|us|ms|s)\b", result.shown)


@pytest.mark.parametrize("first", ["%%time", "//%% time"])
def test_timed_cell_keeps_its_variables(kernel: Client, first: str) -> None:
    result = kernel.run(f"{first}\nlet timed = 20;\nlet other = timed + 22;\nother")
    result.has("42", result.shown)
    result.matches(r"(?i)wall|elapsed", result.shown)
    after = kernel.run("timed + other")
    after.equal(after.text, "62")


# It measures.
@pytest.mark.alone
def test_time_is_about_right(kernel: Client) -> None:
    result = kernel.run(
        "%%time\nlet until = std::time::Instant::now() + std::time::Duration::from_millis(300);\n"
        "while std::time::Instant::now() < until {}"
    )
    units = {"ns": 1e-9, "µs": 1e-6, "us": 1e-6, "ms": 1e-3, "s": 1.0}
    times = [float(number) * units[unit] for number, unit in re.findall(r"(\d+(?:\.\d+)?)\s*(ns|µs|us|ms|s)\b", result.shown)]
    assert times and 0.3 <= max(times) < 5, result.story(f"times shown for a busy loop of 300 ms: {times} seconds")


def test_error_in_a_timed_cell_is_an_error(kernel: Client) -> None:
    kernel.execute('%%time\npanic!("timed");').expect_error("Panic")
    result = kernel.execute('%%time\nlet a = 1;\nlet n: i32 = "x";').expect_error("E0308")
    result.matches(r'^\D*3\s*[|│]\s*let n: i32 = "x";', result.traceback, "the line number")


# ---- other languages


def test_bash_cell_runs(kernel: Client) -> None:
    result = kernel.run("%%bash\nfor i in 1 2 3; do\n  echo line $i\ndone\necho '%who' >&2")
    result.equal((result.stdout, result.stderr), ("line 1\nline 2\nline 3\n", "%who\n"))


def test_failing_bash_cell_is_an_error(kernel: Client) -> None:
    result = kernel.execute("%%bash\necho before\nexit 4").expect_error()
    result.equal(result.stdout, "before\n")
    result.has("4", result.evalue, "evalue")


@pytest.mark.parametrize(("name", "mime"), [("html", "text/html"), ("markdown", "text/markdown")])
def test_markup_cell_is_displayed(kernel: Client, name: str, mime: str) -> None:
    result = kernel.run(f"%%{name}\n<b>bold</b>\n<i>it</i>")
    result.equal([m.type for m in result.outputs], ["display_data"])
    result.equal(result.displays[0][mime].strip(), "<b>bold</b>\n<i>it</i>", mime)


# ---- magics and code in one cell


def test_magics_and_code_run_in_the_order_of_the_cell(kernel: Client) -> None:
    result = kernel.run('println!("1");\n!echo 2\nprintln!("3");\n!echo 4\n5')
    result.equal(result.stdout, "1\n2\n3\n4\n")
    result.equal(result.text, "5")


def test_variables_pass_over_a_magic_line(kernel: Client) -> None:
    result = kernel.run("let over = 20;\n%env FORKLINE_TEST_MIXED=1\nlet more = over + 22;\nmore")
    result.equal(result.text, "42")


@pytest.mark.parametrize("above", ["%env FORKLINE_TEST_LINES=1\n", "%env FORKLINE_TEST_LINES=1\n\nlet a = 1;\n!true\n", "// note\n//% pwd\n"])
def test_compile_error_below_a_magic_has_its_line(kernel: Client, above: str) -> None:
    line = above.count("\n") + 1
    result = kernel.execute(f'{above}let n: i32 = "text";').expect_error("E0308")
    result.matches(rf'^\D*{line}\s*[|│]\s*let n: i32 = "text";', result.traceback, "the line number")


def test_panic_below_a_magic_has_its_line(kernel: Client) -> None:
    result = kernel.execute('%env FORKLINE_TEST_LINES=2\nlet a = 1;\npanic!("third");').expect_error("Panic")
    result.has('panic!("third");', result.traceback, "traceback")
    result.matches(r"\b3\b", result.traceback, "the line number")


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("let n = 17\n    % 5;\nn", "2"),
        ("let n = 17\n% 5;\nn", "2"),
        ('let s = "one\n%who\n!echo two";\ns.lines().count()', "3"),
        ('let s = "one;\n%who;\n";\ns.lines().count()', "2"),
        ('let s = r#"\n%cd /no/such/folder\n%%bash\n"#;\ns.len() > 5', "true"),
        ("/*\n%no_such_magic\n!exit 1\n*/\n5", "5"),
        ("// %no_such_magic\n// !exit 1\n5", "5"),
        ("let yes = false;\nlet no = !yes;\nno", "true"),
        ("let yes = vec![\n    true,\n    !true,\n];\nyes.len()", "2"),
    ],
)
def test_rust_that_looks_like_a_magic_is_rust(kernel: Client, code: str, text: str) -> None:
    result = kernel.run(code)
    result.equal(result.text, text)


def test_question_opens_the_pager(kernel: Client) -> None:
    result = kernel.run("?Vec::push")
    payload = result.content["payload"]
    result.equal([entry["source"] for entry in payload], ["page"], "payload")
    result.has("push", payload[0]["data"]["text/plain"], "the page")
    result.equal(payload[0].get("start", 0), 0, "start")


def test_question_about_nonsense_says_so(kernel: Client) -> None:
    result = kernel.execute("?no_such_name_at_all")
    said = result.shown + str(result.content.get("payload", "")) + result.evalue
    result.has("no_such_name_at_all", said, "the answer")


def test_what_the_kernel_sets_for_itself_does_not_reach_programs(kernel: Client) -> None:
    # RUSTC names a compiler for rust-analyzer, PATH begins with stand-ins for cargo and rustup.
    for code in ['%%bash\necho "[$RUSTC] $(command -v cargo)"', '!echo "[$RUSTC] $(command -v cargo)"']:
        result = kernel.run(code)
        assert result.stdout.startswith("[] ") and "forkline" not in result.stdout, result.stdout
    assert kernel.run('std::env::var_os("RUSTC")').text == "None"
    assert "rustc-for-analysis" not in kernel.run("%env").stdout
