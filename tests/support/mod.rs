//! What the tests of this folder share: the reference files and the table of tolerances.

#![allow(dead_code)] // Each test binary uses its part.

#[cfg(any(feature = "cuda", feature = "wgpu"))]
pub mod gpu;
pub mod tolerance;

use hps_llama::backend::Backend;
use hps_llama::backend::cpu::Cpu;
use hps_llama::lora::Lora;
use hps_llama::model::{Llama, Policy};
use hps_llama::pack::{Group, Packed};
use serde_json::Value;
use std::path::PathBuf;

/// A file of `tests/data`.
pub fn data(name: &str) -> PathBuf {
    // Where cargo, or whoever carried the program elsewhere, says that the repository is.
    let root = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    PathBuf::from(root).join("tests/data").join(name)
}

/// A JSON file of `tests/data`.
pub fn json(name: &str) -> Value {
    let text = std::fs::read_to_string(data(name)).expect("the reference file is there");
    serde_json::from_str(&text).expect("the reference file is JSON")
}

/// Token ids in a JSON list.
pub fn ids(value: &Value) -> Vec<u32> {
    value.as_array().expect("a list").iter().map(|id| id.as_u64().expect("an id") as u32).collect()
}

/// Numbers in a JSON list.
pub fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|number| number.as_f64().expect("a number")).collect()
}

/// A reference model, with one of its adapters, on the CPU.
pub fn policy(model: &str, adapter: Option<&str>) -> Policy<Cpu> {
    policy_on(Cpu, model, adapter)
}

/// The same on any device.
pub fn policy_on<B: Backend>(backend: B, model: &str, adapter: Option<&str>) -> Policy<B> {
    let model = Llama::from_folder(backend, data(model), false).expect("the reference model loads");
    let adapter = adapter.map(|adapter| {
        Lora::from_folder(model.backend(), model.config(), data(adapter), 0).expect("the adapter loads")
    });
    Policy { model, adapter }
}

/// Log-probs of the tokens of one response.
pub fn token_log_probs<B: Backend>(policy: &Policy<B>, prompt: &[u32], response: &[u32]) -> Vec<f64> {
    let group = Group { row: 0, prompt: prompt.to_vec(), responses: vec![response.to_vec()] };
    let batch = policy.model.batch(&Packed::shared(&[group])).expect("a batch");
    let log_probs = policy.log_probs(&batch).expect("log-probs");
    policy.model.backend().download(&log_probs).expect("numbers").into_iter().map(f64::from).collect()
}
