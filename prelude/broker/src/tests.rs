//! What can be seen without a broker. What needs one is tested through cells: `tests/brokers`.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use crate::config::{Config, Kind, without_password};
use crate::control::{Ask, Command, Order};
use crate::error::Error;
use crate::message::{Message, new_id};
use crate::outcome::Outcome;

#[test]
fn arguments_travel_in_order_or_by_name() {
    #[derive(Serialize)]
    struct Named {
        x: i64,
        y: String,
    }
    let arguments = |message: Message| message.arguments().unwrap();
    let in_order = arguments(Message::new("add", &(5, "a")).unwrap());
    assert_eq!(
        in_order,
        (vec![json!(5), json!("a")], serde_json::Map::new())
    );
    let named = Named {
        x: 1,
        y: "b".to_owned(),
    };
    let (args, kwargs) = arguments(Message::new("add", &named).unwrap());
    assert_eq!(
        (args, Value::from(kwargs)),
        (vec![], json!({"x": 1, "y": "b"}))
    );
    assert_eq!(
        arguments(Message::new("none", &()).unwrap()).0,
        Vec::<Value>::new()
    );
    let error = Message::new("add", &5).unwrap_err().to_string();
    assert!(
        error.contains("the arguments of add") && error.contains("(x,)"),
        "{error}"
    );
}

#[test]
fn headers_are_those_of_celery() {
    let mut message = Message::new("add", &(5, 5)).unwrap();
    message.headers.eta = Some("2026-01-01T00:00:00.000001+00:00".to_owned());
    let headers = json!(message.headers);
    for name in [
        "lang",
        "task",
        "id",
        "root_id",
        "parent_id",
        "group",
        "argsrepr",
        "kwargsrepr",
        "origin",
        "retries",
    ] {
        assert!(headers.get(name).is_some(), "{name}");
    }
    assert_eq!(headers["task"], "add");
    assert_eq!(headers["timelimit"], json!([null, null]));
    assert_eq!(message.waits().unwrap(), Duration::ZERO);
    // What others have written is handed on.
    let mut others = headers.clone();
    others["stamps"] = json!({"a": 1});
    others["timelimit"] = json!([null, 3.5]);
    let read: crate::message::Headers = serde_json::from_value(others).unwrap();
    assert_eq!(read.timelimit, (None, Some(3.5)));
    assert_eq!(json!(read)["stamps"], json!({"a": 1}));
}

#[test]
fn times_with_and_without_a_zone_are_understood() {
    let mut message = Message::new("add", &(1,)).unwrap();
    for (eta, is_later) in [
        ("2200-01-01T00:00:00+00:00", true),
        ("2200-01-01T00:00:00.123456", true),
        ("1999-12-31T23:59:59Z", false),
    ] {
        message.headers.eta = Some(eta.to_owned());
        assert_eq!(
            message.waits().unwrap() > Duration::from_secs(1000),
            is_later,
            "{eta}"
        );
    }
    message.headers.eta = Some("tomorrow".to_owned());
    assert!(
        message
            .waits()
            .unwrap_err()
            .to_string()
            .contains("tomorrow")
    );
    message.headers.expires = Some(crate::message::in_future(Duration::from_secs(60)));
    assert!(!message.has_expired());
    message.headers.expires = Some("1999-12-31T23:59:59Z".to_owned());
    assert!(message.has_expired());
}

#[test]
fn ids_are_uuids_of_version_4() {
    let (one, other) = (new_id(), new_id());
    assert_ne!(one, other);
    let lengths: Vec<usize> = one.split('-').map(str::len).collect();
    assert_eq!(lengths, [8, 4, 4, 4, 12]);
    assert_eq!(&one[14..15], "4");
    assert!("89ab".contains(&one[19..20]), "{one}");
}

#[test]
fn outcomes_are_read_as_they_are_written() {
    for outcome in [
        Outcome::Success(json!({"x": [1, 2]})),
        Outcome::Success(Value::Null),
    ] {
        let text = outcome.to_json("id-1");
        assert_eq!(
            Outcome::from_json(text.as_bytes()).unwrap(),
            Some(("id-1".to_owned(), outcome))
        );
    }
    let failed = Outcome::Failure("no such letter".to_owned(), "RuntimeError").to_json("id-2");
    let meta: Value = serde_json::from_str(&failed).unwrap();
    assert_eq!(meta["result"]["exc_type"], "RuntimeError");
    assert_eq!(meta["result"]["exc_module"], "builtins");
    let read = Outcome::from_json(failed.as_bytes()).unwrap().unwrap().1;
    assert_eq!(
        read,
        Outcome::Failure("no such letter".to_owned(), "Exception")
    );
    // As Python writes an exception with several arguments, and a task that has only begun.
    let several = br#"{"task_id": "3", "status": "FAILURE", "result": {"exc_type": "E", "exc_message": ["a", 1]}}"#;
    let read = Outcome::from_json(several).unwrap().unwrap().1;
    assert_eq!(read, Outcome::Failure("a, 1".to_owned(), "Exception"));
    assert_eq!(
        Outcome::from_json(br#"{"task_id": "4", "status": "STARTED", "result": null}"#).unwrap(),
        None
    );
    assert!(Outcome::from_json(b"garbage").is_err());
}

fn order(method: &str, arguments: Value) -> Result<Order, Error> {
    let ask: Ask =
        serde_json::from_value(json!({"method": method, "arguments": arguments})).unwrap();
    ask.order()
}

#[test]
fn commands_are_understood_as_they_are_sent() {
    let limit = Some(Duration::from_millis(2500));
    for command in [
        Command::Ping,
        Command::Registered,
        Command::Active,
        Command::Reserved,
        Command::Scheduled,
        Command::Revoked,
        Command::Stats,
        Command::Queues,
        Command::RateLimit("add".to_owned(), 12.5),
        Command::TimeLimit("add".to_owned(), limit),
        Command::TimeLimit("add".to_owned(), None),
        Command::Grow(3),
        Command::Shrink(2),
        Command::Shutdown,
    ] {
        let (method, arguments) = command.to_ask();
        assert_eq!(order(method, arguments).unwrap(), Order::Plain(command));
    }
    for (command, terminate) in [
        (Command::Revoke("id".to_owned()), false),
        (Command::Terminate("id".to_owned()), true),
    ] {
        let (method, arguments) = command.to_ask();
        let ids = vec!["id".to_owned()];
        assert_eq!(
            order(method, arguments).unwrap(),
            Order::Revoke { ids, terminate }
        );
    }
}

#[test]
fn commands_of_celery_are_understood() {
    let rate = |rate: Value| {
        order(
            "rate_limit",
            json!({"task_name": "add", "rate_limit": rate}),
        )
    };
    for (text, per_second) in [
        (json!("120/m"), 2.0),
        (json!("7200/h"), 2.0),
        (json!("2/s"), 2.0),
        (json!(2), 2.0),
        (json!("2"), 2.0),
        (Value::Null, 0.0),
        (json!(0), 0.0),
    ] {
        let wanted = Order::Plain(Command::RateLimit("add".to_owned(), per_second));
        assert_eq!(rate(text).unwrap(), wanted);
    }
    for wrong in [
        json!("fast"),
        json!("1/day"),
        json!("-1/s"),
        json!([1]),
        json!("inf"),
    ] {
        assert!(rate(wrong.clone()).is_err(), "{wrong}");
    }
    let ids = vec!["a".to_owned(), "b".to_owned()];
    let revoked = order(
        "revoke",
        json!({"task_id": ["a", "b"], "terminate": false, "signal": "SIGTERM"}),
    );
    assert_eq!(
        revoked.unwrap(),
        Order::Revoke {
            ids,
            terminate: false
        }
    );
    let error = order("autoscale", json!({})).unwrap_err().to_string();
    assert!(error.contains("autoscale"), "{error}");
    assert!(order("revoke", json!({})).is_err());
    assert_eq!(
        order("pool_grow", json!({"n": u64::MAX})).unwrap(),
        Order::Plain(Command::Grow(10_000))
    );
}

#[test]
fn urls_tell_the_broker_and_errors_no_password() {
    assert_eq!(
        Config::new("amqp://localhost").kind().unwrap(),
        Kind::RabbitMq
    );
    assert_eq!(
        Config::celery("redis://localhost/1").kind().unwrap(),
        Kind::Redis
    );
    for (url, why) in [
        ("localhost:5672", "begins with"),
        ("amqps://a", "without TLS"),
        ("http://user:secret@a/", "begins with"),
        ("", "begins with"),
    ] {
        let error = Config::new(url).kind().unwrap_err().to_string();
        assert!(error.contains(why) && !error.contains("secret"), "{error}");
    }
    assert_eq!(
        without_password("amqp://guest:secret@host:1/v"),
        "amqp://guest@host:1/v"
    );
    assert_eq!(
        without_password("redis://:sec@ret@host/0"),
        "redis://host/0"
    );
    assert_eq!(without_password("redis://host/a@b"), "redis://host/a@b");
    let results_in_rabbitmq = Config::new("redis://a").results("amqp://b");
    assert!(results_in_rabbitmq.redis_for_results().is_err());
    assert_eq!(Config::new("amqp://a").redis_for_results().unwrap(), None);
}
