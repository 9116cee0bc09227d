//! What a deadlock says: who holds what and waits for what, by the lines of the cells.

use std::fmt::Write as _;

use super::waits::{Link, Place};
use crate::rt;

/// Ends the calling thread, the first of the circle, by a panic with the report.
#[cold]
#[track_caller]
pub(super) fn panic_with(circle: &[Link]) -> ! {
    panic!("{}", report(circle, rt::place))
}

fn report(circle: &[Link], place: impl Fn(Place) -> String) -> String {
    let things = Things::of(circle);
    let names = names(circle);
    let mut text = match circle.len() {
        1 => "Deadlock: a thread waits for what it holds itself".to_owned(),
        n => format!("Deadlock: {n} threads wait for each other, and none can go on"),
    };
    for (at, link) in circle.iter().enumerate() {
        let before = &circle[(at + circle.len() - 1) % circle.len()];
        let _ = write!(
            text,
            "{}'{}'",
            if at == 0 { "\nwhy: " } else { "\n     " },
            names[at]
        );
        if !before.is_join {
            let _ = write!(
                text,
                " holds {} since {} and",
                things.name(before),
                place(before.since)
            );
        }
        let next = &names[(at + 1) % circle.len()];
        let _ = if link.is_join {
            write!(
                text,
                " waits in {} for '{next}' to end",
                place(link.waits_at)
            )
        } else {
            write!(
                text,
                " waits in {} for {}",
                place(link.waits_at),
                things.name(link)
            )
        };
    }
    for (name, made) in things.made() {
        let _ = write!(text, "\n     {name} was made in {}", place(made));
    }
    text.push_str("\ndo:  ");
    text.push_str(if circle.len() == 1 {
        match circle[0].kind {
            "lock" => "take the lock once, or use an RLock, which its owner may take again",
            _ => "give back what is held before waiting for more of it",
        }
    } else if circle.iter().all(|link| link.is_join) {
        "let only one thread join the others, or wait with join_timeout"
    } else {
        "take them in the same order in every thread, or wait with a time-out"
    });
    let held_raw = &circle[circle.len() - 1];
    let _ = write!(
        text,
        "\n     this panic ends '{}', {}",
        names[0],
        if held_raw.is_raw && !held_raw.is_join {
            "but what it took by acquire() stays taken until somebody calls release(); guards give it back by themselves"
        } else {
            "so what its guards hold is free again and the others go on"
        }
    );
    text
}

/// The threads' names; those that are not the only one get their number.
fn names(circle: &[Link]) -> Vec<String> {
    let names: Vec<String> = circle.iter().map(|link| link.thread.name()).collect();
    let is_alone = |name: &String| names.iter().filter(|other| *other == name).count() == 1;
    circle
        .iter()
        .zip(&names)
        .map(|(link, name)| match is_alone(name) {
            true => name.clone(),
            false => format!("{name} #{}", link.thread.id()),
        })
        .collect()
}

/// The locks and semaphores of a report, numbered by kind where there are several.
struct Things(Vec<(usize, String, Option<Place>)>);

impl Things {
    fn of(circle: &[Link]) -> Self {
        let mut things: Vec<(usize, &str, Option<Place>)> = Vec::new();
        // What the first thread holds comes first.
        let (last, others) = (&circle[circle.len() - 1..], &circle[..circle.len() - 1]);
        for link in last.iter().chain(others).filter(|link| !link.is_join) {
            if things.iter().all(|(address, ..)| *address != link.address) {
                things.push((link.address, link.kind, link.made));
            }
        }
        let numbered = things
            .iter()
            .enumerate()
            .map(|(at, (address, kind, made))| {
                let same = |list: &[(usize, &str, Option<Place>)]| {
                    list.iter().filter(|(_, other, _)| other == kind).count()
                };
                let name = match same(&things) {
                    1 => format!("the {kind}"),
                    _ => format!("{kind} {}", same(&things[..=at])),
                };
                (*address, name, *made)
            });
        Self(numbered.collect())
    }

    fn name(&self, link: &Link) -> &str {
        self.0
            .iter()
            .find(|(address, ..)| *address == link.address)
            .map_or(link.kind, |(_, name, _)| name)
    }

    fn made(&self) -> impl Iterator<Item = (&str, Place)> {
        self.0
            .iter()
            .filter_map(|(_, name, made)| Some((name.as_str(), (*made)?)))
    }
}
