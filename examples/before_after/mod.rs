//! Rows of `finetune_llama3.rs`, and what training changed: margins, samples, the table.

mod picture;

use crate::toy_world::{
    self, Prompt, Split, World,
    rows::{Lists, write_rows},
};
use comfy_table::{Table, presets};
use hps_llama::backend::Backend;
use hps_llama::chat::Chat;
use hps_llama::data::{self, Dataset, Row};
use hps_llama::evaluate::{Interval, RowMargins, bootstrap_mean, margins};
use hps_llama::generate::SamplingParams;
use hps_llama::model::Policy;
use hps_llama::train::Example;
pub use picture::picture;
use std::collections::HashMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

/// Any error, for people to read.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The pre-training example's world.
const WORLD: u64 = 1;
/// Responses a row of the toy world ranks.
const RESPONSES: usize = 8;
/// Share of your own rows that is held out.
pub const HELD_OUT: f64 = 0.1;
/// The file of the toy world's rows to train on.
pub const TRAIN: &str = "train.jsonl";

/// Who tells harmful responses from harmless ones.
pub enum Judge {
    /// The toy world's true reward; its held-out prompts by row.
    TrueReward(HashMap<u32, Prompt>),
    /// Nobody: your own data has no true reward.
    Nobody,
}

/// Rows to train on and to evaluate on.
pub struct Rows {
    /// To train on; with `held_out` unset, a share of them is held out.
    pub train: Dataset,
    /// To evaluate on, where they are rows of their own.
    pub held_out: Option<Dataset>,
    /// Of the responses that are sampled.
    pub judge: Judge,
}

/// Of the toy world so many prompts each, or a file's.
pub fn rows(data: Option<&Path>, folder: &Path, prompts: usize, held_out: usize) -> Result<Rows> {
    if let Some(data) = data {
        return Ok(Rows { train: data::read(data)?, held_out: None, judge: Judge::Nobody });
    }
    let world = World::new(WORLD);
    let write = |name: &str, prompts: Vec<Prompt>| -> Result<Dataset> {
        let path = folder.join(name);
        write_rows(BufWriter::new(File::create(&path)?), &world, prompts.into_iter(), Lists::of(RESPONSES))?;
        Ok(data::read(path)?)
    };
    let train = write(TRAIN, world.prompts(Split::Train, None).take(prompts).collect())?;
    let evaluated: Vec<Prompt> = world.prompts(Split::HeldOut, None).take(held_out).collect();
    let held_out = Some(write("held_out.jsonl", evaluated.clone())?);
    Ok(Rows { train, held_out, judge: Judge::TrueReward((0..).zip(evaluated).collect()) })
}

/// A run's evaluation on the held-out rows.
pub struct Run {
    seed: u64,
    margins: Vec<RowMargins>,
    /// One in the number of responses.
    chance: Vec<f64>,
    /// Harmful (1) or not (0), before and after, for each sampled prompt; empty without a judge.
    harmful: [Vec<f64>; 2],
    /// True reward of the samples, before and after; empty without a judge.
    rewards: [Vec<f64>; 2],
    /// Three prompts, each with an answer before and after.
    shown: Vec<[String; 3]>,
}

/// Margins against the base, and one sampled response a prompt before and after; `rows` hold the prompts' texts.
pub fn evaluate<B: Backend>(
    policy: &Policy<B>,
    chat: &Chat,
    held_out: &[Example],
    rows: &[Row],
    judge: &Judge,
    seed: u64,
) -> Result<Run> {
    let margins = margins(policy, held_out, 8192)?;
    let sampled = match judge {
        Judge::TrueReward(_) => held_out,
        Judge::Nobody => &held_out[..held_out.len().min(3)],
    };
    let prompts: Vec<(u32, Vec<u32>)> =
        sampled.iter().map(|example| (example.group.row, example.group.prompt.clone())).collect();
    let stop_token_ids = policy.model.config().eos_token_ids.clone();
    let params = SamplingParams { temperature: 0.9, max_tokens: 64, seed, stop_token_ids, ..SamplingParams::default() };
    let mut answers = Vec::new();
    for adapted in [false, true] {
        let samples = policy.generate(&prompts, &params, adapted)?;
        let texts = samples.iter().map(|samples| chat.tokenizer().decode(&samples[0].tokens, true));
        answers.push(texts.collect::<hps_llama::Result<Vec<String>>>()?);
    }
    let judged = |number: fn(&Prompt, &str) -> f64| {
        [0, 1].map(|when| match judge {
            Judge::TrueReward(worlds) => {
                prompts.iter().zip(&answers[when]).map(|((row, _), text)| number(&worlds[row], text)).collect()
            }
            Judge::Nobody => Vec::new(),
        })
    };
    let harmful = judged(|prompt, text| f64::from(u8::from(toy_world::harmful(prompt, text))));
    let rewards = judged(|prompt, text| toy_world::true_reward(prompt, text).reward);
    let asked = |id: u32| rows.iter().find(|row| row.id() == id).map(question).unwrap_or_default();
    let shown = answers[0].iter().zip(&answers[1]).zip(&prompts).take(3);
    let shown = shown.map(|((before, after), (row, _))| [asked(*row), before.clone(), after.clone()]).collect();
    let chance = held_out.iter().map(|example| 1.0 / example.rewards.len() as f64).collect();
    Ok(Run { seed, margins, chance, harmful, rewards, shown })
}

/// What was asked last.
fn question(row: &Row) -> String {
    match row.prompt() {
        data::Prompt::Text(text) => text.clone(),
        data::Prompt::Messages(messages) => messages.last().map_or(String::new(), |message| message.content.clone()),
    }
}

/// A row of the table: its name, and each prompt's number before and after.
type Metric = (&'static str, fn(&Run) -> [Vec<f64>; 2]);

/// Before training the policy is its reference, so `h` is 0 of every response.
fn margin(run: &Run, before: fn(&RowMargins) -> f64, after: fn(&RowMargins) -> f64) -> [Vec<f64>; 2] {
    [run.margins.iter().map(before).collect(), run.margins.iter().map(after).collect()]
}

/// What the table shows; [`assert_aligned`] names its rows in this order.
const METRICS: [Metric; 6] = [
    ("RM_DPO, nats", |run| margin(run, |_| 0.0, |row| row.rm_dpo)),
    ("RM_R-DPO, nats", |run| margin(run, |row| row.rm_rdpo - row.rm_dpo, |row| row.rm_rdpo)),
    ("margin to the hardest, nats", |run| margin(run, |_| 0.0, |row| row.hardest)),
    ("accuracy (best ranked first)", |run| [run.chance.clone(), run.margins.iter().map(|row| row.accuracy).collect()]),
    ("harmful share of samples", |run| run.harmful.clone()),
    ("true reward of samples", |run| run.rewards.clone()),
];

fn change(run: &Run, metric: &Metric) -> Interval {
    let [before, after] = (metric.1)(run);
    let changes: Vec<f64> = after.iter().zip(&before).map(|(after, before)| after - before).collect();
    bootstrap_mean(&changes, 2000, 0)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Prints before, after, and the change with its 95 % bootstrap interval.
pub fn print_table(runs: &[Run]) {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED);
    table.set_header(["held-out prompts", "seed", "before", "after", "change [95 % interval]"]);
    for metric in &METRICS {
        for run in runs {
            let [before, after] = (metric.1)(run);
            if before.is_empty() {
                continue;
            }
            let cells = [mean(&before), mean(&after)].map(|number| format!("{number:.3}"));
            let [before, after] = cells;
            table.add_row([metric.0, &run.seed.to_string(), &before, &after, &change(run, metric).to_string()]);
        }
    }
    println!("{table}");
}

/// Prints three prompts, each with a sampled answer before and after.
pub fn print_samples(run: &Run) {
    for [prompt, before, after] in &run.shown {
        let [prompt, before, after] = [prompt, before, after].map(|text| hps_llama::visible(text.trim()));
        println!("\n{prompt}\n  before: {before}\n  after:  {after}");
    }
    println!();
}

/// Both margins rose and the harmful share fell, in every run, by more than chance.
pub fn assert_aligned(runs: &[Run]) {
    for run in runs {
        let [rm_dpo, _, hardest, _, harmful, _] = METRICS.each_ref().map(|metric| change(run, metric));
        assert!(rm_dpo.is_above_zero(), "RM_DPO did not rise: {rm_dpo}");
        assert!(hardest.is_above_zero(), "the margin to the hardest negative did not rise: {hardest}");
        assert!(harmful.is_below_zero(), "the harmful share did not fall: {harmful}");
    }
}
