//! Weights and adapters from files: shards, number types, and every way a file can be wrong.

mod finite;

use hps_llama::backend::cpu::Cpu;
use hps_llama::backend::{Backend, Precision};
use hps_llama::config::LlamaConfig;
use hps_llama::lora::{Lora, LoraConfig};
use hps_llama::model::{Llama, Policy};
use hps_llama::pack::{Group, Packed};
use hps_llama::parameter::{Parameter, Projection};
use hps_llama::weights::{OwnedTensor, Weights, write_safetensors};
use hps_llama::{Error, ErrorKind};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn tiny() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/models/tiny"))
}

/// A copy of the tiny model's folder that a test may spoil.
fn copy() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(tiny().join(file), folder.path().join(file)).expect("copied");
    }
    folder
}

fn tensors() -> Vec<OwnedTensor> {
    let config = LlamaConfig::from_folder(tiny()).expect("a config");
    let stored = Weights::from_folder(&tiny()).expect("weights");
    let read = |parameter: Parameter| {
        let (rows, columns) = parameter.shape(&config, 0);
        let data = stored.read(&parameter.to_string(), (rows, columns), |tensor| {
            let weight = Cpu.upload_weight(tensor, false)?;
            Cpu.download_weight(&weight)
        });
        let shape = if parameter.is_gain() { vec![columns] } else { vec![rows, columns] };
        OwnedTensor { name: parameter.to_string(), shape, data: data.expect("read") }
    };
    Parameter::of_model(&config).into_iter().map(read).collect()
}

fn log_probs(folder: &Path) -> Vec<f32> {
    let model = Llama::from_folder(Cpu, folder, false).expect("a model");
    let policy = Policy { model, adapter: None };
    let group = Group { row: 0, prompt: vec![1018, 5, 6, 7], responses: vec![vec![8, 9, 10, 1022]] };
    let batch = policy.model.batch(&Packed::shared(&[group])).expect("a batch");
    Cpu.download(&policy.log_probs(&batch).expect("log-probs")).expect("numbers")
}

fn refusal(folder: &Path) -> Error {
    Llama::from_folder(Cpu, folder, false).map(drop).expect_err("it is refused")
}

fn assert_says(error: &Error, kind: ErrorKind, parts: &[&str]) {
    assert_eq!(error.kind(), kind, "{error}");
    for part in parts {
        assert!(error.to_string().contains(part), "`{part}` is not in: {error}");
    }
}

#[test]
fn shards_hold_the_same_model() {
    let folder = copy();
    std::fs::remove_file(folder.path().join("model.safetensors")).expect("removed");
    let mut shards = [Vec::new(), Vec::new()];
    let mut weight_map = serde_json::Map::new();
    for (index, tensor) in tensors().into_iter().enumerate() {
        let file = format!("model-0000{}-of-00002.safetensors", index % 2 + 1);
        weight_map.insert(tensor.name.clone(), Value::String(file));
        shards[index % 2].push(tensor);
    }
    for (index, shard) in shards.iter().enumerate() {
        let file = folder.path().join(format!("model-0000{}-of-00002.safetensors", index + 1));
        write_safetensors(&file, shard, Precision::F32).expect("written");
    }
    let index = folder.path().join("model.safetensors.index.json");
    std::fs::write(&index, json!({"metadata": {}, "weight_map": weight_map}).to_string()).expect("written");
    assert_eq!(log_probs(folder.path()), log_probs(&tiny()));

    let mut missing = weight_map.clone();
    missing.insert("model.norm.bias".into(), "model-00001-of-00002.safetensors".into());
    let outside = json!({"weight_map": {"lm_head.weight": "../model.safetensors"}});
    std::fs::write(&index, outside.to_string()).expect("written");
    assert_says(&refusal(folder.path()), ErrorKind::Weights, &["index.json", "../model.safetensors"]);
    std::fs::write(&index, json!({"weight_map": missing}).to_string()).expect("written");
    assert_says(&refusal(folder.path()), ErrorKind::Weights, &["index.json", "`model.norm.bias`"]);
    std::fs::write(&index, json!({"weight_map": {}}).to_string()).expect("written");
    let message = format!("{}: `weight_map` names no tensor", index.display());
    assert_eq!(refusal(folder.path()).to_string(), message);
}

#[test]
fn half_precision_is_read() {
    for precision in [Precision::BF16, Precision::F16] {
        let folder = copy();
        let mut tensors = tensors();
        let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
            .iter_mut()
            .map(|tensor| {
                let encode = |number: &f32| match precision {
                    Precision::BF16 => half::bf16::from_f32(*number).to_le_bytes(),
                    _ => half::f16::from_f32(*number).to_le_bytes(),
                };
                let bytes = tensor.data.iter().flat_map(encode).collect();
                let rounded = |number: &f32| match precision {
                    Precision::BF16 => half::bf16::from_f32(*number).to_f32(),
                    _ => half::f16::from_f32(*number).to_f32(),
                };
                tensor.data = tensor.data.iter().map(rounded).collect();
                (tensor.name.clone(), tensor.shape.clone(), bytes)
            })
            .collect();
        let dtype = if precision == Precision::BF16 { Dtype::BF16 } else { Dtype::F16 };
        let views = bytes.iter().map(|(name, shape, bytes)| {
            let view = TensorView::new(dtype, shape.clone(), bytes);
            (name.clone(), view.expect("a view"))
        });
        let file = safetensors::serialize(views, None).expect("serialised");
        std::fs::write(folder.path().join("model.safetensors"), file).expect("written");
        let rounded = copy();
        write_safetensors(&rounded.path().join("model.safetensors"), &tensors, Precision::F32).expect("written");
        assert_eq!(log_probs(folder.path()), log_probs(rounded.path()), "{precision:?}");
    }
}

#[test]
fn a_saved_model_is_the_same_model() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = Llama::from_folder(Cpu, tiny(), false).expect("a model");
    model.save(folder.path(), Precision::F32).expect("saved");
    assert_eq!(log_probs(folder.path()), log_probs(&tiny()));
    assert_eq!(LlamaConfig::from_folder(folder.path()).expect("a config").rope, model.config().rope);
}

#[test]
fn a_missing_tensor_is_named() {
    let folder = copy();
    let mut tensors = tensors();
    tensors.retain(|tensor| tensor.name != "model.layers.1.mlp.up_proj.weight");
    write_safetensors(&folder.path().join("model.safetensors"), &tensors, Precision::F32).expect("written");
    let parts = ["model.safetensors", "`model.layers.1.mlp.up_proj.weight` is missing"];
    assert_says(&refusal(folder.path()), ErrorKind::Weights, &parts);
}

#[test]
fn a_misshapen_tensor_is_named_with_both_shapes() {
    let folder = copy();
    let mut tensors = tensors();
    let tensor = tensors.iter_mut().find(|tensor| tensor.name.ends_with("0.self_attn.k_proj.weight")).expect("one");
    tensor.shape = vec![64, 32];
    write_safetensors(&folder.path().join("model.safetensors"), &tensors, Precision::F32).expect("written");
    assert_says(&refusal(folder.path()), ErrorKind::Weights, &["k_proj.weight", "[64, 32]", "[32, 64]"]);
}

#[test]
fn a_truncated_file_is_refused_at_every_length() {
    let folder = copy();
    let file = folder.path().join("model.safetensors");
    let whole = std::fs::read(&file).expect("read");
    for length in [0, 4, 8, 100, 2000, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&file, &whole[..length]).expect("written");
        let error = refusal(folder.path());
        assert!(error.to_string().contains("model.safetensors"), "{error}");
        assert!(matches!(error.kind(), ErrorKind::Weights | ErrorKind::Io), "{error}");
    }
}

/// Adds a tensor to the tiny model.
fn with(name: &str, shape: &[usize]) -> TempDir {
    let folder = copy();
    let mut tensors = tensors();
    let data = vec![0.5; shape.iter().product()];
    tensors.push(OwnedTensor { name: name.into(), shape: shape.to_vec(), data });
    write_safetensors(&folder.path().join("model.safetensors"), &tensors, Precision::F32).expect("written");
    folder
}

/// Biases, norms of queries, a layer too many, a score head: transformers' Llama drops them with a warning at best.
#[test]
fn a_tensor_without_a_place_is_refused() {
    for (name, shape) in [
        ("model.layers.0.self_attn.q_proj.bias", &[64][..]),
        ("model.layers.1.self_attn.q_norm.weight", &[8]),
        ("model.layers.3.input_layernorm.weight", &[64]),
        ("model.layers.0.self_attn.q_proj.weight_scale", &[1]),
        ("score.weight", &[1, 64]),
        ("inv_freq", &[4]),
    ] {
        let folder = with(name, shape);
        let file = folder.path().join("model.safetensors");
        let expected = format!(
            "{}: `{name}` has no place in the model that config.json describes, and would be left unread",
            file.display()
        );
        assert_eq!(refusal(folder.path()).to_string(), expected);
    }
    let derived = with("model.layers.0.self_attn.rotary_emb.inv_freq", &[4]);
    assert_eq!(log_probs(derived.path()), log_probs(&tiny()));
}

/// The header's text is edited; its length stays.
fn with_header(edit: impl FnOnce(String) -> String) -> TempDir {
    let folder = copy();
    let file = folder.path().join("model.safetensors");
    let bytes = std::fs::read(&file).expect("read");
    let start = 8 + u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) as usize;
    let header = edit(String::from_utf8(bytes[8..start].to_vec()).expect("text"));
    let edited = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &bytes[start..]].concat();
    std::fs::write(file, edited).expect("written");
    folder
}

#[test]
fn a_header_with_two_meanings_is_refused() {
    // Both entries of the doubled name are sound by themselves.
    let folder = with_header(|header| {
        let name = "\"model.norm.weight\":";
        let entry = &header[header.find(name).expect("the last norm")..];
        let entry = &entry[..=entry.find('}').expect("its end")];
        header.replacen('{', &format!("{{{entry},"), 1)
    });
    let parts =
        ["model.safetensors: malformed or truncated safetensors", "`model.norm.weight` stands twice in one object"];
    assert_says(&refusal(folder.path()), ErrorKind::Weights, &parts);
    // Two names of the same bytes.
    let folder = with_header(|header| {
        let name = "\"model.norm.weight\":";
        let entry = &header[header.find(name).expect("the last norm")..];
        let entry = entry[..=entry.find('}').expect("its end")].replace("model.norm.weight", "model.norm.bias");
        header.replacen('{', &format!("{{{entry},"), 1)
    });
    assert_says(
        &refusal(folder.path()),
        ErrorKind::Weights,
        &["model.safetensors: malformed or truncated safetensors"],
    );
}

#[test]
fn two_models_in_one_folder_are_refused() {
    let folder = copy();
    let index = folder.path().join("model.safetensors.index.json");
    let names: Vec<String> = tensors().into_iter().map(|tensor| tensor.name).collect();
    let map = |file: &str| -> serde_json::Map<String, Value> {
        names.iter().map(|name| (name.clone(), file.into())).collect()
    };
    std::fs::copy(tiny().join("model.safetensors"), folder.path().join("model-00001-of-00001.safetensors"))
        .expect("copied");
    std::fs::write(&index, json!({"weight_map": map("model-00001-of-00001.safetensors")}).to_string())
        .expect("written");
    let expected = format!(
        "{}: model.safetensors is there, and so is model.safetensors.index.json of other files; transformers reads the first and \
         does not look at the others; remove what is not the model",
        folder.path().display()
    );
    assert_eq!(refusal(folder.path()).to_string(), expected);
    // An index of the one file is the same model.
    std::fs::write(&index, json!({"weight_map": map("model.safetensors")}).to_string()).expect("written");
    assert_eq!(log_probs(folder.path()), log_probs(&tiny()));
}

#[test]
fn weights_in_pickled_form_are_named() {
    let folder = copy();
    std::fs::rename(folder.path().join("model.safetensors"), folder.path().join("pytorch_model.bin")).expect("renamed");
    let expected = "neither model.safetensors nor model.safetensors.index.json is there, only pytorch_model.bin, which is not \
                    read here; transformers writes safetensors of it: \
                    `AutoModelForCausalLM.from_pretrained(DIR).save_pretrained(NEW)`";
    assert_says(&refusal(folder.path()), ErrorKind::Weights, &[expected]);
}

#[test]
fn another_number_type_is_refused() {
    let folder = copy();
    let bytes = 1.0f64.to_le_bytes().repeat(64);
    let tensors = tensors();
    let encoded: Vec<Vec<u8>> =
        tensors.iter().map(|tensor| tensor.data.iter().flat_map(|number| number.to_le_bytes()).collect()).collect();
    let views = tensors.iter().zip(&encoded).map(|(tensor, encoded)| {
        let view = match tensor.name.as_str() {
            "model.norm.weight" => TensorView::new(Dtype::F64, vec![64], &bytes),
            _ => TensorView::new(Dtype::F32, tensor.shape.clone(), encoded),
        };
        (tensor.name.as_str(), view.expect("a view"))
    });
    let file = safetensors::serialize(views, None).expect("serialised");
    std::fs::write(folder.path().join("model.safetensors"), file).expect("written");
    assert_says(&refusal(folder.path()), ErrorKind::Weights, &["`model.norm.weight` is F64; f32, f16 and bf16"]);
}

#[test]
fn no_weights_at_all() {
    let folder = copy();
    std::fs::remove_file(folder.path().join("model.safetensors")).expect("removed");
    assert_says(&refusal(folder.path()), ErrorKind::Weights, &["model.safetensors.index.json"]);
}

#[test]
fn an_unknown_rope_type_is_refused() {
    let folder = copy();
    let file = folder.path().join("config.json");
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&file).expect("read")).expect("JSON");
    config["rope_parameters"]["rope_type"] = "yarn".into();
    std::fs::write(&file, config.to_string()).expect("written");
    assert_says(&refusal(folder.path()), ErrorKind::Config, &["config.json", "yarn"]);
}

/// An adapter folder of the tiny model whose configuration or matrices `spoil` changes.
fn adapter(spoil: impl FnOnce(&mut Value, &mut Vec<OwnedTensor>)) -> Error {
    let folder = tempfile::tempdir().expect("a folder");
    let model = LlamaConfig::from_folder(tiny()).expect("a config");
    let fresh = Lora::fresh(&Cpu, &model, LoraConfig::default(), 1).expect("an adapter");
    fresh.save(&Cpu, &model, folder.path(), "tiny").expect("saved");
    let path = folder.path().join("adapter_config.json");
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&path).expect("read")).expect("JSON");
    let mut tensors: Vec<OwnedTensor> = fresh
        .config()
        .parameters(&model)
        .into_iter()
        .map(|parameter| {
            let (rows, columns) = parameter.shape(&model, 8);
            let data = fresh.matrix(&Cpu, parameter).expect("numbers").expect("a matrix");
            OwnedTensor { name: parameter.to_string(), shape: vec![rows, columns], data }
        })
        .collect();
    spoil(&mut config, &mut tensors);
    std::fs::write(path, config.to_string()).expect("written");
    write_safetensors(&folder.path().join("adapter_model.safetensors"), &tensors, Precision::F32).expect("written");
    Lora::from_folder(&Cpu, &model, folder.path(), 0).map(drop).expect_err("it is refused")
}

#[test]
fn adapters_that_do_not_fit_are_refused() {
    let error = adapter(|_, tensors| tensors[0].shape.reverse());
    assert_says(&error, ErrorKind::Adapter, &["lora_A.weight", "[64, 8]", "[8, 64]", "adapter_model.safetensors"]);
    let error = adapter(|config, _| config["r"] = 4.into());
    assert_says(&error, ErrorKind::Adapter, &["[8, 64]", "[4, 64]"]);
    let error = adapter(|_, tensors| drop(tensors.pop()));
    assert_says(&error, ErrorKind::Adapter, &["lora_B.weight` is missing"]);
    let error = adapter(|config, _| config["target_modules"] = json!(["q_proj"]));
    assert_says(&error, ErrorKind::Adapter, &["v_proj.lora_A.weight", "do not select"]);
    let error = adapter(|config, _| config["target_modules"] = json!(["q_proj", "embed_tokens"]));
    assert_says(&error, ErrorKind::Adapter, &["adapter_config.json", "embed_tokens", "down_proj"]);
    let error = adapter(|config, _| config["use_dora"] = true.into());
    assert_says(&error, ErrorKind::Adapter, &["adapter_config.json", "`use_dora` is true"]);
    let error = adapter(|config, _| config["rank_pattern"] = json!({"q_proj": 4}));
    assert_says(&error, ErrorKind::Adapter, &["`rank_pattern`"]);
    let error = adapter(|config, _| config["peft_type"] = "IA3".into());
    assert_says(&error, ErrorKind::Adapter, &["\"IA3\""]);
    let error = adapter(|config, _| config["r"] = 0.into());
    assert_says(&error, ErrorKind::Adapter, &["adapter_config.json", "`r` is 0"]);
}

#[test]
fn adapter_options_out_of_range_are_refused() {
    let model = LlamaConfig::from_folder(tiny()).expect("a config");
    let refused = |config| Lora::fresh(&Cpu, &model, config, 0).map(drop).expect_err("it is refused");
    let usual = LoraConfig::default;
    assert_says(&refused(LoraConfig { lora_dropout: 1.0, ..usual() }), ErrorKind::Option, &["`lora_dropout` is 1"]);
    assert_says(&refused(LoraConfig { lora_alpha: f64::NAN, ..usual() }), ErrorKind::Option, &["`lora_alpha`"]);
    assert_says(&refused(LoraConfig { target_modules: vec![], ..usual() }), ErrorKind::Option, &["`target_modules`"]);
    assert!(Lora::fresh(&Cpu, &model, LoraConfig { target_modules: vec![Projection::Down], ..usual() }, 0).is_ok());
}
