//! Every option once: its name, type, default, limit and meaning.

use super::choice::{Estimator, Preset, ReportTo, Resume, TargetModules, Task, TruncationMode};
use super::limit::{Limit, Number};
use super::value::{Given, Setting};
use crate::backend::{BackendName, Dtype};
use crate::chat::TemplateDate;
use crate::lora::LoraConfig;
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
            /// The paper's setting.
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
        /// What is trained: `preference`, `sft` or `reward`.
        task: Task = |_: &Defaults| Task::Preference;
        /// Options set together: `paper` or `official-code`. What is given besides overrides them.
        preset: Option<Preset> = |_: &Defaults| None;
        /// A Llama folder in Hugging Face form.
        model_name_or_path: Option<PathBuf> = |_: &Defaults| None;
        /// A PEFT adapter to start from; it has its own `lora_` options.
        adapter_name_or_path: Option<PathBuf> = |_: &Defaults| None;
        /// Whether an adapter, also `ref_adapter`, may record another base than this model.
        allow_other_base: bool = |_: &Defaults| false;
        /// A file of rows to train on, or a list of files.
        data: Vec<PathBuf> = |_: &Defaults| Vec::new();
        /// Rows to evaluate on.
        eval_data: Vec<PathBuf> = |_: &Defaults| Vec::new();
        /// Share of the rows of `data` that is held out to evaluate on: 0.1 is every tenth.
        eval_share: Option<f64> = |_: &Defaults| None, PART;
        /// Whether a text prompt becomes a user's turn of the model's chat template; messages always do.
        chat: bool = |_: &Defaults| false;
        /// Greatest number of tokens of a prompt with one of its responses.
        max_length: usize = |_: &Defaults| 2048, AT_LEAST_1;
        /// What is done with longer rows: `drop`; `keep_end` cuts the prompt's beginning, `keep_start` the responses' ends.
        truncation_mode: TruncationMode = |_: &Defaults| TruncationMode::Drop;
        /// Whether sequences may be longer than the model has positions.
        allow_long_positions: bool = |_: &Defaults| false;
        /// The day that a chat template may write: `2026-11-30`; unset, a template that needs one is refused.
        template_date: Option<TemplateDate> = |_: &Defaults| None;
        /// Whether each epoch has its own order of rows; `false` keeps the files'.
        shuffle: bool = |defaults: &Defaults| defaults.train.shuffle;
        /// Keys the order of rows, the negatives drawn, a fresh adapter and its dropout.
        seed: u64 = |defaults: &Defaults| defaults.train.seed;
    }
    "loss" {
        /// The loss's name: `dpo-hps`, `dpo-bt`, `exo-pl`, …
        loss_type: Loss = |defaults: &Defaults| *defaults.train.loss.named().expect("one of hps-core");
        /// Its β; unset, the one its name stands for.
        beta: Option<f64> = |_: &Defaults| None;
        /// Share of wrong labels assumed, ε.
        label_smoothing: Option<f64> = |_: &Defaults| None;
        /// Lead that the preferred score is to have, δ: SimPO's γ, SLiC's δ.
        margin: Option<f64> = |_: &Defaults| None;
        /// R-DPO's credit per token, α.
        alpha: Option<f64> = |_: &Defaults| None;
        /// Temperature of reward targets, T (`exo-rw`, `nca-k`, `infonca-k`).
        temperature: Option<f64> = |_: &Defaults| None;
        /// Weight of the preferred response's likelihood, ν: TRL's `rpo_alpha` and `cpo_alpha`.
        likelihood: Option<f64> = |_: &Defaults| None;
        /// Weight of the preference beside it, λ.
        preference_weight: Option<f64> = |_: &Defaults| None;
        /// Hardness of HPS's negatives, the same throughout; instead of `gamma_schedule`.
        gamma: Option<f64> = |_: &Defaults| None;
        /// Its course: `linspace-fifths` (unset), `continuous`, `official-code`, `constant:<gamma>`.
        gamma_schedule: Option<GammaSchedule> = |_: &Defaults| None;
        /// Which negatives HPS reads, `single`, `full`, `multi` or `expected`; unset, those its name stands for.
        estimator: Option<Estimator> = |_: &Defaults| None;
        /// Factor on HPS's negatives, c: `unit`, `count` or a number; unset, the one its name stands for.
        negative_scale: Option<NegativeScale> = |_: &Defaults| None;
        /// Whether HPS's negatives may have the highest reward: `keep` (unset) or `mask-max`.
        tie_policy: Option<TiePolicy> = |_: &Defaults| None;
    }
    "optimiser" {
        /// The greatest learning rate.
        learning_rate: f64 = |defaults: &Defaults| defaults.train.learning_rate, POSITIVE;
        /// Its course: `cosine`, `linear` or `constant_with_warmup`.
        lr_scheduler_type: SchedulerType = |defaults: &Defaults| defaults.train.lr_scheduler_type;
        /// Share of the updates that warm up.
        warmup_ratio: f64 = |defaults: &Defaults| defaults.train.warmup_ratio, SHARE;
        /// Passes over the rows.
        num_train_epochs: u32 = |defaults: &Defaults| defaults.train.num_train_epochs, AT_LEAST_1;
        /// Prompts a micro-batch.
        per_device_train_batch_size: usize = |defaults: &Defaults| defaults.train.per_device_train_batch_size, AT_LEAST_1;
        /// Micro-batches an update.
        gradient_accumulation_steps: usize = |defaults: &Defaults| defaults.train.gradient_accumulation_steps, AT_LEAST_1;
        /// AdamW's decoupled weight decay.
        weight_decay: f64 = |defaults: &Defaults| defaults.adamw.weight_decay, NOT_NEGATIVE;
        /// Greatest global norm of the gradient; `inf` for no clipping.
        max_grad_norm: f64 = |defaults: &Defaults| defaults.adamw.max_grad_norm, ABOVE_ZERO;
        /// AdamW's β₁.
        adam_beta1: f64 = |defaults: &Defaults| defaults.adamw.adam_beta1, BELOW_1;
        /// AdamW's β₂.
        adam_beta2: f64 = |defaults: &Defaults| defaults.adamw.adam_beta2, BELOW_1;
        /// AdamW's ε.
        adam_epsilon: f64 = |defaults: &Defaults| defaults.adamw.adam_epsilon, POSITIVE;
    }
    "adapter" {
        /// Whether a LoRA adapter is trained; `false` trains all weights.
        use_peft: bool = |_: &Defaults| true;
        /// Its rank.
        lora_r: usize = |defaults: &Defaults| defaults.lora.r, AT_LEAST_1;
        /// Its α: the update is scaled by α / r.
        lora_alpha: f64 = |defaults: &Defaults| defaults.lora.lora_alpha, FINITE;
        /// Probability that an input feature is dropped on its way into the adapter.
        lora_dropout: f64 = |defaults: &Defaults| defaults.lora.lora_dropout, BELOW_1;
        /// The projections it is on, by name, or `all-linear`.
        lora_target_modules: TargetModules = |defaults: &Defaults| TargetModules(defaults.lora.target_modules.clone());
        /// Whether the scale is α / √r.
        use_rslora: bool = |defaults: &Defaults| defaults.lora.use_rslora;
    }
    "device" {
        /// What computes: `cpu`, `cuda` for an NVIDIA GPU, or `wgpu` for one that Vulkan, Metal or DX12 reaches.
        backend: BackendName = |_: &Defaults| BackendName::Cpu;
        /// The GPU, by its number in `hps devices` or a part of its name; unset, the first, of WGPU a discrete one.
        device: Option<String> = |_: &Defaults| None;
        /// Number type of frozen weights: `float32`, `bfloat16`, or `auto`, bfloat16 where the file has it. `cpu` computes in float32.
        dtype: Dtype = |_: &Defaults| Dtype::Auto;
    }
    "memory" {
        /// Memory that training may take, weights included: `8GiB`; unset, as much as one pass takes.
        memory_budget: Option<Bytes> = |_: &Defaults| None;
        /// How a list reaches its gradient: `keep` in one pass, `chunks` in two, or `auto` by the budget.
        route: Route = |defaults: &Defaults| defaults.train.route;
        /// Whether activations are kept: `keep`, `recompute`, or `auto` by the budget.
        activations: ActivationPolicy = |defaults: &Defaults| defaults.train.activations;
        /// Tokens of a chunk's responses; unset, by the budget.
        chunk_tokens: Option<usize> = |_: &Defaults| None, AT_LEAST_1;
        /// Tokens that go through the model at a time, at most: prompts are packed up to it; unset, a whole micro-batch.
        max_tokens_per_batch: Option<usize> = |_: &Defaults| None, AT_LEAST_1;
    }
    "reference" {
        /// What the policy is measured against: `base`, or the folder of a frozen adapter; unset, the policy as it starts.
        ref_adapter: Option<ReferencePolicy> = |_: &Defaults| None;
        /// Folder of reference log-probs that runs share; unset, they are kept for the run only.
        reference_cache_dir: Option<PathBuf> = |_: &Defaults| None;
    }
    "output" {
        /// Where the trained weights, `metrics.jsonl` and `train.toml` are written.
        output_dir: Option<PathBuf> = |_: &Defaults| None;
        /// Whether a run that `output_dir` holds may be replaced.
        overwrite_output_dir: bool = |_: &Defaults| false;
        /// Updates between lines of the log.
        logging_steps: u64 = |_: &Defaults| 1, AT_LEAST_1;
        /// Updates between evaluations; unset, at the end only.
        eval_steps: Option<u64> = |_: &Defaults| None, AT_LEAST_1;
        /// Whether there is an evaluation before the first update.
        eval_on_start: bool = |_: &Defaults| true;
        /// Updates between checkpoints.
        save_steps: Option<u64> = |_: &Defaults| Some(500), AT_LEAST_1;
        /// Minutes between checkpoints, where updates are slow.
        save_minutes: f64 = |_: &Defaults| 30.0, ABOVE_ZERO;
        /// Checkpoints kept, the newest; unset, all.
        save_total_limit: Option<u64> = |_: &Defaults| None, AT_LEAST_1;
        /// `true` goes on from the newest intact checkpoint of `output_dir`, or begins where nothing is trained yet; a path from that one.
        resume_from_checkpoint: Resume = |_: &Defaults| Resume::Never;
        /// Where figures go besides `metrics.jsonl`: `tensorboard`, `html`, `all` or `none`.
        report_to: Vec<ReportTo> = |_: &Defaults| vec![ReportTo::None];
    }
}
