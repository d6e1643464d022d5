//! Any bytes as a model's `config.json` and as a run's TOML: no panic; a model that is accepted has a sound shape and
//! keeps it when it is written and read again.

use hps_llama::config::LlamaConfig;
use hps_llama::train::options::TrainOptions;

pub fn run(data: &[u8]) {
    let (model, options) = super::halves(data);
    if let Ok(text) = std::str::from_utf8(model)
        && let Ok(config) = LlamaConfig::from_json(text, "config.json")
    {
        assert!(config.num_key_value_heads > 0 && config.num_attention_heads % config.num_key_value_heads == 0);
        assert!(config.hidden_size > 0 && config.vocab_size > 0 && config.head_dim > 0);
        let written = config.to_json().to_string();
        let again = LlamaConfig::from_json(&written, "config.json").expect("what was written is read");
        assert_eq!(again.to_json(), config.to_json());
        if config.head_dim < 4096 {
            assert!(config.inverse_frequencies().iter().all(|frequency| frequency.is_finite()));
        }
    }
    let (_folder, path) = super::file("train.toml", options);
    match TrainOptions::read(Some(&path), &[]) {
        Ok(options) => {
            if let Ok(config) = options.config() {
                assert!(config.learning_rate > 0.0 && config.num_train_epochs > 0);
            }
        }
        Err(error) => assert!(error.to_string().contains("train.toml"), "{error}"),
    }
}
