//! What losses and options are called elsewhere, and what they are called here.

use super::TrainOptions;
use super::nearest::nearest;
use hps_core::Loss;

/// TRL's `loss_type`, or its trainer where that has one loss, and the loss here.
const LOSSES: [(&str, &str); 9] = [
    ("sigmoid", "dpo-bt"),
    ("hinge", "hinge"),
    ("ipo", "ipo-bt"),
    ("exo_pair", "exo-bt"),
    ("nca_pair", "nca-bt"),
    ("sppo_hard", "sppo-bt"),
    ("simpo", "simpo-bt"),
    ("cpo", "cpo-bt"),
    ("orpo", "orpo-bt"),
];

/// Options of other programs.
const OPTIONS: [(&str, &str); 18] = [
    ("lr", "learning_rate"),
    ("model", "model_name_or_path"),
    ("base_model", "model_name_or_path"),
    ("adapter", "adapter_name_or_path"),
    ("output", "output_dir"),
    ("dataset", "data"),
    ("dataset_name", "data"),
    ("train_file", "data"),
    ("loss", "loss_type"),
    ("epochs", "num_train_epochs"),
    ("batch_size", "per_device_train_batch_size"),
    ("grad_accum", "gradient_accumulation_steps"),
    ("max_seq_length", "max_length"),
    ("lora_rank", "lora_r"),
    ("rank", "lora_r"),
    ("rpo_alpha", "likelihood"),
    ("scheduler", "lr_scheduler_type"),
    ("quantization", "load_in_4bit"),
];

/// Other names of an option, which are taken.
const ALIASES: [(&str, &str); 1] = [("bnb_4bit_compute_dtype", "dtype")];

/// Options of other programs that mean what is not done here, and what is done instead.
const REFUSED: [(&str, &str); 1] = [(
    "load_in_8bit",
    "is LLM.int8() elsewhere, which computes in whole numbers and is not done here; `load_in_gguf_type = \"q8_0\"` stores \
     8.5 bits a number",
)];

/// Other names that an option is taken by: transformers' `bnb_4bit_compute_dtype` of `dtype`.
pub fn aliases(option: &str) -> impl Iterator<Item = &'static str> {
    ALIASES.iter().filter(move |(_, here)| *here == option).map(|(theirs, _)| *theirs)
}

/// Why an option of another program is refused, and what is given instead; `None` of any other name.
///
/// ```
/// use hps_llama::train::options::why_refused;
///
/// assert!(why_refused("load_in_8bit").is_some_and(|why| why.contains("q8_0")) && why_refused("load_in_4bit").is_none());
/// ```
pub fn why_refused(name: &str) -> Option<&'static str> {
    REFUSED.iter().find(|(theirs, _)| *theirs == name).map(|(_, why)| *why)
}

/// The option of that name, or of which it is another name.
pub(super) fn named_option(name: &str) -> Option<&'static str> {
    let is_it = |option: &str| option == name || aliases(option).any(|alias| alias == name);
    TrainOptions::table().iter().map(|option| option.name).find(|option| is_it(option))
}

/// TRL's name of a loss, if it has one: `sigmoid` of `dpo-bt`.
///
/// ```
/// use hps_llama::train::options::trl_name;
///
/// assert_eq!((trl_name("dpo-bt"), trl_name("dpo-hps")), (Some("sigmoid"), None));
/// ```
pub fn trl_name(loss: &str) -> Option<&'static str> {
    LOSSES.iter().find(|(_, here)| *here == loss).map(|(theirs, _)| *theirs)
}

/// The option that another program calls so, or whose name is most similar.
///
/// ```
/// use hps_llama::train::options::nearest_option;
///
/// assert_eq!((nearest_option("lr"), nearest_option("lora_rr")), (Some("learning_rate"), Some("lora_r")));
/// ```
pub fn nearest_option(name: &str) -> Option<&'static str> {
    let elsewhere = OPTIONS.iter().find(|(theirs, _)| *theirs == name).map(|(_, here)| *here);
    elsewhere.or_else(|| nearest(name, TrainOptions::table().iter().map(|option| option.name)))
}

/// The loss that TRL calls so, or whose name is most similar.
pub(super) fn nearest_loss(name: &str) -> Option<&'static str> {
    let elsewhere = LOSSES.iter().find(|(theirs, _)| *theirs == name).map(|(_, here)| *here);
    elsewhere.or_else(|| name.parse::<Loss>().err()?.nearest())
}
