//! What a Llama's `config.json` says, and the rotary frequencies that follow from it.
//!
//! Both of the spellings that transformers has used for the rotary settings are read and written. What this crate would
//! compute otherwise than transformers does (another activation, biases, sliding windows, quantised weights, …) is refused.

use std::path::Path;

use serde_json::{Value, json};

use crate::backend::Precision;
use crate::hub::expect_model_here;
use crate::{Result, beside};

mod classes;
mod fields;
mod rope;

pub(crate) use classes::GatingConfig;
use fields::Fields;
pub use rope::{Rope, RopeScaling};

const CONFIG: &str = "config.json";
const GENERATION: &str = "generation_config.json";

/// A Llama's shape and constants, by the names `config.json` gives them.
///
/// Made by [`from_folder`](Self::from_folder) or [`from_json`](Self::from_json), which check what the fields promise.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LlamaConfig {
    /// Rows of the embedding and of the head; every token is less.
    pub vocab_size: usize,
    /// Features of the residual stream.
    pub hidden_size: usize,
    /// Features inside the SwiGLU.
    pub intermediate_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Query heads; a multiple of `num_key_value_heads`.
    pub num_attention_heads: usize,
    /// Key and value heads.
    pub num_key_value_heads: usize,
    /// Features of one head; even. `hidden_size / num_attention_heads` unless the file says otherwise.
    pub head_dim: usize,
    /// Added to the mean square before its root is taken.
    pub rms_norm_eps: f64,
    /// Positions the model was made for.
    pub max_position_embeddings: usize,
    /// Whether the head is the embedding.
    pub tie_word_embeddings: bool,
    /// The token a sequence begins with.
    pub bos_token_id: Option<u32>,
    /// The tokens that end a generation, of `config.json` and `generation_config.json` together.
    pub eos_token_ids: Vec<u32>,
    /// The token that fills a batch's short rows.
    pub pad_token_id: Option<u32>,
    /// Rotary position embedding.
    pub rope: Rope,
}

impl LlamaConfig {
    /// Reads a model folder's `config.json`, and adds the end tokens of its `generation_config.json` if there is one. The
    /// metadata of a GGUF file is read as these files.
    ///
    /// # Errors
    /// A file cannot be read or is malformed, or the model is one that this crate does not compute.
    pub fn from_folder(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        expect_model_here(folder)?;
        let (text, place) = read(folder)?;
        let mut config = Self::from_json(&text, &place)?;
        if let Some(text) = beside::read_text(folder, GENERATION)? {
            let place = beside::place(folder, GENERATION);
            let fields = Fields::parse(&text, &place)?;
            for id in fields.token_ids("eos_token_id", config.vocab_size)? {
                if !config.eos_token_ids.contains(&id) {
                    config.eos_token_ids.push(id);
                }
            }
        }
        Ok(config)
    }

    /// The number type that a folder's `config.json` names for its weights; float32 if it names none, as transformers has it.
    ///
    /// # Errors
    /// The file cannot be read, or names another type than float32, float16 and bfloat16.
    pub fn dtype(folder: impl AsRef<Path>) -> Result<Precision> {
        let (text, place) = read(folder.as_ref())?;
        let fields = Fields::parse(&text, &place)?;
        let name = if fields.get("dtype").is_some() { "dtype" } else { "torch_dtype" };
        match fields.get(name).map(|value| value.as_str()) {
            None | Some(Some("float32")) => Ok(Precision::F32),
            Some(Some("float16")) => Ok(Precision::F16),
            Some(Some("bfloat16")) => Ok(Precision::BF16),
            Some(_) => Err(fields.error_at(name, "is none of float32, float16 and bfloat16")),
        }
    }

    /// Reads the text of a `config.json`; `place` is the file's name in errors.
    ///
    /// ```
    /// use hps_llama::config::LlamaConfig;
    ///
    /// let config = LlamaConfig::from_json(
    ///     r#"{"model_type": "llama", "vocab_size": 128256, "hidden_size": 4096, "intermediate_size": 14336,
    ///         "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "rms_norm_eps": 1e-5,
    ///         "max_position_embeddings": 8192, "rope_theta": 500000.0, "bos_token_id": 128000, "eos_token_id": 128001}"#,
    ///     "config.json",
    /// )?;
    /// assert_eq!(config.head_dim, 128);
    /// assert_eq!(config.inverse_frequencies()[0], 1.0);
    /// # Ok::<(), hps_llama::Error>(())
    /// ```
    pub fn from_json(text: &str, place: &str) -> Result<Self> {
        let fields = Fields::parse(text, place)?;
        refuse_other_models(&fields)?;
        let num_attention_heads = fields.size("num_attention_heads")?;
        let hidden_size = fields.size("hidden_size")?;
        let vocab_size = fields.size("vocab_size")?;
        let config = LlamaConfig {
            vocab_size,
            hidden_size,
            intermediate_size: fields.size("intermediate_size")?,
            num_hidden_layers: fields.size("num_hidden_layers")?,
            num_attention_heads,
            num_key_value_heads: fields.size_or("num_key_value_heads", || Ok(num_attention_heads))?,
            head_dim: fields.size_or("head_dim", || {
                if hidden_size.is_multiple_of(num_attention_heads) {
                    return Ok(hidden_size / num_attention_heads);
                }
                let message = format!(
                    "`hidden_size` {hidden_size} is not a multiple of `num_attention_heads` {num_attention_heads}, and there is no `head_dim`"
                );
                Err(fields.error(message))
            })?,
            rms_norm_eps: fields.positive("rms_norm_eps")?,
            max_position_embeddings: fields.size("max_position_embeddings")?,
            tie_word_embeddings: fields.flag("tie_word_embeddings")?,
            bos_token_id: fields.token_id("bos_token_id", vocab_size)?,
            eos_token_ids: fields.token_ids("eos_token_id", vocab_size)?,
            // Folders exist whose padding token is no token at all (−1, or one past the vocabulary); nothing here embeds it.
            pad_token_id: fields.token_id_or_none("pad_token_id", vocab_size)?,
            rope: Rope::read(&fields)?,
        };
        if !config.num_attention_heads.is_multiple_of(config.num_key_value_heads) {
            let message = format!(
                "`num_attention_heads` {} is not a multiple of `num_key_value_heads` {}",
                config.num_attention_heads, config.num_key_value_heads
            );
            return Err(fields.error(message));
        }
        if !config.head_dim.is_multiple_of(2) {
            return Err(fields.error(format!("`head_dim` {} is odd, and rotation needs pairs", config.head_dim)));
        }
        Ok(config)
    }

    /// The `config.json` of a folder that transformers (4.4x and 5) reads as this model: the rotary settings stand in it twice,
    /// once for each.
    pub fn to_json(&self) -> Value {
        let (parameters, scaling) = self.rope.to_json();
        let eos_token_id = match self.eos_token_ids[..] {
            [] => Value::Null,
            [id] => json!(id),
            _ => json!(self.eos_token_ids),
        };
        json!({
            "architectures": ["LlamaForCausalLM"],
            "attention_bias": false,
            "attention_dropout": 0.0,
            "bos_token_id": self.bos_token_id,
            "eos_token_id": eos_token_id,
            "head_dim": self.head_dim,
            "hidden_act": "silu",
            "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size,
            "max_position_embeddings": self.max_position_embeddings,
            "mlp_bias": false,
            "model_type": "llama",
            "num_attention_heads": self.num_attention_heads,
            "num_hidden_layers": self.num_hidden_layers,
            "num_key_value_heads": self.num_key_value_heads,
            "pad_token_id": self.pad_token_id,
            "rms_norm_eps": self.rms_norm_eps,
            "rope_parameters": parameters,
            "rope_scaling": scaling,
            "rope_theta": self.rope.theta,
            "tie_word_embeddings": self.tie_word_embeddings,
            "vocab_size": self.vocab_size,
        })
    }

    /// The rotary frequencies, [head_dim / 2], radians per position, in the f32 steps that transformers takes.
    pub fn inverse_frequencies(&self) -> Vec<f32> {
        self.rope.inverse_frequencies(self.head_dim)
    }
}

/// The text of a model's `config.json`, and its place.
fn read(folder: &Path) -> Result<(String, String)> {
    Ok((beside::expect_text(folder, CONFIG)?, beside::place(folder, CONFIG)))
}

/// Refuses a model that transformers would compute otherwise than this crate does.
///
/// A list of what is refused, not of what is allowed: transformers writes every option of any model into this file, and each
/// fine-tuning program adds its own. `LlamaForCausalLM` reads no option that is not read or refused here, so others change
/// nothing there either; and code that computes more has weights for it, of which none may be left unread.
fn refuse_other_models(fields: &Fields<'_>) -> Result<()> {
    match fields.text("model_type")? {
        Some("llama") => {}
        Some(other) => return Err(fields.error_at("model_type", format!("is \"{other}\"; known here is \"llama\""))),
        None => return Err(fields.error_at("model_type", "is missing")),
    }
    if let Some(activation) = fields.text("hidden_act")?.filter(|&activation| activation != "silu") {
        return Err(fields.error_at("hidden_act", format!("is \"{activation}\"; known here is \"silu\"")));
    }
    for bias in ["attention_bias", "mlp_bias"] {
        if fields.flag(bias)? {
            return Err(fields.error_at(bias, "is true; biases are not computed here"));
        }
    }
    if let Some(part) = fields.positive_or_absent("partial_rotary_factor")?.filter(|&part| part != 1.0) {
        return Err(fields.error_at("partial_rotary_factor", format!("is {part}; only whole heads are rotated here")));
    }
    refuse_other_codes(fields)?;
    for other in ["sliding_window", "attention_chunk_size", "no_rope_layers", "num_local_experts"] {
        if let Some(value) = fields.get(other) {
            return Err(
                fields.error_at(other, format!("is {value}; it would change the numbers and is not computed here"))
            );
        }
    }
    let mut layers = fields.list("layer_types")?.iter().enumerate();
    if let Some((layer, kind)) = layers.find(|(_, kind)| **kind != "full_attention") {
        let message = format!("is {kind}; known here is \"full_attention\"");
        return Err(fields.error_at(&format!("layer_types[{layer}]"), message));
    }
    Ok(())
}

/// Refuses weights in other codes than bitsandbytes' four bits, by the name of who made them.
fn refuse_other_codes(fields: &Fields<'_>) -> Result<()> {
    let Some(quantisation) = fields.inner("quantization_config")? else { return Ok(()) };
    let read = "bitsandbytes' 4 bits are read (`load_in_4bit`), and GGUF files";
    match quantisation.text("quant_method")? {
        Some("bitsandbytes") => {}
        Some(other) => return Err(quantisation.error_at("quant_method", format!("is \"{other}\"; {read}"))),
        None => return Err(quantisation.error_at("quant_method", format!("is missing; {read}"))),
    }
    if quantisation.flag("load_in_8bit")? {
        let message = format!("is true: LLM.int8() computes in whole numbers, which is not done here; {read}");
        return Err(quantisation.error_at("load_in_8bit", message));
    }
    if !quantisation.flag("load_in_4bit")? {
        return Err(quantisation.error_at("load_in_4bit", format!("is false; {read}")));
    }
    Ok(())
}
