"""Arrays and kernels as a user meets them: in cells, through a real client, on OpenCL where it is and on rayon."""

from __future__ import annotations

import time

import pytest

from harness import Client

KERNEL = """kernel! {
    fn scale(a: &[f32], out: &mut [f32], factor: f32) {
        let i = global_id(0);
        out[i] = a[i] * factor;
    }
    fn race(out: &mut [u32]) {
        out[0] = global_id(0) as u32;
    }
}"""


@pytest.fixture(params=["opencl", "rayon"])
def device(request: pytest.FixtureRequest, kernel: Client) -> Client:
    """A kernel whose arrays are on the device of that name."""
    result = kernel.execute(f"%device {request.param}")
    if not result.ok:
        assert request.param == "opencl" and "no such device" in result.evalue, result.evalue
        pytest.skip(f"NOT RUN: {result.evalue}")
    result.has("arrays are now made on", result.stdout)
    return kernel


def test_arrays_are_values_of_the_session(device: Client) -> None:
    device.run("let a = gpu::arange::<f32>(1000)?;\nlet b = a.map(|x| x * x)?;")
    device.run("let c = &a + &b;")
    result = device.run("println!(\"{:?}\", c.slice(..4)?.to_vec()?);\nc.sum()?")
    result.equal(result.stdout, "[0.0, 2.0, 6.0, 12.0]\n")
    result.equal(result.text, "333333000.0")
    result = device.run("c")
    result.matches(r"^\[0\.0, 2\.0, 6\.0, 12\.0, …, .*\]\nf32 1000 on ", result.text)


def test_a_kernel_of_one_cell_is_launched_from_another(device: Client) -> None:
    device.run(KERNEL)
    result = device.run(
        "let a = gpu::arange::<f32>(10)?;\nlet mut out = gpu::full(10, f32::NAN)?;\n"
        "scale::over(10).run((&a, &mut out, 0.5))?;\nout.to_vec()?"
    )
    result.equal(result.text, "[0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5]")
    # Defined anew it is another.
    device.run(KERNEL.replace("* factor", "+ factor"))
    result = device.run("scale::over(10).run((&a, &mut out, 0.5))?;\nout.get(9)?")
    result.equal(result.text, "9.5")


def test_an_index_out_of_range_names_the_cells_line(device: Client) -> None:
    device.run(KERNEL)
    device.run("let a = gpu::arange::<f32>(10)?;\nlet mut out = gpu::zeros::<f32>(7)?;")
    result = device.execute("scale::over(10).run((&a, &mut out, 0.5))?;\nout.to_vec()?").expect_error()
    result.matches(r"scale.*index [789] is out of range", result.evalue)
    result.matches(r"cell \[\d+\], line 4", result.evalue)
    # Nothing is lost.
    result = device.run("a.sum()?")
    result.equal(result.text, "45.0")


def test_a_race_is_found_on_the_processor(kernel: Client) -> None:
    kernel.run(f"%device rayon\n{KERNEL}")
    result = kernel.execute("let mut out = gpu::zeros::<u32>(4)?;\nrace::over(4).run((&mut out,))?;").expect_error()
    result.matches(r"a race for element 0 of `out`", result.evalue)


def test_what_no_device_can_do_is_told_with_its_line(device: Client) -> None:
    device.run("kernel! {\n    fn f(out: &mut [f32]) {\n        let v: Vec<f32> = Vec::new();\n        out[0] = v.len() as f32;\n    }\n}")
    result = device.execute("let mut out = gpu::zeros::<f32>(1)?;\nf::over(1).run((&mut out,))?;").expect_error()
    result.matches(r"cell \[\d+\], line 3", result.evalue)


def test_shapes_that_do_not_fit_are_errors_with_a_cure(device: Client) -> None:
    result = device.execute("gpu::ones::<f64>([2, 3])?.matmul(&gpu::ones::<f64>([2, 3])?)?").expect_error("Error")
    for part in ("do not fit", "\nwhy: ", "\ndo:  "):
        result.has(part, result.evalue)
    result = device.execute("&gpu::ones::<f64>(2)? + &gpu::ones::<f64>(3)?").expect_error("Panic")
    result.has("add of arrays of shapes [2] and [3]", result.evalue)


def test_a_profile_is_a_table_and_a_timeline(device: Client) -> None:
    device.run("let a = gpu::arange::<f32>(100_000)?;")
    result = device.run("%%gpuprof\nlet b = a.map(|x| x + 1.0)?;\nb.to_vec()?.len()")
    shown = [display["text/plain"] for display in result.displays]
    assert any("map" in text and "read" in text and "GB/s" in text for text in shown), shown
    assert any(text.startswith("Orders to the device") for text in shown), shown


LONG = """kernel! {
    fn long(out: &mut [u32], rounds: u32) {
        let i = global_id(0);
        let mut x = i as u32;
        for round in 0..rounds {
            x = x * 1664525 + 1013904223 + round;
        }
        out[i] = x;
    }
}"""


def test_a_wait_for_a_long_kernel_is_interrupted_and_costs_no_variables(device: Client) -> None:
    device.run(LONG)
    device.run("let kept = gpu::arange::<f32>(5)?;\nlet mut out = gpu::zeros::<u32>(1 << 20)?;\nlong::over(1 << 20).run((&mut out, 10))?;\nlet few = out.slice(..64)?.to_vec()?;")
    # Some seconds on two cores, whatever brings the values.
    for wait in ("out.to_vec()?", "gpu::default().finish()?"):
        request = device.start_execute(f'println!("begins");\nlong::over(1 << 20).run((&mut out, 4_000))?;\n{wait}')
        device.wait_printed(request, "begins")
        sent = time.monotonic()
        device.interrupt()
        result = device.collect(request, 60)
        assert not result.ok
        took = time.monotonic() - sent
        result.lacks("worker", result.traceback)
        assert took < 5, f"the interrupt took {took:.1f} s"
        result = device.run("kept.sum()? + few.len() as f32", timeout=120)
        result.equal(result.text, "74.0")


def test_a_text_that_does_not_compile_is_shown(kernel: Client) -> None:
    if not kernel.execute("%device opencl").ok:
        pytest.skip("NOT RUN: there is no OpenCL")
    result = kernel.execute('gpu::opencl::program("__kernel void f(__global int* a) {\\n  a[0] = nothing;\\n}")?;').expect_error("Error")
    result.matches(r"^ +2 \|   a\[0\] = nothing;$", result.evalue)


def test_a_device_that_is_missing_is_an_ordinary_error(kernel: Client) -> None:
    result = kernel.execute("%device nothing-of-this-name").expect_error("Error")
    result.has("no such device", result.evalue)
    result.has("rayon", result.evalue)
    result = kernel.run("%device")
    result.matches(r"^\* ", result.stdout)


def test_the_choice_of_a_device_outlives_the_worker(kernel: Client) -> None:
    kernel.run("%device rayon")
    kernel.execute("std::process::abort()").expect_error("WorkerEnded")
    result = kernel.run("gpu::default().kind()")
    result.equal(result.text, "Rayon")
