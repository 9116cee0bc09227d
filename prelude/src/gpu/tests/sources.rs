//! Kernels from texts, profiles, and what devices are said to be.

use super::*;
use crate::display::Show as _;

const TEXT: &str = "\
__kernel void scale(__global float *out, __global const float *in, float factor, ulong n) {
    size_t i = get_global_id(0);
    if (i < n) out[i] = in[i] * factor;
}
__kernel void sum_group(__global uint *out, __local uint *room) {
    size_t i = get_local_id(0);
    room[i] = (uint)get_global_id(0);
    barrier(CLK_LOCAL_MEM_FENCE);
    if (i == 0) {
        uint sum = 0;
        for (size_t j = 0; j < get_local_size(0); j++) sum += room[j];
        out[get_group_id(0)] = sum;
    }
}
";

/// Runs a test with an OpenCL device, if there is one.
fn with_opencl(test: impl FnOnce(Device) -> GpuResult<()>) {
    match device("opencl") {
        Ok(device) => device
            .scope(|| test(device))
            .unwrap_or_else(|error| panic!("{error}")),
        Err(error) => println!("NOT RUN: {error}"),
    }
}

#[test]
fn a_text_becomes_kernels() {
    with_opencl(|_| {
        let program = opencl::program(TEXT)?;
        let a = array(&[1.0_f32, 2.0, 3.0])?;
        let mut out = full(3, f32::NAN)?;
        // SAFETY: the kernel stays within `n`.
        unsafe {
            program
                .kernel("scale")?
                .over(3)
                .run((&mut out, &a, 2.0_f32, 3_u64))?
        };
        assert_eq!(out.to_vec()?, [2.0, 4.0, 6.0]);
        // A view is brought into order first.
        let reversed = a.slice(step(.., -1))?;
        // SAFETY: as above.
        unsafe {
            program
                .kernel("scale")?
                .over(3)
                .run((&mut out, &reversed, 1.0_f32, 3_u64))?
        };
        assert_eq!(out.to_vec()?, [3.0, 2.0, 1.0]);
        let mut sums = zeros::<u32>(4)?;
        let kernel = program.kernel("sum_group")?;
        // SAFETY: four groups, four sums, and room for a number for each work item.
        unsafe { kernel.grid(4).group(8).run((&mut sums, local::<u32>(8)))? };
        assert_eq!(sums.to_vec()?, [28, 92, 156, 220]);
        Ok(())
    });
}

#[test]
fn what_is_wrong_with_a_launch_is_told() {
    with_opencl(|device| {
        let program = opencl::program(TEXT)?;
        let error = program.kernel("no_such").unwrap_err().to_string();
        assert!(
            error.starts_with("no_such: no such kernel in the program\nwhy: "),
            "{error}"
        );
        let kernel = program.kernel("scale")?;
        let a = array(&[1.0_f32])?;
        // SAFETY: refused before it is launched.
        let error = unsafe { kernel.over(1).run((&a, 2.0_f32)) }
            .unwrap_err()
            .to_string();
        assert!(error.contains("takes 4 arguments, 2 were given"), "{error}");
        let mut out = zeros::<f32>(1)?;
        let group = device.max_group_size() * 2;
        // SAFETY: refused before it is launched.
        let large = unsafe {
            kernel
                .over(1)
                .group(group)
                .run((&mut out, &a, 2.0_f32, 1_u64))
        };
        assert!(
            matches!(large, Err(GpuError::GroupTooLarge { .. })),
            "{large:?}"
        );
        // SAFETY: a number of another size is refused.
        let wrong = unsafe { kernel.over(1).run((&mut out, &a, 2.0_f64, 1_u64)) };
        assert!(
            wrong
                .unwrap_err()
                .to_string()
                .contains("does not take these arguments")
        );
        let there = device::device("rayon")?;
        let elsewhere = there.scope(|| array(&[1.0_f32]))?;
        // SAFETY: refused before it is launched.
        let error = unsafe { kernel.over(1).run((&mut out, &elsewhere, 2.0_f32, 1_u64)) };
        assert!(matches!(error, Err(GpuError::Devices { .. })), "{error:?}");
        Ok(())
    });
}

#[test]
fn a_text_that_does_not_compile_is_shown_with_its_lines() {
    with_opencl(|_| {
        let error = opencl::program("__kernel void f(__global int *a) {\n    a[0] = nothing;\n}\n")
            .unwrap_err();
        let text = error.to_string();
        assert!(text.contains("does not compile for OpenCL: "), "{text}");
        assert!(
            text.contains("nothing") && text.contains("  2 |     a[0] = nothing;"),
            "{text}"
        );
        Ok(())
    });
}

#[test]
fn a_profile_has_all_orders() {
    on_each(|device| {
        let profile = profile(|| {
            let a = arange::<f32>(100_000)?;
            (&a + 1.0).to_vec()
        })?;
        assert_eq!(profile.value?.len(), 100_000);
        // Those of other tests at the same time are there too.
        let one = |name: &str, bytes: u64| {
            let mut entries = profile.entries.iter();
            let found = entries
                .find(|entry| entry.name == name && entry.bytes == bytes && entry.device == device);
            found.unwrap_or_else(|| panic!("no {name} of {bytes} bytes"))
        };
        let (made, added, read) = (
            one("from_fn", 400_000),
            one("add", 800_000),
            one("read", 400_000),
        );
        let kinds = [made, added, read].map(|entry| entry.kind);
        assert_eq!(
            kinds,
            [OrderKind::Kernel, OrderKind::Kernel, OrderKind::Read]
        );
        assert!(made.begin >= 0.0 && made.begin <= added.begin && added.begin <= read.begin);
        assert!(added.seconds >= 0.0 && added.operations == 100_000);
        Ok(())
    });
}

#[test]
fn devices_are_told() {
    let text = info().show().plain_text().to_owned();
    assert!(text.contains("processor by rayon"), "{text}");
    let found = detect();
    assert_eq!(
        found.has_cuda(),
        devices().iter().any(|device| device.kind() == Kind::Cuda)
    );
    assert!(found.to_string().contains("rayon: always there"));
}

#[test]
fn an_array_shows_the_head_of_its_values() {
    on_each(|device| {
        let text = arange::<i32>(20)?.show().plain_text().to_owned();
        assert_eq!(
            text,
            format!("[0, 1, 2, 3, …, 16, 17, 18, 19]\ni32 20 on {device}")
        );
        let text = from_fn([2, 3], |i| i.cast::<f64>() * 0.5)?
            .show()
            .plain_text()
            .to_owned();
        assert_eq!(
            text,
            format!("[[0.0, 0.5, 1.0],\n [1.5, 2.0, 2.5]]\nf64 2 x 3 on {device}")
        );
        Ok(())
    });
}
