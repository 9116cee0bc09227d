//! Labels below places of equal width: beside each other, in lines, standing, or some left out.

use super::frame::LABEL;
use super::text::{elide, width, wrap};

/// The lines of each label below an axis; `None` where there is no room for one.
pub(super) struct SlotLabels {
    pub(super) lines: Vec<Option<Vec<String>>>,
    /// They run upwards, as there is no room for them to lie.
    pub(super) is_upward: bool,
}

impl SlotLabels {
    pub(super) fn height(&self) -> f64 {
        let all = self.lines.iter().flatten();
        if self.is_upward {
            return 10.0
                + all
                    .flatten()
                    .map(|line| width(line, LABEL))
                    .fold(0.0, f64::max);
        }
        6.0 + 14.0 * all.map(Vec::len).max().unwrap_or(0) as f64
    }
}

/// Whether labels fit below slots of this width: in up to three lines, or, short as numbers are, with some left out.
pub(super) fn labels_fit(labels: &[String], slot: f64) -> bool {
    let is_short = labels.iter().all(|label| width(label, LABEL) <= SHORT);
    (is_short && slot >= 4.0)
        || labels
            .iter()
            .all(|label| wrap(label, LABEL, slot - 6.0, 3).is_some())
}

/// Labels up to this width lie where there is no room for all, and some are left out.
const SHORT: f64 = 40.0;

/// Every how manieth label is drawn where each needs `need` pixels and has `slot`: 1, 2, 5, 10, 20, ...
pub(super) fn every(need: f64, slot: f64) -> usize {
    let least = (need / slot).ceil().max(1.0) as usize;
    let mut decade = 1;
    loop {
        for digit in [1, 2, 5] {
            if digit * decade >= least {
                return digit * decade;
            }
        }
        decade *= 10;
    }
}

pub(super) fn slot_labels(labels: &[String], slot: f64) -> SlotLabels {
    let wrapped: Option<Vec<_>> = labels
        .iter()
        .map(|label| wrap(label, LABEL, slot - 6.0, 3))
        .collect();
    if let Some(lines) = wrapped {
        let lines = lines.into_iter().map(Some).collect();
        return SlotLabels {
            lines,
            is_upward: false,
        };
    }
    let widest = labels
        .iter()
        .map(|label| width(label, LABEL))
        .fold(0.0, f64::max);
    // Short ones, such as numbers, lie and leave some out; long ones stand.
    let (is_upward, need) = if widest <= SHORT {
        (false, widest + 8.0)
    } else {
        (true, 14.0)
    };
    let every = every(need, slot);
    let lines = labels
        .iter()
        .enumerate()
        .map(|(at, label)| {
            (at % every == 0)
                .then(|| vec![elide(label, LABEL, if is_upward { 110.0 } else { 60.0 })])
        })
        .collect();
    SlotLabels { lines, is_upward }
}
