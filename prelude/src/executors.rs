//! Pools of threads and processes behind one trait, and the futures that they return.
