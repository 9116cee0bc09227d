//! The connection file: where to listen, and the keys for signing and encryption.

use jupyter_protocol::ConnectionInfo;
use serde::Deserialize;
use std::path::Path;

/// What a front end says about how it wants to be reached.
#[derive(Deserialize, Debug)]
pub struct Connection {
    /// Addresses and signing key, as in every Jupyter.
    #[serde(flatten)]
    pub info: ConnectionInfo,
    /// CurveZMQ, if the front end wants the connection encrypted: the secret half of the kernel's
    /// own key pair in ZeroMQ's Z85 text form. The public half beside it is for the clients.
    #[serde(default)]
    pub curve_secretkey: Option<String>,
}

impl Connection {
    /// Reads a connection file.
    ///
    /// # Errors
    /// The file cannot be read, is not what Jupyter writes, or asks for a scheme of signatures or
    /// an encryption that this build cannot do.
    pub fn read(path: &Path) -> anyhow::Result<Connection> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            anyhow::anyhow!(
                "the connection file {} cannot be read\n\
                 why: {error}\n\
                 do:  start the kernel from Jupyter, which writes this file",
                path.display()
            )
        })?;
        let connection: Connection = serde_json::from_str(&text).map_err(|error| {
            anyhow::anyhow!(
                "{} is not a Jupyter connection file\n\
                 why: {error}\n\
                 do:  start the kernel from Jupyter, which writes this file",
                path.display()
            )
        })?;
        let scheme = &connection.info.signature_scheme;
        anyhow::ensure!(
            scheme == "hmac-sha256" || connection.info.key.is_empty(),
            "the connection file asks for the signature scheme {scheme}\n\
             why: this kernel signs with hmac-sha256 only\n\
             do:  set Session.signature_scheme = 'hmac-sha256' in the front end's configuration"
        );
        anyhow::ensure!(
            connection.curve_secretkey.is_none() || zmq::has("curve") == Some(true),
            "the connection file asks for CurveZMQ encryption\n\
             why: this build of forkline is linked with a libzmq that has no libsodium\n\
             do:  install libzmq3-dev and run install.sh again, or turn the encryption off"
        );
        Ok(connection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = r#"{"ip":"127.0.0.1","transport":"tcp","shell_port":1,"iopub_port":2,
        "stdin_port":3,"control_port":4,"hb_port":5,"key":"k","signature_scheme":"hmac-sha256"}"#;

    #[test]
    fn a_plain_file_has_no_encryption() {
        let connection: Connection = serde_json::from_str(PLAIN).unwrap();
        assert_eq!(connection.info.shell_url(), "tcp://127.0.0.1:1");
        assert!(connection.curve_secretkey.is_none());
    }

    #[test]
    fn curve_keys_and_unknown_fields_are_read() {
        let text = PLAIN.replacen('{', r#"{"curve_secretkey":"s","new_field":1,"#, 1);
        let connection: Connection = serde_json::from_str(&text).unwrap();
        assert_eq!(connection.curve_secretkey.as_deref(), Some("s"));
    }

    #[test]
    fn a_missing_file_says_what_to_do() {
        let error = Connection::read(Path::new("/nonexistent/file.json")).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("cannot be read") && text.contains("do:"),
            "{text}"
        );
    }
}
