//! The policies that are differentiated.

use crate::adapter::{StoredAdapter, on_all_projections};
use crate::support;
use hps_llama::backend::Backend;
use hps_llama::model::{Llama, Policy};

/// The reference models: `tiny` has its own head, `tiny-tied-scaled` Llama 3.1's frequencies and no head.
pub const MODELS: [&str; 2] = ["tiny", "tiny-tied-scaled"];

/// All of a model's weights trained.
pub fn full<B: Backend>(backend: B, model: &str) -> Policy<B> {
    let folder = support::data(&format!("models/{model}"));
    Policy { model: Llama::from_folder(backend, folder, true).expect("the reference model loads"), adapter: None }
}

/// PEFT's adapter trained: on queries and values of `tiny`, on all projections of `tiny-tied-scaled`.
pub fn lora<B: Backend>(backend: B, model: &str) -> Policy<B> {
    support::policy_on(backend, &format!("models/{model}"), Some(&format!("models/{model}/adapter-11")))
}

/// A stored adapter trained.
pub fn with_adapter<B: Backend>(backend: B, adapter: &StoredAdapter) -> Policy<B> {
    Policy { adapter: Some(adapter.load(&backend)), ..support::policy_on(backend, &adapter.model, None) }
}

/// The dropout tests' policy: all projections adapted, three entries in ten dropped.
pub fn dropping<B: Backend>(backend: B, model: &str) -> Policy<B> {
    with_adapter(backend, &StoredAdapter::trained(model, on_all_projections(0.3), 31))
}
