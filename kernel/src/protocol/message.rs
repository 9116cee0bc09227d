//! One message: routing identities, header, parent, metadata, content, buffers.
//!
//! Headers and contents are kept as JSON, so that fields of newer protocol versions (a subshell's
//! id, for instance) come back to the client unharmed.

use super::signature::Signer;
use serde_json::{Value, json};

const DELIMITER: &[u8] = b"<IDS|MSG>";

/// Which socket a message came by or goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    Shell,
    Control,
    Stdin,
    IoPub,
}

/// A message as it came.
#[derive(Clone, Debug)]
pub struct Message {
    pub channel: Channel,
    pub parent: Parent,
    pub content: Value,
}

/// What an answer must carry of the message that it answers.
#[derive(Clone, Debug, Default)]
pub struct Parent {
    pub identities: Vec<Vec<u8>>,
    pub header: Value,
}

impl Parent {
    /// The parent's id; two parents are the same request if these are equal.
    pub fn id(&self) -> &str {
        self.header["msg_id"].as_str().unwrap_or_default()
    }
}

impl Message {
    /// The message type, such as `execute_request`.
    pub fn kind(&self) -> &str {
        self.parent.header["msg_type"].as_str().unwrap_or_default()
    }

    /// Takes a received multi-part message apart and checks its signature.
    ///
    /// # Errors
    /// Why it is not a message to be believed, for the log.
    pub fn decode(
        channel: Channel,
        parts: Vec<Vec<u8>>,
        signer: &mut Signer,
    ) -> Result<Message, String> {
        let delimiter = parts
            .iter()
            .position(|part| part == DELIMITER)
            .ok_or("it has no <IDS|MSG> delimiter")?;
        let frames = &parts[delimiter + 1..];
        if frames.len() < 5 {
            return Err(format!("it has {} of 5 parts", frames.len()));
        }
        signer.check(&frames[0], &frames[1..5])?;
        let parse = |index: usize, name: &str| -> Result<Value, String> {
            serde_json::from_slice(&frames[index]).map_err(|error| format!("its {name}: {error}"))
        };
        let header = parse(1, "header")?;
        if !header["msg_id"].is_string() || !header["msg_type"].is_string() {
            return Err("its header lacks msg_id or msg_type".to_owned());
        }
        Ok(Message {
            channel,
            parent: Parent {
                identities: parts[..delimiter].to_vec(),
                header,
            },
            content: parse(4, "content")?,
        })
    }
}

/// A message to be sent.
#[derive(Debug)]
pub struct Outgoing {
    pub channel: Channel,
    pub kind: &'static str,
    pub parent: Parent,
    pub metadata: Value,
    pub content: Value,
}

impl Outgoing {
    /// The parts of the message, signed.
    pub fn encode(&self, session: &str, signer: &Signer) -> Vec<Vec<u8>> {
        let header = json!({
            "msg_id": uuid::Uuid::new_v4().to_string(),
            "username": "forkline",
            "session": session,
            "date": now(),
            "msg_type": self.kind,
            "version": super::VERSION,
        });
        let parent = match &self.parent.header {
            Value::Null => json!({}),
            header => header.clone(),
        };
        let frames = [header, parent, self.metadata.clone(), self.content.clone()]
            .map(|value| value.to_string().into_bytes())
            .to_vec();
        let mut parts = match self.channel {
            // On iopub the first part is the topic; clients subscribe to all of them.
            Channel::IoPub => vec![format!("kernel.{session}.{}", self.kind).into_bytes()],
            _ => self.parent.identities.clone(),
        };
        parts.push(DELIMITER.to_vec());
        parts.push(signer.sign(&frames).into_bytes());
        parts.extend(frames);
        parts
    }
}

/// The present moment as ISO 8601 with microseconds, in UTC.
fn now() -> String {
    const FORMAT: &[time::format_description::FormatItem] = time::macros::format_description!(
        "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z"
    );
    time::OffsetDateTime::now_utc()
        .format(FORMAT)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Vec<Vec<u8>> {
        let signer = Signer::new("key");
        let frames = vec![
            br#"{"msg_id":"1","msg_type":"x","session":"s","subshell_id":"abc"}"#.to_vec(),
            b"{}".to_vec(),
            b"{}".to_vec(),
            b"{}".to_vec(),
        ];
        let mut parts = vec![b"client".to_vec(), DELIMITER.to_vec()];
        parts.push(signer.sign(&frames).into_bytes());
        parts.extend(frames);
        parts
    }

    #[test]
    fn unknown_header_fields_come_back_in_the_answer() {
        let message = Message::decode(Channel::Shell, request(), &mut Signer::new("key")).unwrap();
        let answer = Outgoing {
            channel: Channel::Shell,
            kind: "x_reply",
            parent: message.parent,
            metadata: json!({}),
            content: json!({}),
        };
        let parts = answer.encode("mine", &Signer::new("key"));
        assert_eq!(parts[0], b"client");
        let header: Value = serde_json::from_slice(&parts[3]).unwrap();
        assert_eq!(header["session"], "mine");
        let parent: Value = serde_json::from_slice(&parts[4]).unwrap();
        assert_eq!(parent["subshell_id"], "abc");
    }

    #[test]
    fn malformed_messages_are_errors() {
        let mut signer = Signer::new("key");
        let decode = |parts, signer: &mut Signer| Message::decode(Channel::Shell, parts, signer);
        assert!(decode(vec![b"x".to_vec()], &mut signer).is_err());
        let mut short = request();
        short.truncate(4);
        assert!(decode(short, &mut signer).is_err());
        let mut forged = request();
        forged[2] = b"00".repeat(32);
        assert!(decode(forged, &mut signer).is_err());
    }
}
