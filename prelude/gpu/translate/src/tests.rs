//! Texts that go in, and what comes out.

use super::*;

fn both(source: &str, kernel: &str) -> String {
    let cuda = translate(source, kernel, Dialect::Cuda);
    let opencl = translate(source, kernel, Dialect::OpenCl);
    match (cuda, opencl) {
        (Ok(_), Ok(opencl)) => opencl.text,
        (cuda, opencl) => panic!("{cuda:?}\n{opencl:?}"),
    }
}

#[test]
fn a_small_kernel_reads_like_its_source() {
    let text = both(
        "fn scale(a: &[f32], b: &mut [f32], factor: f32) { let i = global_id(0); b[i] = a[i] * factor; }",
        "scale",
    );
    println!("{text}");
    let body = text.split("__kernel").nth(1).unwrap_or_default();
    let expected = " void kernel_scale(__global const f32 *a, usize a_start, usize a_len, __global f32 *b, usize b_start, usize b_len, f32 \
         factor, usize size_0, usize size_1, usize size_2, __global u32 *fault)
{
    if (get_global_id(0) >= size_0 || get_global_id(1) >= size_1 || get_global_id(2) >= size_2) return;
    a += a_start;
    b += b_start;
    usize i = get_global_id(0);
    if (fl_inside(i, b_len, 1u, fault)) b[i] = fl_at_f32(a, a_len, i, 0u, fault) * factor;
}

";
    assert_eq!(body, expected);
}

/// A refusal: its line, and its words.
fn refused(source: &str) -> (usize, String) {
    match translate(source, "k", Dialect::OpenCl) {
        Err(error) => (error.place.line, error.text),
        Ok(kernel) => panic!("translated:\n{}", kernel.text),
    }
}

#[test]
fn what_no_device_can_do_is_refused_with_its_line_and_a_cure() {
    let cases = [
        (
            "fn k(a: &mut [f32]) {\n let v: Vec<f32> = Vec::new();\n}",
            2,
            "this type is not supported",
        ),
        (
            "fn k(a: &mut [f32]) {\n let v = Vec::new();\n}",
            2,
            "a device has no memory to give",
        ),
        (
            "fn k(a: &mut [f32]) {\n\n let f = |x: f32| x;\n}",
            3,
            "write a fn beside the kernel",
        ),
        (
            "fn k(a: &mut [f32]) {\n let s = \"text\";\n}",
            2,
            "devices have numbers only",
        ),
        (
            "fn k(a: &mut [f32]) {\n a[0] = a[1].gamma();\n}",
            2,
            "the method `gamma` of f32",
        ),
        (
            "fn k(a: &mut [f32]) {\n a[0] = a[1].exp3();\n}",
            2,
            "there is `exp",
        ),
        (
            "fn f(x: f32) -> f32 {\n g(x)\n}\nfn g(x: f32) -> f32 {\n f(x)\n}\nfn k(a: &mut [f32]) { a[0] = f(1.0); }",
            5,
            "no recursion",
        ),
        (
            "fn k(a: &mut [f32]) {\n let (x, y) = (1.0, 2.0);\n}",
            2,
            "one let for each name",
        ),
        (
            "fn k(a: &mut [f32]) {\n for x in a.iter() { }\n}",
            2,
            "goes over a range",
        ),
        (
            "fn k(a: &mut [f32]) {\n println!(\"x\");\n}",
            2,
            "cannot print",
        ),
        ("fn k(a: String) { }", 1, "a parameter is a number"),
        (
            "fn k(a: &mut [f32]) {\n let x;\n}",
            2,
            "write the type: let x: f32 = …",
        ),
        (
            "fn k(a: &mut [f32]) {\n let x = &mut a[0];\n}",
            2,
            "a reference to a value",
        ),
        (
            "struct S;\nfn k(a: &mut [f32]) { }",
            1,
            "functions and constants only",
        ),
        (
            "fn k(a: &[Atomic<u32>]) {\n a[0].nand(1);\n}",
            2,
            "there are compare_and_swap, fetch_add",
        ),
        ("fn k<T>(a: &mut [f32]) { }", 1, "no generic parameters"),
    ];
    for (source, line, words) in cases {
        let (found, text) = refused(source);
        assert!(
            found == line && text.contains(words),
            "{source}\nline {found}: {text}"
        );
    }
}

#[test]
fn types_are_found_from_what_follows() {
    let text = both(
        "fn k(a: &mut [f64], b: &[i64]) { let mut sum = 0.0; let mut n = 0; let z = 5; for i in 0..b.len() { sum += a[i]; n += \
         b[i]; } a[0] = sum + n as f64 + z as f64; }",
        "k",
    );
    for line in [
        "f64 sum = 0.0;",
        "i64 n = 0L;",
        "i32 z = 5;",
        "for (usize i = 0ul; i < b_len; ++i)",
    ] {
        assert!(text.contains(line), "no {line} in\n{text}");
    }
}

#[test]
fn what_c_leaves_open_is_written_out() {
    let text = both(
        "fn k(a: &mut [i32], s: u32, x: f32) { a[0] = a[1] + a[2]; a[1] = a[0] << s; a[2] = a[0] / a[1]; a[3] = x as i32; let \
         float = 3; a[4] = float; }",
        "k",
    );
    for part in [
        "(i32)((u32)fl_at_i32(",
        "<< ((u32)s & 31u)",
        "fl_div_i32(",
        "fl_f32_to_i32(x)",
        "i32 float_ = 3;",
    ] {
        assert!(text.contains(part), "no {part} in\n{text}");
    }
}
