//! Options of `tokenizer_config.json`: of the right types, and none that changes tokens in a way that is not computed here.

use serde_json::{Value, json};

const FORCED: &str = "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output";

/// Refuses the others; null is as absent, where transformers takes it so.
pub(super) fn refuse_options(config: &Value, file: &Value) -> Result<(), String> {
    let names =
        ["add_bos_token", "add_eos_token", "add_prefix_space", "clean_up_tokenization_spaces", FORCED, "legacy"];
    let wrong = |name: &&str| !matches!(config[*name], Value::Null | Value::Bool(_));
    let split = config.get("split_special_tokens").filter(|value| !value.is_boolean()).map(|_| "split_special_tokens");
    if let Some(name) = names.into_iter().find(wrong).or(split) {
        return Err(format!("`{name}` is {}, neither true nor false", config[name]));
    }
    if config["split_special_tokens"] == json!(true) {
        return Err("`split_special_tokens` is true, so that a template's special tokens would be spelt out".into());
    }
    let cleaned = config["clean_up_tokenization_spaces"] == json!(true);
    if cleaned && (config[FORCED] == json!(true) || file["model"]["type"].as_str().is_some_and(|model| model != "BPE"))
    {
        return Err("`clean_up_tokenization_spaces` is true, so that texts would not be those of their tokens".into());
    }
    Ok(())
}

/// The class that a configuration names, if it does.
pub(super) fn class_of(config: &Value) -> Result<Option<String>, String> {
    match &config["tokenizer_class"] {
        Value::Null => Ok(None),
        Value::String(class) => Ok(Some(class.clone())),
        other => Err(format!("`tokenizer_class` is {other}, not a name")),
    }
}
