//! The program `hps`, run as people run it.

mod adapters;
mod answers;
mod backend;
mod bench;
mod changing;
mod chat;
mod choices;
mod data;
mod dry_run;
mod echoes;
mod endpoint;
mod evaluate;
mod evaluate_again;
#[cfg(unix)]
mod full_disk;
mod generate;
mod heads;
#[cfg(unix)]
mod locked;
mod log_probs;
mod merge;
mod names;
mod not_a_number;
mod output;
mod outputs;
mod overnight;
#[cfg(unix)]
mod past_runs;
mod program;
mod quantised;
#[allow(dead_code)] // Its `main`.
#[path = "../../../examples/random_gguf.rs"]
mod random_gguf;
mod refusals;
mod run;
#[cfg(unix)]
mod saved_first;
mod score;
mod server;
#[cfg(unix)]
mod signals;
mod tasks;
mod terminal;
mod texts;
#[allow(dead_code)] // One table for all that is compared with TRL.
#[path = "../../../tests/support/tolerance.rs"]
mod tolerance;
mod trl;
#[cfg(feature = "wgpu")]
mod wgpu;
