//! Adapters on the reference models, beside the ones that lie there.

use crate::support::policy;
use candle_core::{Device, Tensor, safetensors};
use hps_core::Philox;
use hps_llama::backend::Backend;
use hps_llama::backend::cpu::Cpu;
use hps_llama::lora::{Lora, LoraConfig};
use hps_llama::parameter::Projection;
use std::collections::HashMap;
use tempfile::TempDir;

/// All seven projections, rank 4, rsLoRA: `s = 6 / sqrt(4) = 3`, where plain LoRA would scale by 1.5.
pub fn on_all_projections(lora_dropout: f64) -> LoraConfig {
    LoraConfig { r: 4, lora_alpha: 6.0, lora_dropout, use_rslora: true, target_modules: Projection::ALL.to_vec() }
}

/// A saved adapter, whose matrices may be written anew.
pub struct StoredAdapter {
    /// The model, below `tests/data`.
    pub model: String,
    seed: u64,
    pub folder: TempDir,
    pub matrices: HashMap<String, Tensor>,
}

impl StoredAdapter {
    /// A fresh one: `B` is zero.
    pub fn fresh(model: &str, config: LoraConfig, seed: u64) -> StoredAdapter {
        let model = format!("models/{model}");
        let folder = tempfile::tempdir().expect("a folder");
        let base = policy(&model, None).model;
        let lora = Lora::fresh(&Cpu, base.config(), config, seed).expect("an adapter");
        lora.save(&Cpu, base.config(), folder.path(), &model).expect("saved");
        let file = folder.path().join("adapter_model.safetensors");
        let matrices = safetensors::load(file, &Device::Cpu).expect("the matrices");
        StoredAdapter { model, seed, folder, matrices }
    }

    /// One whose `B` is drawn too, uniformly from `±0.1`, as if training had moved it.
    pub fn trained(model: &str, config: LoraConfig, seed: u64) -> StoredAdapter {
        let mut adapter = Self::fresh(model, config, seed);
        let mut names: Vec<String> = adapter.matrices.keys().cloned().collect();
        names.sort();
        for (stream, name) in (0..).zip(names.iter().filter(|name| name.contains("lora_B"))) {
            let matrix = &adapter.matrices[name];
            let draw = |word: u32| (0.2 * (f64::from(word) / 4_294_967_296.0 - 0.5)) as f32;
            let data: Vec<f32> = words(stream).take(matrix.elem_count()).map(draw).collect();
            let matrix = Tensor::from_vec(data, matrix.shape(), &Device::Cpu).expect("as many numbers");
            adapter.matrices.insert(name.clone(), matrix);
        }
        adapter.write(&adapter.matrices);
        adapter
    }

    /// Writes other matrices into the folder.
    pub fn write(&self, matrices: &HashMap<String, Tensor>) {
        safetensors::save(matrices, self.folder.path().join("adapter_model.safetensors")).expect("written");
    }

    /// The adapter that lies in the folder.
    pub fn load<B: Backend>(&self, backend: &B) -> Lora<B> {
        let config = policy(&self.model, None).model.config().clone();
        Lora::from_folder(backend, &config, self.folder.path(), self.seed).expect("the adapter loads")
    }
}

/// Random words of a numbered stream.
pub fn words(stream: u32) -> impl Iterator<Item = u32> {
    (0..).flat_map(move |index| Philox::new(0).block([index, stream, 0, 0]))
}
