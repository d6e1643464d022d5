//! What every command says of an output that it may not write: before it works, and with nothing changed.

use crate::program::{Folder, data, hps, read};
use std::path::Path;

const MODEL: &str = "tests/data/models/tiny";

/// A command with its inputs and the option that names its output.
struct Call {
    arguments: Vec<String>,
    output: &'static str,
    /// Another input than the rows, where it has one.
    model: Option<String>,
}

fn copy_model(from: &str, to: &Path) -> String {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(data("models").join(from)).expect("a model") {
        let entry = entry.expect("an entry");
        if entry.path().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
        }
    }
    to.display().to_string()
}

/// All commands that write a file, on rows and models of the folder.
fn calls(folder: &Folder) -> Vec<Call> {
    let rows = folder.argument("rows.jsonl");
    std::fs::write(&rows, r#"{"prompt": "2 + 2 =", "responses": [" 4", " 5"], "rewards": [1, 0]}"#).expect("a file");
    let (model, reward) =
        (copy_model("tiny", &folder.path("model")), copy_model("tiny-reward", &folder.path("reward")));
    let call = |words: &[&str], output, model: Option<&str>| Call {
        arguments: words.iter().map(|word| word.to_string()).collect(),
        output,
        model: model.map(str::to_string),
    };
    vec![
        call(&["data", &rows, "--model_name_or_path", &model], "--output", Some(&model)),
        call(&["log-probs", "--model", &model, "--data", &rows], "--output", Some(&model)),
        call(
            &["generate", "--model_name_or_path", &model, "--data", &rows, "--n", "1", "--max_tokens", "2"],
            "--output",
            Some(&model),
        ),
        call(
            &["score", "--model_name_or_path", &reward, "--data", &rows, "--overwrite_rewards"],
            "--output",
            Some(&reward),
        ),
        call(&["bench", "--shape", "tiny", "--steps", "1", "--parts", "throughput"], "--json", None),
    ]
}

impl Call {
    fn run(&self, output: &str, more: &[&str]) -> crate::program::Ended {
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        hps(&[&arguments[..], &[self.output, output], more].concat())
    }

    /// It has to be refused; what it says after `error: `.
    fn refused(&self, output: &str, more: &[&str]) -> String {
        let ended = self.run(output, more);
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{:?} {output}: {}", self.arguments, ended.error);
        ended.error.lines().last().and_then(|line| line.strip_prefix("error: ")).expect("an error").to_string()
    }
}

fn names(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(path).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_file_that_is_there_is_replaced_only_when_asked_for() {
    let folder = Folder::new("");
    for call in calls(&folder) {
        let output = folder.argument("precious");
        std::fs::write(&output, "precious").expect("a file");
        let message = call.refused(&output, &[]);
        assert_eq!(
            message,
            format!("{output}: exists already; remove it, or give `--overwrite`"),
            "{:?}",
            call.arguments
        );
        assert_eq!(read(&folder.path("precious")), b"precious");
        let ended = call.run(&output, &["--overwrite"]);
        assert_eq!(ended.code, Some(0), "{:?}: {}", call.arguments, ended.error);
        assert_ne!(read(&folder.path("precious")), b"precious");
        std::fs::remove_file(&output).expect("removed");
        assert_eq!(names(&folder.path("")), ["model", "options.toml", "reward", "rows.jsonl"], "{:?}", call.arguments);
    }
}

#[test]
fn an_input_is_never_an_output() {
    let folder = Folder::new("");
    for call in calls(&folder) {
        let Some(model) = &call.model else { continue };
        let rows = folder.argument("rows.jsonl");
        let before = read(&folder.path("rows.jsonl"));
        let message = call.refused(&rows, &["--overwrite"]);
        assert_eq!(message, format!("{rows}: is what is read, {rows}; the output needs a name of its own"));
        std::fs::hard_link(&rows, folder.path("other")).expect("a link");
        let other = folder.argument("other");
        assert!(call.refused(&other, &["--overwrite"]).starts_with(&format!("{other}: is what is read, {rows}; ")));
        std::fs::remove_file(&other).expect("removed");
        assert_eq!(read(&folder.path("rows.jsonl")), before);

        // Nor is a file of the model, nor a new one beside them.
        let config = format!("{model}/config.json");
        let before = read(Path::new(&config));
        for place in [config.clone(), format!("{model}/lines.jsonl")] {
            let message = call.refused(&place, &["--overwrite"]);
            assert_eq!(message, format!("{place}: lies in what is read, {model}; the output needs a place of its own"));
        }
        std::fs::hard_link(&config, &other).expect("a link");
        assert!(
            call.refused(&other, &["--overwrite"]).starts_with(&format!("{other}: lies in what is read, {model}; "))
        );
        std::fs::remove_file(&other).expect("removed");
        assert_eq!(read(Path::new(&config)), before);
        // Deeper down nothing is read.
        std::fs::create_dir(format!("{model}/below")).expect("a folder");
        let below = call.run(&format!("{model}/below/lines.jsonl"), &[]);
        assert_eq!(below.code, Some(0), "{}", below.error);
        std::fs::remove_dir_all(format!("{model}/below")).expect("removed");
    }
}

#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_left_alone() {
    use std::os::unix::fs::{FileTypeExt, symlink};
    let folder = Folder::new("");
    let keys = folder.path("keys");
    std::fs::write(&keys, "secret").expect("a file");
    let [link, nowhere, pipe, below] = ["link", "nowhere", "pipe", "below"].map(|name| folder.argument(name));
    symlink(&keys, &link).and_then(|()| symlink(folder.path("none"), &nowhere)).expect("links");
    std::fs::create_dir(&below).expect("a folder");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    for call in calls(&folder) {
        for (output, what) in [
            (&link, "a symbolic link"),
            (&nowhere, "a symbolic link"),
            (&pipe, "a pipe"),
            (&below, "a folder"),
            (&"/dev/null".to_string(), "a device"),
        ] {
            let message = call.refused(output, &["--overwrite"]);
            assert_eq!(message, format!("{output}: is {what}, not a regular file"), "{:?}", call.arguments);
        }
        assert_eq!(read(&keys), b"secret");
        assert!(std::fs::metadata(&pipe).expect("the pipe").file_type().is_fifo());
    }
    // Beside the output lie the lines that are not finished: no link is followed there either.
    symlink(&keys, folder.path("lines.jsonl.partial")).expect("a link");
    let own = calls(&folder);
    for call in own.iter().filter(|call| ["data", "generate", "score"].contains(&call.arguments[0].as_str())) {
        let message = call.refused(&folder.argument("lines.jsonl"), &["--overwrite"]);
        assert_eq!(
            message,
            format!("{}.partial: is a symbolic link, not a regular file", folder.argument("lines.jsonl"))
        );
    }
    assert_eq!(read(&keys), b"secret");
}

/// Without a model that could be read: the output is looked at first.
#[test]
fn an_output_is_looked_at_before_anything_is_read() {
    let folder = Folder::new("");
    let (none, output) = (folder.argument("none"), folder.argument("precious"));
    std::fs::write(&output, "precious").expect("a file");
    for arguments in [
        vec!["log-probs", "--model", &none, "--data", &none, "--output", &output],
        vec!["generate", "--model_name_or_path", &none, "--data", &none, "--output", &output],
        vec!["score", "--model_name_or_path", &none, "--data", &none, "--output", &output],
        vec!["data", &none, "--output", &output],
    ] {
        let ended = hps(&arguments);
        assert!(ended.error.contains("precious: exists already"), "{arguments:?}: {}", ended.error);
    }
    let data = format!("x={none}");
    let ended = hps(&["evaluate", "--model_name_or_path", &none, "--data", &data, "--output", &output]);
    assert_eq!(ended.error, format!("error: {output}: is a regular file, not a folder\n"));
    let ended = hps(&["evaluate", "--model_name_or_path", MODEL, "--data", &data, "--output", MODEL]);
    let message = format!("{MODEL}: is what is read, {MODEL}; the output needs a folder of its own");
    assert_eq!(ended.error, format!("error: {message}\n"));
    let ended = hps(&["merge", "--model", &none, "--adapter", &none, "--output_dir", &output]);
    assert_eq!(ended.error, format!("error: {output}: is a regular file, not a folder\n"));
    let ended = hps(&["merge", "--model", MODEL, "--adapter", &none, "--output_dir", MODEL]);
    assert_eq!(ended.error, format!("error: {message}\n"));
}

/// A kill at a command's very end leaves what says whose lines they were; the next call takes it away, though it is refused.
#[test]
fn what_a_kill_left_beside_a_finished_output_goes() {
    let folder = Folder::new("");
    for call in
        calls(&folder).into_iter().filter(|call| ["data", "generate", "score"].contains(&call.arguments[0].as_str()))
    {
        let output = folder.argument(&format!("{}.jsonl", call.arguments[0]));
        let side = format!("{output}.partial.json");
        std::fs::write(&output, "{}\n").expect("lines");
        std::fs::write(&side, r#"{"command": "this one"}"#).expect("a record");
        let message = call.refused(&output, &[]);
        assert_eq!(message, format!("{output}: exists already; remove it, or give `--overwrite`"));
        assert!(!Path::new(&side).exists(), "{side}");
        assert_eq!(read(Path::new(&output)), b"{}\n");
    }
}
