#!/usr/bin/env python3
"""forkline beside evcxr_jupyter: the same cells in turns, and forkline beside rustc alone.

    python tests/bench/compare.py [--rounds 5] [--only start,plain,...] [--evcxr PROGRAM]

Each round starts both kernels one after the other, so that what changes on the machine meets both.
A table gives medians with smallest and largest sample, and ratios of medians, with the target.

* start     to kernel_info, and to the end of the first `let`, of a first kernel and of one beside another; memory
* plain     cells without any crate, evcxr_jupyter with none added
* parallel  cells with rayon, crossbeam, parking_lot; evcxr_jupyter by `:dep`, compiled before
* floor     forkline's cells beside rustc alone on the same source with the same arguments
* cache     a notebook of 30 cells, and again in a new kernel
* growth    cell 200 beside cell 10 with 150 definitions and 100 variables
* loops     what the check costs that lets an interrupt into a loop

evcxr_jupyter 0.22.0 is built from crates.io on first use. forkline's cell cache is off, but for
`cache`. Optimisation levels are those that each kernel has by itself: evcxr's 2 with overflow checks,
forkline's 3 without. Needed are jupyter_client and pyzmq, and a machine with nothing else to do.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from front_end import Kernel, machine

EVCXR_VERSION = "0.22.0"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "forkline"
DEPENDENCIES = ':dep rayon = "1"\n:dep crossbeam = "0.8"\n:dep parking_lot = "0.12"'
USES = "use rayon::prelude::*; use std::sync::Arc; use std::thread;"
NO_CACHE = {"FORKLINE_CACHE_MIB": "0"}

PLAIN = [
    "let x = 5;",
    "1 + 1",
    "x + 1",
    'let s = String::from("abc");',
    'println!("{x} {s}");',
    "fn double(a: u64) -> u64 { a * 2 }",
    "double(21)",
    "#[derive(Debug, Clone)] struct Point { a: u64, b: f64 }",
    "let p = Point { a: 1, b: 2.0 };",
    "p.clone()",
    "let v: Vec<u64> = (0..1000).collect();",
    "v.iter().sum::<u64>()",
    'for i in 0..3 { println!("{i}"); }',
    "let m = std::collections::HashMap::from([(1, 2)]);",
]
PARALLEL = [
    "(0..1_000_000_u64).into_par_iter().map(|x| x * 2).sum::<u64>()",
    "let w: Vec<u64> = (0..1000_u64).into_par_iter().map(|x| x + 1).collect();",
    "w.par_iter().filter(|x| **x % 3 == 0).count()",
    "let (left, right) = rayon::join(|| 1 + 1, || 2 + 2);",
    "let (sender, receiver) = crossbeam::channel::unbounded::<u64>();",
    "sender.send(7).unwrap(); receiver.recv().unwrap()",
    "let shared = Arc::new(parking_lot::Mutex::new(0_u64));",
    "thread::scope(|s| { for _ in 0..2 { s.spawn(|| *shared.lock() += 1); } });",
    "crossbeam::scope(|s| { s.spawn(|_| ()); }).is_ok()",
]


def evcxr(options: argparse.Namespace) -> str:
    """The program, built if it is not there."""
    if options.evcxr:
        return options.evcxr
    root = CACHE / "evcxr"
    program = root / "bin" / "evcxr_jupyter"
    if not program.exists():
        command = ["cargo", "install", "evcxr_jupyter", "--version", EVCXR_VERSION, "--locked", "--root", str(root)]
        subprocess.run(command, check=True, env={**os.environ, "CARGO_TARGET_DIR": str(root / "target")})
    return str(program)


def analyzers_mb(sockets: Path) -> float:
    """Memory of the processes that kernels with their sockets in a folder share; what several of them map counts in parts."""
    total = 0.0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (folder / "cmdline").read_bytes().split(b"\0")
            if arguments[1:2] == [b"analyzer"] and arguments[2].startswith(f"{sockets}/".encode()):
                rollup = (folder / "smaps_rollup").read_text()
                total += int(re.search(r"^Pss:\s+(\d+)", rollup, re.MULTILINE)[1]) / 1024
        except OSError:
            continue  # it has ended
    return total


class Bench:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.folder = tempfile.TemporaryDirectory(prefix="forkline-compare-")
        self.counter = 0

    def ours(self, **env: str) -> Kernel:
        return Kernel("forkline", env=env)

    def theirs(self, target: str | None = None) -> Kernel:
        env = {"EVCXR_TMPDIR": str(Path(self.folder.name) / target)} if target else {}
        if target:
            Path(env["EVCXR_TMPDIR"]).mkdir(exist_ok=True)
        return Kernel("evcxr_jupyter", [evcxr(self.options), "--control_file", "{connection_file}"], env)

    def new(self, code: str) -> str:
        """The cell with a text that no cache has seen."""
        self.counter += 1
        return f"{code} // {time.time_ns()} {self.counter}"

    # ---- the parts

    def start(self) -> None:
        first, second = "forkline", "forkline beside another"
        info, let, memory = (defaultdict(list) for _ in range(3))
        warm: list[float] = []
        self.warm_dependencies()

        def begin(name: str, kernel: Kernel) -> None:
            asked = kernel.send("shell", "kernel_info_request", {})
            info[name].append(kernel.reply("shell", asked) - kernel.started)
            kernel.execute(self.new("let first = vec![1_u8, 2, 3];"))
            let[name].append(time.perf_counter() - kernel.started)

        for number in range(self.options.rounds):
            with self.theirs() as kernel:
                begin("evcxr_jupyter", kernel)
                memory["evcxr_jupyter"].append(kernel.resident_mb())
            # What kernels share is found by its folder: here a kernel is the first of all, then one is the second.
            sockets = Path(self.folder.name) / f"sockets-{number}"
            sockets.mkdir()
            env = {"TMPDIR": str(sockets), "FORKLINE_ANALYZER_STAYS": "1"}
            with self.ours(**env) as one:
                begin(first, one)
                memory[first].append(one.resident_mb() + analyzers_mb(sockets))
                with self.ours(**env) as other:
                    begin(second, other)
                    both = one.resident_mb() + other.resident_mb() + analyzers_mb(sockets)
                    memory[second].append(both - memory[first][-1])
            with self.theirs("warm") as kernel:
                kernel.execute(f"{DEPENDENCIES}\n{USES}")
                kernel.execute("let first = vec![1_u8, 2, 3];")
                warm.append(time.perf_counter() - kernel.started)
        print("| start | evcxr_jupyter | forkline | ratio | target | |\n|---|---|---|---|---|---|")
        theirs = "evcxr_jupyter"
        for name, one, other, target in [
            ("start to kernel_info (s)", info[theirs], info[first], 0.1),
            ("start to the first `let`, the first kernel of all (s)", let[theirs], let[first], 1.0),
            ("the same beside another kernel (s)", let[theirs], let[second], 0.5),
            ("the same, evcxr with the crates by a warm `:dep` (s)", warm, let[second], 0.5),
            ("memory, with what kernels share (MB)", memory[theirs], memory[first], 1.0),
            ("memory of a kernel beside another (MB)", memory[theirs], memory[second], 1.0),
        ]:
            print(row(name, one, other, target))

    def warm_dependencies(self) -> None:
        with self.theirs("warm") as kernel:
            kernel.execute(f"{DEPENDENCIES}\n{USES}")

    def plain(self) -> None:
        self.cells("plain cells", PLAIN, None, 0.5)

    def parallel(self) -> None:
        self.warm_dependencies()
        self.cells("cells with crates", PARALLEL, "warm", 0.35)

    def cells(self, title: str, cells: list[str], target_dir: str | None, target: float) -> None:
        samples: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for _ in range(self.options.rounds):
            for name in ("evcxr_jupyter", "forkline"):
                with self.theirs(target_dir) if name == "evcxr_jupyter" else self.ours(**NO_CACHE) as kernel:
                    if name == "evcxr_jupyter" and target_dir:
                        kernel.execute(f"{DEPENDENCIES}\n{USES}")
                    self.warm_up(kernel)
                    for code in cells:
                        samples[code][name].append(kernel.execute(code))
        print(f"| {title} | evcxr_jupyter | forkline | ratio | target | |\n|---|---|---|---|---|---|")
        ratios, theirs_all, ours_all = [], [], []
        for code in cells:
            theirs, ours = samples[code]["evcxr_jupyter"], samples[code]["forkline"]
            ratios.append(statistics.median(ours) / statistics.median(theirs))
            theirs_all.append(statistics.median(theirs))
            ours_all.append(statistics.median(ours))
            print(row("`" + code.replace("|", "\\|") + "`", theirs, ours))
        print(row("median of these", theirs_all, ours_all, target))

    @staticmethod
    def warm_up(kernel: Kernel) -> None:
        """What the first cells of a session pay, both kernels alike."""
        kernel.execute('let warm = vec![String::from("a")];')
        kernel.execute("warm.len()")

    def floor(self) -> None:
        print("| cell | forkline (s) | rustc alone (s) | limit: 1.5 x rustc + 0.03 | |\n|---|---|---|---|---|")
        cells: dict[str, list[float]] = defaultdict(list)
        alone: dict[str, list[float]] = defaultdict(list)
        for _ in range(self.options.rounds):
            with self.ours(**NO_CACHE) as kernel:
                self.warm_up(kernel)
                session = next(self.home().glob(f"sessions/{kernel.process.pid}-*"))
                for code in PLAIN + PARALLEL:
                    cells[code].append(kernel.execute(code))
                    alone[code].append(self.rustc(session))
        for code, found in cells.items():
            median, floor = statistics.median(found), statistics.median(alone[code])
            limit = 1.5 * floor + 0.03
            verdict = "met" if median <= limit else "not met"
            print(f"| `{code.replace('|', chr(92) + '|')}` | {median:.3f} | {floor:.3f} | {limit:.3f} | {verdict} |")

    @staticmethod
    def home() -> Path:
        base = os.environ.get("FORKLINE_HOME") or Path.home() / ".local/share/forkline"
        return max(Path(base).glob("*/template")).parent

    def rustc(self, session: Path) -> float:
        """Seconds of the compiler alone on the session's last source."""
        template = self.home() / "template"
        for record in (template / "calls").glob("*.json"):
            text = record.read_text()
            if "forkline=" in text:
                break
        call = json.loads(text.replace(str(template), str(session)))
        arguments = [re.sub("^metadata=.*", "metadata=forkline", argument) for argument in call["arguments"]]
        out = arguments.index("--out-dir") + 1
        arguments[out] = tempfile.mkdtemp(dir=self.folder.name)
        arguments += ["-C", "opt-level=3", "-C", "overflow-checks=no", "-C", "debug-assertions=no"]
        linker = ["mold", "-run"] if shutil.which("mold") else []
        begun = time.perf_counter()
        subprocess.run([*linker, call["rustc"], *arguments], cwd=session, check=True, capture_output=True)
        return time.perf_counter() - begun

    def cache(self) -> None:
        tag = time.time_ns()
        notebook = [f"fn step_{i}(x: u64) -> u64 {{ x + {tag} + {i} }}\nlet v{i}: u64 = step_{i}({i}); v{i}" for i in range(30)]
        first, second = [], []
        for found in (first, second):
            with self.ours() as kernel:
                self.warm_up(kernel)
                found.extend(kernel.execute(code) for code in notebook)
        print("| notebook of 30 cells | first run | second run | ratio | target | |\n|---|---|---|---|---|---|")
        print(row("median cell (s)", first, second, 0.2))
        slow = statistics.median(second)
        print(f"\nAn unchanged cell: {1000 * slow:.0f} ms, target under 50: {'met' if slow < 0.05 else 'not met'}.")

    def growth(self) -> None:
        early, late = [], []
        tag = time.time_ns()
        with self.ours(**NO_CACHE) as kernel:
            for i in range(200):
                code = f"let q{i} = {i}_u64;"
                if i < 150:
                    code = f"#[derive(Debug, Clone)] struct S{i} {{ a: u64 }}\nfn f{i}(x: u64) -> u64 {{ x + {i} }}"
                    code += f"\nlet v{i} = f{i}(3);" if i % 3 == 0 else ""
                kernel.execute(f"{code} // {tag}")
                if i in (9, 199):
                    samples = early if i == 9 else late
                    samples.extend(kernel.execute(f"v0 + f3({k})") for k in range(self.options.rounds))
        print("| `v0 + f3(1)` (s) | cell 10 | cell 200 | ratio | target | |\n|---|---|---|---|---|---|")
        print(row("150 definitions, 100 variables", early, late, 1.5))

    def loops(self) -> None:
        # The rules of a macro have no checks: it is the same loop without.
        vector = "for i in 0..v.len() { v[i] = v[i].wrapping_mul(3).wrapping_add(1); }"
        scalar = "let mut x = 27_u64; let mut n = 0_u64; while n < 200_000_000 { x = if x & 1 == 0 { x >> 1 } else { 3 * x + 1 }; n += 1; } x"
        print("| loop | without check (ms) | with | ratio |\n|---|---|---|---|")
        with self.ours() as kernel:
            kernel.execute("macro_rules! bare { ($($body:tt)*) => { $($body)* } }")
            for name, loop, setup in (
                ("innermost `for`, vectorised (1 MiB, 200 times)", f"for _ in 0..200 {{ {vector} }} v[7]", "let mut v = vec![1_u32; 1 << 18];"),
                ("`while` of 200 million short passes", scalar, ""),
            ):
                times: dict[bool, list[float]] = {True: [], False: []}
                # The cell prints the time that the loop itself takes.
                for _ in range(self.options.rounds):
                    for bare in (True, False):
                        body = f"bare! {{ {{ {loop} }} }}" if bare else f"{{ {loop} }}"
                        code = f'{{ {setup} let begun = Instant::now(); std::hint::black_box({body}); println!("took {{}}", begun.elapsed().as_secs_f64()); }}'
                        times[bare].append(1000 * float(kernel.printed(code).split()[1]))
                without, with_check = statistics.median(times[True]), statistics.median(times[False])
                print(f"| {name} | {spread(times[True])} | {spread(times[False])} | {with_check / without:.3f} |")


def spread(samples: list[float]) -> str:
    digits = 0 if min(samples) > 100 else 3
    return f"{statistics.median(samples):.{digits}f} ({min(samples):.{digits}f} to {max(samples):.{digits}f})"


def row(name: str, theirs: list[float], ours: list[float], target: float | None = None) -> str:
    ratio = statistics.median(ours) / statistics.median(theirs)
    wanted = "" if target is None else f"at most {target}"
    verdict = "" if target is None else "met" if ratio <= target else "not met"
    return f"| {name} | {spread(theirs)} | {spread(ours)} | {ratio:.2f} | {wanted} | {verdict} |"


PARTS = ["start", "plain", "parallel", "floor", "cache", "growth", "loops"]


def main() -> None:
    parser = argparse.ArgumentParser(description="forkline beside evcxr_jupyter.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas")
    parser.add_argument("--evcxr", help="the program evcxr_jupyter")
    options = parser.parse_args()
    print(f"{machine()}\nevcxr_jupyter {EVCXR_VERSION}; {options.rounds} rounds\n")
    bench = Bench(options)
    for part in options.only.split(","):
        if part not in PARTS:
            parser.error(f"there is no part {part}; there are {', '.join(PARTS)}")
        getattr(bench, part)()
        print(flush=True)


if __name__ == "__main__":
    main()
