"""The debugger: breakpoints, steps, variables, panics, over the control channel as JupyterLab speaks it."""

from __future__ import annotations

import pytest

import dap
import harness

SUM = """fn sum_to(n: u64) -> u64 {
    let mut sum = 0;
    for i in 1..=n {
        sum += i;
    }
    sum
}
let limit = 4u64;
let total = sum_to(limit);
println!("total {total}");"""


def test_the_kernel_says_that_it_has_one(kernel: harness.Client) -> None:
    info = kernel.kernel_info().content
    assert info["debugger"] is True
    assert "debugger" in info["supported_features"]
    assert kernel.process.spec.metadata["debugger"] is True


def test_files_of_cells_have_the_name_that_the_front_end_computes(kernel: harness.Client) -> None:
    debugger = dap.Debugger(kernel)
    info = debugger.ask("debugInfo")
    assert info["isStarted"] is False and info["hashMethod"] == "Murmur2"
    for code in ("", "a", "let x = 1;", "let s = \"é😀\";\ns"):
        digest = dap.murmur2(code.encode(), info["hashSeed"])
        wanted = f"{info['tmpFilePrefix']}{digest}{info['tmpFileSuffix']}"
        assert debugger.dump(code) == wanted
        assert debugger.ask("source", source={"path": wanted})["content"] == code
    assert "neither a cell nor" in debugger.refused("source", source={"path": "/etc/passwd"})


def test_without_attaching_there_is_nothing_to_ask(kernel: harness.Client) -> None:
    debugger = dap.Debugger(kernel)
    assert debugger.ask("threads")["threads"] == []
    assert debugger.ask("modules")["modules"] == []
    assert "the debugger is not on" in debugger.refused("stackTrace", threadId=1)
    assert debugger.request("stackTrace", threadId=1)["body"]["stackFrames"] == []
    assert "does not know this request" in debugger.refused("restartFrame")
    kernel.run("let before = vec![1u8, 2];")
    variables = {v["name"]: v["type"] for v in debugger.ask("inspectVariables")["variables"]}
    assert variables["before"] == "Vec<u8>"
    rich = debugger.ask("richInspectVariables", variableName="before")
    assert harness.squeezed(rich["data"]["text/plain"]) == "[1,2]"
    assert "nothing is stopped" in debugger.refused("richInspectVariables", variableName="std::process::exit(1)")
    assert kernel.run("before.len()").text == "2"


def test_a_breakpoint_stops_a_cell_that_was_not_run_before(kernel: harness.Client, debugger: dap.Debugger) -> None:
    (answer,) = debugger.set_breakpoints(SUM, 4)
    assert answer["verified"] and answer["line"] == 4
    request = kernel.start_execute(SUM)
    stop = debugger.wait_event("stopped")
    assert stop.parent_id == request
    assert stop.content["body"]["reason"] == "breakpoint"
    thread = stop.content["body"]["threadId"]
    frames = debugger.stack(thread)
    assert [(f["name"], f["line"]) for f in frames[:2]] == [("sum_to", 4), (f"cell [{frames[1]['name'][6:-1]}]", 9)]
    assert frames[0]["source"]["path"] == debugger.dump(SUM)
    assert all(f.get("presentationHint") == "subtle" for f in frames[2:])
    assert debugger.ask("debugInfo")["stoppedThreads"] == [thread]
    # The kernel answers meanwhile.
    assert kernel.complete("std::ve").ok
    kernel.heartbeat()
    values = debugger.locals(thread)
    assert (values["n"]["value"], values["n"]["type"]) == ("4", "u64")
    assert values["sum"]["value"] == "0"
    debugger.set_breakpoints(SUM)
    debugger.go(thread)
    assert kernel.collect(request).expect_ok().stdout == "total 10\n"
    assert debugger.ask("debugInfo")["stoppedThreads"] == []


def test_steps_go_over_into_and_out(kernel: harness.Client, debugger: dap.Debugger) -> None:
    code = "fn twice(n: i32) -> i32 {\n    let m = n + n;\n    m\n}\nlet a = 20;\nlet b = twice(a);\nlet c = b + 2;\nprintln!(\"{c}\");"
    debugger.set_breakpoints(code, 5)
    request = kernel.start_execute(code)
    thread = debugger.wait_stop("breakpoint")
    assert debugger.where(thread)[1] == 5
    assert debugger.step("next", thread)[1] == 6
    assert debugger.step("stepIn", thread) == ("twice", 2)
    # What the compiler makes of a plain `m` has the line of the brace behind it.
    name, line = debugger.step("next", thread)
    assert name == "twice" and line in (3, 4)
    name, line = debugger.step("stepOut", thread)
    assert name.startswith("cell [") and line == 6
    assert debugger.step("next", thread)[1] == 7
    assert debugger.locals(thread)["b"]["value"] == "40"
    assert debugger.step("next", thread)[1] == 8
    debugger.ask("stepIn", threadId=thread)
    # That leads to the end of the cell, which is no place to stop at.
    assert kernel.collect(request).expect_ok().stdout == "42\n"


def test_a_step_into_a_line_passes_by_what_it_calls_of_libraries(kernel: harness.Client, debugger: dap.Debugger) -> None:
    code = (
        "fn first(list: &[u8], text: &str) -> u8 {\n    let one = list[0];\n    one + text.len() as u8\n}\n"
        "let list = vec![4u8];\nlet text = String::from(\"ab\");\nlet sum = first(&list, &text);\nsum"
    )
    debugger.set_breakpoints(code, 7)
    request = kernel.start_execute(code)
    thread = debugger.wait_stop("breakpoint")
    # In front of the call stand two of `Deref::deref`.
    assert debugger.step("stepIn", thread) == ("first", 2)
    debugger.go(thread)
    assert kernel.collect(request).expect_ok().text == "6"


VALUES = """struct Point { x: i32, name: String }
enum Shape { Dot, Circle(f64), Rect { w: u32, h: u32 } }
fn look() -> String {
    let text = String::from("héllo");
    let list = vec![10, 20, 30];
    let some = Some(5u8);
    let none: Option<String> = None;
    let empty = Some(String::new());
    let map = std::collections::HashMap::from([("a".to_string(), 1)]);
    let point = Point { x: -7, name: "here".into() };
    let shapes = (Shape::Dot, Shape::Circle(1.5), Shape::Rect { w: 3, h: 4 });
    let shared = std::sync::Arc::new(std::sync::Mutex::new(vec![1u16]));
    let big: Vec<usize> = (0..100_000).collect();
    let slice = &big[5..8];
    let bytes = [7u8; 4];
    let word = "a word"; let to_number = &list[1]; let to_text = &text;
    let sum = list.iter().sum::<i32>() + point.x;
    let said = format!("{sum} {text} {slice:?} {none:?} {empty:?} {some:?} {map:?} {}", point.name);
    let later = format!("{} {} {word} {to_number} {to_text}", said.len() + bytes.len(), shared.lock().unwrap().len());
    let is_dot = matches!(shapes, (Shape::Dot, Shape::Circle(_), Shape::Rect { .. }));
    format!("{later} {is_dot}")
}
look()"""


def test_values_are_shown_as_rust_has_them(kernel: harness.Client, debugger: dap.Debugger) -> None:
    debugger.set_breakpoints(VALUES, 18)
    request = kernel.start_execute(VALUES)
    thread = debugger.wait_stop("breakpoint")
    values = debugger.locals(thread)
    shown = {name: (v["value"], v["type"]) for name, v in values.items()}
    assert shown["text"] == ('"héllo"', "String")
    assert shown["list"] == ("3 elements", "Vec<i32>")
    assert shown["some"] == ("Some(5)", "Option<u8>")
    assert shown["none"][0] == "None"
    assert shown["empty"][0] == 'Some("")'
    assert shown["sum"] == ("53", "i32")
    assert shown["slice"][0] == "3 elements"
    assert shown["bytes"] == ("4 elements", "[u8; 4]")
    assert shown["to_number"] == ("20", "*i32") and shown["to_text"] == ('"héllo"', "*String")
    assert shown["word"] == ('"a word"', "&str") and values["word"]["variablesReference"] == 0

    def parts(name: str) -> dict[str, str]:
        return {p["name"]: p["value"] for p in debugger.parts(values[name]["variablesReference"])}

    assert parts("list") == {"[0]": "10", "[1]": "20", "[2]": "30"}
    assert parts("point") == {"x": "-7", "name": '"here"'}
    assert parts("map") == {"[0]": '("a", 1)'}
    assert parts("bytes") == {f"[{n}]": "7" for n in range(4)}
    assert parts("slice") == {"[0]": "5", "[1]": "6", "[2]": "7"}
    assert list(parts("shapes").values()) == ["Dot", "Circle(1.5)", "Rect{w:3, h:4}"]
    (guarded,) = debugger.parts(values["shared"]["variablesReference"])
    assert guarded["type"] == "Mutex<Vec<u16>>"
    # Pages: by the front end's count, and by ours if it has none.
    big = values["big"]["variablesReference"]
    assert [p["value"] for p in debugger.parts(big, start=500, count=2)] == ["500", "501"]
    first = debugger.parts(big)
    assert len(first) == 101 and first[-1]["value"] == "more"
    assert debugger.parts(first[-1]["variablesReference"])[0]["value"] == "100"

    frame = debugger.stack(thread)[0]["id"]

    def value(expression: str, **more: int) -> str:
        return debugger.ask("evaluate", expression=expression, context="repl", **more)["result"]

    assert value("list[1]", frameId=frame) == "20"
    assert value("point.x", frameId=frame) == "-7"
    assert value("sum + 1_000i32") == "1053"
    assert "cannot evaluate" in debugger.refused("evaluate", expression="nowhere + 1", frameId=frame)
    rich = debugger.ask("richInspectVariables", variableName="text", frameId=frame)
    assert rich["data"]["text/plain"] == '"héllo"'
    assert any("libcode_" in module["name"] for module in debugger.ask("modules")["modules"])
    debugger.go(thread)
    kernel.collect(request).expect_ok()


def test_conditions_counts_and_log_points(kernel: harness.Client, debugger: dap.Debugger) -> None:
    code = "let mut total = 0i64;\nfor n in 0..50i64 {\n    total += n;\n    total *= 1;\n}\ntotal"
    debugger.set_breakpoints(code, {"line": 3, "condition": "n == 1_7i64"}, {"line": 4, "logMessage": "n is {n}"})
    request = kernel.start_execute(code)
    thread = debugger.wait_stop("breakpoint")
    assert debugger.locals(thread)["n"]["value"] == "17"
    debugger.set_breakpoints(code)
    debugger.go(thread)
    assert kernel.collect(request).expect_ok().text == "1225"
    logged = [event.content["body"]["output"] for event in debugger.events("output")]
    assert "n is 3\n" in logged
    debugger.set_breakpoints(code, {"line": 3, "hitCondition": "5"})
    request = kernel.start_execute(code)
    thread = debugger.wait_stop("breakpoint")
    assert debugger.locals(thread)["n"]["value"] == "4"
    debugger.set_breakpoints(code)
    debugger.go(thread)
    kernel.collect(request).expect_ok()


def test_a_function_of_an_earlier_cell_stops_in_its_own_file(kernel: harness.Client, debugger: dap.Debugger) -> None:
    first = "// one line above\nfn cube(n: u32) -> u32 {\n    n * n * n\n}"
    kernel.run(first)
    debugger.set_breakpoints(first, 3)
    request = kernel.start_execute("cube(3)")
    thread = debugger.wait_stop("breakpoint")
    frames = debugger.stack(thread)
    assert (frames[0]["name"], frames[0]["line"]) == ("cube", 3)
    assert frames[0]["source"]["path"] == debugger.dump(first)
    assert frames[1]["source"]["path"] == debugger.dump("cube(3)")
    debugger.go(thread)
    assert kernel.collect(request).expect_ok().text == "27"
    # A new version of the cell: the breakpoint of the old one does not stop it, its own does.
    second = "fn cube(n: u32) -> u32 {\n    let square = n * n;\n    square * n\n}"
    kernel.run(second)
    debugger.set_breakpoints(second, 3)
    request = kernel.start_execute("cube(2)")
    thread = debugger.wait_stop("breakpoint")
    assert debugger.stack(thread)[0]["source"]["path"] == debugger.dump(second)
    assert debugger.locals(thread)["square"]["value"] == "4"
    debugger.go(thread)
    kernel.collect(request).expect_ok()


def test_a_panic_stops_where_it_happens(kernel: harness.Client, debugger: dap.Debugger) -> None:
    debugger.ask("setExceptionBreakpoints", filters=["panic"])
    code = "fn third(list: &[i32]) -> i32 {\n    let index = 3;\n    list[index]\n}\nthird(&[1, 2])"
    request = kernel.start_execute(code)
    thread = debugger.wait_stop("exception")
    assert debugger.where(thread) == ("third", 3)
    assert debugger.locals(thread)["index"]["value"] == "3"
    debugger.go(thread)
    kernel.collect(request).expect_error()
    debugger.ask("setExceptionBreakpoints", filters=[])
    kernel.execute(code).expect_error()


def test_a_breakpoint_in_the_code_stops_there(kernel: harness.Client, debugger: dap.Debugger) -> None:
    code = "let mut seen = 0;\nfor n in 1..=3 {\n    seen += n;\n    if n == 2 {\n        breakpoint!();\n    }\n}\nseen"
    request = kernel.start_execute(code)
    thread = debugger.wait_stop("breakpoint")
    assert debugger.where(thread)[1] in (5, 6)
    assert debugger.locals(thread)["seen"]["value"] == "3"
    debugger.go(thread)
    assert kernel.collect(request).expect_ok().text == "6"
    debugger.stop()
    assert kernel.run(code).text == "6"


def test_threads_of_rayon_stop_and_are_listed(kernel: harness.Client, debugger: dap.Debugger) -> None:
    code = (
        "let pool = rayon::ThreadPoolBuilder::new().num_threads(8).build().unwrap();\n"
        "let squares: Vec<u64> = pool.install(|| (0..64u64).into_par_iter().map(|n| {\n"
        "    let square = n * n;\n"
        "    square + 1\n"
        "}).collect());\n"
        "squares.iter().sum::<u64>()"
    )
    debugger.set_breakpoints(code, 4)
    request = kernel.start_execute(code)
    for _ in range(3):
        thread = debugger.wait_stop("breakpoint")
        assert debugger.where(thread)[1] == 4
        values = debugger.locals(thread)
        assert int(values["square"]["value"]) == int(values["n"]["value"]) ** 2
        assert len(debugger.ask("threads")["threads"]) >= 9
        debugger.go(thread)
        # Several may have stopped at once, each with its event; they went on together.
        debugger.wait_event("continued")
    debugger.wait_stop("breakpoint")
    debugger.set_breakpoints(code)
    debugger.go(thread)
    # Others may have been about to stop.
    assert kernel.collect(request).expect_ok().text == "85408"


def test_a_running_cell_can_be_paused(kernel: harness.Client, debugger: dap.Debugger, gate: harness.Gate) -> None:
    request = kernel.start_execute(f"println!(\"begun\");\n{gate.closed}\nprintln!(\"over\");")
    kernel.wait_printed(request, "begun")
    debugger.ask("pause")
    thread = debugger.wait_stop()
    debugger.go(thread)
    gate.open()
    assert "over" in kernel.collect(request).expect_ok().stdout


def test_requests_that_front_ends_repeat_are_answered(kernel: harness.Client, debugger: dap.Debugger) -> None:
    for _ in range(3):
        debugger.ask("configurationDone")
    debugger.ask("attach")
    assert debugger.ask("debugInfo")["isStarted"] is True
    assert kernel.run("1 + 1").text == "2"
    assert "cannot be copied" in debugger.refused("copyToGlobals", srcVariableName="a", dstVariableName="b", srcFrameId=1)


@pytest.mark.parametrize("code", ["let a: u32 = \"text\";", "let b = missing;"])
def test_compile_errors_are_the_same_as_ever(kernel: harness.Client, debugger: dap.Debugger, code: str) -> None:
    with_it = kernel.execute(code).expect_error()
    debugger.stop()
    without = kernel.execute(code).expect_error()
    strip = lambda text: [line for line in text.splitlines() if "cell [" not in line]
    assert strip(with_it.traceback) == strip(without.traceback)
