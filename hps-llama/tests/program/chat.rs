//! Rows of text with a model that has a chat template: said, and read as conversations where that is asked for.

use crate::program::{Folder, data, hps, metrics, read, train};
use serde_json::json;

const MODEL: &str = "tests/data/models/tiny";
const SKIPPED: &str =
    "2 prompts are text, which the model reads without its chat template; `--chat` makes each a user's turn";

fn texts(folder: &Folder) -> String {
    let row = |prompt: &str| json!({"prompt": prompt, "chosen": "the router", "rejected": "a neighbour"}).to_string();
    std::fs::write(folder.path("texts.jsonl"), [row("a kettle?"), row("an onion?")].join("\n")).expect("a file");
    folder.argument("texts.jsonl")
}

#[test]
fn training_says_that_text_skips_the_template_and_takes_it_as_a_turn() {
    let folder = Folder::new("");
    let (rows, out) = (texts(&folder), folder.argument("chat"));
    let call = ["--model", MODEL, "--data", &rows, "--output_dir", &out, "--dry_run"];
    let plain = train(&call);
    assert!(plain.contains(&format!("\nprompts   {SKIPPED}\n")) && !plain.contains("<|start_header_id|>"), "{plain}");
    let chat = train(&[&call[..], &["--chat"]].concat());
    assert!(!chat.contains("prompts   "), "{chat}");
    let turn = "<|start_header_id|>user<|end_header_id|>\\n\\na kettle?<|eot_id|><|start_header_id|>assistant";
    assert!(chat.contains(turn), "{chat}");
    // A conversation is what it was: nothing is said of it.
    let conversations =
        train(&["--model", MODEL, "--data", "tests/data/hh.jsonl.gz", "--output_dir", &out, "--dry_run"]);
    assert!(!conversations.contains("prompts   "), "{conversations}");
}

/// A text with `--chat` is the conversation that one would have written.
#[test]
fn text_as_a_turn_is_the_conversation() {
    let folder = Folder::new("");
    let rows = texts(&folder);
    let row = |prompt: &str| {
        let turn = |role: &str, content: &str| json!([{"role": role, "content": content}]);
        let [chosen, rejected] = ["the router", "a neighbour"].map(|text| turn("assistant", text));
        json!({"prompt": turn("user", prompt), "chosen": chosen, "rejected": rejected}).to_string()
    };
    std::fs::write(folder.path("turns.jsonl"), [row("a kettle?"), row("an onion?")].join("\n")).expect("a file");
    let turns = folder.argument("turns.jsonl");
    let lines = |arguments: &[&str]| {
        let ended = hps(&[&["log-probs", "--model", MODEL], arguments].concat());
        assert_eq!(ended.code, Some(0), "{}", ended.error);
        let mut lines = metrics(ended.out.as_bytes());
        lines.iter_mut().for_each(|line| line["place"] = json!(""));
        lines
    };
    let (as_turns, written) = (lines(&["--data", &rows, "--chat"]), lines(&["--data", &turns]));
    assert_eq!(as_turns, written);
    assert_ne!(written, lines(&["--data", &rows]));
}

#[test]
fn generating_says_it_and_writes_the_turns_it_answered() {
    let folder = Folder::new("");
    let (rows, output) = (texts(&folder), folder.argument("lines.jsonl"));
    let call = ["generate", "--model_name_or_path", MODEL, "--data", &rows, "--output", &output];
    let call = [&call[..], &["--n", "2", "--max_tokens", "4"]].concat();
    let ended = hps(&call);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    assert!(ended.error.contains(SKIPPED), "{}", ended.error);
    let plain = metrics(&read(&folder.path("lines.jsonl")));
    assert_eq!(plain[0]["prompt"], "a kettle?");
    let ended = hps(&[&call[..], &["--chat", "--overwrite"]].concat());
    assert!(ended.code == Some(0) && !ended.error.contains("template"), "{}", ended.error);
    let chat = metrics(&read(&folder.path("lines.jsonl")));
    assert_eq!(chat[0]["prompt"], json!([{"role": "user", "content": "a kettle?"}]));
    assert_ne!(plain[0]["log_probs"], chat[0]["log_probs"]);
}

#[test]
fn rows_are_counted_and_written_as_conversations() {
    let folder = Folder::new("");
    let (rows, output) = (texts(&folder), folder.argument("lists.jsonl"));
    let model = data("models/tiny").display().to_string();
    let counted = hps(&["data", &rows, "--model_name_or_path", &model]);
    assert!(counted.out.contains(&format!("chat template           {SKIPPED}")), "{}", counted.out);
    let ended = hps(&["data", &rows, "--model_name_or_path", &model, "--chat", "--output", &output]);
    assert!(ended.code == Some(0) && !ended.out.contains("chat template"), "{} {}", ended.out, ended.error);
    let lists = metrics(&read(&folder.path("lists.jsonl")));
    assert_eq!(lists[0]["prompt"], json!([{"role": "user", "content": "a kettle?"}]));
    assert_eq!(lists[0]["responses"][0], json!([{"role": "assistant", "content": "the router"}]));
}

#[test]
fn scoring_rates_and_writes_the_turns() {
    let folder = Folder::new("");
    let row = json!({"prompt": "a kettle?", "responses": ["the router", "a neighbour"], "note": 7}).to_string();
    std::fs::write(folder.path("answers.jsonl"), row).expect("a file");
    let (rows, output) = (folder.argument("answers.jsonl"), folder.argument("scored.jsonl"));
    let call = ["score", "--model_name_or_path", "tests/data/models/tiny-reward", "--data", &rows, "--output", &output];
    let scored = |more: &[&str]| {
        let ended = hps(&[&call[..], &["--overwrite"], more].concat());
        assert_eq!(ended.code, Some(0), "{}", ended.error);
        metrics(&read(&folder.path("scored.jsonl")))
    };
    let (plain, chat) = (scored(&[]), scored(&["--chat"]));
    assert_eq!(
        (&plain[0]["prompt"], &chat[0]["prompt"]),
        (&json!("a kettle?"), &json!([{"role": "user", "content": "a kettle?"}]))
    );
    assert_eq!(chat[0]["note"], 7);
    assert_ne!(plain[0]["rewards"], chat[0]["rewards"]);
}
