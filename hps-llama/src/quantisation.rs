//! Frozen projections in fewer bits than their file has, made as a model is loaded: QLoRA's base.
//!
//! By the names of transformers' `BitsAndBytesConfig`: `load_in_4bit`, `bnb_4bit_quant_type`, `bnb_4bit_use_double_quant`,
//! `llm_int8_skip_modules`. The seven projections of every block are quantised; embedding, head and gains keep the type of
//! their file. What is computed is computed with the numbers that the codes stand for: see [`blocks`](crate::blocks).

use crate::backend::{Bytes, Encoding, FourBitScales, NestedScales, StoredSize, StoredTensor};
use crate::blocks::{BlockType, DoubleQuantisation, FourBitType, QuantisedFourBit, quantise_q8_0};
use crate::config::LlamaConfig;
use crate::parameter::{Parameter, Projection};
use crate::{Error, ErrorKind, Result};
use std::fmt;
use std::str::FromStr;

/// Numbers that share a scale in `nf4` and `fp4`, as in bitsandbytes.
pub(crate) const BLOCK_SIZE: usize = 64;
/// Scales that share a scale.
pub(crate) const NESTED_BLOCK_SIZE: usize = 256;

/// What projections become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuantisedType {
    /// bitsandbytes' codes of four bits.
    FourBit {
        /// `bnb_4bit_quant_type`.
        kind: FourBitType,
        /// `bnb_4bit_use_double_quant`: 4.13 bits a number instead of 4.5.
        double: bool,
    },
    /// ggml's blocks of 32 numbers of eight bits: 8.5 bits a number.
    Q8_0,
}

impl QuantisedType {
    /// What a matrix of so many rows and columns takes.
    pub fn size_of(self, (rows, columns): (usize, usize)) -> StoredSize {
        let numbers = rows as u64 * columns as u64;
        let blocks = numbers.div_ceil(BLOCK_SIZE as u64);
        let bytes = match self {
            QuantisedType::FourBit { double: false, .. } => numbers.div_ceil(2) + 4 * blocks,
            // A code for each block's scale, an f32 for each 256 of these, and what the codes stand for.
            QuantisedType::FourBit { double: true, .. } => {
                numbers.div_ceil(2) + blocks + 4 * blocks.div_ceil(NESTED_BLOCK_SIZE as u64) + 1024
            }
            QuantisedType::Q8_0 => numbers / 32 * 34,
        };
        StoredSize { numbers, bytes }
    }
}

impl fmt::Display for QuantisedType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QuantisedType::FourBit { kind, double: false } => write!(out, "{kind}"),
            QuantisedType::FourBit { kind, double: true } => write!(out, "{kind}, doubly quantised"),
            QuantisedType::Q8_0 => out.write_str(BlockType::Q8_0.name()),
        }
    }
}

/// A type of GGUF files that projections are quantised to: `load_in_gguf_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GgufType {
    /// 32 numbers of eight bits and a scale.
    Q8_0,
}

impl FromStr for GgufType {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        if name == BlockType::Q8_0.name() {
            return Ok(GgufType::Q8_0);
        }
        Err(Error::new(ErrorKind::Option, format!("`{name}` is not q8_0, which is what can be made")))
    }
}

impl fmt::Display for GgufType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GgufType::Q8_0 => out.write_str(BlockType::Q8_0.name()),
        }
    }
}

/// How a model is quantised as it is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quantisation {
    /// What projections become.
    pub kind: QuantisedType,
    /// `llm_int8_skip_modules`: modules that keep their file's type, by their name (`model.layers.0.self_attn.q_proj`), or by
    /// its beginning or its end at a dot (`model.layers.0`, `q_proj`).
    pub skip_modules: Vec<String>,
}

impl Quantisation {
    /// What the options ask for; `None` where they ask for nothing.
    ///
    /// * `four_bit`: `load_in_4bit`, with its code book and whether scales are quantised, too.
    pub fn asked_for(
        four_bit: Option<(FourBitType, bool)>,
        load_in_gguf_type: Option<GgufType>,
        skip_modules: &[String],
    ) -> Option<Quantisation> {
        let kind = match (load_in_gguf_type, four_bit) {
            (Some(GgufType::Q8_0), _) => QuantisedType::Q8_0,
            (None, Some((kind, double))) => QuantisedType::FourBit { kind, double },
            (None, None) => return None,
        };
        // One text for what is quantised alike: it is recorded and compared. The head is never quantised.
        let mut skip_modules: Vec<String> = skip_modules.iter().filter(|name| *name != "lm_head").cloned().collect();
        skip_modules.sort_unstable();
        skip_modules.dedup();
        Some(Quantisation { kind, skip_modules })
    }

    /// Refuses a name of `skip_modules` that is of no projection of the model: another one may be meant.
    ///
    /// # Errors
    /// There is such a name.
    pub fn check(&self, config: &LlamaConfig) -> Result<()> {
        let all = || (0..config.num_hidden_layers).flat_map(|block| Projection::ALL.map(|one| one.path(block)));
        // transformers' users keep the head, which is not quantised here.
        let known = |name: &str| name == "lm_head" || all().any(|module| is_meant(name, &module));
        match self.skip_modules.iter().find(|name| !known(name)) {
            None => Ok(()),
            Some(name) => {
                let message = format!("`llm_int8_skip_modules` names `{name}`, which is no module of the model");
                Err(Error::new(ErrorKind::Option, message))
            }
        }
    }

    /// Whether a weight is quantised.
    pub fn applies_to(&self, parameter: Parameter) -> bool {
        let Parameter::Weight(block, projection) = parameter else { return false };
        let module = projection.path(block);
        !self.skip_modules.iter().any(|name| is_meant(name, &module))
    }

    /// A weight of the model in this type; `None` where it keeps that of its file.
    ///
    /// # Errors
    /// As [`quantise`](Self::quantise); the parameter is named.
    pub(crate) fn made_of(
        &self,
        parameter: Parameter,
        tensor: &StoredTensor<'_>,
    ) -> Result<Option<StoredTensor<'static>>> {
        if !self.applies_to(parameter) {
            return Ok(None);
        }
        self.quantise(tensor).map(Some).map_err(|error| error.at(format!("`{parameter}`")))
    }

    /// Refuses a matrix that is in codes already.
    pub(crate) fn expect_numbers(tensor: &StoredTensor<'_>) -> Result<()> {
        let Encoding::Numbers(_) = tensor.encoding() else {
            let message = format!(
                "is stored in {} already, and is not quantised again: leave out `load_in_4bit` and `load_in_gguf_type`",
                tensor.encoding().name()
            );
            return Err(Error::new(ErrorKind::Option, message));
        };
        Ok(())
    }

    /// A matrix in this type.
    ///
    /// # Errors
    /// It is quantised already, its rows are no whole blocks, or a number is not finite.
    fn quantise(&self, tensor: &StoredTensor<'_>) -> Result<StoredTensor<'static>> {
        Self::expect_numbers(tensor)?;
        let (shape, numbers) = ([tensor.rows(), tensor.columns()], tensor.rows() * tensor.columns());
        let read = |first: usize, out: &mut [f32]| tensor.decode_from(first, out);
        match self.kind {
            QuantisedType::FourBit { kind, double } => {
                let double = if double { DoubleQuantisation::AroundMean } else { DoubleQuantisation::Off };
                four_bit(shape, kind.quantise(numbers, BLOCK_SIZE, double, read)?)
            }
            QuantisedType::Q8_0 if !shape[1].is_multiple_of(BlockType::Q8_0.numbers()) => {
                let message = format!("has rows of {} numbers; q8_0 needs multiples of 32", shape[1]);
                Err(Error::new(ErrorKind::Weights, message))
            }
            QuantisedType::Q8_0 => {
                let bytes = Bytes::Shared(quantise_q8_0(numbers, read)?.into());
                StoredTensor::new(Encoding::Blocks(BlockType::Q8_0), shape, bytes)
            }
        }
    }
}

impl fmt::Display for Quantisation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.kind)?;
        if !self.skip_modules.is_empty() {
            write!(out, " but for {}", self.skip_modules.join(", "))?;
        }
        Ok(())
    }
}

fn four_bit(shape: [usize; 2], made: QuantisedFourBit) -> Result<StoredTensor<'static>> {
    let QuantisedFourBit { kind, block_size, packed, absmax, nested, .. } = made;
    let nested = nested.map(|nested| NestedScales {
        absmax: nested.absmax.into(),
        quant_map: nested.quant_map.into(),
        block_size: nested.block_size,
        offset: nested.offset,
    });
    let scales = FourBitScales { kind, block_size, absmax: absmax.into(), nested };
    StoredTensor::new(Encoding::FourBit(scales), shape, Bytes::Shared(packed.into()))
}

/// Whether a name is a module's, or the beginning or the end of it at a dot.
fn is_meant(name: &str, module: &str) -> bool {
    let before = module.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    let after = module.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    !name.is_empty() && (before || after)
}
