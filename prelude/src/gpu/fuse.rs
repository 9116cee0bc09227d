//! One pass over arrays: a graph of elements, run on the device as one kernel, or on the processor by the interpreter.
//!
//! What always holds: inputs may be any views; axes over which all views go on evenly are one axis to the kernel; a kernel
//! writes only the elements of its result.

use std::fmt::Write as _;
use std::sync::Arc;

use super::array::Array;
use super::device::Device;
use super::each;
use super::element::{Element, ElementType, Plain, Scalar};
use super::error::{GpuError, GpuResult};
use super::graph::{Graph, NodeId};
use super::interpret::{self, Inputs};
use super::manner::Manner;
use super::memory::Buffer;
use super::order::{self, Order, OrderKind};
use super::program::Given;
use super::shape;
use super::text::{self, Writer};

/// Elements of a narrow device's piece, at least: fewer are not worth its start.
const PIECE: usize = 1 << 14;

/// An array of any type, seen under the shape of the result.
#[derive(Clone)]
pub(super) struct View {
    pub buffer: Arc<Buffer>,
    pub element: ElementType,
    pub strides: Vec<isize>,
    pub offset: usize,
}

impl View {
    /// An array under a shape.
    ///
    /// # Errors
    /// The shapes do not fit.
    pub(super) fn of<T: Element>(array: &Array<T>, shape: &[usize]) -> GpuResult<View> {
        let array = array.broadcast_to(shape)?;
        Ok(View {
            buffer: array.buffer,
            element: T::TYPE,
            strides: array.strides,
            offset: array.offset,
        })
    }
}

/// The shapes and strides of a pass, with as few axes as possible.
pub(super) struct Axes {
    shape: Vec<usize>,
    /// For each input.
    strides: Vec<Vec<isize>>,
}

impl Axes {
    pub(super) fn of(shape: &[usize], views: &[View]) -> Axes {
        let mut merged = Axes {
            shape: Vec::new(),
            strides: vec![Vec::new(); views.len()],
        };
        for (axis, &length) in shape.iter().enumerate() {
            if length == 1 {
                continue;
            }
            // The axis before goes on where this one ends, in every view.
            let goes_on = !merged.shape.is_empty()
                && views.iter().zip(&merged.strides).all(|(view, strides)| {
                    strides.last() == Some(&(view.strides[axis] * length as isize))
                });
            if goes_on {
                if let Some(last) = merged.shape.last_mut() {
                    *last *= length;
                }
                for (view, strides) in views.iter().zip(&mut merged.strides) {
                    if let Some(last) = strides.last_mut() {
                        *last = view.strides[axis];
                    }
                }
            } else {
                merged.shape.push(length);
                for (view, strides) in views.iter().zip(&mut merged.strides) {
                    strides.push(view.strides[axis]);
                }
            }
        }
        merged
    }

    /// Whether an input's elements lie one after the other.
    fn is_plain(&self, input: usize) -> bool {
        match self.strides[input].as_slice() {
            [] => true,
            [stride] => *stride == 1,
            strides => strides == shape::row_major(&self.shape),
        }
    }

    /// Whether an input is one element, repeated.
    fn is_single(&self, input: usize) -> bool {
        self.strides[input].iter().all(|&stride| stride == 0)
    }
}

/// A pass, ready to be run.
pub(super) struct Pass<'a> {
    pub name: &'static str,
    pub graph: &'a Graph,
    pub root: NodeId,
    pub views: &'a [View],
    pub shape: &'a [usize],
}

impl Pass<'_> {
    /// Runs it into a new array.
    ///
    /// # Errors
    /// Views of another device, no room, the driver's.
    pub(super) fn run<T: Element>(&self, device: Device) -> GpuResult<Array<T>> {
        let mut result = Array::empty(device, self.shape)?;
        self.run_into(&mut result, None)?;
        Ok(result)
    }

    /// Runs it into an array of the pass's shape whose elements lie one after the other in a buffer of its own. If `own` is a
    /// view's number, that view is what the array held.
    ///
    /// # Errors
    /// Views of another device, the driver's.
    pub(super) fn run_into<T: Element>(
        &self,
        result: &mut Array<T>,
        own: Option<u32>,
    ) -> GpuResult<()> {
        let (device, n) = (result.device(), result.len());
        for view in self.views {
            if view.buffer.device() != device {
                return Err(GpuError::Devices {
                    what: self.name.to_owned(),
                    first: device,
                    other: view.buffer.device(),
                });
            }
        }
        if n == 0 {
            return Ok(());
        }
        let axes = Axes::of(self.shape, self.views);
        let order = || {
            let inputs: usize = self.views.iter().map(|view| view.element.size()).sum();
            Order::new(OrderKind::Kernel, self.name, n * (inputs + T::TYPE.size()))
                .with_operations(n as u64 * self.graph.n_operations(self.root))
        };
        if device.dialect().is_none() {
            let inputs = HostInputs {
                views: self.views,
                axes: &axes,
            };
            let offset = result.offset;
            let out = &mut result.own_mut()?.host_mut::<T::Raw>()[offset..offset + n];
            order::on_host(device, order, || {
                interpret::run(self.graph, self.root, &inputs, own, out);
            });
            return Ok(());
        }
        let source = self.source(Manner::of(device), &axes, T::TYPE);
        let kernel = device.program(self.name, &source)?.kernel("pass")?;
        let grid = device.grid_of_each(n, PIECE);
        let stream = device.stream()?;
        let mut given = vec![
            Given::Buffer(&result.buffer),
            Scalar::U64(result.offset as u64).into(),
            Scalar::U64(n as u64).into(),
        ];
        for &length in axes.shape.iter().skip(1) {
            given.push(Scalar::U64(length as u64).into());
        }
        for (number, view) in self.views.iter().enumerate() {
            let is_own = own == Some(number as u32);
            given.push(Given::Buffer(if is_own {
                &result.buffer
            } else {
                &view.buffer
            }));
            given.push(Scalar::U64(view.offset as u64).into());
            if !axes.is_plain(number) && !axes.is_single(number) {
                for &stride in &axes.strides[number] {
                    given.push(Scalar::I64(stride as i64).into());
                }
            }
        }
        given.extend(
            self.graph
                .parameters()
                .iter()
                .map(|&parameter| Given::from(parameter)),
        );
        kernel.launch(&stream, grid, 0, &given, order)
    }

    /// The text for a device.
    fn source(&self, manner: Manner, axes: &Axes, out: ElementType) -> String {
        let mut parameters = vec![
            format!("GLOBAL {} *out", text::type_name(out)),
            "u64 out_first".to_owned(),
            "u64 n".to_owned(),
        ];
        parameters.extend((1..axes.shape.len()).map(|axis| format!("u64 length{axis}")));
        let mut needs_places = false;
        for (number, view) in self.views.iter().enumerate() {
            parameters.push(format!(
                "GLOBAL const {} *x{number}",
                text::type_name(view.element)
            ));
            parameters.push(format!("u64 first{number}"));
            if !axes.is_plain(number) && !axes.is_single(number) {
                needs_places = true;
                let strides =
                    (0..axes.shape.len()).map(|axis| format!("i64 stride{number}_{axis}"));
                parameters.extend(strides);
            }
        }
        for (number, parameter) in self.graph.parameters().iter().enumerate() {
            let kind = text::type_name(parameter.element_type());
            parameters.push(format!("{kind} c{number}"));
        }
        let mut body = String::new();
        if needs_places {
            body.push_str("        u64 rest = i;\n");
            for axis in (1..axes.shape.len()).rev() {
                let _strings_take_all = writeln!(
                    body,
                    "        i64 i{axis} = (i64)(rest % length{axis}); rest /= length{axis};"
                );
            }
            body.push_str("        i64 i0 = (i64)rest;\n");
        }
        let input = |number: u32| {
            let number = number as usize;
            if axes.is_single(number) {
                return format!("x{number}[first{number}]");
            }
            if axes.is_plain(number) {
                return format!("x{number}[first{number} + i]");
            }
            let places: Vec<_> = (0..axes.shape.len())
                .map(|axis| format!("i{axis} * stride{number}_{axis}"))
                .collect();
            format!("x{number}[(i64)first{number} + {}]", places.join(" + "))
        };
        let writer = Writer {
            graph: self.graph,
            input: &input,
            parameter: &|number| format!("c{number}"),
            index: "i",
            indent: "        ",
            prefix: "v",
        };
        let value = writer.write(self.root, &mut body);
        let _strings_take_all = writeln!(body, "        out[out_first + i] = {value};");
        format!(
            "{}{}KERNEL void pass({}) {{\n    EACH(i, n) {{\n{body}    }}\n}}\n",
            each::head(manner),
            text::helpers(self.graph, self.root),
            parameters.join(", "),
        )
    }
}

/// The views of a pass on the processor.
pub(super) struct HostInputs<'a> {
    pub views: &'a [View],
    pub axes: &'a Axes,
}

impl Inputs for HostInputs<'_> {
    fn load(&self, number: u32, first: usize, bytes: &mut [u8]) {
        let number = number as usize;
        let view = &self.views[number];
        let size = view.element.size();
        let memory = view.buffer.host::<u8>();
        if self.axes.is_plain(number) {
            let begin = (view.offset + first) * size;
            bytes.copy_from_slice(&memory[begin..begin + bytes.len()]);
            return;
        }
        let strides = &self.axes.strides[number];
        interpret::with_type!(view.element, T => {
            let items = view.buffer.host::<T>();
            gather::<T>(items, view.offset, &self.axes.shape, strides, first, bytes);
        });
    }
}

/// Writes the elements of a view from the place `first` on to `bytes`.
fn gather<T: Plain>(
    items: &[T],
    offset: usize,
    shape: &[usize],
    strides: &[isize],
    first: usize,
    bytes: &mut [u8],
) {
    let (n, last) = (bytes.len() / size_of::<T>(), shape.len() - 1);
    // SAFETY: the bytes are a register, aligned for every type; every pattern of bits is a number.
    let out = unsafe { std::slice::from_raw_parts_mut(bytes.as_mut_ptr().cast::<T>(), n) };
    let mut index = vec![0_usize; shape.len()];
    let mut rest = first;
    for axis in (0..shape.len()).rev() {
        index[axis] = rest % shape[axis];
        rest /= shape[axis];
    }
    let mut done = 0;
    while done < n {
        let further: isize = index
            .iter()
            .zip(strides)
            .map(|(&i, stride)| i as isize * stride)
            .sum();
        let mut place = offset.wrapping_add_signed(further);
        let run = (shape[last] - index[last]).min(n - done);
        for out in &mut out[done..done + run] {
            *out = items[place];
            place = place.wrapping_add_signed(strides[last]);
        }
        done += run;
        index[last] += run;
        for axis in (1..shape.len()).rev() {
            if index[axis] == shape[axis] {
                index[axis] = 0;
                index[axis - 1] += 1;
            }
        }
    }
}
