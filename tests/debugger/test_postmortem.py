"""Panics that are looked at afterwards: the copy that the worker keeps, `%debug`, and a terminal."""

from __future__ import annotations

import os

import psutil
import pytest

import dap
import harness
from terminal import Program

THIRD = """fn third(list: &[i32], name: &str) -> i32 {
    let index = list.len() + 1;
    println!("{name}");
    list[index]
}
let numbers = vec![1, 2];
third(&numbers, "abc")"""


@pytest.fixture
def on(kernel: harness.Client):
    kernel.run("%debug on")
    kernel.late_allowed = True
    yield kernel
    if kernel.usable():
        kernel.late_allowed = True
        kernel.run("%debug off")


def copies(kernel: harness.Client) -> list[int]:
    """Processes below the worker that have its name and one thread."""
    worker = psutil.Process(kernel.worker_pid())
    return [p.pid for p in worker.children() if p.num_threads() == 1]


def test_nothing_was_kept(kernel: harness.Client) -> None:
    kernel.execute(THIRD).expect_error()
    error = kernel.execute("%debug").expect_error("DebuggerError")
    assert "no panic to be looked at" in error.traceback and "%debug on" in error.traceback
    assert copies(kernel) == []


def test_a_panic_is_shown_with_its_frames_and_variables(on: harness.Client) -> None:
    n = on.execute(THIRD).expect_error().count
    (shown,) = on.run("%debug").displays
    text = shown["text/plain"]
    assert text.startswith(f"thread 'main' panicked at cell [{n}], line 4:\nindex out of bounds")
    first, second = text.split("\nframe ")[1:]
    assert first.startswith(f"0: cell [{n}] line 4, in third\n->   4 |     list[index]\n")
    for line in ("list: &[i32] = 2 elements: [1, 2]", 'name: &str = "abc"', "index: u64 = 3"):
        assert line in first
    assert second.startswith(f"1: cell [{n}] line 7\n") and "numbers: Vec<i32> = 2 elements: [1, 2]" in second
    assert "<details open>" in shown["text/html"] and "index: u64 = 3" in shown["text/html"]
    # As often as one likes, and the worker goes on as ever.
    assert on.run("%debug").displays[0]["text/plain"] == text
    assert on.run("1 + 1").text == "2"
    assert "there is no such panic" in on.execute("%debug 2").expect_error("DebuggerError").traceback


def test_a_panic_under_commands_is_kept_too(kernel: harness.Client) -> None:
    kernel.late_allowed = True
    kernel.execute('%%debug --commands "c"\n' + THIRD).expect_error("Panic")
    assert dap.Debugger(kernel).ask("debugInfo")["isStarted"] is False
    assert "index: u64 = 3" in kernel.run("%debug").displays[0]["text/plain"]
    kernel.run("%debug off")


def test_the_first_of_several_is_the_cause(on: harness.Client) -> None:
    code = 'let handle: std::thread::JoinHandle<()> = std::thread::Builder::new().name("one".into()).spawn(|| {\n    let depth = 7;\n    panic!("deep {depth}");\n}).unwrap();\nhandle.join().unwrap()'
    on.execute(code).expect_error()
    first = on.run("%debug").displays[0]["text/plain"]
    assert first.startswith("thread 'one' panicked") and "depth: i32 = 7" in first
    assert "2 panics of the cell were kept" in first
    assert on.run("%debug 2").displays[0]["text/plain"].startswith("thread 'main' panicked")
    # Many that are caught: the first four are enough.
    on.run("for n in 0..20 { let _ = std::panic::catch_unwind(|| panic!(\"{n}\")); }")
    assert len(copies(on)) == 4
    on.run("%debug off")
    assert copies(on) == []


def test_a_copy_holds_nothing_open_and_is_no_child_to_a_cell(on: harness.Client) -> None:
    code = """use std::io::Read as _;
let (mut reader, writer) = std::io::pipe()?;
let failed = std::thread::spawn(move || { let _held = writer; if true { panic!("with a pipe"); } }).join().is_err();
let mut text = String::new();
reader.read_to_string(&mut text)?;
unsafe extern "C" { fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32; }
let waited = unsafe { waitpid(-1, std::ptr::null_mut(), 1) };
(failed, text.is_empty(), waited)"""
    assert on.run(code).text == "(true, true, -1)"
    assert len(copies(on)) == 1


def test_a_terminal_looks_at_the_dead(on: harness.Client) -> None:
    on.execute(THIRD).expect_error()
    program = Program(on)
    program.prompt()
    said = program.do("postmortem")
    assert "index out of bounds" in said and "->   4 |     list[index]" in said
    assert program.do("p index + 1") == "4\n"
    assert program.do("p list[1]") == "2\n"
    assert "numbers" not in program.do("locals")
    program.do("up")
    assert "numbers: Vec<i32> = 2 elements: [1, 2]" in program.do("locals")
    assert "cannot go on" in program.do("next")
    assert "nothing is stopped" in program.do("live")
    program.send("q\n")
    program.close()
    # Somebody else had turned the debugger on: it stays.
    assert dap.Debugger(on).ask("debugInfo")["isStarted"] is True


def test_copies_end_with_the_worker(on: harness.Client) -> None:
    on.execute(THIRD).expect_error()
    (copy,) = copies(on)
    os.kill(on.worker_pid(), 9)
    harness.eventually(lambda: not psutil.pid_exists(copy) or psutil.Process(copy).status() == "zombie", 10, "the copy's end")
    assert on.execute("1").content["status"] in ("ok", "error")
    assert "no panic" in on.execute("%debug").expect_error("DebuggerError").traceback


def test_a_new_panic_takes_the_place_of_the_old(on: harness.Client) -> None:
    on.execute(THIRD).expect_error()
    on.execute('let other = 3;\npanic!("second {other}");').expect_error()
    shown = on.run("%debug").displays[0]["text/plain"]
    assert "second 3" in shown and "other: i32 = 3" in shown
    assert len(copies(on)) == 1
