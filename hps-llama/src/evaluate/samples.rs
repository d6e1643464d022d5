//! A few prompts with what each method responded: numbers alone hide a model that writes nonsense.

use super::{EvaluatedRow, EvaluationData};
use crate::data::Prompt;
use crate::visible;

/// Prompts that are shown.
const SHOWN: usize = 3;

/// A prompt and its responses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Samples {
    /// Where the row stands: `file:line`.
    pub place: String,
    /// What was asked: a text, or the turns of a conversation, a line each.
    pub prompt: String,
    /// The response of each method, in the table's order, and whether it ended by itself.
    pub responses: Vec<(String, bool)>,
}

impl Samples {
    /// The first, the middle and the last row of a dataset; `rows` are those of each method.
    pub(super) fn of(data: &EvaluationData, rows: &[&[EvaluatedRow]]) -> Vec<Samples> {
        let count = data.rows.len();
        let mut places: Vec<usize> = (0..SHOWN).map(|part| part * count.saturating_sub(1) / (SHOWN - 1)).collect();
        places.dedup();
        let samples = |place: usize| Samples {
            place: data.rows[place].place().to_string(),
            prompt: asked(data.rows[place].prompt()),
            responses: rows.iter().map(|rows| (rows[place].response.clone(), rows[place].finished)).collect(),
        };
        places.into_iter().map(samples).collect()
    }

    /// A response in one line: its beginning, where it is long, and what is to be known of it.
    pub(super) fn line(text: &str, finished: bool, limit: usize) -> String {
        let text = visible(text.trim()).into_owned();
        match text.char_indices().nth(limit) {
            _ if text.is_empty() => "(empty)".into(),
            Some((end, _)) => format!("{}…", &text[..end]),
            None if !finished => format!("{text} (cut at max_tokens)"),
            None => text,
        }
    }
}

fn asked(prompt: &Prompt) -> String {
    match prompt {
        Prompt::Text(text) => text.clone(),
        Prompt::Messages(turns) => match &turns[..] {
            [only] => only.content.clone(),
            turns => turns.iter().map(|turn| format!("{}: {}", turn.role, turn.content)).collect::<Vec<_>>().join("\n"),
        },
    }
}
