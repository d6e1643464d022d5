//! Files that the commands read, made once a test; at its end they have to have the same bytes.

use crate::tree::{self, Tree};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Files of each kind that differ.
pub const FILES: usize = 4;
const WORDS: [&str; 8] = ["garden", "ladder", "onion", "passport", "router", "answer", "water", "naïve"];

/// A folder of rows, and the models.
#[derive(Debug)]
pub struct Inputs {
    folder: TempDir,
    before: [Tree; 2],
}

/// The models of `tests/data`.
fn models() -> PathBuf {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/models");
    models.canonicalize().expect("the models")
}

impl Inputs {
    pub fn new() -> Inputs {
        let folder = TempDir::new().expect("a folder");
        for file in 0..FILES {
            let write = |name: &str, rows: Vec<Value>| {
                let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
                std::fs::write(folder.path().join(format!("{name}-{file}.jsonl")), lines).expect("a file");
            };
            write("prompts", (0..14).map(|row| json!({"prompt": prompt(row, file)})).collect());
            write("answered", (0..40).map(|row| answered(row, file)).collect());
            write("lists", (0..20).map(|row| list(row, file)).collect());
            // Conversations: of a text, and a response that a model draws, the tokens need not be those of each.
            let few = (0..10).filter(|row| row % 3 > 0);
            write("few", few.map(|row| list(row, file)).collect());
            write("many", (0..4000).map(|row| list(row, file)).collect());
        }
        let before = [tree::read(folder.path()), tree::read(&models())];
        Inputs { folder, before }
    }

    /// A file of rows: `prompts`, `answered`, `lists`, `few` lists, or `many` lists.
    pub fn rows(&self, name: &str, number: usize) -> String {
        self.folder.path().join(format!("{name}-{}.jsonl", number % FILES)).display().to_string()
    }

    /// A model's folder, or an adapter's in it.
    pub fn model(&self, name: &str) -> String {
        models().join(name).display().to_string()
    }

    /// All that is read has the bytes it had.
    pub fn check(&self) -> Result<(), String> {
        let now = [tree::read(self.folder.path()), tree::read(&models())];
        let difference = self.before.iter().zip(&now).find_map(|(before, now)| tree::difference(before, now));
        difference.map_or(Ok(()), |difference| Err(format!("an input was changed: {difference}")))
    }
}

fn prompt(row: usize, file: usize) -> Value {
    let text = format!("{} {} {row} and", WORDS[row % 8], WORDS[(row / 8 + file) % 8]);
    match row % 3 {
        0 => json!(text),
        _ => json!([{"role": "user", "content": text}]),
    }
}

fn response(row: usize, file: usize, number: usize) -> String {
    let words = (0..2 + (row + 3 * number) % 5).map(|word| WORDS[(row + word * (number + 1) + file) % 8]);
    format!(" {} {number}", words.collect::<Vec<_>>().join(" "))
}

/// One to four responses.
fn answered(row: usize, file: usize) -> Value {
    let responses: Vec<String> = (0..1 + row % 4).map(|number| response(row, file, number)).collect();
    json!({"prompt": prompt(row, file), "responses": responses, "source": {"line": row, "é": null}})
}

/// Three to five responses, no two rewards alike.
fn list(row: usize, file: usize) -> Value {
    let count = 3 + row % 3;
    let responses: Vec<String> = (0..count).map(|number| response(row, file, number)).collect();
    let rewards: Vec<f64> = (0..count).map(|number| ((number * 2 + row + file) % 7) as f64 / 2.0).collect();
    json!({"prompt": prompt(row, file), "responses": responses, "rewards": rewards})
}
