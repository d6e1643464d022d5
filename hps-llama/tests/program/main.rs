//! The program `hps`, run as people run it.

mod bench;
mod dry_run;
mod evaluate;
mod evaluate_again;
mod log_probs;
mod merge;
mod output;
mod overnight;
mod program;
mod refusals;
mod run;
mod score;
mod tasks;
#[allow(dead_code)] // One table for all that is compared with TRL.
#[path = "../../../tests/support/tolerance.rs"]
mod tolerance;
mod trl;
