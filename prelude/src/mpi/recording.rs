//! What all ranks did in a piece of code, on one time axis: their spans, and the messages between them.
//!
//! Every rank records its own spans and messages; behind the code they are put together at rank 0. Ranks of one machine
//! share a clock. The clock of another machine is compared with rank 0's by some messages there and back before the
//! code: it is then right to half of the fastest round, some microseconds in a cluster.

use std::collections::{HashMap, VecDeque};
use std::fmt;

use super::communicator::Communicator;
use super::error::{Call, MpiError, MpiResult};
use super::gate::{Header, What};
use super::notes::{Note, Notes, Side, Taking};
use super::parcel::digest;
use crate::display::{Bundle, Show};
use crate::plot::{Figure, Picture, PlotError, Timeline};
use crate::trace::{self, Recorded, Trace};

/// Rounds of messages by which two clocks are compared.
const ROUNDS: usize = 20;
/// The label of the time in which a call waited for the other rank.
const WAITS: &str = "waits";

/// What ranks did while [`record`](Communicator::record) recorded. As the last expression of a cell it is a timeline with
/// a row for each rank and an arrow for each message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    trace: Trace,
    transfers: Vec<Transfer>,
    n_ranks: usize,
    n_under_way: usize,
    n_dropped: u64,
}

/// A message from one rank to another that was sent and received in a recording. Times are nanoseconds of rank 0's
/// [`trace::now`](crate::trace::now).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transfer {
    /// The rank that sent it.
    pub from: usize,
    /// The rank that received it.
    pub to: usize,
    /// Its tag.
    pub tag: i32,
    /// Its length; a value is sent with a few bytes that tell its type.
    pub bytes: usize,
    /// When the call that sent it began.
    pub sent_ns: u64,
    /// When the call that received it began, or its request.
    pub asked_ns: u64,
    /// When it had been received.
    pub received_ns: u64,
    /// Whether the receiving rank could do nothing else in the meantime.
    waited: bool,
}

/// A row's name, and its spans by name, start and end.
type Lane = (String, Vec<(String, u64, u64)>);

/// What one rank sends to rank 0.
#[derive(serde::Serialize, serde::Deserialize)]
struct Part {
    start_ns: u64,
    end_ns: u64,
    lanes: Vec<Lane>,
    n_open: u64,
    n_dropped: u64,
    notes: Vec<Note>,
    n_notes_dropped: u64,
}

impl Communicator {
    /// Runs `body` on all ranks and records what they do: the calls of this module, the spans of
    /// [`trace::span`](crate::trace::span), and the messages of this communicator from rank to rank. Rank 0 gets the
    /// recording, the others `None`. All ranks call it, and begin together.
    ///
    /// Messages within collective calls are the library's own and not in it; messages that were under way before have no
    /// arrow, or, if others between the same ranks have the same tag, a wrong one.
    ///
    /// # Errors
    /// The ranks are not all in this call, or one of them records already.
    ///
    /// ```no_run
    /// # use forkline::prelude::*;
    /// # fn main() -> mpi::MpiResult<()> {
    /// # let world = mpi::world()?;
    /// let (result, recording) = world.record(|| match world.rank() {
    ///     0 => world.send("hello", 1, 0),
    ///     1 => world.recv::<String>(0, 0).map(drop),
    ///     _ => Ok(()),
    /// })?;
    /// result?;
    /// if let Some(recording) = recording {
    ///     display(&recording.timeline("A message"));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn record<R>(&self, body: impl FnOnce() -> R) -> MpiResult<(R, Option<Recording>)> {
        let call = Call::here("record");
        let ahead = self.clock_ahead(&call, &machine())?;
        let taking = Taking::begin(self).ok_or_else(|| {
            let text = "this rank records already: one recording at a time".to_owned();
            MpiError::Mismatch { call, text }
        });
        // Behind it all begin together.
        let (taking, _) = self.gate_with(&call, taking, Header::of(What::Barrier), |_| 0)?;
        let (result, trace) = trace::record(body);
        let part = Part::new(&trace, taking.end(), ahead);
        let header = Header::of(What::Gather)
            .with_root(0)
            .with_data(digest::<Part>());
        let parts = self.gather_value(&call, header, part, 0)?;
        Ok((result, parts.map(Recording::of)))
    }

    /// How many nanoseconds this rank's clock is ahead of rank 0's; 0 if they have the same clock, which is when
    /// `machine` is the same text. All ranks call it.
    ///
    /// # Errors
    /// The ranks are not all in this call.
    #[doc(hidden)]
    #[track_caller]
    pub fn clock_ahead_of_rank_0(&self, machine: &str) -> MpiResult<i64> {
        self.clock_ahead(&Call::here("record"), machine)
    }

    fn clock_ahead(&self, call: &Call, machine: &str) -> MpiResult<i64> {
        let header = Header::of(What::Allgather).with_data(digest::<String>());
        let machines = self.allgather_value(call, header, machine.to_owned())?;
        let others = (1..self.size()).filter(|&rank| machines[rank] != machines[0]);
        let others: Vec<usize> = others.collect();
        if others.is_empty() {
            return Ok(0);
        }
        // Apart from the messages of the user.
        let apart = self.dup()?;
        let mut rounds = Vec::new();
        for other in others {
            for _ in 0..ROUNDS {
                if apart.rank() == 0 {
                    apart.recv::<()>(other, 0)?;
                    apart.send(&trace::now(), other, 0)?;
                } else if apart.rank() == other {
                    let before = trace::now();
                    apart.send(&(), 0, 0)?;
                    let there = apart.recv::<u64>(0, 0)?;
                    rounds.push((before, there, trace::now()));
                }
            }
        }
        apart.free()?;
        Ok(ahead(&rounds))
    }
}

/// What all processes have in common that have the same CLOCK_MONOTONIC: the start of the system they run on.
fn machine() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .or_else(|_| super::processor_name().map_err(std::io::Error::other))
        .unwrap_or_default()
}

/// How far the own clock is ahead, of rounds (own time before, the other's time, own time behind): in the fastest round
/// the other's time was read about in the middle.
fn ahead(rounds: &[(u64, u64, u64)]) -> i64 {
    let fastest = rounds
        .iter()
        .min_by_key(|(before, _, behind)| behind - before);
    fastest.map_or(0, |(before, there, behind)| {
        (before + (behind - before) / 2).cast_signed() - there.cast_signed()
    })
}

impl Part {
    fn new(trace: &Trace, notes: Notes, ahead: i64) -> Part {
        let at = |ns: u64| ns.saturating_add_signed(-ahead);
        let spans = |spans: &[Recorded]| {
            let span =
                |span: &Recorded| (span.name.to_string(), at(span.start_ns), at(span.end_ns));
            spans.iter().map(span).collect()
        };
        let rows = trace.rows().iter();
        Part {
            start_ns: at(trace.start_ns()),
            end_ns: at(trace.end_ns()),
            lanes: rows.map(|row| (row.name(), spans(row.spans()))).collect(),
            n_open: trace.n_open(),
            n_dropped: trace.n_dropped(),
            notes: notes
                .list
                .into_iter()
                .map(|note| Note {
                    start_ns: at(note.start_ns),
                    end_ns: at(note.end_ns),
                    ..note
                })
                .collect(),
            n_notes_dropped: notes.n_dropped,
        }
    }
}

fn row(rank: usize) -> String {
    format!("rank {rank}")
}

impl Recording {
    fn of(parts: Vec<Part>) -> Recording {
        let n_ranks = parts.len();
        let start = parts.iter().map(|part| part.start_ns).min();
        let end = parts.iter().map(|part| part.end_ns).max();
        let (transfers, n_under_way) = transfers(&parts);
        let (mut n_open, mut n_dropped, mut n_notes_dropped) = (0, 0, 0);
        let mut rows = Vec::new();
        for (rank, part) in parts.into_iter().enumerate() {
            n_open += part.n_open;
            n_dropped += part.n_dropped;
            n_notes_dropped += part.n_notes_dropped;
            // There also for a rank that has done nothing.
            rows.push((row(rank), Vec::new()));
            for (name, spans) in part.lanes {
                let name = match name.as_str() {
                    "main" => row(rank),
                    name => format!("{}: {name}", row(rank)),
                };
                let spans = spans.into_iter();
                let spans = spans.map(|(name, start, end)| Recorded::new(name, start, end));
                rows.push((name, spans.collect()));
            }
        }
        let range = (start.unwrap_or_default(), end.unwrap_or_default());
        Recording {
            trace: Trace::of_rows(range, rows, n_open, n_dropped),
            transfers,
            n_ranks,
            n_under_way,
            n_dropped: n_notes_dropped,
        }
    }

    /// The spans, with a row `rank 0`, `rank 1`, … for each rank, and rows such as `rank 0: worker` for its other threads.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// The messages, by the time when they were sent.
    pub fn transfers(&self) -> &[Transfer] {
        &self.transfers
    }

    /// How many ranks there were.
    pub fn n_ranks(&self) -> usize {
        self.n_ranks
    }

    /// Messages that were only sent, or only received, in the recording.
    pub fn n_under_way(&self) -> usize {
        self.n_under_way
    }

    /// Bytes from each rank (row) to each rank (column).
    pub fn traffic(&self) -> Vec<Vec<usize>> {
        let mut bytes = vec![vec![0; self.n_ranks]; self.n_ranks];
        for transfer in &self.transfers {
            bytes[transfer.from][transfer.to] += transfer.bytes;
        }
        bytes
    }

    /// The figure, with a title of your own: rows are ranks, bars are calls and spans, arrows are messages, from the
    /// moment when a send began to that when the message was there. `waits` is the part of a receive in which the
    /// message had not been sent.
    pub fn timeline(&self, title: &str) -> Timeline {
        let at = |ns: u64| self.trace.on_axis(ns);
        let waits = self.transfers.iter().filter_map(|transfer| {
            let end = transfer.sent_ns.min(transfer.received_ns);
            (transfer.waited && end > transfer.asked_ns).then_some((transfer, end))
        });
        let timeline = waits.fold(self.trace.timeline(title), |timeline, (transfer, end)| {
            timeline.bar(&row(transfer.to), WAITS, at(transfer.asked_ns), at(end))
        });
        self.transfers.iter().fold(timeline, |timeline, transfer| {
            let label = format!("{} bytes, tag {}", transfer.bytes, transfer.tag);
            let (from, to) = (row(transfer.from), row(transfer.to));
            let ends = (at(transfer.sent_ns), at(transfer.received_ns));
            timeline.arrow(&label, (&from, ends.0), (&to, ends.1))
        })
    }
}

/// Finds the two sides of each message, and counts those that have one only. Messages between two ranks with one tag do
/// not overtake each other.
fn transfers(parts: &[Part]) -> (Vec<Transfer>, usize) {
    let mut sent: HashMap<(usize, usize, i32), VecDeque<Note>> = HashMap::new();
    for (from, part) in parts.iter().enumerate() {
        let mut notes: Vec<Note> = part.notes.clone();
        notes.retain(|note| note.what == Side::Sent);
        notes.sort_by_key(|note| note.start_ns);
        for note in notes {
            let key = (from, note.peer as usize, note.tag);
            sent.entry(key).or_default().push_back(note);
        }
    }
    let (mut pairs, mut n_alone) = (Vec::new(), 0);
    for (to, part) in parts.iter().enumerate() {
        let mut notes: Vec<Note> = part.notes.clone();
        notes.retain(|note| note.what != Side::Sent);
        // As receives are matched: in the order in which they were asked for.
        notes.sort_by_key(|note| note.start_ns);
        for note in notes {
            let from = note.peer as usize;
            let other = sent.get_mut(&(from, to, note.tag));
            match other.and_then(VecDeque::pop_front) {
                Some(other) if other.bytes == note.bytes => pairs.push(Transfer {
                    from,
                    to,
                    tag: note.tag,
                    bytes: usize::try_from(note.bytes).unwrap_or(usize::MAX),
                    sent_ns: other.start_ns,
                    asked_ns: note.start_ns,
                    received_ns: note.end_ns,
                    waited: note.what == Side::Received,
                }),
                Some(_) => n_alone += 2,
                None => n_alone += 1,
            }
        }
    }
    n_alone += sent.values().map(VecDeque::len).sum::<usize>();
    pairs.sort_by_key(|pair| (pair.sent_ns, pair.from, pair.to));
    (pairs, n_alone)
}

impl Figure for Recording {
    fn to_svg(&self) -> Result<String, PlotError> {
        self.timeline("ranks").to_svg()
    }

    fn picture(&self) -> Result<Picture, PlotError> {
        self.timeline("ranks").picture()
    }
}

impl Show for Recording {
    /// The timeline, with the busy times and the messages as text.
    fn show(&self) -> Bundle {
        if self.trace.n_spans() == 0 {
            return Bundle::new().text(self.to_string());
        }
        self.timeline("ranks").show().text(self.to_string())
    }
}

/// Who was busy for how long, and which messages there were.
impl fmt::Display for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let messages = |n: usize| match n {
            1 => "1 message".to_owned(),
            n => format!("{n} messages"),
        };
        write!(f, "{}\n{}", self.trace, messages(self.transfers.len()))?;
        const MOST: usize = 32;
        for transfer in self.transfers.iter().take(MOST) {
            let Transfer {
                from,
                to,
                tag,
                bytes,
                ..
            } = transfer;
            write!(f, "\n{from} to {to}: {bytes} bytes, tag {tag}")?;
        }
        if self.transfers.len() > MOST {
            write!(f, "\nand {} more", self.transfers.len() - MOST)?;
        }
        if self.n_under_way > 0 {
            let n = messages(self.n_under_way);
            write!(f, "\n{n} only sent or only received in it")?;
        }
        if self.n_dropped > 0 {
            let n = self.n_dropped;
            write!(f, "\n{n} sides of messages left out: there were too many")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(what: Side, peer: u32, tag: i32, bytes: u64, start_ns: u64, end_ns: u64) -> Note {
        Note {
            what,
            peer,
            tag,
            bytes,
            start_ns,
            end_ns,
        }
    }

    fn part(lanes: &[(&str, &str, u64, u64)], notes: Vec<Note>) -> Part {
        let lane = |&(row, name, start, end): &(&str, &str, u64, u64)| {
            (row.to_owned(), vec![(name.to_owned(), start, end)])
        };
        Part {
            start_ns: 1_000,
            end_ns: 9_000,
            lanes: lanes.iter().map(lane).collect(),
            n_open: 0,
            n_dropped: 0,
            notes,
            n_notes_dropped: 0,
        }
    }

    /// Rank 0 sends two messages of one tag to rank 1, which waits for the first.
    fn example() -> Recording {
        let sends = vec![
            note(Side::Sent, 1, 7, 10, 3_000, 3_100),
            note(Side::Sent, 1, 7, 20, 4_000, 4_100),
            note(Side::Sent, 1, 8, 1, 5_000, 5_100),
        ];
        let receives = vec![
            note(Side::Received, 0, 7, 10, 2_000, 3_500),
            note(Side::Received, 0, 7, 20, 6_000, 6_500),
        ];
        Recording::of(vec![
            part(
                &[
                    ("main", "send", 3_000, 3_100),
                    ("helper", "x", 1_500, 2_000),
                ],
                sends,
            ),
            part(&[("main", "recv", 2_000, 3_500)], receives),
            part(&[], vec![]),
        ])
    }

    #[test]
    fn messages_are_paired_in_their_order() {
        let recording = example();
        let pairs: Vec<_> = recording
            .transfers()
            .iter()
            .map(|t| (t.from, t.to, t.bytes, t.sent_ns, t.received_ns))
            .collect();
        assert_eq!(pairs, [(0, 1, 10, 3_000, 3_500), (0, 1, 20, 4_000, 6_500)]);
        assert_eq!(recording.n_under_way(), 1);
        assert_eq!(recording.traffic(), [[0, 30, 0], [0; 3], [0; 3]]);
        assert_eq!(recording.n_ranks(), 3);
    }

    #[test]
    fn each_rank_has_a_row_and_each_message_an_arrow() {
        let recording = example();
        let rows: Vec<String> = recording
            .trace()
            .rows()
            .iter()
            .map(|row| row.name())
            .collect();
        assert_eq!(rows, ["rank 0", "rank 0: helper", "rank 1", "rank 2"]);
        let text = recording.to_string();
        assert!(
            text.contains("2 messages\n0 to 1: 10 bytes, tag 7\n0 to 1: 20 bytes, tag 7"),
            "{text}"
        );
        assert!(
            text.contains("1 message only sent or only received in it"),
            "{text}"
        );
        let figure = recording.timeline("Two messages").show().plain_text();
        // The first receive began before its message was sent, the second did not.
        assert!(figure.contains("waits: 1 bar, 1 in all"), "{figure}");
        assert!(
            figure.contains("2 arrows\nrank 0 to rank 1: 10 bytes, tag 7"),
            "{figure}"
        );
        assert!(recording.to_svg().unwrap().contains("rank 2"));
    }

    #[test]
    fn sides_that_do_not_fit_make_no_arrow() {
        let recording = Recording::of(vec![
            part(&[], vec![note(Side::Sent, 1, 0, 4, 2_000, 2_100)]),
            part(
                &[],
                vec![
                    note(Side::Requested, 0, 0, 5, 2_000, 2_200),
                    note(Side::Received, 0, 3, 5, 1, 2),
                ],
            ),
        ]);
        assert_eq!(
            (recording.transfers().len(), recording.n_under_way()),
            (0, 3)
        );
        assert!(recording.show().get("text/html").is_none());
    }

    #[test]
    fn the_fastest_round_tells_the_clock() {
        assert_eq!(ahead(&[]), 0);
        // The own clock shows 500 more; the round of 20 is the better one.
        assert_eq!(ahead(&[(1_000, 900, 1_800), (2_000, 1_510, 2_020)]), 500);
        assert_eq!(ahead(&[(10, 1_015, 20)]), -1_000);
        let trace = Trace::of_rows((1_000, 2_000), [("main".to_owned(), vec![])], 0, 0);
        let part = Part::new(&trace, Notes::default(), -1_000);
        assert_eq!((part.start_ns, part.end_ns), (2_000, 3_000));
    }
}
