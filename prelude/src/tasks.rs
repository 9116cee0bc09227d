//! Asynchronous tasks on the one runtime of this process, and an event loop to learn from.
