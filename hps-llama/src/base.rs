//! Which model is an adapter's base: a digest of a sample of its weights.
//!
//! SHA-256 of the numbers of `config.json` that a forward pass depends on, and of each weight's name, shape and 16 numbers
//! spread over its rows and columns, each rounded to bf16. So it is the same for a copy in other shards, with or without
//! the tied head written out, and in f32 or bf16, but not for an f16 copy some of whose numbers rounded twice. Reading
//! it takes some thousand numbers of a mapped file, whatever the model's size. It tells models apart, but proves nothing: one
//! that differs between the sampled numbers only, or by less than bf16 shows, has the same.
//!
//! An adapter that is saved here says in the header of `adapter_model.safetensors` which base it was trained on, under
//! `__metadata__`, whose texts PEFT does not read. Adapters of other programs say a name only, in
//! `base_model_name_or_path`; a name proves nothing, and nothing is refused for it.
//!
//! The digest is of the files. A base that was quantised as it was loaded has other numbers, so beside the digest stands what
//! its projections were quantised to.

use crate::backend::Backend;
use crate::config::LlamaConfig;
use crate::digest::{Digest, Hasher};
use crate::lora::{Lora, Recorded};
use crate::parameter::Parameter;
use crate::quantisation::Quantisation;
use crate::weights::Weights;
use crate::{Error, ErrorKind, Result};
use half::bf16;
use serde_json::json;
use std::fmt;

/// The key in the header of an adapter's file.
pub(crate) const RECORD: &str = "hps_base_sha256";
/// The key of what the base was quantised to as it was loaded.
pub(crate) const QUANTISED: &str = "hps_base_quantisation";
/// Numbers of each weight.
const NUMBERS: usize = 16;

/// Digest of a model as a base; `Display` is its 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BaseDigest(Digest);

impl BaseDigest {
    pub(crate) fn of(config: &LlamaConfig, weights: &Weights) -> Result<BaseDigest> {
        let whole = config.to_json();
        let numbers = [
            "head_dim",
            "num_attention_heads",
            "num_hidden_layers",
            "num_key_value_heads",
            "rms_norm_eps",
            "rope_parameters",
        ]
        .map(|name| format!("{name} {}", sorted(&whole[name])));
        let mut hasher = Hasher::default();
        for number in &numbers {
            hasher.text(number);
        }
        let mut parameters = Parameter::of_model(config);
        if config.tie_word_embeddings {
            parameters.push(Parameter::Head);
        }
        for parameter in parameters {
            let tied = parameter == Parameter::Head && config.tie_word_embeddings;
            let source = if tied { Parameter::Embedding } else { parameter };
            let (rows, columns) = source.shape(config, 0);
            let stored = weights.stored(&source.to_string(), (rows, columns))?;
            let sampled: Vec<u8> =
                places(rows, columns).flat_map(|index| bf16::from_f32(stored.number(index)).to_le_bytes()).collect();
            hasher.text(&parameter.to_string()).text(&format!("{rows} {columns}")).bytes(&sampled);
        }
        Ok(BaseDigest(hasher.finish()))
    }
}

impl fmt::Display for BaseDigest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// Rows one after the other, columns by the golden ratio, so that neither of them is ever the same few.
fn places(rows: usize, columns: usize) -> impl Iterator<Item = usize> {
    (0..NUMBERS).map(move |number| {
        let part = (number as u32).wrapping_mul(0x9e37_79b9);
        let column = (u64::from(part) * columns as u64) >> 32;
        number * rows / NUMBERS * columns + column as usize
    })
}

/// A value as text whose objects have their keys in order, whatever serde_json is built with.
fn sorted(value: &serde_json::Value) -> String {
    match value.as_object() {
        Some(object) => {
            let mut fields: Vec<String> = object.iter().map(|(name, value)| format!("{name} {value}")).collect();
            fields.sort_unstable();
            json!(fields).to_string()
        }
        None => value.to_string(),
    }
}

impl<B: Backend> Lora<B> {
    /// The same for use on a base, which is recorded when it is saved.
    ///
    /// * base — of [`Llama::base_digest`](crate::model::Llama::base_digest) or
    ///   [`ModelFolder::base_digest`](crate::model::ModelFolder::base_digest); `None` for a model of no folder, of which
    ///   nothing is known.
    ///
    /// # Errors
    /// It was read from a file that records another base, and `allow_other_base` is false.
    pub fn on_base(mut self, base: Option<BaseDigest>, allow_other_base: bool) -> Result<Self> {
        let found = base.map(|base| base.to_string());
        if let (Some(digest), Some(found), false) = (&self.recorded.digest, &found, allow_other_base)
            && digest != found
        {
            let name = self.recorded.name.as_deref().unwrap_or("of no name");
            let message = format!(
                "was trained on another base, {name:?}: its digest there is {digest}, that of the model given is {found}; \
                 `--allow_other_base` takes it all the same"
            );
            return Err(Error::new(ErrorKind::Adapter, message).at(&self.recorded.place));
        }
        self.recorded.digest = found;
        Ok(self)
    }

    /// The same for use on a base whose projections are quantised so, which is recorded when it is saved.
    #[must_use]
    pub fn on_quantised(mut self, quantisation: Option<&Quantisation>) -> Self {
        self.recorded.quantisation = quantisation.map(ToString::to_string);
        self
    }

    /// Refuses a base that is quantised otherwise than the one it was trained on, if its file says how that was.
    ///
    /// # Errors
    /// As said, and `allow_other_base` is false.
    pub fn expect_quantised(&self, quantisation: Option<&Quantisation>, allow_other_base: bool) -> Result<()> {
        let found = quantisation.map(ToString::to_string);
        let Recorded { digest, quantisation: recorded, place, .. } = &self.recorded;
        if allow_other_base || *recorded == found || recorded.is_none() && digest.is_none() {
            return Ok(());
        }
        let as_loaded = |it: &Option<String>, none: &str| match it {
            Some(text) => format!("with its projections quantised to {text} as it was loaded"),
            None => none.to_string(),
        };
        let message = format!(
            "was trained on its base {}, and is to be used on it {}; give the options of quantisation that it was trained \
             with (`--load_in_4bit`, …), or `--allow_other_base`",
            as_loaded(recorded, "as its files have it (it records no quantisation)"),
            as_loaded(&found, "as its files have it")
        );
        Err(Error::new(ErrorKind::Adapter, message).at(place))
    }

    /// What the file that it was read from says of its base: its name, and whether the base's digest stands there too.
    pub fn base_in_file(&self) -> (Option<&str>, bool) {
        (self.recorded.name.as_deref(), self.recorded.digest.is_some())
    }
}
