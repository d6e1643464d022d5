//! `hps losses`: what `loss_type` may name.

use crate::terminal::say;
use clap::Args;
use comfy_table::{Table, presets};
use hps_core::Loss;
use hps_llama::train::TrainConfig;
use hps_llama::train::options::{TrainOptions, trl_name};

/// What `hps losses` is called with.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Only losses whose name, or TRL's name, has this in it.
    #[arg(value_name = "TEXT")]
    text: Option<String>,
}

/// Prints a line a loss.
pub fn run(arguments: &Arguments) {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["loss_type", "TRL's", "of a list it reads", "besides log-probs"]);
    for name in Loss::names() {
        let (trl, wanted) = (trl_name(name).unwrap_or(""), arguments.text.as_deref().unwrap_or(""));
        let Some(loss) = name.parse::<Loss>().ok().filter(|_| name.contains(wanted) || trl.contains(wanted)) else {
            continue;
        };
        let mut options = TrainOptions::default();
        options.loss_type = loss;
        let read = options.config().map_or("", |config| responses(&config));
        table.add_row([*name, trl, read, &inputs(&loss)]);
    }
    if table.is_empty() {
        say!("no loss has this in its name; `hps losses` lists all");
        return;
    }
    say!("{}", table.trim_fmt());
    say!("`hps-full`, `hps-expected`, …: forms of HPS's negatives; the guide's page on losses says which one when");
}

/// Which of ten responses are read.
fn responses(config: &TrainConfig) -> &'static str {
    match config.responses_read(10) {
        5 => "the best, `num_negatives` drawn (4)",
        2 if config.loss.gamma().is_some() => "the best, one drawn negative",
        2 => "the best, the worst",
        _ => "all",
    }
}

fn inputs(loss: &Loss) -> String {
    let read = [
        (loss.reads_reference(), "reference"),
        (loss.reads_lengths(), "lengths"),
        (loss.reads_rewards(), "rewards"),
        (loss.reads_samples(), "several draws"),
        (loss.reads_scales(), "scales"),
        (loss.reads_supervised(), "a supervised response (the best)"),
    ];
    let read: Vec<&str> = read.into_iter().filter(|(read, _)| *read).map(|(_, name)| name).collect();
    read.join(", ")
}
