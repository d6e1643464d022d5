//! How the policy does on rows that it is not trained on: every response of each, dropout off.
//!
//! The loss is the run's, at the γ its schedule ends with and with the negatives of the first epoch, so that it is the same
//! comparison at every evaluation; rewards and margins are over whole lists.

use super::options::Task;
use super::task::{expect_finite, supervised};
use super::trainer::{Trainer, scores, value_and_gradient};
use super::{ListShape, StepLog};
use crate::Result;
use crate::backend::Backend;
use crate::pack::Packed;
use serde::Serialize;

/// An evaluation's line in the log, by TRL's names; true averages over all held-out prompts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Evaluation {
    /// Updates done.
    pub step: u64,
    /// Passes over the data so far, as a fraction.
    pub epoch: f64,
    /// Mean loss a prompt, nats.
    pub eval_loss: f64,
    /// Mean reward of the preferred responses.
    #[serde(rename = "eval_rewards/chosen")]
    pub rewards_chosen: f64,
    /// The same of all others, averaged a prompt first.
    #[serde(rename = "eval_rewards/rejected")]
    pub rewards_rejected: f64,
    /// Share of prompts whose preferred response has the greatest reward of its list; of `k` that share it, `1 / k`.
    #[serde(rename = "eval_rewards/accuracies")]
    pub rewards_accuracies: f64,
    /// `chosen − rejected`.
    #[serde(rename = "eval_rewards/margins")]
    pub rewards_margins: f64,
    /// Mean margin of the preferred reward to the greatest other one.
    #[serde(rename = "eval_rewards/hard_margins")]
    pub rewards_hard_margins: f64,
    /// Mean summed log-prob of the preferred responses, nats.
    #[serde(rename = "eval_logps/chosen")]
    pub logps_chosen: f64,
    /// The same of the others, averaged a prompt first.
    #[serde(rename = "eval_logps/rejected")]
    pub logps_rejected: f64,
}

impl<B: Backend> Trainer<B> {
    /// Evaluates the policy as it is on the held-out rows; `None` if there are none.
    ///
    /// # Errors
    /// The loss refuses a row or its log-probs are not finite, with the row's place; the device failed; a signal asks for
    /// the end.
    pub fn evaluate(&mut self) -> Result<Option<Evaluation>> {
        if self.held_out.is_empty() {
            return Ok(None);
        }
        let share = self.config.task.share(self.held_out.iter());
        let mut log = StepLog { step: self.step, ..StepLog::default() };
        for number in 0..self.held_out.len() {
            self.interrupt.check()?;
            let evaluated = self.evaluate_row(number, share, &mut log);
            evaluated.map_err(|error| self.blame(error.at(&self.held_out[number].place)))?;
        }
        log.keep(self.config.task);
        Ok(Some(Evaluation {
            step: self.step,
            epoch: self.epoch(),
            eval_loss: log.loss,
            rewards_chosen: log.rewards_chosen,
            rewards_rejected: log.rewards_rejected,
            rewards_accuracies: log.rewards_accuracies,
            rewards_margins: log.rewards_margins,
            rewards_hard_margins: log.rewards_hard_margins,
            logps_chosen: log.logps_chosen,
            logps_rejected: log.logps_rejected,
        }))
    }

    fn evaluate_row(&mut self, number: usize, share: f64, log: &mut StepLog) -> Result<()> {
        let example = &self.held_out[number];
        let all: Vec<(usize, usize)> = (0..example.rewards.len()).map(|response| (number, response)).collect();
        let chunk_tokens = self.memory.chunk_tokens(&ListShape::from(&example.group));
        let reference = self.reference.log_probs(&self.policy, &self.held_out, &all, chunk_tokens)?;
        let reference = Packed::sums(&reference, &example.group.scored());
        let (group, adapter) = (std::slice::from_ref(&example.group), self.policy.adapter.as_ref());
        let log_probs = self.policy.response_log_probs(group, adapter, chunk_tokens)?;
        let policy: Vec<f64> = log_probs.iter().map(|tokens| tokens.iter().copied().map(f64::from).sum()).collect();
        expect_finite(self.config.task, &policy, self.step)?;
        if self.config.task == Task::Sft {
            return supervised(&policy[..1], share, log).map(drop);
        }

        let count = self.prompts_in_all();
        let gamma = self.config.gamma_schedule.at(count - 1, count);
        let loss = self.config.loss.with_gamma(gamma).unwrap_or_else(|_| self.config.loss.clone());
        let drawn = self.draw(example, 0, &loss)?;
        let pick = |numbers: &[f64]| -> Vec<f64> { drawn.responses.iter().map(|index| numbers[*index]).collect() };
        let (value, _) = value_and_gradient(&loss, example, &drawn, &pick(&policy), &pick(&reference))?;
        let everyone: Vec<usize> = (0..example.rewards.len()).collect();
        let scores = scores(&loss, example, &everyone, &policy, &reference)?;
        log.add(share, value, &scores, &policy);
        Ok(())
    }
}
