//! Named shapes of a model and of what it is measured on.

use super::machine::available;
use clap::ValueEnum;
use hps_llama::config::LlamaConfig;
use hps_llama::parameter::Parameter;
use hps_llama::train::Bytes;
use hps_llama::{Error, ErrorKind, Result};
use serde_json::json;
use std::fmt;

/// A shape by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// 64 features, 2 blocks, a vocabulary of 512: shows that it works.
    #[value(name = "tiny")]
    Tiny,
    /// 512 features, 1,408 in the feed-forward network, 8 blocks of 8/4 heads, a vocabulary of 32,000.
    #[value(name = "d512")]
    D512,
    /// Llama 3.2 1B's.
    #[value(name = "llama3.2-1b")]
    Llama32OneB,
    /// Llama 3 8B's.
    #[value(name = "llama3-8b")]
    Llama3EightB,
}

impl Shape {
    /// The model's.
    pub fn config(self) -> Result<LlamaConfig> {
        let [features, inner, blocks, heads, keys, vocabulary] = match self {
            Shape::Tiny => [64, 176, 2, 4, 2, 512],
            Shape::D512 => [512, 1408, 8, 8, 4, 32_000],
            Shape::Llama32OneB => [2048, 8192, 16, 32, 8, 128_256],
            Shape::Llama3EightB => [4096, 14_336, 32, 32, 8, 128_256],
        };
        let json = json!({
            "model_type": "llama", "vocab_size": vocabulary, "hidden_size": features, "intermediate_size": inner,
            "num_hidden_layers": blocks, "num_attention_heads": heads, "num_key_value_heads": keys,
            "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "rope_theta": 500_000.0,
            "tie_word_embeddings": self == Shape::Llama32OneB,
        });
        LlamaConfig::from_json(&json.to_string(), "bench")
    }

    /// Tokens of a pair's prompt and of each of its responses.
    pub fn pair(self) -> (usize, usize) {
        match self {
            Shape::Tiny => (24, 24),
            Shape::D512 => (175, 175),
            Shape::Llama32OneB | Shape::Llama3EightB => (1024, 1024),
        }
    }

    /// Refuses a model whose weights in f32 are more than the machine has free.
    pub fn check_memory(self) -> Result<()> {
        let config = self.config()?;
        let size = |parameter: &Parameter| {
            let (rows, columns) = parameter.shape(&config, 0);
            (rows * columns * size_of::<f32>()) as u64
        };
        let needed: u64 = Parameter::of_model(&config).iter().map(size).sum();
        match available() {
            Some(free) if free < needed => {
                let message = format!(
                    "the weights of `{self}` take {} in f32, but {} of memory are free",
                    Bytes(needed),
                    Bytes(free)
                );
                Err(Error::new(ErrorKind::Option, message))
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_possible_value() {
            Some(value) => out.write_str(value.get_name()),
            None => out.write_str("unnamed"),
        }
    }
}
