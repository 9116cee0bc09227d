"""Measuring and showing through a real client: times, comparisons, figures, traces, bars, tables."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from harness import Client, plain

WORK = "pub fn work(n: u64) -> u64 { (0..n).fold(1, |a: u64, i| std::hint::black_box(a.wrapping_mul(i | 1) ^ i)) }"


# ---- times


def test_timeit_shows_the_spread_and_how_the_cell_was_compiled(kernel: Client) -> None:
    kernel.run(WORK)
    result = kernel.run("%timeit work(10_000)")
    text = result.text
    for word in ["min", "median", "mean", "samples of", "calls each"]:
        assert word in text, text
    result.has("optimisation level 3, overflow checks and debug assertions off", result.stdout)
    assert "<table" in result.result["text/html"]


def test_timeit_of_a_cell_has_setup_variables_and_options(kernel: Client) -> None:
    kernel.run("let numbers: Vec<u64> = (0..1000).collect();")
    result = kernel.run("%%timeit -n 3 -r 4 let factor = 2;\nlet doubled: Vec<u64> = numbers.iter().map(|x| x * factor).collect();\ndoubled.len()")
    assert re.search(r"4 samples of 3 calls each", result.text), result.text
    assert kernel.run("numbers.len()").text == "1000"


def test_timeit_of_a_cell_at_another_level_says_so(kernel: Client) -> None:
    result = kernel.run("%%opt 1\n%timeit -r 3 1 + 1")
    result.has("optimisation level 1", result.stdout)


def test_an_error_in_measured_code_names_its_line(kernel: Client) -> None:
    result = kernel.execute("%%timeit\nlet a = 1;\nlet b: u8 = \"text\";").expect_error("E0308")
    result.has(f"cell [{result.count}]:3:13", plain(result.traceback))


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("%timeit", "no code"),
        ("%timeit -n none 1 + 1", "-n is followed by none"),
        ("%%bench\nlet x = 1;", "here are 0"),
        ("%%bench\n'a: { 1 }", "here are 1"),
        ("%%bench\n'a: { 1 }\nlet x = 1;\n'b: { 2 }", "line 3 belongs to no block"),
        ("%%bench let x = 1;\n'a: { 1 }\n'b: { 2 }", "shared code belongs below it"),
    ],
)
def test_what_cannot_be_measured_says_why(kernel: Client, code: str, why: str) -> None:
    result = kernel.execute(code).expect_error("UsageError")
    for word in ["nothing was measured", f"why: ", why, "do:  "]:
        result.has(word, result.traceback)


# It measures.
@pytest.mark.alone
def test_bench_names_the_ratio_and_its_interval(kernel: Client) -> None:
    kernel.run(WORK)
    result = kernel.run("%%bench -r 7\nlet n = 20_000; // shared\n'short: { work(n) }\n// twice as much\n'long: { work(2 * n) };")
    assert re.search(r"2\.\d+ times as long as `?short`? \(95 % interval [\d.]+ to [\d.]+\)|(1\.9|2\.)\d* times as long", result.text), result.text
    result.has("optimisation level 3", result.stdout)


def test_bench_of_the_same_work_shows_no_difference(kernel: Client) -> None:
    kernel.run(WORK)
    for _ in range(3):
        # One in twenty intervals does not hold the true value.
        result = kernel.run("%%bench\n'one: { work(20_000) }\n'other: { work(20_000) }")
        if "no difference shown" in result.text:
            return
    result.has("no difference shown", result.text)


def test_a_panic_in_a_measured_block_is_an_error_that_names_it(kernel: Client) -> None:
    result = kernel.execute("%%bench\n'good: { 1 }\n'bad: { if std::hint::black_box(true) { panic!(\"broken\") }; 1 }")
    assert not result.ok
    result.has("bad", result.traceback)
    result.has("broken", result.traceback)


def test_a_measurement_can_be_interrupted(kernel: Client) -> None:
    kernel.run(f"{WORK}\nlet kept_here = 5;")
    request = kernel.start_execute('println!("started"); bench::Timer::new().samples(1_000_000).budget(Duration::from_secs(600)).run(|| work(1_000))')
    kernel.wait_printed(request, "started")
    kernel.interrupt().expect_ok()
    kernel.collect(request, timeout=10).expect_error("Interrupted")
    assert kernel.run("kept_here").text == "5"


def test_time_tells_the_memory_of_the_run(kernel: Client) -> None:
    result = kernel.run("%time std::hint::black_box(vec![1_u8; 300 << 20]).len()")
    peak, more = map(int, re.search(r"Peak memory: (\d+) MiB, (\d+) MiB more", result.stdout).groups())
    assert peak >= 300 and 295 <= more <= 320, result.stdout
    # The peak of one run is not that of the next.
    result = kernel.run("%time 1 + 1")
    assert int(re.search(r"(\d+) MiB more", result.stdout)[1]) < 50, result.stdout


# ---- scaling and laws


def test_scaling_shows_a_table_and_a_figure(kernel: Client) -> None:
    kernel.run(WORK)
    result = kernel.run(
        "bench::Scaling::options().rounds(3).strong([1, 2, 64], |p| bench::in_pool(p, || (0..64_u64).into_par_iter().map(|_| work(2_000)).sum::<u64>()))?"
    )
    html = result.result["text/html"]
    assert "<table" in html and "<svg" in html
    for word in ["workers", "speedup", "efficiency", "oversubscribed", "serial"]:
        result.has(word, plain(result.text).lower())


def test_bad_workers_have_clear_errors(kernel: Client) -> None:
    for code, word in [("[0, 1]", "0 workers"), ("Vec::<usize>::new()", "no worker")]:
        result = kernel.execute(f"bench::scaling({code}, |p| p)?").expect_error("Error")
        for part in ["why:", "do:"]:
            result.has(part, result.traceback)


def test_laws_are_the_published_ones(kernel: Client) -> None:
    result = kernel.run(
        'format!("{:.4} {:.4} {:.1}", bench::amdahl_speedup(bench::Share::Parallel(0.9), 4)?, bench::amdahl_limit(bench::Share::Parallel(0.9))?, bench::gustafson_speedup(bench::Share::Serial(0.1), 10)?)'
    )
    assert result.text == '"3.0769 10.0000 9.1"'


# ---- figures


def test_a_figure_follows_the_theme_and_has_twins(kernel: Client) -> None:
    result = kernel.run('plot::line("Speed & more", ("workers", ""), ("time", "ms")).series("a < b", [(1, 4.0), (2, 2.1)])')
    data = result.result
    assert "<svg" in data["text/html"] and "--jp-content-font-color1" in data["text/html"]
    assert "prefers-color-scheme" in data["image/svg+xml"]
    assert "Speed &amp; more" in data["image/svg+xml"]
    assert "time (ms)" in data["text/plain"] and "Speed & more" in data["text/plain"]


def test_a_figure_is_saved_as_svg_and_png(kernel: Client, tmp_path: Path) -> None:
    kernel.run('let figure = plot::bar("µ", ("way", ""), ("time", "s")).series("t", [("one", 1.0), ("two", 2.0)]).size(400, 200);')
    kernel.run(f'figure.save("{tmp_path}/a.svg")?; figure.save("{tmp_path}/a.png")?;')
    assert "<svg" in (tmp_path / "a.svg").read_text()
    png = (tmp_path / "a.png").read_bytes()
    assert png.startswith(b"\x89PNG") and int.from_bytes(png[16:20], "big") == 800 and int.from_bytes(png[20:24], "big") == 400
    # Text is drawn: without its font the picture would have the bars only.
    result = kernel.execute(f'figure.save("{tmp_path}/a.jpg")?;').expect_error("Error")
    for word in ["a.jpg", "why:", "do:", ".png"]:
        result.has(word, result.traceback)


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ('plot::line("t", ("x", ""), ("y", ""))', "t"),
        ('plot::line("t", ("x", ""), ("y", "")).series("values", [(0.0, f64::NAN)])', "values"),
        ('plot::histogram("t", ("x", "")).samples("none", Vec::<f64>::new())', "none"),
    ],
)
def test_a_figure_that_cannot_be_drawn_shows_why(kernel: Client, code: str, word: str) -> None:
    result = kernel.run(code)
    for part in ["why:", "do:", word]:
        result.has(part, result.text)


# ---- traces, bars, tables, the machine


def test_a_trace_has_a_row_for_each_worker_and_can_be_exported(kernel: Client, tmp_path: Path) -> None:
    kernel.run(WORK)
    kernel.run(
        "let (total, traced) = trace::record(|| {\n"
        '    let _whole = trace::span("whole");\n'
        '    (0..16_u64).into_par_iter().map(|_| { let _part = trace::span("part"); work(50_000) }).count()\n'
        "});"
    )
    result = kernel.run("traced")
    result.has("main", result.text)
    result.has("rayon-", result.text)
    assert "<svg" in result.result["text/html"]
    kernel.run(f'traced.save("{tmp_path}/trace.json")?;')
    events = json.loads((tmp_path / "trace.json").read_text())
    events = events["traceEvents"] if isinstance(events, dict) else events
    assert sum(event["ph"] == "X" and event["name"] == "part" for event in events) == 16


def test_a_bar_is_silent_when_it_is_quick_and_moves_when_it_is_slow(kernel: Client) -> None:
    assert not kernel.run("for _ in progress(0..1000) {}").outputs
    result = kernel.run('for _ in progress(0..30).name("steps") { thread::sleep(Duration::from_millis(30)); }')
    updates = [m for m in result.outputs if m.type == "update_display_data"]
    assert len(updates) >= 2
    last = updates[-1].content["data"]["text/plain"]
    assert "steps" in last and "30/30" in last, last


def test_an_interrupt_ends_a_bar(kernel: Client) -> None:
    kernel.run("let kept_by_bar = 3;")
    request = kernel.start_execute('println!("started"); for _ in progress(0..u64::MAX) {}')
    kernel.wait_printed(request, "started")
    kernel.interrupt().expect_ok()
    kernel.collect(request, timeout=10).expect_error("Interrupted")
    assert kernel.run("kept_by_bar").text == "3"


def test_tables_of_columns_and_structs(kernel: Client) -> None:
    result = kernel.run('table! { "workers" => [1, 2, 4], "time (ms)" => [4.0, 2.1, 1.25] }')
    assert result.result["text/html"].count("<tr") == 4
    result.has("time (ms)", result.text)
    kernel.run("#[derive(Debug)] struct Run { name: &'static str, seconds: f64 }")
    result = kernel.run('table::of(&[Run { name: "a<b", seconds: 0.5 }])')
    assert "a&lt;b" in result.result["text/html"]
    result.has("seconds", result.text)
    result = kernel.run('table! { "a" => 0..1000, "b" => 0..1000 }')
    result.has("980", result.text)
    result = kernel.execute('table! { "a" => [1, 2], "b" => [1] }?')
    for part in ["why:", "do:"]:
        result.has(part, result.traceback)


def test_a_stamp_stands_in_the_metadata_beside_the_result(kernel: Client) -> None:
    result = kernel.run("device::stamp();")
    stamp = result.of_type("display_data")[0].content["metadata"]["forkline"]
    assert stamp["rustc"].startswith("rustc ") and stamp["forkline"], stamp
    assert not {"host", "user", "hostname"} & set(stamp), stamp


def test_device_info_tells_of_the_load(kernel: Client) -> None:
    result = kernel.run("device::info()")
    result.has("load", result.text)
