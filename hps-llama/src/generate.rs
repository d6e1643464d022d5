//! Text from a policy: many prompts at once, each token one step of the whole batch.
//!
//! Keys and values live in one cache a block: the prompts first, then room for every sequence's new tokens. A sequence
//! sees its prompt's rows and its own, so samples of one prompt share the prompt. A sample's randomness is keyed by
//! (seed, prompt id, sample), so its tokens do not depend on what else is in the batch beyond rounding.

use crate::backend::{Attended, Backend};
use crate::model::{Batch, Policy};
use crate::pack::{Group, Packed};
use crate::parameter::Parameter;
use crate::{Error, ErrorKind, Result};
use hps_core::Philox;

/// Counter word that sets generation's draws apart from other uses of the same seed.
const GENERATION: u32 = 0x4765_6e65;

/// How to draw.
#[derive(Debug, Clone, PartialEq)]
pub struct SamplingParams {
    /// Divides the logits; 0 takes the most probable token always.
    pub temperature: f32,
    /// Tokens at most, the end token included.
    pub max_tokens: usize,
    /// Samples a prompt.
    pub n: usize,
    /// Keys all draws.
    pub seed: u64,
    /// Tokens that end a response.
    pub stop_token_ids: Vec<u32>,
}

/// One sampled response.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Its tokens, without the end token.
    pub tokens: Vec<u32>,
    /// Whether it ended by an end token, not by `max_tokens`.
    pub finished: bool,
}

impl<B: Backend> Policy<B> {
    /// `n` responses to each prompt `(id, tokens)`; `adapted` is whether the adapter is on.
    ///
    /// # Errors
    /// The temperature is negative or not finite, a prompt is empty or has a token outside the vocabulary, or the device
    /// failed.
    pub fn generate(
        &self,
        prompts: &[(u32, Vec<u32>)],
        params: &SamplingParams,
        adapted: bool,
    ) -> Result<Vec<Vec<Sample>>> {
        if !(params.temperature >= 0.0 && params.temperature.is_finite()) {
            let message = format!("`temperature` is {}; it is at least 0", params.temperature);
            return Err(Error::new(ErrorKind::Option, message));
        }
        if prompts.is_empty() || params.n == 0 || params.max_tokens == 0 {
            let nothing = Sample { tokens: Vec::new(), finished: false };
            return Ok(vec![vec![nothing; params.n]; prompts.len()]);
        }
        Generation::start(self, prompts, params, adapted)?.run()
    }
}

struct Sequence {
    prompt: usize,
    id: [u32; 2],
    /// Rows of the cache: its prompt's, and where its own begin.
    spans: [usize; 3],
    sample: Sample,
    last: u32,
}

struct Generation<'a, B: Backend> {
    policy: &'a Policy<B>,
    params: &'a SamplingParams,
    adapted: bool,
    lengths: Vec<usize>,
    /// Keys and values of each block.
    cache: Vec<[B::Array; 2]>,
    sequences: Vec<Sequence>,
}

impl<'a, B: Backend> Generation<'a, B> {
    /// Computes the prompts and fills the cache with all but their last tokens, which the first step reads.
    fn start(
        policy: &'a Policy<B>,
        prompts: &[(u32, Vec<u32>)],
        params: &'a SamplingParams,
        adapted: bool,
    ) -> Result<Self> {
        let model = &policy.model;
        let (backend, config) = (&model.backend, &model.config);
        let groups: Vec<Group> = prompts
            .iter()
            .map(|(id, tokens)| Group { row: *id, prompt: tokens.clone(), responses: vec![vec![0]] })
            .collect();
        if let Some((id, _)) = prompts.iter().find(|(_, tokens)| tokens.is_empty()) {
            let message = format!("prompt {id} has no tokens");
            return Err(Error::new(ErrorKind::Tokens, message));
        }
        let packed = Packed::shared(&groups);
        let batch = model.batch(&packed)?;
        let mut kept = Vec::new();
        model.trunk(&batch, policy.adapter_if(adapted), |block| kept.push(block))?;
        let rows = packed.len() + prompts.len() * params.n * params.max_tokens;
        let columns = config.num_key_value_heads * config.head_dim;
        let prompt_rows = backend.upload_indices(&(0..packed.len() as u32).collect::<Vec<_>>())?;
        let mut cache = Vec::new();
        for block in kept {
            let mut arrays = [backend.zeros(rows, columns)?, backend.zeros(rows, columns)?];
            let [k, v] = block.keys_and_values();
            backend.write_rows(&mut arrays[0], &prompt_rows, k)?;
            backend.write_rows(&mut arrays[1], &prompt_rows, v)?;
            cache.push(arrays);
        }
        let mut sequences = Vec::new();
        let mut first = 0;
        for (prompt, (id, tokens)) in prompts.iter().enumerate() {
            for sample in 0..params.n {
                // The last prompt token is computed again as each sequence's first own row.
                let own = packed.len() + sequences.len() * params.max_tokens;
                sequences.push(Sequence {
                    prompt,
                    id: [*id, sample as u32],
                    spans: [first, first + tokens.len() - 1, own],
                    sample: Sample { tokens: Vec::new(), finished: false },
                    last: tokens[tokens.len() - 1],
                });
            }
            first += tokens.len();
        }
        let lengths = prompts.iter().map(|(_, tokens)| tokens.len()).collect();
        Ok(Generation { policy, params, adapted, lengths, cache, sequences })
    }

    fn run(mut self) -> Result<Vec<Vec<Sample>>> {
        for step in 0..self.params.max_tokens {
            let active: Vec<usize> =
                (0..self.sequences.len()).filter(|index| !self.sequences[*index].sample.finished).collect();
            if active.is_empty() {
                break;
            }
            let tokens = self.step(step, &active)?;
            for (index, token) in active.into_iter().zip(tokens) {
                let sequence = &mut self.sequences[index];
                sequence.last = token;
                if self.params.stop_token_ids.contains(&token) {
                    sequence.sample.finished = true;
                } else {
                    sequence.sample.tokens.push(token);
                }
            }
        }
        let mut samples: Vec<Vec<Sample>> = self.lengths.iter().map(|_| Vec::new()).collect();
        for sequence in self.sequences {
            samples[sequence.prompt].push(sequence.sample);
        }
        Ok(samples)
    }

    /// One token of every active sequence.
    fn step(&mut self, step: usize, active: &[usize]) -> Result<Vec<u32>> {
        let model = &self.policy.model;
        let backend = &model.backend;
        let sequences = || active.iter().map(|index| &self.sequences[*index]);
        let tokens: Vec<u32> = sequences().map(|sequence| sequence.last).collect();
        let positions: Vec<u32> =
            sequences().map(|sequence| (self.lengths[sequence.prompt] - 1 + step) as u32).collect();
        let rows: Vec<u32> = sequences().map(|sequence| (sequence.spans[2] + step) as u32).collect();
        let spans: Vec<u32> = sequences()
            .flat_map(|Sequence { spans: [from, to, own], .. }| [*from, *to, *own, own + step + 1])
            .map(|row| row as u32)
            .collect();
        let philox = Philox::new(self.params.seed);
        let uniforms: Vec<f32> = sequences()
            .map(|sequence| {
                let word = philox.block([step as u32, sequence.id[1], sequence.id[0], GENERATION])[0];
                (word >> 8) as f32 / (1u32 << 24) as f32
            })
            .collect();

        let nothing = backend.upload_indices(&[])?;
        let batch = Batch {
            length: tokens.len(),
            tokens: backend.upload_indices(&tokens)?,
            rotation: model.rotation(&positions)?,
            spans: backend.upload_indices(&spans)?,
            identities: backend.upload_indices(&[])?,
            sources: backend.upload_indices(&[])?,
            targets: nothing,
        };
        let rows = backend.upload_indices(&rows)?;
        let adaptation = self.policy.adapter_if(self.adapted);
        let mut x = backend.embed(model.get(Parameter::Embedding)?, &batch.tokens)?;
        for (block, [keys, values]) in self.cache.iter_mut().enumerate() {
            let mut attend = |[q, k, v]: &[B::Array; 3], heads| {
                backend.write_rows(keys, &rows, k)?;
                backend.write_rows(values, &rows, v)?;
                let output = backend.decode_attention(q, keys, values, &batch.spans, heads)?;
                Ok(Attended { output, log_sum_exp: backend.zeros(1, 1)? })
            };
            x = model.block(block, x, &batch, adaptation, &mut attend)?.0;
        }
        let gain = model.get(Parameter::FinalNorm)?;
        let hidden = backend.rms_norm(&x, gain, model.config.rms_norm_eps)?;
        let head = model.get(model.head())?;
        let uniforms = backend.upload(&uniforms, 1)?;
        backend.download_indices(&backend.sample(&hidden, head, self.params.temperature, &uniforms)?)
    }
}
