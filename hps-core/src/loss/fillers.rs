//! The columns of a batch: what [`Loss::score_over`] and [`Loss::over`] read, in the layout in which a tensor is cut into
//! columns.
//!
//! A loss reads `R` responses of each prompt: all `n`, or the preferred one and the `S` samples. Arrays are `[R, prompts]`,
//! row-major, so that column `i` is the `i`-th run of `prompts` numbers.

use crate::error::{Cause, Error, expect_length};
use crate::loss::batch::Batch;
use crate::loss::inputs;
use crate::loss::{Loss, expect_scratch};
use crate::numbers::Scalar;
use crate::preference::OTHER_SAMPLES;
use crate::responses::inputs::Inputs;

impl Loss {
    /// How many responses of each prompt of a batch the loss reads, `R`: all, or the preferred one and its samples.
    ///
    /// # Errors
    /// The loss reads samples and the batch names none, or other than one where it reads one; it reads none, and the batch
    /// names some.
    ///
    /// ```
    /// use hps_core::{Batch, Loss};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let batch = Batch::new(4, &[-9.0; 8])?;
    /// assert_eq!("dpo-pl".parse::<Loss>()?.column_count(&batch)?, 4);
    /// assert_eq!("dpo-hps".parse::<Loss>()?.column_count(&batch.with_samples(&[3, 1], None)?)?, 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn column_count<F: Scalar>(&self, batch: &Batch<'_, F>) -> Result<usize, Error> {
        if !self.reads_sample() && !self.reads_samples() {
            return match batch.samples {
                Some(_) if batch.prompts() > 0 => Err(Cause::Unsupported { what: OTHER_SAMPLES }.into()),
                _ => Ok(batch.responses()),
            };
        }
        let count = batch.samples.map_or(0, |samples| samples.count);
        let needed = if self.reads_sample() { 1 } else { count.max(1) };
        expect_length("samples", count * batch.prompts(), needed * batch.prompts())?;
        Ok(1 + needed)
    }

    /// Writes where the responses that the loss reads lie in the batch's lists, `[R, prompts]`: the indices by which a
    /// tensor of log-probabilities `[prompts, responses]`, taken as one list, is gathered into columns.
    ///
    /// # Errors
    /// As [`column_count`](Self::column_count); `out` has another length.
    ///
    /// ```
    /// use hps_core::{Batch, Loss};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let batch = Batch::new(3, &[-9.0; 6])?;
    /// let mut places = [0; 6];
    /// "dpo-pl".parse::<Loss>()?.batch_places(&batch, &mut places)?;
    /// assert_eq!(places, [0, 3, 1, 4, 2, 5]);
    /// let mut places = [0; 4];
    /// "dpo-hps".parse::<Loss>()?.batch_places(&batch.with_samples(&[2, 1], None)?, &mut places)?;
    /// assert_eq!(places, [0, 3, 2, 4]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn batch_places<F: Scalar>(&self, batch: &Batch<'_, F>, out: &mut [u32]) -> Result<(), Error> {
        let columns = self.column_count(batch)?;
        expect_length("out", out.len(), columns * batch.prompts())?;
        let (prompts, responses) = (batch.prompts(), batch.responses());
        for prompt in 0..prompts {
            for column in 0..columns {
                let index = self.index(batch, prompt, column);
                // Beyond the list it would be another prompt's response.
                if index >= responses || (column > 0 && index == 0) {
                    return Err(Error::from(Cause::SampleNotNegative { index, responses }).of_prompt(prompt));
                }
                let place = u32::try_from(prompt * responses + index);
                out[column * prompts + prompt] =
                    place.map_err(|_| Cause::Unsupported { what: "more than 2^32 responses in a batch" })?;
            }
        }
        Ok(())
    }

    /// Writes the no-gradient columns of [`score_over`](Self::score_over), as [`score_constants`](Self::score_constants),
    /// each `[R, prompts]`.
    ///
    /// # Errors
    /// As [`score_constants`](Self::score_constants), with the prompt; as [`batch_places`](Self::batch_places).
    ///
    /// ```
    /// use hps_core::{Batch, Loss};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss: Loss = "dpo-bt".parse()?;
    /// let batch = Batch::new(2, &[-9.0_f64; 4])?.with_reference(&[-1.0, -2.0, -3.0, -4.0])?;
    /// let (mut slopes, mut origins) = ([0.0; 4], [0.0; 4]);
    /// loss.batch_score_constants(&batch, &mut slopes, &mut origins)?;
    /// assert_eq!((slopes, origins), ([0.1; 4], [-1.0, -3.0, -2.0, -4.0]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn batch_score_constants<F: Scalar>(
        &self,
        batch: &Batch<'_, F>,
        slopes: &mut [F],
        origins: &mut [F],
    ) -> Result<(), Error> {
        let columns = self.column_count(batch)?;
        expect_length("slopes", slopes.len(), columns * batch.prompts())?;
        expect_length("origins", origins.len(), columns * batch.prompts())?;
        self.reads().among(Inputs::OF_SCORES).expect(inputs::given(batch))?;
        let (prompts, one) = (batch.prompts(), self.reads_sample());
        for prompt in 0..prompts {
            let row = batch.row(prompt, one).map_err(|error| error.of_prompt(prompt))?;
            for column in 0..columns {
                let line = self.reward().line(&row, self.index(batch, prompt, column));
                (slopes[column * prompts + prompt], origins[column * prompts + prompt]) = line;
            }
        }
        Ok(())
    }

    /// Writes the no-gradient columns of [`over`](Self::over), as [`constants`](Self::constants), `[constants, prompts]`: as
    /// many as [`constant_count`](Self::constant_count) says of the batch's responses.
    ///
    /// * `scratch`: at least as many numbers as there are constants.
    ///
    /// # Errors
    /// As [`constants`](Self::constants), with the prompt; a buffer has another length.
    ///
    /// ```
    /// use hps_core::{Batch, Loss};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss = "dpo-hps-full".parse::<Loss>()?.with_gamma(f64::INFINITY)?;
    /// let batch = Batch::new(3, &[-9.0_f64; 6])?.with_rewards(&[2.0, 1.0, 0.0, 2.0, 0.0, 1.0])?;
    /// let (mut log_weights, mut scratch) = ([0.0; 4], [0.0; 2]);
    /// loss.batch_constants(&batch, &mut scratch, &mut log_weights)?;
    /// // The hardest negative has all the weight, c = N = 2: the second response of the first prompt, the third of the other.
    /// assert_eq!(log_weights, [2.0_f64.ln(), f64::NEG_INFINITY, f64::NEG_INFINITY, 2.0_f64.ln()]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn batch_constants<F: Scalar>(
        &self,
        batch: &Batch<'_, F>,
        scratch: &mut [F],
        out: &mut [F],
    ) -> Result<(), Error> {
        self.column_count(batch)?;
        let (count, prompts) = (self.constant_count(batch.responses()), batch.prompts());
        expect_scratch(scratch.len(), count)?;
        expect_length("out", out.len(), count * prompts)?;
        let (own, one) = (&mut scratch[..count], self.reads_sample());
        for prompt in 0..prompts {
            let row = batch.row(prompt, one);
            row.and_then(|row| self.constants(&row, own)).map_err(|error| error.of_prompt(prompt))?;
            for (column, &constant) in own.iter().enumerate() {
                out[column * prompts + prompt] = constant;
            }
        }
        Ok(())
    }

    /// Which response of a prompt a column is of.
    fn index<F: Scalar>(&self, batch: &Batch<'_, F>, prompt: usize, column: usize) -> usize {
        match batch.samples.filter(|_| self.reads_sample() || self.reads_samples()) {
            Some(samples) if column > 0 => samples.indices[prompt * samples.count + column - 1],
            _ => column,
        }
    }
}
