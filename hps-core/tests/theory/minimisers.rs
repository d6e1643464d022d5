//! Theorem 3 as it is meant: what minimises which loss, over bounded linear scores `s = θ · φ`, `|θ| ≤ α_0`, of two parameters.
//! Losses are compared on a grid of the disc, so that none is favoured by its smoothness.

use crate::rows::{BOUND, Generator, SLACK, softplus};
use hps_core::{Loss, NegativeScale, Responses, theory};
use std::f64::consts::TAU;

const PROMPTS: usize = 8;
const RESPONSES: usize = 6;
const RADII: usize = 40;
const ANGLES: usize = 120;

/// Prompts whose responses have two features each, of norm 1 at most; preferred first, the rest in the order drawn.
struct Problem {
    features: Vec<Vec<[f64; 2]>>,
    truth: [f64; 2],
}

fn score(parameters: [f64; 2], feature: [f64; 2]) -> f64 {
    parameters[0] * feature[0] + parameters[1] * feature[1]
}

impl Problem {
    /// Ranked by the Plackett–Luce model of the truth's scores.
    fn drawn(generator: &mut Generator) -> Problem {
        let angle = TAU * generator.uniform();
        let truth = [BOUND * angle.cos(), BOUND * angle.sin()];
        let mut list = || {
            let mut drawn: Vec<(f64, [f64; 2])> = Vec::new();
            while drawn.len() < RESPONSES {
                let feature = [(); 2].map(|()| 2.0 * generator.uniform() - 1.0);
                if score(feature, feature) <= 1.0 {
                    let noise = -(-(generator.uniform() + 1e-12).ln()).ln();
                    drawn.push((score(truth, feature) + noise, feature));
                }
            }
            drawn.sort_by(|(left, _), (right, _)| right.total_cmp(left));
            drawn.into_iter().map(|(_, feature)| feature).collect()
        };
        Problem { features: (0..PROMPTS).map(|_| list()).collect(), truth }
    }

    /// Mean over the prompts of what `of` says of scores and the true scores.
    fn mean(&self, parameters: [f64; 2], of: impl Fn(&[f64], &[f64]) -> f64) -> f64 {
        let of_prompt = |features: &Vec<[f64; 2]>| {
            let scores = |by: [f64; 2]| features.iter().map(|feature| score(by, *feature)).collect::<Vec<f64>>();
            of(&scores(parameters), &scores(self.truth))
        };
        self.features.iter().map(of_prompt).sum::<f64>() / PROMPTS as f64
    }

    /// Where the mean is least.
    fn minimiser(&self, of: impl Fn(&[f64], &[f64]) -> f64) -> [f64; 2] {
        let mut best = (f64::INFINITY, [0.0; 2]);
        for radius in 0..=RADII {
            for angle in 0..ANGLES {
                let (radius, angle) = (BOUND * radius as f64 / RADII as f64, TAU * angle as f64 / ANGLES as f64);
                let parameters = [radius * angle.cos(), radius * angle.sin()];
                let value = self.mean(parameters, &of);
                if value < best.0 {
                    best = (value, parameters);
                }
            }
        }
        best.1
    }

    /// Mean over the prompts of `s_1 − M`.
    fn hard_margin(&self, parameters: [f64; 2]) -> f64 {
        self.mean(parameters, |scores, _| -theory::hardest_objective(scores).unwrap())
    }
}

/// A loss by its name, with the truth for estimated rewards.
fn under(loss: Loss) -> impl Fn(&[f64], &[f64]) -> f64 {
    move |scores, truth| {
        let row = Responses::new(scores)
            .and_then(|row| row.with_reference(&[0.0; RESPONSES])?.with_lengths(&[1; RESPONSES])?.with_rewards(truth))
            .unwrap();
        loss.value_and_score_gradient(&row, &mut [0.0; 64], &mut [0.0; RESPONSES]).unwrap()
    }
}

fn named(name: &str) -> Loss {
    name.parse::<Loss>().unwrap().with_beta(1.0).unwrap()
}

/// What minimises the hardest loss at a count `c` has a mean hard margin within `e^{2α_0} / c` of the largest there is, and
/// what minimises the limit has the largest.
#[test]
fn the_hardest_losses_minimiser_tends_to_the_largest_hard_margin() {
    let mut generator = Generator(83);
    let mut shortfalls = [0.0f64; 4];
    for _ in 0..12 {
        let problem = Problem::drawn(&mut generator);
        let limit = problem.minimiser(|scores, _| theory::hardest_objective(scores).unwrap());
        let largest = problem.hard_margin(limit);
        for (shortfall, count) in shortfalls.iter_mut().zip([1.0_f64, 30.0, 1e3, 1e6]) {
            let of = |scores: &[f64], _: &[f64]| softplus(count.ln() + theory::hardest_objective(scores).unwrap());
            let short = largest - problem.hard_margin(problem.minimiser(of));
            assert!(short >= -SLACK && short <= (2.0 * BOUND).exp() / count + SLACK, "at {count}: {short}");
            *shortfall += short / 12.0;
        }
    }
    println!("mean shortfall of the hard margin at c = 1, 30, 1000, 10⁶: {shortfalls:.4?}");
    assert!(shortfalls[0] > 10.0 * shortfalls[2] && shortfalls[3] < 1e-3, "{shortfalls:?}");
}

/// What follows for finite `γ` is another matter: `q` looks at estimated rewards and the margin at scores. With the truth for
/// the estimate and choices that follow it with Plackett–Luce noise, HPS at `γ = 0` leaves a larger mean hard margin than
/// Plackett–Luce and Bradley–Terry, and at `γ = 5` a much smaller one: what it does not look at may rise. In standard errors
/// of paired differences.
#[test]
fn hard_margins_of_what_minimises_each_loss() {
    let mut generator = Generator(84);
    let hps = |gamma: f64, scale| named("dpo-hps-full").with_gamma(gamma).unwrap().with_negative_scale(scale).unwrap();
    let losses = [
        ("HPS γ = 0", hps(0.0, NegativeScale::Count)),
        ("HPS γ = 5", hps(5.0, NegativeScale::Count)),
        ("HPS γ = 5, scale 1000", hps(5.0, NegativeScale::Custom(1e3))),
        ("PL", named("dpo-pl")),
        ("BT", named("dpo-bt")),
    ];
    let margins: Vec<[f64; 5]> = (0..24)
        .map(|_| {
            let problem = Problem::drawn(&mut generator);
            [0, 1, 2, 3, 4].map(|index: usize| problem.hard_margin(problem.minimiser(under(losses[index].1))))
        })
        .collect();
    // Of the first over the second.
    let paired = |first: usize, second: usize| {
        let differences: Vec<f64> = margins.iter().map(|of| of[first] - of[second]).collect();
        let count = differences.len() as f64;
        let mean = differences.iter().sum::<f64>() / count;
        let variance = differences.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let error = (variance / count).sqrt();
        println!("{} over {}: {mean:.3} ± {error:.3}", losses[first].0, losses[second].0);
        (mean, error)
    };
    for (first, second, sign) in [(0, 3, 1.0), (0, 4, 1.0), (1, 3, -1.0), (1, 4, -1.0), (1, 0, -1.0)] {
        let (mean, error) = paired(first, second);
        assert!(sign * mean > 3.0 * error, "{} over {}", losses[first].0, losses[second].0);
    }
    for (first, second) in [(2, 1), (3, 4)] {
        let (mean, error) = paired(first, second);
        assert!(mean.abs() < 3.0 * error, "{} and {} differ", losses[first].0, losses[second].0);
    }
}
