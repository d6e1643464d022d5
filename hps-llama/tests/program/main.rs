//! The program `hps`, run as people run it.

mod backend;
mod bench;
mod data;
mod dry_run;
mod endpoint;
mod evaluate;
mod evaluate_again;
mod generate;
#[cfg(unix)]
mod locked;
mod log_probs;
mod merge;
mod not_a_number;
mod output;
mod overnight;
mod program;
mod refusals;
mod run;
#[cfg(unix)]
mod saved_first;
mod score;
mod server;
#[cfg(unix)]
mod signals;
mod tasks;
#[allow(dead_code)] // One table for all that is compared with TRL.
#[path = "../../../tests/support/tolerance.rs"]
mod tolerance;
mod trl;
#[cfg(feature = "wgpu")]
mod wgpu;
