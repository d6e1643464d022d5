//! `hps`: preference optimisation over lists of responses, from a file of options to a trained adapter.

#![deny(clippy::disallowed_macros)]

mod backend;
mod bench;
mod budget;
mod chat;
mod course;
mod data;
mod devices;
mod evaluate;
mod export;
mod flags;
mod generate;
mod log_probs;
mod losses;
mod merge;
mod output;
mod plan;
mod progress;
mod quantisation;
mod remains;
mod rows;
mod samples;
mod score;
mod summary;
mod terminal;
mod train;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Align a Llama by preference optimisation over lists of responses.
#[derive(Debug, Parser)]
#[command(name = "hps", version)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a policy on ranked responses.
    ///
    /// A run that SIGINT, SIGTERM or SIGHUP ends saves a checkpoint first and exits with 128 and the signal's number: 130,
    /// 143 or 129. A second signal ends it at once.
    Train(train::Arguments),
    /// Print the log-probs of every response's tokens, a JSON line a row.
    LogProbs(log_probs::Arguments),
    /// Draw responses to prompts, from a model or from a server.
    Generate(generate::Arguments),
    /// Rate every row's responses by a reward model.
    Score(score::Arguments),
    /// Compare adapters with their base: BLEU, reward, margins.
    Evaluate(evaluate::Arguments),
    /// Merge an adapter into the weights of its base.
    Merge(merge::Arguments),
    /// Write an adapter for llama.cpp, or a model quantised to four bits.
    Export(export::Arguments),
    /// Show what files of rows hold, and convert them to the list form.
    Data(data::Arguments),
    /// Measure a training step on this machine, beside its matrix product.
    Bench(bench::Arguments),
    /// List the losses, with TRL's names.
    Losses(losses::Arguments),
    /// List what can compute here.
    Devices,
}

fn main() -> ExitCode {
    let Program { command } = match Program::try_parse() {
        Ok(program) => program,
        Err(error) => {
            let again = |arguments: Vec<String>| Program::try_parse_from(arguments).map(|_| ());
            return ExitCode::from(terminal::usage(error, again));
        }
    };
    let done = match command {
        Command::Train(arguments) => match train::run(&arguments) {
            // As shells say that a signal ended a command.
            Ok(Some(signal)) => return ExitCode::from(128 + signal),
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        },
        Command::LogProbs(arguments) => log_probs::run(&arguments),
        Command::Generate(arguments) => generate::run(&arguments),
        Command::Score(arguments) => score::run(&arguments),
        Command::Evaluate(arguments) => evaluate::run(&arguments),
        Command::Merge(arguments) => merge::run(&arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::Data(arguments) => data::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Losses(arguments) => {
            losses::run(&arguments);
            Ok(())
        }
        Command::Devices => {
            devices::run();
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::error(&error);
            ExitCode::FAILURE
        }
    }
}
