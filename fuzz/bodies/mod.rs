//! What each target does with its bytes; replayed without libFuzzer by hps-core's `tests/regressions.rs`.
#![allow(dead_code)]

mod bytes;
pub mod losses;
pub mod names;
pub mod sampler;
