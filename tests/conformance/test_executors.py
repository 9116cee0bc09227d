"""Pools of threads and their futures in cells, through a real client."""

from __future__ import annotations

import time

from harness import Client, plain

POOL = "use executors::{ThreadPool, TaskError, When, as_completed, wait};"


def test_a_pool_and_its_futures_live_from_cell_to_cell(kernel: Client) -> None:
    kernel.run(f"{POOL}\nlet pool = ThreadPool::new(2);\nlet futures: Vec<_> = (1..=4_u64).map(|n| pool.spawn(move || n * n)).collect();")
    result = kernel.run("let (done, open) = wait(futures, When::AllCompleted, Duration::from_secs(20));\n(done.len(), open.len())")
    result.equal(result.text, "(4, 0)")
    result = kernel.run("let mut squares = vec![];\nfor future in as_completed(&done) { squares.push(future.result()?); }\nsquares.sort();\nsquares")
    result.equal(result.text, "[1, 4, 9, 16]")
    result = kernel.execute("done[0].result()?;")
    result.expect_error("Error").has("taken before", result.traceback)
    result = kernel.run("pool")
    result.matches(r'ThreadPool\("ThreadPool-\d+": 2 workers, 0 running, 0 queued\)', result.text)


def test_map_keeps_its_order_with_every_executor(kernel: Client) -> None:
    kernel.run(f"{POOL}\nfn cube(n: u64) -> u64 {{ n * n * n }}\nfn cubes(executor: &impl executors::Executor) -> Result<Vec<u64>, TaskError> {{ executor.map(cube, 1..=5).collect() }}")
    result = kernel.run("cubes(&ThreadPool::default())?")
    result.equal(result.text, "[1, 8, 27, 64, 125]")


def test_what_tasks_print_is_under_the_cell_that_waits(kernel: Client) -> None:
    kernel.run(f"{POOL}\nlet pool = ThreadPool::new(2);")
    result = kernel.run('pool.map(|n: u32| println!("task {n}"), 0..3).count();')
    assert sorted(result.stdout.splitlines()) == ["task 0", "task 1", "task 2"]


def test_an_error_surfaces_where_the_result_is_read(kernel: Client) -> None:
    kernel.run(f'{POOL}\nlet pool = ThreadPool::new(1);\nlet future = pool.spawn(|| -> u32 {{ panic!("no luck") }});\nfuture.exception();')
    result = kernel.execute("future.result()?").expect_error("Error")
    result.has("the task panicked: no luck", result.traceback)
    kernel.run("assert_eq!(pool.spawn(|| 1).result()?, 1);")


def test_bad_requests_say_what_to_do(kernel: Client) -> None:
    kernel.run(POOL)
    result = kernel.execute("ThreadPool::new(0);").expect_error("Panic")
    result.has("a pool of 0 workers would never begin a task: ask for one or more", result.traceback)
    kernel.run("let pool = ThreadPool::new(1);\npool.shutdown(true);")
    result = kernel.execute("pool.spawn(|| 1).result()?;").expect_error("Error")
    result.has("the pool has been shut down; make a new one", result.traceback)
    result = kernel.execute('let lent = String::from("a");\npool.submit(|n: u32| n + 1, (1, 2));').expect_error("E0593")
    result.has("takes 1 argument", plain(result.traceback))


def test_a_wait_for_a_result_is_interrupted_and_everything_stays(kernel: Client) -> None:
    kernel.run(f"{POOL}\nlet pool = ThreadPool::new(1);\nlet kept = 5_u32;\nlet (promise, never) = executors::Promise::<u32>::new();")
    for waiting in ["never.result()?;", "wait([&never], When::AllCompleted, None);", "as_completed([&never]).count();"]:
        request = kernel.start_execute(f'println!("started");\n{waiting}')
        kernel.wait_printed(request, "started")
        asked = time.monotonic()
        kernel.interrupt().expect_ok()
        result = kernel.collect(request, timeout=10).expect_error("Interrupted")
        assert result.reply.at - asked < 2, waiting
    result = kernel.run("promise.set_result(kept);\nnever.result()? + pool.spawn(|| 1).result()?")
    result.equal(result.text, "6")


def test_an_interrupt_ends_the_tasks_and_keeps_the_pool(kernel: Client) -> None:
    kernel.run(f"{POOL}\nlet pool = ThreadPool::new(2);")
    request = kernel.start_execute('let results = pool.map(|_: u32| loop { std::hint::black_box(thread::current()); }, 0..4);\nprintln!("started");\nlet all: Vec<Result<(), TaskError>> = results.collect();')
    kernel.wait_printed(request, "started")
    kernel.interrupt().expect_ok()
    kernel.collect(request, timeout=10).expect_error("Interrupted")
    result = kernel.run("pool.spawn(|| 7).result_timeout(Duration::from_secs(20))?")
    result.equal(result.text, "7")
