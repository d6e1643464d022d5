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

use crate::pack::Group;
use crate::train::Example;

/// Examples in runs of `max_tokens` tokens at most, each run with its groups; a longer example is a run of its own.
fn runs(examples: &[Example], max_tokens: usize) -> impl Iterator<Item = (&[Example], Vec<Group>)> {
    let mut rest = examples;
    std::iter::from_fn(move || {
        let mut tokens = 0;
        let fits = |example: &&Example| {
            tokens += example.group.tokens();
            tokens <= max_tokens
        };
        let count = rest.iter().take_while(fits).count().max(1).min(rest.len());
        let (run, later) = rest.split_at(count);
        rest = later;
        (count > 0).then(|| (run, run.iter().map(|example| example.group.clone()).collect()))
    })
}
