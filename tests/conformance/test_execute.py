"""Executing cells: counting, silence, queues, and what one cell leaves for the next."""

from __future__ import annotations

import pytest

from harness import Client, Gate, squeezed

# ---- counting and silence


def test_first_cell_is_number_one(start_kernel) -> None:
    client = start_kernel()
    assert client.run("1 + 1").count == 1
    assert client.run("1 + 1").count == 2


def test_each_cell_counts_one_up(kernel: Client) -> None:
    counts = [kernel.execute(code).count for code in ("1", "let a = 1;", "no such thing", "2")]
    assert counts == list(range(counts[0], counts[0] + 4))


def test_cell_outside_history_does_not_count(kernel: Client) -> None:
    before = kernel.run("1").count
    kernel.run("2", store_history=False)
    assert kernel.run("3").count == before + 1


def test_silent_cell_does_not_count_or_show_a_result(kernel: Client) -> None:
    before = kernel.run("1").count
    result = kernel.run("let made_in_silence = 5; made_in_silence", silent=True)
    assert result.of_type("execute_result", "execute_input") == []
    after = kernel.run("made_in_silence")
    after.equal((after.count, after.text), (before + 1, "5"))


def test_silent_cell_fails_with_an_error_reply(kernel: Client) -> None:
    result = kernel.execute('let n: i32 = "text";', silent=True).expect_error()
    assert result.evalue


@pytest.mark.parametrize("code", ["", "   ", "\n\n", "// only a comment", "/* only\na comment */", ";"])
def test_empty_cell_is_fine(kernel: Client, code: str) -> None:
    result = kernel.run(code)
    result.equal(result.outputs, [], "outputs")


def test_windows_line_ends_are_fine(kernel: Client) -> None:
    result = kernel.run("let a = 1;\r\nlet b = 2;\r\na + b\r\n")
    result.equal(result.text, "3")


def test_text_beyond_ascii_is_fine(kernel: Client) -> None:
    result = kernel.run('let größe = "🦀 ünï"; // ←\ngröße')
    result.equal(result.text, '"🦀 ünï"')


# ---- user expressions


def test_user_expressions_are_evaluated_after_the_cell(kernel: Client) -> None:
    result = kernel.run("let width = 40;", user_expressions={"sum": "width + 2", "name": '"w".to_string()'})
    given = result.content["user_expressions"]
    assert set(given) == {"sum", "name"}, result.story("the names of the user expressions")
    result.equal(given["sum"]["status"], "ok")
    result.equal(given["sum"]["data"]["text/plain"], "42")
    result.equal(given["name"]["data"]["text/plain"], '"w"')
    assert "metadata" in given["sum"]


def test_failing_user_expression_is_its_own_error(kernel: Client) -> None:
    result = kernel.run("1", user_expressions={"good": "1 + 1", "bad": "no_such_name"})
    given = result.content["user_expressions"]
    result.equal(given["good"]["status"], "ok")
    result.equal(given["bad"]["status"], "error")
    for key in ("ename", "evalue", "traceback"):
        assert given["bad"][key], result.story(f"{key} of the failing expression")
    result.equal(result.errors, [], "errors on iopub")


def test_user_expressions_publish_nothing(kernel: Client) -> None:
    result = kernel.run("()", user_expressions={"sum": "20 + 22"})
    result.equal(result.content["user_expressions"]["sum"]["status"], "ok")
    result.equal(result.outputs, [], "outputs")


# ---- the queue


def test_queued_cells_run_in_order(kernel: Client) -> None:
    kernel.run("let mut order: Vec<i32> = Vec::new();")
    requests = [kernel.start_execute(f"order.push({i});") for i in range(6)]
    counts = [kernel.collect(request).expect_ok().count for request in requests]
    assert counts == sorted(counts)
    result = kernel.run("order")
    result.equal(squeezed(result.text), "[0,1,2,3,4,5]")


def test_error_aborts_the_queue(kernel: Client, gate: Gate) -> None:
    before = kernel.run("1").count
    failing = kernel.start_execute(f'println!("started"); {gate.closed} panic!("stop here");')
    queued = [kernel.start_execute(f'println!("must not run {i}");') for i in range(3)]
    kernel.wait_printed(failing, "started")
    gate.open()
    kernel.collect(failing).expect_error("Panic")
    for request in queued:
        result = kernel.collect(request)
        result.equal(result.status, "aborted")
        result.equal(result.outputs, [], "outputs of an aborted cell")
    after = kernel.run("2")
    after.equal(after.count, before + 2, "count: aborted cells do not take a number")


def test_error_does_not_abort_the_queue_if_told_so(kernel: Client, gate: Gate) -> None:
    failing = kernel.start_execute(
        f'println!("started"); {gate.closed} panic!("go on");', stop_on_error=False
    )
    queued = kernel.start_execute("20 + 22")
    kernel.wait_printed(failing, "started")
    gate.open()
    kernel.collect(failing).expect_error("Panic")
    result = kernel.collect(queued).expect_ok()
    result.equal(result.text, "42")


def test_compile_error_aborts_the_queue(kernel: Client) -> None:
    requests = [kernel.start_execute(code) for code in ('let n: i32 = "text";', "1", "2")]
    statuses = [kernel.collect(request).status for request in requests]
    assert statuses == ["error", "aborted", "aborted"]


def test_other_requests_are_answered_in_an_aborted_queue(kernel: Client) -> None:
    failing = kernel.start_execute("no_such_name")
    queued = kernel.start_execute("1")
    info = kernel.send("kernel_info_request")
    complete = kernel.send("is_complete_request", {"code": "1"})
    kernel.collect(failing).expect_error()
    assert kernel.collect(queued).status == "aborted"
    assert kernel.collect(info).ok
    assert kernel.collect(complete).status == "complete"


# ---- what one cell leaves for the next


def test_variables_are_kept(kernel: Client) -> None:
    kernel.run("let mut total = 1;")
    kernel.run("total += 41;")
    result = kernel.run("total")
    result.equal(result.text, "42")


def test_variable_of_any_type_is_kept(kernel: Client) -> None:
    kernel.run(
        "use std::collections::HashMap;\n"
        'let mut table: HashMap<String, Vec<u8>> = HashMap::new();\ntable.insert("k".into(), vec![1, 2]);\n'
        "let pair = (1u8, 'c');\nlet nested = Some(Ok::<_, String>([0.5f64; 3]));\nlet boxed: Box<dyn Fn(i32) -> i32 + Send> = Box::new(|x| x + 1);"
    )
    result = kernel.run('(table["k"].len(), pair.1, nested.is_some(), boxed(1))')
    result.equal(squeezed(result.text), "(2,'c',true,2)")


def test_variable_can_be_shadowed_by_another_type(kernel: Client) -> None:
    kernel.run("let changing = 5;")
    kernel.run('let changing = "text".to_string();')
    result = kernel.run("changing.len()")
    result.equal(result.text, "4")


def test_moved_variable_is_gone(kernel: Client) -> None:
    kernel.run('let given_away = String::from("x");')
    kernel.run("drop(given_away);")
    kernel.execute("given_away").expect_error()


def test_functions_types_traits_and_macros_are_kept(kernel: Client) -> None:
    kernel.run(
        "#[derive(Debug, Clone, PartialEq)]\npub struct Point { x: i32, y: i32 }\n"
        "pub trait Norm { fn norm(&self) -> i32; }\n"
        "impl Norm for Point { fn norm(&self) -> i32 { self.x.abs() + self.y.abs() } }\n"
        "pub fn origin() -> Point { Point { x: 0, y: 0 } }\n"
        "macro_rules! point { ($x:expr, $y:expr) => { Point { x: $x, y: $y } }; }\n"
        "pub const FAR: i32 = 100;\npub mod shapes { pub fn sides() -> u32 { 4 } }"
    )
    result = kernel.run("(point!(3, -4).norm(), origin() == point!(0, 0), FAR, shapes::sides())")
    result.equal(squeezed(result.text), "(7,true,100,4)")


def test_function_can_be_redefined(kernel: Client) -> None:
    kernel.run("pub fn answer() -> i32 { 1 }")
    kernel.run("pub fn answer() -> i32 { 42 }")
    result = kernel.run("answer()")
    result.equal(result.text, "42")


def test_imports_are_kept(kernel: Client) -> None:
    kernel.run("use std::collections::BTreeMap as Sorted;")
    result = kernel.run("let mut sorted = Sorted::new(); sorted.insert(2, 'b'); sorted.insert(1, 'a'); sorted")
    result.equal(squeezed(result.text), "{1:'a',2:'b'}")


def test_failed_cell_leaves_variables_alone(kernel: Client) -> None:
    kernel.run("let kept = vec![1, 2, 3];")
    kernel.execute("let broken: i32 = kept;").expect_error("E0308")
    result = kernel.run("kept.len()")
    result.equal(result.text, "3")


def test_statics_are_one_across_cells(kernel: Client) -> None:
    kernel.run("use std::sync::atomic::{AtomicUsize, Ordering};\npub static HITS: AtomicUsize = AtomicUsize::new(0);")
    kernel.run("HITS.fetch_add(5, Ordering::SeqCst);")
    result = kernel.run("HITS.load(Ordering::SeqCst)")
    result.equal(result.text, "5", "a static set by an earlier cell")


def test_result_of_a_joined_thread_can_be_kept(kernel: Client) -> None:
    # Its type has `dyn Any`, which must be in scope for evcxr to name it.
    kernel.run("let joined = std::thread::spawn(|| 42).join();")
    result = kernel.run("joined.is_ok()")
    result.equal(result.text, "true")


def test_threads_and_channels_live_on(kernel: Client) -> None:
    kernel.run(
        "let (to_thread, inbox) = std::sync::mpsc::channel::<i32>();\n"
        "let (outbox, from_thread) = std::sync::mpsc::channel::<i32>();\n"
        "let doubler = std::thread::spawn(move || { for n in inbox { outbox.send(n * 2).unwrap(); } });"
    )
    kernel.run("to_thread.send(21).unwrap();")
    result = kernel.run("from_thread.recv().unwrap()")
    result.equal(result.text, "42")
    kernel.run("drop(to_thread); doubler.join().unwrap();")
