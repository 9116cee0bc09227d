"""Windows, files and started collective calls in cells: what they give, what they say, and that they can be left.

The calls themselves are tested by the program `ranks` (test_mpi.py); here they meet a notebook.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import Client, rust_str

pytestmark = pytest.mark.usefixtures("with_mpi")


def test_a_window_lives_from_cell_to_cell(ranks: Client) -> None:
    ranks.run("%%mpi\nlet window = world.window::<u64>(2 + rank)?;")
    ranks.run(
        "%%mpi\nlet mut drawn = Vec::new();\n"
        "while let job @ 0..30 = window.fetch_and_op(1, 0, 0, mpi::SUM)? { drawn.push(job); }\n"
        "window.put(&[7 + rank as u64], (rank + 1) % 3, 1)?;\nwindow.fence()?;"
    )
    # Whoever got how many: all jobs are there, and each once.
    result = ranks.run(
        "%%mpi\nlet all = world.gather(drawn, 0)?;\n"
        "let mut all = all.unwrap_or_default().concat();\nall.sort();\n"
        "if rank == 0 { println!(\"{}\", all.into_iter().eq(0..30)) }"
    )
    result.equal(result.stdout, "[0] true\n")
    result = ranks.run("%%mpi\nwindow.read(1, 1)?[0]")
    result.equal(result.stdout, "[0] 9\n[1] 7\n[2] 8\n")
    result = ranks.run('%%mpi\nwindow.free()?;\nprintln!("freed");')
    result.equal(result.stdout, "[0-2] freed\n")


def test_a_place_beyond_a_window_is_told_with_its_line(ranks: Client) -> None:
    ranks.run("%%mpi\nlet window = world.window::<f64>(4)?;")
    result = ranks.execute("%%mpi\nlet at = if rank == 1 { 4 } else { 3 };\nwindow.put(&[1.0], 0, at)?;").expect_error("Error")
    result.matches(r"rank 1 of 3: put at rank 0 \(cell \[\d+\], line 3\): 1 items from place 4 on are not in", result.evalue)
    result.has("ranks 0,2 finished", result.traceback)
    result = ranks.run("%%mpi\nwindow.fence()?;\nwindow.len()")
    result.equal(result.stdout, "[0-2] 4\n")


def test_a_wait_for_a_lock_is_told_and_can_be_interrupted(ranks: Client) -> None:
    ranks.run("%%mpi\nlet window = world.window::<i32>(1)?;")
    request = ranks.start_execute(
        "%%mpi --out interleaved\n"
        "if rank > 0 { world.recv::<()>(0, 1)?; }\n"
        "{ let held = window.lock(1, mpi::LockKind::Exclusive)?;\n"
        'println!("holds it");\n'
        "for other in 1..3 { world.send(&(), other, 1)?; }\n"
        "world.recv::<()>(2, 77)?; }"
    )
    ranks.wait_printed(request, "perhaps a deadlock", name="stderr", timeout=30)
    ranks.interrupt()
    result = ranks.collect(request).expect_error("Interrupted")
    # Ranks do not learn of the interrupt in the same instant: what the holder gives back on its way out
    # may reach one that still waits.
    lines = result.stdout.splitlines()
    result.equal(lines[0], "[0] holds it")
    result.equal(set(lines[1:]) - {"[1] holds it", "[2] holds it"}, set())
    result.matches(r"rank 0 waited in recv from rank 2, tag 77 \(cell \[\d+\], line 6\)", result.traceback)
    result.matches(r"ranks 1,2 waited in lock at rank 1 \(cell \[\d+\], line 3\)", result.traceback)
    result.has("the group is still there", result.traceback)
    # Rank 0 gave its lock back when it was interrupted.
    result = ranks.run(
        "%%mpi\nfor _ in 0..100 {\n    let held = window.lock(1, mpi::LockKind::Exclusive)?;\n"
        "    let n = held.get(0, 1)?[0];\n    held.put(&[n + 1], 0)?;\n    held.unlock()?;\n}\n"
        "window.fence()?;\nwindow.get(1, 0, 1)?[0]"
    )
    result.equal(result.stdout, "[0-2] 300\n")


def test_a_file_of_all_ranks_is_read_by_an_ordinary_cell(ranks: Client, tmp_path: Path) -> None:
    path = rust_str(tmp_path / "numbers")
    ranks.run(
        f"%%mpi\nuse mpi::{{Mode, View}};\n"
        f"let mut file = world.open_file({path}, Mode::WRITE | Mode::CREATE)?;\n"
        "file.set_view(&View::strided(8 * rank as u64, 2, 6))?;\n"
        "file.write_at_all(&[[rank as u32, 10], [rank as u32, 20]].concat(), 0)?;\n"
        "file.close()?;"
    )
    result = ranks.run(
        f"std::fs::read({path})?.chunks(4).map(|four| u32::from_ne_bytes(four.try_into().unwrap())).collect::<Vec<_>>()"
    )
    result.equal(result.text, "[0, 10, 1, 10, 2, 10, 0, 20, 1, 20, 2, 20]")


def test_a_file_that_is_not_there_is_an_error_of_every_rank(ranks: Client, tmp_path: Path) -> None:
    path = rust_str(tmp_path / "nowhere")
    result = ranks.run(
        f"%%mpi\nlet error = world.open_file::<u8>({path}, mpi::Mode::READ).unwrap_err();\n"
        'println!("{}", error.to_string().contains("nowhere: No such file or directory"));'
    )
    result.equal(result.stdout, "[0-2] true\n")
    result = ranks.execute(f"%%mpi\nworld.open_file::<u8>({path}, mpi::Mode::READ)?;").expect_error("Error")
    result.matches(r"open_file \(cell \[\d+\], line 2\): \S+nowhere: No such file", result.traceback)
    result = ranks.run("%%mpi\nworld.allreduce(rank, |a, b| a + b)?")
    result.equal(result.stdout, "[0-2] 3\n")


def test_a_started_call_is_done_behind_the_work(ranks: Client) -> None:
    result = ranks.run(
        "%%mpi\nlet mine = vec![rank as f64; 1000];\nlet mut sums = vec![0.0; 1000];\n"
        "let work = mpi::scope(|scope| {\n"
        "    let request = scope.iallreduce_slice(&world, &mine, &mut sums, mpi::SUM)?;\n"
        "    let mut work = 0_u64;\n"
        "    while !request.test()? { work += 1; }\n"
        "    Ok(work)\n"
        "})?;\n"
        "(sums[0], sums[999])"
    )
    result.equal(result.stdout, "[0-2] (3.0, 3.0)\n")


def test_a_started_call_that_one_rank_never_makes_is_told(ranks: Client) -> None:
    code = (
        '%%mpi\nif rank == 2 { panic!("early") }\n'
        "mpi::scope(|scope| {\n    let request = scope.ibarrier(&world)?;\n    request.wait()?;\n    Ok(())\n})?;"
    )
    result = ranks.execute(code).expect_error("Panic")
    result.has("rank 2 of 3 panicked: early", result.evalue)
    result.matches(r"ranks 0,1 waited in ibarrier \(cell \[\d+\], line 4\)", result.traceback)
    result.has("variables of all ranks are gone", result.traceback)
    result = ranks.run("%%mpi\nmpi::world()?.allreduce(1, |a, b| a + b)?")
    result.equal(result.stdout, "[0-2] 3\n")
