"""What processes of cells share: queues, pipes, locks, numbers, a manager; and what a killed process leaves."""

from __future__ import annotations

import time

from harness import Client


def test_a_queue_goes_to_processes_and_comes_back(kernel: Client) -> None:
    kernel.run(
        "#[derive(Debug, PartialEq, Serialize, Deserialize)] pub struct Job { id: u32, name: String }\n"
        "pub fn work(jobs: processes::JoinableQueue<Option<Job>>, results: processes::Queue<(u32, usize)>) -> u32 {\n"
        "    let mut done = 0;\n"
        "    while let Some(job) = jobs.get().unwrap() {\n"
        "        results.put((job.id, job.name.len())).unwrap(); jobs.task_done().unwrap(); done += 1;\n"
        "    }\n    done\n}"
    )
    result = kernel.run(
        "let (jobs, results) = (processes::JoinableQueue::new(), processes::Queue::new());\n"
        "let workers = [0; 2].map(|_| processes::spawn(work, (jobs.clone(), results.clone())).unwrap());\n"
        'for id in 0..50 { jobs.put(Some(Job { id, name: "x".repeat(id as usize) }))?; }\n'
        "jobs.join();\n"
        "for _ in 0..2 { jobs.put(None)?; }\n"
        "let done: u32 = workers.iter().map(|worker| worker.join().unwrap()).sum();\n"
        "let mut all: Vec<_> = (0..50).map(|_| results.get().unwrap()).collect(); all.sort();\n"
        'println!("{done} {} {:?}", all.iter().all(|&(id, length)| id as usize == length), results.try_get());'
    )
    result.equal(result.stdout, "50 true Err(Empty)\n")


def test_a_queue_stays_a_variable_of_later_cells(kernel: Client) -> None:
    kernel.run("let numbers = processes::Queue::<u64>::bounded(3); numbers.put(1)?;")
    kernel.run("processes::spawn(|numbers: processes::Queue<u64>| numbers.put(2).unwrap(), (numbers.clone(),))?.join()?;")
    result = kernel.run('println!("{numbers:?}"); println!("{} {}", numbers.get()?, numbers.get()?);')
    result.equal(result.stdout, "Queue { len: 2, most: 3 }\n1 2\n")


def test_a_pipe_ends_when_its_sending_process_has_ended(kernel: Client) -> None:
    result = kernel.run(
        "let (sender, receiver) = processes::pipe::<u32>();\n"
        "let (squares, results) = processes::pipe::<u32>();\n"
        "let first = processes::spawn(|out: processes::Sender<u32>| for n in 0..10 { out.send(n).unwrap() }, (sender,))?;\n"
        "let second = processes::spawn(|numbers: processes::Receiver<u32>, out: processes::Sender<u32>| "
        "for n in numbers { out.send(n * n).unwrap() }, (receiver, squares))?;\n"
        'println!("{:?}", results.iter().collect::<Vec<_>>()); first.join()?; second.join()?;'
    )
    result.equal(result.stdout, "[0, 1, 4, 9, 16, 25, 36, 49, 64, 81]\n")


def test_the_wrong_direction_does_not_compile_or_is_an_error(kernel: Client) -> None:
    failed = kernel.execute("let (a, b) = processes::pipe::<u32>(); b.send(1)?;").expect_error()
    failed.has("no method named `send`", failed.traceback, "traceback")
    result = kernel.run('let (a, b) = processes::one_way::<u32>(); println!("{}", a.send(1).unwrap_err());')
    assert "wrong direction: this end of a one-way pipe only receives" in result.stdout


def test_a_killed_process_does_not_lock_the_others_out(kernel: Client) -> None:
    kernel.run(
        "pub fn hold(lock: processes::Lock, held: processes::Event) {\n"
        "    let _guard = lock.lock(); held.set(); loop { thread::sleep(Duration::from_millis(10)); }\n}"
    )
    result = kernel.run(
        "let (lock, held) = (processes::Lock::new(), processes::Event::new());\n"
        "let holder = processes::spawn(hold, (lock.clone(), held.clone()))?;\n"
        "held.wait();\n"
        "let busy = lock.try_lock().is_none(); holder.kill();\n"
        'println!("{busy} {}", lock.lock_timeout(Duration::from_secs(10)).unwrap().previous_holder_died());'
    )
    result.equal(result.stdout, "true true\n")


def test_a_killed_producer_leaves_whole_messages(kernel: Client) -> None:
    kernel.run(
        "pub fn produce(queue: processes::Queue<Vec<u32>>) { for n in 0_u32.. { queue.put(vec![n; n as usize % 5000]).unwrap(); } }"
    )
    result = kernel.run(
        "let queue = processes::Queue::with_limits(usize::MAX, 1 << 16);\n"
        "let producer = processes::spawn(produce, (queue.clone(),))?;\n"
        "let mut whole = 0;\n"
        "for n in 0_u32..2000 { let got = queue.get()?; assert_eq!(got, vec![n; n as usize % 5000]); whole += 1; }\n"
        "producer.kill(); let _ = producer.join();\n"
        "while let Ok(got) = queue.get_timeout(Duration::from_millis(200)) { assert!(got.iter().all(|n| *n == got[0])); }\n"
        "queue.put(vec![7])?;\n"
        'println!("{whole} {:?} {}", queue.get()?, queue.len());'
    )
    result.equal(result.stdout, "2000 [7] 0\n")


def test_a_wait_is_interrupted_and_the_lock_given_back(kernel: Client) -> None:
    kernel.run("let empty = processes::Queue::<u8>::new(); let lock = processes::Lock::new();")
    request = kernel.start_execute("{ let guard = lock.lock(); println!(\"waits\"); empty.get()?; }")
    kernel.wait_printed(request, "waits")
    begun = time.monotonic()
    kernel.interrupt().expect_ok()
    kernel.collect(request).expect_error()
    assert time.monotonic() - begun < 2, "the wait goes on after the interrupt"
    result = kernel.run('println!("{} {:?}", lock.try_lock().is_some(), empty.try_get());')
    result.equal(result.stdout, "true Err(Empty)\n")


def test_numbers_in_shared_memory(kernel: Client) -> None:
    kernel.run(
        "pub fn add(total: processes::Value<u64>, places: processes::Array<u32>, free: processes::SharedArray<u32>) {\n"
        "    for n in 0..1000 { total.fetch_add(1); places.lock()[n % 7] += 1; free.fetch_add(n % 7, 1); }\n}\n"
        "pub fn double(mut part: processes::ArrayPart<u32>) -> processes::ArrayPart<u32> {\n"
        "    part.as_mut_slice().iter_mut().for_each(|n| *n *= 2); part\n}"
    )
    result = kernel.run(
        "let (total, places, free) = (processes::Value::new(0), processes::Array::new(7), processes::SharedArray::new(7));\n"
        "for adder in [0; 2].map(|_| processes::spawn(add, (total.clone(), places.clone(), free.clone()))) { adder?.join()?; }\n"
        "let same = places.to_vec() == free.to_vec();\n"
        "let parts: Vec<_> = free.into_parts(3)?.into_iter().map(|part| processes::spawn(double, (part,)).unwrap()).collect();\n"
        "let whole = processes::SharedArray::join(parts.iter().map(|process| process.join().unwrap()))?;\n"
        'println!("{total} {same} {}", whole.to_vec().iter().sum::<u32>());'
    )
    result.equal(result.stdout, "2000 true 4000\n")


def test_a_manager_serves_all_processes_until_it_is_gone(kernel: Client) -> None:
    kernel.run(
        "pub fn enter(dict: processes::ManagedDict<u32, u32>, i: u32) { dict.insert(i, 2 * i).unwrap(); dict.add(100, 1).unwrap(); }"
    )
    result = kernel.run(
        "let manager = processes::Manager::new(); let dict = manager.dict();\n"
        "for process in [0, 1, 2].map(|i| processes::spawn(enter, (dict.clone(), i))) { process?.join()?; }\n"
        "let mut items = dict.items()?; items.sort(); println!(\"{items:?}\");\n"
        'drop(manager); println!("{}", dict.len().unwrap_err());'
    )
    assert result.stdout.startswith("[(0, 0), (1, 2), (2, 4), (100, 3)]\nthe manager is gone"), result.stdout


def test_semaphore_barrier_and_condition_between_processes(kernel: Client) -> None:
    kernel.run(
        "use processes::{Barrier, Condition, Semaphore, Value, spawn};\n"
        "pub fn meet(barrier: Barrier, places: Semaphore, met: Condition, count: Value<u32>) -> usize {\n"
        "    let index = barrier.wait().unwrap().index();\n"
        "    let _permit = places.permit();\n"
        "    let _guard = met.lock(); count.fetch_add(1); met.notify_all(); index\n}"
    )
    result = kernel.run(
        "let (barrier, places, met, count) = (Barrier::new(3), Semaphore::new(1), Condition::new(), Value::new(0));\n"
        "let all: Vec<_> = (0..3).map(|_| spawn(meet, (barrier.clone(), places.clone(), met.clone(), count.clone())).unwrap()).collect();\n"
        "{ let mut guard = met.lock(); met.wait_while(&mut guard, || count.get() < 3); }\n"
        "let mut places_taken: Vec<_> = all.iter().map(|process| process.join().unwrap()).collect(); places_taken.sort();\n"
        'println!("{places_taken:?} {} {:?}", places.value(), barrier);'
    )
    result.equal(result.stdout, "[0, 1, 2] 1 Barrier { parties: 3, n_waiting: 0, is_broken: false }\n")
