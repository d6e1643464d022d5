//! EXO over a ranking, nats: `L = Σ_{j<n} K_j`, `K_j = KL(softmax(s_j, …, s_n) ‖ (1 − ε, ε/(n−j), …, ε/(n−j)))`.
//!
//! With `D_j = ln Σ_{k≥j} e^{s_k}`, `p_j = e^{s_j − D_j}`, the entropy `H_j` of stage `j`'s softmax and the smoothed
//! target `t`: `K_j = −H_j − p_j ln(1−ε) − (1−p_j) ln(ε/(n−j))`, and from the back
//! `H_j = −p_j ln p_j − (1−p_j) ln(1−p_j) + (1−p_j) H_{j+1}`.
//!
//! `∂L/∂s_k = Σ_{j≤k, j<n} e^{s_k − D_j} (s_k − D_j − ln t_{k|j} − K_j)`. The sum over `j < k` is carried forward,
//! relative to the latest `D`, which is the smallest: every exponent is at most 0. `O(n)`.

use super::logistic::{sums_before, sums_behind};
use crate::numbers::column_sums::{log_sum_exp, zero};
use crate::numbers::kernels::by_table;
use crate::numbers::lanes::LANES;
use crate::numbers::logistic::{log_add_exp, softplus, within_reach};
use crate::numbers::math::{decay, exp, ln, ln_1p};
use crate::numbers::tile::Lane;
use crate::numbers::{Scalar, ScoreTensor, lanes};

pub(super) fn define<T: ScoreTensor>(label_smoothing: f64, scores: &[T]) -> Result<T, T::Error> {
    let mut total = zero(&scores[0])?;
    for stage in 0..scores.len() - 1 {
        let left = &scores[stage..];
        let log_normaliser = log_sum_exp(left)?;
        for (place, score) in left.iter().enumerate() {
            let log_target =
                if place == 0 { log_first(label_smoothing) } else { log_other(label_smoothing, left.len() - 1) };
            let log_share = score.sub(&log_normaliser)?;
            total = total.add(&log_share.exp()?.mul(&log_share.affine(1.0, -log_target)?)?)?;
        }
    }
    Ok(total)
}

/// * `scratch`: at least twice as long as `scores`.
pub(super) fn value_and_gradient<F: Scalar>(
    label_smoothing: f64,
    scores: &[F],
    scratch: &mut [F],
    gradient: &mut [F],
) -> F {
    let highest = lanes::max(scores);
    if within_reach(highest - lanes::min(scores), F::zero()) {
        let (sums, means) = scratch.split_at_mut(scores.len());
        return of_weights(label_smoothing, highest, scores, sums, &mut means[..scores.len()], gradient);
    }
    of_logarithms(label_smoothing, scores, scratch, gradient)
}

/// Of at most [`LANES`] responses, from the steps `u_k = e^{s_{k+1} − s_k}`: what is behind a response relative to it, `y_k = u_k (1 + y_{k+1})`,
/// gives `D_k − s_k = ln(1 + y_k)`, `p_k = 1/(1 + y_k)`, `ln(1−p_k) = s_{k+1} − s_k + ln(1 + y_{k+1}) − ln(1 + y_k)`, and so
/// every exponential of [`of_logarithms`]. Nothing, where the scores are too far apart.
pub(crate) fn of_few<F: Scalar>(label_smoothing: f64, scores: &[F], gradient: &mut [F]) -> Option<F> {
    let last = scores.len() - 1;
    // ln(1−ε) = −ln(1 + ε/(1−ε)), ln ε = −ln(1 + (1−ε)/ε)
    let odds = label_smoothing / (1.0 - label_smoothing);
    let (first, log_smoothing) = (F::narrow(-by_table::ln_1p(odds)), F::narrow(-by_table::ln_1p(1.0 / odds)));
    let other = |index: usize| log_smoothing - F::narrow(LN[last - index]);

    // What has no order, lane by lane: that is most of the work.
    let mut steps = [F::zero(); LANES];
    for (step, two) in steps.iter_mut().zip(scores.windows(2)) {
        *step = two[1] - two[0];
    }
    // NaN is not within reach.
    if !within_reach(lanes::max(&steps), F::zero()) {
        return None;
    }
    let mut ratios = steps;
    for ratio in &mut ratios {
        *ratio = exp(*ratio);
    }
    let (mut odds, mut behind) = ([F::zero(); LANES], F::zero());
    for index in (0..last).rev() {
        behind = ratios[index] + ratios[index] * behind;
        odds[index] = behind;
    }
    let (mut normalisers, mut shares) = (odds, odds);
    for lane in 0..LANES {
        (normalisers[lane], shares[lane]) = (ln_1p(odds[lane]), F::one() / (F::one() + odds[lane]));
    }
    let mut divergences = [F::zero(); LANES];
    let (mut entropy, mut value) = (F::zero(), F::zero());
    for index in (0..last).rev() {
        let (share, rest) = (shares[index], odds[index] * shares[index]);
        entropy = rest * (entropy - drop(&steps, &normalisers, index)) + share * normalisers[index];
        divergences[index] = -entropy - share * first - rest * other(index);
        value = value + divergences[index];
        gradient[index] = share * (-normalisers[index] - first - divergences[index]);
    }
    if !value.is_finite() {
        return None;
    }
    gradient[last] = F::zero();

    // As in `of_logarithms`.
    let (mut masses, mut terms) = (F::one(), -other(0) - divergences[0]);
    for index in 1..=last {
        let above = steps[index - 1] - normalisers[index - 1];
        gradient[index] = gradient[index] + ratios[index - 1] * shares[index - 1] * (terms + above * masses);
        if index < last {
            let rest = odds[index - 1] * shares[index - 1];
            terms = rest * (terms + drop(&steps, &normalisers, index - 1) * masses) - other(index) - divergences[index];
            masses = rest * masses + F::one();
        }
    }
    Some(value)
}

/// `D_{j+1} − D_j = ln(1 − p_j)`.
#[inline(always)]
fn drop<F: Scalar>(steps: &Lane<F>, normalisers: &Lane<F>, stage: usize) -> F {
    // Behind the last stage is one response: 0.
    let later = if stage + 1 < LANES { normalisers[stage + 1] } else { F::zero() };
    steps[stage] + later - normalisers[stage]
}

/// `ln i`, from 1 on; at 0 nothing is asked.
const LN: [f64; LANES] = {
    use core::f64::consts::LN_2;
    let (three, five, seven) = (1.098_612_288_668_109_8, 1.609_437_912_434_100_3, 1.945_910_149_055_313_2);
    [0.0, 0.0, LN_2, three, 2.0 * LN_2, five, LN_2 + three, seven]
};

/// With `x_i = s_i − max s`, `w_i = e^{x_i}`, `S_j = Σ_{k≥j} w_k`, `M_j = Σ_{k≥j} w_k x_k / S_j`:
/// `K_j = M_j − ln S_j − p_j ln(1−ε) − (1−p_j) ln(ε/(n−j))`, `p_j = w_j / S_j`, and
/// `∂L/∂s_k = [k<n] p_k (x_k − ln S_k − ln(1−ε) − K_k) + w_k (x_k Σ_{j<k} 1/S_j − Σ_{j<k} (ln S_j + ln(ε/(n−j)) + K_j)/S_j)`.
///
/// * `sums`, `means`: scratch, each as long as `scores`.
fn of_weights<F: Scalar>(
    label_smoothing: f64,
    highest: F,
    scores: &[F],
    sums: &mut [F],
    means: &mut [F],
    gradient: &mut [F],
) -> F {
    let last = scores.len() - 1;
    let (first, log_smoothing) = (F::narrow(log_first(label_smoothing)), F::narrow(ln(label_smoothing)));
    gradient.copy_from_slice(scores);
    lanes::decay_in_place(gradient, highest);
    sums.copy_from_slice(gradient);
    sums_behind(sums);
    for ((mean, &score), &weight) in means.iter_mut().zip(scores).zip(&*gradient) {
        *mean = weight * (score - highest);
    }
    sums_behind(means);

    let mut value = F::zero();
    let blocks = scores.chunks(LANES).zip(sums.chunks_mut(LANES)).zip(means.chunks_mut(LANES));
    for (number, (((scores, sums), means), gradient)) in blocks.zip(gradient.chunks_mut(LANES)).enumerate() {
        // What fills the last block is a stage of its own with one response, as the last response is: nothing is left.
        let left = last - number * LANES;
        let (left_over, count) = (F::narrow(left as f64), scores.len());
        let mut block = Stages {
            score: [F::zero(); LANES],
            weight: [F::one(); LANES],
            sum: [F::zero(); LANES],
            mean: [F::zero(); LANES],
        };
        for place in 0..LANES {
            if place < count {
                block.score[place] = scores[place] - highest;
                block.weight[place] = gradient[place];
                block.sum[place] = sums[place];
                block.mean[place] = means[place];
            }
        }
        let mut divergences = [F::zero(); LANES];
        let Stages { score, weight, sum, mean } = &mut block;
        for place in 0..LANES {
            let following = left_over - F::narrow(place as f64);
            let is_stage = following > F::zero();
            let following = if is_stage { following } else { F::one() };
            let other = log_smoothing - ln(following);
            let total = weight[place] + sum[place];
            let (log_total, reciprocal) = (ln(total), F::one() / total);
            let (share, rest) = (weight[place] * reciprocal, sum[place] * reciprocal);
            let expected = (mean[place] + weight[place] * score[place]) * reciprocal;
            let divergence = expected - log_total - share * first - rest * other;
            divergences[place] = if is_stage { divergence } else { F::zero() };
            let push = share * (score[place] - log_total - first - divergence);
            weight[place] = if is_stage { push } else { F::zero() };
            sum[place] = reciprocal;
            mean[place] = (log_total + other + divergence) * reciprocal;
        }
        value = value + lanes::join(divergences, |a, b| a + b);
        for place in 0..LANES {
            if place < count {
                gradient[place] = block.weight[place];
                sums[place] = block.sum[place];
                means[place] = block.mean[place];
            }
        }
    }
    sums_before(sums);
    sums_before(means);
    for (((entry, &score), &reciprocals), &means) in gradient.iter_mut().zip(scores).zip(&*sums).zip(&*means) {
        let score = score - highest;
        *entry = *entry + decay(score) * (score * reciprocals - means);
    }
    value
}

/// As many places of a ranking as fill a vector.
struct Stages<F> {
    score: Lane<F>,
    weight: Lane<F>,
    sum: Lane<F>,
    mean: Lane<F>,
}

fn of_logarithms<F: Scalar>(label_smoothing: f64, scores: &[F], scratch: &mut [F], gradient: &mut [F]) -> F {
    let last = scores.len() - 1;
    let (normalisers, divergences) = scratch.split_at_mut(scores.len());
    let first = F::narrow(log_first(label_smoothing));
    let other = |index: usize| F::narrow(log_other(label_smoothing, last - index));

    normalisers[last] = scores[last];
    let (mut entropy, mut value) = (F::zero(), F::zero());
    for index in (0..last).rev() {
        let behind = normalisers[index + 1] - scores[index];
        let (log_share, log_rest) = (-softplus(behind), -softplus(-behind));
        let (share, rest) = (exp(log_share), exp(log_rest));
        entropy = rest * (entropy - log_rest) - share * log_share;
        normalisers[index] = log_add_exp(normalisers[index + 1], scores[index]);
        divergences[index] = -entropy - share * first - rest * other(index);
        value = value + divergences[index];
        gradient[index] = share * (log_share - first - divergences[index]);
    }
    gradient[last] = F::zero();

    // Over the stages j before k, with D the latest: masses = Σ e^{D − D_j}, terms = Σ e^{D − D_j} (D − D_j − ln t − K_j).
    let (mut masses, mut terms) = (F::one(), -other(0) - divergences[0]);
    for index in 1..=last {
        let above = scores[index] - normalisers[index - 1];
        gradient[index] = gradient[index] + exp(above) * (terms + above * masses);
        if index < last {
            let drop = normalisers[index] - normalisers[index - 1];
            let shrink = exp(drop);
            terms = shrink * (terms + drop * masses) - other(index) - divergences[index];
            masses = shrink * masses + F::one();
        }
    }
    value
}

fn log_first(label_smoothing: f64) -> f64 {
    ln_1p(-label_smoothing)
}

fn log_other(label_smoothing: f64, others: usize) -> f64 {
    ln(label_smoothing / others as f64)
}
