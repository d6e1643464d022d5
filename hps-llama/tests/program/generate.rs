//! `hps generate` from a model here: its lines, and that nothing of them depends on how they came about.

use crate::program::{Folder, data, hps, killed_when, metrics, read, root};
use hps_llama::chat::Chat;
use hps_llama::tokens::Tokenizer;
use serde_json::{Value, json};
use std::process::Command;

const MODEL: &str = "tests/data/models/tiny";
const ROWS: &str = "tests/data/trl-sigmoid/preferences.jsonl";

fn arguments<'a>(data: &'a str, output: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["generate", "--model_name_or_path", MODEL, "--data", data, "--output", output], more].concat()
}

/// Calls `hps generate`, which has to succeed; the bytes of its output.
fn generate(folder: &Folder, data: &str, more: &[&str]) -> Vec<u8> {
    let output = folder.argument("lines.jsonl");
    let ended = hps(&arguments(data, &output, &[more, &["--overwrite"]].concat()));
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    read(&folder.path("lines.jsonl"))
}

/// Calls `hps generate`, which has to fail; what it says after `error: `.
fn refused(folder: &Folder, data: &str, more: &[&str]) -> String {
    let output = folder.argument("lines.jsonl");
    let ended = hps(&arguments(data, &output, more));
    assert_eq!(ended.code, Some(1), "{}", ended.error);
    ended.error.lines().last().and_then(|line| line.strip_prefix("error: ")).expect("an error").to_string()
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().expect("a list").iter().map(|id| id.as_u64().expect("an id") as u32).collect()
}

#[test]
fn greedy_responses_are_those_of_transformers() {
    let reference: Value = serde_json::from_slice(&read(&data("hf.json"))).expect("JSON");
    let cases = reference["models"]["tiny"]["cases"].as_array().expect("cases");
    let folder = Folder::new("");
    let rows: Vec<String> = cases.iter().map(|case| json!({"prompt": case["messages"]}).to_string()).collect();
    std::fs::write(folder.path("rows.jsonl"), rows.join("\n")).expect("a file");
    let most = cases.iter().map(|case| ids(&case["greedy_ids"]).len()).max().expect("cases").to_string();
    let options = ["--temperature", "0", "--n", "1", "--max_tokens", &most];
    let lines = metrics(&generate(&folder, &folder.argument("rows.jsonl"), &options));
    assert_eq!(lines.len(), cases.len());
    let tokenizer = Tokenizer::from_folder(root().join(MODEL)).expect("a tokenizer");
    for (line, case) in lines.iter().zip(cases) {
        let ids = ids(&case["greedy_ids"]);
        assert_eq!(line["responses"], json!([tokenizer.decode(&ids, true).expect("text")]));
        assert_eq!((&line["prompt"], &line["tokens"]), (&case["messages"], &json!([ids.len()])));
    }
}

#[test]
fn lines_do_not_depend_on_what_is_decoded_together() {
    let folder = Folder::new("");
    let options = ["--n", "5", "--max_tokens", "40", "--top_p", "0.95", "--top_k", "200", "--seed", "3"];
    let lines = generate(&folder, ROWS, &[&options[..], &["--max_num_seqs", "1000"]].concat());
    for at_once in ["1", "3", "5", "64"] {
        let other = generate(&folder, ROWS, &[&options[..], &["--max_num_seqs", at_once]].concat());
        assert!(other == lines, "{at_once} at once");
    }
    assert!(generate(&folder, ROWS, &[&options[..8], &["--seed", "4"]].concat()) != lines);
    let adapter = format!("{MODEL}/adapter-11");
    assert!(generate(&folder, ROWS, &[&options[..], &["--adapter", &adapter]].concat()) != lines);
    // A row alone in the place it has in the file: the draws are keyed by its line.
    let first = String::from_utf8(read(&root().join(ROWS))).expect("text").lines().next().expect("a row").to_string();
    std::fs::write(folder.path("first.jsonl"), first).expect("a file");
    let alone = generate(&folder, &folder.argument("first.jsonl"), &options);
    assert!(lines.starts_with(&alone) && alone.len() < lines.len());
}

/// With rewards, a line is a row; its log-probs are what `hps log-probs` says of the sampled tokens.
#[test]
fn lines_with_rewards_are_rows() {
    let folder = Folder::new("");
    let lines = metrics(&generate(&folder, ROWS, &["--n", "4", "--max_tokens", "24"]));
    let chat = Chat::from_folder(root().join(MODEL)).expect("a tokenizer");
    let mut rows = Vec::new();
    for line in &lines {
        for name in ["responses", "log_probs", "tokens", "finish_reasons"] {
            assert_eq!(line[name].as_array().map(Vec::len), Some(4), "{name}");
        }
        let mut row = line.clone();
        row["rewards"] = json!([3, 1, 4, 1.5]);
        rows.push(row.to_string());
        for response in line["responses"].as_array().expect("a list") {
            let text = response.as_str().expect("text");
            let special = chat.tokenizer().special_tokens();
            assert!(special.iter().all(|token| !text.contains(&token.content)), "{text}");
        }
    }
    std::fs::write(folder.path("rows.jsonl"), rows.join("\n")).expect("a file");
    let read = hps_llama::data::read(folder.path("rows.jsonl")).expect("rows");
    assert_eq!(read.rows.len() + read.dropped.total(), lines.len());
    assert!(read.rows.len() > lines.len() / 2, "{}", read.dropped);
}

#[test]
fn prompts_are_read_from_rows_of_any_shape() {
    let folder = Folder::new("");
    let turns = |answer: &str| {
        json!([{"role": "user", "content": "2 + 2 ="}, {"role": "assistant", "content": answer}]) //
    };
    let messages = json!([{"role": "user", "content": "2 + 2 ="}]);
    for (row, prompt) in [
        (json!({"prompt": "2 + 2 ="}), json!("2 + 2 =")),
        (json!({"prompt": messages, "note": 7}), messages.clone()),
        // One response, none, and a tie teach nothing, but they have a prompt.
        (json!({"prompt": "2 + 2 =", "responses": ["4"], "rewards": [1]}), json!("2 + 2 =")),
        (json!({"prompt": "2 + 2 =", "responses": ["4", "5"], "rewards": [1, 1]}), json!("2 + 2 =")),
        (json!({"prompt": messages, "chosen": "4", "rejected": "4"}), messages.clone()),
        (json!({"chosen": turns("4"), "rejected": turns("5")}), messages.clone()),
        (
            json!({"chosen": "\n\nHuman: 2 + 2 =\n\nAssistant: 4", "rejected": "\n\nHuman: 2 + 2 =\n\nAssistant: 5"}),
            messages.clone(),
        ),
    ] {
        std::fs::write(folder.path("rows.jsonl"), row.to_string()).expect("a file");
        let options = ["--n", "1", "--max_tokens", "2"];
        let lines = metrics(&generate(&folder, &folder.argument("rows.jsonl"), &options));
        assert_eq!(lines.iter().map(|line| &line["prompt"]).collect::<Vec<_>>(), [&prompt], "{row}");
    }
}

#[test]
fn wrong_input_is_refused_before_anything_is_computed() {
    let folder = Folder::new("");
    let rows = folder.argument("rows.jsonl");
    let refuse = |text: &str, more: &[&str]| {
        std::fs::write(&rows, text).expect("a file");
        let message = refused(&folder, &rows, more);
        assert!(!folder.path("lines.jsonl").exists() && !folder.path("lines.jsonl.partial").exists());
        message.replace(&rows, "rows.jsonl")
    };
    let row = r#"{"prompt": "2 + 2 ="}"#;
    assert_eq!(
        refuse(&format!("{row}\n{{\"prompt\": 4}}"), &[]),
        "rows.jsonl:2: `prompt` is 4, neither text nor a list of messages"
    );
    assert_eq!(refuse(&format!("{row}\n{{\"prompt\": \"\"}}"), &[]), "rows.jsonl:2: `prompt` is empty");
    assert_eq!(refuse(&format!("{row}\n{{}}"), &[]), "rows.jsonl:2: `prompt` is missing");
    assert!(refuse(r#"{"question": "2 + 2 ="}"#, &[]).starts_with("rows.jsonl:1: has only `question`; expected"));
    assert_eq!(refuse("", &[]), "rows.jsonl: has no rows");
    assert_eq!(refuse(row, &["--top_p", "0"]), "`top_p` is 0; it is above 0 and at most 1");
    assert_eq!(refuse(row, &["--temperature=-1"]), "`temperature` is -1; it is at least 0");
}

#[test]
fn a_killed_run_goes_on_to_the_same_bytes() {
    let folder = Folder::new("");
    let options = ["--n", "6", "--max_tokens", "300", "--max_num_seqs", "6", "--temperature", "1.3"];
    let prompts: Vec<String> = (0..24).map(|row| json!({"prompt": format!("row {row} of")}).to_string()).collect();
    let rows = folder.argument("rows.jsonl");
    std::fs::write(&rows, prompts.join("\n")).expect("a file");
    let whole = generate(&folder, &rows, &options);
    std::fs::remove_file(folder.path("lines.jsonl")).expect("a file");

    let (mut kills, mut resumed) = (0, 0);
    let output = folder.argument("lines.jsonl");
    let partial = folder.path("lines.jsonl.partial");
    let lines = || std::fs::read(&partial).map_or(0, |bytes| bytes.iter().filter(|byte| **byte == b'\n').count());
    while !folder.path("lines.jsonl").exists() {
        // As soon as the file is there, then after one line more, or two.
        let goal = lines() + kills % 3;
        let mut command = Command::new(env!("CARGO_BIN_EXE_hps"));
        command.args(arguments(&rows, &output, &options));
        kills += usize::from(killed_when(&mut command, || partial.exists() && lines() >= goal));
        resumed += usize::from(lines() > 0);
        if kills == 4 {
            let message = refused(&folder, &rows, &[&options[..], &["--seed", "1"]].concat());
            assert!(message.contains("`options.seed` was 0 and is 1"), "{message}");
        }
    }
    println!("{kills} kills, {resumed} of them with lines to go on from");
    assert!(kills > 2 && resumed > 0);
    assert!(read(&folder.path("lines.jsonl")) == whole, "after {kills} kills: other bytes");
}
