//! An evaluation as tables: for a terminal, in Markdown, and as JSON.

use super::{Bleu, Evaluation, Interval, Metric, Samples};
use crate::page::decimal;
use crate::{visible, visible_lines};
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// Characters of a prompt and of a response that a terminal shows.
const SHOWN: usize = 400;

/// A table's title, header and rows of text.
pub(super) struct Text {
    pub(super) title: String,
    pub(super) header: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
}

impl Text {
    /// The same with each dataset over its metric and each number over its interval.
    pub(super) fn stacked(mut self) -> Text {
        self.header.iter_mut().for_each(|name| *name = name.replacen(": ", "\n", 1));
        self.rows
            .iter_mut()
            .flat_map(|row| row.iter_mut().skip(1))
            .for_each(|cell| *cell = cell.replacen(" [", "\n[", 1));
        self
    }
}

impl Evaluation {
    /// The paper's columns for all datasets, then for each dataset the others.
    pub(super) fn texts(&self) -> Vec<Text> {
        let names = |column: &(usize, Metric)| format!("{}: {}", visible(&self.datasets[column.0].0), column.1.title());
        let paper: Vec<(usize, Metric)> =
            (0..self.datasets.len()).flat_map(|dataset| Metric::PAPER.map(|metric| (dataset, metric))).collect();
        let mut texts = vec![self.text("The paper's columns".into(), &paper, names)];
        for (dataset, (name, rows)) in self.datasets.iter().enumerate() {
            let shown = Metric::MORE.into_iter().filter(|metric| self.has(dataset, *metric));
            let columns: Vec<(usize, Metric)> = shown.map(|metric| (dataset, metric)).collect();
            let title = format!("{}, {rows} rows", visible(name));
            texts.push(self.text(title, &columns, |column| column.1.title().to_string()));
        }
        texts
    }

    fn has(&self, dataset: usize, metric: Metric) -> bool {
        (0..self.methods.len()).any(|method| self.estimate(method, dataset, metric).is_some())
    }

    fn text(&self, title: String, columns: &[(usize, Metric)], name: impl Fn(&(usize, Metric)) -> String) -> Text {
        let header = std::iter::once("Method".to_string()).chain(columns.iter().map(name)).collect();
        let row = |(method, name): (usize, &String)| {
            let cells = columns.iter().map(|(dataset, metric)| match self.estimate(method, *dataset, *metric) {
                Some(interval) => shown(&interval, metric.decimals(self.bleu)),
                None => "-".to_string(),
            });
            std::iter::once(visible(name).into_owned()).chain(cells).collect()
        };
        Text { title, header, rows: self.methods.iter().enumerate().map(row).collect() }
    }

    /// Each method's name beside its response to one prompt, at most `limit` characters of it.
    pub(super) fn responses<'a>(
        &'a self,
        samples: &'a Samples,
        limit: usize,
    ) -> impl Iterator<Item = (String, String)> {
        let named = self.methods.iter().zip(&samples.responses);
        named.map(move |(name, (text, finished))| (visible(name).into_owned(), Samples::line(text, *finished, limit)))
    }

    /// The samples for a terminal: each prompt's end, and the beginning of each method's response.
    pub fn samples_to_terminal(&self) -> String {
        let mut text = String::new();
        for samples in &self.samples {
            let prompt = visible_lines(samples.prompt.trim()).into_owned();
            let cut = prompt.char_indices().rev().nth(SHOWN).map_or(0, |(start, _)| start);
            let before = if cut > 0 { "…" } else { "" };
            let prompt = format!("{before}{}", &prompt[cut..]).replace('\n', "\n  ");
            let _ = writeln!(text, "\n{}\n  {prompt}", visible(&samples.place));
            let width = self.methods.iter().map(|name| name.chars().count()).max().unwrap_or(0);
            for (name, response) in self.responses(samples, SHOWN) {
                let _ = writeln!(text, "    {name:width$}  {response}");
            }
        }
        text
    }

    /// Tables for a terminal, each number over its interval.
    pub fn to_terminal(&self) -> String {
        let table = |text: Text| {
            let text = text.stacked();
            let mut table = Table::new();
            table.load_preset(presets::UTF8_FULL_CONDENSED);
            // Of the terminal's width, where there is one.
            table.set_content_arrangement(ContentArrangement::Dynamic);
            table.set_header(&text.header);
            for row in text.rows {
                let cells = row.iter().enumerate().map(|(column, cell)| {
                    let side = if column == 0 { CellAlignment::Left } else { CellAlignment::Right };
                    Cell::new(cell).set_alignment(side)
                });
                table.add_row(cells);
            }
            format!("{}\n{table}\n", text.title)
        };
        let tables: Vec<String> = self.texts().into_iter().map(table).collect();
        format!("{}{}\n", tables.join("\n"), self.note())
    }

    /// The same in Markdown.
    pub fn to_markdown(&self) -> String {
        let line = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| plain(cell)).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let table = |text: &Text| {
            let rule: Vec<String> =
                (0..text.header.len()).map(|column| if column == 0 { "---".into() } else { "---:".into() }).collect();
            let rows: String = text.rows.iter().map(|row| line(row)).collect();
            format!("## {}\n\n{}{}{rows}\n", plain(&text.title), line(&text.header), line(&rule))
        };
        let tables: String = self.texts().iter().map(table).collect();
        let mut text = format!("# Evaluation\n\n{tables}{}\n", plain(&self.note()));
        for samples in &self.samples {
            let _ = write!(text, "\n## Responses to {}\n\n{}\n", plain(&samples.place), plain(&samples.prompt));
            for (name, response) in self.responses(samples, usize::MAX) {
                let _ = write!(text, "\n- {}: {}", plain(&name), plain(&response));
            }
            text.push('\n');
        }
        text
    }

    /// All estimates: `columns` has the metrics in the tables' order, `results` each method on each dataset, `run` what decides
    /// their rows.
    pub fn to_json(&self) -> Value {
        let mut results = Vec::new();
        for (method, name) in self.methods.iter().enumerate() {
            for (dataset, (data, rows)) in self.datasets.iter().enumerate() {
                let estimates: Map<String, Value> = Metric::PAPER
                    .into_iter()
                    .chain(Metric::MORE)
                    .filter_map(|metric| {
                        let Interval { mean, low, high } = self.estimate(method, dataset, metric)?;
                        Some((metric.key().into(), json!({"estimate": mean, "low": low, "high": high})))
                    })
                    .collect();
                results.push(json!({"method": name, "data": data, "rows": rows, "estimates": estimates}));
            }
        }
        let columns: Vec<&str> = Metric::PAPER.into_iter().chain(Metric::MORE).map(Metric::key).collect();
        let options: Map<String, Value> =
            self.options.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        json!({"options": options, "run": self.run, "columns": columns, "results": results})
    }

    /// What the numbers are.
    pub(super) fn note(&self) -> String {
        let share = format!("{:.1}", 100.0 * self.confidence);
        let share = share.strip_suffix(".0").unwrap_or(&share);
        let bleu = match self.bleu {
            Bleu::Sacrebleu => "BLEU is sacrebleu's of the corpus, 0 to 100",
            Bleu::NltkChar => "BLEU is nltk's of characters, the mean over rows, 0 to 1",
        };
        let margins = match self.beta {
            1.0 => "margins are of ln π − ln π_ref, nats".to_string(),
            beta => format!("margins are of β (ln π − ln π_ref), β = {beta}"),
        };
        let reward = self.reward.as_ref().map_or(String::new(), |label| format!("; rewards by {label}"));
        let kl = "KL and log ratio in nats a preferred response; Δ is the change from the base over the same rows";
        let texts = match self.texts {
            0 => String::new(),
            texts => format!("; {texts} prompts are text, which the model read without its chat template (`--chat`)"),
        };
        format!("[…]: {share} % bootstrap intervals over rows; {bleu}; {margins}; {kl}{reward}{texts}")
    }
}

/// Text that Markdown shows as it is, in a table too.
fn plain(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in visible(text).chars() {
        // Between letters, underscores mean nothing; the brackets of intervals begin no link.
        if matches!(letter, '\\' | '|' | '`' | '*' | '<' | '>' | '&' | '#' | '~') {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped.replace("](", "]\\(")
}

/// A number and its interval.
fn shown(interval: &Interval, decimals: usize) -> String {
    let [mean, low, high] = [interval.mean, interval.low, interval.high].map(|number| decimal(number, decimals));
    format!("{mean} [{low}, {high}]")
}
