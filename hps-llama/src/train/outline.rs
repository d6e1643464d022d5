//! What a run is over, and what of it is refused before its first update: all that its options, its rows and its model's
//! shape tell.

use super::drawn::Drawn;
use super::options::Task;
use super::train_loss::Reads;
use super::trainer::{retained, value_and_gradient, widest_read};
use super::{Example, Memory, Plan, Split, TrainConfig, TrainLoss};
use crate::backend::{Footprint, StoredSize};
use crate::config::LlamaConfig;
use crate::lora::LoraConfig;
use crate::parameter::Parameter;
use crate::reward_model::expect_ends;
use crate::{Error, ErrorKind, Result};
use hps_core::{NegativeSampler, Position};

/// A model and what is trained of it, by their shapes.
#[derive(Debug, Clone, Copy)]
pub struct Outline<'a> {
    /// The model's shape.
    pub model: &'a LlamaConfig,
    /// The adapter to be trained; `None` where all weights are.
    pub lora: Option<&'a LoraConfig>,
    /// What the model's weights take in their files; none where they are in none, but made.
    pub stored: &'a [StoredSize],
    /// What numbers take on the device.
    pub footprint: Footprint,
}

impl Outline<'_> {
    /// Refuses what a run would stop at later: options out of their range, rows that the model or the loss cannot read, a
    /// memory budget that one of them does not fit. Returns how the list that takes most goes through the model.
    ///
    /// The loss is tried on each row with a policy that is its reference, at the ends of the run's course of γ.
    ///
    /// # Errors
    /// As said, with the row's place.
    pub fn check(&self, config: &TrainConfig, rows: &Split) -> Result<Plan> {
        config.check()?;
        let config = &TrainConfig { loss: config.scored_loss()?, ..config.clone() };
        if rows.train.is_empty() {
            return Err(Error::new(ErrorKind::Row, "there are no examples to train on"));
        }
        let losses = losses(config, rows.train.len())?;
        for (example, held_out) in rows.train.iter().map(|e| (e, false)).chain(rows.held_out.iter().map(|e| (e, true)))
        {
            example.check(self.model.vocab_size)?;
            self.check_row(config, &losses, example, held_out).map_err(|error| error.at(&example.place))?;
        }
        let memory = Memory::of(self, config);
        memory.largest(rows.train.iter().map(|example| (example, widest_read(example, config))))
    }

    fn check_row(&self, config: &TrainConfig, losses: &[TrainLoss], example: &Example, held_out: bool) -> Result<()> {
        let count = example.group.responses.len();
        if config.task == Task::Sft {
            return Ok(());
        }
        if count < 2 {
            let message = format!("a preference needs 2 responses, there are {count}");
            return Err(Error::new(ErrorKind::Row, message));
        }
        if config.task == Task::Reward {
            expect_ends(self.model, &example.group)?;
        }
        // A likely policy: a nat a token. It is its own reference.
        let log_probs: Vec<f64> = example.group.responses.iter().map(|response| -(response.len() as f64)).collect();
        for loss in losses {
            for drawn in drawn(config, loss, example)? {
                let read: Vec<f64> = drawn.responses.iter().map(|index| log_probs[*index]).collect();
                value_and_gradient(loss, example, &drawn, &read, &read)?;
            }
        }
        if held_out && let Some(loss) = losses.last() {
            let everyone: Vec<usize> = (0..count).collect();
            super::trainer::scores(loss, example, &everyone, &log_probs, &log_probs)?;
        }
        Ok(())
    }

    /// The weights of the model, and those that are trained: numbers of each.
    pub(super) fn numbers(&self, task: Task) -> (Vec<u64>, Vec<u64>) {
        let of_model = if task == Task::Reward { Parameter::of_reward_model } else { Parameter::of_model };
        let count = |parameter: &Parameter, r: usize| {
            let (rows, columns) = parameter.shape(self.model, r);
            rows as u64 * columns as u64
        };
        let model: Vec<u64> = of_model(self.model).iter().map(|parameter| count(parameter, 0)).collect();
        let Some(lora) = self.lora else { return (model.clone(), model) };
        let mut trained: Vec<u64> =
            lora.parameters(self.model).iter().map(|parameter| count(parameter, lora.r)).collect();
        if task == Task::Reward {
            trained.push(count(&Parameter::AdaptedScore, lora.r));
        }
        (model, trained)
    }
}

/// The loss at the ends of the run's course of γ: between them it is no farther from 0.
fn losses(config: &TrainConfig, examples: usize) -> Result<Vec<TrainLoss>> {
    let count = examples.saturating_mul(config.num_train_epochs as usize);
    if config.loss.gamma().is_none() || config.task == Task::Sft {
        return Ok(vec![config.loss.clone()]);
    }
    let mut ends = vec![config.gamma_schedule.at(0, count), config.gamma_schedule.at(count.saturating_sub(1), count)];
    ends.dedup();
    let refused = |source| Error::new(ErrorKind::Option, "`gamma_schedule` is not the loss's").because(source);
    ends.into_iter().map(|gamma| config.loss.with_gamma(gamma).map_err(refused)).collect()
}

/// What the loss may read of an example: of drawn negatives the first and the last one, between whose rewards all others lie,
/// each alone, and of several also both.
fn drawn(config: &TrainConfig, loss: &TrainLoss, example: &Example) -> Result<Vec<Drawn>> {
    let count = example.rewards.len();
    match loss.reads() {
        Reads::Ends => Ok(vec![Drawn::these(vec![0, count - 1])]),
        Reads::Drawn(named, ties) => {
            let position = Position { row: example.group.row, epoch: 0, draw: 0 };
            let sampler = NegativeSampler::new(config.seed);
            named.draw(&sampler, &example.rewards, position).map_err(super::trainer::refused)?;
            let negatives: Vec<usize> = retained(ties, &example.rewards).collect();
            let ends: Vec<usize> = [negatives.first(), negatives.last()].into_iter().flatten().copied().collect();
            let mut drawn: Vec<Drawn> = ends.iter().map(|negative| Drawn::among_negatives(&[*negative])).collect();
            if named.reads_samples() {
                drawn.push(Drawn::among_negatives(&ends));
            }
            Ok(drawn)
        }
        Reads::All => Ok(vec![Drawn::these((0..count).collect())]),
    }
}
