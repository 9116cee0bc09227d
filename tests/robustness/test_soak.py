"""Long and crowded: many lines, many cells, two kernels, all of it complete and in order."""

from __future__ import annotations

import time

import pytest

from harness import Client, Gate

LINES = 100_000


def test_hundred_thousand_lines_arrive_in_order(kernel: Client) -> None:
    started = time.monotonic()
    result = kernel.run(f'for i in 0..{LINES} {{ println!("line {{i}}"); }}', timeout=60)
    wanted = "".join(f"line {i}\n" for i in range(LINES))
    if result.stdout != wanted:
        got = result.stdout.splitlines()
        first = next((i for i, line in enumerate(got) if line != f"line {i}"), len(got))
        pytest.fail(f"{len(got)} lines of {LINES}; the first wrong one is number {first}: {got[first:first + 1]}")
    messages = len(result.of_type("stream"))
    assert messages < LINES / 10, f"{messages} stream messages for {LINES} lines: the kernel should gather text"
    assert time.monotonic() - started < 30
    kernel.settle()


def test_both_streams_in_bulk_are_complete(kernel: Client) -> None:
    result = kernel.run('for i in 0..20_000 { println!("o{i}"); eprintln!("e{i}"); }', timeout=60)
    result_lines = (result.stdout.split(), result.stderr.split())
    assert result_lines == ([f"o{i}" for i in range(20_000)], [f"e{i}" for i in range(20_000)])


def test_kernel_answers_while_a_cell_floods(kernel: Client, gate: Gate) -> None:
    request = kernel.start_execute(
        f'println!("started"); while !std::path::Path::new("{gate.path}").exists() {{ println!("a line of a flood"); }}'
    )
    kernel.wait_printed(request, "started")
    kernel.kernel_info("control", timeout=3)
    assert kernel.heartbeat(b"here", timeout=3) == b"here"
    gate.open()
    kernel.collect(request).expect_ok()


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_fifty_cells_keep_their_order(kernel: Client) -> None:
    for n in range(50):
        result = kernel.run(
            f'println!("a{n}"); display(&Html::new("<b>{n}</b>")); eprintln!("b{n}"); print!("c{n}"); {n}'
        )
        seen = [
            (m.content["name"], m.content["text"])
            if m.type == "stream"
            else (m.type, m.content["data"].get("text/html", m.content["data"].get("text/plain")).strip())
            for m in result.outputs
        ]
        wanted = [
            ("stdout", f"a{n}\n"),
            ("display_data", f"<b>{n}</b>"),
            ("stderr", f"b{n}\n"),
            ("stdout", f"c{n}"),
            ("execute_result", str(n)),
        ]
        result.equal(seen, wanted, f"outputs of round {n}")
        kernel.settle()


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_thirty_cells_sent_at_once_run_in_order(kernel: Client) -> None:
    kernel.run("let mut trail: Vec<u32> = Vec::new();")
    requests = [kernel.start_execute(f'trail.push({n}); println!("cell {n}");') for n in range(30)]
    for n, request in enumerate(requests):
        result = kernel.collect(request, timeout=60).expect_ok()
        result.equal(result.stdout, f"cell {n}\n")
    result = kernel.run("trail.len() == 30 && trail.windows(2).all(|w| w[0] < w[1])")
    result.equal(result.text, "true")


@pytest.mark.slow
def test_cells_do_not_get_slower_without_end(kernel: Client) -> None:
    def seconds() -> float:
        started = time.monotonic()
        result = kernel.run("1 + 1")
        result.equal(result.text, "2")
        return time.monotonic() - started

    early = min(seconds() for _ in range(3))
    for n in range(20):
        kernel.run(f"pub struct Grow{n}(pub u32); let grow_{n} = Grow{n}({n});")
    late = min(seconds() for _ in range(3))
    assert late < 4 * early + 1.0, f"a trivial cell took {early:.2f} s before and {late:.2f} s after 20 definitions"


def test_two_kernels_do_not_mix(start_kernel, kernel: Client, new_gate) -> None:
    other = start_kernel()
    first_gate, second_gate = new_gate(), new_gate()
    kernel.run('let whose = "first"; pub fn mine() -> u8 { 1 }')
    other.run('let whose = "second"; pub fn mine() -> u8 { 2 }')
    one = kernel.start_execute(f'println!("{{whose}} runs"); {first_gate.closed} (whose, mine())')
    two = other.start_execute(f'println!("{{whose}} runs"); {second_gate.closed} (whose, mine())')
    kernel.wait_printed(one, "first runs")
    other.wait_printed(two, "second runs")
    second_gate.open()
    result = other.collect(two).expect_ok()
    result.matches(r'"second",\s*2', result.text)
    first_gate.open()
    result = kernel.collect(one).expect_ok()
    result.matches(r'"first",\s*1', result.text)
    assert kernel.kernel_session != other.kernel_session


def test_end_of_one_kernel_leaves_the_other_alone(start_kernel, kernel: Client) -> None:
    kernel.run("let staying_here = 5;")
    other = start_kernel()
    other.run("1")
    other.shutdown()
    other.process.wait_exit(10)
    result = kernel.run("staying_here")
    result.equal(result.text, "5")
