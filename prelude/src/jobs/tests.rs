//! Tests of jobs. Each has names of its own: there is one list of jobs for all. Those in which somebody panics take their
//! turn with the panic hook.

mod clients;
mod examples;
mod life;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::Job;
use crate::testing::{LONG, until};

/// A client whose reads do not wait for ever.
#[track_caller]
fn client(server: &Job) -> TcpStream {
    let client = TcpStream::connect(server).expect("the server listens");
    client.set_read_timeout(Some(LONG)).expect("not zero");
    client
}

/// What comes until the server closes; a connection that it reset has brought nothing.
fn rest(mut client: TcpStream) -> String {
    let mut text = String::new();
    match client.read_to_string(&mut text) {
        Ok(_) => text,
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => text,
        Err(error) => panic!("{error}"),
    }
}

/// Answers a line with the same line.
fn echo_line(mut stream: TcpStream, _peer: SocketAddr) -> std::io::Result<()> {
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\n") && line.len() < 100 && stream.read(&mut byte)? == 1 {
        line.push(byte[0]);
    }
    stream.write_all(&line)
}

#[track_caller]
fn end(job: &Job) {
    job.stop();
    job.join(LONG).expect("it ends when it is asked to");
}
