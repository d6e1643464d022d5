//! How a policy stands on rows it was not trained on: against its base, by its perplexity, or by its own rewards.

mod bleu;
mod bootstrap;
mod margins;
mod perplexity;
mod ranking;
mod token_log_probs;

pub use bleu::{Bleu, BleuCounts};
pub use bootstrap::{Interval, bootstrap_mean};
pub use margins::{RowMargins, margins};
pub use perplexity::perplexity;
pub use ranking::{Ranking, ranking};
pub use token_log_probs::token_log_probs;

use crate::pack::{self, Group};
use crate::train::Example;

/// Examples in runs of `max_tokens` tokens at most, each run with its groups; a longer example is a run of its own.
fn runs(examples: &[Example], max_tokens: usize) -> impl Iterator<Item = (&[Example], Vec<Group>)> {
    let runs = pack::runs(examples, max_tokens, |example| example.group.tokens());
    runs.map(|run| (run, run.iter().map(|example| example.group.clone()).collect()))
}
