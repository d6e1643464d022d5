//! Figures where the benchmarks left them in the results.

use crate::results::Results;
use serde_json::Value;

pub fn milliseconds(seconds: f64) -> String {
    format!("{:.1} ms", 1e3 * seconds)
}

/// Seconds of a step of ours.
pub fn step_seconds(results: &Results, name: &str) -> Option<f64> {
    results.figures("step", name)?["step_seconds"].as_f64()
}

/// Of the part's benchmark.
pub fn lines<'a>(results: &'a Results, part: &str) -> Option<&'a [Value]> {
    let entry = results.entries(part).iter().find(|entry| entry["figures"]["lines"].is_array())?;
    entry["figures"]["lines"].as_array().map(Vec::as_slice).filter(|lines| !lines.is_empty())
}

/// A line of the losses' benchmark.
pub struct LossLine<'a> {
    pub name: &'a str,
    /// Prompts, and responses of each.
    pub size: [u64; 2],
    pub seconds: f64,
    pub of_a_copy: f64,
}

impl LossLine<'_> {
    pub fn all(results: &Results) -> Option<Vec<LossLine<'_>>> {
        lines(results, "preference").map(|lines| lines.iter().filter_map(LossLine::read).collect())
    }

    fn read(line: &Value) -> Option<LossLine<'_>> {
        Some(LossLine {
            name: line["name"].as_str()?,
            size: [line["prompts"].as_u64()?, line["responses"].as_u64()?],
            seconds: line["seconds"].as_f64()?,
            of_a_copy: line["of_a_copy"].as_f64()?,
        })
    }

    pub fn responses(&self) -> u64 {
        self.size[0] * self.size[1]
    }
}

/// Seconds of PyTorch's step, and of ours on the same tokens.
pub fn beside(results: &Results, name: &str) -> Option<[f64; 2]> {
    let lines = results.figures("peer", name)?["lines"].as_array()?;
    let alike = |line: &&Value| line["checkpointing"] == false && line["reference_known"] == true;
    Some([lines.iter().find(alike)?["seconds"].as_f64()?, step_seconds(results, name)?])
}

/// Mebibytes, as they are told.
pub fn gigabytes(mebibytes: f64) -> String {
    format!("{:.1} GB", mebibytes * f64::from(1 << 20) / 1e9)
}
