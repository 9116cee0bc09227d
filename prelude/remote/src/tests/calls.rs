//! What a call brings: results, errors of all kinds, and a connection that comes again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::{Greeter, Hello, LONG, Own, eventually, greeter, names};
use crate::{Error, Key, Network, Result};

#[test]
fn arguments_and_results_travel() {
    let names = names();
    let server = greeter(&names.network(), "travel");
    let hello = names.network().proxy::<dyn Hello>("travel");
    assert_eq!(hello.welcome("Ruvika").unwrap(), "Hi welcome Ruvika");
    assert_eq!(hello.welcome("").unwrap(), "Hi welcome ");
    assert_eq!(hello.sum(&[1, 2], vec![u64::MAX - 3]).unwrap(), u64::MAX);
    assert_eq!(server.n_calls(), 3);
    assert_eq!(format!("{hello:?}"), "Proxy(travel)");
    server.stop().unwrap();
}

#[test]
fn a_uri_is_enough() {
    let network = Network::new(&Key::random().unwrap());
    let server = greeter(&network, "by uri");
    let uri = server.uri();
    let (object, address) = uri.split_once('@').unwrap();
    assert_eq!(object.len(), 36, "{uri}");
    assert_eq!(address, server.address().to_string());
    let hello = network.proxy::<dyn Hello>(&uri);
    assert_eq!(hello.welcome("you").unwrap(), "Hi welcome you");
    let other = uri.replacen(&object[4..], &"0".repeat(32), 1);
    let error = network
        .proxy::<dyn Hello>(other)
        .welcome("you")
        .unwrap_err();
    assert!(matches!(error, Error::NoObject { .. }), "{error}");
    server.stop().unwrap();
}

#[test]
fn errors_and_panics_of_a_method_reach_the_caller() {
    let names = names();
    let server = greeter(&names.network(), "errors");
    let hello = names.network().proxy::<dyn Hello>("errors");
    assert_eq!(hello.half("84"), Ok(42));
    let error = hello.half("x").unwrap_err();
    assert_eq!(error, Error::method("invalid digit found in string"));
    assert_eq!(hello.fail(), Err(Own::Empty { at: 3 }));
    let error = hello.panics().unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("errors: panics panicked: no luck\nwhy:"),
        "{error}"
    );
    assert_eq!(hello.half("2"), Ok(1), "the server goes on");
    server.stop().unwrap();
    // An error of the network becomes one of the user's type.
    let Err(Own::Network(text)) = hello.fail() else {
        panic!("no server, and no error")
    };
    assert!(text.starts_with("errors: "), "{text}");
}

#[remote::object]
trait Newer {
    fn welcome(&self, name: &str) -> Result<String>;
    fn half(&self, text: Vec<String>, more: [u64; 4]) -> Result<i64>;
    fn shut_down(&self) -> Result<()>;
}

#[test]
fn what_the_trait_does_not_name_cannot_be_called() {
    let names = names();
    let server = greeter(&names.network(), "exposed");
    let newer = names.network().proxy::<dyn Newer>("exposed");
    assert_eq!(newer.welcome("a").unwrap(), "Hi welcome a");
    let error = newer.shut_down().unwrap_err();
    assert!(
        error.to_string().starts_with(
            "exposed: it has no method shut_down\nwhy: its server exposes welcome, half, fail, panics, sum, bytes"
        ),
        "{error}"
    );
    let error = newer.half(vec!["a".to_owned()], [1; 4]).unwrap_err();
    assert!(matches!(error, Error::Mismatch { .. }), "{error}");
    assert_eq!(newer.welcome("b").unwrap(), "Hi welcome b");
    server.stop().unwrap();
}

#[test]
fn a_deadline_ends_a_call_and_not_the_server() {
    let names = names();
    let object = Arc::new(Greeter::default());
    let server = names
        .network()
        .serve::<dyn Hello>("deadline", Arc::clone(&object) as Arc<dyn Hello>)
        .unwrap();
    let network = names.network().deadline(Duration::from_millis(100));
    let hello = network.proxy::<dyn Hello>("deadline");
    let before = Instant::now();
    let error = hello.wait_at_gate().unwrap_err();
    assert!(before.elapsed() < LONG / 2);
    assert!(
        error
            .to_string()
            .starts_with("deadline: no answer to wait_at_gate within 100ms"),
        "{error}"
    );
    assert_eq!(hello.welcome("x").unwrap(), "Hi welcome x");
    object.open_gate();
    assert_eq!(hello.wait_at_gate(), Ok(()));
    server.stop().unwrap();
}

#[test]
fn more_calls_than_handlers_wait_for_their_turn() {
    let names = names();
    let object = Arc::new(Greeter::default());
    let served = Arc::clone(&object) as Arc<dyn Hello>;
    let server = names
        .network()
        .n_handlers(2)
        .serve::<dyn Hello>("turns", served)
        .unwrap();
    let hello = names.network().proxy::<dyn Hello>("turns");
    std::thread::scope(|scope| {
        let waiting: Vec<_> = (0..10)
            .map(|_| scope.spawn(|| hello.wait_at_gate()))
            .collect();
        eventually("two are served", || server.n_calls() == 2);
        object.open_gate();
        for call in waiting {
            assert_eq!(call.join().unwrap(), Ok(()));
        }
    });
    assert_eq!(server.n_calls(), 10);
    server.stop().unwrap();
}

#[test]
fn threads_share_a_proxy_and_get_their_own_answers() {
    let names = names();
    let server = greeter(&names.network(), "shared");
    let hello = names.network().proxy::<dyn Hello>("shared");
    std::thread::scope(|scope| {
        for thread in 0..8_u64 {
            let hello = &hello;
            scope.spawn(move || {
                for n in 0..100 {
                    assert_eq!(
                        hello.sum(&[thread, n], vec![1_000]).unwrap(),
                        thread + n + 1_000
                    );
                }
            });
        }
    });
    assert_eq!(server.n_calls(), 800);
    server.stop().unwrap();
}

#[test]
fn messages_that_are_too_long_are_told_and_do_no_harm() {
    let names = names();
    let network = names.network().max_message(10_000);
    let server = greeter(&network, "long");
    let hello = network.proxy::<dyn Hello>("long");
    let error = hello.sum(&[u64::MAX; 2_000], vec![]).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("long: the arguments of sum has 200"),
        "{error}"
    );
    let error = hello.bytes(10_000).unwrap_err();
    assert!(
        matches!(
            error,
            Error::TooLarge {
                length: 10_003,
                limit: 10_000,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(hello.bytes(9_000).unwrap().len(), 9_000);
    assert_eq!(server.n_refused(), 0);
    // A client with other limits is cut off, and the next one served.
    let careless = names.network().proxy::<dyn Hello>("long");
    let error = careless.sum(&[u64::MAX; 2_000], vec![]).unwrap_err();
    assert!(matches!(error, Error::Lost { .. }), "{error}");
    assert_eq!(server.refusals().len(), 1);
    assert_eq!(careless.welcome("again").unwrap(), "Hi welcome again");
    server.stop().unwrap();
}

#[test]
fn a_proxy_finds_a_server_that_is_started_later_and_one_that_takes_its_place() {
    let names = names();
    let network = names.network();
    let hello = network.proxy::<dyn Hello>("later");
    let error = hello.welcome("x").unwrap_err();
    assert_eq!(
        error,
        Error::UnknownName {
            name: "later".to_owned(),
            known: vec![]
        }
    );
    let first = greeter(&network, "later");
    assert_eq!(hello.welcome("1").unwrap(), "Hi welcome 1");
    // The same job's name: the first one is stopped.
    let second = greeter(&network, "later");
    assert_ne!(first.uri(), second.uri());
    eventually("the proxy has noticed", || hello.welcome("2").is_ok());
    assert!(second.n_calls() >= 1);
    second.stop().unwrap();
    eventually("its name is free", || {
        matches!(network.lookup("later"), Err(Error::UnknownName { .. }))
    });
}

#[test]
fn bytes_of_any_length_come_back_as_they_were() {
    let names = names();
    let server = greeter(&names.network(), "blocks");
    let hello = names.network().proxy::<dyn Hello>("blocks");
    let bytes: Vec<u8> = (0..1 << 20).map(|n| (n * 7 % 251) as u8).collect();
    // Around the length of what one read takes, and far from it; each after a longer and after a shorter one.
    for length in [1 << 20, 0, 8160, 8191, 8192, 8193, 300_000, 1] {
        let (first, second) = bytes[..length].split_at(length / 3);
        let joined = hello.joined(first, second.to_vec()).unwrap();
        assert!(joined == bytes[..length], "{length}");
    }
    server.stop().unwrap();
}

#[test]
fn more_calls_than_connections_wait_and_too_many_are_busy() {
    let names = names();
    let object = Arc::new(Greeter::default());
    let served = Arc::clone(&object) as Arc<dyn Hello>;
    let network = names.network().deadline(LONG);
    let server = network.serve::<dyn Hello>("busy", served).unwrap();
    let hello = network.proxy::<dyn Hello>("busy");
    let n_busy = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..300 {
            scope.spawn(|| match hello.wait_at_gate() {
                Ok(()) => {}
                Err(Error::Busy { .. }) => {
                    n_busy.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => panic!("{error}"),
            });
        }
        eventually("64 are called", || server.n_calls() == 64);
        eventually("44 too many", || n_busy.load(Ordering::Relaxed) == 44);
        object.open_gate();
    });
    assert_eq!((server.n_calls(), n_busy.into_inner()), (256, 44));
    server.stop().unwrap();
}

#[test]
fn a_call_whose_caller_has_gone_is_not_made() {
    let names = names();
    let object = Arc::new(Greeter::default());
    let served = Arc::clone(&object) as Arc<dyn Hello>;
    let network = names.network().n_handlers(1);
    let server = network.serve::<dyn Hello>("gone", served).unwrap();
    let hello = network.proxy::<dyn Hello>("gone");
    std::thread::scope(|scope| {
        let first = scope.spawn(|| hello.wait_at_gate());
        eventually("the first is called", || server.n_calls() == 1);
        let impatient = network.deadline(Duration::from_millis(50));
        let error = impatient.proxy::<dyn Hello>("gone").welcome("x");
        assert!(matches!(error, Err(Error::Deadline { .. })), "{error:?}");
        object.open_gate();
        assert_eq!(first.join().unwrap(), Ok(()));
    });
    assert_eq!(hello.welcome("y").unwrap(), "Hi welcome y");
    assert_eq!(server.n_calls(), 2);
    server.stop().unwrap();
}

#[test]
fn a_stop_ends_calls_and_connections_at_once() {
    let names = names();
    let object = Arc::new(Greeter::default());
    let served = Arc::clone(&object) as Arc<dyn Hello>;
    let network = names.network().deadline(LONG);
    let server = network.serve::<dyn Hello>("stopped", served).unwrap();
    let (hello, idle) = (
        network.proxy::<dyn Hello>("stopped"),
        network.proxy::<dyn Hello>("stopped"),
    );
    assert!(idle.welcome("x").is_ok());
    std::thread::scope(|scope| {
        let open = scope.spawn(|| hello.wait_at_gate());
        eventually("it is called", || server.n_calls() == 2);
        let before = Instant::now();
        server.stop().unwrap();
        let error = open.join().unwrap();
        assert!(matches!(error, Err(Error::Lost { .. })), "{error:?}");
        assert!(before.elapsed() < LONG / 4);
    });
    object.open_gate();
    let error = idle.welcome("x").unwrap_err();
    assert!(!matches!(error, Error::Lost { .. }), "{error}");
}

/// Calls the next one, which may be itself.
#[remote::object]
trait Chain {
    fn pass(&self, seen: Vec<String>) -> Result<Vec<String>>;
}

struct Part {
    name: String,
    next: crate::Proxy<dyn Chain>,
}

impl Chain for Part {
    fn pass(&self, mut seen: Vec<String>) -> Result<Vec<String>> {
        if seen.contains(&self.name) {
            return Ok(vec![format!("complete at {}", self.name)]);
        }
        seen.push(self.name.clone());
        let mut result = self.next.pass(seen)?;
        result.insert(0, format!("passed on from {}", self.name));
        Ok(result)
    }
}

#[test]
fn an_object_may_call_itself_through_others() {
    let names = names();
    let start = |name: &str, next: &str, network: &Network| {
        let part = Part {
            name: name.to_owned(),
            next: network.proxy(next),
        };
        network.serve::<dyn Chain>(name, Arc::new(part)).unwrap()
    };
    let network = names.network();
    let first = start("a", "b", &network);
    let second = start("b", "a", &network);
    let said = network
        .proxy::<dyn Chain>("a")
        .pass(vec!["hello".to_owned()])
        .unwrap();
    assert_eq!(
        said,
        ["passed on from a", "passed on from b", "complete at a"]
    );
    first.stop().unwrap();
    // With one call at a time it would wait for itself: the deadline says so.
    let network = network.n_handlers(1).deadline(Duration::from_millis(200));
    let first = start("a", "b", &network);
    let error = network.proxy::<dyn Chain>("a").pass(vec![]).unwrap_err();
    assert!(matches!(error, Error::Deadline { .. }), "{error}");
    first.stop().unwrap();
    second.stop().unwrap();
}
