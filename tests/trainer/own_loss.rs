//! A loss of the program's own in a trainer's hands.

use crate::lists::{list, uneven};
use crate::policy::{adapted, fresh};
use crate::run::{config, named, run, trainer};
use hps_core::{Error, ListLoss, Responses};
use hps_llama::ErrorKind;
use hps_llama::backend::Backend;
use hps_llama::train::options::Task;
use hps_llama::train::{Checkpoint, Example, Outline, ReferenceOptions, SaveOptions, TrainConfig, TrainLoss, Trainer};
use std::fmt;

/// DPO of the first and the last response, written down anew: `softplus(−β (h_1 − h_n))`.
#[derive(Debug)]
struct Dpo {
    beta: f64,
}

impl ListLoss for Dpo {
    fn identity(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        write!(out, "my dpo {{beta: {:?}}}", self.beta)
    }

    fn reads_rewards(&self) -> bool {
        false
    }

    fn value_and_gradient(&self, row: &Responses<'_, f64>, _: &mut [f64], gradient: &mut [f64]) -> Result<f64, Error> {
        let (policy, last) = (row.policy(), row.count() - 1);
        let reference = row.reference().ok_or(Error::custom("no reference"))?;
        let lead = self.beta * ((policy[0] - reference[0]) - (policy[last] - reference[last]));
        gradient.fill(0.0);
        gradient[last] = self.beta / (1.0 + lead.exp());
        gradient[0] = -gradient[last];
        Ok((-lead).exp().ln_1p())
    }

    fn scores(&self, row: &Responses<'_, f64>, out: &mut [f64]) -> Result<(), Error> {
        named("dpo-bt").scores(row, out)
    }
}

/// The likelihood of the preferred response, which needs no reference.
#[derive(Debug)]
struct Likelihood {
    value: f64,
}

impl ListLoss for Likelihood {
    fn identity(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        write!(out, "likelihood")
    }

    fn reads_reference(&self) -> bool {
        false
    }

    fn scratch_len(&self, responses: usize) -> usize {
        3 * responses
    }

    fn value_and_gradient(
        &self,
        row: &Responses<'_, f64>,
        scratch: &mut [f64],
        gradient: &mut [f64],
    ) -> Result<f64, Error> {
        assert_eq!((scratch.len(), gradient.len()), (3 * row.count(), row.count()));
        assert!(row.reference().is_none() && row.lengths().is_some() && row.rewards().is_some());
        gradient.fill(0.0);
        gradient[0] = -1.0;
        Ok(self.value - row.policy()[0])
    }
}

fn pairs(count: u32) -> Vec<Example> {
    (0..count).map(|row| list(row, 2)).collect()
}

fn with(loss: TrainLoss) -> TrainConfig {
    TrainConfig { loss, num_train_epochs: 2, per_device_train_batch_size: 2, ..config("dpo-bt") }
}

#[test]
fn dpo_written_anew_trains_as_dpo() {
    let (examples, beta) = (pairs(6), 0.1);
    let (expected, _) = run(adapted(), &examples, with(named("dpo-bt").into()));
    let (logs, _) = run(adapted(), &examples, with(TrainLoss::own(Dpo { beta })));
    assert!(expected.len() >= 6);
    for (log, expected) in logs.iter().zip(&expected) {
        let near = |one: f64, other: f64| (one - other).abs() <= 1e-6 * other.abs().max(1.0);
        assert!(near(log.loss, expected.loss), "{log:?}\n{expected:?}");
        assert!(near(log.grad_norm, expected.grad_norm), "{log:?}\n{expected:?}");
        assert!(near(log.rewards_margins, expected.rewards_margins), "{log:?}\n{expected:?}");
    }
    assert_ne!(logs[5].loss, logs[0].loss, "it trains");
}

/// Of lists all responses are read.
#[test]
fn no_reference_is_computed_for_who_reads_none() {
    for loss in [TrainLoss::own(Likelihood { value: 0.0 }), named("simpo-pl").into(), named("cpo-hps").into()] {
        let mut trainer = trainer(adapted(), &uneven(4), with(loss));
        while trainer.step().expect("a step").is_some() {}
        assert_eq!((trainer.reference().computed(), trainer.reference().description()), (0, "none"));
    }
    let mut trainer = trainer(adapted(), &uneven(4), with(TrainLoss::own(Dpo { beta: 0.1 })));
    trainer.step().expect("a step");
    assert!(trainer.reference().computed() > 0);
}

#[test]
fn a_value_that_is_no_number_is_refused_before_the_run() {
    let error = Trainer::new(fresh(0.0), uneven(4), with(TrainLoss::own(Likelihood { value: f64::NAN })));
    let error = error.expect_err("NaN");
    assert_eq!(error.kind(), ErrorKind::Loss, "{error}");
    assert!(error.to_string().contains("not a finite number"), "{error}");
}

#[test]
fn it_trains_preferences_only() {
    let config = TrainConfig { task: Task::Reward, ..with(TrainLoss::own(Dpo { beta: 0.1 })) };
    let policy = fresh(0.0);
    let footprint = policy.model.backend().footprint();
    let outline = Outline { model: policy.model.config(), lora: None, stored: &[], footprint };
    let error = outline.check(&config, &uneven(4).into()).expect_err("a reward model's");
    assert!(error.to_string().contains("my dpo {beta: 0.1} with `task` reward"), "{error}");
}

/// Its identity is part of the run's: with another one, and with another number in it, a run does not go on.
#[test]
fn a_run_goes_on_with_the_same_loss_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut first = Trainer::new(fresh(0.0), pairs(6), with(TrainLoss::own(Dpo { beta: 0.1 }))).expect("a trainer");
    first.step().expect("a step");
    let save = SaveOptions {
        output_dir: folder.path(),
        base_model_name_or_path: "models/tiny",
        metrics: None,
        save_total_limit: None,
    };
    first.save_checkpoint(&save).expect("a checkpoint");
    let (checkpoint, _) = Checkpoint::latest(folder.path()).expect("intact").expect("one");
    let resume =
        |loss: TrainLoss| Trainer::resume(fresh(0.0), pairs(6), with(loss), &ReferenceOptions::default(), &checkpoint);
    assert!(resume(TrainLoss::own(Dpo { beta: 0.1 })).is_ok());
    for (loss, said) in [
        (
            TrainLoss::own(Dpo { beta: 0.2 }),
            "is my dpo {beta: 0.1} in the checkpoint but my dpo {beta: 0.2} in this run",
        ),
        (named("dpo-bt").into(), "is my dpo {beta: 0.1} in the checkpoint but dpo-bt in this run"),
    ] {
        let error = resume(loss).expect_err("another loss");
        assert_eq!(error.kind(), ErrorKind::Checkpoint);
        assert!(error.to_string().contains(said), "{error}");
    }
}
