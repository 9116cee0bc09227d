//! `%device`: the device of arrays. `%%gpuprof`: what devices did in a cell.
//!
//! Both speak to the prelude in the worker by a line of Rust: the kernel knows no device.

use super::{Call, Form, Magic};
use crate::session::{CellContext, CellError};

/// The variable that chooses the device in every worker that is still to come.
const VARIABLE: &str = "FORKLINE_DEVICE";

pub static DEVICE: Magic = Magic {
    name: "device",
    form: Form::Line,
    usage: "%device [cuda | opencl | rayon | gpu | NAME[:NUMBER]]",
    summary: "show or choose the device that new arrays of gpu:: are made on",
    details: "Alone it lists the devices, the one in force marked. A name is a kind, a kind and a number \
              (`cuda:1`), or a part of the device's own name. The choice also holds after a restart of the \
              worker; arrays that are there stay where they are (`to_device` brings one over).",
    run: device,
};

pub static GPUPROF: Magic = Magic {
    name: "gpuprof",
    form: Form::Cell,
    usage: "%%gpuprof above code",
    summary: "what devices did in a cell: kernels and copies with times and rates, and a timeline",
    details: "Times are those of the device's own clock. Bytes and operations are what the work needs at \
              least, so GB/s and GFLOP/s are lower bounds. A kernel from a source text has rates if its \
              launch says what it does (`work(bytes, operations)`). In code: gpu::profile(|| …).",
    run: gpuprof,
};

fn device(context: &mut CellContext<'_>, call: &Call<'_>) -> Result<(), CellError> {
    let name = call.arguments.trim();
    let above = "\n".repeat(call.line - 1);
    if name.is_empty() {
        return context.run_code(&format!("{above}forkline::gpu::__list()"));
    }
    context.run_code(&format!("{above}forkline::gpu::__choose({name:?})?;"))?;
    context.set_environment(VARIABLE, Some(name));
    Ok(())
}

fn gpuprof(context: &mut CellContext<'_>, call: &Call<'_>) -> Result<(), CellError> {
    if !call.arguments.trim().is_empty() {
        return Err(CellError::new(
            "UsageError",
            format!(
                "%%gpuprof {}: not understood\n\
                 why: the code of a cell begins on the next line\n\
                 do:  %%gpuprof alone, the code below",
                call.arguments.trim()
            ),
        ));
    }
    context.run_code("forkline::gpu::__profile_begin();")?;
    let result = super::run(context, &call.code());
    // Also of a cell that failed: so the recording ends, and what ran before is of interest.
    let shown = context.run_code("forkline::gpu::__profile_end()?;");
    result.and(shown)
}
