//! `hps generate --endpoint`: what a server's choices become.

use crate::endpoint::{generate, lines, refused, rows};
use crate::program::{Folder, hps, metrics, read};
use crate::server::{Asked, Reply, Server};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A choice of a chat completion: its message's fields beside the role, and why it ends.
pub fn says(message: Value, finish_reason: &str) -> Value {
    let mut whole = json!({"role": "assistant", "content": null, "refusal": null, "tool_calls": []});
    whole.as_object_mut().expect("an object").extend(message.as_object().expect("an object").clone());
    json!({"message": whole, "finish_reason": finish_reason})
}

/// Prompts that are conversations: `question 0`, `question 1`, …
pub fn conversations(folder: &Folder, count: usize) {
    let line = |index| json!({"prompt": [{"role": "user", "content": format!("question {index}")}]}).to_string();
    std::fs::write(folder.path("rows.jsonl"), (0..count).map(line).collect::<Vec<_>>().join("\n")).expect("a file");
}

/// What it says when it is asked for one prompt's responses and answers so.
pub fn refused_for(reply: impl Fn(&Asked) -> Reply + Send + Sync + 'static, more: &[&str]) -> String {
    let (folder, server) = (Folder::new(""), Server::start(reply));
    conversations(&folder, 1);
    let message = refused(&server.url, &folder, &[&["--n", "2", "--max_retries", "0"], more].concat());
    assert!(!folder.path("lines.jsonl").exists() && !folder.path("lines.jsonl.partial").exists());
    let start = format!("rows.jsonl:1: {}/v1/chat/completions ", server.url);
    message.strip_prefix(&start).unwrap_or_else(|| panic!("{message}")).to_string()
}

/// The line of one prompt whose choices are these.
fn line_of(choices: Value, more: &[&str]) -> Value {
    let folder = Folder::new("");
    let n = choices.as_array().expect("a list").len().to_string();
    let server = Server::start(move |_| Asked::choices(&choices));
    conversations(&folder, 1);
    let ended = generate(&server.url, &folder, &[&["--n", &n], more].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    lines(&folder).remove(0)
}

#[test]
fn options_that_are_no_numbers_are_refused_before_anything_is_sent() {
    let (folder, server) = (Folder::new(""), Server::start(Asked::well));
    rows(&folder, 2);
    for (option, value, says) in [
        ("--temperature", "nan", "`temperature` is NaN; it is at least 0"),
        ("--temperature", "inf", "`temperature` is inf; it is at least 0"),
        ("--temperature", "-0.5", "`temperature` is -0.5; it is at least 0"),
        ("--top_p", "NaN", "`top_p` is NaN; it is above 0 and at most 1"),
        ("--top_p", "0", "`top_p` is 0; it is above 0 and at most 1"),
        ("--top_p", "1.5", "`top_p` is 1.5; it is above 0 and at most 1"),
        (
            "--timeout",
            "18446744073709551615",
            "`timeout` is 18446744073709552000; it is above 0 and at most 31622400 seconds",
        ),
    ] {
        assert_eq!(refused(&server.url, &folder, &[&format!("{option}={value}")]), says);
    }
    assert!(server.asked().is_empty());
    assert!(!folder.path("lines.jsonl.partial").exists() && !folder.path("lines.jsonl.partial.json").exists());
}

/// Two choices a prompt; of the third and the fourth prompt none is a response.
fn of_prompt(asked: &Asked) -> Value {
    let text = |text: &str| says(json!({"content": text}), "stop");
    match asked.prompt().as_str() {
        "question 0" => json!([text("yes"), says(json!({"refusal": "I cannot."}), "stop")]),
        "question 1" => json!([says(json!({"content": "cut", "refusal": ""}), "length"), text("whole")]),
        "question 2" => json!([
            says(json!({"tool_calls": [{"id": "1", "type": "function", "function": {"name": "f"}}]}), "tool_calls"),
            says(json!({"content": "I call", "function_call": {"name": "f", "arguments": "{}"}}), "stop"),
        ]),
        "question 3" => json!([says(json!({}), "stop"), says(json!({"content": " \n"}), "stop")]),
        "question 4" => json!([says(json!({"content": "half of i"}), "content_filter"), text("well")]),
        "question 5" => json!([
            says(json!({"content": [{"type": "image_url", "image_url": {"url": "data:"}}]}), "stop"),
            says(json!({"content": [{"type": "text", "text": "two "}, {"type": "text", "text": "parts"}]}), "stop"),
        ]),
        _ => json!([
            {"error": {"code": 502, "message": "upstream"}, "finish_reason": "error", "message": {"content": "ha"}},
            says(json!({"content": "given up"}), "abort"),
        ]),
    }
}

#[test]
fn what_is_no_response_is_left_out_and_counted_over_kills_and_later_commands() {
    let folder = Folder::new("");
    conversations(&folder, 7);
    let mended = Arc::new(AtomicBool::new(false));
    let server = Server::start({
        let mended = mended.clone();
        move |asked| match asked.prompt().as_str() {
            "question 4" if !mended.load(Ordering::Relaxed) => Reply::Status(400, "", "no".into()),
            _ => Asked::choices(&of_prompt(asked)),
        }
    });
    let options = ["--n", "2", "--concurrency", "1"];
    refused(&server.url, &folder, &options);
    mended.store(true, Ordering::Relaxed);
    let ended = generate(&server.url, &folder, &options);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    assert!(ended.error.contains("resumes after 4 of 7 prompts"), "{}", ended.error);
    assert_eq!(ended.out, format!("{}: 7 prompts, 5 of 14 responses\n", folder.argument("lines.jsonl")));
    let told = "left out: 1 refusal, 2 tool calls, 1 ended by a filter, 2 empty, 1 not text, 2 errors of the server; \
                3 prompts have no response\n";
    assert!(ended.error.ends_with(told), "{}", ended.error);

    let lines = lines(&folder);
    for (line, (responses, finish_reasons, left_out)) in lines.iter().zip([
        (json!(["yes"]), json!(["stop"]), json!({"refusal": 1})),
        (json!(["cut", "whole"]), json!(["length", "stop"]), Value::Null),
        (json!([]), json!([]), json!({"tool_call": 2})),
        (json!([]), json!([]), json!({"empty": 2})),
        (json!(["well"]), json!(["stop"]), json!({"content_filter": 1})),
        (json!(["two parts"]), json!(["stop"]), json!({"not_text": 1})),
        (json!([]), json!([]), json!({"error": 2})),
    ]) {
        assert_eq!((&line["responses"], &line["finish_reasons"]), (&responses, &finish_reasons));
        assert_eq!(line["left_out"], left_out, "{line}");
    }

    // Line i stays prompt i: rows without a response are rated with none, and teach nothing.
    let (rated, data) = (folder.argument("rated.jsonl"), folder.argument("lines.jsonl"));
    let reward = "tests/data/models/tiny-reward";
    let ended = hps(&["score", "--model_name_or_path", reward, "--data", &data, "--output", &rated]);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    assert_eq!(ended.out, format!("{rated}: 7 rows rated by {reward}, 3 of them without responses\n"));
    let rows = metrics(&read(&folder.path("rated.jsonl")));
    assert_eq!((&rows[2]["prompt"], &rows[2]["rewards"]), (&lines[2]["prompt"], &json!([])));
    assert_eq!(rows[1]["rewards"].as_array().map(Vec::len), Some(2));
    let ended = hps(&["data", &rated]);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    let counted = "rows                    7\nusable                  1\ndropped: 6 with fewer than two responses\n";
    assert!(ended.out.contains(counted), "{}", ended.out);
}

#[test]
fn what_is_no_response_ends_the_run_where_that_is_said() {
    let error = ["--unusable", "error"];
    let message = refused_for(
        |_| {
            Asked::choices(&json!([
                says(json!({"content": "yes"}), "stop"),
                says(json!({"refusal": "I\ncannot."}), "stop")
            ]))
        },
        &error,
    );
    let hint = "`--unusable drop` leaves such out";
    assert_eq!(message, format!("gives a refusal that says: I cannot. (response 1); {hint}"));
    for (choice, says) in [
        (says(json!({"content": ""}), "stop"), "an empty response"),
        (says(json!({"content": "a"}), "tool_calls"), "a tool call"),
        (says(json!({"content": "a"}), "content_filter"), "a response that its filter ended"),
        (says(json!({"audio": {"id": "a"}}), "stop"), "a response that is not text"),
        (json!({"error": "out of cards"}), "an error in place of a response that says: out of cards"),
        (says(json!({"content": [{"type": "refusal", "refusal": "No."}]}), "stop"), "a refusal that says: No."),
    ] {
        let message = refused_for(move |_| Asked::choices(&json!([choice])), &error);
        assert_eq!(message, format!("gives {says} (response 0); {hint}"));
    }
    let (folder, server) = (Folder::new(""), Server::start(Asked::well));
    conversations(&folder, 1);
    let ended = generate(&server.url, &folder, &["--unusable", "keep"]);
    assert!(
        ended.code == Some(2) && ended.error.contains("there are `drop` and `error`, no \"keep\""),
        "{}",
        ended.error
    );
}

#[test]
fn log_probs_that_are_not_finite_are_no_number_in_a_line() {
    let choice = |log_probs: Value| {
        let content: Vec<Value> = log_probs.as_array().expect("a list").iter().map(|n| json!({"logprob": n})).collect();
        let mut choice = says(json!({"content": "a b"}), "stop");
        choice["logprobs"] = json!({"content": content});
        choice
    };
    let choices = [
        choice(json!([-0.5, -0.25])),
        choice(json!([-0.5, null])),
        choice(json!([-9999.0, -0.25])),
        choice(json!([-1e308, -1e308])),
        choice(json!(["-inf", -0.25])),
    ];
    let line = line_of(json!(choices), &["--logprobs"]);
    assert_eq!(
        (&line["responses"], &line["log_probs"], &line["tokens"]),
        (&json!(["a b"]), &json!([-0.75]), &json!([2]))
    );
    assert_eq!((&line["finish_reasons"], &line["left_out"]), (&json!(["stop"]), &json!({"log_probs": 4})));

    let unusable = "was asked once; the answer cannot be used";
    let message = refused_for(|_| Asked::choices(&json!([says(json!({"content": "a"}), "stop")])), &["--logprobs"]);
    assert!(
        message.starts_with(&format!("{unusable} (`logprobs` were asked for and a choice has none): ")),
        "{message}"
    );
    let message = refused_for(move |_| Asked::choices(&json!([choice(json!([]))])), &["--logprobs"]);
    assert!(
        message.starts_with(&format!("{unusable} (`logprobs` were asked for and a choice has none): ")),
        "{message}"
    );
    let message = refused_for(move |_| Asked::choices(&json!([choice(json!([-1.0, 5.0]))])), &["--logprobs"]);
    assert!(
        message.starts_with(&format!("{unusable} (a token's log-prob is 5.0, and none is above 0): ")),
        "{message}"
    );
    let rounded = line_of(json!([choice(json!([-1.0, 7.62939453125e-6]))]), &["--logprobs"]);
    assert_eq!(rounded["log_probs"], json!([-1.0 + 7.62939453125e-6]));
    // As Python writes it.
    let body = r#"{"choices": [{"message": {"content": "a"}, "logprobs": {"content": [{"logprob": -Infinity}]}}]}"#;
    let message = refused_for(move |_| Reply::Status(200, "", body.into()), &["--logprobs"]);
    let says = "was asked once; answers 200 with what is not JSON (invalid number at line 1 column 82): ";
    assert_eq!(message, format!("{says}{body}"));
}

#[test]
fn choices_have_the_order_of_their_indices() {
    let choice =
        |index: Value, text: &str| json!({"index": index, "message": {"content": text}, "finish_reason": "stop"});
    let line = line_of(json!([choice(json!(2), "c"), choice(json!(0), "a"), choice(json!(1), "b")]), &[]);
    assert_eq!(line["responses"], json!(["a", "b", "c"]));
    // More than were asked for.
    let more = json!([choice(json!(2), "c"), choice(json!(1), "b"), choice(json!(0), "a")]);
    let server = Server::start(move |_| Asked::choices(&more));
    let folder = Folder::new("");
    conversations(&folder, 1);
    assert_eq!(generate(&server.url, &folder, &["--n", "2"]).code, Some(0));
    assert_eq!(lines(&folder)[0]["responses"], json!(["a", "b"]));

    for (choices, says) in [
        (json!([choice(json!(1), "a"), choice(json!(1), "b")]), "two of the answer's choices have `index` 1"),
        (
            json!([choice(json!(0), "a"), choice(json!(7), "b")]),
            "one of the answer's choices has `index` 7, and 2 were asked for",
        ),
        (
            json!([choice(json!(0), "a"), choice(Value::Null, "b")]),
            "some of the answer's choices have an `index` and some have none",
        ),
        (json!([{"delta": {"content": "a"}}]), "a choice has neither `text` nor `message`"),
        (json!([]), "`choices` is empty"),
        (json!([says(json!({"content": 7}), "stop")]), "a choice's `content` is neither text nor a list of parts"),
        (
            json!([says(json!({"content": [{"type": "text"}]}), "stop")]),
            "a part of a choice's `content` has no `type`, or is text and has no `text`",
        ),
    ] {
        let message = refused_for(move |_| Asked::choices(&choices), &[]);
        let start = format!("was asked once; the answer cannot be used ({says}): {{\"choices\":[");
        assert!(message.starts_with(&start), "{message}");
    }
}

#[test]
fn responses_that_repeat_are_told() {
    // It ignores the seed and gives one choice at a time.
    let server = Server::start(|asked| Asked::choices(&json!([says(json!({"content": asked.prompt()}), "stop")])));
    let folder = Folder::new("");
    conversations(&folder, 2);
    let ended = generate(&server.url, &folder, &["--n", "3"]);
    assert_eq!(ended.out, format!("{}: 2 prompts, 3 responses each\n", folder.argument("lines.jsonl")));
    assert_eq!(ended.error, "repeated: 4 of 6 responses are the same as an earlier one of their prompt\n");
    assert_eq!(server.asked().len(), 6);
}
