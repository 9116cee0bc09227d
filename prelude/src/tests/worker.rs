//! What the worker sees of the library: frames, order, panics, input, the environment.

use std::io::ErrorKind;

use super::host::turn;
use crate::prelude::*;
use crate::{__sizes, rt};

#[test]
fn displays_come_as_frames_in_order() {
    let turn = turn();
    display(&Markdown::new("a \"b\""));
    display_as("text/x-own", "c");
    let frames = turn.frames();
    assert_eq!(
        frames[0],
        (
            1,
            r#"{"data":{"text/markdown":"a \"b\"","text/plain":"a \"b\""},"metadata":{},"display_id":null,"update":false,"result":false}"#
                .to_owned()
        )
    );
    assert!(frames[1].1.contains(r#""text/x-own":"c""#), "{frames:?}");
}

#[test]
fn a_handle_updates_its_own_place() {
    let turn = turn();
    let place = display_handle(&Html::new("1"));
    place.update(&Html::new("2"));
    let frames = turn.frames();
    let id = format!(r#""display_id":"{}""#, place.id());
    assert!(
        frames
            .iter()
            .all(|(kind, json)| *kind == 1 && json.contains(&id)),
        "{frames:?}"
    );
    assert!(
        frames[0].1.contains(r#""update":false"#) && frames[1].1.contains(r#""update":true"#),
        "{frames:?}"
    );
}

#[test]
fn clearing_says_whether_to_wait() {
    let turn = turn();
    clear_output(false);
    clear_output(true);
    assert_eq!(turn.frames(), [(2, "0".to_owned()), (2, "1".to_owned())]);
}

#[test]
fn a_panic_comes_with_its_place_and_thread() {
    let turn = turn();
    let line = line!() + 3;
    let thread = thread::Builder::new()
        .name("the \"one\"".into())
        .spawn(|| panic!("number {}", 5))
        .unwrap();
    assert!(thread.join().is_err());
    let (kind, json) = turn.frame();
    assert_eq!(kind, 3);
    let start = format!(
        r#"{{"message":"number 5","file":"{}","line":{line},"column":"#,
        file!()
    );
    assert!(
        json.starts_with(&start) || json.contains(&format!(r#"worker.rs","line":{line},"#)),
        "{json}"
    );
    assert!(
        json.contains(r#","thread":"the \"one\"","on_cell_thread":true}"#),
        "{json}"
    );
}

#[test]
fn a_panic_that_carries_no_text_is_named() {
    let turn = turn();
    assert!(std::panic::catch_unwind(|| std::panic::panic_any(5)).is_err());
    assert!(turn.frame().1.starts_with(r#"{"message":"Box<dyn Any>""#));
}

#[test]
fn input_comes_from_the_front_end() {
    let _turn = turn();
    assert_eq!(input("é? ").unwrap(), "answer é? ");
    assert_eq!(password("é? ").unwrap(), "hidden é? ");
}

#[test]
fn input_that_is_not_there_says_what_to_do() {
    let _turn = turn();
    let denied = input("deny").unwrap_err();
    assert_eq!(denied.kind(), ErrorKind::Unsupported);
    let text = denied.to_string();
    assert!(
        text.starts_with("input(...): the front end takes no input\nwhy: "),
        "{text}"
    );
    assert!(text.contains("\ndo:  "), "{text}");
    let interrupted = password("interrupt").unwrap_err();
    assert_eq!(interrupted.kind(), ErrorKind::Interrupted);
    assert!(
        interrupted
            .to_string()
            .starts_with("password(...): interrupted")
    );
}

#[test]
fn sizes_are_reported_without_moving() {
    let turn = turn();
    let (numbers, plain, text) = (Vec::<u64>::with_capacity(4), 5u16, String::new());
    __sizes!(numbers, plain, text);
    let expected =
        r#"{"report":"sizes","value":{"numbers":[24,32],"plain":[2,null],"text":[24,0]}}"#;
    assert_eq!(turn.frame(), (4, expected.to_owned()));
    drop((numbers, plain, text));
    __sizes!();
    assert_eq!(turn.frame().1, r#"{"report":"sizes","value":{}}"#);
}

#[test]
fn the_environment_changes_where_std_reads_it() {
    let _turn = turn();
    let (name, value) = ("FORKLINE_TEST_ENV", "a=b é");
    // SAFETY: the pointers are of whole strings, and nothing else in this program reads the environment.
    unsafe { rt::forkline_rt_setenv(name.as_ptr(), name.len(), value.as_ptr(), value.len()) };
    assert_eq!(std::env::var(name).as_deref(), Ok(value));
    // SAFETY: as above.
    unsafe { rt::forkline_rt_unsetenv(name.as_ptr(), name.len()) };
    assert!(std::env::var(name).is_err());
    for bad in ["", "A=B", "A\0B"] {
        // SAFETY: as above; what would make std panic is ignored.
        unsafe {
            rt::forkline_rt_setenv(bad.as_ptr(), bad.len(), value.as_ptr(), value.len());
            rt::forkline_rt_unsetenv(bad.as_ptr(), bad.len());
        }
    }
}

#[test]
fn the_global_pool_exists_and_says_so() {
    let _turn = turn();
    let error = rayon::ThreadPoolBuilder::new()
        .num_threads(7)
        .build_global()
        .unwrap_err();
    assert!(
        error.to_string().contains("already been initialized"),
        "{error}"
    );
    let name = rayon::broadcast(|_| thread::current().name().map(str::to_owned));
    assert!(
        name.iter().flatten().all(|name| name.starts_with("rayon-")),
        "{name:?}"
    );
}

#[test]
fn cells_begin_and_end() {
    let _turn = turn();
    for _ in 0..3 {
        rt::forkline_rt_cell_begin();
        print!("");
        rt::forkline_rt_cell_end();
    }
}

#[test]
fn a_picture_comes_back_or_the_reason_why_there_is_none() {
    let _turn = turn();
    assert_eq!(rt::render_png("<ok/>", 2.0).as_deref(), Ok(&b"<ok/>"[..]));
    assert_eq!(
        rt::render_png("<no/>", 2.0).as_deref(),
        Err(&"a test draws nothing".to_owned())
    );
}
