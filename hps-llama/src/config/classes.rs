//! What a reward model's `config.json` says beside a Llama's shape: that it classifies sequences, by one label.

use std::path::Path;

use serde_json::{Value, json};

use super::fields::Fields;
use super::{LlamaConfig, read_text};
use crate::Result;

/// What transformers calls a Llama with a score head.
const ARCHITECTURE: &str = "LlamaForSequenceClassification";
/// Labels of a configuration that does not say how many: transformers' default.
const LABELS: u64 = 2;

impl LlamaConfig {
    /// Refuses a folder whose model is not a Llama with one score.
    pub(crate) fn expect_reward_model(folder: &Path) -> Result<()> {
        let path = folder.join("config.json");
        let (text, place) = (read_text(&path)?, path.display().to_string());
        let fields = Fields::parse(&text, &place)?;
        let architectures = fields.get("architectures").cloned().unwrap_or(Value::Null);
        if architectures != json!([ARCHITECTURE]) {
            let message = format!("is {architectures}; a reward model is [\"{ARCHITECTURE}\"]");
            return Err(fields.error_at("architectures", message));
        }
        let names = fields.get("id2label").and_then(Value::as_object).map(|names| names.len() as u64);
        let labels = names.or_else(|| fields.get("num_labels").and_then(Value::as_u64));
        match (labels.unwrap_or(LABELS), names) {
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
