//! Prompt groups laid side by side in one sequence: `prompt | response 1 | … | response k | next prompt | …`.
//!
//! A response restarts its positions at the prompt's end and sees the prompt and itself. Its first token is predicted
//! by the prompt's last one, and its last token predicts nothing, so that one is not computed at all; unless a reward
//! model reads it, and nothing else of the response.

use std::ops::Range;

/// A prompt with its responses, as tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The row's number in its file; keys all randomness about it.
    pub row: u32,
    /// Tokens of the prompt, at least one.
    pub prompt: Vec<u32>,
    /// Tokens of each response, at least one each; best first.
    pub responses: Vec<Vec<u32>>,
}

impl Group {
    /// Tokens of the prompt and of all responses, the prompt once.
    pub fn tokens(&self) -> usize {
        self.prompt.len() + self.responses.iter().map(Vec::len).sum::<usize>()
    }

    /// Tokens a forward pass computes: the last of a response predicts nothing.
    pub fn computed_tokens(&self) -> usize {
        self.prompt.len() + self.responses.iter().map(|response| response.len().saturating_sub(1)).sum::<usize>()
    }

    /// Where each response's tokens lie among those of all responses, one after another.
    pub fn scored(&self) -> Vec<Range<usize>> {
        let mut end = 0;
        let range = |response: &Vec<u32>| {
            end += response.len();
            end - response.len()..end
        };
        self.responses.iter().map(range).collect()
    }

    /// The responses cut into runs of `tokens` at most; a response is never cut, so one that is longer runs alone.
    ///
    /// ```
    /// use hps_llama::pack::Group;
    /// let group = Group { row: 0, prompt: vec![1], responses: vec![vec![7; 3], vec![7; 2], vec![7; 9], vec![7]] };
    /// assert_eq!(group.chunks(5), [0..2, 2..3, 3..4]);
    /// ```
    pub fn chunks(&self, tokens: usize) -> Vec<Range<usize>> {
        let mut chunks: Vec<Range<usize>> = Vec::new();
        let mut left = 0;
        for (index, response) in self.responses.iter().enumerate() {
            match chunks.last_mut() {
                Some(chunk) if response.len() <= left => {
                    chunk.end = index + 1;
                    left -= response.len();
                }
                _ => {
                    chunks.push(index..index + 1);
                    left = tokens.saturating_sub(response.len());
                }
            }
        }
        chunks
    }
}

/// What of a response a model's head reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scored {
    /// Each token, from the one before it: a language model's.
    Tokens,
    /// The whole, from its last token that is not `padding`: a reward model's. Where all of its tokens are, from the prompt's
    /// last token.
    End {
        /// The model's `pad_token_id`; `None` for the last token whatever it is.
        padding: Option<u32>,
    },
}

/// How many tokens of a response there are up to the last that is not `padding`.
pub(crate) fn unpadded(response: &[u32], padding: Option<u32>) -> usize {
    response.iter().rposition(|token| Some(*token) != padding).map_or(0, |last| last + 1)
}

/// A packed sequence and what is asked of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Packed {
    /// Token ids.
    pub tokens: Vec<u32>,
    /// Position of each token in its own sequence, from 0.
    pub positions: Vec<u32>,
    /// Four numbers a token: `prefix_start, prefix_end, self_start, visible_until` (see
    /// [`Backend`](crate::backend::Backend)).
    pub spans: Vec<u32>,
    /// Three numbers a token: data row, segment (0 the prompt, `i` its `i`-th response), position in the segment.
    pub identities: Vec<u32>,
    /// For each scored token, the packed token whose hidden state predicts it; for each scored end, itself.
    pub sources: Vec<u32>,
    /// For each scored token, its id; nothing for ends.
    pub targets: Vec<u32>,
    /// For each group, for each response, its scored tokens, or its one end.
    pub responses: Vec<Vec<Range<usize>>>,
}

impl Packed {
    /// Packs groups, each prompt once.
    pub fn shared(groups: &[Group]) -> Packed {
        Self::scored(groups, Scored::Tokens)
    }

    /// The same for what a head reads.
    ///
    /// ```
    /// use hps_llama::pack::{Group, Packed, Scored};
    /// let group = Group { row: 0, prompt: vec![1, 2], responses: vec![vec![7, 8], vec![9]] };
    /// let packed = Packed::scored(std::slice::from_ref(&group), Scored::End { padding: None });
    /// assert_eq!((packed.tokens, packed.sources), (vec![1, 2, 7, 8, 9], vec![3, 4]));
    /// assert_eq!(packed.responses, [[0..1, 1..2]]);
    /// assert_eq!(Packed::scored(std::slice::from_ref(&group), Scored::End { padding: Some(8) }).sources, [2, 4]);
    /// assert_eq!(Packed::scored(&[group], Scored::End { padding: Some(9) }).sources, [3, 1]);
    /// ```
    pub fn scored(groups: &[Group], scored: Scored) -> Packed {
        let mut packed = Packed::default();
        for group in groups {
            packed.group(group, 0..group.responses.len(), scored);
        }
        packed
    }

    /// Packs some of a group's responses after its prompt, each with the identity it has among all.
    pub fn chunk(group: &Group, responses: Range<usize>) -> Packed {
        Self::scored_chunk(group, responses, Scored::Tokens)
    }

    /// The same for what a head reads.
    pub fn scored_chunk(group: &Group, responses: Range<usize>, scored: Scored) -> Packed {
        let mut packed = Packed::default();
        packed.group(group, responses, scored);
        packed
    }

    /// Packs groups with the prompt repeated before each response, as causal rows. For comparison and tests.
    pub fn separate(groups: &[Group]) -> Packed {
        let mut packed = Packed::default();
        for group in groups {
            let mut ranges = Vec::new();
            for (segment, response) in (1..).zip(&group.responses) {
                let prompt = packed.tokens.len();
                packed.segment(&group.prompt, 0, (prompt, prompt), [group.row, 0]);
                let end = packed.tokens.len();
                ranges.push(packed.response(response, (prompt, end), [group.row, segment], Scored::Tokens));
                let all = packed.tokens.len();
                for token in prompt..all {
                    packed.spans[4 * token..4 * token + 4].copy_from_slice(&[
                        prompt as u32,
                        prompt as u32,
                        prompt as u32,
                        all as u32,
                    ]);
                }
            }
            packed.responses.push(ranges);
        }
        packed
    }

    /// Each response's sum of its tokens' numbers, for the responses of one group: `numbers` has one a scored token.
    ///
    /// In f64: the difference of two f32 sums near −2000 loses 1e-4.
    pub fn sums(numbers: &[f32], responses: &[Range<usize>]) -> Vec<f64> {
        responses.iter().map(|range| numbers[range.clone()].iter().copied().map(f64::from).sum()).collect()
    }

    /// Tokens computed.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there is nothing to compute.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    fn group(&mut self, group: &Group, responses: Range<usize>, scored: Scored) {
        let prompt = self.tokens.len();
        self.segment(&group.prompt, 0, (prompt, prompt), [group.row, 0]);
        let end = self.tokens.len();
        let ranges = responses
            .map(|index| self.response(&group.responses[index], (prompt, end), [group.row, index as u32 + 1], scored))
            .collect();
        self.responses.push(ranges);
        let all = self.tokens.len();
        for token in prompt..end {
            self.spans[4 * token + 3] = all as u32;
        }
    }

    fn segment(&mut self, tokens: &[u32], position: usize, prefix: (usize, usize), identity: [u32; 2]) {
        let start = self.tokens.len();
        let end = start + tokens.len();
        // A prompt has no prefix; the empty range keeps its own start.
        for (index, token) in tokens.iter().enumerate() {
            self.tokens.push(*token);
            self.positions.push((position + index) as u32);
            self.spans.extend([prefix.0 as u32, prefix.1 as u32, start as u32, end as u32]);
            self.identities.extend([identity[0], identity[1], index as u32]);
        }
    }

    fn response(
        &mut self,
        response: &[u32],
        prompt: (usize, usize),
        identity: [u32; 2],
        scored: Scored,
    ) -> Range<usize> {
        let (start, first) = (self.tokens.len(), self.sources.len());
        let [kept @ .., _] = response else { return first..first };
        let computed = if scored == Scored::Tokens { kept } else { response };
        self.segment(computed, prompt.1 - prompt.0, prompt, identity);
        match scored {
            Scored::End { padding } => {
                let before = match unpadded(response, padding) {
                    0 => prompt.1,
                    tokens => start + tokens,
                };
                self.sources.push(before as u32 - 1);
            }
            Scored::Tokens => {
                self.sources.push(prompt.1 as u32 - 1);
                self.sources.extend((start..start + kept.len()).map(|token| token as u32));
                self.targets.extend(response);
            }
        }
        first..self.sources.len()
    }
}

/// Items in runs of `max_tokens` tokens at most; a longer item is a run of its own.
pub(crate) fn runs<T>(items: &[T], max_tokens: usize, tokens: impl Fn(&T) -> usize) -> impl Iterator<Item = &[T]> {
    let mut rest = items;
    std::iter::from_fn(move || {
        let mut sum = 0;
        let fits = |item: &&T| {
            sum += tokens(item);
            sum <= max_tokens
        };
        let count = rest.iter().take_while(fits).count().max(1).min(rest.len());
        let (run, later) = rest.split_at(count);
        rest = later;
        (count > 0).then_some(run)
    })
}
