//! Where the losses must meet each other, and what the paper proves about them.

use crate::generator::{Generator, Row};
use crate::tolerance;
use hps_core::{Hps, Loss, NegativeScale, Pair, Preference, Responses, Reward, TiePolicy};

fn loss(name: &str) -> Loss {
    name.parse::<Loss>().unwrap().with_beta(1.0).unwrap()
}

fn full(gamma: f64, scale: NegativeScale) -> Loss {
    loss("dpo-hps-full").with_gamma(gamma).unwrap().with_negative_scale(scale).unwrap()
}

/// Value and gradient of a loss over scores; the sample is named where one is read.
fn evaluate(loss: &Loss, scores: &[f64], rewards: &[f64], sample: usize) -> (f64, Vec<f64>) {
    let data = Row::of_scores(scores, rewards);
    let row = data.responses_for(loss, sample);
    let mut gradient = vec![f64::NAN; scores.len()];
    let mut scratch = vec![f64::NAN; Loss::scratch_len(scores.len())];
    let value = loss.value_and_gradient(&row, &mut scratch, &mut gradient).unwrap();
    (value, gradient)
}

fn value(loss: &Loss, scores: &[f64], rewards: &[f64]) -> f64 {
    evaluate(loss, scores, rewards, 1).0
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

fn assert_same(what: &str, left: &(f64, Vec<f64>), right: &(f64, Vec<f64>)) {
    assert_eq!(left.1.len(), right.1.len(), "{what}");
    for (left, right) in left.1.iter().zip(&right.1).chain([(&left.0, &right.0)]) {
        assert!((left - right).abs() <= tolerance::SAME_F64 * (1.0 + right.abs()), "{what}: {left}, {right}");
    }
}

fn random_scores(generator: &mut Generator, count: usize, bound: f64) -> Vec<f64> {
    (0..count).map(|_| generator.between(-bound, bound)).collect()
}

/// Distinct rewards, best first.
fn falling(count: usize) -> Vec<f64> {
    (0..count).map(|index| 2.0 - index as f64).collect()
}

#[test]
fn two_responses_make_every_model_the_pair_loss() {
    let mut generator = Generator::new(11);
    for _ in 0..50 {
        let scores = random_scores(&mut generator, 2, 8.0);
        let pair = evaluate(&loss("dpo-bt"), &scores, &falling(2), 1);
        assert!((pair.0 - softplus(scores[1] - scores[0])).abs() <= tolerance::SAME_F64 * (1.0 + pair.0));
        for name in ["dpo-pl", "dpo-hps", "dpo-hps-full"] {
            assert_same(name, &evaluate(&loss(name), &scores, &falling(2), 1), &pair);
        }
        // N = 1: all scales but a custom one agree.
        let counted = loss("dpo-hps").with_negative_scale(NegativeScale::Count).unwrap().with_gamma(-4.0).unwrap();
        assert_same("count", &evaluate(&counted, &scores, &falling(2), 1), &pair);
    }
}

#[test]
fn infinite_gamma_is_bradley_terry_against_one_negative() {
    let mut generator = Generator::new(12);
    for count in 2..20 {
        let scores = random_scores(&mut generator, count, 4.0);
        let rewards = falling(count);
        let easiest = evaluate(&full(f64::NEG_INFINITY, NegativeScale::Unit), &scores, &rewards, 1);
        assert_same("γ = −∞", &easiest, &evaluate(&loss("dpo-bt"), &scores, &rewards, 1));
        let hardest = evaluate(&full(f64::INFINITY, NegativeScale::Unit), &scores, &rewards, 1);
        let mut against_second = evaluate(&loss("dpo-bt"), &scores[..2], &rewards[..2], 1);
        against_second.1.resize(count, 0.0);
        assert_same("γ = ∞", &hardest, &against_second);
        // Rewards one apart: e^{−1e5} is 0, so a large finite γ is already there.
        assert_same("γ = 1e5", &evaluate(&full(1e5, NegativeScale::Unit), &scores, &rewards, 1), &hardest);
        assert_same("γ = −1e5", &evaluate(&full(-1e5, NegativeScale::Unit), &scores, &rewards, 1), &easiest);
    }
}

#[test]
fn infinite_gamma_shares_among_ties() {
    let (scores, rewards) = ([0.0, 1.0, -1.0, 3.0], [9.0, 2.0, 2.0, 1.0]);
    let (value, gradient) = evaluate(&full(f64::INFINITY, NegativeScale::Unit), &scores, &rewards, 1);
    assert!((value - softplus(1.0_f64.cosh().ln())).abs() <= tolerance::SAME_F64);
    assert!(gradient[1] > gradient[2] && gradient[2] > 0.0);
    assert_eq!(gradient[3], 0.0);
}

/// Eq. 6 is the cross-entropy of picking the preferred response; the count as scale is what makes Eq. 8 reduce to it.
#[test]
fn zero_gamma_with_count_is_the_softmax_cross_entropy() {
    let mut generator = Generator::new(13);
    for count in 2..20 {
        let scores = random_scores(&mut generator, count, 5.0);
        let sum: f64 = scores.iter().map(|score| score.exp()).sum();
        let expected_gradient: Vec<f64> =
            (0..count).map(|index| scores[index].exp() / sum - if index == 0 { 1.0 } else { 0.0 }).collect();
        let given = evaluate(&full(0.0, NegativeScale::Count), &scores, &falling(count), 1);
        assert_same("eq. 6", &given, &(sum.ln() - scores[0], expected_gradient));
    }
    let scores = [1.0, 0.5, -0.2, -1.0];
    for (scale, printed) in [(NegativeScale::Count, 0.714449), (NegativeScale::Unit, 0.298390)] {
        assert!((value(&full(0.0, scale), &scores, &falling(4)) - printed).abs() <= tolerance::SIX_DECIMALS);
    }
}

#[test]
fn a_scale_is_a_margin() {
    let (scores, rewards) = ([0.3, -0.8, 1.2, 0.1], [3.0, 1.0, 0.5, -2.0]);
    for name in ["dpo-hps", "dpo-hps-full"] {
        let unit = loss(name).with_gamma(2.0).unwrap().with_negative_scale(NegativeScale::Unit).unwrap();
        let with_margin = evaluate(&unit.with_margin(3.0_f64.ln()).unwrap(), &scores, &rewards, 2);
        let counted = evaluate(&unit.with_negative_scale(NegativeScale::Count).unwrap(), &scores, &rewards, 2);
        let custom = evaluate(&unit.with_negative_scale(NegativeScale::Custom(3.0)).unwrap(), &scores, &rewards, 2);
        assert_same(name, &counted, &with_margin);
        assert_same(name, &custom, &with_margin);
        assert!(counted.0 > evaluate(&unit, &scores, &rewards, 2).0);
    }
}

#[test]
fn masking_the_maximum_removes_ties_from_the_list() {
    let (scores, rewards) = ([0.3, -0.8, 1.2, 0.1], [3.0, 3.0, 0.5, -2.0]);
    for scale in [NegativeScale::Unit, NegativeScale::Count] {
        let masked = full(1.0, scale).with_tie_policy(TiePolicy::MaskMax).unwrap();
        let given = evaluate(&masked, &scores, &rewards, 2);
        let mut expected = evaluate(&full(1.0, scale), &[0.3, 1.2, 0.1], &[3.0, 0.5, -2.0], 1);
        expected.1.insert(1, 0.0);
        assert_same("masked", &given, &expected);
    }
}

#[test]
fn label_smoothing_is_smallest_at_its_logit() {
    for smoothing in [0.01_f64, 0.1, 0.3] {
        let smoothed = loss("dpo-bt").with_label_smoothing(smoothing).unwrap();
        let lead = ((1.0 - smoothing) / smoothing).ln();
        let (_, gradient) = evaluate(&smoothed, &[lead, 0.0], &[1.0, 0.0], 1);
        assert!(gradient[0].abs() <= tolerance::SAME_F64);
        let mixed = (1.0 - smoothing) * softplus(-0.6) + smoothing * softplus(0.6);
        assert!((value(&smoothed, &[0.6, 0.0], &[1.0, 0.0]) - mixed).abs() <= tolerance::SAME_F64);
    }
}

/// The single-sample loss underestimates (Jensen), by at most an eighth of the squared range of the scores.
#[test]
fn the_single_sample_loss_is_below_the_full_one_on_average() {
    let mut generator = Generator::new(14);
    let mut strict = 0;
    for number in 0..200 {
        let count = 2 + generator.index(12);
        let scores = random_scores(&mut generator, count, 3.0);
        let rewards = falling(count);
        let gamma = [-1.0, 0.0, 0.5, 2.0][number % 4];
        let scale = [NegativeScale::Unit, NegativeScale::Count][number % 2];
        let single = loss("dpo-hps").with_gamma(gamma).unwrap().with_negative_scale(scale).unwrap();
        let mut log_q = vec![f64::NAN; count - 1];
        hps_core::log_weights(&rewards, gamma, TiePolicy::Keep, &mut log_q).unwrap();
        let expected: f64 = log_q
            .iter()
            .enumerate()
            .map(|(index, log_q)| log_q.exp() * evaluate(&single, &scores, &rewards, index + 1).0)
            .sum();
        let gap = value(&full(gamma, scale), &scores, &rewards) - expected;
        let highest = scores[1..].iter().copied().fold(f64::MIN, f64::max);
        let lowest = scores[1..].iter().copied().fold(f64::MAX, f64::min);
        assert!(gap >= -tolerance::SUMS_F64, "{gap:e}");
        assert!(gap <= (highest - lowest).powi(2) / 8.0 + tolerance::SUMS_F64);
        strict += usize::from(gap > 1e-3);
    }
    assert!(strict > 100, "the gap is real: {strict} of 200");
}

/// Theorem 2, where the estimated rewards are the scores: the loss rises with γ to `softplus(ln N + M − s_1)`.
#[test]
fn the_loss_rises_with_gamma_to_the_hardest_negative() {
    let mut generator = Generator::new(15);
    for _ in 0..100 {
        let count = 3 + generator.index(15);
        let negatives = (count - 1) as f64;
        let scores = random_scores(&mut generator, count, 3.0);
        let hardest = scores[1..].iter().copied().fold(f64::MIN, f64::max);
        let limit = softplus(negatives.ln() + hardest - scores[0]);
        let mut before = f64::MIN;
        for gamma in [f64::NEG_INFINITY, -20.0, -5.0, -1.0, 0.0, 0.5, 1.0, 4.0, 20.0, 200.0, f64::INFINITY] {
            let now = value(&full(gamma, NegativeScale::Count), &scores, &scores);
            assert!(now >= before - tolerance::SUMS_F64 && now <= limit + tolerance::SUMS_F64);
            if gamma > 0.0 {
                let rate = (negatives - 1.0) / (core::f64::consts::E * gamma);
                assert!(limit - now <= rate + tolerance::SUMS_F64, "γ = {gamma}: {now}, limit {limit}");
            }
            before = now;
        }
        assert!((before - limit).abs() <= tolerance::SUMS_F64);
    }
}

/// Theorem 2 needs the estimate to agree with the scores: where it misjudges the hardest negative, the limit is that
/// of the negative it prefers.
#[test]
fn a_wrong_estimate_has_another_limit() {
    let given = value(&full(f64::INFINITY, NegativeScale::Count), &[0.0, 2.0, -2.0], &[3.0, -1.0, 1.0]);
    assert!((given - (1.0 + 2.0 * (-2.0_f64).exp()).ln()).abs() <= tolerance::SAME_F64);
    let hardest = (1.0 + 2.0 * 2.0_f64.exp()).ln();
    assert!(hardest > given + 2.0);
}

/// Theorem 3: less `ln N`, the limiting loss is minus the hard margin, up to `e^{2α} / N` for scores within ±α.
#[test]
fn the_limit_is_minus_the_hard_margin() {
    let mut generator = Generator::new(16);
    for count in [3, 10, 100, 1000] {
        let bound = 1.5;
        let scores = random_scores(&mut generator, count, bound);
        let margin = hps_core::metrics::hardest_margin(&Responses::new(&scores).unwrap(), &scores).unwrap();
        let negatives = (count - 1) as f64;
        let limit = value(&full(f64::INFINITY, NegativeScale::Count), &scores, &scores);
        let rest = limit - negatives.ln() + margin;
        assert!(rest >= -tolerance::SUMS_F64 && rest <= (2.0 * bound).exp() / negatives, "{rest}");
    }
}

#[test]
fn gamma_reweighs_towards_the_rewards_it_names() {
    let (scores, rewards) = ([0.0; 4], [5.0, 2.0, 1.0, -3.0]);
    let pair = Pair::Logistic { label_smoothing: 0.0, margin: 0.0 };
    let towards = |gamma: f64| {
        let mut hps = Hps::full();
        hps.gamma = gamma;
        let loss = Loss::new(Reward::Dpo { beta: 1.0 }, pair, Preference::Hps(hps)).unwrap();
        evaluate(&loss, &scores, &rewards, 1).1
    };
    let (hard, easy) = (towards(1.0), towards(-1.0));
    assert!(hard[1] > hard[2] && hard[2] > hard[3]);
    assert!(easy[1] < easy[2] && easy[2] < easy[3]);
}

/// `|∂L/∂γ| = σ |E_q[w r] − E_q[r]| ≤ max r − min r`, with weights `w = e^s / E_q e^s`: near 0 the loss is near that at 0.
#[test]
fn the_loss_is_continuous_in_gamma_at_zero() {
    let mut generator = Generator::new(17);
    for count in [3, 8, 40] {
        let (scores, rewards) = (random_scores(&mut generator, count, 4.0), random_scores(&mut generator, count, 3.0));
        let at = |gamma: f64| value(&full(gamma, NegativeScale::Count), &scores, &rewards);
        let mut apart = Vec::new();
        for gamma in [1e-1, 1e-3, 1e-5] {
            let distance = (at(gamma) - at(0.0)).abs().max((at(-gamma) - at(0.0)).abs());
            assert!(distance <= 6.0 * gamma + tolerance::SUMS_F64, "{gamma}: {distance}");
            apart.push(distance);
        }
        assert!(apart[0] > 10.0 * apart[1] && apart[1] > 10.0 * apart[2] && apart[2] > 0.0, "{apart:?}");
    }
}

/// `q` is a softmax: rewards that are all higher by the same number draw alike.
#[test]
fn estimated_rewards_count_by_their_differences() {
    let mut generator = Generator::new(18);
    for gamma in [-5.0, -0.3, 0.0, 2.0, 50.0, f64::INFINITY, f64::NEG_INFINITY] {
        let (scores, rewards) = (random_scores(&mut generator, 9, 4.0), random_scores(&mut generator, 9, 3.0));
        // Sums of eighths are exact.
        let rewards: Vec<f64> = rewards.iter().map(|reward| (8.0 * reward).round() / 8.0).collect();
        let shifted: Vec<f64> = rewards.iter().map(|reward| reward + 1024.0).collect();
        let loss = full(gamma, NegativeScale::Count);
        assert_same("shifted", &evaluate(&loss, &scores, &shifted, 1), &evaluate(&loss, &scores, &rewards, 1));
    }
}

/// With `s = β (ln π − ln π_ref)`. As `β → 0` the loss is `ln(1 + N)` whatever the policy, and the gradient over `β` is
/// `N/(1 + N)` away from the preferred response, towards the negatives by their weights `q`. As `β → ∞` the loss over `β` is
/// how far the hardest negative is ahead of the preferred response, or 0.
#[test]
fn the_ends_of_beta() {
    let mut generator = Generator::new(19);
    for gamma in [0.0, 1.5] {
        let (ratios, rewards) = (random_scores(&mut generator, 7, 3.0), random_scores(&mut generator, 7, 2.0));
        let at = |beta: f64| {
            let loss = full(gamma, NegativeScale::Count).with_beta(beta).unwrap();
            evaluate(&loss, &ratios, &rewards, 1)
        };
        let (value, gradient) = at(1e-9);
        assert!((value - 7.0_f64.ln()).abs() < 1e-8, "{value}");
        let total: f64 = rewards[1..].iter().map(|reward| (gamma * reward).exp()).sum();
        let q = |index: usize| (gamma * rewards[index]).exp() / total;
        for (index, entry) in gradient.iter().enumerate() {
            let expected = if index == 0 { -1.0 } else { q(index) } * 6.0 / 7.0;
            assert!((entry / 1e-9 - expected).abs() < 1e-7, "{index}: {entry}");
        }
        let hardest = ratios[1..].iter().fold(f64::NEG_INFINITY, |most, ratio| most.max(*ratio));
        let (value, _) = at(1e6);
        assert!((value / 1e6 - (hardest - ratios[0]).max(0.0)).abs() < 1e-4, "{value}");
    }
}
