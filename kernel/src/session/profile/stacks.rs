//! From the worker's report to stacks with names, and what of a stack is of interest.

use super::names::short;
use super::{Code, Frame, Profile, Stack};
use crate::engine::Function;
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

/// Tells the functions at an address of a library, innermost first.
pub type Resolve<'a> = &'a mut dyn FnMut(&str, u64) -> Vec<Function>;

/// One profile out of what the worker said about each run of a cell.
pub fn read(reports: &[Value], resolve: Resolve<'_>) -> Profile {
    let mut profile = Profile::default();
    let mut unnamed = 0;
    for report in reports {
        let number = |name: &str| report[name].as_u64().unwrap_or_default();
        profile.samples += number("samples");
        profile.dropped += number("dropped");
        profile.broken += number("broken");
        profile.wall += Duration::from_nanos(number("wall"));
        profile.processor += Duration::from_nanos(number("processor"));
        let threads: Vec<String> = list(&report["threads"])
            .map(|name| match name.as_str().unwrap_or_default() {
                "" => {
                    unnamed += 1;
                    format!("thread {unnamed}")
                }
                name => name.to_owned(),
            })
            .collect();
        let modules: Vec<&str> = list(&report["modules"])
            .map(|path| path.as_str().unwrap_or_default())
            .collect();
        let mut known = HashMap::new();
        for stack in list(&report["stacks"]) {
            let thread = stack["thread"].as_u64().unwrap_or_default() as usize;
            let addresses: Vec<&Value> = list(&stack["frames"]).collect();
            let mut frames = Vec::new();
            for pair in addresses.chunks_exact(2) {
                let module = pair[0]
                    .as_u64()
                    .and_then(|index| modules.get(index as usize));
                let module = module.copied().unwrap_or_default();
                let address = pair[1].as_u64().unwrap_or_default();
                let functions = known
                    .entry((module, address))
                    .or_insert_with(|| frames_at(module, &resolve(module, address)));
                frames.extend(functions.iter().cloned());
            }
            frames.reverse();
            profile.stacks.push(Stack {
                thread: threads.get(thread).cloned().unwrap_or_default(),
                count: stack["count"].as_u64().unwrap_or_default(),
                frames: without_root(frames),
            });
        }
    }
    profile
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The frames at one address, innermost first: the user's functions, inlined or not, and the function in
/// which the address lies, whosever it is. Inlined library functions are left out.
fn frames_at(module: &str, functions: &[Function]) -> Vec<Frame> {
    let home = home(module);
    if functions.is_empty() {
        let name = if home.is_empty() {
            "(no library)".to_owned()
        } else {
            format!("({home})")
        };
        return vec![Frame {
            full: name.clone(),
            code: Code::Library { name, home },
            line: 0,
        }];
    }
    let last = functions.len() - 1;
    let mut frames: Vec<Frame> = Vec::new();
    for (position, function) in functions.iter().enumerate() {
        let (code, line) = match function.place {
            Some(place) if place.in_item => (
                Code::Function {
                    name: short(&function.name),
                    cell: place.cell,
                },
                place.line,
            ),
            Some(place) => (
                Code::Statement {
                    cell: place.cell,
                    line: place.line,
                },
                place.line,
            ),
            // Of the user's, but its lines were not found again in the cell.
            None if position == last && is_of_cell(&function.name) => (
                Code::Function {
                    name: short(&function.name),
                    cell: 0,
                },
                0,
            ),
            None if position == last => (
                Code::Library {
                    name: short(&function.name),
                    home: home.clone(),
                },
                0,
            ),
            None => continue,
        };
        frames.push(Frame {
            code,
            line,
            full: function.name.clone(),
        });
    }
    frames
}

/// Whether a function stands in a cell, apart from the one that evcxr puts around the statements.
fn is_of_cell(name: &str) -> bool {
    let path = name.trim_start_matches(['<', '&']);
    path.starts_with("ctx::") && !path.contains("run_user_code_")
}

/// A library's name as one speaks of it: `libstd`, `libc`.
fn home(module: &str) -> String {
    if module.contains(crate::worker::CELL_LIBRARY) {
        return "in the cell".to_owned();
    }
    // Code that the system gives each process, above all for clocks.
    if module.starts_with("linux-vdso") {
        return "vdso".to_owned();
    }
    let name = Path::new(module).file_name().unwrap_or_default();
    let name = name.to_string_lossy();
    let name = name.split(".so").next().unwrap_or_default();
    // libstd has the compiler's hash in its name.
    name.split('-').next().unwrap_or_default().to_owned()
}

/// A stack from the user's first function on. One without any keeps all but the beginning that every
/// thread has.
fn without_root(mut frames: Vec<Frame>) -> Vec<Frame> {
    let is_beginning = |frame: &Frame| {
        let Code::Library { home, .. } = &frame.code else {
            return false;
        };
        let path = frame.full.trim_start_matches('<');
        // A name in parentheses stands for a function without one.
        home == "forkline"
            || frame.full.starts_with('(')
            || ["std::", "core::", "alloc::", "rayon_core::", "ctx::"]
                .iter()
                .any(|begin| path.starts_with(begin))
            || path.contains("rust_begin_short_backtrace")
            || path.contains("run_user_code_")
    };
    let begin = frames
        .iter()
        .position(|frame| frame.code.is_users())
        .or_else(|| frames.iter().position(|frame| !is_beginning(frame)));
    // Nothing but the machinery: its innermost function is what there is to see.
    let begin = begin.unwrap_or(frames.len().saturating_sub(1));
    frames.drain(..begin);
    frames
}

/// Recursion as one frame. A function of the user's that comes again takes the stack back to where it came
/// first; a library's only if none of the user's lies between, because the same library function serves
/// many callers.
pub fn folded(frames: &[Frame]) -> Vec<&Frame> {
    let mut kept: Vec<&Frame> = Vec::new();
    for frame in frames {
        let since = if frame.code.is_users() {
            0
        } else {
            let users = kept.iter().rposition(|frame| frame.code.is_users());
            users.map_or(0, |position| position + 1)
        };
        let again = kept[since..]
            .iter()
            .position(|other| other.code == frame.code);
        if let Some(position) = again {
            kept.truncate(since + position);
        }
        kept.push(frame);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Place;
    use serde_json::json;

    fn function(name: &str, place: Option<(usize, usize, bool)>) -> Function {
        Function {
            name: name.to_owned(),
            place: place.map(|(cell, line, in_item)| Place {
                cell,
                line,
                in_item,
            }),
        }
    }

    #[test]
    fn a_stack_begins_with_the_users_first_function() {
        let report = json!({
            "samples": 3, "dropped": 1, "broken": 0, "wall": 10, "processor": 20,
            "threads": ["main", ""],
            "modules": ["/x/forkline", "/x/libcode_4.so", "/lib/libc.so.6"],
            "stacks": [
                { "thread": 0, "count": 2, "frames": [2, 7, 1, 10, 1, 11, 0, 5] },
                { "thread": 1, "count": 1, "frames": [null, 9, 0, 5] },
            ],
        });
        let mut asked = 0;
        let profile = read(&[report], &mut |library, address| {
            asked += 1;
            match (library, address) {
                ("/lib/libc.so.6", 7) => vec![function("memcpy", None)],
                ("/x/libcode_4.so", 10) => vec![
                    function("core::iter::Iterator::sum", None),
                    function("ctx::total", Some((1, 3, true))),
                    function("ctx::run_user_code_4::{{closure}}", Some((4, 2, false))),
                ],
                ("/x/libcode_4.so", 11) => vec![function("ctx::run_user_code_4", None)],
                ("/x/forkline", 5) => vec![function("forkline::worker::serve", None)],
                _ => Vec::new(),
            }
        });
        // The second stack has an address in common with the first.
        assert_eq!(asked, 5);
        assert_eq!((profile.samples, profile.dropped), (3, 1));
        let names = |index: usize| -> Vec<String> {
            let frames = &profile.stacks[index].frames;
            let name =
                |frame: &Frame| format!("{} {}", frame.code.name(), frame.code.place(frame.line));
            frames.iter().map(name).collect()
        };
        assert_eq!(names(0), ["the cell [4]:2", "total [1]:3", "memcpy "]);
        assert_eq!(names(1), ["(no library) "]);
        assert_eq!(profile.stacks[1].thread, "thread 1");
    }

    #[test]
    fn recursion_is_one_frame() {
        let user = |name: &str| Frame {
            code: Code::Function {
                name: name.to_owned(),
                cell: 1,
            },
            line: 1,
            full: name.to_owned(),
        };
        let library = |name: &str| Frame {
            code: Code::Library {
                name: name.to_owned(),
                home: String::new(),
            },
            line: 0,
            full: name.to_owned(),
        };
        let names = |frames: &[Frame]| -> String {
            let folded = folded(frames);
            let names: Vec<&str> = folded.iter().map(|frame| frame.code.name()).collect();
            names.join(" ")
        };
        let [f, g, a, b] = [user("f"), user("g"), library("a"), library("b")];
        let stack = |frames: &[&Frame]| -> Vec<Frame> { frames.iter().copied().cloned().collect() };
        assert_eq!(names(&stack(&[&f, &f, &g, &f, &a])), "f a");
        assert_eq!(names(&stack(&[&a, &b, &a, &b, &g])), "a b g");
        assert_eq!(names(&stack(&[&a, &f, &a, &g])), "a f a g");
    }
}
