//! The examples of the documentation.

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;

use crate::prelude::*;

type Done = Result<(), Box<dyn Error>>;

#[test]
fn module() -> Done {
    let server = jobs::listen("greeter", "127.0.0.1:0", |mut stream, _peer| {
        stream.write_all(b"hello")
    })?;
    let mut said = String::new();
    TcpStream::connect(&server)?.read_to_string(&mut said)?;
    assert_eq!(said, "hello");
    server.stop();
    server.join(Duration::from_secs(10))?;
    Ok(())
}

#[test]
fn spawn() -> Done {
    let job = jobs::spawn(
        "ticker",
        |stop| {
            while !stop.wait(Duration::from_millis(10)) {}
        },
    )?;
    assert_eq!(job.state(), jobs::State::Running);
    job.stop();
    job.join(Duration::from_secs(10))?;
    Ok(())
}

#[test]
fn spawn_async() -> Done {
    let job = jobs::spawn_async("sleeper", async {
        tasks::sleep(Duration::from_secs(600)).await;
    })?;
    job.stop();
    job.join(Duration::from_secs(10))?;
    Ok(())
}

#[test]
fn list() -> Done {
    let job = jobs::spawn("short", |_| ())?;
    job.join(Duration::from_secs(10))?;
    assert!(
        jobs::list()
            .iter()
            .any(|one| one.name == "short" && one.state == jobs::State::Ended)
    );
    Ok(())
}

#[test]
fn server() -> Done {
    let server = jobs::Server::new("echo")
        .n_handlers(4)
        .read_timeout(Some(Duration::from_secs(2)))
        .listen("127.0.0.1:0", |mut stream, _peer| {
            let mut bytes = [0; 1024];
            let n = stream.read(&mut bytes)?;
            stream.write_all(&bytes[..n])
        })?;
    let mut client = TcpStream::connect(&server)?;
    client.write_all(b"abc")?;
    let mut answer = [0; 3];
    client.read_exact(&mut answer)?;
    assert_eq!(&answer, b"abc");
    server.stop();
    Ok(())
}
