//! Options as the trainer takes them.

use super::{Estimator, ReportTo, Task, TrainOptions};
use crate::backend::Choice;
use crate::lora::LoraConfig;
use crate::model::ModelSource;
use crate::quantisation::Quantisation;
use crate::train::{AdamWConfig, ReferenceOptions, TrainConfig};
use crate::{Error, ErrorKind, Result};
use hps_core::{GammaSchedule, Loss, Preference};
use std::path::Path;

/// A loss with another number in it.
type Change = fn(Loss, f64) -> Result<Loss, hps_core::Error>;

impl TrainOptions {
    /// The loss, with all that is set of it.
    ///
    /// ```
    /// use hps_core::GammaSchedule;
    /// use hps_llama::train::options::TrainOptions;
    ///
    /// let given = [("loss_type", "dpo-hps"), ("estimator", "full"), ("beta", "0.25"), ("gamma", "2")];
    /// let flags = given.map(|(name, value)| (name.to_string(), vec![value.to_string()]));
    /// let options = TrainOptions::read(None, &flags)?;
    /// assert_eq!(options.loss()?, "dpo-hps-full".parse::<hps_core::Loss>().and_then(|loss| loss.with_beta(0.25))?);
    /// assert_eq!(options.config()?.gamma_schedule, GammaSchedule::Constant(2.0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The loss has no such hyperparameter, or it is out of its range.
    pub fn loss(&self) -> Result<Loss> {
        self.loss_at(|_| None)
    }

    /// The same; `place` says where an option was given.
    pub(super) fn loss_at(&self, place: impl Fn(&str) -> Option<String>) -> Result<Loss> {
        let mut loss = self.estimated().map_err(|error| placed(error, place("estimator")))?;
        let numbers: [(&str, Option<f64>, Change); 8] = [
            ("beta", self.beta, Loss::with_beta),
            ("label_smoothing", self.label_smoothing, Loss::with_label_smoothing),
            ("margin", self.margin, Loss::with_margin),
            ("alpha", self.alpha, Loss::with_alpha),
            ("temperature", self.temperature, Loss::with_temperature),
            ("likelihood", self.likelihood, Loss::with_likelihood),
            ("preference_weight", self.preference_weight, Loss::with_preference_weight),
            // Tried only: the schedule sets it at every step.
            ("gamma", self.gamma, |loss, gamma| loss.with_gamma(gamma).map(|_| loss)),
        ];
        let refused = |loss: Loss, name: &str, value: String, source: hps_core::Error| {
            let error = Error::new(ErrorKind::Option, format!("`{name}` is {value} with `loss_type` {loss}"));
            placed(error.because(source), place(name))
        };
        for (name, value, change) in numbers {
            if let Some(value) = value {
                loss = change(loss, value).map_err(|source| refused(loss, name, format!("{value:?}"), source))?;
            }
        }
        let shown = |name: &str| self.value(name).unwrap_or_default();
        if self.gamma_schedule.is_some() {
            loss.with_gamma(0.0).map_err(|source| refused(loss, "gamma_schedule", shown("gamma_schedule"), source))?;
        }
        if let Some(scale) = self.negative_scale {
            let changed = loss.with_negative_scale(scale);
            loss = changed.map_err(|source| refused(loss, "negative_scale", shown("negative_scale"), source))?;
        }
        if let Some(policy) = self.tie_policy {
            let changed = loss.with_tie_policy(policy);
            loss = changed.map_err(|source| refused(loss, "tie_policy", shown("tie_policy"), source))?;
        }
        if self.num_negatives.is_some() && !loss.reads_samples() {
            let source = hps_core::Error::custom("the loss does not draw several negatives");
            return Err(refused(loss, "num_negatives", shown("num_negatives"), source));
        }
        Ok(loss)
    }

    /// The named loss with the estimator in place of the name's own.
    fn estimated(&self) -> Result<Loss> {
        let Some(estimator) = self.estimator else { return Ok(self.loss_type) };
        let name = self.loss_type.to_string();
        let refused = || {
            let message = format!("`estimator` is {estimator} with `loss_type` {name}, which has no such form");
            Error::new(ErrorKind::Option, message)
        };
        let (family, _) = match self.loss_type.preference() {
            Preference::Hps(_) => name.split_once("-hps").ok_or_else(refused)?,
            _ => return Err(refused()),
        };
        let form = match estimator {
            Estimator::Single => String::new(),
            other => format!("-{other}"),
        };
        format!("{family}-hps{form}").parse().map_err(|source: hps_core::Error| refused().because(source))
    }

    /// The learning rate of what is trained, where none is given: found by measurement (`docs/guide/train.md`).
    pub(super) fn usual_rate(&self) -> f64 {
        match (self.task, self.use_peft) {
            (Task::Preference, true) => 1e-4,
            (Task::Preference, false) => 5e-7,
            (Task::Reward, true) => 5e-4,
            (Task::Sft, true) => 2e-4,
            (Task::Reward | Task::Sft, false) => 2e-5,
        }
    }

    /// What the trainer is asked to do.
    ///
    /// # Errors
    /// As [`loss`](Self::loss); a number is out of its range; the trainer does not train this loss.
    pub fn config(&self) -> Result<TrainConfig> {
        let constant = self.gamma.map(GammaSchedule::Constant);
        let config = TrainConfig {
            task: self.task,
            loss: self.loss()?.into(),
            gamma_schedule: constant.or(self.gamma_schedule).unwrap_or(TrainConfig::default().gamma_schedule),
            num_negatives: self.num_negatives.unwrap_or(TrainConfig::default().num_negatives),
            learning_rate: self.learning_rate.unwrap_or(self.usual_rate()),
            lr_scheduler_type: self.lr_scheduler_type,
            warmup_ratio: self.warmup_ratio,
            num_train_epochs: self.num_train_epochs,
            per_device_train_batch_size: self.per_device_train_batch_size,
            gradient_accumulation_steps: self.gradient_accumulation_steps,
            adamw: AdamWConfig {
                adam_beta1: self.adam_beta1,
                adam_beta2: self.adam_beta2,
                adam_epsilon: self.adam_epsilon,
                weight_decay: self.weight_decay,
                max_grad_norm: self.max_grad_norm,
            },
            shuffle: self.shuffle,
            seed: self.seed,
            memory_budget: self.memory_budget.map(|bytes| bytes.0),
            route: self.route,
            activations: self.activations,
            chunk_tokens: self.chunk_tokens,
            max_tokens_per_batch: self.max_tokens_per_batch,
        };
        config.check()?;
        Ok(config)
    }

    /// The fresh adapter's options; `None` where all weights are trained. An adapter that is started from has its own.
    pub fn lora(&self) -> Option<LoraConfig> {
        self.use_peft.then(|| LoraConfig {
            r: self.lora_r,
            lora_alpha: self.lora_alpha,
            lora_dropout: self.lora_dropout,
            use_rslora: self.use_rslora,
            target_modules: self.lora_target_modules.0.clone(),
        })
    }

    /// Whether figures go there.
    pub fn reports_to(&self, place: ReportTo) -> bool {
        self.report_to.iter().any(|report| [place, ReportTo::All].contains(report))
    }

    /// What computes.
    pub fn choice(&self) -> Choice {
        Choice { backend: self.backend, device: self.device.clone(), dtype: self.dtype }
    }

    /// How the frozen projections are quantised as they are loaded.
    pub fn quantisation(&self) -> Option<Quantisation> {
        let four_bit = self.load_in_4bit.then_some((self.bnb_4bit_quant_type, self.bnb_4bit_use_double_quant));
        Quantisation::asked_for(four_bit, self.load_in_gguf_type, &self.llm_int8_skip_modules)
    }

    /// The model, and how it is loaded.
    ///
    /// # Errors
    /// `model_name_or_path` is not given.
    pub fn source(&self) -> Result<ModelSource> {
        Ok(ModelSource { path: self.model()?.to_path_buf(), quantisation: self.quantisation() })
    }

    /// What the policy is measured against.
    pub fn reference(&self) -> ReferenceOptions {
        ReferenceOptions { policy: self.ref_adapter.clone(), cache_dir: self.reference_cache_dir.clone() }
    }

    /// `model_name_or_path`.
    ///
    /// # Errors
    /// It is not given.
    pub fn model(&self) -> Result<&Path> {
        self.model_name_or_path.as_deref().ok_or_else(|| missing("model_name_or_path"))
    }

    /// `output_dir`.
    ///
    /// # Errors
    /// It is not given.
    pub fn output(&self) -> Result<&Path> {
        self.output_dir.as_deref().ok_or_else(|| missing("output_dir"))
    }

    /// `data`, at least one file.
    ///
    /// # Errors
    /// It is not given.
    pub fn files(&self) -> Result<&[std::path::PathBuf]> {
        if self.data.is_empty() { Err(missing("data")) } else { Ok(&self.data) }
    }
}

fn missing(name: &str) -> Error {
    let message = format!("`{name}` is missing; it is given in the file or as `--{name}`");
    Error::new(ErrorKind::Option, message)
}

fn placed(error: Error, place: Option<String>) -> Error {
    match place {
        Some(place) => error.at(place),
        None => error,
    }
}
