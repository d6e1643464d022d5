//! What a reward model's `config.json` says beside a Llama's shape: that it classifies sequences, by one label.

use std::path::Path;

use serde_json::{Value, json};

use super::fields::Fields;
use super::{LlamaConfig, read};
use crate::Result;

/// What transformers calls a Llama with a score head.
const ARCHITECTURE: &str = "LlamaForSequenceClassification";
/// What ArmoRM's own code calls a Llama with many objectives and a gate.
const GATED: &str = "LlamaForRewardModelWithGating";
/// Labels of a configuration that does not say how many: transformers' default.
const LABELS: usize = 2;

/// How ArmoRM's head is made; what is not in `config.json` is as in its code.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct GatingConfig {
    /// Numbers a response is rated by.
    pub(crate) num_objectives: usize,
    /// Divides the gate's logits.
    pub(crate) temperature: f64,
    /// Features of the gate's hidden layers.
    pub(crate) hidden_dim: usize,
    /// Hidden layers of the gate.
    pub(crate) n_hidden: usize,
}

impl LlamaConfig {
    /// The gate of a folder whose model is a Llama with one; `None` of another model.
    pub(crate) fn gating(folder: &Path) -> Result<Option<GatingConfig>> {
        let (text, place) = read(folder)?;
        let fields = Fields::parse(&text, &place)?;
        if fields.get("architectures") != Some(&json!([GATED])) {
            return Ok(None);
        }
        Ok(Some(GatingConfig {
            num_objectives: fields.size_or("num_objectives", || Ok(19))?,
            temperature: fields.positive_or_absent("gating_temperature")?.unwrap_or(10.0),
            hidden_dim: fields.size_or("gating_hidden_dim", || Ok(1024))?,
            n_hidden: fields.size_or("gating_n_hidden", || Ok(3))?,
        }))
    }

    /// Refuses a folder whose model is not a Llama with one score.
    pub(crate) fn expect_reward_model(folder: &Path) -> Result<()> {
        let (text, place) = read(folder)?;
        let fields = Fields::parse(&text, &place)?;
        let architectures = fields.get("architectures").cloned().unwrap_or(Value::Null);
        if architectures != json!([ARCHITECTURE]) {
            let message = format!("is {architectures}; a reward model is [\"{ARCHITECTURE}\"]");
            return Err(fields.error_at("architectures", message));
        }
        let names = fields.inner("id2label")?.map(|names| names.len());
        let labels = match names {
            Some(names) => names,
            None => fields.size_or("num_labels", || Ok(LABELS))?,
        };
        match (labels, names) {
            (1, _) => Ok(()),
            (labels, Some(_)) => Err(fields.error_at("id2label", format!("has {labels} labels; a reward is one"))),
            (labels, None) => Err(fields.error_at("num_labels", format!("is {labels}; a reward is one label"))),
        }
    }

    /// Turns a language model's `config.json` into a reward model's.
    pub(crate) fn mark_reward_model(config: &mut Value) {
        config["architectures"] = json!([ARCHITECTURE]);
        config["id2label"] = json!({ "0": "LABEL_0" });
        config["label2id"] = json!({ "LABEL_0": 0 });
    }
}
