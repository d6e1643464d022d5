//! The lists that are trained on, ranked by an estimate.

use crate::Result;
use crate::annotation::{Annotator, row};
use crate::run::Estimate;
use crate::toy_world::rows::PreferenceRow;
use crate::toy_world::{Split, Style, World};
use hps_llama::backend::Backend;
use hps_llama::chat::Chat;
use hps_llama::train::Example;

/// Rows of a style's training prompts with so many responses, ranked by an estimate; a tie for the best is left out.
pub fn rows<B: Backend>(
    annotator: &Annotator<B>,
    world: &World,
    chat: &Chat,
    style: Style,
    prompts: usize,
    responses: usize,
    estimate: Estimate,
) -> Result<Vec<Example>> {
    let mut examples = Vec::new();
    for (prompt, id) in world.prompts(Split::Train, Some(style)).take(prompts).zip(0u32..) {
        let mut drawn = PreferenceRow::drawn(world, &prompt, responses);
        match estimate {
            Estimate::True => {}
            Estimate::Reversed(of_ten) if id % 10 < of_ten => {
                drawn.rewards.iter_mut().for_each(|reward| *reward = -*reward)
            }
            Estimate::Reversed(_) => {}
            Estimate::Model => drawn.rewards = annotator.rewards(id, &prompt, &drawn.responses, chat)?,
        }
        if let Some(row) = row(id, &prompt, &drawn)? {
            examples.push(Example::new(&row, chat)?);
        }
    }
    Ok(examples)
}
