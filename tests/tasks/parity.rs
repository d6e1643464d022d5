//! Scores of transformers' `LlamaForSequenceClassification`, read, and read again after a save.

use crate::support::{data, ids, json};
use crate::tolerance::{MERGED, SCORE};
use hps_llama::backend::Precision;
use hps_llama::backend::cpu::Cpu;
use hps_llama::lora::Lora;
use hps_llama::model::Policy;
use hps_llama::pack::Group;
use hps_llama::reward_model::RewardModel;
use serde_json::json;

fn reward_model() -> RewardModel<Cpu> {
    RewardModel::from_folder(Cpu, data("models/tiny-reward"), false).expect("the reference model loads")
}

/// Each reference sequence as a prompt of one token and a response, and its score.
fn cases() -> (Vec<Group>, Vec<f64>) {
    let reference = json("hf.json");
    let cases = reference["models"]["tiny-reward"]["cases"].as_array().expect("cases");
    let group = |ids: Vec<u32>| Group { row: 0, prompt: ids[..1].to_vec(), responses: vec![ids[1..].to_vec()] };
    let groups = cases.iter().map(|case| group(ids(&case["ids"]))).collect();
    (groups, cases.iter().map(|case| case["score"].as_f64().expect("a number")).collect())
}

#[test]
fn scores_agree_with_transformers() {
    let (groups, expected) = cases();
    let scores = reward_model().rewards(&groups).expect("scores").concat();
    assert_eq!(scores.len(), expected.len());
    let worst = scores.iter().zip(&expected).map(|(ours, theirs)| (ours - theirs).abs()).fold(0.0, f64::max);
    println!("scores within {worst:.1e}");
    assert!(worst < SCORE, "{worst:e}");
    // A model that scored all alike would agree with nothing.
    assert!(expected.iter().any(|score| (score - expected[0]).abs() > 100.0 * SCORE));
}

#[test]
fn a_score_does_not_depend_on_its_batch() {
    let (groups, _) = cases();
    let together = reward_model().rewards(&groups).expect("scores");
    for (group, scores) in groups.iter().zip(&together) {
        assert_eq!(&reward_model().rewards(std::slice::from_ref(group)).expect("scores")[0], scores);
    }
}

/// The same sequences with all but their ends shared: a prompt is computed once.
#[test]
fn a_shared_prompt_scores_as_its_own() {
    let (groups, _) = cases();
    let prompt = groups[0].responses[0][..20].to_vec();
    let responses: Vec<Vec<u32>> = groups.iter().map(|group| group.responses[0].clone()).collect();
    let shared = Group { row: 0, prompt: prompt.clone(), responses: responses.clone() };
    let alone: Vec<Group> = responses
        .iter()
        .map(|response| Group { row: 0, prompt: prompt.clone(), responses: vec![response.clone()] })
        .collect();
    let model = reward_model();
    let (shared, alone) = (model.rewards(&[shared]).expect("scores").concat(), model.rewards(&alone).expect("scores"));
    for (shared, alone) in shared.iter().zip(alone.concat()) {
        assert!((shared - alone).abs() < MERGED, "{shared} {alone}");
    }
}

#[test]
fn a_saved_model_scores_the_same_bits() {
    let folder = tempfile::tempdir().expect("a folder");
    let (groups, _) = cases();
    let model = reward_model();
    model.save(folder.path(), Precision::F32).expect("saved");
    let again = RewardModel::from_folder(Cpu, folder.path(), false).expect("our own file");
    assert_eq!(again.rewards(&groups).expect("scores"), model.rewards(&groups).expect("scores"));
    let text = std::fs::read_to_string(folder.path().join("config.json")).expect("a file");
    let config: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(config["architectures"], json!(["LlamaForSequenceClassification"]));
    assert_eq!((&config["id2label"], &config["label2id"]), (&json!({"0": "LABEL_0"}), &json!({"LABEL_0": 0})));
}

/// PEFT's trained adapter of the language model fits the reward model's projections.
#[test]
fn an_adapter_is_merged_on_saving() {
    let folder = tempfile::tempdir().expect("a folder");
    let (groups, plain) = cases();
    let base = reward_model();
    let adapter = Lora::from_folder(&Cpu, base.policy().model.config(), data("models/tiny/adapter-11"), 0);
    let model = base.with_adapter(adapter.expect("it fits")).expect("adapted");
    let adapted = model.rewards(&groups).expect("scores").concat();
    assert!(adapted.iter().zip(&plain).any(|(adapted, plain)| (adapted - plain).abs() > 100.0 * MERGED));
    model.save(folder.path(), Precision::F32).expect("saved");
    let merged = RewardModel::from_folder(Cpu, folder.path(), false).expect("our own file");
    let Policy { adapter, .. } = merged.policy();
    assert!(adapter.is_none());
    for (merged, adapted) in merged.rewards(&groups).expect("scores").concat().iter().zip(&adapted) {
        assert!((merged - adapted).abs() < MERGED, "{merged} {adapted}");
    }
}
