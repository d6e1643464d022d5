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
#[path = "../../hps-llama/src/bin/hps/backend.rs"] // The program's flags are the example's.
mod backend;
mod ledger;
mod lists;
mod paper;
mod run;
mod study;
mod table;
#[path = "../toy_world/mod.rs"]
mod toy_world;

use backend::BackendFlags;
use clap::Parser;
use hps_llama::backend::{Backend, BackendName, Job};
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
        if let Some(unknown) = self.tables.iter().find(|table| !table::KNOWN.contains(&table.as_str())) {
            return Err(format!("no table `{unknown}`; there are {}", table::KNOWN.join(", ")).into());
        }
        let mut plan = Plan { lists: vec![5, 20, 50, 100], ..Plan::default() };
        if self.quick {
            (self.prompts, self.held_out, self.seeds) = (16, 8, vec![0]);
            plan = Plan { lists: vec![5, 20], betas: vec![0.1, 0.5], ..plan };
        }
        std::fs::create_dir_all(&self.output_dir)?;
        let runs = plan.runs(&self.tables, &self.seeds);
        let scale = format!("{} prompts, {} held out", self.prompts, self.held_out);
        // Each arithmetic has its own results.
        let of = match self.backend.choice().backend {
            BackendName::Cpu => String::new(),
            _ => format!("-{}", backend.arithmetic().replace([' ', ','], "-")),
        };
        let mut ledger = Ledger::open(&self.output_dir.join(format!("results{of}.jsonl")), &scale)?;
        let study = Study::new(backend, self.prompts, self.held_out, &self.output_dir)?;
        ledger.complete(&runs, &study)?;
        let text = table::all(&self.tables, &plan, &ledger, &scale);
        println!("{text}");
        let path = self.output_dir.join(format!("tables{of}.md"));
        std::fs::write(&path, text)?;
        println!("written: {}", path.display());
        Ok(())
    }
}
