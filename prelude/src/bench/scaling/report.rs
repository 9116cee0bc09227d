//! A measurement of scaling as a table and as three plots.

use std::fmt;

use super::{Scaling, ScalingKind, ScalingRow};
use crate::bench::resample::Interval;
use crate::bench::table::Table;
use crate::bench::units::{counted, seconds, significant, time_unit};
use crate::display::{Bundle, Show, escape};
use crate::plot::{self, Lines, Panels};

/// A fitted law is drawn through so many points at most; more would only make the image bigger.
const N_CURVE: usize = 100;
/// The size of one plot; three stand side by side.
const WIDTH: u32 = 310;
const HEIGHT: u32 = 270;

impl Scaling {
    /// Three plots over the number of workers: the median time with its quartiles, the speedup with the ideal
    /// line, the efficiency. Ideal lines and fitted laws are dashed.
    pub fn figure(&self) -> Panels {
        plot::panels(
            3,
            vec![
                Box::new(self.time_plot().size(WIDTH, HEIGHT)),
                Box::new(self.speedup_plot().size(WIDTH, HEIGHT)),
                Box::new(self.efficiency_plot().size(WIDTH, HEIGHT)),
            ],
        )
    }

    fn time_plot(&self) -> Lines {
        let longest = self.rows.iter().map(|row| row.timing.summary().q3);
        let (per_second, unit) = time_unit(longest.fold(0.0, f64::max));
        let measured = self.rows.iter().map(|row| {
            let summary = row.timing.summary();
            let [middle, low, high] =
                [summary.median, summary.q1, summary.q3].map(|time| time * per_second);
            (row.workers, middle, low, high)
        });
        let lines = plot::line("Time", ("workers", ""), ("time", unit))
            .with_errors("median, quartiles", measured);
        let (time, baseline) = (self.rows[0].timing.median() * per_second, self.baseline());
        let ideal = |n: usize| match self.kind {
            ScalingKind::Weak => time,
            ScalingKind::Strong => time * baseline as f64 / n as f64,
        };
        let lines = lines.dashed("ideal", self.curve(&ideal));
        match self.amdahl {
            Some(fit) => lines.dashed(
                "Amdahl, fitted",
                self.curve(&|n| fit.seconds(n) * per_second),
            ),
            None => lines,
        }
    }

    fn speedup_plot(&self) -> Lines {
        let baseline = self.baseline();
        let measured = self.rows.iter().map(|row| {
            let Interval { low, high } = row.speedup_interval.unwrap_or(Interval {
                low: row.speedup,
                high: row.speedup,
            });
            (row.workers, row.speedup, low, high)
        });
        let (title, label) = match self.kind {
            ScalingKind::Strong => ("Speedup", "speedup"),
            ScalingKind::Weak => ("Scaled speedup", "scaled speedup"),
        };
        let lines = plot::line(title, ("workers", ""), (label, ""))
            .with_errors("measured, 95 %", measured)
            .dashed("ideal", self.curve(&|n| n as f64 / baseline as f64));
        if let Some(fit) = self.amdahl {
            let base = fit.seconds(baseline);
            return lines.dashed("Amdahl, fitted", self.curve(&|n| base / fit.seconds(n)));
        }
        match self.gustafson {
            Some(fit) => lines.dashed("Gustafson, fitted", self.curve(&|n| fit.speedup(n))),
            None => lines,
        }
    }

    fn efficiency_plot(&self) -> Lines {
        let measured = self.rows.iter().map(|row| (row.workers, row.efficiency));
        plot::line("Efficiency", ("workers", ""), ("efficiency", ""))
            .series("measured", measured)
            .dashed("ideal", self.curve(&|_| 1.0))
    }

    /// Points of a line from the smallest to the largest count.
    fn curve(&self, height: &dyn Fn(usize) -> f64) -> Vec<(usize, f64)> {
        let (first, last) = (self.baseline(), self.rows[self.rows.len() - 1].workers);
        let step = (last - first).div_ceil(N_CURVE).max(1);
        (first..last)
            .step_by(step)
            .chain([last])
            .map(|n| (n, height(n)))
            .collect()
    }

    fn table(&self) -> Table {
        let (what, speedup) = match self.kind {
            ScalingKind::Strong => ("strong scaling (the same work for all)", "speedup"),
            ScalingKind::Weak => (
                "weak scaling (work grows with the workers)",
                "scaled speedup",
            ),
        };
        let has_metric = self.rows.iter().any(|row| row.karp_flatt.is_some());
        let mut head = vec![
            "workers",
            "median",
            "quartiles",
            speedup,
            "95 % interval",
            "efficiency",
        ];
        if has_metric {
            head.push("Karp-Flatt");
        }
        head.push("");
        let n_rounds = self.rows[0].timing.samples().len();
        Table {
            title: format!(
                "{what}, {}, baseline {}",
                counted(n_rounds, "round"),
                counted(self.baseline(), "worker")
            ),
            align: if has_metric { "rrrrrrrl" } else { "rrrrrrl" },
            head,
            rows: self.rows.iter().map(|row| cells(row, has_metric)).collect(),
            notes: self.notes(),
        }
    }

    /// The fitted law, what the marks mean, and the outliers.
    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let fit = self.amdahl.map(|fit| fit.to_string());
        let fit = fit.or_else(|| self.gustafson.map(|fit| fit.to_string()));
        notes.extend(fit.iter().flat_map(|text| text.lines()).map(str::to_owned));
        if self.rows.iter().any(|row| row.is_oversubscribed) {
            let cores = self.n_cores.map_or("known".into(), |n| counted(n, "core"));
            let left_out = if fit.is_some() {
                ", not in the fit"
            } else {
                ""
            };
            notes.push(format!(
                "oversubscribed: more workers than the {cores} that this process may use{left_out}"
            ));
        }
        if self.rows.iter().any(|row| row.is_superlinear) {
            notes.push("superlinear: above the ideal line by more than the spread".into());
        }
        notes.extend(self.rows.iter().filter_map(|row| {
            let words = row.timing.summary().outliers_in_words()?;
            Some(format!("{}: {words}", counted(row.workers, "worker")))
        }));
        notes
    }
}

fn cells(row: &ScalingRow, has_metric: bool) -> Vec<String> {
    let summary = row.timing.summary();
    let dash = || "-".to_owned();
    let interval = row.speedup_interval.map_or_else(dash, |interval| {
        let text = |value| significant(value, 3);
        format!("{} to {}", text(interval.low), text(interval.high))
    });
    let mut cells = vec![
        row.workers.to_string(),
        seconds(summary.median),
        format!("{} to {}", seconds(summary.q1), seconds(summary.q3)),
        significant(row.speedup, 3),
        interval,
        significant(row.efficiency, 3),
    ];
    if has_metric {
        let share = row
            .karp_flatt
            .map_or_else(dash, |share| format!("{share:.3}"));
        cells.push(share);
    }
    let marks = [
        (row.is_oversubscribed, "oversubscribed"),
        (row.is_superlinear, "superlinear"),
    ];
    let marks: Vec<&str> = marks
        .into_iter()
        .filter_map(|(is_so, mark)| is_so.then_some(mark))
        .collect();
    cells.push(marks.join(", "));
    cells
}

impl fmt::Display for Scaling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.table().text())
    }
}

impl Show for Scaling {
    /// One piece of HTML, since a front end shows either HTML or an image of a bundle. The figure is in the form
    /// that follows the theme; one that cannot be drawn is the text of its error.
    fn show(&self) -> Bundle {
        let figure = self.figure().show();
        let figure = match figure.get("text/html") {
            Some(html) => html.to_owned(),
            None => format!("<pre>{}</pre>", escape(&figure.plain_text())),
        };
        self.table().bundle(&format!("<div>{figure}</div>"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::tests::synthetic;
    use super::*;

    #[test]
    fn the_table_states_baseline_fit_and_marks() {
        let law = |n: f64| 0.1 * (0.05 + 0.95 / n.min(2.0));
        let found = synthetic(ScalingKind::Strong, &[1, 2, 4], 20, 2, law);
        let text = found.to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "strong scaling (the same work for all), 20 rounds, baseline 1 worker"
        );
        assert!(lines[1].ends_with("efficiency  Karp-Flatt"), "{text}");
        assert!(
            lines[2].trim_start().starts_with("1  ") && lines[2].ends_with('-'),
            "{text}"
        );
        assert!(lines[4].ends_with("  oversubscribed"), "{text}");
        assert!(
            lines[5].starts_with("Amdahl's law fitted: serial share 0.0"),
            "{text}"
        );
        assert!(
            text.contains(
                "oversubscribed: more workers than the 2 cores that this process may use, not in the fit"
            ),
            "{text}"
        );
    }

    #[test]
    fn a_weak_table_has_scaled_speedups_and_no_karp_flatt() {
        let found = synthetic(ScalingKind::Weak, &[1, 2, 4], 20, 8, |n| 0.9 + 0.1 * n);
        let text = found.to_string();
        assert!(
            text.starts_with("weak scaling (work grows with the workers), 20 rounds"),
            "{text}"
        );
        assert!(
            text.contains("scaled speedup") && !text.contains("Karp-Flatt"),
            "{text}"
        );
        assert!(
            text.contains("Gustafson's law fitted: serial share 0."),
            "{text}"
        );
    }

    #[test]
    fn the_html_has_table_and_figure() {
        let found = synthetic(ScalingKind::Strong, &[1, 2], 6, 8, |n| 1.0 / n);
        let bundle = found.show();
        let html = bundle.get("text/html").unwrap();
        assert!(html.starts_with("<table>") && html.ends_with("</div>"));
        assert!(html.contains("<svg"));
        // The form that follows the theme has no style of its own.
        assert!(html.contains("--jp-content-font-color1") && !html.contains("<style"));
        assert_eq!(bundle.plain_text(), found.to_string());
    }

    #[test]
    fn curves_reach_from_the_first_to_the_last_count() {
        let found = synthetic(ScalingKind::Strong, &[1, 2, 1000], 6, 8, |n| 1.0 / n);
        let curve = found.curve(&|n| n as f64);
        assert_eq!((curve[0].0, curve[curve.len() - 1].0), (1, 1000));
        assert!(curve.len() <= N_CURVE + 1);
        let alone = synthetic(ScalingKind::Strong, &[3], 6, 8, |n| 1.0 / n);
        assert_eq!(alone.curve(&|_| 1.0), [(3, 1.0)]);
    }
}
