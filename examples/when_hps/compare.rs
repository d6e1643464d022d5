//! Whether two methods differ: on the same prompts and seeds, with prompts in tasks.
//!
//! Of the mean differences `d` of each of `n` seeds and `k` tasks, seeds and tasks both being drawn from many: the variance of
//! their mean is `(MS_seeds + MS_tasks − MS_rest) / (n k)`, by the mean squares of a two-way analysis of variance, and Student's
//! t with Satterthwaite's degrees of freedom tells the interval and p. Where the rest is all there is, it is `MS_rest / (n k)`.

use std::f64::consts::FRAC_PI_2;

/// A number of each held-out prompt of a run: [seeds, prompts].
pub type Numbers = Vec<Vec<f64>>;

/// A mean difference, with half of its 95 % interval and its two-sided p.
#[derive(Debug, Clone, Copy)]
pub struct Difference {
    pub mean: f64,
    pub half: f64,
    pub p: f64,
}

/// The mean of `first − second`, tasks weighed alike. With one seed or one task there is no interval: it is infinite.
///
/// * `tasks`: of each prompt.
pub fn paired(first: &Numbers, second: &Numbers, tasks: &[u32]) -> Difference {
    let mut names = tasks.to_vec();
    names.sort_unstable();
    names.dedup();
    let of_seed = |(first, second): (&Vec<f64>, &Vec<f64>)| -> Vec<f64> {
        let of_task = |name: &u32| {
            let rows = (0..tasks.len()).filter(|row| tasks[*row] == *name);
            mean(&rows.map(|row| first[row] - second[row]).collect::<Vec<_>>())
        };
        names.iter().map(of_task).collect()
    };
    let cells: Vec<Vec<f64>> = first.iter().zip(second).map(of_seed).collect();
    let all = mean(&cells.concat());
    let (seeds, tasks) = (cells.len(), names.len());
    if seeds < 2 || tasks < 2 {
        return Difference { mean: all, half: f64::INFINITY, p: 1.0 };
    }
    let by_seed: Vec<f64> = cells.iter().map(|cells| mean(cells)).collect();
    let by_task: Vec<f64> =
        (0..tasks).map(|task| mean(&cells.iter().map(|cells| cells[task]).collect::<Vec<_>>())).collect();
    let (n, k) = (seeds as f64, tasks as f64);
    let squares = |means: &[f64]| means.iter().map(|mean| (mean - all).powi(2)).sum::<f64>();
    let of_seeds = k * squares(&by_seed) / (n - 1.0);
    let of_tasks = n * squares(&by_task) / (k - 1.0);
    let mut rest = 0.0;
    for (cells, of_seed) in cells.iter().zip(&by_seed) {
        rest += cells.iter().zip(&by_task).map(|(cell, of_task)| (cell - of_seed - of_task + all).powi(2)).sum::<f64>();
    }
    let of_rest = rest / ((n - 1.0) * (k - 1.0));
    let sum = of_seeds + of_tasks - of_rest;
    let (variance, freedom) = if sum > of_rest {
        let spread =
            of_seeds.powi(2) / (n - 1.0) + of_tasks.powi(2) / (k - 1.0) + of_rest.powi(2) / ((n - 1.0) * (k - 1.0));
        (sum, sum * sum / spread)
    } else {
        (of_rest, (n - 1.0) * (k - 1.0))
    };
    let error = (variance / (n * k)).sqrt();
    if error == 0.0 {
        return Difference { mean: all, half: 0.0, p: if all == 0.0 { 1.0 } else { 0.0 } };
    }
    Difference { mean: all, half: quantile(freedom) * error, p: tail(all.abs() / error, freedom) }
}

/// `P(|T| > t)` of Student's t: with `T = √ν tan θ`, θ has a density like `cos^{ν−1} θ`.
fn tail(t: f64, freedom: f64) -> f64 {
    let integral = |end: f64| {
        const STEPS: usize = 2000;
        let width = end / STEPS as f64;
        let density = |step: usize| (step as f64 * width).cos().max(0.0).powf(freedom - 1.0);
        let weight = |step: usize| {
            if step == 0 || step == STEPS {
                1.0
            } else if step % 2 == 1 {
                4.0
            } else {
                2.0
            }
        };
        (0..=STEPS).map(|step| weight(step) * density(step)).sum::<f64>() * width / 3.0
    };
    let inside = (t / freedom.sqrt()).atan();
    (1.0 - integral(inside) / integral(FRAC_PI_2)).max(0.0)
}

/// What 95 % of `|T|` are below.
fn quantile(freedom: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1000.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if tail(middle, freedom) > 0.05 { low = middle } else { high = middle }
    }
    high
}

/// p-values corrected for their number (Holm): whoever calls those below 0.05 real is wrong about any with a chance of 5 %.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|left, right| p_values[*left].total_cmp(&p_values[*right]));
    let (mut corrected, mut greatest) = (vec![1.0; p_values.len()], 0.0f64);
    for (rank, index) in order.iter().enumerate() {
        greatest = greatest.max((p_values[*index] * (p_values.len() - rank) as f64).min(1.0));
        corrected[*index] = greatest;
    }
    corrected
}

pub fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use hps_core::Philox;

    /// Against tables.
    #[test]
    fn students_t() {
        for (freedom, expected) in [(2.0, 4.302_653), (5.0, 2.570_582), (9.0, 2.262_157), (30.0, 2.042_272)] {
            assert!((quantile(freedom) - expected).abs() < 1e-5, "{freedom}: {}", quantile(freedom));
        }
        assert!((tail(3.0, 4.0) - 0.039_941_968).abs() < 1e-8 && (tail(0.0, 7.0) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn holms_correction() {
        assert_eq!(holm(&[0.01, 0.04, 0.03]), [0.03, 0.06, 0.06]);
        assert_eq!(holm(&[0.5, 0.9]), [1.0, 1.0]);
    }

    /// Differences of seeds, tasks and prompts, each as large as the others; intervals of 95 % miss what is true in one of twenty.
    #[test]
    fn intervals_cover() {
        let philox = Philox::new(9);
        let noise = |kind: u32, of: u32, study: u32| {
            // Four uniform numbers: near enough to normal.
            let words = philox.block([kind, of, study, 0]);
            words.map(|word| f64::from(word) / 2f64.powi(32) - 0.5).iter().sum::<f64>()
        };
        let tasks: Vec<u32> = (0..48).map(|row| row % 8).collect();
        let missed = (0..400).filter(|study| {
            let number = |seed: u32, row: u32| {
                0.3 + noise(0, seed, *study)
                    + noise(1, tasks[row as usize], *study)
                    + noise(2, 100 * seed + row, *study)
            };
            let numbers: Numbers = (0..6).map(|seed| (0..48).map(|row| number(seed, row)).collect()).collect();
            let Difference { mean, half, .. } = paired(&numbers, &vec![vec![0.0; 48]; 6], &tasks);
            (mean - 0.3).abs() > half
        });
        let missed = missed.count();
        assert!((8..=32).contains(&missed), "{missed} of 400");
    }
}
