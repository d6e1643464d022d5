//! Every loss over candle's columns against the closed form of each row.

use crate::batch::{rows, under_autograd};
use crate::generator::{Generator, Row};
use crate::losses::{fewest_responses, losses};
use crate::tolerance;
use candle_core::WithDType;
use hps_core::{Loss, Responses, Scalar};

const SPREADS: [f64; 3] = [0.1, 3.0, 60.0];

/// The largest error of a batch, as a share of 1 + the largest number of the row, value or derivative: some losses are
/// differences of large ones.
fn worst_error<F: Scalar + WithDType>(loss: &Loss, rows: &[Responses<'_, F>]) -> f64 {
    let outcome = under_autograd(loss, rows).unwrap();
    let mut worst = 0.0_f64;
    for (index, row) in rows.iter().enumerate() {
        let mut scratch = vec![F::nan(); Loss::scratch_len(row.count())];
        let mut expected = vec![F::nan(); row.count()];
        let value = loss.value_and_score_gradient(row, &mut scratch, &mut expected).unwrap();
        if outcome.gradients[index].len() > row.count() {
            let likelihood = F::narrow(-loss.likelihood());
            expected.push(if loss.likelihood() > 0.0 { likelihood } else { loss.supervised_gradient(&expected) });
        }
        let given = &outcome.gradients[index];
        assert_eq!(given.len(), expected.len());
        let numbers = expected.iter().chain([&value]).map(|number| number.widen().abs());
        let size = 1.0 + numbers.fold(0.0, f64::max);
        for (given, expected) in given.iter().zip(&expected).chain([(&outcome.values[index], &value)]) {
            let error = (*given - *expected).abs().widen() / size;
            assert!(error <= tolerance::loss(F::DTYPE), "{loss:?} row {index}: {given}, expected {expected}");
            worst = worst.max(error);
        }
    }
    worst
}

#[test]
fn every_loss_equals_its_closed_form() {
    let mut generator = Generator::new(6);
    let (mut worst, mut worst_f32) = (0.0_f64, 0.0_f64);
    for (number, loss) in losses().iter().enumerate() {
        for responses in [fewest_responses(loss), 5, 9] {
            let spread = SPREADS[(number + responses) % SPREADS.len()];
            let rows = rows(&mut generator, responses, 3, spread).into_iter();
            let rows: Vec<_> = rows.map(|(row, sample)| (row.suited_to(loss), sample)).collect();
            let batch: Vec<_> = rows.iter().map(|(row, sample)| row.responses_for(loss, *sample)).collect();
            worst = worst.max(worst_error(loss, &batch));

            let narrow: Vec<(Row<f32>, usize)> = rows.iter().map(|(row, sample)| (row.to_f32(), *sample)).collect();
            let batch: Vec<_> = narrow.iter().map(|(row, sample)| row.responses_for(loss, *sample)).collect();
            worst_f32 = worst_f32.max(worst_error(loss, &batch));
        }
    }
    println!("worst {worst:e} {worst_f32:e}");
}
