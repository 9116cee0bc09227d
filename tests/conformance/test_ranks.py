"""`%%mpi`: a cell on ranks that a launcher starts: variables, definitions, output, failures, ends."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import psutil
import pytest

from harness import Client, command_lines, eventually, still_there

needs_mpiexec = pytest.mark.skipif(
    shutil.which("mpiexec") is None,
    reason="mpiexec is missing: no test of ranks runs (apt-get install openmpi-bin)",
)

RANK = 'std::env::var("FORKLINE_RANK").unwrap().parse::<u32>().unwrap()'


def ranks_of(kernel: Client) -> list[psutil.Process]:
    """The processes of the ranks, their launcher and their leader."""
    words = ("rank", "group")
    found = []
    for process in kernel.process.descendants():
        try:
            line = process.cmdline()
        except psutil.Error:
            continue
        if line[1:2] and line[-1] in words or "mpiexec" in os.path.basename(line[0] if line else ""):
            found.append(process)
    return found


def rank_pids(kernel: Client) -> dict[int, int]:
    pids = {}
    for line in kernel.run("%mpi status").stdout.splitlines():
        words = line.split()
        if words[:1] == ["rank"]:
            pids[int(words[1].rstrip(":"))] = int(words[3])
    return pids


@needs_mpiexec
def test_each_rank_keeps_its_variables(kernel: Client) -> None:
    kernel.run(f"%%mpi -n 4\nlet rank = {RANK};\nlet mut sum = rank;")
    pids = rank_pids(kernel)
    assert sorted(pids) == [0, 1, 2, 3]
    kernel.run("%%mpi\nsum += 10 * rank;")
    result = kernel.run('%%mpi\nprintln!("{rank} {sum}");')
    result.equal(result.stdout, "[0] 0 0\n[1] 1 11\n[2] 2 22\n[3] 3 33\n")
    assert rank_pids(kernel) == pids
    # Those of the launcher itself.
    result = kernel.run('%%mpi\nstd::env::var("OMPI_COMM_WORLD_SIZE").or(std::env::var("PMI_SIZE"))')
    result.equal(result.stdout, '[0-3] Ok("4")\n')


@needs_mpiexec
def test_ranks_know_what_ordinary_cells_define(start_kernel) -> None:
    kernel = start_kernel()
    kernel.run("use std::collections::BTreeMap;\nfn base() -> u32 { 40 }")
    kernel.run("#[derive(Debug)] struct Point { x: u32 }\nimpl Point { fn sum(&self) -> u32 { self.x + base() } }")
    kernel.run("macro_rules! twice { ($e:expr) => { 2 * $e } }\nlet in_worker = 7;")
    code = "%%mpi -n 2\nlet mut map = BTreeMap::new();\nmap.insert(twice!(1), Point { x: 2 }.sum());\nmap"
    result = kernel.run(code)
    result.equal(result.stdout, "[0,1] {2: 42}\n")
    # What comes later, and what is defined anew.
    kernel.run("fn base() -> u32 { 50 }")
    kernel.run("fn later() -> u32 { base() + 1 }")
    result = kernel.run("%%mpi\n(map.len(), later(), Point { x: 2 }.sum())")
    result.matches(r"\[0,1\] \(1, 51, 52\)", result.stdout)
    # Variables are not shared, and the message says so.
    result = kernel.execute("%%mpi\nin_worker + 1").expect_error()
    result.has("in_worker is a variable of ordinary cells", result.traceback)
    result = kernel.run("in_worker")
    result.equal(result.text, "7")


@needs_mpiexec
def test_output_is_labelled_by_rank(kernel: Client) -> None:
    code = f'%%mpi -n 3\nlet rank = {RANK};\nif rank == 1 {{ println!("other") }} else {{ println!("same") }}'
    result = kernel.run(code)
    result.equal(result.stdout, "[0,2] same\n[1] other\n")
    result = kernel.run('%%mpi\neprintln!("a\\nb");\nprint!("no newline");')
    result.equal(result.stderr, "[0-2] a\n[0-2] b\n")
    result.equal(result.stdout, "[0-2] no newline\n")
    result = kernel.run('%%mpi\ndisplay(&Html::new(format!("<b>{rank}</b>")));')
    result.equal([data["text/html"] for data in result.displays], ["<b>0</b>", "<b>1</b>", "<b>2</b>"])
    result.equal(result.stdout, "[0]\n[1]\n[2]\n")
    result = kernel.run("%%mpi --out rank=2\nprintln!(\"I am {rank}\");")
    result.equal(result.stdout, "I am 2\n")


@needs_mpiexec
def test_interleaved_output_comes_while_the_ranks_run(kernel: Client, gate) -> None:
    request = kernel.start_execute(
        f'%%mpi -n 2 --out interleaved\nlet rank = {RANK};\nprintln!("first {{rank}}");\n{gate.closed}\nprint!("last");'
    )
    kernel.wait_printed(request, "[0] first 0\n")
    kernel.wait_printed(request, "[1] first 1\n")
    gate.open()
    result = kernel.collect(request).expect_ok()
    assert result.stdout.endswith("[0] last\n[1] last\n"), result.stdout


@needs_mpiexec
def test_only_some_ranks_run_the_cell(kernel: Client) -> None:
    kernel.run(f"%%mpi -n 3\nlet rank = {RANK};\nlet mut count = 0;")
    result = kernel.run('%%mpi --only 0,2\ncount += 1;\nprintln!("{rank}");')
    result.equal(result.stdout, "[0] 0\n[2] 2\n")
    result = kernel.run("%%mpi\ncount")
    result.equal(result.stdout, "[0,2] 1\n[1] 0\n")


@needs_mpiexec
def test_a_group_is_started_as_it_is_asked_for(kernel: Client) -> None:
    kernel.run("%%mpi -n 2 --env SAID=so\nlet kept = 1;")
    result = kernel.run('%%mpi\n(kept, std::env::var("SAID").unwrap())')
    result.equal(result.stdout, '[0,1] (1, "so")\n')
    kernel.run("%%mpi -n 2 --fresh\nlet fresh = 1;")
    kernel.execute("%%mpi\nkept").expect_error()
    # Another number, another group.
    result = kernel.run("%%mpi -n 3\n1")
    result.equal(result.stdout, "[0-2] 1\n")
    kernel.execute("%%mpi\nfresh").expect_error()
    result = kernel.run("%mpi status")
    result.has("3 ranks, started by mpiexec -n 3", result.stdout)
    result = kernel.run("%%mpi -n 2 --launcher mpiexec -- --tag-output\n1")
    result.equal(result.stdout, "[0,1] 1\n")
    before = rank_pids(kernel)
    kernel.run("%mpi restart")
    assert set(before.values()).isdisjoint(rank_pids(kernel).values())
    kernel.run("%mpi stop")
    result = kernel.run("%mpi status")
    result.has("no group runs", result.stdout)


@needs_mpiexec
def test_a_panic_on_one_rank_leaves_the_group_alive(kernel: Client) -> None:
    kernel.run(f"%%mpi -n 3\nlet rank = {RANK};")
    pids = rank_pids(kernel)
    result = kernel.execute('%%mpi\nprintln!("begun");\nif rank == 2 { panic!("no {rank}") }').expect_error("Panic")
    result.equal(result.evalue, "rank 2 of 3 panicked: no 2")
    result.matches(r"in cell \[\d+\], line 3", result.traceback)
    result.has("ranks 0,1 finished", result.traceback)
    result.equal(result.stdout, "[0-2] begun\n")
    result = kernel.execute('%%mpi\npanic!("all")').expect_error("Panic")
    result.equal(result.evalue, "ranks 0-2 of 3 panicked: all")
    result = kernel.run("%%mpi\nrank")
    result.equal(result.stdout, "[0] 0\n[1] 1\n[2] 2\n")
    assert rank_pids(kernel) == pids
    result = kernel.execute('%%mpi\nlet n: u32 = if rank == 0 { "1" } else { "x" }.parse()?;').expect_error("Error")
    result.has("ranks 1,2 of 3: invalid digit", result.evalue)


@needs_mpiexec
def test_ranks_that_wait_for_one_that_panicked_are_told(kernel: Client) -> None:
    kernel.run(f"%%mpi -n 3\nlet rank = {RANK};")
    request = kernel.start_execute(
        "%%mpi\nif rank == 1 { panic!(\"early\") }\nloop { std::thread::sleep(Duration::from_millis(10)); }"
    )
    kernel.wait_printed(
        request, "rank 1 failed (early), and ranks 0,2 went on for 3 s since: ranks 0,2 waited in cell", name="stderr"
    )
    kernel.interrupt()
    kernel.collect(request).expect_error("Interrupted")
    result = kernel.run("%%mpi\nrank")
    result.equal(result.stdout, "[0] 0\n[1] 1\n[2] 2\n")


@needs_mpiexec
def test_statics_dependencies_and_clearing_reach_the_ranks(start_kernel) -> None:
    kernel = start_kernel()
    kernel.run(
        "use std::sync::atomic::{AtomicU32, Ordering::SeqCst};\n"
        "static COUNT: AtomicU32 = AtomicU32::new(5);\npub mod inner { pub fn g() -> u8 { 3 } }\n"
        "trait Twice { fn twice(&self) -> u8; }\nimpl Twice for u8 { fn twice(&self) -> u8 { 2 * *self } }"
    )
    result = kernel.run("%%mpi -n 2\n(COUNT.fetch_add(1, SeqCst), inner::g().twice())")
    result.equal(result.stdout, "[0,1] (5, 6)\n")
    result = kernel.run("%%mpi\nlet kept = 1;\nCOUNT.load(SeqCst)")
    result.equal(result.stdout, "[0,1] 6\n")
    result = kernel.run("COUNT.load(SeqCst)")
    result.equal(result.text, "5")
    kernel.run(":clear")
    for name in ("inner::g()", "kept"):
        kernel.execute(f"%%mpi -n 2\n{name}").expect_error()
    kernel.run("fn after() -> u8 { 9 }")
    result = kernel.run("%%mpi -n 2\nafter()")
    result.equal(result.stdout, "[0,1] 9\n")


@needs_mpiexec
def test_a_panic_in_a_function_of_an_ordinary_cell_names_its_line(start_kernel) -> None:
    kernel = start_kernel()
    kernel.run("// first\nfn one() -> u32 { 1 }")
    kernel.run("\n\npub fn fails(n: u32) -> u32 {\n    if n > 0 { panic!(\"at {n}\") }\n    one()\n}")
    count = kernel.run("fn last() {}").count
    kernel.run(f"%%mpi -n 2\nlet rank = {RANK};")
    result = kernel.execute("%%mpi\nfails(rank);").expect_error("Panic")
    result.has(f"in cell [{count - 1}], line 4", result.traceback)


# What the others have come to by then is a matter of time.
@pytest.mark.alone
@needs_mpiexec
@pytest.mark.parametrize(
    ("end", "told"),
    [
        ("std::process::exit(3)", "rank 1 of 3 ended its process with exit status 3"),
        ("std::process::abort()", "rank 1 of 3 was ended by signal 6 (SIGABRT)"),
        ("unsafe { *(8 as *mut i32) = 1 }", "rank 1 of 3 was ended by signal 11 (SIGSEGV)"),
    ],
    ids=["exit", "abort", "fault"],
)
def test_a_rank_that_ends_fails_the_cell_soon(kernel: Client, end: str, told: str) -> None:
    kernel.run(f"%%mpi -n 3\nlet rank = {RANK};")
    processes = ranks_of(kernel)
    assert len(processes) >= 4
    begun = time.monotonic()
    result = kernel.execute(
        f"%%mpi\nif rank == 1 {{ std::thread::sleep(Duration::from_millis(500)); {end}; }}\nif rank == 2 {{ std::thread::sleep(Duration::from_secs(60)) }}"
    ).expect_error("RankEnded")
    assert time.monotonic() - begun < 10
    result.equal(result.evalue, told)
    result.matches(r"rank 0 finished; rank 2 waited in cell \[\d+\], line 3", result.traceback)
    result.has("variables of all ranks are gone", result.traceback)
    assert not still_there(processes, 5)
    if "exit(" in end:
        result.matches(r"called exit in cell \[\d+\], line 2", result.traceback)
    kernel.execute("%%mpi\nrank").expect_error()
    result = kernel.run("%%mpi\n1")
    result.equal(result.stdout, "[0-2] 1\n")


@needs_mpiexec
def test_a_killed_rank_fails_the_cell_and_the_next_cell(kernel: Client) -> None:
    kernel.run("%%mpi -n 2\nlet kept = 1;")
    pid = rank_pids(kernel)[1]
    request = kernel.start_execute('%%mpi --out interleaved\nprintln!("begun");\nstd::thread::sleep(Duration::from_secs(60));')
    kernel.wait_printed(request, "[1] begun\n")
    os.kill(pid, signal.SIGKILL)
    result = kernel.collect(request).expect_error("RankEnded")
    result.equal(result.evalue, "rank 1 of 2 is gone")
    # On a busy machine the launcher may end the other one before it has said where it stood.
    result.matches(r"rank 0 (waited in cell \[\d+\], line 3|had not finished)", result.traceback)
    # While no cell runs.
    kernel.run("%%mpi\nlet kept = 1;")
    pids = rank_pids(kernel)
    os.kill(pids[0], signal.SIGKILL)
    eventually(lambda: not psutil.pid_exists(pids[1]), 10, "the other rank to end")
    result = kernel.run("%%mpi\n1")
    result.has("rank 0 ended while no cell was running", result.stderr)
    result.equal(result.stdout, "[0,1] 1\n")


@needs_mpiexec
def test_a_time_limit_ends_a_hang(kernel: Client) -> None:
    kernel.run(f"%%mpi -n 2\nlet rank = {RANK};")
    processes = ranks_of(kernel)
    code = "%%mpi --timeout 0.5\nif rank == 1 { loop { std::hint::black_box(rank); } }"
    result = kernel.execute(code).expect_error("TimedOut")
    result.matches(r"rank 0 finished; rank 1 computed in cell \[\d+\], line 2", result.traceback)
    assert not still_there(processes, 5)
    # Within the limit nothing happens, then or later.
    kernel.run("%%mpi --timeout 2\nlet kept = 1;")
    time.sleep(2.5)
    result = kernel.run("%%mpi\nkept")
    result.equal(result.stdout, "[0,1] 1\n")


@needs_mpiexec
def test_an_interrupt_keeps_the_group_if_the_code_yields(kernel: Client) -> None:
    kernel.run(f"%%mpi -n 2\nlet rank = {RANK};")
    request = kernel.start_execute('%%mpi --out interleaved\nprintln!("begun");\nloop { std::thread::sleep(Duration::from_millis(10)); }')
    kernel.wait_printed(request, "[1] begun\n")
    kernel.interrupt()
    kernel.collect(request).expect_error("Interrupted")
    result = kernel.run("%%mpi\nrank")
    result.equal(result.stdout, "[0] 0\n[1] 1\n")


@needs_mpiexec
def test_an_interrupt_ends_a_hang(kernel: Client) -> None:
    kernel.run(f"%%mpi -n 2\nlet rank = {RANK};")
    kernel.run("let in_worker = 1;")
    # A lock that is never released: no loop, no sleep.
    request = kernel.start_execute(
        '%%mpi --out interleaved\nprintln!("begun");\n'
        "if rank == 1 { let m = std::sync::Mutex::new(0); let _held = m.lock(); let _again = m.lock(); }"
    )
    kernel.wait_printed(request, "[1] begun\n")
    kernel.interrupt()
    result = kernel.collect(request).expect_error("Interrupted")
    result.matches(r"rank 0 finished; rank 1 waited in cell \[\d+\], line 3", result.traceback)
    result.has("variables of all ranks are gone", result.traceback)
    result = kernel.run("%%mpi\n2")
    result.equal(result.stdout, "[0,1] 2\n")
    result = kernel.run("in_worker")
    result.equal(result.text, "1")


@needs_mpiexec
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_a_killed_kernel_leaves_no_rank(start_kernel, busy: bool) -> None:
    kernel = start_kernel()
    kernel.run("%%mpi -n 3\nlet kept = 1;")
    if busy:
        request = kernel.start_execute('%%mpi --out interleaved\nprintln!("begun");\nlet mut n = 0_u64;\nwhile std::hint::black_box(true) { n += 1; }')
        kernel.wait_printed(request, "[2] begun\n")
    processes = ranks_of(kernel)
    assert len(processes) >= 5, processes
    os.kill(kernel.process.pid, signal.SIGKILL)
    assert not still_there(processes, 5)


@needs_mpiexec
def test_a_shutdown_leaves_no_rank(start_kernel) -> None:
    kernel = start_kernel()
    kernel.run("%%mpi -n 2\nlet kept = 1;")
    processes = ranks_of(kernel)
    kernel.shutdown()
    assert not still_there(processes, 5)


@needs_mpiexec
def test_values_go_from_the_ranks_to_the_session_and_back(kernel: Client) -> None:
    kernel.run("#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]\nstruct Point { x: u32, name: String }")
    kernel.run(f'%%mpi -n 3\nlet rank = {RANK};\nlet p = Point {{ x: rank * 10, name: "é".repeat(rank as usize) }};')
    result = kernel.run("%mpi pull p as points")
    result.equal(result.stdout, "points: Vec<Point> has the 3 values of `p`, by rank\n")
    result = kernel.run("points.iter().map(|p| (p.x, p.name.clone())).collect::<Vec<_>>()")
    result.equal(result.text, '[(0, ""), (10, "é"), (20, "éé")]')
    kernel.run("let sizes = vec![5, 6, 7]; let more = points;")
    kernel.run("%mpi push sizes")
    kernel.run("%mpi scatter more as mine")
    result = kernel.run("%%mpi\n(&sizes, mine == p)")
    result.equal(result.stdout, "[0-2] ([5, 6, 7], true)\n")
    # The session's own are still there.
    result = kernel.run("(sizes.len(), more.len())")
    result.equal(result.text, "(3, 3)")


@needs_mpiexec
def test_what_cannot_be_handed_over_is_told(kernel: Client) -> None:
    kernel.run(f"%%mpi -n 2\nlet rank = {RANK};\nlet thread = std::thread::spawn(|| 1);\nstruct Own(u8); let own = Own(1);")
    kernel.run("let three = vec![1, 2, 3]; let word = String::new();")
    for code, told in [
        ("%mpi pull thread", "cannot be sent to another process"),
        ("%mpi pull own", "own"),
        ("%mpi pull nothing", "the ranks have: own, rank, thread"),
        ("%mpi scatter three", "expecting 2 items, one for each rank, got 3"),
    ]:
        result = kernel.execute(code).expect_error("TransferError")
        result.has(told, result.traceback)
    for code, told in [
        ("%mpi scatter word", "only the items of a Vec"),
        ("%mpi pull a b", "the name of one variable"),
        ("%mpi pull 1x", "no name of a variable"),
        ("%mpi status now", "takes nothing"),
    ]:
        result = kernel.execute(code).expect_error("UsageError")
        result.has(told, result.traceback)
    result = kernel.execute("%%mpi\nthree").expect_error()
    result.has("%mpi push three", result.traceback)
    kernel.run("%mpi stop")
    result = kernel.execute("%mpi push three").expect_error("UsageError")
    result.has("no group of ranks runs", result.traceback)


@needs_mpiexec
def test_the_last_values_are_a_table(kernel: Client) -> None:
    kernel.run(f"%%mpi -n 2\nlet rank = {RANK};\nrank + 1")
    kernel.run("%%mpi\nlet later = 1;")
    result = kernel.run("%mpi values")
    [data] = result.displays
    assert "<table>" in data["text/html"]
    result.matches(r"^rank  value +wall +processor\n +0  1 .*\n +1  2 .*\nsum 3, mean 1.5, from 1 to 2; ", data["text/plain"])


@needs_mpiexec
def test_a_long_cell_shows_how_many_ranks_are_done(kernel: Client) -> None:
    result = kernel.run(f"%%mpi -n 2\nlet rank = {RANK};\nstd::thread::sleep(Duration::from_secs(4 * rank));".replace("4 * rank", "4 * u64::from(rank)"))
    [data] = result.displays
    result.equal(data["text/plain"], "1 of 2 ranks done, rank 1 at work")
    [update] = result.of_type("update_display_data")
    result.matches(r"^2 of 2 ranks done, in 4\.\d* s", update.content["data"]["text/plain"])


@needs_mpiexec
def test_a_launcher_that_hangs_can_be_interrupted(kernel: Client, tmp_path: Path) -> None:
    launcher = tmp_path / "hangs"
    launcher.write_text("#!/bin/sh\ntrap '' TERM INT HUP\ntouch begun\nwhile :; do sleep 1; done\n")
    launcher.chmod(0o755)

    def runs() -> bool:
        return any(str(launcher) in line for line in command_lines(kernel.process.descendants()))

    for _ in range(2):
        request = kernel.start_execute(f"%%mpi -n 2 --launcher {launcher}\n1")
        eventually(runs, 20, "the launcher")
        kernel.interrupt()
        begun = time.monotonic()
        result = kernel.collect(request).expect_error("Interrupted")
        assert time.monotonic() - begun < 10
        result.has("the launcher had not started the ranks yet", result.traceback)
        # Not by the launcher that hangs.
        result = kernel.run("%%mpi -n 2\n2")
        result.equal(result.stdout, "[0,1] 2\n")
        assert not runs()


def test_without_mpiexec_it_says_how_to_install_it(start_kernel, tmp_path: Path) -> None:
    # All of PATH but what brings MPI.
    folder = tmp_path / "bin"
    folder.mkdir()
    for place in os.environ["PATH"].split(os.pathsep):
        for program in Path(place).iterdir() if Path(place).is_dir() else []:
            link = folder / program.name
            if "mpi" not in program.name and "orte" not in program.name and not link.is_symlink():
                link.symlink_to(program)
    kernel = start_kernel(env={"PATH": str(folder)})
    kernel.run("let kept = 1;")
    result = kernel.execute("%%mpi -n 2\n1").expect_error("LaunchError")
    result.equal(result.evalue, "there is no mpiexec")
    result.has("apt-get install openmpi-bin", result.traceback)
    result = kernel.run("kept")
    result.equal(result.text, "1")
    kernel.execute("%%mpi -n 2\n1").expect_error("LaunchError")


def test_wrong_use_is_told(kernel: Client) -> None:
    for code, told in [
        ("%%mpi -n x\n1", "number from 1"),
        ("%%mpi --wrong\n1", "no option"),
        ("%mpi begin", "%mpi status"),
        ("%%mpi -n 2 --only 5\n1", "no rank 5"),
        ("%%mpi -n 2 --out all\n1", "interleaved"),
    ]:
        result = kernel.execute(code).expect_error("UsageError")
        result.has(told, result.traceback)
