//! What happens to an output between a kill and the next call.

use crate::call::{Call, Command};
use crate::draw::Draw;
use crate::inputs::Inputs;
use crate::process::Process;
use crate::tree::{self, Tree};
use std::path::Path;

/// What was done how often.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counts {
    pub others: usize,
    pub cuts: usize,
}

/// Sometimes calls the command with another seed or other rows, which has to be refused and to change nothing; sometimes
/// cuts the end of a file of lines.
pub fn strike(call: &Call, inputs: &Inputs, folder: &Path, draw: &mut Draw, counts: &mut Counts) -> Result<(), String> {
    if draw.chance(30) && has_something_to_lose(call.command, folder) {
        counts.others += 1;
        other_run(call, inputs, folder, draw)?;
    }
    if draw.chance(30) {
        counts.cuts += usize::from(cut(folder, draw));
    }
    Ok(())
}

/// Whether a call with other options would take something away.
fn has_something_to_lose(command: Command, folder: &Path) -> bool {
    let lines = |bytes: &[u8]| bytes.contains(&b'\n');
    tree::read(folder).iter().any(|(name, bytes)| match command {
        // A checkpoint, or what a run that came to its end without one has trained.
        Command::Train => {
            let trained = ["out/adapter_model.safetensors", "out/model.safetensors"].contains(&name.as_str());
            trained || name.ends_with("/SHA256SUMS") && !tree::is_temporary(name)
        }
        // Only the first cell's: a call ends before it comes to a later one.
        Command::Evaluate => {
            name == "out/rows/base/one.jsonl" || name == "out/rows/base/one.jsonl.partial" && lines(bytes)
        }
        Command::Merge => name == "out/config.json",
        _ => name == "out.jsonl" || name == "out.jsonl.partial" && lines(bytes),
    })
}

fn other_run(call: &Call, inputs: &Inputs, folder: &Path, draw: &mut Draw) -> Result<(), String> {
    let resume: &[&str] =
        if call.command == Command::Train && draw.chance(70) { &["--resume_from_checkpoint"] } else { &[] };
    let arguments = call.other(1).arguments(inputs, resume);
    let before = lasting(folder);
    let wrong = |message: String| format!("with other options, after a kill: {message}\nhps {}", arguments.join(" "));
    let ended = Process::start(&arguments, folder, 2).wait().map_err(wrong)?;
    ended.refusal().map_err(wrong)?;
    match tree::difference(&before, &lasting(folder)) {
        Some(difference) => Err(wrong(format!("it is refused, but {difference}"))),
        None => Ok(()),
    }
}

/// What is there to lose: whole files, and lines with what says whose they are. What else a kill left may go.
pub fn lasting(folder: &Path) -> Tree {
    let all = tree::read(folder);
    let has_lines = |name: &str| all.get(name).is_some_and(|bytes| bytes.contains(&b'\n'));
    let stays = |name: &str| match name.strip_suffix(".json").unwrap_or(name) {
        lines if lines.ends_with(".jsonl.partial") => has_lines(lines),
        _ => !tree::is_temporary(name),
    };
    all.iter().filter(|(name, _)| stays(name)).map(|(name, bytes)| (name.clone(), bytes.clone())).collect()
}

/// Takes bytes off the end of a file of lines that is being written, as a loss of power does; whether there was one.
fn cut(folder: &Path, draw: &mut Draw) -> bool {
    let files: Vec<String> = tree::names(folder).into_iter().filter(|name| name.ends_with(".jsonl.partial")).collect();
    let Some(name) = files.first() else { return false };
    let path = folder.join(name);
    let length = std::fs::metadata(&path).expect("the file").len();
    let file = std::fs::File::options().write(true).open(&path).expect("the file");
    file.set_len(length - length.min(1 + draw.below(90) as u64)).expect("a cut");
    length > 0
}
