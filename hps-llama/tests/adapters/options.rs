//! `adapter_config.json`, option by option.

use crate::{edited, read, refused};
use serde_json::{Value, json};

const CONFIG: &str = "adapter_config.json";

fn with(name: &str, value: Value) -> tempfile::TempDir {
    edited(|config, _| config[name] = value)
}

/// PEFT changes the base when it loads these.
#[test]
fn starts_that_change_the_base_are_refused_by_name() {
    for start in ["pissa", "pissa_niter_16", "olora", "corda", "lora_ga"] {
        let message = refused(&with("init_lora_weights", start.into()), CONFIG);
        let expected = format!(
            "`init_lora_weights` is \"{start}\": PEFT changes the base's weights when it loads such an adapter, which is not \
             done here; PEFT writes a plain adapter of it, with the adapter as it was before training: \
             `save_pretrained(DIR, path_initial_model_for_weight_conversion=INITIAL)`"
        );
        assert_eq!(message, expected);
    }
    let message = refused(&with("init_lora_weights", "loftq".into()), CONFIG);
    assert!(message.starts_with("`init_lora_weights` is \"loftq\": PEFT changes the base's weights"), "{message}");
    let message = refused(&with("init_lora_weights", "Pissa".into()), CONFIG);
    let expected = "`init_lora_weights` is \"Pissa\", which is not known here and may change the base's weights";
    assert_eq!(message, expected);
    let message = refused(&with("init_lora_weights", 1.into()), CONFIG);
    assert_eq!(message, "`init_lora_weights` is 1, not true, false or a name");
    for start in [json!(true), json!(false), Value::Null, json!("gaussian"), json!("orthogonal"), json!("eva")] {
        read(&with("init_lora_weights", start)).expect("a start that leaves the base as it is");
    }
}

#[test]
fn a_value_of_another_type_is_no_default() {
    for (name, value, message) in [
        ("use_rslora", json!("true"), "`use_rslora` is \"true\", not true or false"),
        ("use_rslora", json!(1), "`use_rslora` is 1, not true or false"),
        ("r", json!("8"), "`r` is \"8\", not a positive whole number"),
        ("r", json!(8.0), "`r` is 8.0, not a positive whole number"),
        ("r", json!(true), "`r` is true, not a positive whole number"),
        ("lora_alpha", json!("16"), "`lora_alpha` is \"16\", not a number"),
        ("lora_alpha", json!(true), "`lora_alpha` is true, not a number"),
        ("lora_dropout", Value::Null, "`lora_dropout` is null, not a number"),
        ("target_modules", json!([1]), "`target_modules` is [1], not a string or a list of strings"),
        ("target_modules", Value::Null, "`target_modules` is null, not a string or a list of strings"),
        ("layers_to_transform", json!("0"), "`layers_to_transform` is \"0\", not a whole number or a list of them"),
        ("layers_to_transform", json!([0.5]), "`layers_to_transform` is [0.5], not a whole number or a list of them"),
        ("exclude_modules", json!(7), "`exclude_modules` is 7, not a string or a list of strings"),
        ("base_model_name_or_path", json!(7), "`base_model_name_or_path` is 7, not a string"),
        ("r", json!(0), "`r` is 0; an adapter needs a rank of at least 1"),
        ("lora_dropout", json!(1), "`lora_dropout` is 1; it lies in [0, 1)"),
        ("lora_alpha", json!(1e40), "`lora_alpha` is 1e40 with `r` 8; their scale is no finite number of 32 bits"),
        ("lora_alpha", json!(-1e300), "`lora_alpha` is -1e300 with `r` 8; their scale is no finite number of 32 bits"),
    ] {
        assert_eq!(refused(&with(name, value), CONFIG), message);
    }
    for name in ["r", "lora_alpha", "lora_dropout", "target_modules", "peft_type"] {
        let folder = edited(|config, _| drop(config.as_object_mut().expect("an object").remove(name)));
        assert_eq!(refused(&folder, CONFIG), format!("`{name}` is missing"));
    }
    let scale = |value: Value| read(&with("use_rslora", value)).expect("read").config().scale();
    assert_eq!((scale(Value::Null), scale(json!(true))), (16.0 / 8.0, (16.0 / 8f64.sqrt()) as f32));
}

/// What is on and changes the numbers, and what is not known and not off.
#[test]
fn what_may_change_the_numbers_is_refused() {
    for (name, value) in [
        ("alora_invocation_tokens", json!([1])),
        ("alpha_pattern", json!({"q_proj": 4})),
        ("arrow_config", json!({"top_k": 2})),
        ("bias", json!("lora_only")),
        ("fan_in_fan_out", json!(true)),
        ("layer_replication", json!([[0, 2]])),
        ("lora_bias", json!(true)),
        ("modules_to_save", json!(["lm_head"])),
        ("rank_pattern", json!({"q_proj": 4})),
        ("target_parameters", json!(["mlp.experts.gate_up_proj"])),
        ("trainable_token_indices", json!([1])),
        ("use_dora", json!(true)),
        ("use_dora", json!("false")),
        ("use_qalora", json!(true)),
    ] {
        let message = refused(&with(name, value.clone()), CONFIG);
        assert_eq!(message, format!("`{name}` is {value}, which would change the numbers and is not computed here"));
    }
    for value in [json!(true), json!(0), json!("false"), json!([null]), json!({"a": null})] {
        let message = refused(&with("use_tomorrow", value.clone()), CONFIG);
        let expected = format!("`use_tomorrow` is {value}; this option is not known here and may change the numbers");
        assert_eq!(message, expected);
    }
    let message = refused(&with("layers_pattern", "h".into()), CONFIG);
    assert_eq!(message, "`layers_pattern` is \"h\"; the blocks of a Llama are in `layers`");
}

#[test]
fn what_changes_nothing_is_read() {
    let folder = edited(|config, _| {
        for name in ["use_tomorrow", "tomorrow_config", "tomorrow_list", "tomorrow_map"] {
            config[name] = Value::Null;
        }
        config["use_tomorrow"] = false.into();
        config["tomorrow_list"] = json!([]);
        config["tomorrow_map"] = json!({});
        config["peft_version"] = "0.21.2".into();
        config["revision"] = "main".into();
        config["auto_mapping"] = json!({"base_model_class": "LlamaForCausalLM"});
        config["inference_mode"] = false.into();
        config["loftq_config"] = json!({"loftq_bits": 4});
        config["eva_config"] = json!({"rho": 2.0});
        config["qalora_group_size"] = 16.into();
        config["megatron_core"] = "megatron.core".into();
        config["runtime_config"] = json!({"ephemeral_gpu_offload": false});
    });
    read(&folder).expect("an adapter");
}

#[test]
fn a_doubled_option_is_refused() {
    let folder = edited(|_, _| ());
    let path = folder.path().join(CONFIG);
    let text = std::fs::read_to_string(&path).expect("read");
    std::fs::write(&path, text.replacen('{', "{\"r\": 4, ", 1)).expect("written");
    assert!(refused(&folder, CONFIG).starts_with("is ambiguous: `r` stands twice in one object"));
}
