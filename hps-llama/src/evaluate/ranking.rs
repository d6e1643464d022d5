//! Whether a reward model orders responses as the rewards of their rows do.

use super::runs;
use crate::Result;
use crate::backend::Backend;
use crate::reward_model::RewardModel;
use crate::train::Example;

/// Counts over all rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ranking {
    /// Pairs of responses to the same prompt whose rewards differ.
    pub pairs: usize,
    /// Those of them that the model orders as they do; its ties are not among them.
    pub ordered: usize,
    /// Rows.
    pub rows: usize,
    /// Those of them whose preferred response has the model's greatest reward, alone.
    pub first: usize,
}

impl Ranking {
    /// Share of the pairs that is ordered; NaN of none.
    pub fn accuracy(&self) -> f64 {
        self.ordered as f64 / self.pairs as f64
    }
}

/// That of a reward model on examples; sequences are packed up to `max_tokens`.
///
/// # Errors
/// As [`RewardModel::rewards`].
pub fn ranking<B: Backend>(model: &RewardModel<B>, examples: &[Example], max_tokens: usize) -> Result<Ranking> {
    let mut ranking = Ranking::default();
    for (now, groups) in runs(examples, max_tokens) {
        for (example, scores) in now.iter().zip(model.rewards(&groups)?) {
            ranking.add(&scores, &example.rewards);
        }
    }
    Ok(ranking)
}

impl Ranking {
    /// A row's scores and rewards, best reward first.
    fn add(&mut self, scores: &[f64], rewards: &[f64]) {
        self.rows += 1;
        self.first += usize::from(scores.iter().skip(1).all(|score| scores[0] > *score));
        for better in 0..rewards.len() {
            for worse in (better + 1..rewards.len()).filter(|worse| rewards[better] > rewards[*worse]) {
                self.pairs += 1;
                self.ordered += usize::from(scores[better] > scores[worse]);
            }
        }
    }
}
