//! A file's prompts → a line each, with its responses.

use super::{FinishReason, SamplingParams};
use crate::Result;
use crate::backend::Backend;
use crate::chat::Chat;
use crate::data::{Prompt, PromptRow};
use crate::model::Policy;
use crate::resumable::Resumable;
use serde::Serialize;

/// A prompt's line. With `rewards`, as many, it is a row that training reads.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Generated<'a> {
    /// As it was read.
    pub prompt: &'a Prompt,
    /// Texts, in the order of the samples. Special tokens are left out of them, the end token among them.
    pub responses: Vec<String>,
    /// `Σ log π` of each response's tokens, nats: see [`Sample::log_prob`](super::Sample::log_prob).
    pub log_probs: Vec<f64>,
    /// How many tokens those sums are over, the end token included.
    pub tokens: Vec<usize>,
    /// Why each ends.
    pub finish_reasons: Vec<FinishReason>,
}

/// Responses to each prompt, a line a prompt, in their order; lines that `output` has already are passed over.
///
/// Prompts are taken in batches as by [`Policy::generate`], and the batch is what a kill loses. `advance` is called with
/// the number of lines after each.
///
/// # Errors
/// A prompt cannot be read, has no template or no tokens; see also [`Policy::generate`], [`Resumable::push`].
pub fn generate_rows<B: Backend>(
    policy: &Policy<B>,
    chat: &Chat,
    prompts: impl Iterator<Item = Result<PromptRow>>,
    params: &SamplingParams,
    output: &mut Resumable,
    mut advance: impl FnMut(usize),
) -> Result<()> {
    params.check()?;
    let at_once = (params.max_num_seqs / params.n.max(1)).max(1);
    let mut prompts = prompts.skip(output.done());
    loop {
        let rows: Vec<PromptRow> = prompts.by_ref().take(at_once).collect::<Result<_>>()?;
        if rows.is_empty() {
            return Ok(());
        }
        let encode = |row: &PromptRow| {
            let tokens = chat.prompt_tokens(&row.prompt).map_err(|error| error.at(&row.place))?;
            if !params.allow_long_positions {
                chat.room_after(tokens.len()).map_err(|error| error.at(&row.place))?;
            }
            Ok((row.id, tokens))
        };
        let tokens: Vec<(u32, Vec<u32>)> = rows.iter().map(encode).collect::<Result<_>>()?;
        let place = || match &rows[..] {
            [only] => only.place.clone(),
            rows => format!("{} to {}", rows[0].place, rows[rows.len() - 1].place),
        };
        let samples = policy.generate(&tokens, params, true).map_err(|error| error.at(place()))?;
        for (row, samples) in rows.iter().zip(samples) {
            let text = |tokens: &[u32]| chat.tokenizer().decode(tokens, true).map_err(|error| error.at(&row.place));
            output.push(&Generated {
                prompt: &row.prompt,
                responses: samples.iter().map(|sample| text(&sample.tokens)).collect::<Result<_>>()?,
                log_probs: samples.iter().map(|sample| sample.log_prob()).collect(),
                tokens: samples.iter().map(|sample| sample.log_probs.len()).collect(),
                finish_reasons: samples.iter().map(|sample| sample.finish_reason).collect(),
            })?;
            advance(output.done());
        }
    }
}
