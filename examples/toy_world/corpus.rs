//! The pre-training corpus: training prompts with responses of the base behaviour, good and bad alike.

use super::World;
use super::prompt::{Prompt, Split, Style};

/// A prompt and one response.
#[derive(Clone, Debug)]
pub struct Document {
    /// The conversation.
    pub prompt: Prompt,
    /// What the assistant says next.
    pub response: String,
}

impl Document {
    /// The text of every message, without roles or special tokens: what a tokenizer is trained on.
    pub fn texts(&self) -> impl Iterator<Item = String> {
        let contents = self.prompt.messages().iter().map(|message| message.content.clone());
        contents.chain([self.response.clone()])
    }
}

/// Documents without end, in a fixed order; of one style, or of both where it is `None`.
pub fn documents(world: &World, style: Option<Style>) -> impl Iterator<Item = Document> + use<> {
    let world = *world;
    // Rows of preferences use the first draws of a prompt; the corpus takes others.
    world.prompts(Split::Train, style).zip(0..).map(move |(prompt, index)| {
        let response = world.response(&prompt, (1 << 63) + index);
        Document { prompt, response }
    })
}
