//! Tables in Markdown: what came out, with the spread over seeds, and in brackets what the paper has.

use crate::ledger::Ledger;
use crate::paper;
use crate::run::{BASE, Estimate, Measured, Outcome, Run, STYLES};
use crate::study::{BETA, FAMILIES, MODELS, Plan};
use std::fmt::Write;

/// The tables' names.
pub const KNOWN: [&str; 7] = ["2", "5", "6", "7", "8", "cost", "hurt"];

/// The tables asked for.
pub fn all(tables: &[String], plan: &Plan, ledger: &Ledger, scale: &str) -> String {
    let mut text = format!(
        "Means over seeds ± half their range; in brackets the paper's (Llama-3-8B on HH-RLHF and PKU-SafeRLHF). Here: a Llama of \
         1.05 million parameters on the toy world, {scale} a style, lists of 8 unless said, β {BETA}, reward r*, BLEU by words. \
         Absolute numbers cannot be compared; their order can.\n"
    );
    for table in tables {
        let part = match table.as_str() {
            "2" => methods(ledger, "Table 2: fine-tuning", |outcome| &outcome.own, 0),
            "5" => methods(ledger, "Table 5: transfer, trained on the other style", |outcome| &outcome.other, 1),
            "6" => lists(ledger, plan, "Table 6: responses a prompt, fine-tuning on helpfulness", false),
            "7" => lists(ledger, plan, "Table 7: responses a prompt, from helpfulness to safety", true),
            "8" => betas(ledger, plan),
            "cost" => cost(ledger, plan),
            _ => hurt(ledger, plan),
        };
        text.push_str(&part);
    }
    text
}

/// Mean and half the range.
fn spread(numbers: &[f64], decimals: usize) -> String {
    if numbers.is_empty() {
        return "–".into();
    }
    let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
    let (low, high) = numbers.iter().fold((f64::MAX, f64::MIN), |(low, high), x| (low.min(*x), high.max(*x)));
    format!("{mean:.decimals$} ± {:.decimals$}", (high - low) / 2.0)
}

fn beside(number: f64) -> String {
    if number.is_nan() { String::new() } else { format!(" ({number:.3})") }
}

/// A column's name and its number.
type Column = (&'static str, fn(&Measured) -> f64);

const COLUMNS: [Column; 4] = [
    ("BLEU", |measured| measured.bleu),
    ("Reward", |measured| measured.reward),
    ("RM_DPO", |measured| measured.rm_dpo),
    ("RM_R-DPO", |measured| measured.rm_rdpo),
];

fn cells(outcomes: &[&Outcome], which: fn(&Outcome) -> &Measured, paper: paper::Row) -> String {
    let cell = |((_, number), paper): (&Column, f64)| {
        let numbers: Vec<f64> = outcomes.iter().map(|outcome| number(which(outcome))).collect();
        format!("{}{}", spread(&numbers, 3), beside(paper))
    };
    COLUMNS.iter().zip(paper).map(cell).collect::<Vec<_>>().join(" | ")
}

/// Tables 2 and 5. `trained` is 0 where a column's style is the one trained on, 1 where it is the other.
fn methods(ledger: &Ledger, title: &str, which: fn(&Outcome) -> &Measured, trained: usize) -> String {
    let names = COLUMNS.map(|(name, _)| name);
    let mut text = format!("\n### {title}\n\n| method |");
    for (style, _) in STYLES {
        names.iter().for_each(|name| text.push_str(&format!(" {style}: {name} |")));
    }
    text.push_str(&format!("\n|---|{}\n", "---|".repeat(8)));
    let mut rows: Vec<(String, [paper::Row; 2])> = Vec::new();
    if trained == 0 {
        rows.push((BASE.into(), paper::TABLE_2[0]));
    }
    for (number, (family, model)) in FAMILIES.iter().flat_map(|family| MODELS.map(|model| (family, model))).enumerate()
    {
        let of_paper = if trained == 0 { paper::TABLE_2[1 + number] } else { paper::TABLE_5[number] };
        rows.push((format!("{family}-{model}"), of_paper));
    }
    for (loss, of_paper) in rows {
        let column = |index: usize| {
            let style = STYLES[(index + trained) % 2].0;
            cells(&ledger.of(&Run::usual(style, &loss, 0)), which, of_paper[index])
        };
        let _ = writeln!(text, "| {loss} | {} | {} |", column(0), column(1));
    }
    text
}

/// Tables 6 and 7.
fn lists(ledger: &Ledger, plan: &Plan, title: &str, transfer: bool) -> String {
    let names = COLUMNS.map(|(name, _)| name).join(" | ");
    let mut text =
        format!("\n### {title}\n\n| responses | method | {names} | hardest margin |\n|---|---|---|---|---|---|---|\n");
    let which: fn(&Outcome) -> &Measured = if transfer { |outcome| &outcome.other } else { |outcome| &outcome.own };
    for responses in &plan.lists {
        let number = paper::LISTS.iter().position(|count| count == responses);
        for (method, loss) in ["dpo-bt", "dpo-hps"].into_iter().enumerate() {
            let outcomes = ledger.of(&Run { responses: *responses, ..Run::usual(STYLES[0].0, loss, 0) });
            let table = if transfer { paper::TABLE_7 } else { paper::TABLE_6 };
            let of_paper = number.map_or([f64::NAN; 4], |number| table[number][method]);
            let hardest: Vec<f64> = outcomes.iter().map(|outcome| which(outcome).hardest).collect();
            let cells = cells(&outcomes, which, of_paper);
            let _ = writeln!(text, "| {responses} | {loss} | {cells} | {} |", spread(&hardest, 3));
        }
    }
    text
}

fn betas(ledger: &Ledger, plan: &Plan) -> String {
    let mut text = String::from(
        "\n### Table 8: β, fine-tuning on helpfulness\n\n| β | method | KL | BLEU | Reward | RM_DPO | RM_R-DPO | harmful share |\n|---|---|---|---|---|---|---|---|\n",
    );
    for beta in &plan.betas {
        for (method, loss) in ["dpo-bt", "dpo-hps"].into_iter().enumerate() {
            let mut run = Run { beta: Some(*beta), ..Run::usual(STYLES[0].0, loss, 0) };
            run.settle();
            let outcomes = ledger.of(&run);
            let of = |number: fn(&Measured) -> f64| -> Vec<f64> {
                outcomes.iter().map(|outcome| number(&outcome.own)).collect()
            };
            let known = paper::TABLE_8.iter().find(|(known, _)| known == beta).map(|(_, rows)| rows[method]);
            let [kl, margin] = known.unwrap_or([f64::NAN; 2]);
            let cells = cells(&outcomes, |outcome| &outcome.own, [f64::NAN, f64::NAN, margin, f64::NAN]);
            let kl = format!("{}{}", spread(&of(|measured| measured.kl), 3), beside(kl));
            let _ = writeln!(text, "| {beta} | {loss} | {kl} | {cells} | {} |", spread(&of(|m| m.harmful), 3));
        }
    }
    text
}

/// Seconds of a run; the paper's hours beside them.
fn cost(ledger: &Ledger, plan: &Plan) -> String {
    let mut text = String::from(
        "\n### What a run costs\n\nTraining with its reference, two passes over the prompts of helpfulness.\n\n| responses | method | seconds | over dpo-bt | in the paper |\n|---|---|---|---|---|\n",
    );
    let mut rows = vec![(8, "dpo-bt"), (8, "dpo-hps"), (8, "dpo-pl")];
    rows.extend(plan.lists.iter().flat_map(|count| [(*count, "dpo-bt"), (*count, "dpo-hps")]));
    let seconds = |responses: usize, loss: &str| -> Vec<f64> {
        let run = Run { responses, ..Run::usual(STYLES[0].0, loss, 0) };
        ledger.of(&run).iter().map(|outcome| outcome.seconds).collect()
    };
    for (responses, loss) in rows {
        let (own, bt) = (seconds(responses, loss), seconds(responses, "dpo-bt"));
        let ratios: Vec<f64> = own.iter().zip(&bt).map(|(own, bt)| own / bt).collect();
        let of_paper = match (responses, loss) {
            (100, "dpo-hps") => format!("{:.3}", paper::HOURS[2] / paper::HOURS[1]),
            (8, "dpo-pl") => format!("{:.2} with 100 responses", paper::HOURS[0] / paper::HOURS[1]),
            _ => String::new(),
        };
        let _ = writeln!(text, "| {responses} | {loss} | {} | {} | {of_paper} |", spread(&own, 1), spread(&ratios, 2));
    }
    text
}

/// Where the estimate or γ leads HPS astray; BT beside it, which reads the same ranking's two ends.
fn hurt(ledger: &Ledger, plan: &Plan) -> String {
    let mut text = String::from(
        "\n### Where HPS hurts\n\n| | style | method | Reward | harmful share | RM_DPO | hardest margin |\n|---|---|---|---|---|---|---|\n",
    );
    for (name, estimate, gamma) in &plan.hurt {
        for (style, _) in STYLES {
            for loss in ["dpo-bt", "dpo-hps"] {
                if loss == "dpo-bt" && gamma.is_some() {
                    continue;
                }
                let mut run = Run { estimate: *estimate, gamma: *gamma, ..Run::usual(style, loss, 0) };
                run.settle();
                let outcomes = ledger.of(&run);
                let of = |number: fn(&Measured) -> f64| {
                    spread(&outcomes.iter().map(|outcome| number(&outcome.own)).collect::<Vec<_>>(), 3)
                };
                let numbers = [of(|m| m.reward), of(|m| m.harmful), of(|m| m.rm_dpo), of(|m| m.hardest)].join(" | ");
                let name = if *estimate == Estimate::True && gamma.is_none() {
                    format!("{name}, γ −5 → 5")
                } else {
                    name.to_string()
                };
                let _ = writeln!(text, "| {name} | {style} | {loss} | {numbers} |");
            }
        }
    }
    text
}
