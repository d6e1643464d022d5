//! A model whose projections are in bitsandbytes' codes, as a folder that transformers saves: read again, it is mapped as it
//! is, and nothing is quantised.
//!
//! Beside a matrix's codes, `<name>` of U8 `[bytes, 1]`, stand the parts that [`weights`](crate::weights) reads. They are
//! written a matrix at a time, so that a model need not fit into memory. Source of the form: `QuantState.as_dict` of
//! bitsandbytes, `BitsAndBytesConfig` of transformers.

use crate::backend::{Encoding, FourBitScales, Precision, StoredTensor};
use crate::blocks::FourBitType;
use crate::companions::Companions;
use crate::files::{Filling, InParts, write_whole};
use crate::model::{ModelFolder, config_json};
use crate::parameter::{Parameter, Projection};
use crate::quantisation::{BLOCK_SIZE, NESTED_BLOCK_SIZE, Quantisation, QuantisedType};
use crate::weights::{PlannedTensor, begin_safetensors};
use crate::{Error, ErrorKind, Result};
use half::{bf16, f16};
use safetensors::tensor::Dtype;
use serde_json::{Value, json};
use std::path::Path;

const WEIGHTS: &str = "model.safetensors";
const CONFIG: &str = "config.json";
/// Numbers of a weight that is not quantised that are copied at a time.
const PIECE: usize = 1 << 20;
/// Characters that an offset may need more than `0.0`.
const LONGEST_NUMBER: usize = 32;

/// Quantises a model to four bits and writes it into `output`, whole or not at all; returns the bytes of its weights.
///
/// * told — how many weights of how many are written.
///
/// # Errors
/// The type is none of four bits; the model is malformed, or quantised already; a file beside the weights is not one to copy
/// (see [`companions`](crate::companions)); `output` is there and not empty, or another process writes it; a file cannot be
/// written.
pub fn write_four_bit_folder(
    model: &Path,
    quantisation: &Quantisation,
    output: &Path,
    mut told: impl FnMut(usize, usize),
) -> Result<usize> {
    let QuantisedType::FourBit { kind, double } = quantisation.kind else {
        let message = format!(
            "a folder holds four bits (`load_in_4bit`), not {}, which is a type of GGUF files",
            quantisation.kind
        );
        return Err(Error::new(ErrorKind::Option, message));
    };
    let filling = Filling::begin(output, &[model.to_path_buf()], "an export")?;
    let folder = ModelFolder::open(model)?;
    quantisation.check(folder.config())?;
    let companions = Companions::read(model)?;
    let config = config(model, &folder, quantisation)?;
    let mut weights = folder
        .of_language_model()?
        .into_iter()
        .map(|parameter| Weight::of(parameter, &folder, quantisation))
        .collect::<Result<Vec<_>>>()?;
    // A tensor lies at a multiple of its numbers' size: wide ones first, and each matrix's parts are a multiple of 8 bytes.
    weights.sort_by_key(|weight| match weight.kept {
        Some(Precision::F32) => 0,
        None => 1,
        Some(Precision::F16 | Precision::BF16) => 2,
    });
    let planned: Vec<PlannedTensor> = weights.iter().flat_map(|weight| weight.planned(kind, double)).collect();
    let mut file = begin_safetensors(&filling.path().join(WEIGHTS), &planned)?;
    let count = weights.len();
    for (done, weight) in weights.into_iter().enumerate() {
        told(done, count);
        let shape = (weight.rows, weight.columns);
        folder.weights().read(&weight.parameter.to_string(), shape, |tensor| {
            let Some(precision) = weight.kept else {
                let made = quantisation.made_of(weight.parameter, tensor)?;
                return weight.write_codes(made.as_ref().unwrap_or(tensor), &mut file);
            };
            copy(tensor, precision, &mut file)
        })?;
    }
    told(count, count);
    file.finish()?;
    companions.write(filling.path())?;
    write_whole(&filling.path().join(CONFIG), format!("{config:#}\n").as_bytes())?;
    filling.finish()?;
    Ok(planned.iter().map(PlannedTensor::bytes).sum())
}

/// A weight to be written.
struct Weight {
    parameter: Parameter,
    rows: usize,
    columns: usize,
    /// The number type of one that is not quantised.
    kept: Option<Precision>,
    /// What its file has: `dtype` of a matrix of codes.
    dtype: &'static str,
}

impl Weight {
    fn of(parameter: Parameter, folder: &ModelFolder, quantisation: &Quantisation) -> Result<Weight> {
        let (rows, columns) = parameter.shape(folder.config(), 0);
        let stored = folder.weights().stored(&parameter.to_string(), (rows, columns))?;
        let dtype = stored.encoding().name();
        let kept = match stored.encoding() {
            _ if quantisation.applies_to(parameter) => None,
            Encoding::Numbers(precision) => Some(*precision),
            _ => {
                let message = format!("`{parameter}` is stored in {dtype}, which safetensors do not hold");
                return Err(Error::new(ErrorKind::Option, message));
            }
        };
        Ok(Weight { parameter, rows, columns, kept, dtype })
    }

    /// What is written of it, in this order.
    fn planned(&self, kind: FourBitType, double: bool) -> Vec<PlannedTensor> {
        let Weight { parameter, rows, columns, kept, .. } = self;
        let planned = |suffix: &str, dtype, shape: &[usize]| {
            let name = format!("{parameter}{suffix}");
            PlannedTensor { name, dtype, shape: shape.to_vec() }
        };
        if let Some(precision) = kept {
            let dtype = match precision {
                Precision::F32 => Dtype::F32,
                Precision::F16 => Dtype::F16,
                Precision::BF16 => Dtype::BF16,
            };
            let shape = [*rows, *columns];
            return vec![planned("", dtype, if parameter.is_gain() { &shape[1..] } else { &shape })];
        }
        let numbers = rows * columns;
        let blocks = numbers.div_ceil(BLOCK_SIZE);
        let mut parts = vec![planned(".quant_map", Dtype::F32, &[16])];
        if double {
            parts.push(planned(".nested_absmax", Dtype::F32, &[blocks.div_ceil(NESTED_BLOCK_SIZE)]));
            parts.push(planned(".nested_quant_map", Dtype::F32, &[256]));
        }
        parts.push(planned(".absmax", if double { Dtype::U8 } else { Dtype::F32 }, &[blocks]));
        parts.push(planned("", Dtype::U8, &[numbers.div_ceil(2), 1]));
        let before: usize = parts.iter().map(PlannedTensor::bytes).sum();
        let state = self.state(kind, double.then_some(0.0)).len() + LONGEST_NUMBER;
        let state = (before + state).next_multiple_of(8) - before;
        parts.push(planned(&format!(".quant_state.bitsandbytes__{kind}"), Dtype::U8, &[state]));
        parts
    }

    /// The JSON of a matrix of codes.
    fn state(&self, kind: FourBitType, offset: Option<f32>) -> String {
        let mut state = json!({
            "quant_type": kind.to_string(), "blocksize": BLOCK_SIZE, "dtype": self.dtype,
            "shape": [self.rows, self.columns],
        });
        if let Some(offset) = offset {
            state["nested_blocksize"] = NESTED_BLOCK_SIZE.into();
            state["nested_dtype"] = "float32".into();
            state["nested_offset"] = offset.into();
        }
        state.to_string()
    }

    /// In the order of [`planned`](Self::planned).
    fn write_codes(&self, made: &StoredTensor<'_>, file: &mut InParts) -> Result<()> {
        let Encoding::FourBit(FourBitScales { kind, absmax, nested, .. }) = made.encoding() else {
            unreachable!("what is quantised to four bits has them")
        };
        let book: Vec<u8> = kind.code_book().iter().flat_map(|number| number.to_le_bytes()).collect();
        file.write(&book)?;
        if let Some(nested) = nested {
            file.write(&nested.absmax)?;
            file.write(&nested.quant_map)?;
        }
        file.write(absmax)?;
        file.write(made.bytes())?;
        let state = self.state(*kind, nested.as_ref().map(|nested| nested.offset));
        // JSON's readers pass over spaces; how long a number is was not known when the header was written.
        let length = self.planned(*kind, nested.is_some()).last().map_or(0, PlannedTensor::bytes);
        file.write(format!("{state:length$}").as_bytes())
    }
}

/// Numbers in the type that they have.
fn copy(tensor: &StoredTensor<'_>, precision: Precision, file: &mut InParts) -> Result<()> {
    let rows = (PIECE / tensor.columns()).max(1);
    let mut numbers = Vec::new();
    for first in (0..tensor.rows()).step_by(rows) {
        let last = (first + rows).min(tensor.rows());
        numbers.resize((last - first) * tensor.columns(), 0.0);
        tensor.decode(first..last, 0..tensor.columns(), &mut numbers);
        let bytes: Vec<u8> = match precision {
            Precision::F32 => numbers.iter().flat_map(|number| number.to_le_bytes()).collect(),
            Precision::F16 => numbers.iter().flat_map(|number| f16::from_f32(*number).to_le_bytes()).collect(),
            Precision::BF16 => numbers.iter().flat_map(|number| bf16::from_f32(*number).to_le_bytes()).collect(),
        };
        file.write(&bytes)?;
    }
    Ok(())
}

/// The model's `config.json`, with `quantization_config` as transformers writes it.
fn config(model: &Path, folder: &ModelFolder, quantisation: &Quantisation) -> Result<Value> {
    let QuantisedType::FourBit { kind, double } = quantisation.kind else { return Ok(Value::Null) };
    let mut config = config_json(model, folder.config())?;
    let blocks = 0..folder.config().num_hidden_layers;
    let projections = blocks.flat_map(|block| Projection::ALL.map(|one| (block, one)));
    let skipped = projections.filter(|(block, one)| !quantisation.applies_to(Parameter::Weight(*block, *one)));
    let skipped = skipped.map(|(block, one)| one.path(block)).chain(["lm_head".to_string()]);
    let name = if config.get("dtype").is_some() { "dtype" } else { "torch_dtype" };
    let compute = config.get(name).cloned().unwrap_or_else(|| "float32".into());
    config["quantization_config"] = json!({
        "quant_method": "bitsandbytes", "_load_in_4bit": true, "_load_in_8bit": false, "load_in_4bit": true,
        "load_in_8bit": false, "bnb_4bit_compute_dtype": compute, "bnb_4bit_quant_storage": "uint8",
        "bnb_4bit_quant_type": kind.to_string(), "bnb_4bit_use_double_quant": double,
        "llm_int8_enable_fp32_cpu_offload": false, "llm_int8_has_fp16_weight": false,
        "llm_int8_skip_modules": skipped.collect::<Vec<String>>(), "llm_int8_threshold": 6.0,
    });
    Ok(config)
}
