//! The limiting objective and the hard margin (Eqs. 13 and 14, Theorem 3).
//!
//! `L∞(p) = −s_1 + ln E_p e^s`, and its supremum `L∞* = M − s_1`, minus the margin to the hardest negative.
//!
//! So, over a data set, the minimiser of `L∞*` maximises the *mean* over prompts of `s_1 − M`: Eq. 14 lacks the mean.
//! It needs bounded scores, or there is no minimiser. In its proof `ln E_p e^s = E_p s` is wrong; the supremum over `p`
//! is what makes the two agree.
//!
//! At a finite `N` the minimiser of `L*` can be another: over two prompts, margins `(0, 0)` against `(2, −1)` have mean
//! losses 0.6931 and 0.7201 at `N = 1`, but 6.9088 and 6.4116 at `N = 1000`.

use super::{expect_bound, expect_negatives, highest, log_mean_exp, split, split_weighted};
use crate::error::Error;
use crate::numbers::Scalar;

/// `L∞(p) = −s_1 + ln E_p e^s`, Eq. 13 for one prompt.
///
/// * `scores`: `s`, the preferred response's first.
/// * `log_p`: `ln p` of each negative, one fewer than `scores`; `−∞` for a negative outside the support.
///
/// ```
/// let half = 0.5_f64.ln();
/// let objective = hps_core::theory::objective_under(&[1.0, 2.0, -2.0], &[half, half])?;
/// assert!((objective - (2.0_f64.cosh().ln() - 1.0)).abs() < 1e-15);
/// # Ok::<(), hps_core::Error>(())
/// ```
pub fn objective_under<F: Scalar>(scores: &[F], log_p: &[F]) -> Result<F, Error> {
    let (preferred, negatives) = split_weighted(scores, log_p)?;
    Ok(log_mean_exp(log_p, negatives) - preferred)
}

/// `L∞* = sup_p L∞(p) = M − s_1`: minus [`hardest_margin`](crate::metrics::hardest_margin).
///
/// ```
/// assert_eq!(hps_core::theory::hardest_objective(&[1.0_f64, 2.0, -2.0])?, 1.0);
/// # Ok::<(), hps_core::Error>(())
/// ```
pub fn hardest_objective<F: Scalar>(scores: &[F]) -> Result<F, Error> {
    let (preferred, negatives) = split(scores)?;
    Ok(highest(negatives) - preferred)
}

/// `e^{2α_0} / N`: `0 ≤ (L* − ln N) − L∞* ≤ e^{2α_0} / N`, how far the loss without `ln N` is from its limit.
///
/// * `score_bound`: `α_0`.
/// * `negatives`: `N`.
///
/// ```
/// assert_eq!(hps_core::theory::hardest_objective_error(0.0, 100)?, 0.01);
/// # Ok::<(), hps_core::Error>(())
/// ```
pub fn hardest_objective_error(score_bound: f64, negatives: usize) -> Result<f64, Error> {
    expect_bound("score bound", score_bound)?;
    Ok(libm::exp(2.0 * score_bound) / expect_negatives(negatives)?)
}
