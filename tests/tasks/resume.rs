//! A reward model's run, interrupted after its first update, is the run that was not, to the bit.

use crate::support::data;
use hps_llama::backend::Backend;
use hps_llama::backend::cpu::Cpu;
use hps_llama::lora::{Lora, LoraConfig};
use hps_llama::model::Policy;
use hps_llama::pack::Group;
use hps_llama::reward_model::RewardModel;
use hps_llama::train::options::Task;
use hps_llama::train::{Checkpoint, Example, ReferenceOptions, Route, SaveOptions, TrainConfig, Trainer};

fn policy(adapted: bool) -> Policy<Cpu> {
    let model = RewardModel::from_folder(Cpu, data("models/tiny-reward"), !adapted).expect("a reward model");
    if !adapted {
        return model.into_policy();
    }
    let config = LoraConfig { lora_dropout: 0.1, ..LoraConfig::default() };
    let adapter = Lora::fresh(&Cpu, model.policy().model.config(), config, 3).expect("an adapter");
    model.with_adapter(adapter).expect("adapted").into_policy()
}

fn examples() -> Vec<Example> {
    let response = |seed: u32, length: u32| (0..length).map(|token| (seed * 37 + token * 11) % 1000).collect();
    let group = |row| Group {
        row,
        prompt: response(row, 9),
        responses: vec![response(row + 1, 4), response(row + 2, 7), response(row + 3, 1)],
    };
    (0..6)
        .map(|row| Example { place: format!("rows:{row}"), group: group(row), rewards: vec![2.0, 1.0, 0.0] })
        .collect()
}

fn numbers(policy: &Policy<Cpu>) -> Vec<Vec<f32>> {
    policy.trained().values().map(|weight| Cpu.download_weight(weight).expect("numbers")).collect()
}

#[test]
fn a_resumed_run_has_the_same_bits() {
    for (adapted, route) in [(true, Route::Auto), (false, Route::Auto), (true, Route::Chunks)] {
        let config = TrainConfig {
            task: Task::Reward,
            loss: "dpo-pl".parse().expect("a loss"),
            learning_rate: 1e-3,
            num_train_epochs: 1,
            per_device_train_batch_size: 2,
            gradient_accumulation_steps: 1,
            route,
            ..TrainConfig::default()
        };
        let folder = tempfile::tempdir().expect("a folder");
        let mut whole = Trainer::new(policy(adapted), examples(), config.clone()).expect("a trainer");
        let before = numbers(whole.policy());
        whole.step().expect("a step");
        let save = SaveOptions {
            output_dir: folder.path(),
            base_model_name_or_path: "base",
            metrics: None,
            save_total_limit: None,
        };
        let saved = whole.save_checkpoint(&save).expect("saved");
        while whole.step().expect("a step").is_some() {}

        let checkpoint = Checkpoint::open(saved).expect("intact");
        let none = ReferenceOptions::default();
        let mut rest = Trainer::resume(policy(adapted), examples(), config, &none, &checkpoint).expect("resumed");
        while rest.step().expect("a step").is_some() {}
        assert_eq!(rest.steps_done(), 3);
        let after = numbers(rest.policy());
        assert_eq!(after, numbers(whole.policy()), "adapted: {adapted}");
        // Every trained weight has moved, the score head among them.
        assert!(after.iter().zip(&before).all(|(after, before)| after != before));
    }
}
