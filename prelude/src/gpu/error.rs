//! What can go wrong: no device, no memory, a text that does not compile, shapes that do not fit.

use std::fmt;

use super::device::Device;

/// What calls of this module return.
pub type GpuResult<T> = Result<T, GpuError>;

/// Why a call failed. Its text says what happened, why, and what to do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum GpuError {
    /// There is no such device here.
    NoDevice {
        /// What was asked for.
        wanted: String,
        /// Why it is not here.
        why: String,
        /// What to do about it.
        cure: String,
    },
    /// The device has no room.
    OutOfMemory {
        /// The device.
        device: Device,
        /// How many bytes were asked for.
        bytes: usize,
        /// How many bytes arrays hold there now.
        held: usize,
        /// The driver's words.
        text: String,
    },
    /// A text does not compile.
    Compile {
        /// The device that it was compiled for.
        device: Device,
        /// What the text is for.
        name: String,
        /// The compiler's words.
        log: String,
        /// The text.
        source: String,
    },
    /// A kernel is missing, or does not take these arguments.
    Kernel {
        /// The kernel.
        name: String,
        /// What is wrong.
        what: String,
        /// Why.
        why: String,
        /// What to do about it.
        cure: String,
    },
    /// A group is larger than the device or the kernel allows.
    GroupTooLarge {
        /// The kernel.
        name: String,
        /// The size of the group in each dimension.
        group: [usize; 3],
        /// The most work items that a group of this kernel may have there.
        limit: usize,
        /// The driver's words.
        text: String,
    },
    /// Shapes do not fit.
    Shape {
        /// What was to be done with which shapes.
        what: String,
        /// The rule.
        why: String,
    },
    /// Arrays lie on different devices.
    Devices {
        /// What was to be done.
        what: String,
        /// The device of the first.
        first: Device,
        /// The device of another.
        other: Device,
    },
    /// An array without elements has no such thing.
    Empty {
        /// What was asked of it.
        what: String,
    },
    /// The driver failed.
    Driver {
        /// The device.
        device: Device,
        /// What was to be done.
        what: String,
        /// The driver's words.
        text: String,
    },
}

impl GpuError {
    pub(super) fn shape(what: impl Into<String>, why: impl Into<String>) -> GpuError {
        GpuError::Shape {
            what: what.into(),
            why: why.into(),
        }
    }
}

impl fmt::Display for GpuError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // In one piece: what a cell returns is written to stderr as it comes, and known as one text by that.
        f.write_str(&self.text())
    }
}

impl GpuError {
    fn text(&self) -> String {
        match self {
            GpuError::NoDevice { wanted, why, cure } => {
                format!("{wanted}: no such device\nwhy: {why}\ndo:  {cure}")
            }
            GpuError::OutOfMemory {
                device,
                bytes,
                held,
                text,
            } => format!(
                "{} for an array: no room on {device}\nwhy: {text}; arrays hold {} there\ndo:  drop arrays that are not \
                 needed, use a smaller type, or work in parts",
                size(*bytes),
                size(*held),
            ),
            GpuError::Compile {
                device,
                name,
                log,
                source,
            } => format!(
                "{name}: does not compile for {device}\nwhy: {}\n{}do:  correct the lines that the compiler names",
                log.trim(),
                named_lines(log, source),
            ),
            GpuError::Kernel {
                name,
                what,
                why,
                cure,
            } => format!("{name}: {what}\nwhy: {why}\ndo:  {cure}"),
            GpuError::GroupTooLarge {
                name,
                group,
                limit,
                text,
            } => format!(
                "{name}: groups of {} work items ({} x {} x {}) are too large\nwhy: {text}; this kernel may have {limit} \
                 in a group there\ndo:  give a smaller group, or none: then one is chosen",
                group.iter().product::<usize>(),
                group[0],
                group[1],
                group[2],
            ),
            GpuError::Shape { what, why } => format!(
                "{what}: the shapes do not fit\nwhy: {why}\ndo:  look at shape() of both; reshape, slice or broadcast_to"
            ),
            GpuError::Devices { what, first, other } => format!(
                "{what}: the arrays lie on {first} and on {other}\nwhy: a device reads its own memory only\ndo:  bring one \
                 over: to_device(device)"
            ),
            GpuError::Empty { what } => format!(
                "{what} of an array without elements\nwhy: there is none\ndo:  ask is_empty() first"
            ),
            GpuError::Driver { device, what, text } => format!(
                "{what}: failed on {device}\nwhy: {text}\ndo:  if it goes on, restart the kernel; FORKLINE_DEVICE=rayon \
                 runs the same cells on the processor"
            ),
        }
    }
}

impl std::error::Error for GpuError {}

/// The lines of a source that a compiler's log names, with their numbers.
fn named_lines(log: &str, source: &str) -> String {
    let mut numbers: Vec<usize> = log.lines().filter_map(named_line).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let lines: Vec<_> = source.lines().collect();
    numbers
        .into_iter()
        .filter_map(|number| Some((number, lines.get(number.checked_sub(1)?)?)))
        .take(8)
        .map(|(number, line)| format!("{number:>6} | {line}\n"))
        .collect()
}

/// The line that a message is about: `file:3:5: error: …` of clang, `error: file:3:5: …` of PoCL, `file(3): error: …` of
/// NVIDIA.
pub(super) fn named_line(message: &str) -> Option<usize> {
    if !message.contains("error") {
        return None;
    }
    let starts = message.match_indices([':', '(']).map(|(at, _)| at + 1);
    starts.into_iter().find_map(|start| {
        let rest = &message[start..];
        let end = rest.find(|char: char| !char.is_ascii_digit())?;
        let is_place = match rest[end..].strip_prefix(':') {
            Some(column) => column.starts_with(|char: char| char.is_ascii_digit()),
            None => rest[end..].starts_with(')'),
        };
        if is_place {
            rest[..end].parse().ok()
        } else {
            None
        }
    })
}

/// `1.5 GiB`.
pub(super) fn size(bytes: usize) -> String {
    let mut number = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if number < 1024.0 {
            return match unit {
                "B" => format!("{bytes} B"),
                _ => format!("{number:.1} {unit}"),
            };
        }
        number /= 1024.0;
    }
    format!("{number:.1} TiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compilers_message_names_its_line() {
        assert_eq!(named_line("/tmp/x_1/a.cl:12:5: error: unknown"), Some(12));
        assert_eq!(named_line("error: /tmp/a_7.cl:3:1: x"), Some(3));
        assert_eq!(named_line("module.cu(7): error: identifier"), Some(7));
        assert_eq!(named_line("1 warning generated"), None);
        assert_eq!(
            named_lines("a.cl:2:1: error: x", "one\ntwo\n"),
            "     2 | two\n"
        );
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(size(100), "100 B");
        assert_eq!(size(3 << 29), "1.5 GiB");
    }
}
