//! The paper's theorems as numbers: constants, limits and bounds of one prompt, in nats.
//!
//! `s_1` is the preferred response's score, `s_2 … s_n` those of the `N = n − 1` negatives, `M = max_{i≥2} s_i`,
//! `p` any distribution over the negatives, `q` that of Eq. 9, `|s_i| ≤ α_0`.
//!
//! Some statements do not hold as printed. What is offered here is what does hold, and each function says where it
//! departs from the paper; `tests/theory/` holds every bound against random rows, and the counterexamples.
//!
//! | paper | here | as printed |
//! |---|---|---|
//! | Theorem 1, `ζ` | [`zeta`], [`least_slope`] | a valid lower bound, not the minimum |
//! | Theorem 1, `Ψ_1`, `Ψ_2`, `Σ_D` | [`Setting`], [`score_covariance`] | the two texts differ; not established |
//! | Theorem 2 | [`hardest_loss`], [`mean_shortfall`] and its bounds | false unless `r_est` ranks as the scores do |
//! | Theorem 3 | [`hardest_objective`], [`hardest_objective_error`] | lacks the mean over prompts |
//! | Section 4, one sampled negative | [`sampling_gap_bound`], [`sampling_gap_range_bound`] | not discussed |
//! | Appendix B.1, convexity of PL | [`plackett_luce_convexity`] | false for two responses |
//!
//! These are for evaluations and experiments: nothing here is needed to train.

mod complexity;
mod curvature;
mod hardest;
mod margin;
mod sampling;

pub use complexity::{Reading, Setting, score_covariance};
pub use curvature::{least_slope, plackett_luce_convexity, zeta};
pub use hardest::{
    gap_bound, hardest_loss, infinite_gamma_loss, loss_under, mean_shortfall, shortfall_bound, tolerance_bound,
};
pub use margin::{hardest_objective, hardest_objective_error, objective_under};
pub use sampling::{sampling_gap_bound, sampling_gap_range_bound};

use crate::error::{Cause, Error, expect_length};
use crate::numbers::{Scalar, lanes};

/// The preferred score and the negatives' ones.
fn split<F: Scalar>(scores: &[F]) -> Result<(F, &[F]), Error> {
    if scores.len() < 2 {
        return Err(Cause::TooFewResponses { given: scores.len() }.into());
    }
    lanes::expect_finite("scores", scores)?;
    Ok((scores[0], &scores[1..]))
}

/// As [`split`], with a distribution over the negatives.
fn split_weighted<'a, F: Scalar>(scores: &'a [F], log_p: &[F]) -> Result<(F, &'a [F]), Error> {
    let (preferred, negatives) = split(scores)?;
    expect_length("log_p", log_p.len(), negatives.len())?;
    let total: f64 = log_p.iter().map(|log_p| libm::exp(log_p.widen())).sum();
    // Wide enough for f32; a caller who passes p in place of ln p is far outside.
    if !(0.999..=1.001).contains(&total) {
        return Err(Cause::BadHyper { name: "the sum of p", given: total, range: "[0.999, 1.001]" }.into());
    }
    Ok((preferred, negatives))
}

fn highest<F: Scalar>(scores: &[F]) -> F {
    scores.iter().fold(F::neg_infinity(), |highest, &score| highest.max(score))
}

/// `Σ_i p_i f_i`, where an absent negative (`ln p = −∞`) counts nothing.
fn expectation<F: Scalar>(log_p: &[F], values: impl Iterator<Item = F>) -> F {
    log_p.iter().zip(values).fold(F::zero(), |sum, (&log_p, value)| sum + log_p.exp() * value)
}

/// `ln Σ_i p_i e^{s_i}`.
fn log_mean_exp<F: Scalar>(log_p: &[F], scores: &[F]) -> F {
    let terms = || log_p.iter().zip(scores).map(|(&log_p, &score)| log_p + score);
    let largest = terms().fold(F::neg_infinity(), |largest, term| largest.max(term));
    largest + terms().fold(F::zero(), |sum, term| sum + (term - largest).exp()).ln()
}

fn expect_bound(name: &'static str, bound: f64) -> Result<(), Error> {
    if !(bound >= 0.0 && bound.is_finite()) {
        return Err(Cause::BadHyper { name, given: bound, range: "[0, inf)" }.into());
    }
    Ok(())
}

fn expect_negatives(negatives: usize) -> Result<f64, Error> {
    if negatives == 0 {
        return Err(Cause::NoNegatives { responses: 1 }.into());
    }
    Ok(negatives as f64)
}

fn expect_responses(responses: usize) -> Result<f64, Error> {
    if responses < 2 {
        return Err(Cause::TooFewResponses { given: responses }.into());
    }
    Ok(responses as f64)
}
