"""What a cell prints: at once, complete, in order, and under the cell that printed it."""

from __future__ import annotations

import pytest

from harness import Client, Gate, Result, rust_str


def shown(result: Result) -> list[tuple[str, str]]:
    """The outputs as (name, text), neighbours of the same stream joined."""
    joined: list[tuple[str, str]] = []
    for message in result.outputs:
        if message.type == "stream":
            name, text = message.content["name"], message.content["text"]
        else:
            name, text = message.type, message.content["data"].get("text/html", "").strip()
        if joined and joined[-1][0] == name and message.type == "stream":
            joined[-1] = (name, joined[-1][1] + text)
        else:
            joined.append((name, text))
    return joined


# ---- at once


def test_text_without_a_newline_arrives_while_the_cell_runs(kernel: Client, gate: Gate) -> None:
    request = kernel.start_execute(f'print!("no newline yet"); {gate.closed} println!(", now");')
    kernel.wait_printed(request, "no newline yet")
    gate.open()
    result = kernel.collect(request).expect_ok()
    result.equal(result.stdout, "no newline yet, now\n")


@pytest.mark.parametrize("stream", ["print", "eprint"])
def test_text_arrives_within_200_ms(kernel: Client, gate: Gate, stream: str) -> None:
    # The cell prints the time; the best of several counts, since the machine may be busy.
    request = kernel.start_execute(
        "use std::time::{Duration, SystemTime, UNIX_EPOCH};\n"
        "for _ in 0..8 {\n"
        f'    {stream}!("{{}} ", SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis());\n'
        "    std::thread::sleep(Duration::from_millis(300));\n"
        "}\n"
        f'{stream}!("end"); {gate.closed}'
    )
    name = "stdout" if stream == "print" else "stderr"
    kernel.wait_printed(request, "end", name=name)
    gate.open()
    result = kernel.collect(request).expect_ok()
    delays = [
        message.wall - int(word) / 1000
        for message in result.iopub
        if message.is_stream(name)
        for word in message.content["text"].split()
        if word.isdigit() and len(word) == 13
    ]
    assert delays and min(delays) < 0.2, result.story(f"seconds from printing to arrival: {delays}")


def test_child_process_output_arrives_while_the_cell_runs(kernel: Client, gate: Gate) -> None:
    script = f"echo first; while [ ! -e {gate.path} ]; do sleep 0.01; done; echo second"
    request = kernel.start_execute(
        f'std::process::Command::new("sh").arg("-c").arg({rust_str(script)}).status().unwrap();'
    )
    kernel.wait_printed(request, "first")
    gate.open()
    result = kernel.collect(request).expect_ok()
    result.equal(result.stdout, "first\nsecond\n")


# ---- in order


def test_stdout_and_stderr_keep_their_order(kernel: Client) -> None:
    result = kernel.run('for i in 0..20 { println!("out {i}"); eprintln!("err {i}"); }')
    wanted = [part for i in range(20) for part in (("stdout", f"out {i}\n"), ("stderr", f"err {i}\n"))]
    result.equal(shown(result), wanted, "the order")


def test_text_and_displays_keep_their_order(kernel: Client) -> None:
    result = kernel.run(
        'for i in 0..20 { print!("a{i}"); display(&Html::new(format!("<b>{i}</b>"))); eprint!("b{i}"); }'
    )
    wanted = [
        part for i in range(20) for part in (("stdout", f"a{i}"), ("display_data", f"<b>{i}</b>"), ("stderr", f"b{i}"))
    ]
    result.equal(shown(result), wanted, "the order")


def test_text_comes_before_the_result(kernel: Client) -> None:
    result = kernel.run('print!("text"); 42')
    result.equal([m.type for m in result.outputs], ["stream", "execute_result"])


def test_text_comes_before_the_error(kernel: Client) -> None:
    result = kernel.execute('println!("text"); panic!("then this");').expect_error("Panic")
    result.equal([m.type for m in result.outputs], ["stream", "error"])
    result.equal(result.stdout, "text\n")


def test_output_of_a_child_keeps_its_place(kernel: Client) -> None:
    result = kernel.run(
        'println!("before"); std::process::Command::new("echo").arg("child").status().unwrap(); println!("after");'
    )
    result.equal(result.stdout, "before\nchild\nafter\n")


# ---- complete


def test_bytes_that_are_not_utf8_are_marked(kernel: Client) -> None:
    result = kernel.run("use std::io::Write;\nstd::io::stdout().write_all(b\"a\\xffb\\n\").unwrap();")
    result.equal(result.stdout, "a\ufffdb\n")


def test_stderr_bytes_that_are_not_utf8_are_marked(kernel: Client) -> None:
    result = kernel.run("use std::io::Write;\nstd::io::stderr().write_all(b\"a\\xff\\xfeb\\n\").unwrap();")
    result.matches("^a\ufffd+b\n$", result.stderr)


def test_character_split_over_two_writes_is_whole(kernel: Client, gate: Gate) -> None:
    request = kernel.start_execute(
        "use std::io::Write;\n"
        "let mut out = std::io::stdout();\n"
        "out.write_all(b\"start \\xf0\\x9f\").unwrap(); out.flush().unwrap();\n"
        f"{gate.closed}\n"
        "out.write_all(b\"\\xa6\\x80 end\\n\").unwrap(); out.flush().unwrap();"
    )
    kernel.wait_printed(request, "start ")
    gate.open()
    result = kernel.collect(request).expect_ok()
    result.equal(result.stdout, "start \U0001f980 end\n")


def test_unfinished_character_at_the_end_is_marked(kernel: Client) -> None:
    result = kernel.run("use std::io::Write;\nstd::io::stdout().write_all(b\"cut \\xf0\\x9f\").unwrap(); std::io::stdout().flush().unwrap();")
    result.matches("^cut \ufffd+$", result.stdout)
    after = kernel.run('print!("next");')
    after.equal(after.stdout, "next", "the next cell's text")


def test_control_characters_are_passed_on(kernel: Client) -> None:
    result = kernel.run('print!("\\x1b[31mred\\x1b[0m\\ra\\tb\\u{0}c\\u{7}");')
    result.equal(result.stdout, "\x1b[31mred\x1b[0m\ra\tb\0c\x07")


def test_long_line_arrives_whole(kernel: Client) -> None:
    result = kernel.run('let line: String = (0..200_000).map(|i| char::from(b\'a\' + (i % 26) as u8)).collect(); println!("{line}");')
    wanted = "".join(chr(ord("a") + i % 26) for i in range(200_000)) + "\n"
    assert result.stdout == wanted, f"{len(result.stdout)} characters of {len(wanted)}"


def test_text_without_a_newline_at_the_end_stays_in_its_cell(kernel: Client) -> None:
    first = kernel.run('print!("no newline");')
    first.equal(first.stdout, "no newline")
    second = kernel.run('print!("second");')
    second.equal(second.stdout, "second")


def test_child_process_output_arrives(kernel: Client) -> None:
    result = kernel.run('std::process::Command::new("echo").arg("from a child").status().unwrap();')
    result.equal(result.stdout, "from a child\n")
    result = kernel.run('std::process::Command::new("sh").arg("-c").arg("echo to stderr >&2").status().unwrap();')
    result.equal(result.stderr, "to stderr\n")


def test_text_written_by_c_arrives(kernel: Client) -> None:
    result = kernel.run(
        'unsafe extern "C" { fn write(fd: i32, data: *const u8, length: usize) -> isize; }\n'
        'unsafe { write(1, b"from C\\n".as_ptr(), 7); write(2, b"from C\\n".as_ptr(), 7); }'
    )
    result.equal((result.stdout, result.stderr), ("from C\n", "from C\n"))


def test_dbg_goes_to_stderr(kernel: Client) -> None:
    result = kernel.run("let n = dbg!(6 * 7);")
    result.has("6 * 7 = 42", result.stderr, "stderr")


@pytest.mark.parametrize(
    "word",
    [
        "EVCXR_EXECUTION_COMPLETE",
        pytest.param("EVCXR_PANIC_NOTIFICATION", marks=pytest.mark.design),
        "EVCXR_ERROR_OCCURRED",
        "EVCXR_END_CONTENT",
        "EVCXR_VARIABLE_CHANGED_TYPE:x",
    ],
)
def test_words_of_the_engine_are_ordinary_text(kernel: Client, word: str) -> None:
    result = kernel.run(f'println!("{word}"); println!("after"); 42')
    result.equal(result.stdout, f"{word}\nafter\n")
    result.equal(result.text, "42")


def test_unfinished_block_is_not_lost(kernel: Client) -> None:
    result = kernel.run('println!("EVCXR_BEGIN_CONTENT text/html\\n<p>open");')
    result.has("<p>open", result.shown, "what is shown")
    after = kernel.run('println!("plain");')
    after.equal(after.stdout, "plain\n", "the next cell's text")


# ---- under the cell that printed it


def test_threads_that_are_joined_print_before_idle(kernel: Client) -> None:
    result = kernel.run(
        "let threads: Vec<_> = (0..8).map(|t| std::thread::spawn(move || for i in 0..200 { println!(\"{t} {i}\"); })).collect();\n"
        "for thread in threads { thread.join().unwrap(); }"
    )
    lines = result.stdout.splitlines()
    result.equal(len(lines), 1600, "number of lines")
    for thread in range(8):
        mine = [line for line in lines if line.startswith(f"{thread} ")]
        result.equal(mine, [f"{thread} {i}" for i in range(200)], f"the lines of thread {thread}")
    kernel.settle()


def test_nothing_of_a_cell_comes_after_its_idle(kernel: Client) -> None:
    for round_ in range(10):
        result = kernel.run(f'for i in 0..500 {{ println!("{round_} {{i}}"); eprint!("."); }}')
        result.equal(len(result.stdout.splitlines()), 500, "number of lines")
        result.equal(result.stderr, "." * 500, "stderr")
        kernel.settle()


def test_thread_of_an_earlier_cell_prints_under_that_cell(kernel: Client, new_gate) -> None:
    kernel.late_allowed = True
    second_runs, thread_printed = new_gate(), new_gate()
    first = kernel.run(
        "let early = std::thread::spawn(|| {\n"
        f'    {second_runs.closed}\n    println!("from the first cell");\n    {thread_printed.opening}\n'
        "});"
    )
    second = kernel.run(f'println!("second cell"); {second_runs.opening} {thread_printed.closed} println!("still second");')
    kernel.run("early.join().unwrap();")
    kernel.fence()
    of_first = "".join(m.content["text"] for m in kernel.by_parent[first.id] if m.type == "stream")
    of_second = "".join(m.content["text"] for m in kernel.by_parent[second.id] if m.type == "stream")
    second.equal(of_first, "from the first cell\n", "text under the first cell")
    second.equal(of_second, "second cell\nstill second\n", "text under the second cell")


def test_thread_prints_under_its_cell_while_no_cell_runs(kernel: Client, gate: Gate) -> None:
    kernel.late_allowed = True
    first = kernel.run(f'let idle_printer = std::thread::spawn(|| {{ {gate.closed} println!("nobody runs"); }});')
    gate.open()
    kernel.wait_message(lambda m: m.is_stream("stdout") and "nobody runs" in m.content["text"], 10, "the thread's text", first.id)
    kernel.run("idle_printer.join().unwrap();")


def test_thread_started_by_a_thread_belongs_to_the_same_cell(kernel: Client, gate: Gate) -> None:
    kernel.late_allowed = True
    first = kernel.run(
        "let outer = std::thread::spawn(|| std::thread::spawn(|| { "
        f'{gate.closed} println!("grandchild"); }}).join().unwrap());'
    )
    second = kernel.run(f"{gate.opening} outer.join().unwrap();")
    kernel.fence()
    of_first = "".join(m.content["text"] for m in kernel.by_parent[first.id] if m.type == "stream")
    second.equal(of_first, "grandchild\n", "text under the first cell")
