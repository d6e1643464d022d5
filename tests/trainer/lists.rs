//! Lists of responses as tokens, of pseudo-random content.

use hps_core::Philox;
use hps_llama::pack::Group;
use hps_llama::train::Example;

/// Ids below this occur; those above it are free to be planted.
pub const TOKENS: u32 = 1000;

/// A prompt of `row` with so many responses, best first. No two of its responses have the same length.
pub fn list(row: u32, responses: u32) -> Example {
    let tokens = |segment: u32, length: u32| -> Vec<u32> {
        (0..length).map(|index| Philox::new(1).block([index, segment, row, 0])[0] % TOKENS).collect()
    };
    Example {
        place: format!("lists.jsonl:{}", row + 1),
        group: Group {
            row,
            prompt: tokens(0, 4 + row % 5),
            responses: (1..=responses).map(|response| tokens(response, 2 + 2 * ((response + row) % 7))).collect(),
        },
        rewards: (0..responses).map(|response| 2.0 - 0.75 * f64::from(response)).collect(),
    }
}

/// Lists of four.
pub fn fours(count: u32) -> Vec<Example> {
    (0..count).map(|row| list(row, 4)).collect()
}

/// Lists of two to six, whose rows are not numbered from 0 on.
pub fn uneven(count: u32) -> Vec<Example> {
    (0..count).map(|index| list(11 + 3 * index, 2 + (3 * index) % 5)).collect()
}
