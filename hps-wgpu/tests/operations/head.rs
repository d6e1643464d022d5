//! The fused head and sampling: tiles of rows as whole; sums over words or rows that are cut within a rounding of each part.

use crate::cuts::Cuts;
use crate::numbers::{array, indices, numbers, weight};
use crate::tolerance;
use hps_wgpu::{Format, Truncation};

const ROWS: usize = 300;
const WORDS: usize = 500;

/// Features of a head that a kernel sees whole, and of one whose rows, words, it sees in parts.
const FEATURES: [usize; 2] = [130, 301];

#[test]
fn log_probs() {
    let Some(cuts) = Cuts::open() else { return };
    for format in [Format::F32, Format::BF16] {
        for features in FEATURES {
            let name = format!("{features} features, {format:?}");
            let mut results = cuts.of(&name, &[], |device| {
                let hidden = array(device, 1, ROWS, features);
                let head = weight(device, 2, WORDS, features, format);
                let targets = device.upload_indices(&indices(3, ROWS, WORDS))?;
                let log_probs = device.log_probs(&hidden, &head, &targets, true)?;
                Ok(vec![log_probs.values, log_probs.unit_gradient.unwrap()])
            });
            if features == FEATURES[1] {
                results.split_off(1).agree_within(&name, tolerance::DEPTH);
            }
            results.agree(&name);
        }
    }
}

#[test]
fn weight_gradient() {
    let Some(cuts) = Cuts::open() else { return };
    for format in [Format::F32, Format::BF16] {
        for features in FEATURES {
            let name = format!("{features} features, {format:?}");
            let results = cuts.of(&name, &["clear"], |device| {
                let hidden = array(device, 4, ROWS, features);
                let head = weight(device, 5, WORDS, features, format);
                let targets = device.upload_indices(&indices(6, ROWS, WORDS))?;
                Ok(vec![device.log_probs_weight_gradient(&hidden, &head, &targets, &array(device, 7, ROWS, 1))?])
            });
            results.agree_within(&name, tolerance::DEPTH);
        }
    }
}

#[test]
fn drawn() {
    let Some(cuts) = Cuts::open() else { return };
    let truncations = [(0.0, 0, 1.0), (1.0, 0, 1.0), (0.7, 40, 1.0), (1.3, 0, 0.9), (0.2, 100, 0.5)];
    for (temperature, top_k, top_p) in truncations {
        let truncation = Truncation { temperature, top_k, top_p };
        let name = format!("{truncation:?}");
        let results = cuts.of(&name, &[], |device| {
            let hidden = array(device, 8, ROWS, FEATURES[1]);
            let head = weight(device, 9, WORDS, FEATURES[1], Format::BF16);
            let uniforms: Vec<f32> = numbers(10, ROWS).into_iter().map(|number| number + 0.5).collect();
            let drawn = device.sample(&hidden, &head, truncation, &device.upload(&uniforms, 1)?)?;
            let tokens: Vec<f32> = drawn.tokens.host().iter().map(|token| *token as f32).collect();
            Ok(vec![device.upload(&tokens, 1)?, drawn.log_probs])
        });
        results.agree(&name);
    }
}
