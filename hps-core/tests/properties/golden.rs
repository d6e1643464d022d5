//! One row, and what losses give for it by their formulas, computed with 50 digits independently of this crate.

use crate::tolerance;
use hps_core::{Contrast, Loss, Pair, Preference, Responses, Reward};

const POLICY: [f64; 5] = [-12.0, -15.0, -11.0, -14.5, -20.0];
const REFERENCE: [f64; 5] = [-13.0, -15.0, -10.0, -16.0, -18.0];
const LENGTHS: [u32; 5] = [4, 5, 4, 6, 10];
const REWARDS: [f64; 5] = [1.0, 0.2, -0.3, 0.7, -2.0];

fn evaluate(loss: Loss) -> (f64, [f64; 5]) {
    let row = Responses::new(&POLICY)
        .and_then(|row| row.with_reference(&REFERENCE)?.with_lengths(&LENGTHS)?.with_rewards(&REWARDS))
        .unwrap();
    let mut scratch = vec![f64::NAN; Loss::scratch_len(5)];
    let mut gradient = [f64::NAN; 5];
    (loss.value_and_gradient(&row, &mut scratch, &mut gradient).unwrap(), gradient)
}

#[track_caller]
fn gives(loss: Loss, value: f64, gradient: [f64; 5]) {
    let (given_value, given) = evaluate(loss);
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
    gives("dpo-top2".parse().unwrap(), 2.864_777_359_221_289, gradient);
}

/// `−ln [Σ_{r > r̄} e^{w+s} / Σ e^{w+s}]`, `w = α |r − r̄|^p`, `r̄ = −0.08`: the first, second and fourth above it.
#[test]
fn two_groups() {
    let gradient = [
        -0.022_217_418_002_587_167,
        -0.009_032_928_077_626_526,
        0.008_156_059_829_186_432,
        -0.017_302_942_538_239_614,
        0.040_397_228_789_266_875,
    ];
    gives("dpo-swepo".parse().unwrap(), 0.664_623_644_476_933_6, gradient);
    let squared = Preference::Contrast(Contrast { alpha: 1.5, power: 2.0 });
    let gradient = [
        -0.058_349_165_494_931_42,
        -0.010_323_729_257_258_78,
        0.000_446_923_548_500_972_6,
        -0.026_561_028_749_999_114,
        0.094_786_999_953_688_35,
    ];
    let loss = Loss::new(Reward::Dpo { beta: 0.1 }, Pair::LOGISTIC, squared).unwrap();
    gives(loss, 3.043_646_756_703_743, gradient);
}

/// `0.1 softplus(o_5 − o_1) − log π_1 / l_1`, `o = x − ln(1 − eˣ)`, `x = log π / l`: what TRL's `ORPOConfig()` trains,
/// of the response's tokens.
#[test]
fn orpo() {
    let gradient = [-0.269_711_342_302_650_7, 0.0, 0.0, 0.0, 0.008_664_617_391_081_393];
    gives("orpo-bt".parse().unwrap(), 3.138_309_506_127_077_5, gradient);
    // 0.1 (ln Σ e^o − o_1) − log π_1 / l_1
    let listwise: Loss = "orpo-top1".parse().unwrap();
    assert!((evaluate(listwise).0 - 3.209_927_244_357_023_6).abs() <= tolerance::SAME_F64);
}

/// `softplus(0.1 (log π_5 − log π_1)) − log π_1 / l_1`: what TRL's `CPOConfig()` trains.
#[test]
fn cpo() {
    let gradient = [-0.281_002_551_887_238_76, 0.0, 0.0, 0.0, 0.031_002_551_887_238_756];
    gives("cpo-bt".parse().unwrap(), 3.371_100_665_947_778, gradient);
}

/// DPO and `−log π_1 / l_1`: TRL's `DPOConfig(rpo_alpha=1)`.
#[test]
fn rpo() {
    let loss = "dpo-bt".parse::<Loss>().unwrap().with_likelihood(1.0).unwrap();
    let gradient = [-0.292_555_748_318_834_1, 0.0, 0.0, 0.0, 0.042_555_748_318_834_1];
    gives(loss, 3.554_355_244_468_527, gradient);
}
