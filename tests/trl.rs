//! Parity with a whole run of TRL and PEFT: `tests/data/trl-sigmoid`, DPO from its initial adapter, float32 on a CPU; reproduced on the
//! CPU and, with feature `wgpu` or `cuda`, on a GPU.

mod support;

use hps_llama::backend::Backend;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
use hps_llama::backend::Dtype;
use hps_llama::backend::cpu::Cpu;
use hps_llama::chat::Chat;
use hps_llama::data;
use hps_llama::lora::Lora;
use hps_llama::model::{Llama, Policy};
use hps_llama::parameter::Parameter;
use hps_llama::train::{AdamWConfig, SchedulerType, StepLog, TrainConfig, Trainer, tokenize};
use serde_json::Value;
use support::tolerance::{
    TRL_ENTRY, TRL_ENTRY_SHARE, TRL_ENTRY_WORST, TRL_GRADIENT_NORM, TRL_LEARNING_RATE, TRL_LOG_PROB, TRL_LOSS,
    TRL_REWARD,
};
use support::{data as path, json};

/// The run's setting, as `run.json` and its `setting` line name it.
fn setting() -> TrainConfig {
    let args = &json("trl-sigmoid/run.json")["args"];
    TrainConfig {
        loss: "dpo-bt"
            .parse()
            .and_then(|loss: hps_core::Loss| loss.with_beta(number(&args["beta"])))
            .expect("a loss")
            .into(),
        learning_rate: number(&args["lr"]),
        lr_scheduler_type: SchedulerType::Cosine,
        warmup_ratio: 0.0,
        num_train_epochs: 1,
        per_device_train_batch_size: number(&args["batch"]) as usize,
        gradient_accumulation_steps: number(&args["accum"]) as usize,
        adamw: AdamWConfig {
            adam_beta1: 0.9,
            adam_beta2: 0.999,
            adam_epsilon: 1e-8,
            weight_decay: 0.0,
            max_grad_norm: 1.0,
        },
        shuffle: false,
        ..TrainConfig::default()
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

fn adapter<B: Backend>(folder: &str, model: &Llama<B>) -> Lora<B> {
    Lora::from_folder(model.backend(), model.config(), path("trl-sigmoid").join(folder), 0).expect("the adapter loads")
}

fn run<B: Backend>(backend: B, config: TrainConfig) -> (Vec<StepLog>, Policy<B>) {
    let model = Llama::from_folder(backend, path("models/tiny"), false).expect("the model loads");
    let chat = Chat::from_folder(path("models/tiny")).expect("its tokenizer loads");
    let rows = data::read(path("trl-sigmoid/preferences.jsonl")).expect("the rows are read");
    let (examples, dropped) = tokenize(&rows, &chat, 2048).expect("they are tokenised");
    assert_eq!((examples.len(), dropped.total()), (24, 0));
    let adapter = Some(adapter("initial_adapter", &model));
    let mut trainer = Trainer::new(Policy { model, adapter }, examples, config).expect("a trainer");
    let mut logs = Vec::new();
    while let Some(log) = trainer.step().expect("a step") {
        logs.push(log);
    }
    (logs, trainer.into_policy())
}

/// TRL's number as it would be if ties counted half: before the first update all pairs tie, which TRL counts as wrong.
fn accuracy_with_ties(name: &str, step: u64, theirs: f64) -> f64 {
    if name == "rewards/accuracies" && step == 1 {
        assert_eq!(theirs, 0.0, "TRL's pairs tie");
        return 0.5;
    }
    theirs
}

/// The first deviation from TRL's run beyond the table of tolerances.
fn compare<B: Backend>(logs: &[StepLog], policy: &Policy<B>) -> Result<(), String> {
    let reference = json("trl-sigmoid/run.json");
    let theirs = reference["log"].as_array().expect("a log");
    if logs.len() != theirs.len() {
        return Err(format!("{} steps against {}", logs.len(), theirs.len()));
    }
    for (ours, theirs) in logs.iter().zip(theirs) {
        let step = ours.step;
        let theirs_loss = number(&theirs["loss"]);
        let checks = [
            ("loss", ours.loss, TRL_LOSS * theirs_loss.abs().max(1.0)),
            ("grad_norm", ours.grad_norm, TRL_GRADIENT_NORM * number(&theirs["grad_norm"])),
            ("learning_rate", ours.learning_rate, TRL_LEARNING_RATE),
            ("rewards/chosen", ours.rewards_chosen, TRL_REWARD),
            ("rewards/rejected", ours.rewards_rejected, TRL_REWARD),
            ("rewards/margins", ours.rewards_margins, TRL_REWARD),
            ("rewards/accuracies", ours.rewards_accuracies, 0.0),
            ("logps/chosen", ours.logps_chosen, TRL_LOG_PROB),
            ("logps/rejected", ours.logps_rejected, TRL_LOG_PROB),
            ("num_tokens", ours.num_tokens as f64, 0.0),
        ];
        for (name, ours, allowed) in checks {
            let theirs = accuracy_with_ties(name, step, number(&theirs[name]));
            let apart = (ours - theirs).abs();
            if apart > allowed || apart.is_nan() {
                return Err(format!("step {}: {name} is {ours}, TRL's {theirs}, allowed {allowed:e}", step));
            }
        }
    }
    compare_adapters(policy, &adapter("final_adapter", &policy.model))
}

fn compare_adapters<B: Backend>(policy: &Policy<B>, theirs: &Lora<B>) -> Result<(), String> {
    let backend = policy.model.backend();
    let matrix = |lora: &Lora<B>, parameter: Parameter| lora.matrix(backend, parameter).expect("numbers");
    let ours = policy.adapter.as_ref().expect("it was trained");
    let mut differences = Vec::new();
    for parameter in ours.config().parameters(policy.model.config()) {
        let (ours, theirs) = (matrix(ours, parameter).expect("one"), matrix(theirs, parameter).expect("one"));
        differences.extend(ours.iter().zip(&theirs).map(|(ours, theirs)| f64::from((ours - theirs).abs())));
    }
    differences.sort_by(f64::total_cmp);
    let worst = *differences.last().expect("entries");
    let close = differences.iter().filter(|difference| **difference <= TRL_ENTRY).count();
    let share = close as f64 / differences.len() as f64;
    if share < TRL_ENTRY_SHARE || worst > TRL_ENTRY_WORST {
        return Err(format!("{share} of the adapter's entries within {TRL_ENTRY:e}, the worst at {worst:e}"));
    }
    println!("{share} of {} entries within {TRL_ENTRY:e}, the worst at {worst:e}", differences.len());
    Ok(())
}

#[test]
fn the_run_is_reproduced() {
    let (logs, policy) = run(Cpu, setting());
    compare(&logs, &policy).expect("every step and the final adapter agree");
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
support::gpu::on_gpus!(the_run_is_reproduced_there);

#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn the_run_is_reproduced_there<B: Backend>(open: fn(Dtype) -> Option<B>) {
    let Some(backend) = open(Dtype::Float32) else { return };
    let (logs, policy) = run(backend, setting());
    compare(&logs, &policy).expect("every step and the final adapter agree");
}

/// The comparison is sharp: each of four small changes of the setting is noticed.
#[test]
fn other_settings_are_noticed() {
    let adamw = setting().adamw;
    let others = [
        ("clipping off", TrainConfig { adamw: AdamWConfig { max_grad_norm: f64::INFINITY, ..adamw }, ..setting() }),
        ("weight decay", TrainConfig { adamw: AdamWConfig { weight_decay: 0.01, ..adamw }, ..setting() }),
        ("beta 2", TrainConfig { adamw: AdamWConfig { adam_beta2: 0.95, ..adamw }, ..setting() }),
        ("linear schedule", TrainConfig { lr_scheduler_type: SchedulerType::Linear, ..setting() }),
    ];
    for (name, config) in others {
        let (logs, policy) = run(Cpu, config);
        let noticed = compare(&logs, &policy);
        println!("{name}: {noticed:?}");
        assert!(noticed.is_err(), "{name} goes unnoticed");
    }
}

/// Step 0: the fresh adapter's rewards are exactly zero, so the loss is exactly ln 2.
#[test]
fn the_first_step_starts_at_the_reference() {
    let (logs, _) = run(Cpu, setting());
    let first = logs.first().expect("a step");
    assert_eq!([first.rewards_chosen, first.rewards_rejected, first.rewards_margins], [0.0; 3]);
    assert_eq!(first.loss, std::f64::consts::LN_2);
}
