//! Two logs of one step, computed by passes of other shapes.

use crate::tolerance::{GRADIENT_NORM, LOG_PROB, REWARD};
use hps_llama::train::StepLog;

/// Asserts that what is computed agrees within the table, and what is counted exactly.
pub fn assert_agree(one: &StepLog, other: &StepLog, what: &str) {
    let numbers = |log: &StepLog| {
        [
            ("loss", log.loss, REWARD),
            ("grad_norm", log.grad_norm, GRADIENT_NORM * one.grad_norm),
            ("rewards/chosen", log.rewards_chosen, REWARD),
            ("rewards/rejected", log.rewards_rejected, REWARD),
            ("rewards/margins", log.rewards_margins, REWARD),
            ("rewards/hard_margins", log.rewards_hard_margins, REWARD),
            ("rewards/accuracies", log.rewards_accuracies, REWARD),
            ("logps/chosen", log.logps_chosen, LOG_PROB),
            ("logps/rejected", log.logps_rejected, LOG_PROB),
        ]
    };
    for ((name, one, allowed), (_, other, _)) in numbers(one).into_iter().zip(numbers(other)) {
        let apart = (one - other).abs();
        println!("{what}: {name} {apart:.1e} apart, allowed {allowed:.1e}");
        assert!(apart <= allowed, "{what}: {name} is {one} and {other}, allowed {allowed:e}");
    }
}
