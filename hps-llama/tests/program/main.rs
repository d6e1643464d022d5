//! The program `hps`, run as people run it.

mod dry_run;
mod output;
mod program;
mod refusals;
mod run;
mod tasks;
#[allow(dead_code)] // One table for all that is compared with TRL.
#[path = "../../../tests/support/tolerance.rs"]
mod tolerance;
mod trl;
