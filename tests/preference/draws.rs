//! The device draws what hps-core draws.

use crate::kernels::{Kernels, Kind};
use crate::lists::Lists;
use hps_core::{NegativeSampler, Position, TiePolicy};

const SEED: u64 = 20_250_601 + (7 << 32);

/// Responses, prompts, draws of each, `γ`, ties: 10⁷ draws in all.
const DRAWS: [(usize, usize, usize, f64, TiePolicy); 8] = [
    (2, 500_000, 1, 0.0, TiePolicy::Keep),
    (4, 1_000_000, 3, 0.7, TiePolicy::Keep),
    (7, 500_001, 3, -2.0, TiePolicy::MaskMax),
    (8, 249_999, 8, f64::INFINITY, TiePolicy::Keep),
    (33, 100_000, 10, 0.3, TiePolicy::MaskMax),
    (65, 20_005, 50, 0.0, TiePolicy::Keep),
    (257, 2_000, 250, f64::NEG_INFINITY, TiePolicy::Keep),
    (1000, 500, 1000, 1.5, TiePolicy::Keep),
];

pub fn ten_million_draws(device: &impl Kernels) {
    let mut drawn = 0;
    for (responses, prompts, draws, gamma, ties) in DRAWS {
        drawn += draw_and_compare(device, responses, prompts, draws, gamma, ties);
    }
    assert!(drawn >= 10_000_000, "{drawn}");
}

pub fn draw_and_compare<K: Kernels>(
    device: &K,
    responses: usize,
    prompts: usize,
    draws: usize,
    gamma: f64,
    ties: TiePolicy,
) -> usize {
    let rewards = Lists::rewards(responses as u64, prompts, responses);
    // Lines of a file of which some were dropped.
    let rows: Vec<u32> = (0..prompts as u32).map(|prompt| prompt * 3 + 1).collect();
    let first = Position { row: 0, epoch: 2, draw: 5 };
    let on_device = device.draws(responses, &rewards, gamma, ties).unwrap();
    let drawn = K::draw(&on_device, SEED, &rows, first, draws).unwrap();
    assert_eq!(drawn.len(), prompts * draws);
    let sampler = NegativeSampler::new(SEED);
    let mut expected = vec![0; draws];
    for (prompt, drawn) in drawn.chunks_exact(draws).enumerate() {
        let position = Position { row: rows[prompt], ..first };
        let rewards = &rewards[prompt * responses..(prompt + 1) * responses];
        sampler.draw_many(rewards, gamma, ties, position, &mut expected).unwrap();
        assert_eq!(drawn, expected, "row {} of {responses} responses", rows[prompt]);
    }
    drawn.len()
}

/// Rewards as far apart as f64 goes, and weights of 0 in front and behind.
pub fn extreme_rewards<K: Kernels>(device: &K) {
    let rewards = [9.0, -1e308, 1e308, 3.0, 1e308, 2.0, 0.0, 1.0, 1.0 + 1e-12, 1.0, -1e9, -1e9];
    for gamma in [-1e300, -1.0, 0.0, 1e-300, 1.0, 1e300, f64::INFINITY, f64::NEG_INFINITY] {
        let on_device = device.draws(6, &rewards, gamma, TiePolicy::Keep).unwrap();
        let drawn = K::draw(&on_device, 3, &[7, u32::MAX], Position::default(), 100).unwrap();
        for (prompt, row) in [7, u32::MAX].into_iter().enumerate() {
            let mut expected = [0; 100];
            let position = Position { row, epoch: 0, draw: 0 };
            let rewards = &rewards[6 * prompt..6 * prompt + 6];
            NegativeSampler::new(3).draw_many(rewards, gamma, TiePolicy::Keep, position, &mut expected).unwrap();
            assert_eq!(drawn[100 * prompt..100 * (prompt + 1)], expected, "gamma {gamma}");
        }
    }
}

/// More draws of one prompt than a dispatch makes, and a whole block for many draws or for many responses.
pub fn many_draws_of_few_prompts(device: &impl Kernels) {
    draw_and_compare(device, 3, 2, 100_000, 0.5, TiePolicy::Keep);
    draw_and_compare(device, 100_000, 2, 5, 0.01, TiePolicy::Keep);
}

pub fn draws_that_cannot_be_made_are_refused<K: Kernels>(device: &K) {
    use hps_core::ErrorKind::{NoNegatives, NonFinite, TooFewResponses};
    for (responses, rewards, ties, kind) in [
        (3, [1.0, 0.0].as_slice(), TiePolicy::Keep, Kind::Shape),
        (2, &[1.0, 1.0], TiePolicy::MaskMax, Kind::Preference(NoNegatives)),
        (2, &[1.0, f64::NAN], TiePolicy::Keep, Kind::Preference(NonFinite)),
        (1, &[1.0], TiePolicy::Keep, Kind::Preference(TooFewResponses)),
    ] {
        assert_eq!(device.draws(responses, rewards, 1.0, ties).unwrap_err().kind, kind);
    }

    let draws = device.draws(2, &[1.0, 0.0], 1.0, TiePolicy::Keep).unwrap();
    let last = Position { row: 0, epoch: 0, draw: u32::MAX };
    assert_eq!(K::draw(&draws, 1, &[0, 1], last, 1).unwrap_err().kind, Kind::Shape);
    assert_eq!(K::draw(&draws, 1, &[0], last, 2).unwrap_err().kind, Kind::Shape);
    assert_eq!(K::draw(&draws, 1, &[0], last, 1).unwrap(), [1]);
    assert!(K::draw(&draws, 1, &[0], last, 0).unwrap().is_empty());
}
