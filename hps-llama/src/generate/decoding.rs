//! A batch of sequences, one token of each a step; those at their end leave it.

use super::cache::Cache;
use super::{FinishReason, Sample, SamplingParams};
use crate::backend::{Attended, Backend, StepNumbers};
use crate::model::{Places, Policy};
use crate::parameter::Parameter;
use crate::{Error, ErrorKind, Result};
use hps_core::Philox;
use std::ops::Range;

/// Counter word that sets generation's draws apart from other uses of the same seed.
const GENERATION: u32 = 0x4765_6e65;

/// A sequence that is not at its end.
#[derive(Debug)]
struct Sequence {
    /// Index in the batch, and of the sample among its prompt's of the batch.
    place: [usize; 2],
    /// Prompt id and sample: what its draws are keyed by.
    id: [u32; 2],
    /// Which of the cache's.
    slot: usize,
    sample: Sample,
    last: u32,
}

/// The batch.
pub(super) struct Decoding<'a, B: Backend> {
    policy: &'a Policy<B>,
    params: &'a SamplingParams,
    adapted: bool,
    cache: Cache<B>,
    sequences: Vec<Sequence>,
    replay: B::Replay,
    ended: Vec<Vec<Option<Sample>>>,
}

impl<'a, B: Backend> Decoding<'a, B> {
    /// Computes the prompts. Their last tokens are computed again by the first step, as each sequence's first row.
    pub(super) fn start(
        policy: &'a Policy<B>,
        prompts: &[(u32, Vec<u32>)],
        samples: Range<usize>,
        params: &'a SamplingParams,
        adapted: bool,
    ) -> Result<Self> {
        let count = prompts.len() * samples.len();
        let cache = Cache::of_prompts(policy, prompts, count, params.max_tokens, adapted)?;
        let mut sequences = Vec::with_capacity(count);
        for (prompt, (id, tokens)) in prompts.iter().enumerate() {
            for (place, sample) in samples.clone().enumerate() {
                sequences.push(Sequence {
                    place: [prompt, place],
                    id: [*id, sample as u32],
                    slot: sequences.len(),
                    sample: Sample { tokens: Vec::new(), log_probs: Vec::new(), finish_reason: FinishReason::Length },
                    last: tokens[tokens.len() - 1],
                });
            }
        }
        let ended = vec![vec![None; samples.len()]; prompts.len()];
        Ok(Decoding { policy, params, adapted, cache, sequences, replay: B::Replay::default(), ended })
    }

    /// All samples, prompt by prompt.
    pub(super) fn run(mut self) -> Result<Vec<Vec<Sample>>> {
        for step in 0..self.params.max_tokens {
            if self.sequences.is_empty() {
                break;
            }
            if self.cache.is_full(step) {
                let slots: Vec<usize> = self.sequences.iter().map(|sequence| sequence.slot).collect();
                self.cache.grow(self.policy, &slots, self.params.max_tokens)?;
                self.sequences.iter_mut().enumerate().for_each(|(slot, sequence)| sequence.slot = slot);
            }
            let (tokens, log_probs) = self.step(step)?;
            let positions = match self.params.allow_long_positions {
                true => usize::MAX,
                false => self.policy.model.config().max_position_embeddings,
            };
            let mut going = Vec::with_capacity(self.sequences.len());
            for ((mut sequence, token), log_prob) in self.sequences.drain(..).zip(tokens).zip(log_probs) {
                if !log_prob.is_finite() {
                    let message = format!(
                        "token {token} of a sample of prompt {} is drawn but has a log-prob of {log_prob}",
                        sequence.id[0]
                    );
                    return Err(Error::new(ErrorKind::NonFinite, message));
                }
                sequence.sample.log_probs.push(log_prob);
                sequence.last = token;
                let [prompt, place] = sequence.place;
                let stopped = self.params.stop_token_ids.contains(&token);
                if stopped {
                    sequence.sample.finish_reason = FinishReason::Stop;
                } else {
                    sequence.sample.tokens.push(token);
                }
                if stopped || self.cache.prompts[prompt].len() + step + 1 == positions {
                    self.ended[prompt][place] = Some(sequence.sample);
                } else {
                    going.push(sequence);
                }
            }
            self.sequences = going;
        }
        for sequence in self.sequences {
            let [prompt, place] = sequence.place;
            self.ended[prompt][place] = Some(sequence.sample);
        }
        Ok(self.ended.into_iter().map(|samples| samples.into_iter().flatten().collect()).collect())
    }

    /// One token of every sequence, and its log-prob.
    fn step(&mut self, step: usize) -> Result<(Vec<u32>, Vec<f32>)> {
        let model = &self.policy.model;
        let backend = &model.backend;
        let (cache, sequences) = (&mut self.cache, &self.sequences);
        let tokens: Vec<u32> = sequences.iter().map(|sequence| sequence.last).collect();
        let prompt = |sequence: &Sequence| cache.prompts[sequence.place[0]].clone();
        let positions: Vec<u32> = sequences.iter().map(|sequence| (prompt(sequence).len() - 1 + step) as u32).collect();
        let rows: Vec<u32> = sequences.iter().map(|sequence| cache.row(sequence.slot, step) as u32).collect();
        let spans = |sequence: &Sequence| {
            let Range { start, end } = prompt(sequence);
            let own = cache.row(sequence.slot, 0);
            [start, end - 1, own, own + step + 1].map(|row| row as u32)
        };
        let spans: Vec<u32> = sequences.iter().flat_map(spans).collect();
        let philox = Philox::new(self.params.seed);
        let uniform = |sequence: &Sequence| {
            let word = philox.block([step as u32, sequence.id[1], sequence.id[0], GENERATION])[0];
            (word >> 8) as f32 / (1u32 << 24) as f32
        };
        let uniforms: Vec<f32> = sequences.iter().map(uniform).collect();

        let numbers = StepNumbers {
            tokens: &tokens,
            positions: &positions,
            rows: &rows,
            spans: &spans,
            uniforms: &uniforms,
            place: cache.place,
        };
        let (policy, truncation) = (self.policy, self.params.truncation());
        let adaptation = policy.adapter_if(self.adapted);
        let blocks = &mut cache.blocks;
        let nothing = backend.upload_indices(&[])?;
        backend.step(&mut self.replay, &numbers, &mut |there| {
            let rotation = backend.rotation(there.positions, &model.frequencies)?;
            let places = Places { rotation: &rotation, identities: &nothing };
            let mut x = backend.embed(model.get(Parameter::Embedding)?, there.tokens)?;
            for (block, [keys, values]) in blocks.iter_mut().enumerate() {
                let mut attend = |[q, k, v]: &[B::Array; 3], heads| {
                    backend.write_rows(keys, there.rows, k)?;
                    backend.write_rows(values, there.rows, v)?;
                    let output = backend.decode_attention(q, keys, values, there.spans, heads)?;
                    // Nobody reads the sums, and an array of nothing is not filled.
                    Ok(Attended { output, log_sum_exp: backend.zeros(0, 1)? })
                };
                x = model.block(block, x, places, adaptation, &mut attend)?.0;
            }
            let gain = model.get(Parameter::FinalNorm)?;
            let hidden = backend.rms_norm(&x, gain, model.config.rms_norm_eps)?;
            backend.sample(&hidden, model.get(model.head())?, truncation, there.uniforms)
        })
    }
}
