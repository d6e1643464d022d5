//! `hps generate --endpoint` against a server that answers, delays, refuses, cuts connections and talks nonsense.

use crate::program::{Ended, Folder, killed_when, metrics, read, root};
use crate::server::{Asked, Reply, Server};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub const KEY: &str = "sk-nobody-may-see-this";

pub fn command(server: &str, folder: &Folder, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hps"));
    command.args(["generate", "--endpoint", server, "--model", "a-model", "--api_key_env", "HPS_TEST_KEY"]);
    command.args(["--data", &folder.argument("rows.jsonl"), "--output", &folder.argument("lines.jsonl")]);
    command.args(arguments).env("HPS_TEST_KEY", KEY).env_remove("OPENAI_API_KEY").current_dir(root());
    command
}

pub fn generate(server: &str, folder: &Folder, arguments: &[&str]) -> Ended {
    let output = command(server, folder, arguments).output().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    let ended = Ended { code: output.status.code(), out: text(output.stdout), error: text(output.stderr) };
    assert!(!ended.out.contains(KEY) && !ended.error.contains(KEY), "{ended:?}");
    for name in ["lines.jsonl", "lines.jsonl.partial", "lines.jsonl.partial.json"] {
        let written = std::fs::read(folder.path(name)).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&written).contains(KEY), "{name}");
    }
    ended
}

/// What it says after `error: ` and the file of rows.
pub fn refused(server: &str, folder: &Folder, arguments: &[&str]) -> String {
    let ended = generate(server, folder, arguments);
    assert_eq!(ended.code, Some(1), "{}", ended.error);
    let line = ended.error.lines().last().expect("a line");
    line.strip_prefix("error: ").expect("an error").replace(&folder.argument("rows.jsonl"), "rows.jsonl")
}

/// A file of prompts: texts and, every third, messages.
pub fn rows(folder: &Folder, count: usize) -> Vec<Value> {
    let prompt = |index: usize| match index % 3 {
        0 => {
            json!([{"role": "system", "content": "be brief"}, {"role": "user", "content": format!("question {index}")}])
        }
        _ => json!(format!("question {index}")),
    };
    let prompts: Vec<Value> = (0..count).map(prompt).collect();
    let lines: Vec<String> = prompts.iter().map(|prompt| json!({"prompt": prompt}).to_string()).collect();
    std::fs::write(folder.path("rows.jsonl"), lines.join("\n")).expect("a file");
    prompts
}

pub fn lines(folder: &Folder) -> Vec<Value> {
    metrics(&read(&folder.path("lines.jsonl")))
}

/// What was asked last in a prompt.
fn question(prompt: &Value) -> &str {
    let last = prompt.as_array().and_then(|messages| messages.last());
    last.map_or(prompt, |message| &message["content"]).as_str().expect("text")
}

/// Each prompt's line in its place, `n` responses to it, none twice.
fn assert_complete(lines: &[Value], prompts: &[Value], n: usize) {
    assert_eq!(lines.len(), prompts.len());
    let mut all = HashSet::new();
    for (line, prompt) in lines.iter().zip(prompts) {
        assert_eq!(&line["prompt"], prompt);
        let responses = line["responses"].as_array().expect("a list");
        assert_eq!((responses.len(), line["finish_reasons"].as_array().map(Vec::len)), (n, Some(n)));
        for response in responses.iter().map(|response| response.as_str().expect("text")) {
            assert!(response.starts_with(&format!("{} ", question(prompt))), "{response} to {prompt}");
            assert!(all.insert(response.to_string()), "{response} twice");
        }
    }
}

/// The first time that a request comes, the server does one of these with it; half of its answers are short.
fn moody(asked: &Asked) -> Reply {
    let number: usize = asked.prompt().trim_start_matches("question ").parse().expect("a number");
    let echo = json!({"error": {"message": format!("you are {}", asked.authorization.clone().unwrap_or_default())}});
    match (asked.times, number % 9) {
        (0, 0) => Reply::Status(429, "retry-after: 1\r\n", echo.to_string()),
        (0, 1) => Reply::Status(500, "", echo.to_string()),
        (0, 2) => Reply::Status(503, "", "<html>busy</html>".into()),
        (0, 3) => Reply::Cut(asked.answer(asked.count())),
        (0, 4) => Reply::Hang,
        (0, 5) => Reply::Status(200, "", "{\"choices\": [{\"text\": \"half an ans".into()),
        (0, 6) => Reply::Status(200, "", json!({"choices": [], "note": asked.authorization}).to_string()),
        (0, 7) => Reply::After(Duration::from_millis(150), Box::new(asked.well())),
        _ if number % 2 == 1 => Reply::Status(200, "", asked.answer(asked.count().min(2))),
        _ => asked.well(),
    }
}

#[test]
fn nothing_is_lost_and_nothing_doubled() {
    let (folder, server) = (Folder::new(""), Server::start(moody));
    let prompts = rows(&folder, 45);
    let start = Instant::now();
    let ended = generate(&server.url, &folder, &["--n", "5", "--temperature", "0.7", "--top_p", "0.9", "--logprobs"]);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    assert!(start.elapsed() >= Duration::from_secs(1), "a pause of a second was asked for");
    let lines = lines(&folder);
    assert_complete(&lines, &prompts, 5);
    for line in &lines {
        let chat = line["prompt"].is_array();
        let (sum, count, reason) = if chat { (-1.5, 2, "stop") } else { (-0.25, 1, "length") };
        assert_eq!(line["log_probs"], json!(vec![sum; 5]));
        assert_eq!((&line["tokens"], &line["finish_reasons"]), (&json!(vec![count; 5]), &json!(vec![reason; 5])));
    }
    let asked = server.asked();
    assert!(asked.iter().all(|asked| asked.authorization.as_deref() == Some(&*format!("Bearer {KEY}"))));
    for request in &asked {
        let body = &request.body;
        assert_eq!(
            (&body["model"], &body["temperature"], &body["top_p"]),
            (&json!("a-model"), &json!(0.7), &json!(0.9))
        );
        assert_eq!((&body["max_tokens"], body.get("top_k")), (&json!(256), None));
        let path = if body["messages"].is_array() { "/v1/chat/completions" } else { "/v1/completions" };
        assert_eq!(request.path, path);
    }
    // A prompt's requests for the rest have other seeds; requests sent again have the same.
    let of = |number: usize| asked.iter().filter(move |asked| asked.prompt() == format!("question {number}"));
    let rests: Vec<(usize, Value)> = of(17).map(|asked| (asked.count(), asked.body["seed"].clone())).collect();
    assert_eq!(rests.iter().map(|(count, _)| *count).collect::<Vec<_>>(), [5, 3, 1]);
    assert!(rests[0].1 != rests[1].1 && rests[1].1 != rests[2].1 && rests[0].1 != rests[2].1, "{rests:?}");
    let again: Vec<Value> = of(18).map(|asked| asked.body.clone()).collect();
    assert!(again.len() == 2 && again[0] == again[1], "{again:?}");
}

#[test]
fn a_refusal_ends_it_and_it_goes_on_after_that() {
    let folder = Folder::new("");
    let prompts = rows(&folder, 6);
    let mended = Arc::new(AtomicBool::new(false));
    let server = Server::start({
        let mended = mended.clone();
        move |asked| match asked.prompt().as_str() {
            "question 4" if !mended.load(Ordering::Relaxed) => {
                let key = asked.authorization.clone().unwrap_or_default();
                let message = format!("no\nsuch {key} model {}", "very ".repeat(200));
                Reply::Status(404, "", json!({"error": {"message": message}}).to_string())
            }
            _ => asked.well(),
        }
    });
    let options = ["--n", "2", "--concurrency", "1"];
    let message = refused(&server.url, &folder, &options);
    let start =
        format!("rows.jsonl:5: {}/v1/completions answers 404 and says: no such Bearer [key] model very", server.url);
    assert!(message.starts_with(&start) && message.ends_with('…') && message.len() < 500, "{message}");
    assert!(!folder.path("lines.jsonl").exists());
    assert_eq!(metrics(&read(&folder.path("lines.jsonl.partial"))).len(), 4);

    // Other options, or another server, are another run.
    let well = Server::start(Asked::well);
    let message = refused(&well.url, &folder, &options);
    assert!(message.contains("its lines are of a run with other options: `endpoint` was"), "{message}");
    let message = refused(&server.url, &folder, &["--n", "3", "--concurrency", "1"]);
    assert!(message.contains("`options.n` was 2 and is 3"), "{message}");

    mended.store(true, Ordering::Relaxed);
    let before = server.asked().len();
    let ended = generate(&server.url, &folder, &options);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    assert!(ended.error.contains("resumes after 4 of 6 prompts"), "{}", ended.error);
    let since: Vec<String> = server.asked()[before..].iter().map(Asked::prompt).collect();
    assert_eq!(since, ["question 4", "question 5"]);
    assert_complete(&lines(&folder), &prompts, 2);
    assert!(!folder.path("lines.jsonl.partial").exists() && !folder.path("lines.jsonl.partial.json").exists());
    let message = refused(&well.url, &folder, &options);
    assert!(message.ends_with("lines.jsonl: exists already; remove it, or give `--overwrite`"), "{message}");
    let ended = generate(&well.url, &folder, &["--n", "2", "--overwrite"]);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    assert_complete(&lines(&folder), &prompts, 2);
    assert!(!folder.path("lines.jsonl.partial").exists() && !folder.path("lines.jsonl.partial.json").exists());
}

#[test]
fn a_server_that_fails_too_often_ends_it() {
    let folder = Folder::new("");
    rows(&folder, 1);
    let busy = Server::start(|_| Reply::Status(502, "", json!({"detail": "out of order"}).to_string()));
    let message = refused(&busy.url, &folder, &["--max_retries", "1"]);
    let url = format!("{}/v1/chat/completions", busy.url);
    assert_eq!(message, format!("rows.jsonl:1: {url} was asked 2 times; answers 502 and says: out of order"));
    assert_eq!(busy.asked().len(), 2);

    let slow = Server::start(|asked| Reply::After(Duration::from_secs(20), Box::new(asked.well())));
    let message = refused(&slow.url, &folder, &["--max_retries", "0", "--timeout", "1", "--overwrite"]);
    assert!(message.contains("was asked once; does not answer: timeout"), "{message}");

    let redirect = Server::start(|_| Reply::Status(307, "location: http://127.0.0.1:9/v1\r\n", String::new()));
    let message = refused(&redirect.url, &folder, &["--overwrite"]);
    let says = "answers 307: go to http://127.0.0.1:9/v1; redirects are not followed";
    assert_eq!(message, format!("rows.jsonl:1: {}/v1/chat/completions {says}", redirect.url));
}

#[test]
fn addresses_and_keys_that_will_not_do_are_refused() {
    let folder = Folder::new("");
    rows(&folder, 1);
    for (url, says) in [
        ("http://user:sk-nobody-may-see-this@host/v1", "holds a user, a query or a fragment"),
        ("http://host/v1?key=sk-nobody-may-see-this", "holds a user, a query or a fragment"),
        ("http://host/sk-nobody-may-see-this/v1", "holds the key, or a part of it"),
        ("ftp://host", "begins with neither http:// nor https://"),
        ("http:///v1", "names no host"),
    ] {
        let message = refused(url, &folder, &[]);
        assert!(message.starts_with("`endpoint`: the URL ") && message.contains(says), "{message}");
    }
    if !cfg!(feature = "https") {
        let message = refused("https://host/v1", &folder, &[]);
        assert!(message.contains("built without `https`"), "{message}");
    }
    for (key, says) in [(None, "is not set"), (Some(" "), "the key is empty"), (Some("a\nb"), "visible ASCII")] {
        let mut command = command("http://127.0.0.1:9", &folder, &[]);
        match key {
            None => command.env_remove("HPS_TEST_KEY"),
            Some(key) => command.env("HPS_TEST_KEY", key),
        };
        let output = command.output().expect("the program starts");
        let error = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.starts_with("error: the environment's `HPS_TEST_KEY`: ") && error.contains(says), "{error}");
    }
}

/// A server whose answers follow from the request; killed at any moment, the file is the same.
#[test]
fn a_killed_run_goes_on_to_the_same_bytes() {
    let slow = |asked: &Asked| {
        let pause = asked.body["seed"].as_u64().expect("a seed") % 40;
        Reply::After(Duration::from_millis(pause), Box::new(asked.well()))
    };
    let server = Server::start(slow);
    let folder = Folder::new("");
    let prompts = rows(&folder, 60);
    let options = ["--n", "4", "--n_per_request", "3", "--concurrency", "6"];
    let ended = generate(&server.url, &folder, &options);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    let whole = read(&folder.path("lines.jsonl"));
    assert_complete(&lines(&folder), &prompts, 4);
    std::fs::remove_file(folder.path("lines.jsonl")).expect("a file");

    let path = folder.path("lines.jsonl.partial");
    let bytes = || std::fs::read(&path).unwrap_or_default();
    let lines = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count();
    let (mut kills, mut partial) = (0, Vec::new());
    while !folder.path("lines.jsonl").exists() {
        // Some lines on, with requests on their way; each call gets further than the last.
        let goal = lines(&partial) + 1 + kills % 7;
        kills += usize::from(killed_when(&mut command(&server.url, &folder, &options), || lines(&bytes()) >= goal));
        let now = bytes();
        assert!(now.is_empty() || now.len() >= partial.len() || folder.path("lines.jsonl").exists());
        partial = now;
        assert!(kills <= 60, "it does not get on");
    }
    println!("{kills} kills");
    assert!(kills > 2);
    assert!(read(&folder.path("lines.jsonl")) == whole, "after {kills} kills: other bytes");
}
