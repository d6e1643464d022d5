//! Every shape of preference data, what is dropped, and every refusal's words.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use hps_llama::data::{Dataset, Dropped, Message, Prompt, Reason, Response, Row, read};
use hps_llama::{ErrorKind, Result};
use serde_json::json;
use tempfile::TempDir;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data");

/// Keeps its folder for as long as it lives.
struct File(TempDir);

impl File {
    fn new(bytes: impl AsRef<[u8]>) -> Self {
        let file = File(TempDir::new().unwrap());
        fs::write(file.path(), bytes).unwrap();
        file
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("train.jsonl")
    }
}

fn read_bytes(bytes: impl AsRef<[u8]>) -> Result<Dataset> {
    read(File::new(bytes).path())
}

/// What the error says from the file's name on.
fn refusal(bytes: impl AsRef<[u8]>) -> String {
    let error = read_bytes(bytes).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Row, "{error}");
    let message = error.to_string();
    message[message.find("train.jsonl").unwrap()..].to_owned()
}

fn one(line: &str) -> Row {
    let mut data = read_bytes(line).unwrap();
    assert_eq!((data.rows.len(), data.dropped.total()), (1, 0));
    data.rows.remove(0)
}

fn dropped(line: &str) -> Reason {
    let data = read_bytes(line).unwrap();
    assert_eq!((data.rows.len(), data.dropped.total()), (0, 1));
    Reason::ALL.into_iter().find(|&reason| data.dropped.count(reason) == 1).unwrap()
}

fn texts(texts: &[&str]) -> Vec<Response> {
    texts.iter().map(|&text| Response::Text(text.into())).collect()
}

fn answers(texts: &[&str]) -> Vec<Response> {
    texts.iter().map(|&text| Response::Messages(vec![Message::assistant(text)])).collect()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut gz = GzEncoder::new(Vec::new(), Compression::default());
    gz.write_all(text.as_bytes()).unwrap();
    gz.finish().unwrap()
}

#[test]
fn conversational_pairs_of_a_trl_run() {
    let path = Path::new(DATA).join("trl-sigmoid/preferences.jsonl");
    let data = read(&path).unwrap();
    assert_eq!((data.rows.len(), data.dropped), (24, Dropped::default()));
    for (index, row) in data.rows.iter().enumerate() {
        assert_eq!(row.id() as usize, index);
        assert_eq!(row.place(), format!("{}:{}", path.display(), index + 1));
        assert_eq!(row.rewards(), [1.0, 0.0]);
    }
    let first = &data.rows[0];
    let prompt = "Ladder answer! neighbour router a garden naïve of.";
    assert_eq!(*first.prompt(), Prompt::Messages(vec![Message::user(prompt)]));
    let expected = ["The résumé neighbour router again; again;.", "Passport router a again; neighbour of."];
    assert_eq!(first.responses(), answers(&expected));
}

#[test]
fn lists_are_sorted_stably() {
    let row = one(r#"{"prompt": "p", "responses": ["a", "b", "c", "d"], "rewards": [0, 2, -1.5, 0], "id": 7}"#);
    assert_eq!(*row.prompt(), Prompt::Text("p".into()));
    assert_eq!(row.responses(), texts(&["b", "a", "d", "c"]));
    assert_eq!(row.rewards(), [2.0, 0.0, 0.0, -1.5]);
    let messages = r#"{"prompt": [{"role": "user", "content": "p"}], "rewards": [0, 1],
        "responses": ["a", [{"role": "assistant", "content": "b", "name": null}]]}"#;
    let row = one(&messages.replace('\n', ""));
    assert_eq!(row.responses(), answers(&["b", "a"]));
    assert_eq!(dropped(r#"{"prompt": "p", "responses": ["a", "b"], "rewards": [0.0, -0.0]}"#), Reason::Tied);
}

#[test]
fn text_pairs() {
    let row = one(r#"{"prompt": "The sky is", "chosen": " blue.", "rejected": " green."}"#);
    assert_eq!(*row.prompt(), Prompt::Text("The sky is".into()));
    assert_eq!((row.responses(), row.rewards()), (&texts(&[" blue.", " green."])[..], &[1.0, 0.0][..]));
    let row = one(r#"{"prompt": [{"role": "user", "content": "p"}], "chosen": "a", "rejected": "b"}"#);
    assert_eq!(row.responses(), answers(&["a", "b"]));
}

#[test]
fn implicit_prompts() {
    let turn = |role: &str, content: &str| json!({"role": role, "content": content});
    let row = |chosen: &[_], rejected: &[_]| json!({"chosen": chosen, "rejected": rejected}).to_string();
    let (ask, answer, again) = (turn("user", "1?"), turn("assistant", "1."), turn("user", "2?"));
    let (good, bad) = (turn("assistant", "good"), turn("assistant", "bad"));
    let found = one(&row(
        &[ask.clone(), answer.clone(), again.clone(), good.clone()],
        &[ask.clone(), answer.clone(), again.clone(), bad.clone()],
    ));
    let prompt = vec![Message::user("1?"), Message::assistant("1."), Message::user("2?")];
    assert_eq!(*found.prompt(), Prompt::Messages(prompt));
    assert_eq!(found.responses(), answers(&["good", "bad"]));

    // As TRL takes them: answers that go on over several turns.
    let found = one(&row(&[ask.clone(), good.clone(), again.clone(), answer.clone()], &[ask.clone(), bad.clone()]));
    assert_eq!(*found.prompt(), Prompt::Messages(vec![Message::user("1?")]));
    let Response::Messages(longer) = &found.responses()[0] else { panic!() };
    assert_eq!(longer.len(), 3);

    // ultrafeedback_binarized repeats the first question as a text.
    let line = json!({"prompt": "1?", "chosen": [ask, good], "rejected": [ask, bad]}).to_string();
    assert_eq!(*one(&line).prompt(), Prompt::Messages(vec![Message::user("1?")]));

    assert_eq!(dropped(&row(&[ask.clone(), good.clone()], &[ask.clone(), good.clone()])), Reason::Identical);
    let other = [ask.clone(), answer.clone(), turn("user", "3?"), bad.clone()];
    assert_eq!(dropped(&row(&[ask.clone(), answer.clone(), again, good.clone()], &other)), Reason::Diverged);
    let message = refusal(row(&[good], &[bad]));
    assert_eq!(message, "train.jsonl:1: `chosen` and `rejected` have no common beginning to be the prompt");
    assert_eq!(refusal(row(&[ask], &[])), "train.jsonl:1: `rejected` is empty");
}

#[test]
fn transcripts() {
    let row = |chosen: &str, rejected: &str| json!({"chosen": chosen, "rejected": rejected}).to_string();
    let start = "\n\nHuman: Hi!\n\nAssistant: Hello.\n\nIt's me.\n\nHuman:  Who?  \n\nAssistant:";
    let found = one(&row(&format!("{start} A house\n\nin Human: form. "), &format!("{start} No.")));
    let prompt = vec![Message::user("Hi!"), Message::assistant("Hello.\n\nIt's me."), Message::user("Who?")];
    assert_eq!(*found.prompt(), Prompt::Messages(prompt));
    assert_eq!(found.responses(), answers(&["A house\n\nin Human: form.", "No."]));

    assert_eq!(dropped(&row(&format!("{start} a"), start)), Reason::Unanswered);
    assert_eq!(dropped(&row(&format!("{start} a"), "\n\nHuman: Hi!")), Reason::Unanswered);
    assert_eq!(dropped(&row(&format!("{start} a"), &format!("{start}  a\n"))), Reason::Identical);
    let other = start.replace("Hi!", "Ho!");
    assert_eq!(dropped(&row(&format!("{start} a"), &format!("{other} b"))), Reason::Diverged);
    assert_eq!(
        refusal(row(&format!("{start} a"), "Human: x")),
        "train.jsonl:1: `rejected` does not begin with \"\\n\\nHuman:\""
    );
    let found = refusal(row("\n\nAssistant: a", "\n\nAssistant: b"));
    assert_eq!(found, "train.jsonl:1: `prompt` is empty");
}

#[test]
fn rows_keep_their_lines_over_drops() {
    let line = |rewards| json!({"prompt": "p", "responses": ["a", "b"], "rewards": rewards}).to_string();
    let data =
        read_bytes([line([1, 1]), line([0, 1]), line([2, 2]), line([1, 0]), " \n\n".into()].join("\r\n")).unwrap();
    assert_eq!(data.rows.iter().map(Row::id).collect::<Vec<_>>(), [1, 3]);
    assert!(data.rows[1].place().ends_with("train.jsonl:4"));
    assert_eq!(data.dropped.to_string(), "dropped: 2 tied");
    let mut dropped = Dropped::default();
    assert_eq!((dropped.to_string().as_str(), dropped.is_empty()), ("dropped: none", true));
    dropped.merge(&data.dropped);
    dropped.add(Reason::Diverged);
    dropped.add(Reason::Unanswered);
    dropped.add(Reason::Identical);
    assert_eq!(dropped.to_string(), "dropped: 2 tied, 1 identical, 1 unanswered, 1 with different prompts");
}

#[test]
fn gzip_by_content() {
    let line = "{\"prompt\": \"p\", \"chosen\": \"a\", \"rejected\": \"b\"}\n";
    // Two members, as `cat a.gz b.gz` makes them, under a name that does not tell.
    let bytes = [gzip(line), gzip(&line.repeat(5000))].concat();
    assert_eq!(read_bytes(&bytes).unwrap().rows.len(), 5001);
    assert_eq!(read_bytes(format!("\u{feff}{line}")).unwrap().rows.len(), 1);
    for cut in [bytes.len() - 1, bytes.len() - 40] {
        let error = read_bytes(&bytes[..cut]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().contains("the gzip stream is damaged or ends early: "), "{error}");
        assert!(error.place().unwrap().contains("train.jsonl:"), "{error}");
    }
    let error = read("no-such-file.jsonl").unwrap_err();
    assert_eq!((error.kind(), error.place()), (ErrorKind::Io, Some("no-such-file.jsonl")));
}

#[test]
fn lines_that_are_not_rows() {
    let good = r#"{"prompt": "p", "chosen": "a", "rejected": "b"}"#;
    for (bytes, expected) in [
        (format!("{good}\n\n{good}\n"), "train.jsonl:2: the line is blank"),
        (format!("{good}\n[1]\n"), "train.jsonl:2: expected a JSON object, found a list"),
        (format!("{good}\n{{\"prompt\": }}\n"), "train.jsonl:2: not valid JSON: expected value at column 12"),
        (String::new(), "train.jsonl: has no rows"),
        ("\n \n".into(), "train.jsonl: has no rows"),
    ] {
        assert_eq!(refusal(bytes), expected);
    }
    let bytes = [good.as_bytes(), b"\n{\"prompt\": \"\xff\"}"].concat();
    assert_eq!(refusal(bytes), "train.jsonl:2: not UTF-8 after byte 12 of the line");
    let cut = refusal(&good[..good.len() - 1]);
    assert_eq!(cut, "train.jsonl:1: not valid JSON: EOF while parsing an object at column 46");
}

#[test]
fn shapes_that_are_not_known() {
    for (line, expected) in [
        ("{}", "has no fields; expected `prompt`, `responses`, `rewards` or `prompt`, `chosen`, `rejected`"),
        (
            r#"{"text": "a", "score": 1}"#,
            "has only `score`, `text`; expected `prompt`, `responses`, `rewards` or `prompt`, `chosen`, `rejected`",
        ),
        (
            r#"{"prompt": "p", "rewards": [1], "chosen": "a"}"#,
            "has both `responses` or `rewards` and `chosen` or `rejected`; expected one of the two",
        ),
        (r#"{"chosen": "a", "rejected": "b"}"#, "has no `prompt`, and `chosen` does not begin with \"\\n\\nHuman:\""),
        (r#"{"prompt": "p", "chosen": "a"}"#, "`rejected` is missing"),
        (r#"{"prompt": "p", "rejected": "a"}"#, "`chosen` is missing"),
        (r#"{"responses": ["a", "b"], "rewards": [1, 0]}"#, "`prompt` is missing"),
    ] {
        assert_eq!(refusal(line), format!("train.jsonl:1: {expected}"));
    }
    // The first row tells the shape of all.
    let mixed = "{\"prompt\": \"p\", \"chosen\": \"a\", \"rejected\": \"b\"}\n{\"prompt\": \"p\", \"responses\": []}";
    assert_eq!(refusal(mixed), "train.jsonl:2: `chosen` is missing");
    let mixed = json!({"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": "\n\nHuman: a\n\nAssistant: c"});
    let line = format!("{mixed}\n{{\"prompt\": \"p\", \"chosen\": \"a\", \"rejected\": \"b\"}}");
    assert_eq!(refusal(line), "train.jsonl:2: `prompt` is text, but the first row has none");
}

#[test]
fn fields_that_are_wrong() {
    let list = |responses: &str, rewards: &str| {
        format!("train.jsonl:1: {}", {
            let line = format!(r#"{{"prompt": "p", "responses": {responses}, "rewards": {rewards}}}"#);
            refusal(line).strip_prefix("train.jsonl:1: ").unwrap().to_owned()
        })
    };
    let number = "JSON has no such number, and a reward has to be finite";
    for (responses, rewards, expected) in [
        (r#"["a","b","c","d"]"#, "[1,2,3]", "`rewards` has 3 entries but `responses` has 4".to_owned()),
        (r#"["a"]"#, "[1]", "`responses` has 1 entry; a preference needs 2".into()),
        ("[]", "[]", "`responses` has 0 entries; a preference needs 2".into()),
        (r#"["a",3]"#, "[1,0]", "`responses[1]` is 3, neither text nor a list of messages".into()),
        (r#""ab""#, "[1,0]", "`responses` is text, not a list".into()),
        (r#"["a","b"]"#, "0.5", "`rewards` is 0.5, not a list".into()),
        (r#"["a","b"]"#, "null", "`rewards` is null".into()),
        (r#"["a","b"]"#, "[1,null]", "`rewards[1]` is null, not a number".into()),
        (r#"["a","b"]"#, "[1,\"2\"]", "`rewards[1]` is text, not a number".into()),
        (r#"["a","b"]"#, "[1,true]", "`rewards[1]` is true, not a number".into()),
        (r#"["a","b"]"#, "[1, NaN]", format!("NaN at column 56: {number}")),
        (r#"["a","b"]"#, "[Infinity, 1]", format!("Infinity at column 53: {number}")),
        (r#"["a","b"]"#, "[1,-Infinity]", format!("-Infinity at column 55: {number}")),
        (r#"["a","b"]"#, "[1,1e999]", "not valid JSON: number out of range at column 59".into()),
        (r#"["a",[]]"#, "[1,0]", "`responses[1]` is a list of messages but `prompt` is text".into()),
    ] {
        assert_eq!(list(responses, rewards), format!("train.jsonl:1: {expected}"));
    }
    let pair = |chosen: &str| {
        refusal(format!(r#"{{"prompt": [{{"role": "user", "content": "p"}}], "chosen": {chosen}, "rejected": "b"}}"#))
    };
    for (chosen, expected) in [
        ("{}", "`chosen` is an object, neither text nor a list of messages"),
        ("null", "`chosen` is null"),
        ("[]", "`chosen` is empty"),
        (r#""\n""#, "`chosen` is empty"),
        (r#"["a"]"#, "`chosen[0]` is text, not a message with `role` and `content`"),
        (r#"[{"role": "assistant"}]"#, "`chosen[0]` has no `content`"),
        (r#"[{"content": "a"}]"#, "`chosen[0]` has no `role`"),
        (r#"[{"role": "assistant", "content": null}]"#, "`chosen[0].content` is null, not text"),
        (r#"[{"role": "assistant", "content": ""}]"#, "`chosen` is empty: `content` of its message 0 says nothing"),
        (r#"[{"role": "user", "content": "a"}]"#, "`chosen` begins with a message of \"user\", not of \"assistant\""),
        (
            r#"[{"role": "assistant", "content": "a", "tool_calls": []}]"#,
            "`chosen[0]` has `tool_calls`; a message has only `role` and `content` here",
        ),
    ] {
        assert_eq!(pair(chosen), format!("train.jsonl:1: {expected}"));
    }
    let prompt = |prompt: &str| refusal(format!(r#"{{"prompt": {prompt}, "chosen": "a", "rejected": "b"}}"#));
    assert_eq!(prompt("7"), "train.jsonl:1: `prompt` is 7, neither text nor a list of messages");
    assert_eq!(prompt("[]"), "train.jsonl:1: `prompt` is empty");
    assert_eq!(prompt("\"\""), "train.jsonl:1: `prompt` is empty");
}

#[test]
fn rows_from_code() {
    let new = |rewards: &[f64]| Row::new(3, "here", Prompt::Text("p".into()), texts(&["a", "b"]), rewards.to_vec());
    let row = new(&[0.0, 1.0]).unwrap().unwrap();
    assert_eq!((row.id(), row.place()), (3, "here"));
    assert_eq!(new(&[f64::NAN, 1.0]).unwrap_err().to_string(), "here: `rewards[0]` is NaN; a reward has to be finite");
    let infinite = new(&[1.0, f64::INFINITY]).unwrap_err().to_string();
    assert_eq!(infinite, "here: `rewards[1]` is inf; a reward has to be finite");
    assert_eq!(new(&[1.0]).unwrap_err().to_string(), "here: `rewards` has 1 entry but `responses` has 2");
    assert_eq!(new(&[1.0, 1.0]).unwrap(), Err(Reason::Tied));
}
