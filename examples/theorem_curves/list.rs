//! One prompt's list: scores and estimated rewards, preferred response first.

use hps_core::{Error, Loss, Responses, TiePolicy, log_weights};

/// `s_1 … s_n` and `r_est`, the preferred response's first; nats.
#[derive(Clone, Debug)]
pub struct List {
    pub scores: Vec<f64>,
    pub rewards: Vec<f64>,
}

impl List {
    /// The value of a loss whose score is `β (log π − log π_ref)`, `β = 1`; so these are differences of log-probabilities.
    ///
    /// * `draws`: which negatives were sampled, for a loss that reads them; else empty.
    pub fn value(&self, loss: &Loss, draws: &[usize]) -> Result<f64, Error> {
        let count = self.scores.len();
        let (reference, lengths) = (vec![0.0; count], vec![1; count]);
        let mut row = Responses::new(&self.scores)?
            .with_reference(&reference)?
            .with_lengths(&lengths)?
            .with_rewards(&self.rewards)?;
        if !draws.is_empty() {
            row = row.with_samples(draws)?;
        }
        loss.value_and_score_gradient(&row, &mut vec![0.0; Loss::scratch_len(count)], &mut vec![0.0; count])
    }

    /// `ln q` of the negatives (Eq. 9).
    pub fn log_q(&self, gamma: f64) -> Result<Vec<f64>, Error> {
        let mut log_q = vec![0.0; self.scores.len() - 1];
        log_weights(&self.rewards, gamma, TiePolicy::Keep, &mut log_q)?;
        Ok(log_q)
    }
}

/// A loss by name, with `β = 1`.
pub fn loss(name: &str) -> Result<Loss, Error> {
    name.parse::<Loss>()?.with_beta(1.0)
}
