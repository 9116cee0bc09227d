//! The last value of each rank, as a table: what the last expression of a cell was there, and how long the cell took.

use super::{Told, failure};
use crate::magics::readable;
use crate::session::bundle;
use crate::session::outputs::RunTimes;
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// A rank's last value.
#[derive(Clone)]
pub struct Last {
    pub rank: u32,
    value: Option<String>,
    times: RunTimes,
}

/// Those of a cell that has run; none if no rank had one.
pub fn of<'a>(ranks: impl Iterator<Item = (&'a u32, &'a Told)>) -> Option<Vec<Last>> {
    let all: Vec<Last> = ranks
        .map(|(rank, told)| Last {
            rank: *rank,
            value: told.shown.clone(),
            times: told.times,
        })
        .collect();
    all.iter().any(|last| last.value.is_some()).then_some(all)
}

/// The table, as text and as HTML, with a line about numbers and about the slowest rank.
pub fn bundle(all: &[Last]) -> Map<String, Value> {
    let rows: Vec<[String; 4]> = all
        .iter()
        .map(|last| {
            let times = &last.times;
            [
                last.rank.to_string(),
                last.value.clone().unwrap_or_else(|| "none".to_owned()),
                readable(times.wall),
                readable(times.user + times.system),
            ]
        })
        .collect();
    let summary = summary(all);
    let mut data = bundle::text(&format!("{}{summary}", text(&rows)));
    data.insert("text/html".to_owned(), Value::from(html(&rows, &summary)));
    data
}

const TITLES: [&str; 4] = ["rank", "value", "wall", "processor"];

fn text(rows: &[[String; 4]]) -> String {
    // A value of several lines has its own lines, under each other.
    let width = |column: usize| {
        let cells = rows.iter().flat_map(|row| row[column].lines());
        let longest = cells.map(|line| line.chars().count()).max();
        longest.unwrap_or(0).max(TITLES[column].len())
    };
    let widths = [width(0), width(1), width(2), width(3)];
    let line = |cells: [&str; 4]| {
        let [rank, value, wall, processor] = cells;
        let text = format!(
            "{rank:>0$}  {value:<1$}  {wall:>2$}  {processor:>3$}",
            widths[0], widths[1], widths[2], widths[3]
        );
        format!("{}\n", text.trim_end())
    };
    let mut text = line(TITLES);
    for [rank, value, wall, processor] in rows {
        let mut lines = value.lines();
        text += &line([rank, lines.next().unwrap_or_default(), wall, processor]);
        for rest in lines {
            text += &line(["", rest, "", ""]);
        }
    }
    text
}

fn html(rows: &[[String; 4]], summary: &str) -> String {
    let escaped = |text: &str| {
        text.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
    };
    let mut html =
        "<table><thead><tr><th>rank</th><th style=\"text-align:left\">value</th><th>wall</th>\
                    <th>processor</th></tr></thead><tbody>"
            .to_owned();
    for [rank, value, wall, processor] in rows {
        let _ = write!(
            html,
            "<tr><td>{rank}</td><td style=\"text-align:left\"><code style=\"white-space:pre-wrap\">{}</code></td>\
             <td>{wall}</td><td>{processor}</td></tr>",
            escaped(value)
        );
    }
    let _ = write!(html, "</tbody></table><p>{}</p>", escaped(summary));
    html
}

fn summary(all: &[Last]) -> String {
    let mut text = String::new();
    let numbers_of: Option<Vec<f64>> = all
        .iter()
        .map(|last| last.value.as_ref()?.parse().ok())
        .collect();
    if let Some(values) = numbers_of.filter(|values| values.len() > 1) {
        let sum: f64 = values.iter().sum();
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mean = sum / values.len() as f64;
        let mean = (mean * 1e6).round() / 1e6;
        text += &format!("sum {sum}, mean {mean}, from {least} to {most}; ");
    }
    let wall = |last: &&Last| last.times.wall;
    if let (Some(slowest), Some(fastest)) =
        (all.iter().max_by_key(wall), all.iter().min_by_key(wall))
    {
        text += &format!(
            "the cell took {} on {}, {} on {}",
            readable(fastest.times.wall),
            failure::named(&[fastest.rank]),
            readable(slowest.times.wall),
            failure::named(&[slowest.rank]),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn last(rank: u32, value: Option<&str>, millis: u64) -> Last {
        let times = RunTimes {
            wall: Duration::from_millis(millis),
            ..RunTimes::default()
        };
        Last {
            rank,
            value: value.map(str::to_owned),
            times,
        }
    }

    #[test]
    fn numbers_are_summed_up_and_the_slowest_rank_is_named() {
        let data = bundle(&[last(0, Some("1"), 5), last(1, Some("2.5"), 20)]);
        let text = data["text/plain"].as_str().unwrap();
        assert!(text.starts_with("rank  value"), "{text}");
        assert!(text.contains("sum 3.5, mean 1.75, from 1 to 2.5"), "{text}");
        assert!(
            text.contains("5.00 ms on rank 0, 20.0 ms on rank 1"),
            "{text}"
        );
    }

    #[test]
    fn a_value_of_several_lines_stays_in_its_column() {
        let data = bundle(&[last(0, Some("[\n    1,\n]"), 1), last(1, Some("<b>"), 1)]);
        let text = data["text/plain"].as_str().unwrap();
        assert!(text.contains("\n          1,\n      ]\n"), "{text}");
        assert!(data["text/html"].as_str().unwrap().contains("&lt;b&gt;"));
    }
}
