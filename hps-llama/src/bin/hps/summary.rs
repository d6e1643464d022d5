//! What a run came to, in the terminal: its first and its last lines, side by side.

use crate::output::Output;
use crate::terminal::{path_text, say};
use hps_llama::{Error, ErrorKind, Result};
use serde_json::Value;
use std::fs;

/// Quantities of the log that are shown, and their names.
const SHOWN: [(&str, &str); 8] = [
    ("loss", "loss"),
    ("rewards/margins", "margin to the rejected"),
    ("rewards/hard_margins", "margin to the hardest"),
    ("rewards/accuracies", "accuracy"),
    ("eval_loss", "held-out loss"),
    ("eval_rewards/margins", "held-out margin to the rejected"),
    ("eval_rewards/hard_margins", "held-out margin to the hardest"),
    ("eval_rewards/accuracies", "held-out accuracy"),
];

/// Prints the table, and where the files are.
pub fn print(output: &Output) -> Result<()> {
    let path = output.metrics();
    let failed = || Error::new(ErrorKind::Io, "cannot be read").at(path.display());
    let text = fs::read_to_string(&path).map_err(|source| failed().because(source))?;
    let lines: Vec<Value> =
        text.lines().map(serde_json::from_str).collect::<Result<_, _>>().map_err(|source| failed().because(source))?;
    say!("{:32} {:>10} {:>10}", "", "first", "last");
    for (key, name) in SHOWN {
        let mut numbers = lines.iter().filter_map(|line| line.get(key)?.as_f64());
        if let Some(first) = numbers.next() {
            say!("{name:32} {first:>10.4} {:>10.4}", numbers.next_back().unwrap_or(first));
        }
    }
    say!("written: {}", path_text(output.folder()));
    Ok(())
}
