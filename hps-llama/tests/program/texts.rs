//! Other people's templates and long rows, through the program: sums are transformers 5.24's, in nats, of float32.

use crate::program::{Folder, data, hps, metrics};
use serde_json::Value;

const CRLF: &str = "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\r\n\r\n{{ m.content | trim }}<|eot_id|>{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\r\n\r\n{% endif %}";
const TOJSON: &str = "{{ bos_token }}{{ {'role': 'meta', 'date': 1, 'a': 2} | tojson }}{% for m in messages %}{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\\n\\n' + m.content | trim + '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}";
const TOOLS: &str = "{{ bos_token }}{% if tools is iterable and tools | length > 0 %}{{ 'Tools: ' + tools | tojson }}{% endif %}{% for m in messages %}{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\\n\\n' + m.content | trim + '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}";
const GENERATION: &str = "{{ bos_token }}{% for m in messages %}{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\\n\\n' }}{% if m.role == 'assistant' %}{% generation %}{{ m.content + '<|eot_id|>' }}{% endgeneration %}{% else %}{{ m.content + '<|eot_id|>' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}\n";
const DAY: &str = "{{ bos_token }}{{ '<|start_header_id|>system<|end_header_id|>\\n\\nToday Date: ' + strftime_now('%d %b %Y') + '<|eot_id|>' }}{% for m in messages %}{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\\n\\n' + m.content | trim + '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}";
const RAISES: &str = "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('This model takes no system message') }}{% endif %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Turns have to go user, assistant, user, ...') }}{% endif %}{% if m.role == 'user' %}{{ '[INST] ' + m.content + ' [/INST]' }}{% else %}{{ ' ' + m.content | trim + eos_token }}{% endif %}{% endfor %}";
const ROWS: &str = "{\"prompt\": [{\"role\": \"user\", \"content\": \"Name a colour of the sky.\"}], \"chosen\": \"Blue, on a clear day.\", \"rejected\": \"Wood.\"}\n{\"prompt\": [{\"role\": \"user\", \"content\": \"What is two and two?\"}], \"chosen\": \"Four.\", \"rejected\": \"Nine, I guess.\"}\n";
const SYSTEM: &str = "{\"prompt\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"chosen\":\"Hello.\",\"rejected\":\"No.\"}\n{\"prompt\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"chosen\":\"Hey.\",\"rejected\":\"No.\"}\n{\"prompt\":[{\"role\":\"system\",\"content\":\"Be kind.\"},{\"role\":\"user\",\"content\":\"Hi\"}],\"chosen\":\"Hello.\",\"rejected\":\"No.\"}\n{\"prompt\":[{\"role\":\"user\",\"content\":\"Hi\"},{\"role\":\"user\",\"content\":\"Hi?\"}],\"chosen\":\"Hello.\",\"rejected\":\"No.\"}\n";

/// Sums are given with three digits.
const ROUNDED: f64 = 1e-3;

/// The tiny model with another template, and rows.
fn folder(template: &str, rows: &str) -> Folder {
    let folder = Folder::new("");
    let model = folder.path("model");
    std::fs::create_dir(&model).expect("a folder");
    for name in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(data("models/tiny").join(name), model.join(name)).expect("a copy");
    }
    std::fs::write(model.join("chat_template.jinja"), template).expect("a file");
    std::fs::write(folder.path("rows.jsonl"), rows).expect("a file");
    folder
}

fn log_probs(folder: &Folder, more: &[&str]) -> Result<Vec<Value>, String> {
    let (model, rows) = (folder.argument("model"), folder.argument("rows.jsonl"));
    let ended = hps(&[&["log-probs", "--model", &model, "--data", &rows], more].concat());
    match ended.code {
        Some(0) => Ok(metrics(ended.out.as_bytes())),
        _ => Err(ended.error.lines().last().and_then(|line| line.strip_prefix("error: ")).expect("an error").into()),
    }
}

fn sums(lines: &[Value]) -> Vec<f64> {
    let of = |line: &Value| line["responses"].as_array().expect("responses").clone();
    lines.iter().flat_map(of).map(|response| response["sum"].as_f64().expect("a sum")).collect()
}

fn ids(value: &Value) -> Vec<u64> {
    value.as_array().expect("ids").iter().map(|id| id.as_u64().expect("an id")).collect()
}

#[test]
fn sums_are_those_of_transformers() {
    for (template, expected) in
        [(TOJSON, [-125.254, -40.929, -36.506, -89.506]), (TOOLS, [-122.144, -43.923, -37.376, -90.648])]
    {
        let lines = log_probs(&folder(template, ROWS), &[]).expect("sums");
        for (sum, expected) in sums(&lines).iter().zip(expected) {
            assert!((sum - expected).abs() < ROUNDED, "{sum} for {expected}");
        }
        assert_eq!(lines.len(), 2);
    }
}

#[test]
fn line_ends_of_windows_and_marks_of_the_assistants_text_mean_nothing() {
    let windows = log_probs(&folder(CRLF, ROWS), &[]).expect("sums");
    let unix = log_probs(&folder(&CRLF.replace("\r\n", "\n"), ROWS), &[]).expect("sums");
    assert_eq!(strip(windows.clone()), strip(unix));
    let prompt = ids(&windows[0]["prompt_ids"]);
    assert!(
        CRLF.contains("\r\n") && prompt.windows(3).any(|ids| ids[0] == 1021 && ids[1..] == [198, 198]),
        "{prompt:?}"
    );

    let plain = GENERATION.replace("{% generation %}", "").replace("{% endgeneration %}", "");
    assert_ne!(plain, GENERATION);
    let marked = log_probs(&folder(GENERATION, ROWS), &[]).expect("sums");
    assert_eq!(strip(marked), strip(log_probs(&folder(&plain, ROWS), &[]).expect("sums")));
}

/// Without the place, which is the folder's.
fn strip(mut lines: Vec<Value>) -> Vec<Value> {
    lines.iter_mut().for_each(|line| line["place"] = Value::Null);
    lines
}

#[test]
fn the_day_is_an_option_of_every_command() {
    let folder = folder(DAY, ROWS);
    let (model, rows, out) = (folder.argument("model"), folder.argument("rows.jsonl"), folder.argument("lines.jsonl"));
    let error = log_probs(&folder, &[]).expect_err("no day");
    let expected = format!(
        "{rows}:1: {model}/chat_template.jinja:1: strftime_now is unknown; `template_date` gives the day that it writes"
    );
    assert_eq!(error, expected);
    let at = |day: &str| log_probs(&folder, &["--template_date", day]).expect("sums");
    let (one, other) = (at("2026-11-30"), at("2025-01-02"));
    assert_ne!(one[0]["prompt_ids"], other[0]["prompt_ids"]);
    let fixed = DAY.replace("strftime_now('%d %b %Y')", "'30 Nov 2026'");
    assert_eq!(strip(one), strip(log_probs(&self::folder(&fixed, ROWS), &[]).expect("sums")));

    let generate = |more: &[&str]| {
        let fixed = ["generate", "--model_name_or_path", &model, "--data", &rows, "--output", &out, "--n", "1"];
        hps(&[&fixed[..], &["--max_tokens", "2"], more].concat())
    };
    assert!(generate(&[]).error.contains(&expected));
    assert_eq!(generate(&["--template_date", "2026-11-30"]).code, Some(0));
    let folder_of_run = folder.argument("run");
    let trained = |more: &[&str]| {
        let fixed = ["train", "--dry_run", "--output_dir", &folder_of_run, "--model_name_or_path", &model];
        hps(&[&fixed[..], &["--data", &rows], more].concat())
    };
    assert!(trained(&[]).error.contains(&expected));
    let ended = trained(&["--template_date", "2026-11-30"]);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    assert!(ended.out.contains("30 Nov 2026") && ended.out.contains("\ntokenizer tokenizer.json\n"), "{}", ended.out);
    let refused = trained(&["--template_date", "2026-02-30"]).error;
    assert!(refused.contains("a day of the form YYYY-MM-DD"), "{refused}");
}

#[test]
fn a_template_that_refuses_names_the_row() {
    let folder = folder(RAISES, SYSTEM);
    let (model, rows, out) = (folder.argument("model"), folder.argument("rows.jsonl"), folder.argument("out"));
    let expected = format!("{rows}:3: {model}/chat_template.jinja:1: This model takes no system message");
    assert_eq!(log_probs(&folder, &[]).expect_err("it refuses"), expected);
    let ended = hps(&["train", "--dry_run", "--output_dir", &out, "--model_name_or_path", &model, "--data", &rows]);
    assert_eq!(ended.error.lines().last(), Some(format!("error: {expected}").as_str()));
}

#[test]
fn rows_beyond_the_models_positions_are_refused_unless_they_are_allowed() {
    let folder = folder(&std::fs::read_to_string(data("models/tiny/chat_template.jinja")).expect("text"), ROWS);
    let (model, rows, out) = (folder.argument("model"), folder.argument("rows.jsonl"), folder.argument("lines.jsonl"));
    let lines = log_probs(&folder, &[]).expect("sums");
    let prompt = ids(&lines[0]["prompt_ids"]).len();
    let response = ids(&lines[0]["responses"][0]["ids"]).len();
    let set = |positions: usize| {
        let path = folder.path("model").join("config.json");
        let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&path).expect("text")).expect("JSON");
        config["max_position_embeddings"] = positions.into();
        std::fs::write(path, config.to_string()).expect("a file");
    };
    set(prompt + response);
    assert_eq!(log_probs(&folder, &[]).expect("it just fits"), lines);
    set(prompt + response - 1);
    let expected = format!(
        "{rows}:1: response 0 (best first) has {} tokens with its prompt, and the model has {} positions; \
         `allow_long_positions` permits it",
        prompt + response,
        prompt + response - 1
    );
    assert_eq!(log_probs(&folder, &[]).expect_err("too long"), expected);
    assert_eq!(log_probs(&folder, &["--allow_long_positions"]).expect("allowed"), lines);
    let folder_of_run = folder.argument("run");
    let train = |more: &[&str]| {
        let fixed = ["train", "--dry_run", "--output_dir", &folder_of_run, "--model_name_or_path", &model];
        hps(&[&fixed[..], &["--data", &rows], more].concat())
    };
    assert_eq!(train(&[]).error.lines().last(), Some(format!("error: {expected}").as_str()));
    assert_eq!(train(&["--allow_long_positions"]).code, Some(0));
    // What is dropped is not refused.
    let shorter = (prompt + response - 1).to_string();
    assert_eq!(train(&["--max_length", &shorter]).code, Some(0));
    let scores = folder.argument("table");
    let evaluated =
        hps(&["evaluate", "--model_name_or_path", &model, "--data", &format!("d={rows}"), "--output", &scores]);
    assert_eq!(evaluated.error.lines().last(), Some(format!("error: {expected}").as_str()));

    let generate = |more: &[&str]| {
        let fixed = ["generate", "--model_name_or_path", &model, "--data", &rows, "--output", &out, "--n", "3"];
        hps(&[&fixed[..], &["--max_tokens", "9", "--overwrite"], more].concat())
    };
    let drawn = || metrics(&std::fs::read(folder.path("lines.jsonl")).expect("lines"));
    assert_eq!(generate(&["--allow_long_positions"]).code, Some(0));
    let whole = drawn();
    set(prompt + 4);
    let ended = generate(&[]);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    for (index, tokens) in ids(&drawn()[0]["tokens"]).into_iter().enumerate() {
        let all = ids(&whole[0]["tokens"])[index];
        assert_eq!(tokens, all.min(4));
        if all > 4 {
            assert_eq!(drawn()[0]["finish_reasons"][index], "length");
        }
    }
    set(prompt);
    let expected = format!(
        "error: {rows}:1: the prompt has {prompt} tokens, and the model has {prompt} positions, so none is left for a \
         response; `allow_long_positions` permits it"
    );
    assert_eq!(generate(&[]).error.lines().last(), Some(expected.as_str()));
    assert_eq!(generate(&["--allow_long_positions"]).code, Some(0));
    assert_eq!(drawn(), whole);
}
