//! GGUF files: read, written, split, and every way in which one can be wrong.

mod hostile;
mod raw;
mod refusals;
mod small;
mod split;
