//! The shared key, and how two sides prove to each other that they have it, without sending it.
//!
//! What always holds: nobody is told anything, and nothing that he sends is parsed, before he has proved the key; a proof
//! is good for one connection and one side only; keys and proofs are compared in constant time and never shown.
//!
//! Each side sends 32 random bytes; the proof is HMAC-SHA256 of both and of the side's name, under the key. That keeps
//! strangers out. It hides nothing: who can read along reads what is called, and who can change what is sent on its way can
//! change calls too. Between machines whose network others can touch, send it through `ssh -L` or a VPN.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::error::Error;

/// The environment variable that [`Key::from_env`] reads.
pub const KEY_VARIABLE: &str = "FORKLINE_REMOTE_KEY";

/// Fewer bytes could be guessed.
const SHORTEST: usize = 16;

/// The first bytes of a connection: what is spoken, and in which version.
const MAGIC: [u8; 8] = *b"FLremot2";

/// The secret of those who may call each other. It travels to other processes as an argument; it is never printed.
#[derive(Clone, Serialize, Deserialize)]
pub struct Key(Vec<u8>);

impl Key {
    /// A new one that nobody knows.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn random() -> Result<Key, Error> {
        Ok(Key(nonce()
            .map_err(|error| Error::BadKey {
                why: format!("the system has no random numbers: {error}"),
            })?
            .to_vec()))
    }

    /// A key that was agreed on: at least 16 bytes.
    ///
    /// # Errors
    /// [`Error::BadKey`]: it is shorter.
    pub fn new(secret: impl AsRef<[u8]>) -> Result<Key, Error> {
        let secret = secret.as_ref();
        if secret.len() < SHORTEST {
            return Err(Error::BadKey {
                why: format!(
                    "it has {} bytes; fewer than {SHORTEST} could be guessed",
                    secret.len()
                ),
            });
        }
        Ok(Key(secret.to_vec()))
    }

    /// The key in the environment variable `FORKLINE_REMOTE_KEY`.
    ///
    /// # Errors
    /// [`Error::BadKey`]: it is not set, or too short.
    pub fn from_env() -> Result<Key, Error> {
        match std::env::var(KEY_VARIABLE) {
            Ok(text) => Key::new(text),
            Err(_) => Err(Error::BadKey {
                why: format!("the environment variable {KEY_VARIABLE} is not set"),
            }),
        }
    }

    fn mac(&self, side: &str, parts: [&[u8]; 2]) -> Hmac<Sha256> {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            unreachable!("HMAC takes keys of any length")
        };
        mac.update(side.as_bytes());
        for part in parts {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        mac
    }

    /// A proof of the key for a side and two texts.
    pub(crate) fn proof(&self, side: &str, parts: [&[u8]; 2]) -> [u8; 32] {
        self.mac(side, parts).finalize().into_bytes().into()
    }

    /// Whether a proof is right, in constant time.
    pub(crate) fn proves(&self, side: &str, parts: [&[u8]; 2], proof: &[u8]) -> bool {
        self.mac(side, parts).verify_slice(proof).is_ok()
    }
}

/// Not the key itself: it would be saved with the notebook.
impl fmt::Debug for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Key({} bytes)", self.0.len())
    }
}

/// 32 bytes that were never there before.
pub(crate) fn nonce() -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Why a handshake failed.
pub(crate) fn other(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

/// The handshake of the side that was called.
pub(crate) async fn admit(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    key: &Key,
) -> io::Result<()> {
    let mut greeting = [0; 40];
    stream.read_exact(&mut greeting).await?;
    if greeting[..8] != MAGIC {
        return Err(other("it speaks another protocol"));
    }
    let (theirs, ours) = (&greeting[8..], nonce()?);
    stream.write_all(&[&MAGIC[..], &ours[..]].concat()).await?;
    let mut proof = [0; 32];
    stream.read_exact(&mut proof).await?;
    if !key.proves("client", [theirs, &ours], &proof) {
        return Err(other("it has another key"));
    }
    stream
        .write_all(&key.proof("server", [theirs, &ours]))
        .await
}

/// The handshake of the side that calls.
pub(crate) async fn introduce(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    key: &Key,
) -> io::Result<()> {
    let ours = nonce()?;
    stream.write_all(&[&MAGIC[..], &ours[..]].concat()).await?;
    let mut greeting = [0; 40];
    stream.read_exact(&mut greeting).await?;
    if greeting[..8] != MAGIC {
        return Err(other("it speaks another protocol"));
    }
    let theirs = &greeting[8..];
    stream
        .write_all(&key.proof("client", [&ours, theirs]))
        .await?;
    let mut proof = [0; 32];
    match stream.read_exact(&mut proof).await {
        Ok(_) if key.proves("server", [&ours, theirs], &proof) => Ok(()),
        Ok(_) => Err(other(
            "it did not prove the key: it is not the server that it seems to be",
        )),
        Err(_) => Err(other(
            "it closed the connection when it saw our proof, so it has another key",
        )),
    }
}
