//! What a descriptor says is the loss it was made from: rebuilt from its words alone, the loss computes the same.

use crate::generator::{Generator, Row};
use crate::losses;
use crate::tolerance;
use hps_core::*;

/// The table of the documentation, read backwards.
fn rebuild(descriptor: &LossDescriptor) -> Loss {
    let wide = f64::from;
    let has = |flag| descriptor.flags & flag != 0;
    let (beta, alpha) = (wide(descriptor.beta), wide(descriptor.alpha));
    let reward = match (descriptor.reward, descriptor.pair) {
        (per_token @ (0 | 1), 2 | 3) => Reward::LogRatio { per_token: per_token == 1 },
        (0, _) => Reward::Dpo { beta },
        (1, _) => Reward::Kto { scale: ResponseScale::PerToken(beta) },
        (2, _) => Reward::Kto { scale: ResponseScale::FromRow },
        (3, 5) => Reward::LogProb,
        (3, _) => Reward::Cpo { beta },
        (4, _) => Reward::SimPo { beta },
        (5, _) => Reward::RDpo { beta, alpha },
        (6, _) => Reward::LogOdds,
        (code, _) => panic!("reward {code}"),
    };
    let reduction = if has(LossDescriptor::MEAN) { Reduction::Mean } else { Reduction::Sum };
    let (label_smoothing, margin) = (wide(descriptor.label_smoothing), wide(descriptor.margin));
    let pair_beta = 0.5 / wide(descriptor.target);
    let pair = match descriptor.pair {
        0 => Pair::Logistic { label_smoothing, margin },
        1 => Pair::Exo { label_smoothing },
        2 => Pair::Ipo { beta: pair_beta },
        3 => Pair::Sppo { beta: pair_beta, reduction },
        4 => Pair::Nca,
        5 => Pair::Hinge { margin },
        code => panic!("pair {code}"),
    };
    let preference = match descriptor.preference {
        0 => Preference::BradleyTerry,
        1 => Preference::Top { choices: descriptor.count },
        2 => Preference::PlackettLuce,
        3 => Preference::Hps(rebuild_hps(descriptor)),
        4 => Preference::RewardTargets { temperature: wide(descriptor.temperature) },
        5 => Preference::WinRates,
        6 => {
            let placement = if descriptor.form == 1 { Supervised::Inside } else { Supervised::Outside };
            Preference::Slic(Slic { weight: wide(descriptor.supervised), placement })
        }
        7 => {
            let log_base = if has(LossDescriptor::BASE_2) { LogBase::Two } else { LogBase::Natural };
            let ranks = if descriptor.form == 1 { RankBy::Rewards } else { RankBy::Scores };
            Preference::Lipo(Lipo { log_base, ranks, reduction })
        }
        8 => {
            let (alpha, power) = (wide(descriptor.contrast_alpha), wide(descriptor.contrast_power));
            Preference::Contrast(Contrast { alpha, power })
        }
        code => panic!("preference {code}"),
    };
    let mut loss = Loss::new(reward, pair, preference).unwrap();
    if descriptor.preference_weight != 1.0 {
        loss = loss.with_preference_weight(wide(descriptor.preference_weight)).unwrap();
    }
    if descriptor.likelihood != 0.0 {
        loss = loss.with_likelihood(wide(descriptor.likelihood)).unwrap();
    }
    loss
}

fn rebuild_hps(descriptor: &LossDescriptor) -> Hps {
    let has = |flag| descriptor.flags & flag != 0;
    let mut hps = match descriptor.form {
        0 => Hps::full(),
        1 => Hps::single(),
        2 => Hps::multi(),
        3 => Hps::expected(),
        4 => {
            let weights: Vec<f64> =
                descriptor.rank_weights[..descriptor.count as usize].iter().copied().map(f64::from).collect();
            let set = if has(LossDescriptor::NEXT_RANKS) { NegativeSet::NextRanks } else { NegativeSet::NonPreferred };
            Hps::weighted(RankWeights::new(&weights).unwrap(), set)
        }
        code => panic!("form {code}"),
    };
    hps.gamma = f64::from(descriptor.gamma);
    hps.scale = match descriptor.scale {
        0.0 => NegativeScale::Count,
        1.0 => NegativeScale::Unit,
        scale => NegativeScale::Custom(f64::from(scale)),
    };
    hps.ties = if has(LossDescriptor::MASK_MAX) { TiePolicy::MaskMax } else { TiePolicy::Keep };
    hps
}

#[test]
fn a_descriptor_says_all_of_a_loss() {
    let mut generator = Generator::new(5);
    for loss in losses::losses() {
        // γ ≥ 1e3 times a reward turns a rounding into something visible; ±∞ is exact.
        let rebuilt = rebuild(&loss.descriptor().unwrap());
        for number in 0..20 {
            let (row, sample) = Row::random(&mut generator, number, 3.0);
            let row = row.suited_to(&loss);
            if row.policy.len() < losses::fewest_responses(&loss) {
                continue;
            }
            let count = row.policy.len();
            let mut scratch = vec![0.0; Loss::scratch_len(count)];
            let evaluate = |loss: &Loss, scratch: &mut [f64]| {
                let mut gradient = vec![0.0; count];
                let responses = row.responses_for(loss, sample);
                let value = loss.value_and_gradient(&responses, scratch, &mut gradient).unwrap();
                gradient.push(value);
                gradient
            };
            let (given, expected) = (evaluate(&rebuilt, &mut scratch), evaluate(&loss, &mut scratch));
            let size = expected.iter().fold(1.0, |size: f64, number| size.max(number.abs()));
            for (given, expected) in given.iter().zip(&expected) {
                assert!((given - expected).abs() <= tolerance::ROUNDED_LOSS * size, "{loss}: {given} {expected}");
            }
        }
    }
}

#[test]
fn numbers_beyond_f32_are_refused() {
    let loss: Loss = "dpo-bt".parse().unwrap();
    let text = |loss: Loss| loss.descriptor().unwrap_err().to_string();
    assert_eq!(text(loss.with_beta(1e-60).unwrap()), format!("beta = {} is outside the range of f32", 1e-60));
    assert_eq!(text(loss.with_margin(1e40).unwrap()), format!("margin = {} is outside the range of f32", 1e40));
}

#[test]
fn the_layout_is_what_kernels_were_written_for() {
    use std::mem::{align_of, offset_of, size_of};
    assert_eq!((size_of::<LossDescriptor>(), align_of::<LossDescriptor>()), (144, 16));
    assert_eq!(offset_of!(LossDescriptor, preference_weight), 24);
    assert_eq!(offset_of!(LossDescriptor, target), 48);
    assert_eq!(offset_of!(LossDescriptor, supervised), 64);
    assert_eq!(offset_of!(LossDescriptor, rank_weights), 80);
}
