//! An experiment's tables in Markdown.

use crate::arm::Arm;
use crate::compare::{Difference, Numbers, holm, mean, paired};
use crate::experiment::Experiment;
use crate::ledger::Ledger;
use crate::study::{PromptRow, Scale};
use std::fmt::Write;

/// A column's name and its number.
type Column = (&'static str, fn(&PromptRow) -> f64);

const COLUMNS: [Column; 7] = [
    ("reward", |row| row.reward),
    ("best of 5", |row| row.best),
    ("harmful", |row| row.harmful),
    ("KL", |row| row.kl),
    ("length", |row| row.length),
    ("accuracy", |row| row.accuracy),
    ("hardest margin", |row| row.hardest),
];

/// Those that are compared.
const COMPARED: [Column; 3] = [COLUMNS[0], COLUMNS[2], COLUMNS[3]];

/// Means of every arm, and paired differences from its control.
pub fn of(experiment: Experiment, arms: &[Arm], seeds: u64, scale: Scale, ledger: &Ledger) -> String {
    let Scale { prompts, held_out } = scale;
    let mut text = format!(
        "## `{experiment}`\n\nTrained on {prompts} prompts, {seeds} seeds; {held_out} held-out prompts of trained tasks and {held_out} of tasks that \
         were kept from training, 5 samples each at temperature 1. Reward is r*, KL the mean of ln π/π_ref of the samples, in nats.\n"
    );
    for (new_task, title) in
        [(false, "Held-out prompts of trained tasks"), (true, "Tasks that were kept from training")]
    {
        let numbers = |arm: &Arm, number: fn(&PromptRow) -> f64| -> Numbers {
            let of = |seed| ledger.of(arm, seed).unwrap_or_default().iter().filter(|row| row.new_task == new_task);
            (0..seeds).map(|seed| of(seed).map(number).collect()).collect()
        };
        let names = COLUMNS.map(|(name, _)| name).join(" | ");
        let _ = writeln!(text, "\n### {title}\n\n| | {names} |\n|---|{}", "---|".repeat(COLUMNS.len()));
        for arm in arms {
            let cell = |(_, number): &Column| format!("{:.3}", mean(&numbers(arm, *number).concat()));
            let _ = writeln!(text, "| {} | {} |", arm.name(), COLUMNS.iter().map(cell).collect::<Vec<_>>().join(" | "));
        }
        let tasks: Vec<u32> = ledger
            .of(&arms[0], 0)
            .unwrap_or_default()
            .iter()
            .filter(|row| row.new_task == new_task)
            .map(|row| row.task)
            .collect();
        let compared: Vec<(&Arm, &Arm)> = arms
            .iter()
            .map(|arm| (arm, experiment.control(arms, arm)))
            .filter(|(arm, control)| arm != control)
            .collect();
        let names = COMPARED.map(|(name, _)| format!("{name} | p")).join(" | ");
        let _ = writeln!(
            text,
            "\nPaired differences with 95 % intervals over tasks and seeds; p corrected for all comparisons of a column (Holm).\n\n\
             | | less | {names} |\n|---|---|{}",
            "---|".repeat(2 * COMPARED.len())
        );
        let columns: Vec<Vec<(Difference, f64)>> = COMPARED
            .iter()
            .map(|(_, number)| {
                let of =
                    |(arm, control): &(&Arm, &Arm)| paired(&numbers(arm, *number), &numbers(control, *number), &tasks);
                let differences: Vec<Difference> = compared.iter().map(of).collect();
                let p = holm(&differences.iter().map(|difference| difference.p).collect::<Vec<_>>());
                differences.into_iter().zip(p).collect()
            })
            .collect();
        for (index, (arm, control)) in compared.iter().enumerate() {
            let cell = |column: &Vec<(Difference, f64)>| {
                let (Difference { mean, half, .. }, p) = column[index];
                format!("{mean:+.3} ± {half:.3} | {p:.3}")
            };
            let cells = columns.iter().map(cell).collect::<Vec<_>>().join(" | ");
            let _ = writeln!(text, "| {} | {} | {cells} |", arm.name(), control.name());
        }
    }
    text
}
