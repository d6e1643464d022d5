//! Which base an adapter was trained on.

use crate::{data, edited, json, read, said};
use hps_llama::backend::cpu::Cpu;
use hps_llama::backend::{Backend, Precision};
use hps_llama::base::BaseDigest;
use hps_llama::model::{Llama, ModelFolder};
use hps_llama::parameter::{Parameter, Projection};
use hps_llama::weights::{OwnedTensor, ShardedTensor, Weights, write_safetensors, write_shards};
use serde_json::Value;
use std::path::Path;
use tempfile::TempDir;

const MATRICES: &str = "adapter_model.safetensors";

fn digest(folder: &Path) -> BaseDigest {
    ModelFolder::open(folder).expect("a model").base_digest().expect("a digest")
}

/// The weights of a reference model.
fn tensors(model: &str) -> Vec<OwnedTensor> {
    let model = Llama::from_folder(Cpu, data(model), false).expect("a model");
    let tensor = |parameter: Parameter| {
        let (rows, columns) = parameter.shape(model.config(), 0);
        let shape = if parameter.is_gain() { vec![columns] } else { vec![rows, columns] };
        OwnedTensor { name: parameter.to_string(), shape, data: model.weight(parameter).expect("numbers") }
    };
    Parameter::of_model(model.config()).into_iter().map(tensor).collect()
}

fn copy(model: &str, edit: impl FnOnce(&mut Value)) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = json(&data(model).join("config.json"));
    edit(&mut config);
    std::fs::write(folder.path().join("config.json"), config.to_string()).expect("written");
    folder
}

#[test]
fn a_copy_in_another_form_is_the_same_base() {
    let base = digest(&data("models/tiny"));
    assert_eq!(Llama::from_folder(Cpu, data("models/tiny"), true).expect("a model").base_digest(), Some(base));
    let tensors = tensors("models/tiny");
    for (precision, max_bytes) in [(Precision::F32, 300_000), (Precision::BF16, 1 << 30), (Precision::BF16, 1000)] {
        let folder = copy("models/tiny", |config| config["max_position_embeddings"] = 64.into());
        let listed: Vec<ShardedTensor> = tensors
            .iter()
            .map(|tensor| ShardedTensor { name: tensor.name.clone(), shape: tensor.shape.clone() })
            .collect();
        write_shards(folder.path(), &listed, precision, max_bytes, |index| Ok(tensors[index].data.clone()))
            .expect("written");
        assert_eq!(digest(folder.path()), base, "{precision:?} {max_bytes}");
    }
}

/// A tied head may be written out or not, with or without the flag.
#[test]
fn a_tied_head_written_out_is_the_same_base() {
    let name = "models/tiny-tied-scaled";
    let base = digest(&data(name));
    let mut tensors = tensors(name);
    let embedding = &tensors[0];
    let head =
        OwnedTensor { name: "lm_head.weight".into(), shape: embedding.shape.clone(), data: embedding.data.clone() };
    tensors.push(head);
    for tied in [true, false] {
        let folder = copy(name, |config| config["tie_word_embeddings"] = tied.into());
        write_safetensors(&folder.path().join("model.safetensors"), &tensors, Precision::F32).expect("written");
        assert_eq!(digest(folder.path()), base);
        let model = Llama::from_folder(Cpu, folder.path(), false).expect("a model");
        assert_eq!(model.config().tie_word_embeddings, tied);
    }
}

#[test]
fn another_model_is_another_base() {
    let base = digest(&data("models/tiny"));
    // An adapter merged into one block's values shows there.
    let mut tensors = tensors("models/tiny");
    let values = Parameter::Weight(2, Projection::V).to_string();
    let tensor = tensors.iter_mut().find(|tensor| tensor.name == values).expect("one");
    tensor.data.iter_mut().for_each(|number| *number += 1e-3);
    let merged = copy("models/tiny", |_| ());
    write_safetensors(&merged.path().join("model.safetensors"), &tensors, Precision::F32).expect("written");
    assert_ne!(digest(merged.path()), base);

    let rotated = copy("models/tiny", |config| {
        config["rope_theta"] = 7.0.into();
        config["rope_parameters"] = Value::Null;
    });
    std::fs::copy(data("models/tiny/model.safetensors"), rotated.path().join("model.safetensors")).expect("copied");
    assert_ne!(digest(rotated.path()), base);
}

#[test]
fn what_is_saved_records_its_base_and_is_refused_on_another() {
    let [base, other] = ["models/tiny", "models/tiny-tied-scaled"].map(|name| digest(&data(name)));
    let model = Llama::from_folder(Cpu, data("models/tiny"), false).expect("a model");
    let foreign = read(&edited(|_, _| ())).expect("an adapter");
    assert_eq!(foreign.base_in_file(), (Some("tiny"), false));
    // Without a record nothing is refused, and on a base there is one.
    let saved = tempfile::tempdir().expect("a folder");
    let foreign = foreign.on_base(Some(other), false).expect("of no known base");
    let adapter = foreign.on_base(Some(base), true).expect("allowed");
    adapter.save(&Cpu, model.config(), saved.path(), "tiny").expect("saved");

    let again = read(&saved).expect("an adapter");
    assert_eq!(again.base_in_file(), (Some("tiny"), true));
    again.on_base(model.base_digest(), false).expect("its own base");
    read(&saved).expect("an adapter").on_base(Some(other), true).expect("allowed");
    let message =
        said(read(&saved).expect("an adapter").on_base(Some(other), false).expect_err("another"), &saved, MATRICES);
    let expected = format!(
        "was trained on another base, \"tiny\": its digest there is {base}, that of the model given is {other}; \
         `--allow_other_base` takes it all the same"
    );
    assert_eq!(message, expected);
}

/// The header is one that any reader takes, at the alignment that safetensors' own writer keeps, always the same bytes.
#[test]
fn the_record_stands_beside_the_format() {
    let base = digest(&data("models/tiny"));
    let (model, files) = (crate::tiny(), [(); 2].map(|()| tempfile::tempdir().expect("a folder")));
    for folder in &files {
        let adapter = read(&edited(|_, _| ())).expect("an adapter").on_base(Some(base), false).expect("its base");
        adapter.save(&Cpu, &model, folder.path(), "tiny").expect("saved");
    }
    let [one, two] = files.map(|folder| std::fs::read(folder.path().join(MATRICES)).expect("read"));
    assert!(one == two);
    let (length, header) = safetensors::SafeTensors::read_metadata(&one).expect("a header");
    assert!(length.is_multiple_of(8));
    let metadata = header.metadata().as_ref().expect("metadata");
    assert_eq!(metadata.len(), 2);
    assert_eq!((&*metadata["format"], &metadata["hps_base_sha256"]), ("pt", &base.to_string()));
    let plain = edited(|_, _| ());
    let plain = Weights::from_files(&[plain.path().join(MATRICES)]).expect("a file");
    let recorded = tempfile::tempdir().expect("a folder");
    let file = recorded.path().join(MATRICES);
    std::fs::write(&file, one).expect("written");
    let recorded = Weights::from_files(&[file]).expect("a file");
    for name in plain.names() {
        let shape = if name.contains("lora_A") {
            (8, 64)
        } else if name.contains("q_proj") {
            (64, 8)
        } else {
            (32, 8)
        };
        let read = |weights: &Weights| {
            weights.read(name, shape, |tensor| Cpu.download_weight(&Cpu.upload_weight(tensor, true)?)).expect("numbers")
        };
        assert!(read(&plain) == read(&recorded), "{name}");
    }
}
