"""Functions of cells in processes of their own: values, names, output, errors, pools."""

from __future__ import annotations

from harness import Client


def test_a_function_of_a_cell_runs_in_another_process(kernel: Client) -> None:
    kernel.run("#[derive(Debug, Serialize, Deserialize)] pub struct Point { x: i32, y: i32 }")
    kernel.run("pub fn mirrored(p: Point) -> (Point, u32) { (Point { x: p.y, y: p.x }, std::process::id()) }")
    result = kernel.run(
        "let process = processes::spawn(mirrored, (Point { x: 1, y: 2 },))?;\n"
        "let (point, pid) = process.join()?;\n"
        "(point.x, point.y, pid == process.pid().unwrap(), pid == std::process::id())"
    )
    result.matches(r"\(\s*2,\s*1,\s*true,\s*false,?\s*\)", result.text)


def test_closures_and_functions_of_earlier_cells_are_found(kernel: Client) -> None:
    kernel.run("pub fn base() -> u64 { 40 }")
    kernel.run("pub fn more(n: u64) -> u64 { base() + n }")
    result = kernel.run(
        "println!(\"{}\", processes::spawn(more, (2,))?.join()?);\n"
        "println!(\"{}\", processes::spawn(|n: u64| more(n) * 2, (2,))?.join()?);"
    )
    result.equal(result.stdout, "42\n84\n")


def test_a_process_tells_its_state(kernel: Client) -> None:
    result = kernel.run(
        "{ let p = processes::Process::new(|| thread::sleep(Duration::from_secs(60)), ()).name(\"sleeper\");\n"
        "let before = p.is_alive(); p.start()?; let after = p.is_alive();\n"
        "p.terminate(); let error = p.join().unwrap_err();\n"
        "println!(\"{before} {after} {} {:?}\\n{error}\", p.is_alive(), p.exit_code()); }"
    )
    result.equal(
        result.stdout,
        "false true false Some(-15)\nsleeper was ended by signal 15 (SIGTERM, asked to end)\n",
    )


def test_names_count_all_processes(start_kernel) -> None:
    kernel = start_kernel()
    result = kernel.run(
        "pub fn name() -> String { processes::current().name().to_owned() }\n"
        "let first = processes::Process::new(name, ()).name(\"first\"); first.start()?;\n"
        "let second = processes::spawn(name, ())?;\n"
        "println!(\"{} {} {}\", first.join()?, second.join()?, name());"
    )
    result.equal(result.stdout, "first Process-2 MainProcess\n")


def test_output_of_a_process_belongs_to_the_cell_that_started_it(kernel: Client) -> None:
    kernel.late_allowed = True
    first = kernel.start_execute(
        "let talker = processes::spawn(|| for i in 0..40 { println!(\"line {i}\"); thread::sleep(Duration::from_millis(50)) }, ())?;\n"
        "println!(\"started\");"
    )
    kernel.collect(first).expect_ok()
    result = kernel.run("println!(\"second\"); talker.join()?; println!(\"joined\");")
    result.equal(result.stdout, "second\njoined\n")
    kernel.fence()
    text = "".join(m.content["text"] for m in kernel.by_parent[first] if m.is_stream("stdout"))
    assert text == "started\n" + "".join(f"line {i}\n" for i in range(40)), text


def test_order_of_prints_and_displays_of_a_process(kernel: Client) -> None:
    result = kernel.run(
        "println!(\"before\");\n"
        "processes::spawn(|| { println!(\"one\"); display(&Html::new(\"<b>two</b>\")); println!(\"three\"); eprintln!(\"four\") }, ())?.join()?;\n"
        "println!(\"after\");"
    )
    seen = [
        m.content["text"] if m.type == "stream" else m.content["data"]["text/html"]
        for m in result.outputs
        if not m.is_stream("stderr")
    ]
    result.equal("".join(seen), "before\none\n<b>two</b>three\nafter\n")
    result.equal(result.stderr, "four\n", "stderr")


def test_a_panic_names_the_process_and_the_line_of_the_cell(kernel: Client) -> None:
    kernel.run("pub fn bad(n: usize) -> i32 {\n    let v = vec![1];\n    v[n]\n}")
    result = kernel.run(
        "let p = processes::Process::new(bad, (7,)).name(\"unlucky\"); p.start()?;\n"
        "println!(\"{} {:?}\", p.join().unwrap_err(), p.exit_code());"
    )
    result.matches(
        r"process 'unlucky' panicked at cell \[\d+\], line 3:\nindex out of bounds: the len is 1 but the index is 7\n",
        result.stderr,
        "stderr",
    )
    result.equal(
        result.stdout,
        "unlucky panicked: index out of bounds: the len is 1 but the index is 7 Some(101)\n",
    )


def test_what_cannot_travel_is_a_compile_error_that_says_so(kernel: Client) -> None:
    result = kernel.execute("pub struct Opaque;\npub fn take(_: Opaque) {}\nprocesses::spawn(take, (Opaque,))?;").expect_error()
    result.matches("Opaque", result.traceback)
    result.matches(r"derive\(.*Serialize", result.traceback)
    result = kernel.execute("processes::spawn(|| thread::current(), ())?;").expect_error()
    result.matches("cannot be sent to another process", result.traceback)
    result = kernel.execute("{ let n = 5; processes::spawn(move || n + 1, ())?; }").expect_error()
    result.matches("because it carries data", result.traceback)
    assert kernel.run("6 * 7").text == "42"


def test_statics_of_a_process_begin_anew_and_those_of_a_copy_do_not(kernel: Client) -> None:
    kernel.run("pub static SEEN: atomic::AtomicU32 = atomic::AtomicU32::new(1);")
    kernel.run("SEEN.store(7, atomic::Ordering::Relaxed);")
    result = kernel.run(
        "{ let look = || SEEN.load(atomic::Ordering::Relaxed);\n"
        "println!(\"{} {}\", processes::spawn(|| SEEN.load(atomic::Ordering::Relaxed), ())?.join()?, processes::fork(look)?.join()?); }"
    )
    result.equal(result.stdout, "1 7\n")


def test_fork_after_threads_and_rayon_were_used(kernel: Client) -> None:
    result = kernel.run(
        "let numbers: Vec<u64> = (0..1000).collect();\n"
        "let sum: u64 = numbers.par_iter().sum();\n"
        "let (stop, stopped) = mpsc::channel::<()>();\n"
        "let busy = thread::spawn(move || while stopped.try_recv() == Err(mpsc::TryRecvError::Empty) { print!(\"\"); std::hint::black_box(vec![0u8; 999]); });\n"
        "for _ in 0..10 {\n"
        "    let p = processes::fork(|| { println!(\"in the copy\"); numbers.par_iter().sum::<u64>() })?;\n"
        "    assert_eq!(p.join_timeout(Duration::from_secs(20))?, sum);\n"
        "}\n"
        "stop.send(()).unwrap(); busy.join().unwrap();"
    )
    result.equal(result.stdout, "in the copy\n" * 10)


def test_a_copy_that_crashes_or_panics_is_no_crash_of_the_cells(kernel: Client) -> None:
    kernel.run("let kept = 5;")
    result = kernel.run(
        "println!(\"{}\", processes::fork(|| unsafe { std::ptr::null_mut::<i32>().write_volatile(1) })?.join().unwrap_err());\n"
        "println!(\"{}\", processes::fork(|| -> i32 { panic!(\"no {kept}\") })?.join().unwrap_err());\n"
        "println!(\"{kept}\");"
    )
    result.has("signal 11 (SIGSEGV", result.stdout)
    result.has("panicked: no 5\n5\n", result.stdout)
    result.matches(r"process 'Process-\d+' panicked at cell \[\d+\], line 2:\nno 5", result.stderr)


def test_a_program_of_processes_ends_as_one(kernel: Client) -> None:
    result = kernel.run(
        "pub fn work(first: u32, pause: u64) { println!(\"{} begins\", processes::current().name());\n"
        "    for i in first..first + 5 { println!(\"{i}\"); thread::sleep(Duration::from_millis(pause)); } println!(\"{} ends\", processes::current().name()); }\n"
        "pub fn program() {\n"
        "    let daemon = processes::Process::new(work, (0, 5_000)).name(\"background\").daemon(true);\n"
        "    let worker = processes::Process::new(work, (5, 20)).name(\"foreground\");\n"
        "    daemon.start().unwrap(); worker.start().unwrap();\n"
        "}\n"
        "processes::spawn(program, ())?.join()?;"
    )
    lines = result.stdout.splitlines()
    result.equal([line for line in lines if line in "56789"], list("56789"))
    assert "foreground ends" in lines and "background ends" not in lines, lines


def test_a_pool_works_for_functions_of_any_cell(kernel: Client) -> None:
    kernel.run("let pool = processes::Pool::new(2)?;")
    kernel.run("pub fn square(n: u64) -> u64 { n * n }")
    result = kernel.run("pool.map(square, 0..100)?.iter().sum::<u64>()")
    result.equal(result.text, "328350")
    result = kernel.run("pool.starmap(|a: u32, b: u32| a * b, [(2, 3), (4, 5)])?")
    result.matches(r"\[\s*6,\s*20,?\s*\]", result.text)
    result = kernel.run("pool.imap(|n: u32| { println!(\"item {n}\"); n + 1 }, 0..3).collect::<Result<Vec<_>, _>>()?")
    result.equal(sorted(result.stdout.splitlines()), ["item 0", "item 1", "item 2"])
    result = kernel.execute("pool.map(|n: u32| { assert!(n != 2, \"no twos\"); n }, 0..9)?").expect_error()
    result.has("item 2: a worker of Pool panicked: no twos", result.evalue + result.traceback)
    result.matches(r"process 'PoolWorker-\d+' panicked at cell \[\d+\], line 1:\nno twos", result.stderr)
    kernel.run("pool.join();")
    result = kernel.execute("pool.apply(square, (1,))?").expect_error()
    result.has("takes no work", result.evalue + result.traceback)
