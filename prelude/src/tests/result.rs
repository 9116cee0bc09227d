//! How the value of a cell's last expression is shown. Warnings are errors here: a cell would print them.

#![deny(warnings)]
// Odd expressions are the subject here.
#![allow(
    clippy::diverging_sub_expression,
    clippy::empty_loop,
    clippy::useless_vec
)]

use super::host::{Turn, turn};
use crate::__result;
use crate::prelude::*;

fn text_of(turn: &Turn) -> String {
    let (kind, json) = turn.frame();
    assert_eq!(kind, 1);
    let json = json
        .strip_prefix(r#"{"data":{"text/plain":""#)
        .unwrap_or_else(|| panic!("{json}"));
    let tail = r#""},"metadata":{},"display_id":null,"update":false,"result":true}"#;
    json.strip_suffix(tail)
        .unwrap_or_else(|| panic!("{json}"))
        .to_owned()
}

macro_rules! shown {
    ($turn:expr, $value:expr) => {{
        __result!($value);
        text_of(&$turn)
    }};
}

struct Foreign(u32);

impl Foreign {
    fn evcxr_display(&self) {
        display_as("text/plain", format!("foreign {}", self.0));
    }
}

struct Own;

impl Show for Own {
    fn show(&self) -> Bundle {
        Bundle::new().text("own")
    }
}

struct Bare<T>(#[allow(dead_code)] T);

#[derive(Debug, Clone)]
struct Borrowed<'a>(#[allow(dead_code)] &'a str);

#[test]
fn debug_is_the_ordinary_case() {
    let turn = turn();
    assert_eq!(shown!(turn, 1 + 1), "2");
    assert_eq!(shown!(turn, 0.5), "0.5");
    assert_eq!(shown!(turn, 'a'), "'a'");
    assert_eq!(shown!(turn, vec![Some(1), None]), "[Some(1), None]");
    assert_eq!(shown!(turn, 1..5), "1..5");
    assert_eq!(shown!(turn, Borrowed("x")), r#"Borrowed(\"x\")"#);
    assert_eq!(shown!(turn, "text"), r#"\"text\""#);
    let function: fn(i32) -> i32 = |x| x;
    assert!(shown!(turn, function).starts_with("0x"));
}

#[test]
fn unit_shows_nothing() {
    let turn = turn();
    let mut x = 1;
    __result!(());
    __result!(x += 1);
    __result!({
        let _ = x;
    });
    __result!(&());
    assert_eq!(turn.frames(), []);
}

#[test]
fn show_comes_before_debug() {
    let turn = turn();
    assert_eq!(shown!(turn, Own), "own");
    assert_eq!(shown!(turn, Some(Own)), "own");
    assert_eq!(shown!(turn, &&Own), "own");
    assert_eq!(shown!(turn, Box::new(Own) as Box<dyn Show>), "own");
    __result!(Html::new("<b>x</b>"));
    assert!(
        turn.frame()
            .1
            .starts_with(r#"{"data":{"text/html":"<b>x</b>","text/plain":"x"}"#)
    );
}

#[test]
fn the_notebook_convention_is_called_between_begin_and_end() {
    let turn = turn();
    let value = Foreign(7);
    let reports = [
        (4, r#"{"report":"group","value":"begin"}"#),
        (4, r#"{"report":"group","value":"end"}"#),
    ];
    for show in [
        (|value| __result!(*value)) as fn(&Foreign),
        |value| __result!(value),
        |value| __result!(&&value),
        |_| __result!(Foreign(7)),
        |_| __result!(Arc::new(Foreign(7))),
        |_| __result!(Box::new(Foreign(7))),
    ] {
        show(&value);
        let frames = turn.frames();
        assert_eq!(frames.len(), 3, "{frames:?}");
        assert_eq!((frames[0].0, frames[0].1.as_str()), reports[0]);
        assert!(frames[1].1.contains("foreign 7"), "{frames:?}");
        assert_eq!((frames[2].0, frames[2].1.as_str()), reports[1]);
    }
}

#[test]
fn the_notebook_convention_may_come_from_a_trait() {
    trait Displays {
        fn evcxr_display(&self);
    }
    impl Displays for Bare<u8> {
        fn evcxr_display(&self) {
            display(&Markdown::new("by a trait"));
        }
    }
    let turn = turn();
    __result!(Bare(1u8));
    assert_eq!(turn.frames().len(), 3);
    assert_eq!(
        shown!(turn, Bare(1u16)),
        "<value of type Bare<u16>: it has no Debug>"
    );
}

#[test]
fn a_group_ends_when_its_display_panics() {
    struct Bad;
    impl Bad {
        fn evcxr_display(&self) {
            panic!("bad display");
        }
    }
    let turn = turn();
    assert!(std::panic::catch_unwind(|| __result!(Bad)).is_err());
    let kinds: Vec<_> = turn.frames().iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [4, 3, 4]);
}

#[test]
fn without_debug_the_type_is_named() {
    let turn = turn();
    assert_eq!(
        shown!(turn, Bare(vec![1u8])),
        "<value of type Bare<Vec<u8>>: it has no Debug>"
    );
    assert_eq!(
        shown!(turn, &Bare(1u8)),
        "<value of type Bare<u8>: it has no Debug>"
    );
    let closure = |x: i32| x;
    assert_eq!(
        shown!(turn, closure),
        "<value of type closure: it has no Debug>"
    );
    let _ = closure(1);
}

#[test]
fn a_figure_is_an_image() {
    use plotters::prelude::*;
    let turn = turn();
    __result!(evcxr_figure((20, 10), |root| root
        .fill(&WHITE)
        .map_err(Into::into)));
    assert!(
        turn.frame()
            .1
            .starts_with(r#"{"data":{"image/svg+xml":"<svg"#)
    );
}

#[test]
fn nothing_is_moved() {
    let turn = turn();
    let (text, bare, boxed) = (String::from("kept"), Bare(1u8), Box::new([1, 2]));
    __result!(text);
    __result!(bare);
    __result!(boxed);
    __result!((&text, &boxed).0);
    assert_eq!(turn.frames().len(), 4);
    drop((text, bare, boxed));
}

#[test]
fn unsized_places_are_shown() {
    let turn = turn();
    let numbers = vec![1, 2, 3];
    let text = String::from("abc");
    let dynamic: &dyn std::fmt::Debug = &5;
    assert_eq!(shown!(turn, numbers[1..]), "[2, 3]");
    assert_eq!(shown!(turn, *text), r#"\"abc\""#);
    assert_eq!(shown!(turn, *dynamic), "5");
}

#[test]
fn any_expression_will_do() {
    let turn = turn();
    let yes = std::hint::black_box(true);
    assert_eq!(shown!(turn, if yes { 1 } else { 2 }), "1");
    assert_eq!(
        shown!(
            turn,
            match 3 {
                n if yes => n + 1,
                _ => 0,
            }
        ),
        "4"
    );
    assert_eq!(
        shown!(turn, {
            let x = 5;
            x * 2
        }),
        "10"
    );
    assert_eq!(
        shown!(turn, String::from("temporary").as_str()),
        r#"\"temporary\""#
    );
    assert_eq!(shown!(turn, Mutex::new(5).lock().unwrap()), "5");
    let value = "the user's own name";
    assert_eq!(shown!(turn, value.len()), "19");
}

#[test]
fn expressions_that_never_return_compile() {
    fn leaves(now: bool) -> i32 {
        if now {
            __result!(return 5);
        }
        __result!(loop {
            if !now {
                break;
            }
        });
        6
    }
    let turn = turn();
    assert_eq!((leaves(true), leaves(false)), (5, 6));
    assert_eq!(turn.frames(), []);
    assert!(std::panic::catch_unwind(|| __result!(panic!("on purpose"))).is_err());
    let _endless = || __result!(loop {});
    assert_eq!(turn.frame().0, 3);
}

#[test]
fn question_marks_and_awaits_work_inside() {
    fn parsed(text: &str) -> Result<(), std::num::ParseIntError> {
        __result!(text.parse::<i32>()?);
        Ok(())
    }
    let turn = turn();
    parsed("12").unwrap();
    assert_eq!(text_of(&turn), "12");
    assert!(parsed("x").is_err());
    assert_eq!(turn.frames(), []);

    async fn fetched() -> Result<Vec<u8>, std::io::Error> {
        Ok(vec![1, 2])
    }
    let cell = async {
        __result!(fetched().await?);
        __result!(fetched().await?.len());
        Ok::<_, std::io::Error>(())
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    // `spawn` asks the cell to be Send: showing holds nothing across an await.
    runtime.block_on(async { tokio::spawn(cell).await.unwrap().unwrap() });
    let frames = turn.frames();
    assert!(
        frames[0].1.contains("[1, 2]") && frames[1].1.contains("\"2\""),
        "{frames:?}"
    );
}

#[test]
fn a_panicking_debug_is_an_ordinary_panic() {
    struct Bad;
    impl std::fmt::Debug for Bad {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("bad debug")
        }
    }
    let turn = turn();
    assert!(std::panic::catch_unwind(|| __result!(Bad)).is_err());
    let (kind, json) = turn.frame();
    assert_eq!(kind, 3);
    assert!(
        json.starts_with(r#"{"message":"bad debug","file":""#),
        "{json}"
    );
}
