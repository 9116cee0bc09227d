//! Values come through a pipe as they were, and then the end.

use super::*;
use crate::processes::Queue;
use crate::processes::testing::{fork, in_child, travelled};
use crate::tests::host::turn;

const LONG: Duration = Duration::from_secs(20);

#[test]
fn pipe_example() {
    let _turn = turn();
    let (sender, receiver) = pipe();
    sender.send("one".to_owned()).unwrap();
    sender.send("two".to_owned()).unwrap();
    drop(sender);
    assert_eq!(receiver.recv().unwrap(), "one");
    assert_eq!(receiver.iter().collect::<Vec<_>>(), ["two"]);
    assert!(matches!(receiver.recv(), Err(PipeError::Closed)));
}

#[test]
fn duplex_example() {
    let (ours, theirs) = duplex::<u32, String>();
    ours.send(7).unwrap();
    let number = theirs.recv().unwrap();
    theirs.send(format!("got {number}")).unwrap();
    assert_eq!(ours.recv().unwrap(), "got 7");
    assert_eq!(
        format!("{ours:?}"),
        "Connection(sends u32, receives alloc::string::String)"
    );
}

#[test]
fn one_way_example() {
    let (receiving, sending) = one_way();
    sending.send(1).unwrap();
    assert_eq!(receiving.recv().unwrap(), 1);
    let error = receiving.send(2).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("this end of a one-way pipe only receives"),
        "{error}"
    );
    let sending = travelled(&sending).unwrap();
    let error = sending.recv().unwrap_err();
    assert!(error.to_string().contains("only sends"), "{error}");
    assert!(matches!(sending.poll(LONG), Err(PipeError::Direction(_))));
}

#[test]
fn messages_of_all_sizes_come_as_they_were() {
    let (sender, receiver) = pipe::<Vec<u32>>();
    let sent = |length: usize| {
        (0..length as u32)
            .map(|n| n.wrapping_mul(31))
            .collect::<Vec<_>>()
    };
    let lengths = [0, 1, 8_191, 8_192, 8_193, 100_000, 3_000_000, 5];
    let child = in_child(|| {
        for length in lengths {
            sender.send_timeout(sent(length), LONG).unwrap();
        }
    });
    for length in lengths {
        assert_eq!(receiver.recv_timeout(LONG).unwrap(), sent(length));
    }
    assert_eq!(child.join(), 0);
}

#[test]
fn the_end_comes_with_the_last_sender_however_it_ended() {
    let turn = turn();
    let (sender, receiver) = pipe::<u8>();
    let theirs = travelled(&sender).unwrap();
    let child = fork(&turn, || {
        theirs.send(1).unwrap();
        loop {
            std::thread::park();
        }
    });
    child.kill_when(|| receiver.poll(Duration::from_millis(1)));
    drop((sender, theirs));
    assert_eq!(receiver.into_iter().collect::<Vec<_>>(), [1]);
}

#[test]
fn nobody_who_receives_is_an_error_for_the_sender() {
    let _turn = turn();
    let (sender, receiver) = pipe::<u8>();
    sender.send(1).unwrap();
    drop(receiver);
    let error = sender.send(2).unwrap_err();
    assert!(
        error.to_string().contains("no process holds the other end"),
        "{error}"
    );
}

#[test]
fn waits_end_in_time() {
    let (sender, receiver) = pipe::<Vec<u8>>();
    assert!(matches!(receiver.try_recv(), Err(PipeError::TimedOut)));
    let begun = Instant::now();
    let time = Duration::from_millis(70);
    assert!(matches!(
        receiver.recv_timeout(time),
        Err(PipeError::TimedOut)
    ));
    assert!(!receiver.poll(time));
    assert!(begun.elapsed() >= 2 * time);
    let mut sent = 0;
    let full = loop {
        match sender.send_timeout(vec![0; 1 << 20], time) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(full, PipeError::TimedOut), "{full}");
    assert!((1..50).contains(&sent), "{sent} MiB were on their way");
}

#[test]
fn two_processes_that_receive_get_whole_messages() {
    let turn = turn();
    let (sender, receiver) = pipe::<Vec<u64>>();
    let results = Queue::<u64>::new();
    let children: Vec<_> = (0..2)
        .map(|_| {
            fork(&turn, || {
                // SAFETY: the child is a copy of this process, whose end it does not use.
                unsafe { libc::close(std::os::fd::AsRawFd::as_raw_fd(&sender.socket.as_fd())) };
                for message in &receiver {
                    assert!(message.iter().all(|number| *number == message[0]));
                    results.put(message[0]).unwrap();
                }
                // SAFETY: ends the process before the closed descriptor is closed again.
                unsafe { libc::_exit(0) };
            })
        })
        .collect();
    for number in 0..600 {
        sender
            .send(vec![number; 1 + (number as usize * 67) % 20_000])
            .unwrap();
    }
    drop(sender);
    for child in children {
        assert_eq!(child.join(), 0);
    }
    let mut got: Vec<u64> = (0..600).map(|_| results.try_get().unwrap()).collect();
    got.sort_unstable();
    assert_eq!(got, (0..600).collect::<Vec<_>>());
}

#[test]
fn handles_go_through_a_pipe() {
    let (sender, receiver) = pipe::<(String, Queue<u8>, Vec<Sender<u8>>)>();
    let queue = Queue::new();
    let (inner, answers) = pipe();
    sender
        .send(("name".repeat(20_000), queue.clone(), vec![inner; 3]))
        .unwrap();
    let (name, theirs, inner) = receiver.recv().unwrap();
    assert_eq!(name.len(), 80_000);
    theirs.put(5).unwrap();
    assert_eq!(queue.get().unwrap(), 5);
    inner[2].send(6).unwrap();
    assert_eq!(answers.recv().unwrap(), 6);
    let error = {
        let (sender, _receiver) = pipe::<Vec<Queue<u8>>>();
        sender.send(vec![queue; 250]).unwrap_err()
    };
    assert!(error.to_string().contains("at most 249 handles"), "{error}");
}
