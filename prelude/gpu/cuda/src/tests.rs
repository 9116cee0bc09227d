//! The table, called as the prelude calls it, over the driver in `stand_in`.

use std::ffi::c_void;
use std::ptr::{null, null_mut};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::stand_in::{BUFFERS, EVENTS, MODULES, STREAMS};
use crate::table::{Argument, Handle, KernelFacts, Launch, Table, argument, code};

/// One test at a time, because they count what is not given back.
fn table() -> (MutexGuard<'static, ()>, &'static Table) {
    static ONE: Mutex<()> = Mutex::new(());
    let guard = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: valid for ever.
    (guard, unsafe { &*crate::forkline_gpu_plugin() })
}

/// What a function of the table writes.
fn text(write: impl Fn(*mut u8, usize) -> usize) -> String {
    let mut room = vec![0; write([0; 0].as_mut_ptr(), 0)];
    assert_eq!(write(room.as_mut_ptr(), room.len()), room.len());
    String::from_utf8(room).unwrap()
}

fn last_error(table: &Table) -> String {
    // SAFETY: the room is as said.
    text(|out, n| unsafe { (table.last_error)(out, n) })
}

/// A handle that a function gives.
fn made(give: impl FnOnce(*mut Handle) -> i32) -> Handle {
    let mut handle = 0;
    assert_eq!(give(&mut handle), 0);
    handle
}

fn live() -> [i64; 4] {
    [&BUFFERS, &EVENTS, &STREAMS, &MODULES].map(|count| count.load(Relaxed))
}

#[test]
fn devices_are_counted_and_described() {
    let (_one, table) = table();
    let mut n = 0;
    // SAFETY: a valid pointer.
    assert_eq!(unsafe { (table.start)(&mut n) }, 0);
    assert_eq!(n, 2);
    // SAFETY: the room is as said.
    let facts = text(|out, n| unsafe { (table.facts)(1, out, n) });
    for line in [
        "kind\tgpu",
        "name\tStand-in 1",
        "version\t8.0",
        "platform_version\tCUDA 12.4",
        "compute_units\t108",
        "clock_mhz\t1410",
        "warp_size\t32",
        "max_group_sizes\t1024 1024 64",
        "global_memory\t1073741824",
    ] {
        assert!(
            facts.lines().any(|found| found == line),
            "{line:?} in\n{facts}"
        );
    }
    let keys: Vec<&str> = facts
        .lines()
        .map(|line| line.split('\t').next().unwrap())
        .collect();
    let mut once = keys.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), keys.len(), "{keys:?}");
    let mut buffer = 0;
    // SAFETY: a valid pointer.
    let result = unsafe { (table.allocate)(2, 8, &mut buffer) };
    assert_eq!(result, code::NO_DEVICE);
    assert_eq!(last_error(table), "there is no CUDA device 2, but 2");
}

#[test]
fn bytes_come_back_as_they_were_filled_and_copied() {
    let (_one, table) = table();
    // SAFETY: valid pointers, buffers that are large enough.
    unsafe {
        let stream = made(|out| (table.stream_new)(0, out));
        let before = live();
        let n = 80_000;
        let a = made(|out| (table.allocate)(0, n, out));
        let b = made(|out| (table.allocate)(0, n, out));
        for pattern in [
            &[7_u8][..],
            &[1, 2],
            &[1, 2, 3, 4],
            &[1, 2, 3, 4, 5, 6, 7, 8],
            &[9, 8, 7, 6, 9, 8, 7, 6],
        ] {
            let zeros = vec![0_u8; n];
            let from = zeros.as_ptr().cast();
            assert_eq!((table.write)(0, stream, a, 0, from, n, null_mut()), 0);
            // Not at an address that suits a number of its size.
            let shifted = [&[0], pattern].concat();
            let place = shifted.as_ptr().add(1).cast();
            let (width, bytes) = (pattern.len(), n - 24);
            let event = made(|out| (table.fill)(0, stream, a, 16, place, width, bytes, out));
            assert_eq!((table.event_free)(0, event), 0);
            assert_eq!((table.copy)(0, stream, a, 8, b, 0, n - 8, null_mut()), 0);
            let mut found = vec![255_u8; n - 8];
            let to = found.as_mut_ptr().cast();
            assert_eq!((table.read)(0, stream, b, 0, to, n - 8, null_mut()), 0);
            let filled = pattern.iter().cycle().take(bytes).copied();
            let wanted: Vec<u8> = [0; 8].into_iter().chain(filled).chain([0; 8]).collect();
            assert_eq!(found[..wanted.len()], wanted);
        }
        let wrong = (table.fill)(0, stream, a, 0, [0; 3].as_ptr().cast(), 3, 3, null_mut());
        assert_eq!(wrong, code::ARGUMENTS);
        for buffer in [a, b] {
            assert_eq!((table.free)(0, buffer), 0);
        }
        assert_eq!(live(), before);
        assert_eq!((table.stream_free)(0, stream), 0);
    }
}

#[test]
fn too_large_a_buffer_is_out_of_memory() {
    let (_one, table) = table();
    let mut buffer = 0;
    // SAFETY: a valid pointer.
    let result = unsafe { (table.allocate)(0, 1 << 40, &mut buffer) };
    assert_eq!(result, code::OUT_OF_MEMORY);
    assert_eq!(
        last_error(table),
        "cuMemAlloc: CUDA_ERROR_OUT_OF_MEMORY, in words (2)"
    );
    // SAFETY: the room is as said.
    let unknown = text(|out, n| unsafe { (table.error_text)(12_345, out, n) });
    assert_eq!(unknown, "an error of the driver");
}

#[test]
fn events_are_spans_in_the_order_of_their_stream() {
    let (_one, table) = table();
    // SAFETY: valid pointers; a buffer that is large enough.
    unsafe {
        let stream = made(|out| (table.stream_new)(1, out));
        let buffer = made(|out| (table.allocate)(1, 8, out));
        let before = live();
        let mut last = 0.0;
        for _ in 0..3 {
            let eight = [0_u8; 8];
            let from = eight.as_ptr().cast();
            let write = made(|out| (table.write)(1, stream, buffer, 0, from, 8, out));
            let mark = made(|out| (table.stream_mark)(1, stream, out));
            assert_eq!((table.stream_wait)(1, stream, mark), 0);
            for event in [write, mark] {
                let (mut is_done, mut begin, mut end) = (0, 0.0, 0.0);
                assert_eq!((table.event_finish)(1, event), 0);
                assert_eq!((table.event_is_done)(1, event, &mut is_done), 0);
                assert_eq!(is_done, 1);
                assert_eq!((table.event_times)(1, event, &mut begin, &mut end), 0);
                assert!(last <= begin && begin <= end, "{last} {begin} {end}");
                assert!(event == write || begin == end);
                last = end;
                assert_eq!((table.event_free)(1, event), 0);
            }
        }
        // A machine that was slow may have made a new moment of reference.
        assert!(live()[1] - before[1] <= 1);
        assert_eq!((table.free)(1, buffer), 0);
        assert_eq!((table.stream_free)(1, stream), 0);
    }
}

const IMAGE: &[u8] = b"\x7fELF, as far as anybody looks";

#[test]
fn kernels_hold_their_module_and_run() {
    let (_one, table) = table();
    // SAFETY: valid pointers; the arguments are those of the kernel.
    unsafe {
        let stream = made(|out| (table.stream_new)(0, out));
        let buffer = made(|out| (table.allocate)(0, 40, out));
        let before = live();
        let module = made(|out| (table.load)(0, IMAGE.as_ptr(), IMAGE.len(), out));
        let mut bytes = vec![0; (table.binary)(0, module, null_mut(), 0)];
        (table.binary)(0, module, bytes.as_mut_ptr(), bytes.len());
        assert_eq!(bytes, IMAGE);
        let mut none = 0;
        let wrong = (table.kernel)(0, module, c"nothing".as_ptr(), &mut none);
        assert_eq!(wrong, code::NO_KERNEL);
        let kernel = made(|out| (table.kernel)(0, module, c"scale".as_ptr(), out));
        assert_eq!((table.module_free)(0, module), 0);
        assert_eq!(live()[3], before[3] + 1);

        let mut facts = KernelFacts::default();
        assert_eq!((table.kernel_facts)(0, kernel, &mut facts), 0);
        assert_eq!((facts.max_group_size, facts.local_memory), (512, 1024));
        assert_eq!((facts.private_memory, facts.registers), (16, 40));
        assert_eq!((facts.preferred_multiple, facts.n_arguments), (32, 0));

        let mut values: Vec<f32> = (0..10_u8).map(f32::from).collect();
        let from = values.as_ptr().cast();
        assert_eq!((table.write)(0, stream, buffer, 0, from, 40, null_mut()), 0);
        let (factor, n) = (3.0_f32, 8_u32);
        let value = |value: *const c_void| Argument {
            kind: argument::VALUE,
            handle: 0,
            value,
            size: 4,
        };
        let mut arguments = [
            Argument {
                kind: argument::BUFFER,
                handle: buffer,
                value: null(),
                size: 0,
            },
            value((&raw const factor).cast()),
            value((&raw const n).cast()),
        ];
        let right = Launch {
            groups: [2, 1, 1],
            group_size: [4, 2, 1],
            shared: 100_000,
            arguments: arguments.as_ptr(),
            n_arguments: 3,
        };
        let event = made(|out| (table.launch)(0, stream, kernel, &right, out));
        assert_eq!((table.event_free)(0, event), 0);
        let to = values.as_mut_ptr().cast();
        assert_eq!((table.read)(0, stream, buffer, 0, to, 40, null_mut()), 0);
        let wanted = [0.0, 3.0, 6.0, 9.0, 12.0, 15.0, 18.0, 21.0, 8.0, 9.0];
        assert_eq!(values, wanted);

        let mut event = 0;
        for (group_size, shared, words) in [
            (
                [513, 1, 1],
                0,
                "a group of 513 work items; this kernel on this device has at most 512",
            ),
            (
                [1, 1, 65],
                0,
                "a group of [1, 1, 65] work items; this device has at most [1024, 1024, 64]",
            ),
            (
                [1, 1, 1],
                166_000,
                "a group with 167024 bytes of shared memory; this device has at most 166912",
            ),
        ] {
            let wrong = Launch {
                group_size,
                shared,
                ..right
            };
            let result = (table.launch)(0, stream, kernel, &wrong, &mut event);
            assert_eq!(result, code::GROUP_TOO_LARGE);
            assert_eq!(last_error(table), words);
        }
        arguments[2].kind = argument::LOCAL;
        let wrong = Launch {
            arguments: arguments.as_ptr(),
            ..right
        };
        let result = (table.launch)(0, stream, kernel, &wrong, &mut event);
        assert_eq!((result, event), (code::ARGUMENTS, 0));

        assert_eq!((table.kernel_free)(0, kernel), 0);
        assert_eq!(live(), before);
        assert_eq!((table.free)(0, buffer), 0);
        assert_eq!((table.stream_free)(0, stream), 0);
    }
}

#[test]
fn what_the_driver_says_of_a_binary_is_passed_on() {
    let (_one, table) = table();
    let mut module = 0;
    // SAFETY: valid pointers.
    let result = unsafe { (table.load)(0, b"no PTX".as_ptr(), 6, &mut module) };
    assert_eq!(result, 218);
    let words = last_error(table);
    assert_eq!(
        words,
        "cuModuleLoadDataEx: an error of the driver (218)\nline 1: no such thing"
    );
}

#[test]
fn a_text_is_compiled_for_the_device_or_the_cure_is_named() {
    let (_one, table) = table();
    let (source, mut module) = ("extern \"C\" __global__ void scale() { nothing(); }", 0);
    let (mut log, mut length) = (vec![0_u8; 1000], 0);
    let mut compile = |source: &str, options: &std::ffi::CStr| {
        let (from, n) = (source.as_ptr(), source.len());
        // SAFETY: valid pointers, and the room is as said.
        let result = unsafe {
            let to = log.as_mut_ptr();
            (table.compile)(
                0,
                from,
                n,
                options.as_ptr(),
                &mut module,
                to,
                log.len(),
                &mut length,
            )
        };
        (result, String::from_utf8_lossy(&log[..length]).into_owned())
    };
    // SAFETY: the room is as said.
    let compiler = text(|out, n| unsafe { (table.compiler)(0, out, n) });
    let (result, said) = compile(source, c"");
    if compiler.is_empty() {
        println!("NOT RUN: there is no NVRTC");
        assert_eq!(result, code::NO_COMPILER);
        assert!(last_error(table).contains("pip install nvidia-cuda-nvrtc-cu12"));
        return;
    }
    assert!(compiler.ends_with(" sm_80"), "{compiler}");
    assert_eq!(result, code::COMPILE);
    assert!(
        said.contains("kernel.cu(1)") && said.contains("nothing"),
        "{said}"
    );
    let (result, said) = compile(source, c"-Dnothing()=(void)0");
    assert_eq!((result, said.as_str()), (0, ""));
    // SAFETY: a module.
    assert_eq!(unsafe { (table.module_free)(0, module) }, 0);
}
