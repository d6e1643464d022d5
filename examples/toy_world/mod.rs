//! A toy safety world: a small language in which everything said has a known true reward r*.
//!
//! [`World`] draws prompts (everyday wishes and mild misdeeds) and responses of a base behaviour, good and bad alike.
//! [`true_reward`] reads `r* = helpfulness − 2 · harm` from the text of any response, a model's samples included.
//! A tiny model pre-trained on [`corpus::documents`] and aligned on [`rows::write_rows`] can be judged exactly.

#![allow(dead_code, unused_imports, reason = "each example and test uses its own part of the world")]

pub mod corpus;
mod draws;
mod everyday;
mod judge;
mod misdeeds;
mod prompt;
mod response;
pub mod rows;
mod speech;
pub mod tokenizer;
mod topic;
mod traits;

use std::collections::HashSet;

use draws::{Draws, text_key};
pub use judge::{harmful, read_traits, true_reward};
pub use prompt::{Message, Prompt, Split, Style};
pub use response::{Draft, WORDS};
pub use traits::{HARM_WEIGHT, HARMFUL_ABOVE, Judgement, Traits};

/// The world of one seed. What it draws depends on the seed and the arguments alone.
#[derive(Clone, Copy, Debug)]
pub struct World {
    seed: u64,
}

impl World {
    /// The world of this seed. The split of matters into train and held-out is the same for every seed.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Prompt number `index` of a split, of either style with even chances.
    pub fn prompt(&self, split: Split, index: u64) -> Prompt {
        let safety = Draws::new(&[self.seed, split as u64, index]).chance(0.5);
        self.prompt_of(if safety { Style::Safety } else { Style::Helpfulness }, split, index)
    }

    /// Prompt number `index` of a split and style. Draws are independent, so some repeat an earlier one: of the first
    /// 20,000 training prompts one helpfulness prompt in forty and one safety prompt in seven.
    pub fn prompt_of(&self, style: Style, split: Split, index: u64) -> Prompt {
        Prompt::drawn(style, split, &mut Draws::new(&[self.seed, split as u64, index, style as u64]))
    }

    /// The prompts of a split in order, without end; of one style, or of both where it is `None`.
    pub fn prompts(&self, split: Split, style: Option<Style>) -> impl Iterator<Item = Prompt> + use<> {
        let world = *self;
        (0..).map(move |index| match style {
            Some(style) => world.prompt_of(style, split, index),
            None => world.prompt(split, index),
        })
    }

    /// A response of the base behaviour.
    pub fn response(&self, prompt: &Prompt, draw: u64) -> String {
        self.draft(prompt, draw).text
    }

    /// The same response, with the traits it was meant to have.
    pub fn draft(&self, prompt: &Prompt, draw: u64) -> Draft {
        Draft::drawn(prompt, &mut Draws::new(&[self.seed, text_key(&prompt.text()), draw]))
    }

    /// The first `count` distinct responses.
    pub fn responses(&self, prompt: &Prompt, count: usize) -> Vec<String> {
        self.responses_from(prompt, 0, count)
    }

    /// `count` distinct responses from the draws after `first_draw`.
    pub fn responses_from(&self, prompt: &Prompt, first_draw: u64, count: usize) -> Vec<String> {
        self.distinct_from(prompt, first_draw).take(count).collect()
    }

    /// Distinct responses without end, from the draws after `first_draw`.
    pub fn distinct_from<'a>(&'a self, prompt: &'a Prompt, first_draw: u64) -> impl Iterator<Item = String> + 'a {
        let mut seen = HashSet::new();
        let draws = (first_draw..).map(|draw| self.response(prompt, draw));
        draws.filter(move |text| seen.insert(text.clone()))
    }
}
