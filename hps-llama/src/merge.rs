//! An adapter merged into a base, `W' = W + s · B A`: a model of its own, that needs no adapter's reader.
//!
//! `W` is what the adapter was trained on: of a quantised base the numbers that its codes stand for. Or it is another base's,
//! as the weights before they were quantised; then the merged model is off by the quantisation error, which is told.
//!
//! Weights go from file to file, a shard in memory at a time, and the sums are formed in f64. The written model is read
//! back, and what it says of some token sequences is held against what the adapter says on its own base, before it gets its
//! name.

use crate::backend::Precision;
use crate::backend::cpu::Cpu;
use crate::companions::Companions;
use crate::config::LlamaConfig;
use crate::evaluate::token_log_probs;
use crate::files::{Filling, write_whole};
use crate::lora::Lora;
use crate::model::{Llama, ModelFolder, ModelSource, Policy, config_json};
use crate::pack::Group;
use crate::parameter::Parameter;
use crate::quantisation::Quantisation;
use crate::weights::{ShardedTensor, write_shards};
use crate::{Error, ErrorKind, Result};
use hps_core::Philox;
use serde_json::Value;
use std::path::{Path, PathBuf};

const CONFIG: &str = "config.json";
/// Counter word that sets the compared tokens apart from other draws.
const COMPARED: u32 = 0x4d65_7267;
/// Sequences that are compared.
const SEQUENCES: usize = 8;
/// Tokens of each that are.
const LENGTH: usize = 24;
/// Nats by which log-probs of an f32 model may differ, as a share of theirs where that is more than 1.
const ALLOWED: f64 = 1e-5;

/// How a merged model is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergeOptions {
    /// Another model of the same shape to whose weights the adapter is added: a folder or a GGUF file. `None` adds it to the
    /// base that it was trained on.
    pub into: Option<PathBuf>,
    /// Its number type, f32 or bf16; `None` for that of the weights it is added to (f32 for f16).
    pub precision: Option<Precision>,
    /// Greatest size of a file of weights, in bytes.
    pub max_shard_size: u64,
    /// Whether the adapter may record another base than this one, or one that is quantised otherwise (see
    /// [`base`](crate::base)).
    pub allow_other_base: bool,
}

impl Default for MergeOptions {
    /// Into the base it was trained on, in that one's number type, in files of 5 GB.
    fn default() -> Self {
        MergeOptions { into: None, precision: None, max_shard_size: 5_000_000_000, allow_other_base: false }
    }
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Merged {
    /// Its number type.
    pub precision: Precision,
    /// Files of weights.
    pub files: usize,
    /// Tokens whose log-probs were compared with those of the base that the adapter was trained on, with it.
    pub compared: usize,
    /// How far theirs are. Where it was merged into that base in f32, each was checked (1e-5, or 1e-5 of a log-prob beyond 1);
    /// in bf16, whose rounding moves a weight by up to 2⁻⁹ of itself, and of another base, it is only told.
    pub difference: Difference,
    /// Of a base that is quantised as it is loaded, where it was merged into: how far they would be, in f32, merged into the
    /// weights of its files instead.
    pub unquantised: Option<Difference>,
}

/// How far log-probs of tokens are from others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// Of any token at the most, in nats.
    pub maximum: f64,
    /// Root of the mean square, in nats.
    pub rms: f64,
}

/// Merges the adapter of a folder into a base, and writes the model into `output`, whole or not at all.
///
/// * base — what the adapter was trained on, quantised as it was then.
///
/// # Errors
/// A folder is malformed, the adapter does not fit or was trained on another base, the other base has another shape, a file
/// beside the weights is not one to copy (see [`companions`](crate::companions)), `output` is there and not empty, or another
/// process merges into it, a file cannot be written, or the written model differs from the base with the adapter.
pub fn merge(base: impl Into<ModelSource>, adapter: &Path, output: &Path, options: &MergeOptions) -> Result<Merged> {
    let base = base.into();
    let inputs = [base.path.clone(), adapter.to_path_buf()];
    let inputs: Vec<PathBuf> = inputs.into_iter().chain(options.into.clone()).collect();
    let filling = Filling::begin(output, &inputs, "a merge")?;
    let folder = ModelFolder::open(&base.path)?;
    if let Some(quantisation) = &base.quantisation {
        quantisation.check(folder.config())?;
    }
    let adapter = Lora::from_folder(&Cpu, folder.config(), adapter, 0)?;
    adapter.expect_quantised(base.quantisation.as_ref(), options.allow_other_base)?;
    let adapter = adapter.on_base(Some(folder.base_digest()?), options.allow_other_base)?;
    let (path, folder, quantisation) = match &options.into {
        None => (&base.path, folder, base.quantisation.as_ref()),
        Some(other) => {
            let into = ModelFolder::open(other)?;
            expect_same_shape(folder.config(), into.config()).map_err(|error| error.at(other.display()))?;
            (other, into, None)
        }
    };
    let precision = match options.precision {
        Some(precision) => precision,
        None => match folder.precision()? {
            Some(Precision::BF16) => Precision::BF16,
            _ => Precision::F32,
        },
    };
    let parts = Parts {
        parameters: folder.of_language_model()?,
        companions: Companions::read(path)?,
        config: config(path, folder.config(), precision)?,
        folder,
        quantisation,
    };
    let files = write(&parts, &adapter, filling.path(), precision, options.max_shard_size)?;
    let allowed = if precision == Precision::F32 && options.into.is_none() { ALLOWED } else { f64::INFINITY };
    let compared = Compared::of(&base, adapter, filling.path(), options.into.is_none())?;
    compared.expect_within(allowed).map_err(|error| error.at(base.path.display()))?;
    filling.finish()?;
    let Compared { expected, merged, unquantised } = compared;
    Ok(Merged {
        precision,
        files,
        compared: expected.len(),
        difference: Difference::between(&expected, &merged),
        unquantised: unquantised.map(|numbers| Difference::between(&expected, &numbers)),
    })
}

/// Refuses a base that computes with other sizes or other angles.
fn expect_same_shape(ours: &LlamaConfig, theirs: &LlamaConfig) -> Result<()> {
    let (ours, theirs) = (ours.to_json(), theirs.to_json());
    let names = [
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
        "rms_norm_eps",
        "rope_parameters",
    ];
    match names.into_iter().find(|name| ours[name] != theirs[name]) {
        None => Ok(()),
        Some(name) => {
            let (ours, theirs) = (&ours[name], &theirs[name]);
            let message = format!("`{name}` is {theirs}, but {ours} of the base that the adapter was trained on");
            Err(Error::new(ErrorKind::Config, message))
        }
    }
}

/// What a merged model is made of.
struct Parts<'a> {
    folder: ModelFolder,
    /// How its projections are quantised before the adapter is added.
    quantisation: Option<&'a Quantisation>,
    parameters: Vec<Parameter>,
    companions: Companions,
    /// The `config.json` to be written.
    config: Value,
}

/// Writes all of the folder; returns the number of files of weights.
fn write(
    parts: &Parts<'_>,
    adapter: &Lora<Cpu>,
    output: &Path,
    precision: Precision,
    max_shard_size: u64,
) -> Result<usize> {
    let Parts { folder, parameters, companions, config, .. } = parts;
    let tensors: Vec<ShardedTensor> = parameters
        .iter()
        .map(|parameter| {
            let (rows, columns) = parameter.shape(folder.config(), 0);
            let shape = if parameter.is_gain() { vec![columns] } else { vec![rows, columns] };
            ShardedTensor { name: parameter.to_string(), shape }
        })
        .collect();
    let files = write_shards(output, &tensors, precision, max_shard_size, |index| {
        merged(parameters[index], parts, adapter) //
    })?;
    companions.write(output)?;
    write_whole(&output.join(CONFIG), format!("{config:#}\n").as_bytes())?;
    Ok(files)
}

/// A weight of the merged model.
fn merged(parameter: Parameter, parts: &Parts<'_>, adapter: &Lora<Cpu>) -> Result<Vec<f32>> {
    let Parts { folder, quantisation, .. } = parts;
    let shape = parameter.shape(folder.config(), 0);
    let mut weight = folder.weights().read(&parameter.to_string(), shape, |tensor| {
        let made = quantisation.map(|it| it.made_of(parameter, tensor)).transpose()?.flatten();
        Ok(made.as_ref().unwrap_or(tensor).numbers())
    })?;
    adapter.add_to(&Cpu, parameter, &mut weight, shape.1)?;
    Ok(weight)
}

/// The base's `config.json` with the number type of what is written, under the name it had.
fn config(base: &Path, read: &LlamaConfig, precision: Precision) -> Result<Value> {
    let mut config = config_json(base, read)?;
    let old = config.get("torch_dtype").is_some() && config.get("dtype").is_none();
    config[if old { "torch_dtype" } else { "dtype" }] = precision.name().into();
    // What is written is not in the base's codes.
    if let Some(config) = config.as_object_mut() {
        config.remove("quantization_config");
    }
    Ok(config)
}

/// Log-probs of the same tokens, in nats.
struct Compared {
    /// Of the base that the adapter was trained on, with it.
    expected: Vec<f32>,
    merged: Vec<f32>,
    /// Of that base's files as they are, with the adapter.
    unquantised: Option<Vec<f32>>,
}

impl Compared {
    /// One model in memory at a time.
    ///
    /// * unquantised — whether to look at the files as they are, too, if they are quantised as they are loaded.
    fn of(base: &ModelSource, adapter: Lora<Cpu>, folder: &Path, unquantised: bool) -> Result<Compared> {
        let load = |source: ModelSource| Llama::from_folder(Cpu, source, false);
        let adapted = Policy { model: load(base.clone())?, adapter: Some(adapter) };
        let group = compared(adapted.model.config());
        let expected = token_log_probs(&adapted, &group)?.concat();
        let Policy { adapter, model } = adapted;
        drop(model);
        let unquantised = match unquantised && base.quantisation.is_some() {
            true => {
                let files = Policy { model: load(ModelSource::from(&base.path))?, adapter };
                Some(token_log_probs(&files, &group)?.concat())
            }
            false => None,
        };
        let merged = Policy { model: load(ModelSource::from(folder))?, adapter: None };
        Ok(Compared { expected, merged: token_log_probs(&merged, &group)?.concat(), unquantised })
    }

    /// Refuses a merged model that says something else, or says no number.
    ///
    /// * allowed — nats, as a share of a log-prob where that is more than 1.
    fn expect_within(&self, allowed: f64) -> Result<()> {
        let count = self.expected.len();
        for (token, (expected, ours)) in self.expected.iter().zip(&self.merged).enumerate() {
            let (expected, ours) = (f64::from(*expected), f64::from(*ours));
            let difference = (expected - ours).abs();
            if difference > allowed * expected.abs().max(1.0) || !difference.is_finite() {
                let message = format!(
                    "the merged model's log-prob of token {token} of {count} is {ours}, but the base's with the adapter is {expected}"
                );
                return Err(Error::new(ErrorKind::Weights, message));
            }
        }
        Ok(())
    }
}

impl Difference {
    fn between(some: &[f32], others: &[f32]) -> Difference {
        let differences = || some.iter().zip(others).map(|(one, other)| (f64::from(*one) - f64::from(*other)).abs());
        let squares = differences().map(|difference| difference.powi(2)).sum::<f64>();
        Difference { maximum: differences().fold(0.0, f64::max), rms: (squares / some.len() as f64).sqrt() }
    }
}

/// Sequences of drawn tokens: all of a vocabulary alike, and no text that a model knows.
fn compared(config: &LlamaConfig) -> Group {
    let philox = Philox::new(0);
    let draw = |sequence: usize, index: usize| {
        let word = philox.block([index as u32, sequence as u32, 0, COMPARED])[0];
        ((u64::from(word) * config.vocab_size as u64) >> 32) as u32
    };
    let length = LENGTH.min(config.max_position_embeddings / 2).max(1);
    let tokens = |sequence: usize| (0..length).map(|index| draw(sequence, index)).collect();
    Group { row: 0, prompt: tokens(0), responses: (1..=SEQUENCES).map(tokens).collect() }
}
