//! HPS full with the logistic pair, several rows a call: `L = softplus(−m) + ε m`, `m = s_1 − V − δ`,
//! `V = ln c + ln Σ_i e^{h_i + s_i} − ln Σ_i e^{h_i}`, `h_i = γ (r_i − r*)`.
//!
//! `∂L/∂s_i = (sigmoid(−m) − ε) e^{h_i + s_i} / Σ e^{h + s}`.
//!
//! A row's negatives fill vectors one after the other, from its end; the few that are left over at its beginning fill
//! them with their like of the other rows, as does what a row has only one of.

use crate::numbers::Scalar;
use crate::numbers::lanes::{self, LANES};
use crate::numbers::logistic::softplus_and_sigmoid;
use crate::numbers::math::{decay, ln};
use crate::numbers::tile::{self, Lane};

/// What a kernel reads beside the rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FullTile<F> {
    pub(crate) gamma: F,
    pub(crate) label_smoothing: F,
    pub(crate) margin: F,
    /// `c = factor · e^log_scale`.
    pub(crate) factor: F,
    pub(crate) log_scale: F,
}

impl<F: Scalar> FullTile<F> {
    /// Returns the losses, and `scores` become `slope · ∂L/∂s_i`; nothing, if one of them is beyond the largest number.
    ///
    /// * `scores`, `rewards`: `[LANES, responses]`, at least two of these.
    pub(crate) fn values_and_gradients(&self, slope: F, scores: &mut [F], rewards: &[F]) -> Option<Lane<F>> {
        let gamma = self.gamma;
        if gamma == F::zero() {
            // However far apart the rewards are: 0 · ∞ is no number.
            self.weighted(slope, scores, rewards, lanes::larger, |_| F::zero())
        } else if !gamma.is_finite() {
            let extreme = if gamma > F::zero() { lanes::larger } else { lanes::smaller };
            let hardness = |behind| if behind == F::zero() { behind } else { F::neg_infinity() };
            self.weighted(slope, scores, rewards, extreme, hardness)
        } else if gamma > F::zero() {
            self.weighted(slope, scores, rewards, lanes::larger, |behind| gamma * behind)
        } else {
            self.weighted(slope, scores, rewards, lanes::smaller, |behind| gamma * behind)
        }
    }

    /// * `extreme`: of two rewards, that of the negatives with the greatest weight.
    /// * `hardness`: `h` of `r − r*`.
    // A function of its own for each hardness: inlined side by side, they cost a quarter more.
    #[inline(never)]
    fn weighted(
        &self,
        slope: F,
        scores: &mut [F],
        rewards: &[F],
        extreme: impl Fn(F, F) -> F,
        hardness: impl Fn(F) -> F,
    ) -> Option<Lane<F>> {
        let responses = scores.len() / LANES;
        let first = 1 + (responses - 1) % LANES;
        let (mut columns, mut column_rewards) = ([[F::zero(); LANES]; LANES], [[F::zero(); LANES]; LANES]);
        let (columns, column_rewards) = (&mut columns[..first], &mut column_rewards[..first]);
        tile::stand(scores, responses, columns);
        tile::stand(rewards, responses, column_rewards);

        // r*
        let mut anchors = tile::column(rewards, responses, 1);
        // Rows of up to eight negatives have no whole block.
        let blocks = first < responses;
        for (anchor, row) in anchors.iter_mut().zip(rewards.chunks_exact(responses)).filter(|_| blocks) {
            let mut partial = [*anchor; LANES];
            for rewards in row[first..].as_chunks::<LANES>().0 {
                tile::each(&mut partial, |place, kept| extreme(kept, rewards[place]));
            }
            *anchor = lanes::join(partial, &extreme);
        }
        for rewards in &column_rewards[1..] {
            tile::each(&mut anchors, |lane, anchor| extreme(anchor, rewards[lane]));
        }

        // Σ e^h, and the scores become h + s.
        let (mut normaliser, mut largest) = ([F::zero(); LANES], [F::neg_infinity(); LANES]);
        let rows = scores.chunks_exact_mut(responses).zip(rewards.chunks_exact(responses));
        for (lane, (row, rewards)) in rows.enumerate().filter(|_| blocks) {
            let (partial, most) = add_hardness_along(&mut row[first..], &rewards[first..], anchors[lane], &hardness);
            normaliser[lane] = lanes::join(partial, |a, b| a + b);
            largest[lane] = lanes::join(most, lanes::larger);
        }
        for (scores, rewards) in columns.iter_mut().zip(&*column_rewards).skip(1) {
            add_hardness(scores, &mut normaliser, &mut largest, |lane| hardness(rewards[lane] - anchors[lane]));
        }

        // Σ e^{h + s}, and they become its terms.
        let mut sums = [F::zero(); LANES];
        for (lane, row) in scores.chunks_exact_mut(responses).enumerate().filter(|_| blocks) {
            sums[lane] = lanes::join(become_terms(&mut row[first..], largest[lane]), |a, b| a + b);
        }
        for terms in &mut columns[1..] {
            for lane in 0..LANES {
                terms[lane] = decay(terms[lane] - largest[lane]);
                sums[lane] = sums[lane] + terms[lane];
            }
        }

        let (mut values, mut shared) = ([F::zero(); LANES], [F::zero(); LANES]);
        let preferred = &mut columns[0];
        for lane in 0..LANES {
            let others = largest[lane] + self.log_scale + ln(sums[lane] * (self.factor / normaliser[lane]));
            let lead = preferred[lane] - others - self.margin;
            let (value, push) = softplus_and_sigmoid(-lead);
            values[lane] = value + self.label_smoothing * lead;
            preferred[lane] = slope * (self.label_smoothing - push);
            shared[lane] = -preferred[lane] / sums[lane];
        }
        // The terms are at most 1.
        if ![&values, &*preferred, &shared].into_iter().all(|numbers| lanes::all_finite(numbers)) {
            return None;
        }
        for terms in &mut columns[1..] {
            tile::each(terms, |lane, term| shared[lane] * term);
        }
        for (lane, row) in scores.chunks_exact_mut(responses).enumerate() {
            let shared = shared[lane];
            row[first..].iter_mut().for_each(|term| *term = shared * *term);
        }
        tile::lay(columns, F::one(), scores, responses);
        Some(values)
    }
}

#[inline(always)]
fn add_hardness<F: Scalar>(
    scores: &mut Lane<F>,
    normaliser: &mut Lane<F>,
    largest: &mut Lane<F>,
    hardness: impl Fn(usize) -> F,
) {
    for place in 0..LANES {
        let hardness = hardness(place);
        normaliser[place] = normaliser[place] + decay(hardness);
        scores[place] = scores[place] + hardness;
        largest[place] = lanes::larger(largest[place], scores[place]);
    }
}

/// [`add_hardness`] to the whole blocks of a row; their parts of `Σ e^h`, and their largest `h + s`.
#[inline(always)]
fn add_hardness_along<F: Scalar>(
    scores: &mut [F],
    rewards: &[F],
    anchor: F,
    hardness: &impl Fn(F) -> F,
) -> (Lane<F>, Lane<F>) {
    let (mut normaliser, mut largest) = ([F::zero(); LANES], [F::neg_infinity(); LANES]);
    let (scores, _) = scores.as_chunks_mut::<LANES>();
    let (rewards, _) = rewards.as_chunks::<LANES>();
    for (scores, rewards) in scores.iter_mut().zip(rewards) {
        add_hardness(scores, &mut normaliser, &mut largest, |place| hardness(rewards[place] - anchor));
    }
    (normaliser, largest)
}

/// Replaces the whole blocks of a row by `e^{h + s − largest}`; their parts of the sum.
#[inline(always)]
fn become_terms<F: Scalar>(scores: &mut [F], largest: F) -> Lane<F> {
    let mut sums = [F::zero(); LANES];
    for terms in scores.as_chunks_mut::<LANES>().0 {
        for (term, sum) in terms.iter_mut().zip(&mut sums) {
            *term = decay(*term - largest);
            *sum = *sum + *term;
        }
    }
    sums
}
