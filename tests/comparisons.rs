//! The statistics of `examples/when_hps`; the tests stand beside them.

#[path = "../examples/when_hps/compare.rs"]
#[allow(dead_code, reason = "the example's tables use the rest")]
mod compare;
