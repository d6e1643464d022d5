//! Text from a policy: many prompts at once, each token one step of the whole batch.
//!
//! Keys and values live in one cache a block: the prompts first, then room for every sequence's new tokens. A sequence
//! sees its prompt's rows and its own, so samples of one prompt share the prompt. A sample's randomness is keyed by
//! (seed, prompt id, sample), and on the CPU no number of it depends on its neighbours: whatever is decoded beside it, it
//! is the same to the bit. (On a device whose products depend on their shapes, up to rounding.)

mod cache;
mod decoding;
mod rows;

pub use rows::{Generated, generate_rows};

use crate::backend::{Backend, Truncation};
use crate::model::Policy;
use crate::{Error, ErrorKind, Result};
use decoding::Decoding;
use serde::Serialize;
use std::fmt;

/// How to draw.
#[derive(Debug, Clone, PartialEq)]
pub struct SamplingParams {
    /// Divides the logits; 0 takes the most probable token always.
    pub temperature: f32,
    /// Draws from the most probable tokens whose probability is this together, at least; 1 from all. See [`Truncation`].
    pub top_p: f32,
    /// Draws from so many most probable tokens; 0 from all.
    pub top_k: u32,
    /// Tokens at most, the end token included.
    pub max_tokens: usize,
    /// Samples a prompt.
    pub n: usize,
    /// Keys all draws.
    pub seed: u64,
    /// Tokens that end a response.
    pub stop_token_ids: Vec<u32>,
    /// Sequences decoded at once. Memory and speed depend on it, results do not.
    pub max_num_seqs: usize,
    /// Whether sequences may be longer than the model has positions. Otherwise a response ends at the last of them.
    pub allow_long_positions: bool,
}

impl Default for SamplingParams {
    /// One sample of 256 tokens at most, from the model's own distribution, without end tokens.
    fn default() -> Self {
        SamplingParams {
            temperature: 1.0,
            top_p: 1.0,
            top_k: 0,
            max_tokens: 256,
            n: 1,
            seed: 0,
            stop_token_ids: Vec::new(),
            max_num_seqs: 256,
            allow_long_positions: false,
        }
    }
}

impl SamplingParams {
    /// What is kept of a distribution.
    pub(super) fn truncation(&self) -> Truncation {
        Truncation { temperature: self.temperature, top_k: self.top_k, top_p: self.top_p }
    }

    /// Refuses options outside their ranges.
    ///
    /// # Errors
    /// One is.
    pub fn check(&self) -> Result<()> {
        expect_sampling(self.temperature, self.top_p)?;
        if self.max_num_seqs == 0 {
            return Err(Error::new(ErrorKind::Option, "`max_num_seqs` is 0; it is at least 1"));
        }
        Ok(())
    }
}

/// Refuses what no distribution is drawn with, here or by a server.
pub(crate) fn expect_sampling<N: Into<f64> + fmt::Display + Copy>(temperature: N, top_p: N) -> Result<()> {
    let refused = |message: String| Err(Error::new(ErrorKind::Option, message));
    let (divisor, share): (f64, f64) = (temperature.into(), top_p.into());
    if !(divisor >= 0.0 && divisor.is_finite()) {
        return refused(format!("`temperature` is {temperature}; it is at least 0"));
    }
    if !(share > 0.0 && share <= 1.0) {
        return refused(format!("`top_p` is {top_p}; it is above 0 and at most 1"));
    }
    Ok(())
}

/// Why a response is at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FinishReason {
    /// An end token was drawn.
    Stop,
    /// It has `max_tokens`, or reaches the model's last position.
    Length,
}

/// One sampled response.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Its tokens, without the end token.
    pub tokens: Vec<u32>,
    /// Log-probs of the drawn tokens, nats, the end token's last: one more than tokens where the response stopped.
    ///
    /// They are the model's own, `log softmax(logits)`: what training calls log π, whatever the temperature is and
    /// whatever `top_p` and `top_k` leave out.
    pub log_probs: Vec<f32>,
    /// Why it ends.
    pub finish_reason: FinishReason,
}

impl Sample {
    /// Whether it ended by an end token, not by `max_tokens`.
    pub fn stopped(&self) -> bool {
        self.finish_reason == FinishReason::Stop
    }

    /// `Σ log π` of its tokens and its end token, nats.
    pub fn log_prob(&self) -> f64 {
        self.log_probs.iter().copied().map(f64::from).sum()
    }
}

impl<B: Backend> Policy<B> {
    /// `n` responses to each prompt `(id, tokens)`; `adapted` is whether the adapter is on.
    ///
    /// Prompts are taken in batches of `max_num_seqs` sequences; of more samples than that, each batch computes the
    /// prompt again. Memory: keys and values of a batch's prompts, and of the tokens drawn so far, twice as many at most
    /// (three times while the cache grows).
    ///
    /// # Errors
    /// An option is out of its range, a prompt is empty or has a token outside the vocabulary or no position left after it,
    /// logits are NaN, or the device failed.
    pub fn generate(
        &self,
        prompts: &[(u32, Vec<u32>)],
        params: &SamplingParams,
        adapted: bool,
    ) -> Result<Vec<Vec<Sample>>> {
        params.check()?;
        if prompts.is_empty() || params.n == 0 || params.max_tokens == 0 {
            let nothing = Sample { tokens: Vec::new(), log_probs: Vec::new(), finish_reason: FinishReason::Length };
            return Ok(vec![vec![nothing; params.n]; prompts.len()]);
        }
        let positions = self.model.config().max_position_embeddings;
        if !params.allow_long_positions
            && let Some((id, tokens)) = prompts.iter().find(|(_, tokens)| tokens.len() >= positions)
        {
            let tokens = tokens.len();
            let message = format!("prompt {id} has {tokens} tokens, and the model has {positions} positions");
            return Err(Error::new(ErrorKind::Tokens, message));
        }
        let mut all = Vec::with_capacity(prompts.len());
        for prompts in prompts.chunks((params.max_num_seqs / params.n).max(1)) {
            let mut together: Vec<Vec<Sample>> = prompts.iter().map(|_| Vec::with_capacity(params.n)).collect();
            for first in (0..params.n).step_by(params.max_num_seqs) {
                let samples = first..params.n.min(first + params.max_num_seqs);
                let drawn = Decoding::start(self, prompts, samples, params, adapted)?.run()?;
                together.iter_mut().zip(drawn).for_each(|(together, drawn)| together.extend(drawn));
            }
            all.append(&mut together);
        }
        Ok(all)
    }
}
