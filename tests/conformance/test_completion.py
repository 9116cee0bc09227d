"""Completion, inspection, and whether a cell is complete: with and without a running cell."""

from __future__ import annotations

import pytest

from harness import Client, Gate, Result, plain

# ---- completion


def complete(kernel: Client, marked: str, timeout: float = 20) -> tuple[Result, list[str]]:
    """Complete at the `|` and return what the cell's text would become with each match.

    Whether a function's match has its parentheses is left to the kernel; here they are taken off.
    """
    cursor = marked.index("|")
    code = marked.replace("|", "", 1)
    result = kernel.complete(code, cursor, timeout).expect_ok()
    content = result.content
    start, end = content["cursor_start"], content["cursor_end"]
    assert 0 <= start <= end <= len(code), result.story("cursor_start and cursor_end lie outside the text")
    if content["matches"]:
        assert start <= cursor <= end, result.story("the cursor is outside what is replaced")
    return result, [code[:start] + bare(match) + code[end:] for match in content["matches"]]


def bare(match: str) -> str:
    return match.rstrip().removesuffix("()").removesuffix("(")


def offers(kernel: Client, marked: str, wanted: str) -> Result:
    """One of the matches makes the text `wanted`."""
    result, texts = complete(kernel, marked)
    assert wanted in texts, result.story(f"no match gives {wanted!r}; they give {texts[:40]}")
    return result


def test_methods_of_an_earlier_cells_variable_are_offered(kernel: Client) -> None:
    kernel.run("let mut numbers = vec![1, 2, 3];")
    offers(kernel, "numbers.pu|", "numbers.push")


def test_matches_are_text_to_insert(kernel: Client) -> None:
    kernel.run("let mut numbers = vec![1, 2, 3];")
    result, texts = complete(kernel, "numbers.|")
    assert len(texts) > 20, result.story("few methods of a vector")
    for match in result.content["matches"]:
        assert "…" not in match and "(" not in bare(match), result.story(f"label, not text: {match!r}")


def test_matches_are_not_repeated(kernel: Client) -> None:
    result, _ = complete(kernel, "String::|")
    matches = result.content["matches"]
    assert len(matches) > 5, result.story("few functions of String")
    assert len(matches) == len(set(matches)), result.story("a match occurs twice")


def test_matches_begin_with_what_is_typed(kernel: Client) -> None:
    kernel.run("let mut numbers = vec![1, 2, 3];")
    result, texts = complete(kernel, "numbers.pus|")
    assert texts, result.story("nothing is offered")
    for text in texts:
        assert text.startswith("numbers.pus"), result.story(f"{text!r} does not go on from what is typed")


@pytest.mark.parametrize(
    ("marked", "wanted"),
    [
        ("std::collections::HashM|", "std::collections::HashMap"),
        ("String::from_utf8_l|", "String::from_utf8_lossy"),
        ('let s = String::new(); s.is_em|', "let s = String::new(); s.is_empty"),
        ("let unmistakable = 1; unmist|", "let unmistakable = 1; unmistakable"),
        ("let a = 1;\nlet t = \"x\";\nt.to_upp|", "let a = 1;\nlet t = \"x\";\nt.to_uppercase"),
        ("fn f(word: &str) {\n    word.to_upp|\n}", "fn f(word: &str) {\n    word.to_uppercase\n}"),
    ],
)
def test_names_are_offered(kernel: Client, marked: str, wanted: str) -> None:
    offers(kernel, marked, wanted)


def test_own_items_are_offered(kernel: Client) -> None:
    kernel.run("pub struct Engine { pub cylinders: u32 }\nimpl Engine { pub fn horsepower(&self) -> u32 { self.cylinders * 10 } }\npub fn build_engine() -> Engine { Engine { cylinders: 4 } }\nlet engine = build_engine();")
    offers(kernel, "build_en|", "build_engine")
    offers(kernel, "engine.cyl|", "engine.cylinders")
    offers(kernel, "engine.horse|", "engine.horsepower")


@pytest.mark.parametrize("before", ["", '"🦀🦀"; ', '"ünï"; ', "/* 👨‍👩‍👧‍👦 */ "])
def test_cursor_counts_code_points(kernel: Client, before: str) -> None:
    kernel.run("let mut numbers = vec![1, 2, 3];")
    result = offers(kernel, f"{before}numbers.pu|", f"{before}numbers.push")
    result.equal(result.content["cursor_start"], len(before) + len("numbers."), "cursor_start")
    result.equal(result.content["cursor_end"], len(before) + len("numbers.pu"), "cursor_end")


def test_text_behind_the_cursor_is_kept(kernel: Client) -> None:
    kernel.run("let mut numbers = vec![1, 2, 3];")
    offers(kernel, 'numbers.pu|; println!("🦀");', 'numbers.push; println!("🦀");')


def test_matches_have_types(kernel: Client) -> None:
    kernel.run("let mut numbers = vec![1, 2, 3];")
    result = offers(kernel, "numbers.pu|", "numbers.push")
    typed = result.content["metadata"]["_jupyter_types_experimental"]
    result.equal([entry["text"] for entry in typed], result.content["matches"], "the text of the typed matches")
    for entry in typed:
        assert entry["type"], result.story(f"no type: {entry}")
        result.equal((entry["start"], entry["end"]), (result.content["cursor_start"], result.content["cursor_end"]))


@pytest.mark.parametrize(
    ("marked", "wanted"),
    [("%wh|", "%who"), ("%wh|", "%whos"), ("%lsm|", "%lsmagic"), ("%%wri|", "%%writefile"), ("%%ti|", "%%time"), ("let a = 1;\n%wh|", "let a = 1;\n%who")],
)
def test_magics_are_offered(kernel: Client, marked: str, wanted: str) -> None:
    offers(kernel, marked, wanted)


def test_commands_are_offered(kernel: Client) -> None:
    offers(kernel, ":de|", ":dep")


@pytest.mark.parametrize(("code", "cursor"), [("", 0), ("   ", 1), ("let", 0), ("abc", 99), ("🦀", 1), ("fn f( {", 5), ('"open', 5)])
def test_completing_anything_is_answered(kernel: Client, code: str, cursor: int) -> None:
    kernel.complete(code, cursor).expect_ok()


def test_completion_does_not_wait_for_a_running_cell(kernel: Client, gate: Gate) -> None:
    kernel.run("let mut numbers = vec![1, 2, 3];")
    request = kernel.start_execute(f'println!("started"); {gate.closed}')
    kernel.wait_printed(request, "started")
    complete(kernel, "numbers.pu|", timeout=2)
    kernel.inspect("Vec::new", timeout=2).expect_ok()
    assert kernel.is_complete("fn f() {").content["status"] == "incomplete"
    assert not gate.is_open()
    gate.open()
    kernel.collect(request).expect_ok()


# ---- inspection


def inspected(kernel: Client, marked: str, detail: int = 0) -> tuple[Result, str]:
    cursor = marked.index("|") if "|" in marked else len(marked)
    result = kernel.inspect(marked.replace("|", "", 1), cursor, detail).expect_ok()
    if not result.content["found"]:
        result.equal(result.content["data"], {}, "data of what was not found")
        return result, ""
    return result, plain(result.content["data"]["text/plain"])


@pytest.mark.parametrize("marked", ["Vec::new", "Vec::ne|w()", "let v: Vec<u8> = Vec::n|ew();", "let a = 1;\nVec::new|()"])
@pytest.mark.parametrize("detail", [0, 1])
def test_library_function_is_described(kernel: Client, marked: str, detail: int) -> None:
    result, text = inspected(kernel, marked, detail)
    result.has("fn new", text, "text/plain")
    result.has("Constructs a new", text, "text/plain")


def test_own_function_is_described_with_its_comment(kernel: Client) -> None:
    kernel.run("/// Doubles whatever it is given.\npub fn doubled(number: u64) -> u64 { number * 2 }")
    result, text = inspected(kernel, "doubled")
    result.has("Doubles whatever it is given.", text, "text/plain")
    result.has("number: u64", text, "text/plain")


def test_variable_is_described_by_its_type(kernel: Client) -> None:
    kernel.run("let described = vec![1u16];")
    result, text = inspected(kernel, "described")
    result.has("Vec<u16>", text, "text/plain")


def test_cursor_of_inspection_counts_code_points(kernel: Client) -> None:
    result, text = inspected(kernel, 'let crab = "🦀🦀🦀🦀"; Vec::n|ew();')
    result.has("fn new", text, "text/plain")


@pytest.mark.parametrize("marked", ["no_such_name_at_all", "|", "    |    ", "5 + |", "%%%"])
def test_nonsense_is_not_found(kernel: Client, marked: str) -> None:
    result, _ = inspected(kernel, marked)
    result.equal(result.content["found"], False, "found")


# ---- is it complete?


@pytest.mark.parametrize(
    "code",
    ["", "   ", "let x = 1;", "x + 1", "fn f() {}", "fn f() {\n    1;\n}", "// comment", "foo(1, 2)", "let s = \"{\";", "let c = '{';", "r#\"{\"#", "%who", "!echo hi", ":dep itoa = \"1\"", "?Vec::push", "struct S;", "match x { 1 => 2, _ => 3 }", "let s = \"two\nlines\";"],
)
def test_complete_code_is_complete(kernel: Client, code: str) -> None:
    result = kernel.is_complete(code)
    result.equal(result.content["status"], "complete", f"status of {code!r}")


@pytest.mark.parametrize(
    "code",
    ["fn f() {", "let x = ", "let x =\n", "foo(1,", "[1, 2,", "let s = \"open", "r#\"open\"", "/* open", "/* /* nested */", "if a {\n    b();\n} else {", "match x {\n    1 => 2,", "x +", "let x: Vec<", "#[derive(Debug)]", "fn f()", "struct S {\n    a: i32,"],
)
def test_unfinished_code_is_incomplete(kernel: Client, code: str) -> None:
    result = kernel.is_complete(code)
    result.equal(result.content["status"], "incomplete", f"status of {code!r}")
    assert set(result.content["indent"]) <= {" "}, result.story("indent is not made of spaces")


def test_indent_goes_one_step_deeper_in_a_block(kernel: Client) -> None:
    result = kernel.is_complete("fn f() {")
    result.equal(result.content["indent"], "    ", "indent")
    result = kernel.is_complete("fn f() {\n    if true {")
    result.equal(result.content["indent"], "        ", "indent")


@pytest.mark.parametrize("code", ["fn 1", ")", "let = 5;", "foo(]", "}", "let x = 5 5;", "fn f() { ) }"])
def test_wrong_code_is_invalid(kernel: Client, code: str) -> None:
    result = kernel.is_complete(code)
    result.equal(result.content["status"], "invalid", f"status of {code!r}")
