//! The legend: below the plot, in as many rows as it needs, so that it never lies over data.

use super::canvas::{Anchor, Pen, Rect};
use super::frame::{Entry, Key};
use super::palette::FOREGROUND;
use super::text::{elide, width};

const SIZE: f64 = 12.0;
const ROW: f64 = 18.0;
/// From an entry's start to its text.
const KEY: f64 = 28.0;
const GAP: f64 = 18.0;
/// More rows would be a table, not a legend.
const MOST_ROWS: usize = 6;

/// The entries of each row, with where each begins.
fn rows(entries: &[Entry], total: f64) -> Vec<Vec<(f64, String, &Entry)>> {
    let mut row = Vec::new();
    let (mut x, mut widest) = (0.0, 0.0f64);
    for entry in entries.iter().filter(|entry| !entry.label.is_empty()) {
        let text = elide(&entry.label, SIZE, total * 0.42);
        let wide = KEY + width(&text, SIZE);
        row.push((x, text, entry));
        widest = widest.max(wide);
        x += wide + GAP;
    }
    if row.is_empty() {
        return Vec::new();
    }
    let room = total - 24.0 + GAP;
    if x <= room {
        return vec![row];
    }
    // Several rows stand in columns.
    let in_row = (room / (widest + GAP)).max(1.0) as usize;
    for (at, place) in row.iter_mut().enumerate() {
        place.0 = (at % in_row) as f64 * (widest + GAP);
    }
    row.chunks(in_row).map(<[_]>::to_vec).collect()
}

/// The height in pixels in a picture of this width; 0 without entries.
pub(super) fn height(entries: &[Entry], total: f64) -> f64 {
    let rows = rows(entries, total).len();
    if rows == 0 {
        0.0
    } else {
        ROW * rows.min(MOST_ROWS + 1) as f64 + 4.0
    }
}

pub(super) fn draw(pen: &mut Pen<'_>, entries: &[Entry], total: f64, top: f64) {
    let rows = rows(entries, total);
    let ends = rows
        .iter()
        .flatten()
        .map(|(x, text, _)| x + KEY + width(text, SIZE));
    let left = ((total - ends.fold(0.0, f64::max)) / 2.0).max(12.0);
    for (at, row) in rows.iter().take(MOST_ROWS).enumerate() {
        let y = top + 4.0 + ROW * (at as f64 + 0.5);
        for (x, text, entry) in row {
            key(pen, entry, left + x, y);
            pen.text(text, (left + x + KEY, y), SIZE, Anchor::Start, FOREGROUND);
        }
    }
    let left_out: usize = rows.iter().skip(MOST_ROWS).map(Vec::len).sum();
    if left_out > 0 {
        let y = top + 4.0 + ROW * (MOST_ROWS as f64 + 0.5);
        pen.text(
            &format!("and {left_out} more"),
            (total / 2.0, y),
            SIZE,
            Anchor::Middle,
            FOREGROUND,
        );
    }
}

fn key(pen: &mut Pen<'_>, entry: &Entry, x: f64, y: f64) {
    let (from, to, middle) = ((x, y), (x + 22.0, y), (x + 11.0, y));
    match entry.key {
        Key::Line(mark) => {
            pen.line(from, to, entry.ink, 2.0);
            if let Some(mark) = mark {
                pen.mark(mark, middle, entry.ink);
            }
        }
        Key::Dashed => {
            for dash in [0.0, 9.0, 18.0] {
                pen.line(
                    (x + dash, y),
                    ((x + dash + 6.0).min(to.0), y),
                    entry.ink,
                    2.0,
                );
            }
        }
        Key::Mark(mark) => pen.mark(mark, (x + 16.0, y), entry.ink),
        Key::Area => {
            let rect = Rect {
                left: x + 8.0,
                top: y - 6.0,
                right: x + 20.0,
                bottom: y + 6.0,
            };
            pen.rect(rect, entry.ink);
        }
    }
}
