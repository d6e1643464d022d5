//! On which numbers a command computes: `--load_in_4bit`, `--load_in_gguf_type`, ….

use clap::{ArgGroup, Args};
use hps_llama::blocks::FourBitType;
use hps_llama::model::ModelSource;
use hps_llama::quantisation::{GgufType, Quantisation};
use std::path::Path;

/// How frozen projections are quantised as they are loaded.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("quantised").args(["load_in_4bit", "load_in_gguf_type"])))]
pub struct QuantisationFlags {
    /// Quantise the projections to four bits as they are loaded.
    #[arg(long = "load_in_4bit", alias = "load-in-4bit")]
    load_in_4bit: bool,
    /// Four-bit type: `nf4` or `fp4`.
    #[arg(long = "bnb_4bit_quant_type", alias = "bnb-4bit-quant-type", value_name = "TYPE", default_value_t = FourBitType::Nf4)]
    #[arg(requires = "load_in_4bit")]
    bnb_4bit_quant_type: FourBitType,
    /// Quantise the scales, too.
    #[arg(long = "bnb_4bit_use_double_quant", alias = "bnb-4bit-use-double-quant", requires = "load_in_4bit")]
    bnb_4bit_use_double_quant: bool,
    /// Quantise the projections to a type of GGUF files as they are loaded: `q8_0`.
    #[arg(long = "load_in_gguf_type", alias = "load-in-gguf-type", value_name = "TYPE")]
    load_in_gguf_type: Option<GgufType>,
    /// Module that is not quantised, by name or by the name's beginning or end; may be given several times.
    #[arg(
        long = "llm_int8_skip_modules",
        alias = "llm-int8-skip-modules",
        value_name = "NAME",
        requires = "quantised"
    )]
    llm_int8_skip_modules: Vec<String>,
}

impl QuantisationFlags {
    /// What they ask for.
    pub fn quantisation(&self) -> Option<Quantisation> {
        let four_bit = self.load_in_4bit.then_some((self.bnb_4bit_quant_type, self.bnb_4bit_use_double_quant));
        Quantisation::asked_for(four_bit, self.load_in_gguf_type, &self.llm_int8_skip_modules)
    }

    /// A model that is loaded so.
    pub fn source(&self, path: &Path) -> ModelSource {
        ModelSource { path: path.to_path_buf(), quantisation: self.quantisation() }
    }
}
