//! The loss against the hardest negatives (Eq. 12, Theorem 2).
//!
//! `L_Π(p) = softplus(ln N + ln E_p e^s − s_1)`, and its supremum `L* = softplus(ln N + M − s_1)`.

use super::{expect_bound, expectation, highest, log_mean_exp, split, split_weighted};
use crate::error::{Cause, Error, expect_length};
use crate::negatives::weights::{TiePolicy, retained, validate_gamma};
use crate::numbers::logistic::softplus;
use crate::numbers::{Scalar, lanes};

/// `L_Π(p)`, Eq. 12 for one prompt. With `p = q` of Eq. 9 it is the HPS loss at scale `N`.
///
/// * `scores`: `s`, the preferred response's first.
/// * `log_p`: `ln p` of each negative, one fewer than `scores`; `−∞` for a negative outside the support.
///
/// ```
/// use hps_core::{TiePolicy, log_weights, theory};
///
/// # fn main() -> Result<(), hps_core::Error> {
/// let mut log_q = [0.0_f64; 3];
/// log_weights(&[3.0, 2.0, 1.0, 0.0], 0.0, TiePolicy::Keep, &mut log_q)?;
/// let loss = theory::loss_under(&[0.0, 2.0_f64.ln(), 3.0_f64.ln(), 4.0_f64.ln()], &log_q)?;
/// assert!((loss - 10.0_f64.ln()).abs() < 1e-14); // ln(1 + 2 + 3 + 4), Eq. 6, which it is at γ = 0
/// # Ok(())
/// # }
/// ```
pub fn loss_under<F: Scalar>(scores: &[F], log_p: &[F]) -> Result<F, Error> {
    let (preferred, negatives) = split_weighted(scores, log_p)?;
    Ok(softplus(log_count::<F>(negatives) + log_mean_exp(log_p, negatives) - preferred))
}

/// `L* = sup_p L_Π(p) = softplus(ln N + M − s_1)`, attained where `p` is on the highest negative scores only.
///
/// ```
/// let loss = hps_core::theory::hardest_loss(&[0.0_f64, 3.0_f64.ln(), -2.0])?;
/// assert!((loss - 7.0_f64.ln()).abs() < 1e-14); // ln(1 + 2 · 3)
/// # Ok::<(), hps_core::Error>(())
/// ```
pub fn hardest_loss<F: Scalar>(scores: &[F]) -> Result<F, Error> {
    let (preferred, negatives) = split(scores)?;
    Ok(softplus(log_count::<F>(negatives) + highest(negatives) - preferred))
}

/// What the HPS loss at scale `N` tends to as `γ → ∞`: `softplus(ln N + ln mean e^{s_i} − s_1)`, the mean over the
/// negatives of highest *estimated* reward.
///
/// * `rewards`: `r_est`, one per score.
///
/// Theorem 2 says that the limit is [`hardest_loss`]. It is if the estimate ranks the hardest negatives as the scores
/// do; where the estimate misjudges them it is less:
///
/// ```
/// use hps_core::theory::{hardest_loss, infinite_gamma_loss};
///
/// # fn main() -> Result<(), hps_core::Error> {
/// let scores = [0.0, 3.0_f64.ln(), -3.0_f64.ln()];
/// let misjudged = infinite_gamma_loss(&scores, &[3.0, -1.0, 1.0])?;
/// assert!((misjudged - (5.0_f64 / 3.0).ln()).abs() < 1e-15); // ln(1 + 2 / 3)
/// assert_eq!(infinite_gamma_loss(&scores, &[3.0, 1.0, -1.0])?, hardest_loss(&scores)?);
/// # Ok(())
/// # }
/// ```
pub fn infinite_gamma_loss<F: Scalar>(scores: &[F], rewards: &[F]) -> Result<F, Error> {
    let (preferred, negatives) = split(scores)?;
    expect_length("rewards", rewards.len(), scores.len())?;
    lanes::expect_finite("rewards", rewards)?;
    let best = highest(&rewards[1..]);
    let chosen = || retained(rewards, TiePolicy::Keep).filter(|&(_, reward)| reward == best);
    let largest = chosen().fold(F::neg_infinity(), |largest, (index, _)| largest.max(scores[index]));
    let (sum, count) = chosen()
        .fold((F::zero(), 0_usize), |(sum, count), (index, _)| (sum + (scores[index] - largest).exp(), count + 1));
    let log_mean = largest + (sum / F::narrow(count as f64)).ln();
    Ok(softplus(log_count::<F>(negatives) + log_mean - preferred))
}

/// `E_p[M − s_i]`: for every `p`, `0 ≤ L* − L_Π(p) ≤ E_p[M − s_i]`.
///
/// The paper's proof has it with a factor `e^{2α_0}`, which is not needed: the derivative of [`hardest_loss`] by `M`
/// is at most 1, and `ln E_p e^s ≥ E_p s`.
///
/// ```
/// let half = 0.5_f64.ln();
/// assert_eq!(hps_core::theory::mean_shortfall(&[0.0, 2.0, -2.0], &[half, half])?, 2.0);
/// # Ok::<(), hps_core::Error>(())
/// ```
pub fn mean_shortfall<F: Scalar>(scores: &[F], log_p: &[F]) -> Result<F, Error> {
    let (_, negatives) = split_weighted(scores, log_p)?;
    let hardest = highest(negatives);
    Ok(expectation(log_p, negatives.iter().map(|&score| hardest - score)))
}

/// `ε + 2α_0 e^{−εγ/2} / p_ε`, `p_ε` the share of negatives with `s_i ≥ M − ε/2`: a bound on [`mean_shortfall`]
/// under `q`, and so on `L* − L`, if `r_est = s` and `γ ≥ 0`. For any `ε ≥ 0`; `α_0 = max_{i≥2} |s_i|`.
///
/// The proof of Theorem 2 has `2` for `2α_0`, which fails: negatives 5 and −5, `γ = 0`, `ε = 0.1` have a shortfall of
/// 5.0, and `ε + 2 q(s < M − ε)` is 1.1. Its last line, with `e^{2α_0}` before everything, does hold.
///
/// ```
/// let bound = hps_core::theory::tolerance_bound(&[0.0_f64, 5.0, -5.0], 100.0, 0.5)?;
/// assert!((bound - (0.5 + 20.0 * (-25.0_f64).exp())).abs() < 1e-12);
/// # Ok::<(), hps_core::Error>(())
/// ```
pub fn tolerance_bound<F: Scalar>(scores: &[F], gamma: f64, tolerance: f64) -> Result<F, Error> {
    let (_, negatives) = split(scores)?;
    expect_gamma(gamma)?;
    expect_bound("tolerance", tolerance)?;
    let hardest = highest(negatives);
    let half = F::narrow(tolerance) / F::narrow(2.0);
    let near = negatives.iter().filter(|&&score| score >= hardest - half).count();
    let share = F::narrow(near as f64 / negatives.len() as f64);
    let range = negatives.iter().fold(F::zero(), |range, score| range.max(score.abs()));
    // 0 · ∞ is not a number; with no tolerance nothing is gained from γ.
    let decay = if tolerance == 0.0 { F::one() } else { (-half * F::narrow(gamma)).exp() };
    Ok(F::narrow(tolerance) + F::narrow(2.0) * range * decay / share)
}

/// The same by the gap: with `k` negatives at `M` and the next score `D` below, `(N − k) / (k e γ)`, and where
/// `γ D ≥ 1` the much smaller `((N − k) / k) D e^{−γD}`. If `r_est = s` and `γ ≥ 0`; `∞` at `γ = 0`, 0 if all are at `M`.
///
/// Not in the paper: it gives Theorem 2 its rate, exponential in `γ` for a finite list.
///
/// ```
/// let bound = hps_core::theory::gap_bound(&[0.0_f64, 2.0, -2.0], 1.0)?;
/// assert!((bound - 4.0 * (-4.0_f64).exp()).abs() < 1e-15);
/// # Ok::<(), hps_core::Error>(())
/// ```
pub fn gap_bound<F: Scalar>(scores: &[F], gamma: f64) -> Result<F, Error> {
    let (_, negatives) = split(scores)?;
    expect_gamma(gamma)?;
    let hardest = highest(negatives);
    let below = || negatives.iter().copied().filter(|&score| score < hardest);
    let others = below().count();
    if others == 0 {
        return Ok(F::zero());
    }
    let ratio = F::narrow(others as f64 / (negatives.len() - others) as f64);
    let gap = hardest - below().fold(F::neg_infinity(), |next, score| next.max(score));
    let gamma = F::narrow(gamma);
    if gamma * gap >= F::one() {
        // D e^{−γD} falls in D beyond 1/γ, so every other negative adds at most as much as the next one.
        return Ok(ratio * gap * (-gamma * gap).exp());
    }
    Ok(ratio / (F::narrow(core::f64::consts::E) * gamma))
}

/// The smallest bound on `L* − L` known from the scores alone, if `r_est = s` and `γ ≥ 0`: [`gap_bound`], or the
/// mean shortfall at `γ = 0`, as it falls where `γ` rises.
///
/// ```
/// let bound = hps_core::theory::shortfall_bound(&[0.0_f64, 2.0, -2.0], 0.0)?;
/// assert_eq!(bound, 2.0);
/// # Ok::<(), hps_core::Error>(())
/// ```
pub fn shortfall_bound<F: Scalar>(scores: &[F], gamma: f64) -> Result<F, Error> {
    let (_, negatives) = split(scores)?;
    let hardest = highest(negatives);
    let even =
        negatives.iter().fold(F::zero(), |sum, &score| sum + (hardest - score)) / F::narrow(negatives.len() as f64);
    Ok(gap_bound(scores, gamma)?.min(even))
}

fn log_count<F: Scalar>(negatives: &[F]) -> F {
    F::narrow(negatives.len() as f64).ln()
}

fn expect_gamma(gamma: f64) -> Result<(), Error> {
    validate_gamma(gamma)?;
    if gamma < 0.0 {
        return Err(Cause::BadHyper { name: "gamma", given: gamma, range: "[0, inf]" }.into());
    }
    Ok(())
}
