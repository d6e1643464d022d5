//! Candle's tensors as columns: each operation against dual numbers, every loss against its closed form; and of any row,
//! closed form, dual numbers and autograd against each other.

#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../properties/definition.rs"]
mod definition;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../properties/generator.rs"]
mod generator;
// One list of losses for all tests: what is added there is tested here.
#[path = "../properties/losses.rs"]
mod losses;

mod absent;
mod any_row;
mod batch;
mod conformance;
mod kernels;
mod operations;
mod tolerance;
