//! One sampled negative in place of all (end of Section 4).
//!
//! `L_single(j) = softplus(ln c + s_j − s_1)`, `j ~ q`. As `ln(1 + c z e^{−s_1})` is concave in `z = e^s`, its mean is
//! below the full loss: `0 ≤ L_full − E_q L_single ≤ ln E_q e^s − E_q s ≤ (max s − min s)² / 8`, for every scale `c`.
//! The mean of its gradient differs from the full one as well: it is no larger at `s_1`.

use super::{expectation, highest, log_mean_exp, split, split_weighted};
use crate::error::Error;
use crate::numbers::Scalar;

/// `ln E_q e^s − E_q s`, by how much one sampled negative underestimates the full loss at most.
///
/// * `scores`: `s`, the preferred response's first; it does not matter here.
/// * `log_q`: `ln q` of each negative.
///
/// ```
/// let half = 0.5_f64.ln();
/// let bound = hps_core::theory::sampling_gap_bound(&[0.0, 2.0, -2.0], &[half, half])?;
/// assert!((bound - 2.0_f64.cosh().ln()).abs() < 1e-15);
/// # Ok::<(), hps_core::Error>(())
/// ```
pub fn sampling_gap_bound<F: Scalar>(scores: &[F], log_q: &[F]) -> Result<F, Error> {
    let (_, negatives) = split_weighted(scores, log_q)?;
    // Centred, so that large scores do not cancel.
    let hardest = highest(negatives);
    let below = expectation(log_q, negatives.iter().map(|&score| hardest - score));
    Ok((log_mean_exp(log_q, negatives) - hardest) + below)
}

/// `(max_{i≥2} s_i − min_{i≥2} s_i)² / 8`, the same without knowing `q` (Hoeffding's lemma).
///
/// ```
/// assert_eq!(hps_core::theory::sampling_gap_range_bound(&[9.0_f64, 2.0, -2.0])?, 2.0);
/// # Ok::<(), hps_core::Error>(())
/// ```
pub fn sampling_gap_range_bound<F: Scalar>(scores: &[F]) -> Result<F, Error> {
    let (_, negatives) = split(scores)?;
    let lowest = negatives.iter().fold(F::infinity(), |lowest, &score| lowest.min(score));
    let range = highest(negatives) - lowest;
    Ok(range * range / F::narrow(8.0))
}
