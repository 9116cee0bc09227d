//! The traps that a killed debugger leaves in the code of a process.
//!
//! A breakpoint is a trap instruction in place of the code's first byte. What stands in the libraries' files is the
//! code without them, so every byte that differs from its file only by being a trap is put back. The
//! worker's threads that meet one meanwhile try again (`worker::traced`).
//!
//! What always holds: code is compared with the file that it was loaded from. Another one may have its name by now:
//! compilers fill the space between functions with traps, which would all be taken for those of the debugger.

use crate::processes::{self, Process};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

const TRAP: u8 = 0xcc;

/// How long threads have to get from a trap to its handler.
const GOING_BACK: Duration = Duration::from_millis(20);

/// Takes all traps out of a process and its copies, and whatever of the debugger still traces it. Returns how many there
/// were.
pub fn remove(pid: i32) -> usize {
    end_tracer(pid);
    // It may have been about to stop the threads one by one, and a stop without a debugger is one of all. Threads that
    // have run into a trap without having been looked at go back to it while it is still there to be seen.
    // SAFETY: a plain system call on our worker.
    unsafe { libc::kill(pid, libc::SIGCONT) };
    std::thread::sleep(GOING_BACK);
    // A fork has the traps of its parent. LLDB takes them out of it, if it lives to do so.
    let copies = copies_of(pid);
    std::iter::once(pid).chain(copies).map(mend).sum()
}

/// The processes below this one that run the same program.
fn copies_of(pid: i32) -> Vec<i32> {
    let program = |pid: i32| std::fs::read_link(format!("/proc/{pid}/exe")).ok();
    let Some(own) = program(pid) else {
        return Vec::new();
    };
    let processes: Vec<Process> = processes::all().collect();
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        let children = processes.iter().filter(|one| one.parent == parent);
        found.extend(children.map(|one| one.pid));
        next += 1;
    }
    found.retain(|one| *one != pid && program(*one).as_ref() == Some(&own));
    found
}

fn mend(pid: i32) -> usize {
    let Ok(maps) = std::fs::read_to_string(format!("/proc/{pid}/maps")) else {
        return 0;
    };
    let memory = File::options()
        .read(true)
        .write(true)
        .open(format!("/proc/{pid}/mem"));
    let Ok(memory) = memory else { return 0 };
    maps.lines()
        .filter_map(Mapping::parse)
        .map(|mapping| mapping.mend(pid, &memory).unwrap_or_default())
        .sum()
}

/// The debugger's own helper may outlive it for a moment; it lets the process go when it ends.
fn end_tracer(pid: i32) {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(2) {
        let tracer = processes::tracer_of(pid.unsigned_abs());
        if tracer <= 1 {
            return;
        }
        // SAFETY: a plain system call on the process that traces our worker.
        unsafe { libc::kill(tracer, libc::SIGKILL) };
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Code of a process that lies in a file.
struct Mapping<'a> {
    start: u64,
    length: usize,
    offset: u64,
    file: &'a str,
    /// The file has no name any more: it was replaced, by an installation for instance.
    is_deleted: bool,
}

/// What the system writes behind such a name.
const DELETED: &str = " (deleted)";

impl<'a> Mapping<'a> {
    fn parse(line: &'a str) -> Option<Mapping<'a>> {
        // The name, which may have spaces in it, stands behind five fields.
        let (fields, file) = line.split_at(line.find(" /")?);
        let mut words = fields.split_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let is_code = words.next()?.contains('x');
        let offset = words.next()?;
        let file = &file[1..];
        let name = file.strip_suffix(DELETED);
        let number = |text| u64::from_str_radix(text, 16).ok();
        let start = number(start)?;
        is_code.then_some(Mapping {
            start,
            length: (number(end)? - start) as usize,
            offset: number(offset)?,
            file: name.unwrap_or(file),
            is_deleted: name.is_some(),
        })
    }

    /// The file that was loaded. Of those without a name only the program can still be read.
    fn open(&self, pid: i32) -> std::io::Result<File> {
        if !self.is_deleted {
            return File::open(self.file);
        }
        let program = format!("/proc/{pid}/exe");
        let name = std::fs::read_link(&program)?;
        if name.as_os_str() != format!("{}{DELETED}", self.file).as_str() {
            return Err(std::io::ErrorKind::NotFound.into());
        }
        File::open(program)
    }

    fn mend(&self, pid: i32, memory: &File) -> std::io::Result<usize> {
        let mut there = vec![0; self.length];
        memory.read_exact_at(&mut there, self.start)?;
        let mut meant = vec![0; self.length];
        let file = self.open(pid)?;
        let mut count = 0;
        // The last page goes on behind the end of the file.
        while count < meant.len() {
            match file.read_at(&mut meant[count..], self.offset + count as u64)? {
                0 => break,
                more => count += more,
            }
        }
        let mut mended = 0;
        for (place, byte) in meant[..count].iter().enumerate() {
            if there[place] == TRAP && *byte != TRAP {
                memory.write_all_at(&[*byte], self.start + place as u64)?;
                mended += 1;
            }
        }
        Ok(mended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_of_code_is_read() {
        let line = "7f00-7fff r-xp 00001000 08:01 42                 /lib/libc.so.6";
        let mapping = Mapping::parse(line).unwrap();
        assert_eq!(
            (mapping.start, mapping.length, mapping.offset),
            (0x7f00, 0xff, 0x1000)
        );
        assert_eq!(mapping.file, "/lib/libc.so.6");
        assert!(!mapping.is_deleted);
        let line = "7f00-7fff r-xp 00001000 08:01 42    /home/a b/forkline (deleted)";
        let mapping = Mapping::parse(line).unwrap();
        assert_eq!(
            (mapping.file, mapping.is_deleted),
            ("/home/a b/forkline", true)
        );
        assert!(Mapping::parse("7f00-7fff rw-p 00001000 08:01 42 /lib/libc.so.6").is_none());
        assert!(Mapping::parse("7f00-7fff r-xp 00000000 00:00 0 [vdso]").is_none());
    }

    #[test]
    fn a_program_that_was_replaced_is_compared_with_itself() {
        let program =
            std::env::temp_dir().join(format!("forkline-replaced-{}", std::process::id()));
        std::fs::copy("/bin/sleep", &program).unwrap();
        let mut child = std::process::Command::new(&program)
            .arg("60")
            .spawn()
            .unwrap();
        let length = std::fs::metadata(&program).unwrap().len() as usize;
        std::fs::remove_file(&program).unwrap();
        // By this one every trap in the code would be one too many.
        std::fs::write(&program, vec![0; length]).unwrap();
        let mended = mend(child.id() as i32);
        let is_running = child.try_wait().unwrap().is_none();
        child.kill().unwrap();
        child.wait().unwrap();
        std::fs::remove_file(&program).unwrap();
        assert!(is_running);
        assert_eq!(mended, 0);
    }
}
