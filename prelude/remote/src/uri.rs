//! Where an object is: `obj_<32 hex digits>@host:port`.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::key;
use crate::wire::LONGEST_NAME;

/// Where an object is. As text: `obj_<32 hex digits>@address:port`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uri {
    /// The object within its server: new for each server that is started.
    pub object: String,
    /// The server.
    pub address: SocketAddr,
}

/// The object of a name server, the same in each.
pub(crate) const NAMES: &str = "names";

impl Uri {
    /// One for a new object.
    pub(crate) fn new(address: SocketAddr) -> Result<Uri, Error> {
        let random = key::nonce().map_err(|error| Error::BadKey {
            why: error.to_string(),
        })?;
        let digits: String = random[..16]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Ok(Uri {
            object: format!("obj_{digits}"),
            address,
        })
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}@{}", self.object, self.address)
    }
}

impl FromStr for Uri {
    type Err = Error;

    fn from_str(text: &str) -> Result<Uri, Error> {
        let bad = |why: &str| Error::BadName {
            name: text.chars().take(LONGEST_NAME).collect(),
            why: why.to_owned(),
        };
        let (object, address) = text.split_once('@').ok_or_else(|| bad("a URI has an @"))?;
        let digits = object.strip_prefix("obj_").unwrap_or_default();
        if digits.len() != 32 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(bad("before the @ there is to be obj_ and 32 hex digits"));
        }
        let address = address
            .parse()
            .map_err(|_| bad("behind the @ there is to be an IP address and a port"))?;
        Ok(Uri {
            object: object.to_owned(),
            address,
        })
    }
}

/// What can be registered: a name that can be shown, and is no URI.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    let bad = |why: String| Error::BadName {
        name: name.chars().take(LONGEST_NAME).collect(),
        why,
    };
    if name.is_empty() {
        return Err(bad("it is empty".to_owned()));
    }
    if name.len() > LONGEST_NAME {
        return Err(bad(format!("it is longer than {LONGEST_NAME} bytes")));
    }
    if name.contains(|c: char| c.is_control() || c == '@') {
        return Err(bad("it has an @ or a control character".to_owned()));
    }
    Ok(())
}
