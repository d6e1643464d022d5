//! How a policy stands against its base on rows it was not trained on.

mod bootstrap;
mod margins;
mod token_log_probs;

pub use bootstrap::{Interval, bootstrap_mean};
pub use margins::{RowMargins, margins};
pub use token_log_probs::token_log_probs;
