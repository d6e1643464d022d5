//! What the program refuses, in one line, with nothing written.

use crate::program::{Folder, data, hps, metrics, refused, train};

#[test]
fn files_name_line_and_key() {
    let folder = Folder::new("learning_rat = 1");
    let path = folder.argument("options.toml");
    assert_eq!(refused(&[&path]), format!("{path}:7: unknown key `learning_rat`; did you mean `learning_rate`?"));
}

#[test]
fn unknown_flags_get_the_nearest() {
    let ended = hps(&["train", "--learning_rat", "1"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.error.contains("a similar argument exists: '--learning_rate'"), "{}", ended.error);
}

#[test]
fn values_are_refused_with_the_option() {
    let folder = Folder::new("");
    let path = folder.argument("options.toml");
    let cases: &[(&[&str], &str)] = &[
        (&["--learning_rate", "fast"], "command line: `learning_rate` is fast; it takes a number"),
        (&["--learning-rate", "-1"], "command line: `learning_rate` is -1; it is greater than 0"),
        (
            &["--loss_type", "dpo-hsp"],
            "command line: `loss_type` is `dpo-hsp`, and no loss has this name; did you mean `dpo-hps`?",
        ),
        (&["--task", "sft", "--beta", "1"], "command line: `beta` is given, which `task` sft does not read"),
        (&["--task", "reward", "--beta", "1"], "command line: `beta` is given, which `task` reward does not read"),
    ];
    for (flags, expected) in cases {
        assert_eq!(refused(&[&[path.as_str()], *flags].concat()), *expected);
    }
}

#[test]
fn missing_files_are_named() {
    let folder = Folder::new("");
    let path = folder.argument("options.toml");
    let cases: &[(&[&str], &str)] = &[
        (&["nowhere.toml"], "nowhere.toml: cannot be read: "),
        (&[&path, "--data", "nowhere.jsonl"], "nowhere.jsonl: cannot be read: "),
        (&[&path, "--model_name_or_path", "nowhere"], "nowhere: there is no folder or GGUF file of this name"),
        (&[&path, "--adapter_name_or_path", "nowhere"], "nowhere: there is no folder of this name"),
        (&["--seed", "1"], "`model_name_or_path` is missing; "),
        (&["--model_name_or_path", "tests/data/models/tiny"], "`data` is missing; "),
    ];
    for (arguments, beginning) in cases {
        let message = refused(arguments);
        assert!(message.starts_with(beginning), "{message}");
    }
    let rows = data("trl-sigmoid/preferences.jsonl").display().to_string();
    let message = refused(&["--model_name_or_path", "tests/data/models/tiny", "--data", &rows]);
    assert_eq!(message, "`output_dir` is missing; it is given in the file or as `--output_dir`");
}

#[test]
fn rows_none_of_which_is_left_are_refused() {
    let folder = Folder::new("");
    let path = folder.argument("options.toml");
    let cases = [
        ("drop", "no row is left to train on with a `max_length` of 3; dropped: 24 too long"),
        ("keep_start", "no row is left to train on with a `max_length` of 3; dropped: 24 empty after truncation"),
        ("keep_end", "no row is left to train on with a `max_length` of 3; dropped: 24 empty after truncation"),
    ];
    for (mode, expected) in cases {
        assert_eq!(refused(&[&path, "--max_length", "3", "--truncation_mode", mode]), expected);
    }
    let message = refused(&[&path, "--eval_share", "0.01", "--dry_run"]);
    assert_eq!(message, "`eval_share` is 0.01 of 24 rows, so none is held out");
    let ties = folder.argument("ties.jsonl");
    std::fs::write(&ties, r#"{"prompt": "a", "responses": ["b", "c"], "rewards": [1, 1]}"#).expect("a file");
    let message = refused(&[&path, "--data", &ties]);
    assert_eq!(message, "no row is left to train on with a `max_length` of 2048; dropped: 1 tied");
}

/// A trained adapter is not its own reference, and the base is not it unless somebody says so.
#[test]
fn an_adapter_that_changes_the_base_is_refused() {
    let folder = Folder::new("");
    let adapter = "tests/data/models/tiny/adapter-11";
    let message = refused(&[&folder.argument("options.toml"), "--adapter_name_or_path", adapter]);
    let expected = "the adapter to be trained is not fresh, so its base is another policy, and no reference is named; \
                    name the base or an adapter's folder";
    assert_eq!(message, expected);
    assert!(!folder.path("out").exists());
    let named = ["--adapter_name_or_path", adapter, "--ref_adapter", adapter, "--num_train_epochs", "1"];
    let out = train(&[&[folder.argument("options.toml").as_str()], &named[..]].concat());
    assert!(out.contains("reference the model with the adapter tests/data/models/tiny/adapter-11\n"), "{out}");
    let first = &metrics(&folder.out("metrics.jsonl"))[0];
    assert_eq!((&first["rewards/chosen"], &first["rewards/margins"]), (&0.0.into(), &0.0.into()));
}
