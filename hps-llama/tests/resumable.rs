//! Outputs that survive being killed.

use hps_llama::ErrorKind;
use hps_llama::files::Output;
use hps_llama::resumable::Resumable;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const CHILD: &str = "HPS_RESUMABLE_KILL_CHILD";
const ROWS: usize = 400;
const KILLS: u32 = 20;

fn folder() -> (TempDir, PathBuf) {
    let folder = TempDir::new().expect("a folder");
    let output = folder.path().join("lines.jsonl");
    (folder, output)
}

fn run() -> Value {
    json!({"command": "count", "options": {"temperature": 0.9, "n": 3}})
}

fn fresh(path: &Path) -> Output<'_> {
    Output { path, inputs: &[], overwrite: false }
}

fn again(path: &Path) -> Output<'_> {
    Output { overwrite: true, ..fresh(path) }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
    names.sort();
    names
}

fn push(lines: &mut Resumable, count: usize) {
    for _ in 0..count {
        let row = json!({"row": lines.done(), "text": "ü\n".repeat(lines.done() % 7)});
        lines.push(&row).expect("a line");
    }
}

#[test]
fn a_half_written_line_is_cut_off() {
    let (folder, output) = folder();
    let mut lines = Resumable::open(&fresh(&output), &run()).expect("an output");
    push(&mut lines, 3);
    drop(lines);
    assert_eq!(names(folder.path()), ["lines.jsonl.partial", "lines.jsonl.partial.json"]);
    let partial = folder.path().join("lines.jsonl.partial");
    let whole = std::fs::read(&partial).expect("lines");
    for cut in 0..=whole.len() {
        std::fs::write(&partial, &whole[..cut]).expect("a file");
        let mut lines = Resumable::open(&fresh(&output), &run()).expect("an output");
        let complete = whole[..cut].iter().filter(|byte| **byte == b'\n').count();
        assert_eq!((lines.done(), lines.resumed()), (complete, complete), "cut at {cut}");
        push(&mut lines, 3 - complete);
        assert_eq!((lines.done(), lines.resumed()), (3, complete));
        drop(lines);
        assert!(std::fs::read(&partial).expect("lines") == whole, "cut at {cut}");
    }
    Resumable::open(&fresh(&output), &run()).expect("an output").finish().expect("its name");
    assert_eq!(names(folder.path()), ["lines.jsonl"]);
    assert!(std::fs::read(&output).expect("lines") == whole);
}

#[test]
fn lines_of_another_run_are_refused_with_the_field() {
    let (folder, output) = folder();
    push(&mut Resumable::open(&fresh(&output), &run()).expect("an output"), 2);
    let partial = folder.path().join("lines.jsonl.partial");
    let refused = |fingerprint: Value| {
        let error = Resumable::open(&fresh(&output), &fingerprint).expect_err("another run");
        assert_eq!((error.kind(), error.place()), (ErrorKind::Checkpoint, Some(&*partial.display().to_string())));
        let message = error.to_string();
        let message = message.strip_suffix("; remove it, or give `--overwrite`, to start anew").expect("what to do");
        message.strip_prefix(&format!("{}: ", partial.display())).expect("the place").to_owned()
    };
    let differs = "its lines are of a run with other options: ";
    let hotter = json!({"command": "count", "options": {"temperature": 1, "n": 3}});
    assert_eq!(refused(hotter), format!("{differs}`options.temperature` was 0.9 and is 1"));
    let fewer = json!({"command": "count", "options": {"temperature": 0.9}});
    assert_eq!(refused(fewer), format!("{differs}`options.n` was 3 and is null"));
    let more = json!({"command": "count", "options": {"temperature": 0.9, "n": 3, "top_p": 0.5}});
    assert_eq!(refused(more.clone()), format!("{differs}`options.top_p` was null and is 0.5"));

    let side = folder.path().join("lines.jsonl.partial.json");
    std::fs::remove_file(&side).expect("a file");
    let nothing = format!("nothing says what run its lines are of: {} is missing", side.display());
    assert_eq!(refused(run()), nothing);
    assert_eq!(std::fs::read_to_string(&partial).expect("lines").lines().count(), 2);

    let lines = Resumable::open(&again(&output), &more).expect("an output");
    assert_eq!((lines.done(), std::fs::read(&partial).expect("lines").len()), (0, 0));
}

#[test]
fn an_output_is_replaced_only_when_asked_for() {
    let (folder, output) = folder();
    std::fs::write(&output, "precious").expect("a file");
    let error = Resumable::open(&fresh(&output), &run()).expect_err("it exists");
    assert_eq!(error.to_string(), format!("{}: exists already; remove it, or give `--overwrite`", output.display()));
    assert_eq!(names(folder.path()), ["lines.jsonl"]);

    push(&mut Resumable::open(&again(&output), &run()).expect("an output"), 2);
    // A kill while overwriting is gone on from as any other.
    let mut lines = Resumable::open(&again(&output), &run()).expect("an output");
    assert_eq!(lines.done(), 2);
    push(&mut lines, 1);
    assert_eq!(std::fs::read_to_string(&output).expect("text"), "precious");
    lines.finish().expect("its name");
    assert_eq!(std::fs::read_to_string(&output).expect("text").lines().count(), 3);
    assert_eq!(names(folder.path()), ["lines.jsonl"]);
}

/// A kill in the middle of [`Resumable::finish`]: the lines have their name, what says whose they are is still there.
#[test]
fn a_finished_output_is_left_alone() {
    let (folder, output) = folder();
    let mut lines = Resumable::open(&fresh(&output), &run()).expect("an output");
    push(&mut lines, 2);
    drop(lines);
    std::fs::rename(folder.path().join("lines.jsonl.partial"), &output).expect("renamed");
    assert_eq!(names(folder.path()), ["lines.jsonl", "lines.jsonl.partial.json"]);
    let error = Resumable::open(&fresh(&output), &run()).expect_err("it is there");
    assert!(error.to_string().contains("exists already"), "{error}");
    assert_eq!(names(folder.path()), ["lines.jsonl"]);
    assert_eq!(std::fs::read_to_string(&output).expect("text").lines().count(), 2);

    // Not by its name alone is it the program's.
    std::fs::write(folder.path().join("lines.jsonl.partial.json"), "{\"precious\": 1}").expect("a file");
    Resumable::open(&fresh(&output), &run()).expect_err("it is there");
    assert_eq!(names(folder.path()), ["lines.jsonl", "lines.jsonl.partial.json"]);
}

#[test]
fn two_processes_do_not_write_one_output() {
    let (_folder, output) = folder();
    let first = Resumable::open(&fresh(&output), &run()).expect("an output");
    let error = Resumable::open(&fresh(&output), &run()).expect_err("it is being written");
    assert!(error.to_string().ends_with("lines.jsonl.partial: another process is writing it"), "{error}");
    drop(first);
    Resumable::open(&fresh(&output), &run()).expect("it is free");
}

#[test]
fn a_line_that_is_no_json_is_refused() {
    let (folder, output) = folder();
    push(&mut Resumable::open(&fresh(&output), &run()).expect("an output"), 1);
    let partial = folder.path().join("lines.jsonl.partial");
    let mut bytes = std::fs::read(&partial).expect("lines");
    bytes.extend(b"{\"row\": \0}\n");
    std::fs::write(&partial, bytes).expect("a file");
    let error = Resumable::open(&fresh(&output), &run()).expect_err("no JSON");
    assert_eq!((error.kind(), error.place()), (ErrorKind::Checkpoint, Some(&*format!("{}:2", partial.display()))));
}

/// Writes all rows, slowly, in a process of its own.
fn child(output: &Path) -> Child {
    Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "bytes_are_the_same_after_kills", "--nocapture"])
        .env(CHILD, output)
        .stdout(Stdio::null())
        .spawn()
        .expect("the test starts itself")
}

fn write_all(output: &Path, pause: Duration) {
    let mut lines = Resumable::open(&fresh(output), &run()).expect("an output");
    while lines.done() < ROWS {
        push(&mut lines, 1);
        std::thread::sleep(pause);
    }
    lines.finish().expect("its name");
}

#[test]
fn bytes_are_the_same_after_kills() {
    if let Some(output) = std::env::var_os(CHILD) {
        return write_all(Path::new(&output), Duration::from_micros(300));
    }
    let (_whole, expected) = folder();
    write_all(&expected, Duration::ZERO);
    let (mut killed, mut output) = folder();
    let (mut kills, mut ends) = (0, 0);
    while kills < KILLS || ends == 0 {
        let partial = output.with_file_name("lines.jsonl.partial");
        let lines = || std::fs::read(&partial).map_or(0, |bytes| bytes.iter().filter(|byte| **byte == b'\n').count());
        // At once, or so many lines on.
        let goal = lines() + kills as usize * 37 % 60;
        let mut child = child(&output);
        if kills < KILLS {
            while lines() < goal && child.try_wait().expect("its state").is_none() {
                std::thread::sleep(Duration::from_micros(100));
            }
            kills += u32::from(child.try_wait().expect("its state").is_none());
            child.kill().expect("a kill, or it has ended");
        }
        if child.wait().expect("it is gone").success() {
            assert!(
                std::fs::read(&output).expect("lines") == std::fs::read(&expected).expect("lines"),
                "after {kills} kills: other bytes"
            );
            assert_eq!(names(killed.path()), ["lines.jsonl"]);
            ends += 1;
            (killed, output) = folder();
        }
    }
}

#[test]
fn lines_that_are_taken_away_are_missed_at_once() {
    let (_folder, output) = folder();
    let below = output.with_file_name("below").join("lines.jsonl");
    std::fs::create_dir(below.parent().expect("a folder")).expect("a folder");
    let mut lines = Resumable::open(&fresh(&below), &run()).expect("an output");
    push(&mut lines, 1);
    std::fs::remove_dir_all(below.parent().expect("a folder")).expect("removed");
    // Looked at with the disk's synchronisation.
    std::thread::sleep(Duration::from_millis(1100));
    let error = lines.push(&json!({"row": 1})).expect_err("the file is gone");
    let expected = format!("{}.partial: was taken away or replaced while it was written", below.display());
    assert_eq!(error.to_string(), expected);
    assert_eq!(lines.finish().expect_err("the file is gone").to_string(), expected);
}

/// Whoever removes what says whose the lines are leaves them to the process that writes them.
#[test]
fn the_lines_are_locked_too() {
    let (folder, output) = folder();
    let mut first = Resumable::open(&fresh(&output), &run()).expect("an output");
    push(&mut first, 2);
    std::fs::remove_file(folder.path().join("lines.jsonl.partial.json")).expect("removed");
    let error = Resumable::open(&again(&output), &run()).expect_err("it is being written");
    assert!(error.to_string().ends_with("lines.jsonl.partial: another process is writing it"), "{error}");
    push(&mut first, 1);
    assert_eq!(std::fs::read_to_string(folder.path().join("lines.jsonl.partial")).expect("lines").lines().count(), 3);
}

#[test]
fn a_file_of_somebody_elses_is_not_taken_for_a_record() {
    let (folder, output) = folder();
    let side = folder.path().join("lines.jsonl.partial.json");
    for text in ["{\"my\": \"notes\"}", "[1]", "no JSON"] {
        std::fs::write(&side, text).expect("a file");
        for output in [fresh(&output), again(&output)] {
            let error = Resumable::open(&output, &run()).expect_err("not ours");
            let message =
                "is no record of a run; it stands where one is written, so remove it, or choose another output";
            assert_eq!(error.to_string(), format!("{}: {message}", side.display()));
        }
        assert_eq!(std::fs::read_to_string(&side).expect("text"), text);
        assert_eq!(names(folder.path()), ["lines.jsonl.partial.json"]);
    }
}

/// Runs of several seeds at one output, each opening while others write or finish: what has the name is of one of them.
#[test]
fn runs_that_race_do_not_mix() {
    const RACERS: u64 = 4;
    let fingerprint = |seed: u64| json!({"command": "race", "seed": seed});
    for round in 0..60 {
        let (folder, output) = folder();
        let race = |seed: u64| {
            let output = if round % 2 == 0 { fresh(&output) } else { again(&output) };
            for _ in 0..200 {
                let Ok(mut lines) = Resumable::open(&output, &fingerprint(seed)) else {
                    std::thread::yield_now();
                    continue;
                };
                while lines.done() < 5 {
                    lines.push(&json!({"seed": seed})).expect("a line");
                }
                return lines.finish().expect("its name");
            }
        };
        std::thread::scope(|scope| {
            for seed in 0..RACERS {
                let race = &race;
                scope.spawn(move || race(seed));
            }
        });
        let text = std::fs::read_to_string(&output).expect("one of them finished");
        let seeds: Vec<&str> = text.lines().collect();
        assert!(seeds.len() == 5 && seeds.iter().all(|line| *line == seeds[0]), "round {round}: {text}");
        assert_eq!(names(folder.path()), ["lines.jsonl"], "round {round}");
    }
}
