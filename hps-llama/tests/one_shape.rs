//! Every row of a file is looked at with the eyes that looked at the first: what would mean something else there is an error
//! here, and no field has two values.

use hps_llama::ErrorKind;
use hps_llama::data::{AnsweredRows, Prompts, ReadOptions, Shape, read_as};
use serde_json::{Value, json};
use std::path::PathBuf;
use tempfile::TempDir;

struct File(TempDir);

impl File {
    fn new(bytes: impl AsRef<[u8]>) -> Self {
        let file = File(TempDir::new().expect("a folder"));
        std::fs::write(file.path(), bytes).expect("written");
        file
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("rows.jsonl")
    }
}

fn lines(rows: &[Value]) -> String {
    rows.iter().map(|row| format!("{row}\n")).collect()
}

/// From the file's name on.
fn shown(error: &hps_llama::Error) -> String {
    assert_eq!(error.kind(), ErrorKind::Row, "{error}");
    let message = error.to_string();
    message[message.find("rows.jsonl").expect("the file is named")..].to_string()
}

fn refusal(text: &str, options: ReadOptions) -> String {
    shown(&read_as(File::new(text).path(), options).expect_err("refused"))
}

/// What `hps generate` says of it.
fn prompt_refusal(text: &str) -> String {
    let file = File::new(text);
    shown(&Prompts::open(file.path()).expect("opened").find_map(Result::err).expect("refused"))
}

fn turns(question: &str, answer: &str) -> Value {
    json!([{"role": "user", "content": question}, {"role": "assistant", "content": answer}])
}

#[test]
fn a_doubled_key_is_ambiguous() {
    let row = r#"{"prompt": "p", "responses": ["a", "b"], "rewards": [0, 1], "rewards": [1, 0]}"#;
    let message = "`rewards` stands twice in one object at column 69";
    assert_eq!(refusal(row, ReadOptions::default()), format!("rows.jsonl:1: {message}"));
    let sound = r#"{"prompt": "p", "responses": ["a", "b"], "rewards": [0, 1]}"#;
    assert_eq!(refusal(&format!("{sound}\n{row}"), ReadOptions::default()), format!("rows.jsonl:2: {message}"));
    // In a list, over several lines, the place is the second key's.
    let list = format!("[{sound},\n{}]", row.replace(", \"rewards\"", ",\n\"rewards\""));
    assert_eq!(
        refusal(&list, ReadOptions::default()),
        "rows.jsonl:4: `rewards` stands twice in one object at column 9"
    );
    // Deeper down, and in fields that are not read.
    let message = refusal(
        r#"{"prompt": [{"role": "user", "content": "p", "content": "q"}], "chosen": "a", "rejected": "b"}"#,
        ReadOptions::default(),
    );
    assert_eq!(message, "rows.jsonl:1: `content` stands twice in one object at column 54");
    assert_eq!(
        prompt_refusal(r#"{"prompt": "p", "note": {"a": 1, "a": 1}}"#),
        "rows.jsonl:1: `a` stands twice in one object at column 36"
    );
    let file = File::new(r#"{"prompt": "p", "prompt": "q", "responses": ["a"]}"#);
    let error = AnsweredRows::open(file.path()).expect("opened").next().expect("a row").expect_err("refused");
    assert_eq!(shown(&error), "rows.jsonl:1: `prompt` stands twice in one object at column 24");
}

#[test]
fn a_row_of_two_shapes_is_refused_on_any_line() {
    let list = json!({"prompt": "p", "responses": ["a", "b"], "rewards": [0, 1]});
    let pair = json!({"prompt": "p", "chosen": "a", "rejected": "b"});
    let both = json!({"prompt": "p", "chosen": "b", "rejected": "a", "responses": ["a", "b"], "rewards": [1, 0]});
    let message = "has both `responses` or `rewards` and `chosen` or `rejected`; expected one of the two";
    for (rows, line) in
        [(vec![&both], 1), (vec![&list, &both], 2), (vec![&pair, &both], 2), (vec![&pair, &pair, &both, &pair], 3)]
    {
        let rows: Vec<Value> = rows.into_iter().cloned().collect();
        let expected = format!("rows.jsonl:{line}: {message}");
        assert_eq!(refusal(&lines(&rows), ReadOptions::default()), expected);
        assert_eq!(prompt_refusal(&lines(&rows)), expected);
    }
    // Who says what it is has chosen.
    let given = |shape| ReadOptions { shape: Some(shape), ..ReadOptions::default() };
    let best = |shape| {
        let data = read_as(File::new(both.to_string()).path(), given(shape)).expect("rows");
        serde_json::to_value(&data.rows[0].responses()[0]).expect("JSON")
    };
    assert_eq!((best(Shape::Lists), best(Shape::Pairs)), (json!("a"), json!("b")));
    // Empty fields are none.
    let mut padded = list.clone();
    padded["chosen"] = Value::Null;
    assert_eq!(read_as(File::new(lines(&[list, padded])).path(), ReadOptions::default()).expect("rows").rows.len(), 2);
}

#[test]
fn a_row_that_tells_another_shape_is_refused() {
    let conversation = json!({"chosen": turns("q", "a"), "rejected": turns("q", "b")});
    let mut with_prompt = conversation.clone();
    with_prompt["prompt"] = json!([{"role": "user", "content": "something else"}]);
    let safe = json!({"prompt": "p", "response_0": "a", "response_1": "b", "better_response_id": 0});
    let mut rated = safe.clone();
    (rated["responses"], rated["rewards"]) = (json!(["a", "b"]), json!([0, 1]));
    let message = json!({"messages": turns("q", "a")});
    let mut preferred = message.clone();
    (preferred["prompt"], preferred["chosen"], preferred["rejected"]) = (json!("q"), json!("b"), json!("a"));
    let completion = json!({"prompt": "p", "completion": "c"});
    let mut ranked = completion.clone();
    (ranked["responses"], ranked["rewards"]) = (json!(["a", "b"]), json!([0, 1]));
    let options = || ReadOptions {
        prefer: Some("better".parse().expect("an order")),
        demonstrations: true,
        ..ReadOptions::default()
    };
    for (first, second, other, shape) in [
        (&conversation, &with_prompt, "pairs", "conversations"),
        (&safe, &rated, "lists", "safe-rlhf"),
        (&message, &preferred, "pairs", "messages"),
        (&completion, &ranked, "lists", "completions"),
    ] {
        let rows = [first.clone(), second.clone()];
        let expected = format!("rows.jsonl:2: is of the shape {other}, but the first row is of {shape}");
        assert_eq!(refusal(&lines(&rows), options()), expected);
    }
    // The prompt is told in another place.
    let rows = lines(&[conversation.clone(), with_prompt]);
    assert_eq!(
        prompt_refusal(&rows),
        "rows.jsonl:2: is with a `prompt`, but the first row is of the shape conversations"
    );
    // Texts and messages, each as it is written, are both in files that people have.
    let pair = json!({"prompt": "p", "chosen": "a", "rejected": "b"});
    let chat = json!({"prompt": [{"role": "user", "content": "p"}], "chosen": "a", "rejected": "b"});
    assert_eq!(read_as(File::new(lines(&[pair, chat])).path(), ReadOptions::default()).expect("rows").rows.len(), 2);
}

/// 1 and 0 beside 8.5 and 7 would be rewards of two scales in one file.
#[test]
fn all_pairs_have_scores_or_none_has() {
    let pair = |scores: Option<[f64; 2]>| {
        let mut row = json!({"prompt": "p", "chosen": "a", "rejected": "b", "score_chosen": null});
        if let Some([chosen, rejected]) = scores {
            (row["score_chosen"], row["score_rejected"]) = (json!(chosen), json!(rejected));
        }
        row
    };
    let (scored, plain) = (pair(Some([8.5, 7.0])), pair(None));
    assert_eq!(
        refusal(&lines(&[scored.clone(), scored.clone(), plain.clone()]), ReadOptions::default()),
        "rows.jsonl:3: has no `score_chosen` and `score_rejected`, but the first row has them"
    );
    assert_eq!(
        refusal(&lines(&[plain.clone(), scored.clone()]), ReadOptions::default()),
        "rows.jsonl:2: has `score_chosen` and `score_rejected`, but the first row has none"
    );
    // Transcripts have them, too.
    let transcript = json!({"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": "\n\nHuman: a\n\nAssistant: c",
                            "score_chosen": 2, "score_rejected": 1.5});
    let data = read_as(File::new(transcript.to_string()).path(), ReadOptions::default()).expect("rows");
    assert_eq!(data.rows[0].rewards(), [2.0, 1.5]);
}

#[test]
fn a_prompt_beside_conversations_is_one_of_their_messages() {
    let row = |prompt: &str| {
        let system = json!({"role": "system", "content": "Be kind."});
        let with = |answer: &str| {
            let mut all = vec![system.clone()];
            all.extend(turns("What?", answer).as_array().expect("turns").clone());
            json!(all)
        };
        json!({"prompt": prompt, "chosen": with("a"), "rejected": with("b")})
    };
    for repeated in ["What?", " What?\n", "Be kind.", ""] {
        let data = read_as(File::new(row(repeated).to_string()).path(), ReadOptions::default()).expect("rows");
        assert_eq!(data.rows.len(), 1, "{repeated}");
    }
    let expected = "rows.jsonl:2: `prompt` is text that is no message of what `chosen` and `rejected` begin with, which \
                    would be the prompt; `hps data --shape conversations --output FILE` leaves it out";
    let rows = lines(&[row("What?"), row("Another question")]);
    assert_eq!(refusal(&rows, ReadOptions::default()), expected);
    assert_eq!(prompt_refusal(&rows), expected);
    let given = ReadOptions { shape: Some(Shape::Conversations), ..ReadOptions::default() };
    assert_eq!(read_as(File::new(rows).path(), given).expect("rows").rows.len(), 2);

    // A question as text and the answers alone as messages.
    let answer = |text: &str| json!([{"role": "assistant", "content": text}]);
    let row = json!({"prompt": "What?", "chosen": answer("a"), "rejected": answer("b")}).to_string();
    assert_eq!(
        refusal(&row, ReadOptions::default()),
        "rows.jsonl:1: `chosen` and `rejected` have no common beginning to be the prompt, and `prompt` is text; beside \
         lists of messages it has to be one, too"
    );
}

#[test]
fn rewards_are_numbers() {
    for (rewards, message) in [
        (json!([true, 0]), "`rewards[0]` is true, not a number"),
        (json!(["1", 0]), "`rewards[0]` is text, not a number"),
        (json!([1, [0]]), "`rewards[1]` is a list, not a number"),
        (json!({"a": 1}), "`rewards` is an object, not a list"),
    ] {
        let row = json!({"prompt": "p", "responses": ["a", "b"], "rewards": rewards}).to_string();
        assert_eq!(refusal(&row, ReadOptions::default()), format!("rows.jsonl:1: {message}"));
    }
}

#[test]
fn a_renamed_column_replaces_nothing() {
    let options = |columns: &[(&str, &str)]| ReadOptions {
        columns: columns.iter().map(|(name, column)| (name.to_string(), column.to_string())).collect(),
        ..ReadOptions::default()
    };
    let row = json!({"prompt": "p", "chosen": "a", "winner": "b", "rejected": "c"}).to_string();
    assert_eq!(
        refusal(&row, options(&[("chosen", "winner")])),
        "rows.jsonl:1: has a `chosen` besides `winner`, which `columns` takes for it"
    );
    // Changed for each other they stand in nobody's way.
    let data = read_as(File::new(&row).path(), options(&[("chosen", "rejected"), ("rejected", "chosen")]));
    let best = serde_json::to_value(&data.expect("rows").rows[0].responses()[0]).expect("JSON");
    assert_eq!(best, json!("c"));
    let error = read_as(File::new(&row).path(), options(&[("reward", "winner")])).expect_err("no such field");
    assert_eq!(error.kind(), ErrorKind::Option);
    assert!(
        error.to_string().starts_with("`columns` names `reward`, but no shape has it; prompt, responses, "),
        "{error}"
    );
}
