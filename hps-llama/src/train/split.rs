//! Rows to train on, and rows that are held out to evaluate on.

use super::Example;
use crate::{Error, ErrorKind, Result};

/// What a run reads. Made from a list of examples, it holds none out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Split {
    /// To train on.
    pub train: Vec<Example>,
    /// To evaluate on.
    pub held_out: Vec<Example>,
}

impl Split {
    /// Holds out example `i`, counted from 0, where `⌊(i + 1) · share⌋ > ⌊i · share⌋`: at a share of 0.1 every tenth.
    ///
    /// # Errors
    /// None would be held out.
    pub fn hold_out(mut examples: Vec<Example>, share: f64) -> Result<Split> {
        let count = examples.len();
        let mut index = 0;
        let held_out: Vec<Example> = examples
            .extract_if(.., |_| {
                index += 1;
                (index as f64 * share).floor() > ((index - 1) as f64 * share).floor()
            })
            .collect();
        if held_out.is_empty() {
            let message = format!("`eval_share` is {share} of {count} rows, so none is held out");
            return Err(Error::new(ErrorKind::Option, message));
        }
        Ok(Split { train: examples, held_out })
    }
}

impl From<Vec<Example>> for Split {
    fn from(train: Vec<Example>) -> Split {
        Split { train, held_out: Vec::new() }
    }
}
