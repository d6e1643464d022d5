//! Processes started at one moment that write one output: it becomes that of one of them, and who does not write it says
//! so in a line.

use crate::call::{Call, Command};
use crate::draw::Draw;
use crate::inputs::Inputs;
use crate::mischief;
use crate::moment::Moment;
use crate::number;
use crate::process::{Ended, Process};
use crate::tree::{self, Tree};
use crate::violations::{Violations, folder};
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const RACES: u64 = 3;

/// What is there when a race begins.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Start {
    Nothing,
    /// The output of one of the calls.
    Finished,
    /// What a killed call left.
    Killed,
}

fn one_writes(test: &'static str, command: Command) {
    run(test, |folder, inputs, draw| race(command, folder, inputs, draw));
}

/// Runs the races of a test; each returns how many of its calls succeeded.
pub fn run(test: &'static str, race: impl Fn(&Path, &Inputs, &mut Draw) -> Result<usize, String>) {
    let mut violations = Violations::of(test);
    let races = number("HPS_RACES").unwrap_or(RACES) as u32;
    let cases = number("HPS_LONG_CASE").map_or(0..races, |case| case as u32..case as u32 + 1);
    let (inputs, begun, mut won) = (Inputs::new(), Instant::now(), 0);
    let count = cases.len();
    for case in cases.clone() {
        let parent = TempDir::new().expect("a folder");
        let outcome = race(&folder(parent.path(), "case"), &inputs, &mut Draw::new(violations.seed(), test, case));
        won += outcome.as_ref().map_or(0, |won| *won);
        violations.note(case, parent, outcome.map(drop));
        if violations.enough() {
            break;
        }
    }
    violations.note(cases.start, TempDir::new().expect("a folder"), inputs.check());
    println!(
        "{test}, seed {}: {count} races, {won} calls succeeded; {:.0} s",
        violations.seed(),
        begun.elapsed().as_secs_f64()
    );
    violations.end();
}

fn race(command: Command, folder: &Path, inputs: &Inputs, draw: &mut Draw) -> Result<usize, String> {
    let call = Call::draw(command, draw, inputs);
    let (same, count) = (draw.chance(40), if draw.chance(25) { 4 } else { 2 });
    let calls: Vec<Call> = (0..count).map(|number| if same { call.clone() } else { call.other(number) }).collect();
    let start = [Start::Nothing, Start::Nothing, Start::Finished, Start::Killed][draw.below(4)];
    let resumes = command == Command::Train && start == Start::Killed;
    let overwrite = command.overwrite().filter(|_| !resumes && draw.chance(50));
    let mut wholes = Vec::new();
    for call in &calls {
        let known = calls.iter().position(|other| other == call).filter(|known| *known < wholes.len());
        wholes.push(match known {
            Some(known) => Clone::clone(&wholes[known]),
            None => call.whole(inputs, overwrite.as_slice())?,
        });
    }
    match start {
        Start::Nothing => {}
        Start::Finished => tree::write(&wholes[draw.below(count)].tree, folder),
        Start::Killed => {
            let mut process = Process::start(&call.arguments(inputs, overwrite.as_slice()), folder, 2);
            Moment::draw(draw, wholes[0].took).wait(&mut process, command, folder);
            drop(process.kill());
        }
    }
    let before = mischief::lasting(folder);

    let flags = if resumes { Some("--resume_from_checkpoint") } else { overwrite };
    let mut processes = Vec::new();
    for call in &calls {
        if !processes.is_empty() && draw.chance(40) {
            std::thread::sleep(wholes[0].took.mul_f64(draw.share()).min(Duration::from_secs(2)));
        }
        processes.push(Process::start(&call.arguments(inputs, flags.as_slice()), folder, 1));
    }
    let ended: Vec<Ended> = processes.into_iter().map(Process::wait).collect::<Result<_, _>>()?;
    let told = |message: String| {
        let each = calls.iter().zip(&ended).map(|(call, ended)| {
            let said = ended.error.lines().last().unwrap_or_default();
            format!("\n  {} {said} <- hps {}", ended.status, call.arguments(inputs, flags.as_slice()).join(" "))
        });
        format!("from {start:?} in {}: {message}{}", folder.display(), each.collect::<String>())
    };

    let winners: Vec<usize> = (0..count).filter(|number| ended[*number].done()).collect();
    for ended in ended.iter().filter(|ended| !ended.done()) {
        ended.refusal().map_err(told)?;
    }
    let names = tree::names(folder);
    let temporary = names.iter().find(|name| tree::is_temporary(name));
    if winners.is_empty() {
        if start == Start::Nothing {
            return Err(told("all are refused, and nothing was there".into()));
        }
        return match (tree::difference(&before, &mischief::lasting(folder)), temporary) {
            (Some(difference), _) => Err(told(format!("all are refused, but {difference}"))),
            (None, Some(name)) if start == Start::Finished => Err(told(format!("{name} is left"))),
            _ => Ok(0),
        };
    }
    // An evaluation whose rows are there reads them, as a run that is resumed does with its last checkpoint.
    let again = command == Command::Evaluate || resumes;
    if overwrite.is_none() && winners.len() > 1 && !again {
        return Err(told(format!("{} calls succeed", winners.len())));
    }
    if overwrite.is_none() && winners.iter().any(|winner| calls[*winner] != calls[winners[0]]) {
        return Err(told("calls with other options succeed, so the output of one is lost".into()));
    }
    let found: Tree = call.result(folder);
    let differences: Vec<String> =
        winners.iter().filter_map(|winner| tree::difference(&wholes[*winner].tree, &found)).collect();
    match (differences.len() == winners.len(), temporary) {
        (true, _) => Err(told(format!("the output is that of no call that succeeds: {}", differences.join("; ")))),
        (false, Some(name)) => Err(told(format!("{name} is left"))),
        _ => Ok(winners.len()),
    }
}

#[test]
fn one_of_many_generates() {
    one_writes("one_of_many_generates", Command::Generate);
}

#[test]
fn one_of_many_scores() {
    one_writes("one_of_many_scores", Command::Score);
}

#[test]
fn one_of_many_converts() {
    one_writes("one_of_many_converts", Command::Data);
}

#[test]
fn one_of_many_writes_log_probs() {
    one_writes("one_of_many_writes_log_probs", Command::LogProbs);
}

#[test]
fn one_of_many_evaluates() {
    one_writes("one_of_many_evaluates", Command::Evaluate);
}

#[test]
fn one_of_many_merges() {
    one_writes("one_of_many_merges", Command::Merge);
}

#[test]
fn one_of_many_trains() {
    one_writes("one_of_many_trains", Command::Train);
}
