//! Threads with a name and a state, and what they wait for: locks, semaphores, conditions, events, barriers, queues.
