//! Kernels that do one thing for each of many places.

use super::device::Device;
use super::element::Scalar;
use super::error::GpuResult;
use super::manner::Manner;
use super::order::{Order, OrderKind};
use super::program::{Given, Grid};
use super::values::Source;

/// Groups for each compute unit of a wide device, at most.
const GROUPS_OF_A_UNIT: usize = 64;

/// `EACH(i, n)`: the head of a loop through the places of this work item.
pub(super) fn head(manner: Manner) -> &'static str {
    match manner {
        Manner::Wide => {
            "#define EACH(i, n) for (u64 i = GLOBAL_ID(0); i < (n); i += GLOBAL_SIZE(0))\n"
        }
        _ => {
            "#define EACH(i, n) for (u64 i = (n) * GLOBAL_ID(0) / GLOBAL_SIZE(0), \
             end_of_##i = (n) * (GLOBAL_ID(0) + 1) / GLOBAL_SIZE(0); i < end_of_##i; i++)\n"
        }
    }
}

impl Device {
    /// The launch of a kernel that goes through `n` places with `EACH`; a narrow device's pieces have at least `piece`.
    pub(super) fn grid_of_each(&self, n: usize, piece: usize) -> Grid {
        match Manner::of(*self) {
            Manner::Wide => {
                let group = self.group();
                let most = self.compute_units() * GROUPS_OF_A_UNIT;
                Grid::groups(n.div_ceil(group).min(most), group)
            }
            _ => Grid::pieces(self.n_pieces(n.div_ceil(piece))),
        }
    }

    /// Runs a statement for each place `i` of the source, whose arrays and values it names. `written` counts bytes.
    pub(super) fn each(
        &self,
        name: &'static str,
        source: &Source<'_>,
        statement: &str,
        written: usize,
    ) -> GpuResult<()> {
        if source.n == 0 {
            return Ok(());
        }
        let text = format!(
            "{}{}KERNEL void each({}u64 n) {{\n    EACH(i, n) {{ {statement} }}\n}}\n",
            head(Manner::of(*self)),
            source.declarations,
            source.parameters,
        );
        let kernel = self.program(name, &text)?.kernel("each")?;
        let given = source.given_and(&[Given::Scalar(Scalar::U64(source.n as u64))]);
        let grid = self.grid_of_each(source.n, 4096);
        kernel.launch(&self.stream()?, grid, 0, &given, || {
            Order::new(OrderKind::Kernel, name, source.bytes + written)
                .with_operations(source.n as u64)
        })
    }
}
