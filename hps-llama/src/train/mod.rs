//! Training: rows become tokens, log-probs, coefficients, gradients, and an adapter.

mod checkpoint;
mod config;
mod examples;
mod fingerprint;
mod interrupt;
mod metrics;
mod optimizer;
mod reference;
mod report;
mod schedule;
mod trainer;

pub use checkpoint::{Checkpoint, SaveOptions, Skipped};
pub use config::TrainConfig;
pub use examples::{Example, tokenize};
pub use interrupt::Interrupt;
pub use metrics::StepLog;
pub use optimizer::{AdamW, AdamWConfig};
pub use reference::{Reference, ReferenceOptions, ReferencePolicy};
pub use report::Report;
pub use schedule::{Schedule, SchedulerType};
pub use trainer::Trainer;
