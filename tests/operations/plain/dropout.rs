//! `x ⊙ mask / (1 − rate)`; entry `(row, column)` is kept when word `column % 4` of Philox at counter
//! `[column / 4, position, segment, data row]` is at least `rate · 2³²`.

use crate::differences::assert_gradient;
use crate::matrix::Matrix;
use crate::random::Draws;
use hps_core::Philox;
use hps_llama::backend::Dropout;

/// * identity — data row, segment, position.
pub fn kept(dropout: Dropout, identity: &[u32], column: usize) -> bool {
    let counter = [(column / 4) as u32, identity[2], identity[1], identity[0]];
    let word = Philox::from_key(dropout.key).block(counter)[column % 4];
    f64::from(word) >= (f64::from(dropout.rate) * 4_294_967_296.0).floor()
}

pub fn dropout(x: &Matrix, dropout: Dropout, identities: &[u32]) -> Matrix {
    Matrix::from_fn(x.rows, x.columns, |row, column| {
        let kept = kept(dropout, &identities[3 * row..3 * row + 3], column);
        if kept { x[(row, column)] / (1.0 - f64::from(dropout.rate)) } else { 0.0 }
    })
}

#[test]
fn dropout_is_its_own_adjoint() {
    let identities = [7, 0, 0, 7, 0, 1, 7, 2, 0];
    let mask = Dropout { rate: 0.4, key: [1, 2] };
    assert_gradient(
        [Draws::new(14).matrix(3, 6)],
        |[x]| [dropout(x, mask, &identities)],
        |_, [dy]| [dropout(dy, mask, &identities)],
    );
}
