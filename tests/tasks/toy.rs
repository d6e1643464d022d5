//! The toy world, where the true reward of every response is known: what the two tasks are for.

use crate::support::data;
use crate::tolerance::{ACCURACY, LOWER};
use crate::toy_world::rows::{Lists, write_rows};
use crate::toy_world::{Split, World};
use hps_llama::backend::Precision;
use hps_llama::backend::cpu::Cpu;
use hps_llama::chat::Chat;
use hps_llama::evaluate::{perplexity, ranking};
use hps_llama::lora::{Lora, LoraConfig};
use hps_llama::model::{Llama, Policy};
use hps_llama::parameter::Projection;
use hps_llama::reward_model::RewardModel;
use hps_llama::train::options::Task;
use hps_llama::train::{Example, StepLog, TrainConfig, Trainer, tokenize};
use std::path::PathBuf;

fn base() -> PathBuf {
    data("../../assets/tiny-llama3")
}

/// Rows of the world that the base was trained in, their rewards the true ones.
fn rows(split: Split, prompts: usize) -> Vec<Example> {
    let file = tempfile::Builder::new().suffix(".jsonl").tempfile().expect("a file");
    let world = World::new(1);
    write_rows(&file, &world, world.prompts(split, None).take(prompts), Lists::of(8)).expect("rows");
    let chat = Chat::from_folder(base()).expect("the base's template");
    tokenize(&hps_llama::data::read(file.path()).expect("rows"), &chat, 2048).expect("tokens").0
}

fn config(task: Task, loss: &str, learning_rate: f64, epochs: u32) -> TrainConfig {
    TrainConfig {
        task,
        loss: loss.parse().expect("a loss"),
        learning_rate,
        warmup_ratio: 0.1,
        num_train_epochs: epochs,
        per_device_train_batch_size: 16,
        gradient_accumulation_steps: 1,
        ..TrainConfig::default()
    }
}

fn trained(policy: Policy<Cpu>, rows: Vec<Example>, config: TrainConfig) -> (Policy<Cpu>, Vec<StepLog>) {
    let mut trainer = Trainer::new(policy, rows, config).expect("a trainer");
    let mut logs = Vec::new();
    while let Some(log) = trainer.step().expect("a step") {
        logs.push(log);
    }
    (trainer.into_policy(), logs)
}

fn lora(model: &Llama<Cpu>) -> Lora<Cpu> {
    let options = LoraConfig { target_modules: Projection::ALL.to_vec(), ..LoraConfig::default() };
    Lora::fresh(&Cpu, model.config(), options, 0).expect("an adapter")
}

/// Plackett–Luce on lists of eight, all weights and a fresh head; read back from the files in transformers' form.
#[test]
fn a_reward_model_ranks_held_out_responses() {
    let held_out = rows(Split::HeldOut, 128);
    let model = RewardModel::fresh(Llama::from_folder(Cpu, base(), true).expect("the base"), 0).expect("a head");
    let before = ranking(&model, &held_out, 4096).expect("a ranking");
    let config = TrainConfig { per_device_train_batch_size: 8, ..config(Task::Reward, "dpo-pl", 1e-3, 2) };
    let (policy, logs) = trained(model.into_policy(), rows(Split::Train, 500), config);
    assert!(logs.iter().all(|log| log.logps_chosen.is_nan() && log.rewards_margins.is_finite()));

    let folder = tempfile::tempdir().expect("a folder");
    RewardModel::from_policy(policy).expect("a head").save(folder.path(), Precision::F32).expect("saved");
    let model = RewardModel::from_folder(Cpu, folder.path(), false).expect("our own file");
    let after = ranking(&model, &held_out, 4096).expect("a ranking");
    println!(
        "pairwise accuracy {:.3} -> {:.3} of {} pairs, the best first in {} of {} rows; loss {:.3} -> {:.3}",
        before.accuracy(),
        after.accuracy(),
        after.pairs,
        after.first,
        after.rows,
        logs[0].loss,
        logs[logs.len() - 1].loss
    );
    assert!(before.accuracy() < 0.7, "an untrained head knows nothing: {}", before.accuracy());
    assert!(after.accuracy() > ACCURACY, "{}", after.accuracy());
}

/// Bradley–Terry reads the best and the worst response, and an adapter with a score head learns to tell them.
#[test]
fn bradley_terry_trains_an_adapter() {
    let model = RewardModel::fresh(Llama::from_folder(Cpu, base(), false).expect("the base"), 0).expect("a head");
    let adapter = lora(&model.policy().model);
    let policy = model.with_adapter(adapter).expect("adapted").into_policy();
    let (_, logs) = trained(policy, rows(Split::Train, 320), config(Task::Reward, "dpo-bt", 5e-3, 1));
    let of_last = |number: fn(&StepLog) -> f64| logs[logs.len() - 4..].iter().map(number).sum::<f64>() / 4.0;
    let (loss, accuracy) = (of_last(|log| log.loss), of_last(|log| log.rewards_accuracies));
    println!("loss {:.3} -> {loss:.3}, accuracy of the last updates {accuracy:.3}", logs[0].loss);
    assert!(loss < 0.5 * logs[0].loss && accuracy > 0.8);
}

#[test]
fn sft_lowers_held_out_perplexity() {
    let held_out = rows(Split::HeldOut, 128);
    let model = Llama::from_folder(Cpu, base(), false).expect("the base");
    let adapter = Some(lora(&model));
    let policy = Policy { model, adapter };
    let before = perplexity(&policy, &held_out, 4096).expect("a perplexity");
    let (policy, logs) = trained(policy, rows(Split::Train, 320), config(Task::Sft, "dpo-hps", 2e-3, 1));
    let after = perplexity(&policy, &held_out, 4096).expect("a perplexity");
    println!("held-out perplexity of preferred responses {before:.3} -> {after:.3}");
    assert!(after < LOWER * before, "{before} -> {after}");
    assert!(logs.iter().all(|log| log.gamma.is_none() && log.rewards_margins.is_nan()));
}

/// The loss of the first update is the rows' own mean, a token: `ln` of their perplexity.
#[test]
fn sft_is_the_mean_over_response_tokens() {
    let model = Llama::from_folder(Cpu, base(), false).expect("the base");
    let adapter = Some(lora(&model));
    let (policy, rows) = (Policy { model, adapter }, rows(Split::Train, 24));
    let expected = perplexity(&policy, &rows, 4096).expect("a perplexity").ln();
    let whole = TrainConfig {
        per_device_train_batch_size: 7,
        gradient_accumulation_steps: 4,
        ..config(Task::Sft, "dpo-hps", 1e-4, 1)
    };
    let (_, logs) = trained(policy, rows, whole);
    assert_eq!(logs.len(), 1);
    assert!((logs[0].loss - expected).abs() < 1e-5, "{} against {expected}", logs[0].loss);
}
