//! What an array looks like in a notebook: shape, type, device, and the head of its values.

use super::array::Array;
use super::element::Element;
use super::error::GpuResult;
use crate::display::{Bundle, Show};

/// Elements of an axis that are shown from its begin, and from its end.
const EDGE: usize = 4;

impl<T: Element> Array<T> {
    /// The values as text, long axes shortened; brings only what is shown.
    fn head(&self) -> GpuResult<String> {
        if self.is_empty() {
            return Ok("[]".to_owned());
        }
        if self.n_axes() == 0 {
            return Ok(text(self.item()?));
        }
        let length = self.shape()[0];
        let is_long = length > 2 * EDGE + 1;
        let shown: Vec<usize> = if is_long {
            (0..EDGE).chain(length - EDGE..length).collect()
        } else {
            (0..length).collect()
        };
        let is_row = self.n_axes() == 1;
        let mut parts = Vec::with_capacity(shown.len() + 1);
        if is_row {
            // Two reads at most.
            let ends = if is_long {
                let mut ends = self.slice(..EDGE)?.to_vec()?;
                ends.extend(self.slice(length - EDGE..)?.to_vec()?);
                ends
            } else {
                self.to_vec()?
            };
            parts.extend(ends.into_iter().map(text));
        } else {
            for index in shown {
                parts.push(self.at(0, index)?.head()?);
            }
        }
        if is_long {
            parts.insert(EDGE, "…".to_owned());
        }
        let between = if is_row { ", " } else { ",\n" };
        Ok(format!("[{}]", parts.join(between).replace('\n', "\n ")))
    }
}

fn text<T: Element>(value: T) -> String {
    format!("{value:?}")
}

impl<T: Element> Show for Array<T> {
    fn show(&self) -> Bundle {
        T::show(self)
    }
}

impl<T: Element> Array<T> {
    pub(super) fn show_here(&self) -> Bundle {
        let values = self
            .head()
            .unwrap_or_else(|error| format!("the values cannot be had: {error}"));
        let shape: Vec<_> = self.shape().iter().map(ToString::to_string).collect();
        let shape = if shape.is_empty() {
            "one value".to_owned()
        } else {
            shape.join(" x ")
        };
        Bundle::new().text(format!(
            "{values}\n{} {shape} on {}",
            T::TYPE,
            self.device()
        ))
    }
}
