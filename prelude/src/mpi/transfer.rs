//! Values between the notebook's own process and the ranks: what the code that `%mpi pull`, `push` and `scatter` write
//! calls. Values leave as frames to the kernel, which lays them into a file; whoever is to have them reads it.
//!
//! A file is a row of values, each with its length in bytes (u64, little endian) before it.

use std::path::Path;

use crate::processes::message::{self, Message, MessageError, Packet};
use crate::rt;

/// Gives a value to the kernel.
///
/// # Errors
/// serde cannot write it, or it holds a handle of this process.
pub fn hand_over<T: Message>(value: &T) -> Result<(), MessageError> {
    let mut bytes = Vec::new();
    message::encode_into(value, false, &mut bytes)?;
    rt::send_bytes(rt::VALUE, &bytes);
    Ok(())
}

/// Gives each item of a list to the kernel.
///
/// # Errors
/// As for [`hand_over`].
pub fn hand_over_each<T: Message>(items: &[T]) -> Result<(), MessageError> {
    items.iter().try_for_each(hand_over)
}

/// The values of a file.
///
/// # Errors
/// It cannot be read, or they are of another type.
pub fn handed_over<T: Message>(file: &str) -> Result<Vec<T>, MessageError> {
    let bytes = std::fs::read(Path::new(file)).map_err(MessageError::Io)?;
    let mut rest = bytes.as_slice();
    let mut values = Vec::new();
    while !rest.is_empty() {
        let (bytes, after) = first(rest).ok_or_else(cut)?;
        let descriptors = Vec::new();
        let bytes = bytes.to_vec();
        values.push(message::decode(Packet { bytes, descriptors })?);
        rest = after;
    }
    Ok(values)
}

/// The value of a file at a place.
///
/// # Errors
/// As for [`handed_over`]; there are fewer values.
pub fn handed_over_at<T: Message>(file: &str, place: usize) -> Result<T, MessageError> {
    let mut values = handed_over(file)?;
    if place >= values.len() {
        return Err(cut());
    }
    Ok(values.swap_remove(place))
}

fn first(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)
}

fn cut() -> MessageError {
    MessageError::Decode("the file of values is cut short".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_they_were_laid_down() {
        let file = std::env::temp_dir().join(format!("forkline-values-{}", std::process::id()));
        let mut bytes = Vec::new();
        for value in ["one", "two"] {
            let mut packet = Vec::new();
            message::encode_into(&value.to_owned(), false, &mut packet).unwrap();
            bytes.extend_from_slice(&(packet.len() as u64).to_le_bytes());
            bytes.extend_from_slice(&packet);
        }
        std::fs::write(&file, &bytes).unwrap();
        let name = file.to_str().unwrap();
        assert_eq!(handed_over::<String>(name).unwrap(), ["one", "two"]);
        assert_eq!(handed_over_at::<String>(name, 1).unwrap(), "two");
        assert!(handed_over_at::<String>(name, 2).is_err());
        std::fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
        assert!(handed_over::<String>(name).is_err());
        std::fs::remove_file(&file).unwrap();
        assert!(matches!(
            handed_over::<String>(name),
            Err(MessageError::Io(_))
        ));
    }
}
