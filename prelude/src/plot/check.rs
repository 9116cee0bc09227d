//! What each value has to pass before anything is drawn.

use super::{Axis, PlotError};

/// Whose values are checked.
pub(super) struct Of<'a> {
    pub(super) title: &'a str,
    pub(super) series: &'a str,
}

/// There are samples, and all of them can be drawn on the axis.
pub(super) fn samples(
    title: &str,
    samples: &[(String, Vec<f64>)],
    axis: &Axis,
) -> Result<(), PlotError> {
    if samples.is_empty() {
        return Err(PlotError::NoData {
            title: title.to_owned(),
        });
    }
    samples.iter().try_for_each(|(series, values)| {
        let of = Of { title, series };
        of.has_points(values.len())?;
        of.values(values, axis)
    })
}

impl Of<'_> {
    pub(super) fn has_points(&self, n: usize) -> Result<(), PlotError> {
        if n > 0 {
            return Ok(());
        }
        Err(PlotError::EmptySeries {
            title: self.title.to_owned(),
            series: self.series.to_owned(),
        })
    }

    /// The value is finite, and above 0 if the axis is logarithmic.
    pub(super) fn value(&self, index: usize, value: f64, axis: &Axis) -> Result<(), PlotError> {
        let (title, series) = (self.title, self.series);
        if !value.is_finite() {
            return Err(PlotError::NotFinite {
                title: title.to_owned(),
                series: series.to_owned(),
                index,
                value,
            });
        }
        if axis.is_log() && value <= 0.0 {
            return Err(PlotError::NotPositive {
                title: title.to_owned(),
                series: series.to_owned(),
                index,
                value,
                axis: axis.name().to_owned(),
            });
        }
        Ok(())
    }

    pub(super) fn values(&self, values: &[f64], axis: &Axis) -> Result<(), PlotError> {
        values
            .iter()
            .enumerate()
            .try_for_each(|(index, value)| self.value(index, *value, axis))
    }
}
