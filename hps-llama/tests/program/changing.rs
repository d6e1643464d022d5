//! Rows that change under a command, and rows that can be read only once.

use crate::program::{Folder, hps, read, root};
use serde_json::json;
use std::io::{Seek, SeekFrom, Write};
use std::process::{Command, Stdio};

const MODEL: &str = "tests/data/models/tiny";
const REWARD: &str = "tests/data/models/tiny-reward";
const CHANGED: &str = "changed while it was read; what was read of it is not one file, so nothing is made of it";

/// Rows of some 30 kB: two or three are read at once.
fn rows(count: usize, responses: &[&str]) -> String {
    let row = |index: usize| {
        let filling = "x".repeat(30_000);
        json!({"prompt": format!("row {index} of"), "responses": responses, "filling": filling})
    };
    (0..count).map(|index| format!("{}\n", row(index))).collect()
}

/// Runs a command, and changes the last row as soon as the first line is written; what it says.
fn changed_meanwhile(folder: &Folder, arguments: &[&str]) -> String {
    let partial = folder.path("lines.jsonl.partial");
    let mut child = Command::new(env!("CARGO_BIN_EXE_hps"))
        .args(arguments)
        .current_dir(root())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    while std::fs::metadata(&partial).map_or(0, |file| file.len()) == 0 {
        assert!(child.try_wait().expect("its state").is_none(), "it ended before the first line");
        std::thread::sleep(std::time::Duration::from_micros(200));
    }
    let mut file = std::fs::File::options().write(true).open(folder.path("rows.jsonl")).expect("the rows");
    file.seek(SeekFrom::End(-100)).and_then(|_| file.write_all(b"y")).expect("written");
    let output = child.wait_with_output().expect("its end");
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr).expect("text")
}

#[test]
fn rows_that_change_under_a_command_finish_nothing() {
    for (command, more) in [
        ("generate", vec!["--model_name_or_path", MODEL, "--n", "8", "--max_tokens", "60", "--max_num_seqs", "8"]),
        ("score", vec!["--model_name_or_path", REWARD, "--max_num_batched_tokens", "1"]),
    ] {
        let folder = Folder::new("");
        let (data, output) = (folder.argument("rows.jsonl"), folder.argument("lines.jsonl"));
        let responses = vec!["the garden ladder is long and the onion is round"; 12];
        std::fs::write(&data, rows(60, &responses)).expect("a file");
        let whole = read(&folder.path("rows.jsonl"));
        let arguments = [&[command, "--data", &data, "--output", &output], &more[..]].concat();
        let error = changed_meanwhile(&folder, &arguments);
        assert!(error.ends_with(&format!("error: {data}: {CHANGED}\n")), "{command}: {error}");
        assert!(!folder.path("lines.jsonl").exists());

        // The lines that were written are of the rows as they were, and of no others.
        let ended = hps(&arguments);
        assert!(ended.error.contains("`data_sha256` was "), "{command}: {}", ended.error);
        std::fs::write(&data, &whole).expect("a file");
        let ended = hps(&arguments);
        assert_eq!(ended.code, Some(0), "{command}: {}", ended.error);
        let resumed = read(&folder.path("lines.jsonl"));
        std::fs::remove_file(&output).expect("removed");
        assert_eq!(hps(&arguments).code, Some(0));
        assert!(read(&folder.path("lines.jsonl")) == resumed, "{command}: other lines");
    }
}

/// The same length under the same name, but other rows.
#[test]
fn a_conversion_goes_on_with_the_same_rows_only() {
    let folder = Folder::new("");
    let (data, output) = (folder.argument("rows.jsonl"), folder.argument("lines.jsonl"));
    let text = |best: &str| json!({"prompt": "p", "chosen": best, "rejected": "c"}).to_string() + "\n";
    std::fs::write(&data, text("a").repeat(3) + "no JSON").expect("a file");
    let arguments = ["data", &data, "--output", &output];
    assert!(hps(&arguments).error.contains("rows.jsonl:4: not valid JSON"));
    assert_eq!(read(&folder.path("lines.jsonl.partial")).iter().filter(|byte| **byte == b'\n').count(), 3);
    std::fs::write(&data, text("b").repeat(3) + "no JSON").expect("a file");
    let ended = hps(&arguments);
    assert!(ended.error.contains("its lines are of a run with other options: `data_sha256` was "), "{}", ended.error);
    // Under another name the same rows are the same.
    std::fs::write(folder.path("moved.jsonl"), text("a").repeat(3) + "no JSON").expect("a file");
    assert!(hps(&["data", &folder.argument("moved.jsonl"), "--output", &output]).error.contains("moved.jsonl:4: "));
}

#[test]
fn a_column_is_given_once() {
    let folder = Folder::new("");
    std::fs::write(folder.path("rows.jsonl"), r#"{"prompt": "p", "a": "x", "b": "y", "rejected": "z"}"#)
        .expect("a file");
    let data = folder.argument("rows.jsonl");
    let ended = hps(&["data", &data, "--columns", "chosen=a", "--columns", "chosen=b"]);
    assert_eq!(ended.error, "error: `--columns` takes both `a` and `b` for `chosen`\n");
}

#[cfg(unix)]
#[test]
fn a_pipe_is_enough_for_one_reading_and_refused_for_two() {
    let folder = Folder::new("");
    let rows = r#"{"prompt": "2 + 2 =", "responses": [" 4", " 5"], "rewards": [1, 0]}"#;
    std::fs::write(folder.path("rows.jsonl"), rows).expect("a file");
    let piped = |arguments: &[&str]| {
        let program = env!("CARGO_BIN_EXE_hps");
        let line = format!("cat '{}' | '{program}' \"$@\"", folder.argument("rows.jsonl"));
        let output = Command::new("sh").args(["-c", &line, "sh"]).args(arguments).current_dir(root()).output();
        let output = output.expect("a shell");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let output = folder.argument("lines.jsonl");
    let message = "is a pipe, no file that can be read twice, as this command does; write the rows to a file first";
    for arguments in [
        vec!["generate", "--model_name_or_path", MODEL, "--data", "/dev/stdin", "--output", &output],
        vec!["score", "--model_name_or_path", REWARD, "--data", "/dev/stdin", "--output", &output],
        vec!["data", "/dev/stdin", "--output", &output],
    ] {
        let (code, _, error) = piped(&arguments);
        assert_eq!((code, error), (Some(1), format!("error: /dev/stdin: {message}\n")), "{arguments:?}");
        assert!(!folder.path("lines.jsonl.partial").exists() && !folder.path("lines.jsonl.partial.json").exists());
    }
    let (code, out, error) = piped(&["data", "/dev/stdin"]);
    assert!(code == Some(0) && out.contains("usable                  1"), "{error}");
    let (code, out, error) = piped(&["log-probs", "--model", MODEL, "--data", "/dev/stdin"]);
    assert!(code == Some(0) && out.contains("\"place\":\"/dev/stdin:1\""), "{error}");

    // What an evaluation keeps is the digest of what came through the pipe.
    let evaluation = folder.argument("evaluation");
    let evaluate = |data: &'static str| {
        ["evaluate", "--model_name_or_path", MODEL, "--max_tokens", "4", "--output"]
            .into_iter()
            .chain([evaluation.as_str(), "--data", data])
            .collect::<Vec<_>>()
    };
    let (code, _, error) = piped(&evaluate("x=/dev/stdin"));
    assert_eq!(code, Some(0), "{error}");
    let (code, _, error) = piped(&evaluate("x=/dev/stdin"));
    assert_eq!(code, Some(0), "{error}");
    std::fs::write(folder.path("rows.jsonl"), rows.replace("[1, 0]", "[0, 1]")).expect("a file");
    let (code, _, error) = piped(&evaluate("x=/dev/stdin"));
    assert!(
        code == Some(1) && error.contains("its rows are of a run with other options: `data_sha256` was "),
        "{error}"
    );
}
