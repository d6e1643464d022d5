//! Layouts of sequences, and the attention spans they mean.

use hps_llama::pack::{Group, Packed};

/// No multiple of a tile or a lane, but 1.
pub const ROWS: [usize; 6] = [1, 2, 3, 17, 65, 129];
/// Rows just below, at and beyond vector widths.
pub const COLUMNS: [usize; 7] = [1, 2, 7, 16, 33, 64, 130];

/// Four numbers a token, and which layout they are.
pub struct Layout {
    pub name: &'static str,
    pub spans: Vec<u32>,
}

impl Layout {
    pub fn tokens(&self) -> usize {
        self.spans.len() / 4
    }

    /// The tokens that a token sees, in order.
    pub fn seen(spans: &[u32], token: usize) -> Vec<usize> {
        let [from, to, start] = [0, 1, 2].map(|field| spans[4 * token + field] as usize);
        (from..to).chain(start..token + 1).collect()
    }
}

/// Causal sequences side by side.
pub fn causal(lengths: &[usize]) -> Vec<u32> {
    let mut spans = Vec::new();
    for length in lengths {
        let (start, end) = (spans.len() / 4, spans.len() / 4 + length);
        spans.extend([start, start, start, end].map(|number| number as u32).repeat(*length));
    }
    spans
}

/// A prompt's length and its responses' lengths as they are computed: without their last token.
pub type Lengths<'a> = (usize, &'a [usize]);

pub fn groups(lengths: &[Lengths<'_>]) -> Vec<Group> {
    let group = |(row, (prompt, responses)): (u32, &Lengths<'_>)| Group {
        row,
        prompt: vec![0; *prompt],
        responses: responses.iter().map(|length| vec![0; length + 1]).collect(),
    };
    (0..).zip(lengths).map(group).collect()
}

fn shared(lengths: &[Lengths<'_>]) -> Vec<u32> {
    Packed::shared(&groups(lengths)).spans
}

/// Segments `(tokens, prefix start, prefix end, visible until)` by hand.
fn by_hand(segments: &[(usize, u32, u32, u32)]) -> Vec<u32> {
    let mut spans = Vec::new();
    for (tokens, from, to, until) in segments {
        let start = spans.len() as u32 / 4;
        spans.extend([*from, *to, start, *until].repeat(*tokens));
    }
    spans
}

/// Layouts small enough for finite differences.
pub fn small() -> Vec<Layout> {
    vec![
        Layout { name: "one token", spans: causal(&[1]) },
        Layout { name: "two sequences", spans: causal(&[3, 2]) },
        Layout { name: "a prompt and three responses", spans: shared(&[(3, &[2, 0, 1])]) },
        Layout { name: "a part of the prompt", spans: by_hand(&[(4, 0, 0, 7), (2, 1, 3, 6), (1, 0, 2, 7)]) },
    ]
}

pub fn all() -> Vec<Layout> {
    let mut layouts = small();
    layouts.extend(ROWS.map(|rows| Layout { name: "causal", spans: causal(&[rows]) }));
    layouts.extend([
        Layout { name: "a whole block", spans: causal(&[64, 128]) },
        Layout { name: "four sequences", spans: causal(&[5, 1, 70, 3]) },
        Layout { name: "one response", spans: shared(&[(9, &[4])]) },
        Layout { name: "one response of one token", spans: shared(&[(5, &[0]), (1, &[0]), (2, &[3])]) },
        Layout { name: "two responses", spans: shared(&[(70, &[66, 3])]) },
        Layout { name: "five responses", spans: shared(&[(130, &[0, 1, 67, 129, 17])]) },
        Layout { name: "groups", spans: shared(&[(1, &[2, 2]), (65, &[65, 0, 1, 20, 2]), (3, &[1])]) },
        // The second response sees the prompt's middle and the first response; a sequence's empty prefix lies at 0.
        Layout { name: "a sibling", spans: by_hand(&[(67, 0, 0, 140), (3, 0, 67, 140), (70, 30, 70, 140)]) },
        Layout { name: "an empty prefix elsewhere", spans: by_hand(&[(4, 0, 0, 4), (66, 2, 2, 70), (2, 0, 0, 72)]) },
    ]);
    layouts
}
