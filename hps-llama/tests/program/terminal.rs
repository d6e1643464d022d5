//! No text of a file or of a server steers the terminal, whichever way it gets there.

use crate::program::{Ended, Folder, data, hps, read};
use crate::server::{Reply, Server};
use serde_json::{Value, json};
use std::path::Path;

/// Sets the window's title, clears the screen, turns the direction of writing; and is not seen.
const HOSTILE: &str = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{202e}\u{2066}\u{200b}\u{e0041}\u{9b}";

/// Neither stream has a character that is not seen, but for line ends.
fn expect_nothing_hidden(place: &str, ended: &Ended) {
    for text in [&ended.out, &ended.error] {
        let hidden = |letter: char| letter != '\n' && hps_llama::visible(&letter.to_string()) != letter.to_string();
        assert!(!text.contains(hidden), "{place}: {text:?}");
    }
}

/// Both streams show the text, and only what can be seen of it.
fn expect_seen(place: &str, ended: &Ended) {
    expect_nothing_hidden(place, ended);
    let seen = |text: &str| text.contains("owned") && text.contains("\\u{202e}");
    assert!(seen(&ended.out) || seen(&ended.error), "{place} does not reach the terminal: {ended:?}");
}

/// A copy of the model's folder, in which a file is other than it was.
fn model(folder: &Folder, name: &str, text: impl AsRef<[u8]>) -> String {
    let copy = folder.path("model");
    let _ = std::fs::remove_dir_all(&copy);
    std::fs::create_dir(&copy).expect("a folder");
    for file in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"] {
        std::fs::copy(data("models/tiny").join(file), copy.join(file)).expect("a copy");
    }
    std::fs::write(copy.join(name), text).expect("a file");
    copy.display().to_string()
}

fn changed(path: &Path, change: impl FnOnce(&mut Value)) -> String {
    let mut value: Value = serde_json::from_slice(&read(path)).expect("JSON");
    change(&mut value);
    value.to_string()
}

fn log_probs(model: &str) -> Ended {
    hps(&["log-probs", "--model", model, "--data", "tests/data/trl-sigmoid/preferences.jsonl"])
}

#[test]
fn nothing_in_a_model_folder_steers_the_terminal() {
    let folder = Folder::new("");
    let tiny = data("models/tiny");
    let config = |name: &str, value: Value| changed(&tiny.join("config.json"), |config| config[name] = value);
    let tokenizer = changed(&tiny.join("tokenizer_config.json"), |config| config["bos_token"] = HOSTILE.into());
    let cases = [
        ("chat_template.jinja", format!("{{{{ raise_exception({}) }}}}", json!(HOSTILE))),
        ("config.json", config("model_type", HOSTILE.into())),
        ("config.json", config("hidden_act", HOSTILE.into())),
        ("config.json", config("layer_types", json!([HOSTILE]))),
        ("config.json", config("rope_scaling", json!({"rope_type": HOSTILE}))),
        ("config.json", config("vocab_size", HOSTILE.into())),
        ("config.json", format!("{{{0}: 1, {0}: 2}}", json!(HOSTILE))),
        ("tokenizer_config.json", tokenizer),
        ("tokenizer.json", format!("{{{0}: 1, {0}: 2}}", json!(HOSTILE))),
    ];
    for (name, text) in cases {
        let ended = log_probs(&model(&folder, name, &text));
        assert_eq!(ended.code, Some(1), "{name}: {}", ended.error);
        expect_seen(name, &ended);
    }
}

#[test]
fn nothing_in_a_file_of_weights_steers_the_terminal() {
    let folder = Folder::new("");
    // A file of one tensor with a hostile name, and an index that names a hostile shard.
    let header = json!({HOSTILE: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).to_string();
    let file = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 4]].concat();
    let adapter = folder.path("adapter");
    std::fs::create_dir(&adapter).expect("a folder");
    std::fs::copy(data("models/tiny/adapter-11/adapter_config.json"), adapter.join("adapter_config.json"))
        .expect("a copy");
    std::fs::write(adapter.join("adapter_model.safetensors"), file).expect("a file");
    let adapter = adapter.display().to_string();
    let rows = "tests/data/trl-sigmoid/preferences.jsonl";
    let ended = hps(&["log-probs", "--model", "tests/data/models/tiny", "--adapter", &adapter, "--data", rows]);
    expect_seen("a tensor's name", &ended);

    let index = json!({"weight_map": {"model.norm.weight": format!("a/{HOSTILE}")}}).to_string();
    let sharded = model(&folder, "model.safetensors.index.json", index);
    std::fs::remove_file(folder.path("model/model.safetensors")).expect("a file");
    expect_seen("a shard's name", &log_probs(&sharded));

    let config = changed(&data("models/tiny/adapter-11/adapter_config.json"), |config| {
        config["target_modules"] = json!([HOSTILE]);
    });
    std::fs::write(folder.path("adapter/adapter_config.json"), config).expect("a file");
    let ended = hps(&["log-probs", "--model", "tests/data/models/tiny", "--adapter", &adapter, "--data", rows]);
    expect_seen("a module's name", &ended);
}

#[test]
fn nothing_in_rows_or_options_steers_the_terminal() {
    let folder = Folder::new("");
    let rows = folder.argument("rows.jsonl");
    let message = |text: &str| json!([{"role": "user", "content": text}]);
    let cases = [
        json!({HOSTILE: 1}),
        json!({"prompt": [{"role": "user", "content": "a", HOSTILE: 1}], "responses": ["b", "c"], "rewards": [1, 0]}),
        json!({"prompt": message("a"), "chosen": [{"role": HOSTILE, "content": "b"}], "rejected": "c"}),
        json!({"prompt": message(HOSTILE), "responses": [format!("b{HOSTILE}"), "c"], "rewards": [1, 0]}),
        json!({"prompt": format!("a{HOSTILE}"), "responses": ["b", "c"], "rewards": [1, 0]}),
    ];
    for row in cases {
        std::fs::write(&rows, row.to_string()).expect("a file");
        expect_seen(&row.to_string(), &hps(&["data", &rows]));
    }
    // Samples of tokens, as `--dry_run` shows them: the best response in its colour, which is ours.
    let ended =
        hps(&["train", &folder.argument("options.toml"), "--data", &rows, "--dry_run", "--loss_type", "dpo-bt"]);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    expect_seen("a sample", &ended);

    for line in [format!("{} = 1", json!(HOSTILE)), format!("loss_type = {}", json!(HOSTILE))] {
        let options = folder.argument("hostile.toml");
        // TOML's escapes are JSON's but for the letters beyond 16 bits.
        let line = line.replace('\u{e0041}', "\\U000E0041").replace('\u{9b}', "\\u009b");
        std::fs::write(&options, line).expect("a file");
        expect_seen("an option", &hps(&["train", &options]));
    }
}

/// Names come from downloads and other people's folders, too: one may hold any character but NUL and `/`.
#[cfg(unix)]
#[test]
fn nothing_in_an_argument_steers_the_terminal() {
    const NAME: &str = "a\nerror: forged\u{1b}[2J\u{202e}owned";
    let folder = Folder::new("");
    let row = r#"{"prompt": "a", "responses": ["b", "c"], "rewards": [1, 0]}"#;
    let (rows, named) = (folder.argument("rows.jsonl"), folder.argument(NAME));
    [&rows, &named].into_iter().for_each(|path| std::fs::write(path, row).expect("a file"));
    let model = data("models/tiny").display().to_string();
    let output = folder.argument(&format!("{NAME}.out"));
    let options = folder.argument("options.toml");
    let out = folder.argument(&format!("out {NAME}"));
    let calls: [(&[&str], i32); 8] = [
        (&[NAME], 2),
        (&["data", "--shape", NAME], 2),
        (&["train", &format!("--{NAME}")], 2),
        (&["data", &rows, &named, NAME], 1),
        (&["data", &rows, &named], 0),
        (&["data", &rows, "--output", &output], 0),
        (&["log-probs", "--model", &model, "--data", &named], 0),
        (&["train", &options, "--output_dir", &out, "--num_train_epochs", "1"], 0),
    ];
    for (arguments, code) in calls {
        let ended = hps(arguments);
        assert_eq!(ended.code, Some(code), "{arguments:?}: {}", ended.error);
        expect_nothing_hidden(&format!("{arguments:?}"), &ended);
        for text in [&ended.out, &ended.error] {
            assert!(!text.lines().any(|line| line.starts_with("error: forged")), "{arguments:?}: {text}");
        }
        let seen = |text: &str| text.contains("\\u{202e}owned") || text.contains("\\u202eowned");
        assert!(seen(&ended.out) || seen(&ended.error), "{arguments:?}: {ended:?}");
    }
}

#[test]
fn nothing_that_a_server_says_steers_the_terminal() {
    let folder = Folder::new("");
    let rows = folder.argument("rows.jsonl");
    std::fs::write(&rows, r#"{"prompt": "a"}"#).expect("a file");
    let error = json!({"error": {"message": format!("no {HOSTILE}")}}).to_string();
    for (status, body) in [(400, error.clone()), (400, format!("no {HOSTILE}")), (503, error)] {
        let server = Server::start(move |_| Reply::Status(status, "", body.clone()));
        let output = folder.argument("out.jsonl");
        let arguments = ["--model", "m", "--data", &rows, "--output", &output, "--max_retries", "0"];
        expect_seen("an error", &hps(&[&["generate", "--endpoint", &server.url], &arguments[..]].concat()));
    }
}

/// The tables of an evaluation are read in a browser and on a forge, where Markdown has its own means.
#[test]
fn names_in_tables_are_plain_text() {
    let folder = Folder::new("");
    let name = format!("a|b`*<img>[c](d)&e{HOSTILE}");
    let out = folder.argument("out");
    let arguments =
        ["--adapter", &format!("{name}=tests/data/models/tiny/adapter-11"), "--max_tokens", "4", "--output", &out];
    let data = "--data=rows=tests/data/trl-sigmoid/preferences.jsonl";
    let ended = hps(&[&["evaluate", "--model_name_or_path", "tests/data/models/tiny", data], &arguments[..]].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    expect_seen("a method's name", &ended);
    let table = String::from_utf8(folder.out("table.md")).expect("text");
    let row = table.lines().find(|line| line.starts_with("| a")).expect("the method's row");
    let expected = "| a\\|b\\`\\*\\<img\\>[c]\\(d)\\&e\\\\u{1b}]0;owned\\\\u{7}\\\\u{1b}[2J\\\\u{202e}\\\\u{2066}\\\\u{200b}\\\\u{e0041}\\\\u{9b} |";
    assert!(row.starts_with(expected), "{row}\n{expected}");
    let page = String::from_utf8(folder.out("report.html")).expect("text");
    assert!(page.contains("&lt;img&gt;") && !page.contains("<img"), "the page");
    assert!(!page.contains(['\u{1b}', '\u{202e}', '\u{200b}']), "the page");
}
