//! What a bar looks like, as text and as HTML.

use std::fmt;
use std::time::Duration;

use crate::display::{Bundle, Show, escape};

/// How a bar has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// There was nothing more to do.
    Whole,
    /// It was left early.
    Stopped,
}

/// A bar at one moment.
pub(super) struct Line<'a> {
    pub(super) name: &'a str,
    pub(super) message: &'a str,
    pub(super) done: u64,
    pub(super) total: Option<u64>,
    pub(super) elapsed: Duration,
    pub(super) end: Option<End>,
}

/// The text bar's width in characters.
const N_CELLS: u64 = 10;
/// What is longer is cut: the line must fit into a terminal.
const MAX_TEXT: usize = 40;

impl Line<'_> {
    /// From 0 to 1, if the total can be right.
    fn share(&self) -> Option<f64> {
        match self.total {
            Some(0) => Some(1.0),
            Some(total) if self.done <= total => Some(self.done as f64 / total as f64),
            _ => None,
        }
    }

    /// Rounded down: 100 % means all.
    fn percent(&self) -> Option<u64> {
        self.share().map(|share| (share * 100.0).floor() as u64)
    }

    fn count(&self) -> String {
        match self.total {
            Some(total) => format!("{}/{total}", self.done),
            None => self.done.to_string(),
        }
    }

    /// `[00:12<00:14, 37.2/s]`: elapsed, remaining while it runs, and the speed.
    fn times(&self) -> String {
        let seconds = self.elapsed.as_secs_f64();
        let per_second = self.done as f64 / seconds.max(1e-9);
        let remaining = match (self.total, self.end) {
            (Some(total), None) if self.done > 0 && self.done <= total => {
                format!("<{}", clock((total - self.done) as f64 / per_second))
            }
            _ => String::new(),
        };
        let rate = match self.done {
            0 => String::new(),
            _ => format!(", {}", rate(per_second)),
        };
        format!("[{}{remaining}{rate}]", clock(seconds))
    }

    /// What is out of the ordinary.
    fn remark(&self) -> Option<String> {
        match (self.end, self.total) {
            (_, Some(total)) if self.done > total => {
                Some(format!("more items than the {total} that were told"))
            }
            (Some(End::Stopped), Some(total)) => {
                Some(format!("stopped at {} of {total}", self.done))
            }
            (Some(End::Stopped), None) => Some(format!("stopped at {}", self.done)),
            (Some(End::Whole), Some(total)) if self.done < total => Some(format!(
                "ended: fewer items than the {total} that were told"
            )),
            _ => None,
        }
    }

    /// Message and remark, each after two spaces or so.
    fn tail(&self) -> Vec<String> {
        let message = Some(cut(self.message)).filter(|message| !message.is_empty());
        self.remark().into_iter().chain(message).collect()
    }
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = cut(self.name);
        if !name.is_empty() {
            write!(f, "{name} ")?;
        }
        if let (Some(share), Some(percent)) = (self.share(), self.percent()) {
            write!(f, "{percent:>3} %|{}| ", cells(share))?;
        }
        write!(f, "{} {}", self.count(), self.times())?;
        for text in self.tail() {
            write!(f, " {text}")?;
        }
        Ok(())
    }
}

impl Show for Line<'_> {
    /// Colours are the theme's; outside JupyterLab, ones that are readable on light and on dark.
    fn show(&self) -> Bundle {
        let mut parts = Vec::new();
        let name = cut(self.name);
        if !name.is_empty() {
            parts.push(format!("<span>{}</span>", escape(&name)));
        }
        if let (Some(share), Some(percent)) = (self.share(), self.percent()) {
            let color = match (self.end, self.remark()) {
                (Some(_), Some(_)) => "var(--jp-warn-color1, #f57c00)",
                (Some(_), None) => "var(--jp-success-color1, #388e3c)",
                (None, _) => "var(--jp-brand-color1, #2196f3)",
            };
            parts.push(format!(
                "<span role=\"progressbar\" aria-valuenow=\"{percent}\" aria-valuemin=\"0\" aria-valuemax=\"100\" \
                 style=\"flex:0 1 16em;min-width:5em;height:0.7em;border-radius:0.35em;overflow:hidden;\
                 border:1px solid currentColor;opacity:0.85\"><span style=\"display:block;height:100%;\
                 width:{:.1}%;background:{color}\"></span></span><span>{percent} %</span>",
                share * 100.0
            ));
        }
        parts.push(format!("<span>{}</span>", escape(&self.count())));
        parts.push(format!(
            "<span style=\"opacity:0.75\">{}</span>",
            escape(&self.times())
        ));
        parts.extend(
            self.tail()
                .iter()
                .map(|text| format!("<span>{}</span>", escape(text))),
        );
        let html = format!(
            "<div style=\"display:flex;flex-wrap:wrap;align-items:center;gap:0.6em;color:currentColor;\
             font-variant-numeric:tabular-nums\">{}</div>",
            parts.concat()
        );
        Bundle::new().html(html).text(self.to_string())
    }
}

/// The bar in eighths of a character.
fn cells(share: f64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let n = (share * (N_CELLS * 8) as f64).floor() as u64;
    let mut cells = "█".repeat((n / 8) as usize);
    cells.push_str(EIGHTHS[(n % 8) as usize]);
    let n_blank = N_CELLS as usize - cells.chars().count();
    cells + &" ".repeat(n_blank)
}

/// `01:05`, or `2:01:05` from an hour on.
fn clock(seconds: f64) -> String {
    let whole = seconds.round().min(1e9) as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    match hours {
        0 => format!("{minutes:02}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

/// `37.2/s`; slow ones as the time of one item, since `0.02/s` says little.
fn rate(per_second: f64) -> String {
    match per_second {
        1e6.. => format!("{:.3}M/s", per_second / 1e6),
        1e4.. => format!("{:.1}k/s", per_second / 1e3),
        100.0.. => format!("{per_second:.0}/s"),
        1.0.. => format!("{per_second:.1}/s"),
        _ => format!("{:.1} s each", 1.0 / per_second),
    }
}

/// One line of at most [`MAX_TEXT`] characters.
fn cut(text: &str) -> String {
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if line.chars().count() <= MAX_TEXT {
        return line;
    }
    line.chars().take(MAX_TEXT - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(done: u64, total: Option<u64>, end: Option<End>) -> Line<'static> {
        Line {
            name: "name",
            message: "",
            done,
            total,
            elapsed: Duration::from_millis(12_100),
            end,
        }
    }

    #[test]
    fn a_running_bar_says_how_far_how_fast_and_how_long() {
        assert_eq!(
            line(450, Some(1000), None).to_string(),
            "name  45 %|████▌     | 450/1000 [00:12<00:15, 37.2/s]"
        );
        assert_eq!(
            line(0, Some(1000), None).to_string(),
            "name   0 %|          | 0/1000 [00:12]"
        );
        assert_eq!(
            line(450, None, None).to_string(),
            "name 450 [00:12, 37.2/s]"
        );
        assert_eq!(
            line(999, Some(1000), None).percent(),
            Some(99),
            "100 % means all"
        );
    }

    #[test]
    fn the_end_says_whether_all_was_done() {
        assert_eq!(
            line(1000, Some(1000), Some(End::Whole)).to_string(),
            "name 100 %|██████████| 1000/1000 [00:12, 82.6/s]"
        );
        assert_eq!(
            line(450, Some(1000), Some(End::Stopped)).to_string(),
            "name  45 %|████▌     | 450/1000 [00:12, 37.2/s] stopped at 450 of 1000"
        );
        assert_eq!(
            line(450, None, Some(End::Stopped)).to_string(),
            "name 450 [00:12, 37.2/s] stopped at 450"
        );
    }

    #[test]
    fn a_wrong_total_is_said() {
        for end in [None, Some(End::Whole), Some(End::Stopped)] {
            let text = line(1200, Some(1000), end).to_string();
            assert_eq!(
                text,
                "name 1200/1000 [00:12, 99.2/s] more items than the 1000 that were told"
            );
        }
        assert!(
            line(900, Some(1000), Some(End::Whole))
                .to_string()
                .ends_with("ended: fewer items than the 1000 that were told")
        );
        assert_eq!(line(0, Some(0), Some(End::Whole)).percent(), Some(100));
    }

    #[test]
    fn html_is_escaped_and_coloured_by_the_theme() {
        let bar = Line {
            name: "<a>",
            message: "b & c\nd",
            ..line(1, Some(2), None)
        };
        let shown = bar.show();
        let html = shown.get("text/html").unwrap();
        for part in [
            "&lt;a&gt;",
            "b &amp; c d",
            "width:50.0%",
            "var(--jp-brand-color1, #2196f3)",
            "currentColor",
        ] {
            assert!(html.contains(part), "{part} is not in {html}");
        }
        assert_eq!(shown.plain_text(), bar.to_string());
    }

    #[test]
    fn times_and_rates_are_short() {
        assert_eq!([clock(65.0), clock(7_265.4)], ["01:05", "2:01:05"]);
        assert_eq!(
            [0.25, 37.25, 850.0, 12_345.0, 2_500_000.0].map(rate),
            ["4.0 s each", "37.2/s", "850/s", "12.3k/s", "2.500M/s"]
        );
        assert_eq!(cut(&"x".repeat(50)).chars().count(), MAX_TEXT);
    }
}
