"""What is said and done when ranks wait for each other in vain: each rank's call and line, and no hang."""

from __future__ import annotations

import os
import re
import signal
import time

import pytest

from harness import Client

pytestmark = pytest.mark.usefixtures("with_mpi")


def test_ranks_that_wait_for_one_that_panicked_are_released(ranks: Client) -> None:
    started = time.monotonic()
    code = '%%mpi\nif rank == 1 { panic!("no data") }\nlet n: i32 = world.recv(1, 7)?;'
    result = ranks.execute(code).expect_error("Panic")
    result.equal(result.evalue, "rank 1 of 3 panicked: no data")
    result.matches(r"in cell \[\d+\], line 2", result.traceback)
    result.matches(r"ranks 0,2 waited in recv from rank 1, tag 7 \(cell \[\d+\], line 3\)", result.traceback)
    result.has("nobody was left to send", result.traceback)
    # Far from any limit: the watch sees it by itself.
    assert time.monotonic() - started < 30
    # Messages can be taken back, so the group lives on, and MPI with it.
    result = ranks.run("%%mpi\nworld.allreduce(rank, |a, b| a + b)?")
    result.equal(result.stdout, "[0-2] 3\n")


def test_a_collective_call_that_one_rank_never_makes_ends_the_group(ranks: Client) -> None:
    code = '%%mpi\nif rank == 2 { std::fs::read("/not/there")?; }\nworld.barrier()?;'
    result = ranks.execute(code).expect_error("Error")
    result.has("rank 2 of 3: No such file", result.evalue)
    result.matches(r"ranks 0,1 waited in barrier \(cell \[\d+\], line 3\)", result.traceback)
    result.has("variables of all ranks are gone", result.traceback)
    result = ranks.run("%%mpi\nmpi::world()?.allreduce(1, |a, b| a + b)?")
    result.equal(result.stdout, "[0-2] 3\n")


def test_a_wait_that_gives_up_is_left_alone(ranks: Client) -> None:
    code = (
        '%%mpi\nif rank == 1 { panic!("early") }\n'
        "let got = world.recv_timeout::<i32>(1, 7, Duration::from_millis(1500));\n"
        'println!("{}", got.is_ok_and(|it| it.is_none()));'
    )
    result = ranks.execute(code).expect_error("Panic")
    result.equal(result.stdout, "[0,2] true\n")
    result.has("ranks 0,2 finished", result.traceback)


def test_a_deadlock_is_told_and_can_be_interrupted(ranks: Client) -> None:
    request = ranks.start_execute(
        "%%mpi\nlet from = if rank == 0 { 2 } else { rank - 1 };\n"
        "fn get(world: &mpi::Communicator, from: usize) -> Result<u8, mpi::MpiError> {\n    world.recv(from, 0)\n}\n"
        "let n = get(&world, from)?;"
    )
    ranks.wait_printed(request, "perhaps a deadlock", name="stderr", timeout=30)
    ranks.interrupt()
    result = ranks.collect(request).expect_error("Interrupted")
    for rank, of in enumerate([2, 0, 1]):
        line = rf"rank {rank} waited in recv from rank {of}, tag 0 \(cell \[\d+\], line 4\)"
        result.matches(line, result.traceback)
        result.matches(line, result.stderr)
    result.has("the group is still there", result.traceback)
    result = ranks.run("%%mpi\nworld.allreduce(rank, |a, b| a + b)?")
    result.equal(result.stdout, "[0-2] 3\n")


def test_a_time_limit_says_where_each_rank_stood(ranks: Client) -> None:
    result = ranks.execute(
        "%%mpi --timeout 1\n"
        "fn spin() { while std::hint::black_box(true) {} }\n"
        "match rank {\n"
        "    0 => spin(),\n"
        "    1 => std::thread::sleep(Duration::from_secs(60)),\n"
        "    _ => world.barrier()?,\n"
        "}"
    ).expect_error("TimedOut")
    result.matches(
        r"rank 0 computed in cell \[(\d+)\], line 2, called from cell \[\1\], line 4\s+"
        r"rank 1 waited in cell \[\1\], line 5\s+"
        r"rank 2 waited in barrier \(cell \[\1\], line 6\)",
        result.traceback,
    )


@pytest.mark.parametrize(
    ("end", "told"),
    [
        ("std::process::exit(3)", "rank 1 of 3 ended its process with exit status 3"),
        ("unsafe { *(8 as *mut u8) = 1 }", "SIGSEGV"),
        ("kill", "rank 1 of 3 is gone"),
    ],
)
def test_when_a_rank_is_gone_the_others_say_where_they_waited(ranks: Client, end: str, told: str) -> None:
    code = end
    if end == "kill":
        listed = ranks.run("%mpi status").stdout
        pid = int(re.search(r"rank 1: process (\d+)", listed).group(1))
        code = "std::thread::sleep(Duration::from_secs(60))"
    request = ranks.start_execute(
        f'%%mpi --out interleaved\nprintln!("begun");\nif rank == 1 {{ std::thread::sleep(Duration::from_millis(200)); {code} }}\n'
        "world.barrier()?;"
    )
    if end == "kill":
        ranks.wait_printed(request, "[1] begun\n")
        time.sleep(0.2)
        os.kill(pid, signal.SIGKILL)
    result = ranks.collect(request).expect_error("RankEnded")
    result.has(told, result.evalue)
    result.matches(r"ranks 0,2 waited in barrier \(cell \[\d+\], line 4\)", result.traceback)
