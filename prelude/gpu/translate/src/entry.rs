//! The C interface.

use crate::interface::{CUDA, Order, Table, Text, VERSION};
use crate::{Dialect, Kernel, between_braces, translate};

static TABLE: Table = Table {
    version: VERSION,
    translate: answer,
    free,
};

/// The table, for ever valid.
#[unsafe(no_mangle)]
pub extern "C" fn forkline_translator() -> *const Table {
    &raw const TABLE
}

unsafe extern "C" fn answer(order: Order) -> Text {
    // SAFETY: the caller lends texts that live during the call.
    let text = |text: Text| String::from_utf8_lossy(unsafe { text.bytes() }).into_owned();
    let (tokens, file, kernel) = (text(order.tokens), text(order.file), text(order.kernel));
    let dialect = if order.dialect == CUDA {
        Dialect::Cuda
    } else {
        Dialect::OpenCl
    };
    let from_file = between_braces(&file, &tokens);
    let is_from_file = from_file.is_some();
    let source = from_file.unwrap_or(tokens);
    let answer = match translate(&source, &kernel, dialect) {
        Ok(kernel) => written(&kernel, is_from_file),
        Err(error) => {
            let place = error.place;
            format!(
                "error\t{}\t{}\t{is_from_file}\t{}\n",
                place.line, place.column, error.text
            )
        }
    };
    let answer = Box::leak(answer.into_bytes().into_boxed_slice());
    Text {
        start: answer.as_ptr(),
        length: answer.len(),
    }
}

fn written(kernel: &Kernel, is_from_file: bool) -> String {
    let mut answer = format!(
        "source\t{}\nkernel\t{}\t{}\n",
        if is_from_file { "file" } else { "tokens" },
        kernel.name,
        kernel.id
    );
    if kernel.has_barrier {
        answer.push_str("barrier\n");
    }
    if kernel.needs_f64 {
        answer.push_str("f64\n");
    }
    answer.push_str(&format!("local\t{}\n", kernel.local_bytes));
    for site in &kernel.sites {
        let place = site.place;
        answer.push_str(&format!(
            "site\t{}\t{}\t{}\t{}\n",
            site.kind.name(),
            place.line,
            place.column,
            site.name
        ));
    }
    let lines: Vec<_> = kernel.lines.iter().map(usize::to_string).collect();
    answer.push_str(&format!("lines\t{}\n\n{}", lines.join(" "), kernel.text));
    answer
}

unsafe extern "C" fn free(text: Text) {
    let whole = std::ptr::slice_from_raw_parts_mut(text.start.cast_mut(), text.length);
    // SAFETY: the caller gives back what `answer` leaked, once.
    drop(unsafe { Box::from_raw(whole) });
}
