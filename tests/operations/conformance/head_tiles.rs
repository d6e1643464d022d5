//! Log-probs where rows and vocabulary exceed a tile of logits.

use super::head::check;
use crate::subject::Subject;
use hps_llama::backend::Backend;

/// Rows around a tile's end. The CPU's tile holds 2²⁴ logits, and 16 to 1024 rows: here 1024, 167 and 16.
pub fn log_probs_agree_across_tiles<B: Backend>(subject: &Subject<B>) {
    let mut draws = subject.draws(120);
    let tiles = [(7, 2, 1024), (7, 2, 1025), (7, 2, 2050), (100_003, 2, 168), ((1 << 20) + 3, 1, 17)];
    for (vocabulary, columns, rows) in tiles {
        let (hidden, weight) = (draws.matrix(rows, columns), draws.weight(vocabulary, columns));
        let mut targets = draws.indices(rows, vocabulary);
        targets[rows - 1] = vocabulary as u32 - 1;
        check(subject, &hidden, &weight, &targets, &draws.matrix(rows, 1));
    }
}
