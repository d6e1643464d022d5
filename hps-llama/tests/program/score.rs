//! `hps score`: rewards beside what the rows have, whatever kills it, and what it refuses.

use crate::program::{Ended, Folder, data, hps, killed_when, metrics, read};
use hps_llama::backend::cpu::Cpu;
use hps_llama::data::AnsweredRows;
use hps_llama::reward_model::Scorer;
use serde_json::{Value, json};
use std::process::Command;

const MODEL: &str = "tests/data/models/tiny-reward";

fn score(folder: &Folder, more: &[&str]) -> Ended {
    let (rows, output) = (folder.argument("rows.jsonl"), folder.argument("scored.jsonl"));
    hps(&[&["score", "--model_name_or_path", MODEL, "--data", &rows, "--output", &output], more].concat())
}

/// The call has to fail; what it says after `error: `.
fn refused(folder: &Folder, more: &[&str]) -> String {
    let ended = score(folder, more);
    assert_eq!(ended.code, Some(1), "{more:?}");
    assert!(!folder.path("scored.jsonl").exists());
    ended.error.lines().last().and_then(|line| line.strip_prefix("error: ")).expect("an error").to_string()
}

/// Rows of one to five responses to conversations and texts.
fn rows(count: usize) -> Vec<Value> {
    let row = |index: usize| {
        let prompt = match index % 3 {
            0 => json!("2 + 2 ="),
            _ => json!([{"role": "user", "content": format!("water and {} onions?", index)}]),
        };
        let response = |response: usize| "the garden ladder ".repeat(1 + (index + 3 * response) % 7);
        let responses: Vec<String> = (0..1 + index % 5).map(response).collect();
        json!({"prompt": prompt, "responses": responses, "log_probs": [-0.1, 7], "source": {"line": index, "é": null}})
    };
    (0..count).map(row).collect()
}

fn write(folder: &Folder, rows: &[Value]) {
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    std::fs::write(folder.path("rows.jsonl"), lines.join("\n")).expect("a file");
}

#[test]
fn rows_get_the_librarys_rewards_and_keep_their_fields() {
    let folder = Folder::new("");
    let rows = rows(23);
    write(&folder, &rows);
    let ended = score(&folder, &["--max_num_batched_tokens", "300"]);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    assert_eq!(ended.out, format!("{}: 23 rows rated by {MODEL}\n", folder.argument("scored.jsonl")));
    let scorer = Scorer::from_folder(Cpu, data("models/tiny-reward"), None).expect("the model");
    let scored = metrics(&read(&folder.path("scored.jsonl")));
    assert_eq!(scored.len(), rows.len());
    let read = AnsweredRows::open(folder.path("rows.jsonl")).expect("rows");
    for ((row, mut scored), answered) in rows.iter().zip(scored).zip(read) {
        let answered = answered.expect("a row");
        let group = scorer.group(0, &answered.prompt, &answered.responses).expect("tokens");
        let rewards = scorer.rewards(&[group], 8192).expect("rewards");
        let fields = scored.as_object_mut().expect("an object");
        assert_eq!(fields.remove("rewards"), Some(json!(rewards[0])));
        assert_eq!(fields.remove("reward_model"), Some(json!(MODEL)));
        assert_eq!(&scored, row);
    }
}

/// What `hps score` writes is what `hps train` reads.
#[test]
fn scored_rows_are_training_rows() {
    let folder = Folder::new("");
    let list: Vec<Value> =
        rows(12).into_iter().filter(|row| row["responses"].as_array().is_some_and(|list| list.len() > 2)).collect();
    write(&folder, &list);
    assert_eq!(score(&folder, &[]).code, Some(0));
    let read = hps_llama::data::read(folder.path("scored.jsonl")).expect("preference rows");
    assert_eq!(read.rows.len() + read.dropped.total(), list.len());
    assert!(read.rows.iter().all(|row| row.rewards()[0] > row.rewards()[1]) && !read.rows.is_empty());
}

#[test]
fn a_killed_command_goes_on_to_the_same_bytes() {
    let (whole, killed) = (Folder::new(""), Folder::new(""));
    let rows = rows(400);
    write(&whole, &rows);
    write(&killed, &rows);
    assert_eq!(score(&whole, &["--max_num_batched_tokens", "64"]).code, Some(0));
    let expected = read(&whole.path("scored.jsonl"));

    let partial = killed.path("scored.jsonl.partial");
    let lines = || std::fs::read(&partial).map_or(0, |bytes| bytes.iter().filter(|byte| **byte == b'\n').count());
    let mut kills = 0;
    for goal in [1, 60, 130, 200] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hps"));
        command.args(["score", "--model_name_or_path", MODEL, "--max_num_batched_tokens", "64"]).args([
            "--data",
            &killed.argument("rows.jsonl"),
            "--output",
            &killed.argument("scored.jsonl"),
        ]);
        kills += u32::from(killed_when(&mut command, || lines() >= goal));
    }
    assert!(kills > 0, "no run was killed before its end");
    let before = lines();
    let ended = score(&killed, &["--max_num_batched_tokens", "64"]);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    assert!(ended.out.contains(&format!("400 rows rated by {MODEL}, {before} of them before")), "{}", ended.out);
    assert!(read(&killed.path("scored.jsonl")) == expected, "other bytes after {kills} kills");
    assert!(!partial.exists() && !killed.path("scored.jsonl.partial.json").exists());
}

#[test]
fn wrong_input_is_refused_before_anything_is_rated() {
    let folder = Folder::new("");
    let place = folder.argument("rows.jsonl");
    assert!(refused(&folder, &[]).starts_with(&format!("{place}: cannot be read: ")));
    let row = |row: Value| write(&folder, &[rows(1)[0].clone(), row]);
    for (last, message) in [
        (json!({"prompt": "2 + 2 ="}), "`responses` is missing"),
        (json!({"responses": ["4"]}), "`prompt` is missing"),
        (json!({"prompt": "2 + 2 =", "responses": []}), "`responses` is empty"),
        (
            json!({"prompt": "2 + 2 =", "responses": ["4", 5]}),
            "`responses[1]` is 5, neither text nor a list of messages",
        ),
        (
            json!({"prompt": "2 + 2 =", "responses": ["4"], "rewards": [1]}),
            "has `rewards` already; `--overwrite_rewards` replaces them",
        ),
        (json!([1]), "expected a JSON object, found a list"),
    ] {
        row(last);
        assert_eq!(refused(&folder, &[]), format!("{place}:2: {message}"));
        assert!(!folder.path("scored.jsonl.partial").exists());
    }
    let padding = json!([{"role": "assistant", "content": "4"}]);
    row(json!({"prompt": "2 + 2 =", "responses": [padding]}));
    assert_eq!(refused(&folder, &[]), format!("{place}:2: the response is a list of messages but the prompt is text"));
    assert_eq!(
        refused(&folder, &["--score", "mean"]),
        format!("{MODEL}: `score` is mean, but the model has one score only")
    );
}

#[test]
fn what_is_there_is_replaced_only_if_asked_for() {
    let folder = Folder::new("");
    write(
        &folder,
        &[json!({"prompt": "2 + 2 =", "responses": [" 4", " 5"], "rewards": [7, 8], "reward_model": "a person"})],
    );
    let ended = score(&folder, &["--overwrite_rewards"]);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    let first = read(&folder.path("scored.jsonl"));
    let row = &metrics(&first)[0];
    assert!(row["rewards"][0] != 7 && row["reward_model"] == MODEL);
    let ended = score(&folder, &["--overwrite_rewards"]);
    let place = folder.argument("scored.jsonl");
    assert_eq!(ended.error, format!("error: {place}: exists already; remove it, or give `--overwrite`\n"));
    assert_eq!(score(&folder, &["--overwrite_rewards", "--overwrite"]).code, Some(0));
    assert_eq!(read(&folder.path("scored.jsonl")), first);
}
