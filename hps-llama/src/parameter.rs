//! The names of a Llama's weights.

use crate::config::LlamaConfig;
use std::fmt;

/// One of a block's seven linear projections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Projection {
    /// Queries of attention.
    Q,
    /// Keys of attention.
    K,
    /// Values of attention.
    V,
    /// Output of attention.
    O,
    /// Gate of the feed-forward network.
    Gate,
    /// Up projection of the feed-forward network.
    Up,
    /// Down projection of the feed-forward network.
    Down,
}

impl Projection {
    /// All seven, in the order of computation.
    pub const ALL: [Projection; 7] = [
        Projection::Q,
        Projection::K,
        Projection::V,
        Projection::O,
        Projection::Gate,
        Projection::Up,
        Projection::Down,
    ];

    /// Its name in `target_modules`: `q_proj`, …
    pub fn name(self) -> &'static str {
        match self {
            Projection::Q => "q_proj",
            Projection::K => "k_proj",
            Projection::V => "v_proj",
            Projection::O => "o_proj",
            Projection::Gate => "gate_proj",
            Projection::Up => "up_proj",
            Projection::Down => "down_proj",
        }
    }

    /// The projection of that name.
    pub fn from_name(name: &str) -> Option<Projection> {
        Self::ALL.into_iter().find(|projection| projection.name() == name)
    }

    /// `(out, in)` features.
    pub fn shape(self, config: &LlamaConfig) -> (usize, usize) {
        let query = config.num_attention_heads * config.head_dim;
        let key_value = config.num_key_value_heads * config.head_dim;
        match self {
            Projection::Q => (query, config.hidden_size),
            Projection::K | Projection::V => (key_value, config.hidden_size),
            Projection::O => (config.hidden_size, query),
            Projection::Gate | Projection::Up => (config.intermediate_size, config.hidden_size),
            Projection::Down => (config.hidden_size, config.intermediate_size),
        }
    }

    /// Its module in a block of transformers' model: `model.layers.0.self_attn.q_proj`.
    pub(crate) fn path(self, block: usize) -> String {
        format!("model.layers.{block}.{}.{}", self.module(), self.name())
    }

    fn module(self) -> &'static str {
        match self {
            Projection::Q | Projection::K | Projection::V | Projection::O => "self_attn",
            Projection::Gate | Projection::Up | Projection::Down => "mlp",
        }
    }
}

/// A weight of the model or of its adapter. `Display` is the name in Hugging Face's (or PEFT's) files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Parameter {
    /// The token embedding; also the head where the two are tied.
    Embedding,
    /// Gain of the norm before attention of a block.
    InputNorm(usize),
    /// Gain of the norm before the feed-forward network of a block.
    PostAttentionNorm(usize),
    /// A projection of a block.
    Weight(usize, Projection),
    /// LoRA's down matrix `A`, `[r, in]`, of a block's projection.
    LoraA(usize, Projection),
    /// LoRA's up matrix `B`, `[out, r]`, of a block's projection.
    LoraB(usize, Projection),
    /// Gain of the last norm.
    FinalNorm,
    /// The language-model head.
    Head,
    /// A reward model's head, one row, in the language-model head's place.
    Score,
    /// The same where an adapter is trained beside it: PEFT's `modules_to_save`.
    AdaptedScore,
}

impl Parameter {
    /// Every weight of a model, its head last and only where it is untied.
    pub fn of_model(config: &LlamaConfig) -> Vec<Parameter> {
        let mut parameters = vec![Parameter::Embedding];
        for block in 0..config.num_hidden_layers {
            parameters.push(Parameter::InputNorm(block));
            parameters.extend(Projection::ALL.map(|projection| Parameter::Weight(block, projection)));
            parameters.push(Parameter::PostAttentionNorm(block));
        }
        parameters.push(Parameter::FinalNorm);
        if !config.tie_word_embeddings {
            parameters.push(Parameter::Head);
        }
        parameters
    }

    /// Every weight of a reward model: its score head in the language-model head's place.
    pub fn of_reward_model(config: &LlamaConfig) -> Vec<Parameter> {
        let mut parameters = Self::of_trunk(config);
        parameters.push(Parameter::Score);
        parameters
    }

    /// Every weight of a model without its head.
    pub fn of_trunk(config: &LlamaConfig) -> Vec<Parameter> {
        let mut parameters = Self::of_model(config);
        parameters.retain(|parameter| *parameter != Parameter::Head);
        parameters
    }

    /// `(rows, columns)`; gains are one row. `r` is the adapter's rank, read for its matrices only.
    pub fn shape(self, config: &LlamaConfig, r: usize) -> (usize, usize) {
        match self {
            Parameter::Embedding | Parameter::Head => (config.vocab_size, config.hidden_size),
            Parameter::InputNorm(_) | Parameter::PostAttentionNorm(_) | Parameter::FinalNorm => (1, config.hidden_size),
            Parameter::Score | Parameter::AdaptedScore => (1, config.hidden_size),
            Parameter::Weight(_, projection) => projection.shape(config),
            Parameter::LoraA(_, projection) => (r, projection.shape(config).1),
            Parameter::LoraB(_, projection) => (projection.shape(config).0, r),
        }
    }

    /// Whether it is a norm's gain, a vector in the files.
    pub fn is_gain(self) -> bool {
        matches!(self, Parameter::InputNorm(_) | Parameter::PostAttentionNorm(_) | Parameter::FinalNorm)
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lora = |out: &mut fmt::Formatter<'_>, block: usize, projection: Projection, matrix: &str| {
            write!(out, "base_model.model.{}.lora_{matrix}.weight", projection.path(block))
        };
        match *self {
            Parameter::Embedding => out.write_str("model.embed_tokens.weight"),
            Parameter::InputNorm(block) => write!(out, "model.layers.{block}.input_layernorm.weight"),
            Parameter::PostAttentionNorm(block) => {
                write!(out, "model.layers.{block}.post_attention_layernorm.weight")
            }
            Parameter::Weight(block, projection) => write!(out, "{}.weight", projection.path(block)),
            Parameter::LoraA(block, projection) => lora(out, block, projection, "A"),
            Parameter::LoraB(block, projection) => lora(out, block, projection, "B"),
            Parameter::FinalNorm => out.write_str("model.norm.weight"),
            Parameter::Head => out.write_str("lm_head.weight"),
            Parameter::Score => out.write_str("score.weight"),
            Parameter::AdaptedScore => out.write_str("base_model.model.score.weight"),
        }
    }
}
