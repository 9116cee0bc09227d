//! What was recorded: rows of spans on one clock.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::time::Duration;

/// One span of a trace. Times are nanoseconds of CLOCK_MONOTONIC, as [`now`](super::now) gives them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recorded {
    /// The name that [`span`](super::span) was given.
    pub name: Cow<'static, str>,
    /// When it began, in nanoseconds.
    pub start_ns: u64,
    /// When it ended, in nanoseconds; never before `start_ns`.
    pub end_ns: u64,
}

impl Recorded {
    pub(crate) fn new(name: impl Into<Cow<'static, str>>, start_ns: u64, end_ns: u64) -> Self {
        Self {
            name: name.into(),
            start_ns,
            end_ns: end_ns.max(start_ns),
        }
    }

    /// How long it took.
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.end_ns - self.start_ns)
    }
}

/// The spans of one worker, by their start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Empty for this process; else the prefix under which it was merged.
    pub(super) group: String,
    name: String,
    spans: Vec<Recorded>,
}

impl Row {
    pub(super) fn new(group: String, name: String, mut spans: Vec<Recorded>) -> Self {
        sort(&mut spans);
        Self { group, name, spans }
    }

    /// The worker's name, with the prefix under which it was merged.
    pub fn name(&self) -> String {
        match self.group.as_str() {
            "" => self.name.clone(),
            group => format!("{group}: {}", self.name),
        }
    }

    pub(super) fn own_name(&self) -> &str {
        &self.name
    }

    /// The spans, by their start; an outer span comes before the spans in it.
    pub fn spans(&self) -> &[Recorded] {
        &self.spans
    }

    /// The time in which the worker was in at least one span. Spans within spans do not count twice.
    pub fn busy(&self) -> Duration {
        let mut busy = 0;
        let mut until = 0;
        for span in &self.spans {
            busy += span.end_ns.saturating_sub(span.start_ns.max(until));
            until = until.max(span.end_ns);
        }
        Duration::from_nanos(busy)
    }
}

fn sort(spans: &mut [Recorded]) {
    spans.sort_by_key(|span| (span.start_ns, std::cmp::Reverse(span.end_ns)));
}

/// What was recorded. As the last expression of a cell it is a timeline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// The time that it covers; `None` while nothing is in it.
    range_ns: Option<(u64, u64)>,
    rows: Vec<Row>,
    n_open: u64,
    n_dropped: u64,
}

impl Trace {
    /// An empty trace, to be filled by hand.
    pub fn new() -> Self {
        Self::default()
    }

    /// A trace of rows that others recorded, in their order of names; a row may be empty.
    pub(crate) fn of_rows(
        range_ns: (u64, u64),
        rows: impl IntoIterator<Item = (String, Vec<Recorded>)>,
        n_open: u64,
        n_dropped: u64,
    ) -> Self {
        let rows = rows.into_iter();
        let rows = rows.map(|(name, spans)| Row::new(String::new(), name, spans));
        Self::recorded(range_ns.0, range_ns.1, rows.collect(), n_open, n_dropped)
    }

    /// Where the time ends, in nanoseconds.
    pub(crate) fn end_ns(&self) -> u64 {
        self.range_ns.unwrap_or_default().1
    }

    pub(super) fn recorded(
        start_ns: u64,
        end_ns: u64,
        rows: Vec<Row>,
        n_open: u64,
        n_dropped: u64,
    ) -> Self {
        let mut trace = Self {
            range_ns: Some((start_ns, end_ns)),
            rows: Vec::new(),
            n_open,
            n_dropped,
        };
        for row in rows {
            trace.take_row(row);
        }
        trace.sort_rows();
        trace
    }

    /// Adds a span to a row, which is made if there is none of that name. Times are nanoseconds of
    /// [`now`](super::now); an end before its start counts as the start.
    pub fn add(
        &mut self,
        row: &str,
        name: impl Into<Cow<'static, str>>,
        start_ns: u64,
        end_ns: u64,
    ) {
        let span = Recorded::new(name, start_ns, end_ns);
        self.widen(span.start_ns, span.end_ns);
        self.take_row(Row::new(String::new(), row.to_owned(), vec![span]));
        self.sort_rows();
    }

    /// Takes in the rows of another trace of the same machine, as of another process or rank: the row
    /// `main` becomes `prefix: main`. With an empty prefix rows of one name become one row.
    ///
    /// Both have the clock of the machine, so nothing is shifted.
    pub fn merge(&mut self, other: Trace, prefix: &str) {
        if let Some((start, end)) = other.range_ns {
            self.widen(start, end);
        }
        for mut row in other.rows {
            row.group = match (prefix, row.group.as_str()) {
                ("", _) => row.group,
                (_, "") => prefix.to_owned(),
                (_, group) => format!("{prefix}: {group}"),
            };
            self.take_row(row);
        }
        self.n_open += other.n_open;
        self.n_dropped += other.n_dropped;
        self.sort_rows();
    }

    /// The rows: `main` first, then by name, with numbers in names in the order of numbers; what was merged
    /// comes after, by prefix.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The row of that name.
    pub fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name() == name)
    }

    /// How many spans there are in all rows.
    pub fn n_spans(&self) -> usize {
        self.rows.iter().map(|row| row.spans.len()).sum()
    }

    /// The time that is covered: from start to stop, or from the first start to the last end of what was
    /// added by hand and merged.
    pub fn elapsed(&self) -> Duration {
        let (start, end) = self.range_ns.unwrap_or_default();
        Duration::from_nanos(end - start)
    }

    /// Where the time begins, in nanoseconds of [`now`](super::now); 0 for an empty trace.
    pub fn start_ns(&self) -> u64 {
        self.range_ns.unwrap_or_default().0
    }

    /// Spans that had begun in the recording and not ended at its end. They are in no row.
    pub fn n_open(&self) -> u64 {
        self.n_open
    }

    /// Spans that found no place, since there were more than [`MAX_SPANS`](super::MAX_SPANS).
    pub fn n_dropped(&self) -> u64 {
        self.n_dropped
    }

    pub(super) fn is_blank(&self) -> bool {
        self.range_ns.is_none()
    }

    fn widen(&mut self, start_ns: u64, end_ns: u64) {
        let (start, end) = self.range_ns.unwrap_or((start_ns, end_ns));
        self.range_ns = Some((start.min(start_ns), end.max(end_ns)));
    }

    fn take_row(&mut self, row: Row) {
        let same = |other: &&mut Row| other.group == row.group && other.name == row.name;
        match self.rows.iter_mut().find(same) {
            Some(other) => {
                other.spans.extend(row.spans);
                sort(&mut other.spans);
            }
            None => self.rows.push(row),
        }
    }

    fn sort_rows(&mut self) {
        self.rows.sort_by(|a, b| {
            natural(&a.group, &b.group)
                .then_with(|| (a.name != "main").cmp(&(b.name != "main")))
                .then_with(|| natural(&a.name, &b.name))
        });
    }
}

/// Text by text, but numbers by value: `rayon-2` comes before `rayon-10`.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (text_a, text_b) = (cut(&mut a, false), cut(&mut b, false));
        let (digits_a, digits_b) = (cut(&mut a, true), cut(&mut b, true));
        let number = |digits: &str| digits.parse::<u64>().ok();
        let order = text_a
            .cmp(text_b)
            .then_with(|| number(digits_a).cmp(&number(digits_b)))
            .then_with(|| digits_a.cmp(digits_b));
        if order != Ordering::Equal || (a.is_empty() && b.is_empty()) {
            return order;
        }
    }
}

/// Takes the run of digits, or of what is no digit, off the front.
fn cut<'a>(text: &mut &'a str, digits: bool) -> &'a str {
    let end = text
        .find(|c: char| c.is_ascii_digit() != digits)
        .unwrap_or(text.len());
    let (front, rest) = text.split_at(end);
    *text = rest;
    front
}
