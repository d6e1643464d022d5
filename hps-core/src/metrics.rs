//! What an evaluation reports about one prompt; a data set's value is the mean over prompts.
//!
//! All have one signature, `fn(&Responses, &[F]) -> Result<F, Error>`, so that a table of them is a list of functions. The
//! scores `s_i` are any, one a response: a policy's implicit rewards ([`Loss::scores`](crate::Loss::scores)), a reward
//! model's, or the log ratios `h_i = log π_i − log π_ref,i` ([`log_ratios`]), of which the paper's margins are made. The
//! row says what is right: the order of the list, the rewards `r_i`, the lengths `l_i`.
//!
//! | metric | value | reads of the row |
//! |---|---|---|
//! | [`margin`]: RM_DPO of log ratios | `s_1 − s_2` | the order |
//! | [`length_controlled_margin`]: RM_R-DPO of log ratios | `s_1 − s_2 − 0.01 (l_1 − l_2)` | the order, lengths |
//! | [`hardest_margin`] | `s_1 − max_{i≥2} s_i` | the order |
//! | [`ranks_first`] | 1 if `s_1 > s_i` for all `i ≥ 2`; `1 / k` if it is the highest with `k − 1` others; else 0 | the order |
//! | [`kendall_tau`] | `τ_b` of the scores and the rewards | rewards |
//! | [`ndcg`] | `DCG / ideal DCG`, gains `2^{r_i} − 1` | rewards |
//!
//! ```
//! use hps_core::{Error, Responses, metrics};
//!
//! type Metric = fn(&Responses<'_, f64>, &[f64]) -> Result<f64, Error>;
//! let metrics: [(&str, Metric); 3] =
//!     [("rm_dpo", metrics::margin), ("accuracy", metrics::ranks_first), ("tau", metrics::kendall_tau)];
//! let row = Responses::new(&[-10.0, -21.0, -20.0])?
//!     .with_reference(&[-12.0, -20.0, -20.0])?
//!     .with_rewards(&[2.0, 1.0, 0.0])?;
//! let mut gains = [0.0; 3];
//! metrics::log_ratios(&row, &mut gains)?;
//! let values = metrics.map(|(_, metric)| metric(&row, &gains));
//! // Gains of 2, −1 and 0 nats: of three pairs one is the wrong way round.
//! assert_eq!(values, [Ok(3.0), Ok(1.0), Ok(1.0 / 3.0)]);
//! # Ok::<(), Error>(())
//! ```

use crate::error::{Cause, Error, expect_length};
use crate::numbers::{Scalar, lanes};
use crate::responses::Responses;
pub use crate::responses::log_ratios;

/// The price of one token of extra length in [`length_controlled_margin`].
pub const LENGTH_PENALTY: f64 = 0.01;

/// `s_1 − s_2`, the lead over the second response; of log ratios it is RM_DPO.
///
/// # Errors
/// A score is not finite, or there are not as many as responses; so in all metrics.
///
/// ```
/// use hps_core::{Responses, metrics};
///
/// let row = Responses::new(&[-10.0_f64, -21.0])?;
/// assert_eq!(metrics::margin(&row, &[2.0, -1.0])?, 3.0);
/// # Ok::<(), hps_core::Error>(())
/// ```
pub fn margin<F: Scalar>(row: &Responses<'_, F>, scores: &[F]) -> Result<F, Error> {
    expect(row, scores)?;
    finite(scores[0] - scores[1])
}

/// [`margin`] less 0.01 per token by which the first response is longer; of log ratios it is RM_R-DPO.
///
/// # Errors
/// The row has no lengths.
///
/// ```
/// use hps_core::{Responses, metrics};
///
/// let row = Responses::new(&[-10.0_f64, -21.0])?.with_lengths(&[50, 30])?;
/// assert!((metrics::length_controlled_margin(&row, &[2.0, -1.0])? - 2.8).abs() < 1e-12);
/// # Ok::<(), hps_core::Error>(())
/// ```
pub fn length_controlled_margin<F: Scalar>(row: &Responses<'_, F>, scores: &[F]) -> Result<F, Error> {
    let lengths = row.lengths().ok_or(Cause::InputMissing { list: "lengths" })?;
    let extra = f64::from(lengths[0]) - f64::from(lengths[1]);
    Ok(margin(row, scores)? - F::narrow(LENGTH_PENALTY * extra))
}

/// `s_1 − max_{i≥2} s_i`: the preferred score's lead over the highest of the others.
///
/// ```
/// use hps_core::{Responses, metrics};
///
/// let row = Responses::new(&[-9.0_f64; 3])?;
/// assert_eq!(metrics::hardest_margin(&row, &[2.0, -1.0, 1.5])?, 0.5);
/// # Ok::<(), hps_core::Error>(())
/// ```
pub fn hardest_margin<F: Scalar>(row: &Responses<'_, F>, scores: &[F]) -> Result<F, Error> {
    expect(row, scores)?;
    finite(scores[0] - lanes::max(&scores[1..]))
}

/// 1 if the preferred score is above all others, `1 / k` if `k` scores share the highest place and it is one of them, else 0.
/// The mean over prompts is the ranking accuracy; scores that are all equal, as before the first step, are at chance.
///
/// ```
/// use hps_core::{Responses, metrics};
///
/// let row = Responses::new(&[-9.0_f64; 3])?;
/// assert_eq!(metrics::ranks_first(&row, &[2.0, -1.0, 1.5])?, 1.0);
/// assert_eq!(metrics::ranks_first(&row, &[2.0, -1.0, 2.0])?, 0.5);
/// assert_eq!(metrics::ranks_first(&row, &[2.0, -1.0, 3.0])?, 0.0);
/// # Ok::<(), hps_core::Error>(())
/// ```
pub fn ranks_first<F: Scalar>(row: &Responses<'_, F>, scores: &[F]) -> Result<F, Error> {
    expect(row, scores)?;
    let highest = scores.iter().filter(|score| **score == scores[0]).count();
    let is_first = scores[0] >= lanes::max(&scores[1..]);
    Ok(if is_first { F::narrow(1.0 / highest as f64) } else { F::zero() })
}

/// Kendall's `τ_b = (C − D) / √((N − T_r)(N − T_s))` of scores and rewards: of the `N` pairs, `C` are ordered alike by both,
/// `D` against each other, `T_r` tie in the rewards and `T_s` in the scores (Kendall 1945). 1 where the whole order agrees,
/// −1 where it is turned around; 0 where all scores or all rewards tie, as scores do before the first step. `O(n²)`.
///
/// # Errors
/// The row has no rewards.
///
/// ```
/// use hps_core::{Responses, metrics};
///
/// // The example of SciPy's `kendalltau`.
/// let row = Responses::new(&[-9.0_f64; 5])?.with_rewards(&[12.0, 2.0, 1.0, 12.0, 2.0])?;
/// let tau = metrics::kendall_tau(&row, &[1.0, 4.0, 7.0, 1.0, 0.0])?;
/// assert!((tau + 0.4714045207910316).abs() < 1e-15);
/// # Ok::<(), hps_core::Error>(())
/// ```
pub fn kendall_tau<F: Scalar>(row: &Responses<'_, F>, scores: &[F]) -> Result<F, Error> {
    expect(row, scores)?;
    let rewards = row.rewards().ok_or(Cause::InputMissing { list: "rewards" })?;
    let (mut agreement, mut by_rewards, mut by_scores) = (0.0, 0.0, 0.0);
    for i in 0..scores.len() {
        for j in 0..i {
            let (reward, score) = (sign(rewards[i], rewards[j]), sign(scores[i], scores[j]));
            agreement += reward * score;
            by_rewards += reward.abs();
            by_scores += score.abs();
        }
    }
    let ordered = libm::sqrt(by_rewards * by_scores);
    Ok(F::narrow(if ordered == 0.0 { 0.0 } else { agreement / ordered }))
}

/// Normalised discounted cumulative gain: `Σ_i (2^{r_i} − 1) / log2(1 + p_i)`, `p_i` the place that the scores give to
/// response `i`, over its value in the best order (Burges et al. 2005; LiPO's gains). Tied scores share the mean discount of
/// their places. 1 is the best order; where all rewards are 0, every order is. `O(n²)`.
///
/// # Errors
/// The row has no rewards, or one outside [0, 60]: gains are of grades. Map a reward model's scores onto grades first.
///
/// ```
/// use hps_core::{Responses, metrics};
///
/// let row = Responses::new(&[-9.0_f64; 3])?.with_rewards(&[2.0, 1.0, 0.0])?;
/// assert_eq!(metrics::ndcg(&row, &[0.3, 0.2, 0.1])?, 1.0);
/// // Gains of 3, 1 and 0, the first two exchanged.
/// let exchanged = (1.0 + 3.0 / 3.0_f64.log2()) / (3.0 + 1.0 / 3.0_f64.log2());
/// assert!((metrics::ndcg(&row, &[0.2, 0.3, 0.1])? - exchanged).abs() < 1e-15);
/// # Ok::<(), hps_core::Error>(())
/// ```
pub fn ndcg<F: Scalar>(row: &Responses<'_, F>, scores: &[F]) -> Result<F, Error> {
    expect(row, scores)?;
    let rewards = row.rewards().ok_or(Cause::InputMissing { list: "rewards" })?;
    let grade = |reward: &F| (0.0..=60.0).contains(&reward.widen());
    if let Some(index) = rewards.iter().position(|reward| !grade(reward)) {
        let given = rewards[index].widen();
        return Err(Cause::OutOfRange { list: "rewards", index, given, range: "[0, 60]" }.into());
    }
    let (gain, ideal) = (discounted_gain(rewards, scores), discounted_gain(rewards, rewards));
    Ok(F::narrow(if ideal == 0.0 { 1.0 } else { gain / ideal }))
}

/// `Σ_i (2^{r_i} − 1) · d_i`, `d_i` the mean discount of the places of those that tie with `i`.
fn discounted_gain<F: Scalar>(rewards: &[F], scores: &[F]) -> f64 {
    let of = |(reward, own): (&F, &F)| {
        let above = scores.iter().filter(|score| *score > own).count();
        let tied = scores.iter().filter(|score| *score == own).count();
        let discounts: f64 = (above + 1..=above + tied).map(|place| 1.0 / libm::log2(1.0 + place as f64)).sum();
        (libm::exp2(reward.widen()) - 1.0) * discounts / tied as f64
    };
    rewards.iter().zip(scores).map(of).sum()
}

/// Finite scores can be too far apart.
fn finite<F: Scalar>(value: F) -> Result<F, Error> {
    if value.is_finite() { Ok(value) } else { Err(Cause::Overflow.into()) }
}

fn sign<F: Scalar>(a: F, b: F) -> f64 {
    f64::from(u8::from(a > b)) - f64::from(u8::from(a < b))
}

fn expect<F: Scalar>(row: &Responses<'_, F>, scores: &[F]) -> Result<(), Error> {
    expect_length("scores", scores.len(), row.count())?;
    lanes::expect_finite("scores", scores)
}
