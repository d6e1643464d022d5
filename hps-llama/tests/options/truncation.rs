//! Rows beyond `max_length`: dropped, or cut by a rule, and counted.

use hps_llama::chat::Chat;
use hps_llama::data::{self, Dataset, Reason};
use hps_llama::train::options::TruncationMode;
use hps_llama::train::{Example, Tokenized, Truncation, tokenize_truncated};
use std::path::PathBuf;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/data").join(name)
}

fn rows() -> (Dataset, Chat) {
    let data = data::read(path("trl-sigmoid/preferences.jsonl")).expect("rows");
    (data, Chat::from_folder(path("models/tiny")).expect("a tokenizer"))
}

fn cut(max_length: usize, mode: TruncationMode) -> Tokenized {
    let (data, chat) = rows();
    tokenize_truncated(&data, &chat, Truncation { max_length, mode }).expect("rows are left")
}

fn whole() -> Vec<Example> {
    cut(usize::MAX, TruncationMode::Drop).examples
}

fn named<'a>(examples: &'a [Example], place: &str) -> &'a Example {
    examples.iter().find(|example| example.place == place).expect("the row is there")
}

const MAX_LENGTH: usize = 50;

#[test]
fn drop_drops() {
    let long = whole().iter().filter(|example| example.longest() > MAX_LENGTH).count();
    let Tokenized { examples, dropped, truncated, .. } = cut(MAX_LENGTH, TruncationMode::Drop);
    assert!(long > 0 && long < 24);
    assert_eq!(
        (examples.len(), dropped.count(Reason::TooLong), dropped.total(), truncated),
        (24 - long, long, long, 0)
    );
}

/// Each sequence keeps its first tokens, as in TRL.
#[test]
fn keep_start_keeps_the_first_tokens() {
    let whole = whole();
    let Tokenized { examples, dropped, truncated, .. } = cut(MAX_LENGTH, TruncationMode::KeepStart);
    let mut changed = 0;
    for example in &examples {
        let before = named(&whole, &example.place);
        assert_eq!(example.group.prompt, before.group.prompt);
        for (after, before) in example.group.responses.iter().zip(&before.group.responses) {
            let left = MAX_LENGTH - example.group.prompt.len();
            assert_eq!(after[..], before[..before.len().min(left)], "{}", example.place);
        }
        changed += usize::from(example != before);
    }
    assert_eq!((changed, examples.len() + dropped.total()), (truncated, 24));
    assert!(truncated > 0);
}

/// The prompt loses its beginning, one prompt for all responses; the longest sequence then fills the length.
#[test]
fn keep_end_keeps_the_prompts_end() {
    let whole = whole();
    let Tokenized { examples, dropped, truncated, .. } = cut(MAX_LENGTH, TruncationMode::KeepEnd);
    let mut changed = 0;
    for example in &examples {
        let before = named(&whole, &example.place);
        assert_eq!(example.group.responses, before.group.responses);
        assert!(before.group.prompt.ends_with(&example.group.prompt));
        assert_eq!(example.longest(), before.longest().min(MAX_LENGTH), "{}", example.place);
        changed += usize::from(example != before);
    }
    assert_eq!((changed, examples.len() + dropped.total()), (truncated, 24));
    assert!(truncated > 0);
}

#[test]
fn what_nothing_is_left_of_is_dropped() {
    let whole = whole();
    // As long as some prompts: those have no room for a response; longer than others.
    let mut prompts: Vec<usize> = whole.iter().map(|example| example.group.prompt.len()).collect();
    prompts.sort_unstable();
    let max_length = prompts[12];
    let empty = prompts.iter().filter(|length| **length >= max_length).count();
    let dropped = cut(max_length, TruncationMode::KeepStart).dropped;
    assert_eq!(dropped.count(Reason::EmptyAfterTruncation), empty);
    // As long as some responses: those leave no prompt.
    let responses = |example: &Example| example.group.responses.iter().map(Vec::len).max().unwrap_or(0);
    let max_length = whole.iter().map(responses).max().expect("rows");
    let empty = whole.iter().filter(|example| responses(example) >= max_length).count();
    let dropped = cut(max_length, TruncationMode::KeepEnd).dropped;
    assert_eq!((dropped.count(Reason::EmptyAfterTruncation), dropped.total()), (empty, empty));
}

/// Two responses with the same beginning are one once they are cut to it.
#[test]
fn what_becomes_the_same_is_dropped() {
    let (_, chat) = rows();
    let file = tempfile::NamedTempFile::new().expect("a file");
    let row = r#"{"prompt": "The router", "responses": [" of the garden.", " of the ladder."], "rewards": [1, 0]}"#;
    std::fs::write(&file, format!("{row}\n{row}\n")).expect("rows");
    let data = data::read(file.path()).expect("rows");
    let example = Example::new(&data.rows[0], &chat).expect("tokens");
    let truncation = Truncation { max_length: example.group.prompt.len() + 1, mode: TruncationMode::KeepStart };
    let error = tokenize_truncated(&data, &chat, truncation).expect_err("no row is left");
    let expected =
        format!("no row is left to train on with a `max_length` of {}; dropped: 2 identical", truncation.max_length);
    assert_eq!(error.to_string(), expected);
}

/// Rows of several files have ids of their own.
#[test]
fn files_are_read_as_one() {
    let file = path("trl-sigmoid/preferences.jsonl");
    let data = data::read_all(&[&file, &file], &data::ReadOptions::default()).expect("rows");
    let ids: Vec<u32> = data.rows.iter().map(data::Row::id).collect();
    assert_eq!(ids, (0..48).collect::<Vec<u32>>());
    assert_eq!(data.rows[24].place(), data.rows[0].place());
}
