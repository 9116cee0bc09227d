//! The thread that has the objects and answers questions, one after the other.
//!
//! What always holds: it waits for nobody, and no message of a proxy ends it. A question that is no question ends
//! the connection on which it came.

use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Instant;

use super::wire::{Answer, Ask, Bytes, Reply, Request};
use crate::processes::message;
use crate::processes::packets::{Passage, Socket};

enum Object {
    Dict(Dict),
    List(Vec<Bytes>),
}

/// Entries that know when they came in.
#[derive(Default)]
struct Dict {
    entries: HashMap<Bytes, (u64, Bytes)>,
    inserted: u64,
}

impl Dict {
    fn insert(&mut self, key: Bytes, value: Bytes) -> Option<Bytes> {
        if let Some((_, place)) = self.entries.get_mut(&key) {
            return Some(std::mem::replace(place, value));
        }
        self.inserted += 1;
        self.entries.insert(key, (self.inserted, value));
        None
    }

    fn entries(&self) -> Vec<(Bytes, Bytes)> {
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_by_key(|(_, (came, _))| *came);
        entries
            .into_iter()
            .map(|(key, (_, value))| (key.clone(), value.clone()))
            .collect()
    }
}

/// Answers until `control` ends, beginning with one connection.
pub(super) fn run(control: Socket, first: Socket) {
    let mut objects = Vec::new();
    let mut connections = vec![first];
    loop {
        let mut asked: Vec<libc::pollfd> = std::iter::once(&control)
            .chain(&connections)
            .map(|socket| libc::pollfd {
                fd: socket.as_fd().as_raw_fd(),
                events: libc::POLLIN,
                revents: 0,
            })
            .collect();
        // SAFETY: as many entries as it says, which live during the call.
        let ready = unsafe { libc::poll(asked.as_mut_ptr(), asked.len() as libc::nfds_t, -1) };
        if ready < 0 {
            continue;
        }
        if asked[0].revents != 0 {
            return;
        }
        let mut more = Vec::new();
        let mut readiness = asked[1..].iter().map(|entry| entry.revents != 0);
        connections.retain(|socket| {
            !readiness.next().unwrap_or(false) || serve(socket, &mut objects, &mut more).is_some()
        });
        connections.append(&mut more);
    }
}

/// Answers one question; none if the connection has ended.
fn serve(socket: &Socket, objects: &mut Vec<Object>, more: &mut Vec<Socket>) -> Option<()> {
    // A deadline that is over: it is ready, and if it is not, the next time.
    let packet = match socket.receive(Some(Instant::now())) {
        Ok(Passage::Done(packet)) => packet,
        Ok(Passage::Late) => return Some(()),
        Ok(Passage::Closed) | Err(_) => return None,
    };
    let request: Request = message::decode(packet).ok()?;
    let reply = match request.ask {
        Ask::Connect(end) => {
            more.push(end.0.into());
            return Some(());
        }
        Ask::NewDict => add(objects, Object::Dict(Dict::default())),
        Ask::NewList => add(objects, Object::List(Vec::new())),
        ask => match usize::try_from(request.object)
            .ok()
            .and_then(|at| objects.get_mut(at))
        {
            Some(Object::Dict(dict)) => of_dict(dict, ask),
            Some(Object::List(list)) => of_list(list, ask),
            None => Reply::Strange,
        },
    };
    let answer = Answer {
        number: request.number,
        reply,
    };
    let packet = message::encode(&answer, true).ok()?;
    // Who asks waits for the answer and has room for it. Who does not read is not waited for.
    match socket.send(&packet.bytes, &packet.descriptors, Some(Instant::now())) {
        Ok(Passage::Done(())) => Some(()),
        _ => None,
    }
}

fn add(objects: &mut Vec<Object>, object: Object) -> Reply {
    objects.push(object);
    Reply::Count(objects.len() as u64 - 1)
}

fn of_dict(dict: &mut Dict, ask: Ask) -> Reply {
    match ask {
        Ask::Len => Reply::Count(dict.entries.len() as u64),
        Ask::Clear => {
            dict.entries.clear();
            Reply::Flag(true)
        }
        Ask::Get(key) => Reply::Found(dict.entries.get(&key).map(|(_, value)| value.clone())),
        Ask::Insert(entries) => {
            let old = entries
                .into_iter()
                .map(|(key, value)| dict.insert(key, value));
            Reply::Found(old.last().flatten())
        }
        Ask::Remove(key) => Reply::Found(dict.entries.remove(&key).map(|(_, value)| value)),
        Ask::Exchange(key, expected, wanted) => {
            let is_there = dict.entries.get(&key).map(|(_, value)| value) == expected.as_ref();
            if is_there {
                match wanted {
                    Some(value) => drop(dict.insert(key, value)),
                    None => drop(dict.entries.remove(&key)),
                }
            }
            Reply::Flag(is_there)
        }
        Ask::Entries => Reply::Entries(dict.entries()),
        _ => Reply::Strange,
    }
}

fn of_list(list: &mut Vec<Bytes>, ask: Ask) -> Reply {
    let length = list.len();
    let place = |index: u64| usize::try_from(index).ok().filter(|&index| index < length);
    let no_place = Reply::NoPlace(length as u64);
    match ask {
        Ask::Len => Reply::Count(length as u64),
        Ask::Clear => {
            list.clear();
            Reply::Flag(true)
        }
        Ask::At(index) => Reply::Found(place(index).map(|index| list[index].clone())),
        Ask::SetAt(index, value) => place(index).map_or(no_place, |index| {
            Reply::Found(Some(std::mem::replace(&mut list[index], value)))
        }),
        Ask::ExchangeAt(index, expected, wanted) => place(index).map_or(no_place, |index| {
            let is_there = list[index] == expected;
            if is_there {
                list[index] = wanted;
            }
            Reply::Flag(is_there)
        }),
        Ask::InsertAt(index, value) => {
            if index == length as u64 {
                list.push(value);
                return Reply::Flag(true);
            }
            place(index).map_or(no_place, |index| {
                list.insert(index, value);
                Reply::Flag(true)
            })
        }
        Ask::RemoveAt(index) => {
            place(index).map_or(no_place, |index| Reply::Found(Some(list.remove(index))))
        }
        Ask::Pop => Reply::Found(list.pop()),
        Ask::Extend(items) => {
            list.extend(items);
            Reply::Count(list.len() as u64)
        }
        Ask::Items => Reply::Items(list.clone()),
        _ => Reply::Strange,
    }
}
