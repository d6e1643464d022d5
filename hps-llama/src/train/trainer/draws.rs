//! What a step reads: which prompts, at which γ, and which of their responses.

use super::{Trainer, refused};
use crate::Result;
use crate::backend::Backend;
use crate::pack::Group;
use crate::train::drawn::Drawn;
use crate::train::options::Task;
use crate::train::passes::List;
use crate::train::train_loss::Reads;
use crate::train::{Example, ListShape, TrainConfig, TrainLoss};
use hps_core::{NegativeSampler, Philox, Position};

/// Counter word that sets the order of rows apart from other uses of the same seed.
const ORDER: u32 = 0x4f72_6465;

impl<B: Backend> Trainer<B> {
    /// What the loss reads of an example in this epoch; only these responses are computed.
    pub(in crate::train) fn draw(&self, example: &Example, epoch: u32, loss: &TrainLoss) -> Result<Drawn> {
        let count = example.rewards.len();
        match loss.reads() {
            _ if self.config.task == Task::Sft => Ok(Drawn::these(vec![0])),
            Reads::Ends => Ok(Drawn::these(vec![0, count - 1])),
            Reads::Drawn(loss, _) => {
                let position = Position { row: example.group.row, epoch, draw: 0 };
                let mut negatives = vec![0; self.config.draws()];
                loss.draw_many(&NegativeSampler::new(self.config.seed), &example.rewards, position, &mut negatives)
                    .map_err(|source| refused(source).at(&example.place))?;
                Ok(Drawn::among_negatives(&negatives))
            }
            Reads::All => Ok(Drawn::these((0..count).collect())),
        }
    }

    /// Prompts with the responses that the loss reads of them in this epoch.
    pub(super) fn lists(&self, prompts: &[usize], epoch: u32, loss: &TrainLoss) -> Result<Vec<List>> {
        let list = |prompt: &usize| {
            let example = &self.examples[*prompt];
            let drawn = self.draw(example, epoch, loss)?;
            let responses = drawn.responses.iter().map(|response| example.group.responses[*response].clone()).collect();
            let group = Group { row: example.group.row, prompt: example.group.prompt.clone(), responses };
            Ok(List { example: *prompt, drawn, group })
        };
        prompts.iter().map(list).collect()
    }

    /// The loss at a prompt of an epoch, and its γ if it has one.
    pub(super) fn loss_at(&self, epoch: u32, prompt: usize) -> Result<(Option<f64>, TrainLoss)> {
        let gamma = self.gamma(epoch, prompt)?;
        let loss = match gamma {
            Some(gamma) => self.config.loss.with_gamma(gamma).map_err(refused)?,
            None => self.config.loss.clone(),
        };
        Ok((gamma, loss))
    }

    /// γ at a prompt of an epoch: the schedule runs in time, over all epochs.
    fn gamma(&self, epoch: u32, prompt: usize) -> Result<Option<f64>> {
        if self.config.loss.gamma().is_none() || self.config.task == Task::Sft {
            return Ok(None);
        }
        let count = self.prompts_in_all();
        Ok(Some(self.config.gamma_schedule.at(epoch as usize * self.examples.len() + prompt, count)))
    }

    /// Scores what the whole run will read of the reference before its first step, as TRL's `precompute_ref_log_probs` does:
    /// the draws of all epochs by the routes of their steps, and all responses of the held-out rows.
    ///
    /// # Errors
    /// As [`step`](Self::step) before its update; the cache's file cannot be written; a signal asks for the end.
    pub fn score_reference(&mut self) -> Result<()> {
        for epoch in 0..self.config.num_train_epochs {
            let order = self.order_of(epoch);
            for (number, prompts) in order.chunks(self.config.prompts_per_step()).enumerate() {
                let (_, loss) = self.loss_at(epoch, number * self.config.prompts_per_step())?;
                for micro in prompts.chunks(self.config.per_device_train_batch_size) {
                    self.expect_time()?;
                    self.score_drawn(&self.lists(micro, epoch, &loss)?)?;
                }
            }
        }
        for number in 0..self.held_out.len() {
            self.expect_time()?;
            let example = &self.held_out[number];
            let all: Vec<(usize, usize)> = (0..example.rewards.len()).map(|response| (number, response)).collect();
            let chunk_tokens = self.memory.chunk_tokens(&ListShape::from(&example.group));
            self.reference.score(&self.policy, &self.held_out, &all, chunk_tokens)?;
        }
        self.reference.save()
    }

    /// Refuses to go on once somebody wants the run to end; what has been scored is saved for the next one.
    fn expect_time(&mut self) -> Result<()> {
        self.interrupt.check().inspect_err(|_| {
            // That the run is to end is what there is to report.
            let _ = self.reference.save();
        })
    }

    fn score_drawn(&mut self, lists: &[List]) -> Result<()> {
        for plan in self.memory.plan(&List::shapes(lists))? {
            let drawn: Vec<(usize, usize)> = lists[plan.lists].iter().flat_map(List::drawn).collect();
            self.reference.score(&self.policy, &self.examples, &drawn, plan.chunk_tokens)?;
        }
        Ok(())
    }

    /// The examples that a run which goes on from here will score or read, and the held-out ones.
    pub(super) fn to_come(&self) -> impl Iterator<Item = &Example> {
        let (epoch, position) = (self.step / self.steps_per_epoch(), self.step % self.steps_per_epoch());
        let left = match u64::from(self.config.num_train_epochs) - epoch {
            // All are scored before the first step.
            _ if self.policy.adapter.is_none() => (0..self.examples.len()).collect(),
            0 => Vec::new(),
            1 => self.order_of(epoch as u32).split_off(position as usize * self.config.prompts_per_step()),
            _ => (0..self.examples.len()).collect(),
        };
        left.into_iter().map(|number| &self.examples[number]).chain(&self.held_out)
    }

    /// Prompts of all epochs: the length of the γ schedule.
    pub(in crate::train) fn prompts_in_all(&self) -> usize {
        self.examples.len() * self.config.num_train_epochs as usize
    }

    /// The order of an epoch: Fisher–Yates, the `i`-th exchange by Philox at counter `[i, 0, epoch, ORDER]`.
    pub(super) fn order_of(&self, epoch: u32) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.examples.len()).collect();
        if self.config.shuffle {
            let philox = Philox::new(self.config.seed);
            for last in (1..order.len()).rev() {
                let word = philox.block([last as u32, 0, epoch, ORDER])[0];
                order.swap(last, ((u64::from(word) * (last as u64 + 1)) >> 32) as usize);
            }
        }
        order
    }
}

/// The widest list that the loss may read of an example.
pub(in crate::train) fn widest_read(example: &Example, config: &TrainConfig) -> ListShape {
    let mut shape = ListShape::from(&example.group);
    match config.loss.reads() {
        _ if config.task == Task::Sft => shape.responses.truncate(1),
        Reads::Ends => shape.responses = vec![shape.responses[0], shape.responses[shape.responses.len() - 1]],
        Reads::Drawn(..) => {
            shape.responses[1..].sort_unstable_by(|left, right| right.cmp(left));
            shape.responses.truncate(1 + config.draws());
        }
        Reads::All => {}
    }
    shape
}
