"""Asking the reader: `input`, `password`, and plain reading from stdin."""

from __future__ import annotations

import pytest

from harness import Client


def test_input_asks_and_returns_the_answer(kernel: Client) -> None:
    result = kernel.execute('let name = input("name? ")?; println!("hello, {name}");', answers=["Ada"]).expect_ok()
    result.equal(result.stdout, "hello, Ada\n")
    asked = result.inputs[0].content
    result.equal((asked["prompt"], bool(asked["password"])), ("name? ", False))


def test_password_is_asked_as_a_password(kernel: Client) -> None:
    result = kernel.execute('let secret = password("word: ")?; println!("{}", secret.len());', answers=["hush"]).expect_ok()
    result.equal(result.stdout, "4\n")
    asked = result.inputs[0].content
    result.equal((asked["prompt"], bool(asked["password"])), ("word: ", True))


def test_several_inputs_are_asked_one_after_the_other(kernel: Client) -> None:
    result = kernel.execute(
        'let a = input("a: ")?; println!("got {a}"); let b = input("b: ")?; println!("got {b}");', answers=["1", "2"]
    ).expect_ok()
    result.equal(result.stdout, "got 1\ngot 2\n")
    result.equal([m.content["prompt"] for m in result.inputs], ["a: ", "b: "])


@pytest.mark.parametrize("answer", ["", "  spaces  ", "🦀 ünï", "a\\b\"c", "x" * 20_000])
def test_answer_arrives_unchanged(kernel: Client, answer: str) -> None:
    result = kernel.execute('let answer = input("? ")?; println!("[{answer}]");', answers=[answer]).expect_ok()
    result.equal(result.stdout, f"[{answer}]\n")


def test_text_printed_before_is_shown_before_the_question(kernel: Client) -> None:
    request = kernel.start_execute('print!("first "); let _ = input("then? ")?;', allow_stdin=True)
    kernel.wait_message(lambda m: m.type == "input_request", 40, "input_request", request)
    kernel.wait_printed(request, "first ")
    kernel.collect(request, answers=["x"]).expect_ok()


def test_reading_a_line_from_stdin_asks(kernel: Client) -> None:
    result = kernel.execute(
        "let mut line = String::new();\nlet n = std::io::stdin().read_line(&mut line)?;\nprintln!(\"{n} {line:?}\");",
        answers=["typed"],
    ).expect_ok()
    result.equal(result.stdout, '6 "typed\\n"\n')
    result.equal(bool(result.inputs[0].content["password"]), False)


def test_reading_two_lines_from_stdin_asks_twice(kernel: Client) -> None:
    result = kernel.execute(
        "let mut text = String::new();\n"
        "std::io::stdin().read_line(&mut text)?;\nstd::io::stdin().read_line(&mut text)?;\nprintln!(\"{text:?}\");",
        answers=["one", "two"],
    ).expect_ok()
    result.equal(result.stdout, '"one\\ntwo\\n"\n')


def test_input_is_refused_if_the_front_end_cannot_ask(kernel: Client) -> None:
    result = kernel.execute('let name = input("name? ")?;', allow_stdin=False).expect_error()
    result.matches(r"(?i)input|stdin", result.evalue, "evalue")
    result.equal([m.type for m in result.messages if m.channel == "stdin"], [], "messages on stdin")


def test_reading_stdin_does_not_hang_if_the_front_end_cannot_ask(kernel: Client) -> None:
    result = kernel.execute(
        "let mut line = String::new();\nstd::io::stdin().read_line(&mut line)?;\nline.len()", allow_stdin=False
    )
    assert result.status == "error" or result.text == "0", result.story("something was read")


def test_kernel_answers_while_a_cell_waits_for_input(kernel: Client) -> None:
    request = kernel.start_execute('let _ = input("wait ")?;', allow_stdin=True)
    kernel.wait_message(lambda m: m.type == "input_request", 40, "input_request", request)
    kernel.kernel_info("control", timeout=2)
    kernel.collect(request, answers=["on"]).expect_ok()


def test_waiting_for_input_can_be_interrupted(kernel: Client) -> None:
    request = kernel.start_execute('let _ = input("wait ")?;', allow_stdin=True)
    kernel.wait_message(lambda m: m.type == "input_request", 40, "input_request", request)
    kernel.interrupt().expect_ok()
    kernel.collect(request, unanswered=True).expect_error("Interrupted")
    after = kernel.run("20 + 22")
    after.equal(after.text, "42")
