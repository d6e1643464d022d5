//! Training: rows become tokens, log-probs, coefficients, gradients, and an adapter.

mod config;
mod examples;
mod metrics;
mod optimizer;
pub mod options;
mod reference;
mod report;
mod schedule;
mod trainer;
mod truncation;

pub use config::TrainConfig;
pub use examples::{Example, Tokenized, tokenize, tokenize_truncated};
pub use metrics::StepLog;
pub use optimizer::{AdamW, AdamWConfig};
pub use reference::Reference;
pub use report::Report;
pub use schedule::{Schedule, SchedulerType};
pub use trainer::Trainer;
pub use truncation::Truncation;
