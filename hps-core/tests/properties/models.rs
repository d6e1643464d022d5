//! Where the models must meet each other, whatever the pair.

use crate::generator::{Generator, Row};
use crate::losses::{self, names};
use crate::tolerance;
use hps_core::{
    Contrast, Hps, Lipo, LogBase, Loss, NegativeScale, NegativeSet, Pair, Preference, RankBy, Reduction, Reward, Slic,
    Supervised, TiePolicy, log_weights,
};

/// Value and score gradient; `samples` are what the loss reads of them.
fn evaluate(loss: &Loss, scores: &[f64], rewards: &[f64], samples: &[usize]) -> (f64, Vec<f64>) {
    let mut data = Row::of_scores(scores, rewards);
    data.samples = samples.to_vec();
    let row = data.responses_for(loss, samples.first().copied().unwrap_or(1));
    let mut gradient = vec![f64::NAN; scores.len()];
    let mut scratch = vec![f64::NAN; Loss::scratch_len(scores.len())];
    let value = loss.value_and_score_gradient(&row, &mut scratch, &mut gradient).unwrap();
    (value, gradient)
}

fn assert_same(what: &str, left: &(f64, Vec<f64>), right: &(f64, Vec<f64>)) {
    assert_eq!(left.1.len(), right.1.len(), "{what}");
    for (left, right) in left.1.iter().zip(&right.1).chain([(&left.0, &right.0)]) {
        assert!((left - right).abs() <= tolerance::SUMS_F64 * (1.0 + right.abs()), "{what}: {left}, {right}");
    }
}

/// With `β = 1` where it multiplies the scores.
fn loss(name: &str) -> Loss {
    let loss: Loss = name.parse().unwrap();
    match loss.reward() {
        Reward::Dpo { .. } => loss.with_beta(1.0).unwrap(),
        _ => loss,
    }
}

fn weighted(weights: &[f64], negatives: NegativeSet) -> Loss {
    losses::weighted(weights, negatives).with_beta(1.0).unwrap()
}

fn random_scores(generator: &mut Generator, count: usize) -> Vec<f64> {
    (0..count).map(|_| generator.between(-4.0, 4.0)).collect()
}

/// Distinct rewards, best first.
fn falling(count: usize) -> Vec<f64> {
    (0..count).map(|index| 2.0 - index as f64).collect()
}

#[test]
fn two_responses_make_every_model_its_pair_loss() {
    let mut generator = Generator::new(21);
    // Those that read the rewards besides the order, the pairs' weights, or a supervised term are themselves.
    let others = ["exo-rw", "nca-k", "infonca-k", "sppo-soft-bt", "slic", "lipo"];
    let mut compared = 0;
    for name in names().iter().filter(|name| !others.contains(&name.as_str()) && !name.ends_with("weighted")) {
        let family = name.split('-').next().unwrap();
        let pair = if family == "hinge" { loss("hinge") } else { loss(&format!("{family}-bt")) };
        let two_draws = if name.ends_with("multi") { vec![1, 1] } else { vec![1] };
        for _ in 0..20 {
            let mut scores = random_scores(&mut generator, 2);
            if family == "orpo" {
                scores.iter_mut().for_each(|score| *score -= 5.0);
            }
            let expected = evaluate(&pair, &scores, &falling(2), &[]);
            assert_same(name, &evaluate(&loss(name), &scores, &falling(2), &two_draws), &expected);
            compared += 1;
        }
    }
    assert_eq!(compared, 20 * (6 * 10 + 2 * 5 + 2 * 4 + 1));
    for negatives in [NegativeSet::NonPreferred, NegativeSet::NextRanks] {
        let scores = random_scores(&mut generator, 2);
        let pair = evaluate(&loss("dpo-bt"), &scores, &falling(2), &[]);
        assert_same("weighted", &evaluate(&weighted(&[1.0], negatives), &scores, &falling(2), &[]), &pair);
    }
}

#[test]
fn several_preferred_responses_at_gamma_zero_are_plackett_luce() {
    let mut generator = Generator::new(22);
    for count in 2..=17 {
        let scores = random_scores(&mut generator, count);
        let next_ranks = weighted(&vec![1.0; count - 1], NegativeSet::NextRanks);
        let ranking = evaluate(&loss("dpo-pl"), &scores, &falling(count), &[]);
        assert_same("app. e", &evaluate(&next_ranks, &scores, &falling(count), &[]), &ranking);
    }
}

#[test]
fn a_preferred_response_is_no_negative_of_a_better_one() {
    let (scores, rewards) = ([0.4, 1.9, -0.7, 0.2], [3.0, 2.0, 1.0, 0.0]);
    let given = evaluate(&weighted(&[1.0, 0.5], NegativeSet::NonPreferred), &scores, &rewards, &[]);
    let first = evaluate(&loss("dpo-hps-full"), &[0.4, -0.7, 0.2], &[3.0, 1.0, 0.0], &[]);
    let second = evaluate(&loss("dpo-hps-full"), &[1.9, -0.7, 0.2], &[2.0, 1.0, 0.0], &[]);
    let gradient = vec![first.1[0], 0.5 * second.1[0], first.1[1] + 0.5 * second.1[1], first.1[2] + 0.5 * second.1[2]];
    assert_same("non-preferred", &given, &(first.0 + 0.5 * second.0, gradient));
}

#[test]
fn one_preferred_response_is_the_full_loss() {
    let mut generator = Generator::new(23);
    for count in 2..12 {
        let (scores, rewards) = (random_scores(&mut generator, count), falling(count));
        for gamma in [-1.0, 0.0, 2.0] {
            let full = loss("dpo-hps-full").with_gamma(gamma).unwrap();
            let one = weighted(&[1.0], NegativeSet::NextRanks).with_gamma(gamma).unwrap();
            let expected = evaluate(&full, &scores, &rewards, &[]);
            assert_same("k = 1", &evaluate(&one, &scores, &rewards, &[]), &expected);
        }
    }
}

#[test]
fn top_one_is_the_full_loss_at_gamma_zero_with_count() {
    let mut generator = Generator::new(24);
    for count in 2..12 {
        let (scores, rewards) = (random_scores(&mut generator, count), falling(count));
        for smoothing in [0.0, 0.1] {
            let smoothed = |name: &str| loss(name).with_label_smoothing(smoothing).unwrap().with_margin(0.3).unwrap();
            let expected = evaluate(&smoothed("dpo-hps-full"), &scores, &rewards, &[]);
            assert_same("top1", &evaluate(&smoothed("dpo-top1"), &scores, &rewards, &[]), &expected);
        }
        // All the weight of the soft target on response 1 is the same cross-entropy.
        let one_hot = evaluate(&loss("infonca-k").with_temperature(1e-3).unwrap(), &scores, &rewards, &[]);
        assert_same("infonca", &one_hot, &evaluate(&loss("dpo-top1"), &scores, &rewards, &[]));
    }
}

#[test]
fn the_first_choices_end_at_the_whole_ranking() {
    let mut generator = Generator::new(27);
    for count in 2..12 {
        let (scores, rewards) = (random_scores(&mut generator, count), falling(count));
        let margin = |name: &str| loss(name).with_margin(-0.6).unwrap();
        let ranking = evaluate(&margin("dpo-pl"), &scores, &rewards, &[]);
        // Choice j is the first one of what is left after j − 1 of them.
        let mut sum = (0.0, vec![0.0; count]);
        for choices in 1..count {
            let first = evaluate(&margin("dpo-top1"), &scores[choices - 1..], &rewards[choices - 1..], &[]);
            sum.0 += first.0;
            sum.1[choices - 1..].iter_mut().zip(&first.1).for_each(|(sum, entry)| *sum += entry);
            let given = evaluate(&margin(&format!("dpo-top{choices}")), &scores, &rewards, &[]);
            assert_same("top k", &given, &sum);
        }
        for choices in [count - 1, count, 1000] {
            let given = evaluate(&margin(&format!("dpo-top{}", choices.max(2))), &scores, &rewards, &[]);
            assert_same("all", &given, &ranking);
        }
    }
}

fn contrast(alpha: f64, power: f64) -> Loss {
    Loss::new(Reward::Dpo { beta: 1.0 }, Pair::LOGISTIC, Preference::Contrast(Contrast { alpha, power })).unwrap()
}

#[test]
fn a_contrast_with_one_above_the_mean_and_no_weights_is_top_one() {
    let mut generator = Generator::new(28);
    for count in 2..12 {
        let scores = random_scores(&mut generator, count);
        let mut rewards = vec![1.0; count];
        rewards[0] = 2.0;
        let top = evaluate(&loss("dpo-top1"), &scores, &rewards, &[]);
        assert_same("α = 0", &evaluate(&contrast(0.0, 1.0), &scores, &rewards, &[]), &top);
        // The same weight for all is none.
        assert_same("p = 0", &evaluate(&contrast(0.7, 0.0), &scores, &rewards, &[]), &top);
        // Weights are added to the scores.
        let shifted: Vec<f64> =
            scores.iter().zip(&rewards).map(|(s, r)| s + 0.7 * (r - rewards_mean(&rewards)).abs()).collect();
        let expected = evaluate(&loss("dpo-top1"), &shifted, &rewards, &[]);
        assert_same("α = 0.7", &evaluate(&contrast(0.7, 1.0), &scores, &rewards, &[]), &expected);
    }
}

fn rewards_mean(rewards: &[f64]) -> f64 {
    rewards.iter().sum::<f64>() / rewards.len() as f64
}

/// The groups are by reward: a preferred response that a reward model ranks low is pushed down.
#[test]
fn a_contrast_reads_the_rewards_and_not_the_order() {
    let (_, gradient) = evaluate(&contrast(1.0, 1.0), &[0.3, -0.2, 0.9], &[-1.0, 2.0, 0.0], &[]);
    assert!(gradient[0] > 0.0 && gradient[1] < 0.0 && gradient[2] > 0.0);
    // At the mean exactly is not above it.
    let (_, gradient) = evaluate(&contrast(1.0, 1.0), &[0.0; 3], &[1.0, 0.0, -1.0], &[]);
    assert!(gradient[1] > 0.0 && gradient[2] > gradient[1]);
}

#[test]
fn the_expected_loss_is_the_mean_of_the_single_ones() {
    let mut generator = Generator::new(25);
    for family in ["dpo", "exo", "nca", "ipo", "sppo"] {
        for (count, gamma) in [(3, 0.0), (6, 1.5), (9, -0.7)] {
            let (scores, rewards) = (random_scores(&mut generator, count), falling(count));
            let single = loss(&format!("{family}-hps")).with_gamma(gamma).unwrap();
            let mut log_q = vec![f64::NAN; count - 1];
            log_weights(&rewards, gamma, TiePolicy::Keep, &mut log_q).unwrap();
            let mut mean = (0.0, vec![0.0; count]);
            for (index, log_q) in log_q.iter().enumerate() {
                let (value, gradient) = evaluate(&single, &scores, &rewards, &[index + 1]);
                mean.0 += log_q.exp() * value;
                mean.1.iter_mut().zip(gradient).for_each(|(mean, entry)| *mean += log_q.exp() * entry);
            }
            let expected = loss(&format!("{family}-hps-expected")).with_gamma(gamma).unwrap();
            assert_same(family, &evaluate(&expected, &scores, &rewards, &[]), &mean);
        }
    }
}

/// `E[L_1] ≤ E[L_2] ≤ L`, at `γ = 0`, where the means over draws can be written out.
#[test]
fn more_draws_come_closer_to_the_full_loss() {
    let mut generator = Generator::new(26);
    let multi = loss("dpo-hps-multi");
    for count in 3..7 {
        let (scores, rewards) = (random_scores(&mut generator, count), falling(count));
        let negatives = (count - 1) as f64;
        let counted = loss("dpo-hps-expected").with_negative_scale(NegativeScale::Count).unwrap();
        let one = evaluate(&counted, &scores, &rewards, &[]).0;
        let pairs = (1..count).flat_map(|first| (1..count).map(move |second| [first, second]));
        let two = pairs.map(|draws| evaluate(&multi, &scores, &rewards, &draws).0).sum::<f64>() / negatives.powi(2);
        let full = evaluate(&loss("dpo-hps-full"), &scores, &rewards, &[]).0;
        assert!(one < two && two < full, "{one} {two} {full}");
        // The gradient is biased too, and towards less.
        let slopes = [&counted, &loss("dpo-hps-full")].map(|loss| evaluate(loss, &scores, &rewards, &[]).1[0]);
        assert!(slopes[0].abs() <= slopes[1].abs(), "{slopes:?}");
        // Each negative once is the full expectation, and repeating all of them changes nothing.
        let every: Vec<usize> = (1..count).collect();
        let expected = evaluate(&loss("dpo-hps-full"), &scores, &rewards, &[]);
        assert_same("every", &evaluate(&multi, &scores, &rewards, &every), &expected);
        assert_same("twice", &evaluate(&multi, &scores, &rewards, &every.repeat(2)), &expected);
    }
}

#[test]
fn lipo_of_two_is_a_weighted_dpo() {
    let (scores, rewards) = ([0.3, 1.1], [0.9, 0.2]);
    let dpo = evaluate(&loss("dpo-bt"), &scores, &rewards, &[]);
    for (log_base, factor) in [(LogBase::Natural, 0.53246), (LogBase::Two, 0.36907)] {
        let lipo = Preference::Lipo(Lipo { log_base, ranks: RankBy::Rewards, reduction: Reduction::Sum });
        let lipo = Loss::new(Reward::Dpo { beta: 1.0 }, Pair::LOGISTIC, lipo).unwrap();
        let weight = factor * (0.9_f64.exp2() - 0.2_f64.exp2());
        let given = evaluate(&lipo, &scores, &rewards, &[]);
        assert!((given.0 / dpo.0 - weight).abs() < 1e-5 && (given.1[0] / dpo.1[0] - weight).abs() < 1e-5);
    }
    // Nothing to compare.
    assert_eq!(evaluate(&loss("lipo"), &scores, &[0.5, 0.5], &[]), (0.0, vec![0.0, 0.0]));
}

#[test]
fn the_misprint_of_slic_turns_the_supervised_term_off() {
    let slic = |placement| {
        let slic = Preference::Slic(Slic { weight: 0.1, placement });
        Loss::new(Reward::LogProb, Pair::Hinge { margin: 1.0 }, slic).unwrap()
    };
    let mut data = Row::of_scores(&[-10.0, -40.0], &[1.0, 0.0]);
    data.supervised = -20.0;
    for (placement, value, slope) in [(Supervised::Outside, 2.0, -0.1), (Supervised::Inside, 0.0, 0.0)] {
        let loss = slic(placement);
        let mut gradient = [f64::NAN; 2];
        let given = loss.value_and_gradient(&data.responses_for(&loss, 1), &mut [0.0; 8], &mut gradient).unwrap();
        assert_eq!((given, gradient), (value, [0.0, 0.0]));
        assert_eq!(loss.supervised_gradient(&gradient), slope);
    }
}

#[test]
fn nca_moves_the_preferred_score_half_as_much_as_dpo_at_the_start() {
    let given = evaluate(&loss("nca-bt"), &[0.0, 0.0], &[1.0, 0.0], &[]);
    assert_eq!(given.1, [-0.25, 0.25]);
    assert_eq!(evaluate(&loss("dpo-bt"), &[0.0, 0.0], &[1.0, 0.0], &[]).1, [-0.5, 0.5]);
}

#[test]
fn targets_are_where_the_gradient_vanishes() {
    let smoothing = 0.1_f64;
    let exo = loss("exo-bt").with_label_smoothing(smoothing).unwrap();
    let (value, gradient) = evaluate(&exo, &[((1.0 - smoothing) / smoothing).ln(), 0.0], &[1.0, 0.0], &[]);
    assert!(value.abs() <= tolerance::SAME_F64 && gradient[0].abs() <= tolerance::SAME_F64);

    let ipo = loss("ipo-bt").with_beta(0.25).unwrap();
    assert_eq!(evaluate(&ipo, &[3.0, 1.0], &[1.0, 0.0], &[]), (0.0, vec![0.0, 0.0]));
    let sppo = loss("sppo-pl").with_beta(0.25).unwrap();
    assert_eq!(evaluate(&sppo, &[2.0, 0.0, -2.0], &[2.0, 1.0, 0.0], &[]), (0.0, vec![0.0; 3]));

    let rewards = [1.0, 0.3, -2.0];
    let scores = rewards.map(|reward| reward / 0.1);
    let (value, gradient) = evaluate(&loss("exo-rw"), &scores, &rewards, &[]);
    assert!(value.abs() <= tolerance::SUMS_F64 && gradient.iter().all(|entry| entry.abs() <= tolerance::SUMS_F64));
}

#[test]
fn win_rates_count_the_response_itself() {
    let loss = loss("sppo-soft-bt").with_beta(0.5).unwrap();
    let wins = [0.5 + 1.0 / (1.0 + (-1.5_f64).exp()), 0.5 + 1.0 / (1.0 + 1.5_f64.exp())];
    let targets = wins.map(|wins| (wins / 2.0 - 0.5) / 0.5);
    let (value, gradient) = evaluate(&loss, &[1.0, -0.25], &[1.5, 0.0], &[]);
    let (first, second) = (1.0 - targets[0], -0.25 - targets[1]);
    let expected = ((first * first + second * second) / 2.0, vec![first, second]);
    assert_same("win rates", &(value, gradient), &expected);
}

#[test]
fn equal_scores_before_the_first_step_are_finite_everywhere() {
    for name in names() {
        let (value, gradient) = evaluate(&loss(&name), &[-1.0; 5], &falling(5), &[1]);
        assert!(value.is_finite() && gradient.iter().all(|entry| entry.is_finite()), "{name}");
        // The preferred response is pushed up; LiPO ranks by index, and has its weights from that.
        assert!(gradient[0] < 0.0 || name.starts_with("slic"), "{name} {gradient:?}");
    }
    assert_eq!(Hps::expected().scale, NegativeScale::Unit);
}
