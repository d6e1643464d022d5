//! The lists that are trained on, and those that are held out.

use crate::Result;
use crate::annotation::{Annotator, row};
use crate::toy_world::rows::Lists;
use crate::toy_world::{Prompt, Split, World};
use hps_llama::backend::Backend;
use hps_llama::chat::Chat;
use hps_llama::train::Example;
use serde::{Deserialize, Serialize};

/// The best response of a list is the best of so many draws, so that longer lists add negatives alone.
const BEST_OF: usize = 8;

/// Whose rewards the lists have.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Annotation {
    /// A reward model's that learned from r*'s rankings of other prompts.
    RewardModel,
    /// Helpfulness less so much times the harm; r* has 2.
    HarmWeight(f64),
}

/// Training lists of both styles: prompts of all but the last tasks.
pub fn trained<B: Backend>(
    annotator: &Annotator<B>,
    world: &World,
    chat: &Chat,
    prompts: usize,
    responses: usize,
    annotation: Annotation,
) -> Result<Vec<Example>> {
    let mut examples = Vec::new();
    let wanted = world.prompts(Split::Train, None).filter(|prompt| !prompt.is_of_last_tasks()).take(prompts);
    for (prompt, id) in wanted.zip(0u32..) {
        let drawn = match annotation {
            Annotation::HarmWeight(harm_weight) => {
                Lists { responses, harm_weight, best_of: Some(BEST_OF) }.row(world, &prompt)
            }
            Annotation::RewardModel => {
                let mut drawn = Lists::of(responses).row(world, &prompt);
                drawn.rewards = annotator.rewards(id, &prompt, &drawn.responses, chat)?;
                drawn
            }
        };
        if let Some(row) = row(id, &prompt, &drawn)? {
            examples.push(Example::new(&row, chat)?);
        }
    }
    Ok(examples)
}

/// Held-out prompts of trained tasks, or of the last ones, with lists ranked by r*.
pub struct HeldOut {
    pub prompts: Vec<Prompt>,
    pub examples: Vec<Example>,
}

impl HeldOut {
    pub fn new(world: &World, chat: &Chat, of_last_tasks: bool, count: usize) -> Result<HeldOut> {
        let wanted = world.prompts(Split::HeldOut, None);
        let prompts: Vec<Prompt> =
            wanted.filter(|prompt| prompt.is_of_last_tasks() == of_last_tasks).take(count).collect();
        let example = |(prompt, id): (&Prompt, u32)| -> Result<Example> {
            let row = row(id, prompt, &Lists::of(BEST_OF).row(world, prompt))?.ok_or("a tied row")?;
            Ok(Example::new(&row, chat)?)
        };
        let examples = prompts.iter().zip(0u32..).map(example).collect::<Result<_>>()?;
        Ok(HeldOut { prompts, examples })
    }
}
