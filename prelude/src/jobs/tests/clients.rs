//! Clients that behave badly: the server goes on, with no more threads and connections than it was told.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::{client, echo_line, end, rest, until};
use crate::jobs::{Server, State, listen};
use crate::tests::host::turn;

/// Writes without an end.
fn pour(mut stream: TcpStream, _peer: SocketAddr) -> io::Result<()> {
    loop {
        stream.write_all(&[0; 1 << 16])?;
    }
}

/// Over soon, for a time-out that the test waits for.
const SOON: Option<Duration> = Some(Duration::from_millis(50));

#[test]
fn a_client_that_says_nothing_is_given_up() {
    let server = Server::new("half open")
        .n_handlers(1)
        .read_timeout(SOON)
        .listen("127.0.0.1:0", echo_line)
        .unwrap();
    let silent = client(&server);
    let mut other = client(&server);
    other.write_all(b"I wait behind it\n").unwrap();
    assert_eq!(rest(other), "I wait behind it\n");
    assert_eq!(rest(silent), "", "closed without an answer");
    assert!(server.last_error().is_some(), "the time-out is noted");
    assert_eq!(server.state(), State::Running);
    end(&server);
}

#[test]
fn reads_and_writes_have_a_limit_unless_told_otherwise() {
    let server = listen("limits", "127.0.0.1:0", |mut stream, _| {
        let limits = (stream.read_timeout()?, stream.write_timeout()?);
        write!(stream, "{limits:?}")
    })
    .unwrap();
    assert_eq!(rest(client(&server)), "(Some(10s), Some(10s))");
    end(&server);
}

#[test]
fn a_client_that_does_not_read_is_given_up() {
    let server = Server::new("writes")
        .write_timeout(SOON)
        .listen("127.0.0.1:0", pour)
        .unwrap();
    let deaf = client(&server);
    until("the write has failed", || server.last_error().is_some());
    drop(deaf);
    end(&server);
}

#[test]
fn a_client_that_drips_is_given_up() {
    let server = Server::new("drips")
        .connection_time(SOON)
        .read_timeout(None)
        .listen("127.0.0.1:0", |mut stream, _| {
            stream.read_to_end(&mut Vec::new()).map(drop)
        })
        .unwrap();
    let mut dripping = client(&server);
    // The write fails when the server is through with it; the bytes in between keep the connection alive.
    until("it is cut off", || dripping.write_all(b"x").is_err());
    end(&server);
}

#[test]
fn garbage_and_clients_that_leave_do_no_harm() {
    let server = listen("garbage", "127.0.0.1:0", echo_line).unwrap();
    let mut noisy = client(&server);
    let bytes: Vec<u8> = (0..100_000_u32).map(|n| (n * 7 % 256) as u8).collect();
    // The server reads a line of it and hangs up.
    let _reset = noisy.write_all(&bytes);
    drop(noisy);
    for _ in 0..50 {
        drop(client(&server));
    }
    let mut polite = client(&server);
    polite.write_all(b"still there?\n").unwrap();
    assert_eq!(rest(polite), "still there?\n");
    until("all are done", || server.n_served() == 52);
    assert_eq!(server.state(), State::Running);
    end(&server);
}

#[test]
fn one_too_many_is_refused_at_once() {
    let server = Server::new("full")
        .n_handlers(1)
        .n_waiting(1)
        .read_timeout(None)
        .listen("127.0.0.1:0", echo_line)
        .unwrap();
    let mut served = client(&server);
    until("the first is served", || server.n_served() == 1);
    let mut waits = client(&server);
    // Nobody else has said a word, and the loop comes to this one nevertheless.
    assert_eq!(rest(client(&server)), "");
    assert_eq!(server.n_refused(), 1);
    assert!(server.last_error().unwrap().contains("refused"));
    served.write_all(b"first\n").unwrap();
    waits.write_all(b"second\n").unwrap();
    assert_eq!(
        (rest(served), rest(waits)),
        ("first\n".to_owned(), "second\n".to_owned())
    );
    end(&server);
}

#[test]
fn a_burst_finds_all_places() {
    for _ in 0..20 {
        let server = Server::new("burst")
            .n_handlers(4)
            .n_waiting(4)
            .read_timeout(None)
            .listen("127.0.0.1:0", echo_line)
            .unwrap();
        // They come while the threads for the first of them are being started.
        let mut clients: Vec<_> = (0..8).map(|_| client(&server)).collect();
        for client in &mut clients {
            client.write_all(b"x\n").unwrap();
        }
        assert!(clients.into_iter().all(|client| rest(client) == "x\n"));
        assert_eq!((server.n_served(), server.n_refused()), (8, 0));
        end(&server);
    }
}

#[test]
fn no_more_threads_serve_than_it_was_told() {
    let now = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    let counts = Arc::clone(&now);
    let server = Server::new("bounded")
        .n_handlers(3)
        .listen("127.0.0.1:0", move |stream, peer| {
            let n = counts.0.fetch_add(1, Ordering::Relaxed) + 1;
            counts.1.fetch_max(n, Ordering::Relaxed);
            let result = echo_line(stream, peer);
            counts.0.fetch_sub(1, Ordering::Relaxed);
            result
        })
        .unwrap();
    let mut clients: Vec<_> = (0..40).map(|_| client(&server)).collect();
    for client in clients.iter_mut().rev() {
        client.write_all(b"x\n").unwrap();
    }
    assert!(clients.into_iter().all(|client| rest(client) == "x\n"));
    assert!((1..=3).contains(&now.1.load(Ordering::Relaxed)));
    assert_eq!(server.n_served(), 40);
    end(&server);
}

#[test]
fn a_handler_that_panics_is_noted_and_the_server_goes_on() {
    let turn = turn();
    let server = listen("panics", "127.0.0.1:0", |mut stream, _| {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        assert_ne!(byte[0], b'!', "such a byte");
        stream.write_all(&byte)
    })
    .unwrap();
    let mut bad = client(&server);
    bad.write_all(b"!").unwrap();
    assert_eq!(rest(bad), "");
    until("it is noted", || {
        server
            .last_error()
            .is_some_and(|error| error.contains("such a byte"))
    });
    let mut good = client(&server);
    good.write_all(b".").unwrap();
    assert_eq!(rest(good), ".");
    assert_eq!(turn.frame().0, crate::rt::PANIC);
    end(&server);
}

#[test]
fn a_stop_lets_an_answer_be_written() {
    let server = Server::new("graceful")
        .read_timeout(None)
        .listen("127.0.0.1:0", |mut stream, _| {
            let mut all = Vec::new();
            stream.read_to_end(&mut all)?;
            stream.write_all(&all)
        })
        .unwrap();
    let mut last = client(&server);
    last.write_all(b"my last words").unwrap();
    until("it is served", || server.n_served() == 1);
    end(&server);
    let said = rest(last);
    assert!("my last words".starts_with(&said), "{said}");
}
