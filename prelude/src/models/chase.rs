//! What one access to memory costs: a walk along pointers in random order.
//!
//! Each node lies in a cache line of its own and holds the number of the next. The order is one random cycle
//! through all of them (Sattolo, "An algorithm to generate a random cyclic permutation", 1986), so no unit of the
//! processor can guess the next line, and none can be asked for before the one before has arrived: what is
//! measured is latency, not throughput. In sets far beyond the caches it includes the walk through the tables
//! of virtual memory.

use std::time::{Duration, Instant};

use super::ModelError;
use crate::bench::Random;
use crate::{device, interrupt};

/// How long it is between two looks for an interrupt, in accesses.
const STRIDE: usize = 1 << 16;

/// A place in the chain, alone in its cache line.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Node {
    next: u32,
}

/// A chain through memory that can be walked again and again.
///
/// ```
/// use forkline::models::PointerChase;
///
/// let chain = PointerChase::new(16 << 10)?;
/// let first = chain.walk(3);
/// assert_eq!(first.node_sum, 3 * chain.cycle_sum()); // every node three times
/// assert!(first.ns_per_access() > 0.0);
/// # Ok::<(), forkline::models::ModelError>(())
/// ```
pub struct PointerChase {
    nodes: Vec<Node>,
}

/// What a walk found. Shown as one line.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Chased {
    /// The size of the set, in bytes.
    pub bytes: usize,
    /// How many accesses there were.
    pub n_accesses: u64,
    /// How long they took together.
    pub elapsed: Duration,
    /// The sum of the numbers of all nodes that were visited.
    pub node_sum: u64,
}

impl PointerChase {
    /// The size of a node, which is that of a cache line, in bytes.
    pub const NODE_BYTES: usize = size_of::<Node>();

    /// Builds the chain over `bytes` bytes, rounded down to whole nodes of 64. The order is always the same for
    /// one size.
    ///
    /// # Errors
    /// Less than two nodes; more than the memory that is available, or more than 2³² nodes.
    pub fn new(bytes: usize) -> Result<Self, ModelError> {
        Self::for_call("PointerChase::new", bytes)
    }

    pub(super) fn for_call(call: &'static str, bytes: usize) -> Result<Self, ModelError> {
        let n = bytes / Self::NODE_BYTES;
        if n < 2 {
            return Err(ModelError::SetTooSmall { call, bytes });
        }
        let available = available();
        if bytes as u64 > available || u32::try_from(n - 1).is_err() {
            return Err(ModelError::SetTooLarge {
                call,
                bytes,
                available,
            });
        }
        let mut nodes: Vec<Node> = (0..n as u32).map(|next| Node { next }).collect();
        let mut random = Random::new(bytes as u64);
        for last in (1..n).rev() {
            if last % STRIDE == 0 {
                interrupt::check();
            }
            let other = random.below(last);
            let next = nodes[last].next;
            nodes[last].next = nodes[other].next;
            nodes[other].next = next;
        }
        Ok(Self { nodes })
    }

    /// How many nodes the chain has.
    pub fn n_nodes(&self) -> usize {
        self.nodes.len()
    }

    /// The sum of all node numbers: what one round adds up to, whatever the order.
    pub fn cycle_sum(&self) -> u64 {
        let n = self.n_nodes() as u64;
        n * (n - 1) / 2
    }

    /// Walks `rounds` times through the whole chain. An interrupt of the cell ends it.
    pub fn walk(&self, rounds: u64) -> Chased {
        let nodes = self.nodes.as_slice();
        let (mut at, mut node_sum) = (0, 0);
        let n_accesses = rounds * nodes.len() as u64;
        let start = Instant::now();
        let mut left = n_accesses;
        while left > 0 {
            let portion = left.min(STRIDE as u64);
            for _ in 0..portion {
                at = nodes[at as usize].next;
                node_sum += u64::from(at);
            }
            left -= portion;
            interrupt::check();
        }
        let elapsed = start.elapsed();
        Chased {
            bytes: nodes.len() * Self::NODE_BYTES,
            n_accesses,
            elapsed,
            node_sum: std::hint::black_box(node_sum),
        }
    }
}

impl Chased {
    /// What one access took, in nanoseconds; NaN if there was none.
    pub fn ns_per_access(&self) -> f64 {
        self.elapsed.as_nanos() as f64 / self.n_accesses as f64
    }
}

/// Builds a chain over `bytes` bytes, walks through it once to fill the caches, and then in whole rounds, `accesses`
/// times or a few more. To walk the same chain several times make a [`PointerChase`].
///
/// ```
/// let near = forkline::models::pointer_chase(8 << 10, 100_000)?;
/// assert!(near.n_accesses >= 100_000);
/// # Ok::<(), forkline::models::ModelError>(())
/// ```
///
/// # Errors
/// As for [`PointerChase::new`].
pub fn pointer_chase(bytes: usize, accesses: u64) -> Result<Chased, ModelError> {
    let chain = PointerChase::for_call("models::pointer_chase", bytes)?;
    chain.walk(1);
    Ok(chain.walk(accesses.max(1).div_ceil(chain.n_nodes() as u64)))
}

/// The memory that can be had, in bytes; all of it where the system does not say.
fn available() -> u64 {
    let info = device::info();
    let limit = info.memory_limit.unwrap_or(u64::MAX);
    info.memory_available.unwrap_or(u64::MAX).min(limit)
}

impl std::fmt::Debug for PointerChase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PointerChase of {} nodes", self.n_nodes())
    }
}

impl std::fmt::Debug for Chased {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:.2} ns per access, {} accesses in {} bytes",
            self.ns_per_access(),
            self.n_accesses,
            self.bytes
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_one_cycle_through_all_nodes() {
        for n in [2, 3, 64, 1_000] {
            let chain = PointerChase::new(n * PointerChase::NODE_BYTES + 63).unwrap();
            assert_eq!(chain.n_nodes(), n);
            let mut at = 0;
            let mut seen = vec![false; n];
            for _ in 0..n {
                at = chain.nodes[at].next as usize;
                assert!(!std::mem::replace(&mut seen[at], true), "{at} twice");
            }
            assert_eq!(at, 0);
        }
    }

    #[test]
    fn the_order_is_random_and_the_same_each_time() {
        let next = |chain: PointerChase| chain.nodes.iter().map(|n| n.next).collect::<Vec<_>>();
        let order = next(PointerChase::new(64 << 10).unwrap());
        assert_eq!(order, next(PointerChase::new(64 << 10).unwrap()));
        let neighbours = order
            .iter()
            .zip(1_u32..)
            .filter(|(next, own)| **next == *own)
            .count();
        assert!(neighbours < 20, "{neighbours} of 1024 lead to the next");
    }

    #[test]
    fn every_round_adds_up_to_the_same() {
        let chain = PointerChase::new(16 << 10).unwrap();
        let walked = chain.walk(3);
        assert_eq!(walked.node_sum, 3 * chain.cycle_sum());
        assert_eq!(walked.n_accesses, 3 * 256);
        assert_eq!(walked.bytes, 16 << 10);
        let chased = pointer_chase(8 << 10, 1_000).unwrap();
        assert_eq!(chased.n_accesses, 8 * 128);
        assert_eq!(chased.node_sum, 8 * (127 * 128 / 2));
        assert!(chased.ns_per_access() > 0.0);
    }

    #[test]
    fn sets_that_make_no_sense_are_refused() {
        let small = pointer_chase(127, 1).unwrap_err().to_string();
        assert!(
            small.starts_with("models::pointer_chase: 127 bytes hold no chain\nwhy: "),
            "{small}"
        );
        let large = PointerChase::new(usize::MAX).unwrap_err().to_string();
        assert!(large.contains("more than there are"), "{large}");
    }
}
