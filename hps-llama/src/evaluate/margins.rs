//! Margins of the implicit reward `h = log π − log π_ref` on rows with ranked responses.

use super::{Against, runs};
use crate::backend::Backend;
use crate::model::Policy;
use crate::pack::Packed;
use crate::train::Example;
use crate::{Error, ErrorKind, Result};
use hps_core::{Responses, metrics};

/// One row's margins, in nats; no β.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RowMargins {
    /// RM_DPO: `h₁ − h₂`.
    pub rm_dpo: f64,
    /// RM_R-DPO: RM_DPO less 0.01 for each token the preferred response is longer.
    pub rm_rdpo: f64,
    /// `h₁ − max_{i ≥ 2} hᵢ`: the margin to the hardest negative.
    pub hardest: f64,
    /// 1 where the preferred response has the greatest `h`, ties not counted, else 0.
    pub accuracy: f64,
}

/// The margins of each example, all its responses against the base with its adapter off.
///
/// Sequences are packed up to `max_tokens`; an example longer than that is computed alone.
///
/// # Errors
/// A log-prob is not finite (with the row's place), or the device failed.
pub fn margins<B: Backend>(policy: &Policy<B>, examples: &[Example], max_tokens: usize) -> Result<Vec<RowMargins>> {
    margins_against(policy, &Against::Base, examples, max_tokens)
}

/// The same against another policy: of a merged model, against its base.
///
/// # Errors
/// As [`margins`].
pub fn margins_against<B: Backend>(
    policy: &Policy<B>,
    against: &Against<'_, B>,
    examples: &[Example],
    max_tokens: usize,
) -> Result<Vec<RowMargins>> {
    let mut rows = Vec::with_capacity(examples.len());
    for (now, groups) in runs(examples, max_tokens) {
        let packed = Packed::shared(&groups);
        let batch = policy.model.batch(&packed)?;
        let backend = policy.model.backend();
        let log_probs = backend.download(&policy.log_probs(&batch)?)?;
        let reference = against.log_probs(policy, &packed, &batch)?;
        for (example, ranges) in now.iter().zip(&packed.responses) {
            rows.push(row(example, &Packed::sums(&log_probs, ranges), &Packed::sums(&reference, ranges))?);
        }
    }
    Ok(rows)
}

fn row(example: &Example, policy: &[f64], reference: &[f64]) -> Result<RowMargins> {
    let refused = |source: hps_core::Error| Error::new(ErrorKind::Loss, "no margin").because(source).at(&example.place);
    let lengths: Vec<u32> = example.group.responses.iter().map(|response| response.len() as u32).collect();
    let h: Vec<f64> = policy.iter().zip(reference).map(|(policy, reference)| policy - reference).collect();
    let row = Responses::new(policy).and_then(|row| row.with_lengths(&lengths)?.with_rewards(&example.rewards));
    let row = row.map_err(refused)?;
    let metric = |metric: Metric| metric(&row, &h).map_err(refused);
    Ok(RowMargins {
        rm_dpo: metric(metrics::margin)?,
        rm_rdpo: metric(metrics::length_controlled_margin)?,
        hardest: metric(metrics::hardest_margin)?,
        accuracy: metric(metrics::ranks_first)?,
    })
}

type Metric = fn(&Responses<'_, f64>, &[f64]) -> std::result::Result<f64, hps_core::Error>;
