//! Which function called which, for each thread, with the samples that fell into each.

use super::stacks::folded;
use super::{Code, Profile};
use std::collections::BTreeMap;

/// Threads beyond this many are told as one.
const THREADS: usize = 16;

pub struct Tree {
    pub samples: u64,
    /// The threads, `main` first, those that are told as one last.
    pub threads: Vec<Node>,
}

/// A thread or a function, and what it called.
pub struct Node {
    pub what: What,
    pub count: u64,
    /// Samples in it and not in what it called.
    pub own: u64,
    /// Samples by line of the cell.
    pub lines: BTreeMap<usize, u64>,
    /// The function's name in full.
    pub full: String,
    /// Those with most samples first.
    pub children: Vec<Node>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Thread(String),
    Code(Code),
}

impl Tree {
    pub fn new(profile: &Profile) -> Tree {
        let mut root = Node::new(What::Thread(String::new()), "");
        for stack in &profile.stacks {
            let mut node = root.child(&What::Thread(stack.thread.clone()), "");
            node.count += stack.count;
            for frame in folded(&stack.frames) {
                node = node.child(&What::Code(frame.code.clone()), &frame.full);
                node.count += stack.count;
                *node.lines.entry(frame.line).or_insert(0) += stack.count;
            }
            node.own += stack.count;
        }
        root.sort();
        let mut threads = root.children;
        let rest = if threads.len() > THREADS {
            threads.split_off(THREADS - 1)
        } else {
            Vec::new()
        };
        threads.sort_by_key(|thread| (thread.name() != "main", natural(thread.name())));
        if !rest.is_empty() {
            let name = What::Thread(format!("{} more threads", rest.len()));
            let mut others = Node::new(name, "");
            for thread in rest {
                others.merge(thread);
            }
            others.sort();
            threads.push(others);
        }
        Tree {
            samples: profile.samples,
            threads,
        }
    }
}

impl Node {
    fn new(what: What, full: &str) -> Node {
        Node {
            what,
            count: 0,
            own: 0,
            lines: BTreeMap::new(),
            full: full.to_owned(),
            children: Vec::new(),
        }
    }

    fn child(&mut self, what: &What, full: &str) -> &mut Node {
        let found = self.children.iter().position(|child| child.what == *what);
        let index = found.unwrap_or_else(|| {
            self.children.push(Node::new(what.clone(), full));
            self.children.len() - 1
        });
        &mut self.children[index]
    }

    fn merge(&mut self, other: Node) {
        self.count += other.count;
        self.own += other.own;
        for (line, count) in other.lines {
            *self.lines.entry(line).or_insert(0) += count;
        }
        for child in other.children {
            self.child(&child.what, &child.full).merge(child);
        }
    }

    fn sort(&mut self) {
        self.children
            .sort_by(|one, other| (other.count, one.name()).cmp(&(one.count, other.name())));
        self.children.iter_mut().for_each(Node::sort);
    }

    pub fn name(&self) -> &str {
        match &self.what {
            What::Thread(name) => name,
            What::Code(code) => code.name(),
        }
    }

    /// The line with most samples.
    pub fn line(&self) -> usize {
        let most = self
            .lines
            .iter()
            .max_by_key(|(line, count)| (**count, usize::MAX - **line));
        most.map_or(0, |(line, _)| *line)
    }

    /// Name and place: `is_prime  [3]:2`.
    pub fn label(&self) -> String {
        match &self.what {
            // Those without a name of their own are called `thread 1`.
            What::Thread(name) if name.contains("thread") => name.clone(),
            What::Thread(name) => format!("thread {name}"),
            What::Code(code) => match code.place(self.line()) {
                place if place.is_empty() => code.name().to_owned(),
                place => format!("{}  {place}", code.name()),
            },
        }
    }
}

/// A name in which numbers are compared as numbers: `rayon-9` before `rayon-10`.
fn natural(name: &str) -> (String, u64) {
    let digits = name.bytes().rev().take_while(u8::is_ascii_digit).count();
    let (text, number) = name.split_at(name.len() - digits);
    (text.to_owned(), number.parse().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    fn check(node: &Node) {
        let below: u64 = node.children.iter().map(|child| child.count).sum();
        assert_eq!(node.count, node.own + below, "{}", node.label());
        node.children.iter().for_each(check);
    }

    #[test]
    fn samples_of_a_node_are_its_own_and_those_of_its_children() {
        let tree = Tree::new(&example());
        tree.threads.iter().for_each(check);
        let all: u64 = tree.threads.iter().map(|thread| thread.count).sum();
        assert_eq!(all, tree.samples);
    }

    #[test]
    fn a_function_is_one_box_with_its_hottest_line() {
        let tree = Tree::new(&example());
        let labels: Vec<String> = tree.threads.iter().map(Node::label).collect();
        assert_eq!(labels, ["thread main", "thread rayon-0", "thread rayon-1"]);
        let heavy = &tree.threads[0].children[0].children[0];
        assert_eq!((heavy.label().as_str(), heavy.count), ("heavy  [3]:2", 60));
        // Called again through another function it is still the one box.
        let heavy = &tree.threads[1].children[0].children[0];
        assert_eq!((heavy.label().as_str(), heavy.own), ("heavy  [3]:2", 20));
        assert!(heavy.children.is_empty());
    }

    #[test]
    fn many_threads_are_told_in_few_rows() {
        let mut profile = example();
        let frames = profile.stacks[0].frames.clone();
        for number in 0..100 {
            profile.stacks.push(super::super::Stack {
                thread: format!("thread {number}"),
                count: 1,
                frames: frames.clone(),
            });
        }
        profile.samples += 100;
        let tree = Tree::new(&profile);
        assert_eq!(tree.threads.len(), THREADS);
        let last = tree.threads.last().unwrap();
        assert_eq!((last.label().as_str(), last.count), ("88 more threads", 88));
        tree.threads.iter().for_each(check);
    }
}
