//! What is in a run's folder from before: gone on with, replaced, or left alone, and never lost by mistake.

use crate::locked::begun;
use crate::program::{Folder, data, hps, metrics, read, refused, train};
use hps_llama::Digest;
use std::path::Path;

/// All files below with their bytes.
fn tree(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(tree(&path));
        } else {
            files.push((path.display().to_string(), read(&path)));
        }
    }
    files.sort();
    files
}

#[test]
fn going_on_does_not_begin_anew_over_what_is_trained() {
    let folder = Folder::new("num_train_epochs = 1");
    let (path, out) = (folder.argument("options.toml"), folder.argument("out"));
    train(&[&path]);
    let before = tree(&folder.path("out"));
    let expected = format!(
        "{out}: holds `adapter_model.safetensors` but no checkpoint to go on from, and its `train.toml` is missing or has \
         other options; `overwrite_output_dir` begins anew"
    );
    for more in [&["--seed", "1"][..], &["--seed", "1", "--dry_run"], &["--learning_rate", "2e-3"]] {
        let message = refused(&[&[path.as_str(), "--resume_from_checkpoint"], more].concat());
        assert_eq!(message, expected, "{more:?}");
        assert!(tree(&folder.path("out")) == before, "{more:?}");
    }
    // The same run comes to the same end, as after a kill on the way there.
    train(&[&path, "--resume_from_checkpoint"]);
    assert!(folder.out("adapter_model.safetensors") == before[1].1, "{}", before[1].0);
    std::fs::remove_file(folder.path("out/train.toml")).expect("removed");
    assert_eq!(refused(&[&path, "--resume_from_checkpoint"]), expected);
    // Before its first checkpoint a killed run has a log at most.
    std::fs::remove_file(folder.path("out/adapter_model.safetensors")).expect("removed");
    std::fs::remove_file(folder.path("out/adapter_config.json")).expect("removed");
    train(&[&path, "--resume_from_checkpoint", "--seed", "1"]);
    // Said in so many words, a new run takes the old one's place.
    train(&[&path, "--resume_from_checkpoint", "--overwrite_output_dir"]);
    assert!(folder.out("adapter_model.safetensors") == before[1].1);
}

#[test]
fn a_checkpoint_of_another_folder_is_not_gone_on_with_over_a_run() {
    let (first, second) = (Folder::new("num_train_epochs = 1\nsave_steps = 2"), Folder::new("num_train_epochs = 1"));
    train(&[&first.argument("options.toml")]);
    let path = second.argument("options.toml");
    train(&[&path, "--seed", "1"]);
    let before = tree(&second.path("out"));
    let checkpoint = first.argument("out/checkpoint-4");
    let going_on = [path.as_str(), "--resume_from_checkpoint", &checkpoint];
    let expected = format!(
        "{}: holds a run already (`adapter_model.safetensors`), and {checkpoint} is not a checkpoint of it; choose another \
         `output_dir`, or give `overwrite_output_dir` to replace that run",
        second.argument("out")
    );
    assert_eq!(refused(&going_on), expected);
    assert!(tree(&second.path("out")) == before);
    // Into an empty folder, or in the other's place, it goes to the same end.
    train(&[&going_on[..], &["--output_dir", &second.argument("new")]].concat());
    train(&[&going_on[..], &["--overwrite_output_dir"]].concat());
    for name in ["out", "new"] {
        let adapter = read(&second.path(name).join("adapter_model.safetensors"));
        assert!(adapter == first.out("adapter_model.safetensors"), "{name}");
    }
}

#[test]
fn a_checkpoint_has_the_step_of_its_name() {
    let folder = Folder::new("num_train_epochs = 1\nsave_steps = 2");
    let path = folder.argument("options.toml");
    train(&[&path]);
    std::fs::rename(folder.path("out/checkpoint-6"), folder.path("out/checkpoint-9")).expect("renamed");
    let message = refused(&[&path, "--resume_from_checkpoint", &folder.argument("out/checkpoint-9")]);
    let state = folder.argument("out/checkpoint-9/trainer_state.json");
    assert_eq!(message, format!("{state}: `global_step` is 6, in the folder of step 9"));
    let ended = hps(&["train", &path, "--resume_from_checkpoint"]);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    assert!(ended.error.contains("in the folder of step 9") && ended.out.contains("resuming from"), "{ended:?}");
}

#[test]
fn what_is_read_is_not_removed() {
    let folder = Folder::new("num_train_epochs = 1\nsave_steps = 2");
    let path = folder.argument("options.toml");
    train(&[&path]);
    let checkpoint = folder.argument("out/checkpoint-4");
    let again = |options: &[&str]| refused(&[options, &["--overwrite_output_dir"]].concat());
    // The checkpoint's adapter is what the new run is to start from, or to be compared with.
    let expected = format!("{checkpoint}: is read, and `overwrite_output_dir` would remove {checkpoint}; move it away");
    let before = tree(&folder.path("out"));
    assert_eq!(again(&[&path, "--adapter_name_or_path", &checkpoint]), expected);
    assert_eq!(again(&[&path, "--ref_adapter", &checkpoint]), expected);
    assert!(tree(&folder.path("out")) == before);
    // Files of a user's own in there, read or not.
    for (name, source) in
        [("rows.jsonl", data("trl-sigmoid/preferences.jsonl")), ("my.toml", folder.path("options.toml"))]
    {
        let inside = folder.path("out/checkpoint-4").join(name);
        std::fs::copy(source, &inside).expect("a copy");
        let before = tree(&folder.path("out"));
        let expected = format!(
            "{}: is in a folder named as a run's checkpoint, but no run writes it; move it away",
            inside.display()
        );
        assert_eq!(again(&[&path]), expected);
        assert!(tree(&folder.path("out")) == before);
        std::fs::remove_file(inside).expect("removed");
    }
    train(&[&path, "--overwrite_output_dir", "--save_steps", "500"]);
    assert!(!Path::new(&checkpoint).exists());
}

/// `new/..` is the folder itself as soon as `new` is made.
#[test]
fn a_path_that_goes_up_from_nothing_is_refused() {
    let folder = Folder::new("num_train_epochs = 1");
    let (path, output) = (folder.argument("options.toml"), folder.argument("new/.."));
    let message = refused(&[&path, "--output_dir", &output]);
    assert_eq!(message, format!("{output}: goes up (`..`) from {}, which is not there", folder.argument("new")));
    assert!(!folder.path("new").exists());
    std::fs::create_dir(folder.path("new")).expect("a folder");
    train(&[&path, "--output_dir", &folder.argument("new/../run")]);
}

#[test]
fn a_log_that_is_replaced_ends_the_run_and_its_state_is_kept() {
    let folder = Folder::new("num_train_epochs = 500");
    let mut child = begun(&folder, &[]);
    let log = folder.path("out/metrics.jsonl");
    let aside = folder.path("out/aside.jsonl");
    std::fs::rename(&log, &aside).expect("renamed");
    std::fs::write(&log, "").expect("written");
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
    let checkpoints: Vec<_> = std::fs::read_dir(folder.path("out"))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.join("SHA256SUMS").exists())
        .collect();
    assert_eq!(checkpoints.len(), 1);
    // Each update of the state is in a log that is still there.
    let kept = metrics(&read(&checkpoints[0].join("metrics.jsonl")));
    let step = kept.last().expect("a line")["step"].as_u64().expect("a step");
    assert!(checkpoints[0].ends_with(format!("checkpoint-{step}")), "{checkpoints:?}, {step}");
}

/// Lines that somebody has added to a half-written file are of no row.
#[test]
fn more_lines_than_rows_are_refused() {
    let folder = Folder::new("");
    let rows = folder.path("rows.jsonl");
    std::fs::write(&rows, "{\"prompt\": \"2 + 2 =\", \"responses\": [\" 4\", \" 5\"], \"rewards\": [1, 0]}\n")
        .expect("rows");
    let arguments = ["data", &rows.display().to_string(), "--output", &folder.argument("out.jsonl")].map(String::from);
    let call = || hps(&arguments.each_ref().map(String::as_str));
    let record = |sum: &str| {
        serde_json::json!({"command": "data", "program": hps_llama::resumable::PROGRAM, "data_sha256": sum,
            "shape": null, "columns": {}, "prefer": null, "sft": false})
    };
    let partial = folder.path("out.jsonl.partial");
    std::fs::write(&partial, "{}\n{}\n").expect("written");
    let sum = Digest::of_file(&rows).expect("a digest").to_string();
    std::fs::write(folder.path("out.jsonl.partial.json"), record(&sum).to_string()).expect("written");
    let ended = call();
    let message = format!("error: {}: has 2 lines of 1 rows; remove it to start anew", partial.display());
    assert_eq!((ended.code, ended.error.lines().last()), (Some(1), Some(message.as_str())));
    assert_eq!(read(&partial), b"{}\n{}\n");
    assert!(!folder.path("out.jsonl").exists());
}
