//! Writes the toy world as files, for the program `hps`: prompts to respond to, rankings for a reward model, held-out rows.
//!
//! `cargo run --release --example toy_world_rows -- --output_dir out/toy_world`; `examples/pipeline.sh` goes on from there.

mod toy_world;

use clap::Parser;
use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use toy_world::rows::write_rows;
use toy_world::{Split, World};

/// The pre-training example's world.
const WORLD: u64 = 1;
/// Training prompts from this one on are the reward model's.
const FIRST_RANKED: usize = 100_000;
/// Responses of a ranked row.
const RESPONSES: usize = 8;

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
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let world = World::new(WORLD);
    std::fs::create_dir_all(&options.output_dir)?;
    let file = |name: &str| File::create(options.output_dir.join(name)).map(BufWriter::new);
    let mut prompts = file("prompts.jsonl")?;
    for prompt in world.prompts(Split::Train, None).take(options.prompts) {
        writeln!(prompts, "{}", serde_json::json!({ "prompt": prompt.messages() }))?;
    }
    prompts.flush()?;
    let ranked = world.prompts(Split::Train, None).skip(FIRST_RANKED).take(options.ranked);
    write_rows(file("ranked.jsonl")?, &world, ranked, RESPONSES)?;
    write_rows(file("held_out.jsonl")?, &world, world.prompts(Split::HeldOut, None).take(options.held_out), RESPONSES)?;
    println!("written: {}", options.output_dir.display());
    Ok(())
}
