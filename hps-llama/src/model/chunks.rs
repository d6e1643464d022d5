//! A list of any length in the memory of a short one: the prompt once, its responses in chunks.
//!
//! A chunk's queries see the prompt's keys and values, then its own. Each chunk goes forward and at once backward, and
//! leaves two things for the prompt: `(dK, dV)` of each block, and the gradient of the prompt's last hidden state, which
//! predicts every response's first token. Both add up over the chunks; the prompt goes backward once, last.

use super::activations::BlockActivations;
use super::attention::{Attention, OwnKeys};
use super::block::Adaptation;
use super::kept::{Activations, Kept};
use super::{Batch, Gradients, Llama, Policy};
use crate::backend::{Attended, Backend};
use crate::lora::Lora;
use crate::pack::{Group, Packed};
use crate::{Error, ErrorKind, Result};

/// A prompt's forward pass, and the gradient that chunks of its responses have left for it.
#[derive(Debug)]
pub struct PromptPass<B: Backend> {
    batch: Batch<B>,
    blocks: Vec<Kept<B>>,
    /// The last block's output at the last token, `[1, features]`.
    last: B::Array,
    /// Keys dropout; `None` outside training.
    step: Option<u64>,
    activations: Activations,
    d_keys_and_values: Vec<Option<[B::Array; 2]>>,
    d_last: Option<B::Array>,
}

impl<B: Backend> Policy<B> {
    /// The training forward of a group's prompt: dropout on, keyed by the optimiser step.
    ///
    /// `activations` is for the prompt and for its chunks.
    ///
    /// # Errors
    /// A token lies outside the vocabulary, or the device failed.
    pub fn prompt(&self, group: &Group, step: u64, activations: Activations) -> Result<PromptPass<B>> {
        self.read_prompt(group, self.adaptation(step), activations)
    }

    /// The prompt's forward for [`Policy::chunk_log_probs_with`], with an adapter in the place of the policy's.
    fn prompt_with(&self, group: &Group, adapter: Option<&Lora<B>>) -> Result<PromptPass<B>> {
        self.read_prompt(group, Adaptation { adapter, step: None }, Activations::Recompute)
    }

    fn read_prompt(
        &self,
        group: &Group,
        adaptation: Adaptation<'_, B>,
        activations: Activations,
    ) -> Result<PromptPass<B>> {
        let model = &self.model;
        let Some(last) = group.prompt.len().checked_sub(1) else {
            return Err(Error::new(ErrorKind::Tokens, format!("the prompt of row {} has no tokens", group.row)));
        };
        let batch = model.batch_after(&Packed::chunk(group, 0..0), 0)?;
        let mut blocks = Vec::with_capacity(model.config.num_hidden_layers);
        let x = model.trunk(&batch, adaptation, |block| blocks.push(activations.keep_with_keys(block)))?;
        let last = model.backend.gather(&x, &model.backend.upload_indices(&[last as u32])?)?;
        let d_keys_and_values = blocks.iter().map(|_| None).collect();
        Ok(PromptPass { batch, blocks, last, step: adaptation.step, activations, d_keys_and_values, d_last: None })
    }

    /// Log-probs of the tokens of a chunk ([`Packed::chunk`]) of the prompt's responses: `[scored tokens, 1]`, nats.
    ///
    /// Nothing is kept. In a training pass they are those of [`Policy::chunk_backward`] on the same chunk.
    ///
    /// # Errors
    /// The device failed.
    pub fn chunk_log_probs(&self, prompt: &PromptPass<B>, chunk: &Packed) -> Result<B::Array> {
        self.chunk_log_probs_with(prompt, chunk, self.adapter.as_ref())
    }

    /// Log-probs of each response's tokens (a reward model's score of each response), dropout off, with an adapter in the place of the policy's: in one pass, or each
    /// group's in chunks of so many tokens. The two round differently.
    pub(crate) fn response_log_probs(
        &self,
        groups: &[Group],
        adapter: Option<&Lora<B>>,
        chunk_tokens: Option<usize>,
    ) -> Result<Vec<Vec<f32>>> {
        let backend = &self.model.backend;
        let of_each = |packed: &Packed, numbers: &[f32]| -> Vec<Vec<f32>> {
            packed.responses.iter().flatten().map(|range| numbers[range.clone()].to_vec()).collect()
        };
        let Some(tokens) = chunk_tokens else {
            let packed = self.pack(groups);
            let batch = self.model.batch(&packed)?;
            return Ok(of_each(&packed, &backend.download(&self.log_probs_with(&batch, adapter)?)?));
        };
        let mut numbers = Vec::new();
        for group in groups {
            let prompt = self.prompt_with(group, adapter)?;
            for chunk in group.chunks(tokens) {
                let packed = self.pack_chunk(group, chunk);
                let scores = backend.download(&self.chunk_log_probs_with(&prompt, &packed, adapter)?)?;
                numbers.extend(of_each(&packed, &scores));
            }
        }
        Ok(numbers)
    }

    /// The same with the adapter that the prompt was read with.
    fn chunk_log_probs_with(
        &self,
        prompt: &PromptPass<B>,
        chunk: &Packed,
        adapter: Option<&Lora<B>>,
    ) -> Result<B::Array> {
        let model = &self.model;
        let chunk = Chunk::new(model, prompt, chunk)?;
        let x = self.chunk_trunk(prompt, &chunk, adapter, drop)?;
        let [_, hidden] = model.scored(&chunk.batch, &x)?;
        Ok(model.read(&hidden, &chunk.batch, adapter, false)?.values)
    }

    /// Forward and backward of a chunk: adds the gradients of `Σ_t c_t log p_t` to `gradients` and, for what lies in the
    /// prompt, to `prompt`. Returns the log-probs of this forward.
    ///
    /// # Errors
    /// The device failed.
    pub fn chunk_backward(
        &self,
        prompt: &mut PromptPass<B>,
        chunk: &Packed,
        coefficients: &[f32],
        gradients: &mut Gradients<B>,
    ) -> Result<B::Array> {
        let model = &self.model;
        let backend = &model.backend;
        let chunk = Chunk::new(model, prompt, chunk)?;
        let mut blocks = Vec::with_capacity(model.config.num_hidden_layers);
        let x = self
            .chunk_trunk(prompt, &chunk, self.adapter.as_ref(), |block| blocks.push(prompt.activations.keep(block)))?;
        let [last, hidden] = model.scored(&chunk.batch, &x)?;
        drop(x);
        let mut scores = model.read(&hidden, &chunk.batch, self.adapter.as_ref(), true)?;
        let log_probs = std::mem::replace(&mut scores.values, backend.zeros(1, 1)?);

        let d_last = self.head_backward(&chunk.batch, [&last, &hidden], scores, coefficients, gradients)?;
        let dx = backend.gather_backward(&d_last, &chunk.batch.sources, 1 + chunk.batch.length)?;
        drop([last, hidden, d_last]);
        let d_prompt = backend.gather(&dx, &backend.upload_indices(&[0])?)?;
        prompt.d_last = Some(match prompt.d_last.take() {
            Some(total) => backend.add_scaled(total, &d_prompt, 1.0)?,
            None => d_prompt,
        });
        if chunk.batch.length == 0 {
            return Ok(log_probs);
        }
        let dx = backend.gather(&dx, &rows(backend, 1, chunk.batch.length)?)?;
        let adaptation = Adaptation { step: prompt.step, ..self.adapter_if(true) };
        let PromptPass { blocks: keys, d_keys_and_values, .. } = prompt;
        let mut attention = KeysOfPrompt { model, chunk: &chunk, keys, gradients: Some(d_keys_and_values) };
        self.blocks_backward(&chunk.batch, blocks, adaptation, dx, &mut attention, gradients)?;
        Ok(log_probs)
    }

    /// The prompt's backward, after all of its chunks'.
    ///
    /// # Errors
    /// The device failed.
    pub fn prompt_backward(&self, prompt: PromptPass<B>, gradients: &mut Gradients<B>) -> Result<()> {
        let PromptPass { batch, blocks, step, d_keys_and_values, d_last, .. } = prompt;
        let Some(d_last) = d_last else { return Ok(()) };
        let backend = &self.model.backend;
        let row = backend.upload_indices(&[batch.length as u32 - 1])?;
        let dx = backend.gather_backward(&d_last, &row, batch.length)?;
        let adaptation = Adaptation { step, ..self.adapter_if(true) };
        let mut attention = OwnKeys::seen_elsewhere(&self.model, &batch, d_keys_and_values);
        self.blocks_backward(&batch, blocks, adaptation, dx, &mut attention, gradients)
    }

    /// The last block's output at the prompt's last token, row 0, and at the chunk's tokens.
    fn chunk_trunk(
        &self,
        prompt: &PromptPass<B>,
        chunk: &Chunk<B>,
        adapter: Option<&Lora<B>>,
        keep: impl FnMut(BlockActivations<B>),
    ) -> Result<B::Array> {
        let (model, backend) = (&self.model, &self.model.backend);
        let length = chunk.batch.length;
        let mut all = backend.activations(1 + length, model.config.hidden_size)?;
        backend.write_rows(&mut all, &rows(backend, 0, 1)?, &prompt.last)?;
        // Responses of one token each are predicted by the prompt alone.
        if length > 0 {
            let adaptation = Adaptation { adapter, step: prompt.step };
            let attention = KeysOfPrompt { model, chunk, keys: &prompt.blocks, gradients: None };
            let x = model.trunk_over(&chunk.batch, adaptation, &attention, keep)?;
            backend.write_rows(&mut all, &rows(backend, 1, length)?, &x)?;
        }
        Ok(all)
    }
}

/// Some responses of a prompt, without it, and where the rows of both lie among the keys they see.
#[derive(Debug)]
struct Chunk<B: Backend> {
    batch: Batch<B>,
    keys: usize,
    of_prompt: B::Indices,
    own: B::Indices,
}

impl<B: Backend> Chunk<B> {
    fn new(model: &Llama<B>, prompt: &PromptPass<B>, packed: &Packed) -> Result<Self> {
        let before = prompt.batch.length;
        if packed.sources.is_empty() || packed.len() < before {
            let (tokens, scored) = (packed.len(), packed.sources.len());
            let message =
                format!("a chunk of {tokens} tokens, {scored} of them scored, after a prompt of {before} tokens");
            return Err(Error::new(ErrorKind::Tokens, message));
        }
        let batch = model.batch_after(packed, before)?;
        let of_prompt = rows(&model.backend, 0, before)?;
        let own = rows(&model.backend, before, batch.length)?;
        Ok(Chunk { batch, keys: packed.len(), of_prompt, own })
    }
}

/// Row numbers from `start` on.
fn rows<B: Backend>(backend: &B, start: usize, count: usize) -> Result<B::Indices> {
    backend.upload_indices(&(start as u32..(start + count) as u32).collect::<Vec<_>>())
}

/// A prompt's keys and values, then the chunk's own.
#[derive(Debug)]
struct KeysOfPrompt<'a, B: Backend> {
    model: &'a Llama<B>,
    chunk: &'a Chunk<B>,
    keys: &'a [Kept<B>],
    /// Where the gradients of the prompt's add up; `None` if there is no backward.
    gradients: Option<&'a mut Vec<Option<[B::Array; 2]>>>,
}

impl<B: Backend> KeysOfPrompt<'_, B> {
    /// Keys and values of the block that the chunk's queries see.
    fn seen(&self, block: usize, own: [&B::Array; 2]) -> Result<[B::Array; 2]> {
        let (backend, heads) = (&self.model.backend, self.model.heads());
        let of_prompt = self.keys[block]
            .keys_and_values()
            .ok_or_else(|| Error::new(ErrorKind::Device, "the prompt's keys and values were not kept"))?;
        let join = |of_prompt: &B::Array, own: &B::Array| -> Result<B::Array> {
            let mut all = backend.activations(self.chunk.keys, heads.key_value * heads.dimension)?;
            backend.write_rows(&mut all, &self.chunk.of_prompt, of_prompt)?;
            backend.write_rows(&mut all, &self.chunk.own, own)?;
            Ok(all)
        };
        Ok([join(of_prompt[0], own[0])?, join(of_prompt[1], own[1])?])
    }
}

impl<B: Backend> Attention<B> for KeysOfPrompt<'_, B> {
    fn forward(&self, block: usize, [q, k, v]: &[B::Array; 3]) -> Result<Attended<B::Array>> {
        let [k, v] = self.seen(block, [k, v])?;
        self.model.backend.attention(q, &k, &v, &self.chunk.batch.spans, self.model.heads())
    }

    fn backward(&mut self, block: usize, dy: &B::Array, kept: &BlockActivations<B>) -> Result<[B::Array; 3]> {
        let backend = &self.model.backend;
        let [k, v] = self.seen(block, kept.keys_and_values())?;
        let (spans, heads) = (&self.chunk.batch.spans, self.model.heads());
        let [dq, dk, dv] = backend.attention_backward(dy, &kept.q, &k, &v, &kept.attended, spans, heads)?;
        let own = [backend.gather(&dk, &self.chunk.own)?, backend.gather(&dv, &self.chunk.own)?];
        if let Some(totals) = &mut self.gradients {
            let [keys, values] =
                [backend.gather(&dk, &self.chunk.of_prompt)?, backend.gather(&dv, &self.chunk.of_prompt)?];
            totals[block] = Some(match totals[block].take() {
                Some([dk, dv]) => [backend.add_scaled(dk, &keys, 1.0)?, backend.add_scaled(dv, &values, 1.0)?],
                None => [keys, values],
            });
        }
        let [dk, dv] = own;
        Ok([dq, dk, dv])
    }
}
