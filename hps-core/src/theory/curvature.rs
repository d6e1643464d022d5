//! How strongly the losses curve, for scores within ±α_0 (Theorem 1, Appendix B.1).

use super::{expect_bound, expect_negatives, expect_responses};
use crate::error::Error;

/// `ζ = 1 / (2 + N e^{2α_0} + e^{−2α_0})`, Theorem 1's lower bound on `sigmoid′(g)`, `g = s_1 − ln N − ln E_q e^s`.
///
/// * `score_bound`: `α_0`.
/// * `negatives`: `N`.
///
/// It holds, for every `q` and `γ`, and equals the minimum, [`least_slope`], at `N = 1` only. The appendix writes
/// `E_q s` in `g` where its loss has `ln E_q e^s`; both lie within ±α_0, so `ζ` survives.
///
/// ```
/// // e^{2α_0} = 2: 1 / (2 + 2 · 2 + 1/2)
/// let zeta = hps_core::theory::zeta(2.0_f64.ln() / 2.0, 2)?;
/// assert!((zeta - 2.0 / 13.0).abs() < 1e-15);
/// # Ok::<(), hps_core::Error>(())
/// ```
pub fn zeta(score_bound: f64, negatives: usize) -> Result<f64, Error> {
    expect_bound("score bound", score_bound)?;
    let negatives = expect_negatives(negatives)?;
    Ok(1.0 / (2.0 + negatives * libm::exp(2.0 * score_bound) + libm::exp(-2.0 * score_bound)))
}

/// The minimum of `sigmoid′(g)` itself: `1 / (2 + N e^{2α_0} + e^{−2α_0} / N)`.
///
/// `|g|` is largest, `ln N + 2α_0`, where the preferred score is `−α_0` and every negative's is `α_0`. The paper's
/// [`zeta`] lacks the last division by `N`.
///
/// ```
/// // e^{2α_0} = 2: 1 / (2 + 2 · 2 + 1/4)
/// let least = hps_core::theory::least_slope(2.0_f64.ln() / 2.0, 2)?;
/// assert!((least - 4.0 / 25.0).abs() < 1e-15);
/// # Ok::<(), hps_core::Error>(())
/// ```
pub fn least_slope(score_bound: f64, negatives: usize) -> Result<f64, Error> {
    expect_bound("score bound", score_bound)?;
    let negatives = expect_negatives(negatives)?;
    Ok(1.0 / (2.0 + negatives * libm::exp(2.0 * score_bound) + libm::exp(-2.0 * score_bound) / negatives))
}

/// `κ = e^{−4α_0} (n − 1) / (2n)`: the Plackett–Luce loss of a linear score has a Hessian `⪰ κ Σ_D`.
///
/// * `score_bound`: `α_0`.
/// * `responses`: `n`.
///
/// Appendix B.1 prints `κ = e^{−4α_0} / 2`, which is too much: for two responses and `α_0 = 0` the Hessian is `Σ_D / 4`.
/// Its step from `1/(n − j + 1)^2` to `Σ_D` lost a factor `(n − 1)/n`. `Σ_D` is [`score_covariance`].
///
/// [`score_covariance`]: super::score_covariance
///
/// ```
/// assert_eq!(hps_core::theory::plackett_luce_convexity(0.0, 2)?, 0.25);
/// # Ok::<(), hps_core::Error>(())
/// ```
pub fn plackett_luce_convexity(score_bound: f64, responses: usize) -> Result<f64, Error> {
    expect_bound("score bound", score_bound)?;
    let responses = expect_responses(responses)?;
    Ok(libm::exp(-4.0 * score_bound) * (responses - 1.0) / (2.0 * responses))
}
