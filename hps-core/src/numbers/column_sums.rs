//! Sums over columns: what every listwise definition is made of.

use crate::numbers::score_tensor::ScoreTensor;

/// A column of zeros, shaped like `column`; an empty sum.
pub(crate) fn zero<T: ScoreTensor>(column: &T) -> Result<T, T::Error> {
    column.affine(0.0, 0.0)
}

/// `ln Σ_i exp(column_i)`, of at least one column.
pub(crate) fn log_sum_exp<T: ScoreTensor>(columns: &[T]) -> Result<T, T::Error> {
    let mut total = columns[0].clone();
    for column in &columns[1..] {
        total = total.log_add_exp(column)?;
    }
    Ok(total)
}
