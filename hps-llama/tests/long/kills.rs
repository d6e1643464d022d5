//! Commands stopped at random moments and called again, until they end by themselves: every file has the bytes of a call
//! that nothing disturbs, nothing temporary is left, and no input is touched.

use crate::call::{Call, Command, Whole};
use crate::draw::Draw;
use crate::inputs::Inputs;
use crate::mischief::{self, Counts};
use crate::moment::Moment;
use crate::number;
use crate::process::{Ended, Process};
use crate::tree::{self, Tree};
use crate::violations::{Violations, folder};
use std::path::Path;
use std::time::Instant;
use tempfile::TempDir;

const KILLS: u64 = 18;
const COMMANDS: u64 = 6;
/// How often a call is stopped on its way to one output, at most; then it is left alone.
const PATIENCE: usize = 8;

/// How a stopped call ended.
enum Stopped {
    /// Before its end; called again, it goes on.
    Early,
    /// By itself.
    Done,
    /// Its result was there already.
    Refused,
}

#[derive(Debug, Default)]
struct Totals {
    kills: u64,
    signals: u64,
    outputs: u64,
    mischief: Counts,
}

fn survives_kills(test: &'static str, command: Command) {
    let mut violations = Violations::of(test);
    let goal = number("HPS_KILLS").unwrap_or(KILLS).div_ceil(COMMANDS);
    let only = number("HPS_LONG_CASE").map(|case| case as u32);
    let (inputs, begun, mut totals) = (Inputs::new(), Instant::now(), Totals::default());
    let mut case = only.unwrap_or(0);
    while totals.kills < goal && !violations.enough() {
        let parent = TempDir::new().expect("a folder");
        let mut draw = Draw::new(violations.seed(), test, case);
        let outcome = one_output(command, &folder(parent.path(), "case"), &inputs, &mut draw, &mut totals);
        violations.note(case, parent, outcome);
        if only.is_some() {
            break;
        }
        case += 1;
    }
    let outcome = inputs.check();
    violations.note(case, TempDir::new().expect("a folder"), outcome);
    let Totals { kills, signals, outputs, mischief: Counts { others, cuts } } = totals;
    println!(
        "{test}, seed {}: {kills} kills on the way to {outputs} outputs, {signals} of them by SIGTERM, SIGINT or SIGHUP; \
         {others} calls with other options between, {cuts} files of lines cut; {:.0} s",
        violations.seed(),
        begun.elapsed().as_secs_f64()
    );
    violations.end();
}

fn one_output(
    command: Command,
    folder: &Path,
    inputs: &Inputs,
    draw: &mut Draw,
    totals: &mut Totals,
) -> Result<(), String> {
    let call = Call::draw(command, draw, inputs);
    let whole = call.whole(inputs, &[])?;
    // Sometimes an output of another run stands there and is to be replaced: until then it stays.
    let replaces = matches!(command, Command::Generate | Command::Score | Command::Data) && draw.chance(25);
    let before = if replaces { Some(call.other(1).whole(inputs, &[])?.tree) } else { None };
    before.iter().for_each(|before| tree::write(before, folder));
    let resumes = draw.chance(50);
    let patience = 1 + draw.below(PATIENCE);
    let (mut stops, mut signals) = (0, 0);
    loop {
        let again = match command {
            Command::Train if resumes || stops > 0 => Some("--resume_from_checkpoint"),
            _ => command.overwrite().filter(|_| replaces),
        };
        let arguments = call.arguments(inputs, again.as_slice());
        let count = stops;
        let wrong = |message: String| {
            format!("after {count} stops: {message}\ncd {} && hps {}", folder.display(), arguments.join(" "))
        };
        let mut process = Process::start(&arguments, folder, 1 + draw.below(3));
        let stopped = if stops < patience {
            Moment::draw(draw, whole.took).wait(&mut process, command, folder);
            let signal =
                if command == Command::Train && draw.chance(25) { draw.one(&["TERM", "INT", "HUP"]) } else { "" };
            signals += u64::from(!signal.is_empty());
            match signal {
                "" => ended(&call, &whole, folder, process.kill()),
                signal => asked_to_end(signal, process, folder, stops == 0),
            }
        } else {
            process.wait().and_then(|done| ended(&call, &whole, folder, done))
        };
        match stopped.map_err(wrong)? {
            Stopped::Done => break,
            // Not of the run that is replaced: with `--overwrite` nothing is refused for being there.
            Stopped::Refused if !replaces && stops > 0 => break,
            Stopped::Refused => return Err(wrong("it is refused".into())),
            Stopped::Early => {}
        }
        stops += 1;
        totals.kills += 1;
        if let Some(before) = &before {
            let now = call.result(folder);
            let now = Tree::from_iter(now.into_iter().filter(|(name, _)| name == command.output()));
            if now != *before && now != whole.tree {
                return Err(wrong("the output that was there is gone, and the new one is not there".into()));
            }
        }
        mischief::strike(&call, inputs, folder, draw, &mut totals.mischief)?;
    }
    totals.signals += signals;
    totals.outputs += 1;
    let wrong = |message: String| {
        let arguments = call.arguments(inputs, &[]);
        format!("after {stops} stops, at its end: {message}\ncd {} && hps {}", folder.display(), arguments.join(" "))
    };
    let (mut expected, mut found) = (whole.tree, call.result(folder));
    if signals > 0 {
        match_checkpoints(&mut expected, &mut found);
        if call.averages() {
            [&mut expected, &mut found].into_iter().for_each(forget_averages);
        }
    }
    if let Some(difference) = tree::difference(&expected, &found) {
        return Err(wrong(difference));
    }
    match tree::names(folder).iter().find(|name| tree::is_temporary(name)) {
        Some(name) => Err(wrong(format!("{name} is left"))),
        None => Ok(()),
    }
}

/// What has become of a call that was killed, or left alone.
fn ended(call: &Call, whole: &Whole, folder: &Path, ended: Ended) -> Result<Stopped, String> {
    match ended.killed_by() {
        Some(_) => return Ok(Stopped::Early),
        None if ended.done() => return Ok(Stopped::Done),
        None => {}
    }
    let message = ended.refusal()?;
    let there = message.contains("exists already") || message.contains("is not empty");
    match tree::difference(&whole.tree, &call.result(folder)) {
        None if there && call.command != Command::Train => Ok(Stopped::Refused),
        _ => Err(format!("it is refused: {message}")),
    }
}

/// Asks `hps train` to save and end.
///
/// * `fresh` — whether the folder held nothing of a run before: then lines of the log show that it trains.
fn asked_to_end(signal: &str, mut process: Process, folder: &Path, fresh: bool) -> Result<Stopped, String> {
    let trains = fresh && std::fs::metadata(folder.join("out/metrics.jsonl")).is_ok_and(|file| file.len() > 0);
    if process.running() {
        process.signal(signal);
    }
    let ended = process.wait()?;
    let number = ["", "HUP", "INT"].iter().position(|name| *name == signal).unwrap_or(15) as i32;
    let saved = || tree::names(folder).iter().any(|name| name.ends_with("/SHA256SUMS") && !tree::is_temporary(name));
    // Before its first update, and said so.
    let nothing = !trains && ended.out.contains("with nothing to save");
    match (ended.killed_by(), ended.status.code()) {
        (Some(by), _) if by == number && !trains => Ok(Stopped::Early),
        (Some(by), _) => Err(format!("SIG{signal} ends a run that trains by signal {by}")),
        (None, Some(code)) if code == 128 + number && (saved() || nothing) => Ok(Stopped::Early),
        (None, Some(0)) if !ended.out.contains("stopped after") => Ok(Stopped::Done),
        _ => Err(format!("after SIG{signal} it ends with {}: {}", ended.status, ended.error)),
    }
}

/// A run that was asked to end has logged the mean of its updates since the last line, where one that was not goes on with
/// that mean: of its log, what an evaluation said is the same.
fn forget_averages(tree: &mut Tree) {
    tree.remove("out/report.html");
    for (name, bytes) in tree {
        let keep: fn(&str) -> bool = match name.rsplit('/').next() {
            Some("metrics.jsonl") => |line| line.contains("\"eval_loss\""),
            Some("SHA256SUMS") => |line| !line.ends_with("  metrics.jsonl"),
            _ => continue,
        };
        let text = String::from_utf8_lossy(bytes);
        *bytes = text.lines().filter(|line| keep(line)).collect::<Vec<_>>().join("\n").into_bytes();
    }
}

/// A run that was asked to end saved at steps at which one that was not does not, which may have pushed out others.
fn match_checkpoints(expected: &mut Tree, found: &mut Tree) {
    let step =
        |name: &str| name.starts_with("out/checkpoint-").then(|| name.split('/').nth(1).map(str::to_string)).flatten();
    let both = |tree: &Tree, other: &Tree| -> Vec<String> {
        let steps = |tree: &Tree| tree.keys().filter_map(|name| step(name)).collect::<Vec<_>>();
        let others = steps(other);
        steps(tree).into_iter().filter(|step| others.contains(step)).collect()
    };
    let both = both(expected, found);
    let keep = |name: &String, _: &mut Vec<u8>| step(name).is_none_or(|step| both.contains(&step));
    expected.retain(keep);
    found.retain(keep);
}

#[test]
fn train_survives_kills() {
    survives_kills("train_survives_kills", Command::Train);
}

#[test]
fn generate_survives_kills() {
    survives_kills("generate_survives_kills", Command::Generate);
}

#[test]
fn score_survives_kills() {
    survives_kills("score_survives_kills", Command::Score);
}

#[test]
fn evaluate_survives_kills() {
    survives_kills("evaluate_survives_kills", Command::Evaluate);
}

#[test]
fn data_survives_kills() {
    survives_kills("data_survives_kills", Command::Data);
}

#[test]
fn merge_survives_kills() {
    survives_kills("merge_survives_kills", Command::Merge);
}
