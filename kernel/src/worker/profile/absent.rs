//! The profiler where it does not exist: its handler reads the registers of an x86_64.

/// Nothing to be removed.
pub struct OwnTimer;

pub fn know_stack(_here: *const u8, _size: usize) {}
pub fn know_main_stack(_here: *const u8) {}
pub fn default_stack() -> usize {
    0
}
pub fn thread_begins() -> OwnTimer {
    OwnTimer
}
pub fn want(_on: bool) {}
pub fn start() {}
pub fn stop() {}
pub fn send() {}
pub fn look_at(_thread: i32) -> Vec<(String, u64)> {
    Vec::new()
}
