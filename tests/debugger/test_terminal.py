"""The debugger by lines of text: from a terminal, through a port, by commands in a cell."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from contextlib import closing
from typing import Iterator

import pytest

import dap
import harness
from terminal import Plain, Program, listen
from dap import adapters

COUNTER = """struct Counter { count: u32 }
impl Counter {
    fn go(&self, factor: u32) -> u32 {
        let mut sum = 0;
        for j in 0..self.count {
            sum += j * factor;
        }
        sum
    }
}
let counter = Counter { count: 4 };
let total = counter.go(10);
println!("total {total}");"""


@pytest.fixture
def terminal(kernel: harness.Client) -> Iterator[Program]:
    held = Program(kernel)
    held.prompt()
    yield held
    kernel.late_allowed = True
    if kernel.usable() and held.process.poll() is None and not held.process.stdin.closed:
        held.send("delete\n")
        held.close()
    held.process.kill()
    held.process.wait()


def cell_of(text: str) -> int:
    return int(re.search(r"cell \[(\d+)\]", text)[1])


def test_a_cell_stops_at_its_first_statement_and_is_led_on(kernel: harness.Client, terminal: Program) -> None:
    assert terminal.do("start") == "the next cell stops at its first statement\n"
    terminal.send("wait\n")
    request = kernel.start_execute(COUNTER)
    said = terminal.prompt()
    n = cell_of(said)
    assert said == (
        f"stopped in cell [{n}] line 11, thread 'main' (start of the cell)\n->  11 | let counter = Counter {{ count: 4 }};\n"
    )
    assert re.fullmatch(rf"breakpoint \d+ at cell \[{n}\] line 6\n", terminal.do("b 6"))
    assert "line 12" in terminal.do("next")
    said = terminal.do("s")
    assert f"stopped in cell [{n}] line" in said and "in Counter::go" in said
    said = terminal.do("c")
    assert f"cell [{n}] line 6, in Counter::go, thread 'main' (breakpoint" in said
    assert terminal.do("p j") == "0\n"
    assert terminal.do("") == "0\n"
    assert terminal.do("p sum + 1") == "1\n"
    assert terminal.do("whatis j") == "u32\n"
    assert terminal.do("args") == "self: *Counter = Counter { count: 4 }\nfactor: u32 = 10\n"
    assert "sum: u32 = 0\n" in terminal.do("locals")
    where = terminal.do("where").splitlines()
    assert where[0] == f"> 0: cell [{n}] line 6, in Counter::go"
    assert where[1] == f"  1: cell [{n}] line 12"
    assert terminal.do("up").startswith(f"1: cell [{n}] line 12\n->  12 | let total")
    assert terminal.do("p counter.count") == "4\n"
    assert "outermost" in terminal.do("up")
    assert "line 6" in terminal.do("down")
    listed = terminal.do("list 1,3")
    assert [line[:8] for line in listed.splitlines()] == ["     1 |", "     2 |", "     3 |"]
    assert terminal.do("list").startswith("     4 |")
    assert "->   6 |" in terminal.do("list .")
    assert "cannot evaluate" in terminal.do("p nowhere")
    assert "'main'" in terminal.do("threads")
    terminal.do("delete")
    assert "line 12" in terminal.do("out")
    assert "line 13" in terminal.do("n")
    assert terminal.do("p total") == "60\n"
    assert terminal.do("c") == f"cell [{n}] is over\n"
    assert kernel.collect(request).expect_ok().stdout == "total 60\n"


def test_breakpoints_are_listed_disabled_and_counted(kernel: harness.Client, terminal: Program) -> None:
    kernel.run(COUNTER)
    n = int(kernel.execute("()").count) - 1
    assert terminal.do("break") == "no breakpoints\n"
    first = terminal.do(f"break {n}:6 if j == 2")
    number = int(re.fullmatch(rf"breakpoint (\d+) at cell \[{n}\] line 6\n", first)[1])
    second = int(terminal.do(f"b {n}:8").split()[1])
    once = int(terminal.do("tbreak go").split()[1])
    listed = terminal.do("break").splitlines()
    assert listed[0].split() == ["num", "kind", "enabled", "hits", "where"]
    assert listed[1].split()[:4] == [str(number), "keep", "yes", "0"]
    assert listed[2].strip() == "stops only if j == 2"
    assert listed[4].split()[:4] == [str(once), "once", "yes", "0"]
    assert terminal.do(f"disable {second}") == f"breakpoint {second} disabled\n"
    assert f"{second}  keep  no" in terminal.do("b")
    terminal.send("wait\n")
    request = kernel.start_execute("Counter { count: 5 }.go(1)")
    assert f"cell [{n}] line" in terminal.prompt()
    assert terminal.do("c").count(f"(breakpoint {number})") == 1
    assert terminal.do("p j") == "2\n"
    assert terminal.do(f"condition {number}") == ""
    terminal.do(f"ignore {number} 1")
    assert f"(breakpoint {number})" in terminal.do("c")
    assert terminal.do("p j") == "4\n"
    # The one that stops once is gone.
    assert "once" not in terminal.do("b")
    terminal.do(f"enable {second}")
    assert f"(breakpoint {second})" in terminal.do("c")
    assert terminal.do(f"delete {number} {second}") == f"breakpoint {number} deleted\nbreakpoint {second} deleted\n"
    assert "is over" in terminal.do("c")
    assert kernel.collect(request).expect_ok().text == "10"
    for command, part in [
        ("break 99:1", "there is no cell [99]"),
        (f"break {n}:77", "has 13 lines"),
        ("break what?", "neither a line nor a function"),
        ("disable 99", "there is no breakpoint 99"),
        ("disable", "of which breakpoint?"),
        ("frobnicate", "there is no such command"),
        ("next", "nothing is stopped"),
        ("print", "nothing is stopped"),
    ]:
        said = terminal.do(command)
        assert part in said and "\nwhy: " in said and "\ndo:  " in said, said


def test_help_knows_every_command(terminal: Program) -> None:
    said = terminal.do("help")
    names = [line.split()[0] for line in said.splitlines()[:-1]]
    assert len(names) >= 28 and len(set(names)) == len(names)
    for name in names:
        assert terminal.do(f"h {name}").startswith(name)
    assert "there is no such command" in terminal.do("help xyzzy")


def test_until_leaves_a_loop(kernel: harness.Client, terminal: Program) -> None:
    code = "let mut sum = 0u32;\nfor n in 0..3u32 {\n    sum += n;\n}\nlet twice = sum * 2;\nprintln!(\"{twice}\");"
    terminal.do("start")
    terminal.send("wait\n")
    request = kernel.start_execute(code)
    terminal.prompt()
    assert "line 3" in terminal.do("n 2")
    assert "line 5" in terminal.do("until 5")
    assert terminal.do("p sum") == "3\n"
    assert "line 6" in terminal.do("unt")
    assert "is over" in terminal.do("c")
    assert kernel.collect(request).expect_ok().stdout == "6\n"


def test_threads_are_looked_at_one_by_one(kernel: harness.Client, terminal: Program) -> None:
    code = """let gate = Arc::new(std::sync::Barrier::new(4));
let begun = Arc::new(std::sync::atomic::AtomicU32::new(0));
let handles: Vec<_> = (1..=3u64).map(|number| {
    let (gate, begun) = (Arc::clone(&gate), Arc::clone(&begun));
    std::thread::Builder::new().name(format!("Thread#{number}")).spawn(move || {
        let square = number * number;
        begun.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        gate.wait();
        square
    }).unwrap()
}).collect();
while begun.load(std::sync::atomic::Ordering::SeqCst) < 3 {}
gate.wait();
handles.into_iter().map(|handle| handle.join().unwrap()).sum::<u64>()"""
    terminal.do("start")
    terminal.send("wait\n")
    request = kernel.start_execute(code)
    terminal.prompt()
    terminal.do("tbreak 13")
    assert "line 13, thread 'main'" in terminal.do("c")
    said = terminal.do("threads")
    assert all(f"'Thread#{number}'" in said for number in (1, 2, 3)), said
    assert "thread 'Thread#2'" in terminal.do("thread Thread#2")
    assert "there is none" in terminal.do("thread nobody")
    assert "thread 'main'" in terminal.do("thread main")
    assert "is over" in terminal.do("c")
    assert kernel.collect(request).expect_ok().text == "14"


def test_a_cell_that_runs_is_paused_and_ended(kernel: harness.Client, terminal: Program) -> None:
    request = kernel.start_execute('println!("begun");\nloop { std::hint::black_box(()); }')
    kernel.wait_printed(request, "begun")
    terminal.process.send_signal(signal.SIGINT)
    assert "stopped in cell" in terminal.read_until("|")
    terminal.prompt()
    assert "is being ended" in terminal.do("interrupt")
    kernel.collect(request).expect_error("Interrupted")
    assert kernel.run("1 + 1").text == "2"


def test_the_front_end_sees_the_same_breakpoints(kernel: harness.Client, terminal: Program) -> None:
    front = dap.Debugger(kernel)
    front.dump(COUNTER)
    kernel.run(COUNTER)
    terminal.do("b go")
    (source,) = front.ask("debugInfo")["breakpoints"]
    assert source["source"] == front.dump(COUNTER) and source["breakpoints"] == [{"line": 3}]
    front.set_breakpoints(COUNTER, 8)
    assert "line 8" in terminal.do("b") and "line 3" not in terminal.do("b")
    assert front.ask("debugInfo")["isStarted"] is True


@pytest.mark.parametrize("by", ["process", "file", "nothing there"])
def test_a_kernel_is_found(kernel: harness.Client, by: str) -> None:
    if by == "nothing there":
        words = [kernel.process.spec.argv[0], "debug", "--attach", "no-such-kernel"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=20)
        assert done.returncode != 0 and "no kernel no-such-kernel runs" in done.stderr and "do:" in done.stderr
        assert str(kernel.process.pid) in done.stderr
        return
    name = str(kernel.process.pid) if by == "process" else kernel.process.connection_file
    program = Program(kernel, name)
    said = program.prompt()
    assert f"kernel {kernel.process.pid}" in said and "the debugger is on now" in said
    program.send("q\n")
    program.close()
    assert dap.Debugger(kernel).ask("debugInfo")["isStarted"] is False


def test_who_leaves_lets_the_cell_go_on(kernel: harness.Client, terminal: Program) -> None:
    terminal.do("start")
    terminal.send("wait\n")
    request = kernel.start_execute("let n = 5;\nbreakpoint!();\nprintln!(\"{n}\");")
    terminal.prompt()
    terminal.send("q\n")
    terminal.close()
    assert kernel.collect(request).expect_ok().stdout == "5\n"


def test_a_second_terminal_is_told_that_there_is_one(kernel: harness.Client, terminal: Program) -> None:
    second = Program(kernel)
    said = second.rest()
    assert "somebody is here already" in said and "do:" in said
    second.close()
    assert "nothing is stopped" in terminal.do("where")


# ---- the port


@pytest.fixture
def door(kernel: harness.Client) -> Iterator[tuple[int, str]]:
    yield listen(kernel)
    if kernel.usable():
        kernel.run("%debug off")


def test_the_port_wants_the_token(kernel: harness.Client, door: tuple[int, str]) -> None:
    port, token = door
    for wrong in (b"\n", b"GET / HTTP/1.1\r\n\r\n", b"\xff\xfd\x01\x00\x80junk\n", b"x" * 5000 + b"\n", token[:-1].encode() + b"\n"):
        with closing(Plain(port)) as client:
            client.read_until("token: ")
            client.send(wrong)
            said = client.rest()
            assert "refused" in said or said == "", said
    assert "a terminal was refused: wrong token (5 so far)" in kernel.process.log_tail()
    with closing(Plain(port)) as client:
        client.send(token + "\r\n")
        assert "wrong tokens since the last right one: 5\n" in client.prompt()
        assert "nothing is stopped" in client.do("where")
        second = Plain(port)
        second.send(token + "\n")
        assert "somebody is here already" in second.rest()
        second.close()


def test_a_plain_client_debugs(kernel: harness.Client, door: tuple[int, str]) -> None:
    port, token = door
    with closing(Plain(port)) as client:
        client.send(token + "\n")
        client.prompt()
        client.send("wait\n")
        request = kernel.start_execute("let numbers = 0..3;\nbreakpoint!();\nfor n in numbers {\n    println!(\"{n}\");\n}\nlet end = 1;")
        said = client.prompt()
        assert "line 2, thread 'main' (breakpoint!())" in said
        # The telnet way to interrupt, an unknown byte, a line without end: none of it does harm.
        client.send(b"\xff\xf1" + b"y" * 100_000 + b"\n")
        assert "this line is too long" in client.read_until("do:")
        assert "->   2 |" in client.do("list 2,2")
        client.send("c\n")
        assert "is over" in client.prompt()
        assert kernel.collect(request).expect_ok().stdout == "0\n1\n2\n"


def test_who_says_nothing_is_in_nobodys_way(kernel: harness.Client, door: tuple[int, str]) -> None:
    port, token = door
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(4)]
    gone = socket.create_connection(("127.0.0.1", port))
    gone.close()
    with closing(Plain(port)) as client:
        client.send(token + "\n")
        client.prompt()
        assert kernel.run("1 + 1").text == "2"
    for one in silent:
        one.close()


def test_a_closed_port_is_closed(kernel: harness.Client) -> None:
    port, _ = listen(kernel)
    kernel.run("%debug --close")
    with pytest.raises(ConnectionError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
    assert "no port is open" in kernel.run("%debug --close").stdout
    kernel.run("%debug off")


# ---- whatever happens meanwhile


def test_a_killed_debugger_is_told_and_comes_back(kernel: harness.Client, terminal: Program) -> None:
    terminal.do("start")
    terminal.send("wait\n")
    request = kernel.start_execute("let n = 5;\nlet m = n + 1;\nprintln!(\"{m}\");")
    terminal.prompt()
    (adapter,) = adapters(kernel)
    adapter.kill()
    assert "the debugger is off" in terminal.read_until("do:")
    terminal.prompt()
    assert kernel.collect(request).expect_ok().stdout == "6\n"
    assert "the debugger is on" in terminal.do("attach")
    terminal.do("start")
    terminal.send("wait\n")
    request = kernel.start_execute("let k = 1;\nk")
    assert "line 1" in terminal.prompt()
    terminal.do("c")
    kernel.collect(request).expect_ok()


def test_an_interrupt_ends_a_cell_that_a_terminal_has_stopped(kernel: harness.Client, terminal: Program) -> None:
    terminal.do("start")
    terminal.send("wait\n")
    request = kernel.start_execute("let n = 5;\nloop {\n    std::hint::black_box(n);\n}")
    terminal.prompt()
    kernel.interrupt()
    kernel.collect(request).expect_error("Interrupted")
    assert "is over" in terminal.read_until("is over")
    terminal.prompt()
    assert "nothing is stopped" in terminal.do("where")
    assert kernel.run("2 + 2").text == "4"


def test_a_worker_that_is_killed_is_followed_by_another(kernel: harness.Client, terminal: Program) -> None:
    worker = kernel.worker_pid()
    terminal.do("start")
    terminal.send("wait\n")
    request = kernel.start_execute("let n = 5;\nn")
    terminal.prompt()
    os.kill(worker, signal.SIGKILL)
    terminal.read_until("is over")
    terminal.prompt()
    kernel.collect(request).expect_error()
    assert "next cell stops" in terminal.do("start")
    terminal.send("wait\n")
    request = kernel.start_execute("let k = 6;\nk")
    assert "line 1" in terminal.read_until("let k = 6;")
    terminal.prompt()
    terminal.do("c")
    assert kernel.collect(request).expect_ok().text == "6"


def test_who_leaves_does_not_turn_off_what_the_front_end_has_turned_on(kernel: harness.Client, terminal: Program) -> None:
    front = dap.Debugger(kernel).start()
    terminal.send("q\n")
    terminal.close()
    assert front.ask("debugInfo")["isStarted"] is True
    front.stop()


@pytest.mark.parametrize("way", ["shut down", "restarted", "killed"])
def test_a_kernel_that_ends_ends_the_terminal(start_kernel, way: str) -> None:
    kernel = start_kernel()
    program = Program(kernel)
    program.prompt()
    program.do("start")
    program.send("wait\n")
    kernel.start_execute("let n = 5;\nloop {\n    std::hint::black_box(n);\n}")
    program.prompt()
    family = kernel.process.descendants()
    if way == "killed":
        kernel.process.process.kill()
    else:
        kernel.shutdown(restart=way == "restarted")
    program.rest()
    assert program.process.wait(20) == 0
    assert not harness.still_there(family, 10.0)


# ---- commands in the cell


def test_a_cell_runs_by_commands(kernel: harness.Client) -> None:
    kernel.late_allowed = True
    code = '%%debug --commands "b 4; c; p n"\nlet mut seen = 0;\nfor n in 0..3 {\n    seen += n;\n}\n//fdb c\n//fdb p n\n//fdb q\nprintln!("seen {seen}");'
    said = kernel.run(code).stdout
    lines = [line for line in said.splitlines() if not line.startswith(("->", "stopped", "breakpoint"))]
    assert lines == ["(fdb) b 4", "(fdb) c", "(fdb) p n", "0", "(fdb) c", "(fdb) p n", "1", "(fdb) q", "seen 3"]
    assert dap.Debugger(kernel).ask("debugInfo")["isStarted"] is False
    assert dap.Debugger(kernel).ask("debugInfo")["breakpoints"] == []


def test_commands_that_were_not_used_are_named(kernel: harness.Client) -> None:
    kernel.late_allowed = True
    said = kernel.run('%%debug --run --commands "p a; c"\nlet a = 1;').stdout
    assert said == "the cell is over; not used: p a; c\n"
    error = kernel.execute('%%debug --commands "c"\nlet a: u8 = "";').expect_error()
    assert "mismatched types" in error.traceback
    assert "no commands" in kernel.execute("%%debug\nlet a = 1;").expect_error("UsageError").traceback


def test_each_stop_comes_before_what_follows_it(kernel: harness.Client) -> None:
    kernel.late_allowed = True
    commands = "; ".join(["p j", "c"] * 10)
    said = kernel.run(f'%%debug --run --commands "{commands}"\nfor j in 0..10 {{\n    breakpoint!();\n    println!("j is {{j}}");\n}}').stdout
    order = re.findall(r"^(?:\d|j is \d)$", said, re.M)
    assert order == [text for j in range(10) for text in (f"{j}", f"j is {j}")]


def test_without_a_debugger_the_error_says_what_to_install(start_kernel, tmp_path) -> None:
    import shutil

    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("cargo", "rustc", "rustup", "cc", "ld", "gcc", "ld.lld", "mold"):
        if found := shutil.which(name):
            (folder / name).symlink_to(found)
    kernel = start_kernel(env={"PATH": str(folder)})
    for code in ("%debug on", '%%debug --commands "c"\n1', "%debug --listen"):
        error = kernel.execute(code).expect_error("DebuggerError")
        assert "apt-get install lldb-19" in error.traceback and "why:" in error.traceback
