//! Signatures of messages: HMAC-SHA256 over the four JSON frames, buffers excluded.
//!
//! Source: the Jupyter messaging specification, section "The wire protocol". As ipykernel does, a
//! signature that was seen before is refused, so that a recorded request cannot be sent again.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::collections::{HashSet, VecDeque};

/// How many signatures are remembered against replays.
const REMEMBERED: usize = 1 << 16;

/// Signs and checks messages with the connection's key.
pub struct Signer {
    /// None where the key is empty: the front end turned signatures off.
    mac: Option<Hmac<Sha256>>,
    seen: HashSet<Vec<u8>>,
    order: VecDeque<Vec<u8>>,
}

impl Signer {
    pub fn new(key: &str) -> Signer {
        let mac = (!key.is_empty())
            .then(|| Hmac::new_from_slice(key.as_bytes()).expect("HMAC takes keys of any length"));
        Signer {
            mac,
            seen: HashSet::new(),
            order: VecDeque::new(),
        }
    }

    /// The signature of these frames as lower-case hexadecimal text; empty without a key.
    pub fn sign(&self, frames: &[Vec<u8>]) -> String {
        let Some(mac) = &self.mac else {
            return String::new();
        };
        let mut mac = mac.clone();
        for frame in frames {
            mac.update(frame);
        }
        use std::fmt::Write as _;
        mac.finalize()
            .into_bytes()
            .iter()
            .fold(String::with_capacity(64), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            })
    }

    /// Checks a received signature in constant time, and that it is new.
    ///
    /// # Errors
    /// Why the message must not be believed, for the log.
    pub fn check(&mut self, signature: &[u8], frames: &[Vec<u8>]) -> Result<(), &'static str> {
        let Some(mac) = &self.mac else {
            return Ok(());
        };
        let bytes = from_hex(signature).ok_or("its signature is not hexadecimal text")?;
        let mut mac = mac.clone();
        for frame in frames {
            mac.update(frame);
        }
        mac.verify_slice(&bytes)
            .map_err(|_| "its signature does not match the connection's key")?;
        if !self.seen.insert(bytes.clone()) {
            return Err("its signature was used before (a replayed message)");
        }
        self.order.push_back(bytes);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        Ok(())
    }
}

fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.chunks(2)
        .map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames() -> Vec<Vec<u8>> {
        vec![b"what do ya want ".to_vec(), b"for nothing?".to_vec()]
    }

    #[test]
    fn signatures_are_those_of_rfc_4231() {
        // Test case 2 of RFC 4231.
        assert_eq!(
            Signer::new("Jefe").sign(&frames()),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn a_changed_message_and_a_replay_are_refused() {
        let mut signer = Signer::new("Jefe");
        let signature = signer.sign(&frames());
        assert!(
            signer
                .check(signature.as_bytes(), &[b"other".to_vec()])
                .is_err()
        );
        assert!(signer.check(b"zz", &frames()).is_err());
        assert!(signer.check(signature.as_bytes(), &frames()).is_ok());
        assert!(
            signer
                .check(signature.as_bytes(), &frames())
                .unwrap_err()
                .contains("replay")
        );
    }

    #[test]
    fn an_empty_key_turns_signatures_off() {
        let mut signer = Signer::new("");
        assert_eq!(signer.sign(&frames()), "");
        assert!(signer.check(b"", &frames()).is_ok());
        assert!(signer.check(b"", &frames()).is_ok());
    }
}
