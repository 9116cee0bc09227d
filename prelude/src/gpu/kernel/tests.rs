//! Kernels on every device that is there; the reference is plain Rust, or the same function on the processor.

mod algorithms;
mod control;
mod faults;
mod numbers;

use super::super::tests::on_each;
use super::super::*;
use super::Source;
use crate::kernel;

/// Translates to CUDA C, and writes the text to the folder that `FORKLINE_GPU_TEXTS` names, where a compiler may look at it.
fn cuda(name: &str, source: fn(Dialect) -> GpuResult<Source>) {
    let text = source(Dialect::Cuda).unwrap_or_else(|error| panic!("{error}"));
    if let Some(folder) = std::env::var_os("FORKLINE_GPU_TEXTS").map(std::path::PathBuf::from) {
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("kernel_{name}.cu")), text.text()).unwrap();
    }
}

/// The line of a file that these words are first in.
fn line_of(file: &str, words: &str) -> usize {
    let found = file.lines().position(|line| line.contains(words));
    1 + found.unwrap_or_else(|| panic!("no {words} there"))
}

/// Numbers that look random, the same each time.
fn random(n: usize) -> impl Iterator<Item = u64> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..n).map(move |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) ^ state
    })
}

kernel! {
    fn scale(a: &[f32], b: &mut [f32], factor: f32) {
        let i = global_id(0);
        b[i] = a[i] * factor;
    }
}

#[test]
fn a_kernel_runs_on_every_device() {
    on_each(|_| {
        let items: Vec<f32> = (0..1000).map(|i| i as f32).collect();
        let a = array(&items)?;
        let mut b = a.zeros_like()?;
        scale::over(1000).run((&a, &mut b, 2.0))?;
        assert_eq!(
            b.to_vec()?,
            items.iter().map(|x| x * 2.0).collect::<Vec<_>>()
        );
        // Parts of arrays, and views whose elements lie apart.
        let part = a.slice(100..110)?;
        let mut out = zeros([2, 5])?.transpose();
        scale::over(10).group(4).run((&part, &mut out, 1.0))?;
        assert_eq!(out.to_vec()?, items[100..110]);
        let back = a.slice(step(..10, -1))?;
        let mut middle = b.slice(10..20)?;
        scale::over(10).run((&back, &mut middle, 1.0))?;
        assert_eq!(middle.to_vec()?[0], 9.0);
        // Arrays are values: the whole is as it was.
        assert_eq!(b.get(10)?, 20.0);
        Ok(())
    });
    cuda("scale", scale::source);
}

#[test]
fn the_text_can_be_looked_at() {
    use crate::display::Show as _;
    let source = scale::source(Dialect::Cuda).unwrap();
    assert!(
        source
            .text()
            .contains("extern \"C\" __global__ void kernel_scale("),
        "{source}"
    );
    let html = format!("{:?}", source.show());
    assert!(html.contains("<pre>"), "{html}");
}
