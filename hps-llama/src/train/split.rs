//! Rows to train on, and rows that are held out to evaluate on.

use super::Example;

/// What a run reads. Made from a list of examples, it holds none out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Split {
    /// To train on.
    pub train: Vec<Example>,
    /// To evaluate on.
    pub held_out: Vec<Example>,
}

impl From<Vec<Example>> for Split {
    fn from(train: Vec<Example>) -> Split {
        Split { train, held_out: Vec::new() }
    }
}
