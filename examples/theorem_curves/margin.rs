//! Theorem 3: without its `ln N`, the loss against the hardest negative is minus the margin to it.
//!
//! `0 ≤ (L* − ln N) − (M − s_1) ≤ e^{2α_0} / N`, so the two agree as the list grows.

use crate::chart::{Axis, Chart, Colour, Figure, Series};
use crate::uniforms::Uniforms;
use crate::{Outcome, ROUNDING};
use hps_core::{Responses, metrics, theory};

/// `α_0`.
const BOUND: f64 = 1.5;
/// At most `2^LONGEST` negatives.
const LONGEST: u32 = 12;
const LISTS: u32 = 40;

pub fn plot() -> Result<(Figure, Outcome), Box<dyn std::error::Error>> {
    let mut margins = vec![];
    let (mut objectives, mut identities, mut corridor) = (vec![], vec![], vec![]);
    let (mut gaps, mut middle, mut bounds) = (vec![], vec![], vec![]);
    for doubling in 0..=LONGEST {
        let negatives = 1_usize << doubling;
        let count = negatives as f64;
        let bound = theory::hardest_objective_error(BOUND, negatives)?;
        let mut differences = Vec::new();
        for list in 0..LISTS {
            let mut uniforms = Uniforms::new(3, u64::from(list));
            // Longer lists extend shorter ones, so only `N` changes along a curve.
            let mut scores: Vec<f64> = (0..=negatives).map(|_| BOUND * (2.0 * uniforms.next() - 1.0)).collect();
            scores[0] = 0.5;
            let objective = theory::hardest_loss(&scores)? - count.ln();
            let identity = -metrics::hardest_margin(&Responses::new(&scores)?, &scores)?;
            assert!((identity - theory::hardest_objective(&scores)?).abs() < ROUNDING);
            let difference = objective - identity;
            assert!(-ROUNDING <= difference && difference <= bound + ROUNDING, "N = {negatives}: {difference}");
            differences.push(difference);
            if list == 0 {
                objectives.push((count, objective));
                identities.push((count, identity));
                corridor.push((count, identity, identity + bound));
                margins.push(identity);
            }
        }
        differences.sort_by(f64::total_cmp);
        gaps.push((count, differences[0], differences[differences.len() - 1]));
        middle.push((count, differences[differences.len() / 2]));
        bounds.push((count, bound));
    }
    // The shortest lists' corridor is as wide as e^{2α_0}, and would leave the curves no room.
    corridor.retain(|&(count, ..)| count >= 16.0);
    let outcome = Outcome::new(
        "theorem_3",
        format!(
            "α_0 = {BOUND}: (L* − ln N) − (M − s_1) is {:.2e} at N = 16 and {:.2e} at N = 4096 (median of {LISTS} lists), bounds {:.2e} and {:.2e}",
            middle[4].1, middle[12].1, bounds[4].1, bounds[12].1,
        ),
        "holds for each prompt; Eq. 14 lacks the mean over prompts",
    );
    let identity = Chart::new(
        "The loss without ln N, and the margin",
        Axis::logarithmic("negatives N"),
        Axis::linear("nats per prompt"),
        vec![
            Series::area("margin plus at most e^(2α₀)/N", Colour::Sky, corridor),
            Series::line("L* − ln N", Colour::Blue, objectives).marked(),
            Series::line("−(s₁ − M), minus the hard margin", Colour::Vermilion, identities).dashed(),
        ],
    );
    let gap = Chart::new(
        "Their difference over 40 lists",
        Axis::logarithmic("negatives N"),
        Axis::logarithmic("(L* − ln N) + (s₁ − M) (nats)"),
        vec![
            Series::line("bound e^(2α₀)/N, α₀ = 1.5", Colour::Black, bounds).dashed(),
            Series::line("median and range", Colour::Blue, middle).with_band(gaps).marked(),
        ],
    );
    Ok((Figure { charts: vec![identity, gap] }, outcome))
}
