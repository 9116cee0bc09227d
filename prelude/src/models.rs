//! Models of machines and of memory, to experiment with.
