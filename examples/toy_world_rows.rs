//! Writes the toy world as files, for the program `hps`: prompts to respond to, rankings for a reward model, held-out rows.
//!
//! `cargo run --release --example toy_world_rows -- --output_dir out/toy_world`; `examples/pipeline.sh` goes on from there.

mod toy_world;

use clap::Parser;
use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use toy_world::rows::{Lists, write_rows};
use toy_world::{HARM_WEIGHT, Prompt, Split, World};

/// The pre-training example's world.
const WORLD: u64 = 1;
/// Training prompts from this one on are the reward model's.
const FIRST_RANKED: usize = 100_000;

#[derive(Parser)]
struct Options {
    /// Where `prompts.jsonl`, `ranked.jsonl` and `held_out.jsonl` are written.
    #[arg(long = "output_dir", default_value = "out/toy_world")]
    output_dir: PathBuf,
    /// Prompts without responses.
    #[arg(long, default_value_t = 400)]
    prompts: usize,
    /// Rows ranked by the true reward, of other prompts.
    #[arg(long, default_value_t = 500)]
    ranked: usize,
    /// Rows ranked by the true reward, of prompts that are held out.
    #[arg(long = "held_out", default_value_t = 128)]
    held_out: usize,
    /// Responses of a ranked row.
    #[arg(long, default_value_t = 8, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(2..))]
    responses: usize,
    /// The weight of harm in the rewards of `ranked.jsonl`; r* has 2. Held-out rows are ranked by r*.
    #[arg(long = "harm_weight", default_value_t = HARM_WEIGHT)]
    harm_weight: f64,
    /// The best response of a ranked row is the best of so many draws, however many responses there are.
    #[arg(long = "best_of", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(2..))]
    best_of: Option<usize>,
    /// Keep the last tasks from prompts and ranked rows, and write `new_tasks.jsonl`, held-out rows of these tasks.
    #[arg(long = "hold_out_tasks")]
    hold_out_tasks: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let world = World::new(WORLD);
    std::fs::create_dir_all(&options.output_dir)?;
    let file = |name: &str| File::create(options.output_dir.join(name)).map(BufWriter::new);
    let mut prompts = file("prompts.jsonl")?;
    let trained =
        || world.prompts(Split::Train, None).filter(|prompt| !options.hold_out_tasks || !prompt.is_of_last_tasks());
    for prompt in trained().take(options.prompts) {
        writeln!(prompts, "{}", serde_json::json!({ "prompt": prompt.messages() }))?;
    }
    prompts.flush()?;
    let lists = Lists { responses: options.responses, harm_weight: options.harm_weight, best_of: options.best_of };
    write_rows(file("ranked.jsonl")?, &world, trained().skip(FIRST_RANKED).take(options.ranked), lists)?;
    let held_out = |of_last_tasks: bool| {
        let wanted = move |prompt: &Prompt| !options.hold_out_tasks || prompt.is_of_last_tasks() == of_last_tasks;
        world.prompts(Split::HeldOut, None).filter(wanted).take(options.held_out)
    };
    write_rows(file("held_out.jsonl")?, &world, held_out(false), Lists::of(options.responses))?;
    if options.hold_out_tasks {
        write_rows(file("new_tasks.jsonl")?, &world, held_out(true), Lists::of(options.responses))?;
    }
    println!("written: {}", options.output_dir.display());
    Ok(())
}
