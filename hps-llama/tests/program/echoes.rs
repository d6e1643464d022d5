//! `hps generate --endpoint` with a server that repeats the key wherever it can.

use crate::endpoint::{KEY, command, generate, lines, refused};
use crate::program::Folder;
use crate::server::{Asked, Reply, Server};
use serde_json::json;

/// The key in base64, by GNU's `base64`: alone, after `Bearer `, and before a line end after two characters.
const BASE64: [&str; 3] = [
    "c2stbm9ib2R5LW1heS1zZWUtdGhpcw==",
    "QmVhcmVyIHNrLW5vYm9keS1tYXktc2VlLXRoaXM=",
    "Iz1zay1ub2JvZHktbWF5LXNlZS10aGlzCg==",
];

fn prompts(folder: &Folder) {
    std::fs::write(folder.path("rows.jsonl"), json!({"prompt": "question"}).to_string()).expect("a file");
}

/// The key as servers and hostile texts might write it, and what is left of that.
fn disguises() -> Vec<(String, &'static str)> {
    let each = |escape: fn(u8) -> String| KEY.bytes().map(escape).collect::<String>();
    vec![
        (KEY.into(), "[key]"),
        (KEY.to_uppercase(), "[key]"),
        (format!("Bearer {KEY}"), "Bearer [key]"),
        (each(|byte| format!("%{byte:02x}")), "[key]"),
        (each(|byte| format!("\\u{byte:04X}")), "[key]"),
        (each(|byte| format!("&#{byte};")), "[key]"),
        (each(|byte| format!("{byte:02x}")), "[key]"),
        (each(|byte| format!("{byte:02X}")), "[key]"),
        (format!("{}\n{}", &KEY[..9], &KEY[9..]), "[key]"),
        (each(|byte| format!("{} ", byte as char)).trim_end().into(), "[key]"),
        (BASE64[0].into(), "[key]w=="),
        (BASE64[1].into(), "QmVhcmVyIH[key]M="),
        (BASE64[2].into(), "Iz1[key]Cg=="),
    ]
}

#[test]
fn the_key_does_not_reach_a_line() {
    let choice = |text: &str| json!({"text": format!("it is {text}!"), "finish_reason": format!("stop {text}")});
    let choices: Vec<_> = disguises().iter().map(|(written, _)| choice(written)).collect();
    let (folder, server) = (Folder::new(""), Server::start(move |_| Asked::choices(&json!(choices))));
    prompts(&folder);
    let ended = generate(&server.url, &folder, &["--n", &disguises().len().to_string()]);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    let line = lines(&folder).remove(0);
    for (index, (written, hidden)) in disguises().iter().enumerate() {
        assert_eq!(line["responses"][index], format!("it is {hidden}!"), "{written}");
        assert_eq!(line["finish_reasons"][index], format!("stop {hidden}"), "{written}");
    }
}

#[test]
fn the_key_does_not_reach_an_error() {
    let folder = Folder::new("");
    prompts(&folder);
    for (written, hidden) in disguises() {
        let message = json!({"error": {"message": format!("no key {written}!")}}).to_string();
        let server = Server::start(move |_| Reply::Status(400, "", message.clone()));
        let start = format!("rows.jsonl:1: {}/v1/completions ", server.url);
        let message = refused(&server.url, &folder, &[]);
        assert_eq!(message, format!("{start}answers 400 and says: no key {hidden}!"), "{written}");
    }
    let start = |server: &Server| format!("rows.jsonl:1: {}/v1/completions ", server.url);
    let to = |reply: fn(&Asked) -> Reply| {
        let server = Server::start(reply);
        let message = refused(&server.url, &folder, &["--max_retries", "0", "--unusable", "error"]);
        message.strip_prefix(&start(&server)).unwrap_or_else(|| panic!("{message}")).to_string()
    };
    // In two fields, with a part of it, where it is cut, as a redirect's place, in what is not JSON.
    assert_eq!(
        to(|_| Reply::Status(422, "", json!({"a": &KEY[..9], "b": &KEY[9..], "c": &KEY[3..9]}).to_string())),
        r#"answers 422 and says: {"a":"[key]","b":"[key]","c":"nobody"}"#
    );
    assert_eq!(
        to(|_| Reply::Status(500, "", format!("{}{KEY}", "a".repeat(290)))),
        format!("was asked once; answers 500 and says: {}[key]", "a".repeat(290))
    );
    assert_eq!(
        to(|_| Reply::Status(
            302,
            "location: http://127.0.0.1:9/login?key=sk-nobody-may-see%2dthis\r\n",
            String::new()
        )),
        "answers 302: go to http://127.0.0.1:9/login?key=[key]; redirects are not followed"
    );
    assert_eq!(
        to(|_| Reply::Status(200, "", format!("you are {KEY}"))),
        "was asked once; answers 200 with what is not JSON (expected value at line 1 column 1): you are [key]"
    );
    assert_eq!(
        to(|_| Reply::Status(200, "", json!({"choices": [{"index": KEY, "text": "a"}]}).to_string())),
        r#"was asked once; the answer cannot be used (the `index` of a choice is not a whole number): {"choices":[{"index":"[key]","text":"a"}]}"#
    );
    assert_eq!(
        to(|_| Asked::choices(&json!([{"error": {"message": format!("for {KEY}")}}]))),
        "gives an error in place of a response that says: for [key] (response 0); `--unusable drop` leaves such out"
    );
}

#[test]
fn no_body_of_401_and_403_is_shown() {
    let folder = Folder::new("");
    prompts(&folder);
    for (status, body) in [(401, "sk-nob***this"), (403, "s.k.-.n.o.b.o.d.y")] {
        let server = Server::start(move |_| Reply::Status(status, "", json!({"error": {"message": body}}).to_string()));
        let message = refused(&server.url, &folder, &[]);
        let says =
            format!("answers {status} to the key that was sent; what it says is not shown, as it may repeat a key");
        assert_eq!(message, format!("rows.jsonl:1: {}/v1/completions {says}", server.url));
        assert_eq!(server.asked().len(), 1);
    }
}

#[test]
fn a_pause_does_not_show_the_key() {
    let busy = |asked: &Asked| match asked.times {
        0 => Reply::Status(
            429,
            "retry-after: 2.5\r\n",
            json!({"error": {"message": format!("{KEY} is busy")}}).to_string(),
        ),
        _ => asked.well(),
    };
    let (folder, server) = (Folder::new(""), Server::start(busy));
    prompts(&folder);
    let ended = generate(&server.url, &folder, &["--n", "1"]);
    let start = format!("{}:1: waits 3 s: {}/v1/completions", folder.argument("rows.jsonl"), server.url);
    let lines: Vec<&str> = ended.error.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("1 prompt is text, "), "{lines:?}");
    assert_eq!(lines[1], format!("{start} answers 429 and says: [key] is busy"));
}

/// What stands in for a key is a word like others.
#[test]
fn texts_that_hold_a_placeholder_stay() {
    let folder = Folder::new("");
    prompts(&folder);
    for placeholder in ["EMPTY", "none", "x", "sk-no-key-required"] {
        let text = format!("an {placeholder} box");
        let choices = json!([{"text": text}]);
        let server = Server::start(move |_| Asked::choices(&choices));
        let mut command = command(&server.url, &folder, &["--n", "1", "--overwrite"]);
        let output = command.env("HPS_TEST_KEY", placeholder).output().expect("the program starts");
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(server.asked()[0].authorization, Some(format!("Bearer {placeholder}")));
        assert_eq!(lines(&folder)[0]["responses"], json!([text]));
    }
}
