//! A small model in ArmoRM's form, of random weights in its exact tensor names.

use crate::data;
use hps_core::Philox;
use hps_llama::backend::Precision;
use hps_llama::weights::{OwnedTensor, write_safetensors};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

pub const HIDDEN: usize = 32;
pub const LAYERS: usize = 2;
pub const HEADS: usize = 4;
pub const KEY_VALUE_HEADS: usize = 2;
pub const HEAD: usize = 8;
pub const FEED_FORWARD: usize = 48;
pub const VOCABULARY: usize = 1024;
pub const OBJECTIVES: usize = 19;
pub const GATE: usize = 24;
pub const GATE_LAYERS: usize = 3;

/// Numbers by tensor name, row-major.
pub type Numbers = BTreeMap<String, Vec<f32>>;

pub struct Folder {
    folder: TempDir,
    pub numbers: Numbers,
}

impl Folder {
    pub fn new() -> Folder {
        let folder = Folder { folder: TempDir::new().expect("a folder"), numbers: numbers() };
        for name in ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"] {
            std::fs::copy(data("models/tiny-reward").join(name), folder.path().join(name)).expect("copied");
        }
        folder.configure(|_| ());
        folder.write(|_| true);
        folder
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes `config.json`.
    pub fn configure(&self, edit: impl FnOnce(&mut Value)) -> PathBuf {
        let mut config = json!({
            "architectures": ["LlamaForRewardModelWithGating"],
            "auto_map": {"AutoModelForSequenceClassification": "modeling_custom.LlamaForRewardModelWithGating"},
            "model_type": "llama", "hidden_act": "silu", "vocab_size": VOCABULARY, "hidden_size": HIDDEN,
            "intermediate_size": FEED_FORWARD, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
            "num_key_value_heads": KEY_VALUE_HEADS, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
            "max_position_embeddings": 512, "bos_token_id": 1018, "eos_token_id": 1022, "pad_token_id": 1023,
            "gating_hidden_dim": GATE, "id2label": {"0": "LABEL_0"},
        });
        edit(&mut config);
        let path = self.path().join("config.json");
        std::fs::write(&path, config.to_string()).expect("a file");
        path
    }

    /// Writes the tensors whose names `kept` keeps.
    pub fn write(&self, kept: impl Fn(&str) -> bool) -> PathBuf {
        let tensors: Vec<OwnedTensor> = shapes()
            .into_iter()
            .filter(|(name, _)| kept(name))
            .map(|(name, shape)| OwnedTensor { data: self.numbers[&name].clone(), name, shape })
            .collect();
        let path = self.path().join("model.safetensors");
        write_safetensors(&path, &tensors, Precision::F32).expect("a file");
        path
    }
}

fn shapes() -> Vec<(String, Vec<usize>)> {
    let mut shapes = vec![
        ("model.embed_tokens.weight".to_string(), vec![VOCABULARY, HIDDEN]),
        ("model.norm.weight".to_string(), vec![HIDDEN]),
        ("regression_layer.weight".to_string(), vec![OBJECTIVES, HIDDEN]),
        ("reward_transform_matrix".to_string(), vec![OBJECTIVES, OBJECTIVES]),
        ("gating.logit_scale".to_string(), vec![1]),
    ];
    for layer in 0..=GATE_LAYERS {
        let columns = if layer == 0 { HIDDEN } else { GATE };
        let rows = if layer == GATE_LAYERS { OBJECTIVES } else { GATE };
        shapes.push((format!("gating.layers.{layer}.weight"), vec![rows, columns]));
        shapes.push((format!("gating.layers.{layer}.bias"), vec![rows]));
    }
    let (query, key) = (HEADS * HEAD, KEY_VALUE_HEADS * HEAD);
    for layer in 0..LAYERS {
        let weights = [
            ("self_attn.q_proj", vec![query, HIDDEN]),
            ("self_attn.k_proj", vec![key, HIDDEN]),
            ("self_attn.v_proj", vec![key, HIDDEN]),
            ("self_attn.o_proj", vec![HIDDEN, query]),
            ("mlp.gate_proj", vec![FEED_FORWARD, HIDDEN]),
            ("mlp.up_proj", vec![FEED_FORWARD, HIDDEN]),
            ("mlp.down_proj", vec![HIDDEN, FEED_FORWARD]),
            ("input_layernorm", vec![HIDDEN]),
            ("post_attention_layernorm", vec![HIDDEN]),
        ];
        shapes.extend(weights.map(|(name, shape)| (format!("model.layers.{layer}.{name}.weight"), shape)));
    }
    shapes
}

/// Uniform numbers of a variance that keeps activations near 1; gains near 1, the transform near the identity less
/// something of each objective, gate logits so large that the shares differ after the temperature of 10.
fn numbers() -> Numbers {
    let philox = Philox::new(7);
    let tensor = |(place, (name, shape)): (u32, (String, Vec<usize>))| {
        let columns = shape[shape.len() - 1];
        let number = |index: usize| {
            let uniform = f64::from(philox.block([index as u32, place, 0, 0])[0]) / 2_147_483_648.0 - 1.0;
            let number = match name.as_str() {
                "gating.logit_scale" => 0.7,
                "reward_transform_matrix" => f64::from(u8::from(index / columns == index % columns)) + 0.1 * uniform,
                name if name.ends_with("norm.weight") => 1.0 + 0.2 * uniform,
                "model.embed_tokens.weight" => uniform,
                "gating.layers.3.weight" => 20.0 * uniform / (columns as f64).sqrt(),
                _ => 1.7 * uniform / (columns as f64).sqrt(),
            };
            number as f32
        };
        let numbers = (0..shape.iter().product()).map(number).collect();
        (name, numbers)
    };
    (0..).zip(shapes()).map(tensor).collect()
}
