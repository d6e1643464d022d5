//! Parquet files as pyarrow writes them: `cargo test --features parquet`.
#![cfg(feature = "parquet")]

use hps_llama::data::{Message, Prompt, Reason, Response, Rows, Shape, read};
use std::path::PathBuf;

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/data").join(name)
}

#[test]
fn messages_in_lists_of_structs_are_read() {
    let read = read(data("binarized.parquet")).expect("rows");
    assert_eq!((read.rows.len(), read.dropped.count(Reason::Tied)), (4, 1));
    let row = &read.rows[2];
    // The tied one is the third of five: numbers and places are the file's.
    assert_eq!(row.id(), 3);
    assert!(row.place().ends_with("binarized.parquet:4"), "{}", row.place());
    assert_eq!(row.prompt(), &Prompt::Messages(vec![Message::user("Wie groß?")]));
    assert_eq!(row.responses()[1], Response::Messages(vec![Message::assistant("schlecht 3")]));
    assert_eq!(row.rewards(), [8.5, 7.0]);
}

#[test]
fn lists_are_ranked() {
    let mut rows = Rows::open(data("lists.parquet")).expect("opened");
    let row = rows.next().expect("a row").expect("read").expect("usable");
    assert_eq!((rows.shape(), row.rewards()), (Some(Shape::Lists), &[2.0, 0.5, -1.0][..]));
    assert_eq!(row.responses()[0], Response::Text("b".into()));
    assert!(rows.next().is_none());
}

#[test]
fn a_damaged_file_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("cut.parquet");
    let bytes = std::fs::read(data("binarized.parquet")).expect("the file");
    std::fs::write(&path, &bytes[..bytes.len() - 9]).expect("written");
    let message = read(&path).expect_err("cut").to_string();
    assert!(message.contains("cut.parquet: not a sound Parquet file"), "{message}");
    let mut wrong = bytes.clone();
    wrong[40..60].fill(0xff);
    std::fs::write(&path, wrong).expect("written");
    let message = read(&path).expect_err("damaged").to_string();
    assert!(message.contains("cut.parquet:1: the Parquet file is damaged"), "{message}");
}

#[test]
fn a_column_that_stands_twice_is_ambiguous() {
    let (folder, group) = (tempfile::tempdir().expect("a folder"), "optional group note { required int32 a; }");
    let path = folder.path().join("twice.parquet");
    for (schema, column) in [
        ("message rows { required binary prompt (UTF8); required binary prompt (UTF8); }".to_string(), "prompt"),
        (format!("message rows {{ required int32 b; {} }}", group.replace("a; ", "a; required int32 a; ")), "a"),
    ] {
        let schema = std::sync::Arc::new(parquet::schema::parser::parse_message_type(&schema).expect("a schema"));
        let file = std::fs::File::create(&path).expect("a file");
        let writer = parquet::file::writer::SerializedFileWriter::new(file, schema, Default::default());
        writer.expect("a writer").close().expect("written");
        let message = read(&path).expect_err("twice").to_string();
        assert_eq!(message, format!("{}: is ambiguous: the column `{column}` stands twice", path.display()));
    }
}
