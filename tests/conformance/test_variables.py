"""A variable keeps its type, however it was defined, without the user writing it down."""

from __future__ import annotations

import pytest

from harness import Client


def types(kernel: Client, *names: str) -> list[str]:
    """What `:vars` says of some variables."""
    lines = kernel.run(":vars").text.splitlines()
    known = dict(line.split(": ", 1) for line in lines if ": " in line)
    return [known[name] for name in names]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("let plain = 5;", {"plain": "i32"}),
        ("let mut list = Vec::new(); list.push(1u8);", {"list": "Vec<u8>"}),
        ("let (one, mut two) = (1u8, vec!['x']); // a pair", {"one": "u8", "two": "Vec<char>"}),
        ("let (left, (right, _)) = (1.5, (true, 2));", {"left": "f64", "right": "bool"}),
        ("let (front, rear) = (1u8, 'x');\nfn between() {}\nlet behind = 2u16;", {"front": "u8", "rear": "char", "behind": "u16"}),
        ("let (front, rear) = (1u8, 'x');\n\n// about it\nfn last() {}\n", {"front": "u8", "rear": "char"}),
        ("struct Pair { x: i64, y: u16 }\nlet Pair { x, y: renamed } = Pair { x: 1, y: 2 };", {"x": "i64", "renamed": "u16"}),
        ("let [first, .., last] = [1u16, 2, 3];", {"first": "u16", "last": "u16"}),
        ("let Some(inside) = Some(3i64) else { panic!() };\nlet after_it = inside;", {"inside": "i64", "after_it": "i64"}),
        ("let whole @ 1..=9 = 5u8 else { panic!() };", {"whole": "u8"}),
        ("let later;\nlater = \"x\".len();", {"later": "usize"}),
        ("let gap: Vec<_> = vec![1u8];", {"gap": "Vec<u8>"}),
        ("let wrapped: Vec<\n    _,\n> = vec![1u8];\nlet below = 2u8;", {"wrapped": "Vec<u8>", "below": "u8"}),
        ("let same = 1; let same = \"text\".to_string();", {"same": "String"}),
        ("fn make<T: Default>() -> T { T::default() }\nlet made: u8 = make(); let named = make::<String>();", {"made": "u8", "named": "String"}),
        ("struct Mine<T>(T);\nlet mine = Mine(1u8);", {"mine": "Mine<u8>"}),
        ("let boxed: Box<dyn Fn(i32) -> i32> = Box::new(|x| x + 1);", {"boxed": "Box<dyn Fn(i32) -> i32>"}),
        ("let words = \"a b\".split(' ');", {"words": "std::str::Split<'_, char>"}),
        ("let function = str::len;", {"function": "fn(&str) -> usize"}),
        ("let summed = (0..4u64).into_par_iter().map(|x| x * 2).sum::<u64>();", {"summed": "u64"}),
        ("let id = unsafe { forkline::libc::getpid() };", {"id": "i32"}),
        ("macro_rules! forty_two { () => { 42u64 } }\nlet answer = forty_two!();", {"answer": "u64"}),
        ("let commented /* a */ = /* b */ 1u8;", {"commented": "u8"}),
    ],
)
def test_types_are_found_out(kernel: Client, cell: str, expected: dict[str, str]) -> None:
    kernel.run(cell)
    assert dict(zip(expected, types(kernel, *expected), strict=True)) == expected
    # And the variable can be used, whatever its pattern was.
    for name in expected:
        kernel.run(f"let _ = &{name};")


def test_a_closure_says_what_to_do(start_kernel) -> None:
    kernel = start_kernel()
    result = kernel.execute("let add = |x: i32| x + 1;").expect_error("EngineError")
    result.has("is a closure, which cannot be persisted", result.evalue)
    result = kernel.execute("let (one, add) = (1, |x: i32| x);").expect_error("EngineError")
    result.has("is a closure, which cannot be persisted", result.evalue)


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ("fn count() -> impl Iterator<Item = u8> { 0..3 }\nlet numbers = count();", "impl Iterator<Item = u8>"),
        ("let future = async { 1 };", "impl Future<Output = i32>"),
        ("let mapped = (0..3).map(|x| x + 1);", "std::iter::Map<std::ops::Range<i32>, impl FnMut(i32) -> i32>"),
    ],
)
def test_a_type_without_a_name_is_told(kernel: Client, cell: str, kind: str) -> None:
    result = kernel.execute(cell).expect_error("EngineError")
    result.has(f"has type `{kind}` which cannot be persisted", result.evalue)


@pytest.mark.parametrize(
    ("cell", "code", "message", "marked"),
    [
        ("let before = 1; let wrong = undefined;", "E0425", "cannot find value `undefined`", "undefined"),
        ('let before = 1; let wrong: u8 = "text"; let behind = 2;', "E0308", "mismatched types", '"text"'),
        ("let q = nothing.iter().map(|x| x).collect();", "E0425", "cannot find value `nothing`", "nothing"),
        ('let x = if true { 1 } else { "text" };', "E0308", "`if` and `else` have incompatible types", '"text"'),
        ("let (a, b) = (1, 2); let c = a + undefined;", "E0425", "cannot find value `undefined`", "undefined"),
        ("let unknown = Vec::new();", "E0282", "type annotations needed", "Vec"),
    ],
)
def test_errors_are_those_of_the_cell_as_written(
    kernel: Client, cell: str, code: str, message: str, marked: str
) -> None:
    result = kernel.execute(cell).expect_error(code)
    result.has(message, result.evalue)
    lines = result.traceback.splitlines()
    quoted = next(i for i, line in enumerate(lines) if cell in line)
    column = lines[quoted].index(marked)
    assert lines[quoted + 1][column] in "^-", result.story(f"no mark under {marked!r}")
    assert "/*" not in result.traceback, result.story("what was written in for evcxr is shown")


@pytest.mark.parametrize("pattern", ["escaping = &local", "(escaping, other) = (&local, 1)"])
def test_a_reference_to_a_local_is_marked_where_its_name_is(kernel: Client, pattern: str) -> None:
    cell = f"let local = 5; let {pattern};"
    result = kernel.execute(cell).expect_error("CompileError")
    result.has("contains a reference with a non-static lifetime", result.evalue)
    lines = result.traceback.splitlines()
    quoted = next(i for i, line in enumerate(lines) if cell in line)
    assert lines[quoted + 1][lines[quoted].index("escaping")] == "^"


def test_types_of_dependencies_follow_their_versions(start_kernel) -> None:
    kernel = start_kernel()
    kernel.execute(':dep itoa = "1"\nlet mut buffer = itoa::Buffer::new();', timeout=100).expect_ok()
    assert types(kernel, "buffer") == ["itoa::Buffer"]
    kernel.execute(':dep itoa = "0.4"\nlet older = itoa::Buffer::new();', timeout=100).expect_ok()
    assert types(kernel, "older") == ["itoa::Buffer"]
    kernel.run(":clear")
    kernel.run("let fresh = vec![1u8];")
    assert types(kernel, "fresh") == ["Vec<u8>"]


def test_documentation_is_shown_by_evcxrs_command(kernel: Client) -> None:
    result = kernel.run(":doc Vec::push")
    result.has("Appends an element", result.text)
    assert kernel.run(":doc no_such_name_anywhere").text.strip() == "No documentation found"


def test_panics_below_other_patterns_have_their_lines(kernel: Client) -> None:
    result = kernel.execute("let (a, b) = (1, 2); // two\nlet Some(c) = Some(3) else { panic!() };\npanic!(\"here\");")
    result.expect_error("Panic")
    result.has("line 3", result.traceback)
