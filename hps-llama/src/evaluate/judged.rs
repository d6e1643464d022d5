//! What is found out about a policy on each row of a dataset.

use super::sampled::sampled;
use super::{Against, EvaluationData, SamplingOptions, divergence, margins_against};
use crate::Result;
use crate::backend::Backend;
use crate::chat::Chat;
use crate::model::Policy;
use crate::reward_model::Scorer;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// One row's line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluatedRow {
    /// The row's line in its file, from 0.
    pub id: u32,
    /// The response that was drawn, the best by the reward model if several were.
    pub response: String,
    /// Its tokens.
    pub tokens: usize,
    /// Whether it ended by itself.
    pub finished: bool,
    /// The rewards of all that were drawn; empty without a reward model.
    pub rewards: Vec<f64>,
    /// Which of them the response has.
    pub best: usize,
    /// Against the reference; `null` for the base itself.
    pub against: Option<EvaluatedMargins>,
}

/// A policy against its reference on one row, in nats.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluatedMargins {
    /// `h₁ − h₂`.
    pub rm_dpo: f64,
    /// `h₁ − h₂ − 0.01 (l₁ − l₂)`.
    pub rm_rdpo: f64,
    /// `h₁ − max hᵢ` over the others.
    pub hardest: f64,
    /// 1 where the preferred response has the greatest `h`; `1 / k` where `k` have it.
    pub accuracy: f64,
    /// Divergence on the preferred response.
    pub kl: f64,
    /// `h₁`.
    pub log_ratio: f64,
}

/// Who is evaluated.
#[derive(Debug)]
pub struct Subject<'a, B: Backend> {
    /// The policy, which responds with its adapter on if it has one.
    pub policy: &'a Policy<B>,
    /// What it is measured against; `None` for the base itself.
    pub against: Option<Against<'a, B>>,
    /// How its model reads text.
    pub chat: &'a Chat,
    /// Who rates its responses.
    pub scorer: Option<&'a Scorer<B>>,
}

/// Evaluates some rows, together.
///
/// * `max_tokens` — tokens of a pass that computes log-probs or rewards, at most, or one row.
///
/// # Errors
/// A number is not finite (with the row's place), a response does not fit the reward model, or the device failed.
pub fn evaluate_rows<B: Backend>(
    subject: &Subject<'_, B>,
    data: &EvaluationData,
    rows: Range<usize>,
    sampling: &SamplingOptions,
    max_tokens: usize,
) -> Result<Vec<EvaluatedRow>> {
    let Subject { policy, against, chat, scorer } = subject;
    let (texts, examples) = (&data.rows[rows.clone()], &data.examples[rows]);
    let drawn = sampled(policy, chat, (texts, examples), scorer.map(|one| (one, max_tokens)), sampling)?;
    let mut measured = vec![None; examples.len()];
    if let Some(against) = against {
        let margins = margins_against(policy, against, examples, max_tokens)?;
        let divergences = divergence(policy, against, examples, max_tokens)?;
        for ((place, margins), divergence) in measured.iter_mut().zip(margins).zip(divergences) {
            *place = Some(EvaluatedMargins {
                rm_dpo: margins.rm_dpo,
                rm_rdpo: margins.rm_rdpo,
                hardest: margins.hardest,
                accuracy: margins.accuracy,
                kl: divergence.kl,
                log_ratio: divergence.log_ratio,
            });
        }
    }
    let rows = drawn.into_iter().zip(measured).zip(texts).map(|((drawn, against), row)| EvaluatedRow {
        id: row.id(),
        response: drawn.text,
        tokens: drawn.tokens,
        finished: drawn.finished,
        rewards: drawn.rewards,
        best: drawn.best,
        against,
    });
    Ok(rows.collect())
}
