//! A run's state to a checkpoint and back.

use super::Trainer;
use crate::backend::{Backend, Precision};
use crate::model::Policy;
use crate::train::checkpoint::{Checkpoint, MOMENTS, SaveOptions, State, Trained};
use crate::train::fingerprint::Fingerprint;
use crate::train::{Reference, ReferenceOptions, Split, TrainConfig};
use crate::weights::{Weights, write_safetensors};
use crate::{Error, ErrorKind, Result};
use std::path::PathBuf;

impl<B: Backend> Trainer<B> {
    /// Prepares a run of the policy on the examples, against the reference named.
    ///
    /// # Errors
    /// An option is out of its range, there are no examples, the reference is not named where it is in doubt or its cached
    /// numbers are not this model's, or the device failed.
    pub fn with_reference(
        policy: Policy<B>,
        rows: impl Into<Split>,
        config: TrainConfig,
        reference: &ReferenceOptions,
    ) -> Result<Self> {
        let mut trainer = Self::assemble(policy, rows.into(), config, reference)?;
        trainer.prepare()?;
        Ok(trainer)
    }

    /// Prepares the rest of a run: everything as it was given to [`with_reference`](Self::with_reference) when the run
    /// began (the policy untrained), then the checkpoint's weights, moments and counters. The steps to come are those of
    /// the run that was not interrupted, to the bit.
    ///
    /// # Errors
    /// As there; and a checkpoint of another run, naming the field that differs and both values.
    pub fn resume(
        policy: Policy<B>,
        rows: impl Into<Split>,
        config: TrainConfig,
        reference: &ReferenceOptions,
        checkpoint: &Checkpoint,
    ) -> Result<Self> {
        let mut trainer = Self::assemble(policy, rows.into(), config, reference)?;
        let (state, place) = (&checkpoint.state, checkpoint.state_file());
        trainer.fingerprint()?.check(&state.run, &place)?;
        let total = trainer.total_steps();
        if state.max_steps != total || state.global_step > total {
            let message = format!("step {} of {} is not of a run of {total}", state.global_step, state.max_steps);
            return Err(Error::new(ErrorKind::Checkpoint, message).at(place.display()));
        }
        trainer.prepare()?;
        trainer.restore(checkpoint)?;
        Ok(trainer)
    }

    /// Saves `output_dir/checkpoint-<step>`, whole or not at all, deletes checkpoints beyond `save_total_limit` (never the
    /// one just written), and saves new reference log-probs into their cache.
    ///
    /// # Errors
    /// A file cannot be written; it is named, and earlier checkpoints are as they were.
    pub fn save_checkpoint(&mut self, save: &SaveOptions<'_>) -> Result<PathBuf> {
        let trained = if self.policy.adapter.is_some() { Trained::Adapter } else { Trained::Model };
        let state = State {
            global_step: self.step,
            max_steps: self.total_steps(),
            epoch: self.epoch(),
            num_input_tokens_seen: self.num_tokens,
            trained,
            run: self.fingerprint()?.to_map(),
        };
        let folder = Checkpoint::write(save, &state, |folder| {
            let model = &self.policy.model;
            match &self.policy.adapter {
                Some(adapter) => {
                    adapter.save(model.backend(), model.config(), folder, save.base_model_name_or_path)?;
                }
                None => model.save(folder, Precision::F32)?,
            }
            write_safetensors(&folder.join(MOMENTS), &self.optimizer.tensors(&self.policy)?, Precision::F32)
        })?;
        self.reference.save()?;
        Ok(folder)
    }

    /// Updates done.
    pub fn steps_done(&self) -> u64 {
        self.step
    }

    /// Passes over the data so far, as a fraction.
    pub(in crate::train) fn epoch(&self) -> f64 {
        self.step as f64 / self.steps_per_epoch() as f64
    }

    /// What the policy is measured against.
    pub fn reference(&self) -> &Reference<B> {
        &self.reference
    }

    /// The same, to save its log-probs at the end of a run.
    pub fn reference_mut(&mut self) -> &mut Reference<B> {
        &mut self.reference
    }

    /// Scores everything with a base that is about to change.
    fn prepare(&mut self) -> Result<()> {
        if self.policy.adapter.is_some() {
            return Ok(());
        }
        self.score_reference()
    }

    fn restore(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let State { global_step, num_input_tokens_seen, trained, .. } = checkpoint.state;
        let open = |name: &str| Weights::from_files(&[checkpoint.folder().join(name)]);
        let stored = open(trained.weights_file())?;
        let backend = self.policy.model.backend().clone();
        let parameters: Vec<_> = self.policy.trained().keys().copied().collect();
        for parameter in parameters {
            let shape = self.policy.shape(parameter);
            let weight = stored.read(&parameter.to_string(), shape, |tensor| backend.upload_weight(tensor, true))?;
            self.policy.trained_mut().insert(parameter, weight);
        }
        self.optimizer.restore(&self.policy, &open(MOMENTS)?, global_step)?;
        (self.step, self.num_tokens) = (global_step, num_input_tokens_seen);
        self.order = self.order_of((global_step / self.steps_per_epoch()) as u32);
        Ok(())
    }

    pub(in crate::train) fn steps_per_epoch(&self) -> u64 {
        self.total_steps() / u64::from(self.config.num_train_epochs)
    }

    fn fingerprint(&mut self) -> Result<Fingerprint> {
        let base = match self.base {
            Some(base) => base,
            None => *self.base.insert(self.policy.model.digest()?),
        };
        let reference = self.reference.description();
        Ok(Fingerprint::of(&self.policy, (&self.examples, &self.held_out), &self.config, base, reference))
    }
}
