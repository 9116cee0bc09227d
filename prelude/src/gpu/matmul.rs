//! Products of matrices, and of a matrix and a vector.
//!
//! Wide devices calculate square tiles in groups, with parts of both matrices in local memory; the processor calculates a few
//! rows of a panel of columns at a time in its vector registers, by OpenCL or by rayon. On NVIDIA's cards cuBLAS is faster,
//! most of all with tensor cores: `:dep cudarc` brings it into a notebook, and works on the same context of the driver.
//!
//! What always holds: any sizes and strides; what does not lie in order is copied first. Integers wrap.

mod host;
mod text;

use super::Numeric;
use super::array::Array;
use super::device::Device;
use super::element::Scalar;
use super::error::{GpuError, GpuResult};
use super::manner::Manner;
use super::order::{Order, OrderKind, on_host};
use super::program::{Given, Grid};
use super::values::{host as items_of, same_device};

pub(super) fn matmul_here<T: Numeric>(array: &Array<T>, other: &Array<T>) -> GpuResult<Array<T>> {
    let wrong = |why: &str| {
        let shapes = format!(
            "matmul of shapes {:?} and {:?}",
            array.shape(),
            other.shape()
        );
        GpuError::shape(shapes, why)
    };
    let device = same_device("matmul", array, other)?;
    let differ = "the first must have as many columns as the second has rows";
    match (array.shape(), other.shape()) {
        (&[m, k], &[rows, n]) if k == rows => product(device, array, other, [m, n, k]),
        (&[m, k], &[rows]) if k == rows => vector(device, array, other, [m, k]),
        (&[k], &[rows, n]) if k == rows => vector(device, &other.transpose(), array, [n, k]),
        ([_], [_]) => Err(wrong("two vectors have a dot product: dot")),
        ([_] | [_, _], [_] | [_, _]) => Err(wrong(differ)),
        _ => Err(wrong(
            "there must be one or two axes each; at() takes one of many matrices",
        )),
    }
}

impl<T: Numeric> Array<T> {
    /// The product of two matrices; of a matrix and a vector, or of a vector and a matrix, which is a vector. Integers wrap.
    ///
    /// On NVIDIA's cards `:dep cudarc` brings cuBLAS, which is faster for large matrices.
    ///
    /// # Errors
    /// One is neither a matrix nor a vector, both are vectors (see [`dot`](Array::dot)), or the first has not as many columns
    /// as the second has rows; the arrays lie on different devices; the device has no room; the driver's.
    ///
    /// ```
    /// use forkline::gpu;
    ///
    /// let a = gpu::array_of([2, 3], &[1, 2, 3, 4, 5, 6])?;
    /// assert_eq!(a.matmul(&a.transpose())?.to_vec()?, [14, 32, 32, 77]);
    /// assert_eq!(a.matmul(&gpu::array(&[1, 0, 1])?)?.to_vec()?, [4, 10]);
    /// assert!(a.matmul(&a).unwrap_err().to_string().starts_with("matmul of shapes [2, 3] and [2, 3]"));
    /// # Ok::<(), gpu::GpuError>(())
    /// ```
    pub fn matmul(&self, other: &Array<T>) -> GpuResult<Array<T>> {
        T::matmul(self, other)
    }
}

fn number<'a>(n: usize) -> Given<'a> {
    Given::Scalar(Scalar::U64(n as u64))
}

fn product<T: Numeric>(
    device: Device,
    a: &Array<T>,
    b: &Array<T>,
    [m, n, k]: [usize; 3],
) -> GpuResult<Array<T>> {
    if m == 0 || n == 0 || k == 0 {
        return Array::full(device, [m, n], T::ZERO);
    }
    let (a, b) = (a.contiguous()?, b.contiguous()?);
    let mut c = Array::<T>::empty(device, [m, n])?;
    let order = || {
        let bytes = (m * k + k * n + m * n) * T::TYPE.size();
        let operations = 2 * (m as u64) * (n as u64) * k as u64;
        Order::new(OrderKind::Kernel, "matmul", bytes).with_operations(operations)
    };
    let manner = Manner::of(device);
    if manner == Manner::Rayon {
        let room = &mut c.own_mut()?.host_mut::<T::Raw>()[..m * n];
        let (a, b) = (items_of(&a), items_of(&b));
        on_host(device, order, || host::matmul::<T>(a, b, room, [m, n, k]));
        return Ok(c);
    }
    let edge = edge(device);
    // Large tiles need many of them, and much local memory.
    let per_item = match T::TYPE.size() {
        4 if edge == 16 && m.min(n) >= 1024 => 8,
        _ => 4,
    };
    let text = text::text(manner, T::TYPE, edge, per_item);
    let kernel = device.program("matmul", &text)?.kernel("matmul")?;
    let (grid, last) = if manner == Manner::Wide {
        let tile = edge * per_item;
        let (down, across) = (m.div_ceil(tile), n.div_ceil(tile));
        (Grid::groups(down * across, edge * edge), across)
    } else {
        // As many rows for one panel as leave enough for all; but enough to be worth bringing the panel.
        let panels = n.div_ceil(64 / T::TYPE.size());
        let pieces = device.n_pieces(usize::MAX);
        let rows = m
            .div_ceil(pieces.div_ceil(panels))
            .next_multiple_of(6)
            .max(48);
        let units = panels * m.div_ceil(rows);
        (Grid::pieces(device.n_pieces(units)), rows)
    };
    let given = [
        Given::Buffer(&a.buffer),
        number(a.offset),
        Given::Buffer(&b.buffer),
        number(b.offset),
        Given::Buffer(&c.buffer),
        number(m),
        number(n),
        number(k),
        number(last),
    ];
    kernel.launch(&device.stream()?, grid, 0, &given, order)?;
    Ok(c)
}

/// The edge of a group of work items, a square.
fn edge(device: Device) -> usize {
    match device.group() {
        256.. => 16,
        64.. => 8,
        _ => 4,
    }
}

fn vector<T: Numeric>(
    device: Device,
    a: &Array<T>,
    x: &Array<T>,
    [m, k]: [usize; 2],
) -> GpuResult<Array<T>> {
    if m == 0 || k == 0 {
        return Array::full(device, m, T::ZERO);
    }
    let (a, x) = (a.contiguous()?, x.contiguous()?);
    let mut c = Array::<T>::empty(device, m)?;
    let order = || {
        let bytes = (m * k + k + m) * T::TYPE.size();
        Order::new(OrderKind::Kernel, "matmul", bytes).with_operations(2 * (m * k) as u64)
    };
    let manner = Manner::of(device);
    if manner == Manner::Rayon {
        let room = &mut c.own_mut()?.host_mut::<T::Raw>()[..m];
        let (a, x) = (items_of(&a), items_of(&x));
        on_host(device, order, || host::matvec::<T>(a, x, room, k));
        return Ok(c);
    }
    // Rows of few elements do not need a large group.
    let edge = if k < 1024 {
        8.min(edge(device))
    } else {
        edge(device)
    };
    let text = text::text(manner, T::TYPE, edge, 4);
    let kernel = device.program("matmul", &text)?.kernel("matvec")?;
    let grid = match manner {
        Manner::Wide => Grid::groups(m.min(device.compute_units() * 64), edge * edge),
        _ => Grid::pieces(device.n_pieces((m * k).div_ceil(8192).min(m))),
    };
    let given = [
        Given::Buffer(&a.buffer),
        number(a.offset),
        Given::Buffer(&x.buffer),
        number(x.offset),
        Given::Buffer(&c.buffer),
        number(m),
        number(k),
    ];
    kernel.launch(&device.stream()?, grid, 0, &given, order)?;
    Ok(c)
}
