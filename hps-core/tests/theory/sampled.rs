//! The gradient of sampled negatives: its mean, its bias and its variance, by sums over all that may be drawn.

use crate::rows::{Generator, SLACK, q};
use hps_core::{Loss, NegativeScale, Responses};

/// A list, preferred response first: scores, and estimated rewards of another order.
struct List {
    scores: Vec<f64>,
    rewards: Vec<f64>,
}

/// Of the gradients by all scores: squared length of the mean's distance from the full loss's, and the sum of variances.
struct Moments {
    squared_bias: f64,
    variance: f64,
}

impl List {
    fn random(generator: &mut Generator) -> List {
        let mut numbers = |reach: f64| (0..5).map(|_| reach * (2.0 * generator.uniform() - 1.0)).collect();
        List { scores: numbers(0.75), rewards: numbers(1.0) }
    }

    fn gradient(&self, loss: &Loss, draws: &[usize]) -> Vec<f64> {
        let count = self.scores.len();
        let (reference, lengths) = (vec![0.0; count], vec![1; count]);
        let mut row = Responses::new(&self.scores)
            .and_then(|row| row.with_reference(&reference)?.with_lengths(&lengths)?.with_rewards(&self.rewards))
            .unwrap();
        if !draws.is_empty() {
            row = row.with_samples(draws).unwrap();
        }
        let mut gradient = vec![0.0; count];
        loss.value_and_score_gradient(&row, &mut vec![0.0; Loss::scratch_len(count)], &mut gradient).unwrap();
        gradient
    }

    /// Those of `count` independent draws, exactly.
    fn moments(&self, gamma: f64, count: usize) -> Moments {
        let full = self.gradient(&of("dpo-hps-full", gamma), &[]);
        let (loss, log_q) = (of("dpo-hps-multi", gamma), q(&self.rewards, gamma));
        let (mut mean, mut square) = (vec![0.0; full.len()], 0.0);
        for counts in compositions(count, log_q.len()) {
            let draws: Vec<usize> =
                counts.iter().enumerate().flat_map(|(negative, times)| vec![negative + 1; *times]).collect();
            let log_factorial = |number: usize| (2..=number).map(|factor| (factor as f64).ln()).sum::<f64>();
            let ways = log_factorial(count) - counts.iter().map(|times| log_factorial(*times)).sum::<f64>();
            // 0 · −∞, of a negative that is never drawn, is 0.
            let drawn = counts.iter().zip(&log_q).filter(|(times, _)| **times > 0);
            let probability = (ways + drawn.map(|(times, log_q)| *times as f64 * log_q).sum::<f64>()).exp();
            if probability == 0.0 {
                continue;
            }
            let gradient = self.gradient(&loss, &draws);
            mean.iter_mut().zip(&gradient).for_each(|(sum, entry)| *sum += probability * entry);
            square += probability * gradient.iter().map(|entry| entry * entry).sum::<f64>();
        }
        let squared_bias = mean.iter().zip(&full).map(|(mean, full)| (mean - full).powi(2)).sum();
        Moments { squared_bias, variance: square - mean.iter().map(|mean| mean * mean).sum::<f64>() }
    }
}

fn of(name: &str, gamma: f64) -> Loss {
    let loss = name.parse::<Loss>().unwrap().with_beta(1.0).unwrap();
    loss.with_negative_scale(NegativeScale::Count).unwrap().with_gamma(gamma).unwrap()
}

/// Every way to write a number as a sum of `parts` numbers, 0 included.
fn compositions(total: usize, parts: usize) -> Vec<Vec<usize>> {
    if parts == 1 {
        return vec![vec![total]];
    }
    let with_first = |first: usize| {
        let rest = compositions(total - first, parts - 1);
        rest.into_iter().map(move |rest| [vec![first], rest].concat())
    };
    (0..=total).flat_map(with_first).collect()
}

/// The bias and the variance fall as one over the number of draws: from 16 to 32 the squared bias to a quarter, the variance
/// to a half.
#[test]
fn bias_and_variance_of_the_gradient_fall_with_the_draws() {
    let mut generator = Generator(81);
    for _ in 0..20 {
        let list = List::random(&mut generator);
        let moments: Vec<Moments> = [1, 2, 4, 8, 16, 32].map(|count| list.moments(1.0, count)).into();
        let ratios: Vec<(f64, f64)> = moments
            .windows(2)
            .map(|pair| (pair[0].squared_bias / pair[1].squared_bias, pair[0].variance / pair[1].variance))
            .collect();
        assert!(ratios.iter().all(|(bias, variance)| *bias > 1.0 && *variance > 1.0), "{ratios:?}");
        let (bias, variance) = ratios[4];
        assert!((bias - 4.0).abs() < 0.25 && (variance - 2.0).abs() < 0.1, "{ratios:?}");
    }
}

/// One draw is not the full gradient on average; it is where there is nothing to choose from: as `γ` grows, one negative is
/// drawn always, and bias and variance vanish.
#[test]
fn as_gamma_grows_one_draw_is_the_full_gradient() {
    let mut generator = Generator(82);
    for _ in 0..50 {
        let list = List::random(&mut generator);
        let none = list.moments(0.0, 1);
        assert!(none.squared_bias > 1e-8 && none.variance > 1e-4, "{} {}", none.squared_bias, none.variance);
        let mut best: Vec<f64> = list.rewards[1..].to_vec();
        best.sort_by(f64::total_cmp);
        let gap = best[best.len() - 1] - best[best.len() - 2];
        // All other negatives together are drawn with a chance of 3 e^{−50} at most.
        let nearly = list.moments(50.0 / gap, 1);
        let always = list.moments(f64::INFINITY, 1);
        for moments in [nearly, always] {
            assert!(moments.squared_bias < SLACK && moments.variance < SLACK);
        }
    }
}
