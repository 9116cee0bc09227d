//! The machine in one line, beside the results that it made, and as data in the notebook's file.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use super::show::size;
use super::{DeviceInfo, facts};
use crate::display::{Bundle, Show, display, escape};
use crate::json;

/// Under this key stands the stamp in an output's metadata.
const KEY: &str = "forkline";

/// The machine at a moment: what a later reader must know of a measurement.
///
/// The notebook's file keeps it as JSON in the output's metadata, under `forkline`: `time` (UTC, ISO 8601),
/// `cpu`, `cores_physical`, `cores_logical`, `cpus_usable`, `memory` (bytes), `os_kernel`, `is_virtual`,
/// `load` (of the last minute), `rustc`, `forkline`. What is unknown is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    facts: DeviceInfo,
    /// Seconds since 1970 in UTC.
    unix_seconds: u64,
}

/// Shows the machine and the time in one line, which the notebook's file keeps as data too.
pub fn stamp() {
    display(&Stamp::now());
}

impl Stamp {
    /// The machine now. Nothing is shown.
    pub fn now() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            facts: facts(),
            unix_seconds: since_1970.map_or(0, |since| since.as_secs()),
        }
    }

    /// The stamp as a JSON object.
    pub fn json(&self) -> String {
        let facts = &self.facts;
        let text = |text: &Option<String>| text.as_deref().map(json::string);
        let number = |n: Option<usize>| n.map(|n| n.to_string());
        let load = facts.load.map(|load| format!("{:.2}", load.one_minute()));
        let entries = [
            ("time", Some(json::string(&utc(self.unix_seconds)))),
            ("cpu", text(&facts.cpu_model)),
            ("cores_physical", number(facts.cores_physical)),
            ("cores_logical", number(facts.cores_logical)),
            ("cpus_usable", number(facts.cpus_usable)),
            ("memory", facts.memory_total.map(|bytes| bytes.to_string())),
            ("os_kernel", text(&facts.os_kernel)),
            ("is_virtual", facts.is_virtual.map(|is| is.to_string())),
            ("load", load),
            ("rustc", Some(json::string(facts.rustc))),
            ("forkline", Some(json::string(facts.forkline))),
        ];
        json::object(
            entries
                .into_iter()
                .filter_map(|(key, value)| Some((key, value?))),
        )
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let facts = &self.facts;
        let parts = [
            facts.cpu_model.clone(),
            facts.cpus_usable.map(|n| format!("{n} usable cores")),
            facts.memory_total.map(size),
            facts
                .os_kernel
                .as_ref()
                .map(|release| format!("Linux {release}")),
            // `rustc 1.95.0 (59807616e 2026-04-14)` without its commit.
            facts.rustc.split(" (").next().map(str::to_owned),
            Some(format!("forkline {}", facts.forkline)),
            facts
                .load
                .map(|load| format!("load {:.2}", load.one_minute())),
            Some(utc(self.unix_seconds)),
        ];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        write!(f, "{}", parts.join(" · "))
    }
}

impl Show for Stamp {
    fn show(&self) -> Bundle {
        let text = self.to_string();
        let html = format!(
            "<div style=\"font-size:85%;opacity:0.75\">{}</div>",
            escape(&text)
        );
        Bundle::new()
            .html(html)
            .text(text)
            .metadata(KEY, self.json())
    }
}

/// `2026-11-24T22:05:09Z`. The years are counted from March, so that leap days come last (Hinnant, "chrono-Compatible
/// Low-Level Date Algorithms", 2013).
fn utc(unix_seconds: u64) -> String {
    let (days, second) = (unix_seconds / 86_400, unix_seconds % 86_400);
    // Day 0 is 0000-03-01; 400 years have 146,097 days.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months from March on have 31, 30, 31, 30, 31 days and so on: 153 days for five.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests {
    use super::super::Load;
    use super::*;
    use crate::tests::host::turn;

    #[test]
    fn seconds_become_dates() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(utc(seconds), text);
        }
    }

    fn made_up() -> Stamp {
        Stamp {
            facts: DeviceInfo {
                cpu_model: Some("Some <CPU>".into()),
                cores_logical: Some(4),
                cpus_usable: Some(2),
                memory_total: Some(1 << 34),
                os_kernel: Some("6.1".into()),
                load: Load::read("0.50 0.4 0.3 1/80 7"),
                rustc: "rustc 1.95.0 (abc 2026)",
                forkline: "0.1.0",
                ..Default::default()
            },
            unix_seconds: 0,
        }
    }

    #[test]
    fn a_stamp_is_one_line_and_data() {
        let stamp = made_up();
        let line = "Some <CPU> · 2 usable cores · 16 GiB · Linux 6.1 · rustc 1.95.0 · forkline 0.1.0 · load 0.50 · 1970-01-01T00:00:00Z";
        assert_eq!(stamp.to_string(), line);
        let data = r#"{"time":"1970-01-01T00:00:00Z","cpu":"Some <CPU>","cores_logical":4,"cpus_usable":2,"memory":17179869184,"os_kernel":"6.1","load":0.50,"rustc":"rustc 1.95.0 (abc 2026)","forkline":"0.1.0"}"#;
        assert_eq!(stamp.json(), data);
        assert!(json::is_valid(data));
        let html = stamp.show();
        assert!(html.get("text/html").unwrap().contains("Some &lt;CPU&gt;"));
    }

    #[test]
    fn the_data_goes_into_the_outputs_metadata() {
        let turn = turn();
        stamp();
        let (kind, frame) = turn.frame();
        assert_eq!(kind, crate::rt::DISPLAY);
        assert!(json::is_valid(&frame), "{frame}");
        assert!(
            frame.contains(r#""metadata":{"forkline":{"time":"2"#),
            "{frame}"
        );
    }
}
