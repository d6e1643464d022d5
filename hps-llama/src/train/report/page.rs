//! A run's log as one HTML file that needs nothing beside it: what it came to, charts, and its options.

use crate::page::Page;
use crate::page::chart::{self, Line};
use crate::{Error, ErrorKind, Result};
use serde_json::Value;
use std::path::Path;

/// The charts: a title, and `(name, key of a line of the log)`. Those without a number in the log are left out.
const CHARTS: &[(&str, &[(&str, &str)])] = &[
    ("Loss, nats", &[("training", "loss"), ("held out", "eval_loss")]),
    ("Margin to the rejected, reward", &[("training", "rewards/margins"), ("held out", "eval_rewards/margins")]),
    (
        "Margin to the hardest, reward",
        &[("training", "rewards/hard_margins"), ("held out", "eval_rewards/hard_margins")],
    ),
    ("Rewards", &[("preferred", "rewards/chosen"), ("rejected", "rewards/rejected")]),
    ("Accuracy", &[("training", "rewards/accuracies"), ("held out", "eval_rewards/accuracies")]),
    ("Log-probability of a response, nats", &[("preferred", "logps/chosen"), ("rejected", "logps/rejected")]),
    ("Gradient norm before clipping", &[("", "grad_norm")]),
    ("Learning rate", &[("", "learning_rate")]),
    ("Hardness γ of the negatives", &[("", "gamma")]),
];

/// What stands at the top: `(label, key)`, of the last line that has it.
const RESULTS: &[(&str, &str)] = &[
    ("updates", "step"),
    ("epochs", "epoch"),
    ("last update's loss", "loss"),
    ("its margin", "rewards/margins"),
    ("its accuracy", "rewards/accuracies"),
    ("held-out loss", "eval_loss"),
    ("held-out margin", "eval_rewards/margins"),
    ("held-out accuracy", "eval_rewards/accuracies"),
    ("tokens", "num_tokens"),
];

/// Writes the page of a log of JSON lines, whole or not at all.
///
/// * `options`: name and value of each, in the order shown.
///
/// # Errors
/// The log cannot be read or a line of it is not a JSON object; the page cannot be written.
pub fn write_page(path: &Path, title: &str, log: &Path, options: &[(String, String)]) -> Result<()> {
    let lines = read(log)?;
    let mut page = Page::new(title);
    let last = |key: &str| lines.iter().rev().find_map(|line| line.get(key)).filter(|value| !value.is_null());
    page.figures(RESULTS.iter().filter_map(|(label, key)| Some((*label, short(last(key)?)))));
    let charts = CHARTS.iter().map(|(title, quantities)| {
        chart::lines(title, &quantities.iter().map(|quantity| line(&lines, quantity)).collect::<Vec<_>>())
    });
    page.charts(charts.collect::<Result<Vec<_>>>()?.into_iter().flatten());
    page.heading("Options");
    page.options(options);
    page.write(path)
}

fn line(lines: &[Value], (name, key): &(&'static str, &str)) -> Line {
    let point = |line: &Value| Some((line.get("step")?.as_f64()?, line.get(*key)?.as_f64()?));
    Line { name, points: lines.iter().filter_map(point).collect(), marked: key.starts_with("eval_") }
}

fn read(log: &Path) -> Result<Vec<Value>> {
    let text = std::fs::read_to_string(log)
        .map_err(|source| Error::new(ErrorKind::Io, "cannot be read").at(log.display()).because(source))?;
    let parsed = |(number, line): (usize, &str)| {
        crate::json::parse_as(line.as_bytes()).map_err(|source| {
            let place = format!("{}:{}", log.display(), number + 1);
            Error::new(ErrorKind::Io, "not a line of JSON").at(place).because(source)
        })
    };
    text.lines().enumerate().map(parsed).collect()
}

/// Whole numbers as they are, others to four digits.
fn short(value: &Value) -> String {
    match value.as_f64() {
        Some(number) if number.fract() != 0.0 => format!("{number:.4}"),
        _ => value.to_string(),
    }
}
