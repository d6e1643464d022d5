//! `hps`: preference optimisation over lists of responses, from a file of options to a trained adapter.

mod flags;
mod output;
mod plan;
mod rows;
mod samples;
mod summary;
mod train;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Align a Llama 3 by preference optimisation over lists of responses.
#[derive(Debug, Parser)]
#[command(name = "hps", version)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a policy on ranked responses.
    Train(train::Arguments),
}

fn main() -> ExitCode {
    let Program { command } = Program::parse();
    let done = match command {
        Command::Train(arguments) => train::run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("{}error:{:#} {error}", samples::ERROR, samples::ERROR);
            ExitCode::FAILURE
        }
    }
}
