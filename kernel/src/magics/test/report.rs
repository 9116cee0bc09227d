//! The table of a run of tests, and the texts below it.

use super::options::Counts;
use super::outcome::Verdict;
use crate::magics::readable;
use serde_json::{Map, Value};
use std::fmt::Write as _;
use std::time::Duration;

/// A line of the table.
pub struct Row {
    pub name: String,
    pub verdict: Verdict,
    /// First line of what there is to say.
    pub reason: String,
    /// Where its panic was, as messages have it.
    pub place: String,
    /// None of a test that did not run.
    pub elapsed: Option<Duration>,
}

/// How many tests ended in each way.
pub fn counts(rows: &[Row]) -> Counts {
    let count = |verdict| rows.iter().filter(|row| row.verdict == verdict).count();
    Counts {
        passed: count(Verdict::Ok),
        failures: count(Verdict::Failure),
        errors: count(Verdict::Error),
        ignored: count(Verdict::Ignored),
    }
}

/// The same in words.
pub fn summary(rows: &[Row]) -> String {
    let counts = counts(rows);
    let mut text = match rows.len() {
        1 => "1 test: ".to_owned(),
        many => format!("{many} tests: "),
    };
    let _ = write!(text, "{} passed", counts.passed);
    for (number, one, many) in [
        (counts.failures, "failure", "failures"),
        (counts.errors, "error", "errors"),
        (counts.ignored, "ignored", "ignored"),
    ] {
        if number > 0 {
            let _ = write!(text, ", {number} {}", if number == 1 { one } else { many });
        }
    }
    text
}

/// The table with a line below it, as text and as HTML.
pub fn table(rows: &[Row], below: &str) -> Map<String, Value> {
    let cells: Vec<[String; 4]> = rows
        .iter()
        .map(|row| {
            let remark = match (row.place.is_empty(), row.reason.is_empty()) {
                (true, _) => row.reason.clone(),
                (false, true) => row.place.clone(),
                (false, false) => format!("{}: {}", row.place, row.reason),
            };
            [
                row.name.clone(),
                row.verdict.word().to_owned(),
                row.elapsed.map_or(String::new(), readable),
                remark,
            ]
        })
        .collect();
    let mut data = Map::new();
    data.insert("text/plain".to_owned(), Value::from(plain(&cells, below)));
    data.insert(
        "text/html".to_owned(),
        Value::from(html(rows, &cells, below)),
    );
    data
}

const HEAD: [&str; 4] = ["test", "result", "time", ""];

fn plain(cells: &[[String; 4]], below: &str) -> String {
    let mut widths = HEAD.map(str::len);
    for row in cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    let mut line = |row: [&str; 4]| {
        let [name, result, time, remark] = row;
        let [w, r, t, _] = widths;
        let whole = format!("{name:w$}  {result:r$}  {time:>t$}  {remark}");
        text.push_str(whole.trim_end());
        text.push('\n');
    };
    line(HEAD);
    for row in cells {
        line(row.each_ref().map(String::as_str));
    }
    text + below
}

fn html(rows: &[Row], cells: &[[String; 4]], below: &str) -> String {
    let mut text = String::from("<table><thead><tr>");
    for head in HEAD {
        let _ = write!(text, "<th style=\"text-align:left\">{head}</th>");
    }
    text.push_str("</tr></thead><tbody>");
    for (row, [name, result, time, remark]) in rows.iter().zip(cells) {
        let colour = match row.verdict {
            Verdict::Ok => "#2e7d32",
            Verdict::Failure | Verdict::Error => "#c62828",
            Verdict::Ignored => "#757575",
        };
        let _ = write!(
            text,
            "<tr><td style=\"text-align:left\"><code>{}</code></td>\
             <td style=\"text-align:left;color:{colour}\">{result}</td>\
             <td style=\"text-align:right\">{time}</td><td style=\"text-align:left\">{}</td></tr>",
            escaped(name),
            escaped(remark)
        );
    }
    let _ = write!(text, "</tbody></table><p>{}</p>", escaped(below));
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, verdict: Verdict) -> Row {
        Row {
            name: name.to_owned(),
            verdict,
            reason: "a < b".to_owned(),
            place: String::new(),
            elapsed: Some(Duration::from_millis(3)),
        }
    }

    #[test]
    fn the_summary_counts_each_way_to_end() {
        let rows = [
            row("a", Verdict::Ok),
            row("b", Verdict::Failure),
            row("c", Verdict::Error),
        ];
        assert_eq!(summary(&rows), "3 tests: 1 passed, 1 failure, 1 error");
        assert_eq!(summary(&rows[..1]), "1 test: 1 passed");
    }

    #[test]
    fn both_forms_have_every_test() {
        let data = table(&[row("m::a", Verdict::Ok)], "1 test");
        let plain = data["text/plain"].as_str().unwrap();
        assert_eq!(
            plain,
            "test  result     time\nm::a  ok      3.00 ms  a < b\n1 test"
        );
        let html = data["text/html"].as_str().unwrap();
        assert!(html.contains("m::a") && html.contains("a &lt; b"), "{html}");
    }
}
