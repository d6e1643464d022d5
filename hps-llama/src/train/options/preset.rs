//! Options that are set together.

use super::{Preset, TargetModules, TrainOptions};
use crate::parameter::Projection;
use crate::train::SchedulerType;
use hps_core::{GammaSchedule, Loss, TiePolicy};

impl TrainOptions {
    /// A preset, before anything else is given.
    ///
    /// | | `paper` | `official-code` |
    /// |---|---|---|
    /// | loss | `dpo-hps`, β 0.1 | `dpo-hps`, β 0.25, label smoothing 0.1 |
    /// | γ | −5 → 5 in five steps | its five levels, which end near 3 |
    /// | negatives of the highest reward | kept | masked |
    /// | adapter | LoRA, r 8, α 16, on queries and values | the same |
    /// | optimiser | AdamW 5e-7, cosine, 2 epochs of 64 prompts an update | the same |
    /// | tokens | 2,048 | the same |
    ///
    /// The authors' program draws each row's negative once, when it prepares the data, and γ by the row's place in the
    /// file; here negatives are drawn anew each epoch and γ moves in time.
    pub fn preset(preset: Preset) -> TrainOptions {
        let options = TrainOptions {
            preset: Some(preset),
            beta: Some(0.1),
            gamma_schedule: Some(GammaSchedule::LinspaceFifths),
            tie_policy: Some(TiePolicy::Keep),
            max_length: 2048,
            learning_rate: Some(5e-7),
            lr_scheduler_type: SchedulerType::Cosine,
            warmup_ratio: 0.0,
            num_train_epochs: 2,
            per_device_train_batch_size: 8,
            gradient_accumulation_steps: 8,
            weight_decay: 0.0,
            use_peft: true,
            lora_r: 8,
            lora_alpha: 16.0,
            lora_dropout: 0.0,
            lora_target_modules: TargetModules(vec![Projection::Q, Projection::V]),
            ..TrainOptions::default()
        };
        match preset {
            Preset::Paper => options,
            Preset::OfficialCode => TrainOptions {
                beta: Some(0.25),
                label_smoothing: Some(0.1),
                gamma_schedule: Some(GammaSchedule::OfficialCode),
                tie_policy: Some(TiePolicy::MaskMax),
                ..options
            },
        }
    }

    /// Takes back what the preset set and a given loss does not have, so that `preset` and `loss_type` go together.
    pub(super) fn fit_preset(&mut self, loss: &Loss) {
        let has_gamma = loss.gamma().is_some();
        if loss.beta().is_none() {
            self.beta = None;
        }
        self.label_smoothing = self.label_smoothing.filter(|smoothing| loss.with_label_smoothing(*smoothing).is_ok());
        self.gamma_schedule = self.gamma_schedule.filter(|_| has_gamma);
        self.tie_policy = self.tie_policy.filter(|policy| loss.with_tie_policy(*policy).is_ok());
    }
}
