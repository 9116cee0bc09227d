//! What comes back from a process, as it goes through the socket: the value's bytes and one more that says what
//! they are.

use super::ProcessError;
use super::entry::Failure;
use super::message::{self, Message, Packet};

/// What came of one run of a function.
#[derive(Debug)]
pub(crate) enum Outcome {
    Value(Packet),
    /// The panic's message.
    Panicked(String),
    /// Why the arguments could not be read.
    Arguments(String),
    /// Why the value could not be written.
    Result(String),
    /// Why the function could not be found.
    Load(String),
    /// The value was given to an earlier call.
    Taken,
}

impl Outcome {
    pub fn into_packet(self) -> Packet {
        let (mut packet, tag) = match self {
            Outcome::Value(packet) => (packet, 0),
            Outcome::Panicked(text) => (text_packet(text), 1),
            Outcome::Arguments(text) => (text_packet(text), 2),
            Outcome::Result(text) => (text_packet(text), 3),
            Outcome::Load(text) => (text_packet(text), 4),
            Outcome::Taken => (Packet::default(), 5),
        };
        packet.bytes.push(tag);
        packet
    }

    pub fn from_packet(mut packet: Packet) -> Outcome {
        let tag = packet.bytes.pop();
        let text = |packet: &Packet| String::from_utf8_lossy(&packet.bytes).into_owned();
        match tag {
            Some(0) => Outcome::Value(packet),
            Some(1) => Outcome::Panicked(text(&packet)),
            Some(2) => Outcome::Arguments(text(&packet)),
            Some(4) => Outcome::Load(text(&packet)),
            _ => Outcome::Result(text(&packet)),
        }
    }

    /// What a later call is given: the same again, but for a value, which is there once unless it is empty.
    pub fn for_later(&self) -> Outcome {
        match self {
            Outcome::Value(packet) if packet.bytes.is_empty() && packet.descriptors.is_empty() => {
                Outcome::Value(Packet::default())
            }
            Outcome::Value(_) | Outcome::Taken => Outcome::Taken,
            Outcome::Panicked(text) => Outcome::Panicked(text.clone()),
            Outcome::Arguments(text) => Outcome::Arguments(text.clone()),
            Outcome::Result(text) => Outcome::Result(text.clone()),
            Outcome::Load(text) => Outcome::Load(text.clone()),
        }
    }

    /// The exit status of a process that ends with this.
    pub fn exit_code(&self) -> i32 {
        match self {
            Outcome::Value(_) => 0,
            // What a Rust program has whose main thread panics.
            Outcome::Panicked(_) => 101,
            _ => 1,
        }
    }

    /// The value as it was before it travelled, or why there is none.
    pub fn into_value<T: Message>(self, name: &str) -> Result<T, ProcessError> {
        self.into_result(name).and_then(|packet| {
            message::decode(packet).map_err(|error| ProcessError::result(name, &error))
        })
    }

    /// The value's bytes, or why there are none.
    pub fn into_result(self, name: &str) -> Result<Packet, ProcessError> {
        let name = name.to_owned();
        match self {
            Outcome::Value(packet) => Ok(packet),
            Outcome::Panicked(message) => Err(ProcessError::Panicked { name, message }),
            Outcome::Arguments(why) => Err(ProcessError::Arguments { name, why }),
            Outcome::Result(why) => Err(ProcessError::Result { name, why }),
            Outcome::Load(why) => Err(ProcessError::Load { name, why }),
            Outcome::Taken => Err(ProcessError::Taken { name }),
        }
    }
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Outcome {
        match failure {
            Failure::Arguments(error) => Outcome::Arguments(error.to_string()),
            Failure::Result(error) => Outcome::Result(error.to_string()),
        }
    }
}

fn text_packet(text: String) -> Packet {
    Packet {
        bytes: text.into_bytes(),
        descriptors: Vec::new(),
    }
}
