//! Which negative a seed draws: from `q_i ∝ e^{γ r_i}` (Eq. 9), in integers, alike on every device; the steps and the promise
//! stand at [`NegativeSampler`].

use crate::error::{Cause, Error};
use crate::negatives::philox::Philox;
use crate::negatives::weights::{Anchor, TiePolicy, retained};
use crate::numbers::Scalar;

mod exponents;
mod weights;
use weights::IntegerWeights;

/// Draws negatives, reproducibly: a draw depends on the seed, the [`Position`] and the prompt's rewards alone.
///
/// ```
/// use hps_core::{NegativeSampler, Position, TiePolicy};
///
/// # fn main() -> Result<(), hps_core::Error> {
/// let sampler = NegativeSampler::new(7);
/// let rewards = [2.0, 1.5, -0.5, -3.0]; // best first
/// let position = Position { row: 418, epoch: 0, draw: 0 };
/// let soft = sampler.draw(&rewards, 0.0, TiePolicy::Keep, position)?;
/// assert!((1..4).contains(&soft));
/// // γ = ∞ always draws the hardest negative, γ = −∞ the easiest.
/// assert_eq!(sampler.draw(&rewards, f64::INFINITY, TiePolicy::Keep, position)?, 1);
/// assert_eq!(sampler.draw(&rewards, f64::NEG_INFINITY, TiePolicy::Keep, position)?, 3);
/// # Ok(())
/// # }
/// ```
///
/// # Which negative a seed draws
///
/// With `r*` the retained negatives' largest reward if `γ ≥ 0`, else their smallest, and `N` their number:
///
/// 1. `t_i = ⌊(−γ · (r_i − r*)) · (log2(e) · 2^24)⌋` in f64, in this order of operations, saturated to u32;
/// 2. `w_i = h(t_i mod 2^24) ≫ (⌈log2 N⌉ + (t_i ≫ 24))`, a shift of 32 or more giving 0, where `h(f)` is
///    `2^31 · 2^(−f/2^24)` interpolated in a table of 257 words: `T[k] − (((T[k] − T[k+1]) · (f mod 2^16)) ≫ 16)`,
///    `k = f ≫ 16`, `T[k] = round(2^31 · 2^(−k/256))`;
/// 3. `W = Σ w_i`, at most 2^31; `u` = word 0 of the Philox4x32-10 block with counter `(row, epoch, draw, 1)` and the
///    seed's low and high words as key;
/// 4. the draw is the first retained `i` in list order with `w_2 + … + w_i > ⌊u · W / 2^32⌋`.
///
/// At `γ = ±∞`, `t_i` is 0 where `r_i = r*` and `w_i` is 0 elsewhere.
///
/// Floats stop at step 1, whose two products and floor are the same on every IEEE machine. Sums of `e^x` are not: two
/// orders of summation in f32 draw differently a few times in a million.
///
/// **Several draws** ([`draw_many`](Self::draw_many)) take consecutive values of `draw` in the counter.
/// **Without replacement** ([`draw_distinct`](Self::draw_distinct)) the `k`-th draw, `k = 0, 1, …`, is made by
/// steps 1 to 4 with `draw + k` in the counter, from the retained negatives that no earlier draw took: their number is
/// `N`, theirs are `r*` and `W`. So the first is the draw itself, each follows `q` of what is left, and where `γ` is
/// large they come in order of reward.
///
/// **Other devices** compute steps 2 to 4 alone, from integers that hold `t_i` and `⌈log2 N⌉`
/// ([`exponents`](Self::exponents)).
///
/// **What the integers cost.** The weights make some `q̃` in place of `q`, with
/// `|q̃_i − q_i| ≤ 10^−6 q_i + (1 + N q_i) · 2^(⌈log2 N⌉ − 30)`;
/// among 99 negatives at most 1.3e-5, whatever `γ`, and among a few thousand at most 1 %. A negative whose `q_i` is less
/// than `2^(⌈log2 N⌉ − 31)` of the largest is never drawn.
///
/// **Promise.** Which negatives a seed draws is part of this crate's interface: changing it is a breaking change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NegativeSampler {
    philox: Philox,
}

/// Which draw it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Position {
    /// The prompt's line in its input, counted before any line is dropped. Beyond 2^32 lines, change the seed.
    pub row: u32,
    /// The pass over the data.
    pub epoch: u32,
    /// The draw within the pass, for a prompt that is drawn for more than once.
    pub draw: u32,
}

impl NegativeSampler {
    /// The last counter word of every draw. Other uses of the same seed take other words.
    pub const DOMAIN: u32 = 1;

    /// The sampler of a seed.
    ///
    /// ```
    /// use hps_core::{NegativeSampler, Philox, Position, TiePolicy};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let (sampler, philox) = (NegativeSampler::new(7), Philox::new(7));
    /// for row in 0..32 {
    ///     // Between two negatives of the same weight the highest bit of the word decides.
    ///     let position = Position { row, epoch: 0, draw: 0 };
    ///     let [word, ..] = philox.block([row, 0, 0, NegativeSampler::DOMAIN]);
    ///     let drawn = sampler.draw(&[1.0, 0.0, 0.0], 0.0, TiePolicy::Keep, position)?;
    ///     assert_eq!(drawn, if word < 1 << 31 { 1 } else { 2 });
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(seed: u64) -> NegativeSampler {
        NegativeSampler { philox: Philox::new(seed) }
    }

    /// The index of the drawn negative in the list, in `1..n`.
    ///
    /// * `rewards`: estimated rewards of the whole list, best first; index 0 is the preferred response.
    /// * `gamma`: `γ`, any number or `±∞`.
    ///
    /// ```
    /// use hps_core::{NegativeSampler, Position, TiePolicy};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// // γ = ln 3 and rewards 1 apart: q = (¾, ¼).
    /// let mut hard = 0;
    /// for row in 0..10_000 {
    ///     let position = Position { row, epoch: 0, draw: 0 };
    ///     let drawn = NegativeSampler::new(7).draw(&[2.0, 1.0, 0.0], 3.0_f64.ln(), TiePolicy::Keep, position)?;
    ///     hard += usize::from(drawn == 1);
    /// }
    /// assert!(hard.abs_diff(7_500) < 200); // over four standard deviations
    /// # Ok(())
    /// # }
    /// ```
    pub fn draw<F: Scalar>(
        &self,
        rewards: &[F],
        gamma: f64,
        ties: TiePolicy,
        position: Position,
    ) -> Result<usize, Error> {
        let weights = IntegerWeights::new(rewards, gamma, ties)?;
        Ok(weights.index_at(|| retained(rewards, ties), self.word(position, 0)?))
    }

    /// Draws `out.len()` negatives, independently: entry `k` is [`draw`](Self::draw) with `position.draw + k`.
    ///
    /// ```
    /// use hps_core::{NegativeSampler, Position, TiePolicy};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let (sampler, position) = (NegativeSampler::new(7), Position { row: 3, epoch: 0, draw: 0 });
    /// let mut drawn = [0; 6];
    /// sampler.draw_many(&[2.0, 1.5, -0.5, -3.0], 0.5, TiePolicy::Keep, position, &mut drawn)?;
    /// assert_eq!(drawn, [2, 3, 1, 1, 1, 1]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn draw_many<F: Scalar>(
        &self,
        rewards: &[F],
        gamma: f64,
        ties: TiePolicy,
        position: Position,
        out: &mut [usize],
    ) -> Result<(), Error> {
        let weights = IntegerWeights::new(rewards, gamma, ties)?;
        for (number, drawn) in out.iter_mut().enumerate() {
            *drawn = weights.index_at(|| retained(rewards, ties), self.word(position, number)?);
        }
        Ok(())
    }

    /// Draws `out.len()` different negatives, in the order in which they were drawn; at most as many as are retained.
    ///
    /// Entry 0 is [`draw`](Self::draw); each further one is drawn from those left, at `position.draw + k`. In
    /// `O(n S²)` for `S` draws.
    ///
    /// ```
    /// use hps_core::{NegativeSampler, Position, TiePolicy};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let (sampler, position) = (NegativeSampler::new(7), Position { row: 3, epoch: 0, draw: 0 });
    /// let rewards = [2.0, -0.5, 1.5, -3.0];
    /// let mut drawn = [0; 3];
    /// sampler.draw_distinct(&rewards, 0.0, TiePolicy::Keep, position, &mut drawn)?;
    /// assert_eq!(drawn, [3, 2, 1]);
    /// // γ = ∞ takes the hardest first.
    /// sampler.draw_distinct(&rewards, f64::INFINITY, TiePolicy::Keep, position, &mut drawn)?;
    /// assert_eq!(drawn, [2, 1, 3]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn draw_distinct<F: Scalar>(
        &self,
        rewards: &[F],
        gamma: f64,
        ties: TiePolicy,
        position: Position,
        out: &mut [usize],
    ) -> Result<(), Error> {
        let negatives = Anchor::find(rewards, gamma, ties)?.retained;
        if out.len() > negatives {
            return Err(Cause::Unsupported { what: "more draws without replacement than negatives" }.into());
        }
        for number in 0..out.len() {
            let (taken, rest) = out.split_at_mut(number);
            let left = || retained(rewards, ties).filter(|(index, _)| !taken.contains(index));
            // Never empty: fewer were taken than there are negatives.
            let Some(anchor) = Anchor::among(left().map(|(_, reward)| reward), gamma) else { continue };
            rest[0] = IntegerWeights::around(&anchor, gamma)?.index_at(left, self.word(position, number)?);
        }
        Ok(())
    }

    /// Step 3's `u`, `number` draws after the position.
    fn word(&self, position: Position, number: usize) -> Result<u32, Error> {
        let draw = u32::try_from(number).ok().and_then(|number| position.draw.checked_add(number));
        let draw = draw.ok_or(Cause::Unsupported { what: "more than 2^32 draws in one epoch of a row" })?;
        let [word, ..] = self.philox.block([position.row, position.epoch, draw, Self::DOMAIN]);
        Ok(word)
    }
}

/// Draws one negative with a random word of the caller's: the steps of [`NegativeSampler`] with `word` as `u`.
///
/// * `rewards`, `gamma`, `ties`: as for [`NegativeSampler::draw`].
/// * `word`: 32 random bits, from whatever generator.
///
/// ```
/// use hps_core::{TiePolicy, draw_with_word};
///
/// # fn main() -> Result<(), hps_core::Error> {
/// let draw = |word| draw_with_word(&[1.0, 0.0, 0.0], 0.0, TiePolicy::Keep, word);
/// // u = 1/4, 1/2, 3/4
/// assert_eq!([draw(1 << 30)?, draw(1 << 31)?, draw(3 << 30)?], [1, 2, 2]);
/// # Ok(())
/// # }
/// ```
pub fn draw_with_word<F: Scalar>(rewards: &[F], gamma: f64, ties: TiePolicy, word: u32) -> Result<usize, Error> {
    let weights = IntegerWeights::new(rewards, gamma, ties)?;
    Ok(weights.index_at(|| retained(rewards, ties), word))
}

/// The first index whose cumulative probability exceeds `uniform`: NumPy's `choice`, for float probabilities.
///
/// * `probabilities`: at least 0, summing to 1 up to rounding.
/// * `uniform`: in [0, 1); of another one nothing is drawn. Where rounding leaves the last sum below it, the last positive
///   probability is drawn.
///
/// For draws that must agree between machines use [`NegativeSampler`].
///
/// ```
/// assert_eq!(hps_core::draw_with_uniform(&[0.25_f64, 0.5, 0.25], 0.74), Some(1));
/// assert_eq!(hps_core::draw_with_uniform(&[0.25_f64, 0.5, 0.25], 0.75), Some(2));
/// ```
pub fn draw_with_uniform<F: Scalar>(probabilities: &[F], uniform: F) -> Option<usize> {
    if !(uniform >= F::zero() && uniform < F::one()) {
        return None;
    }
    let mut cumulative = F::zero();
    for (index, &probability) in probabilities.iter().enumerate() {
        cumulative = cumulative + probability;
        if cumulative > uniform {
            return Some(index);
        }
    }
    probabilities.iter().rposition(|&probability| probability > F::zero())
}

#[cfg(test)]
mod tests;
