//! Any rewards and any `γ`: no panic; what is drawn is a negative of positive weight, and the ways of drawing agree.

use super::bytes::Bytes;
use hps_core::{NegativeSampler, Position, TiePolicy, draw_with_uniform, log_weights};

pub fn run(data: &[u8]) {
    let mut bytes = Bytes(data);
    let gamma = bytes.number();
    let ties = if bytes.byte().is_multiple_of(2) { TiePolicy::Keep } else { TiePolicy::MaskMax };
    let seed = u64::from(bytes.word()) << 32 | u64::from(bytes.word());
    let draw = if bytes.byte() == 255 { u32::MAX - u32::from(bytes.byte()) } else { bytes.word() };
    let position = Position { row: bytes.word(), epoch: u32::from(bytes.byte()), draw };
    let count = bytes.below(24);
    let rewards: Vec<f64> = (0..count).map(|_| bytes.number()).collect();

    let sampler = NegativeSampler::new(seed);
    let mut log_q = vec![0.0; count.saturating_sub(1)];
    let weights = log_weights(&rewards, gamma, ties, &mut log_q);
    let drawn = sampler.draw(&rewards, gamma, ties, position);
    let (Ok(retained), Ok(drawn)) = (weights, drawn) else {
        assert!(weights.is_err() && drawn.is_err(), "{weights:?} {drawn:?}");
        return;
    };
    assert!((1..count).contains(&drawn) && ties.retains(&rewards, drawn));
    // The integers may give a weight of 0 to what floats still give e^-21; never the other way round.
    assert!(log_q[drawn - 1] > f64::NEG_INFINITY, "{drawn} of {log_q:?}");
    let total: f64 = log_q.iter().map(|log_q| log_q.exp()).sum();
    assert!((total - 1.0).abs() < 1e-9, "{total}");
    let probabilities: Vec<f64> = log_q.iter().map(|log_q| log_q.exp()).collect();
    assert!(draw_with_uniform(&probabilities, 0.5).is_some_and(|index| probabilities[index] > 0.0));

    let mut many = [0; 3];
    if sampler.draw_many(&rewards, gamma, ties, position, &mut many).is_ok() {
        assert_eq!(many[0], drawn);
    }
    let mut distinct = vec![0; retained];
    if sampler.draw_distinct(&rewards, gamma, ties, position, &mut distinct).is_ok() {
        assert_eq!(distinct[0], drawn);
        assert!(distinct.iter().all(|&index| ties.retains(&rewards, index)));
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), retained);
    }
    let mut too_many = vec![0; retained + 1];
    assert!(sampler.draw_distinct(&rewards, gamma, ties, position, &mut too_many).is_err());
}
