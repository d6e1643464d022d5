//! What is refused, with its message.

use crate::support::{data, policy};
use hps_llama::backend::cpu::Cpu;
use hps_llama::model::Policy;
use hps_llama::pack::Group;
use hps_llama::reward_model::RewardModel;
use hps_llama::train::options::Task;
use hps_llama::train::{Example, ReferenceOptions, ReferencePolicy, TrainConfig, Trainer};
use std::fs;
use std::path::Path;

/// The reference folder with its configuration edited.
fn edited(edit: impl FnOnce(&mut serde_json::Value)) -> (tempfile::TempDir, String) {
    let (folder, source) = (tempfile::tempdir().expect("a folder"), data("models/tiny-reward"));
    let text = fs::read_to_string(source.join("config.json")).expect("a file");
    let mut config = serde_json::from_str(&text).expect("JSON");
    edit(&mut config);
    fs::write(folder.path().join("config.json"), config.to_string()).expect("a file");
    fs::copy(source.join("model.safetensors"), folder.path().join("model.safetensors")).expect("copied");
    let place = folder.path().join("config.json").display().to_string();
    (folder, place)
}

fn refused(folder: &Path) -> String {
    RewardModel::from_folder(Cpu, folder, false).expect_err("refused").to_string()
}

#[test]
fn other_models_and_labels_are_refused() {
    let folder = data("models/tiny");
    let place = folder.join("config.json").display().to_string();
    let known = "a reward model is [\"LlamaForSequenceClassification\"]";
    assert_eq!(refused(&folder), format!("{place}: `architectures` is [\"LlamaForCausalLM\"]; {known}"));
    assert!(!RewardModel::<Cpu>::is_in(&folder));

    let (folder, place) = edited(|config| config["id2label"] = serde_json::json!({"0": "A", "1": "B", "2": "C"}));
    assert_eq!(refused(folder.path()), format!("{place}: `id2label` has 3 labels; a reward is one"));
    // transformers' default, where nothing is said.
    let (folder, place) = edited(|config| config["id2label"] = serde_json::Value::Null);
    assert_eq!(refused(folder.path()), format!("{place}: `num_labels` is 2; a reward is one label"));

    let (folder, _) = edited(|_| ());
    fs::copy(data("models/tiny/model.safetensors"), folder.path().join("model.safetensors")).expect("copied");
    let place = folder.path().join("model.safetensors").display().to_string();
    assert_eq!(refused(folder.path()), format!("{place}: `score.weight` is missing"));
}

fn reward() -> Policy<Cpu> {
    RewardModel::from_folder(Cpu, data("models/tiny-reward"), true).expect("a reward model").into_policy()
}

fn example(last: u32) -> Example {
    let group = Group { row: 0, prompt: vec![1018, last], responses: vec![vec![7, 9], vec![last; 2]] };
    Example { place: "rows.jsonl:1".into(), group, rewards: vec![1.0, 0.0] }
}

fn refused_run(policy: Policy<Cpu>, task: Task, loss: &str, last: u32, reference: &ReferenceOptions) -> String {
    let config = TrainConfig { task, loss: loss.parse().expect("a loss"), ..TrainConfig::default() };
    Trainer::with_reference(policy, vec![example(last)], config, reference).expect_err("refused").to_string()
}

#[test]
fn heads_losses_and_rows_that_do_not_go_with_the_task_are_refused() {
    let none = ReferenceOptions::default();
    let named = ReferenceOptions { policy: Some(ReferencePolicy::Base), cache_dir: None };
    let language = || policy("models/tiny", None);
    let refused = refused_run;
    assert_eq!(
        refused(language(), Task::Reward, "dpo-bt", 9, &none),
        "`task` is reward, but the model has no `score.weight`"
    );
    assert_eq!(
        refused(reward(), Task::Sft, "dpo-bt", 9, &none),
        "`task` is sft, but the model has `score.weight` in the place of `lm_head.weight`"
    );
    assert_eq!(
        refused(reward(), Task::Reward, "dpo-bt", 9, &named),
        "a reference is named, but `task` reward has none"
    );
    assert_eq!(
        refused(reward(), Task::Reward, "dpo-bt", 1023, &none),
        "rows.jsonl:1: response 1 and the end of its prompt are nothing but token 1023, the model's `pad_token_id`; no \
         reward can be read there"
    );
    for (loss, reason) in [("orpo-pl", "a reward model has no likelihood"), ("ipo-bt", "")] {
        let message = refused(reward(), Task::Reward, loss, 9, &none);
        assert!(message.starts_with(&format!("`loss_type` is {loss} with `task` reward: ")), "{message}");
        assert!(message.ends_with(reason), "{message}");
    }
}
