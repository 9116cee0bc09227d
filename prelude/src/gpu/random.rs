//! Random numbers: the same ones for a seed on every device.
//!
//! The generator is counter-based (Philox4x32-10): element `i` of draw `d` is a function of the seed, `d` and `i`, so no work
//! item has a state, and neither the device nor the size of its groups matters.
//!
//! What always holds: two calls of one generator give different numbers; two generators of one seed give the same, in the
//! same order of calls. Uniform numbers and integers are equal to the last bit on all devices, normal ones but for the last
//! digits, because logarithm and sine differ there. This is not for secrets.

mod philox;

use std::ops::Range;

use super::array::Array;
use super::device::{self, Device};
use super::element::{Element, ElementType, Float, Scalar};
use super::error::{GpuError, GpuResult};
use super::gather::Index;
use super::manner::Manner;
use super::order::{Order, OrderKind, on_host};
use super::parallel;
use super::shape::IntoShape;
use super::values::Source;

/// A generator of random numbers, by its seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Random {
    seed: u64,
    /// How many arrays were drawn.
    n_draws: u64,
}

/// A generator of random numbers. The same seed gives the same numbers, on every device.
///
/// ```
/// use forkline::gpu;
///
/// let mut random = gpu::random(42);
/// let x = random.uniform::<f32>([100, 100])?;
/// assert!((x.mean()? - 0.5).abs() < 0.02);
/// let dice = random.integers(1000, 1..7)?;
/// assert_eq!((dice.min()?, dice.max()?), (1, 6));
/// assert_eq!(gpu::random(42).uniform::<f32>(10_000)?.to_vec()?, x.to_vec()?);
/// # Ok::<(), gpu::GpuError>(())
/// ```
pub fn random(seed: u64) -> Random {
    Random { seed, n_draws: 0 }
}

/// One draw.
struct Draw<'a> {
    name: &'static str,
    key: u64,
    draw: u64,
    /// Elements of a block.
    per_block: usize,
    /// What a block's elements are, in C, of the words `x.w0` to `x.w3`.
    elements: &'a [&'a str],
    /// More values that these expressions name.
    values: &'a [(&'a str, Scalar)],
}

impl Draw<'_> {
    /// Draws on the device; `of_block` is the same for the rayon device.
    fn run<T: Element>(
        &self,
        device: Device,
        shape: Vec<usize>,
        of_block: impl Fn([u32; 4]) -> [T; 4] + Sync,
    ) -> GpuResult<Array<T>> {
        let mut out = Array::<T>::empty(device, shape)?;
        let (n, per_block) = (out.len(), self.per_block);
        let bytes = n * T::TYPE.size();
        if Manner::of(device) == Manner::Rayon {
            let room = &mut out.own_mut()?.host_mut::<T::Raw>()[..n];
            let key = [self.key as u32, (self.key >> 32) as u32];
            let draw = [self.draw as u32, (self.draw >> 32) as u32];
            let order =
                || Order::new(OrderKind::Kernel, self.name, bytes).with_operations(n as u64 * 20);
            let part = 4096;
            on_host(device, order, || {
                parallel::parts_mut(room, part * per_block, &|p, room| {
                    for (i, room) in room.chunks_mut(per_block).enumerate() {
                        let i = (p * part + i) as u64;
                        let counter = [i as u32, (i >> 32) as u32, draw[0], draw[1]];
                        let elements = of_block(philox::block(counter, key));
                        for (room, element) in room.iter_mut().zip(elements) {
                            *room = element.to_raw();
                        }
                    }
                });
            });
            return Ok(out);
        }
        let mut source = Source::new(n.div_ceil(per_block), "")
            .with_room("OUT", &out)
            .with_value("key", Scalar::U64(self.key))
            .with_value("draw", Scalar::U64(self.draw))
            .with_value("count", Scalar::U64(n as u64));
        for (name, value) in self.values {
            source = source.with_value(name, *value);
        }
        source.declarations.push_str(philox::TEXT);
        let mut statement = format!("u64 at = i * {per_block}; Words x = philox(i, draw, key);");
        for (place, element) in self.elements.iter().enumerate() {
            statement +=
                &format!("\n        if (at + {place} < count) OUT(at + {place}) = {element};");
        }
        device.each(self.name, &source, &statement, bytes)?;
        Ok(out)
    }
}

const TO_UNIT_F32: f32 = 1.0 / (1_u32 << 24) as f32;
const TO_UNIT_F64: f64 = 1.0 / (1_u64 << 53) as f64;

fn both(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// Two normal numbers of two uniform ones (Box and Muller), the first of which is not 0.
fn normal_f32(a: u32, b: u32) -> [f32; 2] {
    let radius = (-2.0 * ((a as f32 + 1.0) * 2.0_f32.powi(-32)).ln()).sqrt();
    let angle = std::f32::consts::TAU * (b as f32 * 2.0_f32.powi(-32));
    [radius * angle.cos(), radius * angle.sin()]
}

fn normal_f64(a: u64, b: u64) -> [f64; 2] {
    let radius = (-2.0 * (((a >> 11) as f64 + 1.0) * TO_UNIT_F64).ln()).sqrt();
    let angle = std::f64::consts::TAU * ((b >> 11) as f64 * TO_UNIT_F64);
    [radius * angle.cos(), radius * angle.sin()]
}

/// A part of `span` as large as `x` is of all its 128 bits.
fn share_of(x: [u32; 4], span: u64) -> u64 {
    let (low, high) = (both(x[0], x[1]), both(x[2], x[3]));
    let carried = (u128::from(low) * u128::from(span)) >> 64;
    ((u128::from(high) * u128::from(span) + carried) >> 64) as u64
}

impl Random {
    fn draw<'a>(
        &mut self,
        name: &'static str,
        elements: &'a [&'a str],
        values: &'a [(&'a str, Scalar)],
    ) -> Draw<'a> {
        let draw = self.n_draws;
        self.n_draws += 1;
        Draw {
            name,
            key: self.seed,
            draw,
            per_block: elements.len(),
            elements,
            values,
        }
    }

    /// Numbers from 0 up to 1, without 1: multiples of 2⁻²⁴ (`f32`) or 2⁻⁵³ (`f64`), all equally likely.
    ///
    /// # Errors
    /// The default device has no room; the driver's.
    pub fn uniform<T: Float>(&mut self, shape: impl IntoShape) -> GpuResult<Array<T>> {
        T::uniform(self, shape.into_shape())
    }

    pub(super) fn uniform_here<T: Float>(&mut self, shape: Vec<usize>) -> GpuResult<Array<T>> {
        let device = device::default();
        if T::TYPE == ElementType::F32 {
            let elements = ["x.w0", "x.w1", "x.w2", "x.w3"]
                .map(|word| format!("(f32)({word} >> 8) * 5.9604644775390625e-8f"));
            let elements = elements.each_ref().map(String::as_str);
            return self
                .draw("uniform", &elements, &[])
                .run(device, shape, |words| {
                    words.map(|word| T::from_f64(f64::from((word >> 8) as f32 * TO_UNIT_F32)))
                });
        }
        let elements = [
            "(f64)(both(x.w0, x.w1) >> 11) * 1.1102230246251565e-16",
            "(f64)(both(x.w2, x.w3) >> 11) * 1.1102230246251565e-16",
        ];
        let unit = |bits: u64| T::from_f64((bits >> 11) as f64 * TO_UNIT_F64);
        self.draw("uniform", &elements, &[])
            .run(device, shape, |x| {
                [
                    unit(both(x[0], x[1])),
                    unit(both(x[2], x[3])),
                    T::ZERO,
                    T::ZERO,
                ]
            })
    }

    /// Numbers of the normal distribution of mean 0 and standard deviation 1. `f32` ones reach to ±6.7, `f64` ones to ±8.5.
    ///
    /// # Errors
    /// The default device has no room; the driver's.
    ///
    /// ```
    /// use forkline::gpu;
    ///
    /// let x = gpu::random(1).normal::<f32>(100_000)? * 3.0 + 10.0;
    /// assert!((x.mean()? - 10.0).abs() < 0.1 && (x.std_dev()? - 3.0).abs() < 0.1);
    /// # Ok::<(), gpu::GpuError>(())
    /// ```
    pub fn normal<T: Float>(&mut self, shape: impl IntoShape) -> GpuResult<Array<T>> {
        T::normal(self, shape.into_shape())
    }

    pub(super) fn normal_here<T: Float>(&mut self, shape: Vec<usize>) -> GpuResult<Array<T>> {
        let device = device::default();
        if T::TYPE == ElementType::F32 {
            let radius = |word: &str| {
                format!("sqrt(-2.0f * log(((f32)x.{word} + 1.0f) * 2.3283064365386963e-10f))")
            };
            let angle =
                |word: &str| format!("6.283185307f * ((f32)x.{word} * 2.3283064365386963e-10f)");
            let elements = [
                ("w0", "cos", "w1"),
                ("w0", "sin", "w1"),
                ("w2", "cos", "w3"),
                ("w2", "sin", "w3"),
            ]
            .map(|(a, function, b)| format!("{} * {function}({})", radius(a), angle(b)));
            let elements = elements.each_ref().map(String::as_str);
            return self.draw("normal", &elements, &[]).run(device, shape, |x| {
                let ([a, b], [c, d]) = (normal_f32(x[0], x[1]), normal_f32(x[2], x[3]));
                [a, b, c, d].map(|x| T::from_f64(f64::from(x)))
            });
        }
        let elements = ["cos", "sin"].map(|function| {
            format!(
                "sqrt(-2.0 * log(((f64)(both(x.w0, x.w1) >> 11) + 1.0) * 1.1102230246251565e-16)) * \
                 {function}(6.283185307179586 * ((f64)(both(x.w2, x.w3) >> 11) * 1.1102230246251565e-16))"
            )
        });
        let elements = elements.each_ref().map(String::as_str);
        self.draw("normal", &elements, &[]).run(device, shape, |x| {
            let [a, b] = normal_f64(both(x[0], x[1]), both(x[2], x[3]));
            [T::from_f64(a), T::from_f64(b), T::ZERO, T::ZERO]
        })
    }

    /// Integers of a range. Each is made of twice as many random bits as its type has (at least 64), so none is more likely than
    /// another by more than 2⁻³² of its probability (64-bit types: 2⁻⁶⁴).
    ///
    /// # Errors
    /// The range is empty; the default device has no room; the driver's.
    pub fn integers<T: Index>(
        &mut self,
        shape: impl IntoShape,
        range: Range<T>,
    ) -> GpuResult<Array<T>> {
        T::integers(self, shape.into_shape(), range)
    }

    pub(super) fn integers_here<T: Index>(
        &mut self,
        shape: Vec<usize>,
        range: Range<T>,
    ) -> GpuResult<Array<T>> {
        let device = device::default();
        let low = range.start.to_bits();
        if range.start >= range.end {
            return Err(GpuError::Empty {
                what: format!(
                    "random integers of the range {:?}..{:?}",
                    range.start, range.end
                ),
            });
        }
        let span = range.end.to_bits().wrapping_sub(low);
        let values = [("low", Scalar::U64(low)), ("span", Scalar::U64(span))];
        let t = super::text::type_name(T::TYPE);
        let number = |share: u64| T::from_bits(low.wrapping_add(share));
        if T::TYPE.size() == 4 {
            let elements = ["both(x.w0, x.w1)", "both(x.w2, x.w3)"]
                .map(|bits| format!("({t})(low + MUL_HI_U64({bits}, span))"));
            let elements = elements.each_ref().map(String::as_str);
            let share = |bits: u64| ((u128::from(bits) * u128::from(span)) >> 64) as u64;
            return self
                .draw("integers", &elements, &values)
                .run(device, shape, |x| {
                    let (a, b) = (both(x[0], x[1]), both(x[2], x[3]));
                    [number(share(a)), number(share(b)), T::ZERO, T::ZERO]
                });
        }
        // The upper 64 bits of a product of 192: those of the upper half, and the carry of the lower one.
        let upper = "both(x.w2, x.w3)";
        let carried = "MUL_HI_U64(both(x.w0, x.w1), span)";
        let element = format!(
            "({t})(low + MUL_HI_U64({upper}, span) + ({upper} * span + {carried} < {carried} ? 1 : 0))"
        );
        self.draw("integers", &[&element], &values)
            .run(device, shape, |x| {
                [number(share_of(x, span)), T::ZERO, T::ZERO, T::ZERO]
            })
    }
}
