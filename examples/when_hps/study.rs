//! How an arm is trained and what came out for each held-out prompt.

use crate::Result;
use crate::annotation::Annotator;
use crate::arm::{Arm, BASE};
use crate::lists::{self, HeldOut};
use crate::toy_world::{self, World};
use hps_llama::Digest;
use hps_llama::backend::Backend;
use hps_llama::chat::Chat;
use hps_llama::evaluate::margins;
use hps_llama::generate::{Sample, SamplingParams};
use hps_llama::lora::{Lora, LoraConfig};
use hps_llama::model::{Llama, Policy};
use hps_llama::pack::{Group, Packed};
use hps_llama::parameter::Projection;
use hps_llama::train::Trainer;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The pre-training example's world.
const WORLD: u64 = 1;
/// Samples a held-out prompt.
const SAMPLES: usize = 5;
const BASE_FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/tiny-llama3");

/// How much is trained on and held out.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// Training prompts.
    pub prompts: usize,
    /// Held-out prompts of trained tasks, and as many of other tasks.
    pub held_out: usize,
}

/// What came out on a held-out prompt: means over the samples, but for what is of its list.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PromptRow {
    /// Whether its task was kept from training.
    pub new_task: bool,
    /// Which task.
    pub task: u32,
    /// r*.
    pub reward: f64,
    /// r* of the best sample.
    pub best: f64,
    /// Share of samples that do harm.
    pub harmful: f64,
    /// Tokens.
    pub length: f64,
    /// `ln π/π_ref` of what the policy says, nats.
    pub kl: f64,
    /// Whether the best of its list has the greatest implicit reward.
    pub accuracy: f64,
    /// Margin to the hardest negative of its list, nats.
    pub hardest: f64,
}

pub struct Study<B: Backend> {
    backend: B,
    world: World,
    chat: Chat,
    scale: Scale,
    annotator: Annotator<B>,
    reward_model: PathBuf,
    /// Trained tasks, new tasks.
    held_out: [HeldOut; 2],
}

impl<B: Backend> Study<B> {
    pub fn new(backend: B, scale: Scale, output_dir: &Path) -> Result<Self> {
        let (world, chat) = (World::new(WORLD), Chat::from_folder(BASE_FOLDER)?);
        let reward_model = output_dir.join(format!("reward-model-{}", scale.prompts));
        let annotator = Annotator::open(&backend, &reward_model, Path::new(BASE_FOLDER), &world, &chat, scale.prompts)?;
        let held_out = |of_last_tasks| HeldOut::new(&world, &chat, of_last_tasks, scale.held_out);
        let held_out = [held_out(false)?, held_out(true)?];
        Ok(Study { backend, world, chat, scale, annotator, reward_model, held_out })
    }

    /// What all runs of a ledger share.
    pub fn key(&self) -> Result<Value> {
        let digest = |folder: &Path| Digest::of_file(folder.join("model.safetensors")).map(|digest| digest.to_string());
        Ok(json!({
            "base": digest(Path::new(BASE_FOLDER))?,
            "reward_model": digest(&self.reward_model)?,
            "world": WORLD,
            "prompts": self.scale.prompts,
            "held_out": self.scale.held_out,
            "samples": SAMPLES,
            "trained": format!("{:?}", Arm::of("dpo-bt", "").config(0)?),
            "program": env!("CARGO_PKG_VERSION"),
            "arithmetic": self.backend.arithmetic(),
        }))
    }

    /// Trains an arm and looks at each held-out prompt.
    pub fn run(&self, arm: &Arm, seed: u64) -> Result<Vec<PromptRow>> {
        let model = Llama::from_folder(self.backend.clone(), BASE_FOLDER, false)?;
        let lora = LoraConfig { target_modules: Projection::ALL.to_vec(), ..LoraConfig::default() };
        let adapter = Some(Lora::fresh(&self.backend, model.config(), lora, seed)?);
        let mut policy = Policy { model, adapter };
        if arm.loss != BASE {
            let (annotator, prompts) = (&self.annotator, self.scale.prompts);
            let rows = lists::trained(annotator, &self.world, &self.chat, prompts, arm.responses, arm.annotation)?;
            let mut trainer = Trainer::new(policy, rows, arm.config(seed)?)?;
            while trainer.step()?.is_some() {}
            policy = trainer.into_policy();
        }
        let mut rows = Vec::new();
        for (held_out, new_task) in self.held_out.iter().zip([false, true]) {
            rows.extend(self.looked_at(&policy, held_out, new_task, seed)?);
        }
        Ok(rows)
    }

    fn looked_at(&self, policy: &Policy<B>, held_out: &HeldOut, new_task: bool, seed: u64) -> Result<Vec<PromptRow>> {
        let HeldOut { prompts, examples } = held_out;
        let margins = margins(policy, examples, 8192)?;
        let asked: Vec<(u32, Vec<u32>)> =
            examples.iter().map(|example| (example.group.row, example.group.prompt.clone())).collect();
        let params = SamplingParams {
            temperature: 1.0,
            max_tokens: 64,
            n: SAMPLES,
            seed,
            stop_token_ids: policy.model.config().eos_token_ids.clone(),
            ..SamplingParams::default()
        };
        let samples = policy.generate(&asked, &params, true)?;
        let mut rows = Vec::new();
        for ((samples, prompt), ((_, ids), margins)) in samples.iter().zip(prompts).zip(asked.iter().zip(margins)) {
            let mut row = PromptRow {
                new_task,
                task: prompt.task_number(),
                reward: 0.0,
                best: f64::NEG_INFINITY,
                harmful: 0.0,
                length: 0.0,
                kl: self.log_ratio(policy, ids, samples)?,
                accuracy: margins.accuracy,
                hardest: margins.hardest,
            };
            for sample in samples {
                let text = self.chat.tokenizer().decode(&sample.tokens, true)?;
                let reward = toy_world::true_reward(prompt, &text).reward;
                row.reward += reward / SAMPLES as f64;
                row.best = row.best.max(reward);
                row.harmful += f64::from(u8::from(toy_world::harmful(prompt, &text))) / SAMPLES as f64;
                row.length += sample.tokens.len() as f64 / SAMPLES as f64;
            }
            rows.push(row);
        }
        Ok(rows)
    }

    /// Mean of `ln π/π_ref` over samples: how far the policy is from its base in what it says itself.
    fn log_ratio(&self, policy: &Policy<B>, prompt: &[u32], samples: &[Sample]) -> Result<f64> {
        // With the end that it drew, where it did not run out of tokens.
        let end = policy.model.config().eos_token_ids.first().copied();
        let said = |sample: &Sample| -> Vec<u32> {
            sample.tokens.iter().copied().chain(end.filter(|_| sample.stopped())).collect()
        };
        let responses: Vec<Vec<u32>> = samples.iter().map(said).filter(|tokens| !tokens.is_empty()).collect();
        let group = Group { row: 0, prompt: prompt.to_vec(), responses };
        let packed = Packed::shared(std::slice::from_ref(&group));
        let batch = policy.model.batch(&packed)?;
        let [own, base] = [policy.log_probs(&batch)?, policy.base_log_probs(&batch)?];
        let [own, base] = [self.backend.download(&own)?, self.backend.download(&base)?];
        let sum = |numbers: &[f32]| Packed::sums(numbers, &packed.responses[0]).iter().sum::<f64>();
        Ok((sum(&own) - sum(&base)) / samples.len() as f64)
    }
}
