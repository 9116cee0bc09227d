"""Tasks on a real RabbitMQ and a real Redis: done once, in order and in time, by workers that are told what to do."""

from __future__ import annotations

import pytest
from harness import Client
from queues import SHUTDOWN, STOP, equal, has

pytestmark = pytest.mark.timeout(1200)

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
