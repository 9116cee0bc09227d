//! What is in the pictures.

use super::*;

#[test]
fn every_kind_is_well_formed_in_both_forms_and_says_its_title() {
    for figure in one_of_each() {
        let bundle = figure.show();
        for mime in ["text/html", "image/svg+xml"] {
            let svg = bundle.get(mime).unwrap();
            check_xml(svg);
            assert!(
                svg.contains("R&amp;D &lt;&quot;fast&quot; &apos;n&apos; loose&gt;"),
                "{svg}"
            );
        }
        assert_eq!(bundle.get("image/svg+xml"), figure.to_svg().ok().as_deref());
        let text = bundle.get("text/plain").unwrap();
        assert!(
            text.starts_with("R&D <\"fast\" 'n' loose>\n") && text.lines().count() > 2,
            "{text}"
        );
    }
}

#[test]
fn html_takes_the_pages_colour_and_files_know_light_and_dark() {
    for figure in one_of_each() {
        let bundle = figure.show();
        let html = bundle.get("text/html").unwrap();
        assert!(html.starts_with("<svg "));
        assert!(html.contains(
            "color: var(--jp-content-font-color1, var(--vscode-editor-foreground, currentColor))"
        ));
        assert!(
            !html.contains("<style") && !html.contains(" id=") && !html.contains("class="),
            "collides on a page"
        );
        let svg = bundle.get("image/svg+xml").unwrap();
        assert!(svg.contains("@media (prefers-color-scheme: dark)") && !svg.contains("var("));
        for form in [html, svg] {
            assert!(form.contains("\"currentColor\""));
            assert!(!form.contains("#010203"));
        }
        let paper = figure.picture().unwrap().paper();
        assert!(!paper.contains("<style"));
        check_xml(&paper);
    }
}

#[test]
fn a_line_has_a_mark_for_each_point_and_its_labels() {
    let svg = line("Speedup", ("workers", ""), ("speedup", "×"))
        .series("measured", (1..=7).map(|n| (n, n)))
        .to_svg()
        .unwrap();
    // One more in the legend.
    assert_eq!(svg.matches("<circle").count(), 8, "{svg}");
    for text in ["Speedup", "workers", "speedup (×)", "measured"] {
        assert!(svg.contains(text), "{text}");
    }
}

#[test]
fn error_bars_reach_their_ends_in_either_order() {
    let with = |low, high| {
        line("t", ("x", ""), ("y", ""))
            .with_errors("", [(1.0, 5.0, low, high), (2.0, 6.0, 6.0, 6.0)])
    };
    let lines = |figure: &Lines| figure.to_svg().unwrap().matches("<line").count();
    assert_eq!(lines(&with(4.0, 7.0)), lines(&with(7.0, 4.0)));
}

#[test]
fn twins_in_words_hold_the_values() {
    let text = |figure: &dyn Figure| figure.show().plain_text();
    assert_eq!(
        text(
            &line("Speedup", ("workers", ""), ("speedup", "×"))
                .series("measured", [(1, 1.0), (4, 3.5)])
        ),
        "Speedup\nx: workers   y: speedup (×)\nmeasured: 2 points, x 1 to 4, y 1 to 3.5"
    );
    assert_eq!(
        text(
            &bar("Time", ("version", ""), ("time", "s"))
                .series("", [("naive", 2.5)])
                .with_errors("fast", [("naive", 1.0, 0.5, 2.0)])
        ),
        "Time\ntime (s) by version\nnaive 2.5\nfast: naive 1 (0.5 to 2)"
    );
    assert_eq!(
        text(&boxes("Time", ("lock", ""), ("time", "ns")).sample("std", [1, 2, 3, 4, 100])),
        "Time\ntime (ns) by lock\nstd: 5 samples, median 3, quartiles 2 to 4, whiskers 1 to 4, 1 outlier"
    );
    assert_eq!(
        text(
            &heat_map("Map", ("x", ""), ("y", ""), ("z", "K"))
                .rows([[1, 2], [3, 4]])
                .x_labels(["a", "b"])
        ),
        "Map\nx: x   y: y   colour: z (K)\n2 rows of 2; least 1 at x a, y 0, most 4 at x b, y 1"
    );
    assert_eq!(
        text(
            &timeline("Jobs", ("time", "s"))
                .bar("w0", "read", 0.0, 1.5)
                .bar("w0", "read", 2, 3)
        ),
        "Jobs\ntime (s): 0 to 3\nw0: 2 bars, 2.5 in all\nread: 2 bars, 2.5 in all"
    );
}

#[test]
fn bars_lie_where_their_names_are_long() {
    let bars = |name: &str| {
        let figure =
            bar("t", ("c", ""), ("v", "")).series("", (0..8).map(|at| (format!("{name}{at}"), at)));
        figure.picture().unwrap().height
    };
    assert_eq!(bars("a"), 360);
    assert_ne!(bars("averyveryverylongname"), 360);
}

#[test]
fn timeline_of_many_bars_stays_small_and_of_few_names_each() {
    let many = timeline("Tasks", ("time", "s"))
        .bars((0..50_000).map(|at| (format!("w{}", at % 4), "task", at as f64, at as f64 + 4.0)));
    let svg = many.to_svg().unwrap();
    assert!(svg.len() < 20_000, "{}", svg.len());
    let few = timeline("Tasks", ("time", "s"))
        .bar("w0", "read", 0.0, 1.0)
        .bar("w1", "write", 0.5, 1.0);
    let svg = few.to_svg().unwrap();
    assert!(svg.contains("<title>w0: read, 0 to 1</title>"));
    assert_eq!(
        svg.matches(">\nread\n<").count(),
        2,
        "in its bar and in the legend: {svg}"
    );
}

#[test]
fn large_data_make_no_large_pictures() {
    let wave = (0..200_000).map(|at| (at, f64::from(at % 977).sin()));
    let size = line("t", ("x", ""), ("y", ""))
        .series("", wave.clone())
        .to_svg()
        .unwrap()
        .len();
    assert!(size < 60_000, "{size}");
    assert!(
        scatter("t", ("x", ""), ("y", ""))
            .series("", wave)
            .to_svg()
            .unwrap()
            .len()
            < 1_500_000
    );
    let rows = (0..1_000).map(|row| (0..1_000).map(move |column| f64::from(row * column % 17)));
    assert!(
        heat_map("t", ("x", ""), ("y", ""), ("z", ""))
            .rows(rows)
            .to_svg()
            .unwrap()
            .len()
            < 900_000
    );
}

#[test]
fn awkward_data_are_drawn() {
    for values in [
        vec![5.0],
        vec![5.0, 5.0],
        vec![0.0],
        vec![1e-300, 1e300],
        vec![f64::MAX, f64::MIN],
        vec![-3.0, -2.0],
    ] {
        let points: Vec<_> = values.iter().map(|value| (*value, *value)).collect();
        check_xml(
            &line("t", ("x", ""), ("y", ""))
                .series("a", points.clone())
                .to_svg()
                .unwrap(),
        );
        check_xml(
            &scatter("t", ("x", ""), ("y", ""))
                .series("a", points.clone())
                .to_svg()
                .unwrap(),
        );
        check_xml(
            &bar("t", ("x", ""), ("y", ""))
                .series("a", points)
                .to_svg()
                .unwrap(),
        );
        check_xml(
            &histogram("t", ("x", ""))
                .samples("a", &values)
                .to_svg()
                .unwrap(),
        );
        check_xml(
            &boxes("t", ("x", ""), ("y", ""))
                .sample("a", &values)
                .to_svg()
                .unwrap(),
        );
        check_xml(
            &heat_map("t", ("x", ""), ("y", ""), ("z", ""))
                .rows([&values])
                .to_svg()
                .unwrap(),
        );
    }
}

#[test]
fn smallest_size_and_long_texts_are_drawn() {
    let long = "a title that is much too long for such a small picture ".repeat(9);
    for (width, height) in [MIN_SIZE, (160, 900), (900, 120)] {
        let figure = line(&long, (long.as_str(), ""), (long.as_str(), "m"))
            .series(&long, [(1, 1), (2, 2)])
            .size(width, height);
        check_xml(&figure.to_svg().unwrap());
        let figure = bar(&long, (long.as_str(), ""), ("", ""))
            .series(&long, [(&long, 1)])
            .size(width, height);
        check_xml(&figure.to_svg().unwrap());
    }
}

#[test]
fn panels_hold_each_figure_and_foreign_ones() {
    struct Own;
    impl Show for Own {
        fn show(&self) -> crate::display::Bundle {
            crate::display::Bundle::new().text("own")
        }
    }
    impl Figure for Own {
        fn to_svg(&self) -> Result<String, PlotError> {
            Ok("<?xml version=\"1.0\"?><svg width=\"200px\" height=\"120\"><g/></svg>".into())
        }
    }
    let small = || {
        Box::new(
            line("one", ("x", ""), ("y", ""))
                .series("", [(1, 2)])
                .size(300, 200),
        )
    };
    let figure = panels(2, vec![small(), Box::new(Own), small()]);
    let svg = figure.to_svg().unwrap();
    check_xml(&svg);
    assert_eq!(svg.matches("<svg ").count(), 1 + 3 + 1);
    assert!(
        svg.contains("width=\"512\" height=\"412\""),
        "{}",
        &svg[..200]
    );
    assert!(figure.show().plain_text().contains("\n\nown\n\n"));
    assert!(
        figure
            .clone()
            .size(256, 206)
            .to_svg()
            .unwrap()
            .contains("width=\"1500\" height=\"1000\"")
    );
}

#[test]
fn svg_files_are_written_whole() {
    let path = std::env::temp_dir().join(format!("forkline-plot-{}.SVG", std::process::id()));
    let figure = line("t", ("x", ""), ("y", "")).series("", [(1, 2)]);
    figure.save(path.to_str().unwrap()).unwrap();
    let written = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(written, figure.to_svg().unwrap());
}

#[test]
fn figures_travel_between_threads() {
    fn travels<T: Send + Sync + Clone + std::fmt::Debug + 'static>() {}
    travels::<Lines>();
    travels::<Scatter>();
    travels::<Bars>();
    travels::<Histogram>();
    travels::<Boxes>();
    travels::<HeatMap>();
    travels::<Timeline>();
    travels::<Panels>();
}
