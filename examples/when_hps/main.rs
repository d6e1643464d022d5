//! When do hard negatives help, and when do they hurt? Experiments on the toy world, where the true reward r* of everything said
//! is known.
//!
//! `cargo run --release --example when_hps -- --experiments gamma` trains what is not there yet, a line of JSON for each run, and
//! prints the table; `-- --quick` shows that it runs. A run that is killed goes on where it was.
//!
//! Every run keeps what came out for each held-out prompt, so that methods are compared on the same prompts and seeds: mean
//! differences with intervals over tasks and seeds, and p-values corrected for how many comparisons a table has (Holm).

#[path = "../paper_tables/annotation.rs"]
mod annotation;
mod arm;
#[path = "../../hps-llama/src/bin/hps/backend.rs"] // The program's flags are the example's.
mod backend;
mod compare;
mod experiment;
mod ledger;
mod lists;
mod study;
mod table;
#[path = "../toy_world/mod.rs"]
mod toy_world;

use backend::BackendFlags;
use clap::Parser;
use experiment::Experiment;
use hps_llama::backend::{Backend, Job};
use ledger::Ledger;
use std::path::PathBuf;
use std::process::ExitCode;
use study::{Scale, Study};

/// Any error, for people to read.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[derive(Parser)]
struct Options {
    /// Which experiments: `gamma`, `harm`, `draws`.
    #[arg(long, value_delimiter = ',', default_value = "gamma,harm,draws")]
    experiments: Vec<Experiment>,
    /// Seeds of each run.
    #[arg(long, default_value_t = 10)]
    seeds: u64,
    /// Training prompts.
    #[arg(long, default_value_t = 256)]
    prompts: usize,
    /// Held-out prompts of trained tasks, and as many of tasks that were kept from training.
    #[arg(long = "held_out", default_value_t = 96)]
    held_out: usize,
    /// Where runs and tables are written.
    #[arg(long = "output_dir", default_value = "out/when_hps")]
    output_dir: PathBuf,
    /// Few prompts and two seeds: shows that it runs.
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    backend: BackendFlags,
}

fn main() -> ExitCode {
    let options = Options::parse();
    match options.backend.choice().run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Job for Options {
    type Output = ();
    type Error = Box<dyn std::error::Error>;

    fn run<B: Backend>(mut self, backend: B) -> Result<()> {
        if self.quick {
            (self.prompts, self.held_out, self.seeds) = (8, 8, 2);
        }
        std::fs::create_dir_all(&self.output_dir)?;
        let scale = Scale { prompts: self.prompts, held_out: self.held_out };
        let study = Study::new(backend, scale, &self.output_dir)?;
        let mut ledger = Ledger::open(&self.output_dir.join("runs.jsonl"), &study.key()?)?;
        for experiment in self.experiments {
            let arms = experiment.arms(self.quick);
            ledger.complete(&arms, self.seeds, &study)?;
            let text = table::of(experiment, &arms, self.seeds, scale, &ledger);
            println!("{text}");
            std::fs::write(self.output_dir.join(format!("{experiment}.md")), text)?;
        }
        Ok(())
    }
}
