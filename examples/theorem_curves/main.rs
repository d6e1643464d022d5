//! Plots what the paper's theorems say beside what is true.
//!
//! `cargo run --release --example theorem_curves` writes figures as SVG and PNG and prints a line for each: the numbers,
//! and how they compare with the claim. What can be proved is asserted on the way. `--quick` shows that it runs.

mod chart;
mod estimation;
mod hardness;
mod linear_reward;
mod list;
mod margin;
mod minimiser;
mod sampling;
mod uniforms;

use clap::Parser;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

/// Inequalities between sums of a few numbers of size 1, each with its roundings.
const ROUNDING: f64 = 1e-12;

#[derive(Parser)]
struct Options {
    /// Where the figures are written.
    #[arg(long = "output_dir", default_value = "target/theorem_curves")]
    output_dir: PathBuf,
    /// Coarser curves, fewer seeds and less data.
    #[arg(long)]
    quick: bool,
}

/// What a plot found.
#[derive(Clone, Debug)]
struct Outcome {
    /// Of its files, without extension.
    name: &'static str,
    numbers: String,
    /// How the numbers compare with what the paper says.
    claim: &'static str,
}

impl Outcome {
    fn new(name: &'static str, numbers: String, claim: &'static str) -> Outcome {
        Outcome { name, numbers, claim }
    }
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let folder = &options.output_dir;
    std::fs::create_dir_all(folder)?;
    for plot in [hardness::plot, margin::plot, sampling::plot] {
        let (figure, outcome) = plot()?;
        figure.write(folder, outcome.name)?;
        report(&outcome);
    }
    let ([errors, claims], outcome) = estimation::plot(options.quick)?;
    errors.write(folder, outcome.name)?;
    claims.write(folder, "theorem_1_bounds")?;
    report(&outcome);
    println!("figures: {}", folder.display());
    Ok(())
}

fn report(outcome: &Outcome) {
    println!("{}.svg: {}. Claim: {}.", outcome.name, outcome.numbers, outcome.claim);
}
