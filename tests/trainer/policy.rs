//! The policies that are trained, all on the reference model `tiny`: on the CPU, and on any device by `…_on`.

use crate::support;
use hps_llama::backend::Backend;
use hps_llama::backend::cpu::Cpu;
use hps_llama::lora::{Lora, LoraConfig};
use hps_llama::model::{Llama, Policy};

/// A fresh adapter: the policy is the reference.
pub fn fresh(lora_dropout: f64) -> Policy<Cpu> {
    with(LoraConfig { lora_dropout, ..LoraConfig::default() })
}

/// A fresh adapter of that configuration.
pub fn with(config: LoraConfig) -> Policy<Cpu> {
    with_on(Cpu, config)
}

pub fn with_on<B: Backend>(backend: B, config: LoraConfig) -> Policy<B> {
    let model = support::policy_on(backend, "models/tiny", None).model;
    let adapter = Lora::fresh(model.backend(), model.config(), config, 5).expect("an adapter");
    Policy { model, adapter: Some(adapter) }
}

/// PEFT's adapter, trained before: the policy is not the reference.
pub fn adapted() -> Policy<Cpu> {
    support::policy("models/tiny", Some("models/tiny/adapter-11"))
}

/// No adapter: all of the model's weights are trained.
pub fn full() -> Policy<Cpu> {
    full_on(Cpu)
}

pub fn full_on<B: Backend>(backend: B) -> Policy<B> {
    let model = Llama::from_folder(backend, support::data("models/tiny"), true).expect("the reference model loads");
    Policy { model, adapter: None }
}
