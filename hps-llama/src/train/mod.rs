//! Training: log-probs to coefficients to gradients to files.

mod optimizer;
mod schedule;

pub use optimizer::{AdamW, AdamWConfig};
pub use schedule::{Schedule, SchedulerType};
