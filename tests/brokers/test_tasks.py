"""Tasks on a real RabbitMQ and a real Redis: done once, in order, in time, or by another when their worker or their broker dies."""

from __future__ import annotations

import pytest
from conftest import SHUTDOWN, STOP
from harness import Client, Result, squeezed

pytestmark = pytest.mark.timeout(1200)

def equal(result: Result, wanted: str) -> None:
    result.equal(squeezed(result.text), squeezed(wanted))


def has(result: Result, *parts: str) -> None:
    for part in parts:
        result.has(squeezed(part), squeezed(result.text))


def test_a_task_waits_for_a_worker_and_its_result_comes_by_its_id(queue: Client) -> None:
    queue.run('let id = app.delay("add", (5, 5))?;')
    result = queue.run('(app.n_waiting()?, app.result::<i64>(&id, Duration::from_millis(100)).unwrap_err().to_string())')
    has(result, "(1, ")
    has(result, "no result within 100ms")
    queue.run("let workers = begin(&config, 1, 2, &begun);", timeout=90)
    result = queue.run(
        """let named = app.delay("letter", Letter { to: "ann".to_owned(), lines: vec!["a".to_owned(), "b".to_owned()] })?;
        let answer: Letter = app.result(&named, SOON)?;
        let by_name = app.delay("letter", std::collections::BTreeMap::from([("to", "")]))?;
        (app.result::<i64>(&id, SOON)?, app.has_ended(&id)?, answer.to, answer.lines.concat(),
         failed::<Letter>(&app, &by_name))""",
        timeout=120,
    )
    has(result, '(10, true, "ANN", "ba", ')
    has(result, "missing field `lines`")
    # Errors and panics are results, and the worker goes on.
    result = queue.run(
        """(failed::<i64>(&app, &app.delay("add", (i64::MAX, 1))?), failed::<i64>(&app, &app.delay("careful", (0,))?),
         failed::<i64>(&app, &app.delay("add", ("five", 5))?), failed::<String>(&app, &app.delay("add", (1, 1))?),
         app.result::<i64>(&app.delay("careful", (3,))?, SOON)?)""",
        timeout=120,
    )
    for part in ("9223372036854775807 + 1 is too large", "it panicked: zero", 'invalid type: string \\"five\\"', "the result of", ", 3)"):
        has(result, part)
    queue.run(SHUTDOWN)


def test_each_task_is_done_exactly_once_by_several_processes(queue: Client) -> None:
    queue.run("let workers = begin(&config, 3, 2, &begun);", timeout=90)
    result = queue.run(
        """{
        let ids = app.call_all("add", (0..500).map(|n| (n, 1)), &Options::default())?;
        let sum: i64 = ids.iter().map(|id| app.result::<i64>(id, SOON).unwrap()).sum();
        let all = all_begun(&begun);
        let names: std::collections::BTreeSet<_> = all.iter().map(|one| &one.1).collect();
        let mut started: Vec<_> = all.iter().map(|one| &one.0).collect();
        started.sort();
        started.dedup();
        (sum, all.len(), started.len(), names.len() > 1, app.n_waiting()?)
        }""",
        timeout=180,
    )
    equal(result, f"({sum(range(1, 501))}, 500, 500, true, 0)")
    result = queue.run(STOP + "workers.iter().map(|worker| worker.join().unwrap().unwrap().succeeded).sum::<u64>()")
    equal(result, "500")


def test_options(queue: Client) -> None:
    queue.run("let workers = begin(&config, 1, 1, &begun);", timeout=90)
    result = queue.run(
        """{
        let again = |retries| Options { retries: Some(retries), retry_delay: Duration::from_millis(20), ..Options::default() };
        let (flaky, hopeless) = (app.call("flaky", (2,), &again(3))?, app.call("flaky", (9,), &again(1))?);
        let limit = Options { time_limit: Some(Duration::from_millis(200)), ..Options::default() };
        let limited = app.call("rest", (60_000,), &limit)?;
        (app.result::<u32>(&flaky, SOON)?, app.result::<u32>(&hopeless, SOON).unwrap_err().to_string(),
         app.result::<u64>(&limited, SOON).unwrap_err().to_string())
        }""",
        timeout=120,
    )
    equal(result, '(3, "attempt 2 failed", "over its time limit of 200ms")')
    # One worker with one slot and nothing in stock: what waits is in the broker, and comes by its priority.
    result = queue.run(
        """{
        let busy = app.delay("rest", (700,))?;
        while !all_begun(&begun).iter().any(|one| one.0 == busy) { thread::sleep(Duration::from_millis(5)); }
        let soon = Options { delay: Duration::from_millis(1500), ..Options::default() };
        let asked = Instant::now();
        let later = app.call("add", (4, 0), &soon)?;
        let old = app.call("add", (5, 0), &Options { expires: Some(Duration::from_millis(100)), ..Options::default() })?;
        let ids = [0, 5, 9].map(|priority| app.call("add", (i64::from(priority), 0), &Options { priority, ..Options::default() }).unwrap());
        let result = app.result::<i64>(&later, SOON)?;
        let waited = asked.elapsed() >= Duration::from_millis(1500);
        let order: Vec<String> = all_begun(&begun).into_iter().map(|one| one.0).collect();
        let wanted = [&ids[2], &ids[1], &ids[0], &later].map(String::clone);
        (result, waited, order == wanted, app.result::<i64>(&old, SOON).unwrap_err().to_string().contains("was revoked"))
        }""",
        timeout=120,
    )
    equal(result, "(4, true, true, true)")
    queue.run(SHUTDOWN)


def test_workers_are_looked_at_and_told_what_to_do(queue: Client) -> None:
    queue.run("let workers = begin(&config, 2, 1, &begun);", timeout=90)
    result = queue.run(
        """(app.workers()?, ask(&app, Command::Registered), ask(&app, Command::Ping)["ok"].clone(), ask(&app, Command::Queues).as_array().unwrap().len())""",
        timeout=60,
    )
    equal(
        result,
        '(["worker-1", "worker-2"], Array [String("add"), String("careful"), String("fatal"), String("flaky"), String("letter"), '
        'String("rest")], String("pong"), 1)',
    )
    # Two that run, one that waits in the broker, one for its time.
    result = queue.run(
        """let long = app.call_all("rest", [(60_000,), (60_000,)], &Options::default())?;
        let later = app.call("add", (1, 1), &Options { delay: Duration::from_secs(3600), ..Options::default() })?;
        let limit = Instant::now() + SOON;
        while ids_in(&app, Command::Active).len() < 2 && Instant::now() < limit {}
        let active = ids_in(&app, Command::Active);
        (active.len(), active.iter().all(|id| long.contains(id)))""",
        timeout=120,
    )
    equal(result, "(2, true)")
    result = queue.run(
        """{
        let waiting = app.delay("add", (2, 2))?;
        let told = app.revoke(&waiting)?;
        let terminated = long.iter().map(|id| app.terminate(id).unwrap()).max();
        let ended = long.iter().all(|id| matches!(app.result::<u64>(id, SOON), Err(broker::Error::Revoked { .. })));
        let revoked = app.result::<i64>(&waiting, SOON).unwrap_err().to_string().contains("was revoked");
        // It came behind those that had the slots; now a worker has it, and sleeps.
        let limit = Instant::now() + SOON;
        while ids_in(&app, Command::Scheduled) != [later.clone()] && Instant::now() < limit {}
        let scheduled = ids_in(&app, Command::Scheduled) == [later.clone()];
        app.revoke(&later)?;
        let over = app.result::<i64>(&later, SOON).unwrap_err().to_string().contains("was revoked");
        let stats = ask(&app, Command::Stats);
        (told, terminated, ended, revoked, scheduled, over, stats["pool"]["max-concurrency"].clone(),
         all_begun(&begun).len())
        }""",
        timeout=180,
    )
    equal(result, "(2, Some(2), true, true, true, true, Number(1), 2)")
    queue.run(SHUTDOWN)


def test_slots_rates_and_limits_change_while_a_worker_runs(queue: Client) -> None:
    queue.run("let workers = begin(&config, 1, 1, &begun);", timeout=90)
    result = queue.run(
        """{
        ask(&app, Command::Grow(3));
        let four = app.call_all("rest", [(800,); 4], &Options::default())?;
        let limit = Instant::now() + SOON;
        let active = |n| ask(&app, Command::Active).as_array().unwrap().len() == n;
        while !active(4) && Instant::now() < limit {}
        let at_once = active(4);
        for id in &four { app.result::<u64>(id, SOON)?; }
        let shrunk = ask(&app, Command::Shrink(9))["ok"].clone();
        let rate = ask(&app, Command::RateLimit("add".to_owned(), 20.0))["ok"].clone();
        let begun_at = Instant::now();
        let ids = app.call_all("add", (0..11).map(|n| (n, 1)), &Options::default())?;
        for id in &ids { app.result::<i64>(id, SOON)?; }
        let slow = begun_at.elapsed() >= Duration::from_millis(490);
        ask(&app, Command::RateLimit("add".to_owned(), 0.0));
        ask(&app, Command::TimeLimit("rest".to_owned(), Some(Duration::from_millis(100))));
        let over = app.result::<u64>(&app.delay("rest", (60_000,))?, SOON).unwrap_err().to_string();
        ask(&app, Command::TimeLimit("rest".to_owned(), None));
        let unknown = ask(&app, Command::RateLimit("nothing".to_owned(), 1.0))["error"].clone();
        (at_once, shrunk, rate, slow, over, app.result::<u64>(&app.delay("rest", (150,))?, SOON)?, unknown)
        }""",
        timeout=180,
    )
    equal(
        result,
        '(true, String("slots 1"), String("new rate limit set successfully"), true, "over its time limit of 100ms", 150, '
        'String("there is no task \\"nothing\\""))',
    )
    queue.run(SHUTDOWN)


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
        """app.delay("nothing", (1,))?;
        let refused = App::connect(&config.clone().queue(format!("{}.refused", QUEUE_OF_TEST)))?;
        let limit = Instant::now() + SOON;
        while refused.n_waiting()? == 0 && Instant::now() < limit { thread::sleep(Duration::from_millis(5)); }
        (refused.n_waiting()?, app.result::<i64>(&app.delay("add", (1, 1))?, SOON)?)""".replace(
            "QUEUE_OF_TEST", 'format!("{app:?}").split_whitespace().nth(1).unwrap()'
        ),
        timeout=120,
    )
    equal(result, "(1, 2)")
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


def test_purge_shutdown_and_periodic_tasks(queue: Client) -> None:
    result = queue.run(
        """let purged = app.call_all("add", (0..5).map(|n| (n, n)), &Options::default())?;
        let n_purged = app.purge()?;
        let workers = begin(&config, 1, 1, &begun);
        // What a worker has and has not begun goes back into the queue when it shuts down; what runs is finished.
        let ids = app.call_all("rest", [(400,); 3], &Options::default())?;
        while all_begun(&begun).is_empty() { thread::sleep(Duration::from_millis(5)); }
        app.tell(&[], Command::Shutdown, Duration::from_secs(5))?;
        let done = workers[0].join()??;
        (n_purged, done.succeeded, app.result::<u64>(&ids[0], SOON)?, app.n_waiting()?)""",
        timeout=120,
    )
    equal(result, "(5, 1, 400, 2)")
    result = queue.run(
        """app.purge()?;
        let workers = begin(&config, 1, 1, &begun);
        let clock = app.every("clock", Duration::from_millis(100), "add", (1, 2))?;
        let mut n = 0;
        while n < 5 { n += all_begun(&begun).len(); thread::sleep(Duration::from_millis(10)); }
        let name = clock.name().to_owned();
        clock.stop();
        clock.join(SOON)?;
        name""",
        timeout=120,
    )
    equal(result, '"clock"')
    queue.run(SHUTDOWN)


def test_a_wait_that_does_not_end_can_be_interrupted(queue: Client) -> None:
    queue.run('let id = app.delay("add", (1, 1))?;')
    request = queue.start_execute('println!("waits");\napp.result::<i64>(&id, Duration::from_secs(3600))?')
    queue.wait_printed(request, "waits")
    queue.interrupt()
    assert not queue.collect(request, 30).ok
    result = queue.run("app.n_waiting()?")
    equal(result, "1")
