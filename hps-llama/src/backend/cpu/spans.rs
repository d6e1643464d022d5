//! The attention spans as runs: segments of one prefix, and the clusters of segments that share keys.

use crate::{Error, ErrorKind, Result};
use std::ops::Range;

/// A run of tokens with one prefix, itself causal.
pub(super) struct Segment {
    pub prefix: Range<usize>,
    pub tokens: Range<usize>,
}

impl Segment {
    /// Keys its last token sees.
    pub fn keys(&self) -> usize {
        self.prefix.len() + self.tokens.len()
    }
}

/// A prompt and the responses that see it: the segments of the tokens `tokens`.
pub(super) struct Cluster {
    pub tokens: Range<usize>,
    pub segments: Vec<Segment>,
}

impl Cluster {
    /// The first token that is a query where the first `before` of all tokens are keys only; the end if none is.
    pub fn first_query(&self, before: usize) -> usize {
        before.clamp(self.tokens.start, self.tokens.end)
    }

    /// The segments of queries.
    pub fn queries(&self, before: usize) -> impl Iterator<Item = &Segment> {
        self.segments.iter().filter(move |segment| segment.tokens.start >= before)
    }
}

/// Reads the clusters off the four numbers a token; a segment without a prefix opens one.
pub(super) fn clusters(spans: &[u32], tokens: usize) -> Result<Vec<Cluster>> {
    if spans.len() != 4 * tokens {
        let message = format!("{} numbers of spans for {tokens} tokens", spans.len());
        return Err(Error::new(ErrorKind::Device, message));
    }
    let mut clusters: Vec<Cluster> = Vec::new();
    let mut previous = None;
    for (token, span) in spans.as_chunks::<4>().0.iter().enumerate() {
        let [from, to, start, _] = span.map(|number| number as usize);
        if previous != Some((from, to, start)) {
            let inside = clusters.last().is_some_and(|cluster| cluster.tokens.start <= from);
            if start != token || from > to || to > token || (from < to && !inside) {
                let message = format!("token {token} has the span [{from}, {to}) ∪ [{start}, {token}]");
                return Err(Error::new(ErrorKind::Device, message));
            }
            if from == to {
                clusters.push(Cluster { tokens: token..token, segments: Vec::new() });
            }
            if let Some(cluster) = clusters.last_mut() {
                cluster.segments.push(Segment { prefix: from..to, tokens: token..token });
            }
            previous = Some((from, to, start));
        }
        if let Some(cluster) = clusters.last_mut() {
            cluster.tokens.end = token + 1;
            if let Some(segment) = cluster.segments.last_mut() {
                segment.tokens.end = token + 1;
            }
        }
    }
    Ok(clusters)
}
