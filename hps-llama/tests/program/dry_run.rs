//! The plan, and nothing but the plan.

use crate::program::{Folder, hps, train};

const TRL: &str = "tests/data/trl-sigmoid/train.toml";

#[test]
fn the_plan_says_what_would_be_done() {
    let folder = Folder::new("");
    let fixed = ["--memory_budget", "1GiB", "--output_dir", &folder.argument("out")];
    let out = train(&[&[TRL, "--dry_run"], &fixed[..]].concat());
    let plan = "\
task      preference
loss      dpo-bt: beta 0.1
lists     2 responses a prompt
rows      24 to train on, of 24; dropped: none
tokens    907 in prompts, each once, and 1,016 in responses: 1,923; the longest sequence has 83 of 2,048
tokenizer tokenizer.json
updates   6 in 1 epoch of 4 prompts (2 a micro-batch, 2 micro-batches an update)
rate      1e-3, cosine; sum over all updates 3.5e-3
trained   5,376 parameters beside 269,760 frozen ones: LoRA, r 8, alpha 16, on q_proj, v_proj, from tests/data/trl-sigmoid/initial_adapter
base      the adapter records no digest of its base, which it calls \"tiny\"
reference the model without an adapter
memory    about 2.8 MiB of 1.0 GiB: a list of 2 responses in one pass, activations kept

sample 1 of 3: tests/data/trl-sigmoid/preferences.jsonl:1
";
    assert!(out.starts_with(plan), "{out}");
    let sample = "  best, reward 1, 14 tokens\n    The résumé neighbour router again; again;.<|eot_id|>\n  response, reward 0, 11 tokens\n    Passport router a again; neighbour of.<|eot_id|>\n";
    assert!(out.contains(sample), "{out}");
    assert_eq!(out, train(&[&[TRL, "--dry-run"], &fixed[..]].concat()));
    assert!(!folder.path("out").exists());
    // No colours where there is no terminal.
    assert!(!out.contains('\u{1b}'));
}

/// Prompt and response are told apart by colour where colours are shown.
#[test]
fn samples_have_colours_on_a_terminal() {
    let folder = Folder::new("");
    let forced = |no_color: bool| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_hps"));
        command
            .args(["train", TRL, "--dry_run", "--output_dir", &folder.argument("out")])
            .current_dir(crate::program::root())
            .env("CLICOLOR_FORCE", "1");
        if no_color {
            command.env_remove("CLICOLOR_FORCE").env("NO_COLOR", "1");
        }
        String::from_utf8(command.output().expect("the program starts").stdout).expect("text")
    };
    let out = forced(false);
    assert!(out.contains("\u{1b}[36m<|begin_of_text|>") && out.contains("\u{1b}[32mThe résumé neighbour"), "{out}");
    assert!(!forced(true).contains('\u{1b}'));
}

#[test]
fn presets_schedules_and_held_out_rows_are_told() {
    let folder =
        Folder::new("preset = 'official-code'\neval_share = 0.25\nmax_length = 40\ntruncation_mode = 'keep_end'");
    let out = train(&[&folder.argument("options.toml"), "--dry_run"]);
    for line in [
        "loss      dpo-hps: beta 0.25, label_smoothing 0.1, tie_policy mask-max\n",
        "; truncated (keep_end): ",
        " to evaluate on\n",
        " in 2 epochs of 4 prompts (4 a micro-batch, 1 micro-batches an update)\n",
        "the longest sequence has 40 of 40\n",
    ] {
        assert!(out.contains(line), "{line}: {out}");
    }
    assert!(!folder.path("out").exists(), "a dry run writes nothing");
}

/// Held out is every fourth row.
#[test]
fn a_share_is_held_out() {
    let folder = Folder::new("");
    for (share, held_out) in [("0.25", 6), ("0.1", 2), ("0.5", 12)] {
        let out = train(&[&folder.argument("options.toml"), "--dry_run", "--eval_share", share]);
        let line =
            format!("rows      {} to train on, of 24; dropped: none; {held_out} to evaluate on\n", 24 - held_out);
        assert!(out.contains(&line), "{out}");
    }
    let out = train(&[&folder.argument("options.toml"), "--dry_run", "--eval_data", "tests/data/hh.jsonl.gz"]);
    assert!(out.contains("rows      24 to train on, of 24; dropped: none; 24 to evaluate on\n"), "{out}");
}

/// Rows that teach nothing are dropped and counted; `data` may be several files.
#[test]
fn dropped_rows_are_counted() {
    let folder = Folder::new("");
    let rows = [
        r#"{"prompt": "2 + 2 =", "responses": [" 4", " 5", " 6"], "rewards": [1, 0, -1]}"#,
        r#"{"prompt": "2 + 2 =", "responses": [" 4", " four", " 6"], "rewards": [1, 1, -1]}"#,
        r#"{"prompt": "2 + 2 =", "responses": [" 4", " 4"], "rewards": [1, 0]}"#,
    ];
    let lists = folder.argument("lists.jsonl");
    std::fs::write(&lists, rows.join("\n")).expect("a file");
    let out = train(&[&folder.argument("options.toml"), "--dry_run", "--data", "tests/data/hh.jsonl.gz", &lists]);
    assert!(out.contains("rows      25 to train on, of 27; dropped: 1 tied, 1 identical\n"), "{out}");
    // The last sample is the list: the best, the next, and how many more.
    assert!(out.contains("lists.jsonl:1\n") && out.contains("  response, reward -1, "), "{out}");
}

#[test]
fn all_weights_are_counted() {
    let folder = Folder::new("use_peft = false");
    let out = train(&[&folder.argument("options.toml"), "--dry_run"]);
    assert!(out.contains("trained   all 269,760 parameters\n"), "{out}");
}

#[test]
fn help_lists_every_option() {
    let ended = hps(&["train", "--help"]);
    assert_eq!(ended.code, Some(0));
    for option in hps_llama::train::options::TrainOptions::table() {
        assert!(ended.out.contains(&format!("--{} ", option.name)), "{}", option.name);
    }
}

/// Of lists the plan says what goes through the model, and the course of γ, which pairs have no use for.
#[test]
fn lists_and_gamma_are_told() {
    let folder = Folder::new("");
    let row = r#"{"prompt": "2 + 2 =", "responses": [" 4", " 5", " 6"], "rewards": [2, 1, 0]}"#;
    std::fs::write(folder.path("lists.jsonl"), row).expect("a file");
    let (options, lists) = (folder.argument("options.toml"), folder.argument("lists.jsonl"));
    for (loss, read) in [
        ("dpo-hps", "2 of each go through the model: the best and one drawn negative"),
        ("dpo-bt", "2 of each go through the model: the best and the worst"),
        ("dpo-hps-full", "all go through the model"),
    ] {
        let out = train(&[&options, "--data", &lists, "--loss_type", loss, "--dry_run"]);
        assert!(out.contains(&format!("lists     3 responses a prompt; {read}\n")), "{out}");
        assert_eq!(out.contains("\ngamma     linspace-fifths: -5 at the first prompt"), loss != "dpo-bt", "{out}");
    }
    let pairs = train(&[&options, "--dry_run"]);
    assert!(pairs.contains("lists     2 responses a prompt; on pairs, HPS, ") && !pairs.contains("gamma "), "{pairs}");
}
