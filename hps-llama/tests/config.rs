//! `config.json`: both spellings, the rotary frequencies, and everything refused.

use std::path::Path;

use hps_llama::ErrorKind;
use hps_llama::config::{LlamaConfig, Rope, RopeScaling};
use hps_llama::parameter::Parameter;
use serde_json::{Value, json};

const MODELS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/models");

/// f32 steps against f64: a power, a division, a ramp of four operations; each half an ulp, and powf about one.
const FREQUENCY_RELATIVE: f64 = 1e-6;

fn llama_3_1() -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"], "attention_bias": false, "bos_token_id": 128000,
        "eos_token_id": [128001, 128008, 128009], "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 14336,
        "max_position_embeddings": 131072, "mlp_bias": false, "model_type": "llama", "num_attention_heads": 32,
        "num_hidden_layers": 32, "num_key_value_heads": 8, "pretraining_tp": 1, "rms_norm_eps": 1e-5,
        "rope_scaling": {
            "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192, "rope_type": "llama3"
        },
        "rope_theta": 500000.0, "tie_word_embeddings": false, "torch_dtype": "bfloat16", "vocab_size": 128256
    })
}

fn with(changes: Value) -> Value {
    let mut config = llama_3_1();
    for (name, value) in changes.as_object().unwrap() {
        config[name] = value.clone();
    }
    config
}

fn read(config: &Value) -> hps_llama::Result<LlamaConfig> {
    LlamaConfig::from_json(&config.to_string(), "config.json")
}

fn refusal(changes: Value) -> String {
    let error = read(&with(changes)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(error.place(), Some("config.json"));
    error.to_string().strip_prefix("config.json: ").unwrap().to_owned()
}

fn without(name: &str) -> hps_llama::Result<LlamaConfig> {
    let mut config = llama_3_1();
    config.as_object_mut().unwrap().remove(name);
    read(&config)
}

/// The same formula in f64, written apart.
fn frequencies_f64(config: &LlamaConfig) -> Vec<f64> {
    let plain = (0..config.head_dim / 2).map(|i| config.rope.theta.powf(-((2 * i) as f64) / config.head_dim as f64));
    plain
        .map(|w| match config.rope.scaling {
            RopeScaling::Linear { factor } => w / factor,
            RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_position_embeddings } => {
                let turns = original_max_position_embeddings as f64 * w / (2.0 * std::f64::consts::PI);
                if turns < low_freq_factor {
                    w / factor
                } else if turns > high_freq_factor {
                    w
                } else {
                    let smooth = (turns - low_freq_factor) / (high_freq_factor - low_freq_factor);
                    w * ((1.0 - smooth) / factor + smooth)
                }
            }
            _ => w,
        })
        .collect()
}

fn check_frequencies(config: &LlamaConfig) {
    let (found, expected) = (config.inverse_frequencies(), frequencies_f64(config));
    assert_eq!(found.len(), config.head_dim / 2);
    for (found, expected) in found.iter().zip(expected) {
        assert!((f64::from(*found) / expected - 1.0).abs() < FREQUENCY_RELATIVE, "{found} is not {expected}");
    }
}

#[test]
fn old_spelling() {
    let config = read(&llama_3_1()).unwrap();
    assert_eq!((config.head_dim, config.num_key_value_heads, config.vocab_size), (128, 8, 128256));
    assert_eq!((config.bos_token_id, config.pad_token_id), (Some(128000), None));
    assert_eq!(config.eos_token_ids, [128001, 128008, 128009]);
    assert_eq!(config.rms_norm_eps, 1e-5);
    let scaling = RopeScaling::Llama3 {
        factor: 8.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_position_embeddings: 8192,
    };
    assert_eq!(config.rope.scaling, scaling);
    check_frequencies(&config);
    // θ = 5e5, d = 128: the first frequency is 1, the last 5e5^(-126/128) / 8 = 3.068…e-7.
    let frequencies = config.inverse_frequencies();
    assert_eq!(frequencies[0], 1.0);
    assert!((frequencies[63] / 3.068_926e-7 - 1.0).abs() < 1e-5, "{}", frequencies[63]);
}

#[test]
fn new_spelling_and_defaults() {
    let parameters = json!({"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 1e4}});
    let mut config = with(parameters);
    for old in ["rope_scaling", "rope_theta", "num_key_value_heads"] {
        config.as_object_mut().unwrap().remove(old);
    }
    let config = read(&config).unwrap();
    assert_eq!((config.rope.theta, config.rope.scaling), (1e4, RopeScaling::Linear { factor: 4.0 }));
    assert_eq!(config.num_key_value_heads, 32);
    check_frequencies(&config);

    let config = read(&with(json!({"rope_scaling": null, "head_dim": 64, "eos_token_id": 7}))).unwrap();
    assert_eq!((config.head_dim, config.rope.theta, config.rope.scaling), (64, 5e5, RopeScaling::Default));
    assert_eq!(config.eos_token_ids, [7]);
    check_frequencies(&config);

    let config = read(&with(json!({"rope_scaling": {"type": "linear", "factor": 2}, "eos_token_id": null}))).unwrap();
    assert_eq!(config.rope.scaling, RopeScaling::Linear { factor: 2.0 });
    assert!(config.eos_token_ids.is_empty());

    let config = read(&with(json!({"rope_theta": null, "rope_scaling": null}))).unwrap();
    assert_eq!(config.rope.theta, 10_000.0);
}

#[test]
fn folders() {
    for name in ["tiny", "tiny-tied-scaled", "tiny-reward"] {
        let config = LlamaConfig::from_folder(Path::new(MODELS).join(name)).unwrap();
        assert_eq!((config.vocab_size, config.hidden_size, config.num_hidden_layers), (1024, 64, 3));
        assert_eq!(config.tie_word_embeddings, name == "tiny-tied-scaled");
        assert_eq!((config.bos_token_id, config.pad_token_id), (Some(1018), Some(1023)));
        assert_eq!(config.eos_token_ids, [1022]);
        check_frequencies(&config);
        let again = LlamaConfig::from_json(&config.to_json().to_string(), "config.json").unwrap();
        assert_eq!(again, config);
    }
}

#[test]
fn generation_config_adds_end_tokens() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.json"), with(json!({"eos_token_id": 128009})).to_string()).unwrap();
    std::fs::write(folder.path().join("generation_config.json"), r#"{"eos_token_id": [128001, 128009]}"#).unwrap();
    assert_eq!(LlamaConfig::from_folder(&folder).unwrap().eos_token_ids, [128009, 128001]);
    let place = folder.path().join("generation_config.json");
    std::fs::write(&place, r#"{"eos_token_id": "x"}"#).unwrap();
    let message = LlamaConfig::from_folder(&folder).unwrap_err().to_string();
    let expected = format!("{}: `eos_token_id` is \"x\", not a token of a vocabulary of 128256", place.display());
    assert_eq!(message, expected);
}

#[test]
fn written_for_both_transformers() {
    let config = read(&llama_3_1()).unwrap();
    let json = config.to_json();
    assert_eq!(json["rope_scaling"], llama_3_1()["rope_scaling"]);
    assert_eq!((&json["rope_theta"], &json["rope_parameters"]["rope_theta"]), (&json!(5e5), &json!(5e5)));
    assert_eq!(json["architectures"], json!(["LlamaForCausalLM"]));
    assert_eq!(json["eos_token_id"], json!([128001, 128008, 128009]));
    assert_eq!(read(&json).unwrap(), config);

    let linear = read(&with(json!({"rope_scaling": {"type": "linear", "factor": 2}}))).unwrap();
    assert_eq!(read(&linear.to_json()).unwrap(), linear);
    let plain = read(&with(json!({"rope_scaling": null, "eos_token_id": 3}))).unwrap();
    assert_eq!(plain.to_json()["rope_scaling"], Value::Null);
    assert_eq!(plain.to_json()["eos_token_id"], json!(3));
    let Rope { theta, .. } = read(&plain.to_json()).unwrap().rope;
    assert_eq!(theta, 5e5);
}

#[test]
fn refusals() {
    let known = "known here are \"default\", \"linear\" and \"llama3\"";
    for (changes, expected) in [
        (
            json!({"rope_scaling": {"type": "yarn", "factor": 4.0}}),
            format!("`rope_scaling.rope_type` is \"yarn\"; {known}"),
        ),
        (
            json!({"rope_scaling": {"rope_type": "dynamic"}}),
            format!("`rope_scaling.rope_type` is \"dynamic\"; {known}"),
        ),
    ] {
        assert_eq!(refusal(changes), expected);
    }
    for (changes, expected) in [
        (json!({"attention_bias": true}), "`attention_bias` is true; biases are not computed here"),
        (json!({"mlp_bias": true}), "`mlp_bias` is true; biases are not computed here"),
        (json!({"hidden_act": "gelu"}), "`hidden_act` is \"gelu\"; known here is \"silu\""),
        (json!({"model_type": "mistral"}), "`model_type` is \"mistral\"; known here is \"llama\""),
        (json!({"num_key_value_heads": 5}), "`num_attention_heads` 32 is not a multiple of `num_key_value_heads` 5"),
        (
            json!({"num_attention_heads": 24, "num_key_value_heads": 8}),
            "`hidden_size` 4096 is not a multiple of `num_attention_heads` 24, and there is no `head_dim`",
        ),
        (json!({"head_dim": 127}), "`head_dim` 127 is odd, and rotation needs pairs"),
        (json!({"hidden_size": 0}), "`hidden_size` is 0, not a positive whole number"),
        (json!({"vocab_size": -4}), "`vocab_size` is -4, not a positive whole number"),
        (json!({"intermediate_size": 1.5}), "`intermediate_size` is 1.5, not a positive whole number"),
        (json!({"rms_norm_eps": "small"}), "`rms_norm_eps` is \"small\", not a positive number"),
        (json!({"rope_theta": 0}), "`rope_theta` is 0, not a positive number"),
        (json!({"rope_scaling": {"type": "linear"}}), "`rope_scaling.factor` is missing"),
        (
            json!({"rope_scaling": {"type": "linear", "rope_type": "llama3", "factor": 1}}),
            "`rope_scaling.rope_type` is \"llama3\" but `type` is \"linear\"",
        ),
        (
            json!({"rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4,
                "original_max_position_embeddings": 8192}}),
            "`rope_scaling.low_freq_factor` is 4, not less than `high_freq_factor` 4",
        ),
        (
            json!({"rope_parameters": {"rope_type": "default", "rope_theta": 1e4}, "rope_scaling": null}),
            "`rope_theta` is 500000 but `rope_parameters.rope_theta` is 10000",
        ),
        (json!({"rope_parameters": {"rope_type": "default"}}), "`rope_scaling` and `rope_parameters` disagree"),
        (json!({"rope_scaling": "linear"}), "`rope_scaling` is \"linear\", not an object"),
        (
            json!({"sliding_window": 4096}),
            "`sliding_window` is 4096; it would change the numbers and is not computed here",
        ),
        (
            json!({"quantization_config": {}}),
            "`quantization_config.quant_method` is missing; bitsandbytes' 4 bits are read (`load_in_4bit`), and GGUF files",
        ),
        (
            json!({"quantization_config": {"quant_method": "gptq", "bits": 4}}),
            "`quantization_config.quant_method` is \"gptq\"; bitsandbytes' 4 bits are read (`load_in_4bit`), and GGUF files",
        ),
        (
            json!({"quantization_config": {"quant_method": "awq"}}),
            "`quantization_config.quant_method` is \"awq\"; bitsandbytes' 4 bits are read (`load_in_4bit`), and GGUF files",
        ),
        (
            json!({"quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": true}}),
            "`quantization_config.load_in_8bit` is true: LLM.int8() computes in whole numbers, which is not done here; \
             bitsandbytes' 4 bits are read (`load_in_4bit`), and GGUF files",
        ),
        (json!({"partial_rotary_factor": 0.5}), "`partial_rotary_factor` is 0.5; only whole heads are rotated here"),
        (
            json!({"layer_types": ["full_attention", "sliding_attention"]}),
            "`layer_types[1]` is \"sliding_attention\"; known here is \"full_attention\"",
        ),
        (json!({"tie_word_embeddings": 1}), "`tie_word_embeddings` is 1, not true or false"),
        (json!({"bos_token_id": 128256}), "`bos_token_id` is 128256, not a token of a vocabulary of 128256"),
    ] {
        assert_eq!(refusal(changes), expected);
    }
}

#[test]
fn missing_and_malformed() {
    for name in [
        "model_type",
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "rms_norm_eps",
        "max_position_embeddings",
    ] {
        assert_eq!(without(name).unwrap_err().to_string(), format!("config.json: `{name}` is missing"));
    }
    let refused = |text: &str| LlamaConfig::from_json(text, "config.json").unwrap_err().to_string();
    assert_eq!(refused("[]"), "config.json: not a JSON object");
    assert!(refused("{").starts_with("config.json: not valid JSON: EOF"));
    let error = LlamaConfig::from_folder("no-such-folder").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert_eq!(error.to_string(), "no-such-folder: there is no folder or GGUF file of this name");
}

/// true for 1, "8" for 8, 8.0 for 8: an error each, and no default.
#[test]
fn a_value_of_another_type_is_no_default() {
    for (name, value) in [
        ("hidden_size", json!("4096")),
        ("num_hidden_layers", json!(true)),
        ("num_key_value_heads", json!(8.0)),
        ("head_dim", json!([128])),
        ("vocab_size", json!(-1)),
    ] {
        assert_eq!(refusal(json!({name: value.clone()})), format!("`{name}` is {value}, not a positive whole number"));
    }
    assert_eq!(refusal(json!({"rms_norm_eps": "1e-5"})), "`rms_norm_eps` is \"1e-5\", not a positive number");
    assert_eq!(refusal(json!({"rope_theta": true})), "`rope_theta` is true, not a positive number");
    assert_eq!(refusal(json!({"tie_word_embeddings": 1})), "`tie_word_embeddings` is 1, not true or false");
    assert_eq!(refusal(json!({"attention_bias": "false"})), "`attention_bias` is \"false\", not true or false");
    assert_eq!(refusal(json!({"hidden_act": ["silu"]})), "`hidden_act` is [\"silu\"], not a string");
    assert_eq!(refusal(json!({"layer_types": "full_attention"})), "`layer_types` is \"full_attention\", not a list");
    for value in [json!("8"), json!(true), json!(8.5), json!([8])] {
        let message = format!("`pad_token_id` is {value}, not a token of a vocabulary of 128256");
        assert_eq!(refusal(json!({"pad_token_id": value})), message);
    }
    // One that is no token of the vocabulary is none.
    for value in [json!(-1), json!(128_256), Value::Null] {
        assert_eq!(read(&with(json!({"pad_token_id": value}))).unwrap().pad_token_id, None);
    }
}

/// Models by name: their `config.json` as published, in what decides the shape, and how many parameters they have.
#[test]
fn models_of_the_guide_have_their_published_sizes() {
    let rope = json!({"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192});
    let shape = |hidden: u32, intermediate: u32, layers: u32, heads: [u32; 2], vocabulary: u32, tied: bool| {
        json!({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "rms_norm_eps": 1e-5,
            "attention_bias": false, "mlp_bias": false, "pretraining_tp": 1, "max_position_embeddings": 2048,
            "bos_token_id": 1, "eos_token_id": 2, "hidden_size": hidden, "intermediate_size": intermediate,
            "num_hidden_layers": layers, "num_attention_heads": heads[0], "num_key_value_heads": heads[1],
            "vocab_size": vocabulary, "tie_word_embeddings": tied})
    };
    let merged = |mut config: Value, more: Value| {
        config.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        config
    };
    let smol = json!({"rope_theta": 100000, "rope_interleaved": false, "is_llama_config": true, "rope_scaling": null});
    let small = json!({"rope_theta": 500000.0, "rope_scaling": rope, "head_dim": 64, "eos_token_id": [128001, 128009]});
    for (name, config, size) in [
        ("Llama 2 7B", shape(4096, 11008, 32, [32, 32], 32000, false), 6_738_415_616),
        ("TinyLlama 1.1B", shape(2048, 5632, 22, [32, 4], 32000, false), 1_100_048_384),
        ("SmolLM2 135M", merged(shape(576, 1536, 30, [9, 3], 49152, true), smol), 134_515_008),
        ("Llama 3.2 1B", merged(shape(2048, 8192, 16, [32, 8], 128_256, true), small), 1_235_814_400),
        ("Llama 3.1 8B", llama_3_1(), 8_030_261_248_u64),
    ] {
        let config = read(&config).unwrap_or_else(|error| panic!("{name}: {error}"));
        let numbers = |parameter: &Parameter| {
            let (rows, columns) = parameter.shape(&config, 0);
            (rows * columns) as u64
        };
        assert_eq!(Parameter::of_model(&config).iter().map(numbers).sum::<u64>(), size, "{name}");
    }
}
