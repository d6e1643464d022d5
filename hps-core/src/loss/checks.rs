//! What a loss refuses before it computes anything: the lists that carry no gradient, and what is missing.

use crate::error::Error;
use crate::loss::Loss;
use crate::loss::batch::Batch;
use crate::loss::inputs;
use crate::numbers::Scalar;
use crate::responses::Responses;

impl Loss {
    /// Refuses what [`value_and_gradient`](Self::value_and_gradient) refuses of a row, all but what only the arithmetic
    /// shows: a score, a weight, a value or a gradient that overflows. `O(n)`.
    ///
    /// ```
    /// use hps_core::{ErrorKind, Loss, Responses};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let row = Responses::new(&[-9.0; 2])?.with_reference(&[-9.0; 2])?;
    /// assert!("dpo-bt".parse::<Loss>()?.check_row(&row).is_ok());
    /// assert_eq!("simpo-bt".parse::<Loss>()?.check_row(&row).unwrap_err().kind(), ErrorKind::InputMissing);
    /// # Ok(())
    /// # }
    /// ```
    pub fn check_row<F: Scalar>(&self, row: &Responses<'_, F>) -> Result<(), Error> {
        self.reads().expect(row.given)?;
        self.preference().check(row)
    }

    /// Refuses what [`values_and_gradients`](Self::values_and_gradients) refuses of a batch, as
    /// [`check_row`](Self::check_row). For who has the arithmetic done on a device. `O(n)`; an error names the prompt.
    ///
    /// ```
    /// use hps_core::{Batch, ErrorKind, Loss};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let batch = Batch::new(2, &[-9.0; 4])?.with_reference(&[-9.0; 4])?.with_rewards(&[1.0, 0.0, 2.0, 2.0])?;
    /// assert!("dpo-hps-full".parse::<Loss>()?.check(&batch).is_ok());
    /// assert_eq!("dpo-hps".parse::<Loss>()?.check(&batch).unwrap_err().kind(), ErrorKind::SampleMissing);
    /// // Nothing of the second prompt is above the mean reward.
    /// let error = "dpo-swepo".parse::<Loss>()?.check(&batch).unwrap_err();
    /// assert_eq!((error.kind(), error.prompt()), (ErrorKind::NoNegatives, Some(1)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn check<F: Scalar>(&self, batch: &Batch<'_, F>) -> Result<(), Error> {
        self.reads().expect(inputs::given(batch))?;
        let one = self.reads_sample();
        (0..batch.prompts()).try_for_each(|prompt| {
            let checked = batch.row(prompt, one).and_then(|row| self.preference().check(&row));
            checked.map_err(|error| error.of_prompt(prompt))
        })
    }
}
