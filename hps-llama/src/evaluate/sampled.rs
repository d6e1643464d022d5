//! Responses drawn from a policy, and the best of them by a reward model.
//!
//! As in the paper's script, BLEU is then of that best one too. (Its text takes the highest number of each metric.)

use crate::backend::Backend;
use crate::chat::Chat;
use crate::data::{Response, Row};
use crate::generate::{Sample, SamplingParams};
use crate::model::Policy;
use crate::reward_model::Scorer;
use crate::train::Example;
use crate::{Error, ErrorKind, Result};

/// How responses are drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct SamplingOptions {
    /// Responses a prompt; the best by the reward model is judged.
    pub best_of: usize,
    /// Divides the logits; 0 takes the most probable token always.
    pub temperature: f32,
    /// Tokens of a response at most.
    pub max_tokens: usize,
    /// Keys the draws.
    pub seed: u64,
}

/// The best response to a prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampled {
    /// Its text.
    pub text: String,
    /// Its tokens, the end token not among them.
    pub tokens: usize,
    /// Whether it ended by itself.
    pub finished: bool,
    /// The rewards of all that were drawn; empty without a reward model.
    pub rewards: Vec<f64>,
    /// Which of them it is; the first of equals.
    pub best: usize,
}

/// One response for each row, the prompts together.
pub(super) fn sampled<B: Backend>(
    policy: &Policy<B>,
    chat: &Chat,
    (rows, examples): (&[Row], &[Example]),
    scorer: Option<(&Scorer<B>, usize)>,
    options: &SamplingOptions,
) -> Result<Vec<Sampled>> {
    let mut drawn = Vec::with_capacity(rows.len());
    let prompts: Vec<(u32, Vec<u32>)> =
        examples.iter().map(|example| (example.group.row, example.group.prompt.clone())).collect();
    for (row, samples) in rows.iter().zip(draw(policy, &prompts, options, chat.allows_long_positions())?) {
        let texts = samples.iter().map(|sample| chat.tokenizer().decode(&sample.tokens, true));
        drawn.push((row, samples.clone(), texts.collect::<Result<Vec<String>>>()?));
    }
    let mut rewards = vec![Vec::new(); rows.len()];
    if let Some((scorer, max_tokens)) = scorer {
        let groups = drawn.iter().map(|(row, _, texts)| {
            let responses: Vec<Response> = texts.iter().map(|text| Response::Text(text.clone())).collect();
            scorer.group(row.id(), row.prompt(), &responses).map_err(|error| error.at(row.place()))
        });
        rewards = scorer.rewards(&groups.collect::<Result<Vec<_>>>()?, max_tokens)?;
    }
    let chosen = drawn.into_iter().zip(rewards).map(|((row, samples, texts), rewards)| {
        let first_best = |best: usize, index: usize| if rewards[index] > rewards[best] { index } else { best };
        let best = (0..rewards.len()).fold(0, first_best);
        let nothing = || Error::new(ErrorKind::Option, "no response was drawn").at(row.place());
        let (sample, text) = samples.get(best).zip(texts.get(best)).ok_or_else(nothing)?;
        Ok(Sampled { text: text.clone(), tokens: sample.tokens.len(), finished: sample.stopped(), rewards, best })
    });
    chosen.collect()
}

/// Draws `best_of` responses to each prompt.
fn draw<B: Backend>(
    policy: &Policy<B>,
    prompts: &[(u32, Vec<u32>)],
    options: &SamplingOptions,
    allow_long_positions: bool,
) -> Result<Vec<Vec<Sample>>> {
    let params = SamplingParams {
        temperature: options.temperature,
        max_tokens: options.max_tokens,
        n: options.best_of,
        seed: options.seed,
        stop_token_ids: policy.model.config().eos_token_ids.clone(),
        allow_long_positions,
        ..SamplingParams::default()
    };
    policy.generate(prompts, &params, true)
}
