//! How a policy stands on rows it was not trained on: against its base, by its perplexity, or by its own rewards.
//!
//! [`evaluate`] is all of it, of several policies on several datasets: samples, BLEU, reward, margins, KL, with intervals.

mod against;
mod bleu;
mod bootstrap;
mod cell;
mod data;
mod divergence;
mod folder;
mod judged;
mod margins;
mod metric;
mod options;
mod page;
mod perplexity;
mod ranking;
mod run;
mod sampled;
mod samples;
mod tables;
mod token_log_probs;

pub use against::Against;
pub use bleu::{Bleu, BleuCounts};
pub use bootstrap::{Bootstrap, Interval, bootstrap, bootstrap_mean};
pub use data::EvaluationData;
pub use divergence::{Divergence, divergence};
pub use judged::{EvaluatedMargins, EvaluatedRow, Subject, evaluate_rows};
pub use margins::{RowMargins, margins, margins_against};
pub use metric::Metric;
pub use options::{EvaluateOptions, Method};
pub use perplexity::perplexity;
pub use ranking::{Ranking, ranking};
pub use run::{Cell, Evaluation, evaluate};
pub use sampled::{Sampled, SamplingOptions};
pub use samples::Samples;
pub use token_log_probs::token_log_probs;

use crate::pack::{self, Group};
use crate::train::Example;

/// Examples in runs of `max_tokens` tokens at most, each run with its groups; a longer example is a run of its own.
fn runs(examples: &[Example], max_tokens: usize) -> impl Iterator<Item = (&[Example], Vec<Group>)> {
    let runs = pack::runs(examples, max_tokens, |example| example.group.tokens());
    runs.map(|run| (run, run.iter().map(|example| example.group.clone()).collect()))
}
