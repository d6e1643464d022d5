//! Whatever fails after an update, the trained state is saved first; what can be known before is refused before.

use crate::locked::begun;
use crate::program::{Folder, hps, read, refused, root, train};
use hps_llama::train::Checkpoint;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Numbers of a safetensors file in f32.
fn numbers(path: &Path) -> Vec<f32> {
    let bytes = read(path);
    let start = 8 + u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) as usize;
    bytes[start..].as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

/// The name of the one file that a run keeps its reference's log-probs in.
fn cache_file(folder: &Path) -> PathBuf {
    let mut files = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let file = files.next().expect("a file");
    assert!(files.next().is_none(), "one file");
    file
}

/// A folder where the cache's lock is to be: nothing can be saved into it.
fn blocked(folder: &Folder) -> (String, String) {
    let cache = folder.argument("cache");
    train(&[&folder.argument("options.toml"), "--reference_cache_dir", &cache]);
    std::fs::remove_dir_all(folder.path("out")).expect("removed");
    let file = cache_file(Path::new(&cache));
    let lock = file.with_file_name(format!(".{}.lock", file.file_name().expect("a name").to_string_lossy()));
    std::fs::remove_file(file).expect("removed");
    std::fs::create_dir(&lock).expect("a folder");
    (cache, format!("error: {}: is a folder, not a regular file", lock.display()))
}

#[test]
fn a_cache_that_cannot_be_written_costs_nothing() {
    let folder = Folder::new("num_train_epochs = 1");
    let path = folder.argument("options.toml");
    train(&[&path]);
    let expected = folder.out("adapter_model.safetensors");
    std::fs::remove_dir_all(folder.path("out")).expect("removed");
    let (cache, error) = blocked(&folder);
    // At the end the adapter is there.
    let ended = hps(&["train", &path, "--reference_cache_dir", &cache]);
    assert_eq!((ended.code, ended.error.lines().last()), (Some(1), Some(error.as_str())));
    assert!(ended.error.contains(&format!("the state after step 6 is kept: {}\n", folder.argument("out"))));
    assert!(folder.out("adapter_model.safetensors") == expected);
    // In between the checkpoint.
    let ended = hps(&["train", &path, "--reference_cache_dir", &cache, "--overwrite_output_dir", "--save_steps", "4"]);
    assert_eq!((ended.code, ended.error.lines().last()), (Some(1), Some(error.as_str())));
    let kept = folder.path("out/checkpoint-4");
    assert!(ended.error.contains(&format!("the state after step 4 is kept: {}\n", kept.display())), "{}", ended.error);
    assert_eq!(Checkpoint::open(&kept).expect("intact").step(), 4);
    train(&[&path, "--resume_from_checkpoint"]);
    assert!(folder.out("adapter_model.safetensors") == expected);
}

/// `B` is 0 at the start and some 1e30 after the only update, which is a number still; what is computed of it is not.
#[test]
fn the_adapter_is_saved_before_the_last_evaluation() {
    let options = "num_train_epochs = 1\neval_share = 0.25\nlr_scheduler_type = 'constant'";
    let folder = Folder::new(options);
    let path = folder.argument("options.toml");
    let ended = hps(&[
        "train",
        &path,
        "--learning_rate",
        "1e30",
        "--gradient_accumulation_steps",
        "100",
        "--lora_target_modules",
        "all-linear",
    ]);
    assert_eq!(ended.code, Some(1), "{}", ended.error);
    let message = ended.error.lines().last().unwrap_or_default();
    assert!(message.starts_with("error: every weight is finite, but what is computed of them is not: "), "{message}");
    assert!(message.contains("preferences.jsonl:4: a response's log-prob is "), "{message}");
    assert!(ended.error.contains(&format!("the state after step 1 is kept: {}\n", folder.argument("out"))));
    let saved = numbers(&folder.path("out/adapter_model.safetensors"));
    assert!(saved.iter().all(|number| number.is_finite()) && saved.iter().any(|number| number.abs() > 1e29));
}

/// The first update has a rate of 0, the second one of 1e300.
#[test]
fn an_update_that_leaves_the_numbers_is_not_made() {
    let options = "num_train_epochs = 1\nwarmup_ratio = 0.1\nlr_scheduler_type = 'constant'\nuse_peft = false\nloss_type = 'dpo-bt'";
    let folder = Folder::new(&format!("{options}\nweight_decay = 0.1"));
    let ended = hps(&["train", &folder.argument("options.toml"), "--learning_rate", "1e300"]);
    assert_eq!(ended.code, Some(1), "{}", ended.error);
    let message = ended.error.lines().last().unwrap_or_default();
    assert!(
        message.starts_with("error: the update of step 2, on tests/data/trl-sigmoid/preferences.jsonl:"),
        "{message}"
    );
    let expected =
        "would take the weights or their moments out of float32's range and is not made; the learning rate is 1e300, ";
    assert!(message.contains(expected), "{message}");
    let kept = folder.path("out/checkpoint-1");
    assert!(ended.error.contains(&format!("the state after step 1 is kept: {}\n", kept.display())), "{}", ended.error);
    assert_eq!(Checkpoint::open(&kept).expect("intact").step(), 1);
    let sound = Folder::new(&format!("{options}\nweight_decay = 0.1\nsave_steps = 1"));
    train(&[&sound.argument("options.toml")]);
    for name in ["checkpoint-1/model.safetensors", "checkpoint-1/optimizer.safetensors"] {
        assert!(folder.out(name) == sound.out(name), "{name} is not as it was before the update");
    }
    assert!(!folder.path("out/model.safetensors").exists(), "there is no result");
}

/// A limit on the size of files makes the system refuse bytes of the log, as a full disk does.
#[test]
#[cfg(unix)]
fn a_log_that_cannot_be_written_costs_nothing() {
    let options = "num_train_epochs = 20\nlora_r = 4";
    let (whole, cut) = (Folder::new(options), Folder::new(options));
    train(&[&whole.argument("options.toml")]);
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\""])
        .args([env!("CARGO_BIN_EXE_hps"), "train", &cut.argument("options.toml")])
        .current_dir(root())
        .output()
        .expect("a shell");
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1), "{said}");
    let message = said.lines().last().unwrap_or_default();
    assert!(
        message.starts_with(&format!("error: {}: cannot be written: ", cut.argument("out/metrics.jsonl"))),
        "{said}"
    );
    let (checkpoint, _) = Checkpoint::latest(cut.path("out")).expect("intact").expect("one");
    assert!(checkpoint.step() > 1 && said.contains(&format!("the state after step {} is kept: ", checkpoint.step())));
    train(&[&cut.argument("options.toml"), "--resume_from_checkpoint"]);
    assert!(whole.out("adapter_model.safetensors") == cut.out("adapter_model.safetensors"));
    // Whole lines, each of another step; that of the step that could not be written is lost.
    let lines = crate::program::metrics(&cut.out("metrics.jsonl"));
    assert_eq!(lines.len(), 119);
}

#[test]
fn nobody_has_to_listen() {
    let folder = Folder::new("num_train_epochs = 1");
    let mut child = Command::new(env!("CARGO_BIN_EXE_hps"))
        .args(["train", &folder.argument("options.toml")])
        .current_dir(root())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop((child.stdout.take(), child.stderr.take()));
    assert!(child.wait().expect("its end").success());
    assert!(folder.path("out/adapter_model.safetensors").exists());
}

#[test]
#[cfg(unix)]
fn a_folder_that_is_taken_away_is_noticed_and_made_anew() {
    let options = "num_train_epochs = 40\nsave_steps = 100000";
    for moved in [false, true] {
        let folder = Folder::new(options);
        let out = folder.path("out");
        let child = begun(&folder, &[]);
        if moved {
            std::fs::rename(&out, folder.path("moved")).expect("moved");
            std::fs::write(&out, "something else").expect("a file");
        } else {
            std::fs::remove_dir_all(&out).expect("removed");
        }
        let output = child.wait_with_output().expect("its end");
        let said = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(1), "{said}");
        let expected = format!(
            "error: {}: the folder, or `.lock` in it, was deleted or moved while the run went on",
            out.display()
        );
        assert_eq!(said.lines().last(), Some(expected.as_str()));
        let kept = said.lines().find_map(|line| line.strip_prefix("the state after step ")?.split_once(" is kept: "));
        let (step, kept) = kept.expect("a checkpoint");
        let (checkpoint, kept) = (Checkpoint::open(kept).expect("intact"), Path::new(kept));
        assert_eq!(checkpoint.step().to_string(), step);
        let made = kept.parent().expect("a folder").to_path_buf();
        assert_eq!(made == out, !moved, "{}", made.display());
        // The run goes on from there, with all of its log.
        let made = made.display().to_string();
        train(&[&folder.argument("options.toml"), "--output_dir", &made, "--resume_from_checkpoint"]);
        assert_eq!(crate::program::metrics(&read(&Path::new(&made).join("metrics.jsonl"))).len(), 240);
    }
}

/// By a dry run as by a run, before the first update and with nothing written.
#[test]
fn what_can_be_known_is_refused_before() {
    let folder = Folder::new("num_train_epochs = 1");
    let path = folder.argument("options.toml");
    let file = |name: &str, rows: &[&str]| {
        std::fs::write(folder.path(name), rows.join("\n")).expect("a file");
        folder.argument(name)
    };
    let list = r#"{"prompt": "2 + 2 =", "responses": [" 4", " 5", " 6"], "rewards": [2, 1, 0]}"#;
    let pair = r#"{"prompt": "2 + 2 =", "responses": [" 4", " 5"], "rewards": [1, 0]}"#;
    let wide = r#"{"prompt": "2 + 2 =", "responses": [" 4", " 5", " 6"], "rewards": [61, 1, 0]}"#;
    let (pairs, wides) = (file("pairs.jsonl", &[list, pair]), file("wides.jsonl", &[list, wide]));
    let lists = file("lists.jsonl", &[list]);
    let taken = file("taken", &["no folder"]);
    let cases: &[(&[&str], &str)] = &[
        (
            &["--data", &pairs, "--loss_type", "dpo-hps-weighted"],
            "pairs.jsonl:2: the loss refuses this row: 2 responses given, the loss prefers so many that at least 3 are needed",
        ),
        (
            &["--data", &wides, "--loss_type", "lipo"],
            "wides.jsonl:2: the loss refuses this row: rewards[0] = 61 is outside [-60, 60]",
        ),
        (
            &["--data", &lists, "--eval_data", &wides, "--loss_type", "lipo"],
            "wides.jsonl:2: the loss refuses this row: rewards[0] = 61 is outside [-60, 60]",
        ),
        (&["--memory_budget", "1KB"], "`memory_budget` is 1000 B, but a prompt of "),
        (&["--max_tokens_per_batch", "3"], "`max_tokens_per_batch` is 3, but a prompt of "),
        (&["--output_dir", &taken], "taken: is a regular file, not a folder"),
        (&["--reference_cache_dir", &taken], "taken: is a regular file, not a folder"),
        (&["--ref_adapter", "nowhere"], "nowhere: there is no folder of this name"),
        (&["--adam_epsilon", "1e-60"], "`adam_epsilon` is "),
        (
            &["--adapter_name_or_path", "tests/data/models/tiny/adapter-11"],
            "the adapter to be trained is not fresh, so its base is another policy, and no reference is named",
        ),
        (&["--task", "sft", "--ref_adapter", "base"], ""),
        (&["--resume_from_checkpoint", "nowhere"], "nowhere/SHA256SUMS: cannot be read: "),
    ];
    for (flags, expected) in cases {
        let [run, dry] = [&[][..], &["--dry_run"]].map(|dry| refused(&[&[path.as_str()], *flags, dry].concat()));
        assert!(run.contains(expected), "{flags:?}: {run}");
        assert_eq!(run, dry, "{flags:?}");
        assert!(!folder.path("out").exists(), "{flags:?}");
    }
    // A checkpoint of another run.
    train(&[&path, "--save_steps", "4"]);
    let flags = [&path, "--resume_from_checkpoint", "--learning_rate", "2e-3"];
    let [run, dry] = [&[][..], &["--dry_run"]].map(|dry| refused(&[&flags[..], dry].concat()));
    assert!(
        run.ends_with("trainer_state.json: `learning_rate` is 0.001 in the checkpoint but 0.002 in this run"),
        "{run}"
    );
    assert_eq!(run, dry);
}

/// An evaluation that a run was interrupted in, or that failed, is made up for when it goes on.
#[test]
fn a_missing_evaluation_is_made_up_for() {
    let options = "num_train_epochs = 1\neval_share = 0.25\neval_steps = 2\nsave_steps = 2";
    let (whole, cut) = (Folder::new(options), Folder::new(options));
    train(&[&whole.argument("options.toml")]);
    train(&[&cut.argument("options.toml"), "--eval_steps", "1000"]);
    // As it is left at step 2: saved, and not evaluated.
    for name in ["adapter_model.safetensors", "adapter_config.json", "checkpoint-4"] {
        let path = cut.path("out").join(name);
        if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }.expect("removed");
    }
    train(&[&cut.argument("options.toml"), "--resume_from_checkpoint"]);
    assert!(whole.out("metrics.jsonl") == cut.out("metrics.jsonl"));
}
