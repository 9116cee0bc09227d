"""Threads of the prelude through a real client: lists, deadlocks by cell lines, interrupts, panics."""

from __future__ import annotations

import re

import pytest
from harness import Client, Result


def interrupted_after(kernel: Client, code: str, mark: str = "waits") -> Result:
    """Runs a cell, interrupts it once it has printed the mark, and waits for its end."""
    request = kernel.start_execute(code)
    kernel.wait_printed(request, mark)
    kernel.interrupt().expect_ok()
    return kernel.collect(request)


# ---- variables and lists


def test_variables_of_the_types_live_on_in_later_cells(kernel: Client) -> None:
    kernel.run(
        "let lock = Arc::new(threads::Lock::new(0));\n"
        "let rlock = Arc::new(threads::RLock::new(std::cell::Cell::new(0)));\n"
        "let places = Arc::new(threads::Semaphore::new(2));\n"
        "let bounded = Arc::new(threads::BoundedSemaphore::new(2));\n"
        "let condition = Arc::new(threads::Condition::on(&lock));\n"
        "let own = Arc::new(threads::Condition::new());\n"
        "let event = Arc::new(threads::Event::new());\n"
        "let barrier = Arc::new(threads::Barrier::new(2));\n"
        "let queue = Arc::new(threads::Queue::<i32>::new());\n"
        "let local = Arc::new(threads::Local::new(|| 7));\n"
        "let timer = threads::Timer::new(Duration::from_secs(60), || 1);\n"
        'let thread = threads::Thread::new(|| 6 * 7).name("answer");\n'
        "let me = threads::current();"
    )
    kernel.run("*lock.lock() += 1; rlock.lock().set(2); queue.put(3); event.set(); thread.start()?;")
    assert kernel.run("(*lock.lock(), rlock.lock().get(), queue.get(), event.is_set(), thread.join()?, local.get())").text == "(1, 2, 3, true, 42, 7)"
    assert kernel.run("me.name()").text == '"MainThread"'
    assert kernel.run("queue").text == "Queue { len: 0, unfinished: 1 }"
    assert kernel.run("thread").text == 'Thread { name: "answer", state: Finished, daemon: false }'
    for name in ["places", "bounded", "condition", "own", "barrier", "timer"]:
        assert kernel.run(f'format!("{{:?}}", {name}).len() > 5').text == "true"


def test_the_list_names_the_notebooks_threads_and_what_they_wait_for(kernel: Client) -> None:
    kernel.run("let gate = Arc::new(threads::Event::new());\n(0..64).into_par_iter().for_each(|_| ());")
    started = kernel.run(
        "let sleeper = {\n    let gate = Arc::clone(&gate);\n"
        '    threads::Thread::new(move || gate.wait()).name("sleeper").daemon(true).spawn()?\n};\n'
        "while sleeper.state() != threads::State::Waiting {}"
    )
    shown = kernel.run("threads::list()")
    rows = {line.split("  ")[0].strip(): line for line in shown.text.splitlines()}
    assert rows["MainThread"].split()[1] == "running", shown.text
    assert re.search(rf"sleeper +waiting +event, cell \[{started.count}\], line 3 +yes", rows["sleeper"]), shown.text
    assert "rayon-0" in rows and "<table" in shown.result["text/html"], shown.text
    kernel.run("gate.set(); sleeper.join()?;")
    assert "sleeper" not in kernel.run("threads::list()").text


def test_stacks_tell_where_each_thread_stands(kernel: Client) -> None:
    made = kernel.run(
        "static STOP: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);\n"
        "#[inline(never)]\nfn computes(turns: &mut u64) {\n    while !STOP.load(std::sync::atomic::Ordering::Relaxed) {\n"
        "        *turns += 1;\n    }\n}\n"
        "#[inline(never)]\nfn waits(event: &threads::Event) {\n    event.wait();\n    std::hint::black_box(1);\n}\n"
        "#[inline(never)]\nfn sleeps() {\n    std::thread::sleep(Duration::from_secs(2));\n    std::hint::black_box(1);\n}"
    ).count
    started = kernel.run(
        "let event = Arc::new(threads::Event::new());\nlet held = Arc::clone(&event);\n"
        "let begun = Instant::now();\n"
        "let all = [\n"
        '    threads::Thread::new(|| computes(&mut 0)).name("computes").spawn()?,\n'
        '    threads::Thread::new(move || waits(&held)).name("waits").spawn()?,\n'
        '    threads::Thread::new(|| sleeps()).name("sleeps").spawn()?,\n'
        "];"
    ).count
    # Of a call that is a function's last action, optimised code keeps no frame.
    shown = kernel.run("let stacks = threads::stacks();\nprintln!(\"{stacks}\");\nstacks")
    stacks = {line.split()[0]: line.split("  ")[-1].strip() for line in shown.stdout.splitlines()[1:]}
    computing = re.fullmatch(rf"computes, cell \[{made}\], line (\d+)( < .*, cell \[{started}\], line 5)?", stacks["computes"])
    assert computing and computing[1] in "45", shown.stdout
    assert re.fullmatch(rf"waits, cell \[{made}\], line 10( < .*, cell \[{started}\], line 6)?", stacks["waits"]), shown.stdout
    assert re.fullmatch(rf"sleeps, cell \[{made}\], line 15( < .*, cell \[{started}\], line 7)?", stacks["sleeps"]), shown.stdout
    assert stacks["MainThread"] == f"(the cell itself), cell [{shown.count}], line 1", shown.stdout
    assert "stack, innermost first" in shown.result["text/html"]
    # All go on as before: who waits waits, and who sleeps sleeps for as long as it wanted.
    assert kernel.run("all[1].state()").text == "Waiting"
    kernel.run("STOP.store(true, std::sync::atomic::Ordering::Relaxed); event.set(); for one in &all { one.join()?; }")
    assert float(kernel.run("begun.elapsed().as_secs_f64()").text) >= 2.0
    assert "stack" not in kernel.run("threads::list()").text


# ---- deadlocks


def test_a_deadlock_is_told_by_cell_lines_and_the_others_go_on(kernel: Client) -> None:
    made = kernel.run("static LEFT: threads::Lock<()> = threads::Lock::new(());\nstatic RIGHT: threads::Lock<()> = threads::Lock::new(());")
    crossed = kernel.run(
        "let both = Arc::new(threads::Barrier::new(2));\n"
        "let other = Arc::clone(&both);\n"
        "let one = threads::Thread::new(move || {\n"
        "    let _left = LEFT.lock();\n"
        "    both.wait().unwrap();\n"
        "    let _right = RIGHT.lock();\n"
        '}).name("one").spawn()?;\n'
        "let two = threads::Thread::new(move || {\n"
        "    let _right = RIGHT.lock();\n"
        "    other.wait().unwrap();\n"
        "    let _left = LEFT.lock();\n"
        '}).name("two").spawn()?;\n'
        "let ends = [one.join(), two.join()];\n"
        "let texts: Vec<String> = ends.iter().filter_map(|end| end.as_ref().err().map(|error| error.to_string())).collect();\n"
        'println!("{}", texts.join("\\n---\\n"));\n'
        "(texts.len(), LEFT.is_locked(), RIGHT.is_locked())"
    )
    assert crossed.text == "(1, false, false)"
    cell, report = f"cell [{crossed.count}], line", crossed.stdout
    assert re.search(rf"'one' holds lock \d since {re.escape(cell)} 4 and waits in {re.escape(cell)} 6 for lock \d", report), report
    assert re.search(rf"'two' holds lock \d since {re.escape(cell)} 9 and waits in {re.escape(cell)} 11 for lock \d", report), report
    for line in [1, 2]:
        assert f"was made in cell [{made.count}], line {line}" in report, report
    for part in ["Deadlock: 2 threads wait for each other", "why: ", "do:  take them in the same order"]:
        assert part in report, report
    assert "panicked at cell [" in crossed.stderr


def test_a_cell_that_locks_twice_fails_with_the_report(kernel: Client) -> None:
    kernel.run("let lock = Arc::new(threads::Lock::new(1));")
    result = kernel.execute("{ let _first = lock.lock();\nlet _second = lock.lock(); }").expect_error("Panic")
    result.has(f"'MainThread' holds the lock since cell [{result.count}], line 1", result.traceback)
    result.has(f"waits in cell [{result.count}], line 2 for the lock", result.traceback)


# ---- interrupts

WAITS = {
    "lock": "let lock = threads::Lock::new(0); lock.acquire(); thread::scope(|scope| { scope.spawn(|| { println!(\"waits\"); drop(lock.lock()); }); });",
    "rlock": "static HELD: threads::RLock<()> = threads::RLock::new(()); let go = threads::Event::new(); thread::scope(|scope| { scope.spawn(|| { let _held = HELD.lock(); go.set(); threads::Event::new().wait(); }); go.wait(); println!(\"waits\"); drop(HELD.lock()); });",
    "semaphore": 'let places = threads::Semaphore::new(0); println!("waits"); places.acquire();',
    "condition": 'let condition = threads::Condition::new(); println!("waits"); condition.wait(&mut condition.lock());',
    "event": 'let event = threads::Event::new(); println!("waits"); event.wait();',
    "barrier": 'let barrier = threads::Barrier::new(2); println!("waits"); let _never = barrier.wait();',
    "queue, get": 'let queue = threads::Queue::<u8>::new(); println!("waits"); queue.get();',
    "queue, put": 'let queue = threads::Queue::bounded(1); queue.put(1); println!("waits"); queue.put(2);',
    "queue, join": 'let queue = threads::Queue::new(); queue.put(1); println!("waits"); queue.join();',
    "join": 'let thread = threads::spawn(|| threads::Event::new().wait()); println!("waits"); let _never = thread.join();',
    "with a time": 'let event = threads::Event::new(); println!("waits"); event.wait_timeout(Duration::from_secs(600));',
}


@pytest.mark.parametrize("kind", WAITS)
def test_an_interrupt_ends_a_wait_and_leaves_variables_and_locks(kernel: Client, kind: str) -> None:
    kernel.run("static GUARDED: threads::Lock<i32> = threads::Lock::new(5);\nlet kept = vec![1, 2, 3];")
    result = interrupted_after(kernel, f"{{\nlet _guard = GUARDED.lock();\nlet _in_use = &kept;\n{WAITS[kind]}\n}}")
    result.expect_error("Interrupted")
    result.has("the code ended at its next loop or sleep", result.traceback)
    assert kernel.run("(kept.len(), GUARDED.is_locked(), *GUARDED.lock())").text == "(3, false, 5)"


# ---- panics


def test_a_thread_that_panics_gives_its_lock_back(kernel: Client) -> None:
    result = kernel.run(
        "static TOTAL: threads::Lock<i32> = threads::Lock::new(0);\n"
        'let bad = threads::Thread::new(|| {\n    *TOTAL.lock() = 1;\n    let _held = TOTAL.lock();\n    if *_held == 1 { panic!("in the middle"); }\n}).name("bad").spawn()?;\n'
        "bad.join().unwrap_err().to_string()"
    )
    assert result.text == "\"thread 'bad' panicked: in the middle\""
    assert f"thread 'bad' panicked at cell [{result.count}], line 5:\nin the middle" in result.stderr
    assert kernel.run("(TOTAL.is_locked(), *TOTAL.lock())").text == "(false, 1)"
    # By `?` it is the cell's error.
    failed = kernel.execute("bad.join()?;").expect_error("Error")
    failed.has("thread 'bad' panicked: in the middle", failed.traceback)
