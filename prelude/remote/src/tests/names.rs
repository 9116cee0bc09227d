//! Names: who has them, who is dead, where they are asked for.

use std::sync::Arc;
use std::time::Duration;

use super::{Hello, LONG, eventually, greeter, names};
use crate::key::Key;
use crate::names::Registration;
use crate::uri::Uri;
use crate::{Error, NameServer, Network};

#[test]
fn names_are_listed_by_prefix_and_taken_away() {
    let names = names();
    let network = names.network();
    let servers: Vec<_> = ["fruit.apple", "fruit.pear", "tool"]
        .map(|name| greeter(&network, name))
        .into();
    let list = network.list("fruit.").unwrap();
    let found: Vec<_> = list.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(found, ["fruit.apple", "fruit.pear"]);
    assert!(
        list.iter()
            .all(|entry| entry.alive && entry.interface == "Hello")
    );
    assert_eq!(
        list[0].to_string(),
        format!("fruit.apple (Hello, alive) {}", servers[0].uri())
    );
    assert_eq!(network.list("").unwrap().len(), 3);
    assert_eq!(
        network.lookup("tool").unwrap().to_string(),
        servers[2].uri()
    );
    assert_eq!(network.remove("tool"), Ok(true));
    assert_eq!(network.remove("tool"), Ok(false));
    // Its server says that it lives, and does not come back for it.
    std::thread::sleep(Duration::from_millis(1200));
    let error = network.lookup("tool").unwrap_err();
    assert_eq!(
        error.to_string().lines().nth(1),
        Some("why: names that are: fruit.apple, fruit.pear")
    );
    let by_uri = network.proxy::<dyn Hello>(servers[2].uri());
    assert_eq!(by_uri.welcome("x").unwrap(), "Hi welcome x");
    for server in servers {
        server.stop().unwrap();
    }
}

#[test]
fn a_name_of_a_living_server_is_given_to_nobody_else_and_a_dead_one_is() {
    let names = names();
    let network = names.network();
    let server = greeter(&network, "taken");
    let uri: Uri = "obj_00000000000000000000000000000000@127.0.0.1:9"
        .parse()
        .unwrap();
    let other = |lease: &str| {
        let owner = ("another process", lease);
        let link = network.names().unwrap();
        link.call::<Result<(), Error>>("register", &("taken", &uri, "Hello", owner))
    };
    let error = other("1").unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("taken: the name is taken\nwhy: obj_"),
        "{error}"
    );
    server.stop().unwrap();
    eventually("it is free", || other("2").is_ok());
    assert_eq!(network.lookup("taken"), Ok(uri.clone()));
    // Nobody says that this one lives.
    eventually("it is dead", || {
        matches!(network.lookup("taken"), Err(Error::Dead { .. }))
    });
    assert!(!network.list("taken").unwrap()[0].alive);
    let error = network
        .proxy::<dyn Hello>("taken")
        .welcome("x")
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("taken: its server is dead\nwhy: obj_000"),
        "{error}"
    );
    let server = greeter(&network, "taken");
    assert!(network.list("taken").unwrap()[0].alive);
    server.stop().unwrap();
}

#[test]
fn a_name_server_that_is_started_anew_learns_its_names_again() {
    let key = Key::random().unwrap();
    let first = NameServer::start_as("names, twice", &key, "127.0.0.1:0").unwrap();
    let network = first.network();
    let server = greeter(&network, "remembered");
    let hello = network.proxy::<dyn Hello>("remembered");
    assert!(hello.welcome("x").is_ok());
    first.stop().unwrap();
    assert!(
        hello.welcome("y").is_ok(),
        "who is connected needs no names"
    );
    let error = network.list("").unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    let second = NameServer::start_as("names, twice", &key, first.address()).unwrap();
    network.wait_for(&["remembered"], LONG).unwrap();
    server.stop().unwrap();
    second.stop().unwrap();
}

#[test]
fn a_name_server_is_found_by_asking_the_network() {
    let names = names();
    let key = names.network().key().clone();
    let port = names.address().port();
    let found = Network::discover(&key, port).unwrap();
    assert_eq!(format!("{found:?}"), format!("{:?}", names.network()));
    // Who has another key is not answered.
    let error = Network::discover(&Key::random().unwrap(), port).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("no name server\nwhy: none with our key"),
        "{error}"
    );
    names.stop().unwrap();
}

#[test]
fn what_is_no_name_is_refused_before_anything_is_asked() {
    let network = Network::new(&Key::random().unwrap());
    let long = "x".repeat(201);
    for bad in [
        "",
        "a\nb",
        "a@b",
        &long,
        "obj_12@127.0.0.1:80",
        "obj_00000000000000000000000000000000@here:80",
    ] {
        let error = network.proxy::<dyn Hello>(bad).welcome("x").unwrap_err();
        assert!(matches!(error, Error::BadName { .. }), "{bad}: {error}");
    }
    let error = network
        .serve::<dyn Hello>("a\u{7}", Arc::new(super::Greeter::default()))
        .unwrap_err();
    assert!(matches!(error, Error::BadName { .. }), "{error}");
    let error = network.proxy::<dyn Hello>("fine").welcome("x").unwrap_err();
    assert!(matches!(error, Error::NoNameServer { .. }), "{error}");
    let error = network.name_server("nowhere").unwrap_err();
    assert!(
        error.to_string().contains("\"nowhere\" is no address"),
        "{error}"
    );
}

#[test]
fn a_registration_ends_with_its_server() {
    let names = names();
    let network = names.network();
    let uri = Uri::new(names.address()).unwrap();
    let made = Registration::make(&network, "short".to_owned(), "Hello", &uri);
    let made = forkline::tasks::block_on(made).unwrap();
    assert_eq!(network.lookup("short"), Ok(uri));
    drop(made);
    eventually("the name is gone", || {
        matches!(network.lookup("short"), Err(Error::UnknownName { .. }))
    });
}

#[test]
fn keys_are_long_and_never_shown() {
    let error = Key::new("too short").unwrap_err();
    assert!(
        error
            .to_string()
            .contains("it has 9 bytes; fewer than 16 could be guessed"),
        "{error}"
    );
    let key = Key::new("correct horse battery staple").unwrap();
    assert_eq!(format!("{key:?}"), "Key(28 bytes)");
    assert!(!format!("{:?}", Network::new(&key)).contains("horse"));
}
