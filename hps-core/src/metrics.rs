//! What an evaluation reports about one prompt; a data set's value is the mean over prompts.
//!
//! `h_i = log π_i − log π_ref,i` (nats, without β), `l_i` tokens, `s_i` any scores; best first.
//!
//! | metric | value |
//! |---|---|
//! | RM_DPO | `h_1 − h_2` |
//! | RM_R-DPO | `h_1 − h_2 − 0.01 (l_1 − l_2)` |
//! | hardest margin | `s_1 − max_{i≥2} s_i` |
//! | ranks first | `s_1 > s_i` for all `i ≥ 2` |

use crate::error::{Cause, Error};
use crate::numbers::Scalar;
use crate::responses::Responses;

/// The price of one token of extra length in [`length_controlled_margin`].
pub const LENGTH_PENALTY: f64 = 0.01;

/// RM_DPO: by how much the policy's preference for the first response over the second grew, nats.
///
/// ```
/// use hps_core::{Responses, metrics};
///
/// # fn main() -> Result<(), hps_core::Error> {
/// let row = Responses::new(&[-10.0_f64, -21.0], &[-12.0, -20.0], &[50, 30], &[1.0, 0.0])?;
/// assert_eq!(metrics::reward_margin(&row), 3.0);
/// # Ok(())
/// # }
/// ```
pub fn reward_margin<F: Scalar>(row: &Responses<'_, F>) -> F {
    let (policy, reference) = (row.policy(), row.reference());
    (policy[0] - reference[0]) - (policy[1] - reference[1])
}

/// RM_R-DPO: [`reward_margin`] less 0.01 per token by which the first response is longer.
///
/// ```
/// use hps_core::{Responses, metrics};
///
/// # fn main() -> Result<(), hps_core::Error> {
/// let row = Responses::new(&[-10.0_f64, -21.0], &[-12.0, -20.0], &[50, 30], &[1.0, 0.0])?;
/// assert!((metrics::length_controlled_margin(&row) - 2.8).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
pub fn length_controlled_margin<F: Scalar>(row: &Responses<'_, F>) -> F {
    let extra = f64::from(row.lengths()[0]) - f64::from(row.lengths()[1]);
    reward_margin(row) - F::narrow(LENGTH_PENALTY * extra)
}

/// The preferred score's lead over the highest of the others.
///
/// ```
/// assert_eq!(hps_core::metrics::hardest_margin(&[2.0_f64, -1.0, 1.5])?, 0.5);
/// # Ok::<(), hps_core::Error>(())
/// ```
pub fn hardest_margin<F: Scalar>(scores: &[F]) -> Result<F, Error> {
    check(scores)?;
    Ok(scores[0] - scores[1..].iter().fold(F::neg_infinity(), |highest, &score| highest.max(score)))
}

/// Whether the preferred score is above all others; a tie is not. The mean over prompts is the ranking accuracy.
///
/// ```
/// assert!(hps_core::metrics::ranks_first(&[2.0_f64, -1.0, 1.5])?);
/// assert!(!hps_core::metrics::ranks_first(&[2.0_f64, -1.0, 2.0])?);
/// # Ok::<(), hps_core::Error>(())
/// ```
pub fn ranks_first<F: Scalar>(scores: &[F]) -> Result<bool, Error> {
    check(scores)?;
    Ok(scores[1..].iter().all(|&score| scores[0] > score))
}

/// Whether the preferred score is above that of response `other`, in `1..n`; a tie is not.
///
/// ```
/// assert!(hps_core::metrics::prefers_over(&[1.0_f64, -1.0, 1.5], 1)?);
/// assert!(!hps_core::metrics::prefers_over(&[1.0_f64, -1.0, 1.5], 2)?);
/// # Ok::<(), hps_core::Error>(())
/// ```
pub fn prefers_over<F: Scalar>(scores: &[F], other: usize) -> Result<bool, Error> {
    check(scores)?;
    if other == 0 || other >= scores.len() {
        return Err(Cause::SampleNotNegative { index: other, responses: scores.len() }.into());
    }
    Ok(scores[0] > scores[other])
}

fn check<F: Scalar>(scores: &[F]) -> Result<(), Error> {
    if scores.len() < 2 {
        return Err(Cause::TooFewResponses { given: scores.len() }.into());
    }
    match scores.iter().position(|score| !score.is_finite()) {
        Some(index) => Err(Cause::NonFinite { list: "score", index }.into()),
        None => Ok(()),
    }
}
