//! What comes to the port from those who are no clients: it is refused, noted, bounded, and disturbs nobody.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use super::{Hello, LONG, eventually, greeter, names};
use crate::{Error, Key, Network, Server};

/// Reads until the server closes the connection; what it said.
#[track_caller]
fn until_closed(mut stream: &TcpStream) -> Vec<u8> {
    stream.set_read_timeout(Some(LONG)).unwrap();
    let mut said = Vec::new();
    match stream.read_to_end(&mut said) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}"),
    }
    said
}

#[track_caller]
fn last_refusal(server: &Server, n: u64) -> String {
    eventually("it is noted", || server.n_refused() >= n);
    server.refusals().last().unwrap().why.clone()
}

/// What the process has in memory, in KiB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn garbage_is_refused_and_noted() {
    let names = names();
    let server = greeter(&names.network(), "garbage");
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    stream.write_all(&[0xff; 100]).unwrap();
    assert_eq!(until_closed(&stream), b"", "a stranger is told nothing");
    assert_eq!(last_refusal(&server, 1), "it speaks another protocol");
    assert_eq!(server.refusals()[0].peer, stream.local_addr().unwrap());
    let hello = names.network().proxy::<dyn Hello>("garbage");
    assert_eq!(hello.welcome("you").unwrap(), "Hi welcome you");
    server.stop().unwrap();
}

#[test]
fn a_wrong_key_is_refused_on_both_sides() {
    let names = names();
    let server = greeter(&names.network(), "wrong key");
    let stranger = Network::new(&Key::random().unwrap());
    let error = stranger
        .proxy::<dyn Hello>(server.uri())
        .welcome("x")
        .unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    assert!(error.to_string().contains("it has another key"), "{error}");
    assert_eq!(last_refusal(&server, 1), "it has another key");
    assert_eq!(server.n_calls(), 0);
    let by_name = stranger.name_server(names.address()).unwrap();
    let error = by_name.list("").unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    eventually("the name server has noted it", || {
        names.refusals().len() == 1
    });
    server.stop().unwrap();
}

#[test]
fn a_false_server_learns_nothing() {
    // It greets as a server does, takes the proof, and sends one of its own making.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut greeting = [0; 40];
        stream.read_exact(&mut greeting).unwrap();
        stream.write_all(&greeting).unwrap();
        stream.read_exact(&mut [0; 32]).unwrap();
        stream.write_all(&[0; 32]).unwrap();
        let mut more = Vec::new();
        let _reset_or_end = stream.read_to_end(&mut more);
        more
    });
    let network = Network::new(&Key::random().unwrap());
    let uri = format!("obj_{}@{address}", "0".repeat(32));
    let error = network
        .proxy::<dyn Hello>(uri)
        .welcome("secret")
        .unwrap_err();
    assert!(
        error.to_string().contains("it did not prove the key"),
        "{error}"
    );
    assert_eq!(served.join().unwrap(), b"", "no call was sent");
}

#[test]
fn who_says_nothing_is_closed_after_a_time_and_disturbs_nobody() {
    let names = names();
    let server = greeter(&names.network(), "silent");
    let silent: Vec<_> = (0..10)
        .map(|_| TcpStream::connect(server.address()).unwrap())
        .collect();
    // Half of a greeting, byte by byte, is no better.
    let mut slow = TcpStream::connect(server.address()).unwrap();
    let before = Instant::now();
    let hello = names.network().proxy::<dyn Hello>("silent");
    for byte in *b"FLremo" {
        slow.write_all(&[byte]).unwrap();
        assert_eq!(hello.welcome("you").unwrap(), "Hi welcome you");
    }
    assert!(
        before.elapsed() < Duration::from_secs(4),
        "nobody waited for the silent ones"
    );
    for stream in silent.iter().chain([&slow]) {
        assert_eq!(until_closed(stream), b"");
    }
    assert_eq!(
        last_refusal(&server, 11),
        "it did not prove the key within 5s"
    );
    server.stop().unwrap();
}

#[test]
fn more_strangers_than_places_are_closed_at_once() {
    let names = names();
    let server = greeter(&names.network(), "many");
    let streams: Vec<_> = (0..80)
        .map(|_| TcpStream::connect(server.address()).unwrap())
        .collect();
    assert_eq!(last_refusal(&server, 16), "too many are at their handshake");
    drop(streams);
    eventually("all are noted", || server.n_refused() == 80);
    let hello = names.network().proxy::<dyn Hello>("many");
    assert_eq!(hello.welcome("you").unwrap(), "Hi welcome you");
    // What is kept of them is bounded.
    for _ in 0..60 {
        drop(TcpStream::connect(server.address()).unwrap());
    }
    eventually("all are noted", || server.n_refused() == 140);
    assert_eq!(server.refusals().len(), 100);
    server.stop().unwrap();
}

#[test]
fn who_goes_half_way_through_is_noted() {
    let names = names();
    let server = greeter(&names.network(), "half open");
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.write_all(b"FLremot2 and then").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(until_closed(&stream), b"");
    assert_eq!(
        last_refusal(&server, 1),
        "it went before it had proved the key"
    );
    server.stop().unwrap();
}

/// A connection on which the key was proved, in the hands of somebody who keeps no rules.
fn admitted(server: &Server, network: &Network) -> TcpStream {
    let (address, key) = (server.address(), network.key().clone());
    let stream = forkline::tasks::block_on(async move {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        crate::key::introduce(&mut stream, &key).await.unwrap();
        stream.into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    stream
}

#[test]
fn an_announced_gigabyte_costs_no_memory() {
    let names = names();
    let network = names.network();
    let server = greeter(&network, "gigabyte");
    let hello = network.proxy::<dyn Hello>("gigabyte");
    hello.welcome("warm").unwrap();
    let before = resident();
    for n in 1..=20 {
        // As a stranger, and as one with the key.
        let mut stranger = TcpStream::connect(server.address()).unwrap();
        stranger.write_all(&(1_u32 << 30).to_be_bytes()).unwrap();
        stranger.write_all(&[1; 60]).unwrap();
        assert_eq!(until_closed(&stranger), b"");
        let mut client = admitted(&server, &network);
        client.write_all(&(1_u32 << 30).to_be_bytes()).unwrap();
        client.write_all(&[1; 1000]).unwrap();
        assert_eq!(until_closed(&client), b"");
        eventually("both are noted", || server.n_refused() == 2 * n);
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 100 << 10, "{grown} KiB more than before");
    assert!(
        server
            .refusals()
            .iter()
            .any(|refusal| refusal.why.contains("frame size too big"))
    );
    assert_eq!(hello.welcome("you").unwrap(), "Hi welcome you");
    server.stop().unwrap();
}

#[test]
fn garbage_behind_the_key_ends_that_connection_only() {
    let names = names();
    let network = names.network();
    let server = greeter(&network, "bad frame");
    let hello = network.proxy::<dyn Hello>("bad frame");
    hello.welcome("warm").unwrap();
    let mut client = admitted(&server, &network);
    client
        .write_all(&[0, 0, 0, 5, 0xff, 0xff, 0xff, 0xff, 0xff])
        .unwrap();
    assert_eq!(until_closed(&client), b"");
    eventually("it is noted", || server.n_refused() == 1);
    // Half of a frame, and gone: nothing of it is called.
    let mut client = admitted(&server, &network);
    client.write_all(&[0, 0, 0, 100, 0, 0]).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(until_closed(&client), b"");
    assert_eq!(hello.welcome("you").unwrap(), "Hi welcome you");
    assert_eq!(server.n_calls(), 2);
    server.stop().unwrap();
}
