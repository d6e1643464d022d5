//! PEFT adapters from anywhere: every option read, known or refused; modules by their matrices; the base that is recorded.

mod base;
mod gguf;
mod modules;
mod options;

use hps_llama::backend::cpu::Cpu;
use hps_llama::config::LlamaConfig;
use hps_llama::lora::{Lora, LoraConfig};
use hps_llama::weights::OwnedTensor;
use hps_llama::{Error, ErrorKind, Result};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data").join(name)
}

fn tiny() -> LlamaConfig {
    LlamaConfig::from_folder(data("models/tiny")).expect("a config")
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("read")).expect("JSON")
}

/// A folder with an adapter on q and v of the tiny model, whose configuration and matrices `edit` changes.
fn edited(edit: impl FnOnce(&mut Value, &mut Vec<OwnedTensor>)) -> TempDir {
    let (folder, model) = (tempfile::tempdir().expect("a folder"), tiny());
    let fresh = Lora::fresh(&Cpu, &model, LoraConfig::default(), 1).expect("an adapter");
    fresh.save(&Cpu, &model, folder.path(), "tiny").expect("saved");
    let path = folder.path().join("adapter_config.json");
    let mut config = json(&path);
    let mut tensors: Vec<OwnedTensor> = fresh
        .parameters()
        .map(|parameter| {
            let (rows, columns) = parameter.shape(&model, 8);
            let data = fresh.matrix(&Cpu, parameter).expect("numbers").expect("a matrix");
            OwnedTensor { name: parameter.to_string(), shape: vec![rows, columns], data }
        })
        .collect();
    edit(&mut config, &mut tensors);
    std::fs::write(path, config.to_string()).expect("written");
    write_as_is(&folder.path().join("adapter_model.safetensors"), &tensors);
    folder
}

/// As another program writes it, which may write what is not finite.
fn write_as_is(path: &Path, tensors: &[OwnedTensor]) {
    let bytes = |tensor: &OwnedTensor| tensor.data.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
    let bytes: Vec<Vec<u8>> = tensors.iter().map(bytes).collect();
    let views = tensors.iter().zip(&bytes).map(|(tensor, bytes)| {
        (tensor.name.as_str(), TensorView::new(Dtype::F32, tensor.shape.clone(), bytes).expect("a tensor"))
    });
    let format = HashMap::from([("format".to_string(), "pt".to_string())]);
    safetensors::serialize_to_file(views, Some(format), path).expect("written");
}

fn read(folder: &TempDir) -> Result<Lora<Cpu>> {
    Lora::from_folder(&Cpu, &tiny(), folder.path(), 0)
}

/// What is said of an adapter's file after its name.
fn refused(folder: &TempDir, file: &str) -> String {
    said(read(folder).map(drop).expect_err("it is refused"), folder, file)
}

fn said(error: Error, folder: &TempDir, file: &str) -> String {
    assert!(matches!(error.kind(), ErrorKind::Adapter | ErrorKind::NonFinite), "{error}");
    let place = format!("{}: ", folder.path().join(file).display());
    error.to_string().strip_prefix(&place).unwrap_or_else(|| panic!("{error}")).to_string()
}
