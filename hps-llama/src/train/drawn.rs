//! What a loss reads of an example.

use super::train_loss::Reads;
use super::{Example, TrainLoss};
use hps_core::Responses;

/// Responses of an example, each once, and which of them were drawn.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Drawn {
    /// Their numbers in the example, the preferred one's first.
    pub responses: Vec<usize>,
    /// The draws in their order, as places in `responses`; empty where the loss draws none.
    pub samples: Vec<usize>,
}

impl Drawn {
    /// Responses none of which was drawn.
    pub fn these(responses: Vec<usize>) -> Drawn {
        Drawn { responses, samples: Vec::new() }
    }

    /// The preferred response, and the negatives that were drawn, some perhaps several times.
    pub fn among_negatives(negatives: &[usize]) -> Drawn {
        let mut responses = vec![0];
        let place = |negative: &usize| match responses.iter().position(|known| known == negative) {
            Some(place) => place,
            None => {
                responses.push(*negative);
                responses.len() - 1
            }
        };
        let samples = negatives.iter().map(place).collect();
        Drawn { responses, samples }
    }

    /// A row of these responses, with the draws if the loss reads some.
    pub fn in_row<'a>(
        &'a self,
        loss: &TrainLoss,
        example: &Example,
        row: Responses<'a, f64>,
    ) -> Result<Responses<'a, f64>, hps_core::Error> {
        match loss.reads() {
            Reads::Drawn(loss, _) => {
                let negatives = loss.negatives(&example.rewards)?;
                match self.samples[..] {
                    [one] if loss.reads_sample() => row.with_sample_from(one, negatives),
                    _ => row.with_samples_from(&self.samples, negatives),
                }
            }
            Reads::Ends | Reads::All => Ok(row),
        }
    }
}
