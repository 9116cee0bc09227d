//! Each error, made to happen and read.

use super::*;

fn empty() -> Lines {
    line("Speedup", ("workers", ""), Axis::new("time", "s").log())
}

#[track_caller]
fn check(error: Result<String, PlotError>, text: &str) {
    let error = error.unwrap_err();
    assert_eq!(error.to_string(), text);
    assert_eq!(format!("{error:?}"), text);
}

#[test]
fn no_data() {
    let why = "there is nothing to draw
why: no series, sample, row or bar was added before the figure was shown
do:  .series(\"label\", points)    (.samples, .rows or .bar, by the kind of figure)";
    check(empty().to_svg(), &format!("plot \"Speedup\": {why}"));
    let title = "t";
    let figures: [Box<dyn Figure>; 7] = [
        Box::new(scatter(title, ("x", ""), ("y", ""))),
        Box::new(bar(title, ("x", ""), ("y", ""))),
        Box::new(histogram(title, ("x", ""))),
        Box::new(boxes(title, ("x", ""), ("y", ""))),
        Box::new(heat_map(title, ("x", ""), ("y", ""), ("z", ""))),
        Box::new(timeline(title, ("x", ""))),
        Box::new(panels(1, vec![])),
    ];
    for figure in figures {
        assert!(matches!(figure.to_svg(), Err(PlotError::NoData { .. })));
        // Shown as text, without a panic.
        let shown = figure.show();
        assert!(shown.plain_text().ends_with(why), "{shown:?}");
        assert_eq!(shown.get("text/html"), None);
    }
}

#[test]
fn empty_series() {
    check(
        empty()
            .series("measured", Vec::<(f64, f64)>::new())
            .to_svg(),
        "plot \"Speedup\": series \"measured\" has no points
why: the iterator that was given for it ended at once
do:  check what is collected before, for instance with .inspect(|point| println!(\"{point:?}\"))
     or add the series only if it has points",
    );
    assert!(matches!(
        histogram("t", ("x", "")).samples("s", Vec::<u8>::new()).to_svg(),
        Err(PlotError::EmptySeries { series, .. }) if series == "s"
    ));
}

#[test]
fn not_finite() {
    check(
        empty()
            .series("measured", [(1.0, 1.0), (2.0, f64::NAN)])
            .to_svg(),
        "plot \"Speedup\": series \"measured\" holds NaN at index 1
why: it has no place on an axis, and leaving it out silently would hide it; probably a division by 0
do:  look at where the value is computed
     or leave such points out on purpose: .filter(|(_, y)| y.is_finite())",
    );
    let infinite = f64::INFINITY;
    for figure in [
        Box::new(bar("t", ("x", ""), ("y", "")).series("s", [("a", infinite)])) as Box<dyn Figure>,
        Box::new(boxes("t", ("x", ""), ("y", "")).sample("s", [infinite])),
        Box::new(histogram("t", ("x", "")).samples("s", [infinite])),
        Box::new(timeline("t", ("x", "")).bar("s", "b", 0.0, infinite)),
        Box::new(heat_map("t", ("x", ""), ("y", ""), ("z", "")).rows([[infinite]])),
        Box::new(panels(
            1,
            vec![Box::new(
                empty().with_errors("s", [(1.0, 1.0, 1.0, infinite)]),
            )],
        )),
    ] {
        assert!(matches!(
            figure.to_svg(),
            Err(PlotError::NotFinite { index: 0, .. })
        ));
    }
}

#[test]
fn not_positive() {
    check(
        empty().series("measured", [(0, 1.0), (2, 0.0)]).to_svg(),
        "plot \"Speedup\": series \"measured\" holds 0 at index 1, and axis \"time\" is logarithmic
why: only values above 0 have a logarithm
do:  take the axis without .log()
     or leave such points out on purpose: .filter(|(_, y)| *y > 0.0)",
    );
}

#[test]
fn unequal_rows() {
    check(
        heat_map("Map", ("x", ""), ("y", ""), ("z", ""))
            .rows([vec![1, 2], vec![3]])
            .to_svg(),
        "plot \"Map\": row 1 has 1 values, and row 0 has 2
why: a heat map is a rectangle: all rows have the same length
do:  cut the data with .chunks_exact(columns), or fill the short rows",
    );
}

#[test]
fn label_count() {
    check(
        heat_map("Map", ("block", ""), ("y", ""), ("z", ""))
            .rows([[1, 2]])
            .x_labels([16])
            .to_svg(),
        "plot \"Map\": axis \"block\" has 1 labels for 2 places
why: x_labels wants one label for each column, y_labels one for each row
do:  give 2 labels, or none: the places are then numbered from 0",
    );
}

#[test]
fn no_columns() {
    check(
        panels(0, vec![]).to_svg(),
        "panels(0, …): there are no columns to put figures in
why: the first argument is the number of figures beside each other
do:  panels(2, figures)",
    );
}

#[test]
fn end_before_start() {
    check(
        timeline("Jobs", ("time", "s"))
            .bar("w0", "read", 2.0, 0.5)
            .to_svg(),
        "plot \"Jobs\": bar \"read\" of row \"w0\" ends at 0.5 before it starts at 2
why: probably the two are swapped, or they were measured from different starting points
do:  take both from one Instant: t0.elapsed() before and after the work
     .bar(row, label, start, end)",
    );
}

#[test]
fn bad_size() {
    check(
        empty().series("s", [(1, 1)]).size(100, 30_000).to_svg(),
        "plot \"Speedup\": a size of 100 x 30000 pixels cannot be drawn
why: a picture is at least 160 x 120 and at most 16384 x 16384 pixels, its axes and texts included
do:  .size(640, 360), or leave .size out",
    );
    let figures: [Box<dyn Figure>; 6] = [
        Box::new(
            bar("t", ("x", ""), ("y", ""))
                .series("", [("a", 1)])
                .size(0, 0),
        ),
        Box::new(boxes("t", ("x", ""), ("y", "")).sample("", [1]).size(9, 9)),
        Box::new(
            histogram("t", ("x", ""))
                .samples("", [1])
                .size(u32::MAX, u32::MAX),
        ),
        Box::new(
            heat_map("t", ("x", ""), ("y", ""), ("z", ""))
                .rows([[1]])
                .size(0, 0),
        ),
        Box::new(timeline("t", ("x", "")).bar("", "", 0, 1).size(0, 0)),
        Box::new(panels(1, vec![Box::new(empty().series("s", [(1, 1)]))]).size(0, 0)),
    ];
    for figure in figures {
        assert!(matches!(figure.to_svg(), Err(PlotError::BadSize { .. })));
    }
}

#[test]
fn unknown_extension() {
    let figure = empty().series("s", [(1, 1)]);
    check(
        figure.save("out/plot.pdf").map(|()| String::new()),
        "save(\"out/plot.pdf\"): the name ends neither in .svg nor in .png
why: the ending says which kind of file is written, and these two can be
do:  figure.save(\"out/plot.svg\")    (or .png)",
    );
    assert!(matches!(
        figure.save("plot"),
        Err(PlotError::UnknownExtension { .. })
    ));
}

#[test]
fn cannot_write() {
    let figure = empty().series("s", [(1, 1)]);
    let error = figure.save("/nowhere/plot.svg").unwrap_err();
    assert_eq!(
        error.to_string(),
        "save(\"/nowhere/plot.svg\"): the file cannot be written
why: the system says: No such file or directory (os error 2)
do:  std::fs::create_dir_all(folder) if the folder is missing, or another path
     paths are relative to the notebook's folder"
    );
    assert!(std::error::Error::source(&error).is_some());
}

/// Without a worker there is no renderer.
#[test]
fn cannot_render_png() {
    let error = empty()
        .series("s", [(1, 1)])
        .save("plot.png")
        .unwrap_err()
        .to_string();
    let lines: Vec<_> = error.lines().collect();
    assert_eq!(
        lines[0],
        "save(\"plot.png\"): the picture cannot be turned into PNG"
    );
    assert!(
        lines[1].starts_with("why: ") && lines[1].len() > 10,
        "{error}"
    );
    assert_eq!(
        lines[2],
        "do:  figure.save(\"plot.svg\")    (SVG needs no renderer)"
    );
}

#[test]
fn drawing_failed() {
    struct Broken;
    impl Show for Broken {
        fn show(&self) -> crate::display::Bundle {
            crate::display::Bundle::new().text("Broken")
        }
    }
    impl Figure for Broken {
        fn to_svg(&self) -> Result<String, PlotError> {
            Ok("no image".into())
        }
    }
    check(
        panels(1, vec![Box::new(Broken)]).to_svg(),
        "plot \"Broken\": drawing failed
why: its to_svg gave no <svg> element
do:  for a figure of your own: let to_svg return a whole <svg> element with width and height
     for one of forkline's: this is a bug of forkline, please report it with the cell",
    );
}
