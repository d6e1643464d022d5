//! Runs that are left alone: evaluation, checkpoints, resume, and what they leave to look at.

use crate::program::{Folder, hps, metrics, refused, train};

const OVERNIGHT: &str = "eval_share = 0.25\neval_steps = 4\nsave_steps = 2\nsave_total_limit = 2\nreport_to = 'all'\nlora_dropout = 0.1\nlora_r = 4\nnum_train_epochs = 4";

fn checkpoints(folder: &Folder) -> Vec<String> {
    let entries = std::fs::read_dir(folder.path("out")).expect("the output folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| name.starts_with("checkpoint-"));
    names.sort();
    names
}

#[test]
fn a_run_evaluates_saves_and_leaves_a_page_and_event_files() {
    let folder = Folder::new(OVERNIGHT);
    let out = train(&[&folder.argument("options.toml")]);
    assert!(out.contains("held-out margin to the hardest") && out.contains("computes on the CPU in float32"), "{out}");

    let lines = metrics(&folder.out("metrics.jsonl"));
    let (evaluations, steps): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line.get("eval_loss").is_some());
    let last = steps.len() as u64;
    assert!(steps.iter().zip(1..).all(|(line, step)| line["step"] == step), "{steps:?}");
    // Before the first update, every four, and at the end.
    let expected: Vec<u64> = (0..=last).filter(|step| step % 4 == 0 || *step == last).collect();
    let at: Vec<u64> = evaluations.iter().map(|line| line["step"].as_u64().expect("a step")).collect();
    assert_eq!(at, expected);
    let number = |line: &serde_json::Value, key: &str| line[key].as_f64().expect("a number");
    assert_eq!(number(evaluations[0], "eval_rewards/margins"), 0.0);
    assert!((number(evaluations[0], "eval_rewards/accuracies") - 0.5).abs() < 1e-12, "chance: {}", evaluations[0]);
    assert_ne!(evaluations[0]["eval_rewards/margins"], evaluations[at.len() - 1]["eval_rewards/margins"]);
    // The table: training's last is the mean of its last tenth, what is held out as it was and as it is.
    let tenth = &steps[steps.len() - steps.len().div_ceil(10)..];
    let loss = tenth.iter().map(|line| number(line, "loss")).sum::<f64>() / tenth.len() as f64;
    assert!(steps.len() == last as usize && tenth.len() == last.div_ceil(10) as usize);
    assert!(out.contains(&format!("\n{:32} {:>10.4} {loss:>10.4}\n", "loss", number(steps[0], "loss"))), "{out}");
    let held_out = [0, at.len() - 1].map(|index| number(evaluations[index], "eval_loss"));
    assert!(out.contains(&format!("\n{:32} {:>10.4} {:>10.4}\n", "held-out loss", held_out[0], held_out[1])), "{out}");

    assert_eq!(checkpoints(&folder).len(), 2);
    let page = String::from_utf8(folder.out("report.html")).expect("text");
    assert!(page.contains("held out") && page.contains("<td>lora_r</td><td>4</td>"));
    assert_eq!(std::fs::read_dir(folder.path("out/runs")).expect("event files").count(), 1);
}

#[test]
fn the_evaluation_before_the_first_update_may_be_left_out() {
    let folder = Folder::new("eval_share = 0.25\neval_on_start = false\nnum_train_epochs = 1");
    train(&[&folder.argument("options.toml")]);
    let lines = metrics(&folder.out("metrics.jsonl"));
    let at: Vec<_> = lines.iter().filter(|line| line.get("eval_loss").is_some()).map(|line| &line["step"]).collect();
    assert_eq!(at, [lines.last().map(|line| &line["step"]).expect("a line")]);
}

#[test]
fn a_run_goes_on_from_its_newest_checkpoint_to_the_same_bits() {
    let (whole, cut) = (Folder::new(OVERNIGHT), Folder::new(OVERNIGHT));
    train(&[&whole.argument("options.toml")]);
    // As a run that was killed leaves it: its later files are not there, a newer checkpoint is damaged.
    train(&[&cut.argument("options.toml")]);
    let names = checkpoints(&cut);
    std::fs::remove_file(cut.path("out/adapter_model.safetensors")).expect("removed");
    let newest = names.iter().max_by_key(|name| name["checkpoint-".len()..].parse::<u64>().expect("a step"));
    let damaged = format!("out/{}/optimizer.safetensors", newest.expect("a checkpoint"));
    std::fs::write(cut.path(&damaged), b"cut").expect("written");

    let ended = hps(&["train", &cut.argument("options.toml"), "--resume_from_checkpoint"]);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    assert!(ended.error.contains("is skipped") && ended.error.contains("optimizer.safetensors"), "{}", ended.error);
    assert!(ended.out.contains("resuming from"), "{}", ended.out);
    for name in ["adapter_model.safetensors", "metrics.jsonl"] {
        assert!(whole.out(name) == cut.out(name), "{name}");
    }
}

/// Checkpoints come by time, too: here after every update, since one takes longer than this.
#[test]
fn slow_updates_are_saved_by_the_clock() {
    let by_the_clock = "save_minutes = 1e-9\nnum_train_epochs = 1";
    let (whole, cut) = (Folder::new(by_the_clock), Folder::new(by_the_clock));
    for folder in [&whole, &cut] {
        train(&[&folder.argument("options.toml")]);
        assert_eq!(checkpoints(folder), (1..6).map(|step| format!("checkpoint-{step}")).collect::<Vec<_>>());
    }
    for gone in ["checkpoint-5", "checkpoint-4"] {
        std::fs::remove_dir_all(cut.path("out").join(gone)).expect("removed");
    }
    std::fs::remove_file(cut.path("out/adapter_model.safetensors")).expect("removed");
    train(&[&cut.argument("options.toml"), "--resume_from_checkpoint"]);
    assert!(whole.out("adapter_model.safetensors") == cut.out("adapter_model.safetensors"));
}

/// What is free when a run begins decides how lists go through the model; the run that goes on keeps to it.
#[test]
fn the_memory_budget_is_recorded_and_kept() {
    let folder = Folder::new("num_train_epochs = 1\nsave_steps = 2");
    let out = train(&[&folder.argument("options.toml")]);
    let line = out.lines().find(|line| line.starts_with("budget    ")).unwrap_or_else(|| panic!("{out}"));
    assert!(line.contains(": nine tenths of what is ") && line.ends_with("; `memory_budget` sets another"), "{line}");
    let options = String::from_utf8(folder.out("train.toml")).expect("text");
    let budget = options.lines().find_map(|line| line.strip_prefix("memory_budget")).expect("a budget is recorded");
    let bytes: u64 = budget.trim_start_matches([' ', '=']).parse().expect("bytes");
    assert!(bytes > 1 << 20 && bytes.is_multiple_of(1 << 20), "{bytes}");
    std::fs::remove_file(folder.path("out/adapter_model.safetensors")).expect("removed");
    let again = train(&[&folder.argument("options.toml"), "--resume_from_checkpoint"]);
    assert!(again.contains("as when the run began\n"), "{again}");
    let recorded = String::from_utf8(folder.out("train.toml")).expect("text");
    assert!(recorded.contains(&format!("memory_budget{budget}\n")), "{recorded}");
    // One that is given is said beside the estimate, and nothing of what is free.
    let given = train(&[&folder.argument("options.toml"), "--overwrite_output_dir", "--memory_budget", "1GiB"]);
    assert!(!given.contains("\nbudget") && given.contains(" of 1.0 GiB: a list of 2 responses"), "{given}");
}

#[test]
fn without_a_checkpoint_a_run_begins() {
    let folder = Folder::new("num_train_epochs = 1");
    let out = train(&[&folder.argument("options.toml"), "--resume_from_checkpoint"]);
    assert!(out.contains("the run starts from the beginning"), "{out}");
    let message = refused(&[&folder.argument("options.toml"), "--resume_from_checkpoint", "nowhere", "--seed", "1"]);
    assert!(message.contains("nowhere") && message.contains("cannot be read"), "{message}");
}

#[test]
fn a_line_averages_the_updates_since_the_last() {
    let (every, second) = (Folder::new(""), Folder::new("logging_steps = 5"));
    train(&[&every.argument("options.toml")]);
    train(&[&second.argument("options.toml")]);
    let (steps, lines) = (metrics(&every.out("metrics.jsonl")), metrics(&second.out("metrics.jsonl")));
    let number = |line: &serde_json::Value, key: &str| line[key].as_f64().expect("a number");
    let at: Vec<f64> = lines.iter().map(|line| number(line, "step")).collect();
    assert_eq!(at, [5.0, 10.0, steps.len() as f64]);
    let mean = steps[..5].iter().map(|line| number(line, "loss")).sum::<f64>() / 5.0;
    // The rows fill every update alike; one sum of five.
    assert!((number(&lines[0], "loss") - mean).abs() <= 1e-14, "{} {mean}", number(&lines[0], "loss"));
    assert_eq!(lines[1]["learning_rate"], steps[9]["learning_rate"]);
}

/// As Ctrl-C does it, while the run is going on.
#[test]
#[cfg(unix)]
fn an_interrupted_run_saves_and_goes_on_to_the_same_bits() {
    use std::process::{Command, Stdio};
    let options = "num_train_epochs = 60";
    let (whole, cut) = (Folder::new(options), Folder::new(options));
    train(&[&whole.argument("options.toml")]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_hps"))
        .args(["train", &cut.argument("options.toml")])
        .current_dir(crate::program::root())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let begun = || std::fs::metadata(cut.path("out/metrics.jsonl")).is_ok_and(|file| file.len() > 0);
    while !begun() && child.try_wait().expect("its state").is_none() {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill");
    let output = child.wait_with_output().expect("its end");
    let out = String::from_utf8(output.stdout).expect("text");
    assert!(sent.success() && output.status.code() == Some(130) && out.contains("stopped after"), "{out}");
    assert!(!cut.path("out/adapter_model.safetensors").exists());
    train(&[&cut.argument("options.toml"), "--resume_from_checkpoint"]);
    for name in ["adapter_model.safetensors", "metrics.jsonl"] {
        assert!(whole.out(name) == cut.out(name), "{name}");
    }
}

#[test]
fn a_run_that_is_replaced_leaves_no_checkpoint() {
    let folder = Folder::new("save_steps = 2");
    train(&[&folder.argument("options.toml")]);
    assert!(!checkpoints(&folder).is_empty());
    train(&[&folder.argument("options.toml"), "--overwrite_output_dir", "--save_steps", "1000"]);
    assert!(checkpoints(&folder).is_empty());
}

/// A line of held-out rows is compared with those before it.
#[test]
fn a_run_does_not_go_on_with_other_rows_to_evaluate_on() {
    let folder = Folder::new("save_steps = 4");
    let rows = |name: &str, skipped: usize| {
        let text = std::fs::read_to_string(crate::program::data("trl-sigmoid/preferences.jsonl")).expect("rows");
        let lines: Vec<&str> = text.lines().skip(skipped).take(3).collect();
        std::fs::write(folder.path(name), lines.join("\n")).expect("a file");
        folder.argument(name)
    };
    let (options, first, other) = (folder.argument("options.toml"), rows("first.jsonl", 0), rows("other.jsonl", 3));
    train(&[&options, "--eval_data", &first]);
    let message = refused(&[&options, "--eval_data", &other, "--resume_from_checkpoint"]);
    assert!(message.contains("`held_out_rows_sha256` is ") && message.contains(" in the checkpoint but "), "{message}");
    let message = refused(&[&options, "--resume_from_checkpoint"]);
    assert!(message.contains("`held_out_rows` is 3 in the checkpoint but 0 in this run"), "{message}");
    // The same rows in another file are the same.
    train(&[&options, "--eval_data", &rows("moved.jsonl", 0), "--resume_from_checkpoint"]);
}
