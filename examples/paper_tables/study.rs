//! Which runs the tables need, and how one is trained and judged.

use crate::Result;
use crate::annotation::{Annotator, row};
use crate::lists::rows;
use crate::run::{BASE, Estimate, Measured, Outcome, Run, STYLES};
use crate::toy_world::rows::PreferenceRow;
use crate::toy_world::{self, Prompt, Split, World};
use hps_core::{GammaSchedule, Loss};
use hps_llama::backend::Backend;
use hps_llama::chat::Chat;
use hps_llama::data::Response;
use hps_llama::evaluate::{Against, Bleu, divergence, margins};
use hps_llama::generate::SamplingParams;
use hps_llama::lora::{Lora, LoraConfig};
use hps_llama::model::{Llama, Policy};
use hps_llama::parameter::Projection;
use hps_llama::train::{Example, TrainConfig, Trainer};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The pre-training example's world.
const WORLD: u64 = 1;
/// Responses that a held-out row ranks by r*.
const RANKED: usize = 8;
/// Samples a held-out prompt: the paper's best of five.
const SAMPLES: usize = 5;
/// The paper's 0.1 lets so small a model drift into broken sentences: Table 8 shows it.
pub const BETA: f64 = 0.5;
const BASE_FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/tiny-llama3");

/// The methods of Table 2, in its order.
pub const FAMILIES: [&str; 5] = ["dpo", "exo", "ipo", "sppo", "nca"];
pub const MODELS: [&str; 3] = ["pl", "bt", "hps"];

/// What is varied.
pub struct Plan {
    /// Responses a prompt (Tables 6, 7).
    pub lists: Vec<usize>,
    /// β (Table 8).
    pub betas: Vec<f64>,
    /// Where HPS may hurt: a name, and what is changed.
    pub hurt: Vec<(&'static str, Estimate, Option<f64>)>,
}

impl Default for Plan {
    fn default() -> Self {
        Plan {
            lists: vec![5, 20, 50, 100],
            betas: vec![0.1, 0.25, 0.5, 0.75, 1.0],
            hurt: vec![
                ("r_est = r*", Estimate::True, None),
                ("r_est of the reward model", Estimate::Model, None),
                ("reversed on 2 rows of 10", Estimate::Reversed(2), None),
                ("reversed on 4 rows of 10", Estimate::Reversed(4), None),
                ("γ = −20: easy negatives alone", Estimate::True, Some(-20.0)),
                ("γ = 20: hard negatives alone", Estimate::True, Some(20.0)),
            ],
        }
    }
}

impl Plan {
    /// All that the tables read, each once.
    pub fn runs(&self, tables: &[String], seeds: &[u64]) -> Vec<Run> {
        let has = |names: &[&str]| tables.iter().any(|table| names.contains(&table.as_str()));
        let mut runs: Vec<Run> = Vec::new();
        for &seed in seeds {
            for (style, _) in STYLES {
                let usual = |loss: &str| Run::usual(style, loss, seed);
                runs.push(usual(BASE));
                if has(&["2", "5", "cost"]) {
                    runs.extend(
                        FAMILIES.iter().flat_map(|family| MODELS.map(|model| usual(&format!("{family}-{model}")))),
                    );
                }
                for loss in ["dpo-bt", "dpo-hps"] {
                    if has(&["6", "7", "cost"]) {
                        runs.extend(self.lists.iter().map(|responses| Run { responses: *responses, ..usual(loss) }));
                    }
                    if has(&["8"]) {
                        runs.extend(self.betas.iter().map(|beta| Run { beta: Some(*beta), ..usual(loss) }));
                    }
                    if has(&["hurt"]) {
                        let changed = self.hurt.iter().map(|(_, estimate, gamma)| (*estimate, *gamma));
                        runs.extend(changed.map(|(estimate, gamma)| Run { estimate, gamma, ..usual(loss) }));
                    }
                }
            }
        }
        let mut once: Vec<Run> = Vec::new();
        for mut run in runs {
            run.settle();
            if !once.contains(&run) {
                once.push(run);
            }
        }
        once
    }
}

impl Run {
    /// One spelling for equal runs.
    pub fn settle(&mut self) {
        self.beta = self.beta.filter(|beta| *beta != BETA);
        // BT draws nothing.
        self.gamma = self.gamma.filter(|_| self.loss.ends_with("hps"));
    }
}

pub struct Study<B: Backend> {
    backend: B,
    world: World,
    chat: Chat,
    prompts: usize,
    annotator: Annotator<B>,
    /// Prompts and r*-ranked rows of each style.
    held_out: Vec<HeldOut>,
    folder: PathBuf,
}

struct HeldOut {
    prompts: Vec<Prompt>,
    examples: Vec<Example>,
    preferred: Vec<String>,
}

impl<B: Backend> Study<B> {
    pub fn new(backend: B, prompts: usize, held_out: usize, output_dir: &Path) -> Result<Self> {
        let (world, chat) = (World::new(WORLD), Chat::from_folder(BASE_FOLDER)?);
        let folder = output_dir.join(format!("reward-model-{prompts}"));
        let annotator = Annotator::open(&backend, &folder, Path::new(BASE_FOLDER), &world, &chat, prompts)?;
        let held_out = STYLES.iter().map(|(_, style)| {
            let prompts: Vec<Prompt> = world.prompts(Split::HeldOut, Some(*style)).take(held_out).collect();
            let (mut examples, mut preferred) = (Vec::new(), Vec::new());
            for (prompt, id) in prompts.iter().zip(0..) {
                let row = row(id, prompt, &PreferenceRow::drawn(&world, prompt, RANKED))?.ok_or("a tied row")?;
                examples.push(Example::new(&row, &chat)?);
                preferred.push(match &row.responses()[0] {
                    Response::Text(text) => text.clone(),
                    Response::Messages(turns) => turns[0].content.clone(),
                });
            }
            Ok(HeldOut { prompts, examples, preferred })
        });
        let held_out = held_out.collect::<Result<Vec<_>>>()?;
        Ok(Study { backend, world, chat, prompts, annotator, held_out, folder: PathBuf::from(BASE_FOLDER) })
    }

    /// Trains and judges.
    pub fn outcome(&self, run: &Run) -> Result<Outcome> {
        let model = Llama::from_folder(self.backend.clone(), &self.folder, false)?;
        let lora = LoraConfig { target_modules: Projection::ALL.to_vec(), ..LoraConfig::default() };
        let adapter = Some(Lora::fresh(&self.backend, model.config(), lora, run.seed)?);
        let mut policy = Policy { model, adapter };
        let own = usize::from(run.style == STYLES[1].0);
        let mut seconds = 0.0;
        if run.loss != BASE {
            let style = STYLES[own].1;
            let rows =
                rows(&self.annotator, &self.world, &self.chat, style, self.prompts, run.responses, run.estimate)?;
            let start = Instant::now();
            let mut trainer = Trainer::new(policy, rows, config(run)?)?;
            while trainer.step()?.is_some() {}
            seconds = start.elapsed().as_secs_f64();
            policy = trainer.into_policy();
        }
        let measured = |held_out: &HeldOut| self.measured(&policy, held_out, run.seed);
        let [own, other] = [measured(&self.held_out[own])?, measured(&self.held_out[1 - own])?];
        Ok(Outcome { run: run.clone(), own, other, seconds })
    }

    fn measured(&self, policy: &Policy<B>, held_out: &HeldOut, seed: u64) -> Result<Measured> {
        let HeldOut { prompts, examples, preferred } = held_out;
        let margins = margins(policy, examples, 8192)?;
        let divergences = divergence(policy, &Against::Base, examples, 8192)?;
        let asked: Vec<(u32, Vec<u32>)> =
            examples.iter().map(|example| (example.group.row, example.group.prompt.clone())).collect();
        let params = SamplingParams {
            temperature: 0.9,
            max_tokens: 64,
            n: SAMPLES,
            seed,
            stop_token_ids: policy.model.config().eos_token_ids.clone(),
            ..SamplingParams::default()
        };
        let (mut best, mut rewards, mut harmful) = (Vec::new(), Vec::new(), 0usize);
        for (samples, prompt) in policy.generate(&asked, &params, true)?.iter().zip(prompts) {
            let mut chosen: Option<(f64, String)> = None;
            for sample in samples {
                let text = self.chat.tokenizer().decode(&sample.tokens, true)?;
                harmful += usize::from(toy_world::harmful(prompt, &text));
                let reward = toy_world::true_reward(prompt, &text).reward;
                if chosen.as_ref().is_none_or(|(greatest, _)| reward > *greatest) {
                    chosen = Some((reward, text));
                }
            }
            let (reward, text) = chosen.ok_or("no sample")?;
            rewards.push(reward);
            best.push(text);
        }
        let pairs = best.iter().map(String::as_str).zip(preferred.iter().map(String::as_str));
        let mean = |numbers: &mut dyn Iterator<Item = f64>| numbers.sum::<f64>() / examples.len() as f64;
        Ok(Measured {
            bleu: Bleu::Sacrebleu.corpus(pairs) / 100.0,
            reward: mean(&mut rewards.iter().copied()),
            rm_dpo: mean(&mut margins.iter().map(|row| row.rm_dpo)),
            rm_rdpo: mean(&mut margins.iter().map(|row| row.rm_rdpo)),
            hardest: mean(&mut margins.iter().map(|row| row.hardest)),
            kl: mean(&mut divergences.iter().map(|row| row.kl)),
            harmful: harmful as f64 / (SAMPLES * prompts.len()) as f64,
        })
    }
}

fn config(run: &Run) -> Result<TrainConfig> {
    let loss: Loss = run.loss.parse()?;
    // IPO's τ and SPPO's η have scales of their own: they stay as their names define them.
    let own_scale = ["ipo", "sppo"].iter().any(|family| run.loss.starts_with(family));
    let loss = if own_scale { loss } else { loss.with_beta(run.beta.unwrap_or(BETA))? };
    Ok(TrainConfig {
        loss: loss.into(),
        gamma_schedule: run.gamma.map_or(GammaSchedule::LinspaceFifths, GammaSchedule::Constant),
        learning_rate: 2e-3,
        warmup_ratio: 0.1,
        num_train_epochs: 2,
        per_device_train_batch_size: 16,
        gradient_accumulation_steps: 1,
        seed: run.seed,
        ..TrainConfig::default()
    })
}
