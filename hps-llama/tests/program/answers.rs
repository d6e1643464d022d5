//! `hps generate --endpoint`: what is said of answers that are none, and of pauses.

use crate::choices::{conversations, refused_for};
use crate::endpoint::{generate, lines, rows};
use crate::program::Folder;
use crate::server::{Asked, Reply, Server};
use serde_json::json;

#[test]
fn a_server_that_wants_max_completion_tokens_is_given_them() {
    let wants = |asked: &Asked| match asked.body.get("max_tokens") {
        Some(_) if asked.path.ends_with("/chat/completions") => {
            let message = "Unsupported parameter: 'max_tokens' is not supported with this model. \
                           Use 'max_completion_tokens' instead.";
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
        (json!({"choices": [], "message": "out of cards"}), format!("{once}answers 200 and says: out of cards")),
        (json!({"choices": null, "message": "out of cards"}), format!("{once}answers 200 and says: out of cards")),
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

/// With what the server says; whatever it says, in a short line.
#[test]
fn what_cannot_be_used_is_shown() {
    let once = "was asked once; the answer cannot be used";
    for (body, why) in [
        (json!({"detail": [{"msg": "out of cards"}]}), "it has no `choices`"),
        (json!({"success": false, "errors": ["out of cards"]}), "it has no `choices`"),
        (json!({"choices": [], "reason": "out of cards"}), "`choices` is empty"),
        (json!({"choices": {"0": "a"}}), "`choices` is not a list"),
        (json!([1]), "it is not an object"),
        (json!({"choices": ["a"]}), "a choice is not an object"),
        (json!({"choices": [{"index": 0.0, "text": "a"}]}), "the `index` of a choice is not a whole number"),
        (json!({"choices": [{"message": "a"}]}), "the `message` of a choice is not an object"),
        (json!({"choices": [{"message": {"refusal": ["a"]}}]}), "the `refusal` of a choice's message is not text"),
    ] {
        let text = body.to_string();
        let message = refused_for(move |_| Reply::Status(200, "", body.to_string()), &[]);
        assert_eq!(message, format!("{once} ({why}): {text}"));
    }
    let long = "Z".repeat(5000);
    let start = "{\"choices\":\"";
    let body = format!("{start}{long}\"}}");
    let cut = format!("{start}{}…", &long[..300 - start.len()]);
    let message = refused_for(move |_| Reply::Status(200, "", body.clone()), &[]);
    assert_eq!(message, format!("{once} (`choices` is not a list): {cut}"));
    let body = format!("{{\"{long}\": 1, \"{long}\": 2}}");
    let message = refused_for(move |_| Reply::Status(200, "", body.clone()), &[]);
    assert_eq!(message, format!("{once} (`{}…): {{\"{}…", &long[..299], &long[..298]));

    let zipped = || Reply::Status(200, "content-encoding: gzip\r\n", "no JSON".into());
    let says = "was asked once; answers 200 with what is not JSON (its `content-encoding` is gzip, which is not read): no JSON";
    assert_eq!(refused_for(move |_| zipped(), &[]), says);
}

#[test]
fn an_error_that_is_none_is_none() {
    for error in [json!(false), json!(null)] {
        let choices = json!([{"index": 0, "message": {"content": "a"}, "error": error}]);
        let body = json!({"error": error, "choices": choices}).to_string();
        let (folder, server) = (Folder::new(""), Server::start(move |_| Reply::Status(200, "", body.clone())));
        conversations(&folder, 1);
        let ended = generate(&server.url, &folder, &["--n", "1"]);
        assert_eq!(ended.code, Some(0), "{}", ended.error);
        assert_eq!(lines(&folder)[0]["responses"], json!(["a"]));
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
    assert_eq!(
        message,
        "was asked once; the answer cannot be used (`choices` stands twice in one object at line 1 column 25): {\"choices\": [], \"choices\": []}"
    );

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
