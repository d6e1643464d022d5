//! A file is one file from the first byte that is read to the last, and the same at every reading.

use flate2::Compression;
use flate2::write::GzEncoder;
use hps_llama::data::{AnsweredRows, Contents, Prompts, ReadOptions, Rows, expect_rereadable, read};
use hps_llama::{Digest, ErrorKind, Result};
use serde_json::json;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const CHANGED: &str = "changed while it was read; what was read of it is not one file, so nothing is made of it";

fn folder() -> (TempDir, PathBuf) {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("rows.jsonl");
    (folder, path)
}

/// Rows of some 10 kB each, so that a few fill what is read at once.
fn rows(count: usize) -> String {
    let row = |index: usize| {
        let filling = "x".repeat(10_000);
        json!({"prompt": format!("{index}?"), "responses": ["a", "b"], "rewards": [0, 1], "filling": filling})
    };
    (0..count).map(|index| format!("{}\n", row(index))).collect()
}

fn write_at(path: &Path, place: SeekFrom, bytes: &[u8]) {
    let mut file = std::fs::File::options().write(true).open(path).expect("the file");
    file.seek(place).and_then(|_| file.write_all(bytes)).expect("written");
}

fn gzip(text: &str) -> Vec<u8> {
    // Stored, so that the packed file is long, too.
    let mut gzip = GzEncoder::new(Vec::new(), Compression::none());
    gzip.write_all(text.as_bytes()).expect("written");
    gzip.finish().expect("packed")
}

/// Reads to the end as the first time.
fn contents(path: &Path) -> Contents {
    let mut rows = Rows::open(path).expect("opened");
    rows.by_ref().for_each(|row| drop(row.expect("a row")));
    rows.contents().expect("unchanged")
}

/// Rows read again before the end, and what ended them.
fn again(path: &Path, contents: &Contents) -> (usize, Option<hps_llama::Error>) {
    let rows = match Rows::open_again(path, ReadOptions::default(), contents) {
        Ok(rows) => rows,
        Err(error) => return (0, Some(error)),
    };
    let mut count = 0;
    for row in rows {
        match row {
            Ok(_) => count += 1,
            Err(error) => return (count, Some(error)),
        }
    }
    (count, None)
}

#[test]
fn the_digest_is_that_of_the_bytes_that_were_read() {
    let (_folder, path) = folder();
    let text = rows(40);
    for bytes in [text.clone().into_bytes(), gzip(&text), rows(1).into_bytes()] {
        std::fs::write(&path, &bytes).expect("written");
        let whole = contents(&path);
        assert_eq!(whole.sha256(), Digest::of_file(&path).expect("a digest"));
        assert_eq!(whole.bytes(), bytes.len() as u64);
        assert_eq!(Contents::of_file(&path, |_, _| {}).expect("read"), whole);
        // It is of the whole file also where nobody reads on.
        let mut first = Rows::open(&path).expect("opened");
        first.next();
        assert_eq!(first.contents().expect("read"), whole);
        assert!(again(&path, &whole).1.is_none());
    }
    // An end at the very end of what is read at once.
    let row = json!({"prompt": "p", "chosen": "a", "rejected": "b"}).to_string();
    let even = format!("{row}{}", " ".repeat((1 << 16) - row.len()));
    std::fs::write(&path, &even).expect("written");
    let whole = contents(&path);
    assert!(again(&path, &whole).1.is_none());
    std::fs::write(&path, format!("{even}\n")).expect("written");
    assert!(again(&path, &whole).1.is_some());
}

#[test]
fn nothing_of_a_changed_file_is_read_the_second_time() {
    let text = rows(40);
    for packed in [false, true] {
        let bytes = if packed { gzip(&text) } else { text.clone().into_bytes() };
        let (_folder, path) = folder();
        let write = |bytes: &[u8]| std::fs::write(&path, bytes).expect("written");
        write(&bytes);
        let first = contents(&path);
        type Change<'a> = (&'a str, Box<dyn Fn() + 'a>, usize);
        let changes: Vec<Change<'_>> = vec![
            ("its last byte", Box::new(|| write_at(&path, SeekFrom::End(-1), b" ")), 40),
            ("a byte in its middle", Box::new(|| write_at(&path, SeekFrom::Start(200_000), b"y")), 20),
            ("its first byte", Box::new(|| write_at(&path, SeekFrom::Start(0), b" ")), 0),
            ("cut", Box::new(|| write(&bytes[..bytes.len() / 2])), 20),
            ("longer", Box::new(|| write(&[&bytes[..], b"\n"].concat())), 40),
            ("empty", Box::new(|| write(b"")), 0),
        ];
        for (what, change, at_most) in changes {
            write(&bytes);
            change();
            let (count, error) = again(&path, &first);
            let error = error.unwrap_or_else(|| panic!("{what}: not noticed"));
            assert_eq!((error.kind(), error.to_string()), (ErrorKind::Io, format!("{}: {CHANGED}", path.display())));
            assert!(count <= at_most, "{what}: {count} rows");
        }
        // Another file of the same bytes is the same.
        std::fs::remove_file(&path).expect("removed");
        write(&bytes);
        assert_eq!(again(&path, &first).0, 40);
    }
}

#[test]
fn a_file_that_changes_under_its_reader_is_refused() {
    let refused = |change: &dyn Fn(&Path)| {
        let (_folder, path) = folder();
        std::fs::write(&path, rows(40)).expect("written");
        let mut prompts = Prompts::open(&path).expect("opened");
        drop(prompts.next().expect("a row").expect("a prompt"));
        // Longer than the clock of the file system is coarse.
        std::thread::sleep(std::time::Duration::from_millis(30));
        change(&path);
        let ended: Result<Vec<_>> = prompts.collect();
        ended.err().map(|error| error.to_string().replace(&path.display().to_string(), "rows.jsonl"))
    };
    let changed = Some(format!("rows.jsonl: {CHANGED}"));
    assert_eq!(refused(&|path| write_at(path, SeekFrom::Start(2000), b"y")), changed);
    assert_eq!(refused(&|path| std::fs::write(path, rows(40).replace("xx", "yy")).expect("written")), changed);
    // What was read is what is there now.
    assert_eq!(refused(&|path| write_at(path, SeekFrom::Start(300_000), b"y")), None);
    assert_eq!(refused(&|path| write_at(path, SeekFrom::End(0), b"\n")), None, "a longer file is read to its end");
    assert_eq!(refused(&|path| write_at(path, SeekFrom::Start(2000), b"x")), None, "the bytes are the same");
    assert_eq!(refused(&|path| std::fs::remove_file(path).expect("removed")), None, "the open file is whole");
}

/// All three readers look.
#[test]
fn rows_that_are_rated_or_asked_are_looked_at_too() {
    let (_folder, path) = folder();
    std::fs::write(&path, rows(20)).expect("written");
    let first = contents(&path);
    write_at(&path, SeekFrom::End(-1), b" ");
    let expected = format!("{}: {CHANGED}", path.display());
    let error = Prompts::open_again(&path, &first).expect("opened").find_map(Result::err).expect("changed");
    assert_eq!(error.to_string(), expected);
    let error = AnsweredRows::open_again(&path, &first).expect("opened").find_map(Result::err).expect("changed");
    assert_eq!(error.to_string(), expected);
}

#[cfg(unix)]
#[test]
fn a_pipe_is_read_once() {
    let (folder, path) = folder();
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    std::fs::write(&path, rows(3)).expect("written");
    let writer = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::write(pipe, rows(3)).expect("written")
    });
    let mut piped = Rows::open(&pipe).expect("opened");
    assert_eq!(piped.by_ref().inspect(|row| assert!(row.is_ok(), "{row:?}")).count(), 3);
    assert_eq!(piped.contents().expect("read").sha256(), Digest::of_file(&path).expect("a digest"));
    writer.join().expect("it ended");

    let message = "is a pipe, no file that can be read twice, as this command does; write the rows to a file first";
    let expected = format!("{}: {message}", pipe.display());
    assert_eq!(expect_rereadable(&pipe).expect_err("a pipe").to_string(), expected);
    assert_eq!(Contents::of_file(&pipe, |_, _| {}).expect_err("a pipe").to_string(), expected);
    expect_rereadable(&path).expect("a file");
    assert_eq!(read(&path).expect("rows").rows.len(), 3);
}
