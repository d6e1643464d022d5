//! What is computed with: `f32` and `f64`, dual numbers, columns of tensors; and how, branch-free or side by side.

#[cfg(feature = "candle")]
mod candle;
pub(crate) mod column_sums;
mod dual;
pub(crate) mod kernels;
pub(crate) mod lanes;
pub(crate) mod logistic;
pub mod math;
pub(crate) mod scalar;
pub(crate) mod score_tensor;
pub(crate) mod tile;

pub use dual::Dual;
pub use scalar::Scalar;
pub use score_tensor::ScoreTensor;
