//! How a policy stands against its base on rows it was not trained on.

mod bootstrap;
mod margins;

pub use bootstrap::{Interval, bootstrap_mean};
pub use margins::{RowMargins, margins};
