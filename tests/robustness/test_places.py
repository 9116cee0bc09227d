"""Where forkline's data lies and who else uses it: odd paths, two kernels, another compiler, no network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Callable, Iterator

import pytest
from harness import Client, plain

pytestmark = pytest.mark.timeout(400)

# Building the prelude takes most of a minute, so these tests share one home.
BUILDING = 240.0


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield tmp_path_factory.mktemp("places") / "forkline hôme ü"


def record(home: Path) -> Path:
    return next(home.glob("*/template/forkline.json"))


def test_two_kernels_build_one_template_at_an_odd_path(start_kernel: Callable[..., Client], home: Path) -> None:
    kernels = [start_kernel(warm=False, env={"FORKLINE_HOME": str(home)}) for _ in range(2)]
    cells = [
        "use std::sync::atomic::{AtomicU64, Ordering::SeqCst};\npub static N: AtomicU64 = AtomicU64::new(0);",
        "N.fetch_add((1..=4_u64).into_par_iter().sum::<u64>(), SeqCst);",
        'let text = format!("{}", N.load(SeqCst));',
        "text",
    ]
    requests = [kernel.start_execute(cells[0]) for kernel in kernels]
    notices = [kernel.collect(request, timeout=BUILDING).expect_ok().stderr for kernel, request in zip(kernels, requests)]
    # One builds, or both were too early to see it done; nobody fails.
    assert any("building the prelude" in notice for notice in notices), notices
    for kernel in kernels:
        for code in cells[1:-1]:
            kernel.run(code)
        assert kernel.run(cells[-1]).text == '"10"'


def test_a_template_of_another_compiler_is_built_again(start_kernel: Callable[..., Client], home: Path) -> None:
    found = json.loads(record(home).read_text())
    wanted = found["rustc"]
    record(home).write_text(json.dumps({**found, "rustc": "1.0.0"}))
    kernel = start_kernel(warm=False, env={"FORKLINE_HOME": str(home)})
    result = kernel.collect(kernel.start_execute("1 + 1"), timeout=BUILDING).expect_ok()
    result.has(f"the prelude was built by rustc 1.0.0, and now there is rustc {wanted}", result.stderr)
    assert result.text == "2"
    assert json.loads(record(home).read_text())["rustc"] == wanted


def test_a_dependency_that_cannot_be_had_costs_nothing(start_kernel: Callable[..., Client]) -> None:
    kernel = start_kernel(env={"CARGO_NET_OFFLINE": "true"})
    kernel.run("let kept = vec![1, 2, 3];")
    result = kernel.execute(':dep surely_no_crate_of_this_name = "1"').expect_error()
    result.has("surely_no_crate_of_this_name", plain(result.traceback))
    assert kernel.run("kept.len()").text == "3"
    assert kernel.run("(0..10_u64).into_par_iter().sum::<u64>()").text == "45"
