//! A head of its own beside `tie_word_embeddings`: transformers keeps both, and so does every command.

use crate::adapters::{assert_sums, sums};
use crate::program::{Folder, data, hps, read, train};
use hps_llama::backend::cpu::Cpu;
use hps_llama::backend::{Backend, Precision};
use hps_llama::model::Llama;
use hps_llama::parameter::Parameter;
use hps_llama::weights::{OwnedTensor, Weights, write_safetensors};
use serde_json::Value;
use std::path::Path;

/// transformers', of the rows of `adapters/rows.jsonl`.
const SUMS: [f64; 4] = [-123.902, -43.688, -36.091, -94.672];
const ADAPTER: &str = "tests/data/models/tiny-tied-scaled/adapter-11";

fn tensors() -> Vec<OwnedTensor> {
    let model = Llama::from_folder(Cpu, data("models/tiny-tied-scaled"), false).expect("a model");
    let tensor = |parameter: Parameter| {
        let (rows, columns) = parameter.shape(model.config(), 0);
        let shape = if parameter.is_gain() { vec![columns] } else { vec![rows, columns] };
        OwnedTensor { name: parameter.to_string(), shape, data: model.weight(parameter).expect("numbers") }
    };
    Parameter::of_model(model.config()).into_iter().map(tensor).collect()
}

fn head() -> Vec<f32> {
    let file = Weights::from_files(&[data("models/distinct-head.safetensors")]).expect("a file");
    let head = file.read("lm_head.weight", (1024, 64), |tensor| Cpu.download_weight(&Cpu.upload_weight(tensor, true)?));
    head.expect("a head")
}

/// The tied model's folder with a head in it, `[rows, 64]`.
fn with_head(folder: &Path, head: Vec<f32>) {
    std::fs::create_dir(folder).expect("a folder");
    let base = data("models/tiny-tied-scaled");
    for entry in std::fs::read_dir(&base).expect("the model").map(|entry| entry.expect("an entry").path()) {
        if entry.is_file() {
            std::fs::copy(&entry, folder.join(entry.file_name().expect("a name"))).expect("a copy");
        }
    }
    let mut tensors = tensors();
    tensors.push(OwnedTensor { name: "lm_head.weight".into(), shape: vec![head.len() / 64, 64], data: head });
    write_safetensors(&folder.join("model.safetensors"), &tensors, Precision::F32).expect("written");
}

fn config(folder: &Path) -> Value {
    serde_json::from_slice(&read(&folder.join("config.json"))).expect("JSON")
}

#[test]
fn a_head_of_its_own_is_read_and_kept() {
    let folder = Folder::new("num_train_epochs = 1");
    with_head(&folder.path("model"), head());
    let model = folder.argument("model");
    assert_eq!(config(&folder.path("model"))["tie_word_embeddings"], true);
    assert_sums(&sums(&["--model", &model]), SUMS);

    let merged = folder.argument("merged");
    let ended = hps(&["merge", "--model", &model, "--adapter", ADAPTER, "--output_dir", &merged, "--dtype", "f32"]);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    assert_eq!(config(&folder.path("merged"))["tie_word_embeddings"], false);
    let kept = Llama::from_folder(Cpu, &merged, false).expect("a model").weight(Parameter::Head).expect("a head");
    assert!(kept == head());
    assert_ne!(sums(&["--model", &merged]), sums(&["--model", &model]));

    // All of its weights, and an adapter beside them.
    let options = folder.argument("options.toml");
    train(&[&options, "--model_name_or_path", &model, "--use_peft", "false", "--learning_rate", "1e-5"]);
    assert_eq!(config(&folder.path("out"))["tie_word_embeddings"], false);
    let trained = Llama::from_folder(Cpu, folder.path("out"), false).expect("a model");
    let moved = trained.weight(Parameter::Head).expect("a head");
    let furthest = moved.iter().zip(&head()).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
    assert!(moved != head() && furthest < 1e-3, "{furthest}");
    let adapter = folder.argument("adapter");
    train(&[&options, "--model_name_or_path", &model, "--output_dir", &adapter]);
    let [of_base, adapted] = [&["--model", &model][..], &["--model", &model, "--adapter", &adapter]].map(sums);
    assert_ne!(of_base, adapted);
    // Its base is not the tied model.
    let ended = hps(&[
        "log-probs",
        "--model",
        "tests/data/models/tiny-tied-scaled",
        "--adapter",
        &adapter,
        "--data",
        "tests/data/adapters/rows.jsonl",
    ]);
    assert!(ended.error.contains("was trained on another base"), "{}", ended.error);
}

#[test]
fn a_head_that_is_the_embedding_is_tied_and_one_that_does_not_fit_refused() {
    let folder = Folder::new("");
    let embedding = tensors().swap_remove(0).data;
    with_head(&folder.path("same"), embedding.clone());
    let same = folder.argument("same");
    assert_eq!(sums(&["--model", &same]), sums(&["--model", "tests/data/models/tiny-tied-scaled"]));
    let merged = folder.argument("merged");
    let ended = hps(&["merge", "--model", &same, "--adapter", ADAPTER, "--output_dir", &merged, "--dtype", "f32"]);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    assert_eq!(config(&folder.path("merged"))["tie_word_embeddings"], true);

    with_head(&folder.path("larger"), [&embedding[..], &[0.0; 6 * 64]].concat());
    let larger = folder.argument("larger");
    let ended = hps(&["log-probs", "--model", &larger, "--data", "tests/data/adapters/rows.jsonl"]);
    let file = folder.argument("larger/model.safetensors");
    let message = format!("error: {file}: `lm_head.weight` has shape [1030, 64] but the model needs [1024, 64]\n");
    assert_eq!((ended.code, ended.error), (Some(1), message));
}
