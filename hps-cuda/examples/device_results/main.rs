//! What a GPU showed: the one file of results that `hps-cuda/on_a_gpu.sh` fills, and the tables that it becomes.
//!
//! `cargo run -p hps-cuda --example device_results -- tables RESULTS` writes the tables between two markers of this crate's
//! README; with `--print` to the terminal. The script calls the rest:
//!
//! ```text
//! begin RESULTS COMMIT DATE [dry_run]                       the device and its libraries; no entry yet
//! add   RESULTS PART NAME STATUS SECONDS LOG [FIGURES]      a program that ended with STATUS, 124 where it was cut off
//! skip  RESULTS PART NAME REASON
//! end   RESULTS SECONDS                                     says what did not pass, and fails if anything did not
//! ```

mod aims;
mod figures;
mod machine;
mod results;
mod tables;

use results::Results;
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

const USAGE: &str =
    "device_results tables RESULTS [--print], or begin, add, skip, end, as hps-cuda/on_a_gpu.sh has them";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    match *arguments {
        ["begin", file, commit, date] => Results::begin(file, machine::describe()?, [commit, date], false)?.write(),
        ["begin", file, commit, date, "dry_run"] => {
            Results::begin(file, machine::describe()?, [commit, date], true)?.write()
        }
        ["add", file, part, name, status, seconds, log, ref figures @ ..] => {
            let log = String::from_utf8_lossy(&fs::read(log)?).into_owned();
            let mut results = Results::read(file)?;
            results.add([part, name], status.parse()?, seconds.parse()?, &log, figures.first().map(Path::new))?;
            results.write()
        }
        ["skip", file, part, name, reason] => {
            let mut results = Results::read(file)?;
            results.skip([part, name], reason)?;
            results.write()
        }
        ["end", file, seconds] => {
            let mut results = Results::read(file)?;
            results.end(seconds.parse()?);
            results.write()?;
            println!("\n{}", results.summary());
            match results.shortcomings() {
                found if found.is_empty() => Ok(()),
                found => Err(format!("{file} is not whole:\n  {}", found.join("\n  ")).into()),
            }
        }
        ["tables", file, "--print"] => {
            println!("{}", tables::tables(Some(&Results::read(file)?)));
            Ok(())
        }
        ["tables", file] => {
            let results = Results::read(file)?;
            if results.says_no_times() {
                return Err("times of an emulated device or of a dry run say nothing: only `--print` shows them".into());
            }
            let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
            let text = tables::inserted(&fs::read_to_string(&readme)?, &tables::tables(Some(&results)))?;
            fs::write(&readme, text)?;
            println!("{}: written", readme.display());
            Ok(())
        }
        _ => Err(USAGE.into()),
    }
}
