//! Loss and gradient of a [`Batch`]: several prompts side by side where there is a kernel for that, else one by one.

use crate::error::{Error, expect_length};
use crate::loss::batch::Batch;
use crate::loss::inputs;
use crate::loss::{Loss, expect_scratch};
use crate::numbers::lanes::{self, LANES};
use crate::numbers::{Scalar, tile};
use crate::preference::{Tile, plackett_luce};

impl Loss {
    /// How many numbers of scratch [`values_and_gradients`](Self::values_and_gradients) takes, whatever the loss and its
    /// options. Usable for the length of an array.
    ///
    /// ```
    /// use hps_core::Loss;
    ///
    /// let scratch = [0.0_f32; Loss::batch_scratch_len(8)];
    /// // Room for several prompts side by side.
    /// assert!(scratch.len() > Loss::scratch_len(8));
    /// ```
    pub const fn batch_scratch_len(responses: usize) -> usize {
        if responses <= tile::LONGEST { 2 * LANES * responses } else { Loss::scratch_len(responses) }
    }

    /// The kernel that takes several rows of so many responses at once, if there is one.
    fn tile_kernel<F: Scalar>(&self, responses: usize) -> Option<Tile<F>> {
        let short = responses <= tile::LONGEST;
        let kernel = self.terms().are_bare().then(|| self.preference().tile(&self.pair(), responses)).flatten();
        kernel.filter(|kernel| short && (self.reward().reads_reference() || !kernel.is_of_lists()))
    }

    /// [`value_and_gradient`](Self::value_and_gradient) of every prompt of a batch, up to rounding.
    ///
    /// Bradley–Terry, and HPS full and Plackett–Luce over logistic pairs, compute several prompts at once, several times as
    /// fast.
    ///
    /// * `scratch`: at least [`batch_scratch_len`](Self::batch_scratch_len) numbers, any content.
    /// * `values`: one entry per prompt.
    /// * `gradient`: `[prompts, responses]`; of each prompt's own loss, so divide by the number of prompts for a mean.
    ///
    /// An error names the prompt; what was written before it is of no use.
    ///
    /// ```
    /// use hps_core::{Batch, Loss};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss: Loss = "dpo-hps-full".parse()?;
    /// let batch = Batch::new(3, &[-9.0_f64; 30])?.with_reference(&[-9.0; 30])?.with_rewards(&[0.0; 30])?;
    /// let (mut values, mut gradient) = ([0.0; 10], [0.0; 30]);
    /// loss.values_and_gradients(&batch, &mut [0.0; Loss::batch_scratch_len(3)], &mut values, &mut gradient)?;
    /// // Ten prompts of three tied responses: one choice out of three, and its probability falls short by 2/3.
    /// assert!(values.iter().all(|value| (value - 3.0_f64.ln()).abs() < 1e-14));
    /// assert!(gradient.iter().step_by(3).all(|preferred| (preferred + 0.1 * 2.0 / 3.0).abs() < 1e-15));
    /// # Ok(())
    /// # }
    /// ```
    pub fn values_and_gradients<F: Scalar>(
        &self,
        batch: &Batch<'_, F>,
        scratch: &mut [F],
        values: &mut [F],
        gradient: &mut [F],
    ) -> Result<(), Error> {
        expect_length("values", values.len(), batch.prompts())?;
        expect_length("gradient", gradient.len(), batch.policy.len())?;
        expect_scratch(scratch.len(), Loss::batch_scratch_len(batch.responses))?;
        self.reads().expect(inputs::given(batch))?;
        // Who names samples for a loss that reads none is refused row by row.
        let kernel = if batch.samples.is_none() { self.tile_kernel(batch.responses) } else { None };
        let tiles = values.chunks_mut(LANES).zip(gradient.chunks_mut(LANES * batch.responses));
        for (number, (values, gradient)) in tiles.enumerate() {
            let first = number * LANES;
            let done = match &kernel {
                Some(kernel) if values.len() == LANES => {
                    self.side_by_side(kernel, batch, first, scratch, values, gradient)
                }
                _ => false,
            };
            if !done {
                self.one_by_one(batch, first, scratch, values, gradient)?;
            }
        }
        Ok(())
    }

    fn one_by_one<F: Scalar>(
        &self,
        batch: &Batch<'_, F>,
        first: usize,
        scratch: &mut [F],
        values: &mut [F],
        gradient: &mut [F],
    ) -> Result<(), Error> {
        let one = self.reads_sample();
        let rows = values.iter_mut().zip(gradient.chunks_exact_mut(batch.responses));
        for (prompt, (value, gradient)) in rows.enumerate().map(|(index, row)| (first + index, row)) {
            *value = batch
                .row(prompt, one)
                .and_then(|row| match self.preference().is_a_pair() {
                    // As rows side by side are computed: a prompt's place in the batch changes no bit of such a loss.
                    true => self.long(&row, scratch, gradient),
                    false => self.value_and_gradient(&row, scratch, gradient),
                })
                .map_err(|error| error.of_prompt(prompt))?;
        }
        Ok(())
    }

    /// Whether the kernel takes these rows; if so, what it makes of them.
    fn side_by_side<F: Scalar>(
        &self,
        kernel: &Tile<F>,
        batch: &Batch<'_, F>,
        first: usize,
        scratch: &mut [F],
        values: &mut [F],
        gradient: &mut [F],
    ) -> bool {
        let count = batch.responses;
        let range = first * count..(first + LANES) * count;
        // The reward reads many rows like a long one. Where it reads both log-probabilities, its scores are finite only if
        // they are.
        let Some(rows) = batch.rows(range.clone()) else { return false };
        let supervised = batch.supervised.map_or(&[][..], |list| &list[first..first + LANES]);
        let unread = if self.reward().reads_reference() { &[][..] } else { rows.reference };
        if !lanes::all_finite(supervised) || !lanes::all_finite(unread) {
            return false;
        }
        let (columns, _) = scratch.as_chunks_mut::<LANES>();
        let (scores, rest) = columns.split_at_mut(count);
        let others = &mut rest[..count];
        // The gradient's place holds the scores for as long as they lie in rows.
        if self.reward().scores(&rows, gradient).is_err() {
            return false;
        }
        let slope = self.reward().common_slope();
        let lanes = match kernel {
            Tile::HpsFull(full) => {
                full.values_and_gradients(slope.unwrap_or(F::one()), gradient, &batch.rewards[range])
            }
            Tile::PlackettLuce { margin, choices } => {
                tile::stand(gradient, count, scores);
                let lanes = plackett_luce::tile::values_and_gradients(*margin, *choices, scores, others);
                tile::lay(scores, slope.unwrap_or(F::one()), gradient, count);
                lanes
            }
            Tile::BradleyTerry(pair) => {
                let (best, worst) = (tile::column(gradient, count, 0), tile::column(gradient, count, count - 1));
                let [lanes, up, down] = pair.of_lanes(best, worst);
                if count > 2 {
                    gradient.fill(F::zero());
                }
                let slope = slope.unwrap_or(F::one());
                for (lane, gradient) in gradient.chunks_exact_mut(count).enumerate() {
                    (gradient[0], gradient[count - 1]) = (slope * up[lane], slope * down[lane]);
                }
                Some(lanes)
            }
        };
        let Some(lanes) = lanes else { return false };
        values.copy_from_slice(&lanes);
        if slope.is_none() {
            self.reward().chain(&rows, gradient);
        }
        let seen = matches!(kernel, Tile::HpsFull(_)) && slope.is_some();
        seen || (lanes::all_finite(values) && lanes::all_finite(gradient))
    }
}
