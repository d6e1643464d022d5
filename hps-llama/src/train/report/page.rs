//! A run's log as one HTML file that needs nothing beside it: what it came to, charts, and its options.

use super::chart::{self, Line};
use crate::weights::write_whole;
use crate::{Error, ErrorKind, Result};
use serde_json::Value;
use std::fmt::Write;
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
    ("loss", "loss"),
    ("margin", "rewards/margins"),
    ("accuracy", "rewards/accuracies"),
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
    let mut page = String::new();
    let title = escaped(title);
    let _ = write!(page, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\n");
    let _ = write!(page, "<meta name=\"viewport\" content=\"width=device-width\">\n<style>{STYLE}</style></head>\n");
    let _ = write!(page, "<body><h1>{title}</h1>\n<dl>");
    for (label, key) in RESULTS {
        if let Some(value) = lines.iter().rev().find_map(|line| line.get(*key)).filter(|value| !value.is_null()) {
            let _ = write!(page, "<div><dt>{label}</dt><dd>{}</dd></div>", escaped(&short(value)));
        }
    }
    page.push_str("</dl>\n<main>\n");
    for (title, quantities) in CHARTS {
        if let Some(svg) =
            chart::svg(title, &quantities.iter().map(|quantity| line(&lines, quantity)).collect::<Vec<_>>())?
        {
            let _ = writeln!(page, "<figure>{svg}</figure>");
        }
    }
    page.push_str("</main>\n<h2>Options</h2>\n<table>");
    for (name, value) in options {
        let _ = write!(page, "<tr><td>{}</td><td>{}</td></tr>", escaped(name), escaped(value));
    }
    page.push_str("</table>\n</body></html>\n");
    write_whole(path, page.as_bytes())
}

fn line(lines: &[Value], (name, key): &(&'static str, &str)) -> Line {
    let point = |line: &Value| Some((line.get("step")?.as_f64()?, line.get(*key)?.as_f64()?));
    Line { name, points: lines.iter().filter_map(point).collect(), marked: key.starts_with("eval_") }
}

fn read(log: &Path) -> Result<Vec<Value>> {
    let text = std::fs::read_to_string(log)
        .map_err(|source| Error::new(ErrorKind::Io, "cannot be read").at(log.display()).because(source))?;
    let parsed = |(number, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|source| {
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

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1280px;padding:0 1rem;color:#222}\
h1{font-weight:500;font-size:1.5rem}h2{font-weight:500;font-size:1.2rem}\
dl{display:flex;flex-wrap:wrap;gap:1rem 2.5rem;margin:1rem 0 2rem}dl div{min-width:6rem}\
dt{color:#666;font-size:.85rem}dd{margin:0;font-size:1.3rem;font-variant-numeric:tabular-nums}\
main{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,520px),1fr));gap:1.5rem}\
figure{margin:0;border:1px solid #ddd;border-radius:6px;overflow:hidden}svg{width:100%;height:auto;display:block}\
table{border-collapse:collapse;font-size:.9rem}td{padding:.15rem 1rem .15rem 0;vertical-align:top}\
td:first-child{color:#666}td:last-child{font-family:ui-monospace,monospace}";
