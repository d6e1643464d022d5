//! Training: rows become tokens, log-probs, coefficients, gradients, and an adapter.

mod bytes;
mod checkpoint;
mod config;
mod evaluation;
mod examples;
mod fingerprint;
mod interrupt;
mod memory;
mod metrics;
mod optimizer;
pub mod options;
mod passes;
mod reference;
mod report;
mod route;
mod schedule;
mod split;
mod task;
mod trainer;
mod truncation;

pub use bytes::{Bytes, thousands};
pub use checkpoint::{Checkpoint, SaveOptions, Skipped};
pub use config::TrainConfig;
pub use evaluation::Evaluation;
pub use examples::{Example, Tokenized, tokenize, tokenize_truncated};
pub use interrupt::Interrupt;
pub use memory::{ListShape, Memory, Plan};
pub use metrics::StepLog;
pub use optimizer::{AdamW, AdamWConfig};
pub use reference::{Reference, ReferenceOptions, ReferencePolicy};
pub use report::{EventFile, Report, write_page};
pub use route::{ActivationPolicy, Route};
pub use schedule::{Schedule, SchedulerType};
pub use split::Split;
pub use trainer::Trainer;
pub use truncation::Truncation;
