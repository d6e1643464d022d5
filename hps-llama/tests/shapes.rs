//! Data sets as they are found: PKU-SafeRLHF, UltraFeedback, rows to learn from, JSON lists, zstd, renamed columns.

use hps_llama::Result;
use hps_llama::data::{Dataset, Message, Prefer, Prompt, ReadOptions, Reason, Response, Row, Rows, Shape, read_as};
use proptest::prelude::*;
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

fn read_bytes(bytes: impl AsRef<[u8]>, options: ReadOptions) -> Result<Dataset> {
    read_as(File::new(bytes).path(), options)
}

/// The one row.
fn one(row: Value, options: ReadOptions) -> Row {
    let mut data = read_bytes(row.to_string(), options).expect("a sound row");
    assert_eq!((data.rows.len(), data.dropped.total()), (1, 0));
    data.rows.remove(0)
}

/// What is wrong, from the file's name on.
fn refusal(bytes: impl AsRef<[u8]>, options: ReadOptions) -> String {
    let message = read_bytes(bytes, options).expect_err("refused").to_string();
    message[message.find("rows.jsonl").expect("the file is named")..].to_string()
}

fn texts(row: &Row) -> Vec<&str> {
    let text = |response: &'_ Response| match response {
        Response::Text(_) => None,
        Response::Messages(_) => Some(()),
    };
    assert!(row.responses().iter().all(|response| text(response).is_none()));
    row.responses()
        .iter()
        .map(|response| if let Response::Text(text) = response { text.as_str() } else { "" })
        .collect()
}

fn safe() -> Value {
    json!({"prompt": "How?", "response_0": "So.", "response_1": "I will not say.", "is_response_0_safe": false,
           "is_response_1_safe": true, "better_response_id": 0, "safer_response_id": 1})
}

fn prefer(prefer: Prefer) -> ReadOptions {
    ReadOptions { prefer: Some(prefer), ..ReadOptions::default() }
}

#[test]
fn safe_rlhf_is_read_in_the_order_that_was_chosen() {
    assert_eq!(texts(&one(safe(), prefer(Prefer::Better))), ["So.", "I will not say."]);
    assert_eq!(texts(&one(safe(), prefer(Prefer::Safer))), ["I will not say.", "So."]);
    let message = refusal(safe().to_string(), ReadOptions::default());
    assert!(message.starts_with("rows.jsonl:1: ") && message.contains("choose one of the two"), "{message}");
    let mut row = safe();
    row["safer_response_id"] = json!(2);
    let message = refusal(row.to_string(), prefer(Prefer::Safer));
    assert_eq!(message, "rows.jsonl:1: `safer_response_id` is 2, neither 0 nor 1");
}

/// Of a hundred samples some are empty: they are left out of their row, and counted.
#[test]
fn empty_responses_of_a_list_are_left_out() {
    let list = |responses: Value, rewards: Value| {
        json!({"prompt": "p", "responses": responses, "rewards": rewards}).to_string()
    };
    let data =
        read_bytes(list(json!(["", "a", "\n", "b"]), json!([9, 1, 3, 2])), ReadOptions::default()).expect("read");
    assert_eq!((texts(&data.rows[0]), data.rows[0].rewards()), (vec!["b", "a"], &[2.0, 1.0][..]));
    assert_eq!((data.dropped.total(), data.dropped.left_out()), (0, 2));
    assert_eq!(data.dropped.to_string(), "dropped: 2 empty responses");
    let few = read_bytes(list(json!(["", "a"]), json!([1, 0])), ReadOptions::default()).expect("read");
    assert_eq!(few.dropped.count(Reason::TooFew), 1);
    let message = refusal(list(json!(["a"]), json!([1])), ReadOptions::default());
    assert!(message.ends_with("a preference needs 2"), "{message}");
    let message = refusal(list(json!(["", "a"]), json!([1])), ReadOptions::default());
    assert_eq!(message, "rows.jsonl:1: `rewards` has 1 entry but `responses` has 2");
}

fn completion(text: &str, score: Value) -> Value {
    json!({"response": text, "fine-grained_score": score, "overall_score": 10, "model": "m", "annotations": {}})
}

#[test]
fn ultrafeedback_is_a_list_by_its_fine_grained_scores() {
    let row = |completions: Value| json!({"source": "s", "instruction": "Say.", "completions": completions});
    let list = json!([completion("b", json!(3.25)), completion("a", json!(4.5)), completion("c", json!(1))]);
    let read = one(row(list), ReadOptions::default());
    assert_eq!((texts(&read), read.rewards()), (vec!["a", "b", "c"], &[4.5, 3.25, 1.0][..]));
    assert_eq!(read.prompt(), &Prompt::Text("Say.".into()));

    let few = read_bytes(row(json!([])).to_string(), ReadOptions::default()).expect("read");
    assert_eq!(few.dropped.count(Reason::TooFew), 1);
    let message = refusal(
        row(json!([completion("a", json!("N/A")), completion("b", json!(1))])).to_string(),
        ReadOptions::default(),
    );
    assert_eq!(message, "rows.jsonl:1: `completions[0].fine-grained_score` is text, not a number");
}

#[test]
fn a_pair_may_have_scores() {
    let pair = |scores: [Value; 2]| {
        json!({"prompt": "p", "prompt_id": "0", "score_chosen": scores[0], "score_rejected": scores[1],
               "chosen": [{"role": "user", "content": "p"}, {"role": "assistant", "content": "a"}],
               "rejected": [{"role": "user", "content": "p"}, {"role": "assistant", "content": "b"}]})
    };
    assert_eq!(one(pair([json!(8.5), json!(7)]), ReadOptions::default()).rewards(), [8.5, 7.0]);
    assert_eq!(one(pair([Value::Null, Value::Null]), ReadOptions::default()).rewards(), [1.0, 0.0]);
    for (scores, message) in [
        ([json!(8.5), Value::Null], "`score_chosen` is 8.5 but there is no `score_rejected`"),
        ([Value::Null, json!(7)], "`score_rejected` is 7 but there is no `score_chosen`"),
    ] {
        let refused = refusal(pair(scores).to_string(), ReadOptions::default());
        assert_eq!(refused, format!("rows.jsonl:1: {message}"));
    }
    let tied = read_bytes(pair([json!(8), json!(8)]).to_string(), ReadOptions::default()).expect("read");
    assert_eq!(tied.dropped.count(Reason::Tied), 1);
    let message = refusal(pair([json!(7), json!(8)]).to_string(), ReadOptions::default());
    assert_eq!(message, "rows.jsonl:1: `score_chosen` is 7 but `score_rejected` is 8");
    let message = refusal(pair([json!("7"), json!(8)]).to_string(), ReadOptions::default());
    assert!(message.starts_with("rows.jsonl:1: `score_chosen"), "{message}");
}

#[test]
fn rows_to_learn_from_are_read_where_they_are_meant() {
    let learn = || ReadOptions::demonstrations(true);
    let turns = json!([{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"},
                       {"role": "user", "content": "r"}, {"role": "assistant", "content": "b"}]);
    let row = one(json!({"messages": turns}), learn());
    assert_eq!(row.responses(), [Response::Messages(vec![Message::assistant("b")])]);
    assert!(matches!(row.prompt(), Prompt::Messages(turns) if turns.len() == 3));
    let row = one(json!({"prompt": "p", "completion": " c"}), learn());
    assert_eq!((texts(&row), row.rewards()), (vec![" c"], &[0.0][..]));

    let unanswered =
        read_bytes(json!({"messages": turns.as_array().expect("turns")[..3]}).to_string(), learn()).expect("read");
    assert_eq!(unanswered.dropped.count(Reason::Unanswered), 1);
    for (row, field) in
        [(json!({"messages": turns}), "messages"), (json!({"prompt": "p", "completion": "c"}), "completion")]
    {
        let message = refusal(row.to_string(), ReadOptions::default());
        assert!(message.contains(&format!("has `{field}`, one response to learn from (`task` sft)")), "{message}");
    }
    // Preferences teach their best response, too.
    assert_eq!(one(json!({"prompt": "p", "chosen": "a", "rejected": "b"}), learn()).responses().len(), 2);
}

#[test]
fn columns_rename_and_a_shape_can_be_forced() {
    let columns = [("chosen", "winner"), ("rejected", "loser")].map(|(name, column)| (name.into(), column.into()));
    let options = || ReadOptions { columns: columns.clone().into(), ..ReadOptions::default() };
    assert_eq!(texts(&one(json!({"prompt": "p", "winner": "a", "loser": "b"}), options())), ["a", "b"]);
    let message = refusal(json!({"prompt": "p", "winner": "a"}).to_string(), options());
    assert_eq!(message, "rows.jsonl:1: has no `loser`, which `columns` takes for `rejected`");
    let forced = ReadOptions { shape: Some(Shape::Lists), ..ReadOptions::default() };
    let message = refusal(json!({"prompt": "p", "chosen": "a", "rejected": "b"}).to_string(), forced);
    assert_eq!(message, "rows.jsonl:1: `responses` is missing");
    for shape in Shape::ALL {
        assert_eq!(shape.to_string().parse(), Ok(shape));
    }
}

#[test]
fn a_list_is_read_like_lines() {
    let row = |text: &str| json!({"prompt": "p, ]", "chosen": text, "rejected": "b \\\" ["});
    let rows = [row("a"), row("{\"]"), row("c")];
    let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
    let list = format!("\u{feff} {:#}\n", Value::from(rows.to_vec()));
    let [lines, list] = [lines, list].map(|text| read_bytes(text, ReadOptions::default()).expect("rows").rows);
    assert_eq!(lines.len(), 3);
    for (line, element) in lines.iter().zip(&list) {
        assert_eq!((line.id(), line.prompt(), line.responses()), (element.id(), element.prompt(), element.responses()));
    }
    let places: Vec<&str> = list.iter().map(|row| &row.place()[row.place().len() - 2..]).collect();
    // As it is printed, an element begins every five lines.
    assert_eq!(places, [":2", ":7", "12"]);
}

#[test]
fn a_list_that_is_broken_is_refused_at_its_line() {
    let pair = "{\"prompt\": \"p\",\n\"chosen\": \"a\", \"rejected\": \"b\"}";
    let cases = [
        (format!("[{pair},\n{pair}"), "rows.jsonl:4: the list has no end"),
        (format!("[{pair},\n]"), "rows.jsonl:3: a row is missing where the list has a comma"),
        (format!("[{pair}]\n{pair}"), "rows.jsonl:3: something stands behind the end of the list"),
        (format!("[{pair},\n7]"), "rows.jsonl:3: expected a JSON object, found 7"),
        ("[]".to_string(), "rows.jsonl: has no rows"),
        (
            format!("[{pair},\n{{\"prompt\":\n\"p\" \"chosen\"}}]"),
            "rows.jsonl:4: not valid JSON: expected `,` or `}` at column 5",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(refusal(&text, ReadOptions::default()), expected, "{text}");
    }
}

#[test]
fn a_file_without_rows_is_refused_whatever_its_rows_were_to_be() {
    for shape in [None, Some(Shape::Lists), Some(Shape::Completions)] {
        for text in ["", "\n\n", "[]"] {
            assert_eq!(refusal(text, ReadOptions { shape, ..ReadOptions::default() }), "rows.jsonl: has no rows");
        }
    }
}

#[test]
fn zstd_is_told_by_content_also_in_several_frames() {
    let line = |text: &str| format!("{}\n", json!({"prompt": "p", "chosen": text, "rejected": "b"}));
    let pack =
        |text: &str| ruzstd::encoding::compress_to_vec(text.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest);
    let packed = [pack(&line("a")), pack(&line("c"))].concat();
    let rows = read_bytes(&packed, ReadOptions::default()).expect("rows").rows;
    assert_eq!(rows.iter().map(|row| texts(row)[0]).collect::<Vec<_>>(), ["a", "c"]);
    let cut = read_bytes(&packed[..packed.len() - 3], ReadOptions::default()).expect_err("cut").to_string();
    assert!(cut.contains("the zstd stream is damaged or ends early"), "{cut}");
}

/// Any text, as fields hold it.
fn field() -> impl Strategy<Value = String> {
    "\\PC{1,12}".prop_filter("says something", |text| !text.trim().is_empty())
}

proptest! {
    /// Whatever the texts: a row of each shape is read to the same prompt and responses, as lines and as a list.
    #[test]
    fn every_shape_keeps_its_texts(prompt in field(), chosen in field(), rejected in field()) {
        prop_assume!(chosen != rejected);
        let turn = |text: &str| json!([{"role": "user", "content": prompt}, {"role": "assistant", "content": text}]);
        let rows = [
            json!({"prompt": prompt, "responses": [rejected, chosen], "rewards": [0, 1]}),
            json!({"prompt": prompt, "chosen": chosen, "rejected": rejected}),
            json!({"chosen": turn(&chosen), "rejected": turn(&rejected)}),
            json!({"prompt": prompt, "response_0": rejected, "response_1": chosen, "better_response_id": 1}),
            json!({"instruction": prompt, "completions": [completion(&chosen, json!(2)), completion(&rejected, json!(1))]}),
        ];
        for row in rows {
            let list = json!([row]).to_string();
            for text in [row.to_string(), list] {
                let file = File::new(&text);
                let mut all = Rows::open_as(file.path(), prefer(Prefer::Better)).expect("opened");
                let read = all.next().expect("a row").expect("a sound row").expect("a usable one");
                let said = |message: &[Message]| message[0].content.clone();
                match read.prompt() {
                    Prompt::Text(text) => prop_assert_eq!(text, &prompt),
                    Prompt::Messages(turns) => prop_assert_eq!(said(turns), prompt.clone()),
                }
                let responses: Vec<String> = read.responses().iter().map(|response| match response {
                    Response::Text(text) => text.clone(),
                    Response::Messages(turns) => said(turns),
                }).collect();
                prop_assert_eq!(responses, vec![chosen.clone(), rejected.clone()]);
                prop_assert!(all.next().is_none());
            }
        }
    }
}
