//! On which numbers a command computes: `--load_in_4bit`, `--load_in_gguf_type`, ….

use clap::Args;
use hps_llama::blocks::FourBitType;
use hps_llama::model::ModelSource;
use hps_llama::quantisation::{Quantisation, QuantisedType};
use std::path::Path;

/// How frozen projections are quantised as they are loaded.
#[derive(Debug, Args)]
pub struct QuantisationFlags {
    /// Quantise the projections to four bits as they are loaded.
    #[arg(long = "load_in_4bit", alias = "load-in-4bit", conflicts_with = "load_in_gguf_type")]
    load_in_4bit: bool,
    /// Four-bit type: `nf4` or `fp4`.
    #[arg(long = "bnb_4bit_quant_type", alias = "bnb-4bit-quant-type", value_name = "TYPE", default_value_t = FourBitType::Nf4)]
    #[arg(requires = "load_in_4bit")]
    bnb_4bit_quant_type: FourBitType,
    /// Quantise the scales, too.
    #[arg(long = "bnb_4bit_use_double_quant", alias = "bnb-4bit-use-double-quant", requires = "load_in_4bit")]
    bnb_4bit_use_double_quant: bool,
    /// Quantise the projections to a type of GGUF files as they are loaded: `q8_0`.
    #[arg(long = "load_in_gguf_type", alias = "load-in-gguf-type", value_name = "TYPE", value_parser = ["q8_0"])]
    load_in_gguf_type: Option<String>,
    /// Module that is not quantised, by name or by the name's beginning or end; may be given several times.
    #[arg(long = "llm_int8_skip_modules", alias = "llm-int8-skip-modules", value_name = "NAME")]
    llm_int8_skip_modules: Vec<String>,
}

impl QuantisationFlags {
    /// A model that is loaded so.
    pub fn source(&self, path: &Path) -> ModelSource {
        let kind = match (&self.load_in_gguf_type, self.load_in_4bit) {
            (Some(_), _) => Some(QuantisedType::Q8_0),
            (None, true) => {
                let (kind, double) = (self.bnb_4bit_quant_type, self.bnb_4bit_use_double_quant);
                Some(QuantisedType::FourBit { kind, double })
            }
            (None, false) => None,
        };
        let skip_modules = self.llm_int8_skip_modules.clone();
        let quantisation = kind.map(|kind| Quantisation { kind, skip_modules });
        ModelSource { path: path.to_path_buf(), quantisation }
    }
}
