//! The examples of the documentation, each as a test.

use super::host::turn;
use crate::prelude::*;

#[test]
fn crate_example() {
    let turn = turn();
    let even = (0..1_000).into_par_iter().filter(|n| n % 2 == 0).count();
    assert_eq!(even, 500);
    display(&Markdown::new(format!("**{even}** even numbers")));
    assert!(turn.frame().1.contains("**500** even numbers"));
}

#[test]
fn show_example() {
    struct Progress {
        done: u32,
        of: u32,
    }

    impl Show for Progress {
        fn show(&self) -> Bundle {
            Bundle::new()
                .text(format!("{} of {}", self.done, self.of))
                .html(format!(
                    "<progress value={} max={}></progress>",
                    self.done, self.of
                ))
        }
    }

    let turn = turn();
    display(&Progress { done: 3, of: 10 });
    assert!(turn.frame().1.contains("<progress value=3 max=10>"));
}

#[test]
fn display_as_example() {
    let turn = turn();
    display_as(
        "application/geo+json",
        r#"{"type": "Point", "coordinates": [8.5, 47.4]}"#,
    );
    assert!(
        turn.frame()
            .1
            .contains(r#""application/geo+json":{"type": "Point""#)
    );
}

#[test]
fn bundle_example() {
    let bundle = Bundle::new().html("<b>42</b>");
    assert_eq!(bundle.get("text/html"), Some("<b>42</b>"));
    assert_eq!(bundle.plain_text(), "42");
}

#[test]
fn device_example() {
    let here = device::info();
    assert!(here.cpus_usable.is_some());
    assert!(here.to_string().contains("usable by this process"));
}
