//! The loop: rows → log π and log π_ref → loss and coefficients → backward → AdamW.

mod draws;
mod resume;
mod sound;

use super::drawn::Drawn;
use super::options::Task;
use super::passes::{List, Passes};
use super::task::{expect_finite, supervised};
use super::{
    AdamW, Example, Interrupt, Memory, Outline, Plan, Reference, ReferenceOptions, Schedule, Split, StepLog,
    TrainConfig, TrainLoss,
};
use crate::Digest;
use crate::backend::Backend;
use crate::model::{Gradients, Llama, Policy};
use crate::{Error, ErrorKind, Result};
pub(super) use draws::widest_read;
use hps_core::{Responses, TiePolicy};
use std::path::PathBuf;

/// A run in progress: [`Trainer::step`] until it returns `None`.
#[derive(Debug)]
pub struct Trainer<B: Backend> {
    pub(super) policy: Policy<B>,
    examples: Vec<Example>,
    pub(super) held_out: Vec<Example>,
    pub(super) config: TrainConfig,
    pub(super) reference: Reference<B>,
    /// Of the base before it is trained; computed when it is first asked for.
    base: Option<Digest>,
    optimizer: AdamW<B>,
    schedule: Schedule,
    pub(super) memory: Memory,
    /// Of the example that takes most.
    plan: Plan,
    /// Updates done.
    pub(super) step: u64,
    num_tokens: u64,
    order: Vec<usize>,
    /// At least every trained weight and moment; not finite where the state is not sound.
    state_norm: f64,
    pub(super) interrupt: Interrupt,
    /// The checkpoint saved last, or the one the run goes on from, by its step.
    checkpoint: Option<(u64, PathBuf)>,
}

impl<B: Backend> Trainer<B> {
    /// Prepares a run of the policy on the examples, with the policy as it is now for its reference.
    ///
    /// # Errors
    /// An option is out of its range, there are no examples, one of them does not fit the memory budget, the adapter is not
    /// fresh (see [`with_reference`](Self::with_reference)), or the device failed.
    pub fn new(policy: Policy<B>, rows: impl Into<Split>, config: TrainConfig) -> Result<Self> {
        Self::with_reference(policy, rows, config, &ReferenceOptions::default())
    }

    /// Everything but the reference's numbers.
    fn assemble(
        policy: Policy<B>,
        rows: Split,
        config: TrainConfig,
        reference: &ReferenceOptions,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let Policy { model, adapter } = policy;
        // What is saved of it records this base.
        let adapter = adapter.map(|adapter| adapter.on_base(model.base_digest(), false)).transpose()?;
        let adapter = adapter.map(|adapter| adapter.on_quantised(model.quantisation()));
        let policy = Policy { model, adapter };
        config.task.check(&policy)?;
        let lora = policy.adapter.as_ref().map(|adapter| adapter.config());
        let Llama { config: shape, backend, stored, .. } = &policy.model;
        let outline = Outline { model: shape, lora, stored, footprint: backend.footprint() };
        let plan = outline.check(&config, &rows)?;
        let config = TrainConfig { loss: config.scored_loss()?, ..config };
        let memory = Memory::of(&outline, &config);
        let Split { train: examples, held_out } = rows;
        let schedule = Schedule::of(&config, examples.len());
        let needed = policy.adapter.is_none() || reference.cache_dir.is_some();
        let base = if needed { Some(policy.model.digest()?) } else { None };
        let reference = Reference::open(&config, &policy, &examples, reference, base)?;
        let optimizer = AdamW::new(&policy, config.adamw)?;
        let mut trainer = Trainer {
            policy,
            examples,
            held_out,
            config,
            reference,
            base,
            optimizer,
            schedule,
            memory,
            plan,
            step: 0,
            num_tokens: 0,
            order: Vec::new(),
            state_norm: f64::NAN,
            interrupt: interrupt.clone(),
            checkpoint: None,
        };
        trainer.state_norm = trainer.first_norm()?;
        Ok(trainer)
    }

    /// The policy as trained so far.
    pub fn policy(&self) -> &Policy<B> {
        &self.policy
    }

    /// Ends the run and hands the policy back.
    pub fn into_policy(self) -> Policy<B> {
        self.policy
    }

    /// How the list that takes most memory will go through the model.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Updates in all.
    pub fn total_steps(&self) -> u64 {
        self.schedule.total_steps
    }

    /// One update; `None` after the last.
    ///
    /// # Errors
    /// The loss refuses a row; a loss, the gradient, or what the update would make of the weights is not finite (they are
    /// then as before); the device failed.
    pub fn step(&mut self) -> Result<Option<StepLog>> {
        let num_tokens = self.num_tokens;
        let log = self.update();
        if log.is_err() {
            // What is saved now is the state after the last step that counted.
            self.num_tokens = num_tokens;
            self.optimizer.rewind(self.step);
        }
        log
    }

    fn update(&mut self) -> Result<Option<StepLog>> {
        if self.step == self.schedule.total_steps {
            return Ok(None);
        }
        let steps_per_epoch = self.schedule.total_steps / u64::from(self.config.num_train_epochs);
        let (epoch, position) = ((self.step / steps_per_epoch) as u32, (self.step % steps_per_epoch) as usize);
        if position == 0 {
            self.order = self.order_of(epoch);
        }
        let start = position * self.config.prompts_per_step();
        let end = self.examples.len().min(start + self.config.prompts_per_step());
        let prompts: Vec<usize> = self.order[start..end].to_vec();
        let (gamma, loss) = self.loss_at(epoch, start)?;

        let learning_rate = self.schedule.at(self.step);
        let mut log = StepLog {
            step: self.step + 1,
            total_steps: self.schedule.total_steps,
            epoch: f64::from(epoch) + end as f64 / self.examples.len() as f64,
            learning_rate,
            gamma,
            ..StepLog::default()
        };
        let mut gradients = Gradients::zeros(&self.policy)?;
        let share = self.config.task.share(prompts.iter().map(|prompt| &self.examples[*prompt]));
        for micro in prompts.chunks(self.config.per_device_train_batch_size) {
            self.micro_batch(micro, epoch, &loss, share, &mut gradients, &mut log)
                .map_err(|error| self.blame(error))?;
        }
        log.weight = (1.0 / share).round() as usize;
        log.keep(self.config.task);
        let norm = gradients.norm(self.policy.model.backend())?;
        log.grad_norm = f64::from(self.policy.model.backend().download(&norm)?[0]);
        log.num_tokens = self.num_tokens;
        if !log.grad_norm.is_finite() {
            let places = self.places(&prompts);
            let message = format!("the gradient's norm is {} at step {}, on {places}", log.grad_norm, log.step);
            return Err(self.blame(Error::new(ErrorKind::NonFinite, message)));
        }
        if !self.apply(&gradients, &norm, log.grad_norm, learning_rate)? {
            let places = self.places(&prompts);
            let message = format!(
                "the update of step {}, on {places}, would take the weights or their moments out of float32's range and is \
                 not made; the learning rate is {learning_rate:e}, the gradient's norm {}",
                log.step, log.grad_norm
            );
            return Err(Error::new(ErrorKind::NonFinite, message));
        }
        self.step += 1;
        Ok(Some(log))
    }

    /// Forward, loss and backward of some prompts; each prompt (in SFT, each token) weighs `share` of the step.
    fn micro_batch(
        &mut self,
        prompts: &[usize],
        epoch: u32,
        loss: &TrainLoss,
        share: f64,
        gradients: &mut Gradients<B>,
        log: &mut StepLog,
    ) -> Result<()> {
        let lists = self.lists(prompts, epoch, loss)?;
        let plans = self.memory.plan(&List::shapes(&lists))?;
        let (policy, examples, task) = (&self.policy, &self.examples, self.config.task);
        let mut passes = Passes { policy, reference: &mut self.reference, examples, step: self.step };
        let mut weigh = |list: usize, policy: &[f64], reference: &[f64]| {
            let list: &List = &lists[list];
            let example = &examples[list.example];
            for numbers in [policy, reference] {
                expect_finite(task, numbers, log.step).map_err(|error| error.at(&example.place))?;
            }
            if task == Task::Sft {
                return supervised(policy, share, log);
            }
            weigh(loss, example, &list.drawn, policy, reference, share, log).map_err(|error| error.at(&example.place))
        };
        for plan in plans {
            passes.differentiate(&lists, &plan, &mut weigh, gradients)?;
        }
        for List { group, .. } in &lists {
            let sequences: usize = group.responses.iter().map(|response| group.prompt.len() + response.len()).sum();
            self.num_tokens += sequences as u64;
            log.computed_tokens += task.computed_tokens(group) as u64;
        }
        Ok(())
    }

    fn places(&self, prompts: &[usize]) -> String {
        let places: Vec<&str> = prompts.iter().map(|prompt| self.examples[*prompt].place.as_str()).collect();
        places.join(", ")
    }
}

/// The loss of one list at weight `share` of the step, into the log; returns `∂L/∂log π` of each response.
fn weigh(
    loss: &TrainLoss,
    example: &Example,
    drawn: &Drawn,
    policy: &[f64],
    reference: &[f64],
    share: f64,
    log: &mut StepLog,
) -> Result<Vec<f32>> {
    let (value, gradient) = value_and_gradient(loss, example, drawn, policy, reference)?;
    log.add(share, value, &scores(loss, example, &drawn.responses, policy, reference)?, policy);
    Ok(gradient.iter().map(|c| (share * c) as f32).collect())
}

/// The loss of the drawn responses of an example, and `∂L/∂log π` of each.
pub(super) fn value_and_gradient(
    loss: &TrainLoss,
    example: &Example,
    drawn: &Drawn,
    policy: &[f64],
    reference: &[f64],
) -> Result<(f64, Vec<f64>)> {
    let (lengths, rewards) = lengths_and_rewards(example, &drawn.responses);
    let row = row(loss, policy, reference, &lengths, &rewards).and_then(|row| drawn.in_row(loss, example, row));
    row.and_then(|row| loss.value_and_gradient(&row)).map_err(refused)
}

/// The rewards that the policy implies of some responses of an example.
pub(super) fn scores(
    loss: &TrainLoss,
    example: &Example,
    drawn: &[usize],
    policy: &[f64],
    reference: &[f64],
) -> Result<Vec<f64>> {
    let (lengths, rewards) = lengths_and_rewards(example, drawn);
    let row = row(loss, policy, reference, &lengths, &rewards).map_err(refused)?;
    let mut scores = vec![0.0; drawn.len()];
    loss.as_list_loss().scores(&row, &mut scores).map_err(refused)?;
    Ok(scores)
}

fn lengths_and_rewards(example: &Example, drawn: &[usize]) -> (Vec<u32>, Vec<f64>) {
    let lengths = drawn.iter().map(|index| example.group.responses[*index].len() as u32).collect();
    (lengths, drawn.iter().map(|index| example.rewards[*index]).collect())
}

/// With a reference where the loss reads one.
fn row<'a>(
    loss: &TrainLoss,
    policy: &'a [f64],
    reference: &'a [f64],
    lengths: &'a [u32],
    rewards: &'a [f64],
) -> std::result::Result<Responses<'a, f64>, hps_core::Error> {
    let row = Responses::new(policy)?.with_lengths(lengths)?.with_rewards(rewards)?;
    let row = loss.with_supervised(row, policy)?;
    if loss.reads_reference() { row.with_reference(reference) } else { Ok(row) }
}

/// The negatives that the tie policy leaves.
pub(super) fn retained(ties: TiePolicy, rewards: &[f64]) -> impl Iterator<Item = usize> {
    (1..rewards.len()).filter(move |index| ties.retains(rewards, *index))
}

pub(super) fn refused(source: hps_core::Error) -> Error {
    Error::new(ErrorKind::Loss, "the loss refuses this row").because(source)
}
