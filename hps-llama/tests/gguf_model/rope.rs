//! Factors of rotary frequencies: Llama 3's scaling is found again.

use super::lines::json;
use super::written::Model;
use hps_llama::Result;
use hps_llama::config::{LlamaConfig, RopeScaling};
use hps_llama::gguf::Value;
use serde_json::json;

/// A tiny model with heads of so many features.
fn model(head_dim: u32, theta: f64) -> Model {
    Model::tiny()
        .with("llama.rope.dimension_count", Value::U32(head_dim))
        .with("llama.attention.key_length", Value::U32(head_dim))
        .with("llama.attention.value_length", Value::U32(head_dim))
        .with("llama.rope.freq_base", Value::F32(theta as f32))
}

fn read(model: &Model) -> Result<LlamaConfig> {
    LlamaConfig::from_folder(model.write().path)
}

/// Each case of `rope.json`: a scaling and the factors that numpy computes for it as llama.cpp's converter does.
#[test]
fn scalings_are_found_of_their_factors() -> Result<()> {
    let cases = json("rope.json");
    let cases = cases.as_array().expect("cases");
    assert_eq!(cases.len(), 10);
    for case in cases {
        let number = |name: &str| case[name].as_f64().expect("a number");
        let (head_dim, theta) = (number("head_dim") as u32, number("theta"));
        let factors: Vec<f32> = serde_json::from_value(case["factors"].clone()).expect("factors");
        let config = read(&model(head_dim, theta).with_rope_factors(&factors))?;
        let mut folder = config.to_json();
        for name in ["rope_scaling", "rope_parameters"] {
            folder[name] = json!({
                "rope_type": "llama3", "rope_theta": theta, "factor": number("factor"),
                "low_freq_factor": number("low"), "high_freq_factor": number("high"),
                "original_max_position_embeddings": number("positions") as u64,
            });
        }
        let folder = LlamaConfig::from_json(&folder.to_string(), "config.json")?;
        let (found, known) = (config.inverse_frequencies(), folder.inverse_frequencies());
        if case["exact"] == true {
            assert_eq!(config.rope, folder.rope, "{case}");
            assert_eq!(found, known, "to the bit");
        }
        for (pair, (found, known)) in found.iter().zip(&known).enumerate() {
            let allowed = 4e-6 * number("factor") as f32;
            assert!((found - known).abs() <= allowed * known, "{pair}: {found} {known} {:?} {case}", config.rope);
        }
    }
    Ok(())
}

#[test]
fn factors_of_one_number_stretch_all_alike() -> Result<()> {
    assert_eq!(read(&model(32, 1e4).with_rope_factors(&[1.0; 16]))?.rope.scaling, RopeScaling::Default);
    let linear = RopeScaling::Linear { factor: 2.5 };
    assert_eq!(read(&model(32, 1e4).with_rope_factors(&[2.5; 16]))?.rope.scaling, linear);
    for key in ["llama.rope.scaling.factor", "llama.rope.scale_linear"] {
        for kind in [None, Some("linear")] {
            let model = model(32, 1e4).with(key, Value::F32(2.5));
            let model = match kind {
                None => model,
                Some(kind) => model.with("llama.rope.scaling.type", Value::String(kind)),
            };
            assert_eq!(read(&model)?.rope.scaling, linear, "{key} {kind:?}");
            assert_eq!(read(&model.with(key, Value::F32(1.0)))?.rope.scaling, RopeScaling::Default);
        }
    }
    Ok(())
}

#[test]
fn other_factors_are_refused() {
    let ramp: Vec<f32> = (0..16).map(|pair| 1.0 + pair as f32).collect();
    let mut nan = vec![1.0; 16];
    nan[3] = f32::NAN;
    let cases: [(Model, &str); 6] = [
        (model(32, 1e4).with_rope_factors(&ramp), "(1 to 16) are not those of Llama 3's scaling"),
        (model(32, 1e4).with_rope_factors(&ramp[..15]), "is f32 of [15] numbers; 16 of f32 are wanted"),
        (model(32, 1e4).with_rope_factors(&nan), "number 3 of tensor `rope_freqs.weight` is NaN"),
        (
            model(32, 1e4).with_rope_factors(&[2.0; 16]).with("llama.rope.scaling.factor", Value::F32(2.0)),
            "stands beside a linear scaling by 2",
        ),
        (
            model(32, 1e4)
                .with("llama.rope.scaling.type", Value::String("yarn"))
                .with("llama.rope.scaling.factor", Value::F32(4.0)),
            "`llama.rope.scaling.type` is \"yarn\"; known here are \"none\" and \"linear\"",
        ),
        (model(32, 1e4).with("llama.rope.scaling.factor", Value::F32(-4.0)), "`llama.rope.scaling.factor` is -4"),
    ];
    for (model, expected) in cases {
        let refusal = model.refusal();
        assert!(refusal.contains(expected), "{refusal}");
    }
}

/// A factor that is changed by more than rounding is not taken for the scaling's.
#[test]
fn a_factor_that_is_a_little_off_is_refused() {
    let cases = json("rope.json");
    let case = &cases[0];
    let factors: Vec<f32> = serde_json::from_value(case["factors"].clone()).expect("factors");
    let between = factors.iter().position(|factor| *factor > 1.5 && *factor < 7.0).expect("one on the ramp");
    let mut changed = factors.clone();
    changed[between] *= 1.001;
    let head_dim = case["head_dim"].as_u64().expect("a number") as u32;
    let refusal = model(head_dim, 5e5).with_rope_factors(&changed).refusal();
    assert!(refusal.contains("are not those of Llama 3's scaling"), "{refusal}");
}
