//! An adapter merged into its base, `W' = W + s · B A`: a model of its own, that needs no adapter's reader.
//!
//! Weights go from file to file, a shard in memory at a time, and the sums are formed in f64. The written model is read
//! back and has to say of some token sequences what the base says with the adapter, before it gets its name.

mod filling;

use crate::backend::cpu::Cpu;
use crate::backend::{Backend, Encoding, Precision};
use crate::beside;
use crate::companions::{self, Companions};
use crate::config::LlamaConfig;
use crate::evaluate::token_log_probs;
use crate::files::write_whole;
use crate::lora::Lora;
use crate::model::{Llama, ModelFolder, Policy};
use crate::pack::Group;
use crate::parameter::Parameter;
use crate::weights::{ShardedTensor, write_shards};
use crate::{Error, ErrorKind, Result, json};
use filling::Filling;
use hps_core::Philox;
use serde_json::Value;
use std::path::Path;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MergeOptions {
    /// Its number type, f32 or bf16; `None` for the base's (f32 for an f16 base).
    pub precision: Option<Precision>,
    /// Greatest size of a file of weights, in bytes.
    pub max_shard_size: u64,
    /// Whether the adapter may record another base than this one (see [`base`](crate::base)).
    pub allow_other_base: bool,
}

impl Default for MergeOptions {
    /// The base's number type, in files of 5 GB.
    fn default() -> Self {
        MergeOptions { precision: None, max_shard_size: 5_000_000_000, allow_other_base: false }
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
    /// Tokens whose log-probs were compared with those of the base with the adapter.
    pub compared: usize,
    /// Their greatest difference, in nats. In f32 it was checked (1e-5, or 1e-5 of a log-prob beyond 1); in bf16, whose
    /// rounding moves a weight by up to 2⁻⁹ of itself, it is only told.
    pub difference: f64,
}

/// Merges the adapter of a folder into the base of another, and writes the model into `output`, whole or not at all.
///
/// # Errors
/// A folder is malformed, the adapter does not fit or was trained on another base, a file beside the weights is not one to
/// copy (see [`companions`]), `output` is there and not empty, or another process merges into it, a file
/// cannot be written, or the written model differs from the base with the adapter.
pub fn merge(base: &Path, adapter: &Path, output: &Path, options: &MergeOptions) -> Result<Merged> {
    let filling = Filling::begin(output, &[base.to_path_buf(), adapter.to_path_buf()])?;
    let folder = ModelFolder::open(base)?;
    let adapter = Lora::from_folder(&Cpu, folder.config(), adapter, 0)?;
    let adapter = adapter.on_base(Some(folder.base_digest()?), options.allow_other_base)?;
    let precision = match options.precision {
        Some(precision) => precision,
        None => base_precision(&folder)?,
    };
    let parts = Parts {
        parameters: folder.of_language_model()?,
        companions: Companions::read(base)?,
        config: config(base, folder.config(), precision)?,
        folder,
    };
    let files = write(&parts, &adapter, filling.path(), precision, options.max_shard_size)?;
    let (compared, difference) = compare(base, adapter, filling.path(), precision)?;
    filling.finish()?;
    Ok(Merged { precision, files, compared, difference })
}

/// What a merged model is made of.
struct Parts {
    folder: ModelFolder,
    parameters: Vec<Parameter>,
    companions: Companions,
    /// The `config.json` to be written.
    config: Value,
}

fn base_precision(folder: &ModelFolder) -> Result<Precision> {
    let parameter = Parameter::Embedding;
    let embedding = folder.weights().stored(&parameter.to_string(), parameter.shape(folder.config(), 0))?;
    Ok(match embedding.encoding() {
        Encoding::Numbers(Precision::BF16) => Precision::BF16,
        _ => Precision::F32,
    })
}

/// Writes all of the folder; returns the number of files of weights.
fn write(
    parts: &Parts,
    adapter: &Lora<Cpu>,
    output: &Path,
    precision: Precision,
    max_shard_size: u64,
) -> Result<usize> {
    let Parts { folder, parameters, companions, config } = parts;
    let tensors: Vec<ShardedTensor> = parameters
        .iter()
        .map(|parameter| {
            let (rows, columns) = parameter.shape(folder.config(), 0);
            let shape = if parameter.is_gain() { vec![columns] } else { vec![rows, columns] };
            ShardedTensor { name: parameter.to_string(), shape }
        })
        .collect();
    let files = write_shards(output, &tensors, precision, max_shard_size, |index| {
        merged(parameters[index], folder, adapter) //
    })?;
    companions.write(output)?;
    write_whole(&output.join(CONFIG), format!("{config:#}\n").as_bytes())?;
    Ok(files)
}

/// A weight of the merged model.
fn merged(parameter: Parameter, folder: &ModelFolder, adapter: &Lora<Cpu>) -> Result<Vec<f32>> {
    let shape = parameter.shape(folder.config(), 0);
    let mut weight = folder.weights().read(&parameter.to_string(), shape, |tensor| {
        Cpu.download_weight(&Cpu.upload_weight(tensor, true)?) //
    })?;
    adapter.add_to(&Cpu, parameter, &mut weight, shape.1)?;
    Ok(weight)
}

/// The base's `config.json` with the number type of what is written, under the name it had, and with what the base's weights
/// say of the head.
fn config(base: &Path, read: &LlamaConfig, precision: Precision) -> Result<Value> {
    let place = beside::place(base, CONFIG);
    let missing = || Error::new(ErrorKind::Io, "is not there").at(&place);
    let text = companions::own(base, CONFIG)?.ok_or_else(missing)?;
    let mut config: Value = json::of_file(&text, ErrorKind::Config, &place)?;
    let old = config.get("torch_dtype").is_some() && config.get("dtype").is_none();
    let name = if precision == Precision::BF16 { "bfloat16" } else { "float32" };
    config[if old { "torch_dtype" } else { "dtype" }] = name.into();
    // What is written is not in the base's codes.
    if let Some(config) = config.as_object_mut() {
        config.remove("quantization_config");
    }
    if config.get("tie_word_embeddings").is_some() || read.tie_word_embeddings {
        config["tie_word_embeddings"] = read.tie_word_embeddings.into();
    }
    Ok(config)
}

/// How many tokens were compared, and the greatest difference of their log-probs; one model in memory at a time.
fn compare(base: &Path, adapter: Lora<Cpu>, folder: &Path, precision: Precision) -> Result<(usize, f64)> {
    let adapted = Policy { model: Llama::from_folder(Cpu, base, false)?, adapter: Some(adapter) };
    let group = compared(adapted.model.config());
    let expected = token_log_probs(&adapted, &group)?.concat();
    drop(adapted);
    let merged = Policy { model: Llama::from_folder(Cpu, folder, false)?, adapter: None };
    let ours = token_log_probs(&merged, &group)?.concat();

    let (count, mut greatest) = (expected.len(), 0.0f64);
    for (token, (expected, ours)) in expected.iter().zip(&ours).enumerate() {
        let (expected, ours) = (f64::from(*expected), f64::from(*ours));
        let difference = (expected - ours).abs();
        let allowed = if precision == Precision::F32 { ALLOWED * expected.abs().max(1.0) } else { f64::MAX };
        if difference > allowed || difference.is_nan() {
            let message = format!(
                "the merged model's log-prob of token {token} of {count} is {ours}, but the base's with the adapter is {expected}"
            );
            return Err(Error::new(ErrorKind::Weights, message).at(base.display()));
        }
        greatest = greatest.max(difference);
    }
    Ok((count, greatest))
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
