//! What a run came to, in the terminal: its first and its last lines, side by side.

use crate::output::Output;
use crate::terminal::{path_text, say};
use hps_llama::train::options::Task;
use hps_llama::train::{Example, TrainConfig};
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

/// The last of so many parts of a run is where training ended.
const LAST: usize = 10;

/// A loss that moved by less is where it was.
const MOVED: f64 = 1e-3;
/// Margins, nats a response, and falls of the preferred responses' log-probs, nats a token, from which on responses of measured
/// runs were broken (docs/guide/train.md).
const BROKEN: [f64; 2] = [10.0, 0.15];

/// What is known of a run beside its log.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// β, where margins are rewards of a policy.
    pub beta: Option<f64>,
    /// Tokens of the preferred responses that are held out, on average.
    pub preferred_tokens: Option<f64>,
}

impl Facts {
    /// Of a run's config and the rows that it evaluates on.
    pub fn of(config: &TrainConfig, held_out: &[Example]) -> Facts {
        let tokens: usize = held_out.iter().map(|example| example.group.responses[0].len()).sum();
        Facts {
            beta: config.loss.beta().filter(|_| config.task == Task::Preference),
            preferred_tokens: (!held_out.is_empty()).then(|| tokens as f64 / held_out.len() as f64),
        }
    }
}

/// Prints the table, what it means where that is no good, and where the files are.
pub fn print(output: &Output, facts: Facts) -> Result<()> {
    let path = output.metrics();
    let failed = || Error::new(ErrorKind::Io, "cannot be read").at(path.display());
    let text = fs::read_to_string(&path).map_err(|source| failed().because(source))?;
    let lines: Vec<Value> =
        text.lines().map(serde_json::from_str).collect::<Result<_, _>>().map_err(|source| failed().because(source))?;
    let ends = |key: &str| ends(&lines, key);
    say!("{:32} {:>10} {:>10}", "", "first", "last");
    for (key, name) in SHOWN {
        if let Some([first, last]) = ends(key) {
            say!("{name:32} {first:>10.4} {last:>10.4}");
        }
    }
    if let (Some(_), Some([first, last])) = (facts.beta, ends("eval_loss").or(ends("loss")))
        && (first - last).abs() < MOVED
    {
        say!(
            "The policy hardly moved: the loss is {last:.4} after {first:.4}. A higher `learning_rate` or more updates would move it."
        );
    }
    let margin = facts.beta.zip(ends("eval_rewards/margins").or(ends("rewards/margins")));
    if let Some((beta, [_, margin])) = margin
        && margin / beta > BROKEN[0]
    {
        say!(
            "The margin is {:.0} nats a response. Measured runs with more than {:.0} gave broken responses: look at some \
             with `hps evaluate`.",
            margin / beta,
            BROKEN[0]
        );
    }
    if let (Some(tokens), Some([first, last])) = (facts.preferred_tokens, ends("eval_logps/chosen"))
        && (first - last) / tokens > BROKEN[1]
    {
        say!(
            "The log-prob of preferred responses fell by {:.2} nats a token. Measured runs where it fell by more than {} \
             gave broken responses: look at some with `hps evaluate`.",
            (first - last) / tokens,
            BROKEN[1]
        );
    }
    say!("written: {}", path_text(output.folder()));
    Ok(())
}

/// The first number of a key, and the last: of updates the mean of the last tenth, as an update's is of a few rows; an
/// evaluation's is of all that are held out.
fn ends(lines: &[Value], key: &str) -> Option<[f64; 2]> {
    let numbers: Vec<f64> = lines.iter().filter_map(|line| line.get(key)?.as_f64()).collect();
    let first = *numbers.first()?;
    let last = if key.starts_with("eval_") { 1 } else { numbers.len().div_ceil(LAST) };
    Some([first, numbers[numbers.len() - last..].iter().sum::<f64>() / last as f64])
}
