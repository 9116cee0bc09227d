"""`.await` in cells, tasks that outlive their cell, and the event loop, through a real client."""

from __future__ import annotations

import time

import pytest
from harness import Client, plain

SLOW = "async fn slow(n: u64) -> u64 { tasks::sleep(Duration::from_millis(5)).await; n }"


def interrupted(kernel: Client, code: str) -> None:
    request = kernel.start_execute(code)
    kernel.wait_printed(request, "started")
    asked = time.monotonic()
    kernel.interrupt().expect_ok()
    result = kernel.collect(request, timeout=10).expect_error("Interrupted")
    assert result.reply.at - asked < 2, code


def test_a_cell_may_await(kernel: Client) -> None:
    result = kernel.run(f"{SLOW}\nlet three = slow(3).await;\nlet task = tasks::spawn(slow(4));\nprintln!(\"{{}}\", slow(2).await);\nslow(1).await")
    result.equal(result.text, "1")
    result.equal(result.stdout, "2\n", "text of a macro with an await in it")
    result = kernel.run("three + task.await?")
    result.equal(result.text, "7", "variables bound beside an await")
    result = kernel.run("tasks::gather((slow(1), slow(2))).await")
    result.equal(result.text, "(1, 2)")


def test_no_crate_is_added_for_it(kernel: Client) -> None:
    kernel.run(f"{SLOW}\nslow(1).await;")
    result = kernel.run(":show_deps")
    result.lacks("tokio", result.text)


def test_handles_of_every_kind_can_be_kept(kernel: Client) -> None:
    kernel.run(f"{SLOW}\nlet pool = executors::ThreadPool::new(1);")
    kernel.run(
        "let task = tasks::spawn(slow(1));\nlet future = pool.spawn(|| 2_u64);\nlet by_tokio = tokio::spawn(slow(3));\n"
        "let pair = tokio::join!(slow(4), slow(5));\nlet name = String::from(\"kept\");\nslow(0).await;"
    )
    result = kernel.run("let sum = task.await? + future.await? + by_tokio.await? + pair.0 + pair.1;\nlet moved = name;\nsum + moved.len() as u64")
    result.equal(result.text, "19")
    result = kernel.execute("name").expect_error("E0425")
    kernel.run("assert_eq!(moved, \"kept\");")


def test_errors_by_question_mark_name_their_line(kernel: Client) -> None:
    result = kernel.execute(f'{SLOW}\nslow(1).await;\n"x".parse::<u32>()?;\nslow(2).await;').expect_error("Error")
    result.has("line 3", plain(result.traceback))
    result = kernel.execute('let task = tasks::spawn(async { panic!("no luck") });\n\ntask.await?;').expect_error("Error")
    result.has("the task panicked: no luck", result.traceback)
    result.has("line 3", plain(result.traceback))


@pytest.mark.parametrize("asking", [False, True])
def test_compile_errors_keep_their_places(kernel: Client, asking: bool) -> None:
    kernel.run(SLOW)
    if asking:
        kernel.run('let _ok: u32 = "1".parse()?;')
    result = kernel.execute('slow(1).await;\nlet number = 1;\n  let text: String = slow(2).await;\n"a"').expect_error("E0308")
    result.has(f"cell [{result.count}]:3:22", plain(result.traceback))
    result.lacks("E0728", result.traceback)
    result.lacks("__cell", result.traceback)


def test_a_panic_behind_an_await_names_its_line_and_keeps_variables(kernel: Client) -> None:
    kernel.run(f"{SLOW}\nlet held = vec![1, 2, 3];")
    result = kernel.execute('slow(held.len() as u64).await;\n\npanic!("here");').expect_error("Panic")
    result.has("line 3", plain(result.traceback))
    result = kernel.run("held.len()")
    result.equal(result.text, "3")


@pytest.mark.parametrize(
    "waiting",
    [
        "tasks::sleep(Duration::from_secs(600)).await;",
        "tasks::gather((std::future::pending::<()>(), tasks::sleep(Duration::from_secs(600)))).await;",
        "loop { tasks::yield_now().await; }",
        "{ let lock = tokio::sync::Mutex::new(0); let _held = lock.lock().await; let _again = lock.lock().await; }",
        "tasks::spawn(std::future::pending::<()>()).result()?;",
        "tasks::block_on(tasks::sleep(Duration::from_secs(600)));",
        "tasks::EventLoop::new().run_forever();",
        "tasks::EventLoop::with_virtual_clock().run_until_complete(std::future::pending::<()>());",
        "{ let l = tasks::EventLoop::with_virtual_clock(); fn again(l: &tasks::EventLoop) { l.call_later(Duration::from_secs(1), again); } again(&l); l.run_forever(); }",
    ],
)
def test_a_cell_that_awaits_can_be_interrupted(kernel: Client, waiting: str) -> None:
    kernel.run("let held = vec![1, 2, 3];")
    worker = kernel.worker_pid()
    interrupted(kernel, f'println!("started {{}}", held.len());\n{waiting}')
    result = kernel.run("tasks::sleep(Duration::from_millis(1)).await;\nheld.len()")
    result.equal(result.text, "3")
    assert kernel.worker_pid() == worker


TICKER = (
    "let counter = Arc::new(atomic::AtomicU32::new(0));\nlet seen = counter.clone();\n"
    "let ticker = tasks::spawn(async move { loop { tasks::sleep(Duration::from_millis(10)).await; "
    'println!("tick {}", seen.fetch_add(1, atomic::Ordering::SeqCst)); } });'
)
THREE_TICKS = (
    "let before = counter.load(atomic::Ordering::SeqCst);\n"
    "while counter.load(atomic::Ordering::SeqCst) < before + 3 { tasks::sleep(Duration::from_millis(5)).await; }"
)
END_TICKER = "let cancelled = ticker.cancel();\n(cancelled, matches!(ticker.await, Err(tasks::TaskError::Cancelled)))"


def test_tasks_go_on_between_cells_and_print_under_the_cell_that_spawned_them(kernel: Client) -> None:
    kernel.late_allowed = True
    spawned = kernel.run(TICKER)
    kernel.run("()")
    result = kernel.run(THREE_TICKS)
    result.equal(result.stdout, "")
    result = kernel.run(END_TICKER)
    result.equal(result.text, "(true, true)")
    kernel.fence()
    printed = "".join(m.content["text"] for m in kernel.by_parent[spawned.id] if m.type == "stream")
    assert printed.count("tick") >= 3, printed


@pytest.mark.parametrize(
    "spawn",
    ["tasks::spawn_blocking(busy)", "executors::ThreadPool::new(1).spawn(busy)", "tasks::spawn(async { busy() })"],
    ids=["blocking", "pool", "task"],
)
def test_an_interrupt_is_not_for_the_tasks_of_other_cells(kernel: Client, spawn: str) -> None:
    kernel.run("static GO_ON: atomic::AtomicBool = atomic::AtomicBool::new(true);")
    kernel.run("fn busy() -> u32 { let mut n = 0_u64; while GO_ON.load(atomic::Ordering::Relaxed) { n = std::hint::black_box(n + 1); } 42 }")
    keeps_pool = "let pool = executors::ThreadPool::new(1);\nlet background = pool.spawn(busy);"
    kernel.run(keeps_pool if "ThreadPool" in spawn else f"let background = {spawn};")
    interrupted(kernel, 'println!("started");\nloop {}')
    result = kernel.run("GO_ON.store(false, atomic::Ordering::Relaxed);\nbackground.await?")
    result.equal(result.text, "42", "the task went on to its end")


def test_to_wait_inside_of_a_task_is_refused_in_our_words(kernel: Client) -> None:
    for code in [
        "tasks::block_on(async { tasks::block_on(async {}) });",
        "tasks::sleep(Duration::from_millis(1)).await;\ntasks::block_on(async {});",
        "tasks::EventLoop::new().run_until_complete(async { tasks::block_on(async {}) });",
    ]:
        result = kernel.execute(code).expect_error("Panic")
        result.has("tasks::block_on was called inside of a task", result.traceback)
        result.has("write `.await` behind the future", result.traceback)
    result = kernel.execute("let sleeper = tasks::spawn(tasks::sleep(Duration::from_secs(600)));\ntasks::block_on(async { sleeper.result() })?;").expect_error("Error")
    result.has("this would wait for ever", result.traceback)


def test_limits_of_time(kernel: Client) -> None:
    result = kernel.run(
        "let ready = tasks::timeout(Duration::ZERO, async { 1 }).await.is_ok();\n"
        "let late = tasks::timeout(Duration::ZERO, tasks::sleep(Duration::from_secs(600))).await.is_err();\n"
        "let task = tasks::spawn(tasks::sleep(Duration::from_secs(600)));\n"
        "let (done, pending) = tasks::wait_timeout([task], tasks::When::AllCompleted, Duration::ZERO).await;\n"
        "(ready, late, done.len(), pending.len())"
    )
    result.equal(result.text, "(true, true, 0, 1)")


def test_an_event_loop_is_kept_from_cell_to_cell(kernel: Client) -> None:
    kernel.run("use tasks::EventLoop;\nlet event_loop = EventLoop::with_virtual_clock();\nlet future = event_loop.create_future::<u32>();")
    kernel.run("let setter = future.clone();\nlet timer = event_loop.call_later(Duration::from_secs(3600), move |_| setter.set_result(5).unwrap());")
    result = kernel.run("(event_loop.run_until_complete(future.clone())?, event_loop.time().as_secs())")
    result.equal(result.text, "(5, 3600)")
    result = kernel.run("event_loop")
    result.matches(r"EventLoop\(not running, time 3600s, 0 ready, 0 timers, 0 tasks\)", result.text)
    kernel.run("event_loop.close();")
    result = kernel.execute("event_loop.run_forever();").expect_error("Panic")
    result.has("the loop is closed; make a new one with EventLoop::new()", result.traceback)


def test_measuring_magics_take_an_await(kernel: Client) -> None:
    kernel.run(SLOW)
    result = kernel.run("%time slow(3).await")
    result.equal(result.text, "3")
    result.has("Wall time", result.stdout)


def test_tokio_without_its_runtime_is_answered_with_advice(kernel: Client) -> None:
    result = kernel.execute("tokio::spawn(async { 5 });").expect_error("Panic")
    result.has("do: use tasks::spawn", result.traceback)
    result = kernel.run("let five = tasks::spawn(async { tokio::spawn(async { 5 }).await.unwrap() });\nfive.await?")
    result.equal(result.text, "5")
