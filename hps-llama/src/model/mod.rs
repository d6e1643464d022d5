//! A Llama 3: its weights and the batches it reads.
//!
//! `x₀ = embed(tokens)`; each block adds `o_proj(attention(rope(q), rope(k), v))` of the normed `x`, then
//! `down_proj(silu(gate) ⊙ up)` of the normed sum; `log p = log_softmax(head · norm(x))`.

mod activations;
mod attention;
mod backward;
mod block;
mod chunks;
mod folder;
mod forward;
mod head;
mod kept;
mod source;

pub use backward::Gradients;
pub use chunks::PromptPass;
pub use folder::ModelFolder;
pub use forward::Pass;
pub use kept::Activations;
pub use source::ModelSource;

pub(crate) use block::Places;
pub(crate) use folder::{config_json, expect_numbers, names};

use crate::backend::{Backend, Precision, StoredSize, StoredTensor};
use crate::base::BaseDigest;
use crate::config::LlamaConfig;
use crate::digest::{Digest, Hasher};
use crate::files::{AsItIs, write_whole};
use crate::lora::Lora;
use crate::pack::Packed;
use crate::parameter::Parameter;
use crate::quantisation::Quantisation;
use crate::weights::{OwnedTensor, write_safetensors};
use crate::{Error, ErrorKind, Result};
use hps_core::Philox;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;

/// Counter word that sets a model's initial draws apart from other uses of the same seed.
const INITIAL: u32 = 0x496e_6974;

/// A Llama on a device.
#[derive(Debug)]
pub struct Llama<B: Backend> {
    pub(crate) backend: B,
    pub(crate) config: LlamaConfig,
    pub(crate) weights: BTreeMap<Parameter, B::Weight>,
    pub(crate) frequencies: B::Array,
    /// Bytes that its weights take where they were read from.
    pub(crate) stored: Vec<StoredSize>,
    /// How its projections were quantised as they were read.
    quantisation: Option<Quantisation>,
    /// The files it was read from, where weights may still be read from them.
    files: Vec<AsItIs>,
    /// Of the folder it was read from.
    base: Option<BaseDigest>,
}

impl<B: Backend> Llama<B> {
    /// Reads `config.json` and the weights of a Hugging Face folder, or a GGUF file; `trained` keeps the weights in f32.
    ///
    /// # Errors
    /// A file is missing or malformed, the model is not a Llama; a tensor is missing, has another shape, a number that is not
    /// finite, or no place in the model; weights that are to be trained are quantised.
    pub fn from_folder(backend: B, source: impl Into<ModelSource>, trained: bool) -> Result<Self> {
        Self::from_folder_told(backend, source, trained, |_, _| ())
    }

    /// The same, for what takes a while: `told` how many weights of how many are read, and quantised if that is asked for.
    ///
    /// # Errors
    /// As [`from_folder`](Self::from_folder).
    pub fn from_folder_told(
        backend: B,
        source: impl Into<ModelSource>,
        trained: bool,
        mut told: impl FnMut(usize, usize),
    ) -> Result<Self> {
        let ModelSource { path, quantisation } = source.into();
        let folder = ModelFolder::open(path)?;
        let parameters = folder.of_language_model()?;
        let base = folder.base_digest()?;
        let model = Self::with_parameters(backend, &folder, trained, quantisation, &parameters, &mut told)?;
        Ok(Llama { base: Some(base), ..model })
    }

    /// The weights named, of a folder.
    ///
    /// * told — how many of how many are read.
    pub(crate) fn with_parameters(
        backend: B,
        folder: &ModelFolder,
        trained: bool,
        quantisation: Option<Quantisation>,
        parameters: &[Parameter],
        told: &mut dyn FnMut(usize, usize),
    ) -> Result<Self> {
        if let Some(quantisation) = &quantisation {
            quantisation.check(folder.config())?;
            if trained {
                let message =
                    format!("the model is quantised as it is loaded ({quantisation}), so its weights are not trained");
                return Err(Error::new(ErrorKind::Option, message));
            }
        }
        let (mut stored, mut read) = (Vec::new(), 0);
        told(read, parameters.len());
        let model = Self::from_tensors(backend, folder.config().clone(), parameters, |backend, parameter, shape| {
            folder.weights().read(&parameter.to_string(), shape, |tensor| {
                expect_numbers(tensor, parameter, trained)?;
                let made = quantisation.as_ref().map(|it| it.made_of(parameter, tensor)).transpose()?.flatten();
                let tensor = made.as_ref().unwrap_or(tensor);
                stored.push(tensor.size());
                let weight = backend.upload_weight(tensor, trained)?;
                read += 1;
                told(read, parameters.len());
                Ok(weight)
            })
        })?;
        let files = if trained { Vec::new() } else { folder.weights().as_it_is() };
        Ok(Llama { stored, quantisation, files, ..model })
    }

    /// A model of normally distributed weights (standard deviation `deviation`), gains at 1, for training from nothing.
    ///
    /// # Errors
    /// The device is out of memory.
    pub fn random(backend: B, config: LlamaConfig, deviation: f64, seed: u64) -> Result<Self> {
        Self::drawn(backend, config, deviation, seed, true)
    }

    /// The same with its weights in the device's storage type, for measuring.
    ///
    /// # Errors
    /// The device is out of memory.
    pub fn random_frozen(backend: B, config: LlamaConfig, deviation: f64, seed: u64) -> Result<Self> {
        Self::drawn(backend, config, deviation, seed, false)
    }

    fn drawn(backend: B, config: LlamaConfig, deviation: f64, seed: u64, trained: bool) -> Result<Self> {
        let philox = Philox::new(seed);
        let order = Parameter::of_model(&config);
        Self::from_tensors(backend, config, &order, |backend, parameter, (rows, columns)| {
            let place = order.iter().position(|other| *other == parameter).unwrap_or(order.len()) as u32;
            let draw = |index: usize| {
                if parameter.is_gain() {
                    return 1.0f32;
                }
                let words = philox.block([index as u32, 0, place, INITIAL]);
                let [first, second] = [words[0], words[1]].map(|word| (f64::from(word) + 0.5) / 4_294_967_296.0);
                // Box–Muller.
                (deviation * (-2.0 * first.ln()).sqrt() * (std::f64::consts::TAU * second).cos()) as f32
            };
            let mut bytes = vec![0u8; size_of::<f32>() * rows * columns];
            bytes.as_chunks_mut::<4>().0.par_iter_mut().enumerate().for_each(|(index, bytes)| {
                *bytes = draw(index).to_le_bytes();
            });
            backend.upload_weight(&StoredTensor::singles([rows, columns], &bytes)?, trained)
        })
    }

    fn from_tensors(
        backend: B,
        config: LlamaConfig,
        parameters: &[Parameter],
        mut read: impl FnMut(&B, Parameter, (usize, usize)) -> Result<B::Weight>,
    ) -> Result<Self> {
        let mut weights = BTreeMap::new();
        for parameter in parameters {
            let weight = read(&backend, *parameter, parameter.shape(&config, 0))?;
            weights.insert(*parameter, weight);
        }
        let frequencies = config.inverse_frequencies();
        let frequencies = backend.upload(&frequencies, frequencies.len())?;
        Ok(Llama {
            backend,
            config,
            weights,
            frequencies,
            stored: Vec::new(),
            quantisation: None,
            files: Vec::new(),
            base: None,
        })
    }

    /// Writes `config.json` and `model.safetensors` (f32 or bf16) into a folder that exists.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn save(&self, folder: impl AsRef<Path>, precision: Precision) -> Result<()> {
        let folder = folder.as_ref();
        let mut tensors = Vec::new();
        for (parameter, weight) in &self.weights {
            let (rows, columns) = parameter.shape(&self.config, 0);
            let shape = if parameter.is_gain() { vec![columns] } else { vec![rows, columns] };
            let data = self.backend.download_weight(weight)?;
            tensors.push(OwnedTensor { name: parameter.to_string(), shape, data });
        }
        write_safetensors(&folder.join("model.safetensors"), &tensors, precision)?;
        let mut config = self.config.to_json();
        if self.weights.contains_key(&Parameter::Score) {
            LlamaConfig::mark_reward_model(&mut config);
        }
        config["dtype"] = if precision == Precision::BF16 { "bfloat16" } else { "float32" }.into();
        write_whole(&folder.join("config.json"), format!("{config:#}\n").as_bytes())
    }

    /// Its shape.
    pub fn config(&self) -> &LlamaConfig {
        &self.config
    }

    /// Of its shape and its numbers as they are on the device.
    ///
    /// # Errors
    /// The device failed.
    pub fn digest(&self) -> Result<Digest> {
        let mut hasher = Hasher::default();
        hasher.text(&self.config.to_json().to_string());
        for (parameter, weight) in &self.weights {
            let (rows, columns) = parameter.shape(&self.config, 0);
            let parts = |read: &mut dyn FnMut(&[f32])| self.backend.read_weight(weight, read);
            hasher.text(&parameter.to_string()).singles_in_parts(rows * columns, parts)?;
        }
        Ok(hasher.finish())
    }

    /// Which base of adapters it is: that of the folder it was read from; `None` of a model of no folder.
    pub fn base_digest(&self) -> Option<BaseDigest> {
        self.base
    }

    /// An adapter for use on this base.
    ///
    /// # Errors
    /// It was trained on another base, or on this one quantised otherwise, as far as its file says, and `allow_other_base` is
    /// false.
    pub fn accept(&self, adapter: Lora<B>, allow_other_base: bool) -> Result<Lora<B>> {
        adapter.expect_quantised(self.quantisation(), allow_other_base)?;
        adapter.on_base(self.base_digest(), allow_other_base)
    }

    /// Refuses to go on with a model whose files have changed since it was read: frozen weights may lie in them still.
    ///
    /// # Errors
    /// A file was replaced, written to or taken away.
    pub fn expect_unchanged(&self) -> Result<()> {
        self.files.iter().try_for_each(AsItIs::expect_unchanged)
    }

    /// Where its numbers come from: the backend's arithmetic, and how projections were quantised. Part of every key under
    /// which numbers are kept.
    pub fn arithmetic(&self) -> String {
        let arithmetic = self.backend.arithmetic();
        match &self.quantisation {
            Some(quantisation) => format!("{arithmetic}, projections {quantisation}"),
            None => arithmetic.to_string(),
        }
    }

    /// How its projections were quantised as they were read.
    pub fn quantisation(&self) -> Option<&Quantisation> {
        self.quantisation.as_ref()
    }

    /// The device it is on.
    pub fn backend(&self) -> &B {
        &self.backend
    }

    /// Numbers of one of its weights, `[rows, columns]`.
    ///
    /// # Errors
    /// It has no such weight (a tied model has no head), or the device failed.
    pub fn weight(&self, parameter: Parameter) -> Result<Vec<f32>> {
        self.backend.download_weight(self.get(parameter)?)
    }

    pub(crate) fn get(&self, parameter: Parameter) -> Result<&B::Weight> {
        self.weights
            .get(&parameter)
            .ok_or_else(|| Error::new(ErrorKind::Weights, format!("the model has no `{parameter}`")))
    }

    /// The parameter that holds the head: its own, or the embedding where they are tied.
    pub(crate) fn head(&self) -> Parameter {
        if self.config.tie_word_embeddings { Parameter::Embedding } else { Parameter::Head }
    }

    /// Uploads a packed sequence.
    ///
    /// # Errors
    /// A token lies outside the vocabulary, or there is nothing to score.
    pub fn batch(&self, packed: &Packed) -> Result<Batch<B>> {
        if packed.sources.is_empty() {
            return Err(Error::new(ErrorKind::Tokens, "a batch has no token to score"));
        }
        self.batch_after(packed, 0)
    }

    /// Uploads a packed sequence without its first `before` tokens: keys of theirs are computed elsewhere.
    ///
    /// The spans keep those tokens; sources count from the last of them, as row 0.
    pub(crate) fn batch_after(&self, packed: &Packed, before: usize) -> Result<Batch<B>> {
        let vocabulary = self.config.vocab_size;
        let all = packed.tokens.iter().chain(&packed.targets);
        if let Some(token) = all.clone().find(|&&token| token as usize >= vocabulary) {
            let message = format!("token {token} lies outside the model's vocabulary of {vocabulary}");
            return Err(Error::new(ErrorKind::Tokens, message));
        }
        let backend = &self.backend;
        let first = before.saturating_sub(1) as u32;
        let sources: Vec<u32> = packed.sources.iter().map(|source| source - first).collect();
        Ok(Batch {
            length: packed.tokens.len() - before,
            tokens: backend.upload_indices(&packed.tokens[before..])?,
            rotation: self.rotation(&packed.positions[before..])?,
            spans: backend.upload_indices(&packed.spans)?,
            identities: backend.upload_indices(&packed.identities[3 * before..])?,
            sources: backend.upload_indices(&sources)?,
            targets: backend.upload_indices(&packed.targets)?,
        })
    }

    /// Cosines and sines of positions.
    pub(crate) fn rotation(&self, positions: &[u32]) -> Result<B::Array> {
        self.backend.rotation(&self.backend.upload_indices(positions)?, &self.frequencies)
    }
}

/// A packed sequence on the device.
#[derive(Debug)]
pub struct Batch<B: Backend> {
    pub(crate) length: usize,
    pub(crate) tokens: B::Indices,
    pub(crate) rotation: B::Array,
    pub(crate) spans: B::Indices,
    pub(crate) identities: B::Indices,
    pub(crate) sources: B::Indices,
    pub(crate) targets: B::Indices,
}

impl<B: Backend> Batch<B> {
    /// Where its rows stand.
    fn places(&self) -> Places<'_, B> {
        Places { rotation: &self.rotation, identities: &self.identities }
    }
}

/// A model with or without its adapter; which of the two is trained follows.
#[derive(Debug)]
pub struct Policy<B: Backend> {
    /// The base.
    pub model: Llama<B>,
    /// The adapter: trained if there is one. Without one, all of the model's weights are.
    pub adapter: Option<Lora<B>>,
}

impl<B: Backend> Policy<B> {
    /// The trained weights by name.
    pub fn trained(&self) -> &BTreeMap<Parameter, B::Weight> {
        self.adapter.as_ref().map_or(&self.model.weights, |adapter| &adapter.matrices)
    }

    pub(crate) fn trained_mut(&mut self) -> &mut BTreeMap<Parameter, B::Weight> {
        self.adapter.as_mut().map_or(&mut self.model.weights, |adapter| &mut adapter.matrices)
    }

    /// `(rows, columns)` of a trained weight.
    pub fn shape(&self, parameter: Parameter) -> (usize, usize) {
        parameter.shape(&self.model.config, self.adapter.as_ref().map_or(0, |adapter| adapter.config.r))
    }
}
