//! One row, and what losses give for it by their formulas, computed with 50 digits independently of this crate.

use crate::tolerance;
use hps_core::{Loss, Responses};

const POLICY: [f64; 5] = [-12.0, -15.0, -11.0, -14.5, -20.0];
const REFERENCE: [f64; 5] = [-13.0, -15.0, -10.0, -16.0, -18.0];
const LENGTHS: [u32; 5] = [4, 5, 4, 6, 10];
const REWARDS: [f64; 5] = [1.0, 0.2, -0.3, 0.7, -2.0];

#[track_caller]
fn gives(loss: Loss, value: f64, gradient: [f64; 5]) {
    let row = Responses::new(&POLICY, &REFERENCE, &LENGTHS, &REWARDS).unwrap();
    let mut scratch = vec![f64::NAN; loss.scratch_len(5)];
    let mut given = [f64::NAN; 5];
    let given_value = loss.value_and_gradient(&row, &mut scratch, &mut given).unwrap();
    for (given, expected) in given.iter().chain([&given_value]).zip(gradient.iter().chain([&value])) {
        assert!((given - expected).abs() <= tolerance::SAME_F64, "{loss}: {given}, expected {expected}");
    }
}

/// `Σ_{j≤2} [ln Σ_{k≥j} e^{s_k} − s_j]`, `s = 0.1 (log π − log π_ref)`.
#[test]
fn two_choices() {
    let gradient = [
        -0.077_854_830_606_187_45,
        -0.054_224_862_276_155_05,
        0.041_419_057_428_284_32,
        0.053_183_122_473_166_27,
        0.037_477_512_980_891_915,
    ];
    gives("dpo-top2".parse().unwrap(), 2.864_777_359_221_288_7, gradient);
}
