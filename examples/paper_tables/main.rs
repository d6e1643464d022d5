//! The paper's tables on the toy world, where the true reward r* of everything said is known.
//!
//! `cargo run --release --example paper_tables` trains and evaluates all; `-- --tables 2,8` some, `-- --quick` a few
//! prompts of one seed. A run that is killed goes on where it was.
//!
//! As in the paper, responses are annotated by a reward model (r_est), trained here on other prompts' rankings, and judged
//! by another measure, r* itself. Each table stands beside the paper's own numbers, whether they agree or not: a Llama of a
//! million parameters in a world of few sentences is not Llama-3-8B on HH-RLHF and PKU-SafeRLHF, which its two styles,
//! helpfulness over three turns and safety in one, only resemble.

mod annotation;
mod ledger;
mod paper;
mod run;
mod study;
mod table;
#[path = "../toy_world/mod.rs"]
mod toy_world;

use clap::Parser;
use ledger::Ledger;
use std::path::PathBuf;
use std::process::ExitCode;
use study::{Plan, Study};

/// Any error, for people to read.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[derive(Parser)]
struct Options {
    /// Which tables: the paper's 2, 5, 6, 7, 8; `cost`; `hurt` for where HPS hurts.
    #[arg(long, value_delimiter = ',', default_value = "2,5,6,7,8,cost,hurt")]
    tables: Vec<String>,
    /// One run of each kind a seed.
    #[arg(long, value_delimiter = ',', default_value = "0,1,2")]
    seeds: Vec<u64>,
    /// Training prompts a style.
    #[arg(long, default_value_t = 256)]
    prompts: usize,
    /// Held-out prompts a style.
    #[arg(long = "held_out", default_value_t = 128)]
    held_out: usize,
    /// Where results and tables are written.
    #[arg(long = "output_dir", default_value = "out/paper_tables")]
    output_dir: PathBuf,
    /// Few prompts, one seed, short lists: shows that it runs.
    #[arg(long)]
    quick: bool,
}

fn main() -> ExitCode {
    match run(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut options: Options) -> Result<()> {
    if let Some(unknown) = options.tables.iter().find(|table| !table::KNOWN.contains(&table.as_str())) {
        return Err(format!("no table `{unknown}`; there are {}", table::KNOWN.join(", ")).into());
    }
    let mut plan = Plan { lists: vec![5, 20, 50, 100], ..Plan::default() };
    if options.quick {
        (options.prompts, options.held_out, options.seeds) = (32, 16, vec![0]);
        plan = Plan { lists: vec![5, 20], betas: vec![0.1, 0.5], ..plan };
    }
    std::fs::create_dir_all(&options.output_dir)?;
    let runs = plan.runs(&options.tables, &options.seeds);
    let scale = format!("{} prompts, {} held out", options.prompts, options.held_out);
    let mut ledger = Ledger::open(&options.output_dir.join("results.jsonl"), &scale)?;
    let study = Study::new(options.prompts, options.held_out, &options.output_dir)?;
    ledger.complete(&runs, &study)?;
    let text = table::all(&options.tables, &plan, &ledger, &scale);
    println!("{text}");
    let path = options.output_dir.join("tables.md");
    std::fs::write(&path, text)?;
    println!("written: {}", path.display());
    Ok(())
}
