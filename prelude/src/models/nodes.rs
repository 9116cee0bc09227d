//! Near and far memory: the pointer chase from the processors of one node into the memory of another.
//!
//! Linux gives a page of memory to the node whose processor touches it first, if that node has room. So a thread
//! placed on a processor of one node builds the chain, and a thread on a processor of another walks it.

use std::io;
use std::thread;

use super::{Chased, ModelError, PointerChase};
use crate::device;

const CALL: &str = "models::access_times";

/// What one access costs from one node's processors into one node's memory.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct NodeAccess {
    /// The node whose processor walked.
    pub cpu_node: usize,
    /// The node whose processor touched the memory first.
    pub memory_node: usize,
    /// What one access took, in nanoseconds.
    pub ns_per_access: f64,
}

/// Measures each pair of nodes that have processors which this process may use. On a machine with one node there is
/// one result, for the node itself.
///
/// Take a set well beyond the largest cache; memory may lie elsewhere if a node has no room for it.
///
/// ```
/// let times = forkline::models::access_times(1 << 20, 20_000)?;
/// assert!(times.iter().any(|access| access.cpu_node == access.memory_node));
/// # Ok::<(), forkline::models::ModelError>(())
/// ```
///
/// # Errors
/// As for [`PointerChase::new`]; a thread that cannot be placed.
pub fn access_times(bytes: usize, accesses: u64) -> Result<Vec<NodeAccess>, ModelError> {
    let usable = usable_cpus()?;
    let nodes: Vec<(usize, usize)> = device::topology()
        .nodes()
        .iter()
        .filter_map(|node| {
            let cpu = node.cpus.iter().find(|&cpu| usable.contains(cpu))?;
            Some((node.id, *cpu))
        })
        .collect();
    let mut times = Vec::new();
    for &(memory_node, memory_cpu) in &nodes {
        let chain = on_cpu(memory_cpu, || PointerChase::for_call(CALL, bytes))??;
        for &(cpu_node, cpu) in &nodes {
            let rounds = accesses.max(1).div_ceil(chain.n_nodes() as u64);
            let walked: Chased = on_cpu(cpu, || {
                chain.walk(1);
                chain.walk(rounds)
            })?;
            times.push(NodeAccess {
                cpu_node,
                memory_node,
                ns_per_access: walked.ns_per_access(),
            });
        }
    }
    Ok(times)
}

/// Runs `work` on a thread that is bound to one processor.
fn on_cpu<R: Send>(cpu: usize, work: impl FnOnce() -> R + Send) -> Result<R, ModelError> {
    thread::scope(|scope| {
        let bound = scope.spawn(move || {
            bind(cpu)?;
            Ok(work())
        });
        // A panic in there, such as that of an interrupt, goes on here.
        bound
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn bind(cpu: usize) -> Result<(), ModelError> {
    let mut set = empty_set();
    if cpu >= 8 * size_of_val(&set) {
        return Err(cannot_place(format!(
            "processor {cpu} is beyond its fixed set"
        )));
    }
    // SAFETY: `cpu` is within the set, as was just checked.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: the pointer leads to a whole set; 0 is the calling thread, which belongs to this module.
    let failed = unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) } != 0;
    if failed {
        return Err(cannot_place(io::Error::last_os_error().to_string()));
    }
    Ok(())
}

/// The processors that the calling thread may run on.
fn usable_cpus() -> Result<Vec<usize>, ModelError> {
    let mut set = empty_set();
    // SAFETY: the pointer leads to a whole set that may be written.
    let failed = unsafe { libc::sched_getaffinity(0, size_of_val(&set), &raw mut set) } != 0;
    if failed {
        return Err(cannot_place(io::Error::last_os_error().to_string()));
    }
    let all = 0..8 * size_of_val(&set);
    // SAFETY: all numbers of the range are within the set.
    Ok(all
        .filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) })
        .collect())
}

fn empty_set() -> libc::cpu_set_t {
    // SAFETY: a set is plain bits, and all of them 0 is the empty set.
    unsafe { std::mem::zeroed() }
}

fn cannot_place(reason: String) -> ModelError {
    ModelError::CannotPlace { call: CALL, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_nodes_is_measured() {
        let times = access_times(1 << 20, 20_000).unwrap();
        let n = times
            .iter()
            .filter(|access| access.cpu_node == access.memory_node)
            .count();
        assert!(n >= 1);
        assert_eq!(times.len(), n * n);
        assert!(times.iter().all(|access| access.ns_per_access > 0.0));
    }

    #[test]
    fn a_thread_is_bound_and_the_callers_is_not() {
        let before = usable_cpus().unwrap();
        let cpu = before[0];
        let inside = on_cpu(cpu, || usable_cpus().unwrap()).unwrap();
        assert_eq!(inside, [cpu]);
        assert_eq!(usable_cpus().unwrap(), before);
    }

    #[test]
    fn a_processor_that_is_not_there_is_an_error() {
        for cpu in [1_023, 1 << 20] {
            let error = on_cpu(cpu, || ()).unwrap_err().to_string();
            assert!(
                error.starts_with("models::access_times: a thread could not"),
                "{error}"
            );
        }
    }
}
