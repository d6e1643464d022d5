//! Philox's published answers, what a seed draws, and how often.

use crate::generator::Generator;
use crate::tolerance;
use hps_core::{NegativeSampler, Philox, Position, TiePolicy, draw_with_uniform, log_weights};

/// Random123's known answers for philox4x32-10.
#[test]
fn philox_known_answers() {
    let answers = [
        ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
        ([u32::MAX; 4], [u32::MAX; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
        (
            [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
            [0xa409_3822, 0x299f_31d0],
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
        ),
    ];
    for (counter, key, block) in answers {
        assert_eq!(Philox::from_key(key).block(counter), block);
    }
    assert_eq!(Philox::new(0x0000_0002_0000_0001), Philox::from_key([1, 2]));
}

fn row(row: u32) -> Position {
    Position { row, epoch: 0, draw: 0 }
}

/// Which negatives a seed draws is a promise. These were drawn by another program, written from the documented
/// construction: a change here breaks every run that is to be repeated.
#[test]
fn a_seed_draws_these() {
    let rewards = [3.0, 2.5, 2.0, 1.0, 0.25, -0.5, -1.75, -4.0];
    let sampler = NegativeSampler::new(20_250_601 + (7 << 32));
    let promised = [
        (-2.0, "7777777777777777777777777777777777777777777777777777777777777777"),
        (-0.5, "7777377777277763776446747777775773767771477767777767467737467677"),
        (0.0, "4474156546165531663213716756672561437671245745745734135714134344"),
        (0.5, "2262134324143321341111513733351341225371123723523622123512122122"),
        (2.0, "1131112112121111221111212412221121112231112411212311111211111111"),
    ];
    for (gamma, expected) in promised {
        let drawn: String = (0..64)
            .map(|row| {
                let position = Position { row, epoch: 1, draw: 2 };
                sampler.draw(&rewards, gamma, TiePolicy::Keep, position).unwrap().to_string()
            })
            .collect();
        assert_eq!(drawn, expected, "gamma {gamma}");
    }

    let tied = [5.0, 5.0, 2.0, 5.0, 1.9, 1.8];
    let drawn: String = (0..64)
        .map(|number| NegativeSampler::new(42).draw(&tied, 1.0, TiePolicy::MaskMax, row(number)).unwrap().to_string())
        .collect();
    assert_eq!(drawn, "2225424554444555422222422452245255542252225524252222422522225252");

    let long: Vec<f64> = std::iter::once(100.0).chain((0..99).map(|index| f64::from(index * 37 % 99) / 10.0)).collect();
    let sampler = NegativeSampler::new(0xDEAD_BEEF_1234_5678);
    let mut fnv = 0xcbf2_9ce4_8422_2325_u64;
    for number in 0..400 {
        let position = Position { row: number / 4, epoch: number / 2 % 2, draw: number % 2 };
        let index = sampler.draw(&long, 0.7, TiePolicy::Keep, position).unwrap();
        fnv = (fnv ^ index as u64).wrapping_mul(0x0000_0100_0000_01b3);
    }
    assert_eq!(fnv, 0xbb30_b1cc_d35d_9e4c);
}

#[test]
fn seed_row_epoch_and_draw_each_matter() {
    let rewards: Vec<f64> = (0..65).map(|index| -f64::from(index)).collect();
    let draws = |seed, place: fn(u32) -> Position| -> Vec<usize> {
        let sampler = NegativeSampler::new(seed);
        (0..16).map(|number| sampler.draw(&rewards, 0.0, TiePolicy::Keep, place(number)).unwrap()).collect()
    };
    let by_row: fn(u32) -> Position = |row| Position { row, epoch: 0, draw: 0 };
    let sequences = [
        draws(1, by_row),
        draws(2, by_row),
        draws(1 << 32, by_row),
        draws(1, |epoch| Position { row: 0, epoch, draw: 0 }),
        draws(1, |draw| Position { row: 0, epoch: 0, draw }),
    ];
    for (index, sequence) in sequences.iter().enumerate() {
        assert!(!sequences[..index].contains(sequence), "sequence {index}");
        assert!(sequence.iter().any(|drawn| drawn != &sequence[0]));
    }
    assert_eq!(sequences[0], draws(1, by_row));
}

#[test]
fn draws_follow_q() {
    let mut generator = Generator::new(21);
    let mut tests = 0;
    for (degrees, quantile) in tolerance::CHI_SQUARE_1E_6 {
        for gamma in [-0.3, 0.0, 0.3] {
            let mut rewards: Vec<f64> = (0..degrees + 2).map(|_| generator.between(-5.0, 5.0)).collect();
            rewards.sort_by(|a, b| b.total_cmp(a));
            let mut log_q = vec![f64::NAN; degrees + 1];
            log_weights(&rewards, gamma, TiePolicy::Keep, &mut log_q).unwrap();
            let sampler = NegativeSampler::new(9);
            let mut counts = vec![0_u32; degrees + 1];
            let draws = 40_000;
            for number in 0..draws {
                counts[sampler.draw(&rewards, gamma, TiePolicy::Keep, row(number)).unwrap() - 1] += 1;
            }
            let statistic: f64 = counts
                .iter()
                .zip(&log_q)
                .map(|(&count, log_q)| {
                    let expected = log_q.exp() * f64::from(draws);
                    (f64::from(count) - expected).powi(2) / expected
                })
                .sum();
            assert!(statistic < quantile, "{degrees} degrees, gamma {gamma}: {statistic}");
            // Too good a fit would mean that the draws are not random.
            assert!(statistic > 0.1 * degrees as f64 / 3.0, "{degrees} degrees, gamma {gamma}: {statistic}");
            tests += 1;
        }
    }
    assert_eq!(tests, 9);
}

#[test]
fn infinite_gamma_draws_evenly_from_the_extreme() {
    let rewards = [9.0, 4.0, -1.0, 4.0, 0.0, -1.0, 4.0];
    let sampler = NegativeSampler::new(3);
    for (gamma, expected) in [(f64::INFINITY, vec![1, 3, 6]), (f64::NEG_INFINITY, vec![2, 5])] {
        let mut counts = [0_u32; 7];
        for number in 0..6000 {
            counts[sampler.draw(&rewards, gamma, TiePolicy::Keep, row(number)).unwrap()] += 1;
        }
        let share = 6000 / expected.len() as u32;
        for (index, &count) in counts.iter().enumerate() {
            if expected.contains(&index) {
                // Five standard deviations of a binomial count of 6000 draws are below 200.
                assert!(count.abs_diff(share) < 200, "{gamma}: {counts:?}");
            } else {
                assert_eq!(count, 0, "{gamma}: {counts:?}");
            }
        }
    }
}

#[test]
fn extreme_rewards_and_gammas() {
    let sampler = NegativeSampler::new(4);
    let draw = |rewards: &[f64], gamma, number| sampler.draw(rewards, gamma, TiePolicy::Keep, row(number)).unwrap();
    let wide = [2e4, 1e4, 0.0, -1e4];
    let edge = [f64::MAX, f64::MAX, 0.0, -f64::MAX];
    for number in 0..200 {
        for gamma in [1e3, 1.0, 1e300] {
            assert_eq!(draw(&wide, gamma, number), 1);
            assert_eq!(draw(&wide, -gamma, number), 3);
            assert_eq!(draw(&edge, gamma, number), 1);
            assert_eq!(draw(&edge, -gamma, number), 3);
        }
    }
    // γ = 0 must not turn an infinite difference of rewards into NaN: all three are drawn.
    for index in 1..4 {
        assert!((0..200).any(|number| draw(&edge, 0.0, number) == index));
        assert!((0..200).any(|number| draw(&edge, -0.0, number) == index));
    }
    let mut log_q = [0.0; 3];
    log_weights(&edge, 0.0, TiePolicy::Keep, &mut log_q).unwrap();
    assert!(log_q.iter().all(|entry| (entry + 3.0_f64.ln()).abs() < tolerance::SAME_F64));
    log_weights(&edge, 1e-3, TiePolicy::Keep, &mut log_q).unwrap();
    assert_eq!(log_q.map(f64::exp), [1.0, 0.0, 0.0]);
}

#[test]
fn the_preferred_response_and_masked_ties_are_never_drawn() {
    let sampler = NegativeSampler::new(5);
    // The preferred response need not have the highest reward.
    let rewards = [1.0, 3.0, 2.0, 3.0, 0.5];
    for number in 0..500 {
        assert_ne!(sampler.draw(&rewards, 0.5, TiePolicy::Keep, row(number)).unwrap(), 0);
        assert!([2, 4].contains(&sampler.draw(&rewards, 0.5, TiePolicy::MaskMax, row(number)).unwrap()));
    }
    assert!(!TiePolicy::Keep.retains(&rewards, 0));
    assert!(TiePolicy::Keep.retains(&rewards, 1) && !TiePolicy::MaskMax.retains(&rewards, 1));
    assert!(!TiePolicy::Keep.retains(&rewards, 5));
}

#[test]
fn f32_and_f64_rewards_of_one_value_draw_alike() {
    let sampler = NegativeSampler::new(6);
    let (narrow, wide) = ([2.0_f32, 1.5, 0.25, -3.75, 1.0], [2.0_f64, 1.5, 0.25, -3.75, 1.0]);
    for number in 0..300 {
        let drawn = sampler.draw(&narrow, 0.4, TiePolicy::Keep, row(number)).unwrap();
        assert_eq!(drawn, sampler.draw(&wide, 0.4, TiePolicy::Keep, row(number)).unwrap());
    }
}

#[test]
fn uniform_draws_at_the_edges() {
    assert_eq!(draw_with_uniform::<f64>(&[], 0.5), None);
    for outside in [f64::NAN, -0.5, 1.0, 2.0] {
        assert_eq!(draw_with_uniform(&[0.5, 0.5], outside), None);
    }
    assert_eq!(draw_with_uniform(&[0.0, 1.0], 0.0), Some(1));
    // Three thirds sum to less than one in f32.
    let almost = [0.333_333_3_f32, 0.333_333_3, 0.333_333_3, 0.0];
    assert_eq!(draw_with_uniform(&almost, 0.999_999_94), Some(2));
}

/// The smallest word must pass over negatives of weight 0. Among 4097 of which only the last has weight, the total is
/// 2^18, so a word below 2^14 aims at 0.
#[test]
fn a_negative_without_weight_is_never_drawn() {
    let mut rewards = vec![0.0; 4098];
    rewards[4097] = 1.0;
    let philox = Philox::new(8);
    let smallest = (0..4_000_000).find(|&row| philox.block([row, 5, 6, NegativeSampler::DOMAIN])[0] < 1 << 14).unwrap();
    let position = Position { row: smallest, epoch: 5, draw: 6 };
    let drawn = NegativeSampler::new(8).draw(&rewards, f64::INFINITY, TiePolicy::Keep, position);
    assert_eq!(drawn, Ok(4097));
}
