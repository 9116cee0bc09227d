//! Queues of typed messages, here and in other processes.

use super::*;
use crate::processes::testing::{in_child, travelled};

#[test]
fn queue_example() {
    let queue = Queue::new();
    queue.put((1, "one".to_owned())).unwrap();
    queue.put((2, "two".to_owned())).unwrap();
    assert_eq!(queue.len(), 2);
    assert_eq!(queue.get().unwrap(), (1, "one".to_owned()));
}

#[test]
fn joinable_queue_example() {
    let tasks = JoinableQueue::new();
    tasks.put(1).unwrap();
    assert_eq!(tasks.get().unwrap(), 1);
    assert!(!tasks.join_timeout(Duration::ZERO));
    tasks.task_done().unwrap();
    tasks.join();
    let error = tasks.task_done().unwrap_err();
    assert!(
        error.to_string().contains("more often than put()"),
        "{error}"
    );
    assert_eq!(
        format!("{tasks:?}"),
        "JoinableQueue { len: 0, unfinished: 0 }"
    );
}

#[test]
fn a_queue_that_travelled_is_the_same_queue() {
    let ours = Queue::<Vec<f64>>::bounded(2);
    let theirs = travelled(&ours).unwrap();
    theirs.put(vec![1.5, -2.0]).unwrap();
    theirs.put(vec![]).unwrap();
    assert!(ours.is_full());
    assert!(matches!(ours.try_put(vec![3.0]), Err(QueueError::Full)));
    assert!(matches!(
        ours.put_timeout(vec![3.0], Duration::from_millis(5)),
        Err(QueueError::Full)
    ));
    assert_eq!(ours.get().unwrap(), [1.5, -2.0]);
    assert_eq!(ours.try_get().unwrap(), [0.0; 0]);
    assert!(matches!(ours.try_get(), Err(QueueError::Empty)));
    assert!(matches!(
        ours.get_timeout(Duration::from_millis(5)),
        Err(QueueError::Empty)
    ));
    assert_eq!(format!("{ours:?}"), "Queue { len: 0, most: 2 }");
}

#[test]
fn a_queue_of_another_type_is_refused() {
    let bytes = message::encode(&Queue::<u8>::new(), true).unwrap();
    let error = message::decode::<Queue<String>>(bytes).unwrap_err();
    assert!(
        error.to_string().contains("of another type than"),
        "{error}"
    );
}

#[test]
fn a_handle_cannot_go_through_a_queue() {
    let queue = Queue::<Queue<u8>>::new();
    let error = queue.put(Queue::new()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("give it to the process as an argument"),
        "{error}"
    );
    assert!(queue.is_empty());
}

#[test]
fn processes_work_through_a_queue() {
    let tasks = JoinableQueue::<u64>::new();
    let results = Queue::<u64>::new();
    let workers: Vec<_> = (0..2)
        .map(|_| {
            let (tasks, results) = (tasks.clone(), results.clone());
            in_child(move || {
                loop {
                    let number = tasks.get().unwrap();
                    if number == 0 {
                        return;
                    }
                    results.put(number * number).unwrap();
                    tasks.task_done().unwrap();
                }
            })
        })
        .collect();
    for number in 1..=100 {
        tasks.put(number).unwrap();
    }
    assert!(tasks.join_timeout(Duration::from_secs(20)));
    assert_eq!(results.len(), 100);
    let sum: u64 = (0..100).map(|_| results.get().unwrap()).sum();
    assert_eq!(sum, 338_350);
    for _ in &workers {
        tasks.put(0).unwrap();
    }
    for worker in workers {
        assert_eq!(worker.join(), 0);
    }
}
