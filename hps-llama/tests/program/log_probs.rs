//! `hps log-probs` against transformers and PEFT (`tests/data/hf.json`), and what it refuses.

use crate::program::{Folder, data, hps, metrics, read};
use crate::tolerance::TOKEN_LOG_PROB;
use serde_json::{Value, json};

const MODELS: [&str; 2] = ["tiny", "tiny-tied-scaled"];

/// Calls `hps log-probs`, which has to succeed; its lines.
pub fn log_probs(arguments: &[&str]) -> Vec<Value> {
    let ended = hps(&[&["log-probs"], arguments].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    metrics(ended.out.as_bytes())
}

/// Calls `hps log-probs`, which has to fail; what it says after `error: `.
fn refused(arguments: &[&str]) -> String {
    let ended = hps(&[&["log-probs"], arguments].concat());
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{arguments:?}");
    ended.error.trim_end().strip_prefix("error: ").expect("an error").to_string()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|number| number.as_f64().expect("a number")).collect()
}

/// The reference's cases as rows: its response is the best one.
fn rows(folder: &Folder, cases: &[Value]) -> String {
    let row = |case: &Value| {
        let responses = json!([case["response"], "and the onion"]);
        json!({"prompt": case["messages"], "responses": responses, "rewards": [1, 0]}).to_string()
    };
    let lines: Vec<String> = cases.iter().map(row).collect();
    std::fs::write(folder.path("rows.jsonl"), lines.join("\n")).expect("a file");
    folder.argument("rows.jsonl")
}

#[test]
fn numbers_are_those_of_transformers_and_peft() {
    let reference: Value = serde_json::from_slice(&read(&data("hf.json"))).expect("JSON");
    for model in MODELS {
        let cases = reference["models"][model]["cases"].as_array().expect("cases");
        let folder = Folder::new("");
        let (rows, path) = (rows(&folder, cases), format!("tests/data/models/{model}"));
        let lines = log_probs(&["--model", &path, "--data", &rows]);
        let adapted = log_probs(&["--model", &path, "--data", &rows, "--adapter", &format!("{path}/adapter-11")]);
        assert_eq!((lines.len(), adapted.len()), (cases.len(), cases.len()));
        for (index, ((line, adapted), case)) in lines.iter().zip(&adapted).zip(cases).enumerate() {
            assert_eq!((&line["id"], &line["place"]), (&json!(index), &json!(format!("{rows}:{}", index + 1))));
            let best = &line["responses"][0];
            assert_eq!(line["prompt_ids"], case["prompt_ids"]);
            let whole = [&line["prompt_ids"], &best["ids"]].map(|ids| ids.as_array().expect("ids").clone()).concat();
            assert_eq!(Value::from(whole), case["full_ids"]);
            let (ours, theirs) = (numbers(&best["log_probs"]), numbers(&case["response_token_logprobs"]));
            assert_eq!(ours.len(), theirs.len());
            for (ours, theirs) in ours.iter().zip(&theirs) {
                assert!((ours - theirs).abs() < TOKEN_LOG_PROB, "{model}: {ours} against {theirs}");
            }
            assert!(
                (numbers(&best["log_probs"]).iter().sum::<f64>() - best["sum"].as_f64().expect("a sum")).abs() < 1e-4
            );
            let allowed = TOKEN_LOG_PROB * ours.len() as f64;
            for (sum, theirs) in [
                (&best["sum"], &case["response_logprob"]),
                (&adapted["responses"][0]["sum"], &case["adapter_response_logprob"]),
            ] {
                let [sum, theirs] = [sum, theirs].map(|number| number.as_f64().expect("a number"));
                assert!((sum - theirs).abs() < allowed, "{model}: {sum} against {theirs}");
            }
        }
    }
}

/// A row's line is the same alone and among others, on the terminal and in a file.
#[test]
fn numbers_do_not_depend_on_the_batch() {
    let folder = Folder::new("");
    let data = "tests/data/trl-sigmoid/preferences.jsonl";
    let model = ["--model", "tests/data/models/tiny", "--data"];
    let ended = hps(&[&["log-probs"], &model[..], &[data]].concat());
    let rows = String::from_utf8(read(&crate::program::root().join(data))).expect("text");
    let (alone, output) = (folder.argument("alone.jsonl"), folder.argument("lines.jsonl"));
    std::fs::write(&alone, rows.lines().nth(7).expect("a row")).expect("a file");
    let line = &log_probs(&[&model[..], &[&alone]].concat())[0];
    let among = &metrics(ended.out.as_bytes())[7];
    assert_eq!((&line["prompt_ids"], &line["responses"]), (&among["prompt_ids"], &among["responses"]));

    assert!(log_probs(&[&model[..], &[data, "--output", &output]].concat()).is_empty());
    assert_eq!(String::from_utf8(read(&folder.path("lines.jsonl"))).expect("text"), ended.out);
    assert!(!folder.path("lines.jsonl.partial").exists());
}

/// Rows that are left out are counted beside the lines.
#[test]
fn dropped_rows_are_counted() {
    let folder = Folder::new("");
    let rows = folder.argument("rows.jsonl");
    let text = concat!(
        r#"{"prompt": "2 + 2 =", "responses": [" 4", " 5"], "rewards": [1, 0]}"#,
        "\n",
        r#"{"prompt": "2 + 2 =", "responses": [" 4", " 5"], "rewards": [1, 1]}"#,
        "\n",
        r#"{"prompt": "2 + 2 =", "responses": [" 4", " 5 and the onion and the garden"], "rewards": [0, 1]}"#
    );
    std::fs::write(&rows, text).expect("a file");
    let ended = hps(&["log-probs", "--model", "tests/data/models/tiny", "--data", &rows, "--max_length", "12"]);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    let said: Vec<&str> = ended.error.lines().collect();
    assert_eq!(metrics(ended.out.as_bytes()).len(), 1);
    assert!(said.len() == 2 && said[0].starts_with("2 prompts are text, "), "{said:?}");
    assert_eq!(said[1], "dropped: 1 tied, 1 too long");
}

#[test]
fn wrong_input_is_refused_and_leaves_no_file() {
    let folder = Folder::new("");
    let (rows, output) = (folder.argument("rows.jsonl"), folder.argument("lines.jsonl"));
    let row = r#"{"prompt": "2 + 2 =", "responses": [" 4", " 5"], "rewards": [1, 0]}"#;
    std::fs::write(&rows, format!("{row}\n{}", row.replace("[1, 0]", "[1]"))).expect("a file");
    let model = ["--model", "tests/data/models/tiny", "--data"];
    let message = refused(&[&model[..], &[&rows, "--output", &output]].concat());
    assert_eq!(message, format!("{rows}:2: `rewards` has 1 entry but `responses` has 2"));
    assert!(!folder.path("lines.jsonl").exists() && !folder.path("lines.jsonl.partial").exists());
    let message = refused(&[&model[..], &[&rows, "--adapter", &folder.argument("none")]].concat());
    assert_eq!(message, format!("{}: there is no folder of this name", folder.argument("none")));
    let message = refused(&[&model[..], &[&folder.argument("none.jsonl")]].concat());
    assert!(message.starts_with(&format!("{}: cannot be read: ", folder.argument("none.jsonl"))), "{message}");
}
