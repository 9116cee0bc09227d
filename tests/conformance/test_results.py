"""What a cell shows: the richest form that the type has, and nothing for `()`."""

from __future__ import annotations

import base64
import json

import pytest

from harness import Client, Result, squeezed

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("6 * 7", "42"),
        ("1.5f32", "1.5"),
        ("'c'", "'c'"),
        ('"text"', '"text"'),
        ('String::from("text")', '"text"'),
        ("(1, true)", "(1,true)"),
        ("vec![1, 2, 3]", "[1,2,3]"),
        ("Some(5)", "Some(5)"),
        ("&7", "7"),
        ("{ let a = 2; a * 2 }", "4"),
        ("if true { 1 } else { 2 }", "1"),
        ("match 3 { 3 => 'y', _ => 'n' }", "'y'"),
        ("Ok::<i32, String>(1)", "Ok(1)"),
        ("let x = 20;\nx + 1", "21"),
        ("u128::MAX", "340282366920938463463374607431768211455"),
    ],
)
def test_last_expression_is_shown(kernel: Client, code: str, text: str) -> None:
    result = kernel.run(code)
    result.equal(squeezed(result.text), squeezed(text))
    result.equal([m.type for m in result.outputs], ["execute_result"])


@pytest.mark.parametrize("code", ["()", "let shown = 1;", "5;", "drop(1)", "pub fn nothing() {}", "use std::fmt;", "if true {}"])
def test_nothing_is_shown_without_a_value(kernel: Client, code: str) -> None:
    result = kernel.run(code)
    result.equal(result.outputs, [], "outputs")


def test_struct_is_shown_by_debug(kernel: Client) -> None:
    kernel.run("#[derive(Debug, Clone)] pub struct Planet { name: String, moons: u32 }")
    result = kernel.run('Planet { name: "Mars".into(), moons: 2 }')
    result.equal(squeezed(result.text), squeezed('Planet { name: "Mars", moons: 2 }'))


def test_large_value_is_shown_over_several_lines(kernel: Client) -> None:
    kernel.run("#[derive(Debug)] pub struct Wide { first_field: Vec<u64>, second_field: Vec<u64> }")
    result = kernel.run("Wide { first_field: vec![123456789; 10], second_field: vec![987654321; 10] }")
    result.has("\n", result.text, "the pretty form")
    result.has("second_field", result.text)


@pytest.mark.parametrize(
    ("definition", "code", "name"),
    [
        ("pub struct Opaque;", "Opaque", "Opaque"),
        ("pub struct Wrapper<T>(T);", "Wrapper(5u8)", "Wrapper"),
        ("", "|x: i32| x + 1", "closure"),
    ],
)
def test_value_without_debug_is_shown_by_its_type(kernel: Client, definition: str, code: str, name: str) -> None:
    if definition:
        kernel.run(definition)
    result = kernel.run(code)
    result.has(name, result.text, "the type's name")


# ---- rich forms


def test_evcxr_display_of_a_type_is_used(kernel: Client) -> None:
    kernel.run(
        "#[derive(Debug)] pub struct Colour(u8);\n"
        "impl Colour {\n"
        "    pub fn evcxr_display(&self) {\n"
        '        println!("EVCXR_BEGIN_CONTENT text/html\\n<b>{}</b>\\nEVCXR_END_CONTENT", self.0);\n'
        "    }\n}"
    )
    result = kernel.run("Colour(7)")
    result.equal(result.result.get("text/html", "").strip(), "<b>7</b>", "text/html of the result")
    result.equal([m.type for m in result.outputs], ["execute_result"])


def test_evcxr_display_may_give_several_forms(kernel: Client) -> None:
    kernel.run(
        "pub struct Both;\nimpl Both {\n    pub fn evcxr_display(&self) {\n"
        '        println!("EVCXR_BEGIN_CONTENT text/html\\n<i>b</i>\\nEVCXR_END_CONTENT");\n'
        '        println!("EVCXR_BEGIN_CONTENT text/plain\\nb\\nEVCXR_END_CONTENT");\n    }\n}'
    )
    result = kernel.run("Both")
    result.has("text/html", str(result.result or result.displays), "the forms")
    result.has("text/plain", str(result.result or result.displays), "the forms")


SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"><circle r="2"/></svg>'


@pytest.mark.parametrize(
    ("code", "mime", "data"),
    [
        ('Html("<b>x</b>".into())', "text/html", "<b>x</b>"),
        ('Html::new("<b>x</b>")', "text/html", "<b>x</b>"),
        (f"Svg({json.dumps(SVG)}.into())", "image/svg+xml", SVG),
        ('Markdown("**x**".into())', "text/markdown", "**x**"),
        ('Latex("$x^2$".into())', "text/latex", "$x^2$"),
    ],
)
def test_rich_type_is_shown_in_its_form(kernel: Client, code: str, mime: str, data: str) -> None:
    result = kernel.run(code)
    result.equal(result.result.get(mime, "").strip(), data, mime)


def test_json_is_sent_as_an_object(kernel: Client) -> None:
    result = kernel.run('Json("{\\"a\\": [1, 2]}".into())')
    result.equal(result.result.get("application/json"), {"a": [1, 2]}, "application/json")


def test_png_is_sent_in_base64(kernel: Client) -> None:
    listed = ", ".join(str(byte) for byte in PIXEL)
    result = kernel.run(f"Png(vec![{listed}])")
    result.equal(base64.b64decode(result.result.get("image/png", "")), PIXEL, "image/png")


def test_rich_type_in_a_variable_is_shown(kernel: Client) -> None:
    kernel.run('let page = Html("<p>kept</p>".to_string());')
    result = kernel.run("page")
    result.equal(result.result.get("text/html", "").strip(), "<p>kept</p>", "text/html")


# ---- displays


def forms(result: Result) -> list[tuple[str, str]]:
    return [(m.type, m.content["data"].get("text/html", "").strip()) for m in result.of_type("display_data", "update_display_data")]


def test_display_shows_at_once_and_in_order(kernel: Client) -> None:
    result = kernel.run('display(&Html::new("1")); display(&Html::new("2")); 3')
    result.equal([m.type for m in result.outputs], ["display_data", "display_data", "execute_result"])
    result.equal([html for _, html in forms(result)], ["1", "2"])


def test_two_printed_blocks_are_two_displays(kernel: Client) -> None:
    block = 'println!("EVCXR_BEGIN_CONTENT text/html\\n<p>{}</p>\\nEVCXR_END_CONTENT", {n});'
    result = kernel.run("\n".join(block.replace("{n}", str(n)) for n in (1, 2)))
    result.equal(forms(result), [("display_data", "<p>1</p>"), ("display_data", "<p>2</p>")])
    result.equal(result.stdout.strip(), "", "stdout")


def test_text_around_printed_blocks_keeps_its_place(kernel: Client) -> None:
    result = kernel.run(
        'println!("before");\n'
        'println!("EVCXR_BEGIN_CONTENT text/html\\n<p>1</p>\\nEVCXR_END_CONTENT");\n'
        'println!("after");'
    )
    result.equal([m.type for m in result.outputs], ["stream", "display_data", "stream"])
    result.equal(result.stdout, "before\nafter\n")


def test_printed_block_may_have_many_lines(kernel: Client) -> None:
    result = kernel.run('println!("EVCXR_BEGIN_CONTENT text/html\\n<ul>\\n<li>1\\n</ul>\\nEVCXR_END_CONTENT");')
    result.equal(forms(result), [("display_data", "<ul>\n<li>1\n</ul>")])


def test_handle_updates_its_display(kernel: Client) -> None:
    result = kernel.run('let h = display_handle(&Html::new("a")); h.update(&Html::new("b"));')
    result.equal(forms(result), [("display_data", "a"), ("update_display_data", "b")])
    ids = [m.content["transient"]["display_id"] for m in result.outputs]
    assert ids[0] and ids[0] == ids[1], result.story(f"display ids {ids}")


def test_handle_updates_from_a_later_cell(kernel: Client) -> None:
    first = kernel.run('let later = display_handle(&Html::new("a"));')
    second = kernel.run('later.update(&Html::new("b"));')
    second.equal(forms(second), [("update_display_data", "b")])
    assert (
        first.outputs[0].content["transient"]["display_id"] == second.outputs[0].content["transient"]["display_id"]
    ), second.story("the display id changed")


def test_two_handles_have_ids_of_their_own(kernel: Client) -> None:
    result = kernel.run('let one = display_handle(&Html::new("1")); let two = display_handle(&Html::new("2"));')
    ids = {m.content["transient"]["display_id"] for m in result.outputs}
    result.equal(len(ids), 2, "number of display ids")


@pytest.mark.parametrize("wait", [True, False])
def test_output_can_be_cleared(kernel: Client, wait: bool) -> None:
    result = kernel.run(f'println!("old"); clear_output({str(wait).lower()}); println!("new");')
    result.equal([m.type for m in result.outputs], ["stream", "clear_output", "stream"])
    result.equal(result.outputs[1].content["wait"], wait, "wait")
