//! `hps evaluate` killed and called again, called with other options, and called wrongly.

use crate::evaluate::{ADAPTER, MODEL, REWARD, ROWS, evaluate, results};
use crate::program::{Folder, killed_when, read, root};
use serde_json::Value;
use std::process::Command;

/// The call has to fail; what it says after `error: `.
fn refused(folder: &Folder, more: &[&str]) -> String {
    let ended = evaluate(folder, more);
    assert_eq!(ended.code, Some(1), "{more:?}: {}", ended.out);
    ended.error.lines().last().and_then(|line| line.strip_prefix("error: ")).expect("an error").to_string()
}

#[test]
fn a_killed_evaluation_goes_on_to_the_same_bytes() {
    let (whole, killed) = (Folder::new(""), Folder::new(""));
    let (adapter, data) = (format!("a={ADAPTER}"), [format!("trl={ROWS}"), "hh=tests/data/hh.jsonl.gz".to_string()]);
    // Blocks of 5 rows: a call begins in the middle of one.
    let arguments = [
        "--adapter",
        &adapter,
        "--data",
        &data[0],
        "--data",
        &data[1],
        "--reward_model",
        REWARD,
        "--best_of",
        "4",
        "--batch_size",
        "5",
    ];
    let expected = results(&whole, &arguments);
    let finished = |folder: &Folder, name: &str| folder.path(&format!("evaluation/rows/{name}.jsonl"));
    let cells = ["base/trl", "base/hh", "a/trl", "a/hh"];
    let lines = || {
        let count = |path: std::path::PathBuf| {
            std::fs::read(path).map_or(0, |bytes| bytes.iter().filter(|byte| **byte == b'\n').count())
        };
        cells
            .iter()
            .map(|name| {
                count(finished(&killed, name)) + count(killed.path(&format!("evaluation/rows/{name}.jsonl.partial")))
            })
            .sum::<usize>()
    };
    let mut kills = 0;
    for goal in [1, 8, 30, 55, 80] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hps"));
        command
            .args([
                "evaluate",
                "--model_name_or_path",
                MODEL,
                "--max_tokens",
                "12",
                "--output",
                &killed.argument("evaluation"),
            ])
            .args(arguments);
        kills += u32::from(killed_when(&mut command, || lines() >= goal));
    }
    assert!(kills > 0, "no run was killed before its end");
    // As a kill in the middle of a block leaves it.
    if let Ok(bytes) = std::fs::read(finished(&killed, "base/trl")) {
        let partial = killed.path("evaluation/rows/base/trl.jsonl.partial");
        let cut: usize = bytes.split_inclusive(|byte| *byte == b'\n').take(8).map(<[u8]>::len).sum();
        std::fs::write(&partial, &bytes[..cut + 20]).expect("a file");
        let run =
            serde_json::from_slice::<Value>(bytes.split(|byte| *byte == b'\n').next().expect("a line")).expect("JSON");
        std::fs::write(killed.path("evaluation/rows/base/trl.jsonl.partial.json"), run["run"].to_string())
            .expect("a file");
        std::fs::remove_file(finished(&killed, "base/trl")).expect("removed");
    }
    assert_eq!(results(&killed, &arguments), expected);
    for name in cells {
        assert!(read(&finished(&whole, name)) == read(&finished(&killed, name)), "{name}: other bytes");
    }
    for name in ["results.json", "table.md", "report.html"] {
        let path = format!("evaluation/{name}");
        assert!(read(&whole.path(&path)) == read(&killed.path(&path)), "{name}: other bytes");
    }
}

#[test]
fn rows_of_another_run_are_refused() {
    let folder = Folder::new("");
    let data = format!("trl={ROWS}");
    results(&folder, &["--data", &data]);
    let message = refused(&folder, &["--data", &data, "--seed", "7"]);
    let (place, tables) =
        (folder.argument("evaluation/rows/base/trl.jsonl"), folder.argument("evaluation/results.json"));
    let expected = "is of a run with other options: `seed` was 0 and is 7; `--overwrite` replaces it";
    assert_eq!(message, format!("{tables}: {expected}"));
    for name in ["results.json", "table.md", "report.html"] {
        std::fs::remove_file(folder.path(&format!("evaluation/{name}"))).expect("removed");
    }
    let message = refused(&folder, &["--data", &data, "--seed", "7"]);
    let expected = "its rows are of a run with other options: `seed` was 0 and is 7; `--overwrite` starts anew";
    assert_eq!(message, format!("{place}: {expected}"));
    let text = String::from_utf8(read(&folder.path("evaluation/rows/base/trl.jsonl"))).expect("text");
    std::fs::write(&place, text.lines().take(5).map(|line| format!("{line}\n")).collect::<String>()).expect("a file");
    assert_eq!(refused(&folder, &["--data", &data]), format!("{place}: has 4 rows of 24; `--overwrite` starts anew"));
    std::fs::write(&place, text.replacen("\"finished\"", "\"ended\"", 1)).expect("a file");
    assert!(refused(&folder, &["--data", &data]).starts_with(&format!("{place}:2: not a line of an evaluation: ")));
    results(&folder, &["--data", &data, "--seed", "7", "--overwrite"]);
    assert_ne!(String::from_utf8(read(&folder.path("evaluation/rows/base/trl.jsonl"))).expect("text"), text);
}

#[test]
fn what_does_not_fit_is_refused() {
    let folder = Folder::new("");
    let (data, adapter) = (format!("trl={ROWS}"), format!("a={ADAPTER}"));
    for (arguments, message) in [
        (vec!["--adapter", &adapter, "--adapter", &adapter], "the method name `a` is given twice"),
        (vec!["--adapter", &adapter, "--merged", "a=tests/data/models/tiny"], "the method name `a` is given twice"),
        (vec!["--data", &data], "the data name `trl` is given twice"),
        (vec!["--adapter", "a="], "`--adapter_name_or_path a=` is neither a path nor a name, `=` and a path"),
        (vec!["--adapter", "=x"], "the method name `` cannot be that of a file"),
        (vec!["--adapter", "a/b=x"], "the method name `a/b` cannot be that of a file"),
        (vec!["--adapter", "base=x"], "a method is named `base`, which is the model's own name in the table"),
        (vec!["--best_of", "4"], "`best_of` is 4, but there is no `reward_model` to choose by"),
        (vec!["--best_of", "0"], "`best_of` is 0; at least one response is drawn"),
        (vec!["--score", "mean"], "`score` is mean, but there is no `reward_model`"),
        (vec!["--confidence", "95"], "`confidence` is 95; it lies between 0 and 1"),
        (vec!["--beta", "0"], "`beta` is 0; it is above 0"),
        (vec!["--batch_size", "0"], "`batch_size` is 0; it is at least 1"),
        (vec!["--temperature=-1"], "`temperature` is -1; it is at least 0"),
    ] {
        assert_eq!(refused(&folder, &[&["--data", &data], &arguments[..]].concat()), message);
    }
    let missing = folder.argument("none.jsonl");
    let message = refused(&folder, &["--data", &format!("x={missing}")]);
    assert!(message.starts_with(&format!("{missing}: cannot be read: ")), "{message}");

    let rows = folder.argument("rows.jsonl");
    std::fs::write(&rows, r#"{"prompt": "2 + 2 =", "responses": [" 4", " 5"]}"#).expect("a file");
    assert_eq!(refused(&folder, &["--data", &format!("x={rows}")]), format!("{rows}:1: `rewards` is missing"));
    std::fs::write(&rows, r#"{"prompt": "2 + 2 =", "responses": [" 4", " 5"], "rewards": [1, 1]}"#).expect("a file");
    let message = "no row is left to evaluate on; dropped: 1 tied";
    assert_eq!(refused(&folder, &["--data", &format!("x={rows}")]), format!("{rows}: {message}"));

    let none = folder.argument("none");
    let message = refused(&folder, &["--data", &data, "--adapter", &format!("a={none}")]);
    assert_eq!(message, format!("{none}: there is no folder of this name"));
    // Of a model of the same width with one matrix more.
    let other = "tests/data/models/tiny-tied-scaled/adapter-11";
    let message = refused(&folder, &["--data", &data, "--adapter", &format!("a={other}")]);
    assert!(message.contains(other) && message.contains("does not fit the model"), "{message}");
    let message = refused(&folder, &["--data", &data, "--merged", &format!("a={REWARD}")]);
    assert!(message.contains("`lm_head.weight` is missing"), "{message}");
    let message = refused(&folder, &["--data", &data, "--reward_model", MODEL]);
    assert!(message.contains("`architectures` is [\"LlamaForCausalLM\"]"), "{message}");
}

#[test]
fn tables_of_another_run_are_replaced_only_when_asked_for() {
    let folder = Folder::new("");
    let (one, other) = (format!("one={ROWS}"), format!("other={ROWS}"));
    let first = results(&folder, &["--data", &one]);
    // The same run goes on: other data, other statistics.
    assert_ne!(results(&folder, &["--data", &other, "--bleu", "nltk-char"]), first);
    assert_eq!(results(&folder, &["--data", &one]), first);
    // Nobody's rows are in the way, but the tables are.
    let message = refused(&folder, &["--data", &format!("third={ROWS}"), "--temperature", "0.5"]);
    let tables = folder.argument("evaluation/results.json");
    let expected =
        "is of a run with other options: `temperature` was \"0.9\" and is \"0.5\"; `--overwrite` replaces it";
    assert_eq!(message, format!("{tables}: {expected}"));
    assert!(!folder.path("evaluation/rows/base/third.jsonl.partial").exists());
    std::fs::write(&tables, "{\"mine\": 1}").expect("a file");
    let expected = format!("{tables}: does not say of what run it is; `--overwrite` replaces it");
    assert_eq!(refused(&folder, &["--data", &one]), expected);
    std::fs::remove_file(&tables).expect("removed");
    let table = folder.argument("evaluation/table.md");
    let expected =
        format!("{table}: is there, but no `results.json` says of what run it is; `--overwrite` replaces it");
    assert_eq!(refused(&folder, &["--data", &one]), expected);
    assert_eq!(results(&folder, &["--data", &one, "--overwrite"]), first);
}

#[test]
fn one_process_at_a_time_evaluates_into_a_folder() {
    let folder = Folder::new("");
    let data = format!("trl={ROWS}");
    let lock = hps_llama::files::Lock::take(&folder.path("evaluation")).expect("a folder of its own");
    let expected = format!("{}: another process is writing it", folder.argument("evaluation"));
    assert_eq!(refused(&folder, &["--data", &data]), expected);
    // Before anything is looked at.
    assert_eq!(refused(&folder, &["--data", "x=nowhere", "--adapter", "a=nowhere"]), expected);
    drop(lock);
    results(&folder, &["--data", &data]);
    assert!(!folder.path("evaluation/.lock").exists());
}

#[cfg(unix)]
#[test]
fn rows_and_tables_go_through_no_link() {
    use std::os::unix::fs::symlink;
    let folder = Folder::new("");
    let (data, elsewhere) = (format!("trl={ROWS}"), folder.path("elsewhere"));
    std::fs::create_dir(&elsewhere).expect("a folder");
    std::fs::create_dir_all(folder.path("evaluation/rows")).expect("folders");
    let link = folder.path("evaluation/rows/base");
    symlink(&elsewhere, &link).expect("a link");
    let message = refused(&folder, &["--data", &data, "--overwrite"]);
    assert_eq!(message, format!("{}: is a symbolic link, not a folder", link.display()));
    assert_eq!(std::fs::read_dir(&elsewhere).expect("a folder").count(), 0);
    std::fs::remove_file(&link).expect("removed");
    let table = folder.path("evaluation/table.md");
    symlink(elsewhere.join("keys"), &table).expect("a link");
    let message = refused(&folder, &["--data", &data, "--overwrite"]);
    assert_eq!(message, format!("{}: is a symbolic link, not a regular file", table.display()));
    // Nor is a file of rows that is read written over.
    std::fs::remove_file(&table).expect("removed");
    std::fs::copy(root().join(ROWS), &table).expect("a copy");
    let rows = table.display().to_string();
    let message = refused(&folder, &["--data", &format!("x={rows}"), "--overwrite"]);
    assert_eq!(message, format!("{rows}: is what is read, {rows}; the output needs a name of its own"));
}
