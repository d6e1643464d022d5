//! On which numbers a command computes: `--load_in_4bit`, `--load_in_gguf_type`, ….

use crate::progress;
use clap::{Arg, ArgGroup, ArgMatches, Args, Command, FromArgMatches};
use hps_llama::Result;
use hps_llama::backend::Backend;
use hps_llama::blocks::FourBitType;
use hps_llama::model::{Llama, ModelSource};
use hps_llama::quantisation::{GgufType, Quantisation};
use hps_llama::train::options::why_refused;
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
    #[command(flatten)]
    refused: Refused,
}

/// Loads a model; shows how far that is where its projections are quantised, which takes a minute of a large one.
pub fn load<B: Backend>(backend: B, source: ModelSource, trained: bool) -> Result<Llama<B>> {
    if source.quantisation.is_none() {
        return Llama::from_folder(backend, source, trained);
    }
    let bar = progress::bar("quantising, weights");
    let model = Llama::from_folder_told(backend, source, trained, |done, all| progress::show(&bar, done, all));
    bar.finish_and_clear();
    model
}

/// What is taken in order to say what to give instead.
#[derive(Debug, Clone)]
struct Refused;

impl Args for Refused {
    fn augment_args(command: Command) -> Command {
        command.arg(load_in_8bit())
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Refused {
    fn from_arg_matches(_: &ArgMatches) -> std::result::Result<Self, clap::Error> {
        Ok(Refused)
    }

    fn update_from_arg_matches(&mut self, _: &ArgMatches) -> std::result::Result<(), clap::Error> {
        Ok(())
    }
}

/// transformers' flag, which has no value that is taken.
pub fn load_in_8bit() -> Arg {
    const NAME: &str = "load_in_8bit";
    let refused = |_: &str| Err::<bool, &str>(why_refused(NAME).unwrap_or_default());
    Arg::new(NAME)
        .long(NAME)
        .alias("load-in-8bit")
        .hide(true)
        .value_parser(refused)
        .num_args(0..=1)
        .default_missing_value("true")
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
