//! Theorem 2: the HPS loss tends to `L*`, the loss against the hardest negative, as `γ → ∞`.
//!
//! So it does where the estimated rewards rank the negatives as the scores do. Where they misjudge the hardest one the
//! limit is another, and a lower one.

use crate::chart::{Axis, Chart, Colour, Figure, Series};
use crate::list::{List, loss};
use crate::{Outcome, ROUNDING};
use hps_core::theory;

const SCORES: [f64; 7] = [1.0, 1.4, 0.9, 0.2, -0.3, -0.9, -1.6];
/// Takes the third-hardest negative for the hardest.
const MISJUDGED: [f64; 7] = [2.0, 0.4, 0.1, 1.2, -0.2, -1.0, -0.5];
const STEEPEST: f64 = 20.0;
const STEPS: i32 = 200;

pub fn plot() -> Result<(Figure, Outcome), Box<dyn std::error::Error>> {
    let comonotone = List { scores: SCORES.to_vec(), rewards: SCORES.to_vec() };
    let misjudged = List { rewards: MISJUDGED.to_vec(), ..comonotone.clone() };
    let gammas = || (-STEPS..=STEPS).map(|step| STEEPEST * f64::from(step) / f64::from(STEPS));
    let curve = |list: &List| -> Result<Vec<(f64, f64)>, hps_core::Error> {
        gammas().map(|gamma| Ok((gamma, list.value(&loss("dpo-hps-full")?.with_gamma(gamma)?, &[])?))).collect()
    };
    let (true_rewards, false_rewards) = (curve(&comonotone)?, curve(&misjudged)?);
    let hardest = theory::hardest_loss(&SCORES)?;
    let other_limit = theory::infinite_gamma_loss(&SCORES, &MISJUDGED)?;

    assert!(true_rewards.is_sorted_by(|(_, left), (_, right)| *left <= right + ROUNDING), "the loss falls in γ");
    let highest = true_rewards.iter().chain(&false_rewards).map(|&(_, value)| value).fold(0.0, f64::max);
    assert!(highest <= hardest + ROUNDING, "a loss above its supremum");
    let infinite = loss("dpo-hps-full")?.with_gamma(f64::INFINITY)?;
    assert!((comonotone.value(&infinite, &[])? - hardest).abs() < ROUNDING);
    assert!((misjudged.value(&infinite, &[])? - other_limit).abs() < ROUNDING);
    assert!(other_limit < hardest - 0.1, "the misjudged limit is no other");

    let (mut shortfalls, mut means, mut rates, mut printed) = (vec![], vec![], vec![], vec![]);
    for &(gamma, value) in true_rewards.iter().filter(|(gamma, _)| *gamma >= 0.0) {
        let mean = theory::mean_shortfall(&SCORES, &comonotone.log_q(gamma)?)?;
        let rate = theory::shortfall_bound(&SCORES, gamma)?;
        // Any tolerance gives a bound; the proof's is the best of these.
        let tolerances = (0..=400).map(|step| theory::tolerance_bound(&SCORES, gamma, f64::from(step) * 0.01));
        let tolerance = tolerances.into_iter().try_fold(f64::INFINITY, |least, bound| bound.map(|b| least.min(b)))?;
        let shortfall = hardest - value;
        assert!(shortfall <= mean + ROUNDING && mean <= rate + ROUNDING && mean <= tolerance + ROUNDING, "γ = {gamma}");
        shortfalls.push((gamma, shortfall));
        means.push((gamma, mean));
        rates.push((gamma, rate));
        printed.push((gamma, tolerance));
    }
    let band = rates.iter().map(|&(gamma, rate)| (gamma, hardest - rate, hardest)).collect();
    let level = |value: f64| vec![(-STEEPEST, value), (STEEPEST, value)];
    let last = |curve: &[(f64, f64)]| curve[curve.len() - 1].1;
    let outcome = Outcome::new(
        "theorem_2",
        format!(
            "L* = {hardest:.4}; at γ = 20 {:.4} with r_est = s (bound {:.1e}), but {:.4} → {other_limit:.4} with r_est misordered",
            last(&true_rewards),
            last(&rates),
            last(&false_rewards),
        ),
        "holds where r_est ranks the hardest negatives as the scores do, false otherwise",
    );
    let limits = Chart::new(
        "Loss against hardness",
        Axis::linear("hardness γ (1/nat)"),
        Axis::linear("HPS loss (nats per prompt)"),
        vec![
            Series::area("within the gap bound", Colour::Blue, band),
            Series::line("L* (Theorem 2)", Colour::Black, level(hardest)).dashed(),
            Series::line("limit if r_est is misordered", Colour::Vermilion, level(other_limit)).dashed(),
            Series::line("r_est = scores", Colour::Blue, true_rewards),
            Series::line("r_est misordered", Colour::Vermilion, false_rewards),
        ],
    );
    let rate = Chart::new(
        "Distance from the limit, r_est = scores",
        Axis::linear("hardness γ (1/nat)"),
        Axis::logarithmic("L* − loss (nats per prompt)"),
        vec![
            Series::line("bound of the proof, best ε", Colour::Vermilion, printed).dashed(),
            Series::line("bound by the score gap", Colour::Green, rates).dashed(),
            Series::line("mean shortfall E[M − s]", Colour::Sky, means),
            Series::line("L* − loss", Colour::Blue, shortfalls),
        ],
    );
    Ok((Figure { charts: vec![limits, rate] }, outcome))
}
