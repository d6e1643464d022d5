//! A state that is finite, or the reason why it is not.

use super::Trainer;
use crate::backend::Backend;
use crate::model::Gradients;
use crate::parameter::Parameter;
use crate::{Error, ErrorKind, Result};
use std::collections::BTreeMap;

impl<B: Backend> Trainer<B> {
    /// Refuses a state with a weight or a moment that is not finite: it is not to be saved as if it were sound.
    ///
    /// # Errors
    /// As said.
    pub fn expect_sound(&self) -> Result<()> {
        if self.state_norm.is_finite() {
            return Ok(());
        }
        let message = format!(
            "the trained weights or their moments are not finite after step {}, so they are not saved; the last \
             checkpoint is the state to go on from",
            self.step
        );
        Err(Error::new(ErrorKind::NonFinite, message))
    }

    /// Updates the weights by a gradient of a finite norm; whether the state is finite after it. If it is not, the state
    /// before it is put back.
    pub(super) fn apply(
        &mut self,
        gradients: &Gradients<B>,
        norm: &B::Array,
        grad_norm: f64,
        learning_rate: f64,
    ) -> Result<bool> {
        let before = self.state_norm;
        let kept = match self.optimizer.stays_finite(before, grad_norm, learning_rate) {
            true => None,
            false => Some(self.optimizer.keep(&self.policy)?),
        };
        // Until it has been looked at it is not sound, whatever fails in between.
        self.state_norm = f64::NAN;
        self.optimizer.apply(&mut self.policy, gradients, norm, learning_rate)?;
        let after = self.optimizer.state_norm(&self.policy)?;
        if after.is_finite() {
            self.state_norm = after;
        } else if let Some(kept) = kept {
            self.optimizer.put_back(&mut self.policy, kept)?;
            self.state_norm = before;
        }
        Ok(after.is_finite())
    }

    /// The norm of a state that nothing has been done to yet.
    pub(super) fn first_norm(&self) -> Result<f64> {
        let norm = self.optimizer.state_norm(&self.policy)?;
        if norm.is_finite() {
            return Ok(norm);
        }
        let message = match self.not_finite()? {
            Some(found) => format!("{found}; such weights cannot be trained"),
            None => "the weights to be trained are so large that their norm is beyond float32".into(),
        };
        Err(Error::new(ErrorKind::NonFinite, message))
    }

    /// Says of numbers that are not finite whether they come of a weight or of what is computed of finite ones.
    pub(in crate::train) fn blame(&self, error: Error) -> Error {
        if error.kind() != ErrorKind::NonFinite {
            return error;
        }
        let message = match self.not_finite() {
            Ok(Some(found)) => format!("{found}, and not a row is at fault"),
            Ok(None) => "every weight is finite, but what is computed of them is not".into(),
            // The first error is the one to report.
            Err(_) => return error,
        };
        Error::new(ErrorKind::NonFinite, message).because(error)
    }

    /// The first weight that is not finite, of the model, of the adapter or of the reference's.
    fn not_finite(&self) -> Result<Option<String>> {
        let backend = self.policy.model.backend();
        let look = |whose: &str, weights: &BTreeMap<Parameter, B::Weight>| -> Result<Option<String>> {
            for (parameter, weight) in weights {
                let numbers = backend.download_weight(weight)?;
                if let Some(number) = numbers.iter().find(|number| !number.is_finite()) {
                    return Ok(Some(format!("`{parameter}` of {whose} holds {number}")));
                }
            }
            Ok(None)
        };
        let adapters = [("the adapter", self.policy.adapter.as_ref()), ("the reference", self.reference.adapter())];
        let mut found = look("the model", &self.policy.model.weights)?;
        for (whose, adapter) in adapters {
            if let (None, Some(adapter)) = (&found, adapter) {
                found = look(whose, &adapter.matrices)?;
            }
        }
        Ok(found)
    }
}
