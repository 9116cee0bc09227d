"""One state for the whole session: statics, thread-locals, variables whose types change."""

from __future__ import annotations

from harness import Client

ATOMIC = "use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};"


def value(kernel: Client, code: str) -> str:
    """The text of a cell's result."""
    return kernel.run(code).text


def test_a_static_begins_anew_where_it_is_defined_anew(kernel: Client) -> None:
    kernel.run(f"{ATOMIC}\nstatic ANEW: AtomicUsize = AtomicUsize::new(1);")
    assert value(kernel, "ANEW.fetch_add(1, SeqCst); ANEW.load(SeqCst)") == "2"
    result = kernel.run("static ANEW: AtomicUsize = AtomicUsize::new(100);")
    result.has("static `ANEW` is defined anew", result.stderr)
    assert value(kernel, "ANEW.load(SeqCst)") == "100"


def test_a_mutable_static_is_one_over_cells(kernel: Client) -> None:
    kernel.run("static mut TABLE: [u8; 4] = [0; 4];")
    kernel.run("unsafe { TABLE[2] = 7; }")
    assert value(kernel, "unsafe { TABLE[2] }") == "7"


def test_a_static_within_a_function_is_one_over_cells(kernel: Client) -> None:
    kernel.run(
        f"{ATOMIC}\nfn ticket() -> usize {{ static NEXT: AtomicUsize = AtomicUsize::new(1); NEXT.fetch_add(1, SeqCst) }}"
    )
    assert [value(kernel, "ticket()") for _ in range(3)] == ["1", "2", "3"]


def test_a_static_is_seen_by_a_thread_of_an_earlier_cell(kernel: Client) -> None:
    kernel.run(f"{ATOMIC}\nstatic SIGNAL: AtomicUsize = AtomicUsize::new(0);")
    kernel.run("let waiter = thread::spawn(|| { while SIGNAL.load(SeqCst) == 0 { thread::yield_now(); } 5 });")
    kernel.run("SIGNAL.store(1, SeqCst);")
    assert value(kernel, "waiter.join().unwrap()") == "5"


def test_a_lazy_static_is_made_once(kernel: Client) -> None:
    kernel.run('static LAZY: LazyLock<Mutex<Vec<u8>>> = LazyLock::new(|| { println!("made"); Mutex::new(vec![]) });')
    first = kernel.run("LAZY.lock().unwrap().push(1);")
    second = kernel.run("LAZY.lock().unwrap().push(2);")
    assert (first.stdout, second.stdout) == ("made\n", "")
    assert value(kernel, "LAZY.lock().unwrap().len()") == "2"


def test_a_panic_in_a_statics_initialiser_fails_the_cell_only(kernel: Client) -> None:
    kernel.run('static BROKEN: LazyLock<u8> = LazyLock::new(|| panic!("no value"));')
    kernel.run("let before = 3;")
    result = kernel.execute("*BROKEN").expect_error("Panic")
    result.has("no value", result.traceback)
    assert value(kernel, "before") == "3"


def test_thread_locals_are_one_over_cells(kernel: Client) -> None:
    kernel.run("use std::cell::Cell;\nthread_local! { static MINE: Cell<u32> = const { Cell::new(1) }; }")
    kernel.run("MINE.set(9);")
    assert value(kernel, "(MINE.get(), thread::spawn(|| MINE.get()).join().unwrap())") == "(9, 1)"


def test_a_thread_local_within_a_function_is_one_over_cells(kernel: Client) -> None:
    kernel.run(
        "use std::cell::Cell;\n"
        "fn step() -> u32 { thread_local!(static N: Cell<u32> = Cell::new(0)); N.set(N.get() + 1); N.get() }"
    )
    assert [value(kernel, "step()") for _ in range(2)] == ["1", "2"]


def test_a_variable_of_a_type_that_is_defined_anew_is_lost_and_says_so(kernel: Client) -> None:
    # To the compiler both types have the same identity; taking one for the other reads wild memory.
    kernel.run("struct Point { x: u8 }\nlet point = Point { x: 1 }; let other = 4;")
    kernel.run("struct Point { x: String }")
    result = kernel.execute("point.x").expect_error("E0425")
    result.has("lost because their type was defined anew: point", result.stderr)
    assert value(kernel, "other") == "4"


def test_a_change_deep_within_a_type_counts(kernel: Client) -> None:
    kernel.run("struct Inner(u8); struct Outer { inner: Inner }\nlet outer = vec![Outer { inner: Inner(1) }];")
    kernel.run("struct Inner(u64, u64);")
    kernel.execute("outer.len()").expect_error("E0425")


def test_a_type_survives_a_cell_that_repeats_its_text(kernel: Client) -> None:
    kernel.run("struct Kept(u8);\nlet kept = Kept(6);")
    kernel.run("struct Kept(u8);")
    assert value(kernel, "kept.0") == "6"


def test_values_of_user_types_survive_a_new_dependency(kernel: Client) -> None:
    kernel.run("struct Mine(u8);\nlet mine = Mine(8);")
    kernel.run(':dep itoa = "1"')
    assert value(kernel, "mine.0") == "8"


def test_imports_and_macros_leave_variables_and_statics_alone(kernel: Client) -> None:
    kernel.run(f"{ATOMIC}\nstatic UNTOUCHED: AtomicUsize = AtomicUsize::new(1);")
    kernel.run("let untouched = 5_usize; let numbers: Vec<u32> = vec![1]; UNTOUCHED.store(7, SeqCst);")
    kernel.run("mod shapes { pub struct Square(pub u32); }\nmacro_rules! shape { ($name:ident) => { struct $name(u32); } }")
    for code in ["use forkline::plotters::prelude::*;", "use shapes::*;", "shape!(Circle);", "use std::fmt::*;"]:
        result = kernel.run(code)
        assert result.stderr == "", (code, result.stderr)
    assert value(kernel, "(untouched, numbers.len(), UNTOUCHED.load(SeqCst))") == "(5, 1, 7)"


def test_a_variable_of_a_type_from_a_module_is_lost_with_it(kernel: Client) -> None:
    kernel.run("mod inside { pub struct Brick(pub u8); }\nuse inside::*;")
    kernel.run("let brick = Brick(2); let beside = 3;")
    assert value(kernel, "brick.0") == "2"
    kernel.run("mod inside { pub struct Brick(pub u64); }")
    result = kernel.execute("brick.0").expect_error("E0425")
    result.has("lost because their type was defined anew: brick", result.stderr)
    assert value(kernel, "beside") == "3"


def test_variables_that_a_cell_does_not_name_stay(kernel: Client) -> None:
    kernel.run('let a = String::from("a"); let b = vec![1]; let c = a.clone();')
    kernel.run("drop(b);")
    assert value(kernel, "format!(\"{a}{}\", c)") == '"aa"'
    kernel.execute("b").expect_error("E0425")


def test_the_preludes_crates_are_one_copy(kernel: Client) -> None:
    kernel.run(':dep rayon = "1"')
    result = kernel.run("rayon::ThreadPoolBuilder::new().num_threads(7).build_global().is_err()")
    assert result.text == "true", "the prelude's pool exists already"
