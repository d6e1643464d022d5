//! Reward models: `r = w · h`, `h` the normed last hidden state of a response's end, in units of log odds.
//!
//! In files a reward model is transformers' `LlamaForSequenceClassification` with one label: a Llama whose `lm_head.weight`
//! has given way to `score.weight`, `[1, hidden]`. Its end is transformers' too: the last token of prompt and response that
//! is not `pad_token_id`, so of a model whose padding is its end of turn, the token before that; without a `pad_token_id`,
//! the last token. [`GatedRewardModel`] is ArmoRM, and [`Scorer`] either of the two with its chat template.

mod gated;
mod gating;
mod scorer;

pub use gated::{GatedRewardModel, Objectives};
pub use scorer::{ArmoScore, Scorer};

use crate::backend::{Backend, Precision, StoredTensor};
use crate::config::LlamaConfig;
use crate::files::write_whole;
use crate::lora::Lora;
use crate::model::{Llama, ModelFolder, ModelSource, Policy, names};
use crate::pack::{Group, Packed, unpadded};
use crate::parameter::Parameter;
use crate::weights::{OwnedTensor, write_safetensors};
use crate::{Error, ErrorKind, Result};
use hps_core::Philox;
use std::path::Path;

/// Counter word that sets a score head's draws apart from other uses of the same seed.
const SCORE: u32 = 0x5363_6f72;

/// A Llama with a score head, with or without an adapter.
#[derive(Debug)]
pub struct RewardModel<B: Backend> {
    policy: Policy<B>,
}

impl<B: Backend> RewardModel<B> {
    /// Reads a folder of `LlamaForSequenceClassification`; `trained` keeps the weights in f32.
    ///
    /// # Errors
    /// The folder holds another model or another number of labels than one, a file is missing or malformed; a tensor is
    /// missing, has another shape, a number that is not finite, or no place in the model, as a language model's head has none.
    pub fn from_folder(backend: B, source: impl Into<ModelSource>, trained: bool) -> Result<Self> {
        let ModelSource { path, quantisation } = source.into();
        LlamaConfig::expect_reward_model(&path)?;
        let folder = ModelFolder::open(path)?;
        let parameters = Parameter::of_reward_model(folder.config());
        folder.weights().expect_only(&names(&parameters))?;
        let model = Llama::with_parameters(backend, &folder, trained, quantisation, &parameters, &mut |_, _| ())?;
        Ok(RewardModel { policy: Policy { model, adapter: None } })
    }

    /// Whether a folder says that it holds a reward model.
    pub fn is_in(folder: impl AsRef<Path>) -> bool {
        LlamaConfig::expect_reward_model(folder.as_ref()).is_ok()
    }

    /// A language model with a fresh score head in its head's place: normally distributed, of variance `1 / (hidden + 1)`
    /// (Stiennon et al. 2020), so that first scores are of the order of 1.
    ///
    /// # Errors
    /// The device is out of memory.
    pub fn fresh(mut model: Llama<B>, seed: u64) -> Result<Self> {
        model.weights.remove(&Parameter::Head);
        let philox = Philox::new(seed);
        let features = model.config().hidden_size;
        let deviation = 1.0 / (features as f64 + 1.0).sqrt();
        let draw = |index: usize| {
            let words = philox.block([index as u32, 0, 0, SCORE]);
            let [first, second] = [words[0], words[1]].map(|word| (f64::from(word) + 0.5) / 4_294_967_296.0);
            // Box–Muller.
            (deviation * (-2.0 * first.ln()).sqrt() * (std::f64::consts::TAU * second).cos()) as f32
        };
        let score: Vec<f32> = (0..features).map(draw).collect();
        let score = uploaded(model.backend(), &score)?;
        model.weights.insert(Parameter::Score, score);
        Ok(RewardModel { policy: Policy { model, adapter: None } })
    }

    /// The same with an adapter to train, and with it a copy of the score head: both are trained, all else is frozen.
    ///
    /// # Errors
    /// The device failed.
    pub fn with_adapter(self, mut adapter: Lora<B>) -> Result<Self> {
        let model = self.policy.model;
        let score = uploaded(model.backend(), &model.weight(Parameter::Score)?)?;
        adapter.matrices.insert(Parameter::AdaptedScore, score);
        Ok(RewardModel { policy: Policy { model, adapter: Some(adapter) } })
    }

    /// A policy that a trainer hands back.
    ///
    /// # Errors
    /// It has no score head.
    pub fn from_policy(policy: Policy<B>) -> Result<Self> {
        match policy.score_head() {
            Some(_) => Ok(RewardModel { policy }),
            None => Err(missing()),
        }
    }

    /// As the trainer takes it.
    pub fn into_policy(self) -> Policy<B> {
        self.policy
    }

    /// Its model, adapter and score head.
    pub fn policy(&self) -> &Policy<B> {
        &self.policy
    }

    /// The rewards of each group's responses, its prompt computed once; they do not depend on what else is asked for.
    ///
    /// # Errors
    /// There is no response, a token lies outside the vocabulary, a response and its prompt's end are padding, or the device
    /// failed.
    pub fn rewards(&self, groups: &[Group]) -> Result<Vec<Vec<f64>>> {
        groups.iter().try_for_each(|group| expect_ends(self.policy.model.config(), group))?;
        let packed = self.policy.pack(groups);
        let batch = self.policy.model.batch(&packed)?;
        let scores = self.policy.model.backend().download(&self.policy.log_probs(&batch)?)?;
        Ok(packed.responses.iter().map(|ends| Packed::sums(&scores, ends)).collect())
    }

    /// Writes `config.json` and `model.safetensors` (f32 or bf16) of a `LlamaForSequenceClassification` into a folder that
    /// exists, the adapter merged into the weights.
    ///
    /// # Errors
    /// A file cannot be written, or the device failed.
    pub fn save(&self, folder: impl AsRef<Path>, precision: Precision) -> Result<()> {
        save(&self.policy, folder.as_ref(), precision)
    }
}

/// [`RewardModel::save`] of a policy that is still being trained.
///
/// # Errors
/// As there; and a policy without a score head.
pub fn save<B: Backend>(policy: &Policy<B>, folder: &Path, precision: Precision) -> Result<()> {
    let (Some(head), Some(adapter)) = (policy.score_head(), &policy.adapter) else {
        policy.score_head().ok_or_else(missing)?;
        return policy.model.save(folder, precision);
    };
    let config = policy.model.config();
    let mut tensors = Vec::new();
    for (parameter, _) in policy.model.weights.iter().filter(|(parameter, _)| **parameter != Parameter::Score) {
        let (rows, columns) = parameter.shape(config, 0);
        let shape = if parameter.is_gain() { vec![columns] } else { vec![rows, columns] };
        let mut data = policy.model.weight(*parameter)?;
        adapter.add_to(policy.model.backend(), *parameter, &mut data, columns)?;
        tensors.push(OwnedTensor { name: parameter.to_string(), shape, data });
    }
    let score = policy.trained().get(&head).or_else(|| policy.model.weights.get(&head)).ok_or_else(missing)?;
    let data = policy.model.backend().download_weight(score)?;
    tensors.push(OwnedTensor { name: Parameter::Score.to_string(), shape: vec![1, data.len()], data });
    write_safetensors(&folder.join("model.safetensors"), &tensors, precision)?;
    let mut json = config.to_json();
    LlamaConfig::mark_reward_model(&mut json);
    json["dtype"] = if precision == Precision::BF16 { "bfloat16" } else { "float32" }.into();
    write_whole(&folder.join("config.json"), format!("{json:#}\n").as_bytes())
}

/// Refuses a response without an end: it and its prompt's last token are padding.
pub(crate) fn expect_ends(config: &LlamaConfig, group: &Group) -> Result<()> {
    let Some(padding) = config.pad_token_id else { return Ok(()) };
    let padded = group.prompt.last().is_none_or(|last| *last == padding);
    let without = |response: &Vec<u32>| padded && unpadded(response, Some(padding)) == 0;
    match group.responses.iter().position(without) {
        Some(index) => {
            let message = format!(
                "response {index} and the end of its prompt are nothing but token {padding}, the model's `pad_token_id`; no \
                 reward can be read there"
            );
            Err(Error::new(ErrorKind::Tokens, message))
        }
        None => Ok(()),
    }
}

fn uploaded<B: Backend>(backend: &B, numbers: &[f32]) -> Result<B::Weight> {
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    let stored = StoredTensor::singles([1, numbers.len()], &bytes)?;
    backend.upload_weight(&stored, true)
}

fn missing() -> Error {
    Error::new(ErrorKind::Weights, format!("the model has no `{}`", Parameter::Score))
}
