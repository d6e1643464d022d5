//! What has to be equal for a resumed run to take the same steps, to the bit.

use super::{Example, TrainConfig};
use crate::digest::{Digest, Hasher};
use crate::lora::LoraConfig;
use crate::{Error, ErrorKind, Result};
use hps_core::Loss;
use std::collections::BTreeMap;
use std::path::Path;

/// What a run's adapter has besides its matrices.
#[derive(Debug, Clone, Copy)]
pub struct TrainedAdapter<'a> {
    /// Its options.
    pub options: &'a LoraConfig,
    /// What its dropout is keyed by.
    pub seed: u64,
    /// What it is on, as [`Lora::target_modules`](crate::lora::Lora::target_modules) says it.
    pub modules: &'a [String],
}

/// Fields by name, each as text that two equal values share and no two others.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fingerprint(Vec<(&'static str, String)>);

impl Fingerprint {
    /// What is known of a run before its model is read.
    ///
    /// * rows — to train on, and held out.
    /// * adapter — the one to be trained.
    pub(super) fn planned(
        [examples, held_out]: [&[Example]; 2],
        config: &TrainConfig,
        adapter: Option<TrainedAdapter<'_>>,
    ) -> Fingerprint {
        // Without `..`: who adds an option decides here whether it changes the numbers.
        let TrainConfig {
            task,
            loss,
            gamma_schedule,
            num_negatives,
            learning_rate,
            lr_scheduler_type,
            warmup_ratio,
            num_train_epochs,
            per_device_train_batch_size,
            gradient_accumulation_steps,
            adamw,
            shuffle,
            seed,
            memory_budget,
            route,
            activations,
            chunk_tokens,
            max_tokens_per_batch,
        } = config;
        let mut fields = vec![
            ("task", task.to_string()),
            ("loss_type", loss.to_string()),
            ("beta", format!("{:?}", loss.beta())),
            ("loss", loss.identity()),
            ("gamma_schedule", format!("{gamma_schedule:?}")),
            ("learning_rate", format!("{learning_rate:?}")),
            ("lr_scheduler_type", lr_scheduler_type.to_string()),
            ("warmup_ratio", format!("{warmup_ratio:?}")),
            ("num_train_epochs", num_train_epochs.to_string()),
            ("per_device_train_batch_size", per_device_train_batch_size.to_string()),
            ("gradient_accumulation_steps", gradient_accumulation_steps.to_string()),
            ("adam_beta1", format!("{:?}", adamw.adam_beta1)),
            ("adam_beta2", format!("{:?}", adamw.adam_beta2)),
            ("adam_epsilon", format!("{:?}", adamw.adam_epsilon)),
            ("weight_decay", format!("{:?}", adamw.weight_decay)),
            ("max_grad_norm", format!("{:?}", adamw.max_grad_norm)),
            ("shuffle", shuffle.to_string()),
            ("seed", seed.to_string()),
            // Both routes are exact, but they add in different orders.
            ("memory_budget", format!("{memory_budget:?}")),
            ("route", route.to_string()),
            ("activations", activations.to_string()),
            ("chunk_tokens", format!("{chunk_tokens:?}")),
            ("max_tokens_per_batch", format!("{max_tokens_per_batch:?}")),
            ("rows", examples.len().to_string()),
            ("rows_sha256", rows(examples).to_string()),
            // They change no weight, but a log with figures of two sets of rows in it is no log of either.
            ("held_out_rows", held_out.len().to_string()),
            ("held_out_rows_sha256", rows(held_out).to_string()),
        ];
        if loss.named().is_some_and(Loss::reads_samples) {
            fields.push(("num_negatives", num_negatives.to_string()));
        }
        match adapter {
            None => fields.push(("trained", "model".into())),
            Some(TrainedAdapter { options, seed, modules }) => {
                fields.extend([
                    ("trained", "adapter".into()),
                    ("lora_r", options.r.to_string()),
                    ("lora_alpha", format!("{:?}", options.lora_alpha)),
                    ("lora_dropout", format!("{:?}", options.lora_dropout)),
                    ("use_rslora", options.use_rslora.to_string()),
                    ("lora_target_modules", modules.join(" ")),
                    ("lora_seed", seed.to_string()),
                ]);
            }
        }
        Fingerprint(fields)
    }

    /// The whole of a run whose base has the digest `base`, against the reference that `reference` describes.
    pub(super) fn on(mut self, base: Digest, reference: &str, arithmetic: &str) -> Fingerprint {
        self.0.extend([
            ("base_sha256", base.to_string()),
            ("reference", reference.to_string()),
            ("arithmetic", arithmetic.to_string()),
        ]);
        self
    }

    /// The budget in what a checkpoint keeps.
    pub(super) fn memory_budget(kept: &BTreeMap<String, String>) -> Option<u64> {
        kept.get("memory_budget")?.strip_prefix("Some(")?.strip_suffix(')')?.parse().ok()
    }

    /// By name, as a checkpoint keeps it.
    pub(super) fn to_map(&self) -> BTreeMap<String, String> {
        self.0.iter().map(|(name, value)| (name.to_string(), value.clone())).collect()
    }

    /// Refuses what a checkpoint keeps if a field differs, with both values.
    pub(super) fn check(&self, kept: &BTreeMap<String, String>, place: &Path) -> Result<()> {
        let absent = "absent".to_string();
        for (name, value) in &self.0 {
            let kept = kept.get(*name).unwrap_or(&absent);
            if kept != value {
                let message = format!("`{name}` is {kept} in the checkpoint but {value} in this run");
                return Err(Error::new(ErrorKind::Checkpoint, message).at(place.display()));
            }
        }
        Ok(())
    }
}

/// Of all that a run reads of its rows; not of their places, so that a moved file is the same data.
fn rows(examples: &[Example]) -> Digest {
    let mut hasher = Hasher::default();
    for Example { group, rewards, .. } in examples {
        hasher.tokens(&[group.row, group.responses.len() as u32]).tokens(&group.prompt).doubles(rewards);
        group.responses.iter().for_each(|response| {
            hasher.tokens(response);
        });
    }
    hasher.finish()
}
