//! The tasks beside preference: what a run of theirs writes.

use crate::program::{Folder, metrics, read, refused, train};
use hps_llama::backend::cpu::Cpu;
use hps_llama::lora::Lora;
use hps_llama::model::Llama;
use hps_llama::pack::Group;
use hps_llama::reward_model::RewardModel;

fn rewards(folder: &std::path::Path) -> Vec<f64> {
    let model = RewardModel::from_folder(Cpu, folder, false).expect("a reward model");
    let group = Group { row: 0, prompt: vec![1018, 70, 71], responses: vec![vec![80, 81, 1022], vec![90, 1022]] };
    model.rewards(&[group]).expect("scores").concat()
}

#[test]
fn a_reward_run_writes_a_reward_model() {
    for peft in ["use_peft = true", "use_peft = false"] {
        let folder = Folder::new(&format!("task = 'reward'\nloss_type = 'dpo-bt'\n{peft}"));
        let out = train(&[&folder.argument("options.toml")]);
        assert!(out.contains("loss      dpo-bt, of the model's own rewards\n"), "{out}");
        let lines = metrics(&folder.out("metrics.jsonl"));
        assert!(lines[0]["logps/chosen"].is_null() && lines[0]["rewards/margins"] != 0.0, "{}", lines[0]);
        assert!(!folder.path("out/adapter_model.safetensors").exists());
        for companion in ["tokenizer.json", "chat_template.jinja"] {
            assert!(folder.path("out").join(companion).exists(), "{companion}");
        }
        let first = rewards(&folder.path("out"));
        assert_ne!(first[0], first[1]);

        // It is trained further, its head as it is; and its own options repeat it.
        let (next, again) = (folder.argument("next"), folder.argument("again"));
        let base = folder.argument("out");
        train(&[&folder.argument("options.toml"), "--model_name_or_path", &base, "--output_dir", &next]);
        assert_ne!(rewards(&folder.path("next")), first);
        train(&[&folder.argument("out/train.toml"), "--output_dir", &again]);
        assert!(folder.out("model.safetensors") == read(&folder.path("again/model.safetensors")));
    }
}

#[test]
fn an_sft_run_writes_an_adapter() {
    let folder = Folder::new("task = 'sft'\npreset = 'paper'\nnum_train_epochs = 4");
    let out = train(&[&folder.argument("options.toml")]);
    assert!(out.contains("loss      -log p a token of the preferred responses\n"), "{out}");
    assert!(!out.contains("\ngamma    "), "{out}");
    let lines = metrics(&folder.out("metrics.jsonl"));
    let (first, last) = (&lines[0], &lines[lines.len() - 1]);
    assert!(last["loss"].as_f64() < first["loss"].as_f64(), "{first} {last}");
    assert!(first["rewards/accuracies"].is_null() && first["gamma"].is_null(), "{first}");
    let model = Llama::from_folder(Cpu, crate::program::data("models/tiny"), false).expect("the model");
    let adapter = Lora::from_folder(&Cpu, model.config(), folder.path("out"), 0).expect("an adapter");
    assert!(!adapter.is_fresh(&Cpu).expect("numbers"));
    train(&[&folder.argument("out/train.toml"), "--output_dir", &folder.argument("again")]);
}

#[test]
fn bases_of_another_task_are_refused() {
    let folder = Folder::new("task = 'reward'\nloss_type = 'dpo-bt'");
    let path = folder.argument("options.toml");
    let adapter = "tests/data/models/tiny/adapter-11";
    assert_eq!(
        refused(&[&path, "--adapter_name_or_path", adapter]),
        format!("`adapter_name_or_path` is {adapter}; a reward model starts with a fresh one")
    );
    let message = refused(&[
        &path,
        "--task",
        "sft",
        "--loss_type",
        "dpo-hps",
        "--model_name_or_path",
        "tests/data/models/tiny-reward",
    ]);
    assert!(message.ends_with("`lm_head.weight` is missing"), "{message}");
    assert_eq!(
        refused(&[&path, "--loss_type", "ipo-bt"]),
        "command line: `loss_type` is ipo-bt with `task` reward: unsupported: the pair is not defined for scores of this reward"
    );
}

/// A run whose updates are too small together says so before and after; one that learns says nothing of it.
#[test]
fn a_run_that_cannot_learn_says_so() {
    let folder = Folder::new("num_train_epochs = 1\neval_share = 0.25");
    let too_little = "TOO LITTLE TO LEARN";
    let hardly = "The policy hardly moved: the loss is 0.6931 after 0.6931.";
    let still = train(&[&folder.argument("options.toml"), "--learning_rate", "1e-7"]);
    assert!(still.contains(too_little) && still.contains(hardly), "{still}");
    // The rate that it asks for is one at which nothing is said.
    let asked =
        still.split("Set `learning_rate` ").nth(1).and_then(|rest| rest.split_whitespace().next()).expect("a rate");
    let moved = train(&[&folder.argument("options.toml"), "--overwrite_output_dir", "--learning_rate", asked]);
    assert!(!moved.contains("TOO LITTLE") && !moved.contains("PERHAPS TOO MUCH"), "{moved}");
    // The paper's setting on a few rows.
    let rows = ["--model_name_or_path", "tests/data/models/tiny", "--data", "tests/data/hh.jsonl.gz"];
    let paper = folder.argument("paper");
    let plan = [&rows[..], &["--output_dir", &paper, "--dry_run"]].concat();
    assert!(train(&[&plan[..], &["--preset", "paper"]].concat()).contains(too_little));
    let many = train(&[&plan[..], &["--num_train_epochs", "400"]].concat());
    assert!(many.contains("PERHAPS TOO MUCH"), "{many}");
}

/// What measured runs broke at, is told at the end.
#[test]
fn a_run_that_may_have_broken_says_so() {
    let folder = Folder::new("num_train_epochs = 16");
    let out = train(&[&folder.argument("options.toml"), "--learning_rate", "5e-2"]);
    assert!(out.contains("nats a response. Measured runs with more than 10 gave broken responses"), "{out}");
    let sound = train(&[&folder.argument("options.toml"), "--overwrite_output_dir", "--num_train_epochs", "1"]);
    assert!(!sound.contains("broken responses"), "{sound}");
}
