//! The trainer on a CPU: what a step averages, trains on, reports, refuses, and leaves untouched; and that on a
//! GPU it is the same trainer.
//!
//! `L = 1/n Σ L(s)`, the mean over a step's prompts, `s = β (log π − log π_ref)`. Expectations come from `hps_core` on
//! log-probs of the tests' own forward passes, from formulas written out here, and from runs cut otherwise.

mod accumulation;
mod agreement;
mod bootstrap;
mod coefficients;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
mod device_memory;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
mod devices;
mod dropout;
mod lists;
mod losses;
mod margins;
mod memory;
mod negatives;
mod options;
mod own_loss;
mod policy;
mod reference;
mod refusals;
mod report;
mod routes;
mod run;
mod schedule;
#[path = "../support/mod.rs"]
mod support;
mod tolerance;
mod weights;
