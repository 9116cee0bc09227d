//! Assignments made beforehand: for each task the number of its worker.

use super::super::ModelError;

/// Neighbouring tasks to one worker: the first block to worker 0, the next to worker 1. The first blocks have one
/// task more where it does not come out even.
///
/// ```
/// use forkline::models::schedule::block;
/// assert_eq!(block(5, 2)?, [0, 0, 0, 1, 1]);
/// # Ok::<(), forkline::models::ModelError>(())
/// ```
///
/// # Errors
/// No worker.
pub fn block(tasks: usize, workers: usize) -> Result<Vec<usize>, ModelError> {
    some(workers, "schedule::block")?;
    let (each, more) = (tasks / workers, tasks % workers);
    let of = |worker| std::iter::repeat_n(worker, each + usize::from(worker < more));
    Ok((0..workers).flat_map(of).collect())
}

/// One task to each worker in turn, as cards are dealt.
///
/// ```
/// use forkline::models::schedule::cyclic;
/// assert_eq!(cyclic(5, 2)?, [0, 1, 0, 1, 0]);
/// # Ok::<(), forkline::models::ModelError>(())
/// ```
///
/// # Errors
/// No worker.
pub fn cyclic(tasks: usize, workers: usize) -> Result<Vec<usize>, ModelError> {
    some(workers, "schedule::cyclic")?;
    Ok((0..tasks).map(|task| task % workers).collect())
}

/// The most costly task first, each to the worker that has the least to do so far: never more than 4/3 of the best
/// possible (Graham, "Bounds on multiprocessing timing anomalies", 1969).
///
/// ```
/// use forkline::models::schedule::by_cost;
/// assert_eq!(by_cost(&[1.0, 1.0, 1.0, 3.0], 2)?, [1, 1, 1, 0]);
/// # Ok::<(), forkline::models::ModelError>(())
/// ```
///
/// # Errors
/// No worker; a cost that is no finite number above 0.
pub fn by_cost(costs: &[f64], workers: usize) -> Result<Vec<usize>, ModelError> {
    some(workers, "schedule::by_cost")?;
    assign(costs, &vec![1.0; workers], "schedule::by_cost")
}

/// As [`by_cost`], for workers that differ: each task goes where it would be done first. A worker of speed 2 does a
/// task of cost 1 in half a unit of time.
///
/// ```
/// use forkline::models::schedule::by_speed;
/// assert_eq!(by_speed(&[1.0, 1.0, 1.0], &[2.0, 1.0])?, [0, 0, 1]);
/// # Ok::<(), forkline::models::ModelError>(())
/// ```
///
/// # Errors
/// No worker; a cost or a speed that is no finite number above 0.
pub fn by_speed(costs: &[f64], speeds: &[f64]) -> Result<Vec<usize>, ModelError> {
    some(speeds.len(), "schedule::by_speed")?;
    positive(speeds, "schedule::by_speed")?;
    assign(costs, speeds, "schedule::by_speed")
}

fn assign(costs: &[f64], speeds: &[f64], call: &'static str) -> Result<Vec<usize>, ModelError> {
    positive(costs, call)?;
    let mut order: Vec<usize> = (0..costs.len()).collect();
    // A stable sort: equal costs keep their order, and the result is the same each time.
    order.sort_by(|a, b| costs[*b].total_cmp(&costs[*a]));
    let mut cost_of = vec![0.0; speeds.len()];
    let mut assigned = vec![0; costs.len()];
    for task in order {
        let end = |worker: &usize| (cost_of[*worker] + costs[task]) / speeds[*worker];
        let first = (0..speeds.len()).min_by(|a, b| end(a).total_cmp(&end(b)));
        let first = first.unwrap_or_default();
        cost_of[first] += costs[task];
        assigned[task] = first;
    }
    Ok(assigned)
}

pub(super) fn some(workers: usize, call: &'static str) -> Result<(), ModelError> {
    match workers {
        0 => Err(ModelError::ZeroWorkers { call }),
        _ => Ok(()),
    }
}

fn positive(numbers: &[f64], call: &'static str) -> Result<(), ModelError> {
    match numbers.iter().position(|n| !(n.is_finite() && *n > 0.0)) {
        None => Ok(()),
        Some(at) => Err(ModelError::NotPositive {
            call,
            at,
            value: numbers[at].to_string(),
        }),
    }
}
