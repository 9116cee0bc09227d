"""Accidents on a real RabbitMQ and a real Redis: a worker dies, a task kills its workers, the broker dies, messages are no tasks."""

from __future__ import annotations

import pytest
from harness import Client
from queues import SHUTDOWN, STOP, equal, has

pytestmark = pytest.mark.timeout(1200)

def test_a_killed_workers_task_is_done_by_another(queue: Client) -> None:
    queue.run("let workers = begin(&config, 2, 1, &begun);", timeout=90)
    result = queue.run(
        """let ids = app.call_all("rest", [(1500,); 4], &Options::default())?;
        let mut first = vec![];
        while first.len() < 2 { first.extend(all_begun(&begun)); thread::sleep(Duration::from_millis(5)); }
        let (held, victim) = first[0].clone();
        workers[usize::from(victim == "worker-2")].kill();
        let results = ids.iter().map(|id| app.result::<u64>(id, SOON)).collect::<Result<Vec<_>, _>>()?;
        let again: Vec<_> = all_begun(&begun).into_iter().filter(|one| one.0 == held).collect();
        (results == [1500; 4], again.len(), again[0].1 != victim)""",
        timeout=180,
    )
    equal(result, "(true, 1, true)")
    queue.run("app.tell(&[], Command::Shutdown, Duration::from_secs(5))?;\nfor worker in &workers { let _one_was_killed = worker.join(); }")


def test_a_task_that_ends_its_workers_is_given_up(queue: Client) -> None:
    result = queue.run(
        """let id = app.delay("fatal", ())?;
        let config_of_worker = config.clone().lease(Duration::from_millis(300));
        let mut n_workers = 0;
        while !app.has_ended(&id)? {
            n_workers += 1;
            assert!(n_workers < 20, "it goes on for ever");
            let one = processes::spawn(worker, (config_of_worker.clone(), format!("victim-{n_workers}"), 1, begun.clone()))?;
            while one.is_alive() && !app.has_ended(&id)? { thread::sleep(Duration::from_millis(20)); }
            one.kill();
        }
        (n_workers, all_begun(&begun).len(), app.result::<()>(&id, SOON).unwrap_err().to_string())""",
        timeout=300,
    )
    has(result, "given up: 8 workers have taken it")
    has(result, "(9, 8, ")


def test_what_is_no_task_is_put_aside_and_ends_nobody(queue: Client) -> None:
    started = queue.run("let workers = begin(&config, 1, 1, &begun);", timeout=90)
    result = queue.run(
        """let unknown = app.delay("nothing", (1,))?;
        let refused = App::connect(&config.clone().queue(format!("{}.refused", QUEUE_OF_TEST)))?;
        let limit = Instant::now() + SOON;
        while refused.n_waiting()? == 0 && Instant::now() < limit { thread::sleep(Duration::from_millis(5)); }
        (refused.n_waiting()?, app.result::<i64>(&app.delay("add", (1, 1))?, SOON)?)""".replace(
            "QUEUE_OF_TEST", 'format!("{app:?}").split_whitespace().nth(1).unwrap()'
        ),
        timeout=120,
    )
    equal(result, "(1, 2)")
    # Who has asked for it is told, and does not wait in vain.
    has(queue.run("failed::<i64>(&app, &unknown)", timeout=90), 'there is no task \\"nothing\\" here; there are add, careful')
    # What a worker says stands under the cell that has started it.
    queue.wait_printed(started.id, "refused a message: there is no task", name="stderr")
    result = queue.run(STOP + "workers[0].join()??.refused")
    equal(result, "1")


def test_nothing_is_lost_when_the_broker_is_killed_and_started_again(queue: Client) -> None:
    started = queue.run("let workers = begin(&config, 2, 1, &begun);", timeout=90)
    result = queue.run(
        """let before = app.call_all("add", (0..200).map(|n| (n, 100)), &Options::default())?;
        let running = app.call_all("rest", [(500,); 4], &Options::default())?;
        thread::sleep(Duration::from_millis(300));
        server.kill();
        // Somebody submits while there is no broker, and waits until it is there again.
        let patient = app.clone();
        let meanwhile = thread::spawn(move || patient.delay("add", (7, 7)));
        thread::sleep(Duration::from_millis(500));
        server.start()?;
        let meanwhile = meanwhile.join().unwrap()?;
        let sum: i64 = before.iter().map(|id| app.result::<i64>(id, SOON).unwrap()).sum();
        let rested = running.iter().map(|id| app.result::<u64>(id, SOON)).collect::<Result<Vec<_>, _>>()?;
        (sum, rested, app.result::<i64>(&meanwhile, SOON)?, app.workers()?.len())""",
        timeout=300,
    )
    equal(result, f"({sum(n + 100 for n in range(200))}, [500, 500, 500, 500], 14, 2)")
    queue.wait_printed(started.id, "the broker is there again", name="stderr")
    queue.run(SHUTDOWN, timeout=60)


def test_a_wait_that_does_not_end_can_be_interrupted(queue: Client) -> None:
    queue.run('let id = app.delay("add", (1, 1))?;')
    request = queue.start_execute('println!("waits");\napp.result::<i64>(&id, Duration::from_secs(3600))?')
    queue.wait_printed(request, "waits")
    queue.interrupt()
    assert not queue.collect(request, 30).ok
    result = queue.run("app.n_waiting()?")
    equal(result, "1")
