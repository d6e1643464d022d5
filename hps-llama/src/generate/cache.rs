//! Keys and values of a batch: its prompts' rows, then as many rows for each sequence.

use crate::backend::Backend;
use crate::model::Policy;
use crate::pack::{Group, Packed};
use crate::{Error, ErrorKind, Result};
use std::ops::Range;

/// Tokens of prompts computed at once, unless one prompt has more.
const PREFILL: usize = 4096;

/// Rows of each sequence in a new cache.
const ROOM: usize = 32;

/// The cache of a batch.
#[derive(Debug)]
pub(super) struct Cache<B: Backend> {
    /// Keys and values of each block, `[prompts' rows + sequences · room, key/value features]`.
    pub(super) blocks: Vec<[B::Array; 2]>,
    /// Where each prompt's rows are.
    pub(super) prompts: Vec<Range<usize>>,
    /// How often it has moved.
    pub(super) place: u64,
    room: usize,
}

impl<B: Backend> Cache<B> {
    /// Computes the prompts, and makes room for the first of at most `max_tokens` tokens of each sequence.
    pub(super) fn of_prompts(
        policy: &Policy<B>,
        prompts: &[(u32, Vec<u32>)],
        sequences: usize,
        max_tokens: usize,
        adapted: bool,
    ) -> Result<Self> {
        let model = &policy.model;
        let mut ranges = Vec::with_capacity(prompts.len());
        let mut end = 0;
        for (id, tokens) in prompts {
            if tokens.is_empty() {
                let message = format!("prompt {id} has no tokens");
                return Err(Error::new(ErrorKind::Tokens, message));
            }
            ranges.push(end..end + tokens.len());
            end += tokens.len();
        }
        let room = max_tokens.min(ROOM);
        let mut cache = Cache { blocks: Vec::new(), prompts: ranges, place: 0, room };
        cache.blocks = cache.empty(policy, sequences, room)?;
        let mut prompts = prompts;
        let mut row = 0;
        while !prompts.is_empty() {
            let (mut count, mut tokens) = (1, prompts[0].1.len());
            while prompts.get(count).is_some_and(|(_, prompt)| tokens + prompt.len() <= PREFILL) {
                tokens += prompts[count].1.len();
                count += 1;
            }
            let group = |(id, tokens): &(u32, Vec<u32>)| {
                Group { row: *id, prompt: tokens.clone(), responses: vec![vec![0]] } //
            };
            let (now, later) = prompts.split_at(count);
            let batch = model.batch(&Packed::shared(&now.iter().map(group).collect::<Vec<_>>()))?;
            let mut kept = Vec::with_capacity(cache.blocks.len());
            model.trunk(&batch, policy.adapter_if(adapted), |block| kept.push(block.into_keys_and_values()))?;
            let rows: Vec<u32> = (row..row + tokens).map(|row| row as u32).collect();
            let rows = model.backend.upload_indices(&rows)?;
            for (block, computed) in cache.blocks.iter_mut().zip(&kept) {
                for (cached, computed) in block.iter_mut().zip(computed) {
                    model.backend.write_rows(cached, &rows, computed)?;
                }
            }
            (prompts, row) = (later, row + tokens);
        }
        Ok(cache)
    }

    /// The row of a sequence's token number `step`.
    pub(super) fn row(&self, slot: usize, step: usize) -> usize {
        self.prompt_rows() + slot * self.room + step
    }

    /// Whether there is no room for token number `step`.
    pub(super) fn is_full(&self, step: usize) -> bool {
        step >= self.room
    }

    /// Twice the room, and only for the sequences in `slots`, which become 0, 1, …
    pub(super) fn grow(&mut self, policy: &Policy<B>, slots: &[usize], max_tokens: usize) -> Result<()> {
        let backend = &policy.model.backend;
        let room = (2 * self.room).min(max_tokens);
        let filled = self.prompt_rows();
        let from = slots.iter().flat_map(|slot| (0..self.room).map(|step| self.row(*slot, step)));
        let to = (0..slots.len()).flat_map(|slot| (0..self.room).map(move |step| filled + slot * room + step));
        let all = |rows: Vec<usize>| (0..filled).chain(rows).map(|row| row as u32).collect::<Vec<_>>();
        let from = backend.upload_indices(&all(from.collect()))?;
        let to = backend.upload_indices(&all(to.collect()))?;
        for block in 0..self.blocks.len() {
            // A block at a time, so that one block's copy is what memory grows by beyond the new cache.
            for which in 0..2 {
                let mut longer = self.array(policy, slots.len(), room)?;
                backend.write_rows(&mut longer, &to, &backend.gather(&self.blocks[block][which], &from)?)?;
                self.blocks[block][which] = longer;
            }
        }
        self.room = room;
        self.place += 1;
        Ok(())
    }

    fn empty(&self, policy: &Policy<B>, sequences: usize, room: usize) -> Result<Vec<[B::Array; 2]>> {
        let array = || self.array(policy, sequences, room);
        (0..policy.model.config.num_hidden_layers).map(|_| Ok([array()?, array()?])).collect()
    }

    fn array(&self, policy: &Policy<B>, sequences: usize, room: usize) -> Result<B::Array> {
        let config = &policy.model.config;
        let rows = self.prompt_rows() + sequences * room;
        policy.model.backend.activations(rows, config.num_key_value_heads * config.head_dim)
    }

    fn prompt_rows(&self) -> usize {
        self.prompts.last().map_or(0, |range| range.end)
    }
}
