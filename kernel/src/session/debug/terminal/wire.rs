//! Lines out of bytes that may be anything: from netcat, from telnet, from something that meant another port.

use crossbeam_channel::Sender;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// The longest line that is taken, in bytes.
const LONGEST: usize = 4096;
/// How long somebody may leave what we write unread.
const UNREAD: Duration = Duration::from_secs(5);

/// What comes in.
#[derive(Debug, PartialEq, Eq)]
pub enum Input {
    Line(String),
    /// A line was too long, and is dropped.
    TooLong,
    /// Ctrl-C, or telnet's interrupt.
    Pause,
}

/// One connection.
pub enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Stream {
    /// A second hand on it.
    ///
    /// # Errors
    /// The process has no descriptor left.
    pub fn try_clone(&self) -> io::Result<Stream> {
        Ok(match self {
            Stream::Unix(stream) => Stream::Unix(stream.try_clone()?),
            Stream::Tcp(stream) => Stream::Tcp(stream.try_clone()?),
        })
    }

    /// Nobody is waited for who does not read.
    ///
    /// # Errors
    /// The system refuses.
    pub fn set_limits(&self) -> io::Result<()> {
        match self {
            Stream::Unix(stream) => stream.set_write_timeout(Some(UNREAD)),
            Stream::Tcp(stream) => {
                stream.set_nodelay(true)?;
                stream.set_write_timeout(Some(UNREAD))
            }
        }
    }

    /// Ends it for both sides, whoever else has a hand on it.
    pub fn end(&self) {
        let _is_gone = match self {
            Stream::Unix(stream) => stream.shutdown(Shutdown::Both),
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Both),
        };
    }

    /// Writes a text.
    ///
    /// # Errors
    /// Nobody is there, or nobody reads.
    pub fn say(&mut self, text: &str) -> io::Result<()> {
        match self {
            Stream::Unix(stream) => stream.write_all(text.as_bytes()),
            Stream::Tcp(stream) => stream.write_all(text.as_bytes()),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Unix(stream) => stream.read(buffer),
            Stream::Tcp(stream) => stream.read(buffer),
        }
    }
}

/// Sends what comes until the end; the sender's end is the end of the stream.
pub fn read(mut stream: Stream, inputs: &Sender<Input>) {
    let mut lines = Lines::default();
    let mut buffer = [0; 1024];
    loop {
        let count = match stream.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        for byte in &buffer[..count] {
            if let Some(input) = lines.push(*byte)
                && inputs.send(input).is_err()
            {
                return;
            }
        }
    }
    // What has no newline behind it is a line all the same.
    if let Some(input) = lines.rest() {
        let _nobody_listens = inputs.send(input);
    }
}

/// Cuts bytes into lines.
#[derive(Default)]
struct Lines {
    line: Vec<u8>,
    is_too_long: bool,
    /// So many bytes more belong to an order of telnet's.
    telnet: u8,
}

/// Telnet's "interpret as command", and some of what follows.
const IAC: u8 = 0xff;
const INTERRUPT: u8 = 0xf4;
const OPTIONS: std::ops::RangeInclusive<u8> = 0xfb..=0xfe;

impl Lines {
    fn push(&mut self, byte: u8) -> Option<Input> {
        match (self.telnet, byte) {
            (2, INTERRUPT) => {
                self.telnet = 0;
                return Some(Input::Pause);
            }
            (2, byte) => {
                self.telnet = u8::from(OPTIONS.contains(&byte));
                return None;
            }
            (1, _) => {
                self.telnet = 0;
                return None;
            }
            (_, IAC) => self.telnet = 2,
            (_, 0x03) => {
                self.line.clear();
                return Some(Input::Pause);
            }
            (_, b'\n') => return Some(self.take()),
            (_, byte) if self.line.len() < LONGEST => self.line.push(byte),
            _ => self.is_too_long = true,
        }
        None
    }

    fn take(&mut self) -> Input {
        let bytes = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.is_too_long) {
            return Input::TooLong;
        }
        let text = String::from_utf8_lossy(&bytes);
        Input::Line(text.chars().filter(|char| !char.is_control()).collect())
    }

    fn rest(&mut self) -> Option<Input> {
        (!self.line.is_empty()).then(|| self.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(bytes: &[u8]) -> Vec<Input> {
        let mut lines = Lines::default();
        let mut found: Vec<Input> = bytes.iter().filter_map(|byte| lines.push(*byte)).collect();
        found.extend(lines.rest());
        found
    }

    #[test]
    fn lines_are_cut_whatever_ends_them() {
        let line = |text: &str| Input::Line(text.to_owned());
        assert_eq!(inputs(b"next\r\np j\n"), [line("next"), line("p j")]);
        assert_eq!(inputs(b"where"), [line("where")]);
        assert_eq!(inputs(b"\xff\xfd\x06n\n"), [line("n")]);
        assert_eq!(inputs(b"abc\x03"), [Input::Pause]);
        assert_eq!(inputs(b"\xff\xf4"), [Input::Pause]);
        assert_eq!(inputs(&[0x80, 0x00, 0x1b, b'\n']), [line("\u{fffd}")]);
    }

    #[test]
    fn a_line_without_end_takes_bounded_memory() {
        let mut bytes = vec![b'x'; 1 << 20];
        bytes.extend(b"\nn\n");
        assert_eq!(
            inputs(&bytes),
            [Input::TooLong, Input::Line("n".to_owned())]
        );
    }
}
