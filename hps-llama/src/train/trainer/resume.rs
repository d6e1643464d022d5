//! A run's state to a checkpoint and back.

use super::Trainer;
use crate::backend::{Backend, Precision};
use crate::model::Policy;
use crate::train::checkpoint::{Checkpoint, MOMENTS, REFERENCE, SaveOptions, State, Trained};
use crate::train::fingerprint::{Fingerprint, TrainedAdapter};
use crate::train::{Interrupt, Reference, ReferenceOptions, Split, TrainConfig};
use crate::weights::{Weights, write_safetensors};
use crate::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

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
        Self::begin(policy, rows, config, reference, None, &Interrupt::default())
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
        Self::begin(policy, rows, config, reference, Some(checkpoint), &Interrupt::default())
    }

    /// [`with_reference`](Self::with_reference), or [`resume`](Self::resume) from a checkpoint, until somebody wants it to
    /// end: the reference's pass and evaluations look between rows.
    ///
    /// # Errors
    /// As there; and of the kind [`ErrorKind::Interrupted`].
    pub fn begin(
        policy: Policy<B>,
        rows: impl Into<Split>,
        config: TrainConfig,
        reference: &ReferenceOptions,
        checkpoint: Option<&Checkpoint>,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let mut trainer = Self::assemble(policy, rows.into(), config, reference, interrupt)?;
        interrupt.check()?;
        let Some(checkpoint) = checkpoint else {
            trainer.prepare()?;
            return Ok(trainer);
        };
        let (state, place) = (&checkpoint.state, checkpoint.state_file());
        trainer.fingerprint()?.check(&state.run, &place)?;
        let total = trainer.total_steps();
        if state.max_steps != total || state.global_step > total {
            let message = format!("step {} of {} is not of a run of {total}", state.global_step, state.max_steps);
            return Err(Error::new(ErrorKind::Checkpoint, message).at(place.display()));
        }
        trainer.reference.restore(&checkpoint.folder().join(REFERENCE))?;
        trainer.prepare()?;
        trainer.restore(checkpoint)?;
        Ok(trainer)
    }

    /// Saves `output_dir/checkpoint-<step>`, whole or not at all, and deletes checkpoints beyond `save_total_limit` (never
    /// the one just written).
    ///
    /// # Errors
    /// A file cannot be written; it is named, and earlier checkpoints are as they were. The state is not
    /// [sound](Self::expect_sound).
    pub fn save_checkpoint(&mut self, save: &SaveOptions<'_>) -> Result<PathBuf> {
        self.expect_sound()?;
        self.policy.model.expect_unchanged()?;
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
            self.reference.keep(&folder.join(REFERENCE), self.to_come())?;
            write_safetensors(&folder.join(MOMENTS), &self.optimizer.tensors(&self.policy)?, Precision::F32)
        })?;
        self.checkpoint = Some((self.step, folder.clone()));
        Ok(folder)
    }

    /// The checkpoint that was saved last, or that the run goes on from: its step and its folder.
    pub fn last_checkpoint(&self) -> Option<(u64, &Path)> {
        self.checkpoint.as_ref().map(|(step, folder)| (*step, folder.as_path()))
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
        self.checkpoint = Some((global_step, checkpoint.folder().to_path_buf()));
        self.state_norm = self.first_norm().map_err(|error| error.at(checkpoint.folder().display()))?;
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
        let reference = self.reference.identity();
        let (model, rows) = (&self.policy.model, [&self.examples[..], &self.held_out]);
        let modules = self.policy.adapter.as_ref().map(|adapter| adapter.target_modules(model.config()));
        let adapter = self.policy.adapter.as_ref().zip(modules.as_deref());
        let adapter = adapter.map(|(adapter, modules)| {
            let (options, seed) = (adapter.config(), adapter.seed());
            TrainedAdapter { options, seed, modules }
        });
        Ok(Fingerprint::planned(rows, &self.config, adapter).on(base, &reference, &model.arithmetic()))
    }
}
