//! `hps bench`: what a step costs on this machine, beside what its matrix product gives.
//!
//! Whatever is compared is run in turn, A B A B, so that all see the same machine; figures are medians.

mod figures;
mod flops;
mod lists;
mod losses;
mod machine;
mod peaks;
mod shape;
mod sharing;
mod throughput;

use crate::backend::BackendFlags;
use clap::{Args, ValueEnum};
use figures::Figures;
use hps_llama::backend::{Backend, BackendName, Job};
use hps_llama::train::Example;
use hps_llama::{Error, ErrorKind, Result};
use lists::example;
use shape::Shape;
use std::path::PathBuf;

/// What `hps bench` is called with.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Model and rows to measure.
    #[arg(long, value_enum, default_value = "d512")]
    shape: Shape,
    /// What to measure [default: all].
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PARTS")]
    parts: Vec<Part>,
    /// Steps of each kind; the median is reported.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,
    /// Pairs in a step of `throughput`.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    pairs: u32,
    /// Tokens of their prompts and of each of their responses [default: by the shape].
    #[arg(long, value_delimiter = ',', value_name = "PROMPT,RESPONSE")]
    tokens: Option<Vec<usize>>,
    /// Also write the figures to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Replace an existing file.
    #[arg(long, requires = "json")]
    overwrite: bool,
    /// Does what its peak memory is asked for, in this process, and prints the bytes.
    #[arg(long = "peak_of", hide = true)]
    peak_of: Option<String>,
    #[command(flatten)]
    backend: BackendFlags,
}

/// What can be measured by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Tokens a second of a LoRA step, and executed FLOPs over the machine's matrix product.
    Throughput,
    /// What computing a shared prompt once saves.
    Sharing,
    /// HPS, BT and PL steps on lists, and whole runs of HPS and BT with their reference.
    Losses,
    /// Peak memory of HPS, BT and PL steps, and of the fused head; on the CPU only.
    Memory,
}

/// Measures and prints.
pub fn run(arguments: &Arguments) -> Result<()> {
    if let Some(what) = &arguments.peak_of {
        return peaks::print(arguments.shape, what);
    }
    if arguments.backend.choice().backend == BackendName::Cpu {
        arguments.shape.check_memory()?;
    }
    arguments.backend.choice().run(arguments)
}

impl Arguments {
    /// The pairs of a step.
    fn pairs(&self) -> Result<Vec<Example>> {
        let (prompt, response) = match self.tokens.as_deref() {
            Some(&[prompt, response]) if prompt > 0 && response > 0 => (prompt, response),
            None => self.shape.pair(),
            Some(other) => {
                let message = format!("`--tokens` is {other:?}; it takes those of a prompt and of a response");
                return Err(Error::new(ErrorKind::Option, message));
            }
        };
        let vocabulary = self.shape.config()?.vocab_size;
        Ok((0..self.pairs).map(|row| example(row, prompt, 2, response, vocabulary)).collect())
    }
}

impl Job for &Arguments {
    type Output = ();
    type Error = Error;

    fn run<B: Backend>(self, backend: B) -> Result<()> {
        let mut figures = Figures::new(self.json.clone(), self.overwrite)?;
        let &Arguments { shape, steps, .. } = self;
        figures.add("shape", shape.to_string())?;
        figures.add("steps", steps)?;
        figures.add("arithmetic", backend.arithmetic())?;
        figures.add("threads", rayon::current_num_threads())?;
        for part in Part::value_variants().iter().filter(|part| self.parts.is_empty() || self.parts.contains(part)) {
            match part {
                Part::Throughput => throughput::measure(&backend, shape, self.pairs()?, steps, &mut figures)?,
                Part::Sharing => sharing::measure(&backend, shape, steps, &mut figures)?,
                Part::Losses => losses::measure(&backend, shape, steps, &mut figures)?,
                Part::Memory if self.backend.choice().backend == BackendName::Cpu => {
                    peaks::measure(shape, &mut figures)?;
                }
                Part::Memory => {
                    figures
                        .add("peak_memory", "not measured: it is the process's, and the arrays are on the device")?;
                }
            }
        }
        Ok(())
    }
}
