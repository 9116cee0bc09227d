"""`%%profile`: where a cell's processor time goes, by thread, function and line; and nothing stays behind."""

from __future__ import annotations

import re
import time
import xml.etree.ElementTree as ElementTree

import pytest

from harness import Client, Result

FUNCTIONS = """\
#[inline(never)]
fn heavy(rounds: u64) -> u64 {
    let mut x = 1u64;
    for i in 0..rounds {
        x = x.wrapping_mul(6364136223846793005).wrapping_add(i) ^ (x >> 7);
    }
    x
}
#[inline(never)]
fn light(rounds: u64) -> u64 {
    let mut x = 1u64;
    for i in 0..rounds {
        x = x.wrapping_mul(6364136223846793005).wrapping_add(i) ^ (x >> 9);
    }
    x
}
"""

# Computes for so long on any machine; it looks at the clock, so it is not left out where nobody uses its result.
SPIN = """\
#[inline(never)]
fn spin(milliseconds: u64) -> u64 {
    let begun = std::time::Instant::now();
    let mut x = 1u64;
    while begun.elapsed().as_millis() < milliseconds as u128 {
        for i in 0..10_000u64 { x = x.wrapping_mul(6364136223846793005).wrapping_add(i) ^ (x >> 7); }
    }
    x
}
"""


@pytest.fixture
def ready(kernel: Client) -> Client:
    """A kernel that knows `heavy`, `light` and `spin`."""
    kernel.run(FUNCTIONS)
    kernel.run(SPIN)
    return kernel


def profile_of(result: Result) -> dict[str, str]:
    shown = [data for data in result.displays if "image/svg+xml" in data]
    assert len(shown) == 1, result.story(f"{len(shown)} profiles are shown")
    for mime in ("text/html", "text/plain"):
        assert mime in shown[0], result.story(f"the profile lacks {mime}")
    return shown[0]


def share_of(text: str, name: str) -> float:
    """The largest share that the tree gives to what begins with `name`."""
    found = re.findall(rf"^ *([\d.]+) %(?: +[\d.]+ %)? +{name}\b", text, re.MULTILINE)
    return max((float(share) for share in found), default=0.0)


def samples_in(text: str) -> int:
    return int(re.match(r"(\d+) samples", text)[1])


def test_the_function_that_does_most_has_most_samples(ready: Client) -> None:
    result = ready.run("%%profile\nlet h = heavy(400_000_000);\nlet l = light(100_000_000);\nh != l")
    result.equal(result.text, "true", "the cell's own result")
    profile = profile_of(result)
    text = profile["text/plain"]
    assert 65 < share_of(text, "heavy") < 95, text
    assert 5 < share_of(text, "light") < 35, text
    # By the cell and the line of the loop, and called from the cell's second line.
    heavy_cell = re.search(r"heavy  \[(\d+)\]:(\d+)", text)
    assert heavy_cell and heavy_cell[2] in ("4", "5"), text
    result.has(f"the cell  [{result.count}]:2", text, "the tree")
    result.matches(r"\[\d+\]:5 +heavy +x = x\.wrapping_mul", text, "the lines")
    result.matches(r"your own code (9\d|100)\.\d %", text, "the summary")
    result.matches(r"one every \d+(\.\d+)? ms of a thread's own; none lost", text, "the summary")


def test_the_picture_is_an_image_that_needs_no_script(ready: Client) -> None:
    profile = profile_of(ready.run("%%profile\nspin(300);"))
    for svg in (profile["image/svg+xml"], re.search(r"<svg.*</svg>", profile["text/html"], re.DOTALL)[0]):
        root = ElementTree.fromstring(svg)
        space = "{http://www.w3.org/2000/svg}"
        assert not list(root.iter(f"{space}script"))
        titles = [title.text for title in root.iter(f"{space}title")]
        assert any(title.startswith("spin  [") and "of all samples" in title for title in titles), titles
        boxes = [(float(box.get("y")), float(box.get("width"))) for box in root.iter(f"{space}rect")]
        floor = max(y for y, _ in boxes)
        assert 950 < sum(width for y, width in boxes if y == floor) <= 960
    assert "prefers-color-scheme" in profile["image/svg+xml"]
    assert "--jp-content-font-color1" in profile["text/html"]


def test_threads_have_parts_of_their_own(ready: Client) -> None:
    code = "%%profile\nlet named = std::thread::Builder::new().name(\"mine\".into()).spawn(|| spin(300)).unwrap();\nlet other = std::thread::spawn(|| spin(300));\nnamed.join().unwrap(); other.join().unwrap();"
    text = profile_of(ready.run(code))["text/plain"]
    for thread in ("thread mine", "thread 1"):
        assert 20 < share_of(text, thread) < 80, text


def test_rayons_threads_are_named(ready: Client) -> None:
    ready.run("rayon::current_num_threads();")
    result = ready.run("%%profile\n(0..16u64).into_par_iter().for_each(|_| { spin(40); });")
    text = profile_of(result)["text/plain"]
    workers = set(re.findall(r"thread (rayon-\d+)", text))
    threads = int(ready.run("rayon::current_num_threads()").text)
    assert len(workers) >= min(threads, 2), text
    assert share_of(text, "spin") > 20, text


def test_recursion_is_one_box(ready: Client) -> None:
    ready.run("fn fib(n: u32) -> u64 { if n < 2 { n as u64 } else { fib(n - 1) + fib(n - 2) } }")
    text = profile_of(ready.run("%%profile\nfib(42)"))["text/plain"]
    result = re.findall(r"fib  \[", text.split("lines that cost most")[0])
    assert len(result) == 1, text
    assert share_of(text, "fib") > 90, text


@pytest.mark.parametrize("code", ["%profile spin(200)", "//% profile spin(200)", "//%% profile\nspin(200)", "%profile --top 1 spin(200)"])
def test_it_can_be_written_in_other_ways(ready: Client, code: str) -> None:
    result = ready.run(code)
    assert int(result.text) > 0
    text = profile_of(result)["text/plain"]
    assert share_of(text, "spin") > 50, text
    if "--top" in code:
        assert len(text.split("lines that cost most")[1].strip().splitlines()) == 1, text


def test_parts_of_a_cell_are_one_profile(ready: Client) -> None:
    text = profile_of(ready.run("%%profile\nspin(200);\n%pwd\nlet l = light(100_000_000);"))["text/plain"]
    assert share_of(text, "spin") > 20 and share_of(text, "light") > 5, text


def test_a_cell_that_sleeps_says_that_there_are_no_samples(ready: Client) -> None:
    result = ready.run("%%profile\nstd::thread::sleep(std::time::Duration::from_millis(300));")
    result.equal(result.displays, [], "displays")
    for part in ("no samples", "why: ", "do:  "):
        result.has(part, result.stdout, "the text")


def test_a_cell_that_does_not_compile_is_an_error_without_a_profile(ready: Client) -> None:
    result = ready.execute('%%profile\nlet n: i32 = "text";').expect_error("E0308")
    result.equal(result.displays, [], "displays")
    result.matches(r'^\D*2\s*[|│]\s*let n: i32 = "text";', result.traceback, "the line number")
    # The wish does not outlive the cell.
    result = ready.run("spin(100);")
    result.equal(result.displays, [], "displays of the next cell")


def test_a_cell_that_panics_shows_where_its_time_went(ready: Client) -> None:
    result = ready.execute('%%profile\nspin(300);\npanic!("over");').expect_error("Panic")
    result.has('panic!("over");', result.traceback, "the traceback")
    text = profile_of(result)["text/plain"]
    assert share_of(text, "spin") > 50, text


def test_an_interrupted_cell_shows_where_it_was(ready: Client) -> None:
    ready.run("let held = 5;")
    request = ready.start_execute('%%profile\nprintln!("started");\nspin(600_000);')
    ready.wait_printed(request, "started")
    # A few ticks of the system.
    time.sleep(0.3)
    ready.interrupt().expect_ok()
    result = ready.collect(request, timeout=10).expect_error("Interrupted")
    text = profile_of(result)["text/plain"]
    assert share_of(text, "spin") > 50, text
    assert ready.run("held").text == "5"


def test_a_cell_that_is_left_behind_shows_what_it_did(ready: Client) -> None:
    ready.run("let apart = vec![1, 2];")
    code = "%%profile\nspin(300);\nprintln!(\"started\");\nlet (_keep, receiver) = std::sync::mpsc::channel::<i32>();\nreceiver.recv().unwrap();"
    request = ready.start_execute(code)
    ready.wait_printed(request, "started")
    ready.interrupt().expect_ok()
    result = ready.collect(request, timeout=10).expect_error("Interrupted")
    assert share_of(profile_of(result)["text/plain"], "spin") > 50
    assert ready.run("apart.len()").text == "2"
    # The thread that took over is profiled too.
    text = profile_of(ready.run("%%profile\nspin(200);"))["text/plain"]
    assert share_of(text, "spin") > 50 and "thread main" in text, text


def test_variables_survive_and_profiles_can_follow_each_other(ready: Client) -> None:
    for number in range(3):
        result = ready.run(f"%%profile\nlet kept_{number} = spin(200) != 0;")
        text = profile_of(result)["text/plain"]
        # Each counts its own run only; ticks of 1 to 10 ms.
        assert 10 < samples_in(text) < 400, text
    assert ready.run("kept_0 && kept_1 && kept_2").text == "true"


COUNTING = """\
static TICKS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
extern "C" fn count(_: i32) { TICKS.fetch_add(1, std::sync::atomic::Ordering::SeqCst); }
unsafe { forkline::libc::signal(forkline::libc::SIGPROF, count as *const () as usize) };
std::thread::spawn(|| spin(300)).join().unwrap();
spin(300);
TICKS.load(std::sync::atomic::Ordering::SeqCst)"""


@pytest.mark.parametrize("how", ["ends", "panics"])
def test_no_timer_is_left(ready: Client, how: str) -> None:
    ready.execute("%%profile\n(0..8u64).into_par_iter().for_each(|_| { spin(20); });\n" + ("" if how == "ends" else 'panic!("x");'))
    result = ready.run(COUNTING)
    result.equal(result.text, "0", "signals of timers after the profile")
    # The user's handler is replaced for the time of a profile, and there are samples again.
    assert samples_in(profile_of(ready.run("%%profile\nspin(200);"))["text/plain"]) > 10


def test_threads_that_come_and_go_do_no_harm(ready: Client) -> None:
    code = """%%profile
let total: u64 = (0..40).map(|_| {
    let threads: Vec<_> = (0..25).map(|i| std::thread::spawn(move || { let v: Vec<u64> = (0..20_000).map(|x| x * i).collect(); v.iter().sum::<u64>() & 1 })).collect();
    threads.into_iter().map(|t| t.join().unwrap()).sum::<u64>()
}).sum();
spin(100);
total < 1001"""
    result = ready.run(code)
    result.equal(result.text, "true")
    profile_of(result)


@pytest.mark.parametrize(
    ("code", "first"),
    [
        ("%%profile --fast\n1", "%%profile --fast: not understood"),
        ("%profile --top many f()", "%profile --top many: not a number"),
        ("%%profile\n", "%%profile: nothing to run"),
    ],
)
def test_what_is_not_understood_is_an_error_in_three_parts(kernel: Client, code: str, first: str) -> None:
    result = kernel.execute(code).expect_error("UsageError")
    result.equal(result.evalue, first, "evalue")
    for part in ("why: ", "do:  "):
        result.has(part, result.traceback, "the error")
