//! A loss of your own: ten lines, and its gradient comes for free, as plain numbers or under candle's autograd; and with
//! it a tiny Llama is trained.
//!
//! `cargo run --release --example your_own_loss`
//!
//! The focal loss, `L = (1 − p)² · (−ln p)`, `p = e^{s_1} / Σ_j e^{s_j}`, for lists of answers, best first: a prompt
//! whose best answer wins already counts little, and the step goes to the prompts that are still wrong.

mod training;

use candle_core::{Device, Var};
use hps_core::{Dual, ScoreTensor};
use std::convert::Infallible;
use std::error::Error;

/// * `scores`: one column per rank, best first.
fn focal<T: ScoreTensor>(scores: &[T]) -> Result<T, T::Error> {
    let mut total = scores[0].clone();
    for score in &scores[1..] {
        total = total.log_add_exp(score)?;
    }
    let surprise = total.sub(&scores[0])?;
    let doubt = surprise.affine(-1.0, 0.0)?.exp()?.affine(-1.0, 1.0)?;
    doubt.mul(&doubt)?.mul(&surprise)
}

/// A prompt whose second answer leads, and one that is settled.
const SCORES: [[f64; 4]; 2] = [[0.4, 0.9, 0.1, -0.8], [3.5, 0.5, 0.2, -1.0]];
const STEPS: usize = 5;
const STEP_SIZE: f64 = 0.5;

/// Two formulas in f64 with a dozen roundings each.
const SAME: f64 = 1e-15;
/// `h` of `(f(s + h) − f(s − h)) / 2h`: curvature leaves about h² = 1e-10 of the derivative, rounding 1e-16 / h = 1e-11.
const NUDGE: f64 = 1e-5;
const FINITE_DIFFERENCE: f64 = 1e-9;

fn main() -> Result<(), Box<dyn Error>> {
    let scores = Var::new(&SCORES, &Device::Cpu)?;
    let mut total = f64::INFINITY;
    for step in 0..=STEPS {
        let columns = (0..4).map(|rank| scores.get_on_dim(1, rank)).collect::<Result<Vec<_>, _>>()?;
        let loss = focal(&columns)?.sum_all()?;
        let gradient = loss.backward()?.remove(&scores).ok_or("no gradient")?;
        if step == 0 {
            check(&gradient.to_vec2()?)?;
            println!("\ngradient descent");
        }
        let before = std::mem::replace(&mut total, loss.to_scalar()?);
        println!("step {step}: {total:.4} nats");
        assert!(total < before);
        scores.set(&(scores.as_tensor() - (gradient * STEP_SIZE)?)?)?;
    }
    training::train()?;
    Ok(())
}

/// Candle's gradient against dual numbers, and those against finite differences.
fn check(candle: &[Vec<f64>]) -> Result<(), Infallible> {
    println!("prompt  answer   score   dual number   finite diff.        candle");
    for (prompt, scores) in SCORES.iter().enumerate() {
        for rank in 0..4 {
            let mut duals = scores.map(Dual::constant);
            duals[rank] = Dual::variable(scores[rank]);
            let dual = focal(&duals)?.derivative();

            let moved = |by: f64| {
                let mut moved = *scores;
                moved[rank] += by;
                focal(&moved)
            };
            let difference = (moved(NUDGE)? - moved(-NUDGE)?) / (2.0 * NUDGE);

            let candle = candle[prompt][rank];
            println!("{prompt:>6}{rank:>8}{:>8.1}{dual:>14.9}{difference:>15.9}{candle:>14.9}", scores[rank]);
            assert!((dual - difference).abs() < FINITE_DIFFERENCE && (dual - candle).abs() < SAME);
        }
    }
    Ok(())
}
