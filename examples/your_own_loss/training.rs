//! The focal loss in the hands of `hps_llama`'s trainer: pairs that a tiny model tells apart by chance, until it does.

use crate::focal;
use hps_core::{Dual, Error, ListLoss, Responses};
use hps_llama::backend::cpu::Cpu;
use hps_llama::chat::Chat;
use hps_llama::lora::{Lora, LoraConfig};
use hps_llama::model::{Llama, Policy};
use hps_llama::train::{TrainConfig, TrainLoss, Trainer, tokenize};
use hps_llama::{Result, data};
use std::fmt;

const MODEL: &str = "tests/data/models/tiny";
const ROWS: &str = "tests/data/trl-sigmoid/preferences.jsonl";

/// `L` of the implicit rewards `s_i = β (log π_i − log π_ref,i)`.
#[derive(Debug)]
struct Focal {
    beta: f64,
}

impl ListLoss for Focal {
    /// All that it computes with: a run goes on with this loss and this `β` only.
    fn identity(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        write!(out, "focal {{beta: {:?}}}", self.beta)
    }

    /// The order says who is best.
    fn reads_rewards(&self) -> bool {
        false
    }

    fn value_and_gradient(
        &self,
        row: &Responses<'_, f64>,
        _scratch: &mut [f64],
        gradient: &mut [f64],
    ) -> std::result::Result<f64, Error> {
        let mut scores = vec![0.0; row.count()];
        self.scores(row, &mut scores)?;
        let mut duals: Vec<Dual<f64>> = scores.iter().copied().map(Dual::constant).collect();
        let mut value = 0.0;
        for (rank, entry) in gradient.iter_mut().enumerate() {
            duals[rank] = Dual::variable(scores[rank]);
            let Ok(loss) = focal(&duals);
            (value, *entry) = (loss.value(), self.beta * loss.derivative());
            duals[rank] = Dual::constant(scores[rank]);
        }
        Ok(value)
    }

    fn scores(&self, row: &Responses<'_, f64>, out: &mut [f64]) -> std::result::Result<(), Error> {
        let reference = row.reference().ok_or(Error::custom("the focal loss needs a reference"))?;
        for ((score, policy), reference) in out.iter_mut().zip(row.policy()).zip(reference) {
            *score = self.beta * (policy - reference);
        }
        Ok(())
    }
}

/// Trains an adapter, and checks that the margin has grown.
pub fn train() -> Result<()> {
    let model = Llama::from_folder(Cpu, MODEL, false)?;
    let adapter = Some(Lora::fresh(&Cpu, model.config(), LoraConfig::default(), 0)?);
    let (examples, _) = tokenize(&data::read(ROWS)?, &Chat::from_folder(MODEL)?, 2048)?;
    let loss = TrainLoss::own(Focal { beta: 0.1 });
    let config = TrainConfig {
        loss,
        learning_rate: 1e-2,
        num_train_epochs: 3,
        per_device_train_batch_size: 8,
        gradient_accumulation_steps: 1,
        ..TrainConfig::default()
    };
    let mut trainer = Trainer::new(Policy { model, adapter }, examples, config)?;
    println!("\ntraining a tiny Llama");
    let mut margin = 0.0;
    while let Some(log) = trainer.step()? {
        println!("step {}: {:.4} nats, margin {:+.3}", log.step, log.loss, log.rewards_margins);
        margin = log.rewards_margins;
    }
    assert!(margin > 0.0, "{margin}");
    Ok(())
}
