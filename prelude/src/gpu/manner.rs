//! How a device wants its work: by rayon, in a few long pieces, or by thousands of work items side by side.
//!
//! What always holds: an algorithm has one text for each manner, and the manner follows from the device alone. Tests force
//! the wide texts on a processor, so that they are seen to be right where there is no card.

use std::sync::Arc;

use super::device::{Device, Dialect};
use super::error::GpuResult;
use super::program::{Grid, Module};
use super::text;

/// How the work is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Manner {
    /// Plain Rust, its parts on the cores.
    Rayon,
    /// A few work items for each compute unit, each with a contiguous piece; no groups, no barriers.
    Narrow,
    /// Groups of work items that read neighbouring elements and share local memory.
    Wide,
}

/// The size of groups where the text of a kernel needs to know it; a power of two.
const GROUP: usize = 256;
/// Pieces for each compute unit of a narrow device: more than one, so that a unit that was late costs less.
const PIECES_OF_A_UNIT: usize = 4;
/// Groups for each compute unit of a wide device, in kernels whose items run through their elements in a loop.
const GROUPS_OF_A_UNIT: usize = 8;

impl Manner {
    pub(super) fn of(device: Device) -> Manner {
        if device.dialect().is_none() {
            Manner::Rayon
        } else if device.is_wide() {
            Manner::Wide
        } else {
            Manner::Narrow
        }
    }
}

impl Device {
    /// Work items of a group, where the text needs to know: a power of two.
    pub(super) fn group(&self) -> usize {
        let most = self.max_group_size().min(GROUP);
        1 << most.ilog2()
    }

    /// The module of a text, which the words of the dialect are put before.
    ///
    /// # Errors
    /// It does not compile, there is no compiler, or this is the rayon device.
    pub(super) fn program(&self, name: &str, text: &str) -> GpuResult<Arc<Module>> {
        let dialect = self.dialect().unwrap_or(Dialect::OpenCl);
        #[cfg(test)]
        shipped(name, text);
        let source = words(dialect, self.has_f64()) + text;
        self.module(name, &source, "")
    }

    /// How many pieces a narrow device's work is cut into, of `n` units that cannot be cut.
    pub(super) fn n_pieces(&self, n: usize) -> usize {
        n.min(self.compute_units() * PIECES_OF_A_UNIT).max(1)
    }

    /// How many groups a wide device runs at a time, at most `n`.
    pub(super) fn n_groups(&self, n: usize) -> usize {
        n.min(self.compute_units() * GROUPS_OF_A_UNIT).max(1)
    }
}

impl Grid {
    /// `n` groups of one item.
    pub(super) fn pieces(n: usize) -> Grid {
        Grid::groups(n, 1)
    }

    /// `n` groups of `size` items.
    pub(super) fn groups(n: usize, size: usize) -> Grid {
        Grid {
            groups: [n.max(1), 1, 1],
            group_size: [size, 1, 1],
        }
    }
}

/// What a text may say beside the words of [`text::preamble`]: `ATOMIC_ADD(place, n)` of a `u32` in local or global memory,
/// and `MUL_HI_U64(a, b)`, the upper half of a product.
fn words(dialect: Dialect, has_f64: bool) -> String {
    let more = match dialect {
        Dialect::OpenCl => {
            "#define ATOMIC_ADD(place, n) atomic_add(place, n)\n#define MUL_HI_U64(a, b) mul_hi(a, b)\n"
        }
        Dialect::Cuda => {
            "#define ATOMIC_ADD(place, n) atomicAdd(place, n)\n#define MUL_HI_U64(a, b) __umul64hi(a, b)\n"
        }
    };
    text::preamble(dialect, has_f64) + more
}

/// Writes a text for cards in both dialects to the folder that `FORKLINE_GPU_TEXTS` names, so that compilers for cards that
/// are not here can be asked about it.
#[cfg(test)]
fn shipped(name: &str, text: &str) {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let is_wide = super::device::FORCED_WIDE.get();
    let Some(folder) = std::env::var_os("FORKLINE_GPU_TEXTS").filter(|_| is_wide) else {
        return;
    };
    let folder = std::path::PathBuf::from(folder);
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let file = format!("{name}-{:016x}", hasher.finish());
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    for (dialect, ending) in [(Dialect::Cuda, "cu"), (Dialect::OpenCl, "cl")] {
        let path = folder.join(&file).with_extension(ending);
        std::fs::write(path, words(dialect, true) + text).expect("the text can be written");
    }
}
