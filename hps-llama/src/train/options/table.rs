//! Every option once: its name, type, default, limit and meaning.

use super::choice::{Estimator, Preset, ReportTo, Resume, TargetModules, Task, TruncationMode};
use super::limit::{Limit, Number};
use super::value::{Given, Setting};
use crate::backend::{BackendName, Dtype};
use crate::blocks::FourBitType;
use crate::chat::TemplateDate;
use crate::lora::LoraConfig;
use crate::quantisation::GgufType;
use crate::train::{ActivationPolicy, AdamWConfig, Bytes, ReferencePolicy, Route, SchedulerType, TrainConfig};
use hps_core::{GammaSchedule, Loss, NegativeScale, TiePolicy};
use std::path::PathBuf;

/// An option, for programs' flags and for documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OptionInfo {
    /// Its name in files and on the command line.
    pub name: &'static str,
    /// What it belongs to: `model and data`, …
    pub group: &'static str,
    /// What it means.
    pub help: &'static str,
    /// Its default as TOML; `None` where nothing is set.
    pub default: Option<String>,
    /// Whether it may be given several times.
    pub list: bool,
    /// Whether `true` may be left out on the command line.
    pub switch: bool,
}

/// Makes the struct, its defaults, its table and its access by name, of lines `name: type = default, limit;`.
macro_rules! options {
    ($($group:literal { $(
        $(#[doc = $help:literal])+
        $name:ident : $type:ty = $default:expr $(, $limit:ident)? ;
    )+ })+) => {
        /// All options of a run. Read by [`read`](Self::read); turned into the trainer's by [`config`](Self::config) and
        /// [`lora`](Self::lora).
        #[derive(Debug, Clone, PartialEq)]
        #[non_exhaustive]
        pub struct TrainOptions {
            $($( $(#[doc = $help])+ pub $name: $type, )+)+
        }

        impl Default for TrainOptions {
            /// The paper's loss and adapter, with rates and updates for a few hundred rows or some thousands.
            fn default() -> Self {
                let train = TrainConfig::default();
                let adamw = AdamWConfig::default();
                let lora = LoraConfig::default();
                let defaults = Defaults { train, adamw, lora };
                TrainOptions { $($( $name: $default(&defaults), )+)+ }
            }
        }

        impl TrainOptions {
            /// The options, in the order of documentation.
            pub fn table() -> Vec<OptionInfo> {
                let defaults = TrainOptions::default();
                vec![$($( OptionInfo {
                    name: stringify!($name),
                    group: $group,
                    help: concat!($($help),+).trim_ascii_start(),
                    default: defaults.$name.written(),
                    list: is_list(stringify!($type)),
                    switch: ["bool", "Resume"].contains(&stringify!($type)),
                } ),+),+]
            }

            /// An option's value as TOML; `None` where nothing is set, or where no option has this name.
            pub fn value(&self, name: &str) -> Option<String> {
                match name {
                    $($( stringify!($name) => self.$name.written(), )+)+
                    _ => None,
                }
            }

            /// Sets an option, or says what is wrong with the value: `… is 0; it is greater than 0`.
            pub(super) fn set(&mut self, name: &str, given: &Given) -> Result<(), String> {
                match name {
                    $($( stringify!($name) => {
                        let Some(value) = <$type>::read(given) else { return Err(<$type>::refused(given)) };
                        $( if value.number().is_some_and(|number| !Limit::$limit.0(number)) {
                            return Err(format!("{given}; it {}", Limit::$limit.1));
                        } )?
                        self.$name = value;
                    } )+)+
                    _ => return Err("not an option".into()),
                }
                Ok(())
            }

            /// Back to the default.
            pub(super) fn unset(&mut self, name: &str) {
                let defaults = TrainOptions::default();
                match name {
                    $($( stringify!($name) => self.$name = defaults.$name, )+)+
                    _ => {}
                }
            }
        }
    };
}

fn is_list(type_name: &str) -> bool {
    type_name.starts_with("Vec") || type_name == "TargetModules"
}

/// Where defaults come from.
struct Defaults {
    train: TrainConfig,
    adamw: AdamWConfig,
    lora: LoraConfig,
}

options! {
    "model and data" {
        /// Task to train: `preference`, `sft` (supervised fine-tuning) or `reward` (a reward model).
        task: Task = |_: &Defaults| Task::Preference;
        /// Set of options: `paper` or `official-code`. Options that are given besides override it.
        preset: Option<Preset> = |_: &Defaults| None;
        /// Llama model: a folder in Hugging Face format, or a GGUF file.
        model_name_or_path: Option<PathBuf> = |_: &Defaults| None;
        /// PEFT adapter to train further; its own `lora_` options apply.
        adapter_name_or_path: Option<PathBuf> = |_: &Defaults| None;
        /// Accept an adapter (also `ref_adapter`) that records another base model.
        allow_other_base: bool = |_: &Defaults| false;
        /// Training rows: one file or several.
        data: Vec<PathBuf> = |_: &Defaults| Vec::new();
        /// Evaluation rows: one file or several.
        eval_data: Vec<PathBuf> = |_: &Defaults| Vec::new();
        /// Share of `data` to hold out for evaluation: 0.1 is every tenth row.
        eval_share: Option<f64> = |_: &Defaults| None, PART;
        /// Treat text prompts as user turns, with the model's chat template; lists of messages always use it.
        chat: bool = |_: &Defaults| false;
        /// Maximum tokens of a prompt together with one response.
        max_length: usize = |_: &Defaults| 2048, AT_LEAST_1;
        /// Rows that are too long: `drop` them, `keep_end` (cut the start of the prompt), `keep_start` (cut the ends of the responses).
        truncation_mode: TruncationMode = |_: &Defaults| TruncationMode::Drop;
        /// Allow sequences longer than the model's `max_position_embeddings`.
        allow_long_positions: bool = |_: &Defaults| false;
        /// Date that the chat template prints: `2026-11-30`; if unset, a template that needs a date is refused.
        template_date: Option<TemplateDate> = |_: &Defaults| None;
        /// Shuffle the rows in each epoch; `false` keeps the order of the files.
        shuffle: bool = |defaults: &Defaults| defaults.train.shuffle;
        /// Random seed of the row order, the drawn negatives, a fresh adapter and its dropout.
        seed: u64 = |defaults: &Defaults| defaults.train.seed;
    }
    "loss" {
        /// Name of the loss: `dpo-hps`, `dpo-bt`, `exo-pl`, …; `hps losses` lists all.
        loss_type: Loss = |defaults: &Defaults| *defaults.train.loss.named().expect("one of hps-core");
        /// β of the loss; if unset, the default of its name.
        beta: Option<f64> = |_: &Defaults| None;
        /// Assumed share of wrong labels, ε.
        label_smoothing: Option<f64> = |_: &Defaults| None;
        /// Target margin δ of the preferred score: SimPO's γ, SLiC's δ.
        margin: Option<f64> = |_: &Defaults| None;
        /// Length penalty per token, α, of R-DPO.
        alpha: Option<f64> = |_: &Defaults| None;
        /// Temperature T of reward targets (`exo-rw`, `nca-k`, `infonca-k`).
        temperature: Option<f64> = |_: &Defaults| None;
        /// Weight ν of the preferred response's log-likelihood: TRL's `rpo_alpha` and `cpo_alpha`.
        likelihood: Option<f64> = |_: &Defaults| None;
        /// Weight λ of the preference term beside it.
        preference_weight: Option<f64> = |_: &Defaults| None;
        /// Constant hardness γ of HPS's negatives, instead of `gamma_schedule`.
        gamma: Option<f64> = |_: &Defaults| None;
        /// Schedule of γ: `linspace-fifths` (if unset), `continuous`, `official-code`, `constant:<gamma>`.
        gamma_schedule: Option<GammaSchedule> = |_: &Defaults| None;
        /// Negatives that HPS reads: `single` (one drawn), `full`, `multi` or `expected`; if unset, those of the loss's name.
        estimator: Option<Estimator> = |_: &Defaults| None;
        /// Negatives drawn of each list by a loss that compares with several, such as `dpo-hps-multi`; 4 if unset.
        num_negatives: Option<usize> = |_: &Defaults| None, AT_LEAST_1;
        /// Factor c on HPS's negatives: `unit`, `count` or a number; if unset, that of the loss's name.
        negative_scale: Option<NegativeScale> = |_: &Defaults| None;
        /// HPS's negatives that share the highest reward: `keep` them (if unset) or `mask-max`.
        tie_policy: Option<TiePolicy> = |_: &Defaults| None;
    }
    "optimiser" {
        /// Peak learning rate; if unset, by task: 1e-4, reward 5e-4, sft 2e-4; of all weights 5e-7, reward and sft 2e-5.
        learning_rate: Option<f64> = |_: &Defaults| None, POSITIVE;
        /// Learning rate schedule: `cosine`, `linear` or `constant_with_warmup`.
        lr_scheduler_type: SchedulerType = |defaults: &Defaults| defaults.train.lr_scheduler_type;
        /// Share of the updates used for warm-up.
        warmup_ratio: f64 = |defaults: &Defaults| defaults.train.warmup_ratio, SHARE;
        /// Number of epochs.
        num_train_epochs: u32 = |defaults: &Defaults| defaults.train.num_train_epochs, AT_LEAST_1;
        /// Prompts in a micro-batch.
        per_device_train_batch_size: usize = |defaults: &Defaults| defaults.train.per_device_train_batch_size, AT_LEAST_1;
        /// Micro-batches in an update.
        gradient_accumulation_steps: usize = |_: &Defaults| 1, AT_LEAST_1;
        /// Weight decay of AdamW, decoupled.
        weight_decay: f64 = |defaults: &Defaults| defaults.adamw.weight_decay, NOT_NEGATIVE;
        /// Gradient clipping: maximum global norm; `inf` turns it off.
        max_grad_norm: f64 = |defaults: &Defaults| defaults.adamw.max_grad_norm, ABOVE_ZERO;
        /// β₁ of AdamW.
        adam_beta1: f64 = |defaults: &Defaults| defaults.adamw.adam_beta1, BELOW_1;
        /// β₂ of AdamW.
        adam_beta2: f64 = |defaults: &Defaults| defaults.adamw.adam_beta2, BELOW_1;
        /// ε of AdamW.
        adam_epsilon: f64 = |defaults: &Defaults| defaults.adamw.adam_epsilon, POSITIVE;
    }
    "adapter" {
        /// Train a LoRA adapter; `false` trains all weights.
        use_peft: bool = |_: &Defaults| true;
        /// LoRA rank.
        lora_r: usize = |defaults: &Defaults| defaults.lora.r, AT_LEAST_1;
        /// LoRA α: the update is scaled by α / r.
        lora_alpha: f64 = |defaults: &Defaults| defaults.lora.lora_alpha, FINITE;
        /// LoRA dropout probability.
        lora_dropout: f64 = |defaults: &Defaults| defaults.lora.lora_dropout, BELOW_1;
        /// Projections with an adapter, by name, or `all-linear`.
        lora_target_modules: TargetModules = |defaults: &Defaults| TargetModules(defaults.lora.target_modules.clone());
        /// Scale the LoRA update by α / √r.
        use_rslora: bool = |defaults: &Defaults| defaults.lora.use_rslora;
    }
    "device" {
        /// Where to compute: `cpu`, `cuda` (NVIDIA GPUs) or `wgpu` (GPUs through Vulkan, Metal or DX12).
        backend: BackendName = |_: &Defaults| BackendName::Cpu;
        /// GPU, by its number in `hps devices` or a part of its name; if unset, the first one (WGPU: a discrete one).
        device: Option<String> = |_: &Defaults| None;
        /// Number type of frozen weights: `float32`, `bfloat16`, or `auto` (bfloat16 if the file has it). The CPU computes in float32.
        dtype: Dtype = |_: &Defaults| Dtype::Auto;
    }
    "quantisation" {
        /// Quantise the frozen projections to four bits as they are loaded, as QLoRA does.
        load_in_4bit: bool = |_: &Defaults| false;
        /// Four-bit type: `nf4` or `fp4`.
        bnb_4bit_quant_type: FourBitType = |_: &Defaults| FourBitType::Nf4;
        /// Quantise the scales, too: 4.13 bits a number instead of 4.5.
        bnb_4bit_use_double_quant: bool = |_: &Defaults| false;
        /// Quantise the frozen projections to a type of GGUF files as they are loaded: `q8_0`, 8.5 bits a number.
        load_in_gguf_type: Option<GgufType> = |_: &Defaults| None;
        /// Modules that are not quantised, by name or by the name's beginning or end: `down_proj`, `model.layers.0`.
        llm_int8_skip_modules: Vec<String> = |_: &Defaults| Vec::new();
    }
    "memory" {
        /// Memory that training may use, weights included: `8GiB`; if unset, nine tenths of what is free when the run begins.
        memory_budget: Option<Bytes> = |_: &Defaults| None;
        /// How the gradient of a list is computed: `keep` (one pass), `chunks` (two passes, less memory) or `auto` (by the budget).
        route: Route = |defaults: &Defaults| defaults.train.route;
        /// Activations of the forward pass: `keep`, `recompute` in the backward pass, or `auto` (by the budget).
        activations: ActivationPolicy = |defaults: &Defaults| defaults.train.activations;
        /// Response tokens in a chunk; if unset, chosen by the budget.
        chunk_tokens: Option<usize> = |_: &Defaults| None, AT_LEAST_1;
        /// Maximum tokens in one forward pass; prompts are packed up to it. If unset, a whole micro-batch.
        max_tokens_per_batch: Option<usize> = |_: &Defaults| None, AT_LEAST_1;
    }
    "reference" {
        /// Reference policy: `base`, or the folder of a frozen adapter; if unset, the policy before training.
        ref_adapter: Option<ReferencePolicy> = |_: &Defaults| None;
        /// Folder for reference log-probs that runs share; if unset, they are kept in memory.
        reference_cache_dir: Option<PathBuf> = |_: &Defaults| None;
    }
    "output" {
        /// Folder for the trained weights, `metrics.jsonl` and `train.toml`.
        output_dir: Option<PathBuf> = |_: &Defaults| None;
        /// Replace a run that is in `output_dir`.
        overwrite_output_dir: bool = |_: &Defaults| false;
        /// Updates per line of the log.
        logging_steps: u64 = |_: &Defaults| 1, AT_LEAST_1;
        /// Evaluate every so many updates; if unset, only before the first and after the last.
        eval_steps: Option<u64> = |_: &Defaults| None, AT_LEAST_1;
        /// Evaluate before the first update.
        eval_on_start: bool = |_: &Defaults| true;
        /// Save a checkpoint every so many updates.
        save_steps: Option<u64> = |_: &Defaults| Some(500), AT_LEAST_1;
        /// Save one also when the last is so many minutes old.
        save_minutes: f64 = |_: &Defaults| 30.0, ABOVE_ZERO;
        /// Number of newest checkpoints to keep; if unset, all.
        save_total_limit: Option<u64> = |_: &Defaults| None, AT_LEAST_1;
        /// `true` resumes from the newest intact checkpoint in `output_dir`, or starts if nothing is trained yet; a path resumes from that one.
        resume_from_checkpoint: Resume = |_: &Defaults| Resume::Never;
        /// Where to write metrics besides `metrics.jsonl`: `tensorboard`, `html`, `all` or `none`.
        report_to: Vec<ReportTo> = |_: &Defaults| vec![ReportTo::None];
    }
}
