//! Theorems 2 and 3, and the single sample.

use crate::rows::{BOUND, Generator, SLACK, mean_under, q, rows, sigmoid, softplus};
use hps_core::{Responses, metrics, theory};

const GAMMAS: [f64; 8] = [0.0, 0.3, 1.0, 3.0, 10.0, 100.0, 1e4, f64::INFINITY];

/// `0 ≤ L* − L ≤ E_p[M − s]`, for any distribution whatever; and `L*` is attained.
#[test]
fn no_distribution_is_above_the_hardest() {
    for (scores, log_p) in rows() {
        let gap = theory::hardest_loss(&scores).unwrap() - theory::loss_under(&scores, &log_p).unwrap();
        assert!(gap >= -SLACK && gap <= theory::mean_shortfall(&scores, &log_p).unwrap() + SLACK, "{scores:?}");
        let objective = theory::objective_under(&scores, &log_p).unwrap();
        assert!(objective <= theory::hardest_objective(&scores).unwrap() + SLACK);
        let hardest = q(&scores, f64::INFINITY);
        assert!(theory::mean_shortfall(&scores, &hardest).unwrap().abs() < SLACK);
        let attained = theory::loss_under(&scores, &hardest).unwrap();
        assert!((attained - theory::hardest_loss(&scores).unwrap()).abs() < SLACK);
    }
}

/// Theorem 2 where the estimate is the score: monotone, and every bound above the shortfall.
#[test]
fn the_loss_rises_to_the_hardest_within_its_bounds() {
    for (scores, _) in rows() {
        let limit = theory::hardest_loss(&scores).unwrap();
        let range = scores[1..].iter().fold(0.0_f64, |range, score| range.max(score.abs()));
        let mut before = f64::MIN;
        for gamma in GAMMAS {
            let log_q = q(&scores, gamma);
            let loss = theory::loss_under(&scores, &log_q).unwrap();
            let shortfall = theory::mean_shortfall(&scores, &log_q).unwrap();
            assert!(loss >= before - SLACK && loss <= limit + SLACK, "{scores:?} {gamma}");
            before = loss;
            assert!(limit - loss <= shortfall + SLACK);
            assert!(shortfall <= theory::gap_bound(&scores, gamma).unwrap() + SLACK, "{scores:?} {gamma}");
            assert!(shortfall <= theory::shortfall_bound(&scores, gamma).unwrap() + SLACK);
            for tolerance in [0.0, 0.01, 0.5, 3.0] {
                let bound = theory::tolerance_bound(&scores, gamma, tolerance).unwrap();
                assert!(shortfall <= bound + SLACK, "{scores:?} {gamma} {tolerance}");
                // The last line of the paper's proof, which is weaker.
                let decay = if range > 0.0 { (bound - tolerance) / (2.0 * range) } else { 0.0 };
                let printed = (2.0 * BOUND).exp() * (tolerance + 2.0 * decay);
                assert!(limit - loss <= printed + SLACK);
            }
        }
        assert!((before - limit).abs() < SLACK);
        assert_eq!(theory::infinite_gamma_loss(&scores, &scores).unwrap(), theory::hardest_loss(&scores).unwrap());
    }
}

/// Theorem 2 where the estimate is another number and of the same order: the loss still rises with `γ` to the hardest one.
/// Where it is of the same order with ties, it rises to that of the negatives tied for hardest, which is no more.
#[test]
fn an_estimate_of_the_same_order_is_enough() {
    let (mut strict, mut tied) = (0, 0);
    for (scores, _) in rows() {
        for (coarse, rewards) in [
            (false, scores.iter().map(|score| 2.0 + 0.3 * score + 0.1 * score.powi(3)).collect::<Vec<f64>>()),
            (true, scores.iter().map(|score| score.floor()).collect()),
        ] {
            let hardest = theory::hardest_loss(&scores).unwrap();
            let mut before = f64::MIN;
            for gamma in GAMMAS {
                let loss = theory::loss_under(&scores, &q(&rewards, gamma)).unwrap();
                assert!(loss >= before - SLACK && loss <= hardest + SLACK, "{scores:?} {rewards:?} {gamma}");
                strict += usize::from(loss > before + 1e-6);
                before = loss;
            }
            let short = hardest - before;
            assert!(coarse || short < SLACK, "{scores:?} {rewards:?}: {short}");
            tied += usize::from(coarse && short > 1e-3);
        }
    }
    assert!(strict > 2000 && tied > 100, "{strict} {tied}");
}

/// Where the estimate ranks otherwise the loss need not rise, and its limit is that of the negatives it prefers.
#[test]
fn a_misordered_estimate_breaks_theorem_2() {
    let (scores, rewards) = ([0.0, 2.0, -2.0], [3.0, -1.0, 1.0]);
    let loss = |gamma| theory::loss_under(&scores, &q(&rewards, gamma)).unwrap();
    assert!((loss(f64::INFINITY) - 0.2395).abs() < 5e-5);
    assert!((loss(1e3) - loss(f64::INFINITY)).abs() < SLACK);
    assert!((theory::infinite_gamma_loss(&scores, &rewards).unwrap() - loss(f64::INFINITY)).abs() < SLACK);
    assert!((theory::hardest_loss(&scores).unwrap() - 2.7586).abs() < 5e-5);
    assert!(loss(0.0) > loss(1.0) && loss(1.0) > loss(10.0));

    let mut generator = Generator(72);
    for (scores, _) in rows() {
        let rewards: Vec<f64> = scores.iter().map(|_| (4.0 * generator.uniform()).round()).collect();
        let limit = theory::infinite_gamma_loss(&scores, &rewards).unwrap();
        let expected = theory::loss_under(&scores, &q(&rewards, f64::INFINITY)).unwrap();
        assert!((limit - expected).abs() < SLACK);
        assert!(limit <= theory::hardest_loss(&scores).unwrap() + SLACK);
    }
}

/// The step `E ≤ ε + 2 q(s < M − ε)` of the paper's proof.
#[test]
fn the_proof_of_theorem_2_lost_the_range() {
    let scores = [0.0, 5.0, -5.0];
    let shortfall = theory::mean_shortfall(&scores, &q(&scores, 0.0)).unwrap();
    let (tolerance, outside) = (0.1, 0.5);
    assert!((shortfall - 5.0).abs() < SLACK && shortfall > tolerance + 2.0 * outside);
    assert!(shortfall <= theory::tolerance_bound(&scores, 0.0, tolerance).unwrap());
}

/// Theorem 3: less `ln N`, the hardest loss is minus the hard margin, up to `e^{2α} / N`.
#[test]
fn the_limiting_objective_is_minus_the_margin() {
    for (scores, _) in rows() {
        let negatives = scores.len() - 1;
        let objective = theory::hardest_objective(&scores).unwrap();
        assert_eq!(objective, -metrics::hardest_margin(&Responses::new(&scores).unwrap(), &scores).unwrap());
        let rest = theory::hardest_loss(&scores).unwrap() - (negatives as f64).ln() - objective;
        assert!(rest >= -SLACK && rest <= theory::hardest_objective_error(BOUND, negatives).unwrap() + SLACK);
    }
}

/// Two prompts: even margins against a better mean margin. The order of the losses turns with `N`.
#[test]
fn at_a_finite_count_the_minimiser_can_be_another() {
    let mean_loss = |margins: [f64; 2], negatives: usize| {
        let one = |margin: f64| {
            let mut scores = vec![0.0; negatives + 1];
            scores[0] = margin;
            theory::hardest_loss(&scores).unwrap()
        };
        0.5 * (one(margins[0]) + one(margins[1]))
    };
    let expected = [(1, std::f64::consts::LN_2, 0.7201), (1000, 6.9088, 6.4116)];
    for (negatives, even, uneven) in expected {
        assert!((mean_loss([0.0, 0.0], negatives) - even).abs() < 5e-5);
        assert!((mean_loss([2.0, -1.0], negatives) - uneven).abs() < 5e-5);
    }
}

/// One sampled negative underestimates, by no more than its two bounds, and its mean slope at `s_1` is flatter.
#[test]
fn the_sampling_gap_is_within_its_bounds() {
    let mut strict = 0;
    for (scores, log_p) in rows() {
        let bound = theory::sampling_gap_bound(&scores, &log_p).unwrap();
        assert!(bound >= -SLACK && bound <= theory::sampling_gap_range_bound(&scores).unwrap() + SLACK);
        for scale in [1.0, log_p.len() as f64, 7.5] {
            let lead = |index: usize| f64::ln(scale) + scores[1 + index] - scores[0];
            let full_lead = f64::ln(scale) + theory::objective_under(&scores, &log_p).unwrap();
            let gap = softplus(full_lead) - mean_under(&log_p, |index| softplus(lead(index)));
            assert!(gap >= -SLACK && gap <= bound + SLACK, "{scores:?}");
            assert!(mean_under(&log_p, |index| sigmoid(lead(index))) <= sigmoid(full_lead) + SLACK);
            strict += usize::from(gap > 0.5 * bound && gap > 1e-3);
            // Two samples, averaged inside the logarithm, lie between one and all.
            let two = mean_under(&log_p, |left| {
                mean_under(&log_p, |right| softplus(((lead(left).exp() + lead(right).exp()) / 2.0).ln()))
            });
            let one = mean_under(&log_p, |index| softplus(lead(index)));
            assert!(two >= one - SLACK && two <= softplus(full_lead) + SLACK);
        }
    }
    assert!(strict > 100, "the bound is near: {strict}");
    // Six decimals were printed for this one.
    let (scores, log_q) = ([0.0, 5.0, -5.0], q(&[0.0; 3], 0.0));
    assert!((theory::sampling_gap_bound(&scores, &log_q).unwrap() - 5.0_f64.cosh().ln()).abs() < SLACK);
}
