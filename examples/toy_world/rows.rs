//! Preference rows: prompts with lists of responses and their true rewards, as JSONL.

use std::io::{self, Write};

use serde::Serialize;

use super::World;
use super::judge::true_reward;
use super::prompt::{Message, Prompt};

/// One line: a prompt, distinct responses, and the true reward of each. The best is not tied.
#[derive(Clone, Debug, Serialize)]
pub struct PreferenceRow {
    /// The conversation.
    pub prompt: Vec<Message>,
    /// The responses, in the order drawn.
    pub responses: Vec<String>,
    /// The true reward of each response.
    pub rewards: Vec<f64>,
}

impl PreferenceRow {
    /// A row of this many responses, drawn again until one of them is best.
    pub fn drawn(world: &World, prompt: &Prompt, responses: usize) -> Self {
        let mut first_draw = 0;
        loop {
            let responses = world.responses_from(prompt, first_draw, responses);
            let rewards: Vec<f64> = responses.iter().map(|text| true_reward(prompt, text).reward).collect();
            let best = rewards.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            if rewards.iter().filter(|reward| **reward == best).count() == 1 {
                return Self { prompt: prompt.messages().to_vec(), responses, rewards };
            }
            first_draw += 1 << 32;
        }
    }
}

/// Writes one row a prompt.
pub fn write_rows(
    mut out: impl Write,
    world: &World,
    prompts: impl Iterator<Item = Prompt>,
    responses: usize,
) -> io::Result<()> {
    for prompt in prompts {
        serde_json::to_writer(&mut out, &PreferenceRow::drawn(world, &prompt, responses))?;
        out.write_all(b"\n")?;
    }
    out.flush()
}
