//! How jobs begin, are replaced, fail and end.

use std::io;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixListener;
use std::sync::mpsc;

use super::{LONG, client, echo_line, end, until};
use crate::jobs::{self, JobError, State};
use crate::tests::host::turn;

#[test]
fn a_server_that_begins_again_has_the_port_of_the_old_one() {
    let old = jobs::listen("again", "127.0.0.1:0", echo_line).unwrap();
    let address = old.address().unwrap();
    // It is being served when its server is replaced.
    let _open = client(&old);
    until("it is served", || old.n_served() == 1);
    let new = jobs::listen("again", address, echo_line).unwrap();
    assert_eq!(old.state(), State::Ended);
    assert_eq!(
        (new.state(), new.address()),
        (State::Running, Some(address))
    );
    assert_eq!(
        jobs::list()
            .iter()
            .filter(|job| job.name == "again")
            .count(),
        1
    );
    end(&new);
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_port_in_use_says_by_whom() {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap();
    let text = jobs::listen("second", address, echo_line)
        .unwrap_err()
        .to_string();
    assert!(
        text.starts_with(&format!("job second: {address} is in use\nwhy: ")),
        "{text}"
    );
    assert!(text.contains("\ndo:  "), "{text}");
    assert!(
        text.contains(&format!("process {}", std::process::id())),
        "{text}"
    );
    assert!(
        jobs::list().iter().all(|job| job.name != "second"),
        "it never began"
    );

    let job = jobs::listen("holder", "127.0.0.1:0", echo_line).unwrap();
    let error = jobs::listen("third", job.address().unwrap(), echo_line).unwrap_err();
    assert!(matches!(error, JobError::PortInUse { .. }));
    assert!(
        error
            .to_string()
            .contains("the job holder of this notebook"),
        "{error}"
    );
    end(&job);
}

#[test]
fn what_is_no_address_is_an_error() {
    for address in [
        "nowhere",
        "127.0.0.1",
        "127.0.0.1:65536",
        "",
        "203.0.113.1:0",
    ] {
        let error = jobs::listen("nowhere", address, echo_line).unwrap_err();
        assert!(
            matches!(error, JobError::CannotListen { .. }),
            "{address}: {error}"
        );
        assert!(error.to_string().contains("\nwhy: ") && error.to_string().contains("\ndo:  "));
    }
}

#[test]
fn errors_and_panics_are_its_state() {
    let turn = turn();
    let job = jobs::spawn("erring", |_| Err::<(), _>("no luck")).unwrap();
    let error = job.join(LONG).unwrap_err();
    assert_eq!(error.to_string().lines().nth(1), Some("why: no luck"));
    assert_eq!(job.state(), State::Failed("no luck".to_owned()));
    let job = jobs::spawn("panicking", |_| panic!("out of {}", "luck")).unwrap();
    assert!(job.join(LONG).is_err());
    assert_eq!(job.last_error().as_deref(), Some("panicked: out of luck"));
    let job = jobs::spawn_async("task that panics", async { panic!("no luck either") }).unwrap();
    assert!(job.join(LONG).is_err());
    assert!(job.state().to_string().contains("no luck either"), "{job}");
    let frames = turn.frames();
    let n_panics = frames
        .iter()
        .filter(|(kind, _)| *kind == crate::rt::PANIC)
        .count();
    assert_eq!(n_panics, 2, "{frames:?}");
}

#[test]
fn a_stop_ends_what_waits_at_a_socket_of_any_kind() {
    let (ready, begun) = mpsc::channel();
    let tell = ready.clone();
    let stream = jobs::spawn("tcp", move |stop| -> io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let _ends = stop.ends(&listener)?;
        stop.serves(listener.local_addr()?);
        let _ = tell.send(());
        listener.accept().map(|_| ())
    });
    let tell = ready.clone();
    let datagram = jobs::spawn("udp", move |stop| -> io::Result<()> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        let _ends = stop.ends(&socket)?;
        let _ = tell.send(());
        loop {
            socket.recv_from(&mut [0; 100])?;
        }
    });
    let path = std::env::temp_dir().join(format!("forkline-jobs-{}", std::process::id()));
    let own = path.clone();
    let unix = jobs::spawn("unix", move |stop| -> io::Result<()> {
        let listener = UnixListener::bind(&own)?;
        let _ends = stop.ends(&listener)?;
        let _ = ready.send(());
        listener.accept().map(|_| ())
    });
    for _ in 0..3 {
        begun.recv_timeout(LONG).unwrap();
    }
    std::fs::remove_file(path).unwrap();
    assert!(stream.as_ref().unwrap().address().is_some());
    for job in [stream, datagram, unix] {
        let job = job.unwrap();
        end(&job);
        assert_eq!((job.state(), job.last_error()), (State::Ended, None));
    }
}

#[test]
fn a_job_can_be_waited_for_and_asked_twice() {
    let (go, wait) = mpsc::channel::<()>();
    let job = jobs::spawn("waited for", move |_| {
        let _the_sender_is_gone = wait.recv();
    })
    .unwrap();
    let error = job.join(std::time::Duration::ZERO).unwrap_err();
    assert!(matches!(error, JobError::StillRunning { .. }));
    job.stop();
    job.stop();
    assert_eq!(job.state(), State::Stopping);
    drop(go);
    job.join(LONG).unwrap();
    job.stop();
    assert_eq!(job.state(), State::Ended);
}

#[test]
fn a_job_cannot_take_its_own_place() {
    let job = jobs::spawn("ouroboros", |_| jobs::spawn("ouroboros", |_| ()).map(drop)).unwrap();
    let error = job.join(LONG).unwrap_err();
    assert!(
        error.to_string().contains("begins a job of its own name"),
        "{error}"
    );
}

#[test]
fn an_unknown_job_names_those_that_run() {
    let job = jobs::spawn("known", |stop| while !stop.wait(LONG) {}).unwrap();
    let text = jobs::__stop("unknown").unwrap_err().to_string();
    assert!(
        text.starts_with("job unknown: there is none\nwhy: ") && text.contains("known"),
        "{text}"
    );
    jobs::__stop("known").unwrap();
    assert_eq!(job.state(), State::Ended);
}
