//! Attention spans as the kernels walk them: blocks of queries that see the same keys but for causality, and blocks of
//! keys with the tiles of queries that see any of them.
//!
//! Four numbers a token, `[prefix_start, prefix_end, self_start, visible_until]`: token `t` attends to
//! `[prefix_start, prefix_end) ∪ [self_start, t]`, and key `t` is seen by the queries `[t, visible_until)` at most.

use crate::error::{Error, ErrorKind, Result};
use std::cmp::Reverse;
use std::ops::Range;

/// Queries of one segment.
#[derive(Debug, Clone)]
pub(crate) struct QueryBlock {
    /// Tokens.
    pub queries: Range<usize>,
    /// The keys before its segment that it sees.
    pub prefix: Range<usize>,
    /// The first token of its segment.
    pub start: usize,
}

impl QueryBlock {
    /// Keys its last query sees.
    pub fn keys(&self) -> usize {
        self.prefix.len() + self.queries.end - self.start
    }

    /// As kernels read it.
    pub fn words(&self) -> [u32; 5] {
        [self.queries.start, self.queries.end, self.prefix.start, self.prefix.end, self.start].map(|token| token as u32)
    }

    /// Whether every one of its queries sees all of these keys.
    fn sees_all(&self, keys: &Range<usize>) -> bool {
        let of_prefix = self.prefix.start <= keys.start && keys.end <= self.prefix.end;
        of_prefix || (self.start <= keys.start && keys.end <= self.queries.start + 1)
    }
}

/// Keys, and the queries that see any of them.
#[derive(Debug, Clone)]
pub(crate) struct KeyBlock {
    pub keys: Range<usize>,
    /// Tiles of queries, in their order.
    pub tiles: Vec<QueryTile>,
}

/// A tile of queries beside a block of keys: twice its number, and one more where not every one of its queries sees
/// every one of the keys.
pub(crate) type QueryTile = u32;

/// The spans of a batch, checked.
#[derive(Debug)]
pub(crate) struct Spans<'a> {
    numbers: &'a [[u32; 4]],
    /// Tokens that are keys only.
    before: usize,
}

impl<'a> Spans<'a> {
    /// * `tokens`: keys; `queries`: of the last tokens.
    pub fn new(numbers: &'a [u32], tokens: usize, queries: usize) -> Result<Spans<'a>> {
        if numbers.len() != 4 * tokens {
            let message = format!("{} numbers of spans for {tokens} tokens", numbers.len());
            return Err(Error::new(ErrorKind::Shape, message));
        }
        if queries > tokens {
            return Err(Error::new(ErrorKind::Shape, format!("{queries} queries of {tokens} tokens")));
        }
        let spans = Spans { numbers: numbers.as_chunks::<4>().0, before: tokens - queries };
        let mut last = None;
        for (token, [from, to, start, _]) in (0u32..).zip(spans.numbers.iter().copied()) {
            let begins = start == token;
            let goes_on = last == Some([from, to, start]);
            if !(begins || goes_on) || from > to || to > start {
                let message = format!("token {token} has the span [{from}, {to}) ∪ [{start}, {token}]");
                return Err(Error::new(ErrorKind::Shape, message));
            }
            if goes_on && token as usize == spans.before {
                let message = format!("attention: the first query is token {token}, inside the segment from {start}");
                return Err(Error::new(ErrorKind::Shape, message));
            }
            last = Some([from, to, start]);
        }
        Ok(spans)
    }

    /// The queries of one segment each, at most `size` at once; those that see the most keys first, so that the last to
    /// run are short.
    pub fn query_blocks(&self, size: usize) -> Vec<QueryBlock> {
        let mut blocks = self.pieces(self.before..self.numbers.len(), size);
        blocks.sort_by_key(|block| Reverse(block.keys()));
        blocks
    }

    /// All keys, `size` at once, with the tiles of `width` queries that see them.
    pub fn key_blocks(&self, size: usize, width: usize) -> Vec<KeyBlock> {
        let tokens = self.numbers.len();
        let keys = (0..tokens).step_by(size).map(|start| start..tokens.min(start + size));
        let mut blocks: Vec<KeyBlock> = keys.map(|keys| KeyBlock { keys, tiles: Vec::new() }).collect();
        for (tile, start) in (0u32..).zip((self.before..tokens).step_by(width)) {
            let pieces = self.pieces(start..tokens.min(start + width), width);
            let mut seen: Vec<(usize, bool)> = Vec::new();
            for piece in &pieces {
                let of_prefix = piece.prefix.start / size..piece.prefix.end.div_ceil(size);
                let of_prefix = if piece.prefix.is_empty() { 0..0 } else { of_prefix };
                let own = (piece.start / size).max(of_prefix.end)..piece.queries.end.div_ceil(size);
                let all = |block: usize| blocks.get(block).is_some_and(|block| piece.sees_all(&block.keys));
                seen.extend(of_prefix.chain(own).map(|block| (block, all(block))));
            }
            seen.sort_unstable();
            for of_block in seen.chunk_by(|a, b| a.0 == b.0) {
                let all = of_block.len() == pieces.len() && of_block.iter().all(|(_, all)| *all);
                if let Some(block) = of_block.first().and_then(|(block, _)| blocks.get_mut(*block)) {
                    block.tiles.push(2 * tile + u32::from(!all));
                }
            }
        }
        blocks
    }

    /// Runs of tokens of one segment, at most `size` long.
    fn pieces(&self, tokens: Range<usize>, size: usize) -> Vec<QueryBlock> {
        let mut pieces: Vec<QueryBlock> = Vec::new();
        for (token, [from, to, start, _]) in self.numbers.iter().enumerate().take(tokens.end).skip(tokens.start) {
            let start = *start as usize;
            match pieces.last_mut() {
                Some(piece) if piece.start == start && piece.queries.len() < size => piece.queries.end = token + 1,
                _ => {
                    let prefix = *from as usize..*to as usize;
                    pieces.push(QueryBlock { queries: token..token + 1, prefix, start });
                }
            }
        }
        pieces
    }
}
