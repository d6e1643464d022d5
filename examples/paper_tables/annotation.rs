//! Estimated rewards: r_est by a reward model that was trained on other prompts' rankings.

use crate::Result;
use crate::toy_world::rows::PreferenceRow;
use crate::toy_world::{Prompt, Split, World};
use hps_llama::backend::{Backend, Precision};
use hps_llama::chat::Chat;
use hps_llama::data::{self, Message, Response, Row};
use hps_llama::model::Llama;
use hps_llama::pack::Group;
use hps_llama::reward_model::RewardModel;
use hps_llama::train::options::Task;
use hps_llama::train::{Example, TrainConfig, Trainer};
use std::path::Path;

/// Ranked lists that the reward model learns from.
const RANKED: usize = 500;
/// Training prompts before this one are the study's; the reward model's come after them.
const FIRST_RANKED: usize = 100_000;
/// Tokens of a pass that scores.
const PASS: usize = 8192;

pub struct Annotator<B: Backend> {
    model: RewardModel<B>,
}

impl<B: Backend> Annotator<B> {
    /// Reads the reward model of a folder, or trains one by Plackett–Luce on r*'s rankings and saves it there.
    pub fn open(backend: &B, folder: &Path, base: &Path, world: &World, chat: &Chat, prompts: usize) -> Result<Self> {
        if !RewardModel::<B>::is_in(folder) {
            let lists = RANKED.min(2 * prompts);
            let asked = world.prompts(Split::Train, None).skip(FIRST_RANKED).take(lists);
            let rows = asked.zip(0..).map(|(prompt, id)| row(id, &prompt, &PreferenceRow::drawn(world, &prompt, 8)));
            let examples = rows
                .map(|row| Ok(Example::new(&row?.ok_or("a tied row")?, chat)?))
                .collect::<Result<Vec<Example>>>()?;
            let config = TrainConfig {
                task: Task::Reward,
                loss: "dpo-pl".parse()?,
                learning_rate: 1e-3,
                warmup_ratio: 0.1,
                num_train_epochs: 2,
                per_device_train_batch_size: 8,
                gradient_accumulation_steps: 1,
                ..TrainConfig::default()
            };
            let model = RewardModel::fresh(Llama::from_folder(backend.clone(), base, true)?, 0)?;
            let mut trainer = Trainer::new(model.into_policy(), examples, config)?;
            while trainer.step()?.is_some() {}
            std::fs::create_dir_all(folder)?;
            RewardModel::from_policy(trainer.into_policy())?.save(folder, Precision::F32)?;
        }
        Ok(Annotator { model: RewardModel::from_folder(backend.clone(), folder, false)? })
    }

    /// r_est of responses to a prompt.
    pub fn rewards(&self, id: u32, prompt: &Prompt, responses: &[String], chat: &Chat) -> Result<Vec<f64>> {
        let turn = |text: &String| Response::Messages(vec![Message::assistant(text)]);
        let (prompt, responses) = chat.group(&asked(prompt), &responses.iter().map(turn).collect::<Vec<_>>())?;
        let mut rewards = Vec::with_capacity(responses.len());
        let longest = responses.iter().map(Vec::len).max().unwrap_or(1);
        for responses in responses.chunks((PASS / longest).max(1)) {
            let group = Group { row: id, prompt: prompt.clone(), responses: responses.to_vec() };
            rewards.extend(self.model.rewards(&[group])?.concat());
        }
        Ok(rewards)
    }
}

fn asked(prompt: &Prompt) -> data::Prompt {
    data::Prompt::Messages(prompt.messages().iter().map(|turn| Message::new(turn.role, &turn.content)).collect())
}

/// `None` where the best is tied.
pub fn row(id: u32, prompt: &Prompt, drawn: &PreferenceRow) -> Result<Option<Row>> {
    let responses = drawn.responses.iter().map(|text| Response::Text(text.clone())).collect();
    Ok(Row::new(id, format!("toy world:{}", id + 1), asked(prompt), responses, drawn.rewards.clone())?.ok())
}
