//! `hps generate --endpoint`: what a server's choices become, and what is said of answers that are none.

use crate::endpoint::{generate, lines, refused, rows};
use crate::program::{Folder, hps, metrics, read};
use crate::server::{Asked, Reply, Server};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A choice of a chat completion: its message's fields beside the role, and why it ends.
fn says(message: Value, finish_reason: &str) -> Value {
    let mut whole = json!({"role": "assistant", "content": null, "refusal": null, "tool_calls": []});
    whole.as_object_mut().expect("an object").extend(message.as_object().expect("an object").clone());
    json!({"message": whole, "finish_reason": finish_reason})
}

/// Prompts that are conversations: `question 0`, `question 1`, …
fn conversations(folder: &Folder, count: usize) {
    let line = |index| json!({"prompt": [{"role": "user", "content": format!("question {index}")}]}).to_string();
    std::fs::write(folder.path("rows.jsonl"), (0..count).map(line).collect::<Vec<_>>().join("\n")).expect("a file");
}

/// What it says when it is asked for one prompt's responses and answers so.
fn refused_for(reply: impl Fn(&Asked) -> Reply + Send + Sync + 'static, more: &[&str]) -> String {
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
    assert!(ended.error.contains("goes on after 4 of 7 prompts"), "{}", ended.error);
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

    let message = refused_for(|_| Asked::choices(&json!([says(json!({"content": "a"}), "stop")])), &["--logprobs"]);
    assert_eq!(message, "was asked once; `logprobs` were asked for and a choice has none");
    let message = refused_for(move |_| Asked::choices(&json!([choice(json!([]))])), &["--logprobs"]);
    assert_eq!(message, "was asked once; `logprobs` were asked for and a choice has none");
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
        (json!([]), "the answer has no choices"),
        (json!([says(json!({"content": 7}), "stop")]), "a choice's `content` is neither text nor a list of parts"),
        (
            json!([says(json!({"content": [{"type": "text"}]}), "stop")]),
            "a part of a choice's `content` has no `type`, or is text and has no `text`",
        ),
    ] {
        assert_eq!(refused_for(move |_| Asked::choices(&choices), &[]), format!("was asked once; {says}"));
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

#[test]
fn a_server_that_wants_max_completion_tokens_is_given_them() {
    let wants = |asked: &Asked| match asked.body.get("max_tokens") {
        Some(_) if asked.path.ends_with("/chat/completions") => {
            let message = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.";
            Reply::Status(400, "", json!({"error": {"message": message, "param": "max_tokens"}}).to_string())
        }
        _ => asked.well(),
    };
    let message = refused_for(wants, &[]);
    assert_eq!(
        message,
        "answers 400 and says: Unsupported parameter: 'max_tokens' is not supported with this model. Use \
         'max_completion_tokens' instead.; `--max_tokens_field max_completion_tokens` sends that"
    );
    let (folder, server) = (Folder::new(""), Server::start(wants));
    rows(&folder, 2);
    let options = ["--n", "1", "--max_tokens", "77", "--max_tokens_field", "max_completion_tokens"];
    let ended = generate(&server.url, &folder, &options);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    for asked in server.asked() {
        let (given, other) = match asked.path.ends_with("/chat/completions") {
            true => ("max_completion_tokens", "max_tokens"),
            false => ("max_tokens", "max_completion_tokens"),
        };
        assert_eq!((&asked.body[given], asked.body.get(other)), (&json!(77), None));
    }
}

#[test]
fn errors_under_status_200_are_the_servers_words() {
    let once = "was asked once; ";
    for (body, says) in [
        (json!({"error": {"message": "out of cards"}}), format!("{once}answers 200 and says: out of cards")),
        (json!({"error": "out of cards"}), format!("{once}answers 200 and says: out of cards")),
        (json!({"object": "error", "message": "out of\ncards"}), format!("{once}answers 200 and says: out of cards")),
        (json!({"detail": "out of cards"}), format!("{once}answers 200 and says: out of cards")),
        (json!({"error": {"a": 7}}), format!("{once}answers 200 and says: {{\"error\":{{\"a\":7}}}}")),
        (
            json!({"error": {"message": "slow down", "code": 429}}),
            format!("{once}answers 200 with error 429 and says: slow down"),
        ),
        (
            json!({"error": {"message": "sk-***is", "code": "invalid_api_key"}}),
            "answers 200 with error 401 to the key that was sent; what it says is not shown, as it may repeat a key"
                .into(),
        ),
        (
            json!({"object": "error", "message": "no such model", "code": 404}),
            "answers 200 with error 404 and says: no such model".into(),
        ),
        (
            json!({"error": {"message": "bad key", "code": 401}}),
            "answers 200 with error 401 to the key that was sent; what it says is not shown, as it may repeat a key"
                .into(),
        ),
    ] {
        assert_eq!(refused_for(move |_| Reply::Status(200, "", body.to_string()), &[]), says);
    }
}

#[test]
fn answers_that_are_none_are_no_short_responses() {
    let raw =
        |head: &str, body: &[u8]| Reply::Raw([format!("HTTP/1.1 200 OK\r\n{head}\r\n").as_bytes(), body].concat());
    let whole = json!({"choices": [{"message": {"content": "a"}}, {"message": {"content": "b"}}]}).to_string();

    let html = "<!doctype html>\n<title>Sign in</title>";
    let message = refused_for(move |_| Reply::Status(200, "content-type: text/html\r\n", html.into()), &[]);
    let not_json = "was asked once; answers 200 with what is not JSON";
    assert_eq!(
        message,
        format!("{not_json} (expected value at line 1 column 1): <!doctype html> <title>Sign in</title>")
    );
    let message = refused_for(|_| Reply::Status(204, "", String::new()), &[]);
    assert_eq!(
        message,
        "was asked once; answers 204 with what is not JSON (EOF while parsing a value at line 1 column 0): nothing"
    );
    let message = refused_for(|_| Reply::Status(200, "", "{\"choices\": [{\"text\": 1e999}]}".into()), &[]);
    assert_eq!(
        message,
        format!("{not_json} (number out of range at line 1 column 27): {{\"choices\": [{{\"text\": 1e999}}]}}")
    );
    let message = refused_for(|_| Reply::Status(200, "", "{\"choices\": [{\"text\": \"\\ud800\"}]}".into()), &[]);
    assert!(message.starts_with(&format!("{not_json} (unexpected end of hex escape at line 1 column ")), "{message}");
    let message = refused_for(|_| Reply::Status(200, "", "{\"choices\": [], \"choices\": []}".into()), &[]);
    assert_eq!(message, "was asked once; the answer is none: `choices` stands twice in one object at line 1 column 25");

    // Invalid UTF-8; an end before the length that was said, before a chunk's, before the last chunk, and of no length.
    let message =
        refused_for(move |_| raw("content-length: 36\r\n", b"{\"choices\": [{\"text\": \"a\xff b\"}, 7, 8]}"), &[]);
    assert!(message.starts_with(&format!("{not_json} (invalid unicode code point at line 1 column ")), "{message}");
    let half = whole[..whole.len() / 2].to_string();
    let message = refused_for(
        {
            let half = half.clone();
            move |_| raw("content-length: 500\r\n", half.as_bytes())
        },
        &[],
    );
    assert!(message.starts_with("was asked once; does not answer: "), "{message}");
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    for body in [format!("ffff\r\n{whole}"), chunk(&half), chunk(&whole)] {
        let message = refused_for(move |_| raw("transfer-encoding: chunked\r\n", body.as_bytes()), &[]);
        assert!(message.starts_with("was asked once; does not answer: "), "{message}");
    }
    let message = refused_for(
        {
            let half = half.clone();
            move |_| raw("connection: close\r\n", half.as_bytes())
        },
        &[],
    );
    assert!(message.starts_with(&format!("{not_json} (EOF while parsing")), "{message}");

    // A byte order mark, chunks, and fields that nobody reads are no matter.
    let marked = format!("\u{feff}{whole}");
    let body = format!("{}{}0\r\n\r\n", chunk(&marked[..20]), chunk(&marked[20..]));
    let server = Server::start(move |_| raw("transfer-encoding: chunked\r\n", body.as_bytes()));
    let folder = Folder::new("");
    conversations(&folder, 1);
    let ended = generate(&server.url, &folder, &["--n", "2", "--max_retries", "0"]);
    assert_eq!((ended.code, &*ended.error), (Some(0), ""));
    let line = lines(&folder).remove(0);
    assert_eq!((&line["responses"], &line["finish_reasons"]), (&json!(["a", "b"]), &json!([null, null])));
}

#[test]
fn a_long_pause_is_told() {
    let busy = |asked: &Asked| match asked.times {
        0 => Reply::Status(429, "retry-after: 3\r\n", json!({"error": {"message": "slow down"}}).to_string()),
        1 => Reply::Status(
            503,
            "date: Wed, 21 Oct 2026 07:27:57 GMT\r\nretry-after: Wed, 21 Oct 2026 07:28:00 GMT\r\n",
            String::new(),
        ),
        _ => asked.well(),
    };
    let (folder, server) = (Folder::new(""), Server::start(busy));
    conversations(&folder, 1);
    let ended = generate(&server.url, &folder, &["--n", "1"]);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    let start = format!("{}:1: waits 3 s: {}/v1/chat/completions", folder.argument("rows.jsonl"), server.url);
    assert_eq!(
        ended.error,
        format!("{start} answers 429 and says: slow down\n{start} answers 503 and says: nothing\n")
    );
}
