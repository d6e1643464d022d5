//! What a run is asked to do.

use super::options::Task;
use super::train_loss::Reads;
use super::{ActivationPolicy, AdamWConfig, Route, SchedulerType, TrainLoss};
use crate::{Error, ErrorKind, Result};
use hps_core::{GammaSchedule, Loss, Responses, Reward};

/// Draws of a list: beyond it the whole list costs less.
const MOST_NEGATIVES: usize = 1 << 16;

/// Options of a run, by transformers' and TRL's names.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainConfig {
    /// What is trained.
    pub task: Task,
    /// Which loss, with its β and estimator (`loss_type`, `beta`, …), or one of the program's own.
    pub loss: TrainLoss,
    /// γ of the negatives' distribution over the run, in time.
    pub gamma_schedule: GammaSchedule,
    /// Negatives drawn of each list, with repetition, for a loss that compares with several (`dpo-hps-multi`).
    pub num_negatives: usize,
    /// The greatest learning rate.
    pub learning_rate: f64,
    /// Its course.
    pub lr_scheduler_type: SchedulerType,
    /// Share of the updates that warm up.
    pub warmup_ratio: f64,
    /// Passes over the data.
    pub num_train_epochs: u32,
    /// Prompts a micro-batch.
    pub per_device_train_batch_size: usize,
    /// Micro-batches an update.
    pub gradient_accumulation_steps: usize,
    /// AdamW's constants and the clipping norm.
    pub adamw: AdamWConfig,
    /// Whether each epoch has its own order of rows; `false` keeps the file's.
    pub shuffle: bool,
    /// Keys the order of rows and the negatives drawn.
    pub seed: u64,
    /// Bytes a step may take, weights and optimiser included; `None` for as many as it likes.
    pub memory_budget: Option<u64>,
    /// By which route a list reaches its gradient; both are exact.
    pub route: Route,
    /// Whether activations are kept or computed again.
    pub activations: ActivationPolicy,
    /// Tokens of the responses in a chunk, where they go in chunks; `None` for what the budget allows, or without one for
    /// about the memory of a pair. A longer response is a chunk of its own.
    pub chunk_tokens: Option<usize>,
    /// Tokens that go through the model at a time, at most: a micro-batch of more is cut at its prompts, a list of more into
    /// chunks. `None` for a whole micro-batch.
    pub max_tokens_per_batch: Option<usize>,
}

impl Default for TrainConfig {
    /// The paper's setting: single-sample HPS at β 0.1, γ −5 → 5 in five steps, AdamW at 5e-7 on a cosine, 2 epochs of
    /// 64 prompts an update.
    fn default() -> Self {
        TrainConfig {
            task: Task::Preference,
            loss: "dpo-hps".parse().expect("the name is known"),
            gamma_schedule: GammaSchedule::LinspaceFifths,
            num_negatives: 4,
            learning_rate: 5e-7,
            lr_scheduler_type: SchedulerType::Cosine,
            warmup_ratio: 0.0,
            num_train_epochs: 2,
            per_device_train_batch_size: 8,
            gradient_accumulation_steps: 8,
            adamw: AdamWConfig::default(),
            shuffle: true,
            seed: 0,
            memory_budget: None,
            route: Route::Auto,
            activations: ActivationPolicy::Auto,
            chunk_tokens: None,
            max_tokens_per_batch: None,
        }
    }
}

impl TrainConfig {
    pub(super) fn check(&self) -> Result<()> {
        let wrong = |message: String| Err(Error::new(ErrorKind::Option, message));
        if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) {
            return wrong(format!("`learning_rate` is {}; it is greater than 0", self.learning_rate));
        }
        if !(0.0..=1.0).contains(&self.warmup_ratio) {
            return wrong(format!("`warmup_ratio` is {}; it lies in [0, 1]", self.warmup_ratio));
        }
        let counts = [
            ("num_negatives", self.num_negatives),
            ("num_train_epochs", self.num_train_epochs as usize),
            ("per_device_train_batch_size", self.per_device_train_batch_size),
            ("gradient_accumulation_steps", self.gradient_accumulation_steps),
            ("chunk_tokens", self.chunk_tokens.unwrap_or(1)),
            ("max_tokens_per_batch", self.max_tokens_per_batch.unwrap_or(1)),
        ];
        if let Some((name, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return wrong(format!("`{name}` is 0; it is at least 1"));
        }
        if self.num_negatives > MOST_NEGATIVES {
            return wrong(format!("`num_negatives` is {}; it is at most {MOST_NEGATIVES}", self.num_negatives));
        }
        self.adamw.check()?;
        self.check_loss()
    }

    /// Whether the policy is measured against a reference.
    pub(super) fn reads_reference(&self) -> bool {
        self.task == Task::Preference && self.loss.reads_reference()
    }

    /// The loss of what the task scores: for a reward model, of its scores `s_i = r_i` in the implicit reward's place.
    pub(super) fn scored_loss(&self) -> Result<TrainLoss> {
        if self.task != Task::Reward {
            return Ok(self.loss.clone());
        }
        let error = || Error::new(ErrorKind::Option, format!("`loss_type` is {} with `task` reward", self.loss));
        let Some(loss) = self.loss.named() else {
            return Err(error().because("a loss of one's own trains with `task` preference"));
        };
        if loss.likelihood() != 0.0 || loss.reads_supervised() {
            return Err(error().because("a reward model has no likelihood"));
        }
        Loss::new(Reward::Cpo { beta: 1.0 }, loss.pair(), loss.preference())
            .map(TrainLoss::Named)
            .map_err(|source| error().because(source))
    }

    /// Refuses a loss that reads more than the trainer gives it: scales of one's own. Tried on a row of equal log-probabilities, below 0 as all are. A loss of one's own is tried on the rows.
    fn check_loss(&self) -> Result<()> {
        if self.task == Task::Sft {
            return Ok(());
        }
        let scored = self.scored_loss()?;
        let Some(loss) = scored.named() else { return Ok(()) };
        let (log_probs, lengths, rewards) = ([-1.0; 3], [1; 3], [2.0, 1.0, 0.0]);
        let count = if loss.reads_sample() { 2 } else { 3 };
        let tried = Responses::new(&log_probs[..count])
            .and_then(|row| row.with_reference(&log_probs[..count])?.with_lengths(&lengths[..count]))
            .and_then(|row| row.with_rewards(&rewards[..count]))
            .and_then(|row| if loss.reads_sample() { row.with_sample_from(1, 2) } else { Ok(row) })
            .and_then(|row| scored.with_supervised(row, &log_probs))
            .and_then(|row| if loss.reads_samples() { row.with_samples_from(&[1, 2], 2) } else { Ok(row) })
            .and_then(|row| scored.value_and_gradient(&row));
        let message = || format!("`loss_type` {} is not trained here", self.loss);
        tried.map(drop).map_err(|source| Error::new(ErrorKind::Option, message()).because(source))
    }

    /// Updates of a run over `examples` rows: each epoch's last one may have fewer prompts.
    pub fn total_steps(&self, examples: usize) -> u64 {
        examples.div_ceil(self.prompts_per_step().max(1)) as u64 * u64::from(self.num_train_epochs)
    }

    /// Negatives that a loss which draws some has of each list.
    pub(super) fn draws(&self) -> usize {
        if self.loss.named().is_some_and(Loss::reads_samples) { self.num_negatives } else { 1 }
    }

    /// How many of a list's `count` responses go through the model in a step, at most; those of held-out rows all do.
    pub fn responses_read(&self, count: usize) -> usize {
        match self.loss.reads() {
            Reads::Ends => 2.min(count),
            Reads::Drawn(..) => (1 + self.draws()).min(count),
            Reads::All => count,
        }
    }

    /// Prompts an update.
    pub(super) fn prompts_per_step(&self) -> usize {
        self.per_device_train_batch_size.saturating_mul(self.gradient_accumulation_steps)
    }
}
