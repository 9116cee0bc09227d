//! Threads: from their making to their end.

use std::sync::Arc;
use std::time::Duration;

use super::super::*;
use super::{LONG, SHORT, message, until, until_it_ends, until_it_waits};
use crate::display::Show;
use crate::runnable::Runnable;
use crate::tests::host;

#[test]
fn a_thread_goes_through_its_states() {
    let go = Arc::new(Event::new());
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let thread = {
        let (go, stop) = (Arc::clone(&go), Arc::clone(&stop));
        Thread::new(move || {
            go.wait();
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        })
    };
    assert_eq!(thread.state(), State::Created);
    assert!(!thread.is_alive());
    assert_eq!(thread.info().cpu_time(), None);
    thread.start().unwrap();
    assert!(thread.is_alive());
    until_it_waits(&thread);
    assert_eq!(thread.state(), State::Waiting);
    go.set();
    until("it runs", || thread.state() == State::Running);
    // What never waits is one of the two at each look.
    for _ in 0..20 {
        assert!(matches!(thread.state(), State::Running | State::Runnable));
    }
    assert!(thread.info().cpu_time().is_some());
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    thread.join().unwrap();
    assert_eq!(thread.state(), State::Finished);
    assert!(!thread.is_alive());
    assert_eq!(thread.info().cpu_time(), None);
}

#[test]
fn a_thread_that_sleeps_waits() {
    let thread = spawn(|| std::thread::sleep(Duration::from_millis(300)));
    until("it waits", || thread.state() == State::Waiting);
    thread.join().unwrap();
}

#[test]
fn the_own_thread_runs() {
    assert_eq!(current().state(), State::Running);
    assert!(current().is_alive());
    assert_eq!(current(), current());
    assert_ne!(spawn(current).join().unwrap(), current());
    assert_eq!(State::Runnable.to_string(), "runnable");
    assert!(current().to_string().ends_with(" (running)"));
}

#[test]
fn names_are_given_or_counted() {
    let named = Thread::new(|| current().name())
        .name("function_A")
        .name("too late");
    assert_eq!(named.info().name(), "function_A");
    assert_eq!(named.spawn().unwrap().join().unwrap(), "function_A");
    let numbered = Thread::new(|| std::thread::current().name().map(str::to_owned));
    let name = numbered.info().name();
    assert!(
        name.strip_prefix("Thread-")
            .is_some_and(|n| n.parse::<u64>().is_ok()),
        "{name}"
    );
    numbered.start().unwrap();
    assert_eq!(
        numbered.join().unwrap(),
        Some(name),
        "std knows it by the same name"
    );
    // A thread of std's keeps its name, and one with a NUL is no reason to panic.
    let foreign = std::thread::Builder::new().name("theirs".to_owned());
    assert_eq!(
        foreign.spawn(|| current().name()).unwrap().join().unwrap(),
        "theirs"
    );
    assert_eq!(Thread::new(|| ()).name("a\0b").info().name(), "a\u{fffd}b");
}

#[test]
fn a_thread_starts_once_and_gives_its_value_once() {
    let thread = Thread::new(|| 7).name("once");
    assert_eq!(
        thread.join().unwrap_err().to_string(),
        "thread 'once' cannot be joined: it was not started; call start() first"
    );
    thread.start().unwrap();
    assert_eq!(
        thread.start().unwrap_err().to_string(),
        "thread 'once' cannot be started: it was started before, and a thread runs once; make another one"
    );
    assert_eq!(thread.clone().join().unwrap(), 7);
    assert_eq!(
        thread.join().unwrap_err().to_string(),
        "thread 'once' has no result: an earlier join took it; keep the value that join returns"
    );
    assert!(thread.start().is_err());
}

#[test]
fn a_panic_comes_with_join_each_time() {
    let _turn = host::turn();
    let thread = Thread::new(|| -> u8 { panic!("no {}", "good") })
        .name("bad")
        .spawn()
        .unwrap();
    for _ in 0..2 {
        assert_eq!(
            thread.join().unwrap_err().to_string(),
            "thread 'bad' panicked: no good"
        );
    }
    assert_eq!(thread.state(), State::Finished);
    assert_eq!(message(spawn(|| panic!("plain")).join()), "plain");
    assert_eq!(
        message(spawn(|| std::panic::panic_any(5)).join()),
        "a value that is no text"
    );
}

#[test]
fn join_waits_for_so_long_at_most() {
    let go = Arc::new(Event::new());
    let waits = Arc::clone(&go);
    let thread = Thread::new(move || waits.wait())
        .name("slow")
        .spawn()
        .unwrap();
    assert_eq!(
        thread.join_timeout(SHORT).unwrap_err().to_string(),
        "thread 'slow' has not ended after 20ms: it still runs or waits; join it again later"
    );
    assert!(thread.join_timeout(Duration::ZERO).is_err());
    go.set();
    thread.join_timeout(LONG).unwrap();
    // A time that no clock can count to is for ever.
    assert_eq!(spawn(|| 1).join_timeout(Duration::MAX).unwrap(), 1);
}

#[test]
fn a_thread_that_joins_itself_is_told() {
    let own: Arc<std::sync::OnceLock<Thread<Result<(), String>>>> = Arc::default();
    let inside = Arc::clone(&own);
    let thread = Thread::new(move || {
        // Of its own result it needs only the error.
        inside
            .wait()
            .join()
            .map(|_| ())
            .map_err(|error| error.to_string())
    })
    .name("self");
    own.set(thread.clone()).unwrap();
    thread.start().unwrap();
    assert_eq!(
        thread.join().unwrap().unwrap_err(),
        "thread 'self' cannot be joined: it would wait for its own end; let another thread join it"
    );
}

#[test]
fn runnables_bring_their_names() {
    struct Named(u8);
    impl Runnable for Named {
        type Output = (u8, String);
        fn name(&self) -> Option<String> {
            Some(format!("number {}", self.0))
        }
        fn run(self) -> (u8, String) {
            (self.0, current().name())
        }
    }
    let thread = Thread::of(Named(3)).spawn().unwrap();
    assert_eq!(thread.join().unwrap(), (3, "number 3".to_owned()));
}

#[test]
fn join_all_leaves_out_daemons_only() {
    let go = Arc::new(Event::new());
    let waits = || {
        let go = Arc::clone(&go);
        Thread::new(move || go.wait())
    };
    let daemon = waits().daemon(true).spawn().unwrap();
    assert!(daemon.info().is_daemon());
    let thread = spawn(|| std::thread::sleep(SHORT));
    let _never_started = waits();
    // Others of this process's tests may be running: they end by themselves.
    until("all have ended", || join_all_timeout(SHORT));
    join_all();
    assert!(!thread.is_alive() && daemon.is_alive());
    go.set();
    daemon.join().unwrap();
}

#[test]
fn the_list_has_all_threads_with_what_they_wait_for() {
    let go = Arc::new(Event::new());
    let waits = Arc::clone(&go);
    let thread = Thread::new(move || waits.wait())
        .name("listed")
        .daemon(true);
    let find = |name: &str| list().into_iter().find(|one| one.name == name);
    assert_eq!(find("listed").unwrap().state, State::Created);
    thread.start().unwrap();
    until_it_waits(&thread);
    let facts = find("listed").unwrap();
    assert_eq!((facts.state, facts.daemon), (State::Waiting, true));
    let waits_for = facts.waits_for.unwrap();
    assert!(
        waits_for.starts_with("event, ") && waits_for.contains("life.rs:"),
        "{waits_for}"
    );
    assert!(facts.cpu_time.is_some() && facts.system_id.is_some());
    let name = current().name();
    assert_eq!(find(&name).unwrap().state, State::Running);
    assert!(find("rayon-0").is_some() || !crate::rt::has_host());
    let (text, shown) = (list().to_string(), list().show());
    assert!(
        text.contains("listed") && text.contains("processor time (ms)"),
        "{text}"
    );
    assert!(
        shown
            .get("text/html")
            .is_some_and(|html| html.contains("listed"))
    );
    go.set();
    until_it_ends(&thread);
    assert_eq!(find("listed"), None);
}

#[test]
fn a_thread_that_never_used_the_module_is_in_the_list() {
    let (told, hears) = std::sync::mpsc::channel::<()>();
    let foreign = std::thread::Builder::new().name("foreign".to_owned());
    let foreign = foreign.spawn(move || hears.recv()).unwrap();
    until("it is listed", || {
        list()
            .iter()
            .any(|one| one.name == "foreign" && one.state == State::Waiting)
    });
    drop(told);
    assert!(foreign.join().unwrap().is_err());
}

#[test]
fn debug_is_short() {
    let thread = Thread::new(|| ()).name("shown");
    assert_eq!(
        format!("{thread:?}"),
        r#"Thread { name: "shown", state: Created, daemon: false }"#
    );
    assert_eq!(
        format!("{:?}", thread.info()),
        r#"ThreadInfo { name: "shown", state: Created, daemon: false, .. }"#
    );
}
