//! One sampled negative in place of all (end of Section 4): less work, and a smaller loss on average.
//!
//! By Jensen `0 ≤ L_full − E_q L_single ≤ ln E_q e^s − E_q s ≤ (max s − min s)² / 8`. With `S` draws the mean rises
//! with `S` towards `L_full`. The expectations are exact: sums over how often each negative is drawn.

use crate::chart::{Axis, Chart, Colour, Figure, Series};
use crate::list::{List, loss};
use crate::{Outcome, ROUNDING};
use hps_core::{NegativeScale, theory};

const SCORES: [f64; 6] = [0.8, 1.5, 0.6, -0.1, -0.9, -1.7];
/// The estimate of a reward model that errs a little.
const REWARDS: [f64; 6] = [1.6, 1.0, 0.8, -0.3, -0.2, -1.4];
const STEEPEST: f64 = 8.0;
const STEPS: i32 = 80;
const DRAWS: [(usize, Colour); 4] = [(2, Colour::Orange), (4, Colour::Green), (8, Colour::Sky), (16, Colour::Purple)];

pub fn plot() -> Result<(Figure, Outcome), Box<dyn std::error::Error>> {
    let list = List { scores: SCORES.to_vec(), rewards: REWARDS.to_vec() };
    let single = loss("dpo-hps-expected")?.with_negative_scale(NegativeScale::Count)?;
    let (mut full_curve, mut jensen) = (vec![], vec![]);
    let mut means = vec![vec![]; 1 + DRAWS.len()];
    let mut widest = (0.0, 0.0, 0.0);
    for step in -STEPS..=STEPS {
        let gamma = STEEPEST * f64::from(step) / f64::from(STEPS);
        let log_q = list.log_q(gamma)?;
        let full = list.value(&loss("dpo-hps-full")?.with_gamma(gamma)?, &[])?;
        let bound = theory::sampling_gap_bound(&SCORES, &log_q)?;
        let mut below = list.value(&single.with_gamma(gamma)?, &[])?;
        assert!(full - below <= bound + ROUNDING, "γ = {gamma}: beyond the bound");
        assert!(bound <= theory::sampling_gap_range_bound(&SCORES)? + ROUNDING);
        if full - below > widest.1 {
            widest = (gamma, full - below, bound);
        }
        means[0].push((gamma, below));
        for (curve, (draws, _)) in means[1..].iter_mut().zip(DRAWS) {
            let mean = mean_of_draws(&list, &log_q, draws)?;
            assert!(below <= mean + ROUNDING && mean <= full + ROUNDING, "γ = {gamma}, S = {draws}");
            curve.push((gamma, mean));
            below = mean;
        }
        full_curve.push((gamma, full));
        jensen.push((gamma, bound));
    }
    let range = theory::sampling_gap_range_bound(&SCORES)?;
    let gap = |curve: &[(f64, f64)]| -> Vec<(f64, f64)> {
        curve.iter().zip(&full_curve).map(|(&(gamma, mean), (_, full))| (gamma, full - mean)).collect()
    };
    let largest = |curve: &[(f64, f64)]| gap(curve).iter().map(|&(_, gap)| gap).fold(0.0, f64::max);
    let outcome = Outcome::new(
        "single_sample",
        format!(
            "largest bias {:.4} nats (γ = {:.1}; Jensen bound {:.4}, range²/8 = {range:.4}); with S = 2, 4, 8, 16 at most {}",
            widest.1,
            widest.0,
            widest.2,
            means[1..].iter().map(|curve| format!("{:.4}", largest(curve))).collect::<Vec<_>>().join(", "),
        ),
        "Section 4 does not discuss it: E L_single is below L_full, by at most the bound",
    );
    let named = |curves: Vec<Vec<(f64, f64)>>| -> Vec<Series> {
        let single = ("1 draw".to_string(), Colour::Vermilion);
        let several = DRAWS.map(|(draws, colour)| (format!("{draws} draws"), colour));
        let names = [single].into_iter().chain(several);
        names.zip(curves).map(|((name, colour), curve)| Series::line(&name, colour, curve)).collect()
    };
    let gaps = means.iter().map(|curve| gap(curve)).collect();
    let mut values = vec![Series::line("all negatives", Colour::Black, full_curve.clone())];
    values.extend(named(means));
    let mut biases = vec![
        Series::line("(max s − min s)²/8", Colour::Black, vec![(-STEEPEST, range), (STEEPEST, range)]).dashed(),
        Series::line("Jensen bound for 1 draw", Colour::Blue, jensen).dashed(),
    ];
    biases.extend(named(gaps));
    let (gamma, nats) = ("hardness γ (1/nat)", "nats per prompt");
    let losses = Chart::new(
        "Mean loss under sampled negatives",
        Axis::linear(gamma),
        Axis::linear(&format!("loss ({nats})")),
        values,
    );
    let bias =
        Chart::new("How far below the full loss", Axis::linear(gamma), Axis::linear(&format!("bias ({nats})")), biases);
    Ok((Figure { charts: vec![losses, bias] }, outcome))
}

/// `E L_S`: over every way to draw each negative `k_i` times, `Σ k_i = S`, with probability `S! Π q_i^{k_i} / k_i!`.
fn mean_of_draws(list: &List, log_q: &[f64], draws: usize) -> Result<f64, hps_core::Error> {
    let multi = loss("dpo-hps-multi")?;
    let log_factorial = |number: usize| (2..=number).map(|factor| (factor as f64).ln()).sum::<f64>();
    let mut mean = 0.0;
    let mut indices = Vec::with_capacity(draws);
    for counts in compositions(draws, log_q.len()) {
        indices.clear();
        let mut log_probability = log_factorial(draws);
        for (negative, (&count, log_q)) in counts.iter().zip(log_q).enumerate() {
            indices.extend(std::iter::repeat_n(negative + 1, count));
            log_probability += count as f64 * log_q - log_factorial(count);
        }
        mean += log_probability.exp() * list.value(&multi, &indices)?;
    }
    Ok(mean)
}

/// Every way to write a number as a sum of `parts` numbers, 0 included.
fn compositions(total: usize, parts: usize) -> Vec<Vec<usize>> {
    if parts == 1 {
        return vec![vec![total]];
    }
    let with_first = |first: usize| {
        let others = compositions(total - first, parts - 1);
        others.into_iter().map(move |mut others| {
            others.push(first);
            others
        })
    };
    (0..=total).flat_map(with_first).collect()
}
