//! The minimiser of a smooth convex function of few parameters (BFGS with halved steps).
//!
//! `θ ← θ − t H g`, `H` an estimate of the inverse Hessian from the differences of successive gradients.

use crate::linear_reward::{PARAMETERS, dot};
use std::error::Error;

type Point = [f64; PARAMETERS];

/// The gradient's norm at which the minimum is found: some 1e-7 of the estimators' own errors.
const FLAT: f64 = 1e-9;
const ITERATIONS: usize = 200;

/// * `function`: value and gradient.
pub fn minimise<E: Error + 'static>(
    function: impl Fn(&Point) -> Result<(f64, Point), E>,
) -> Result<Point, Box<dyn Error>> {
    let mut point = [0.0; PARAMETERS];
    let (mut value, mut gradient) = function(&point)?;
    let mut inverse: [Point; PARAMETERS] =
        std::array::from_fn(|row| std::array::from_fn(|column| f64::from(row == column)));
    for _ in 0..ITERATIONS {
        if dot(&gradient, &gradient).sqrt() < FLAT {
            return Ok(point);
        }
        let direction = inverse.map(|row| -dot(&row, &gradient));
        let slope = dot(&direction, &gradient);
        let mut length = 1.0;
        let (step, next_value, next_gradient) = loop {
            let step = direction.map(|entry| length * entry);
            let next: Point = std::array::from_fn(|index| point[index] + step[index]);
            let (next_value, next_gradient) = function(&next)?;
            // Near the minimum a fall in value is lost in rounding; there the slope decides.
            if next_value <= value + 1e-4 * length * slope || dot(&next_gradient, &direction).abs() < 0.5 * slope.abs()
            {
                break (step, next_value, next_gradient);
            }
            length /= 2.0;
            if length < 1e-12 {
                return Err(format!("no step is downhill at {point:?}").into());
            }
        };
        let change: Point = std::array::from_fn(|index| next_gradient[index] - gradient[index]);
        let curvature = dot(&step, &change);
        if curvature > 0.0 {
            let image = inverse.map(|row| dot(&row, &change));
            let factor = (1.0 + dot(&change, &image) / curvature) / curvature;
            for (row, entries) in inverse.iter_mut().enumerate() {
                for (column, entry) in entries.iter_mut().enumerate() {
                    *entry += factor * step[row] * step[column]
                        - (image[row] * step[column] + step[row] * image[column]) / curvature;
                }
            }
        }
        point.iter_mut().zip(step).for_each(|(entry, step)| *entry += step);
        (value, gradient) = (next_value, next_gradient);
    }
    Err(format!("no minimum after {ITERATIONS} steps; the rankings may be separable").into())
}
