//! Who may come in: a socket in the session's folder, which only this user can open, and, when it is asked for, a port
//! of this machine for whoever has the token.

use super::super::adapter::lock;
use super::super::{turn_off, turn_on};
use super::PROMPT;
use super::dialogue::{After, Dialogue};
use super::wire::{self, Input, Stream};
use crate::session::Shared;
use crate::session::watched::Watched;
use crossbeam_channel::{Receiver, select};
use serde_json::json;
use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long somebody may take to say the token.
const TOKEN_TIME: Duration = Duration::from_secs(20);
/// The pause before a token is looked at, after the first wrong one; it doubles with each, up to the second number.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(5)];
/// So many may be asked for the token at once.
const MOST_AT_DOOR: usize = 8;
/// How long one who comes waits for another who may just be leaving.
const LEAVING: Duration = Duration::from_secs(2);
/// So many lines wait while the cell runs.
const MOST_LINES: usize = 10_000;
/// After this time with a line that waits it is said that the cell runs.
const QUIET: Duration = Duration::from_secs(2);

/// Who sits at a terminal, and the open port.
#[derive(Default)]
pub struct Seats {
    /// Where the one who sits there came from.
    taken: Watched<Option<String>>,
    port: Mutex<Option<Port>>,
    /// Wrong tokens since the last right one.
    wrong: Mutex<u32>,
    at_door: AtomicUsize,
}

/// The open port.
struct Port {
    address: SocketAddr,
    token: String,
    is_closed: Arc<AtomicBool>,
}

/// Opens the session's socket, for as long as the kernel lives.
///
/// # Errors
/// It cannot be made.
pub fn doors(shared: &Arc<Shared>, path: &Path) -> io::Result<()> {
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    let shared = Arc::clone(shared);
    let body = move || {
        for stream in listener.incoming().flatten() {
            let shared = Arc::clone(&shared);
            let body = move || converse(&shared, Stream::Unix(stream), "this machine");
            spawn(body);
        }
    };
    std::thread::Builder::new()
        .name("debug-door".to_owned())
        .spawn(body)
        .map(|_| ())
}

fn spawn(body: impl FnOnce() + Send + 'static) {
    let started = std::thread::Builder::new()
        .name("debug-terminal".to_owned())
        .spawn(body);
    if let Err(error) = started {
        eprintln!("forkline: no thread for a terminal: {error}");
    }
}

/// Opens a port of this machine, 0 for one that is free, and returns its address and the token. One that is open is
/// closed first.
///
/// # Errors
/// In three parts: the port is taken.
pub fn listen(shared: &Arc<Shared>, port: u16) -> Result<(SocketAddr, String), String> {
    close(shared);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| {
        format!(
            "%debug --listen {port}: the port cannot be opened\nwhy: {error}\ndo:  %debug --listen    (takes one that is free)"
        )
    })?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let token = uuid::Uuid::new_v4().simple().to_string();
    let is_closed = Arc::new(AtomicBool::new(false));
    *lock(&shared.debugger.seats.port) = Some(Port {
        address,
        token: token.clone(),
        is_closed: Arc::clone(&is_closed),
    });
    let shared = Arc::clone(shared);
    spawn(move || {
        for stream in listener.incoming() {
            if is_closed.load(Ordering::SeqCst) {
                break;
            }
            let Ok(stream) = stream else { continue };
            let shared = Arc::clone(&shared);
            spawn(move || ask_for_token(&shared, Stream::Tcp(stream)));
        }
    });
    Ok((address, token))
}

/// Closes the port; who is inside stays. Whether there was one.
pub fn close(shared: &Shared) -> bool {
    let Some(port) = lock(&shared.debugger.seats.port).take() else {
        return false;
    };
    port.is_closed.store(true, Ordering::SeqCst);
    // Wakes the thread that listens.
    let _is_gone = std::net::TcpStream::connect(port.address);
    true
}

/// Somebody has come by the port.
fn ask_for_token(shared: &Arc<Shared>, mut stream: Stream) {
    let seats = &shared.debugger.seats;
    let is_crowded = seats.at_door.fetch_add(1, Ordering::SeqCst) >= MOST_AT_DOOR;
    let is_right = !is_crowded && is_let_in(shared, &mut stream);
    seats.at_door.fetch_sub(1, Ordering::SeqCst);
    if is_right {
        converse(shared, stream, "the port");
    } else {
        stream.end();
    }
}

/// Asks for the token.
fn is_let_in(shared: &Shared, stream: &mut Stream) -> bool {
    let Some(token) = lock(&shared.debugger.seats.port)
        .as_ref()
        .map(|port| port.token.clone())
    else {
        return false;
    };
    if stream.set_limits().is_err() || stream.say("forkline's debugger; token: ").is_err() {
        return false;
    }
    let Ok(said) = stream.try_clone().and_then(first_line) else {
        return false;
    };
    // Held while one waits: many connections at once are no faster than one.
    let mut wrong = lock(&shared.debugger.seats.wrong);
    if *wrong > 0 {
        let doubled = PAUSES[0].saturating_mul(1 << (*wrong - 1).min(10));
        std::thread::sleep(doubled.min(PAUSES[1]));
    }
    if is_equal(said.trim().as_bytes(), token.as_bytes()) {
        let before = std::mem::take(&mut *wrong);
        drop(wrong);
        let note = match before {
            0 => String::new(),
            count => format!("wrong tokens since the last right one: {count}\n"),
        };
        return stream.say(&note).is_ok();
    }
    *wrong = wrong.saturating_add(1);
    eprintln!(
        "forkline: a terminal was refused: wrong token ({} so far)",
        *wrong
    );
    drop(wrong);
    let _is_gone = stream.say(
        "refused: this is not the token\nwhy: only who has it may debug this kernel\n\
         do:  %debug --listen    (prints one, and ends the validity of the one before)\n",
    );
    false
}

/// The first line, byte by byte: what comes behind it belongs to the conversation.
fn first_line(stream: Stream) -> io::Result<String> {
    let Stream::Tcp(mut stream) = stream else {
        return Ok(String::new());
    };
    stream.set_read_timeout(Some(TOKEN_TIME))?;
    let begun = std::time::Instant::now();
    let mut line = Vec::new();
    loop {
        let mut byte = [0];
        let is_over = io::Read::read(&mut stream, &mut byte)? == 0 || byte[0] == b'\n';
        if is_over || line.len() > 256 {
            break;
        }
        if begun.elapsed() > TOKEN_TIME {
            return Err(io::ErrorKind::TimedOut.into());
        }
        line.push(byte[0]);
    }
    stream.set_read_timeout(None)?;
    Ok(String::from_utf8_lossy(&line).into_owned())
}

/// Whether two texts are equal, in a time that does not tell where they differ.
fn is_equal(one: &[u8], other: &[u8]) -> bool {
    let differences = one.iter().zip(other).fold(0, |sum, (a, b)| sum | (a ^ b));
    one.len() == other.len() && differences == 0
}

/// One conversation, from the greeting to the end.
fn converse(shared: &Arc<Shared>, mut stream: Stream, from: &str) {
    if stream.set_limits().is_err() {
        return;
    }
    let seats = &shared.debugger.seats;
    let other = {
        let taken = seats.taken.lock();
        let mut taken = seats
            .taken
            .wait_while(taken, LEAVING, |taken| taken.is_some());
        let other = taken.clone();
        if other.is_none() {
            *taken = Some(from.to_owned());
        }
        other
    };
    if let Some(other) = other {
        let _is_gone = stream.say(&format!(
            "somebody is here already\nwhy: one terminal at a time debugs a kernel, and one from {other} does\n\
             do:  quit there, then come again\n"
        ));
        stream.end();
        return;
    }
    let was_on = shared.debugger.is_on().load(Ordering::SeqCst);
    let _who_is_gone_hears_nothing = match turn_on(shared) {
        Ok(()) => serve(shared, &mut stream, was_on),
        Err(why) => stream.say(&format!("{why}\n")),
    };
    if !was_on && !shared.debugger.is_held() {
        turn_off(shared);
    }
    *seats.taken.lock() = None;
    seats.taken.notify();
    stream.end();
}

fn serve(shared: &Arc<Shared>, stream: &mut Stream, was_on: bool) -> io::Result<()> {
    let (sender, inputs) = crossbeam_channel::unbounded();
    let reading = stream.try_clone()?;
    spawn(move || wire::read(reading, &sender));
    let mut dialogue = Dialogue::new(shared);
    let note = match was_on {
        true => "",
        false => "the debugger is on now: cells that are compiled from here on can be stopped in\n",
    };
    stream.say(&format!(
        "forkline {}, kernel {}; help lists the commands\n{note}{}{PROMPT}",
        env!("CARGO_PKG_VERSION"),
        std::process::id(),
        dialogue.place()
    ))?;
    let told = dialogue.told().clone();
    let result = talk(&mut dialogue, stream, &inputs, &told);
    if !was_on && !shared.debugger.is_held() {
        // It goes off, and what stands still goes on.
        dialogue.release();
    }
    result
}

/// Lines in, text out, until one side has enough.
fn talk(
    dialogue: &mut Dialogue,
    stream: &mut Stream,
    inputs: &Receiver<Input>,
    told: &Receiver<super::super::Told>,
) -> io::Result<()> {
    let mut lines: VecDeque<String> = VecDeque::new();
    let (mut is_waiting, mut is_over, mut is_said) = (false, false, false);
    let nothing = crossbeam_channel::never();
    loop {
        if !is_waiting && let Some(line) = lines.pop_front() {
            let (text, after) = dialogue.run(&line);
            is_waiting = after == After::Wait;
            // Who says so waits on purpose.
            is_said = line.trim() == "wait";
            stream.say(&text)?;
            match after {
                After::Ask => stream.say(PROMPT)?,
                After::Wait => {}
                After::Quit => return Ok(()),
            }
            continue;
        }
        if is_over && lines.is_empty() {
            return Ok(());
        }
        let inputs = if is_over { &nothing } else { inputs };
        select! {
            recv(told) -> news => {
                let Ok(news) = news else { return Ok(()) };
                let is_news = is_waiting || dialogue.is_stopped()
                    || !matches!(news, super::super::Told::CellOver(_));
                let (text, has_come) = dialogue.take(&news);
                if is_news && !text.is_empty() {
                    let gap = if is_waiting { "" } else { "\n" };
                    stream.say(&format!("{gap}{text}"))?;
                    is_waiting &= !has_come;
                    if !is_waiting {
                        stream.say(PROMPT)?;
                    }
                }
            }
            recv(inputs) -> input => match input {
                Ok(Input::Line(line)) if is_waiting && matches!(line.trim(), "pause" | "interrupt" | "kill") => {
                    stream.say(&dialogue.run(&line).0)?;
                }
                Ok(Input::Line(line)) if lines.len() < MOST_LINES => lines.push_back(line),
                Ok(Input::Line(_)) => is_over = true,
                Ok(Input::Pause) => stream.say(&dialogue.run("pause").0)?,
                Ok(Input::TooLong) => stream.say(
                    "this line is too long\nwhy: a line has 4096 bytes at most\ndo:  help\n",
                )?,
                Err(_) => is_over = true,
            },
            default(QUIET) => {
                if is_waiting && !lines.is_empty() && !is_said {
                    is_said = true;
                    stream.say("nothing stands still, and the next command waits until something does; pause stops the cell\n")?;
                }
            }
        }
    }
}

/// What the session's folder says of the kernel, for who looks for it.
pub fn card(connection_file: &Path) -> serde_json::Value {
    let file =
        std::fs::canonicalize(connection_file).unwrap_or_else(|_| connection_file.to_owned());
    json!({ "pid": std::process::id(), "connection_file": file })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_compared_whole() {
        assert!(is_equal(b"abc", b"abc"));
        assert!(!is_equal(b"ab", b"abc") && !is_equal(b"abd", b"abc") && !is_equal(b"", b"abc"));
    }
}
