//! What reads the last hidden states: the language-model head, or a reward model's score head.
//!
//! `log p_t = log_softmax(head · h_t)[y_t]`, or `r = w · h` of a response's end. Either is a number a row with its
//! gradient by that row's `h`, so that all that comes before and after is the same for both.

use super::{Batch, Llama, Policy};
use crate::Result;
use crate::backend::{Backend, LogProbs};
use crate::lora::Lora;
use crate::pack::{Group, Packed, Scored};
use crate::parameter::Parameter;
use std::ops::Range;

impl<B: Backend> Llama<B> {
    /// The head's number of each row of `hidden`, and the gradients by the rows if `differentiate` asks for them.
    pub(super) fn read(
        &self,
        hidden: &B::Array,
        batch: &Batch<B>,
        adapter: Option<&Lora<B>>,
        differentiate: bool,
    ) -> Result<LogProbs<B::Array>> {
        let adapted = adapter.and_then(|adapter| adapter.matrices.get(&Parameter::AdaptedScore));
        match adapted.or_else(|| self.weights.get(&Parameter::Score)) {
            Some(score) => self.scores(hidden, &self.backend.download_weight(score)?, differentiate),
            None => self.backend.log_probs(hidden, self.get(self.head())?, &batch.targets, differentiate),
        }
    }

    /// `w · h` of each row, on the host in f64: rows are few, one a response, and each its own sum whatever is beside it.
    fn scores(&self, hidden: &B::Array, score: &[f32], differentiate: bool) -> Result<LogProbs<B::Array>> {
        let hidden = self.backend.download(hidden)?;
        let rows = hidden.chunks_exact(score.len());
        let product = |(h, w): (&f32, &f32)| f64::from(*h) * f64::from(*w);
        let scores: Vec<f32> = rows.map(|row| row.iter().zip(score).map(product).sum::<f64>() as f32).collect();
        let gradient = differentiate.then(|| self.backend.upload(&score.repeat(scores.len()), score.len()));
        Ok(LogProbs { values: self.backend.upload(&scores, 1)?, unit_gradient: gradient.transpose()? })
    }
}

impl<B: Backend> Policy<B> {
    /// The score head that counts: the adapter's before the model's. `None` for a language model.
    pub fn score_head(&self) -> Option<Parameter> {
        let adapted = self.adapter.as_ref().filter(|adapter| adapter.matrices.contains_key(&Parameter::AdaptedScore));
        let own = self.model.weights.contains_key(&Parameter::Score);
        adapted.map(|_| Parameter::AdaptedScore).or(own.then_some(Parameter::Score))
    }

    /// What its head reads of a response.
    pub fn scored(&self) -> Scored {
        match self.score_head() {
            Some(_) => Scored::End { padding: self.model.config().pad_token_id },
            None => Scored::Tokens,
        }
    }

    /// Packs groups for its head, each prompt once.
    pub fn pack(&self, groups: &[Group]) -> Packed {
        Packed::scored(groups, self.scored())
    }

    /// Packs some of a group's responses for its head.
    pub fn pack_chunk(&self, group: &Group, responses: Range<usize>) -> Packed {
        Packed::scored_chunk(group, responses, self.scored())
    }
}
