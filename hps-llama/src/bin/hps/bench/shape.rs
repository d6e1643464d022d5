//! Named shapes of a model and of what it is measured on.

use clap::ValueEnum;
use hps_llama::Result;
use hps_llama::config::LlamaConfig;

/// A shape by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// 64 features, 2 blocks, a vocabulary of 512: shows that it works.
    Tiny,
    /// 512 features, 1,408 in the feed-forward network, 8 blocks of 8/4 heads, a vocabulary of 32,000.
    D512,
}

impl Shape {
    /// The model's.
    pub fn config(self) -> Result<LlamaConfig> {
        let [features, inner, blocks, heads, keys, vocabulary] = match self {
            Shape::Tiny => [64, 176, 2, 4, 2, 512],
            Shape::D512 => [512, 1408, 8, 8, 4, 32_000],
        };
        let json = serde_json::json!({
            "model_type": "llama", "vocab_size": vocabulary, "hidden_size": features, "intermediate_size": inner,
            "num_hidden_layers": blocks, "num_attention_heads": heads, "num_key_value_heads": keys,
            "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "rope_theta": 500_000.0,
        });
        LlamaConfig::from_json(&json.to_string(), "bench")
    }

    /// Tokens of a pair's prompt and of each of its responses.
    pub fn pair(self) -> (usize, usize) {
        match self {
            Shape::Tiny => (24, 24),
            Shape::D512 => (175, 175),
        }
    }
}
