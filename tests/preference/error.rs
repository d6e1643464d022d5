//! How far a device's losses and gradients are from hps-core's in f64.

use crate::kernels::Computed;
use crate::lists::Lists;
use hps_core::{Batch, Loss};

/// The largest error of a row as a share of 1 + its largest number, and whose it is.
#[derive(Default)]
pub struct Worst {
    pub error: f64,
    of: String,
}

impl Worst {
    pub fn note(&mut self, lists: &Lists, loss: &Loss, computed: &Computed) {
        self.note_batch(&lists.batch(loss), loss, computed);
    }

    pub fn note_batch(&mut self, batch: &Batch<'_, f64>, loss: &Loss, (values, gradient): &Computed) {
        let (prompts, responses) = (batch.prompts(), batch.responses());
        let (mut expected_values, mut expected_gradient) = (vec![0.0; prompts], vec![0.0; prompts * responses]);
        let mut scratch = vec![0.0; Loss::batch_scratch_len(responses)];
        loss.values_and_gradients(batch, &mut scratch, &mut expected_values, &mut expected_gradient).unwrap();
        for prompt in 0..prompts {
            let row = prompt * responses..(prompt + 1) * responses;
            let expected = || expected_gradient[row.clone()].iter().chain([&expected_values[prompt]]);
            let given = gradient[row.clone()].iter().chain([&values[prompt]]);
            let size = 1.0 + expected().fold(0.0, |size: f64, number| size.max(number.abs()));
            for (given, expected) in given.zip(expected()) {
                let error = (f64::from(*given) - expected).abs() / size;
                if error > self.error || error.is_nan() {
                    *self = Worst { error, of: format!("{loss:?}, prompt {prompt} of {prompts} x {responses}") };
                }
            }
        }
    }

    pub fn expect_within(&self, tolerance: f64) {
        println!("worst {:e}: {}", self.error, self.of);
        assert!(self.error <= tolerance, "{:e}: {}", self.error, self.of);
    }
}
