//! Attention spans as the kernels walk them: blocks of queries that see the same keys but for causality.
//!
//! Four numbers a token, `[prefix_start, prefix_end, self_start, visible_until]`: token `t` attends to
//! `[prefix_start, prefix_end) ∪ [self_start, t]`, and key `t` is seen by the queries `[t, visible_until)` at most.

use crate::error::{Error, ErrorKind, Result};
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
}

/// Keys, and the queries that see any of them at most.
#[derive(Debug, Clone)]
pub(crate) struct KeyBlock {
    pub keys: Range<usize>,
    pub queries: Range<usize>,
}

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
        for (token, [from, to, start, _]) in (0u32..).zip(spans.numbers.iter().copied()) {
            let begins = start == token;
            let goes_on = token > 0 && spans.numbers[token as usize - 1][..3] == [from, to, start];
            if !(begins || goes_on) || from > to || to > start {
                let message = format!("token {token} has the span [{from}, {to}) ∪ [{start}, {token}]");
                return Err(Error::new(ErrorKind::Shape, message));
            }
            if goes_on && token as usize == spans.before {
                let message = format!("attention: the first query is token {token}, inside the segment from {start}");
                return Err(Error::new(ErrorKind::Shape, message));
            }
        }
        Ok(spans)
    }

    /// Tokens that are keys only: the others are queries.
    pub fn before(&self) -> usize {
        self.before
    }

    /// The queries, at most `size` at once.
    pub fn query_blocks(&self, size: usize) -> Vec<QueryBlock> {
        let mut blocks: Vec<QueryBlock> = Vec::new();
        for (token, [from, to, start, _]) in self.numbers.iter().enumerate().skip(self.before) {
            let start = *start as usize;
            match blocks.last_mut() {
                Some(block) if block.start == start && block.queries.len() < size => block.queries.end = token + 1,
                _ => {
                    let prefix = *from as usize..*to as usize;
                    blocks.push(QueryBlock { queries: token..token + 1, prefix, start });
                }
            }
        }
        blocks
    }

    /// The keys, `size` at once, with the queries from `queries` that may see them; those that none sees are left out.
    pub fn key_blocks(&self, size: usize, queries: &Range<usize>) -> Vec<KeyBlock> {
        let blocks = self.numbers.chunks(size).enumerate().map(|(index, numbers)| {
            let keys = index * size..index * size + numbers.len();
            let until = numbers.iter().map(|[.., until]| *until as usize).max().unwrap_or(0);
            KeyBlock { queries: keys.start.max(queries.start)..until.min(queries.end), keys }
        });
        blocks.filter(|block| !block.queries.is_empty()).collect()
    }
}
