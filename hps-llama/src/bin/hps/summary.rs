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

/// The last of so many parts of a run: its mean is what training ended at.
const LAST: usize = 10;

/// Prints the table, and where the files are.
pub fn print(output: &Output) -> Result<()> {
    let path = output.metrics();
    let failed = || Error::new(ErrorKind::Io, "cannot be read").at(path.display());
    let text = fs::read_to_string(&path).map_err(|source| failed().because(source))?;
    let lines: Vec<Value> =
        text.lines().map(serde_json::from_str).collect::<Result<_, _>>().map_err(|source| failed().because(source))?;
    say!("{:32} {:>10} {:>10}", "", "first", "last");
    for (key, name) in SHOWN {
        let numbers: Vec<f64> = lines.iter().filter_map(|line| line.get(key)?.as_f64()).collect();
        // An update's number is of a few rows, an evaluation's of all that are held out.
        let last = if key.starts_with("eval_") { 1 } else { numbers.len().div_ceil(LAST) };
        if let Some(first) = numbers.first() {
            let last = numbers[numbers.len() - last..].iter().sum::<f64>() / last as f64;
            say!("{name:32} {first:>10.4} {last:>10.4}");
        }
    }
    say!("written: {}", path_text(output.folder()));
    Ok(())
}
