//! What a step reports, by TRL's names: true averages over all prompts of the step.
//!
//! Numbers that a task does not have are NaN, which JSON's writer makes `null`: log-probs of a reward model, log-probs and
//! rewards of SFT.

use super::options::Task;
use serde::Serialize;

/// One optimiser step's line in the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct StepLog {
    /// 1-based number of the update.
    pub step: u64,
    /// Prompts (in SFT, response tokens) that it averages over.
    #[serde(skip)]
    pub weight: usize,
    /// Updates in all.
    pub total_steps: u64,
    /// Passes over the data so far, as a fraction.
    pub epoch: f64,
    /// Mean loss a prompt, nats; in SFT, a response token.
    pub loss: f64,
    /// Global norm of the gradient before clipping.
    pub grad_norm: f64,
    /// Learning rate of this update.
    pub learning_rate: f64,
    /// Mean reward `β (log π − log π_ref)` of the preferred responses; a reward model's own.
    #[serde(rename = "rewards/chosen")]
    pub rewards_chosen: f64,
    /// The same of the other responses, averaged a prompt first.
    #[serde(rename = "rewards/rejected")]
    pub rewards_rejected: f64,
    /// Share of prompts whose preferred response has the greatest reward of those trained on; of `k` that share it, `1 / k`,
    /// so that a policy that knows nothing is at chance. (TRL counts a tie as wrong.)
    #[serde(rename = "rewards/accuracies")]
    pub rewards_accuracies: f64,
    /// `rewards/chosen − rewards/rejected`.
    #[serde(rename = "rewards/margins")]
    pub rewards_margins: f64,
    /// Mean margin of the preferred reward to the greatest other one.
    #[serde(rename = "rewards/hard_margins")]
    pub rewards_hard_margins: f64,
    /// Mean summed log-prob of the preferred responses, nats.
    #[serde(rename = "logps/chosen")]
    pub logps_chosen: f64,
    /// The same of the other responses, averaged a prompt first.
    #[serde(rename = "logps/rejected")]
    pub logps_rejected: f64,
    /// Tokens of all trained sequences so far, each with its prompt, as TRL counts them.
    pub num_tokens: u64,
    /// Tokens computed by forward passes with a backward in this step: shared prompts once.
    pub computed_tokens: u64,
    /// γ of the negative sampler at this step's first prompt; `null` for losses without one.
    pub gamma: Option<f64>,
}

impl StepLog {
    /// Several steps as one line: averages over all they average over (of the gradient's norm, over the steps); counters, learning
    /// rate and γ of the last. `None` of none.
    pub fn mean(steps: &[StepLog]) -> Option<StepLog> {
        let last = steps.last()?;
        let weight: usize = steps.iter().map(|step| step.weight).sum();
        let mean = |of: fn(&StepLog) -> f64| {
            let weighted = steps.iter().map(|step| step.weight as f64 * of(step));
            if let [only] = steps { of(only) } else { weighted.sum::<f64>() / weight as f64 }
        };
        Some(StepLog {
            weight,
            loss: mean(|step| step.loss),
            grad_norm: steps.iter().map(|step| step.grad_norm).sum::<f64>() / steps.len() as f64,
            rewards_chosen: mean(|step| step.rewards_chosen),
            rewards_rejected: mean(|step| step.rewards_rejected),
            rewards_accuracies: mean(|step| step.rewards_accuracies),
            rewards_margins: mean(|step| step.rewards_margins),
            rewards_hard_margins: mean(|step| step.rewards_hard_margins),
            logps_chosen: mean(|step| step.logps_chosen),
            logps_rejected: mean(|step| step.logps_rejected),
            computed_tokens: steps.iter().map(|step| step.computed_tokens).sum(),
            ..*last
        })
    }

    /// Leaves out what the task does not have.
    pub(super) fn keep(&mut self, task: Task) {
        if task != Task::Preference {
            (self.logps_chosen, self.logps_rejected) = (f64::NAN, f64::NAN);
        }
        if task == Task::Sft {
            (self.rewards_chosen, self.rewards_rejected, self.rewards_accuracies) = (f64::NAN, f64::NAN, f64::NAN);
            (self.rewards_margins, self.rewards_hard_margins) = (f64::NAN, f64::NAN);
        }
    }

    /// Adds one prompt's loss, rewards and log-probs, best first, at weight `share`.
    pub(super) fn add(&mut self, share: f64, loss: f64, rewards: &[f64], log_probs: &[f64]) {
        let others = (rewards.len() - 1) as f64;
        let rejected = rewards[1..].iter().sum::<f64>() / others;
        let hardest = rewards[1..].iter().copied().fold(f64::NEG_INFINITY, f64::max);
        self.loss += share * loss;
        self.rewards_chosen += share * rewards[0];
        self.rewards_rejected += share * rejected;
        self.rewards_margins += share * (rewards[0] - rejected);
        self.rewards_hard_margins += share * (rewards[0] - hardest);
        let highest = rewards.iter().filter(|reward| **reward == rewards[0]).count() as f64;
        self.rewards_accuracies += if rewards[0] >= hardest { share / highest } else { 0.0 };
        self.logps_chosen += share * log_probs[0];
        self.logps_rejected += share * log_probs[1..].iter().sum::<f64>() / others;
    }
}
