//! Training with dropout on the adapter's input.

use crate::lists::uneven;
use crate::policy::fresh;
use crate::run::{LOSSES, config, run};
use crate::weights::trained;
use hps_llama::train::{StepLog, TrainConfig};

fn dropped(loss: &str, lora_dropout: f64) -> (Vec<StepLog>, Vec<f32>) {
    let config = TrainConfig { num_train_epochs: 3, shuffle: true, ..config(loss) };
    let (logs, policy) = run(fresh(lora_dropout), &uneven(6), config);
    (logs, trained(&policy))
}

#[test]
fn a_run_with_dropout_is_reproducible() {
    for loss in LOSSES {
        let [one, again, off] = [0.3, 0.3, 0.0].map(|rate| dropped(loss, rate));
        assert_eq!(one, again, "{loss}: the same bits");
        assert_ne!(one.1, off.1, "{loss}: other weights without dropout");
        assert_eq!(one.0[0].loss, off.0[0].loss, "{loss}: a fresh B of zeros hides the masks");
        assert_ne!(one.0[0].grad_norm, off.0[0].grad_norm, "{loss}");
        assert_ne!(one.0[1].loss, off.0[1].loss, "{loss}");
    }
}

/// At a rate too small to move a weight, two passes over the same data differ by their masks alone.
#[test]
fn each_step_has_its_own_masks() {
    for (rate, alike) in [(0.3, false), (0.0, true)] {
        let config = TrainConfig { learning_rate: 1e-30, num_train_epochs: 2, ..config("dpo-pl") };
        let (logs, _) = run(fresh(rate), &uneven(4), config);
        assert_eq!(logs[0].grad_norm == logs[1].grad_norm, alike, "dropout {rate}");
    }
}
