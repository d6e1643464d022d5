//! PEFT adapters from anywhere: every option read, known or refused; modules by their matrices; the base that is recorded.

#[path = "adapters/base.rs"]
mod base;
#[path = "adapters/modules.rs"]
mod modules;
#[path = "adapters/options.rs"]
mod options;

use hps_llama::backend::Precision;
use hps_llama::backend::cpu::Cpu;
use hps_llama::config::LlamaConfig;
use hps_llama::lora::{Lora, LoraConfig};
use hps_llama::weights::{OwnedTensor, write_safetensors};
use hps_llama::{Error, ErrorKind, Result};
use serde_json::Value;
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
    write_safetensors(&folder.path().join("adapter_model.safetensors"), &tensors, Precision::F32).expect("written");
    folder
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
