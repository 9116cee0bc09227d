//! From a copied stack to the addresses of the functions that it holds, by the unwind tables of the
//! loaded libraries.
//!
//! The tables are read where the dynamic linker has mapped them: the program headers name the index
//! (`.eh_frame_hdr`), and that names the tables. So no file is opened, and code is compiled as it would be
//! without a profiler; it needs no frame pointers.
//!
//! What always holds: the tables stay mapped, because each library is opened once more for ever before it
//! is used. A library that is loaded while a profile is made is found when its first address comes.

use super::ring::Sample;
use crate::worker::{CELL_LIBRARY, files};
use framehop::{
    CacheNative, ExplicitModuleSectionInfo, MayAllocateDuringUnwind, Unwinder as _, UnwinderNative,
};
use std::ffi::{CStr, CString, c_int, c_void};
use std::ops::Range;

/// Frames of one stack beyond this many are left out; the innermost stay.
const DEPTH: usize = 1024;

/// A loaded library, or the executable.
pub struct Module {
    /// Empty where it has no file.
    pub path: String,
    /// What the dynamic linker has added to the addresses that the file names.
    base: u64,
    range: Range<u64>,
    is_executable: bool,
}

/// See the module's text.
pub struct Unwinder {
    unwinder: UnwinderNative<&'static [u8], MayAllocateDuringUnwind>,
    cache: CacheNative<MayAllocateDuringUnwind>,
    modules: Vec<Module>,
    /// How many libraries the dynamic linker had loaded when the list was made.
    loaded: u64,
}

impl Unwinder {
    pub fn new() -> Unwinder {
        let mut unwinder = Unwinder {
            unwinder: UnwinderNative::new(),
            cache: CacheNative::new(),
            modules: Vec::new(),
            loaded: 0,
        };
        unwinder.refresh();
        unwinder
    }

    pub fn modules(&self) -> &[Module] {
        &self.modules
    }

    /// The library in which an address lies, and the address as the library's file names it.
    pub fn locate(&self, address: u64) -> Option<(usize, u64)> {
        let index = self.index_of(address)?;
        Some((index, address - self.modules[index].base))
    }

    /// Of these addresses, those that lie in the library of a cell: its path, and the address as its file names it.
    pub fn cell_frames(&self, addresses: &[u64]) -> Vec<(String, u64)> {
        let of_cell = |address: &u64| {
            let (index, address) = self.locate(*address)?;
            let path = &self.modules[index].path;
            let is_of_cell = path.contains(CELL_LIBRARY);
            is_of_cell.then(|| (files::there(path.clone()), address))
        };
        addresses.iter().filter_map(of_cell).collect()
    }

    fn index_of(&self, address: u64) -> Option<usize> {
        let lies_in = |module: &Module| module.range.contains(&address);
        self.modules.iter().position(lies_in)
    }

    /// Puts the addresses of a sample's functions into `frames`, innermost first; false if the stack could not
    /// be followed to where its thread began.
    pub fn unwind(&mut self, sample: &Sample<'_>, frames: &mut Vec<u64>) -> bool {
        let is_whole = self.attempt(sample, frames);
        // Something that is not known may lie in a library that is new.
        if !is_whole && self.refresh() {
            return self.attempt(sample, frames);
        }
        is_whole
    }

    fn attempt(&mut self, sample: &Sample<'_>, frames: &mut Vec<u64>) -> bool {
        frames.clear();
        let registers = sample.registers;
        let mut read = |address: u64| {
            let offset = address.checked_sub(registers.sp).ok_or(())? as usize;
            let end = offset.checked_add(8).ok_or(())?;
            let bytes = sample.stack.get(offset..end).ok_or(())?;
            Ok(u64::from_le_bytes(bytes.try_into().map_err(|_| ())?))
        };
        let start =
            framehop::x86_64::UnwindRegsX86_64::new(registers.ip, registers.sp, registers.bp);
        let mut found = Vec::with_capacity(64);
        {
            let mut iterator =
                self.unwinder
                    .iter_frames(registers.ip, start, &mut self.cache, &mut read);
            while let Ok(Some(frame)) = iterator.next() {
                // A return address is behind the call, perhaps on the next line or in the next function.
                found.push(frame.address_for_lookup());
                if found.len() == DEPTH {
                    break;
                }
            }
        }
        for (depth, address) in found.into_iter().enumerate() {
            let index = self.index_of(address);
            // A caller that is no code was not found, it was guessed.
            if depth > 0 && index.is_none() {
                return false;
            }
            frames.push(address);
        }
        // Every thread begins in the executable, in its `main` or in `interpose`.
        let outermost = frames.last().and_then(|address| self.index_of(*address));
        outermost.is_some_and(|index| self.modules[index].is_executable)
    }

    /// Takes the libraries in that have been loaded since the last time; whether there were any.
    fn refresh(&mut self) -> bool {
        let mut list = List {
            loaded: 0,
            known: self.loaded,
            found: Vec::new(),
        };
        // SAFETY: the callback gets `list`, which lives during the call, and keeps to dl_iterate_phdr's
        // rules.
        unsafe { libc::dl_iterate_phdr(Some(on_library), (&raw mut list).cast()) };
        if list.loaded == self.loaded {
            return false;
        }
        self.loaded = list.loaded;
        let mut is_new = false;
        for (position, library) in list.found.into_iter().enumerate() {
            let is_executable = position == 0;
            if self.index_of(library.range.start).is_some() {
                continue;
            }
            if !is_executable && !library.stays() {
                continue;
            }
            is_new = true;
            let name = library.path.to_string_lossy().into_owned();
            let sections = library.tables.unwrap_or_default();
            self.unwinder.add_module(framehop::Module::new(
                name.clone(),
                library.range.clone(),
                library.base,
                sections,
            ));
            let path = if is_executable {
                let this = std::env::current_exe().unwrap_or_default();
                this.to_string_lossy().into_owned()
            } else {
                name
            };
            self.modules.push(Module {
                path,
                base: library.base,
                range: library.range,
                is_executable,
            });
        }
        is_new
    }
}

/// What the dynamic linker says.
struct List {
    loaded: u64,
    known: u64,
    found: Vec<Library>,
}

struct Library {
    path: CString,
    base: u64,
    range: Range<u64>,
    tables: Option<ExplicitModuleSectionInfo<&'static [u8]>>,
}

impl Library {
    /// Makes sure that it is never unloaded; false if it has been already.
    fn stays(&self) -> bool {
        // What the system itself maps (the vdso) has no path and no end.
        if !self.path.as_bytes().contains(&b'/') {
            return true;
        }
        // SAFETY: a library that is loaded is not loaded again, so no code runs; the handle is kept for
        // ever on purpose.
        let handle =
            unsafe { libc::dlopen(self.path.as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD) };
        !handle.is_null()
    }
}

/// # Safety
/// Called by dl_iterate_phdr with a [`List`].
unsafe extern "C" fn on_library(
    info: *mut libc::dl_phdr_info,
    _size: usize,
    list: *mut c_void,
) -> c_int {
    // SAFETY: promised by the caller; the name is null or a C string, and the headers are an array of the
    // length that goes with it.
    let (list, info, name, headers) = unsafe {
        let info = &*info;
        let name = if info.dlpi_name.is_null() {
            CString::default()
        } else {
            CStr::from_ptr(info.dlpi_name).to_owned()
        };
        let headers = std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum));
        (&mut *list.cast::<List>(), info, name, headers)
    };
    list.loaded = info.dlpi_adds;
    if list.loaded == list.known {
        return 1;
    }
    let base = info.dlpi_addr;
    let segments = || {
        let loaded = headers
            .iter()
            .filter(|header| header.p_type == libc::PT_LOAD);
        loaded.map(|header| header.p_vaddr..header.p_vaddr + header.p_memsz)
    };
    let begin = segments().map(|segment| segment.start).min();
    let end = segments().map(|segment| segment.end).max();
    let index = headers
        .iter()
        .find(|header| header.p_type == libc::PT_GNU_EH_FRAME);
    let tables = index.and_then(|header| {
        let index = header.p_vaddr..header.p_vaddr + header.p_memsz;
        // SAFETY: the linker has mapped the section, and the library is not unloaded (see `stays`; before
        // that, during this call, the linker's lock is held).
        let bytes: &'static [u8] = unsafe {
            let length = header.p_memsz as usize;
            std::slice::from_raw_parts((base + index.start) as *const u8, length)
        };
        let tables_begin = tables_address(bytes, index.start)?;
        // Their own length is not written down; each entry has one, and the index leads to all of them.
        let segment = segments().find(|segment| segment.contains(&tables_begin))?;
        let tables = tables_begin..segment.end;
        // SAFETY: as above: the rest of a mapped segment.
        let table_bytes: &'static [u8] = unsafe {
            let length = (tables.end - tables.start) as usize;
            std::slice::from_raw_parts((base + tables.start) as *const u8, length)
        };
        Some(ExplicitModuleSectionInfo {
            base_svma: 0,
            eh_frame_svma: Some(tables),
            eh_frame: Some(table_bytes),
            eh_frame_hdr_svma: Some(index),
            eh_frame_hdr: Some(bytes),
            ..Default::default()
        })
    });
    if let (Some(begin), Some(end)) = (begin, end) {
        list.found.push(Library {
            path: name,
            base,
            range: base + begin..base + end,
            tables,
        });
    }
    0
}

/// Where the tables begin, out of the head of their index (Linux Standard Base, `.eh_frame_hdr`), which
/// lies at `at`. All linkers write the distance from the field itself in four bytes.
fn tables_address(index: &[u8], at: u64) -> Option<u64> {
    const RELATIVE_TO_HERE_4_BYTES: u8 = 0x1b;
    let (version, encoding) = (*index.first()?, *index.get(1)?);
    if version != 1 || encoding != RELATIVE_TO_HERE_4_BYTES {
        return None;
    }
    let distance = i32::from_le_bytes(index.get(4..8)?.try_into().ok()?);
    (at + 4).checked_add_signed(distance.into())
}

/// What the addresses of this executable's file are moved by.
#[cfg(test)]
pub fn base_of_executable() -> u64 {
    Unwinder::new().modules[0].base
}

#[cfg(test)]
mod tests {
    use super::super::ring::Registers;
    use super::*;

    /// A copy of the calling thread's stack, taken as the signal's handler does it.
    #[inline(never)]
    fn copy(top: usize) -> (Registers, Vec<u8>) {
        let (ip, sp, bp): (u64, u64, u64);
        // SAFETY: reads registers only.
        unsafe {
            std::arch::asm!(
                "lea {}, [rip]", "mov {}, rsp", "mov {}, rbp",
                out(reg) ip, out(reg) sp, out(reg) bp
            );
        }
        // SAFETY: the stack between its pointer and a local of a caller is mapped.
        let stack = unsafe { std::slice::from_raw_parts(sp as *const u8, top - sp as usize) };
        (Registers { ip, sp, bp }, stack.to_vec())
    }

    #[inline(never)]
    fn deeper(depth: usize, top: usize, callers: &mut Vec<u64>) -> (Registers, Vec<u8>) {
        let padding = std::hint::black_box([depth; 40]);
        let copied = if depth == 0 {
            backtrace::trace(|frame| {
                callers.push(frame.ip() as u64 - 1);
                true
            });
            copy(top)
        } else {
            deeper(depth - 1, top, callers)
        };
        std::hint::black_box(padding);
        copied
    }

    #[test]
    fn a_copied_stack_gives_the_callers_that_the_real_one_has() {
        let here = 0_u8;
        let mut callers = Vec::new();
        let (registers, stack) = deeper(5, &raw const here as usize, &mut callers);
        let sample = Sample {
            thread: 1,
            name: [0; 16],
            registers,
            stack: &stack,
        };
        let mut unwinder = Unwinder::new();
        let mut frames = Vec::new();
        unwinder.unwind(&sample, &mut frames);
        // The five calls of `deeper` by itself are the same address, once in each of them.
        let repeated = |addresses: &[u64]| {
            let most = addresses
                .iter()
                .max_by_key(|address| addresses.iter().filter(|other| other == address).count());
            let most = most.copied().unwrap_or_default();
            (
                most,
                addresses.iter().filter(|other| **other == most).count(),
            )
        };
        assert_eq!(repeated(&callers).1, 5, "{callers:x?}");
        assert_eq!(repeated(&frames), repeated(&callers), "{frames:x?}");
        for address in &frames {
            assert!(unwinder.locate(*address).is_some());
        }
    }

    #[test]
    fn a_stack_that_was_not_copied_gives_its_instruction_alone() {
        let ip = a_stack_that_was_not_copied_gives_its_instruction_alone as *const () as u64;
        let sample = Sample {
            thread: 1,
            name: [0; 16],
            registers: Registers { ip, sp: 64, bp: 0 },
            stack: &[],
        };
        let mut frames = Vec::new();
        Unwinder::new().unwind(&sample, &mut frames);
        assert_eq!(frames, [ip]);
    }
}
