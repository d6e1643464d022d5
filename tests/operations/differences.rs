//! Central differences: `∂f/∂x ≈ (f(x + h) − f(x − h)) / 2h` with `f = Σ cotangent · output`.

use crate::matrix::Matrix;
use crate::random::Draws;

/// Truncation is of the order h² = 1e-10, rounding of 1e-16 / h = 1e-11.
const STEP: f64 = 1e-5;

/// Between a written-out gradient and its differences, of the largest entry. Measured 3e-10; a wrong term shows at 1e-2.
const BOUND: f64 = 1e-9;

/// Asserts that `backward(inputs, cotangents)` is the gradient of a random linear functional of the outputs.
pub fn assert_gradient<const INPUTS: usize, const OUTPUTS: usize>(
    inputs: [Matrix; INPUTS],
    forward: impl Fn(&[Matrix; INPUTS]) -> [Matrix; OUTPUTS],
    backward: impl Fn(&[Matrix; INPUTS], &[Matrix; OUTPUTS]) -> [Matrix; INPUTS],
) {
    let mut draws = Draws::new(1);
    let cotangents = forward(&inputs).map(|output| draws.matrix(output.rows, output.columns));
    let functional = |inputs: &[Matrix; INPUTS]| -> f64 {
        forward(inputs).iter().zip(&cotangents).map(|(output, cotangent)| output.dot(cotangent)).sum()
    };
    let mut worst = 0.0f64;
    for (which, gradient) in backward(&inputs, &cotangents).iter().enumerate() {
        assert_eq!((gradient.rows, gradient.columns), (inputs[which].rows, inputs[which].columns));
        let largest = gradient.greatest(1.0).numbers[0];
        for (entry, written) in gradient.numbers.iter().enumerate() {
            let at = |step: f64| {
                let mut moved = inputs.clone();
                moved[which].numbers[entry] += step;
                functional(&moved)
            };
            let difference = (at(STEP) - at(-STEP)) / (2.0 * STEP);
            let error = (difference - written).abs();
            worst = worst.max(error / largest);
            assert!(
                error <= BOUND * largest,
                "input {which}, entry {entry}: {written} written, {difference} by differences"
            );
        }
    }
    println!("Differences [{INPUTS}, {OUTPUTS}] {worst:.2e}");
}
