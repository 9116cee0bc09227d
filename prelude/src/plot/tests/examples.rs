//! The examples of the documentation; cargo runs no doc tests of a dylib.

use super::*;

#[test]
fn module_and_error() -> Result<(), PlotError> {
    let figure = line(
        "Sum of 10 million numbers",
        ("workers", ""),
        Axis::new("time", "s").log(),
    )
    .series("measured", [(1, 0.80), (2, 0.42), (4, 0.23)])
    .dashed("ideal", [(1, 0.80), (4, 0.20)]);
    assert!(figure.to_svg()?.contains("Sum of 10 million numbers"));

    let empty = line("Speedup", ("workers", ""), ("speedup", "×"));
    let error = empty.to_svg().unwrap_err();
    assert!(matches!(error, PlotError::NoData { .. }));
    assert!(
        error
            .to_string()
            .starts_with("plot \"Speedup\": there is nothing to draw\nwhy: ")
    );
    Ok(())
}

#[test]
fn kinds() -> Result<(), PlotError> {
    line(
        "Sum of 10 million numbers",
        ("workers", ""),
        ("speedup", "×"),
    )
    .series("measured", [(1, 1.0), (2, 1.9), (4, 3.5)])
    .dashed("ideal", [(1, 1), (4, 4)])
    .to_svg()?;
    scatter("Latency by size", ("size", "B"), ("latency", "s"))
        .series("run 1", [(1_000, 0.002), (8_000, 0.009)])
        .to_svg()?;
    bar("Matrix product", ("version", ""), ("time", "s"))
        .series("1 thread", [("naive", 2.1), ("blocked", 0.9)])
        .series("4 threads", [("naive", 0.6), ("blocked", 0.3)])
        .to_svg()?;
    histogram("Time of one call", ("time", "ms"))
        .samples("", [1.0, 1.1, 1.2, 1.1, 3.0])
        .to_svg()?;
    boxes("Time of one call", ("lock", ""), ("time", "ns"))
        .sample("std", [21, 22, 22, 25, 90])
        .sample("parking_lot", [18, 18, 19, 20, 21])
        .to_svg()?;
    heat_map(
        "Time by block",
        ("columns", ""),
        ("rows", ""),
        ("time", "ms"),
    )
    .rows([[4.0, 2.1, 2.6], [2.2, 1.4, 1.9]])
    .x_labels([16, 32, 64])
    .y_labels([16, 32])
    .to_svg()?;
    timeline("Four jobs on two workers", ("time", "ms"))
        .bar("worker 0", "read", 0.0, 1.5)
        .bar("worker 0", "compute", 1.5, 4.0)
        .bar("worker 1", "read", 0.2, 2.0)
        .to_svg()?;
    panels(
        2,
        vec![
            Box::new(
                line("Speedup", ("workers", ""), ("speedup", "×"))
                    .series("", [(1, 1.0), (2, 1.9)])
                    .size(400, 300),
            ),
            Box::new(
                histogram("Times", ("time", "ms"))
                    .samples("", [1.0, 1.2, 1.1])
                    .size(400, 300),
            ),
        ],
    )
    .to_svg()?;
    Ok(())
}
