//! Theorem 1: how far the minimisers of HPS, Plackett–Luce and Bradley–Terry are from the truth that ranked the data.
//!
//! The paper bounds the error of HPS by `Ψ_1 ~ n / √m`, that of Plackett–Luce by `Ψ_2 ~ n² e^{4α_0} / √m`, and concludes
//! that HPS needs less data. Two upper bounds do not order what they bound; here is what comes out. At two responses
//! the losses are one. Of longer lists Plackett–Luce reads every choice and HPS at `γ = 0` the first: both tend to the
//! truth. HPS at other `γ`, and Bradley–Terry on the best and the worst of a list, do not.

use crate::Outcome;
use crate::chart::{Axis, Chart, Colour, Figure, Series};
use crate::linear_reward::{PARAMETERS, Rankings};
use crate::list::loss;
use crate::minimiser::minimise;
use hps_core::Loss;
use hps_core::theory::{Reading, Setting};
use std::error::Error;

/// Name in the figures, loss, γ, colour. The estimated rewards that γ reads are the true ones.
const ESTIMATORS: [(&str, &str, f64, Colour); 6] = [
    ("Plackett–Luce", "dpo-pl", 0.0, Colour::Green),
    ("HPS, γ = 0", "dpo-hps-full", 0.0, Colour::Blue),
    ("HPS, γ = 0, one draw", "dpo-hps", 0.0, Colour::Sky),
    ("HPS, γ = 1", "dpo-hps-full", 1.0, Colour::Vermilion),
    ("HPS, γ = 1, one draw", "dpo-hps", 1.0, Colour::Orange),
    ("Bradley–Terry, best and worst", "dpo-bt", 0.0, Colour::Purple),
];
/// Their names in a line, and those that tend to the truth.
const NAMES: [&str; ESTIMATORS.len()] = ["PL", "HPS γ=0", "one draw γ=0", "HPS γ=1", "one draw γ=1", "BT"];
const CONSISTENT: usize = 3;
/// `m` where `n` varies, and `n` where `m` varies.
const PROMPTS: usize = 800;
const RESPONSES: usize = 8;

/// Quartiles of the error over seeds, for each estimator and size of the data.
type Quartiles = [f64; 3];

struct Sizes {
    /// `(m, n)`.
    sizes: Vec<(usize, usize)>,
    /// [estimators, sizes].
    errors: Vec<Vec<Quartiles>>,
    /// Of each seed, [sizes, estimators].
    runs: Vec<Vec<[f64; ESTIMATORS.len()]>>,
}

/// Measured errors alone, and beside the paper's bounds.
pub fn plot(quick: bool) -> Result<([Figure; 2], Outcome), Box<dyn Error>> {
    let seeds = if quick { 4 } else { 20 };
    let doublings = if quick { 0..=3 } else { 0..=7 };
    let by_prompts = Sizes::measured(doublings.map(|doubling| (100 << doubling, RESPONSES)).collect(), seeds)?;
    let lengths: &[usize] = if quick { &[2, 4, 8] } else { &[2, 3, 4, 8, 16, 32, 64] };
    let by_responses = Sizes::measured(lengths.iter().map(|&length| (PROMPTS, length)).collect(), seeds)?;

    for estimator in &by_responses.errors {
        let (given, pairs) = (estimator[0][1], by_responses.errors[0][0][1]);
        assert!((given / pairs - 1.0).abs() < 1e-5, "at two responses all losses are one: {given} {pairs}");
    }
    for consistent in &by_prompts.errors[..CONSISTENT] {
        let [first, .., last] = &consistent[..] else { return Err("too few sizes".into()) };
        assert!(last[1] < first[1], "more prompts, and no smaller error: {} {}", first[1], last[1]);
    }

    let (most, longest) = (by_prompts.sizes.len() - 1, by_responses.sizes.len() - 1);
    let listed = |sizes: &Sizes, index: usize| {
        let errors = sizes.errors.iter().zip(NAMES).map(|(errors, name)| format!("{name} {:.3}", errors[index][1]));
        let (prompts, responses) = sizes.sizes[index];
        format!("m = {prompts}, n = {responses}: {}", errors.collect::<Vec<_>>().join(", "))
    };
    let slopes = |sizes: &Sizes, place: fn((usize, usize)) -> f64| {
        let of = |(estimator, name)| {
            let (slope, error) = sizes.slope(estimator, place);
            format!("{name} {slope:.3} ± {error:.3}")
        };
        (0..ESTIMATORS.len()).zip(NAMES).map(of).collect::<Vec<_>>().join(", ")
    };
    let (prompts, responses) = by_responses.sizes[longest];
    let outcome = Outcome::new(
        "theorem_1",
        format!(
            "median errors in nats, {}; {}; {}; Ψ₁ = {:.0}, Ψ₂ = {:.1e} there (C = 1); \
             slopes of ln error by ln m: {}; by ln n: {} (means of {seeds} seeds ± 1.96 standard errors)",
            listed(&by_prompts, 0),
            listed(&by_prompts, most),
            listed(&by_responses, longest),
            setting(prompts, responses).psi_1(1.0, Reading::MainText)?,
            setting(prompts, responses).psi_2(1.0)?,
            slopes(&by_prompts, |(prompts, _)| prompts as f64),
            slopes(&by_responses, |(_, responses)| responses as f64),
        ),
        "Ψ₁ < Ψ₂, but PL's error is the smaller one, and falls as n grows; Ψ₁ and Ψ₂ rise with n as n and n², and the errors of those that tend to θ* do not; HPS at γ = 1 and BT do not tend to it",
    );
    let many = Axis::logarithmic("prompts m");
    let long = Axis::logarithmic("responses per prompt n");
    let error = || Axis::logarithmic("error of θ, Σ-norm (nats)");
    let (over_prompts, over_responses) =
        (format!("Error, n = {RESPONSES} responses"), format!("Error, m = {PROMPTS} prompts"));
    let measured = |sizes: &Sizes, title: &str, axis: &Axis, place: fn((usize, usize)) -> f64| {
        Chart::new(title, axis.clone(), error(), sizes.series(place))
    };
    let errors = Figure {
        charts: vec![
            measured(&by_prompts, &over_prompts, &many, |(prompts, _)| prompts as f64),
            measured(&by_responses, &over_responses, &long, |(_, responses)| responses as f64),
        ],
    };
    let mut claims = errors.clone();
    for (chart, sizes) in claims.charts.iter_mut().zip([&by_prompts, &by_responses]) {
        let along_prompts = sizes.sizes[0].1 == sizes.sizes[1].1;
        let (mut hps, mut plackett_luce) = (vec![], vec![]);
        for &(prompts, responses) in &sizes.sizes {
            let place = if along_prompts { prompts } else { responses } as f64;
            hps.push((place, setting(prompts, responses).psi_1(1.0, Reading::MainText)?));
            plackett_luce.push((place, setting(prompts, responses).psi_2(1.0)?));
        }
        chart.series.retain(|series| series.is_named(ESTIMATORS[0].0) || series.is_named(ESTIMATORS[1].0));
        chart.series.push(Series::line("Ψ₁ of HPS, C₁ = 1", Colour::Blue, hps).dashed());
        chart.series.push(Series::line("Ψ₂ of Plackett–Luce, C₂ = 1", Colour::Green, plackett_luce).dashed());
    }
    Ok(([errors, claims], outcome))
}

/// What Theorem 1 assumes of this population.
fn setting(prompts: usize, responses: usize) -> Setting {
    Setting {
        score_bound: 2.0,
        gradient_bound: 1.0,
        hessian_bound: 0.0,
        responses,
        prompts,
        parameters: PARAMETERS,
        failure_probability: 0.05,
    }
}

impl Sizes {
    /// Half of the seeds on each of two threads; what comes out does not depend on it.
    fn measured(sizes: Vec<(usize, usize)>, seeds: u64) -> Result<Sizes, Box<dyn Error>> {
        let run = |first: u64| -> Result<Vec<Vec<[f64; ESTIMATORS.len()]>>, String> {
            let seeds = (first..seeds).step_by(2);
            seeds.map(|seed| errors_of_seed(&sizes, seed).map_err(|error| format!("seed {seed}: {error}"))).collect()
        };
        let runs = std::thread::scope(|scope| -> Result<_, String> {
            let even = scope.spawn(|| run(0));
            let odd = run(1)?;
            Ok([even.join().map_err(|_| "a thread panicked")??, odd].concat())
        })?;
        let errors = (0..ESTIMATORS.len())
            .map(|estimator| {
                (0..sizes.len()).map(|size| quartiles(runs.iter().map(|run| run[size][estimator]))).collect()
            })
            .collect();
        Ok(Sizes { sizes, errors, runs })
    }

    /// The exponent of an estimator's error in a size: the mean over seeds of least-squares slopes of logarithms, and half the
    /// width of its 95 % interval.
    fn slope(&self, estimator: usize, place: fn((usize, usize)) -> f64) -> (f64, f64) {
        let places: Vec<f64> = self.sizes.iter().map(|size| place(*size).ln()).collect();
        let mean = |numbers: &[f64]| numbers.iter().sum::<f64>() / numbers.len() as f64;
        let centre = mean(&places);
        let spread: f64 = places.iter().map(|place| (place - centre).powi(2)).sum();
        let slope = |run: &Vec<[f64; ESTIMATORS.len()]>| {
            let errors = run.iter().map(|errors| errors[estimator].ln());
            places.iter().zip(errors).map(|(place, error)| (place - centre) * error).sum::<f64>() / spread
        };
        let slopes: Vec<f64> = self.runs.iter().map(slope).collect();
        let (average, count) = (mean(&slopes), slopes.len() as f64);
        let variance = slopes.iter().map(|slope| (slope - average).powi(2)).sum::<f64>() / (count - 1.0);
        (average, 1.96 * (variance / count).sqrt())
    }

    /// * `place`: where `(m, n)` is on the horizontal axis.
    fn series(&self, place: fn((usize, usize)) -> f64) -> Vec<Series> {
        let curve = |(&(name, _, _, colour), errors): (&(&str, &str, f64, Colour), &Vec<Quartiles>)| {
            let places = || self.sizes.iter().map(|&size| place(size)).zip(errors);
            let median = places().map(|(x, error)| (x, error[1])).collect();
            let band = places().map(|(x, error)| (x, error[0], error[2])).collect();
            Series::line(name, colour, median).with_band(band).marked()
        };
        ESTIMATORS.iter().zip(&self.errors).map(curve).collect()
    }
}

/// [sizes, estimators].
fn errors_of_seed(sizes: &[(usize, usize)], seed: u64) -> Result<Vec<[f64; ESTIMATORS.len()]>, Box<dyn Error>> {
    let mut errors = Vec::new();
    for &(prompts, responses) in sizes {
        let rankings = Rankings::drawn(prompts, responses, seed);
        let mut found = [0.0; ESTIMATORS.len()];
        for (error, (_, name, gamma, _)) in found.iter_mut().zip(ESTIMATORS) {
            let mut loss: Loss = loss(name)?;
            if gamma != 0.0 {
                loss = loss.with_gamma(gamma)?;
            }
            let estimate = minimise(|parameters| rankings.value_and_gradient(&loss, parameters))?;
            *error = rankings.error_of(&estimate)?;
        }
        errors.push(found);
    }
    Ok(errors)
}

fn quartiles(errors: impl Iterator<Item = f64>) -> Quartiles {
    let mut sorted: Vec<f64> = errors.collect();
    sorted.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| {
        let place = (sorted.len() - 1) as f64 * f64::from(quarter) / 4.0;
        let (below, share) = (place.floor() as usize, place.fract());
        sorted[below] + share * (sorted[place.ceil() as usize] - sorted[below])
    })
}
