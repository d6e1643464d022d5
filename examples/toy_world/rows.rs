//! Preference rows: prompts with lists of responses and their true rewards, as JSONL.

use std::io::{self, Write};

use serde::Serialize;

use super::World;
use super::judge::true_reward;
use super::prompt::{Message, Prompt};
use super::traits::HARM_WEIGHT;

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

/// How the responses of rows are chosen, and what they are rewarded for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lists {
    /// Responses of a row, 2 or more.
    pub responses: usize,
    /// The annotator's weight of harm: see [`Judgement::under`](super::Judgement::under).
    pub harm_weight: f64,
    /// The best response is the best of so many draws, 2 or more, and the others are worse, so that longer lists have more
    /// negatives and no other best. `None` takes what is drawn, whose best is the better the longer the list is.
    pub best_of: Option<usize>,
}

impl Lists {
    /// Of this many responses, rewarded by r*.
    pub fn of(responses: usize) -> Lists {
        Lists { responses, harm_weight: HARM_WEIGHT, best_of: None }
    }

    /// A row, drawn again until one response is best.
    pub fn row(&self, world: &World, prompt: &Prompt) -> PreferenceRow {
        let reward = |text: &str| true_reward(prompt, text).under(self.harm_weight);
        for first_draw in (0..).map(|attempt: u64| attempt << 32) {
            let compared = world.responses_from(prompt, first_draw, self.best_of.unwrap_or(self.responses));
            let rewards: Vec<f64> = compared.iter().map(|text| reward(text)).collect();
            let best = rewards.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            if rewards.iter().filter(|reward| **reward == best).count() > 1 {
                continue;
            }
            let mut negatives = 0;
            let kept =
                world.distinct_from(prompt, first_draw).map(|text| (reward(&text), text)).filter(|(reward, _)| {
                    let negative = *reward < best && negatives + 1 < self.responses;
                    negatives += usize::from(negative);
                    negative || *reward == best
                });
            // One response is the best, wherever it was drawn; another one as good, drawn later, is none.
            let (mut responses, mut rewards) = (Vec::new(), Vec::new());
            for (reward, text) in kept {
                if reward == best && rewards.contains(&best) {
                    continue;
                }
                responses.push(text);
                rewards.push(reward);
                if responses.len() == self.responses {
                    return PreferenceRow { prompt: prompt.messages().to_vec(), responses, rewards };
                }
            }
        }
        unreachable!("attempts have no end")
    }
}

impl PreferenceRow {
    /// A row of this many responses, drawn again until one of them is best.
    pub fn drawn(world: &World, prompt: &Prompt, responses: usize) -> Self {
        Lists::of(responses).row(world, prompt)
    }
}

/// Writes one row a prompt.
pub fn write_rows(
    mut out: impl Write,
    world: &World,
    prompts: impl Iterator<Item = Prompt>,
    lists: Lists,
) -> io::Result<()> {
    for prompt in prompts {
        serde_json::to_writer(&mut out, &lists.row(world, &prompt))?;
        out.write_all(b"\n")?;
    }
    out.flush()
}
