//! `hps data`: counts, samples, and the list form, written to the end although it is killed.

use crate::program::{Folder, data, hps, read};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

fn lines(bytes: &[u8]) -> Vec<Value> {
    std::str::from_utf8(bytes).expect("text").lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn it_counts_shows_and_converts() {
    let folder = Folder::new("");
    let rows = [
        json!({"prompt": "How?", "response_0": "So.", "response_1": "No.", "better_response_id": 0, "safer_response_id": 1}),
        json!({"prompt": "Why?", "response_0": "a", "response_1": "a", "better_response_id": 0, "safer_response_id": 1}),
    ];
    std::fs::write(folder.path("pku.json"), json!(rows).to_string()).expect("written");
    let (input, output) = (folder.argument("pku.json"), folder.argument("lists.jsonl"));

    let refused = hps(&["data", &input]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.error.contains("pku.json:1: ") && refused.error.contains("--prefer"), "{}", refused.error);

    let ended = hps(&["data", &input, "--prefer", "safer", "--output", &output]);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    for part in [
        "safe-rlhf",
        "rows                    2",
        "usable                  1",
        "dropped: 1 identical",
        "How?",
        "1               No.",
    ] {
        assert!(ended.out.contains(part), "{part}: {}", ended.out);
    }
    let expected = json!({"prompt": "How?", "responses": ["No.", "So."], "rewards": [1.0, 0.0]});
    assert_eq!(lines(&read(&folder.path("lists.jsonl"))), [expected]);

    let again = hps(&["data", &input, "--prefer", "safer", "--output", &output]);
    assert!(again.error.contains("lists.jsonl: exists already"), "{}", again.error);
    assert_eq!(hps(&["data", &input, "--prefer", "better", "--output", &output, "--overwrite"]).code, Some(0));
    assert_eq!(lines(&read(&folder.path("lists.jsonl")))[0]["responses"], json!(["So.", "No."]));
    // What it writes it reads, as itself.
    let lists = hps(&["data", &output]);
    assert!(lists.out.contains("shape                   lists"), "{}", lists.out);
}

#[test]
fn lengths_are_in_tokens_with_a_model() {
    let (rows, model) = (data("trl-sigmoid/preferences.jsonl"), data("models/tiny"));
    let [rows, model] = [rows, model].map(|path| path.display().to_string());
    let ended = hps(&["data", &rows, "--model_name_or_path", &model, "--samples", "0"]);
    assert!(ended.out.contains("prompt, tokens") && ended.out.contains("usable                  24"), "{}", ended.out);
}

#[test]
fn wrong_flags_are_refused() {
    for (flags, part) in [
        (["--columns", "chosen"], "`chosen` is not of the form FIELD=COLUMN"),
        (["--shape", "list"], "`list` is none of lists, pairs"),
        (["--prefer", "best"], "`best` is neither better nor safer"),
    ] {
        let ended = hps(&[&["data", "rows.jsonl"][..], &flags].concat());
        assert!(ended.code == Some(2) && ended.error.contains(part), "{}", ended.error);
    }
}

#[test]
fn downloads_are_a_feature() {
    for (dataset, file, part) in [
        ("owner", "a.jsonl", "`owner` is not of the form owner/name"),
        ("owner/..%2f", "a.jsonl", "is not of the form owner/name"),
        ("owner/name", "../a.jsonl", "is not the name of a file in a repository"),
        #[cfg(not(feature = "hub"))]
        ("owner/name", "a.jsonl", "owner/name: a.jsonl: this program is built without `hub`"),
    ] {
        let ended = hps(&["data", file, "--download", dataset]);
        assert!(ended.code == Some(1) && ended.error.contains(part), "{}", ended.error);
    }
}

fn write_pairs(path: &Path, count: usize) {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).expect("a file"));
    for number in 0..count {
        let row = json!({"prompt": format!("{number}?"), "chosen": "a".repeat(300), "rejected": "b".repeat(300)});
        writeln!(file, "{row}").expect("written");
    }
    file.flush().expect("written");
}

#[test]
fn a_killed_conversion_goes_on_to_the_same_bytes() {
    let folder = Folder::new("");
    write_pairs(&folder.path("pairs.jsonl"), 60_000);
    let (input, whole, cut) =
        (folder.argument("pairs.jsonl"), folder.argument("whole.jsonl"), folder.argument("cut.jsonl"));
    assert_eq!(hps(&["data", &input, "--output", &whole]).code, Some(0));

    let mut child = Command::new(env!("CARGO_BIN_EXE_hps"))
        .args(["data", &input, "--output", &cut])
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    let partial = folder.path("cut.jsonl.partial");
    while std::fs::metadata(&partial).map_or(0, |file| file.len()) < 1 << 20 {
        assert!(child.try_wait().expect("its state").is_none(), "it ended before it could be killed");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().expect("killed");
    child.wait().expect("ended");
    assert!(!folder.path("cut.jsonl").exists() && std::fs::metadata(&partial).expect("kept").len() >= 1 << 20);

    assert_eq!(hps(&["data", &input, "--output", &cut]).code, Some(0));
    assert!(read(&folder.path("whole.jsonl")) == read(&folder.path("cut.jsonl")));
    assert_eq!(lines(&read(&folder.path("cut.jsonl"))).len(), 60_000);
}

/// Rows are read one at a time: 220 MB go through a process that may map 150 MB.
#[cfg(target_os = "linux")]
#[test]
fn a_file_larger_than_memory_is_converted() {
    let folder = Folder::new("");
    write_pairs(&folder.path("pairs.jsonl"), 350_000);
    assert!(std::fs::metadata(folder.path("pairs.jsonl")).expect("its size").len() > 220_000_000);
    let limited = format!("ulimit -v 150000 && exec {} data \"$1\" --output \"$2\"", env!("CARGO_BIN_EXE_hps"));
    let ended = Command::new("sh")
        .args(["-c", &limited, "sh", &folder.argument("pairs.jsonl"), &folder.argument("lists.jsonl")])
        .output()
        .expect("it starts");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}
