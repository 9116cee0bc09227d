//! Runs the arrays and kernels of `forkline::gpu` on one device: results against the processor in higher precision, then what
//! the device reaches in a second. Prints two tables in Markdown.
//!
//!     rates [DEVICE] [MEBIBYTES]      cuda and 256 unless told
//!
//! Ends with status 1 if a result is wrong.

mod check;
mod measure;

use forkline::gpu::{self, GpuResult};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "cuda".to_owned());
    let mebibytes = arguments
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or(256);
    match run(&name, mebibytes) {
        Ok(0) => {}
        Ok(_) => std::process::exit(1),
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(2);
        }
    }
}

/// Returns how many results are wrong.
fn run(name: &str, mebibytes: usize) -> GpuResult<usize> {
    let device = gpu::device(name)?;
    println!("{}\n", device.info());
    device.scope(|| {
        let wrong = check::all()?;
        measure::all(device, mebibytes << 20)?;
        Ok(wrong)
    })
}
