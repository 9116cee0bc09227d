//! What went wrong in kernels on devices: they note the first fault of a stream in a few bytes there, and the host looks at them
//! where it waits for the stream anyway.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::translation::Translation;
use crate::gpu::error::{GpuError, GpuResult};
use crate::gpu::memory::Buffer;
use crate::gpu::stream::Stream;

/// How many words a fault has: site and one, the kernel's number, index and length in two each.
const WORDS: usize = 6;

/// The note of a stream.
struct Note {
    stream: Stream,
    buffer: Arc<Buffer>,
    /// Whether a kernel was launched since somebody looked.
    is_open: bool,
}

/// The notes of all streams that a kernel was launched in.
static NOTES: Mutex<Vec<Note>> = Mutex::new(Vec::new());

/// The kernels by the numbers that they note faults under.
fn kernels() -> &'static Mutex<HashMap<u32, Arc<Translation>>> {
    static KERNELS: OnceLock<Mutex<HashMap<u32, Arc<Translation>>>> = OnceLock::new();
    KERNELS.get_or_init(Mutex::default)
}

pub(super) fn register(translation: &Arc<Translation>) {
    let mut kernels = kernels().lock().unwrap_or_else(PoisonError::into_inner);
    kernels.insert(translation.id, Arc::clone(translation));
}

/// Where a kernel that is launched in this stream notes a fault.
///
/// # Errors
/// No room; the driver's.
pub(super) fn note(stream: &Stream) -> GpuResult<Arc<Buffer>> {
    let mut notes = NOTES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(note) = notes.iter_mut().find(|note| note.stream == *stream) {
        note.is_open = true;
        return Ok(Arc::clone(&note.buffer));
    }
    let mut buffer = Buffer::new(stream.device(), WORDS * 4)?;
    stream.scope(|| buffer.fill(0_u32))?;
    let buffer = Arc::new(buffer);
    notes.push(Note {
        stream: stream.clone(),
        buffer: Arc::clone(&buffer),
        is_open: true,
    });
    Ok(buffer)
}

/// Looks for a fault in what was ordered in this stream. Waits for it, if a kernel was launched since the last time.
///
/// # Errors
/// There is one.
pub(in crate::gpu) fn check(stream: &Stream) -> GpuResult<()> {
    let buffer = {
        let mut notes = NOTES.lock().unwrap_or_else(PoisonError::into_inner);
        let note = notes
            .iter_mut()
            .find(|note| note.stream == *stream && note.is_open);
        let Some(note) = note else {
            return Ok(());
        };
        note.is_open = false;
        Arc::clone(&note.buffer)
    };
    let words = stream.scope(|| buffer.read::<u32>(0, WORDS))?;
    if words[0] == 0 {
        return Ok(());
    }
    drop(buffer);
    // A new one for the next launch: this one says what went wrong first.
    NOTES
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .retain(|note| note.stream != *stream);
    let kernels = kernels().lock().unwrap_or_else(PoisonError::into_inner);
    let Some(kernel) = kernels.get(&words[1]) else {
        return Ok(());
    };
    let wide = |low: usize| u64::from(words[low + 1]) << 32 | u64::from(words[low]);
    Err(error(kernel, words[0] as usize - 1, wide(2), wide(4)))
}

fn error(kernel: &Translation, site: usize, index: u64, length: u64) -> GpuError {
    let Some(site) = kernel.sites.get(site) else {
        return GpuError::Kernel {
            name: format!("kernel {}", kernel.of.name),
            what: "a work item failed".to_owned(),
            why: "where is not known".to_owned(),
            cure: "run it on gpu::device(\"rayon\"), which checks as Rust does".to_owned(),
        };
    };
    let place = kernel.place(site);
    match site.kind.as_str() {
        "index" => out_of_range(kernel.of.name, &place, &site.name, index, length),
        kind => {
            let (what, why, cure) = match kind {
                "division" => (
                    "a division by 0",
                    "an integer was divided by 0",
                    "look at the divisor before: if n != 0 { … }",
                ),
                "overflow" => (
                    "a division overflows",
                    "the least integer was divided by -1",
                    "use wrapping arithmetic, or a wider type",
                ),
                _ => (
                    "a step of 0",
                    "step_by(0) leads nowhere",
                    "give a step above 0",
                ),
            };
            GpuError::Kernel {
                name: format!("kernel {}", kernel.of.name),
                what: format!("{what} ({place})"),
                why: why.to_owned(),
                cure: cure.to_owned(),
            }
        }
    }
}

/// The error of an index out of range.
pub(super) fn out_of_range(
    kernel: &str,
    place: &str,
    name: &str,
    index: u64,
    length: u64,
) -> GpuError {
    GpuError::Kernel {
        name: format!("kernel {kernel}"),
        what: format!("index {index} is out of range ({place})"),
        why: format!(
            "`{name}` has {length} elements; this is the first access beyond that was seen, there may be more"
        ),
        cure: format!(
            "look at the index before: if i < {name}.len() {{ … }}, or launch fewer work items"
        ),
    }
}
