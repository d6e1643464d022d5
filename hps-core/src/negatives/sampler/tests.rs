//! The integer weights themselves, which no public function shows.

use super::*;
use crate::negatives::half_power::half_power;
use crate::negatives::weights::log_weights;

const COUNTS: [usize; 8] = [1, 2, 3, 8, 9, 99, 1000, 4097];

fn rewards(count: usize, spread: f64) -> [f64; 4098] {
    // A walk by the golden ratio: spread evenly, in no order, distinct.
    let mut rewards = [0.0; 4098];
    for (index, reward) in rewards.iter_mut().enumerate().take(count + 1) {
        *reward = spread * ((index as f64 * 0.618_033_988_749_894_9) % 1.0 - 0.5);
    }
    rewards
}

#[test]
fn the_quantised_distribution_is_within_its_bound() {
    let mut worst_share = 0.0_f64;
    for count in COUNTS {
        let shift = usize::BITS - (count - 1).leading_zeros();
        for spread in [0.0, 0.01, 1.0, 10.0, 2e4] {
            let list = rewards(count, spread);
            let list = &list[..=count];
            for gamma in [-1e3, -5.0, -0.3, 0.0, 0.7, 5.0, 1e3, f64::INFINITY, f64::NEG_INFINITY] {
                let weights = IntegerWeights::new(list, gamma, TiePolicy::Keep).unwrap();
                let total: u64 = list[1..].iter().map(|&reward| u64::from(weights.of(reward))).sum();
                assert!(total > 0 && total <= 1 << 31, "{count} {spread} {gamma}: {total}");
                let mut log_q = [0.0; 4097];
                log_weights(list, gamma, TiePolicy::Keep, &mut log_q[..count]).unwrap();
                for (&reward, log_q) in list[1..].iter().zip(log_q) {
                    let q = libm::exp(log_q);
                    let quantised = f64::from(weights.of(reward)) / total as f64;
                    let bound = 1e-6 * q + (1.0 + count as f64 * q) * libm::exp2(f64::from(shift) - 30.0);
                    let error = (quantised - q).abs();
                    assert!(error <= bound, "{count} {spread} {gamma}: q {q:e}, error {error:e}, bound {bound:e}");
                    worst_share = worst_share.max(error / bound);
                }
            }
        }
    }
    // A bound a hundred times too wide would say nothing.
    assert!(worst_share > 0.1, "{worst_share}");
}

#[test]
fn the_anchor_weighs_most_and_far_negatives_nothing() {
    for gamma in [-1e3, -1.0, 1.0, 1e3] {
        let rewards = [0.0, 1e4, -1e4, 0.0];
        let weights = IntegerWeights::new(&rewards, gamma, TiePolicy::Keep).unwrap();
        let anchor = if gamma > 0.0 { 1e4 } else { -1e4 };
        // Three negatives: scaled by 2^−2.
        assert_eq!(weights.of(anchor), 1 << 29);
        assert_eq!((weights.of(-anchor), weights.of(0.0)), (0, 0));
    }
}

/// Each halving of the weight is one more shift, up to where a shift of 32 would be undefined on some machines.
#[test]
fn shifts_beyond_the_word_give_zero() {
    let rewards = [0.0, 0.0];
    let weights = IntegerWeights::new(&rewards, core::f64::consts::LN_2, TiePolicy::Keep).unwrap();
    for halvings in 0..300 {
        // Just short of the next halving, so that rounding cannot fall below this one.
        let weight = weights.of(-(f64::from(halvings) + 0.001));
        let expected = libm::floor(libm::exp2(31.0 - f64::from(halvings) - 0.001));
        assert!((f64::from(weight) - expected).abs() <= 1.0 + 1e-6 * expected, "{halvings}: {weight}");
        assert!(halvings < 31 || weight == 0);
    }
}

/// From the exponents alone, as a device has them: the weights of every response, and 0 for those that are no negatives.
#[test]
fn exponents_hold_the_weights() {
    for count in COUNTS {
        for (spread, ties) in [(0.0, TiePolicy::Keep), (1.0, TiePolicy::Keep), (2e4, TiePolicy::MaskMax)] {
            let list = rewards(count, spread);
            let list = &list[..=count];
            if ties == TiePolicy::MaskMax && !(1..=count).any(|index| ties.retains(list, index)) {
                continue;
            }
            for gamma in [-1e3, -5.0, -0.3, 0.0, 0.7, 5.0, 1e300, f64::INFINITY, f64::NEG_INFINITY] {
                let mut exponents = [7; 4098];
                NegativeSampler::exponents(list, gamma, ties, &mut exponents[..=count]).unwrap();
                let weights = IntegerWeights::new(list, gamma, ties).unwrap();
                let ceiling = if ties == TiePolicy::Keep { f64::INFINITY } else { crate::numbers::lanes::max(list) };
                for (index, (&exponent, &reward)) in exponents.iter().zip(list).enumerate() {
                    let expected = if index > 0 && reward < ceiling { weights.of(reward) } else { 0 };
                    let shifted = half_power(exponent & 0xFF_FFFF).checked_shr(exponent >> 24);
                    assert_eq!(shifted.unwrap_or(0), expected, "{count} {spread} {gamma} {index}");
                }
            }
        }
    }
    let mut short = [0; 2];
    let error = NegativeSampler::exponents(&[1.0, 0.0, 0.0], 0.0, TiePolicy::Keep, &mut short).unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::LengthMismatch);
}
