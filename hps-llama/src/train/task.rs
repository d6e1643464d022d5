//! What the tasks do differently; all else of a run is the same for the three.
//!
//! | task | reads of a row | `L` of an update | `c` |
//! |---|---|---|---|
//! | preference | what the loss reads | mean loss a prompt | `∂L/∂log π_i` |
//! | sft | the preferred response | `−Σ_t log p_t / N`, its `N` response tokens | `−1/N` |
//! | reward | what the loss reads | mean loss a prompt, of `s_i = r_i` | `∂L/∂r_i` |

use super::options::Task;
use super::{Example, StepLog};
use crate::backend::Backend;
use crate::model::Policy;
use crate::pack::Group;
use crate::parameter::Parameter;
use crate::{Error, ErrorKind, Result};

impl Task {
    /// Refuses a policy with another head than the task trains.
    pub(super) fn check<B: Backend>(self, policy: &Policy<B>) -> Result<()> {
        let refused = |message: String| Err(Error::new(ErrorKind::Option, message));
        match (self, policy.score_head()) {
            (Task::Reward, None) => {
                refused(format!("`task` is reward, but the model has no `{}`", Parameter::Score)) //
            }
            (Task::Preference | Task::Sft, Some(score)) => {
                let head = Parameter::Head;
                refused(format!("`task` is {self}, but the model has `{score}` in the place of `{head}`"))
            }
            _ => Ok(()),
        }
    }

    /// What a prompt of an update weighs in its loss; in SFT, a token.
    pub(super) fn share<'a>(self, prompts: impl Iterator<Item = &'a Example>) -> f64 {
        let count = |example: &Example| if self == Task::Sft { example.group.responses[0].len() } else { 1 };
        1.0 / prompts.map(count).sum::<usize>() as f64
    }

    /// Tokens that a forward pass over a list computes.
    pub(super) fn computed_tokens(self, group: &Group) -> usize {
        if self == Task::Reward { group.tokens() } else { group.computed_tokens() }
    }
}

/// SFT's loss of a preferred response into the log, and `∂L/∂log p` of its tokens; `share` is `1/N`.
pub(super) fn supervised(log_probs: &[f64], share: f64, log: &mut StepLog) -> Result<Vec<f32>> {
    log.loss -= share * log_probs.iter().sum::<f64>();
    Ok(vec![-share as f32; log_probs.len()])
}

/// Refuses a score, or a response's log-prob, that is not finite.
pub(super) fn expect_finite(task: Task, numbers: &[f64], step: u64) -> Result<()> {
    let what = if task == Task::Reward { "score" } else { "log-prob" };
    match numbers.iter().find(|number| !number.is_finite()) {
        Some(number) => {
            Err(Error::new(ErrorKind::NonFinite, format!("a response's {what} is {number} at step {step}")))
        }
        None => Ok(()),
    }
}
