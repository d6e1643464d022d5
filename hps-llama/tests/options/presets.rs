//! The presets, exactly.

use crate::given::{by_file, by_flags};
use hps_core::{GammaSchedule, Loss, TiePolicy};
use hps_llama::lora::LoraConfig;
use hps_llama::parameter::Projection;
use hps_llama::train::options::Task;
use hps_llama::train::{ActivationPolicy, AdamWConfig, Route, SchedulerType, TrainConfig};

/// The paper's training, spelled out.
fn paper() -> TrainConfig {
    TrainConfig {
        task: Task::Preference,
        loss: "dpo-hps".parse::<Loss>().and_then(|loss| loss.with_beta(0.1)).expect("a loss").into(),
        gamma_schedule: GammaSchedule::LinspaceFifths,
        num_negatives: 4,
        learning_rate: 5e-7,
        lr_scheduler_type: SchedulerType::Cosine,
        warmup_ratio: 0.0,
        num_train_epochs: 2,
        per_device_train_batch_size: 8,
        gradient_accumulation_steps: 8,
        adamw: AdamWConfig {
            adam_beta1: 0.9,
            adam_beta2: 0.999,
            adam_epsilon: 1e-8,
            weight_decay: 0.0,
            max_grad_norm: 1.0,
        },
        shuffle: true,
        seed: 0,
        memory_budget: None,
        route: Route::Auto,
        activations: ActivationPolicy::Auto,
        chunk_tokens: None,
        max_tokens_per_batch: None,
    }
}

fn lora() -> LoraConfig {
    let target_modules = vec![Projection::Q, Projection::V];
    LoraConfig { r: 8, lora_alpha: 16.0, lora_dropout: 0.0, use_rslora: false, target_modules }
}

#[test]
fn paper_is_the_papers() {
    let options = by_file("preset = 'paper'").expect("options");
    assert_eq!(options.config().expect("a run"), paper());
    assert_eq!((options.lora(), options.max_length), (Some(lora()), 2048));
}

#[test]
fn official_code_is_the_authors() {
    let options = by_flags(&[("preset", "official-code")]).expect("options");
    let loss = "dpo-hps".parse::<Loss>().and_then(|loss| loss.with_beta(0.25));
    let loss = loss.and_then(|loss| loss.with_label_smoothing(0.1));
    let loss = loss.and_then(|loss| loss.with_tie_policy(TiePolicy::MaskMax)).expect("a loss");
    let expected = TrainConfig { loss: loss.into(), gamma_schedule: GammaSchedule::OfficialCode, ..paper() };
    assert_eq!(options.config().expect("a run"), expected);
    assert_eq!((options.lora(), options.max_length), (Some(lora()), 2048));
}

/// Another loss under a preset has what it can have of it, so that losses are compared at one setting.
#[test]
fn other_losses_take_what_they_have() {
    let named = |name: &str| name.parse::<Loss>().expect("a loss");
    let cases = [
        ("paper", "dpo-bt", named("dpo-bt")),
        ("paper", "hinge", named("hinge")),
        ("official-code", "dpo-pl", named("dpo-pl").with_beta(0.25).expect("a loss")),
        (
            "official-code",
            "dpo-bt",
            named("dpo-bt").with_beta(0.25).and_then(|loss| loss.with_label_smoothing(0.1)).expect("a loss"),
        ),
    ];
    for (preset, name, expected) in cases {
        let options = by_flags(&[("preset", preset), ("loss_type", name)]).expect("options");
        let config = options.config().expect("a run");
        assert_eq!(config, TrainConfig { loss: expected.into(), ..paper() }, "{preset} {name}");
    }
}
